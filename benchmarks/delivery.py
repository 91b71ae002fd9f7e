"""`./lane bench delivery`: how fast and how safely events reach the port, each figure beside its rival in the same run.

Rates swing with the machine; what counts are ratios from rounds in turn, and counts of what was lost. Needs mosquitto.
Takes about a quarter of an hour; `--only` picks parts. Exits 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from _brokers import program
from _delivery_kills import Fate, kill_at_every_call, kill_series, tracer
from _delivery_rates import backlog, careful_bridge, throughput
from _delivery_returns import first_events, flapping
from _delivery_size import BUSY_PER_HOUR, KEPT_DAYS, size

from lanecontrol.port.drain import REPEAT_LIMIT

STATED_GIB = 10
"""`limit_gib` where the lane file says nothing else."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of the table; `met` is None for what is only told."""

    what: str
    target: str
    measured: str
    met: bool | None = None


def rate(folder: Path, options: argparse.Namespace) -> list[Figure]:
    found = throughput(folder, options.rounds, options.events, tell)
    ratio = statistics.median(found.ratios)
    cpu = statistics.median(found.ours_cpu_us), statistics.median(found.rival_cpu_us)
    return [
        Figure("confirmed durable and acknowledged, per s", "", f"{statistics.median(found.ours):,.0f}"),
        Figure("aiomqtt publishing without a store, per s", "", f"{statistics.median(found.rival):,.0f}"),
        Figure("ratio, median of rounds", ">= 1 (aim 2)", _spread(found.ratios), ratio >= 1),
        Figure("processor time per event, us: ours, aiomqtt", "", f"{cpu[0]:.0f}, {cpu[1]:.0f}"),
        Figure("events lost", "0", str(found.lost), found.lost == 0),
    ]


def drain(folder: Path, options: argparse.Namespace) -> list[Figure]:
    tell("  the broker as broker-profile sets it up (window 200):")
    found = backlog(folder / "profile", options.drain_rounds, options.backlog, tell)
    ours, cap = statistics.median(found.ours), statistics.median(found.cap)
    fastest = max(*found.ours, *found.bridge)
    cpu = statistics.median(found.ours_cpu_us), statistics.median(found.bridge_cpu_us)
    figures = [
        Figure(f"backlog of {options.backlog:,} drained, per s", "", f"{ours:,.0f}"),
        Figure("mosquitto's bridge, per s", "", f"{statistics.median(found.bridge):,.0f}"),
        Figure("ratio, median of rounds", ">= 0.9", _spread(found.ratios), statistics.median(found.ratios) >= 0.9),
        Figure("the subscriber alone, per s", "above both", f"{cap:,.0f}", min(found.cap) > fastest),
        Figure("memory grown by, MiB", "within 20", f"{max(found.grown_mib):.1f}", max(found.grown_mib) <= 20),
        Figure("processor time per event, us: ours, local broker", "", f"{cpu[0]:.0f}, {cpu[1]:.0f}"),
        Figure("events lost: ours, bridge", "0", f"{found.missing}, {found.bridge_missing}", found.missing == 0),
    ]
    if options.careful:
        tell("  a bridge that writes its store after each change:")
        per_s = careful_bridge(folder, options.careful)
        figures.append(Figure(f"such a bridge takes in, of {options.careful:,}, per s", "", f"{per_s:,.0f}"))
    if options.default_window:
        tell("  the broker as mosquitto comes (window 20):")
        usual = backlog(folder / "usual", options.default_window, options.backlog, tell, ())
        figures.append(Figure("ratio where the broker takes 20 at once", "", _spread(usual.ratios)))
    return figures


def kills(folder: Path, options: argparse.Namespace) -> list[Figure]:
    half = (options.kills + 1) // 2
    figures = []
    for bridge in (False, True):
        for outage in (False, True):
            here = folder / f"{bridge}-{outage}"
            fate = kill_series(here, half, options.seed, outage=outage, tell=tell, bridge_lines_=bridge)
            figures.append(_fate(fate, told_only=bridge))
    return figures


def _fate(fate: Fate, told_only: bool) -> Figure:
    bound = fate.kills * REPEAT_LIMIT
    measured = f"{fate.lost:,} lost of {len(fate.confirmed):,}, {fate.repeated:,} repeated, {fate.differing} altered"
    good = fate.lost == 0 and fate.differing == 0 and fate.repeated <= bound
    target = "" if told_only else f"0 lost, 0 altered, repeated <= {REPEAT_LIMIT} a kill"
    return Figure(f"{fate.kills} SIGKILLs: {fate.name}", target, measured, None if told_only else good)


def passage(folder: Path, options: argparse.Namespace) -> list[Figure]:
    if tracer() is None:
        return [Figure("SIGKILL at each call of a passage", "0 lost", "strace is not here, or may not trace", False)]
    figures = []
    for call, outage in (("fdatasync", False), ("sendto", False), ("fdatasync", True)):
        fate = kill_at_every_call(folder / f"{call}-{outage}", call, outage=outage, step=options.step, tell=tell)
        figures.append(_fate(fate, told_only=False))
    return figures


def back(folder: Path, options: argparse.Namespace) -> list[Figure]:
    found = first_events(folder, options.outages, options.outage, tell)
    return [
        Figure("first event after an outage, s", "<= 1", _spread(found.ours), max(found.ours) <= 1.0),
        Figure("mosquitto's bridge, s", "", _spread(found.bridge)),
    ]


def flap(folder: Path, options: argparse.Namespace) -> list[Figure]:
    found = flapping(folder, options.windows, options.seed, tell)
    used = sum(count > 0 for _, count in found)
    return [
        Figure("windows of a flapping link (0.2 to 5 s) used", "all", f"{used} of {len(found)}", used == len(found))
    ]


def kept(folder: Path, options: argparse.Namespace) -> list[Figure]:
    found = size(folder, options.vehicles, tell)
    what = f"{KEPT_DAYS} days of {BUSY_PER_HOUR} vehicles an hour, GiB"
    return [
        Figure("ledger, per vehicle", "", f"{found.events:.1f} events, {found.bytes_ / 1024:.1f} KiB"),
        Figure(what, f"<= {STATED_GIB} (limit_gib)", f"{found.kept_gib:.1f}", found.kept_gib <= STATED_GIB),
    ]


PARTS: dict[str, Callable[[Path, argparse.Namespace], list[Figure]]] = {
    "rate": rate,
    "drain": drain,
    "kills": kills,
    "passage": passage,
    "return": back,
    "flap": flap,
    "size": kept,
}


def main() -> int:
    options = _options()
    if program() is None:
        print("mosquitto is not installed (Debian package mosquitto)", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    for name in options.only or PARTS:
        tell(f"{name}:")
        with tempfile.TemporaryDirectory(prefix=f"lanecontrol-{name}-") as folder:
            figures += PARTS[name](Path(folder), options)
    print()
    for each in figures:
        verdict = {None: "", True: "met", False: "NOT MET"}[each.met]
        print(f"{each.what:50}{each.measured:52}{each.target:44}{verdict}")
    return 1 if any(each.met is False for each in figures) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./lane bench delivery", description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=PARTS, help="this part only; may be given again")
    parser.add_argument("--rounds", type=int, default=7, help="of the rates, each with our lane and its rival (7)")
    parser.add_argument("--events", type=int, default=10_000, help="in each such round (10000)")
    parser.add_argument("--drain-rounds", type=int, default=3, help="of draining a backlog (3)")
    parser.add_argument("--backlog", type=int, default=100_000, help="events that wait (100000)")
    parser.add_argument("--careful", type=int, default=2000, help="events into a bridge that writes each (2000)")
    parser.add_argument("--default-window", type=int, default=1, help="rounds of it with mosquitto's own window (1)")
    parser.add_argument("--kills", type=int, default=300, help="of our lane, and as many of the bridge (300)")
    parser.add_argument("--outages", type=int, default=5, help="after which the first event is waited for (5)")
    parser.add_argument("--outage", type=float, default=6.0, help="seconds that each lasts, and up to one more (6)")
    parser.add_argument("--windows", type=int, default=12, help="in which a flapping link is up (12)")
    parser.add_argument("--vehicles", type=int, default=100, help="and thrice as many, for the ledger's size (100)")
    parser.add_argument("--step", type=int, default=1, help="of a passage's system calls kill at each n-th (1)")
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def tell(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
