"""`./lane bench hour`: an hour of a busy lane, the whole daemon, real bytes over TCP, ledger and broker, at full speed.

300 vehicles an hour, I/O polled every 100 ms. Prints lane seconds per wall second, which is what may be compared
between machines of one kind, and the processor time of all processes together. Exits 1 above the limit.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

LIMIT_S = 60.0
"""Wall time for the hour, on two cores."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="./lane bench hour", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3600.0, help="lane time in which vehicles arrive (3600)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--links", choices=("tcp", "mem"), default="tcp")
    options = parser.parse_args()
    score = run(options)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    for what, figure in table(score, spent.ru_utime + spent.ru_stime):
        print(f"{what:40}{figure}")
    allowed_s = LIMIT_S * max(1.0, options.seconds / 3600.0)
    return 1 if score["wall_s"] > allowed_s or score["events"]["lost"] else 0


def run(options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="lanecontrol-hour-") as folder:
        report = Path(folder) / "r.json"
        arguments = ["sim", "--duration", options.seconds, "--seed", options.seed, "--links", options.links]
        arguments += ["--speed", "max", "--quiet", "--report", report]
        command = [sys.executable, "-c", "import sys; from lanecontrol.cli import main; sys.exit(main())"]
        subprocess.run([*command, *map(str, arguments)], stdout=subprocess.DEVNULL, check=True)
        score: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        return score


def table(score: dict[str, Any], cpu_s: float) -> list[tuple[str, object]]:
    wall_s, lane_s, passages = score["wall_s"], score["lane_s"], score["passages"]
    return [
        ("lane time, s", round(lane_s)),
        ("wall time, s", round(wall_s, 1)),
        ("lane seconds per wall second", round(lane_s / wall_s)),
        ("processor time, all processes, s", round(cpu_s, 1)),
        ("lane seconds per processor second", round(lane_s / cpu_s)),
        ("processor time per vehicle, ms", round(cpu_s * 1000 / max(1, score["vehicles"]))),
        ("load before and now", "{:.1f} {:.1f}".format(*os.getloadavg()[1::-1])),
        ("vehicles, passages complete", f"{score['vehicles']}, {passages['complete']}"),
        ("passages merged, split, missed", f"{passages['merged']}, {passages['split']}, {passages['missed']}"),
        ("readings bound, misassigned", f"{score['readings']['bound']}, {score['readings']['misassigned']}"),
        ("readings ambiguous, orphan", f"{score['readings']['ambiguous']}, {score['readings']['orphan']}"),
        ("alarms true, missed, false", "{true}, {missed}, {false}".format(**score["alarms"])),
        ("events recorded, lost", "{recorded}, {lost}".format(**score["events"])),
        ("decision p50, p99, ms", "{p50}, {p99}".format(**score["latency_ms"]["decision"])),
        ("delivery p50, p99, ms", "{p50}, {p99}".format(**score["latency_ms"]["delivery"])),
    ]


if __name__ == "__main__":
    sys.exit(main())
