"""The short way through a step, for counts that change nothing but the portal's figures, beside the long way."""

from __future__ import annotations

from pathlib import Path

import pytest

import sim.typed_run
from lanecontrol.events import GammaCounts, Input
from lanecontrol.lane.counted import only_counted
from lanecontrol.lane.effects import Effect
from lanecontrol.lane.setup import LaneSetup
from lanecontrol.lane.state import LaneState
from lanecontrol.lane.step import step
from sim.simfile import load_simfile
from sim.typed_run import TypedRun
from sim.world.scenario import Scenario

CONFIGS = Path(__file__).parents[2] / "configs"
SCENARIO = {"title": "sources", "vehicles": 12, "traffic": {"vehicles_per_h": 500}, "radiation": {"gamma_share": 0.5}}


def test_the_short_way_through_counts_comes_to_what_the_long_way_does(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = {"short": 0, "long": 0}

    def both(setup: LaneSetup, state: LaneState, given: Input) -> tuple[LaneState, tuple[Effect, ...]]:
        after, effects = step(setup, state, given)
        if isinstance(given.event, GammaCounts):
            short = only_counted(setup, state, given, given.event)
            ways["long" if short is None else "short"] += 1
            assert short is None or (short, ()) == (after, effects)
        return after, effects

    monkeypatch.setattr("lanecontrol.lane.step.only_counted", lambda *_: None)
    monkeypatch.setattr(sim.typed_run, "step", both)
    TypedRun(load_simfile(CONFIGS / "sim.yaml"), Scenario.model_validate(SCENARIO), seed=3).play()
    assert ways["short"] > 200
    assert ways["long"] > 12
