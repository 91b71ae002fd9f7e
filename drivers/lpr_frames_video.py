"""Pictures out of a video stream or a USB camera, for `lpr.frames`: the daemon's end of the capture process.

Called by the driver. One task runs it, another one asks. Must never block the loop, never wait without a deadline for a
camera, and leave no process behind. What the process writes to its error output is searched and forgotten: it may hold
the camera's password.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from drivers.lpr_frames_messages import HEAD, Ask, Failure, Kind, Order, head, meant
from drivers.lpr_frames_sources import Picture
from lanecontrol.errors import CredentialsRefused, DeviceError, LinkLost, ProtocolViolation
from lanecontrol.plates import INSTALL

START_S = 20.0
"""Loading OpenCV takes a fraction of a second; a box that is starting up has other things to do as well."""
END_S = 1.0
"""A killed process ends at once, unless the kernel holds it in a device driver; nothing helps then."""
_TAIL = 8192
_PROGRAM = (sys.executable, "-m", "drivers.lpr_frames_capture")


class Video:
    """One capture process, as long as `run` runs."""

    def __init__(self, order: Order, *, answer_s: float, program: Sequence[str] = _PROGRAM) -> None:
        self._order, self._answer_s, self._program = order, answer_s, program
        self._child: Process | None = None
        self._ready = asyncio.Event()
        self._asked = 0
        self._answers: asyncio.Queue[bytes | None] = asyncio.Queue()

    @property
    def process(self) -> int | None:
        """The number of the process that captures, while there is one."""
        return self._child.pid if self._child is not None and self._child.returncode is None else None

    async def run(self) -> None:
        """Serve until there are no more pictures. Raises LinkLost, CredentialsRefused, ProtocolViolation."""
        child = self._child = await asyncio.create_subprocess_exec(
            *self._program, stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=1 << 20
        )
        assert child.stdin is not None and child.stderr is not None
        said = asyncio.get_running_loop().create_task(_tail(child.stderr))
        try:
            child.stdin.write(self._order.line())  # not as an argument: it may hold a password
            failure, why = await self._take_in(child)
            with suppress(TimeoutError):
                async with asyncio.timeout(END_S):
                    await asyncio.wait({said})
            meaning = meant(said.result()) if said.done() else ""
            raise _error(failure, why, meaning)
        finally:
            said.cancel()
            await _ended(child)

    async def _take_in(self, child: Process) -> tuple[str, str]:
        """What the process says, for as long as it says it; answers why it ended."""
        assert child.stdout is not None
        try:
            while True:
                kind, number, length = head(await child.stdout.readexactly(HEAD.size))
                content = await child.stdout.readexactly(length)
                match kind:
                    case Kind.READY:
                        self._ready.set()
                    case Kind.FAILED:
                        failure, _, why = content.decode().partition(" ")
                        return failure, why
                    case Kind.PICTURE if number == self._asked:
                        self._answers.put_nowait(content)
                    case Kind.END if number == self._asked:
                        self._answers.put_nowait(None)
                    case _:
                        pass  # nobody waits for it any more
        except (asyncio.IncompleteReadError, ValueError):
            return "", "the capture process has ended"

    async def check(self) -> None:
        """Prove that pictures come. Raises LinkLost."""
        async for _ in self._answer(0, 0.0, reach_back=False):
            pass

    def burst(self, count: int, apart_s: float) -> AsyncIterator[Picture]:
        """What the ring has, thinned to `apart_s`, then `count` new ones. Raises LinkLost."""
        return self._answer(count, apart_s, reach_back=True)

    async def _answer(self, count: int, apart_s: float, *, reach_back: bool) -> AsyncIterator[Picture]:
        await self._started()
        child, self._answers = self._child, asyncio.Queue()
        assert child is not None and child.stdin is not None
        self._asked += 1
        child.stdin.write(Ask(self._asked, count, apart_s, reach_back).line())
        while (picture := await self._next(apart_s)) is not None:
            yield Picture(picture)

    async def _next(self, apart_s: float) -> bytes | None:
        # The process gives up by itself a little earlier, and knows why.
        patience_s = self._answer_s + apart_s + END_S
        try:
            async with asyncio.timeout(patience_s):
                return await self._answers.get()
        except TimeoutError:
            raise LinkLost("capture", f"no picture within {patience_s:g} s") from None

    async def _started(self) -> None:
        try:
            async with asyncio.timeout(START_S):
                await self._ready.wait()
        except TimeoutError:
            raise LinkLost("capture", f"the capture process did not start within {START_S:g} s") from None


async def _tail(stream: asyncio.StreamReader) -> bytes:
    """The last of what is written, whatever is written."""
    tail = b""
    while data := await stream.read(_TAIL):
        tail = (tail + data)[-_TAIL:]
    return tail


async def _ended(child: Process) -> None:
    if child.returncode is None:
        with suppress(ProcessLookupError):
            child.kill()
    with suppress(TimeoutError):
        async with asyncio.timeout(END_S):
            await child.wait()


_MEANINGS: dict[str, tuple[type[DeviceError], str]] = {
    "401": (CredentialsRefused, "the camera answers 401: it does not accept this user and password"),
    "403": (CredentialsRefused, "the camera answers 403: this user may not see the stream"),
    "404": (ProtocolViolation, "the camera answers 404: there is no stream at this path"),
    "461": (ProtocolViolation, "the camera answers 461: it does not stream over TCP"),
    "503": (LinkLost, "the camera answers 503: it is not ready"),
    "refused": (LinkLost, "connection refused"),
    "no route": (LinkLost, "there is no way to the camera"),
    "silent": (LinkLost, "the camera does not answer"),
    "garbage": (ProtocolViolation, "what the camera sends is no stream"),
}


def _error(failure: str, why: str, meaning: str) -> DeviceError:
    """What the end of the process means to the supervisor."""
    match failure:
        case Failure.NO_OPENCV:
            return ProtocolViolation("capture", f"streams and USB cameras are read with OpenCV: {INSTALL}")
        case Failure.NO_DEVICE:
            return LinkLost("open", why)
        case Failure.WRONG_DEVICE:
            return ProtocolViolation("open", why)
        case Failure.NOT_ALLOWED:
            return CredentialsRefused("open", why)
        case Failure.NOT_OPENED if meaning in _MEANINGS:
            kind, words = _MEANINGS[meaning]
            return kind("open", words)
        case Failure.NOT_OPENED:
            return LinkLost("open", f"no stream within {why} s" if why else "the camera cannot be opened")
        case Failure.STALLED:
            return LinkLost("capture", f"no picture for {why} s")
        case Failure.BEHIND:
            return LinkLost("capture", f"pictures are late for {why} s: this box cannot keep up with the stream")
        case Failure.ENDED:
            return LinkLost("capture", "the camera has ended the stream")
        case _:
            return LinkLost("capture", why)
