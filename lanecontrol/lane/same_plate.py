"""When two texts are the same plate. Used wherever two are compared; what is published stays as it was read."""

from __future__ import annotations

from lanecontrol.identifier import Identifier
from lanecontrol.lane.setup import LaneSetup

_ALIKE_FROM = 0.75
"""Two texts that agree in so many of their places are one plate read twice, once wrongly."""


def plate_key(setup: LaneSetup, text: Identifier) -> str:
    """What two texts of the same plate have in common. Never to be shown: it is no plate."""
    return text.clear.replace("O", "0") if setup.o_is_zero else text.clear


def same_plate(setup: LaneSetup, one: Identifier, other: Identifier) -> bool:
    """Whether these are texts of one plate, by the site's word on the letter O and the digit 0."""
    return one == other or (setup.o_is_zero and plate_key(setup, one) == plate_key(setup, other))


def misread(setup: LaneSetup, one: Identifier, other: Identifier) -> bool:
    """Whether these may be one plate all the same, a few characters of it read wrongly."""
    a, b = plate_key(setup, one), plate_key(setup, other)
    if abs(len(a) - len(b)) > 1:
        return False
    return a in b or b in a or sum(x == y for x, y in zip(a, b, strict=False)) >= _ALIKE_FROM * max(len(a), len(b))
