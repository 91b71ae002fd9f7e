"""What typed readings are good for statistics for: over the wire the lane comes to the same score."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from sim.score import rates
from sim.score_file import Score
from sim.scoring import scored
from sim.simfile import load_scenario, load_simfile
from sim.simulate import Options, simulate
from sim.typed_run import run_typed
from sim.world.scenario import Officer, Traffic

CONFIGS = Path(__file__).parents[2] / "configs"
SEED = 3


def both_ways(vehicles: int) -> tuple[Score, Score]:
    """Traffic by the book, twice as dense as in `clean`: half the time, and half the bytes between vehicles."""
    simulation = load_simfile(CONFIGS / "sim.yaml")
    scenario = load_scenario(CONFIGS / "scenarios" / "clean.yaml").model_copy(
        update={
            "vehicles": vehicles,
            "duration_s": None,
            "traffic": Traffic(vehicles_per_h=600),
            "officer": Officer(service_time_s=0.8, service_time_sd_s=0.2, service_time_least_s=0.5),
        }
    )
    wire = scored(simulate(Options(simulation, scenario, seed=SEED, links="mem")), SEED)
    return wire, run_typed(simulation, scenario, SEED)


def figures(result: Score) -> dict[str, Any]:
    """All that does not tell of delivery or of real time, nor of how long vehicles waited."""
    parts = ("passages", "readings", "plates", "radiation", "alarms", "departures")
    return {"vehicles": result.vehicles, **{part: asdict(getattr(result, part)) for part in parts}}


@pytest.mark.slow  # every byte of every device for 500 vehicles: three quarters of a minute of processor time
def test_500_vehicles_score_the_same_over_the_wire_and_by_typed_readings() -> None:
    wire, typed = both_ways(500)
    assert wire.vehicles == 500
    assert wire.alarms.true > 5
    assert figures(wire) == figures(typed)
    assert rates(wire) == rates(typed)
