"""`./lane bench tracking`: whose reading is whose, over many simulated vehicles, beside the figures that are required.

Every scenario of the table is played several times, each with another seed, by typed readings (`lanecontrol sim
--typed`). Prints one row per scenario, what a step of the lane core costs, and vehicles per second of processor time.
Exits 1 when a figure is missed. `--day` also plays a day and a night in one go, tells the cost hour by hour, and
replays its recording. All of it is processor time of one process; `--jobs` only shares out the scenarios.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from _tracking_bound import shared
from _tracking_day import SLICE_INPUTS, Day, Inputs, Slice, play_day, stepped

from lanecontrol.lane.step import initial
from sim.received import Received
from sim.score import Run, rates, score
from sim.score_file import Score
from sim.simfile import load_scenario, load_simfile
from sim.simulate import EPOCH_UTC_S
from sim.typed_run import TypedRun

ROOT = Path(__file__).parent.parent
STEP_LIMIT_US = 20.0
VEHICLES_PER_S = 200.0
REPLAY_LIMIT_S = 90.0
DEGRADED_LIMIT = 0.99
TROUBLE_STANDS_S = 720.0
"""Both loops of the scenario are in trouble from 600 s on; two minutes later the lane has to have noticed."""
FLAT = 1.25
"""The dearest hour of a day may cost so many times the mean of all, beside the yardstick."""


@dataclass(frozen=True)
class Required:
    """What a scenario has to reach: the columns of `sim.score.rates`, and alarms missed is always 0."""

    scenario: str
    passages: float
    misassigned: float
    unsure: float
    extra: float


TABLE = (
    Required("clean", 0.0, 0.0, 1.0, 0.0),
    Required("saturated", 0.5, 1.0, 2.0, 1.0),
    Required("wrong_zone", 0.5, 2.0, 3.0, 1.0),
    Required("tailgating", 2.0, 5.0, 4.0, 5.0),
    Required("backouts", 2.0, 5.0, 4.0, 5.0),
    Required("loop_trouble", 10.0, 10.0, 8.0, 10.0),
    Required("all_at_once", 15.0, 15.0, 10.0, 15.0),
)
ABREAST = "abreast"


@dataclass
class Played:
    """One run, or several added up."""

    vehicles: int = 0
    cpu_s: float = 0.0
    slices: list[Slice] = field(default_factory=list)
    passages: Counter[str] = field(default_factory=Counter)
    readings: Counter[str] = field(default_factory=Counter)
    alarms: Counter[str] = field(default_factory=Counter)
    doubted: int = 0
    closed: int = 0
    shared: int = 0
    """Vehicles in one occupancy with another's alarm: by occupancy nobody can clear them."""

    def add(self, other: Played) -> None:
        for name in ("vehicles", "cpu_s", "slices", "doubted", "closed", "shared"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("passages", "readings", "alarms"):
            getattr(self, name).update(getattr(other, name))

    def rates(self) -> dict[str, float]:
        total = Score(vehicles=self.vehicles)
        for part in ("passages", "readings", "alarms"):
            for name, count in getattr(self, part).items():
                setattr(getattr(total, part), name, count)
        return rates(total)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./lane bench tracking", description=__doc__.splitlines()[0])
    parser.add_argument("--vehicles", type=int, default=500, help="in each run (500)")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each scenario (3)")
    parser.add_argument("--first-seed", type=int, default=101, help="seeds count up from here (101)")
    parser.add_argument("--scenario", action="append", help="only these: a name of the table, or a scenario file")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    parser.add_argument("--day", action="store_true", help="also 24 hours in one go, 300 vehicles an hour")
    parser.add_argument("--hours", type=float, default=24.0, help="another length of that day (24)")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    options = parser.parse_args()
    wanted = options.scenario or [*(row.scenario for row in TABLE), ABREAST]
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    jobs = [(name, options.vehicles, seed) for name in wanted for seed in seeds]
    totals: dict[str, Played] = {name: Played() for name in wanted}
    with ProcessPoolExecutor(options.jobs) as pool:
        for (name, _, _), played in zip(jobs, pool.map(play, *zip(*jobs, strict=True)), strict=True):
            totals[name].add(played)
    missed = [why for name, total in totals.items() for why in judge(name, total)]
    day = play_day(options.hours) if options.day else None
    missed += judge_day(day)
    if options.json:
        report = {name: {**asdict(total), **total.rates()} for name, total in totals.items()}
        whole = asdict(day) if day is not None else None
        print(json.dumps({"scenarios": report, "day": whole, "missed": missed}, indent=1))
    else:
        show(totals, day, missed)
    return 1 if missed else 0


# --- playing ---------------------------------------------------------------------------------------------------------


def play(name: str, vehicles: int, seed: int) -> Played:
    """One run of a scenario."""
    path = Path(name) if name.endswith(".yaml") else ROOT / "configs" / "scenarios" / f"{name}.yaml"
    scenario = load_scenario(path).model_copy(update={"vehicles": vehicles, "duration_s": None})
    run = TypedRun(load_simfile(ROOT / "configs" / "sim.yaml"), scenario, seed)
    began = time.process_time()
    with Inputs() as inputs:
        run.play()
    cpu_s = time.process_time() - began
    slices = stepped(run.setup, initial(run.setup), inputs.taken)
    result = score({run.address.root: run.world.truth}, run.received, Run(utc_at_zero_s=EPOCH_UTC_S))
    closed = qualities(run.received)
    return Played(
        vehicles=result.vehicles,
        cpu_s=cpu_s,
        slices=slices,
        passages=Counter(asdict(result.passages)),
        readings=Counter(asdict(result.readings)),
        alarms=Counter(asdict(result.alarms)),
        doubted=sum(quality != "GOOD" for quality in closed),
        closed=len(closed),
        shared=shared(run.world.truth),
    )


def qualities(received: Sequence[Received]) -> list[str]:
    """What the lane said of its own matching, passage by passage, once the trouble stood."""
    closed = [one.event["data"] for one in received if one.name == "passage_closed"]
    return [data["quality"] for data in closed if data["closed_utc_s"] - EPOCH_UTC_S > TROUBLE_STANDS_S]


# --- judging and showing ---------------------------------------------------------------------------------------------


def judge(name: str, total: Played) -> list[str]:
    """What is missed, in words."""
    figures = total.rates()
    if name == ABREAST:
        sure = total.readings["bound"]
        merged = total.passages["merged"]
        flagged = total.readings["ambiguous"] >= 1.9 * merged > 0
        return [] if flagged else [f"{name}: {sure} readings bound for sure with {merged} pairs side by side"]
    row = next((row for row in TABLE if row.scenario == name), None)
    if row is None:
        return []
    limits = (row.passages, row.misassigned, row.unsure, row.extra)
    missed = [
        f"{name}: {what} {figure:.2f}, required {limit:g}"
        for (what, figure), limit in zip(figures.items(), limits, strict=True)
        if figure > limit
    ]
    if total.alarms["missed"]:
        missed.append(f"{name}: {total.alarms['missed']} alarms missed")
    if name == "loop_trouble" and total.doubted < DEGRADED_LIMIT * total.closed:
        missed.append(f"{name}: only {total.doubted} of {total.closed} passages said DEGRADED")
    return missed


def judge_day(day: Day | None) -> list[str]:
    if day is None:
        return []
    mean = sum(day.hours_beside) / len(day.hours_beside)
    missed = []
    if max(day.hours_beside) > FLAT * mean:
        missed.append(f"a day: {max(day.hours_beside)} us for a yardstick's second in one hour, {mean:.1f} in the mean")
    if day.replay_s > REPLAY_LIMIT_S or not day.identical:
        missed.append(f"a day: replayed in {day.replay_s} s, identical: {day.identical}")
    return missed


def show(totals: dict[str, Played], day: Day | None, missed: Sequence[str]) -> None:
    print(f"{'':14}{'vehicles':>9}  {'merged+split+missed':>20}  {'misassigned':>14}  {'ambig.+orphan':>14}", end="")
    print(f"  {'alarms missed':>13}  {'anothers alarm':>14}  {'DEGRADED':>8}  {'one occ.':>9}")
    print(f"{'':14}{'':>9}  {'per 1,000 vehicles':>20}  {'per 1,000':>14}  {'%':>14}  {'':>13}  {'per 1,000':>14}")
    for name, total in totals.items():
        row = next((row for row in TABLE if row.scenario == name), None)
        limits = (row.passages, row.misassigned, row.unsure, row.extra) if row is not None else (None,) * 4
        cells = [cell(value, limit) for value, limit in zip(total.rates().values(), limits, strict=True)]
        said = f"{100 * total.doubted / max(1, total.closed):.0f} %"
        print(f"{Path(name).stem:14}{total.vehicles:>9}  {cells[0]:>20}  {cells[1]:>14}  {cells[2]:>14}", end="")
        print(
            f"  {total.alarms['missed']:>13}  {cells[3]:>14}  {said:>8}  {1000 * total.shared / total.vehicles:>9.2f}"
        )
    everything = Played()
    for total in totals.values():
        everything.add(total)
    show_step(everything)
    rate = everything.vehicles / max(0.001, everything.cpu_s)
    print(f"vehicles per second of processor time: {rate:.0f} (required {VEHICLES_PER_S:g} on a free machine)")
    if day is not None:
        print("us per input, hour by hour: " + " ".join(f"{hour:g}" for hour in day.hours_us))
        print("us for each second of the yardstick: " + " ".join(f"{hour:g}" for hour in day.hours_beside))
        print(f"replay of {day.vehicles} vehicles, {day.inputs} inputs: {day.replay_s} s (required {REPLAY_LIMIT_S:g})")
    print("\n".join(f"MISSED {why}" for why in missed) or "every count is within its figure")


def show_step(played: Played) -> None:
    """What a step costs, how that went up and down with the machine, and what the yardstick did meanwhile."""
    parts = played.slices
    whole = Slice(sum(part.inputs for part in parts), sum(part.step_s for part in parts), 0.0)
    costs, yards = sorted(part.step_us for part in parts), sorted(part.yardstick_s for part in parts)
    print(f"\n{played.vehicles} vehicles, {whole.inputs} inputs")
    print(f"step: {whole.step_us:.1f} us of processor time per input (required {STEP_LIMIT_US:g} on a free machine);")
    print(f"      by parts of some {SLICE_INPUTS} inputs {at(costs, 0.1):.1f} (a tenth of them cost less) to", end=" ")
    print(f"{at(costs, 0.9):.1f} (nine tenths),")
    print(f"      yardstick meanwhile {at(yards, 0.1):.2f} to {at(yards, 0.9):.2f} s (0.25 on a free core of 2024)")


def at(ordered: Sequence[float], share: float) -> float:
    return ordered[int(share * (len(ordered) - 1))]


def cell(value: float, limit: float | None) -> str:
    return f"{value:.2f}" if limit is None else f"{value:.2f} (<= {limit:g})"


if __name__ == "__main__":
    sys.exit(main())
