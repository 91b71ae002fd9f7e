"""The port's side of pictures in chunks: a reference for consumers, and what our tests check the lane by.

Puts each chunk into a file of its own under the place where it belongs, so that chunks may come twice, in any order, in
other sizes, and over restarts of the consumer; when all bytes are there the whole is checked against the hash that
names it. Blocking calls only. Never raises on what it is given; a disk that fails raises OSError, and then the message
must not be acknowledged. The daemon never uses it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from lanecontrol.port.evidence_chunks import PREFIX, EvidenceChunk, parse_chunk

UNFINISHED_LIMIT = 256
"""Pictures that may be incomplete at a time; beyond it the one that has waited longest is let go of."""
_PIECE = re.compile(r"(\d{10})-(\d{6})")


class Took(Enum):
    """What became of a chunk."""

    NOT_OURS = auto()
    """It is no chunk, or cannot be true."""
    WAITING = auto()
    """It is on disk; others are missing."""
    WHOLE = auto()
    """It was the last one, and the picture is what its reference says."""
    REPEATED = auto()
    """The picture is here already."""
    WRONG = auto()
    """It was the last one, and the whole is not what its reference says: all of it is thrown away."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a chunk, and of which picture."""

    took: Took
    chunk: EvidenceChunk | None = None
    path: Path | None = None
    """Where the picture is, once it is whole."""

    @property
    def size_bytes(self) -> int:
        return self.chunk.size_bytes if self.chunk is not None else 0


class PictureDesk:
    """Pictures arriving in one folder: whole ones by their hash, others below `unfinished`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unfinished = folder / "unfinished"

    def take(self, payload: bytes) -> Taken:
        """A message below `evidence/`. Raises OSError."""
        parsed = parse_chunk(payload)
        if parsed is None:
            return Taken(Took.NOT_OURS)
        chunk, piece = parsed
        digest = chunk.reference.removeprefix(PREFIX)
        whole = self._folder / digest
        if whole.exists():
            return Taken(Took.REPEATED, chunk, whole)
        pieces = self._unfinished / digest
        self._make_room(pieces)
        _put(pieces / f"{chunk.offset:010d}-{len(piece):06d}", piece)
        found = _joined(pieces, chunk.size_bytes)
        if found is None:
            return Taken(Took.WAITING, chunk)
        if hashlib.sha256(found).hexdigest() != digest:
            shutil.rmtree(pieces)
            return Taken(Took.WRONG, chunk)
        _put(whole, found)
        shutil.rmtree(pieces)
        return Taken(Took.WHOLE, chunk, whole)

    def _make_room(self, pieces: Path) -> None:
        if pieces.is_dir():
            return
        pieces.mkdir(parents=True)
        others = sorted(self._unfinished.iterdir(), key=lambda path: path.stat().st_mtime)
        for path in others[: max(len(others) - UNFINISHED_LIMIT, 0)]:
            shutil.rmtree(path)


def _joined(pieces: Path, size: int) -> bytes | None:
    """The whole, when nothing is missing; pieces of attempts that cut differently may overlap."""
    spans = sorted((int(m[1]), path) for path in pieces.iterdir() if (m := _PIECE.fullmatch(path.name)))
    made = bytearray()
    for offset, path in spans:
        if offset > len(made):
            return None
        made += path.read_bytes()[len(made) - offset :]
    return bytes(made) if len(made) == size else None


def _put(path: Path, content: bytes) -> None:
    """The whole file or none, and it stays when the power fails."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
