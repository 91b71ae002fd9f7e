"""Many typed runs side by side are the same runs, one after the other, added up."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from sim.score_file import Latency, Percentiles, Score
from sim.simfile import load_scenario, load_simfile
from sim.typed_run import run_typed
from sim.typed_runs import added, run_many


def test_numbers_of_two_scores_are_added_however_deep_they_lie() -> None:
    one, other = Score(vehicles=2, lane_s=1.5), Score(vehicles=3, lane_s=2.0)
    one.alarms.true, other.alarms.true = 1, 2
    both = added(one, replace(other, latency_ms=Latency(decision=Percentiles(p50=4.0))))
    assert (both.vehicles, both.lane_s, both.alarms.true, both.latency_ms.decision.p50) == (5, 3.5, 3, 4.0)


@pytest.mark.slow  # starts processes
def test_runs_side_by_side_score_as_the_same_runs_in_turn() -> None:
    simulation = load_simfile(Path(str(files("configs").joinpath("sim.yaml"))))
    scenario = load_scenario(simulation.scenario, simulation.devices).model_copy(update={"vehicles": 20})
    heard: list[str] = []
    together = run_many(simulation, scenario, 31, 3, heard.append)
    in_turn = [run_typed(simulation, scenario, seed) for seed in (31, 32, 33)]
    expected = added(added(in_turn[0], in_turn[1]), in_turn[2])
    assert replace(together, wall_s=0.0) == replace(expected, seed=31, lanes=1, wall_s=0.0)
    assert together.vehicles == 60
    assert [line.partition(":")[0] for line in heard] == [f"run {n} of 3, seed {30 + n}" for n in (1, 2, 3)]
