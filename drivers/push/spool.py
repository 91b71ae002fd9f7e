"""The spool: what a camera was told is received lies on the disk until the ledger has it.

Used by `reception`. One file for each push: a line that says when it came and what it is, then the body as it came, all
of it sealed where the lane has a key. Every method works in a thread. Files are for their owner only, and go when they
are settled.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lanecontrol.sealing import NO_KEY, Sealer

MAGIC = b"lanecontrol-push 1 "
_SUFFIX = ".push"
_HEAD_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class Push:
    """A body with its Content-Type, and when it arrived (UTC)."""

    body: bytes
    content_type: str
    arrived_utc_s: float


class SpoolError(Exception):
    """The spool does not take a push: full, or its disk is."""


class SpoolLocked(Exception):
    """A push is sealed with a key that is not here. It stays where it is, until it is too old."""


def pack(push: Push) -> bytes:
    """A push as it lies in the spool, before it is sealed."""
    facts = {"arrived_utc_s": push.arrived_utc_s, "content_type": push.content_type[:1024]}
    return MAGIC + json.dumps(facts).encode() + b"\n" + push.body


def unpack(raw: bytes) -> Push | None:
    """A push from a spool file; None where it is none."""
    end = raw.find(b"\n", 0, _HEAD_LIMIT)
    if not raw.startswith(MAGIC) or end < 0:
        return None
    try:
        facts = json.loads(raw[len(MAGIC) : end])
        return Push(raw[end + 1 :], str(facts["content_type"]), float(facts["arrived_utc_s"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


class Spool:
    """One device's spool. `backlog` are the files that a session before left, oldest first."""

    def __init__(self, folder: Path, limit_bytes: int, sealer: Sealer) -> None:
        self._folder = folder
        self._sealer = sealer
        self._limit_bytes = limit_bytes
        self._sizes: dict[Path, int] = {}
        self._number = 0
        self.backlog: tuple[Path, ...] = ()
        self.too_old = 0
        """Files that were older than the limit when the spool was opened, and were dropped."""
        self.trouble = ""
        """Why the spool could not be read when it was opened."""

    @classmethod
    async def open(cls, folder: Path, *, limit_bytes: int, oldest_utc_s: float, sealer: Sealer = NO_KEY) -> Spool:
        """Look through what is there. Pushes that arrived before `oldest_utc_s` are dropped."""
        spool = cls(folder, limit_bytes, sealer)
        try:
            await asyncio.to_thread(spool._look_through, oldest_utc_s)
        except OSError as error:
            spool.trouble = _words(error)
        return spool

    @property
    def size(self) -> int:
        return sum(self._sizes.values())

    async def put(self, push: Push) -> Path:
        """Returns when the push is on the disk. Raises SpoolError."""
        size = len(push.body) + _HEAD_LIMIT
        if self.size + size > self._limit_bytes:
            raise SpoolError(f"the spool has reached its limit of {self._limit_bytes >> 20} MiB")
        self._number += 1
        path = self._folder / f"{round(push.arrived_utc_s * 1e6):017d}-{self._number:06d}{_SUFFIX}"
        self._sizes[path] = size
        try:
            await asyncio.to_thread(_write, path, push, self._sealer)
        except OSError as error:
            del self._sizes[path]
            raise SpoolError(_words(error)) from error
        return path

    async def get(self, path: Path) -> Push | None:
        """The push in a file; None where there is none that can be read. Raises SpoolLocked."""
        return await asyncio.to_thread(_read, path, self._sealer)

    async def drop(self, paths: Sequence[Path]) -> None:
        """These are settled."""
        await asyncio.to_thread(_remove, tuple(paths))
        for path in paths:
            self._sizes.pop(path, None)

    def _look_through(self, oldest_utc_s: float) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = sorted(self._folder.iterdir())
        oldest = f"{max(0, round(oldest_utc_s * 1e6)):017d}"
        keep = [path for path in found if path.suffix == _SUFFIX and path.name >= oldest]
        old = [path for path in found if path.suffix == _SUFFIX and path.name < oldest]
        _remove((*old, *(path for path in found if path.suffix == ".part")))
        self.too_old = len(old)
        self._sizes = {path: path.stat().st_size for path in keep}
        self.backlog = tuple(keep)
        self._number = len(found)


def _write(path: Path, push: Push, sealer: Sealer) -> None:
    """Either the whole file is there under its name, and stays there when the power fails, or none."""
    part = path.with_suffix(".part")
    stored = sealer.seal(pack(push), _context(path))
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(stored)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(path: Path, sealer: Sealer) -> Push | None:
    try:
        stored = path.read_bytes()
    except OSError:
        return None
    packed = sealer.open(stored, _context(path))
    if packed is None:
        raise SpoolLocked
    return unpack(packed)


def _context(path: Path) -> bytes:
    """A sealed push opens under its own name only."""
    return f"push {path.name}".encode()


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        with suppress(OSError):  # it is found again at the next start, and its event is told once more
            path.unlink(missing_ok=True)


def _words(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else "the disk fails"
