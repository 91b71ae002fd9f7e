"""The snapshot's file: looked at now and then, opened off the event loop, sealed on disk, told when it is of no use.

Made by the composition root; `lookup` is what `port.questions` asks. A file that is damaged, too old, of another port
or signed by nobody the lane file names is not used, and the lane is told so as a fault of the device `snapshot`. A good
file in clear is put back sealed with the store's keys, where there are any. Never raises for a file.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Never

from lanecontrol.clock import Clock
from lanecontrol.events import DeviceFault, Event
from lanecontrol.port.snapshot import MAX_BYTES, Snapshot, Unusable, opened, too_old
from lanecontrol.questions import Enrolments, Lookouts, Question
from lanecontrol.sealing import OVERHEAD_BYTES, Sealer

SOURCE = "snapshot"
CONTEXT = b"snapshot"
PIECES = b"LCSP1\n"
"""How a sealed file begins: then 4 bytes number of pieces, and each as 4 bytes length and the sealed bytes."""
PIECE_BYTES = 1024 * 1024
"""Sealing and opening let nothing else run in between: some milliseconds for each piece, not for the whole file."""
LOOK_EVERY_S = 30.0
"""A port renews it every few hours; a look is one call of the file system."""


_OVERHEAD_BYTES = len(PIECES) + 4 + (MAX_BYTES // PIECE_BYTES + 1) * (OVERHEAD_BYTES + 4)


@dataclass(frozen=True, slots=True)
class _Stamp:
    """Tells one file from another without reading it."""

    inode: int
    size: int
    modified_ns: int


class SnapshotFile:
    """The snapshot of one lane."""

    def __init__(
        self,
        path: Path,
        *,
        port: str,
        signers: tuple[bytes, ...],
        max_age_s: float,
        secret: bytes,
        sealer: Sealer,
        clock: Clock,
        emit: Callable[[str, Event], None],
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._path = path
        self._port = port
        self._signers = signers
        self._max_age_s = max_age_s
        self._secret = secret
        self._sealer = sealer
        self._clock = clock
        self._emit = emit
        self._look_every_s = look_every_s
        self._seen: _Stamp | None = None
        self._snapshot: Snapshot | None = None
        self._broken = "it has not been looked at yet"
        self._told: str | None = None

    @property
    def trouble(self) -> str:
        """Why it is not used now; empty when it is."""
        if self._snapshot is None:
            return self._broken
        return too_old(self._snapshot.head, self._clock.now().utc_s, self._max_age_s)

    def lookup(self, question: Question) -> Enrolments | Lookouts | None:
        """What it says, from memory; None where it may not be used."""
        if self._snapshot is None or self.trouble:
            return None
        return self._snapshot.answer(question)

    async def run(self) -> Never:
        """Look at the file for ever; what changes is opened in a thread."""
        while True:
            await self.look()
            await asyncio.sleep(self._look_every_s)

    async def look(self) -> None:
        """Look once."""
        stamp = await asyncio.to_thread(self._stamp)
        if stamp is None or stamp != self._seen:
            self._snapshot, self._broken, self._seen = await asyncio.to_thread(self._open)
        self._tell(self.trouble)

    def _tell(self, trouble: str) -> None:
        key = "".join(sign for sign in trouble if not sign.isdigit())  # that it grows older is no news
        if key != self._told:
            self._told = key
            self._emit(SOURCE, DeviceFault("snapshot_unusable", trouble or "it is usable", active=bool(trouble)))

    # --- in a thread ---

    def _stamp(self) -> _Stamp | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return _Stamp(found.st_ino, found.st_size, found.st_mtime_ns)

    def _open(self) -> tuple[Snapshot | None, str, _Stamp | None]:
        """The snapshot or why there is none, and which file that was: sealing it anew changes it, and is no news."""
        read = self._stamp()
        try:
            stored = read_bounded(self._path)
        except OSError as error:
            return None, f"it cannot be read: {error.strerror}", read
        snapshot, broken, plain = self._judged(stored)
        if snapshot is not None and self._sealer.seals and not stored.startswith(PIECES):
            read = self._put_back(sealed(self._sealer, plain), read)
        return snapshot, broken, read

    def _judged(self, stored: bytes) -> tuple[Snapshot | None, str, bytes]:
        plain = unsealed(self._sealer, stored)
        if plain is None:
            return None, "it is sealed with a key that is not among the store's", b""
        try:
            snapshot = opened(plain, signers=self._signers, secret=self._secret)
        except Unusable as error:
            return None, str(error), b""
        if snapshot.head.port != self._port:
            return None, f"it is of the port {snapshot.head.port[:64]}", b""
        return snapshot, "", plain

    def _put_back(self, parts: Iterator[bytes], read: _Stamp | None) -> _Stamp | None:
        """In place of the one in clear, whole or not at all. A disk that refuses leaves it as it was; a newer file that
        was put there meanwhile stays, and will be looked at. The stamp of the file that is known now."""
        beside = self._path.with_name(f"{self._path.name}.sealing")
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(parts)
                file.flush()
                os.fsync(file.fileno())
            if self._stamp() == read:
                beside.replace(self._path)
                return self._stamp()
            beside.unlink()
        except OSError:
            beside.unlink(missing_ok=True)
        return read


def read_bounded(path: Path) -> bytes:
    """The file, or as much of it as shows that it is too long. Raises OSError, also for what is no plain file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would have us wait for ever
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no plain file")
        return file.read(MAX_BYTES + _OVERHEAD_BYTES + 1)


# --- at rest ---------------------------------------------------------------------------------------------------------


def sealed(sealer: Sealer, plain: bytes) -> Iterator[bytes]:
    """The file as it lies on disk, where there is a key, part by part."""
    count = -(-len(plain) // PIECE_BYTES)
    yield PIECES + count.to_bytes(4, "big")
    for number in range(count):
        piece = plain[number * PIECE_BYTES : (number + 1) * PIECE_BYTES]
        part = sealer.seal(piece, _context(number, count))
        yield len(part).to_bytes(4, "big")
        yield part


def unsealed(sealer: Sealer, stored: bytes) -> bytes | None:
    """What was sealed, or came in clear. None where its key is not here; what is damaged is no snapshot any more."""
    if not stored.startswith(PIECES):
        return sealer.open(stored, CONTEXT)
    rest = memoryview(stored)[len(PIECES) :]
    count, rest = int.from_bytes(rest[:4], "big"), rest[4:]
    plain: list[bytes] = []
    while len(rest) > 4 and len(plain) < count:
        size, rest = int.from_bytes(rest[:4], "big"), rest[4:]
        piece = sealer.open(bytes(rest[:size]), _context(len(plain), count))
        if piece is None:
            return None
        plain.append(piece)
        rest = rest[size:]
    return b"".join(plain)


def _context(number: int, count: int) -> bytes:
    """Each piece opens in its own place alone, and only in a file of as many."""
    return b"%b %d of %d" % (CONTEXT, number, count)
