"""How much of the disk a passage takes, and what 35 days of a busy lane come to.

The whole simulated lane runs with its usual devices and keeps its store; what a few vehicles more add is what counts,
so that the empty store neither flatters nor spoils the figure.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from _delivery_rates import Tell

BUSY_PER_HOUR = 300
"""Vehicles an hour through one booth, all day and all night: more than any port keeps up."""
KEPT_DAYS = 35
LANECONTROL = "import sys; from lanecontrol.cli import main; sys.exit(main())"


@dataclass(frozen=True, slots=True)
class Size:
    """What a vehicle leaves behind in the ledger."""

    events: float
    bytes_: float

    @property
    def kept_gib(self) -> float:
        return self.bytes_ * BUSY_PER_HOUR * 24 * KEPT_DAYS / 2**30


def size(folder: Path, vehicles: int, tell: Tell) -> Size:
    """The ledger after so many vehicles and after three times as many."""
    few, many = (_kept(folder / str(count), count, tell) for count in (vehicles, 3 * vehicles))
    return Size((many[0] - few[0]) / (2 * vehicles), (many[1] - few[1]) / (2 * vehicles))


def _kept(folder: Path, vehicles: int, tell: Tell) -> tuple[int, int]:
    report = folder / "report.json"
    folder.mkdir(parents=True)
    command = [sys.executable, "-c", LANECONTROL, "sim", "--speed", "max", "--links", "mem", "--quiet", "--seed", "3"]
    command += ["--vehicles", str(vehicles), "--state", str(folder / "state"), "--report", str(report)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=1800)
    events = json.loads(report.read_text())["events"]["recorded"]
    kept = sum(each.stat().st_size for each in folder.glob("state/**/ledger.db*"))
    tell(f"  {vehicles} vehicles: {events:,} events, ledger of {kept / 2**20:.2f} MiB")
    return events, kept
