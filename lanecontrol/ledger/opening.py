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
from lanecontrol.ledger.reader import BOX, DELIVERED_THROUGH, LOCKED, OPENED, Reader
from lanecontrol.ledger.records import EPOCH_PREFIX, Epoch, Loss, OpenReport, Position, Row
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
_EPOCHS_SINCE_UTC_S = 1_735_689_600.0
"""The beginning of 2025."""


def first_epoch(utc_s: float) -> int:
    """The least number of a new epoch: minutes since 2025. A disk that replaces another one knows nothing of the epochs
    that its lane has had, and a consumer would take the events of a number used before for repeats. 1 where the clock
    was never set."""
    return max(int((utc_s - _EPOCHS_SINCE_UTC_S) // 60), 1)


@dataclass(frozen=True, slots=True)
class Opened:
    """A store ready for use; `unavailable` says why it cannot be written to yet."""

    paths: Paths
    store: Store
    lock: Lock
    report: OpenReport
    unavailable: StorageUnavailable | None


@dataclass(frozen=True, slots=True)
class Place:
    """How and where a store is opened. `box` names this machine, empty where nobody knows; a new epoch has at least the
    number `first_epoch`."""

    paths: Paths
    connect: database.Connect
    sealer: Sealer
    box: str
    first_epoch: int

    def reader(self) -> Reader:
        """A reader for a moment. Read-only, so that closing it leaves the log as it is: it may be evidence."""
        return Reader.open(self.paths.db, self.connect, self.sealer)


def open_store(
    path: Path, connect: database.Connect, sealer: Sealer = NO_KEY, *, box: str = "", first_epoch: int = 1
) -> Opened:
    """Open the store at `path`, or make one. Raises StorageUnavailable when it cannot even be read (or made),
    StorageFatal when another process holds it, a newer version of this program wrote it, or its key is missing."""
    paths = Paths(path)
    place = Place(paths, connect, sealer, box, first_epoch)
    with database.translated("open"):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = Lock(paths)
    try:
        with database.translated("open"):
            return _open(place, lock)
    except BaseException:
        lock.close()
        raise


def _open(place: Place, lock: Lock) -> Opened:
    paths = place.paths
    reason = _what_is_wrong(place)
    if reason:
        _quarantine(paths)
    report = OpenReport(moved=_has_moved(place)) if paths.db.exists() else _create(place, reason)
    sidefiles.sync_folder(paths.db.parent)
    store = Store(paths, place.connect, place.sealer)
    try:
        with place.reader() as reader:
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


# --- on another box --------------------------------------------------------------------------------------------------


def _has_moved(place: Place) -> bool:
    """Whether this is a copy that was made on another box. It then goes on in an epoch of its own: the box that it
    comes from may number on in the old one. Raises StorageUnavailable when that cannot be written."""
    with place.reader() as reader:
        known, head = reader.value(BOX), reader.head()
    if not place.box or known == place.box.encode():
        return False
    if known is None:  # made before boxes were told apart
        with contextlib.suppress(StorageUnavailable):
            _write(place, None)
        return False
    used = max(sidefiles.read_epoch(place.paths), head.epoch)
    epoch = Epoch.fresh(max(used + 1, place.first_epoch), head.position)
    sidefiles.write_epoch(place.paths, epoch.number)
    _write(place, epoch)
    return True


def _write(place: Place, epoch: Epoch | None) -> None:
    """The store is this box's, and goes on in this epoch if there is one. Raises StorageUnavailable."""
    with database.translated("open"), closing(place.connect(place.paths.db, "rw")) as db:
        database.prepare(db)
        db.execute("BEGIN IMMEDIATE")
        put_value(db, BOX, place.box.encode())
        if epoch is not None:
            put_epoch(db, epoch)
        db.execute("COMMIT")


# --- inspection ------------------------------------------------------------------------------------------------------


def _what_is_wrong(place: Place) -> str:
    """Empty when the store is sound or there is none yet. Raises StorageUnavailable, StorageFatal."""
    paths = place.paths
    if not paths.db.exists():
        return "the main file is missing" if paths.log.exists() else ""
    try:
        with place.reader() as reader:
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


def _create(place: Place, reason: str) -> OpenReport:
    """A new store in a new epoch, with what could be salvaged; complete before it gets its name.

    Raises OSError, sqlite3.Error, StorageFatal.
    """
    paths = place.paths
    witness = sidefiles.read_witness(paths)
    salvage = _salvage(paths, place.sealer)
    known = max(sidefiles.read_epoch(paths), witness.epoch, salvage.last_epoch, len(paths.quarantines()))
    epoch = Epoch.fresh(max(known + 1, place.first_epoch), max(witness.position, salvage.last_position))
    sidefiles.write_epoch(paths, epoch.number)
    _build(place, epoch, salvage, witness)
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


def _build(place: Place, epoch: Epoch, salvage: _Salvage, witness: Witness) -> None:
    paths = place.paths
    new = Paths(paths.db.with_name(f"{paths.db.stem}.new"))
    for leftover in (new.db, new.log, new.log_index):
        leftover.unlink(missing_ok=True)
    os.close(os.open(new.db, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with closing(place.connect(new.db, "rw")) as db:
        database.create(db)
        db.execute("BEGIN IMMEDIATE")
        _fill(db, place, epoch, salvage, max(salvage.delivered_through, witness.delivered_through))
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    handle = os.open(new.db, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    new.db.replace(paths.db)
    sidefiles.sync_folder(paths.db.parent)


def _fill(db: sqlite3.Connection, place: Place, epoch: Epoch, salvage: _Salvage, delivered_through: int) -> None:
    db.execute(f"PRAGMA application_id={database.APPLICATION_ID}")
    db.execute(f"PRAGMA user_version={database.VERSION}")
    for statement in database.SCHEMA:
        db.execute(statement)
    insert_rows(db, salvage.rows, place.sealer)
    waiting = [(row.position,) for row in salvage.rows if row.position > delivered_through and row.body is not None]
    db.executemany("INSERT INTO outbox VALUES (?)", waiting)
    if place.box:
        salvage.values[BOX] = place.box.encode()
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
