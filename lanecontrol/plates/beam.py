"""The likeliest texts behind a recogniser's table: a prefix beam search over connectionist temporal classification.

Called by voting. Pure. A table has a row for each step along the line and a column for each character; the last column
stands for no character.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

_NEGLIGIBLE = 1e-3
"""A character less probable than this in a step is not followed: it could only become a hopeless candidate."""


def search(table: Any, alphabet: str, width: int = 8) -> dict[str, float]:
    """Up to `width` texts with their probabilities, the likeliest first."""
    beams: dict[str, tuple[float, float]] = {"": (1.0, 0.0)}
    for row in table.tolist() if hasattr(table, "tolist") else table:
        beams = _step(beams, row, alphabet, width)
    found = ((text, blank + ends) for text, (blank, ends) in beams.items() if blank + ends > 0)
    return dict(sorted(found, key=lambda item: -item[1]))


def _step(
    beams: dict[str, tuple[float, float]], row: Sequence[float], alphabet: str, width: int
) -> dict[str, tuple[float, float]]:
    """Each text's probability is kept in two parts: ending in a gap, and ending in its last character."""
    none = row[len(alphabet)]
    likely = [(character, p) for character, p in zip(alphabet, row, strict=False) if p > _NEGLIGIBLE]
    ahead: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for text, (blank, ends) in beams.items():
        stays = ahead[text]
        stays[0] += (blank + ends) * none
        for character, p in likely:
            if text and text[-1] == character:
                stays[1] += ends * p
                ahead[text + character][1] += blank * p
            else:
                ahead[text + character][1] += (blank + ends) * p
    kept = heapq.nlargest(width, ahead.items(), key=lambda item: item[1][0] + item[1][1])
    return {text: (parts[0], parts[1]) for text, parts in kept}
