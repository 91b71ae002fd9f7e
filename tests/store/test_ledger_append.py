"""Appending: numbers, order, what a resolved future promises, and what happens when the disk fails."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lanecontrol.clock import RealWork
from lanecontrol.errors import StorageCorrupt, StorageFatal, StorageUnavailable
from lanecontrol.ledger import Entry, Ledger, Limits, Reader

BOTH = pytest.mark.parametrize("inline", [False, True], ids=["threads", "inline"])


@BOTH
async def test_numbers_are_gapless_and_come_back_after_a_restart(open_ledger: Any, make: Any, inline: bool) -> None:
    ledger = await open_ledger(inline=inline)
    assert (ledger.epoch, ledger.next_seq) == (1, 1)
    await ledger.append(make(ledger, 3))
    assert ledger.next_seq == 4
    await ledger.close()
    again = await open_ledger(inline=inline)
    assert (again.epoch, again.next_seq) == (1, 4)
    assert [row.seq for row in await again.undelivered()] == [1, 2, 3]
    assert not again.opened.created


async def test_an_entry_out_of_turn_is_a_mistake_of_the_caller(open_ledger: Any) -> None:
    ledger = await open_ledger()
    with pytest.raises(ValueError, match="entry 5 where 1 is next"):
        ledger.append([Entry(5, "alarm", "k", 0.0, b"x")])
    assert ledger.next_seq == 1


async def test_nothing_is_confirmed_before_commit_has_returned(
    open_ledger: Any, make: Any, watched_connect: Any
) -> None:
    reached, go_on = threading.Event(), threading.Event()
    armed = threading.Event()

    def before(sql: str) -> None:
        if sql == "COMMIT" and armed.is_set():
            reached.set()
            go_on.wait()

    ledger = await open_ledger(connect=watched_connect(before))
    armed.set()
    written = ledger.append(make(ledger))
    await asyncio.to_thread(reached.wait)
    try:
        for _ in range(5):
            await asyncio.sleep(0)
        assert not written.done()
        assert await ledger.undelivered() == []
    finally:
        go_on.set()
    await written
    assert [row.seq for row in await ledger.undelivered()] == [1]


async def test_what_comes_in_during_a_commit_shares_the_next_one(
    open_ledger: Any, make: Any, watched_connect: Any
) -> None:
    reached, go_on, armed = threading.Event(), threading.Event(), threading.Event()
    commits: list[str] = []

    def before(sql: str) -> None:
        if sql == "COMMIT" and armed.is_set():
            commits.append(sql)
            reached.set()
            go_on.wait()

    ledger = await open_ledger(connect=watched_connect(before))
    armed.set()
    first = ledger.append(make(ledger))
    await asyncio.to_thread(reached.wait)
    others = [ledger.append(make(ledger), b"state %d" % n) for n in range(50)]
    go_on.set()
    await asyncio.gather(first, *others)
    assert len(commits) == 2
    assert await ledger.load_checkpoint() == b"state 49"


async def test_futures_resolve_in_the_order_of_the_appends(open_ledger: Any, make: Any) -> None:
    ledger = await open_ledger(limits=Limits(group_most=3))
    order: list[int] = []
    for n in range(20):
        ledger.append(make(ledger)).add_done_callback(lambda _, n=n: order.append(n))
    await ledger.append(make(ledger))
    assert order == list(range(20))


async def test_only_the_last_checkpoint_of_a_group_is_made(open_ledger: Any, make: Any) -> None:
    ledger = await open_ledger()
    made: list[int] = []

    def checkpoint(n: int) -> Callable[[], bytes]:
        return lambda: made.append(n) or b"state %d" % n  # type: ignore[func-returns-value]

    await asyncio.gather(*(ledger.append(make(ledger), checkpoint(n)) for n in range(5)))
    assert made == [4]
    assert await ledger.load_checkpoint() == b"state 4"


async def test_a_checkpoint_that_cannot_be_made_reaches_whoever_appended(open_ledger: Any, make: Any) -> None:
    ledger = await open_ledger()

    def broken() -> bytes:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await ledger.append(make(ledger), broken)
    with pytest.raises(StorageFatal):
        await ledger.append(make(ledger))


async def test_small_values_are_kept(open_ledger: Any) -> None:
    ledger = await open_ledger()
    assert await ledger.get("orders") is None
    await ledger.put("orders", b"one")
    await ledger.put("orders", b"two")
    await ledger.close()
    again = await open_ledger()
    assert await again.get("orders") == b"two"
    assert await again.load_checkpoint() is None


async def test_an_erased_body_is_gone_from_the_files_and_the_chain_verifies(open_ledger: Any, store: Path) -> None:
    ledger = await open_ledger()
    for n, body in enumerate((b"kept one", b"PLATE-ABC123 " * 50, b"kept two", b"PLATE-ABC123 " * 900), 1):
        await ledger.append([Entry(n, "reading", "k", 1.0, body)])
    [_, short, _, long] = await ledger.undelivered()
    assert files_with(b"PLATE-ABC123", store.parent)
    await ledger.erase([short.position, long.position])
    assert not files_with(b"PLATE-ABC123", store.parent)
    assert files_with(b"kept two", store.parent)
    assert [row.seq for row in await ledger.undelivered()] == [1, 3]
    verdict = await ledger.verify()
    assert (verdict.rows, verdict.erased, verdict.first_bad) == (4, 2, None)


def files_with(text: bytes, folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if text in file.read_bytes()]


async def test_real_work_is_under_way_from_append_to_disk(open_ledger: Any, make: Any) -> None:
    work = RealWork()
    ledger = await open_ledger(work=work)
    assert work.outstanding == 0
    written = ledger.append(make(ledger))
    assert work.outstanding > 0
    await written
    assert work.outstanding == 0


async def test_beyond_waits_for_the_next_row(open_ledger: Any, make: Any) -> None:
    ledger = await open_ledger()
    waiting = asyncio.ensure_future(ledger.beyond(ledger.head.position))
    await asyncio.sleep(0)
    assert not waiting.done()
    await ledger.append(make(ledger))
    await waiting
    await ledger.beyond(ledger.head.position - 1)


async def test_threads_and_inline_give_the_same_store(open_ledger: Any, make: Any, tmp_path: Path) -> None:
    contents = []
    for inline in (False, True):
        path = tmp_path / str(inline) / "ledger.db"
        ledger = await open_ledger(path=path, inline=inline, salt=lambda n: b"s" * n)
        for n in range(30):
            await ledger.append(make(ledger, n % 4), b"state %d" % n)
            if n % 7 == 3:
                ledger.mark_delivered(row.position for row in (await ledger.undelivered())[::2])
        await ledger.close()
        with Reader.open(path) as reader:
            contents.append((reader.rows(), reader.undelivered(0, 100), reader.values(), reader.status()))  # type: ignore[arg-type]
    assert contents[0] == contents[1]


# --- when the disk fails ---------------------------------------------------------------------------------------------


class Disk:
    """A disk that can be told to fail at COMMIT."""

    def __init__(self, error: Callable[[], sqlite3.OperationalError]) -> None:
        self.failing = False
        self.attempts = 0
        self._error = error

    def before(self, sql: str) -> None:
        if sql in ("COMMIT", "BEGIN IMMEDIATE") and self.failing:
            self.attempts += 1
            raise self._error()


@pytest.fixture
def disk(failing_disk: Any) -> Disk:
    return Disk(failing_disk)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY])
@BOTH
async def test_a_failing_disk_is_told_at_once_and_nothing_is_lost_when_it_heals(
    open_ledger: Any, make: Any, watched_connect: Any, failing_disk: Any, inline: bool, code: int
) -> None:
    disk = Disk(lambda: failing_disk(code, "fails"))
    changes: list[tuple[bool, str]] = []
    ledger: Ledger = await open_ledger(
        inline=inline, connect=watched_connect(disk.before), on_change=lambda *told: changes.append(told)
    )
    await ledger.append(make(ledger))
    disk.failing = True
    for _ in range(3):
        with pytest.raises(StorageUnavailable):
            await ledger.append(make(ledger, 2), b"late state")
    assert not ledger.writable
    assert ledger.next_seq == 8
    status = await ledger.status()
    assert (status.writable, status.held, status.head_seq) == (False, 6, 1)
    assert [row.seq for row in await ledger.undelivered()] == [1]
    disk.failing = False
    await ledger.beyond(ledger.head.position)
    assert [row.seq for row in await ledger.undelivered()] == list(range(1, 8))
    assert await ledger.load_checkpoint() == b"late state"
    assert (await ledger.verify()).good
    assert [writable for writable, _ in changes] == [False, True]
    await ledger.append(make(ledger))


async def test_reopen_tries_at_once_and_says_why_not(
    open_ledger: Any, make: Any, watched_connect: Any, disk: Disk
) -> None:
    ledger = await open_ledger(connect=watched_connect(disk.before), limits=Limits(retry_first_s=3600))
    await ledger.reopen()
    disk.failing = True
    with pytest.raises(StorageUnavailable, match="SQLITE_IOERR_FSYNC"):
        await ledger.append(make(ledger))
    with pytest.raises(StorageUnavailable, match="SQLITE_IOERR_FSYNC"):
        await ledger.reopen()
    disk.failing = False
    await ledger.reopen()
    assert ledger.writable
    assert [row.seq for row in await ledger.undelivered()] == [1]


async def test_after_a_failure_the_log_is_copied_and_synced_anew_before_more_is_written(
    open_ledger: Any, make: Any, watched_connect: Any, disk: Disk
) -> None:
    """The system may call pages clean that never reached the disk."""
    said: list[str] = []

    def before(sql: str) -> None:
        said.append(sql)
        disk.before(sql)

    ledger = await open_ledger(connect=watched_connect(before), limits=Limits(retry_first_s=3600))
    disk.failing = True
    with pytest.raises(StorageUnavailable):
        await ledger.append(make(ledger))
    disk.failing = False
    said.clear()
    await ledger.reopen()
    assert said.index("PRAGMA wal_checkpoint(TRUNCATE)") < len(said) - 1 - said[::-1].index("BEGIN IMMEDIATE")


async def test_rows_gone_after_a_failure_are_corruption_and_not_overwritten(
    open_ledger: Any, make: Any, watched_connect: Any, disk: Disk, store: Path
) -> None:
    ledger = await open_ledger(connect=watched_connect(disk.before), limits=Limits(retry_first_s=3600))
    await ledger.append(make(ledger, 5))
    disk.failing = True
    with pytest.raises(StorageUnavailable):
        await ledger.append(make(ledger))
    disk.failing = False
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("DELETE FROM entries WHERE position > 3")
    with pytest.raises(StorageCorrupt, match="records 4 to 5 are gone"):
        await ledger.reopen()


async def test_memory_is_bounded_and_what_is_refused_takes_no_number(
    open_ledger: Any, make: Any, watched_connect: Any, disk: Disk
) -> None:
    limits = Limits(waiting_entries=10, retry_first_s=3600)
    ledger = await open_ledger(connect=watched_connect(disk.before), limits=limits)
    disk.failing = True
    for _ in range(10):
        with pytest.raises(StorageUnavailable):
            await ledger.append(make(ledger))
    with pytest.raises(StorageUnavailable, match="refused, 10 entries wait already"):
        await ledger.append(make(ledger))
    assert ledger.next_seq == 11
    assert (await ledger.status()).refused == 1
    disk.failing = False
    await ledger.reopen()
    await ledger.append(make(ledger))
    assert [row.seq for row in await ledger.undelivered()] == list(range(1, 12))


async def test_bodies_in_memory_are_bounded_too(open_ledger: Any, make: Any) -> None:
    ledger = await open_ledger(limits=Limits(waiting_bytes=1000))
    with pytest.raises(StorageUnavailable, match="refused"):
        await ledger.append(make(ledger, 1, 2000))
    await ledger.append(make(ledger, 1, 900))


async def test_a_commit_that_failed_but_reached_the_disk_is_not_written_twice(
    open_ledger: Any, make: Any, watched_connect: Any, failing_disk: Any, store: Path
) -> None:
    """The sync fails, yet the log survives: after reopening, the rows are there already."""
    fail_after = threading.Event()
    connect = watched_connect(lambda sql: None)

    def treacherous(path: Path, access: str) -> sqlite3.Connection:
        db = connect(path, access)

        class Late(type(db)):  # type: ignore[misc]
            def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
                cursor: sqlite3.Cursor = super().execute(sql, parameters)
                if sql == "COMMIT" and fail_after.is_set():
                    fail_after.clear()
                    raise failing_disk()
                return cursor

        db.__class__ = Late
        return db  # type: ignore[no-any-return]

    ledger = await open_ledger(connect=treacherous)
    await ledger.append(make(ledger))
    fail_after.set()
    with pytest.raises(StorageUnavailable):
        await ledger.append(make(ledger, 2))
    await ledger.reopen()
    await ledger.append(make(ledger))
    assert [row.seq for row in await ledger.undelivered()] == [1, 2, 3, 4]
    assert (await ledger.verify()).good
    assert ledger.undelivered_count == 4


async def test_a_store_found_corrupt_while_running_takes_nothing_more(
    open_ledger: Any, make: Any, watched_connect: Any, failing_disk: Any, store: Path
) -> None:
    disk = Disk(lambda: failing_disk(sqlite3.SQLITE_CORRUPT, "SQLITE_CORRUPT"))
    damage: list[str] = []
    ledger = await open_ledger(connect=watched_connect(disk.before), on_damage=damage.append)
    disk.failing = True
    with pytest.raises(StorageCorrupt):
        await ledger.append(make(ledger))
    disk.failing = False
    with pytest.raises(StorageCorrupt):
        await ledger.append(make(ledger))
    with pytest.raises(StorageCorrupt):
        await ledger.reopen()
    assert damage
    await ledger.close()
    assert store.with_name("ledger.suspect").exists()
    again = await open_ledger()
    assert not store.with_name("ledger.suspect").exists()
    assert again.opened.quarantined == ()


async def test_a_closed_ledger_refuses(open_ledger: Any, make: Any) -> None:
    ledger = await open_ledger()
    next_entries = make(ledger)
    await ledger.close()
    await ledger.close()
    with pytest.raises(StorageUnavailable, match="closed"):
        await ledger.append(next_entries)
    with pytest.raises(StorageUnavailable, match="closed"):
        await ledger.undelivered()


async def test_closing_brings_to_disk_what_waits(open_ledger: Any, make: Any) -> None:
    ledger = await open_ledger()
    futures = [ledger.append(make(ledger)) for _ in range(5)]
    await ledger.close()
    assert all(future.done() and future.exception() is None for future in futures)
    assert [row.seq for row in await (await open_ledger()).undelivered()] == [1, 2, 3, 4, 5]


async def test_one_process_per_store(open_ledger: Any) -> None:
    await open_ledger()
    with pytest.raises(StorageFatal, match="another process"):
        await open_ledger()
