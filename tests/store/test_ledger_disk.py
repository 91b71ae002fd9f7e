"""Disks that are full, read-only or out of reach."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from lanecontrol.errors import StorageUnavailable
from lanecontrol.ledger import Limits


class Small:
    """A disk with room for so many pages of the main file."""

    def __init__(self, connect: Any) -> None:
        self.pages = 10_000
        self._connect = connect

    def connect(self, path: Path, access: str) -> sqlite3.Connection:
        db: sqlite3.Connection = self._connect(path, access)
        db.execute(f"PRAGMA max_page_count={self.pages}")
        return db


@pytest.fixture
def small(watched_connect: Any) -> Small:
    return Small(watched_connect(lambda sql: None))


async def test_a_full_disk_is_said_and_heals_without_a_restart(open_ledger: Any, make: Any, small: Small) -> None:
    small.pages = 40
    ledger = await open_ledger(connect=small.connect, limits=Limits(retry_first_s=3600))
    confirmed = 0
    with pytest.raises(StorageUnavailable, match="SQLITE_FULL"):
        for _ in range(100):
            await ledger.append(make(ledger, 1, 3000))
            confirmed += 1
    assert confirmed > 10
    assert not ledger.writable
    assert len(await ledger.undelivered()) == confirmed
    small.pages = 1000
    await ledger.reopen()
    assert len(await ledger.undelivered()) == confirmed + 1
    await ledger.append(make(ledger, 1, 3000))
    assert (await ledger.verify()).good


async def test_a_disk_full_at_the_start_still_gives_out_its_backlog(
    open_ledger: Any, fill: Any, make: Any, watched_connect: Any, failing_disk: Any
) -> None:
    await fill(20)
    full = True

    def before(sql: str) -> None:
        if full and sql.startswith(("BEGIN", "INSERT")):
            raise failing_disk(sqlite3.SQLITE_FULL, "SQLITE_FULL")

    changes: list[bool] = []
    ledger = await open_ledger(
        connect=watched_connect(before), on_change=lambda writable, reason: changes.append(writable)
    )
    assert not ledger.writable
    assert changes == [False]
    assert (ledger.epoch, ledger.next_seq) == (1, 21)
    assert len(await ledger.undelivered()) == 20
    held = make(ledger)
    with pytest.raises(StorageUnavailable, match="held in memory"):
        await ledger.append(held)
    full = False
    await ledger.beyond(ledger.head.position)
    assert changes == [False, True]
    assert len(await ledger.undelivered()) == 21


async def test_a_folder_that_cannot_be_made_is_said(open_ledger: Any, tmp_path: Path) -> None:
    tmp_path.joinpath("file").write_text("in the way")
    with pytest.raises(StorageUnavailable):
        await open_ledger(path=tmp_path / "file" / "ledger.db")


async def test_a_store_that_cannot_be_made_can_be_made_later(open_ledger: Any, store: Path) -> None:
    store.parent.mkdir()
    in_the_way = store.with_name("ledger.new")
    in_the_way.mkdir()
    with pytest.raises(StorageUnavailable):
        await open_ledger()
    in_the_way.rmdir()
    assert (await open_ledger()).next_seq == 1


async def test_a_really_full_disk_heals_when_room_is_made(open_ledger: Any, make: Any, make_disk: Any) -> None:
    tiny_disk = make_disk(mib=1)
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(bytes(500_000))
    ledger = await open_ledger(path=tiny_disk / "store" / "ledger.db", limits=Limits(retry_first_s=3600))
    confirmed = 0
    with pytest.raises(StorageUnavailable):
        while True:
            await ledger.append(make(ledger, 1, 3000))
            confirmed += 1
    with pytest.raises(StorageUnavailable):
        await ledger.reopen()
    assert len(await ledger.undelivered()) == confirmed
    ballast.unlink()
    await ledger.reopen()
    await ledger.append(make(ledger))
    assert [row.seq for row in await ledger.undelivered()] == list(range(1, confirmed + 3))
    assert (await ledger.verify()).good
    await ledger.close()
