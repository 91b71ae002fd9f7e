"""Which state a plate is from, when the words around the number or its letter series say so.

Called by the engine. Pure. Says nothing where two states are equally likely: a wrong state misleads more than none.
"""

from __future__ import annotations

from collections.abc import Iterable

from lanecontrol.plates.grammar import Grammar, Jurisdiction, pattern

_SHORTEST_WORD = 4
_CLOSE = 0.8
"""Share of a word's characters that must be there: small print is read badly."""


def told(plate: str, words: Iterable[str], grammar: Grammar) -> str:
    """The code of the jurisdiction, or nothing."""
    scores: dict[str, float] = {}
    read = [word for word in words if len(word) >= _SHORTEST_WORD]
    for jurisdiction in grammar.jurisdictions:
        best = max((_likeness(word, known) for word in read for known in jurisdiction.words), default=0.0)
        if best:
            scores[jurisdiction.code] = best
    if not scores:
        return _by_series(plate, grammar)
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    if len(ranked) > 1 and ranked[1][1] >= ranked[0][1]:
        return ""
    return ranked[0][0]


def _likeness(word: str, known: str) -> float:
    """Length of what agrees if nearly all of it does, so that WEST VIRGINIA beats VIRGINIA; otherwise 0."""
    if len(known) < _SHORTEST_WORD:
        return 0.0
    if known in word:
        return float(len(known))
    distance = edits(word, known, limit=round((1 - _CLOSE) * len(known)))
    return 0.0 if distance is None else len(known) - 2.0 * distance


def edits(one: str, other: str, limit: int) -> int | None:
    """Insertions, deletions and replacements from one to the other; None above the limit."""
    if abs(len(one) - len(other)) > limit:
        return None
    row = list(range(len(other) + 1))
    for place, character in enumerate(one, 1):
        above, row = row, [place]
        for column, wanted in enumerate(other, 1):
            row.append(min(above[column] + 1, row[-1] + 1, above[column - 1] + (character != wanted)))
    return row[-1] if row[-1] <= limit else None


def _by_series(plate: str, grammar: Grammar) -> str:
    """Mexican private cars: three letters, three digits, one letter; the three letters belong to one state."""
    if pattern(plate) != "AAA999A":
        return ""
    return next((entry.code for entry in grammar.jurisdictions if _in_series(plate[:3], entry)), "")


def _in_series(letters: str, entry: Jurisdiction) -> bool:
    return entry.series is not None and entry.series[0] <= letters <= entry.series[1]
