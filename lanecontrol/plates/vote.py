"""Several looks at the same line of text, or at the same plate in several frames, made into one list of candidates.

Called by the engine. Pure. A look gives texts with probabilities; looks are averaged, and the grammar's prior says
which of two texts that look alike is the likelier plate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lanecontrol.plates import beam
from lanecontrol.plates.grammar import Grammar
from lanecontrol.plates.recogniser import Look

Votes = Mapping[str, float]
"""Texts with their probability in the eyes of a recogniser."""

LOOKS = (Look(), Look(dx=0.12), Look(dx=-0.12))
"""How the crops of one line differ. Further ones (up, down, wider, trimmed) cost time and changed nothing."""
WIDER = Look(widen=0.6)
"""For short texts: a box that is too narrow cuts off the first or last character, and the rest looks like a plate."""
PRIOR = 0.5
"""Exponent of the prior: patterns are not drawn independently of how they look (tried 0.25 to 1.5)."""
ASIDE = Look(widen=0.3)
"""What the other recogniser is shown: where the box cuts off a character, it does not fall for it too."""
ENDS = Look(widen=2.0)
"""Shows whether a line goes on to the left or to the right: then it is a piece of another text."""
SECOND = 0.5
"""How much of a look the other recogniser's opinion counts (tried 0 to 1)."""
_UNSEEN = 1e-6
_UNSEEN_IN_FRAME = 0.02
"""What a text counts for in a frame where it was not among the candidates: one bad frame must not outvote the rest."""


def over_crops(tables: Sequence[Any], alphabet: str) -> dict[str, float]:
    """The mean over the looks at one line."""
    votes: dict[str, float] = {}
    for table in tables:
        for text, probability in beam.search(table, alphabet).items():
            if text:
                votes[text] = votes.get(text, 0.0) + probability / len(tables)
    return votes


def over_frames(frames: Sequence[Votes]) -> dict[str, float]:
    """The geometric mean over frames that show the same plate: what one of them is sure of, the others may doubt."""
    texts = {text for votes in frames for text in votes}
    return {
        text: math.exp(sum(math.log(max(votes.get(text, 0.0), _UNSEEN_IN_FRAME)) for votes in frames) / len(frames))
        for text in texts
    }


def ranked(votes: Votes, grammar: Grammar, weight: float = PRIOR) -> list[tuple[str, float]]:
    """Texts with the share that each has after the prior, the best first. Those equal but for O and 0 are one."""
    scores = {text: math.log(p + _UNSEEN) + weight * grammar.log_prior(text) for text, p in votes.items() if text}
    if not scores:
        return []
    top = max(scores.values())
    shares = {text: math.exp(score - top) for text, score in scores.items()}
    total = sum(shares.values())
    return [(text, share / total) for text, share in _merged(shares)]


def _merged(shares: Mapping[str, float]) -> Iterable[tuple[str, float]]:
    """O and 0 look the same on most plates: they share one entry, written as its likelier member."""
    sums: dict[str, float] = {}
    best: dict[str, str] = {}
    for text, share in shares.items():
        key = text.replace("O", "0")
        sums[key] = sums.get(key, 0.0) + share
        if key not in best or share > shares[best[key]]:
            best[key] = text
    return sorted(((best[key], share) for key, share in sums.items()), key=lambda item: (-item[1], item[0]))
