"""Opening a store, whatever state it is in: sound, new, damaged, older than it should be, or on a disk that is full.

A damaged store is moved aside whole, what can be proven sound is copied into a new one with a higher epoch, and the
daemon starts. Called by the ledger, on its writing thread. Nothing that was read from a damaged file is believed
without its checksum.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from lanecontrol.errors import StorageCorrupt, StorageFatal, StorageUnavailable
from lanecontrol.ledger import chain, database, sidefiles
from lanecontrol.ledger.reader import DELIVERED_THROUGH, EPOCH_PREFIX, LOCKED, OPENED, Epoch, Reader
from lanecontrol.ledger.records import Loss, OpenReport, Position, Row
from lanecontrol.ledger.scavenge import Found, scavenge
from lanecontrol.ledger.sidefiles import Lock, Paths, Witness
from lanecontrol.ledger.store import Store, insert_rows, put_epoch, put_value
from lanecontrol.sealing import NO_KEY, Sealer

SMALL_BYTES = 32 * 1024 * 1024
"""Up to this size every page and row is checked at each start: some tenths of a second."""
TAIL_ROWS = 1000
"""Of a larger store, this many of the newest rows are checked at each start."""
UNDELIVERED_ROWS = 10_000
"""And this many of those still to be delivered."""
_SALVAGED = "salvaged"


@dataclass(frozen=True, slots=True)
class Opened:
    """A store ready for use; `unavailable` says why it cannot be written to yet."""

    paths: Paths
    store: Store
    lock: Lock
    report: OpenReport
    unavailable: StorageUnavailable | None


def open_store(path: Path, connect: database.Connect, sealer: Sealer = NO_KEY) -> Opened:
    """Open the store at `path`, or make one. Raises StorageUnavailable when it cannot even be read (or made),
    StorageFatal when another process holds it, a newer version of this program wrote it, or its key is missing."""
    paths = Paths(path)
    with database.translated("open"):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = Lock(paths)
    try:
        with database.translated("open"):
            return _open(paths, connect, sealer, lock)
    except BaseException:
        lock.close()
        raise


def _open(paths: Paths, connect: database.Connect, sealer: Sealer, lock: Lock) -> Opened:
    reason = _what_is_wrong(paths, connect, sealer)
    if reason:
        _quarantine(paths)
    report = OpenReport() if paths.db.exists() else _create(paths, connect, sealer, reason)
    sidefiles.sync_folder(paths.db.parent)
    store = Store(paths, connect, sealer)
    try:
        with closing_reader(paths, connect, sealer) as reader:
            store.look(reader)
        return Opened(paths, store, lock, report, _first_write(store))
    except BaseException:
        store.close()
        raise


def _first_write(store: Store) -> StorageUnavailable | None:
    try:
        store.open()
    except StorageUnavailable as error:
        return error
    return None


@contextlib.contextmanager
def closing_reader(paths: Paths, connect: database.Connect, sealer: Sealer) -> Iterator[Reader]:
    """A reader for a moment. Read-only, so that closing it leaves the log as it is: it may be evidence."""
    with Reader.open(paths.db, connect, sealer) as reader:
        yield reader


# --- inspection ------------------------------------------------------------------------------------------------------


def _what_is_wrong(paths: Paths, connect: database.Connect, sealer: Sealer) -> str:
    """Empty when the store is sound or there is none yet. Raises StorageUnavailable, StorageFatal."""
    if not paths.db.exists():
        return "the main file is missing" if paths.log.exists() else ""
    try:
        with closing_reader(paths, connect, sealer) as reader:
            _inspect(reader, paths)
    except StorageCorrupt as error:
        return error.why
    paths.suspect.unlink(missing_ok=True)
    return ""


def _inspect(reader: Reader, paths: Paths) -> None:
    """Raises StorageCorrupt, StorageFatal."""
    reader.check_version()
    reader.check_key()
    if paths.suspect.exists() or _size(paths) <= SMALL_BYTES:
        reader.check()
        _check_rows(reader, Position(0))
    else:
        _check_rows(reader, Position(max(reader.last_position() - TAIL_ROWS, 0)))
        for row in reader.undelivered(Position(0), UNDELIVERED_ROWS):
            if not row.body_is_sound:
                raise StorageCorrupt("check", f"record {row.epoch}-{row.seq}: its body does not match its digest")
    _check_head(reader, paths)


def _size(paths: Paths) -> int:
    return sum(file.stat().st_size for file in (paths.db, paths.log) if file.exists())


def _check_rows(reader: Reader, after: Position) -> None:
    if bad := reader.verify(after).first_bad:
        raise StorageCorrupt("check", str(bad))


def _check_head(reader: Reader, paths: Paths) -> None:
    head, witness = reader.head(), sidefiles.read_witness(paths)
    if max(witness.epoch, sidefiles.read_epoch(paths)) > head.epoch:
        raise StorageCorrupt("check", f"epoch {head.epoch} is over: this is an older copy of the store")
    if witness.epoch == head.epoch and witness.seq > head.seq:
        raise StorageCorrupt("check", f"records {head.seq + 1} to {witness.seq} of epoch {head.epoch} are gone")
    if sidefiles.read_epoch(paths) < head.epoch:
        sidefiles.write_epoch(paths, head.epoch)


# --- quarantine and salvage ------------------------------------------------------------------------------------------


def _quarantine(paths: Paths) -> None:
    """Move the store aside, main file and log together. Raises OSError."""
    folder = paths.next_quarantine()
    folder.mkdir(mode=0o700)
    for file in (paths.db, paths.log):
        if file.exists():
            file.rename(folder / file.name)
    paths.log_index.unlink(missing_ok=True)
    sidefiles.sync_folder(folder)
    sidefiles.sync_folder(paths.db.parent)


@dataclass(slots=True)
class _Salvage:
    """What the quarantined stores gave: rows in order that verify, the epochs they belong to, the gaps between."""

    rows: list[Row] = field(default_factory=list)
    epochs: dict[int, Epoch] = field(default_factory=dict)
    values: dict[str, bytes] = field(default_factory=dict)
    losses: list[Loss] = field(default_factory=list)
    bodies_lost: int = 0
    sources: tuple[Path, ...] = ()

    @property
    def delivered_through(self) -> int:
        value = self.values.get(DELIVERED_THROUGH, b"")
        return int(value) if value.isdigit() else 0

    @property
    def last_position(self) -> int:
        return self.rows[-1].position if self.rows else 0

    @property
    def last_epoch(self) -> int:
        return max(self.epochs, default=0)


def _salvage(paths: Paths, sealer: Sealer) -> _Salvage:
    """Raises OSError, and StorageFatal when what is there cannot be opened: nothing is given up for want of a key."""
    sources = tuple(folder for folder in paths.quarantines() if not (folder / _SALVAGED).exists())
    salvage = _Salvage(sources=sources)
    rows: dict[Position, Row] = {}
    for folder in sources:
        found = _scavenged(folder / paths.db.name, folder / paths.log.name, sealer)
        if found.sealed:
            raise StorageFatal("salvage", f"{found.sealed} records in {folder.name}: {LOCKED}")
        rows.update(found.rows)
        salvage.values.update(found.values)
        salvage.bodies_lost += found.bodies_lost
    for key in [key for key in salvage.values if key.startswith(EPOCH_PREFIX)]:
        epoch = Epoch.from_value(key, salvage.values.pop(key))
        salvage.epochs[epoch.number] = epoch
    salvage.values.pop(OPENED, None)
    _chain_up(salvage, sorted(rows.values(), key=lambda row: row.position))
    return salvage


def _scavenged(db: Path, log: Path, sealer: Sealer) -> Found:
    with _mapped(db) as pages, _mapped(log) as frames:
        return scavenge(pages, frames, sealer)


@contextlib.contextmanager
def _mapped(path: Path) -> Iterator[bytes | mmap.mmap]:
    if not path.exists() or path.stat().st_size == 0:
        yield b""
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        yield content


def _chain_up(salvage: _Salvage, rows: list[Row]) -> None:
    """Keep the rows that follow from the one before, or come after a gap; declare the gaps."""
    epoch, seq, link = 0, 0, b""
    for row in rows:
        known = salvage.epochs.setdefault(row.epoch, Epoch.fresh(row.epoch, row.position - row.seq))
        if row.epoch < epoch or row.position != known.base + row.seq:
            continue
        if row.epoch != epoch:
            epoch, seq, link = row.epoch, known.anchor_seq, known.anchor_link
        if row.seq == seq + 1 and row.link != chain.link(
            link, row.seq, row.topic_class, row.kind, row.time_utc_s, row.digest
        ):
            continue
        if row.seq > seq + 1:
            salvage.losses.append(Loss(row.epoch, seq + 1, row.seq - 1, "damage"))
        salvage.rows.append(row)
        seq, link = row.seq, row.link


# --- creation --------------------------------------------------------------------------------------------------------


def _create(paths: Paths, connect: database.Connect, sealer: Sealer, reason: str) -> OpenReport:
    """A new store in a new epoch, with what could be salvaged; complete before it gets its name.

    Raises OSError, sqlite3.Error, StorageFatal.
    """
    witness = sidefiles.read_witness(paths)
    salvage = _salvage(paths, sealer)
    known = max(sidefiles.read_epoch(paths), witness.epoch, salvage.last_epoch, len(paths.quarantines()))
    epoch = Epoch.fresh(known + 1, max(witness.position, salvage.last_position))
    sidefiles.write_epoch(paths, epoch.number)
    _build(paths, connect, sealer, epoch, salvage, witness)
    for folder in salvage.sources:
        sidefiles.write_durably(folder / _SALVAGED, b"%d records\n" % len(salvage.rows))
    paths.suspect.unlink(missing_ok=True)
    return OpenReport(
        created=True,
        quarantined=tuple(folder.name for folder in salvage.sources),
        salvaged=len(salvage.rows),
        bodies_lost=salvage.bodies_lost,
        lost=tuple(salvage.losses),
        reason=reason,
    )


def _build(
    paths: Paths, connect: database.Connect, sealer: Sealer, epoch: Epoch, salvage: _Salvage, witness: Witness
) -> None:
    new = Paths(paths.db.with_name(f"{paths.db.stem}.new"))
    for leftover in (new.db, new.log, new.log_index):
        leftover.unlink(missing_ok=True)
    os.close(os.open(new.db, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with closing(connect(new.db, "rw")) as db:
        database.create(db)
        db.execute("BEGIN IMMEDIATE")
        _fill(db, sealer, epoch, salvage, max(salvage.delivered_through, witness.delivered_through))
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    handle = os.open(new.db, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    new.db.replace(paths.db)
    sidefiles.sync_folder(paths.db.parent)


def _fill(db: sqlite3.Connection, sealer: Sealer, epoch: Epoch, salvage: _Salvage, delivered_through: int) -> None:
    db.execute(f"PRAGMA application_id={database.APPLICATION_ID}")
    db.execute(f"PRAGMA user_version={database.VERSION}")
    for statement in database.SCHEMA:
        db.execute(statement)
    insert_rows(db, salvage.rows, sealer)
    waiting = [(row.position,) for row in salvage.rows if row.position > delivered_through and row.body is not None]
    db.executemany("INSERT INTO outbox VALUES (?)", waiting)
    for key, value in salvage.values.items():
        put_value(db, key, value)
    with_rows = {row.epoch for row in salvage.rows}
    for known in (*salvage.epochs.values(), epoch):
        if known.number in with_rows or known is epoch:
            put_epoch(db, known)
    db.executemany(
        "INSERT INTO losses VALUES (?, ?, ?, ?)",
        [(loss.epoch, loss.first_seq, loss.last_seq, loss.why) for loss in salvage.losses],
    )
