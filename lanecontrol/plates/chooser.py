"""Which line of text in a picture is the plate, and why the others are not.

Called by the engine. Pure. The rules speak of what plates look like and of what else is written on and around
vehicles; none speaks of a particular camera or file.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from lanecontrol.plates.grammar import Grammar

SHORTEST, LONGEST = 2, 8
NARROWEST, WIDEST = 1.1, 7.5
"""Width to height of the numbers on a plate, from two characters to eight."""

_LETTERS = 4
_STAMP = re.compile(r"(19|20)\d{6,}|\d{8,}")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text as the chooser sees it: best text, its share, and the box in pixels of the picture."""

    text: str
    share: float
    certainty: float
    """Probability of the best text before the prior."""
    x: float
    y: float
    width: float
    height: float
    margin: bool = False
    """At the upper or lower edge of the picture."""
    longer: tuple[str, ...] = ()
    """What other looks at it say, where this text is a piece of that."""


def refusal(line: Line, grammar: Grammar) -> str:
    """Why this line cannot be a plate; empty if it can."""
    aspect = line.width / max(line.height, 1e-6)
    if len(line.text) < SHORTEST:
        return "too short for a plate"
    if _STAMP.search(line.text):
        return "a date or a number longer than plates have"
    if line.margin and line.text.isdigit():
        return "a number in the margin, where cameras write the time"
    if len(line.text) > LONGEST:
        return "longer than plates are"
    if not NARROWEST <= aspect <= WIDEST:
        return "not the shape of a plate"
    if any(grammar.inscription(text) for text in (line.text, *line.longer)):
        return "a word or a measure that is written on vehicles and signs"
    if len(line.text) >= _LETTERS and line.text.isalpha() and grammar.motto(line.text):
        return "a word that is written on plates beside the number"
    return ""


def score(line: Line, picture: tuple[int, int], grammar: Grammar) -> float:
    """How much this line looks like the plate; only differences within one picture mean anything."""
    height, width = picture
    off_centre = math.hypot((line.x - width / 2) / width, (line.y - height / 2) / height)
    letters = sum(character.isalpha() for character in line.text)
    worded = letters == len(line.text) or grammar.spelled(line.text) > 0
    mixed = letters > 0 and not worded
    return (
        0.5 * math.log(max(line.certainty, 1e-4))
        + 0.4 * grammar.log_prior(line.text)
        + 1.2 * math.log(max(line.height, 1.0))
        - 1.0 * off_centre
        + (1.0 if mixed else 0.0)
        - (2.0 if worded else 0.0)
    )
