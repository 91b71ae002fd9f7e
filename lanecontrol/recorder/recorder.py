"""Writes the flight recording of one lane: every input with a digest of its effects, every byte on the wire, and
checkpoints, so that any file of the ring can be replayed from its first one.

The lane's runner and the links call it; nothing here blocks them or raises. Lines are made on the loop, buffered, and
written by a thread (or inline). When the disk is slow, wire bytes go first and inputs last, and a gap record says so;
when it fails, the fault is reported once and recording begins again in a new file when the disk takes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from lanecontrol import forms
from lanecontrol.clock import Instant, RealWork
from lanecontrol.events import Input
from lanecontrol.ledger.hands import Hands
from lanecontrol.recorder import records
from lanecontrol.recorder.effects import effects_digest
from lanecontrol.recorder.records import Gap, Way
from lanecontrol.recorder.segments import CONTEXT, Ring
from lanecontrol.sealing import NO_KEY, Sealer


@dataclass(frozen=True, slots=True)
class RecorderLimits:
    """Bounds and times; each default says where it comes from."""

    segment_bytes: int = 4 * 1024 * 1024
    """A file that is replayed in seconds."""
    checkpoint_every: int = 5_000
    """Inputs between checkpoints: some minutes of a busy lane."""
    write_bytes: int = 64 * 1024
    write_after_s: float = 0.5
    """A crash loses at most so much of the recording."""
    memory_bytes: int = 4 * 1024 * 1024
    """Above this, wire bytes are dropped; above twice this, inputs too."""
    retry_s: float = 30.0
    """A disk that failed is tried again after this time."""
    close_s: float = 2.0


@dataclass(slots=True)
class _Chunk:
    """Lines on their way to disk, and what would be lost with them. `begins`: a new segment."""

    begins: bool = False
    size: int = 0
    wire: int = 0
    inputs: int = 0
    lines: list[bytes] = field(default_factory=list)


class Recorder:
    """The recording of one lane. `async with` it, or `close` it."""

    def __init__(
        self,
        folder: Path,
        *,
        setup: Any,
        limit_bytes: int = 64 * 1024 * 1024,
        inline: bool = False,
        work: RealWork | None = None,
        on_fault: Callable[[str], None] = lambda why: None,
        sealer: Sealer = NO_KEY,
        limits: RecorderLimits | None = None,
    ) -> None:
        """Record into `folder`, at most about `limit_bytes` of it. `setup` is the lane's, for the replay.

        `on_fault(why)` is called on the loop's thread: once when recording fails, not again while it fails for the
        same reason, and with empty words when the disk takes it again. Nothing is written before the first input.
        """
        self._limits = limits or RecorderLimits()
        self._setup = forms.to_json(setup)
        segment_bytes = min(self._limits.segment_bytes, max(limit_bytes // 4, 1))
        # Sealed bytes are written in base64: a third more.
        self._segment_bytes = max(1, segment_bytes * 3 // 4) if sealer.seals else segment_bytes
        self._ring = Ring(folder, limit_bytes, segment_bytes)
        self._hands = Hands("recorder", inline, work or RealWork())
        self._on_fault = on_fault
        self._sealer = sealer
        self._chunk = _Chunk()
        self._flying: _Chunk | None = None
        self._queue: list[_Chunk] = []
        self._pending_bytes = 0
        self._in_segment = 0
        self._inputs = 0
        self._since_checkpoint = 0
        self._fresh_start = True
        self._continues = False
        self._lost = Gap(0, 0, "")
        self._down = False
        self._told = ""
        self._timer: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._idle: asyncio.Future[None] | None = None
        self._closed = False

    # --- taking in ---------------------------------------------------------------------------------------------------

    def taken_in(self, given: Input, state: Any, effects: Sequence[Any]) -> None:
        """The lane, being in `state`, was given an input, and these effects came of it. Never raises or blocks."""
        self._inputs += 1
        if self._no_room(2 * self._limits.memory_bytes):
            self._lose("overload", inputs=1)
            return
        try:
            before = self._checkpoint_if_due(state)
            line = records.encode_input(self._inputs, given, effects_digest(effects) if effects else "")
        except (ValueError, TypeError) as error:  # something in it has no JSON form
            self._lose("no JSON form", inputs=1)
            self._fault(f"an input cannot be recorded: {type(error).__name__}")
            return
        if before is not None:
            self._add(before)
        self._since_checkpoint += 1
        self._chunk.inputs += 1
        self._add(line)

    def wire(self, device: str, way: Way, data: bytes, at: Instant) -> None:
        """Bytes came from a device, or went to it. Never raises or blocks."""
        if self._fresh_start and not self._down:
            return  # a file begins with the state before an input; until the first one there is nothing to begin with
        if self._no_room(self._limits.memory_bytes) or self._in_segment > 2 * self._segment_bytes:
            self._lose("overload", wire=1)
            return
        self._chunk.wire += 1
        self._add(records.encode_wire(device, way, data, at))

    def _no_room(self, limit: int) -> bool:
        return self._closed or self._down or self._pending_bytes > limit

    def _lose(self, why: str, wire: int = 0, inputs: int = 0) -> None:
        self._lost = Gap(self._lost.wire + wire, self._lost.inputs + inputs, self._lost.why or why)

    def _checkpoint_if_due(self, state: Any) -> bytes | None:
        """A checkpoint before the next input, in a new file when the present one is full. None when none is due."""
        turn = self._fresh_start or self._in_segment >= self._segment_bytes
        if not turn and not self._lost.inputs and self._since_checkpoint < self._limits.checkpoint_every:
            return None
        line = records.encode_checkpoint(self._inputs - 1, self._setup, forms.to_json(state))
        if turn:
            self._turn()
        self._since_checkpoint = 0
        return line

    def _turn(self) -> None:
        self._send()
        self._chunk.begins = True
        self._in_segment = 0
        self._fresh_start = False

    def _add(self, line: bytes) -> None:
        if self._lost.wire or self._lost.inputs:
            lost, self._lost = self._lost, Gap(0, 0, "")
            self._append(records.encode_gap(lost))
            self._chunk.wire += lost.wire  # should the record of it not reach the disk either
            self._chunk.inputs += lost.inputs
        self._append(line)
        if self._chunk.size >= self._limits.write_bytes:
            self._send()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._limits.write_after_s, self._send)

    def _append(self, line: bytes) -> None:
        self._chunk.lines.append(line)
        self._chunk.size += len(line)
        self._pending_bytes += len(line)
        self._in_segment += len(line)

    # --- writing -----------------------------------------------------------------------------------------------------

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._chunk.lines:
            self._queue.append(self._chunk)
            self._chunk = _Chunk()
        self._write_next()

    def _write_next(self) -> None:
        if self._flying is not None:
            return
        if not self._queue:
            self._rest()
            return
        self._flying = self._queue.pop(0)
        self._hands.do(self._write, self._flying).add_done_callback(self._written)

    def _write(self, chunk: _Chunk) -> None:
        """On the writing thread."""
        head = b""
        if chunk.begins:
            number = self._ring.next_number()
            self._ring.begin(number)
            head = records.encode_segment(number, self._continues)
            self._continues = True
        lines = b"".join(chunk.lines)
        sealed = records.encode_sealed(self._sealer.seal(lines, CONTEXT)) if self._sealer.seals else lines
        self._ring.write(head + sealed)

    def _written(self, done: asyncio.Future[None]) -> None:
        chunk, self._flying = self._flying, None
        assert chunk is not None
        self._pending_bytes -= chunk.size
        error = None if done.cancelled() else done.exception()
        if isinstance(error, OSError):
            self._fail(chunk, error.strerror or str(error))
        elif error is not None:
            raise error
        elif self._told:
            self._told = ""
            self._on_fault("")
        self._write_next()

    def _fail(self, chunk: _Chunk, why: str) -> None:
        """Give up what waits, and begin a new file later: this one may end anywhere."""
        for lost in (chunk, *self._queue, self._chunk):
            self._lose(why, lost.wire, lost.inputs)
        self._queue.clear()
        self._chunk = _Chunk()
        self._pending_bytes = 0
        self._fresh_start = True
        if not self._down and not self._closed:
            self._down = True
            self._retry = asyncio.get_running_loop().call_later(self._limits.retry_s, self._up_again)
            if why != self._told:
                self._told = why
                self._fault(why)

    def _up_again(self) -> None:
        self._down = False

    def _fault(self, why: str) -> None:
        self._on_fault(f"recording failed: {why}")

    # --- the end -----------------------------------------------------------------------------------------------------

    async def flush(self) -> None:
        """Wait until everything so far is written (or given up)."""
        if self._idle is None or self._idle.done():
            self._idle = asyncio.get_running_loop().create_future()
        idle = self._idle
        self._send()
        await idle

    def _rest(self) -> None:
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    async def close(self) -> None:
        """Write what is left and let go; bounded in time. May be called again."""
        if self._closed:
            return
        self._closed = True
        if self._retry is not None:
            self._retry.cancel()
        try:
            async with asyncio.timeout(self._limits.close_s):
                await self.flush()
                await self._hands.do(self._ring.close)
        except TimeoutError:
            self._queue.clear()
        finally:
            self._hands.end()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
