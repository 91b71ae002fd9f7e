"""Plain plates drawn here, and whether this box has what it takes to read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lanecontrol import plates
from lanecontrol.plates import PlatesUnavailable, weights


@pytest.fixture
def plate_picture() -> Callable[[str], bytes]:
    """Draws a plain plate on a grey car, as a PNG file."""
    np = pytest.importorskip("numpy", reason="needs lanecontrol[plates]")
    cv2: Any = pytest.importorskip("cv2", reason="needs lanecontrol[plates]")

    def draw(text: str) -> bytes:
        picture = np.full((480, 640, 3), 90, np.uint8)
        cv2.rectangle(picture, (220, 300), (420, 400), (235, 235, 235), -1)
        cv2.putText(picture, text, (232, 368), cv2.FONT_HERSHEY_DUPLEX, 1.35, (60, 20, 20), 3, cv2.LINE_AA)
        _, made = cv2.imencode(".png", picture)
        content: bytes = made.tobytes()
        return content

    return draw


@pytest.fixture
def with_weights() -> None:
    """Skips the test where the extra or the weights are not installed."""
    if plates.missing():
        pytest.skip("needs lanecontrol[plates]")
    try:
        for each in (weights.DETECTOR, weights.RECOGNISER):
            weights.packaged(each)
    except PlatesUnavailable as error:
        pytest.skip(str(error))
