"""`./lane bench failsafe`: every disturbance in every state of the lane, and how long until the outputs were safe.

The daemon is a process, devices and broker are served from here, and an independent client (pymodbus) reads the
module's coils every 20 ms. Takes some four minutes; exits 1 if something was not safe within the watchdog's time.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "e2e"))

from failsafe_matrix import DISTURBANCES, STATES, FullDisk, NoDisk, Seen, disturbed, small_disk
from failsafe_rig import WATCHDOG_S, rig


def main() -> int:
    parser = argparse.ArgumentParser(prog="./lane bench failsafe", description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=list(DISTURBANCES), help="only this disturbance; repeat")
    parser.add_argument("--json", action="store_true", help="JSON on stdout, one object a line")
    options = parser.parse_args()
    seen = asyncio.run(measured(options.only or list(DISTURBANCES)))
    if options.json:
        for each in seen:
            print(json.dumps(dataclasses.asdict(each)))
    else:
        print_table(seen)
    return 1 if any(each.wrong for each in seen) else 0


async def measured(names: list[str]) -> list[Seen]:
    seen: list[Seen] = []
    for name in names:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lanecontrol-failsafe-")))
            try:
                store = stack.enter_context(small_disk(folder / "disk")) if name == FullDisk.name else None
            except NoDisk:
                print(f"{name}: left out: only root can mount a small disk", file=sys.stderr)
                continue
            async with rig(folder, store) as lane:
                async for each in disturbed(lane, DISTURBANCES[name], list(STATES)):
                    print(f"{name}: {each.state}: {cell(each)}", file=sys.stderr, flush=True)
                    seen.append(each)
    return seen


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


def print_table(seen: list[Seen]) -> None:
    names = list(dict.fromkeys(each.disturbance for each in seen))
    cells = {(each.disturbance, each.state): cell(each) for each in seen}
    widths = [max(len(name), *(len(cells.get((name, state), "-")) for state in STATES)) for name in names]
    first = max(map(len, STATES))
    heads = (name.ljust(width) for name, width in zip(names, widths, strict=True))
    print("  ".join((" " * first, *heads)).rstrip())
    for state in STATES:
        row = (cells.get((name, state), "-").ljust(width) for name, width in zip(names, widths, strict=True))
        print("  ".join((state.ljust(first), *row)).rstrip())
    fallen = [each.safe_after_ms for each in seen if each.safe_after_ms]
    print(f"\nfrom the disturbance until every output was safe, at worst {max(fallen, default=0):.0f} ms;", end=" ")
    print(f"the module's watchdog: {WATCHDOG_S * 1000:.0f} ms; looked at every 20 ms")
    conflicts, wrong = sum(each.conflicts for each in seen), sum(bool(each.wrong) for each in seen)
    print(f"green and red together: {conflicts} looks; wrong: {wrong}")
    print(f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    sys.exit(main())
