"""Letters and digits as strokes, in the proportions of North American plates. Our own drawing, no font file.

A glyph is a few polylines on a grid 4 wide and 6 high, y downwards; a point marked `~` is a corner that the die rounds.
How much it is rounded, or whether it is cut straight, is the style: so one table gives several faces, and recognition
is not tuned to one. Pure: gives points, draws nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal

WIDTH, HEIGHT = 4.0, 6.0

Point = tuple[float, float]
Mark = tuple[bool, Point]
"""A point of the table, and whether the die rounds it."""

STROKES: dict[str, tuple[str, ...]] = {
    "0": ("2,0 4,0~ 4,6~ 0,6~ 0,0~ 2,0",),
    "1": ("0.9,1.3 2.3,0 2.3,6",),
    "2": ("0,1.7 0,0~ 4,0~ 4,2.5~ 0,6 4,6",),
    "3": ("0,1.4 0,0~ 4,0~ 4,2.9~ 1.5,2.9", "2.2,2.9 4,2.9~ 4,6~ 0,6~ 0,4.6"),
    "4": ("3.1,6 3.1,0 0,4.4 4.1,4.4",),
    "5": ("3.8,0 0.3,0 0.2,2.6 4,2.3~ 4,6~ 0,6~ 0,4.6",),
    "6": ("4,1.4 4,0~ 0,0~ 0,6~ 4,6~ 4,2.7~ 0,2.7",),
    "7": ("0,0 4,0 1.4,6",),
    "8": ("2,0 3.8,0~ 3.8,2.8~ 0.2,2.8~ 0.2,0~ 2,0", "2,2.8 4,2.8~ 4,6~ 0,6~ 0,2.8~ 2,2.8"),
    "9": ("0,4.6 0,6~ 4,6~ 4,0~ 0,0~ 0,3.3~ 4,3.3",),
    "A": ("0,6 2,0 4,6", "0.7,4.1 3.3,4.1"),
    "B": ("0,0 3.7,0~ 3.7,2.8~ 0,2.8", "0,2.8 4,2.8~ 4,6~ 0,6 0,0"),
    "C": ("4,1.6 4,0~ 0,0~ 0,6~ 4,6~ 4,4.4",),
    "D": ("0,0 4,0~ 4,6~ 0,6 0,0",),
    "E": ("4,0 0,0 0,6 4,6", "0,2.9 3.2,2.9"),
    "F": ("4,0 0,0 0,6", "0,2.9 3.2,2.9"),
    "G": ("4,1.6 4,0~ 0,0~ 0,6~ 4,6~ 4,3.3 2.3,3.3",),
    "H": ("0,0 0,6", "4,0 4,6", "0,2.9 4,2.9"),
    "I": ("2,0 2,6", "0.9,0 3.1,0", "0.9,6 3.1,6"),
    "J": ("3.8,0 3.8,6~ 0.2,6~ 0.2,4.3",),
    "K": ("0,0 0,6", "4,0 0,3.7", "1.5,2.4 4,6"),
    "L": ("0,0 0,6 4,6",),
    "M": ("0,6 0,0 2,3.4 4,0 4,6",),
    "N": ("0,6 0,0 4,6 4,0",),
    "O": ("2,0 4,0~ 4,6~ 0,6~ 0,0~ 2,0",),
    "P": ("0,6 0,0 4,0~ 4,3.3~ 0,3.3",),
    "Q": ("2,0 4,0~ 4,6~ 0,6~ 0,0~ 2,0", "2.5,4.4 4.2,6.3"),
    "R": ("0,6 0,0 4,0~ 4,3.2~ 0,3.2", "1.9,3.2 4,6"),
    "S": ("4,1.5 4,0~ 0,0~ 0,2.9~ 4,2.9~ 4,6~ 0,6~ 0,4.5",),
    "T": ("0,0 4,0", "2,0 2,6"),
    "U": ("0,0 0,6~ 4,6~ 4,0",),
    "V": ("0,0 2,6 4,0",),
    "W": ("0,0 0.9,6 2,2.2 3.1,6 4,0",),
    "X": ("0,0 4,6", "4,0 0,6"),
    "Y": ("0,0 2,3.1 4,0", "2,3.1 2,6"),
    "Z": ("0,0 4,0 0,6 4,6",),
}
FOOTED_ONE = ("0.9,1.3 2.3,0 2.3,6", "0.9,6 3.7,6")
FLAT_THREE = ("0,0 4,0 1.9,2.6 4,2.6~ 4,6~ 0,6~ 0,4.6",)
OPEN_FOUR = ("0.6,0 0,4.1 4,4.1", "3,2.4 3,6")


@dataclass(frozen=True, slots=True)
class Face:
    """How glyphs are drawn: `corner` is the radius in grid units, `cut` corners are straight."""

    name: str
    corner: float
    cut: bool = False
    stroke: float = 0.85
    """Thickness in grid units."""
    ends: Literal["round", "flat"] = "round"
    width: float = 1.0
    """Narrower or wider than the grid."""
    built_in: bool = False
    """OpenCV's own font in place of ours."""
    footed_one: bool = False
    flat_three: bool = False
    open_four: bool = False


FACES = (
    Face("die", corner=1.9, stroke=0.85),
    Face("die with a foot", corner=1.4, stroke=0.8, footed_one=True, width=0.94),
    Face("cut corners", corner=1.0, cut=True, stroke=0.95, ends="flat", footed_one=True),
    Face("narrow", corner=1.7, stroke=0.75, ends="flat", width=0.84, open_four=True),
    Face("printed", corner=2.0, stroke=1.0, ends="flat", width=1.04, flat_three=True),
    Face("built in", corner=0.0, built_in=True),
)


def strokes(glyph: str, face: Face) -> tuple[tuple[Point, ...], ...]:
    """The polylines of a glyph, corners already rounded or cut; empty for a sign that has no glyph."""
    return _strokes(_table(glyph, face), face.corner, face.cut)


def _table(glyph: str, face: Face) -> tuple[str, ...]:
    match glyph:
        case "1" if face.footed_one:
            return FOOTED_ONE
        case "3" if face.flat_three:
            return FLAT_THREE
        case "4" if face.open_four:
            return OPEN_FOUR
        case _:
            return STROKES.get(glyph, ())


@cache
def _strokes(table: tuple[str, ...], corner: float, cut: bool) -> tuple[tuple[Point, ...], ...]:
    return tuple(_line(line, corner, cut) for line in table)


def _line(line: str, corner: float, cut: bool) -> tuple[Point, ...]:
    marks = [(mark.endswith("~"), _point(mark.rstrip("~"))) for mark in line.split()]
    points: list[Point] = []
    for index, (soft, at) in enumerate(marks):
        if soft:
            points += _corner(marks[index - 1], at, marks[index + 1], corner, cut)
        else:
            points.append(at)
    return tuple(points)


def _point(mark: str) -> Point:
    x, y = mark.split(",")
    return float(x), float(y)


def _corner(before: Mark, at: Point, after: Mark, radius: float, cut: bool) -> list[Point]:
    """The way around a corner: from the leg before it to the leg after it."""
    start, end = _towards(at, before, radius), _towards(at, after, radius)
    if cut:
        return [start, end]
    return [_bend(start, at, end, step / 6) for step in range(7)]


def _towards(at: Point, mark: Mark, by: float) -> Point:
    """Up to `by` along a leg; a leg between two soft corners is shared."""
    soft, other = mark
    length = math.dist(at, other)
    part = min(by, length / 2 if soft else length) / length if length else 0.0
    return at[0] + (other[0] - at[0]) * part, at[1] + (other[1] - at[1]) * part


def _bend(start: Point, at: Point, end: Point, t: float) -> Point:
    """A conic between a parabola and the corner: close to the quarter of an ellipse."""
    weight = math.sqrt(0.5)
    a, b, c = (1 - t) ** 2, 2 * weight * t * (1 - t), t**2
    whole = a + b + c
    return (a * start[0] + b * at[0] + c * end[0]) / whole, (a * start[1] + b * at[1] + c * end[1]) / whole
