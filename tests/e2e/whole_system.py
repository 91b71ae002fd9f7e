"""What the end-to-end tests share: the shipped simulation, `lanecontrol` as a process, and what a score must say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from sim.scoring import scored
from sim.simfile import Simulation, load_scenario, load_simfile
from sim.simulate import Options, Report, simulate
from sim.world.scenario import Scenario

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
LANECONTROL = (sys.executable, "-c", "import sys; from lanecontrol.cli import main; sys.exit(main())")
LIMIT_S = 180.0
"""A process that has not ended by then hangs; none of these takes a third of it on a busy machine."""


def shipped() -> Simulation:
    return load_simfile(CONFIGS / "sim.yaml")


def scenario(name: str = "demo", **changes: Any) -> Scenario:
    """A shipped scenario, with some of its keys replaced."""
    return load_scenario(CONFIGS / "scenarios" / f"{name}.yaml").model_copy(update=changes)


def in_memory(wanted: Scenario, seed: int = 7, **options: Any) -> Report:
    """A whole run in this process, on memory links and a virtual clock."""
    return simulate(Options(shipped(), wanted, seed=seed, links="mem", **options))


def lanecontrol(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    command = [*LANECONTROL, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False, **options)


def score_of(report: Report, seed: int = 7) -> dict[str, Any]:
    """The score as its file would have it."""
    score: dict[str, Any] = json.loads(json.dumps(scored(report, seed).to_plain()))
    return score


def mistakes(score: dict[str, Any]) -> dict[str, int]:
    """Every error count of a score that is not 0. What was ambiguous or orphaned is no error but a share."""
    passages, readings, alarms, events = (score[key] for key in ("passages", "readings", "alarms", "events"))
    counts = {
        **{name: count for name, count in passages.items() if name != "complete"},
        "misassigned": readings["misassigned"],
        **{f"alarms {name}": alarms[name] for name in ("missed", "false", "extra_vehicles")},
        **{f"events {name}": events[name] for name in ("lost", "duplicated", "out_of_order", "differing")},
    }
    return {name: count for name, count in counts.items() if count}


def unsettled_share(score: dict[str, Any]) -> float:
    """Readings that were left ambiguous or belong to nobody, as a part of all."""
    readings = score["readings"]
    unsettled: int = readings["ambiguous"] + readings["orphan"]
    settled: int = readings["bound"] + readings["misassigned"]
    return unsettled / max(1, unsettled + settled)
