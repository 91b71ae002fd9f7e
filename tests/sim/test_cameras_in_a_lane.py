"""Cameras that push, from the world's plates to the passages of the unchanged daemon, on good days and bad ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lanecontrol.evidence.files import measure
from sim.mischief import Mischief, What
from sim.scoring import scored
from sim.simfile import load_scenario, load_simfile
from sim.simulate import Options, simulate

CONFIGS = Path(__file__).parents[2] / "configs"

pytestmark = pytest.mark.slow


def played(folder: Path, links: str = "mem", *mischief: Mischief) -> dict[str, Any]:
    """The score of six trucks in the FAST lane."""
    simulation = load_simfile(CONFIGS / "sim-fast.yaml")
    scenario = load_scenario(simulation.scenario).model_copy(update={"vehicles": 6, "mischief": mischief})
    options = Options(simulation, scenario, seed=7, speed=None, links=links, state=folder)
    return scored(simulate(options, None), 7).to_plain()


def test_plates_of_cameras_that_push_go_to_their_vehicles_with_their_pictures(tmp_path: Path) -> None:
    score = played(tmp_path, "tcp")
    assert score["passages"]["complete"] == 6
    plates = score["plates"]
    assert plates["bound"] >= 10, "a front and a rear plate of each truck, but for those not read"
    assert plates["misassigned"] == plates["orphan"] == plates["ambiguous"] == 0
    assert score["events"]["lost"] == score["events"]["out_of_order"] == 0
    assert measure(tmp_path / "store-07" / "evidence").pictures >= 10


def test_a_bad_day_of_the_cameras_harms_no_lane(tmp_path: Path) -> None:
    faults = [
        Mischief(device=device, what=what, at_s=40.0 + 30.0 * number, for_s=30.0, share=0.001)
        for number, what in enumerate((What.DROP, What.GARBLE, What.FREEZE, What.DUPLICATE, What.REFUSE, What.DELAY))
        for device in ("lpr1", "lpr2")
    ]
    score = played(tmp_path, "mem", *faults)
    assert score["passages"]["complete"] == 6
    assert score["plates"]["misassigned"] == 0
    assert score["plates"]["bound"] >= 4, "when there is no fault, and many a time in spite of one"
    assert score["events"]["lost"] == score["events"]["out_of_order"] == 0
