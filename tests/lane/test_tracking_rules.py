"""Each rule of tracking and binding has a scene that shows it: whole, the scene holds; with the rule broken, it fails.

The table `RULES` is the list of rules. A scene is one of `tracking_scenes`, or a test of its own elsewhere
in this folder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import test_lane_binding as binding
import test_lane_passages as passages
import tracking_scenes as scenes
from lane_bench import LaneBench, setup

from lanecontrol.announcements import LaneType
from lanecontrol.lane import assembly, leaving, loops, patience, sharing, stuck, tracking, votes, where
from lanecontrol.lane import passages as life
from lanecontrol.lane.state import Contact
from lanecontrol.lane.turn import Turn

Scene = Callable[[LaneBench], None]


def does_nothing(*_: Any, **__: Any) -> None:
    return None


def says(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


RULES: dict[str, tuple[Any, str, Any, Scene]] = {
    "a surprise has to last": (loops, "_patience_s", says(0.0), scenes.a_blip_of_the_exit_loop_is_no_runner),
    "a loop that chatters is doubted": (
        Contact,
        "chatters",
        says(False),
        scenes.a_loop_that_chatters_degrades_the_quality,
    ),
    "nobody leaves the booth by a loop that chatters": (
        leaving,
        "holds_back",
        says(False),
        scenes.a_booth_loop_that_chatters_keeps_its_car,
    ),
    "nobody is sent away by a loop that chatters": (
        Turn,
        "chatters",
        says(False),
        scenes.an_approach_loop_that_chatters_sends_nobody_away,
    ),
    "a card read from afar waits while vehicles do": (
        assembly,
        "_may_still_come",
        says(False),
        scenes.a_card_read_long_before_its_car_comes_is_not_given_up,
    ),
    "a loop that stays on is doubted": (
        stuck,
        "STUCK_AFTER",
        10**6,
        scenes.a_loop_that_stays_on_degrades_the_quality,
    ),
    "a change of a loop that chatters has to last": (
        loops,
        "CHATTER_SURPRISE_S",
        0.0,
        scenes.an_exit_loop_that_chatters_sees_nobody_off,
    ),
    "a booth loop that does not move tells of nobody": (
        stuck,
        "blind_booth",
        says(False),
        scenes.behind_a_dead_booth_loop_the_next_car_is_at_the_booth,
    ),
    "twice in a row unseen: the loop is dead": (
        stuck,
        "DEAD_AFTER",
        10**6,
        scenes.behind_a_dead_booth_loop_the_next_car_is_at_the_booth,
    ),
    "a booth loop that chatters does not hold who has left": (
        stuck,
        "clear_booth",
        does_nothing,
        scenes.a_chattering_booth_is_empty_when_its_car_has_left_by_the_exit,
    ),
    "who lingers may be the next one": (
        where,
        "lingered",
        says(False),
        scenes.who_lingers_behind_loops_in_doubt_may_be_the_next_one,
    ),
    "who came late may be the next one": (
        where,
        "came_late",
        says(False),
        scenes.who_was_found_at_a_loop_and_came_late_may_be_the_next_one,
    ),
    "who leaves late may be the next one": (
        sharing,
        "in_its_stead",
        lambda t, passage: passage,
        scenes.who_leaves_the_booth_late_may_be_the_next_one,
    ),
    "a guess stands until it is settled": (
        sharing,
        "still_guessing",
        does_nothing,
        scenes.a_suspected_merge_is_not_forgotten_while_only_the_portal_tells_of_the_next,
    ),
    "two do not fit into a blind booth": (
        patience,
        "_takes_the_place_of",
        says(False),
        scenes.who_comes_to_a_blind_booth_takes_over_the_alarm_of_who_was_believed_there,
    ),
    "a blip does not empty a blind booth": (
        loops,
        "CHATTER_ON_S",
        0.0,
        scenes.a_blip_of_a_chattering_exit_takes_nobody_from_a_blind_booth,
    ),
    "who stands at the booth has not left by the exit": (
        where,
        "stands_at_booth",
        says(False),
        scenes.a_blip_of_the_exit_loop_after_the_release_splits_nothing,
    ),
    "a loop that is on has a vehicle": (
        tracking,
        "reconcile",
        does_nothing,
        passages.test_a_follower_whose_approach_loop_never_cleared_is_found_there_when_the_leader_goes,
    ),
    "a loop that flickers keeps its vehicle": (
        where,
        "returning",
        says(None),
        passages.test_a_booth_loop_that_flickers_keeps_its_car,
    ),
    "the foremost behind a loop takes it": (
        tracking,
        "_coming",
        says(None),
        passages.test_a_car_arrives_is_read_released_and_leaves,
    ),
    "the first in the queue takes a loop": (
        tracking,
        "_from_queue",
        says(None),
        passages.test_a_car_the_approach_loop_missed_is_the_one_that_came_through_the_portal,
    ),
    "another at the booth: the one ahead has left it": (
        tracking,
        "_relieve",
        does_nothing,
        scenes.a_released_car_that_the_exit_loop_missed_is_gone_when_the_next_is_there,
    ),
    "the booth is left soon after the exit is reached": (
        tracking,
        "FOLLOWS_S",
        100.0,
        scenes.a_follower_that_leaves_no_gap_is_at_the_booth_when_the_leader_is_at_the_exit,
    ),
    "a follower was at the booth before it was off the approach": (
        tracking,
        "_off_approach_s",
        lambda t: t.now_s,
        scenes.a_follower_came_to_the_booth_before_its_rear_left_the_approach,
    ),
    "the booth is left when its loop clears": (
        tracking,
        "left_booth",
        lambda t, passage, **_: passage,
        scenes.a_car_left_the_booth_when_its_loop_cleared,
    ),
    "a follower that is nowhere else is at the booth": (
        where,
        "gone_unseen",
        says(None),
        scenes.a_follower_that_is_nowhere_else_is_at_the_booth_though_the_exit_chatters,
    ),
    "who stood there before had its alarm before": (
        sharing,
        "_was_further_on",
        says(False),
        scenes.an_alarm_is_not_that_of_a_car_that_stood_at_the_booth_already,
    ),
    "the alarm of who was given up is also the next one's": (
        sharing,
        "also",
        does_nothing,
        scenes.the_alarm_of_a_car_given_up_is_also_the_next_ones,
    ),
    "at booth and exit for long is at the booth": (
        patience,
        "stands",
        does_nothing,
        scenes.a_stuck_exit_loop_takes_nobody_from_the_officer,
    ),
    "rolling back is no departure": (
        tracking,
        "_backed_onto_approach",
        says(False),
        passages.test_a_car_that_rolls_back_from_the_booth_and_comes_again_is_one_passage,
    ),
    "nobody leaves before it can have moved": (
        leaving,
        "can_have_gone",
        says(True),
        scenes.a_car_released_while_it_rolls_back_is_still_the_same,
    ),
    "out of sight is gone, released or not": (
        tracking,
        "_slipped_away",
        does_nothing,
        scenes.a_car_that_slipped_away_is_not_taken_for_the_next,
    ),
    "off the approach and not at the booth: withdrawn": (
        patience,
        "_judge_approach",
        does_nothing,
        passages.test_a_car_that_backs_out_of_the_approach_is_withdrawn,
    ),
    "through the portal and never on a loop: withdrawn": (
        patience,
        "_judge_queued",
        does_nothing,
        passages.test_a_car_that_never_reaches_the_approach_is_withdrawn_after_a_minute,
    ),
    "off the booth and nowhere: gone": (
        patience,
        "_judge_booth",
        does_nothing,
        passages.test_a_car_that_vanishes_from_the_booth_unreleased_raises_an_alarm,
    ),
    "beyond the booth without a release is an alarm": (
        tracking,
        "beyond_booth",
        lambda t, passage: passage,
        passages.test_a_car_that_leaves_without_a_disposition_raises_an_alarm_at_the_exit_loop,
    ),
    "counting that goes on is a further vehicle": (
        sharing,
        "note_departure_from_portal",
        does_nothing,
        scenes.a_second_car_in_one_occupancy_is_seen_by_counts_that_go_on,
    ),
    "whoever was not measured alone was measured with another": (
        sharing,
        "measure_with_last",
        does_nothing,
        passages.test_two_cars_in_one_portal_occupancy_share_its_alarm,
    ),
    "the list of passages is bounded": (life, "make_room", does_nothing, scenes.a_busy_lane_closes_what_is_oldest),
    "the officer calls the next": (
        tracking,
        "_taken",
        does_nothing,
        passages.test_the_officer_calls_the_next_vehicle_when_the_lane_has_lost_count,
    ),
    "a read at the right place speaks for a vehicle": (
        votes,
        "_weight",
        says(None),
        passages.test_a_car_arrives_is_read_released_and_leaves,
    ),
    "a read that does not come speaks against it": (
        votes,
        "MISS_COST",
        0.0,
        scenes.a_card_read_now_and_then_is_not_this_cars,
    ),
    "a card may be put away": (votes, "BURST_READS", 10**6, scenes.a_card_shown_and_put_away_is_this_cars),
    "strength tells the booth from behind": (
        votes,
        "_fits",
        says(0.0),
        scenes.with_both_in_the_field_the_strong_card_is_the_leaders,
    ),
    "decided when it has settled": (
        life,
        "SETTLE_S",
        0.0,
        binding.test_a_card_still_read_after_moving_up_belongs_to_the_follower_however_strong_it_was,
    ),
    "ambiguity is flagged, never guessed": (
        assembly,
        "claim",
        lambda *given: None if (found := votes.claim(*given)) is None else (found[0], False),
        binding.test_a_card_of_which_nobody_can_say_whose_it_is_comes_out_ambiguous,
    ),
    "more cards than people are doubtful": (
        assembly,
        "_doubted",
        lambda passage, tags: tuple(tags),
        scenes.two_cards_and_one_person_are_doubtful,
    ),
    "what a closed passage took stays its own": (
        assembly,
        "_decided",
        lambda t, reading, *_: reading,
        binding.test_a_card_read_after_its_passage_has_closed_is_a_late_reading,
    ),
    "what nobody claims is told": (
        assembly,
        "_orphaned",
        does_nothing,
        binding.test_a_card_while_nobody_is_there_is_published_as_an_orphan,
    ),
    "a vote per tag and second": (
        assembly,
        "COUNTED_AGAIN_S",
        0.0,
        scenes.many_reads_at_once_are_one_vote,
    ),
}


def test_in_a_lane_for_trucks_the_officer_says_who_is_at_a_booth_without_a_loop() -> None:
    lane = LaneBench(setup(lane_type=LaneType.FAST)).started()
    scenes.the_booth_loop_is_dead(lane)
    scenes.past_a_dead_booth_loop(lane)
    lane.wait(0.5)
    assert [p.booth_s for p in lane.state.tracking.passages if p.gone_s is None] == [None]


@pytest.mark.parametrize("rule", RULES)
def test_the_scene_of_each_rule_holds(rule: str, lane: LaneBench) -> None:
    RULES[rule][3](lane)


@pytest.mark.parametrize("rule", RULES)
def test_a_broken_rule_is_noticed(rule: str, lane: LaneBench, monkeypatch: pytest.MonkeyPatch) -> None:
    where, name, broken, scene = RULES[rule]
    monkeypatch.setattr(where, name, broken)
    with pytest.raises((AssertionError, IndexError, ValueError)):
        scene(lane)
