"""Which part of the pictures is looked at: the window that was asked for, without borders that show nothing.

Called by the engine. Pure. The coarse look has a fixed number of pixels: what goes to a black bar is missing elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lanecontrol.plates.answers import Box, Reading
from lanecontrol.plates.detector import Image

_PLAIN = 16
"""Largest difference within a line of pixels that shows nothing: compression leaves a little of what is near."""
_STEP = 3
"""Every so manieth pixel of a line is looked at."""
_LEAST_PX = 32
_KEPT_PX = 24
"""Left of a border: text at the very edge is seen badly, and a plate on a plain ground is more than its text."""


def part(pictures: Sequence[Image], window: Box | None) -> Box:
    """x, y, width, height of what is looked at in all of these pictures, which are of one size."""
    if not pictures:
        return (0, 0, 0, 0)
    left, top, width, height = _inside(pictures[0], window)
    if any(picture.shape != pictures[0].shape for picture in pictures):
        return (left, top, width, height)
    contents = [_content(picture[top : top + height, left : left + width]) for picture in pictures]
    first_x, first_y = min(box[0] for box in contents), min(box[1] for box in contents)
    last_x, last_y = max(box[2] for box in contents), max(box[3] for box in contents)
    if last_x - first_x < _LEAST_PX or last_y - first_y < _LEAST_PX:
        return (left, top, width, height)
    first_x, first_y = max(first_x - _KEPT_PX, 0), max(first_y - _KEPT_PX, 0)
    last_x, last_y = min(last_x + _KEPT_PX, width), min(last_y + _KEPT_PX, height)
    return (left + first_x, top + first_y, last_x - first_x, last_y - first_y)


def moved(reading: Reading, x: int, y: int) -> Reading:
    """A reading of a part that begins there, with its boxes in the pixels of the whole picture."""

    def there(box: Box | None) -> Box | None:
        return None if box is None else (box[0] + x, box[1] + y, box[2], box[3])

    rejected = tuple(replace(line, box=there(line.box)) for line in reading.rejected)
    return replace(reading, box=there(reading.box), rejected=rejected)


def _inside(picture: Image, window: Box | None) -> Box:
    """The window as far as it lies in the picture; all of the picture where it does not."""
    high, wide = picture.shape[:2]
    if window is None:
        return (0, 0, wide, high)
    x, y = max(window[0], 0), max(window[1], 0)
    width, height = min(window[0] + window[2], wide) - x, min(window[1] + window[3], high) - y
    return (x, y, width, height) if width > 0 and height > 0 else (0, 0, wide, high)


def _content(picture: Image) -> Box:
    """Left, top, right and bottom of what is not plain border; nothing of it where all is plain."""
    top, bottom = _ends(picture)
    left, right = _ends(picture[top:bottom].swapaxes(0, 1))
    return (left, top, right, bottom) if left < right else (picture.shape[1], picture.shape[0], 0, 0)


def _ends(lines: Image) -> tuple[int, int]:
    """The first line of pixels in which anything is to be seen, and the one behind the last; from the edges inwards."""
    first = next((place for place in range(len(lines)) if _busy(lines[place])), len(lines))
    last = next((place for place in range(len(lines) - 1, first - 1, -1) if _busy(lines[place])), first - 1)
    return first, last + 1


def _busy(line: Image) -> bool:
    seen = line[::_STEP]
    return bool((seen.max(0).astype(np.int16) - seen.min(0)).max(initial=0) > _PLAIN) if len(seen) else False
