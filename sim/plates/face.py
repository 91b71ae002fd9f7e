"""A plate seen straight on: ground, graphic, state name, slogan, stickers, holes, and the text in embossed glyphs.

Used by `render`. Draws with OpenCV on an RGB array; what is by chance comes from the generator that it is given.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.plates.formats import Cell, Design, Plate
from sim.plates.glyphs import FACES, HEIGHT, WIDTH, Face, strokes

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

FACE_PX = (720, 360)
MM_TO_PX = FACE_PX[0] / 305.0
GLYPH_MM = (24.5, 60.0)
"""Centre lines of a glyph of a U.S. plate: about 1.3 by 2.7 inches with the stroke."""
MEXICAN_GLYPH_MM = (21.0, 50.0)
"""Smaller since 2001, to leave room for the state and its number."""
GAP_MM = 4.5
"""Between two glyphs."""
MAX_TEXT_MM = 286.0
STICKERS: tuple[Colour, ...] = ((214, 60, 50), (60, 110, 190), (235, 195, 60), (70, 150, 90), (225, 130, 40))
SIXTEENTHS = 4
"""Fraction bits of coordinates given to OpenCV: glyphs are placed to a sixteenth of a pixel."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is by chance about one plate: its typeface, stickers, frame and age."""

    face: Face
    stickers: tuple[int, ...]
    frame: str
    frame_text: str
    embossed: float
    faded: float

    @classmethod
    def draw(cls, rng: random.Random) -> Look:
        frame = rng.choices(("", "thin", "dealer"), (5, 3, 2))[0]
        return cls(
            face=rng.choice(FACES),
            stickers=tuple(rng.randrange(len(STICKERS)) for _ in range(5)),
            frame=frame,
            frame_text=rng.choice(("VALLEY MOTORS", "RIO AUTO", "MESA TRUCK CENTER", "")),
            embossed=rng.uniform(0.3, 1.0),
            faded=max(0.0, rng.gauss(0.0, 0.12)),
        )


def draw_face(plate: Plate, look: Look) -> Image:
    """The plate as RGB, 720 by 360."""
    design = plate.design
    image = _ground(design)
    _graphic(image, design)
    _small_print(image, design)
    for place, sticker in zip(design.stickers, look.stickers, strict=False):
        _sticker(image, place, STICKERS[sticker])
    _holes(image, bottom="bl" not in design.stickers and "br" not in design.stickers)
    _emboss(image, _text_mask(plate, look.face), colour(design.ink), look)
    _frame(image, look)
    return image


def colour(text: str) -> Colour:
    """RGB of `#rrggbb`."""
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def stretched(rows: NDArray[np.float32], width: int) -> Image:
    """One column of colours, as wide as asked for."""
    return np.asarray(cv2.resize(rows.astype(np.uint8), (width, rows.shape[0])), np.uint8)


# --- the ground -------------------------------------------------------------------------------------------------------


def _ground(design: Design) -> Image:
    width, height = FACE_PX
    rows = np.empty((height, 1, 3), np.float32)
    rows[:] = colour(design.ground)
    if design.sky:
        part = np.clip(1.0 - np.arange(height, dtype=np.float32) / (0.45 * height), 0.0, 1.0)[:, None, None]
        rows = rows * (1.0 - part) + np.array(colour(design.sky), np.float32) * part
    if design.foot:
        rows[int(0.86 * height) :] = colour(design.foot)
    return stretched(rows, width)


def _graphic(image: Image, design: Design) -> None:
    """A pale picture behind the text, as many designs have one."""
    height, width = image.shape[:2]
    pale = _mixed(colour(design.ground), colour(design.sky or design.ink), 0.45)
    match design.graphic:
        case "mountains":
            ridge = [(0, 250), (110, 170), (190, 220), (330, 130), (450, 230), (560, 160), (width, 250), (width, 290)]
            cv2.fillPoly(image, [np.array([*ridge, (0, 290)], np.int32)], _mixed(pale, colour(design.ground), 0.55))
        case "sun":
            cv2.circle(image, (width // 2, height // 2), 55, _mixed(pale, colour(design.ground), 0.6), 8, cv2.LINE_AA)
        case "star":
            cv2.circle(image, (70, 62), 22, pale, -1, cv2.LINE_AA)
        case "tree":
            tree = [(width // 2, 90), (width // 2 + 50, 270), (width // 2 - 50, 270)]
            cv2.fillPoly(image, [np.array(tree, np.int32)], _mixed(pale, colour(design.ground), 0.6))
        case "fruit":
            cv2.circle(image, (width // 2, height // 2 + 5), 48, (236, 190, 130), -1, cv2.LINE_AA)


def _small_print(image: Image, design: Design) -> None:
    top, bottom = (design.name, design.slogan) if design.name_at == "top" else (design.slogan, design.name)
    height = image.shape[0]
    faces = {"block": 0.0, "serif": 0.0, "script": 0.25}
    for text, row, size in (
        (top, 46, 44 if top is design.name else 26),
        (bottom, height - 26, 26 if bottom is design.slogan else 34),
    ):
        slant = faces[design.name_face] if text is design.name else 0.0
        if text:
            ink = design.name_ink if text is design.name or not design.slogan_ink else design.slogan_ink
            _printed(image, text, (image.shape[1] / 2, row), size, colour(ink), slant=slant)


def _printed(image: Image, text: str, centre: tuple[float, float], size_px: int, ink: Colour, slant: float) -> None:
    """Small text, centred. Drawn on a mask of its own, so that it can be slanted and fitted."""
    mask = glyph_of_opencv(text, thickness=2)
    wide = min(size_px / mask.shape[0] * mask.shape[1], 0.62 * image.shape[1])
    matrix = np.array([[wide / mask.shape[1], -slant, centre[0] - wide / 2 + slant * size_px / 2],
                       [0.0, size_px / mask.shape[0], centre[1] - size_px / 2]], np.float64)  # fmt: skip
    alpha = cv2.warpAffine(mask, matrix, (image.shape[1], image.shape[0]), flags=cv2.INTER_AREA)
    _ink(image, np.asarray(alpha, np.uint8), ink)


def glyph_of_opencv(text: str, thickness: int) -> Image:
    """OpenCV's own font, white on black, cut to what is drawn."""
    font, scale = cv2.FONT_HERSHEY_DUPLEX, 2.0
    (width, height), below = cv2.getTextSize(text, font, scale, thickness)
    mask = np.zeros((height + below + 20, width + 20), np.uint8)
    cv2.putText(mask, text, (10, height + 10), font, scale, 255, thickness, cv2.LINE_AA)
    x, y, w, h = cv2.boundingRect(mask)
    cut: Image = mask[y : y + h, x : x + w]
    return cut


def _sticker(image: Image, place: str, ground: Colour) -> None:
    height, width = image.shape[:2]
    x, y = {"tl": (20, 18), "tr": (width - 88, 18), "bl": (20, height - 58), "br": (width - 88, height - 58),
            "centre": (width // 2 - 34, height // 2 - 24)}[place]  # fmt: skip
    cv2.rectangle(image, (x, y), (x + 68, y + 42), ground, -1)
    cv2.putText(image, "06" if place == "tl" else "27", (x + 12, y + 32), cv2.FONT_HERSHEY_DUPLEX, 1.0, (20, 20, 20), 2)


def _holes(image: Image, bottom: bool) -> None:
    height, width = image.shape[:2]
    off = int(88.9 * MM_TO_PX)
    for y in (26, height - 26) if bottom else (26,):
        for x in (width // 2 - off, width // 2 + off):
            cv2.ellipse(image, (x, y), (15, 8), 0, 0, 360, (95, 95, 92), -1, cv2.LINE_AA)
            cv2.circle(image, (x, y), 8, (150, 150, 148), -1, cv2.LINE_AA)


def _frame(image: Image, look: Look) -> None:
    height, width = image.shape[:2]
    if look.frame:
        dark, thick = (28, 28, 30), 12 if look.frame == "thin" else 22
        cv2.rectangle(image, (0, 0), (width - 1, height - 1), dark, thick)
        if look.frame == "dealer" and look.frame_text:
            cv2.rectangle(image, (0, height - 40), (width, height), dark, -1)
            _printed(image, look.frame_text, (width / 2, height - 20), 22, (210, 210, 210), slant=0.0)


# --- the text ---------------------------------------------------------------------------------------------------------


def _text_mask(plate: Plate, face: Face) -> Image:
    """White glyphs on black."""
    mask = np.zeros((FACE_PX[1], FACE_PX[0]), np.uint8)
    layout = plate.layout
    wide_mm, high_mm = MEXICAN_GLYPH_MM if plate.jurisdiction.startswith("MX") else GLYPH_MM
    stroke_mm = face.stroke * high_mm / HEIGHT
    pitch_mm = min(wide_mm * face.width + stroke_mm + GAP_MM, MAX_TEXT_MM / max(1.0, layout.width))
    wide_mm = min(wide_mm * face.width, pitch_mm - stroke_mm - 0.6 * GAP_MM)
    left_mm = (305.0 - pitch_mm * (layout.width - 1) - wide_mm) / 2
    top_mm = (152.0 - high_mm) / 2 + 1.0
    for cell in layout.cells:
        _glyph(mask, cell, face, (left_mm + cell.at * pitch_mm, top_mm), (wide_mm, high_mm))
    for at in layout.dashes:
        # In the middle between the glyph that ends a cell before it and the one that begins two thirds after.
        x_mm = left_mm + (at - 1 / 6) * pitch_mm + wide_mm / 2
        _rectangle(mask, (x_mm - 5.0, 73.5), (x_mm + 5.0, 80.5))
    return mask


def _glyph(mask: Image, cell: Cell, face: Face, at_mm: tuple[float, float], size_mm: tuple[float, float]) -> None:
    (x_mm, y_mm), (wide_mm, high_mm) = at_mm, size_mm
    if cell.half:
        y_mm += 0.56 * high_mm if cell.half == "lower" else 0.0
        x_mm, wide_mm, high_mm = x_mm + 0.1 * wide_mm, 0.8 * wide_mm, 0.44 * high_mm
    if face.built_in:
        _built_in(mask, cell.glyph, (x_mm, y_mm), (wide_mm, high_mm))
        return
    unit_px = high_mm * MM_TO_PX / HEIGHT
    thick_px = max(2, round(face.stroke * unit_px))
    for line in strokes(cell.glyph, face):
        points = np.array(line, np.float64) * (wide_mm / WIDTH, high_mm / HEIGHT) + (x_mm, y_mm)
        _stroke(mask, points * MM_TO_PX, thick_px, face.ends)


def _stroke(mask: Image, points: NDArray[np.float64], thick_px: int, ends: str) -> None:
    fixed = np.round(points * (1 << SIXTEENTHS)).astype(np.int32)
    if ends == "round":
        cv2.polylines(mask, [fixed], False, 255, thick_px, cv2.LINE_AA, SIXTEENTHS)
        return
    for start, end in pairwise(points):
        along = end - start
        length = float(np.hypot(*along))
        if length > 0.0:
            across = np.array((-along[1], along[0])) / length * thick_px / 2
            quad = np.array((start + across, end + across, end - across, start - across)) * (1 << SIXTEENTHS)
            cv2.fillConvexPoly(mask, np.round(quad).astype(np.int32), 255, cv2.LINE_AA, SIXTEENTHS)
    for joint in fixed[1:-1]:
        radius = round(thick_px / 2 * (1 << SIXTEENTHS))
        cv2.circle(mask, (int(joint[0]), int(joint[1])), radius, 255, -1, cv2.LINE_AA, SIXTEENTHS)


def _built_in(mask: Image, glyph: str, at_mm: tuple[float, float], size_mm: tuple[float, float]) -> None:
    drawn = glyph_of_opencv(glyph, thickness=3)
    x, y = (round(mm * MM_TO_PX) for mm in at_mm)
    wide, high = (max(1, round(mm * MM_TO_PX)) for mm in size_mm)
    # Narrow signs keep their proportions: an I that fills its cell would be a block.
    fitted = min(wide, round(drawn.shape[1] / drawn.shape[0] * high * 1.15))
    x += (wide - fitted) // 2
    mask[y : y + high, x : x + fitted] = cv2.resize(drawn, (fitted, high), interpolation=cv2.INTER_AREA)


def _rectangle(mask: Image, start_mm: tuple[float, float], end_mm: tuple[float, float]) -> None:
    start, end = (tuple(round(mm * MM_TO_PX) for mm in corner) for corner in (start_mm, end_mm))
    cv2.rectangle(mask, (start[0], start[1]), (end[0], end[1]), 255, -1)


def _emboss(image: Image, mask: Image, ink: Colour, look: Look) -> None:
    """The glyphs in ink, with a lit edge above and a shaded one below."""
    depth = round(3 * look.embossed)
    if depth:
        lit = cv2.convertScaleAbs(np.roll(mask, -depth, axis=0), alpha=0.10 * look.embossed)
        shaded = cv2.convertScaleAbs(np.roll(mask, depth, axis=0), alpha=0.15 * look.embossed)
        np.copyto(image, cv2.subtract(cv2.add(image, cv2.merge([lit] * 3)), cv2.merge([shaded] * 3)))
    ground = image[FACE_PX[1] // 2, 8]
    worn = _mixed(ink, (int(ground[0]), int(ground[1]), int(ground[2])), min(0.45, look.faded))
    _ink(image, mask, worn)


def _ink(image: Image, mask: Image, over: Colour) -> None:
    """One colour over the image, where the mask is more than half. Being seen smaller smooths the edges."""
    x, y, w, h = cv2.boundingRect(mask)
    under = image[y : y + h, x : x + w]
    np.copyto(under, np.array(over, np.uint8), where=mask[y : y + h, x : x + w, None] > 127)


def _mixed(a: Colour, b: Colour, part: float) -> Colour:
    """From `a` (0) to `b` (1)."""
    red, green, blue = (round(x + (y - x) * part) for x, y in zip(a, b, strict=True))
    return red, green, blue
