"""A portal that repeats a recording: the very lines a real portal sent, at the recorded pace or faster.

Used by `lanecontrol sim --recording rpm.rapiscan=FILE`. A recording is a text file of portal lines to which the
recorder added its own time stamp as last column; the stamp is taken off again and paces the playback. What really
happened in the recording (`Recording.occupancies`) is worked out here, by this module's own reading of the lines.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from lanecontrol.links import Link
from sim.fake import Fake, FakeConfig
from sim.outbox import Outbox, discard, serve_client
from sim.readings import Deed, Reading

DAY_S = 24 * 3600.0

_STAMP = re.compile(rb"(?:\d{4}-\d\d-\d\d )?(\d\d)[:-](\d\d)[:-](\d\d\.\d{1,6})(?: [+-]\d\d(?::?\d\d)?)?")
_OCCUPIED = {b"GS", b"GA", b"NS", b"NA"}


@dataclass(frozen=True, slots=True)
class RecordedOccupancy:
    """One vehicle in the recording. Offsets in recorded seconds from its first line."""

    start_s: float
    end_s: float
    gamma_alarm: bool
    neutron_alarm: bool


@dataclass(frozen=True, slots=True)
class Recording:
    """The lines (with CRLF) and when each came, in recorded seconds from the first."""

    lines: tuple[tuple[float, bytes], ...]
    occupancies: tuple[RecordedOccupancy, ...]

    @property
    def duration_s(self) -> float:
        """From the first line to the last, in recorded seconds."""
        return self.lines[-1][0] if self.lines else 0.0


class RecordingConfig(FakeConfig):
    """Which recording to repeat, and how fast."""

    kind: Literal["rpm.rapiscan"] = "rpm.rapiscan"
    file: Path
    """Portal lines with the recorder's time stamp as last column."""
    speed: float = Field(default=1.0, gt=0)
    """How many recorded seconds pass in one second."""
    outbox_bytes: int = Field(default=1024 * 1024, gt=0)
    """A client that lets more than this pile up is dropped."""


class RecordingPortal(Fake):
    """Starts with its first client and goes on to the end, whoever listens. `done` is set after the last line.

    Reads the file when it is made, so make it before the lane runs. Raises OSError.
    """

    Config = RecordingConfig
    config: RecordingConfig

    def __init__(self, config: RecordingConfig, act: Callable[[Deed], None]) -> None:
        super().__init__(config, act)
        self.recording = parse_recording(config.file.read_bytes())
        self.done = asyncio.Event()
        self._clients: set[Outbox] = set()
        self._next = 0
        self.started_s: float | None = None
        """Loop time of the first line; None until a client has come."""

    @property
    def duration_s(self) -> float:
        """How long the playback takes at its speed."""
        return self.recording.duration_s / self.config.speed

    def sense(self, reading: Reading) -> None:
        """The world has no say here."""

    async def serve(self, link: Link) -> None:
        outbox = Outbox(self.config.outbox_bytes)
        self._clients.add(outbox)
        if self.started_s is None:
            self.started_s = asyncio.get_running_loop().time()
            self._play()
        try:
            await serve_client(link, outbox, discard(link))
        finally:
            self._clients.discard(outbox)

    def _play(self) -> None:
        """Send what is due and come back for the next; a timer, so that a virtual clock can jump to it."""
        assert self.started_s is not None
        loop = asyncio.get_running_loop()
        while self._next < len(self.recording.lines):
            at_s, data = self.recording.lines[self._next]
            due_s = self.started_s + at_s / self.config.speed
            if due_s > loop.time():
                loop.call_at(due_s, self._play)
                return
            for client in tuple(self._clients):
                client.put(data)
            self._next += 1
        self.done.set()


def parse_recording(raw: bytes) -> Recording:
    """The recording in `raw`; lines without a readable stamp came with the line before them. Never raises."""
    lines = tuple(_stamped(raw))
    return Recording(lines, tuple(_occupancies(lines)))


def _stamped(raw: bytes) -> Iterator[tuple[float, bytes]]:
    start_s: float | None = None
    now_s = 0.0
    for row in raw.split(b"\n"):
        row = row.rstrip(b"\r")
        if not row.strip():
            continue
        text, _, last = row.rpartition(b",")
        stamp = _STAMP.fullmatch(last.strip())
        if stamp:
            clock_s = int(stamp[1]) * 3600 + int(stamp[2]) * 60 + float(stamp[3])
            start_s = clock_s if start_s is None else start_s
            # A stamp before the last one by half a day or more is the next day; a smaller step back is jitter.
            days = round((now_s + start_s - clock_s) / DAY_S)
            now_s = max(now_s, clock_s - start_s + days * DAY_S)
        yield now_s, (text if stamp else row) + b"\r\n"


def _occupancies(lines: tuple[tuple[float, bytes], ...]) -> Iterator[RecordedOccupancy]:
    start_s: float | None = None
    seen: set[bytes] = set()
    for at_s, data in lines:
        tag = data.split(b",", 1)[0].strip()
        if tag in _OCCUPIED:
            start_s = at_s if start_s is None else start_s
            seen.add(tag)
        elif tag == b"GX" and start_s is not None:
            yield RecordedOccupancy(start_s, at_s, b"GA" in seen, b"NA" in seen)
            start_s, seen = None, set()
    if start_s is not None:
        yield RecordedOccupancy(start_s, lines[-1][0], b"GA" in seen, b"NA" in seen)
