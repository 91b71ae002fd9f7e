"""The snapshot's file: looked at now and then, opened off the event loop, sealed on disk, told when it is of no use.

Made by the composition root; `lookup` is what `port.questions` asks. A file that is damaged, too old, of another port
or signed by nobody the lane file names is not used, and the lane is told so as a fault of the device `snapshot`. A good
file in clear is put back sealed with the store's keys, where there are any. Never raises for a file.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Never

from lanecontrol.clock import Clock
from lanecontrol.events import DeviceFault, Event
from lanecontrol.port.snapshot import MAX_BYTES, Snapshot, Unusable, opened, too_old
from lanecontrol.questions import Enrolments, Lookouts, Question
from lanecontrol.sealing import MAGIC as SEALED
from lanecontrol.sealing import OVERHEAD_BYTES, Sealer

SOURCE = "snapshot"
CONTEXT = b"snapshot"
LOOK_EVERY_S = 30.0
"""A port renews it every few hours; a look is one call of the file system."""


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
            self._snapshot, self._broken = await asyncio.to_thread(self._open)
            # Sealing it anew changes the file: that is no news.
            self._seen = await asyncio.to_thread(self._stamp)
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

    def _open(self) -> tuple[Snapshot | None, str]:
        try:
            stored = read_bounded(self._path)
        except OSError as error:
            return None, f"it cannot be read: {error.strerror}"
        plain = self._sealer.open(stored, CONTEXT)
        if plain is None:
            return None, "it is sealed with a key that is not among the store's"
        try:
            snapshot = opened(plain, signers=self._signers, secret=self._secret)
        except Unusable as error:
            return None, str(error)
        if snapshot.head.port != self._port:
            return None, f"it is of the port {snapshot.head.port[:64]}"
        if self._sealer.seals and not stored.startswith(SEALED):
            self._put_back(self._sealer.seal(plain, CONTEXT))
        return snapshot, ""

    def _put_back(self, sealed: bytes) -> None:
        """In place of the one in clear, whole or not at all. A disk that refuses leaves it as it was."""
        beside = self._path.with_name(f"{self._path.name}.sealing")
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(sealed)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        except OSError:
            beside.unlink(missing_ok=True)


def read_bounded(path: Path) -> bytes:
    """The file, or as much of it as shows that it is too long. Raises OSError."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + OVERHEAD_BYTES + 1)
