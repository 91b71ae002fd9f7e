"""`lanecontrol ledger prune`: what a lane's store need not keep goes now, and not when the daemon gets round to it.

The policy is the daemon's own (`ledger.retention`): delivered rows by age and size; then, over its size, what may be
dropped, and a gap record is left. The store must be at rest: its lock says whether it is.
"""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanecontrol.cli import FAILED, GOOD, output

if TYPE_CHECKING:
    from lanecontrol.config import Loaded
    from lanecontrol.ledger.reader import Reader
    from lanecontrol.ledger.retention import Forgotten, Gap, Keep

_DAY_S = 86_400.0


def preview(loaded: Loaded, reader: Reader, days: float | None, *, as_json: bool) -> int:
    """Tell what would go for its age, and by how much the store is over its size."""
    from lanecontrol.ledger.records import START, Position

    keep, now_utc_s = _keep(loaded, days), _now_utc_s()
    last = reader.last_position()
    old = reader.last_position_before(now_utc_s - keep.days * _DAY_S, START, last + 1)
    through = Position(max(min(old, reader.delivered_through(), last - 1), 0))
    first = next((row.position for row in reader.rows(START, 1)), through + 1)
    over = max(0, reader.used_bytes() - keep.size_bytes)
    facts = {"rows": max(0, through - first + 1), "erased": _bodies_behind(reader, now_utc_s - keep.days * _DAY_S)}
    _tell(keep, now_utc_s, {**facts, "over_bytes": over}, as_json=as_json)
    return GOOD


def _bodies_behind(reader: Reader, before_utc_s: float) -> int:
    """Delivered events that are too old, and stay without their body because one before them waits."""
    from lanecontrol.ledger.retention import SPAN_ROWS

    count, after = 0, reader.delivered_through()
    while True:
        through, found = reader.delivered_bodies(after, SPAN_ROWS, SPAN_ROWS, before_utc_s)
        if through <= after:
            return count
        count, after = count + len(found), through


def prune(loaded: Loaded, path: Path, days: float | None, *, as_json: bool) -> int:
    """One round. Raises StorageError: StorageFatal when the daemon has the store."""
    from lanecontrol.service.boot import clock_synchronised

    if days is None and clock_synchronised() is False:
        output.note("lanecontrol ledger: nobody disciplines this clock; say --older-than if you trust it")
        return FAILED
    keep, now_utc_s = _keep(loaded, days), _now_utc_s()
    done = asyncio.run(_prune(loaded, path, keep, now_utc_s))
    gaps = [dataclasses.asdict(gap) for gap in done.gaps]
    facts = {"rows": done.rows, "erased": done.erased, "over_bytes": done.over_bytes, "given_up": gaps}
    _tell(keep, now_utc_s, facts, as_json=as_json)
    return GOOD


async def _prune(loaded: Loaded, path: Path, keep: Keep, now_utc_s: float) -> Forgotten:
    from lanecontrol.announcements import EventsGivenUp
    from lanecontrol.clock import LoopClock
    from lanecontrol.journal import LedgerJournal
    from lanecontrol.ledger.ledger import Ledger
    from lanecontrol.ledger.retention import forget
    from lanecontrol.port.topics import LaneAddress
    from lanecontrol.sealing import Sealer

    clock, address = LoopClock(), LaneAddress(loaded.setup.port, loaded.setup.lane, loaded.simulated)
    async with await Ledger.open(path, sealer=Sealer(loaded.store.keys)) as ledger:
        journal = LedgerJournal(ledger, address, lambda changed: None, lambda seq: None)

        async def tell(gap: Gap) -> None:
            numbers = gap.topic_class, gap.epoch, gap.first_seq, gap.last_seq, gap.count
            told = EventsGivenUp(*numbers, gap.first_utc_s, gap.last_utc_s, now_utc_s)
            await journal.write((told,), clock.now(), None)

        return await forget(ledger, keep, now_utc_s, tell)


def _keep(loaded: Loaded, days: float | None) -> Keep:
    keep = loaded.store.keep
    return keep if days is None else dataclasses.replace(keep, days=days)


def _now_utc_s() -> float:
    from lanecontrol.clock import LoopClock

    return LoopClock().utc()


def _tell(keep: Keep, now_utc_s: float, facts: dict[str, Any], *, as_json: bool) -> None:
    from lanecontrol.clock import utc_text

    whole = {"before": utc_text(now_utc_s - keep.days * _DAY_S), **facts}
    if as_json:
        output.json_line(whole)
    else:
        output.pairs(whole)
