"""Small files beside the store: the epoch, a witness of its head, a lock, and the mark that it is under suspicion.

`epoch` outlives the store, so that a store that was lost never uses an epoch again. `head` says how far the store had
come: SQLite drops the tail of a damaged write-ahead log without a word, and a copy restored from a backup looks sound;
both show by a head that is behind its witness. The witness is written after the commit it speaks of and is not synced,
so it can only be too old.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from lanecontrol.errors import StorageFatal
from lanecontrol.ledger.records import START, Position

try:
    import fcntl
except ImportError:  # no such locks on this system: one process per store is then up to whoever starts it
    fcntl = None  # type: ignore[assignment]

_WITNESS_BYTES = 96


@dataclass(frozen=True, slots=True)
class Witness:
    """How far a store is known to have come."""

    epoch: int = 0
    seq: int = 0
    position: Position = START
    delivered_through: Position = START


@dataclass(frozen=True, slots=True)
class Paths:
    """The files of the store at `db`."""

    db: Path

    def _beside(self, what: str) -> Path:
        return self.db.with_name(f"{self.db.stem}.{what}")

    @property
    def log(self) -> Path:
        return self.db.with_name(self.db.name + "-wal")

    @property
    def log_index(self) -> Path:
        return self.db.with_name(self.db.name + "-shm")

    @property
    def epoch(self) -> Path:
        return self._beside("epoch")

    @property
    def head(self) -> Path:
        return self._beside("head")

    @property
    def lock(self) -> Path:
        return self._beside("lock")

    @property
    def suspect(self) -> Path:
        return self._beside("suspect")

    def quarantines(self) -> list[Path]:
        """The folders of what was moved aside, oldest first."""
        found = (p for p in self.db.parent.glob(f"{self.db.stem}.bad-*") if p.name.rpartition("-")[2].isdecimal())
        return sorted(found, key=_number)

    def next_quarantine(self) -> Path:
        return self._beside(f"bad-{max(map(_number, self.quarantines()), default=0) + 1}")


def _number(quarantine: Path) -> int:
    return int(quarantine.name.rpartition("-")[2])


def sync_folder(folder: Path) -> None:
    """Make names created or changed in `folder` durable. Raises OSError."""
    if os.name == "nt":  # folders cannot be synced there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_durably(path: Path, content: bytes) -> None:
    """Replace a small file: written aside, synced, renamed, folder synced. Raises OSError."""
    aside = path.with_name(path.name + ".new")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)
    aside.replace(path)
    sync_folder(path.parent)


def _sealed(*numbers: int) -> bytes:
    text = " ".join(map(str, numbers)).encode()
    return b"%b %08x\n" % (text, crc32(text))


def _unsealed(path: Path, count: int) -> list[int]:
    """The numbers in a sealed line; zeros where the file is not there or damaged. Raises OSError otherwise."""
    try:
        text, _, seal = path.read_bytes().split(b"\n")[0].rpartition(b" ")
    except FileNotFoundError:
        return [0] * count
    if seal != b"%08x" % crc32(text) or not text:
        return [0] * count
    numbers = [int(word) for word in text.split()]
    return numbers if len(numbers) == count else [0] * count


def read_epoch(paths: Paths) -> int:
    """The highest epoch in use, 0 for none known. Raises OSError."""
    return _unsealed(paths.epoch, 1)[0]


def write_epoch(paths: Paths, epoch: int) -> None:
    """Raises OSError."""
    write_durably(paths.epoch, _sealed(epoch))


def read_witness(paths: Paths) -> Witness:
    """Raises OSError."""
    epoch, seq, position, through = _unsealed(paths.head, 4)
    return Witness(epoch, seq, Position(position), Position(through))


class WitnessFile:
    """Keeps the witness up to date with one small write, in place."""

    def __init__(self, paths: Paths) -> None:
        self._handle = os.open(paths.head, os.O_WRONLY | os.O_CREAT, 0o600)

    def write(self, witness: Witness) -> None:
        """Never raises: a witness that cannot be written is only too old."""
        numbers = _sealed(witness.epoch, witness.seq, witness.position, witness.delivered_through)
        with contextlib.suppress(OSError):
            os.lseek(self._handle, 0, os.SEEK_SET)
            os.write(self._handle, numbers.ljust(_WITNESS_BYTES, b"\n"))

    def close(self) -> None:
        os.close(self._handle)


class Lock:
    """One process per store. Held until closed or the process ends."""

    def __init__(self, paths: Paths) -> None:
        """Raises StorageFatal when another process holds it, OSError."""
        self._handle = os.open(paths.lock, os.O_RDWR | os.O_CREAT, 0o600)
        if fcntl is None:
            return
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._handle)
            raise StorageFatal("open", f"another process uses {paths.db}") from None

    def close(self) -> None:
        os.close(self._handle)
