"""Whose card is it? Late binding by votes, ambiguity that is flagged, readings that nobody claims."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lane_bench import LaneBench, card, numbers, setup

from lanecontrol.announcements import PlateSighted, ReadingOrphaned, TagKind, TagSighted
from lanecontrol.events import PlateRead, TagRead
from lanecontrol.identifier import Identifier
from lanecontrol.lane.assembly import tag_kind
from lanecontrol.lane.setup import Camera, LaneSetup, Limits, TagRule
from lanecontrol.lane.votes import strength


def follower_waits(lane: LaneBench) -> None:
    lane.through_portal()
    lane.to_approach()


def test_the_card_of_the_car_behind_is_not_the_leaders_though_it_is_read_all_the_time(lane: LaneBench) -> None:
    lane.arrives(1)
    follower_waits(lane)
    for _ in range(20):
        lane.read(1, -52.0)
        lane.read(2, -64.0)
        lane.wait(1.0)
    assert numbers(lane.assessment.tags) == {1}
    lane.releases()
    lane.leaves()
    assert numbers(lane.closed[0].tags) == {1}


def test_a_card_still_read_after_moving_up_belongs_to_the_follower_however_strong_it_was(lane: LaneBench) -> None:
    lane.arrives(1)
    follower_waits(lane)
    for _ in range(4):
        lane.read(1, -52.0)
        lane.read(2, -50.0)
        lane.wait(1.0)
    lane.releases()
    lane.loop("exit", True)
    lane.loop("booth", False)
    lane.wait(1.5)
    lane.loop("exit", False)
    lane.to_booth()
    lane.read_for(4, 2)
    assert numbers(lane.closed[0].tags) == {1}
    lane.gate_goes_down()
    lane.releases()
    lane.leaves()
    assert numbers(lane.closed[1].tags) == {2}


def test_reads_after_the_leader_has_gone_outweigh_twice_as_many_before(lane: LaneBench) -> None:
    lane.through_portal()
    lane.to_approach()
    lane.to_booth()
    lane.loop("approach", True)
    lane.read_for(6, 2)
    lane.releases()
    lane.loop("exit", True)
    lane.loop("booth", False)
    lane.wait(1.1)
    lane.read(2)
    lane.loop("exit", False)
    lane.loop("booth", True)
    lane.loop("approach", False)
    lane.wait(0.9)
    lane.read(2)
    lane.wait(0.9)
    lane.read(2)
    lane.wait(2.0)
    assert numbers(lane.closed[0].tags) | numbers(lane.closed[0].tags, ambiguous=True) == set()


def test_a_card_read_before_the_car_reached_its_first_loop_is_its_own(lane: LaneBench) -> None:
    lane.through_portal()
    lane.wait(1.2)
    lane.read(1)
    lane.wait(0.3)
    lane.loop("approach", True)
    lane.to_booth()
    lane.read_for(3, 1)
    lane.releases()
    lane.leaves()
    assert numbers(lane.closed[0].tags) == {1}


def test_a_card_read_once_with_two_cars_near_is_bound_to_neither(lane: LaneBench) -> None:
    lane.through_portal()
    lane.to_approach()
    lane.to_booth()
    follower_waits(lane)
    lane.read(9, -60.0)
    lane.releases()
    lane.leaves()
    lane.gate_goes_down()
    lane.to_booth()
    lane.wait(3.0)
    lane.releases()
    lane.leaves()
    assert [numbers(closed.tags) for closed in lane.closed] == [set(), set()]
    lane.wait(31.0)
    unsure = [closed for closed in lane.closed if numbers(closed.tags, ambiguous=True) == {9}]
    assert unsure or [orphan.number.clear for orphan in lane.told(ReadingOrphaned)] == [card(9)]


def test_a_card_of_which_nobody_can_say_whose_it_is_comes_out_ambiguous(lane: LaneBench) -> None:
    lane.through_portal()
    lane.to_approach()
    lane.to_booth()
    lane.loop("approach", True)
    lane.read_for(6, 8, rssi_dbm=-57.0)
    lane.releases()
    lane.leaves()
    assert numbers(lane.closed[0].tags, ambiguous=True) == {8}
    assert "passage.ambiguous" in {finding.code for finding in lane.closed[0].findings}


def test_a_card_while_nobody_is_there_is_published_as_an_orphan(lane: LaneBench) -> None:
    lane.read_for(3, 7)
    lane.wait(27.0)
    assert lane.told(ReadingOrphaned) == []
    lane.wait(3.0)
    (orphan,) = lane.told(ReadingOrphaned)
    assert (orphan.number.clear, orphan.reads, orphan.late, orphan.zone) == (card(7), 3, False, "booth")


def test_a_card_read_after_its_passage_has_closed_is_a_late_reading(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.releases()
    lane.leaves()
    lane.read(1)
    lane.wait(31.0)
    (orphan,) = lane.told(ReadingOrphaned)
    assert orphan.late and orphan.reads == 1


def test_a_stray_read_of_a_card_that_has_left_does_not_go_to_the_next_car(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.releases()
    lane.leaves()
    lane.gate_goes_down()
    lane.through_portal()
    lane.to_approach()
    lane.to_booth()
    lane.read(1)
    lane.read_for(4, 2)
    lane.releases()
    lane.leaves()
    assert numbers(lane.closed[1].tags) == {2}


def test_a_tag_is_announced_as_sighted_once_in_three_seconds(lane: LaneBench) -> None:
    for _ in range(61):
        lane.read(1)
        lane.wait(0.1)
    assert len(lane.told(TagSighted)) == 3


def test_an_antenna_that_the_setup_does_not_name_votes_for_nobody(lane: LaneBench) -> None:
    lane.arrives()
    for _ in range(3):
        lane.give("rfid1", TagRead(9, Identifier(card(1)), -40.0))
        lane.wait(1.0)
    assert lane.assessment.tags == ()
    assert lane.told(TagSighted)[0].zone == ""


def test_the_list_of_tags_is_bounded_and_says_what_it_drops(lane: LaneBench) -> None:
    for number in range(70):
        lane.read(number)
    assert len(lane.state.assembly.readings) == 64
    assert len(lane.told(ReadingOrphaned)) == 6


def test_the_longest_prefix_names_the_kind_of_a_tag() -> None:
    rules = (TagRule("f0", TagKind.TOLL), TagRule("f000", TagKind.PERSON))
    lane_setup: LaneSetup = replace(setup(), tag_rules=rules)
    assert tag_kind(lane_setup, "f000aa") is TagKind.PERSON
    assert tag_kind(lane_setup, "f011aa") is TagKind.TOLL
    assert tag_kind(lane_setup, "e20011") is TagKind.UNKNOWN


def test_unknown_tags_and_two_chips_under_one_number_are_findings(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.give("rfid1", TagRead(1, Identifier("e2801100aa"), -50.0))
    lane.give("rfid1", TagRead(1, Identifier(card(1)), -50.0, tid=Identifier("e2001")))
    lane.wait(1.0)
    lane.give("rfid1", TagRead(1, Identifier(card(1)), -50.0, tid=Identifier("e2002")))
    codes = {finding.code for finding in lane.assessment.findings}
    assert {"card.unknown_class", "card.clone_suspect"} <= codes


@pytest.mark.parametrize(("rssi_dbm", "weight"), [(-90.0, 0.2), (-75.0, 0.2), (-60.0, 0.6), (-45.0, 1.0), (0.0, 1.0)])
def test_strength_is_linear_between_minus_75_and_minus_45_dbm(rssi_dbm: float, weight: float) -> None:
    assert strength(rssi_dbm) == pytest.approx(weight)


def test_plates_are_bound_like_cards_and_missed_where_there_is_a_camera() -> None:
    lane = LaneBench(replace(setup(), cameras=(Camera("cam1", "portal"),))).started()
    lane.through_portal()
    lane.give("cam1", PlateRead(Identifier("7ABC123"), 0.93, "US-CA"))
    lane.to_approach()
    lane.to_booth()
    lane.wait(3.0)
    assert [plate.text.clear for plate in lane.assessment.plates] == ["7ABC123"]
    assert lane.told(PlateSighted)[0].jurisdiction == "US-CA"
    lane.releases()
    lane.leaves()
    lane.gate_goes_down()
    lane.arrives(1)
    assert "plate.unread" in {finding.code for finding in lane.assessment.findings}


def test_numbers_are_told_in_announcements_and_nowhere_else(lane: LaneBench) -> None:
    lane.arrives(1)
    assert card(1) not in repr(lane.state)
    assert card(1) not in f"{lane.state.tracking.passages[0].shown}"


def test_a_reading_is_swept_later_where_the_site_says_so() -> None:
    lane = LaneBench(setup(limits=Limits(orphan_after_s=90.0))).started()
    lane.read(1)
    lane.wait(80.0)
    assert lane.told(ReadingOrphaned) == []
    lane.wait(11.0)
    assert len(lane.told(ReadingOrphaned)) == 1
