"""What typed readings are good for statistics for: over the wire the lane comes to the same score."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from sim.score_file import Score
from sim.scoring import scored
from sim.simfile import load_scenario, load_simfile
from sim.simulate import Options, simulate
from sim.typed_run import run_typed

CONFIGS = Path(__file__).parents[2] / "configs"
SEED = 3


def both_ways(vehicles: int) -> tuple[Score, Score]:
    simulation = load_simfile(CONFIGS / "sim.yaml")
    scenario = load_scenario(CONFIGS / "scenarios" / "clean.yaml")
    scenario = scenario.model_copy(update={"vehicles": vehicles, "duration_s": None})
    wire = scored(simulate(Options(simulation, scenario, seed=SEED, links="mem")), SEED)
    return wire, run_typed(simulation, scenario, SEED)


def figures(result: Score) -> dict[str, Any]:
    """All that does not tell of delivery or of real time; of alarms, what is wrong with them.

    How many there are is chance: a fraction of a second on the way from the officer to the gate, and other counts make
    the portal's controller alarm, or not, where nobody has a source.
    """
    parts = ("passages", "readings", "plates", "radiation", "departures")
    alarms = {name: count for name, count in asdict(result.alarms).items() if name not in ("true", "raised")}
    return {"vehicles": result.vehicles, "alarms": alarms, **{part: asdict(getattr(result, part)) for part in parts}}


@pytest.mark.slow  # every byte of every device for 500 vehicles: half a minute of processor time
def test_500_vehicles_score_the_same_over_the_wire_and_by_typed_readings() -> None:
    wire, typed = both_ways(500)
    assert wire.vehicles == 500
    assert figures(wire) == figures(typed)
