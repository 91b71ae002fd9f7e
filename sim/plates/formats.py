"""Plate formats as data: which texts a jurisdiction gives out, and how a text is laid out on its plate.

Used by the renderer. Pure: no numpy, no OpenCV. The facts are in `formats.yaml`, with what is not verified marked so.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from ruamel.yaml import YAML

DIGITS = "0123456789"
LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"

Corner = Literal["tl", "tr", "bl", "br", "centre"]


class _Fact(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Series(_Fact):
    """One pattern of texts that a design carries."""

    pattern: str
    """A letter, 9 digit, [..] stacked, space and dash as on the plate."""
    of: str
    """What vehicles it is for."""
    verified: bool
    """Found in a published list; otherwise from general knowledge."""
    letters: str = LETTERS
    """Letters that are used."""
    first: tuple[str, str] | None = None
    """Range of the first three letters."""
    weight: float = Field(default=1.0, gt=0)
    """How common it is among the series of its design."""


class Design(_Fact):
    """What a plate of one jurisdiction looks like. Colours are `#rrggbb`."""

    jurisdiction: str
    """ISO 3166-2, as the simulated world names it; `MX` for federal plates."""
    name: str
    name_face: Literal["block", "script", "serif"] = "block"
    name_at: Literal["top", "bottom"] = "top"
    slogan: str = ""
    """At the other edge."""
    ground: str
    sky: str = ""
    """Colour of the upper part, fading into the ground."""
    foot: str = ""
    """Colour of the lowest part."""
    ink: str
    name_ink: str
    slogan_ink: str = ""
    """If it differs from the name's."""
    graphic: Literal["", "mountains", "sun", "star", "tree", "fruit"] = ""
    stickers: tuple[Corner, ...] = ()
    weight: float = Field(default=1.0, gt=0)
    """How common it is among all designs."""
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One glyph of a plate's text: where it is in a row of cells, and in which half if it is stacked."""

    glyph: str
    at: float
    half: Literal["", "upper", "lower"] = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """Glyphs and separators in a row that is `width` cells wide."""

    cells: tuple[Cell, ...]
    dashes: tuple[float, ...]
    width: float


@dataclass(frozen=True, slots=True)
class Plate:
    """A plate to be drawn: its text (A-Z, 0-9), and the pattern and design it is drawn with."""

    text: str
    design: Design
    pattern: str

    @property
    def jurisdiction(self) -> str:
        return self.design.jurisdiction

    @property
    def layout(self) -> Layout:
        return lay_out(self.pattern)


@cache
def designs() -> tuple[Design, ...]:
    """Every design there is."""
    text = files("sim.plates").joinpath("formats.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return tuple(Design.model_validate(entry) for entry in data["designs"])


PLAIN = Design(jurisdiction="", name="", ground="#f4f4f2", ink="#17181d", name_ink="#17181d", series=())
"""For a jurisdiction that has no design of its own."""


def draw_plate(rng: random.Random, *, vanity_share: float = 0.02) -> Plate:
    """A plate as it may come along: design, series and text by chance; some carry a text of the owner's choice."""
    design = _weighed(rng, designs())
    series = _weighed(rng, design.series)
    vanity, text = rng.random() < vanity_share, _text(rng, series)
    if vanity and design.jurisdiction.startswith("US-"):
        text = "".join(rng.choice(LETTERS) for _ in range(rng.randint(5, 7)))
        return Plate(text, design, text)
    return Plate(text, design, filled(series.pattern, text))


def plate_of(text: str, jurisdiction: str) -> Plate:
    """The plate that carries `text`, laid out as its jurisdiction does where the text fits one of its patterns."""
    mine = [design for design in designs() if design.jurisdiction == jurisdiction]
    federal = [design for design in designs() if design.jurisdiction == "MX" and jurisdiction.startswith("MX")]
    for design in (*mine, *federal):
        for series in design.series:
            if _fits(text, series.pattern):
                return Plate(text, design, filled(series.pattern, text))
    return Plate(text, mine[0] if mine else PLAIN, text)


def filled(pattern: str, text: str) -> str:
    """The pattern with the text's signs in place of its letters and digits."""
    signs = iter(text)
    return "".join(next(signs) if sign in "A9" else sign for sign in pattern)


def lay_out(shown: str) -> Layout:
    """Where each glyph of a filled pattern goes. A space is half a cell wide, a dash two thirds."""
    cells: list[Cell] = []
    dashes: list[float] = []
    at, stack = 0.0, ""
    for sign in shown:
        match sign:
            case "[":
                stack = "upper"
            case "]":
                stack, at = "", at + 1.0
            case " ":
                at += 0.5
            case "-":
                dashes.append(at)
                at += 2 / 3
            case _ if stack == "upper":
                cells.append(Cell(sign, at, "upper"))
                stack = "lower"
            case _ if stack == "lower":
                cells.append(Cell(sign, at, "lower"))
            case _:
                cells.append(Cell(sign, at))
                at += 1.0
    return Layout(tuple(cells), tuple(dashes), at)


def _fits(text: str, pattern: str) -> bool:
    kinds = [sign for sign in pattern if sign in "A9"]
    return len(kinds) == len(text) and all(
        sign.isdigit() if kind == "9" else sign.isalpha() for sign, kind in zip(text, kinds, strict=True)
    )


def _text(rng: random.Random, series: Series) -> str:
    text = "".join(
        rng.choice(DIGITS) if sign == "9" else rng.choice(series.letters) for sign in series.pattern if sign in "A9"
    )
    return text if series.first is None else _between(rng, *series.first) + text[3:]


def _between(rng: random.Random, low: str, high: str) -> str:
    """Three letters from a range of them, both ends included."""
    base = len(LETTERS)
    first, last = (
        sum(LETTERS.index(sign) * base**power for sign, power in zip(end, (2, 1, 0), strict=True))
        for end in (low, high)
    )
    number = rng.randint(first, last)
    return LETTERS[number // base**2] + LETTERS[number // base % base] + LETTERS[number % base]


def _weighed(rng: random.Random, of: tuple[Any, ...]) -> Any:
    return rng.choices(of, [each.weight for each in of])[0]
