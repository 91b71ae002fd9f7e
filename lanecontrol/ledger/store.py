"""Writing the ledger: one group of writes, one transaction, one sync.

Plain synchronous calls, made by the ledger from its writing thread (or inline), one at a time. After any error the
connection is dropped and nothing is written until `reopen` has made sure of what is really on disk.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from lanecontrol.errors import StorageCorrupt, StorageUnavailable
from lanecontrol.ledger import chain, database
from lanecontrol.ledger.reader import CHECKPOINT, DELIVERED_THROUGH, OPENED, Reader
from lanecontrol.ledger.records import START, Entry, Epoch, Head, Position, Row
from lanecontrol.ledger.sidefiles import Paths, Witness, WitnessFile
from lanecontrol.sealing import Sealer

Checkpoint = bytes | Callable[[], bytes]
"""A lane's state, or what gives it: called once per group, on the writing thread, so it must be a pure function."""

_PACK_ROWS = 10_000
"""So many rows are closed up in one transaction at the most: some tenths of a second."""

_UNSYNCED_MARKS = 5000
"""So many delivery marks may a power cut undo, at the most: they are written at once, and so outlive a kill, but synced
only with the next entries or when there are so many. A lost mark only means a repeat."""

_INSERT = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Salted(NamedTuple):
    """An entry with the salt that is its own from the first attempt on: a retry writes the same row."""

    entry: Entry
    salt: bytes


class Group(NamedTuple):
    """What goes to disk together."""

    entries: Sequence[Salted] = ()
    checkpoint: Checkpoint | None = None
    delivered: Sequence[Position] = ()
    values: Sequence[tuple[str, bytes]] = ()
    erased: Sequence[Position] = ()
    forgotten: Position = START
    """Rows up to here go, for good."""

    @property
    def size(self) -> int:
        """Bytes it holds in memory, roughly."""
        bodies = sum([len(salted.entry.body) for salted in self.entries])
        return bodies + sum([len(value) for _, value in self.values]) + 8 * len(self.erased)

    @property
    def only_marks(self) -> bool:
        """Nothing that anybody counts on being on disk."""
        return not (self.entries or self.values or self.erased or self.checkpoint is not None or self.forgotten)


class Store:
    """The writing side of one store."""

    def __init__(self, paths: Paths, connect: database.Connect, sealer: Sealer) -> None:
        self._paths = paths
        self._connect = connect
        self._sealer = sealer
        self._db: sqlite3.Connection | None = None
        self._witness = WitnessFile(paths)
        self._unsynced_marks = 0
        self.head = Head(0, 0, b"", START)
        self.delivered_through = START
        self.undelivered = 0

    def look(self, reader: Reader) -> None:
        """Take in how far the store has come. Raises StorageUnavailable, StorageCorrupt."""
        self.head = reader.head()
        self.delivered_through = reader.delivered_through()
        self.undelivered = reader.undelivered_count()

    def open(self) -> None:
        """Connect and prove that the disk takes a write. Raises StorageUnavailable, StorageCorrupt."""
        with database.translated("open"):
            db = self._connect(self._paths.db, "rw")
        try:
            with database.translated("open"):
                database.prepare(db)
                self.look(reader := Reader(db))
                db.execute("BEGIN IMMEDIATE")
                put_value(db, OPENED, b"%d" % (int(reader.value(OPENED) or b"0") + 1))
                db.execute("COMMIT")
        except BaseException:
            _drop(db)
            raise
        self._db = db
        self._bear_witness()

    def reopen(self) -> None:
        """After an error: connect anew and copy the whole log into the main file before trusting any of it.

        After a failed sync the system may show pages that never reached the disk, and call them clean. The copy writes
        and syncs them again. Raises StorageUnavailable, StorageCorrupt.
        """
        known = self.head
        self._disconnect()
        self.open()
        db = self._db
        assert db is not None
        try:
            with database.translated("reopen"):
                busy, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise StorageUnavailable("reopen", "another process is reading")
            if (self.head.epoch, self.head.seq) < (known.epoch, known.seq):
                raise StorageCorrupt("reopen", f"records {self.head.seq + 1} to {known.seq} are gone")
        except BaseException:
            self._disconnect()
            self.head = known
            raise

    def commit(self, group: Group) -> None:
        """All of the group in one transaction; on disk when this returns. Raises StorageUnavailable, StorageCorrupt.

        Entries that an earlier attempt brought to disk although it failed are left as they are.
        """
        if self._db is None:
            raise StorageUnavailable("commit", "the store is closed after an error")
        try:
            with database.translated("commit"):
                self._choose_to_sync(self._db, group)
                now = self._write(self._db, group)
        except BaseException:
            self._disconnect()
            raise
        self.head, self.delivered_through, self.undelivered = now
        self._bear_witness()

    def _choose_to_sync(self, db: sqlite3.Connection, group: Group) -> None:
        """Whether COMMIT is to sync the log, and with it all that was written before."""
        self._unsynced_marks += len(group.delivered)
        if group.only_marks and self._unsynced_marks < _UNSYNCED_MARKS:
            db.execute("PRAGMA synchronous=NORMAL")
        else:
            db.execute("PRAGMA synchronous=FULL")
            self._unsynced_marks = 0

    def _write(self, db: sqlite3.Connection, group: Group) -> tuple[Head, Position, int]:
        db.execute("BEGIN IMMEDIATE")
        head = self._insert(db, group.entries)
        undelivered = self.undelivered + head.seq - self.head.seq
        if group.checkpoint is not None:
            state = group.checkpoint if isinstance(group.checkpoint, bytes) else group.checkpoint()
            self._put_sealed(db, CHECKPOINT, state)
        for key, value in group.values:
            self._put_sealed(db, key, value)
        if group.erased:
            _erase(db, group.erased)
        through = self.delivered_through
        if gone := _spans((*group.delivered, *group.erased)):
            undelivered -= db.executemany("DELETE FROM outbox WHERE position BETWEEN ? AND ?", gone).rowcount
            through = Reader(db).delivered_through()
            put_value(db, DELIVERED_THROUGH, b"%d" % through)
        if group.forgotten:
            _forget(db, group.forgotten)
        db.execute("COMMIT")
        if group.forgotten:
            db.executescript("PRAGMA incremental_vacuum")  # gives the pages back; `execute` would stop at the first
        if group.erased:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the log still has what was erased
        return head, through, undelivered

    def _put_sealed(self, db: sqlite3.Connection, key: str, value: bytes) -> None:
        """A value that may speak of persons, as the lane's state does."""
        put_value(db, key, self._sealer.seal(value, key.encode()))

    def _insert(self, db: sqlite3.Connection, entries: Iterable[Salted]) -> Head:
        """Write entries as the next rows of the chain; answers the last of them."""
        head = self.head
        epoch, seq, link, position = head.epoch, head.seq, head.link, int(head.position)
        rows = []
        for entry, salt in entries:
            if entry.seq <= seq:
                continue
            position, seq = position + 1, entry.seq
            names = entry.topic_class, entry.kind, entry.time_utc_s
            digest = chain.digest(salt, entry.body)
            link, total = chain.link_and_sum(link, position, epoch, seq, *names, digest)
            # Sealed for this very row: the digest binds it to its place in the chain.
            stored = self._sealer.seal(entry.body, digest)
            rows.append((position, epoch, seq, *names, digest, link, total, salt, stored))
        if rows:
            db.executemany(_INSERT, rows)
            db.executemany("INSERT INTO outbox VALUES (?)", [row[:1] for row in rows])
        return Head(epoch, seq, link, Position(position))

    def _bear_witness(self) -> None:
        head = self.head
        self._witness.write(Witness(head.epoch, head.seq, head.position, self.delivered_through))

    def _disconnect(self) -> None:
        if self._db is not None:
            _drop(self._db)
            self._db = None

    def close(self) -> None:
        """Let go of the file; what is committed stays."""
        self._disconnect()
        self._witness.close()


def _spans(positions: Iterable[Position]) -> list[tuple[Position, Position]]:
    """First and last of each unbroken run: one statement takes out a whole run."""
    spans: list[tuple[Position, Position]] = []
    for at in sorted(positions):
        if spans and at <= spans[-1][1] + 1:
            spans[-1] = spans[-1][0], at
        else:
            spans.append((at, at))
    return spans


def _erase(db: sqlite3.Connection, positions: Sequence[Position]) -> None:
    """Take salt and body out of rows, and close them up: pages of which a part is empty are not used again.

    Raises sqlite3.Error.
    """
    for position in positions:
        db.execute("UPDATE entries SET salt = NULL, body = NULL WHERE position = ?", (position,))
    span = min(positions), max(positions)
    if span[1] - span[0] < _PACK_ROWS:
        rows = db.execute("SELECT * FROM entries WHERE position BETWEEN ? AND ?", span).fetchall()
        db.execute("DELETE FROM entries WHERE position BETWEEN ? AND ?", span)
        db.executemany(_INSERT, rows)


def _forget(db: sqlite3.Connection, through: Position) -> None:
    """Take out the oldest rows, all delivered, never the last one; the chain then starts where they end.

    Raises sqlite3.Error, StorageCorrupt.
    """
    reader = Reader(db)
    last = reader.last_row(min(through, reader.delivered_through(), Position(reader.last_position() - 1)))
    if last is None:
        return
    for epoch in reader.epochs():
        if epoch.number < last.epoch:
            db.execute("DELETE FROM meta WHERE key = ?", (epoch.key,))
            db.execute("DELETE FROM losses WHERE epoch = ?", (epoch.number,))
        elif epoch.number == last.epoch:
            put_epoch(db, replace(epoch, anchor_seq=last.seq, anchor_link=last.link))
    db.execute("DELETE FROM losses WHERE epoch = ? AND last_seq <= ?", (last.epoch, last.seq))
    db.execute("DELETE FROM entries WHERE position <= ?", (last.position,))


def insert_rows(db: sqlite3.Connection, rows: Iterable[Row], sealer: Sealer) -> None:
    """Write finished rows, their bodies sealed. Raises sqlite3.Error."""
    db.executemany(_INSERT, (_values(row, sealer) for row in rows))


def _values(r: Row, sealer: Sealer) -> tuple[object, ...]:
    stored = None if r.body is None else sealer.seal(r.body, r.digest)
    return (r.position, r.epoch, r.seq, r.topic_class, r.kind, r.time_utc_s, r.digest, r.link, r.sum, r.salt, stored)


def put_value(db: sqlite3.Connection, key: str, value: bytes) -> None:
    """Store a small value. Raises sqlite3.Error."""
    db.execute(
        "INSERT INTO meta (key, value, sum) VALUES (?, ?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value, sum = excluded.sum",
        (key, value, chain.value_sum(key, value)),
    )


def put_epoch(db: sqlite3.Connection, epoch: Epoch) -> None:
    """Record an epoch. Raises sqlite3.Error."""
    put_value(db, epoch.key, epoch.to_value())


def _drop(db: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):  # it failed already; closing is all that is left to do
        db.close()
