"""A process that appends for ever and says on standard output what is confirmed: to be killed by a test.

Arguments: the store's path, and how many appends to keep under way at once; 0 appends ten rows one by one and ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from lanecontrol.ledger import Entry, Ledger


def body(epoch: int, seq: int) -> bytes:
    return f"{epoch}-{seq} ".encode() + b"." * (seq * 37 % 3000)


async def appended(ledger: Ledger) -> None:
    seq = ledger.next_seq
    await ledger.append([Entry(seq, "passage", "k", float(seq), body(ledger.epoch, seq))], b"state %d" % seq)
    os.write(1, b"%d %d\n" % (ledger.epoch, seq))
    rows = await ledger.undelivered(limit=3)
    ledger.mark_delivered(row.position for row in rows if row.seq % 2)


async def for_ever(ledger: Ledger) -> None:
    while True:
        await appended(ledger)


async def main(path: Path, width: int) -> None:
    async with await Ledger.open(path) as ledger:
        for _ in range(10 if width == 0 else 0):
            await appended(ledger)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(width):
                tasks.create_task(for_ever(ledger))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
