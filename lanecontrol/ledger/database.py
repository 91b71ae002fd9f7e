"""The store's SQLite file: how it is opened, its tables, and what SQLite's errors mean for the ledger.

Write-ahead log with `synchronous=FULL`: COMMIT returns after the log was synced (with NORMAL it would not be, and a
power cut would lose confirmed rows). Called by the other modules of this package only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from lanecontrol.errors import StorageCorrupt, StorageError, StorageUnavailable

Access = Literal["ro", "rw"]

Connect = Callable[[Path, Access], sqlite3.Connection]
"""Opens a connection. The ledger takes one as an argument, so that a test can watch or fail what goes through it."""

PAGE_BYTES = 4096
APPLICATION_ID = 0x4C4E4C47
"""`LNLG` in the file's header."""
VERSION = 1
LOG_KEEP_BYTES = 16 * 1024 * 1024
"""A write-ahead log that grew beyond this during a long read is cut back to it."""
BUSY_MS = 1000
"""How long SQLite waits for another process that reads: those hold locks for milliseconds."""

SCHEMA = (
    """CREATE TABLE entries (
        position INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, topic_class TEXT NOT NULL,
        kind TEXT NOT NULL, time_utc_s REAL NOT NULL, digest BLOB NOT NULL, link BLOB NOT NULL, sum INTEGER NOT NULL,
        salt BLOB, body BLOB)""",
    "CREATE TABLE outbox (position INTEGER PRIMARY KEY)",
    "CREATE TABLE meta (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, value BLOB NOT NULL, sum INTEGER NOT NULL)",
    "CREATE TABLE losses (epoch INTEGER NOT NULL, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, why TEXT)",
)
"""`outbox` holds the undelivered tail: apart from the rows, so that marking them does not rewrite their pages. Bodies
stand last in their rows, so that a long one that lost a page leaves the rest readable."""

_UNAVAILABLE = frozenset(
    (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_AUTH,
    )
)


def connect(path: Path, access: Access) -> sqlite3.Connection:
    """A connection to an existing file, in autocommit mode. Raises sqlite3.Error.

    Usable from any thread; whoever owns it sees to it that one thread at a time does so.
    """
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={access}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=BUSY_MS / 1000,
    )


def prepare(db: sqlite3.Connection) -> None:
    """Settings of a connection that writes. Raises sqlite3.Error."""
    db.execute("PRAGMA trusted_schema=OFF")
    db.execute("PRAGMA cell_size_check=ON")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA secure_delete=ON")  # an erased body must not linger in free pages
    db.execute(f"PRAGMA journal_size_limit={LOG_KEEP_BYTES}")


def create(db: sqlite3.Connection) -> None:
    """Make an empty file ours, up to but without its tables. Raises sqlite3.Error."""
    db.execute(f"PRAGMA page_size={PAGE_BYTES}")
    db.execute("PRAGMA auto_vacuum=INCREMENTAL")  # so that pruning can give space back; cannot be set later
    db.execute("PRAGMA journal_mode=WAL")
    prepare(db)


@contextmanager
def translated(deed: str) -> Iterator[None]:
    """What SQLite and the file system raise, as the ledger's errors."""
    try:
        yield
    except sqlite3.Error as error:
        raise as_storage_error(deed, error) from error
    except OSError as error:
        raise StorageUnavailable(deed, error.strerror or str(error)) from error


def as_storage_error(deed: str, error: sqlite3.Error) -> StorageError:
    """Full, read-only, out of reach and I/O errors may pass; anything else says that the content is not ours."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    name = getattr(error, "sqlite_errorname", "")
    why = f"{error} ({name})" if name else str(error)
    return (StorageUnavailable if code & 0xFF in _UNAVAILABLE else StorageCorrupt)(deed, why)
