"""What is around a plate: a road with a booth behind, and the front of a vehicle in the plane of its plate.

Used by `render`. Draws with OpenCV on RGB arrays; what is by chance comes from the generator that it is given.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.plates.face import Colour, Image, stretched

PAINTS: tuple[Colour, ...] = (
    (225, 226, 228), (30, 31, 34), (120, 123, 128), (168, 171, 175), (140, 24, 28), (28, 52, 100), (45, 70, 55),
    (90, 72, 55), (196, 186, 166),
)  # fmt: skip
BADGES = ("NORTE", "SIERRA 4", "MESA", "V6", "HYBRID", "TURBO 1500", "")
SIGNS = ("STOP", "LANE 7", "DECLARE", "NO SMOKING", "BOOTH 12", "CALL 555-0137", "10 MPH", "ALTO", "READY LANE")
STICKERS = ("MY OTHER CAR", "VISIT 24-7", "COACH 12", "")
CANVAS_M = (2.3, 2.0)
"""Width and height of the vehicle's front."""
PLATE_M = (1.15, 1.55)
"""Middle of the plate on it."""


@dataclass(frozen=True, slots=True)
class Body:
    """What is by chance about one vehicle's front."""

    paint: Colour
    tall: bool
    """A truck or van: high bonnet, upright grille."""
    grille: str
    bars: int
    badge: str
    sticker: str
    lamp_m: float
    plate_dx_m: float
    trim: bool

    @classmethod
    def draw(cls, rng: random.Random) -> Body:
        return cls(
            paint=rng.choice(PAINTS),
            tall=rng.random() < 0.3,
            grille=rng.choice(("bars", "uprights", "mesh", "none")),
            bars=rng.randint(3, 9),
            badge=rng.choice(BADGES),
            sticker=rng.choice(STICKERS),
            lamp_m=rng.uniform(0.1, 0.17),
            plate_dx_m=rng.choice((0.0, 0.0, 0.0, -0.25, 0.2)),
            trim=rng.random() < 0.4,
        )


def plate_at_m(body: Body) -> tuple[float, float]:
    """Where the middle of the plate is on the canvas of this vehicle's front."""
    return PLATE_M[0] + body.plate_dx_m, PLATE_M[1]


def lamps_m(body: Body) -> tuple[tuple[float, float], ...]:
    """Where the headlights are on the canvas."""
    y = 1.12 if body.tall else 1.2
    return (0.42, y), (1.88, y)


def draw_body(body: Body, px_per_m: float) -> tuple[Image, Image]:
    """The vehicle's front as RGB, and where it is (255) and is not (0)."""
    width, height = (round(metres * px_per_m) for metres in CANVAS_M)
    image = np.empty((height, width, 3), np.uint8)
    cv2.rectangle(image, (0, 0), (width, height), body.paint, -1)
    mask = np.zeros((height, width), np.uint8)
    pen = _Pen(image, px_per_m)
    _outline(mask, body, px_per_m)
    pen.polygon([(0.45, 0.08), (1.85, 0.08), (2.02, 0.62), (0.28, 0.62)], (38, 44, 50))  # windscreen
    pen.polygon([(0.6, 0.12), (1.0, 0.12), (0.7, 0.58), (0.42, 0.58)], (62, 70, 78))  # sky in it
    pen.line((0.25, 0.86), (2.05, 0.86), _darker(body.paint, 0.7), 0.012)
    _grille(pen, body)
    for x, y in lamps_m(body):
        pen.ellipse((x, y), (body.lamp_m * 1.5, body.lamp_m), (205, 210, 214))
        pen.ellipse((x, y), (body.lamp_m * 0.7, body.lamp_m * 0.6), (245, 246, 244))
    _bumper(pen, body)
    return image, mask


def draw_background(rng: random.Random, size: tuple[int, int]) -> Image:
    """Road, kerbs, a canopy, a booth and signs: lines and letters that are no plate."""
    width, height = size
    horizon = round(height * rng.uniform(0.25, 0.42))
    rows = np.empty((height, 1, 3), np.float32)
    sky, road = rng.choice(((176, 196, 216), (200, 203, 205), (150, 160, 172))), rng.uniform(85, 135)
    fall = np.linspace(0.0, 1.0, height - horizon, dtype=np.float32)[:, None, None]
    rows[:horizon] = sky
    rows[horizon:] = road * (0.85 + 0.25 * fall)
    image = stretched(rows, width)
    pen = _Pen(image, width)
    deep = height / width
    far = horizon / width
    middle = rng.uniform(0.35, 0.65)
    for x in (rng.uniform(-0.4, 0.05), rng.uniform(0.95, 1.4)):
        pen.line((x, deep), (middle, far), (200, 198, 190), rng.uniform(0.004, 0.012))
    for _ in range(rng.randint(2, 5)):
        _block(pen, rng, far)
    if rng.random() < 0.6:
        pen.box((0.0, rng.uniform(0.0, 0.08)), (1.0, rng.uniform(0.1, 0.14)), (92, 96, 100))  # canopy
    for _ in range(rng.randint(0, 2)):
        _sign(pen, rng, far)
    return _textured(image, rng)


def stamp(image: Image, rng: random.Random) -> None:
    """The camera's own line at the edge of the picture."""
    text = (
        f"CAM{rng.randint(1, 12):02d} 2026-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d} 08:{rng.randint(10, 59)}"
    )
    height, width = image.shape[:2]
    y = 24 if rng.random() < 0.5 else height - 12
    cv2.putText(image, text, (10, y), cv2.FONT_HERSHEY_SIMPLEX, width / 2000, (250, 250, 250), 1, cv2.LINE_AA)


def added(image: Image, grey: NDArray[np.int16]) -> Image:
    """The image with so much more (or less) light in each of its pixels."""
    return np.asarray(cv2.add(image, cv2.merge([grey] * 3), dtype=cv2.CV_8U), np.uint8)


class _Pen:
    """Draws in units of the canvas."""

    def __init__(self, image: Image, px_per_unit: float) -> None:
        self.image = image
        self.scale = px_per_unit

    def px(self, at: tuple[float, float]) -> tuple[int, int]:
        return round(at[0] * self.scale), round(at[1] * self.scale)

    def polygon(self, corners: list[tuple[float, float]], colour: Colour) -> None:
        cv2.fillPoly(self.image, [np.array([self.px(at) for at in corners], np.int32)], colour, cv2.LINE_AA)

    def box(self, start: tuple[float, float], end: tuple[float, float], colour: Colour) -> None:
        cv2.rectangle(self.image, self.px(start), self.px(end), colour, -1)

    def line(self, start: tuple[float, float], end: tuple[float, float], colour: Colour, thick: float) -> None:
        cv2.line(self.image, self.px(start), self.px(end), colour, max(1, round(thick * self.scale)), cv2.LINE_AA)

    def ellipse(self, centre: tuple[float, float], radii: tuple[float, float], colour: Colour) -> None:
        cv2.ellipse(self.image, self.px(centre), self.px(radii), 0, 0, 360, colour, -1, cv2.LINE_AA)

    def text(self, text: str, at: tuple[float, float], high: float, colour: Colour) -> None:
        scale, thick = high * self.scale / 22.0, max(1, round(high * self.scale / 9.0))
        cv2.putText(self.image, text, self.px(at), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thick, cv2.LINE_AA)


def _outline(mask: Image, body: Body, px_per_m: float) -> None:
    wide = 0.08 if body.tall else 0.2
    outline = [(0.45, 0.03), (1.85, 0.03), (2.05 + wide / 2, 0.65), (2.2, 1.0), (2.22, 1.75), (2.05, 1.86),
               (0.25, 1.86), (0.08, 1.75), (0.1, 1.0), (0.25 - wide / 2, 0.65)]  # fmt: skip
    points = np.array([(x * px_per_m, y * px_per_m) for x, y in outline], np.int32)
    cv2.fillPoly(mask, [points], 255, cv2.LINE_AA)
    for x in (0.12, 1.88):  # wheels
        start, end = (round(x * px_per_m), round(1.7 * px_per_m)), (round((x + 0.3) * px_per_m), round(2.0 * px_per_m))
        cv2.rectangle(mask, start, end, 255, -1)


def _grille(pen: _Pen, body: Body) -> None:
    top, bottom = (0.95, 1.3) if body.tall else (1.05, 1.28)
    dark, bright = (24, 25, 27), (170, 172, 176) if body.trim else (58, 60, 63)
    if body.grille != "none":
        pen.box((0.68, top), (1.62, bottom), dark)
    for number in range(1, body.bars):
        part = number / body.bars
        if body.grille in ("bars", "mesh"):
            y = top + (bottom - top) * part
            pen.line((0.7, y), (1.6, y), bright, 0.012)
        if body.grille in ("uprights", "mesh"):
            x = 0.68 + 0.94 * part
            pen.line((x, top), (x, bottom), bright, 0.012)
    if body.badge:
        pen.text(body.badge, (1.02, top - 0.03), 0.05, (200, 202, 205))


def _bumper(pen: _Pen, body: Body) -> None:
    shade = _darker(body.paint, 0.55)
    pen.box((0.1, 1.36), (2.2, 1.4), shade)
    pen.box((0.3, 1.68), (2.0, 1.8), (26, 27, 29))
    x, y = plate_at_m(body)
    pen.box((x - 0.19, y - 0.105), (x + 0.19, y + 0.105), _darker(body.paint, 0.8))
    if body.sticker:
        pen.box((0.28, 1.46), (0.58, 1.53), (232, 230, 220))
        pen.text(body.sticker, (0.29, 1.515), 0.035, (150, 30, 30))
    for wheel in (0.12, 1.88):
        pen.box((wheel, 1.78), (wheel + 0.3, 2.0), (20, 20, 21))


def _block(pen: _Pen, rng: random.Random, far: float) -> None:
    """A building, a booth or a barrier, with windows or stripes."""
    x, wide, high = rng.uniform(-0.1, 1.0), rng.uniform(0.05, 0.25), rng.uniform(0.05, 0.2)
    grey = rng.randint(60, 190)
    bottom = far + rng.uniform(0.0, 0.1)
    pen.box((x, bottom - high), (x + wide, bottom), (grey, grey - rng.randint(0, 15), grey - rng.randint(0, 25)))
    for number in range(rng.randint(0, 4)):
        left = x + wide * (0.1 + 0.22 * number)
        pen.box((left, bottom - 0.8 * high), (left + 0.12 * wide, bottom - 0.4 * high), (50, 58, 66))


def _sign(pen: _Pen, rng: random.Random, far: float) -> None:
    x, y, high = rng.uniform(0.02, 0.85), rng.uniform(0.3, 1.0) * far + 0.02, rng.uniform(0.012, 0.022)
    text = rng.choice(SIGNS)
    ground = rng.choice(((180, 40, 40), (30, 90, 60), (235, 235, 230), (235, 190, 50)))
    ink = (20, 20, 20) if sum(ground) > 400 else (240, 240, 240)
    pen.box((x, y - 1.6 * high), (x + 0.85 * high * len(text) + 0.01, y + 0.6 * high), ground)
    pen.text(text, (x + 0.006, y), high, ink)


def _textured(image: Image, rng: random.Random) -> Image:
    """Coarse unevenness, so that no surface is flat."""
    height, width = image.shape[:2]
    coarse = np.random.default_rng(rng.getrandbits(64)).normal(0.0, 9.0, (height // 16 + 1, width // 16 + 1))
    uneven = cv2.resize(coarse.astype(np.int16), (width, height), interpolation=cv2.INTER_LINEAR).astype(np.int16)
    return added(image, uneven)


def _darker(colour: Colour, part: float) -> Colour:
    red, green, blue = (round(value * part) for value in colour)
    return red, green, blue
