"""Which part of a picture is looked at: the window, without borders that show nothing."""

from __future__ import annotations

from typing import Any

import pytest

np = pytest.importorskip("numpy", reason="needs lanecontrol[plates]")

from lanecontrol.identifier import Identifier  # noqa: E402
from lanecontrol.plates import framing  # noqa: E402
from lanecontrol.plates.answers import Reading, Rejected  # noqa: E402


def _picture(left: int = 0, top: int = 0, right: int = 0, bottom: int = 0, grey: int = 0) -> Any:
    """Noise of 200 by 100 with a plain border."""
    noise = np.random.default_rng(1).integers(0, 255, (100, 200, 3)).astype(np.uint8)
    made = np.full((100 + top + bottom, 200 + left + right, 3), grey, np.uint8)
    made[top : top + 100, left : left + 200] = noise
    return made


@pytest.mark.parametrize("grey", [0, 90, 255])
def test_of_plain_borders_no_more_than_a_margin_is_looked_at(grey: int) -> None:
    assert framing.part([_picture(130, 120, 110, 140, grey)], None) == (106, 96, 248, 148)
    assert framing.part([_picture(30, 20, 10, 40, grey)], None) == (6, 0, 234, 144)


def test_traces_of_compression_in_a_border_are_nothing_to_see() -> None:
    picture = _picture(130, 120, 110, 140, 60)
    picture[5, 30:60] += 9
    assert framing.part([picture], None) == (106, 96, 248, 148)


def test_a_picture_that_is_plain_altogether_is_left_as_it_is() -> None:
    assert framing.part([np.zeros((80, 90, 3), np.uint8)], None) == (0, 0, 90, 80)
    assert framing.part([], None) == (0, 0, 0, 0)


def test_what_one_of_several_pictures_shows_is_looked_at_in_all() -> None:
    dark = np.zeros((360, 440, 3), np.uint8)
    assert framing.part([dark, _picture(130, 120, 110, 140)], None) == (106, 96, 248, 148)


def test_a_window_is_kept_to_and_one_beside_the_picture_is_none() -> None:
    picture = _picture()
    assert framing.part([picture], (50, 20, 100, 60)) == (50, 20, 100, 60)
    assert framing.part([picture], (150, -20, 100, 60)) == (150, 0, 50, 40)
    assert framing.part([picture], (500, 20, 100, 60)) == (0, 0, 200, 100)


def test_boxes_are_told_in_the_pixels_of_the_whole_picture() -> None:
    reading = Reading(box=(1, 2, 3, 4), rejected=(Rejected(Identifier("STOP"), "a word", (5, 6, 7, 8)),))
    moved = framing.moved(reading, 100, 50)
    assert moved.box == (101, 52, 3, 4)
    assert moved.rejected[0].box == (105, 56, 7, 8)
    assert framing.moved(Reading(), 100, 50) == Reading()
