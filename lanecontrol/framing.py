"""From a stream of bytes to frames: pure, bounded, never raising, the same frames however the bytes were split.

Used by drivers and by whoever else speaks such a protocol. A framer belongs to one connection. Bytes that make no
frame come out as `Doubt`s in their place; who reads them decides what they mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

DOUBT_LIMIT = 256
"""How many of the bytes in question a doubt carries; the rest of a long run is thrown away."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Bytes that made no frame (the first of them), and why."""

    raw: bytes
    why: str


@dataclass(frozen=True, slots=True)
class Violation(Doubt):
    """The stream cannot be followed any further: every later byte is ignored. The session should end."""


class LineFramer:
    """Splits at LF and strips one CR before it. The frames are lines without their ends, empty lines included.

    A line of more than `limit` bytes before its LF is one doubt with its first bytes; the next LF starts anew.
    """

    def __init__(self, limit: int = 256) -> None:
        self._limit = limit
        self._pending = b""
        self._skipping = False

    @property
    def pending(self) -> int:
        """Bytes that wait for the rest of their line: never more than `limit`."""
        return len(self._pending)

    def feed(self, data: bytes) -> list[bytes | Doubt]:
        """The lines that `data` completes."""
        if self._skipping:
            _, end, data = data.partition(b"\n")
            if not end:
                return []
            self._skipping = False
        *lines, pending = (self._pending + data if self._pending else data).split(b"\n")
        limit = self._limit
        frames: list[bytes | Doubt] = [
            (line[:-1] if line[-1:] == b"\r" else line) if len(line) <= limit else self._too_long(line)
            for line in lines
        ]
        if len(pending) > limit:
            frames.append(self._too_long(pending))
            self._skipping = True
            pending = b""
        self._pending = pending
        return frames

    def _too_long(self, line: bytes) -> Doubt:
        return Doubt(line[: min(self._limit, DOUBT_LIMIT)], f"line of more than {self._limit} bytes")


class LengthFramer:
    """Frames with a header that tells their length: LLRP, Modbus/TCP and their like.

    `header` is a compiled pattern (re.DOTALL) that matches exactly `header_size` bytes of a plausible header;
    `length_of(header)` is the length of the whole frame. A header that does not match, or whose length is below
    `header_size` or above `limit`, is absurd. Then, with `hunt`, the run of bytes up to the next plausible header
    becomes one doubt (for protocols whose headers are distinct enough to be found again); without, a `Violation`
    comes out, and nothing after it.
    """

    def __init__(
        self,
        header: re.Pattern[bytes],
        header_size: int,
        length_of: Callable[[bytes], int],
        *,
        limit: int,
        hunt: bool = False,
    ) -> None:
        self._header = header
        self._header_size = header_size
        self._length_of = length_of
        self._limit = limit
        self._hunt = hunt
        self._pending = bytearray()
        self._junk = bytearray()
        self._junk_told = False
        self._dead = False

    @property
    def pending(self) -> int:
        """Bytes that wait for the rest of their frame: never more than `limit`."""
        return len(self._pending)

    def feed(self, data: bytes) -> list[bytes | Doubt]:
        """The frames that `data` completes."""
        if self._dead:
            return []
        self._pending += data
        frames: list[bytes | Doubt] = []
        start = 0
        while not self._dead and len(self._pending) - start >= self._header_size:
            length = self._plausible(start)
            if length is None:
                start = self._absurd(start, frames)
                continue
            self._tell_junk(frames)
            self._junk.clear()
            self._junk_told = False
            if len(self._pending) - start < length:
                break
            frames.append(bytes(self._pending[start : start + length]))
            start += length
        del self._pending[: len(self._pending) if self._dead else start]
        return frames

    def _plausible(self, start: int) -> int | None:
        if self._header.match(self._pending, start) is None:
            return None
        length = self._length_of(bytes(self._pending[start : start + self._header_size]))
        return length if self._header_size <= length <= self._limit else None

    def _absurd(self, start: int, frames: list[bytes | Doubt]) -> int:
        """Where to look next; hunting, past everything that cannot be a header."""
        if not self._hunt:
            raw = bytes(self._pending[start : start + min(self._header_size, DOUBT_LIMIT)])
            frames.append(Violation(raw, "not a header of this protocol, or an absurd length"))
            self._dead = True
            return start
        found = self._header.search(self._pending, start + 1)
        end = found.start() if found else len(self._pending) - self._header_size + 1
        room = DOUBT_LIMIT - len(self._junk)
        self._junk += self._pending[start : min(end, start + room)]
        if len(self._junk) == DOUBT_LIMIT:
            self._tell_junk(frames)
        return end

    def _tell_junk(self, frames: list[bytes | Doubt]) -> None:
        """Once for a run: at its end, or when as much has come as a doubt carries."""
        if self._junk and not self._junk_told:
            frames.append(Doubt(bytes(self._junk), "bytes outside of any frame"))
            self._junk_told = True
