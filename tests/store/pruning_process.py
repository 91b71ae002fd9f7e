"""A process that forgets all that a store may forget, and ends: to be killed by a test.

Argument: the store's path. A line on standard output for each gap that was recorded before its events went.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from lanecontrol.ledger import Entry, Ledger
from lanecontrol.ledger.retention import Gap, Keep, forget

KEEP = Keep(days=10, size_bytes=60_000, droppable=("telemetry",), shares={"telemetry": 0.1})
NOW_S = 100 * 86_400.0


async def main(path: Path) -> None:
    async with await Ledger.open(path) as ledger:

        async def tell(gap: Gap) -> None:
            numbers = f"{gap.first_seq} {gap.last_seq} {gap.count}".encode()
            await ledger.append([Entry(ledger.next_seq, "store", "gap", NOW_S, numbers)])
            os.write(1, numbers + b"\n")

        await forget(ledger, KEEP, NOW_S, tell)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
