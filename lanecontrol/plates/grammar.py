"""What plates look like: how usual the pattern of a text is, and which jurisdiction words and series speak for.

Called by voting and by the engine. Pure but for reading its data file. A prior, never a filter: every text keeps a
share, because people choose their own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from itertools import combinations
from typing import Any

_SHORTEST, _LONGEST = 2, 8
_TYPICAL_LENGTHS = {2: 0.01, 3: 0.03, 4: 0.06, 5: 0.15, 6: 0.35, 7: 0.36, 8: 0.04}
"""How long plates are that follow no format."""
_STRANGE = 1e-6
_WORD_LETTERS = 4
_WORD = re.compile(rf"[A-Z]{{{_WORD_LETTERS},}}")
"""Three letters are as likely a series as a word."""
_COUNTED = re.compile(rf"\d{{0,3}}([A-Z]{{{_WORD_LETTERS},}})(?:\d{{0,3}}|\d{{1,3}}[A-Z])")
"""A word with a short number, as of lanes and exits."""
_NOTHING = re.compile(r"(?!)")


def pattern(text: str) -> str:
    """`ABC1234` as `AAA9999`."""
    return "".join("9" if character.isdigit() else "A" for character in text)


@dataclass(frozen=True, slots=True)
class Jurisdiction:
    """One state: its code (ISO 3166-2 where there is one), name, words on its plates, and its letter series."""

    code: str
    name: str
    words: tuple[str, ...]
    series: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Grammar:
    """Shares of patterns over all jurisdictions, and the jurisdictions."""

    shares: Mapping[str, float]
    other: float
    jurisdictions: tuple[Jurisdiction, ...]
    words: frozenset[str] = frozenset()
    """What else is written in large letters where vehicles are."""
    numbered: re.Pattern[str] = _NOTHING
    """The same with a number in it: measures, times, exits."""

    def inscription(self, text: str) -> bool:
        """Whether this is written on vehicles and signs: a word, a word with a short number, a number with its unit."""
        counted = _COUNTED.fullmatch(text)
        return (
            text in self.words
            or (counted is not None and counted[1] in self.words)
            or bool(self.numbered.fullmatch(text))
        )

    def motto(self, text: str) -> bool:
        """Whether this is a state's name, or a piece of what stands on its plates."""
        return any(text in words for jurisdiction in self.jurisdictions for words in jurisdiction.words)

    def spelled(self, text: str) -> float:
        """The part of this text that is a word which is written on signs and vehicles, 0 to 1; a zero may be an O."""
        texts = _WORD.findall(text.replace("0", "O"))
        runs = (run[start:end] for run in texts for start, end in combinations(range(len(run) + 1), 2))
        found = [len(run) for run in runs if len(run) >= _WORD_LETTERS and run in self.words]
        return max(found, default=0) / max(len(text), 1)

    def log_prior(self, text: str) -> float:
        """Logarithm of how usual the pattern of this text is."""
        shape = pattern(text)
        usual = (1 - self.other) * self.shares.get(shape, 0.0)
        shapes = 2.0 ** len(shape) if shape else 1.0
        return math.log(usual + self.other * _TYPICAL_LENGTHS.get(len(shape), _STRANGE) / shapes)

    def usual(self, text: str) -> bool:
        """Whether some jurisdiction numbers plates like this."""
        return pattern(text) in self.shares


def load(mix: Mapping[str, float] | None = None) -> Grammar:
    """The grammar of the data file. `mix` gives weights of its own to some jurisdictions, by code.

    Raises ValueError for a code that the file does not have.
    """
    from ruamel.yaml import YAML

    text = files(__package__).joinpath("formats.yaml").read_text(encoding="utf-8")
    return made(YAML(typ="safe", pure=True).load(text), mix or {})


def made(data: Mapping[str, Any], mix: Mapping[str, float]) -> Grammar:
    """A grammar from the content of such a file. Raises ValueError for a code in `mix` that it does not have."""
    table: Mapping[str, Any] = data["jurisdictions"]
    if unknown := sorted(set(mix) - set(table)):
        raise ValueError(f"no jurisdiction {', '.join(unknown)}; there are {', '.join(table)}")
    weights = {code: float(mix.get(code, entry["weight"])) for code, entry in table.items()}
    total = sum(weights.values()) or 1.0
    shares: dict[str, float] = {}
    for code, entry in table.items():
        for shape, share in entry["formats"].items():
            shares[shape] = shares.get(shape, 0.0) + weights[code] / total * float(share)
    return Grammar(
        shares, float(data["other"]), tuple(_jurisdictions(table)), frozenset(data.get("words", ())), _numbered(data)
    )


def _numbered(data: Mapping[str, Any]) -> re.Pattern[str]:
    """What is written with a number. Such texts are plates as well, one in some thousands: rules are kept narrow."""
    speeds, units, weights, labels = ("|".join(data.get(name, ())) for name in ("speeds", "units", "weights", "labels"))
    rules = (
        rf"\d{{1,3}}({speeds})\d?" if speeds else "",
        rf"\d{{1,2}}({units})" if units else "",
        rf"\d{{1,3}}000?({weights})" if weights else "",
        rf"({labels})\d{{1,3}}({units})?" if labels else "",
        r"(0?[1-9]|1[0-2])[0-5]\d[AP]M",
        r"(US)?DOT\d*|\d*(US)?DOT|MC\d{6}|WWW[A-Z0-9]*|[A-Z0-9]*COM",
    )
    return re.compile("|".join(rule for rule in rules if rule))


def _jurisdictions(table: Mapping[str, Any]) -> Iterable[Jurisdiction]:
    for code, entry in table.items():
        series = entry.get("series")
        words = tuple(_plain(word) for word in entry.get("words", ()))
        yield Jurisdiction(code, entry["name"], words, (series[0], series[1]) if series else None)


def _plain(words: str) -> str:
    return "".join(character for character in words.upper() if character.isalnum())
