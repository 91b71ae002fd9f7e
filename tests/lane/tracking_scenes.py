"""Scenes of tracking and binding in which one rule decides: each asserts what a lane with all its rules comes to.

Used by the table of rules in `test_tracking_rules.py`, which also plays each with its rule broken.
"""

from __future__ import annotations

import pytest
import test_lane_binding as binding
from lane_bench import UTC_S, LaneBench, card, numbers

from lanecontrol.announcements import (
    AlarmRaised,
    PassageEnd,
    PassageOpened,
    Quality,
    QualityChanged,
    ReadingOrphaned,
)
from lanecontrol.commands import Result, SetOccupants
from lanecontrol.events import GammaCounts, TagRead
from lanecontrol.identifier import Identifier


def a_blip_of_the_exit_loop_is_no_runner(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.loop("exit", True)
    lane.wait(0.2)
    lane.loop("exit", False)
    lane.wait(2.0)
    assert lane.told(AlarmRaised) == []


def chatter(lane: LaneBench, name: str, times: int) -> None:
    for _ in range(times):
        lane.loop(name, True)
        lane.wait(0.2)
        lane.loop(name, False)
        lane.wait(0.5)


def a_loop_that_chatters_degrades_the_quality(lane: LaneBench) -> None:
    chatter(lane, "approach", 4)
    assert [change.quality for change in lane.told(QualityChanged)] == [Quality.DEGRADED]


def a_booth_loop_that_chatters_keeps_its_car(lane: LaneBench) -> None:
    chatter(lane, "booth", 4)
    passage = lane.arrives(1)
    chatter(lane, "approach", 4)  # without it the booth's loop would not be asked at all
    for _ in range(6):
        lane.loop("booth", False)
        lane.wait(0.5)
        here = lane.state.tracking.passages[0]
        assert (here.id, here.adrift_s) == (passage, None)
        lane.loop("booth", True)
        lane.wait(0.6)


def an_approach_loop_that_chatters_sends_nobody_away(lane: LaneBench) -> None:
    chatter(lane, "approach", 4)
    lane.through_portal(gamma=True)
    lane.loop("approach", True)
    lane.wait(0.8)
    lane.loop("approach", False)
    lane.wait(8.0)
    assert lane.closed == []


def a_card_read_long_before_its_car_comes_is_not_given_up(lane: LaneBench) -> None:
    lane.arrives(1)
    for _ in range(4):
        lane.give("rfid1", TagRead(1, Identifier(card(7)), -60.0))
        lane.wait(5.0)
    lane.releases()
    lane.leaves()
    lane.through_portal()
    lane.wait(35.0)
    assert lane.told(ReadingOrphaned) == []


def a_loop_that_stays_on_degrades_the_quality(lane: LaneBench) -> None:
    for _ in range(3):
        lane.through_portal()
        lane.to_approach()
        lane.loop("approach", True)
        lane.wait(1.0)
        lane.loop("booth", True)
        lane.wait(4.0)
        lane.releases()
        lane.leaves()
        lane.gate_goes_down()
    assert [change.quality for change in lane.told(QualityChanged)][:1] == [Quality.DEGRADED]


def an_exit_loop_that_chatters_sees_nobody_off(lane: LaneBench) -> None:
    chatter(lane, "exit", 4)
    passage = lane.arrives(1)
    lane.releases()
    chatter(lane, "exit", 4)
    assert lane.closed == [] and lane.at_booth == passage and lane.green


def a_blip_of_the_exit_loop_after_the_release_splits_nothing(lane: LaneBench) -> None:
    passage = lane.arrives(1)
    lane.releases()
    lane.loop("exit", True)
    lane.wait(0.2)
    lane.loop("exit", False)
    lane.wait(8.0)
    assert lane.closed == [] and [opened.passage for opened in lane.told(PassageOpened)] == [passage]


def a_car_released_while_it_rolls_back_is_still_the_same(lane: LaneBench) -> None:
    passage = lane.arrives(1)
    lane.through_portal()
    lane.wait(1.0)
    lane.loop("approach", True)
    lane.wait(0.5)
    lane.dispose()
    lane.wait(0.5)
    lane.loop("booth", False)
    lane.wait(2.5)
    lane.loop("booth", True)
    lane.wait(0.5)
    lane.loop("approach", False)
    lane.read_for(4, 1)
    assert lane.at_booth == passage


def a_car_that_slipped_away_is_not_taken_for_the_next(lane: LaneBench) -> None:
    runner = lane.arrives(1)
    lane.through_portal()
    lane.loop("booth", False)
    lane.wait(2.0)
    lane.loop("approach", True)
    lane.to_booth()
    lane.read_for(4, 2)
    assert lane.at_booth != runner
    assert [c.end for c in lane.closed if c.passage == runner] == [PassageEnd.UNRELEASED]


def released_with_one_behind(lane: LaneBench) -> str:
    """A car at the booth that was let go just now, and the next one on the loop before; the name of the first."""
    passage = lane.arrives(1)
    lane.through_portal()
    lane.to_approach()
    lane.releases()
    return passage


def a_follower_that_leaves_no_gap_is_at_the_booth_when_the_leader_is_at_the_exit(lane: LaneBench) -> None:
    passage = released_with_one_behind(lane)
    lane.wait(2.0)
    lane.loop("exit", True)
    lane.wait(2.0)
    lane.loop("exit", False)
    lane.wait(10.0)
    (leader,) = [c for c in lane.closed if c.passage == passage]
    follower = lane.assessment
    assert leader.booth_left_utc_s == pytest.approx(follower.booth_entered_utc_s, abs=0.01)
    assert follower.at_utc_s - follower.booth_entered_utc_s > 3.0


def a_follower_came_to_the_booth_before_its_rear_left_the_approach(lane: LaneBench) -> None:
    passage = released_with_one_behind(lane)
    lane.wait(2.0)
    lane.loop("approach", False)
    moment_utc_s = UTC_S + lane.now_s
    lane.wait(1.0)
    lane.loop("exit", True)
    lane.wait(1.0)
    lane.loop("exit", False)
    lane.wait(10.0)
    (leader,) = [c for c in lane.closed if c.passage == passage]
    assert leader.booth_left_utc_s == pytest.approx(moment_utc_s, abs=0.01)


def a_car_left_the_booth_when_its_loop_cleared(lane: LaneBench) -> None:
    released_with_one_behind(lane)
    lane.wait(2.5)
    lane.loop("booth", False)
    moment_utc_s = UTC_S + lane.now_s
    lane.wait(0.1)
    lane.loop("exit", True)
    lane.wait(0.3)
    lane.loop("booth", True)
    lane.wait(1.5)
    lane.loop("exit", False)
    lane.wait(8.0)
    assert lane.closed[0].booth_left_utc_s == pytest.approx(moment_utc_s, abs=0.01)


def a_follower_that_is_nowhere_else_is_at_the_booth_though_the_exit_chatters(lane: LaneBench) -> None:
    chatter(lane, "exit", 4)
    leader = released_with_one_behind(lane)
    lane.wait(2.0)
    lane.loop("exit", True)
    lane.wait(1.0)
    lane.loop("approach", False)
    lane.wait(0.5)
    lane.loop("exit", False)
    lane.read_for(8, 2)
    assert [c.passage for c in lane.closed] == [leader] and lane.at_booth != leader


def an_alarm_is_not_that_of_a_car_that_stood_at_the_booth_already(lane: LaneBench) -> None:
    lane.loop("approach", True)  # the portal has missed it
    lane.wait(1.0)
    lane.to_booth()
    lane.read_for(4, 1)
    there = lane.at_booth
    lane.through_portal(gamma=True)
    (alarm,) = lane.told(AlarmRaised)
    assert there and there not in alarm.passages


def the_alarm_of_a_car_given_up_is_also_the_next_ones(lane: LaneBench) -> None:
    lane.through_portal(gamma=True)
    lane.wait(6.0)
    lane.through_portal()
    lane.to_approach()
    (given_up,) = lane.closed
    (here,) = lane.state.tracking.passages
    assert given_up.end is PassageEnd.WITHDRAWN
    assert any(row.gamma_alarm and row.ambiguous for row in here.occupancies)


def a_stuck_exit_loop_takes_nobody_from_the_officer(lane: LaneBench) -> None:
    passage = lane.arrives(1)
    lane.loop("exit", True)
    lane.wait(8.0)
    assert lane.at_booth == passage and lane.dispose().result is Result.DONE


def a_released_car_that_the_exit_loop_missed_is_gone_when_the_next_is_there(lane: LaneBench) -> None:
    passage = released_with_one_behind(lane)
    lane.wait(2.0)
    lane.loop("booth", False)
    lane.wait(1.0)
    lane.to_booth()
    lane.wait(8.0)
    assert [c.passage for c in lane.closed] == [passage]


def a_second_car_in_one_occupancy_is_seen_by_counts_that_go_on(lane: LaneBench) -> None:
    for moment in range(30):
        lane.give("rpm1", GammaCounts((70, 70, 80, 70), False))
        lane.wait(0.2)
        if moment == 10:
            lane.loop("approach", True)
    assert len(lane.told(PassageOpened)) == 2


def past_a_dead_booth_loop(lane: LaneBench, *, gamma: bool = False) -> None:
    lane.through_portal(gamma=gamma)
    lane.to_approach()
    lane.wait(1.5)
    lane.loop("approach", False)


def the_booth_loop_is_dead(lane: LaneBench) -> None:
    for _ in range(2):
        past_a_dead_booth_loop(lane)
        lane.wait(1.0)
        lane.leaves()


def behind_a_dead_booth_loop_the_next_car_is_at_the_booth(lane: LaneBench) -> None:
    the_booth_loop_is_dead(lane)
    past_a_dead_booth_loop(lane)
    lane.wait(300.0)
    assert lane.state.desk.quality is Quality.DEGRADED
    assert lane.at_booth and lane.dispose().result is Result.DONE
    lane.leaves()
    assert lane.closed[-1].end is PassageEnd.COMPLETE


def who_comes_to_a_blind_booth_takes_over_the_alarm_of_who_was_believed_there(lane: LaneBench) -> None:
    the_booth_loop_is_dead(lane)
    past_a_dead_booth_loop(lane, gamma=True)
    lane.wait(4.0)
    turned_away = lane.at_booth
    past_a_dead_booth_loop(lane)
    lane.wait(3.0)
    here = lane.state.tracking.passages[-1]
    assert [c.end for c in lane.closed if c.passage == turned_away] == [PassageEnd.INTERRUPTED]
    assert here.id != turned_away and any(row.gamma_alarm and row.ambiguous for row in here.occupancies)


def a_blip_of_a_chattering_exit_takes_nobody_from_a_blind_booth(lane: LaneBench) -> None:
    the_booth_loop_is_dead(lane)
    chatter(lane, "exit", 4)
    past_a_dead_booth_loop(lane)
    lane.wait(4.0)
    passage = lane.at_booth
    lane.releases()
    lane.wait(3.0)
    lane.loop("exit", True)
    lane.wait(0.5)
    lane.loop("exit", False)
    lane.wait(8.0)
    assert passage and [c for c in lane.closed if c.passage == passage] == []


def a_chattering_booth_is_empty_when_its_car_has_left_by_the_exit(lane: LaneBench) -> None:
    chatter(lane, "booth", 4)
    passage = lane.arrives(1)
    lane.releases()
    lane.wait(2.0)
    lane.loop("exit", True)
    lane.wait(0.3)
    lane.loop("booth", False)
    lane.wait(0.5)
    lane.loop("exit", False)
    lane.wait(8.0)
    assert [opened.passage for opened in lane.told(PassageOpened)] == [passage]
    assert [c.end for c in lane.closed] == [PassageEnd.COMPLETE]


def alarmed(lane: LaneBench, passage: str) -> bool:
    open_rows = [row for p in lane.state.tracking.passages if p.id == passage for row in p.occupancies]
    rows = [row for c in lane.closed if c.passage == passage for row in c.occupancies]
    return any(row.gamma_alarm and row.ambiguous for row in (*open_rows, *rows))


def who_lingers_behind_loops_in_doubt_may_be_the_next_one(lane: LaneBench) -> None:
    chatter(lane, "booth", 4)
    chatter(lane, "exit", 4)
    leader = lane.arrives(1)
    lane.releases()
    lane.wait(6.0)
    past_a_dead_booth_loop(lane, gamma=True)
    lane.wait(0.5)
    assert any(p.id == leader and p.booth_left_s is not None for p in lane.state.tracking.passages)
    assert alarmed(lane, leader)


def who_was_found_at_a_loop_and_came_late_may_be_the_next_one(lane: LaneBench) -> None:
    lane.loop("approach", True)
    lane.wait(1.0)
    (found,) = lane.state.tracking.passages
    lane.through_portal(gamma=True)
    lane.wait(3.0)
    lane.loop("booth", True)
    assert alarmed(lane, found.id)


def past_a_dead_approach(lane: LaneBench, *, gamma: bool = False) -> str:
    lane.through_portal(gamma=gamma)
    lane.wait(3.0)
    lane.loop("booth", True)
    lane.wait(4.0)
    return lane.at_booth


def a_merge_is_suspected(lane: LaneBench) -> str:
    for _ in range(2):
        past_a_dead_approach(lane)
        lane.releases()
        lane.leaves()
        lane.gate_goes_down()
    leader = past_a_dead_approach(lane)
    lane.releases()
    lane.through_portal(gamma=True)
    lane.wait(6.0)
    lane.loop("booth", False)
    return leader


def who_leaves_the_booth_late_may_be_the_next_one(lane: LaneBench) -> None:
    assert alarmed(lane, a_merge_is_suspected(lane))


def a_suspected_merge_is_not_forgotten_while_only_the_portal_tells_of_the_next(lane: LaneBench) -> None:
    a_merge_is_suspected(lane)
    lane.wait(40.0)
    lane.through_portal()
    lane.through_portal()
    lane.wait(2.5)
    lane.loop("booth", True)
    lane.wait(30.0)
    lane.through_portal(gamma=True)
    assert len(lane.told(AlarmRaised)[-1].passages) > 1


def with_both_in_the_field_the_strong_card_is_the_leaders(lane: LaneBench) -> None:
    lane.through_portal()
    lane.to_approach()
    lane.to_booth()
    binding.follower_waits(lane)
    for _ in range(6):
        lane.read(1, -44.0)
        lane.read(2, -70.0)
        lane.wait(1.0)
    assert numbers(lane.assessment.tags) == {1}


def two_cards_and_one_person_are_doubtful(lane: LaneBench) -> None:
    lane.arrives(1, 2)
    lane.order(SetOccupants(lane.at_booth, 1))
    assert numbers(lane.assessment.tags, ambiguous=True) == {1, 2}


def a_card_read_now_and_then_is_not_this_cars(lane: LaneBench) -> None:
    lane.arrives(1)
    for moment in range(12):
        lane.read(1)
        if moment in (2, 9):
            lane.read(5)
        lane.wait(1.0)
    lane.releases()
    lane.leaves()
    assert numbers(lane.closed[0].tags) == {1} and not numbers(lane.closed[0].tags, ambiguous=True)


def a_card_shown_and_put_away_is_this_cars(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.wait(15.0)
    lane.releases()
    lane.leaves()
    assert numbers(lane.closed[0].tags) == {1}


def a_busy_lane_closes_what_is_oldest(lane: LaneBench) -> None:
    for _ in range(10):
        lane.through_portal()
        lane.wait(1.0)
    assert len(lane.state.tracking.passages) <= 8


def many_reads_at_once_are_one_vote(lane: LaneBench) -> None:
    lane.arrives(1)
    for _ in range(20):
        lane.read(5)
        lane.wait(0.02)
    assert next(reading for reading in lane.state.assembly.readings if reading.reads == 20).counted == 1
