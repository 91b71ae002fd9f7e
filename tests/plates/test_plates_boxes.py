"""Which line of text is the plate, and where lines of text are. No weights; boxes and maps made up here."""

from __future__ import annotations

from typing import Any

import pytest

np = pytest.importorskip("numpy", reason="needs lanecontrol[plates]")
pytest.importorskip("cv2", reason="needs lanecontrol[plates]")

from lanecontrol.plates import chooser, detector, grammar, recogniser  # noqa: E402
from lanecontrol.plates.chooser import Line  # noqa: E402
from lanecontrol.plates.detector import TextBox  # noqa: E402

KNOWN = grammar.load()
SIZE = (720, 1280)


def _line(text: str, *, x: float = 640, y: float = 400, width: float = 100, height: float = 32) -> Line:
    return Line(text, 0.9, 0.9, x, y, width, height)


def _best(*lines: Line) -> str:
    fit = [line for line in lines if not chooser.refusal(line, KNOWN)]
    return max(fit, key=lambda line: chooser.score(line, SIZE, KNOWN)).text


# --- choosing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (_line("A"), "too short"),
        (_line("20140617084402"), "a date"),
        (_line("WWWEXAMPLECOM"), "longer"),
        (_line("ABC1234", width=400), "not the shape"),
        (_line("ABC1234", width=20), "not the shape"),
        (_line("TOYOTA"), "a word or a measure that is written on vehicles"),
        (_line("OREGON"), "beside the number"),
        (_line("EXPLORE"), "beside the number"),
    ],
)
def test_what_cannot_be_a_plate_is_refused_with_the_reason(line: Line, why: str) -> None:
    assert why in chooser.refusal(line, KNOWN)


def test_a_plate_of_its_owners_choosing_is_not_refused() -> None:
    assert chooser.refusal(_line("MYTRUCK"), KNOWN) == ""


def test_the_number_is_chosen_among_what_else_is_written_on_a_vehicle() -> None:
    stamp = _line("091815", x=1220, y=710, width=60, height=12)
    model = _line("XT5", y=200, height=20, width=40)
    assert _best(stamp, model, _line("ABC1234")) == "ABC1234"


def test_the_larger_of_two_plates_is_the_nearer_vehicle() -> None:
    assert _best(_line("7ABC123", x=300, height=16, width=55), _line("ABC1234", height=34)) == "ABC1234"


# --- boxes ------------------------------------------------------------------------------------------------------------


def _map(*areas: tuple[int, int, int, int]) -> Any:
    made = np.zeros((96, 192), np.float32)
    for x, y, width, height in areas:
        made[y : y + height, x : x + width] = 0.9
    return made


def test_a_region_becomes_a_box_that_is_a_little_larger() -> None:
    (box,) = detector.regions(_map((40, 30, 80, 20)))
    assert (box.x, box.y) == pytest.approx((80, 40), abs=1.5)
    assert 80 < box.width < 130
    assert 20 < box.height < 60
    assert abs(box.tilt_deg) < 1


def test_faint_and_tiny_regions_are_no_text() -> None:
    assert detector.regions(_map() + 0.1) == []
    assert detector.regions(_map((10, 10, 1, 1))) == []


def test_a_map_full_of_specks_is_looked_at_in_bounded_time() -> None:
    specks = np.zeros((600, 600), np.float32)
    specks[::4, ::4] = specks[1::4, ::4] = specks[::4, 1::4] = specks[1::4, 1::4] = 1.0
    assert len(detector.regions(specks)) <= 200


def test_two_pieces_of_one_line_are_joined_and_others_are_not() -> None:
    left, right = TextBox(100, 50, 60, 30, 0, 0.9), TextBox(180, 51, 60, 30, 0, 0.9)
    whole = detector.joined(left, right)
    assert whole is not None
    assert (whole.x, whole.width) == pytest.approx((140, 140))
    assert detector.joined(right, left) == whole
    assert detector.joined(left, TextBox(180, 90, 60, 30, 0, 0.9)) is None, "another line"
    assert detector.joined(left, TextBox(400, 50, 60, 30, 0, 0.9)) is None, "far away"
    assert detector.joined(left, TextBox(180, 50, 60, 12, 0, 0.9)) is None, "small print"


def test_parts_of_a_picture_cover_it_and_overlap() -> None:
    picture = np.zeros((720, 1280, 3), np.uint8)
    parts = detector.parts(picture, 736 * 416)
    covered = np.zeros(picture.shape[:2], bool)
    for part in parts:
        covered[part.y : part.y + part.height, part.x : part.x + part.width] = True
        assert part.width * part.height * part.scale**2 <= 736 * 416 * 1.1
    assert covered.all()
    assert detector.parts(np.zeros((100, 100, 3), np.uint8), 736 * 416) == []


@pytest.mark.parametrize("tilt", [-20.0, 0.0, 20.0])
def test_a_crop_turns_its_line_level(tilt: float) -> None:
    import cv2

    picture = np.zeros((200, 400, 3), np.uint8)
    corners = cv2.boxPoints(((200.0, 100.0), (160.0, 40.0), tilt))
    cv2.fillPoly(picture, [np.round(corners).astype(np.int32)], (255, 255, 255))
    crop = recogniser.crop(picture, TextBox(200, 100, 160, 40, tilt, 1.0))
    assert crop.shape == (recogniser.HEIGHT_PX, 192, 3)
    assert crop[4:-4, 6:-6].min() > 200, "all of it is the line"


def test_classes_fold_into_the_characters_of_plates() -> None:
    fold = recogniser.folding(["a", "A", "7", "-", "é"], 8)
    a = recogniser.ALPHABET.index("A")
    assert fold.tolist() == [
        recogniser.BLANK, a, a, 7, recogniser.BLANK, recogniser.BLANK, recogniser.BLANK, recogniser.BLANK,
    ]  # fmt: skip
