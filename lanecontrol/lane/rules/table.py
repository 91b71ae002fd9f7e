"""What is checked in lanes of each type, inbound and outbound. Data; the hash of it stands on every passage.

Sources: the programmes' own pages and the FAST reference guide for who has to show what, 19 CFR 123.92 for the advance
e-Manifest, 19 CFR 24.22 for the user fee of arriving trucks. What only secondary sources say (which programme may use
which lane) a site may replace: `questions: {programmes: [...]}` of the lane file.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace as with_change
from enum import StrEnum

from lanecontrol.announcements import LaneType


class Direction(StrEnum):
    INBOUND = "inbound"
    """Into the country."""
    OUTBOUND = "outbound"


class Who(StrEnum):
    """Who has to show a person's card."""

    NOBODY = "nobody"
    DRIVER = "driver"
    ADULTS = "every adult"
    EVERYBODY = "every person"


@dataclass(frozen=True, slots=True)
class LaneRules:
    """One row. What is False or empty is not checked by the lane; the officer may check what they like."""

    cards: Who = Who.NOBODY
    programmes: frozenset[str] = frozenset()
    """A person's card has to be enrolled in one of these; empty: cards are not checked against enrolments."""
    vehicle: bool = False
    """The vehicle has to be enrolled."""
    card_with_plate: bool = False
    """The vehicle has to be one that somebody in it is enrolled with."""
    transponder: bool = False
    """The vehicle has to carry a transponder, which has to be that vehicle's."""
    user_fee: bool = False
    """The user fee has to be paid."""
    manifest: bool = False
    """An e-Manifest has to be on file."""
    seal: bool = False
    """A seal has to be on file."""
    hazmat: bool = False
    """Whether the load is dangerous is of interest."""
    empty: bool = False
    """The vehicle has to be seen to be empty, by the officer or by a scan."""
    trailers: bool = False
    """Front and rear plate may differ: tractor and trailer."""

    @property
    def asks_enrolment(self) -> bool:
        """Whether the port's answer about enrolments and cargo could change anything."""
        cargo = self.user_fee or self.manifest or self.seal or self.hazmat
        return bool(self.programmes) or self.vehicle or self.card_with_plate or self.transponder or cargo

    @property
    def asks_cargo(self) -> bool:
        return self.user_fee or self.manifest or self.seal


INBOUND: dict[LaneType, LaneRules] = {
    LaneType.SENTRI: LaneRules(Who.EVERYBODY, frozenset({"SENTRI"}), vehicle=True, card_with_plate=True),
    # SENTRI members may use NEXUS lanes into the country, and not the other way round.
    LaneType.NEXUS: LaneRules(Who.EVERYBODY, frozenset({"NEXUS", "SENTRI"})),
    LaneType.FAST: LaneRules(
        Who.DRIVER,
        frozenset({"FAST"}),
        transponder=True,
        user_fee=True,
        manifest=True,
        seal=True,
        hazmat=True,
        trailers=True,
    ),
    LaneType.READY: LaneRules(Who.ADULTS),
    LaneType.STANDARD: LaneRules(),
    LaneType.COMMERCIAL: LaneRules(hazmat=True, trailers=True),
    LaneType.EMPTY: LaneRules(hazmat=True, empty=True, trailers=True),
    LaneType.BUS: LaneRules(),
}

OUTBOUND: dict[LaneType, LaneRules] = {
    **INBOUND,
    LaneType.NEXUS: LaneRules(Who.EVERYBODY, frozenset({"NEXUS"})),
    # Manifest, seal and fee are about goods that arrive.
    LaneType.FAST: with_change(INBOUND[LaneType.FAST], user_fee=False, manifest=False, seal=False),
}

_RULES = {Direction.INBOUND: INBOUND, Direction.OUTBOUND: OUTBOUND}


def rules_of(lane_type: LaneType, direction: str, programmes: tuple[str, ...] = ()) -> LaneRules:
    """The row for a lane; `programmes` are the site's own in place of the table's, where it names any."""
    row = _RULES[Direction(direction)][lane_type]
    return with_change(row, programmes=frozenset(programmes)) if programmes and row.programmes else row
