"""What the tests of the store share: a ledger that is always closed, and ways to fill and break it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from lanecontrol.ledger import Entry, Ledger, Limits


class OpenLedger(Protocol):
    def __call__(self, **options: Any) -> Awaitable[Ledger]: ...


QUICK = Limits(retry_first_s=0.01, retry_most_s=0.02, marks_after_s=0.01)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Where the tests' ledger is kept."""
    return tmp_path / "store" / "ledger.db"


@pytest.fixture
async def open_ledger(store: Path) -> AsyncIterator[OpenLedger]:
    """Opens the ledger at `store`; closes whatever a test left open."""
    async with AsyncExitStack() as stack:

        async def opened(**options: Any) -> Ledger:
            ledger = await Ledger.open(options.pop("path", store), **{"limits": QUICK, **options})
            stack.push_async_callback(ledger.close)
            return ledger

        yield opened


def entries(ledger: Ledger, count: int = 1, size: int = 40, topic_class: str = "passage") -> list[Entry]:
    """The next entries; the body tells which it is."""
    first = ledger.next_seq
    return [
        Entry(seq, topic_class, "passage.opened", 1000.0 + seq, f"{ledger.epoch}-{seq} ".encode().ljust(size, b"."))
        for seq in range(first, first + count)
    ]


@pytest.fixture
def make() -> Callable[..., list[Entry]]:
    """The next entries of a ledger."""
    return entries


@pytest.fixture
def fill(open_ledger: OpenLedger) -> Callable[..., Awaitable[None]]:
    """A closed ledger with rows in it: `count` in all, the first `delivered` of them marked."""

    async def filled(count: int = 50, delivered: int = 0, size: int = 700, **options: Any) -> None:
        ledger = await open_ledger(**options)
        for done in range(0, count, 10):
            await ledger.append(entries(ledger, min(10, count - done), size), b"state after %d" % done)
        rows = await ledger.undelivered(limit=count)
        ledger.mark_delivered(row.position for row in rows[:delivered])
        await ledger.close()

    return filled


class Watched(sqlite3.Connection):
    """A connection that asks `before` at each statement; raising there is the statement's failure."""

    before: Callable[[str], None] = staticmethod(lambda sql: None)

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        self.before(sql)
        return super().execute(sql, parameters)


@pytest.fixture
def watched_connect() -> Callable[[Callable[[str], None]], Callable[[Path, str], sqlite3.Connection]]:
    """Makes a `connect` whose connections ask a function at each statement."""

    def made(before: Callable[[str], None]) -> Callable[[Path, str], sqlite3.Connection]:
        def connect(path: Path, access: str) -> sqlite3.Connection:
            db = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={access}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                factory=Watched,
            )
            if access == "rw":
                db.before = before
            return db

        return connect

    return made


def disk_error(code: int = sqlite3.SQLITE_IOERR, name: str = "SQLITE_IOERR_FSYNC") -> sqlite3.OperationalError:
    """What SQLite raises when the disk fails."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    error.sqlite_errorname = name
    return error


@pytest.fixture
def failing_disk() -> Callable[..., sqlite3.OperationalError]:
    return disk_error
