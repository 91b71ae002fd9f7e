"""The journal while the disk takes nothing for hours: alarms stay, what may be dropped makes room and is told of."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from lanecontrol.announcements import (
    Announcement,
    BacklogDrained,
    DeviceStateChanged,
    EventsGivenUp,
    OrderRejected,
    OverrideTold,
)
from lanecontrol.clock import Instant
from lanecontrol.errors import StorageUnavailable
from lanecontrol.events import DeviceState, Identity
from lanecontrol.journal import LedgerJournal
from lanecontrol.ledger import Ledger, Limits
from lanecontrol.ledger.database import Access
from lanecontrol.port.payloads import parse_event
from lanecontrol.port.topics import LaneAddress

LANE = LaneAddress("laredo", "07")
SMALL = Limits(waiting_entries=400, retry_first_s=0.01, retry_most_s=0.05)
REJECTED = OrderRejected("topic", "a test", "", None, 0.0)
TELEMETRY = BacklogDrained(1, 1.0, 0.0)
DEVICE = DeviceStateChanged("io1", "io.modbus", DeviceState.OFFLINE, "a test", 0.0, Identity())


class Disk:
    """A disk that can be full."""

    def __init__(self) -> None:
        self.full = False

    def connect(self, path: Path, access: Access) -> sqlite3.Connection:
        disk = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
                if disk.full and sql.startswith("BEGIN"):
                    error = sqlite3.OperationalError("database or disk is full")
                    error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
                    raise error
                return super().execute(sql, parameters)

        uri = f"{path.absolute().as_uri()}?mode={access}"
        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, factory=Connection)


class Bench:
    def __init__(self, ledger: Ledger, disk: Disk) -> None:
        self.ledger, self.disk = ledger, disk
        self.changed: list[DeviceStateChanged | OverrideTold] = []
        self.journal = LedgerJournal(ledger, LANE, self.changed.append, lambda seq: None)
        self.now_s = 1000.0

    def write(self, *told: Announcement) -> asyncio.Future[None]:
        self.now_s += 1
        return self.journal.write(told, Instant(self.now_s, self.now_s), None)

    async def recorded(self) -> list[Announcement | None]:
        events = [parse_event(row.body) async for row in self.ledger.export() if row.body is not None]
        return [event.announcement() for event in events if event is not None]

    async def failing(self) -> None:
        while self.ledger.writable:  # noqa: ASYNC110 - it gives no event
            await asyncio.sleep(0)

    async def heal(self) -> None:
        self.disk.full = False
        await self.ledger.reopen()


@pytest.fixture
async def bench(tmp_path: Path) -> Any:
    disk = Disk()
    async with await Ledger.open(tmp_path / "ledger.db", inline=True, connect=disk.connect, limits=SMALL) as ledger:
        yield Bench(ledger, disk)


async def test_a_disk_that_is_full_for_hours_costs_no_alarm(bench: Bench) -> None:
    """`audit` stands for all that is never dropped."""
    await bench.write(REJECTED)
    bench.disk.full = True
    for _ in range(250):
        for _ in range(20):
            bench.write(TELEMETRY)
        bench.write(DEVICE)
        bench.write(REJECTED)
        await asyncio.sleep(0)
    await bench.heal()
    await bench.write(REJECTED)
    found = await bench.recorded()
    assert found.count(REJECTED) == 252
    gaps = [told for told in found if isinstance(told, EventsGivenUp)]
    kept = found.count(TELEMETRY), sum(isinstance(told, DeviceStateChanged) for told in found)
    assert {gap.topic_class: gap.count for gap in gaps} == {"telemetry": 5000 - kept[0], "device": 250 - kept[1]}
    assert all((gap.first_seq, gap.last_seq) == (0, 0) and gap.first_utc_s < gap.last_utc_s for gap in gaps)
    assert len(bench.changed) == 250, "the retained state is told all the same"
    assert bench.journal.lost == sum(gap.count for gap in gaps)
    rows = [row.seq async for row in bench.ledger.export()]
    assert rows == list(range(1, len(rows) + 1))


async def test_what_was_left_out_is_told_once(bench: Bench) -> None:
    bench.disk.full = True
    for _ in range(200):
        bench.write(TELEMETRY)
    await bench.failing()
    await bench.heal()
    for _ in range(3):
        await bench.write(REJECTED)
    assert sum(isinstance(told, EventsGivenUp) for told in await bench.recorded()) == 1


async def test_nobody_may_count_on_a_write_that_left_something_out(bench: Bench) -> None:
    bench.disk.full = True
    for _ in range(150):
        bench.write(TELEMETRY)
    written = bench.write(REJECTED, TELEMETRY)
    with pytest.raises(StorageUnavailable, match="not all of it is recorded"):
        await written
    await bench.failing()
    await bench.heal()
    await bench.write(REJECTED)
    assert (await bench.recorded()).count(REJECTED) == 2


async def test_beyond_the_last_room_alarms_are_refused_and_told_of_too(bench: Bench) -> None:
    bench.disk.full = True
    for _ in range(500):
        bench.write(REJECTED)
    assert bench.journal.lost == 100
    await bench.failing()
    await bench.heal()
    await bench.write(REJECTED)
    found = await bench.recorded()
    assert [(told.topic_class, told.count) for told in found if isinstance(told, EventsGivenUp)] == [("audit", 100)]
