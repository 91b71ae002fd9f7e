"""`./lane bench queues`: the lane's estimate of its queue, held against who really waited in the simulated world.

Each row is played several times, each with another seed, by typed readings, with a window of a minute instead of a
quarter of an hour so that there are many estimates. Exits 1 when an interval that claims nine cases out of ten holds
fewer, or when "at least so many" was wrong. Also recounts every run from its events: 1 when a figure differs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lanecontrol.announcements import Announcement
from lanecontrol.lane.recount import Told, recount
from sim.score import Run, score
from sim.simfile import Simulation, load_scenario, load_simfile
from sim.simulate import EPOCH_UTC_S
from sim.typed_run import TypedRun
from sim.world.scenario import Scenario

ROOT = Path(__file__).parent.parent
WINDOW_S = 60.0
COVERED = 0.9
ROWS: tuple[tuple[str, float | None], ...] = (("clean", None), ("clean", 345.0), ("clean", 375.0), ("saturated", None))
"""Scenario, and vehicles per hour where they are not the scenario's own. This booth can do about 370."""


@dataclass(frozen=True)
class Row:
    scenario: str
    per_h: float
    figures: Counter[str]
    differing: int
    """Windows that came out otherwise when recounted."""

    @property
    def good(self) -> bool:
        found = self.figures
        return (
            found["covered"] >= COVERED * found["estimates"]
            and found["at_least_held"] == found["at_least"]
            and not self.differing
        )

    def cells(self) -> list[str]:
        found = self.figures
        count = max(1, found["estimates"])
        return [
            self.scenario,
            f"{self.per_h:.0f}",
            str(found["windows"]),
            str(found["estimates"]),
            f"{100 * found['covered'] / count:.1f} %" if found["estimates"] else "-",
            f"{found['waiting_sum'] / count:.2f}",
            f"{found['error_sum'] / count:.2f}",
            f"{found['bias_sum'] / count:+.2f}",
            f"{found['width_sum'] / count:.1f}",
            str(found["at_least"]),
            str(found["at_least_held"]),
            str(self.differing),
        ]


HEADS = (
    "scenario",
    "per hour",
    "windows",
    "estimates",
    "covered",
    "really waiting",
    "error",
    "bias",
    "width",
    "at least",
    "held",
    "recounted otherwise",
)


class Recorded(TypedRun):
    """Keeps every announcement and its moment, as a ledger does."""

    def __init__(self, simulation: Simulation, scenario: Scenario, seed: int) -> None:
        super().__init__(simulation, scenario, seed)
        self.told: list[Told] = []

    def _publish(self, announcement: Announcement) -> None:
        self.told.append(Told(round(EPOCH_UTC_S + self.world.now_s, 6), announcement))
        super()._publish(announcement)


def played(scenario: str, per_h: float | None, seeds: Sequence[int], vehicles: int) -> Row:
    wanted = load_scenario(ROOT / "configs" / "scenarios" / f"{scenario}.yaml")
    traffic = wanted.traffic if per_h is None else wanted.traffic.model_copy(update={"vehicles_per_h": per_h})
    wanted = wanted.model_copy(update={"vehicles": vehicles, "traffic": traffic})
    figures: Counter[str] = Counter()
    differing = 0
    for seed in seeds:
        run = Recorded(load_simfile(ROOT / "configs" / "sim.yaml"), wanted, seed)
        run.setup = replace(run.setup, limits=replace(run.setup.limits, numbers_window_s=WINDOW_S))
        run.play()
        result = score({run.address.root: run.world.truth}, run.received, Run(utc_at_zero_s=EPOCH_UTC_S))
        figures.update(asdict(result.queues))
        differing += sum(bool(one.differences) or one.published is None for one in recount(run.told, WINDOW_S))
    return Row(scenario, traffic.vehicles_per_h, figures, differing)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./lane bench queues", description=__doc__)
    parser.add_argument("--vehicles", type=int, default=200, help="of each run (200)")
    parser.add_argument("--seeds", type=int, default=4, help="runs of each row (4)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [played(name, per_h, range(1, options.seeds + 1), options.vehicles) for name, per_h in ROWS]
    if options.json:
        for row in rows:
            print(json.dumps({**asdict(row), "good": row.good}))
    else:
        print("| " + " | ".join(HEADS) + " |")
        print("|" + "---|" * len(HEADS))
        for row in rows:
            print("| " + " | ".join(row.cells()) + " |")
    return 0 if all(row.good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
