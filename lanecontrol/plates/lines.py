"""Lines of text as the engine has seen them, and which of them is the plate.

Called by the engine and by the judgement of a read. Pure. What a single line may be is the chooser's matter; here lines
of one picture are compared with each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lanecontrol.plates import chooser, detector, vote
from lanecontrol.plates.detector import TextBox
from lanecontrol.plates.grammar import Grammar

WHOLE = 6
"""Shorter texts may be plates of which a piece is missing."""
_OVERLAID = 0.5
"""Share of the smaller of two boxes that lies in the other: both are drawn around the same text."""
_SURE, _AGREED = 0.95, 0.6
"""Probability of a first look that needs no closer one, and of one that the other recogniser agrees with."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A line of text in one picture: where, and what it may say."""

    box: TextBox
    votes: dict[str, float]
    looks: tuple[str, ...]
    """The best text of each look."""
    margin: bool = False
    """It stands in the margin of the picture, where cameras write the time."""
    second: dict[str, float] | None = field(default=None)
    """What another recogniser says, if it was asked."""

    foreign: bool = False
    """There is a character in it which no plate has."""
    wide: str = ""
    """What stands there when both ends are looked at as well, if they were."""
    cut: bool = False
    """It reaches the left or right edge of a picture much wider than itself: what is seen of it may be a piece."""

    def longer(self, text: str) -> tuple[str, ...]:
        """What the looks say of which this text is a piece."""
        opinion = max(self.second, key=self.second.__getitem__, default="") if self.second else ""
        return tuple({look for look in (*self.looks, opinion, self.wide) if text in look and text != look})

    @property
    def agreed(self) -> bool:
        """Whether the other recogniser says the same as the first look, O counted as 0."""
        if self.second is None:
            return False
        best = max(self.second, key=self.second.__getitem__, default="")
        return best.replace("O", "0") == self.looks[0].replace("O", "0")


def line(seen: Seen, known: Grammar) -> chooser.Line | None:
    """The line as the chooser sees it; None where it says nothing."""
    ranked = vote.ranked(seen.votes, known)
    if not ranked:
        return None
    text, share = ranked[0]
    box = seen.box
    return chooser.Line(
        text, share, seen.votes[text], box.x, box.y, box.width, box.height, seen.margin, seen.longer(text)
    )


def merged(one: Seen, other: Seen) -> Seen:
    """Two sets of looks at the same line."""
    n, m = len(one.looks), len(other.looks)
    texts = {**one.votes, **other.votes}
    votes = {text: (n * one.votes.get(text, 0.0) + m * other.votes.get(text, 0.0)) / (n + m) for text in texts}
    return replace(one, votes=votes, looks=one.looks + other.looks, foreign=one.foreign or other.foreign)


def with_second(seen: Seen) -> Seen:
    """The other recogniser's opinion among the votes, for half a look: it is the weaker one of the two."""
    if seen.second is None:
        return seen
    opinion = seen.second
    part = vote.SECOND / (len(seen.looks) + vote.SECOND)
    texts = {**seen.votes, **opinion}
    votes = {text: (1 - part) * seen.votes.get(text, 0.0) + part * opinion.get(text, 0.0) for text in texts}
    return replace(seen, votes=votes)


def certainty(seen: Seen, known: Grammar) -> float:
    """Probability of what it says, 0 where it cannot be a plate."""
    found = line(seen, known)
    return 0.0 if found is None or chooser.refusal(found, known) else found.certainty


def is_sure(seen: Seen, known: Grammar) -> bool:
    """Whether it is a plate that needs no closer look."""
    found = line(seen, known)
    return (
        found is not None
        and not chooser.refusal(found, known)
        and (known.usual(found.text) and len(found.text) >= WHOLE)
        and (found.certainty > _SURE or (seen.agreed and found.certainty > _AGREED))
    )


def ordered(boxes: list[TextBox]) -> list[TextBox]:
    """The clearest and largest first."""
    return sorted(boxes, key=lambda box: -box.score * min(1.0, box.height / 8))


def by_score(lines: Sequence[Seen], size: tuple[int, int], known: Grammar) -> list[int]:
    """Places of the lines that may be the plate, the best first."""
    scored = []
    for place, seen in enumerate(lines):
        found = line(seen, known)
        if found is not None and not chooser.refusal(found, known):
            scored.append((chooser.score(found, size, known), place))
    return [place for _, place in sorted(scored, key=lambda item: (-item[0], item[1]))]


def best(lines: Sequence[Seen], size: tuple[int, int], known: Grammar) -> Seen | None:
    """The line that looks most like a plate, as the best of the boxes around the same text shows it."""
    order = by_score(lines, size, known)
    if not order:
        return None
    first = lines[order[0]]
    same = [lines[place] for place in order if detector.shared(lines[place].box, first.box) >= _OVERLAID]
    return max(same, key=lambda seen: _weight(seen, known))


def _weight(seen: Seen, known: Grammar) -> float:
    found = line(seen, known)
    return -1e9 if found is None else math.log(max(found.certainty, 1e-9)) + vote.PRIOR * known.log_prior(found.text)


def to_vote(lines: Sequence[Seen], size: tuple[int, int], known: Grammar) -> list[int]:
    """The best line; where it is not sure, also the next one if it is another box around the same text."""
    order = by_score(lines, size, known)[:2]
    if len(order) == 2:
        first, second = (lines[place] for place in order)
        if is_sure(first, known) or detector.shared(first.box, second.box) < _OVERLAID:
            return order[:1]
    return order


def near(box: TextBox, plate: TextBox) -> bool:
    """Whether a line of text may stand on the same plate."""
    reach = 1.6 * plate.height
    return box is not plate and abs(box.y - plate.y) < reach and abs(box.x - plate.x) < plate.width / 2 + reach


def beside(seen: Seen, plate: Seen, known: Grammar) -> bool:
    """Whether this is another text of the same vehicle that could be the number instead."""
    found = line(seen, known)
    apart = math.hypot(seen.box.x - plate.box.x, seen.box.y - plate.box.y)
    return (
        found is not None
        and len(found.text) > 1
        and detector.shared(seen.box, plate.box) < _OVERLAID
        and apart < 3 * plate.box.width
    )
