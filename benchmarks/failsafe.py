"""`./lane bench failsafe`: every disturbance in every state of the lane, and how long until the outputs were safe.

The daemon is a process, devices and broker are served from here, and an independent client (pymodbus) reads the
module's coils every 20 ms: the signal's and the gate's in eight states of the lane, the scanner's in four of a scan.
Takes some seven minutes; exits 1 if something was not safe within the watchdog's time.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack
from functools import partial
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "e2e"))

from failsafe_matrix import DISTURBANCES, STATES, FullDisk, NoDisk, Reach, Seen, all_seen, small_disk
from failsafe_rig import Rig, rig
from failsafe_scanner import SCANNER_STATES, ScannerRig
from failsafe_watch import WATCHDOG_S

PARTS: dict[str, tuple[type[Rig], Mapping[str, Reach]]] = {
    "lane": (Rig, STATES),
    "scanner": (ScannerRig, SCANNER_STATES),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="./lane bench failsafe", description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=list(DISTURBANCES), help="only this disturbance; repeat")
    parser.add_argument("--part", choices=PARTS, help="only this")
    parser.add_argument("--json", action="store_true", help="JSON on stdout, one object a line")
    options = parser.parse_args()
    wrong = False
    for part in [options.part] if options.part else PARTS:
        kind, ways = PARTS[part]
        seen = asyncio.run(measured(options.only or list(DISTURBANCES), kind, ways))
        if options.json:
            for each in seen:
                print(json.dumps(dataclasses.asdict(each)))
        else:
            print_table(seen, list(ways))
        wrong = wrong or any(each.wrong for each in seen)
    return 1 if wrong else 0


async def measured(names: list[str], kind: type[Rig], ways: Mapping[str, Reach]) -> list[Seen]:
    seen: list[Seen] = []
    for name in names:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lanecontrol-failsafe-")))
            try:
                disk = stack.enter_context(small_disk(folder / "disk")) if name == FullDisk.name else None
            except NoDisk:
                print(f"{name}: left out: only root can mount a small disk", file=sys.stderr)
                continue
            plan = {state: [DISTURBANCES[name]] for state in ways}
            seen += await all_seen(partial(made, folder, disk, kind, count()), plan, ways, say)
    return seen


def made(folder: Path, disk: Path | None, kind: type[Rig], number: Iterator[int]) -> AbstractAsyncContextManager[Rig]:
    """A lane of its own, with nothing kept from another one."""
    own = f"lane{next(number)}"
    (folder / own).mkdir()
    return rig(folder / own, disk and disk / own, kind)


def say(seen: Seen) -> None:
    again = f" (not looked for {seen.gap_ms:.0f} ms: again)" if seen.says_nothing else ""
    print(f"{seen.disturbance}: {seen.state}: {cell(seen)}{again}", file=sys.stderr, flush=True)


def cell(seen: Seen) -> str:
    """`stayed safe`, `869 ms`, what a standing permission is, or what is wrong."""
    if seen.wrong:
        return f"WRONG: {seen.wrong}"
    if seen.safe_after_ms is None:
        return "WRONG"
    if seen.safe_after_ms:
        return f"{seen.safe_after_ms:.0f} ms"
    stands = [name for name in seen.unsafe_before if seen.after[name] == seen.before[name]]
    return f"stands: {', '.join(stands)}" if stands else "stayed safe"


def print_table(seen: list[Seen], states: list[str]) -> None:
    names = list(dict.fromkeys(each.disturbance for each in seen))
    cells = {(each.disturbance, each.state): cell(each) for each in seen}
    widths = [max(len(name), *(len(cells.get((name, state), "-")) for state in states)) for name in names]
    first = max(map(len, states))
    heads = (name.ljust(width) for name, width in zip(names, widths, strict=True))
    print("  ".join((" " * first, *heads)).rstrip())
    for state in states:
        row = (cells.get((name, state), "-").ljust(width) for name, width in zip(names, widths, strict=True))
        print("  ".join((state.ljust(first), *row)).rstrip())
    fallen = [each.safe_after_ms for each in seen if each.safe_after_ms]
    print(f"\nfrom the disturbance until every output was safe, at worst {max(fallen, default=0):.0f} ms;", end=" ")
    print(f"the module's watchdog: {WATCHDOG_S * 1000:.0f} ms; looked at every 20 ms, at worst after", end=" ")
    print(f"{max((each.gap_ms for each in seen), default=0):.0f} ms")
    conflicts, wrong = sum(each.conflicts for each in seen), sum(bool(each.wrong) for each in seen)
    print(f"green and red together: {conflicts} looks; wrong: {wrong}")
    print(f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    sys.exit(main())
