"""Where in a picture there is text: boxes around single lines, from a text detector that draws a map of probability.

Called by the engine. Pure: the same picture gives the same boxes. Never decides which of them is a plate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""A picture as OpenCV has it: height, width, and blue, green, red."""
Floats = NDArray[np.float32]

MULTIPLE = 32
"""The detector halves its input five times."""
_MEAN = np.array((0.485, 0.456, 0.406), np.float32) * 255
_SCALE = 1 / (np.array((0.229, 0.224, 0.225), np.float32) * 255)
"""ImageNet's mean and deviation per channel, which these detectors were trained with."""
_BINARY, _KEPT = 0.3, 0.4
"""Pixels of the map above the first are text; regions whose mean is below the second are not."""
_BINARY_COARSE, _KEPT_COARSE = 0.2, 0.3
"""The same for the coarse look, in which small plates are faint."""
_GROWN = 1.6
"""The map shows shrunken lines: area / perimeter times this is added on every side."""
_SMALLEST_PX = 2
CLOSE_PX = (192, 96)
"""Width and height of the close look."""
_TEXT_PX = 24
"""Height of text at which the detector draws its boxes best (tried 20 to 32)."""
_SMALL_PICTURE_PX, _ENLARGED, _ENLARGED_CLOSE = 480, 1.5, 1.2
"""Enlarging blurs, and blurred text is not seen as text: only small pictures are enlarged, and little."""
_NARROWEST, _WIDEST, _LOWEST_PX = 1.0, 12.0, 6.0
_ALIKE, _PARALLEL_DEG, _LEVEL, _GAP = 0.7, 8.0, 0.25, 1.5
"""When two boxes may be pieces of one line: heights alike, parallel, level, and not far apart (in heights)."""
_EDGE_PX = 1
_PART = 0.58
"""Side of a part: two of them overlap by a plate's width."""
_MOST = 200
"""Regions looked at in one picture, the largest first: a wall of text must not take for ever."""


class Model(Protocol):
    """What is used of an inference session."""

    def run(self, names: Any, inputs: dict[str, Any]) -> Any: ...


@dataclass(frozen=True, slots=True)
class TextBox:
    """A line of text: centre, width along the line, height across it (all in pixels), and its tilt in degrees."""

    x: float
    y: float
    width: float
    height: float
    tilt_deg: float
    score: float

    @property
    def aspect(self) -> float:
        return self.width / max(self.height, 1e-6)

    def upright(self) -> tuple[int, int, int, int]:
        """x, y, width, height of the upright box around it."""
        turn = np.deg2rad(self.tilt_deg)
        across = abs(self.width * np.cos(turn)) + abs(self.height * np.sin(turn))
        down = abs(self.width * np.sin(turn)) + abs(self.height * np.cos(turn))
        return (round(self.x - across / 2), round(self.y - down / 2), round(across), round(down))


def shared(one: TextBox, other: TextBox) -> float:
    """How much of the smaller upright box lies in the other."""
    (ax, ay, aw, ah), (bx, by, bw, bh) = one.upright(), other.upright()
    across = max(0, min(ax + aw, bx + bw) - max(ax, bx))
    down = max(0, min(ay + ah, by + bh) - max(ay, by))
    return across * down / max(1, min(aw * ah, bw * bh))


def cut(box: TextBox, width: int) -> bool:
    """Whether a line of text may go on beyond the left or right edge of a picture that is much wider than it."""
    x, _, wide, _ = box.upright()
    return wide < width / 2 and (x <= _EDGE_PX or x + wide >= width - _EDGE_PX)


def joined(one: TextBox, other: TextBox) -> TextBox | None:
    """The box around two pieces of one line, where they may be that: a gap in a number, a hyphen, a bolt."""
    left, right = sorted((one, other), key=lambda box: box.x)
    height = max(left.height, right.height)
    turn = np.deg2rad((left.tilt_deg + right.tilt_deg) / 2)
    along = (right.x - left.x) * np.cos(turn) + (right.y - left.y) * np.sin(turn)
    across = (right.y - left.y) * np.cos(turn) - (right.x - left.x) * np.sin(turn)
    gap = along - (left.width + right.width) / 2
    alike = min(left.height, right.height) > _ALIKE * height and abs(left.tilt_deg - right.tilt_deg) < _PARALLEL_DEG
    if not alike or abs(across) > _LEVEL * height or not -_LEVEL * height < gap < _GAP * height:
        return None
    width = along + (left.width + right.width) / 2
    start = -left.width / 2 + width / 2
    x, y = left.x + start * np.cos(turn) - across * 0.5 * np.sin(turn), left.y + start * np.sin(turn) + across * 0.5
    return TextBox(float(x), float(y), float(width), height, float(np.rad2deg(turn)), min(left.score, right.score))


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a picture in its pixels, and the scale at which it is looked at."""

    x: int
    y: int
    width: int
    height: int
    scale: float


def coarse(model: Model, picture: Image, pixels: int) -> list[TextBox]:
    """The lines of text of a whole picture, looked at with about this number of pixels whatever its shape."""
    height, width = picture.shape[:2]
    most = 1.0 if max(height, width) >= _SMALL_PICTURE_PX else _ENLARGED
    scale = min(math.sqrt(pixels / (height * width)), most)
    fitted = _resized(picture, scale)
    found = regions(_map(model, fitted), _BINARY_COARSE, _KEPT_COARSE)
    return [_moved(box, scale, 0.0, 0.0) for box in found]


def closer(model: Model, picture: Image, box: TextBox) -> list[TextBox]:
    """The lines of text around a box found by the coarse look, looked at where text has its best size."""
    text_px = min(max(box.height, box.width / 6), box.height * 1.5)
    scale = min(_TEXT_PX / text_px, _ENLARGED_CLOSE, CLOSE_PX[0] / (box.width * 1.3))
    across, down = (side / scale for side in CLOSE_PX)
    left, top = max(0, round(box.x - across / 2)), max(0, round(box.y - down / 2))
    part = picture[top : round(top + down), left : round(left + across)]
    if min(part.shape[:2]) < 2:
        return []
    fitted = _resized(part, scale)[: CLOSE_PX[1], : CLOSE_PX[0]]
    found = regions(_map(model, fitted, CLOSE_PX), _BINARY, _KEPT)
    return [_moved(near, scale, left, top) for near in found]


def _resized(picture: Image, scale: float) -> Image:
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (width, height), interpolation=interpolation), np.uint8)


def _map(model: Model, picture: Image, size: tuple[int, int] | None = None) -> Floats:
    """The map of probability; the picture lies in the top left of a sheet whose sides the detector can halve."""
    height, width = picture.shape[:2]
    wide, high = size or (-(-width // MULTIPLE) * MULTIPLE, -(-height // MULTIPLE) * MULTIPLE)
    sheet = np.zeros((high, wide, 3), np.float32)
    sheet[:height, :width] = (picture - _MEAN) * _SCALE
    answer: Floats = model.run(None, {"x": np.ascontiguousarray(sheet.transpose(2, 0, 1)[None])})[0][0, 0]
    return answer


def _moved(box: TextBox, scale: float, left: float, top: float) -> TextBox:
    """Back into the pixels of the picture."""
    return TextBox(
        box.x / scale + left, box.y / scale + top, box.width / scale, box.height / scale, box.tilt_deg, box.score
    )


def may_be_read(box: TextBox) -> bool:
    """Whether it is worth the recogniser's time."""
    return _NARROWEST < box.aspect < _WIDEST and box.height >= _LOWEST_PX


def overlap(one: TextBox, other: TextBox) -> float:
    """Intersection over union of the upright boxes."""
    (ax, ay, aw, ah), (bx, by, bw, bh) = one.upright(), other.upright()
    across = max(0, min(ax + aw, bx + bw) - max(ax, bx))
    down = max(0, min(ay + ah, by + bh) - max(ay, by))
    common = across * down
    return common / max(1, aw * ah + bw * bh - common)


def parts(picture: Image, pixels: int) -> list[Part]:
    """Two by two parts of a picture that overlap, each of about so many pixels; none for a small picture."""
    height, width = picture.shape[:2]
    if height * width <= pixels:
        return []
    scale = min(1.0, math.sqrt(pixels / (height * width)) / _PART)
    wide, high = round(width * _PART), round(height * _PART)
    return [Part(x, y, wide, high, scale) for y in (0, height - high) for x in (0, width - wide)]


def part(model: Model, picture: Image, where: Part) -> list[TextBox]:
    """The lines of text of one part."""
    cut = picture[where.y : where.y + where.height, where.x : where.x + where.width]
    found = regions(_map(model, _resized(cut, where.scale)), _BINARY, _KEPT)
    return [_moved(box, where.scale, where.x, where.y) for box in found]


def regions(probability: Floats, binary: float = 0.3, kept: float = 0.5) -> list[TextBox]:
    """Boxes around the regions of a map of probability, grown to the size that the text really has."""
    text = cv2.dilate((probability > binary).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(text, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for contour in sorted(contours, key=len, reverse=True)[:_MOST]:
        box = _region(probability, contour, kept)
        if box is not None:
            found.append(box)
    return found


def _region(probability: Floats, contour: Any, kept: float) -> TextBox | None:
    (x, y), (width, height), angle = cv2.minAreaRect(contour)
    if min(width, height) < _SMALLEST_PX:
        return None
    score = _mean_inside(probability, cv2.boxPoints(((x, y), (width, height), angle)))
    if score < kept:
        return None
    grown = width * height * _GROWN / (2 * (width + height))
    width, height, tilt = _lying(width + 2 * grown, height + 2 * grown, angle)
    return TextBox(x, y, width, height, tilt, score)


def _lying(width: float, height: float, angle: float) -> tuple[float, float, float]:
    """Sides and tilt such that the tilt is between -45 and 45 degrees: plates lie, whatever OpenCV calls width."""
    while angle > 45:
        width, height, angle = height, width, angle - 90
    while angle <= -45:
        width, height, angle = height, width, angle + 90
    return width, height, angle


def _mean_inside(probability: Floats, corners: Any) -> float:
    left, top = np.floor(corners.min(0)).astype(int).clip(0)
    right, bottom = np.ceil(corners.max(0)).astype(int) + 1
    part = probability[top:bottom, left:right]
    mask = np.zeros(part.shape, np.uint8)
    cv2.fillPoly(mask, [np.round(corners - (left, top)).astype(np.int32)], 1)
    return float(cv2.mean(part, mask)[0])
