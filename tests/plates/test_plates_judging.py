"""How sure a read is: one frame, several frames, signs, and a second opinion. No weights, no pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("numpy", reason="needs lanecontrol[plates]")
pytest.importorskip("cv2", reason="needs lanecontrol[plates]")

from lanecontrol.plates import chooser, confidence, grammar, judging, lines
from lanecontrol.plates.detector import TextBox
from lanecontrol.plates.judging import Witness
from lanecontrol.plates.lines import Seen

KNOWN = grammar.load()
CALIBRATION = confidence.load()
PLATE = "ABC1234"
THRESHOLD = 0.85


def _witness(text: str = PLATE, p: float = 0.9, second: float | None = 0.9, **changes: Any) -> Witness:
    box = TextBox(640, 400, 105, 32, 0, 0.9)
    opinion = None if second is None else {text: second, "ABC12": 1 - second}
    return replace(Witness(Seen(box, {text: p, text[:-1]: 1 - p}, (text, text, text), second=opinion)), **changes)


def _confidence(*frames: Witness, text: str = PLATE) -> float:
    return judging.judged(text, frames, KNOWN, CALIBRATION).confidence


# --- one frame --------------------------------------------------------------------------------------------------------


def test_a_clear_read_that_both_recognisers_share_is_accepted() -> None:
    assert _confidence(_witness(p=0.99, second=0.99)) > THRESHOLD


def test_a_second_opinion_that_differs_makes_a_read_less_sure_than_none() -> None:
    agreed, unasked = _confidence(_witness(p=0.7, second=0.95)), _confidence(_witness(p=0.7, second=None))
    differs = _confidence(_witness(p=0.7, second=0.01))
    assert agreed > THRESHOLD > differs
    assert agreed > unasked > differs


@pytest.mark.parametrize("sign", ["BOOTH12", "VISIT247", "COACH12", "LANE7", "SIERRA4"])
def test_a_sign_read_without_any_doubt_is_no_plate(sign: str) -> None:
    frames = [_witness(sign, p=0.999, second=0.999)] * 5
    judgement = judging.judged(sign, frames, KNOWN, CALIBRATION)
    assert judgement.right > 0.9, "it was read right"
    assert judgement.confidence < THRESHOLD


@pytest.mark.parametrize("change", [{"foreign": True}, {"cut": True}, {"wide": f"22{PLATE}"}])
def test_a_line_that_goes_on_or_has_a_character_no_plate_has_is_less_likely_a_plate(change: dict[str, Any]) -> None:
    witness = _witness(p=0.99, second=0.99)
    other = replace(witness, line=replace(witness.line, **change))
    judgements = [judging.judged(PLATE, [each], KNOWN, CALIBRATION) for each in (witness, other)]
    assert judgements[1].plate < judgements[0].plate
    assert judgements[1].confidence < judgements[0].confidence


def test_a_piece_of_a_word_on_a_sticker_is_refused_for_the_whole() -> None:
    seen = replace(_witness("SIT247").line, wide="VISIT247")
    line = lines.line(seen, KNOWN)
    assert line is not None
    assert "written on vehicles" in chooser.refusal(line, KNOWN)


def test_short_words_and_series_are_not_taken_for_signs() -> None:
    assert KNOWN.spelled("CAR1234") == 0
    assert KNOWN.spelled("ABC1234") == 0
    assert KNOWN.spelled("LANE7") == pytest.approx(0.8)
    assert KNOWN.spelled("B0OTH12") == KNOWN.spelled("BOOTH12") == pytest.approx(5 / 7)


def test_a_plate_of_letters_alone_is_preferred_to_a_sticker_with_a_word_and_digits() -> None:
    plate = chooser.Line("QZWXK", 0.9, 0.9, 640, 400, 140, 42)
    sticker = chooser.Line("VISIT247", 0.9, 0.9, 400, 330, 110, 24)
    assert chooser.score(plate, (720, 1280), KNOWN) > chooser.score(sticker, (720, 1280), KNOWN)


# --- several frames ---------------------------------------------------------------------------------------------------


def test_frames_that_agree_make_a_read_surer_the_more_there_are() -> None:
    doubtful = _witness(p=0.7, second=0.5)
    each = [_confidence(*[doubtful] * count) for count in (1, 2, 3, 5)]
    assert each == sorted(each)
    assert each[0] < each[-1] < 1


def test_a_poor_frame_that_says_the_same_leaves_a_read_accepted() -> None:
    good, poor = _witness(p=0.95), _witness(p=0.05, second=0.01)
    assert _confidence(good, poor) > THRESHOLD


def test_a_frame_that_says_something_else_with_conviction_makes_a_read_less_sure() -> None:
    good, other = _witness(p=0.95), _witness("ABC1284", p=0.95)
    assert _confidence(good, good, other) < _confidence(good, good)


def test_what_no_frame_says_is_never_sure() -> None:
    assert _confidence(_witness("ABC1284"), _witness("A8C1234")) == 0


def test_the_second_opinion_counts_as_half_a_look() -> None:
    seen = Seen(TextBox(0, 0, 90, 30, 0, 1), {"AB1": 1.0}, ("AB1",))
    both = lines.with_second(replace(seen, second={"A81": 1.0}))
    assert both.votes == pytest.approx({"AB1": 2 / 3, "A81": 1 / 3})
    assert lines.with_second(seen) == seen


@pytest.mark.parametrize(("p", "second", "sure"), [(0.97, "", True), (0.7, "ABC1O34", True), (0.7, "ABC1834", False),
                                                   (0.7, "", False), (0.5, "ABC1034", False)])  # fmt: skip
def test_a_first_look_is_sure_on_its_own_or_when_the_other_recogniser_agrees(p: float, second: str, sure: bool) -> None:
    opinion = {second: 0.9} if second else None
    seen = Seen(TextBox(640, 400, 105, 32, 0, 1), {"ABC1034": p, "ABC103": 1 - p}, ("ABC1034",), second=opinion)
    assert lines.is_sure(seen, KNOWN) is sure
