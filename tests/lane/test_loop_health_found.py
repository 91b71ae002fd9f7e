"""Loops that cannot be right are found, told with the reason, and doubted until they are believable again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lane_bench import SUPERVISOR, LaneBench, setup

from lanecontrol.announcements import EquipmentFault, LaneType, Quality, QualityChanged
from lanecontrol.commands import CloseLane, OpenLane, Override, OverridePart
from lanecontrol.lane.loop_health import HOUR_S, NO_HITS_S


def faults(lane: LaneBench, loop: str) -> list[tuple[str, bool]]:
    return [(fault.code, fault.active) for fault in lane.told(EquipmentFault) if fault.equipment == loop]


def pulses(lane: LaneBench, loop: str, count: int, every_s: float) -> None:
    for _ in range(count):
        lane.loop(loop, True)
        lane.wait(every_s / 2)
        lane.loop(loop, False)
        lane.wait(every_s / 2)


# --- chatter ---------------------------------------------------------------------------------------------------------


def test_38_counts_in_30_s_are_chatter_and_37_are_not(lane: LaneBench) -> None:
    pulses(lane, "approach", 37, 0.5)
    assert faults(lane, "approach") == []
    pulses(lane, "approach", 1, 0.5)
    assert faults(lane, "approach") == [("chatter", True)]
    assert "loop_chatter:approach" in {doubt.code for doubt in lane.state.desk.doubts}
    assert lane.state.desk.quality is Quality.DEGRADED


def test_chatter_is_over_after_30_s_of_sense_without_anything_happening(lane: LaneBench) -> None:
    pulses(lane, "approach", 60, 0.3)
    lane.wait(31.0)
    assert faults(lane, "approach") == [("chatter", True), ("chatter", False)]
    lane.wait(200.0)
    assert lane.state.desk.quality is Quality.GOOD


def test_a_busy_hour_is_no_chatter(lane: LaneBench) -> None:
    pulses(lane, "approach", 200, 4.5)
    assert faults(lane, "approach") == []


# --- locked on -------------------------------------------------------------------------------------------------------


def test_an_exit_loop_that_is_on_for_two_minutes_is_locked_on_until_it_goes_off(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.releases()
    lane.loop("exit", True)
    lane.loop("booth", False)
    lane.wait(119.0)
    assert faults(lane, "exit") == []
    lane.wait(1.1)
    assert faults(lane, "exit") == [("locked_on", True)]
    assert lane.told(QualityChanged)[-1].why == "loop_locked_on:exit"
    lane.loop("exit", False)
    assert faults(lane, "exit")[-1] == ("locked_on", False)
    assert lane.state.desk.quality is Quality.GOOD


def test_vehicles_may_queue_on_the_approach_loop_for_half_an_hour(lane: LaneBench) -> None:
    lane.through_portal()
    lane.to_approach()
    lane.wait(1799.0)
    assert faults(lane, "approach") == []
    lane.wait(2.0)
    assert faults(lane, "approach") == [("locked_on", True)]


def test_a_car_that_stands_at_the_booth_for_hours_is_no_fault(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.wait(3 * HOUR_S)
    assert faults(lane, "booth") == []


def test_a_booth_loop_that_tells_of_a_vehicle_that_nothing_else_has_seen_is_locked_on(lane: LaneBench) -> None:
    lane.loop("booth", True)
    lane.wait(125.0)
    assert faults(lane, "booth") == [("locked_on", True)]


def test_a_vehicle_that_only_a_card_speaks_for_is_there(lane: LaneBench) -> None:
    lane.loop("booth", True)
    lane.read_for(4, 1)
    lane.wait(300.0)
    assert faults(lane, "booth") == []


def test_a_loop_that_is_left_out_by_hand_is_not_judged(lane: LaneBench) -> None:
    lane.order(Override(OverridePart.LOOP_OUT, "stuck", 3600.0, "exit"), SUPERVISOR)
    lane.loop("exit", True)
    lane.wait(600.0)
    assert faults(lane, "exit") == []


# --- dead loops ------------------------------------------------------------------------------------------------------


def quiet(lane: LaneBench, hours: float) -> None:
    lane.wait(hours * HOUR_S)


@pytest.mark.parametrize("lane_type", LaneType)
def test_an_open_lane_without_a_vehicle_for_hours_is_not_believed(lane_type: LaneType) -> None:
    lane = LaneBench(setup(lane_type=lane_type)).started()
    hours = NO_HITS_S[lane_type] / HOUR_S
    assert 4 <= hours <= 72
    quiet(lane, hours - 0.1)
    assert ("no_hits", True) not in faults(lane, "booth")
    quiet(lane, 0.2)
    assert ("no_hits", True) in faults(lane, "booth")


def test_nothing_for_24_h_is_told_in_every_lane() -> None:
    lane = LaneBench(setup(lane_type=LaneType.BUS)).started()
    quiet(lane, 23.9)
    assert faults(lane, "approach") == []
    quiet(lane, 0.2)
    assert faults(lane, "approach") == [("no_change", True)]
    lane.through_portal()
    lane.to_approach()
    assert faults(lane, "approach") == [("no_change", True), ("no_change", False)]


def test_the_loops_of_a_closed_lane_may_be_quiet(lane: LaneBench) -> None:
    lane.order(CloseLane())
    quiet(lane, 100)
    assert all(faults(lane, loop) == [] for loop in ("approach", "booth", "exit"))


def test_time_counts_from_when_the_lane_opened() -> None:
    lane = LaneBench(setup(opens_at_start=False)).started()
    quiet(lane, 20)
    lane.order(OpenLane())
    quiet(lane, 3.9)
    assert faults(lane, "booth") == []
    quiet(lane, 0.2)
    assert faults(lane, "booth") == [("no_hits", True)]


def test_the_limits_are_the_sites_own() -> None:
    lane = LaneBench(replace(setup(), limits=replace(setup().limits, locked_on_s=30.0, chatter_counts=5))).started()
    pulses(lane, "exit", 5, 4.0)
    assert ("chatter", True) in faults(lane, "exit")
    lane.loop("exit", True)
    lane.wait(31.0)
    assert ("locked_on", True) in faults(lane, "exit")
