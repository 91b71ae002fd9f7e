"""The files of a recording: a bounded ring of segments, written by one, read by anyone. Blocking calls only.

Nothing is synced: a recording survives the death of the process, not a power cut; what must is in the ledger.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from lanecontrol.recorder.records import SEALED, Gap, Record, Sealed, Wire, decode
from lanecontrol.sealing import NO_KEY, Sealer

_NAME = re.compile(r"segment-(\d{8})\.jsonl")

UNREADABLE = Gap(0, 1, "unreadable line")
"""Stands for damage inside a file; what it was nobody knows, so a replay must not go on across it."""
LOCKED = Gap(0, 1, "sealed with a key that is not here")
CONTEXT = b"flight recorder"
"""What sealed lines open together with."""


def segment_files(folder: Path) -> list[Path]:
    """The segments in a folder, oldest first. Raises OSError."""
    return sorted(file for file in folder.iterdir() if _NAME.fullmatch(file.name))


def _number(file: Path) -> int:
    found = _NAME.fullmatch(file.name)
    return int(found[1]) if found else 0


class Ring:
    """The writing end. Raises OSError from every call; after one, the next write begins a new file."""

    def __init__(self, folder: Path, limit_bytes: int, segment_bytes: int) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._segment_bytes = segment_bytes
        self._handle: int | None = None

    def next_number(self) -> int:
        """The number of the segment after the newest one there is."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return max(map(_number, segment_files(self._folder)), default=0) + 1

    def begin(self, number: int) -> None:
        """Make room and begin a new segment."""
        self.close()
        self._make_room()
        path = self._folder / f"segment-{number:08d}.jsonl"
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)

    def write(self, data: bytes) -> None:
        """Append to the present segment."""
        if self._handle is None:
            raise OSError("no segment is open")
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._handle, view) :]
        except OSError:
            self.close()
            raise

    def _make_room(self) -> None:
        files = segment_files(self._folder)
        sizes = [file.stat().st_size for file in files]
        total = sum(sizes) + self._segment_bytes
        for file, size in zip(files, sizes, strict=True):
            if total <= self._limit_bytes:
                return
            file.unlink()
            total -= size

    def close(self) -> None:
        if self._handle is not None:
            handle, self._handle = self._handle, None
            os.close(handle)


def read(path: Path, sealer: Sealer = NO_KEY) -> Iterator[Record]:
    """The records of one segment, or of a folder of them, in order. Raises OSError.

    A torn last line (the process died while writing it) is left out; anything else unreadable shows as a gap, and so
    does what is sealed with a key that `sealer` has not.
    """
    for file in segment_files(path) if path.is_dir() else [path]:
        for line in lines(file, sealer):
            yield LOCKED if line is None else decode(line) or UNREADABLE


def lines(file: Path, sealer: Sealer) -> Iterator[bytes | None]:
    """The whole lines of a segment, those that were sealed as they were before; None for what does not open."""
    with file.open("rb") as stored:
        for line in stored:
            if not line.endswith(b"\n"):
                return
            sealed = decode(line) if line.startswith(SEALED) else None
            if isinstance(sealed, Sealed):
                opened = sealer.open(sealed.data, CONTEXT)
                yield from [None] if opened is None else opened.splitlines(keepends=True)
            else:
                yield line


def wire_only(path: Path, device: str = "", sealer: Sealer = NO_KEY) -> Iterator[Wire]:
    """The wire bytes of one device, or of all, for playing a recorded device as a fake one. Raises OSError."""
    for record in read(path, sealer):
        if isinstance(record, Wire) and device in ("", record.device):
            yield record
