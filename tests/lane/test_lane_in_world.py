"""The lane core against the simulated world: what it makes of real traffic, scored against the truth."""

from __future__ import annotations

import pytest
from lane_world import LaneInWorld, scenario, world_setup

from lanecontrol.forms import from_json, to_json
from lanecontrol.lane.state import LaneState
from lanecontrol.lane.step import initial, step
from sim.score import rates
from sim.score_file import Score


def run(name: str, vehicles: int, seed: int) -> Score:
    return LaneInWorld(scenario(name, vehicles), seed).run()


def check_clean(result: Score, vehicles: int) -> None:
    passages, readings, alarms = result.passages, result.readings, result.alarms
    assert passages.complete == vehicles
    assert (passages.merged, passages.split, passages.missed, passages.phantom, passages.order_errors) == (0,) * 5
    assert (passages.interrupted, passages.unreleased, readings.misassigned) == (0, 0, 0)
    assert readings.ambiguous + readings.orphan <= 0.01 * readings.bound
    assert (alarms.missed, alarms.false, alarms.extra_vehicles) == (0, 0, 0)


def test_100_vehicles_in_clean_traffic_are_all_told_apart() -> None:
    check_clean(run("clean", 100, 7), 100)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_500_vehicles_in_clean_traffic_are_all_told_apart(seed: int) -> None:
    check_clean(run("clean", 500, seed), 500)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 4))
def test_a_saturated_lane_keeps_its_figures(seed: int) -> None:
    result = run("saturated", 500, seed)
    figures = rates(result)
    assert figures["passage_errors_per_1000_vehicles"] <= 0.5
    assert figures["misassigned_per_1000_readings"] <= 1.0
    assert figures["ambiguous_or_orphan_percent"] <= 2.0
    assert result.alarms.missed == 0


def test_with_no_officer_nothing_is_granted() -> None:
    lane = LaneInWorld(scenario("no_officer", 8), 1)
    lane._decide = lambda passage: None  # type: ignore[method-assign]
    lane.run()
    assert lane.state.counters.passages > 0
    assert not any(type(a).__name__ == "DispositionRecorded" for a in lane.told)


def test_a_replay_of_traffic_gives_the_same_and_any_state_goes_through_json() -> None:
    lane = LaneInWorld(scenario("demo", 20), 3)
    lane.run()
    lane_setup = world_setup()
    state = initial(lane_setup)
    for number, given in enumerate(lane.inputs):
        state, _ = step(lane_setup, state, given)
        if number % 50 == 0:
            state = from_json(LaneState, to_json(state))
    assert state == lane.state
