"""What a line of text says: a recogniser's answer folded into the 36 characters that plates are made of.

Called by the engine. Pure. Never corrects anything: what is likely is the grammar's matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lanecontrol.plates.detector import Floats, Image, Model, TextBox

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
BLANK = len(ALPHABET)
"""Column of everything that is no character of a plate."""
FOREIGN = BLANK + 1
"""Column of characters that speak against a plate; they are counted in the one before, too."""
_FOREIGN = frozenset("$/:()#%&@,")
"""Written in prices, times, telephone numbers and addresses, and on no plate."""
HEIGHT_PX = 48
"""What these recognisers were trained with."""
WIDEST_PX = 320
WIDTH_STEP_PX = 32
_SURE = 0.5


@dataclass(frozen=True, slots=True)
class Look:
    """How a crop differs from its box, all in heights of the line.

    Moved along and across it; `trim` taken off top and bottom together, `widen` added to both ends together.
    """

    dx: float = 0.0
    dy: float = 0.0
    trim: float = 0.0
    widen: float = 0.0


def folding(characters: Sequence[str], classes: int) -> NDArray[np.int64]:
    """For each class of the model the column it counts for. Class 0 is its blank, what is left over its space."""
    places = {character: place for place, character in enumerate(ALPHABET)} | dict.fromkeys(_FOREIGN, FOREIGN)
    columns = [BLANK, *(places.get(character.upper(), BLANK) for character in characters)]
    return np.array((columns + [BLANK] * classes)[:classes])


def greedy(table: Floats) -> str:
    """The text of the likeliest characters, step by step."""
    steps = table[:, :FOREIGN].argmax(1)
    return "".join(
        ALPHABET[step] for place, step in enumerate(steps) if step != BLANK and (place == 0 or steps[place - 1] != step)
    )


def foreign(table: Floats) -> bool:
    """Whether there is a character which no plate has."""
    return bool(table[:, FOREIGN].max(initial=0.0) > _SURE)


def crop(picture: Image, box: TextBox, look: Look = Look()) -> Image:
    """The line turned level, as `look` says."""
    turn = np.deg2rad(box.tilt_deg)
    along = np.array((np.cos(turn), np.sin(turn)))
    across = np.array((-np.sin(turn), np.cos(turn)))
    centre = np.array((box.x, box.y)) + (look.dx * along + look.dy * across) * box.height
    height, width = box.height * (1 - look.trim), box.width + look.widen * box.height
    width_px = int(np.clip(round(width * HEIGHT_PX / height), HEIGHT_PX // 2, WIDEST_PX))
    step_x, step_y = along * width / width_px, across * height / HEIGHT_PX
    corner = centre - step_x * (width_px - 1) / 2 - step_y * (HEIGHT_PX - 1) / 2
    matrix = np.array(((step_x[0], step_y[0], corner[0]), (step_x[1], step_y[1], corner[1])))
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    size = (width_px, HEIGHT_PX)
    return np.asarray(cv2.warpAffine(picture, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def probabilities(model: Model, crops: Sequence[Image], fold: NDArray[np.int64]) -> list[Floats]:
    """For each crop a table, one row per step along the line, one column per character and one for none."""
    width_px = max(image.shape[1] for image in crops)
    width_px = -(-width_px // WIDTH_STEP_PX) * WIDTH_STEP_PX
    batch = np.zeros((len(crops), 3, HEIGHT_PX, width_px), np.float32)
    for place, image in enumerate(crops):
        batch[place, :, :, : image.shape[1]] = image.transpose(2, 0, 1).astype(np.float32) / 127.5 - 1
    answers = model.run(None, {"x": batch})[0]
    return [_folded(answer, fold) for answer in answers]


def _folded(answer: Floats, fold: NDArray[np.int64]) -> Floats:
    table = np.zeros((len(answer), FOREIGN + 1), np.float32)
    known = np.flatnonzero(fold != BLANK)
    for column in known:
        table[:, fold[column]] += answer[:, column]
    table[:, BLANK] = 1 - table[:, :BLANK].sum(1)
    return table.clip(1e-9, 1)
