"""`./lane bench idle`: how long `lanecontrol run` takes to be ready, and what it weighs with nothing to do.

The shipped SENTRI lane, with fake devices and a broker in this process; READY is taken from systemd's own socket.
Memory is the process's resident set, some seconds after READY, beside that of an interpreter that does nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "e2e"))

from served_lane import served_lane

READY_LIMIT_S = 1.0
MEMORY_LIMIT_MB = 60.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="./lane bench idle", description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=5, help="how often it is started (5)")
    parser.add_argument("--settle", type=float, default=5.0, metavar="S", help="idle before memory is read (5)")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed daemon has its byte code
    asyncio.run(one_start(0.0))  # writes it, and warms the disk's cache; not counted
    starts = [asyncio.run(one_start(options.settle if last else 0.0)) for last in last_only(options.starts)]
    ready_s, memory_mb = statistics.median(start.ready_s for start in starts), starts[-1].memory_mb
    for what, figure in (
        ("ready after, s, median", f"{ready_s:.2f}"),
        ("ready after, s, each", ", ".join(f"{start.ready_s:.2f}" for start in starts)),
        ("processor time until then, s, least", f"{min(start.cpu_s for start in starts):.2f}"),
        ("load of the machine", f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"),
        ("resident memory idle, MB", f"{memory_mb:.1f}"),
        ("times a bare interpreter", f"{memory_mb / bare_interpreter_mb():.1f}"),
    ):
        print(f"{what:40}{figure}")
    return 1 if ready_s >= READY_LIMIT_S or memory_mb >= MEMORY_LIMIT_MB else 0


@dataclass(frozen=True, slots=True)
class Start:
    ready_s: float
    cpu_s: float
    """Processor time until READY: what the wait would be on a machine with nothing else to do."""
    memory_mb: float


def last_only(count: int) -> list[bool]:
    return [number == count - 1 for number in range(count)]


async def one_start(settle_s: float) -> Start:
    """Start the daemon, and look at its memory `settle_s` after READY."""
    with tempfile.TemporaryDirectory(prefix="lanecontrol-idle-") as folder:
        loop = asyncio.get_running_loop()
        async with served_lane(Path(folder)) as lane:
            async with asyncio.timeout(60.0):
                await lane.systemd.hears("READY=1")
            ready_s, cpu_s = loop.time() - lane.started_s, processor_s(lane.process.pid)
            await asyncio.sleep(settle_s)
            return Start(ready_s, cpu_s, resident_mb(lane.process.pid))


def processor_s(pid: int) -> float:
    """User and system time so far, from the fields 14 and 15 of proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError(f"process {pid} tells no memory")


def bare_interpreter_mb() -> float:
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        size_mb = resident_mb(child.pid)
        child.communicate(b"\n")
    return size_mb


if __name__ == "__main__":
    sys.exit(main())
