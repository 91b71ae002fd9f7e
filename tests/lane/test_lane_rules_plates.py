"""When two texts are one plate: the site's word on letter and digit, wherever plates are compared."""

from __future__ import annotations

from dataclasses import replace

import pytest
from questions_bench import AskingBench, asking

from lanecontrol.announcements import PlateSighted
from lanecontrol.events import PlateRead
from lanecontrol.identifier import Identifier
from lanecontrol.lane.same_plate import misread, plate_key, same_plate

O_TEXT, ZERO_TEXT = Identifier("7ABCO23"), Identifier("7ABC023")


@pytest.mark.parametrize("o_is_zero", [True, False])
def test_letter_and_digit_are_the_same_where_the_site_says_so(o_is_zero: bool) -> None:
    site = asking(o_is_zero=o_is_zero)
    assert same_plate(site, O_TEXT, ZERO_TEXT) is o_is_zero
    assert same_plate(site, O_TEXT, O_TEXT)
    assert not same_plate(site, O_TEXT, Identifier("7ABC123"))
    assert (plate_key(site, O_TEXT) == plate_key(site, ZERO_TEXT)) is o_is_zero


@pytest.mark.parametrize("o_is_zero", [True, False])
def test_two_cameras_that_differ_in_the_letter_only_saw_one_plate(o_is_zero: bool) -> None:
    lane = AskingBench(asking(o_is_zero=o_is_zero)).started()
    lane.through_portal()
    lane.to_approach()
    lane.give("lpr1", PlateRead(O_TEXT, 0.9, track="a"))
    lane.give("lpr1", PlateRead(ZERO_TEXT, 0.8, track="b"))
    lane.to_booth()
    lane.read_for(4, 1)
    texts = [plate.text for plate in lane.assessment.plates]
    assert texts == [O_TEXT] if o_is_zero else sorted(texts) == sorted([O_TEXT, ZERO_TEXT])


@pytest.mark.parametrize("o_is_zero", [True, False])
def test_a_plate_without_a_track_is_found_again_and_told_as_it_was_read(o_is_zero: bool) -> None:
    lane = AskingBench(replace(asking(), o_is_zero=o_is_zero)).started()
    lane.through_portal()
    lane.to_approach()
    lane.give("lpr1", PlateRead(O_TEXT, 0.9))
    lane.wait(4.0)
    lane.give("lpr1", PlateRead(ZERO_TEXT, 0.9))
    assert len(lane.state.assembly.readings) == (1 if o_is_zero else 2)
    assert [told.text for told in lane.told(PlateSighted)] == [O_TEXT, ZERO_TEXT]
    assert not any(told.replaces and o_is_zero for told in lane.told(PlateSighted))


@pytest.mark.parametrize(
    ("other", "alike"),
    [("7ABC123", True), ("7A8C123", True), ("ABC123", True), ("7ABC12", True), ("QRS9987", False), ("44XY9Z", False)],
)
def test_a_misread_plate_is_told_from_another_vehicles(other: str, alike: bool) -> None:
    assert misread(asking(), Identifier("7ABC123"), Identifier(other)) is alike
