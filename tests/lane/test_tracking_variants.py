"""Lanes with other troubles than those of the scenarios: whatever is lost, no alarm is, and nobody waits for ever."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from lanecontrol.errors import ConfigError
from sim.score_file import Score
from sim.simfile import load_scenario, load_simfile
from sim.typed_run import TypedRun, run_typed
from sim.world.scenario import Scenario

CONFIGS = Path(__file__).parents[2] / "configs"
VEHICLES = 40
CALM: dict[str, Any] = {
    "title": "many sources",
    "vehicles": VEHICLES,
    "traffic": {"vehicles_per_h": 400},
    "radiation": {"gamma_share": 0.3},
}
TROUBLES: dict[str, dict[str, Any]] = {
    "approach chatters, exit dead": {
        "loops": {"loop_approach": {"chatter_per_min": 90}, "loop_exit": {"dead": True, "from_s": 100}},
    },
    "approach chatters": {"loops": {"loop_approach": {"chatter_per_min": 60}}},
    "exit is stuck": {"loops": {"loop_exit": {"stuck": True, "from_s": 100}}},
    "booth chatters": {"loops": {"loop_booth": {"chatter_per_min": 60}}},
    "approach is stuck": {"loops": {"loop_approach": {"stuck": True, "from_s": 100}}},
    "booth misses vehicles": {"loops": {"loop_booth": {"missed_share": 0.05}}},
    "long vehicles among cars": {"traffic": {"vehicles_per_h": 250, "mix": {"car": 50, "bus": 20, "truck_semi": 30}}},
    "portal misses vehicles": {"radiation": {"gamma_share": 0.3, "missed_occupancy_share": 0.05}},
}


def scored(scenario: Scenario, seed: int) -> Score:
    return run_typed(load_simfile(CONFIGS / "sim.yaml"), scenario, seed)


@pytest.mark.slow  # a second or less each on a free machine
@pytest.mark.parametrize("trouble", TROUBLES)
def test_no_alarm_is_missed_and_everybody_gets_through(trouble: str) -> None:
    score = scored(Scenario.model_validate(CALM | TROUBLES[trouble]), seed=5)
    assert score.alarms.true > 3
    assert score.alarms.missed == 0
    assert score.vehicles == VEHICLES
    assert score.passages.missed == 0


@pytest.mark.slow
def test_a_stuck_exit_loop_is_told_and_stops_nobody() -> None:
    run = TypedRun(load_simfile(CONFIGS / "sim.yaml"), Scenario.model_validate(CALM | TROUBLES["exit is stuck"]), 10)
    run.play()
    told = [one.event["data"] for one in run.received if one.name == "quality_changed"]
    assert any(change["quality"] == "DEGRADED" and "exit" in str(change) for change in told)
    assert sum(one.name == "passage_closed" for one in run.received) == VEHICLES


def without_portal(folder: Path, *, scene: str = "  portal: null\n") -> Path:
    """The shipped simulation and its lane, from which the portal is taken out."""
    shutil.copytree(CONFIGS, folder, dirs_exist_ok=True)
    for name in ("sim.yaml", "sentri.yaml"):
        path = folder / name
        text = re.sub(r"^  portal: .*\n", scene, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for stanza in (
            r"^  rpm1:\n    kind: .*\n",
            r"^portals:\n.*\n",
            r"^  - kind: rpm.rapiscan\n    id: .*\n    url: .*\n",
        ):
            text = re.sub(stanza, "", text, flags=re.MULTILINE)
        path.write_text(text, encoding="utf-8")
    return folder / "sim.yaml"


def test_a_lane_without_a_portal_tells_its_vehicles_apart(tmp_path: Path) -> None:
    scenario = Scenario.model_validate(CALM | {"vehicles": 20, "radiation": {}})
    score = run_typed(load_simfile(without_portal(tmp_path)), scenario, seed=5)
    passages = score.passages
    assert (score.vehicles, passages.complete, passages.merged, passages.split) == (20, 20, 0, 0)
    assert score.radiation.occupancies == 0


def test_a_scene_with_a_portal_that_nobody_fakes_is_told_as_that(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="say `portal: null`"):
        load_simfile(without_portal(tmp_path, scene=""))


def test_a_fake_of_which_the_lane_knows_nothing_is_told_as_that(tmp_path: Path) -> None:
    path = without_portal(tmp_path)
    shutil.copy(CONFIGS / "sim.yaml", path)
    with pytest.raises(ConfigError, match=r"'rpm1' is no device of the lane file sentri\.yaml"):
        load_simfile(path)


def test_two_side_by_side_with_equal_strength_come_out_ambiguous() -> None:
    scenario = load_scenario(CONFIGS / "scenarios" / "abreast.yaml")
    score = scored(scenario.model_copy(update={"vehicles": VEHICLES, "duration_s": None}), seed=5)
    pairs = score.passages.merged
    assert pairs > 3
    assert score.readings.ambiguous >= 1.9 * pairs
    assert score.readings.misassigned == 0
