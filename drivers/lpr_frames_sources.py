"""Where the pictures of a camera without plate reading come from: HTTP snapshots, a video stream, a folder.

Used by `lpr_frames`. A source gives pictures as files (JPEG, PNG); it neither looks into them nor keeps them longer
than its ring. Each is served by one task (`run`) and asked by one other.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from drivers.lpr_frames_http import Answer, Broken, Exchange, Login
from lanecontrol.driver import Reporter
from lanecontrol.errors import CredentialsRefused, LinkLost, ProtocolViolation
from lanecontrol.links import Link

_NOISE = 4096
_FILE_LIMIT = 16 << 20


class Source(Protocol):
    """Pictures on demand."""

    async def run(self) -> None:
        """Serve until the source is lost. Raises LinkLost."""
        ...

    async def check(self) -> bytes | None:
        """Prove that the source lives, with a picture where that is how. Raises LinkLost and the like."""
        ...

    def burst(self, count: int, apart_s: float) -> AsyncIterator[bytes]:
        """So many pictures from now on, and before them what the ring holds. Raises LinkLost and the like."""
        ...


class Snapshots:
    """Pictures asked for one by one over HTTP, on one connection that is kept."""

    def __init__(
        self,
        out: Reporter,
        reopen: Callable[[], Awaitable[Link]],
        *,
        host: str,
        target: str,
        login: Login,
        answer_s: float,
    ) -> None:
        self._out, self._reopen = out, reopen
        self._host, self._target, self._login, self._answer_s = host, target, login, answer_s
        self._exchange = Exchange(host)
        self._answer: asyncio.Future[Answer] | None = None
        self._link: Link | None = None
        self._opened, self._renewed = asyncio.Event(), asyncio.Event()
        self._stale = False

    async def run(self) -> None:
        """Take in what the camera sends, asked for or not. Raises LinkLost."""
        self._link = await self._reopen()
        self._opened.set()
        while True:
            link = self._link
            try:
                data = await link.read()
            except LinkLost:
                if link is not self._link:
                    continue
                if not self._ended_well():
                    raise
                self._renewed.clear()
                await self._renewed.wait()  # until the next question, which opens another one
                continue
            self._take(data)

    def _ended_well(self) -> bool:
        """The end of the connection may be the end of the picture; then the next question opens another one."""
        answer = self._exchange.feed(b"") if self._exchange.waiting else None
        if isinstance(answer, Answer):
            self._settle(answer)
        return self._stale

    def _take(self, data: bytes) -> None:
        if not self._exchange.waiting:
            self._out.doubt(data[:_NOISE], "bytes that nobody asked for")
            return
        match self._exchange.feed(data):
            case Answer() as answer:
                self._settle(answer)
            case Broken(why):
                self._out.doubt(data[:_NOISE], why)
                raise LinkLost("snapshot", "what the camera sends is no HTTP answer")
            case None:
                pass

    def _settle(self, answer: Answer) -> None:
        self._stale = answer.again
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    async def check(self) -> bytes | None:
        return await self.picture()

    async def burst(self, count: int, apart_s: float) -> AsyncIterator[bytes]:
        for number in range(count):
            if number:
                await asyncio.sleep(apart_s)
            yield await self.picture()

    async def picture(self) -> bytes:
        """One picture. Raises LinkLost, ProtocolViolation, CredentialsRefused."""
        answer = await self._get()
        if answer.status == 401 and self._login.challenged(answer.challenges):
            answer = await self._get()
        match answer.status:
            case 200:
                return answer.body
            case 401 | 403:
                raise CredentialsRefused("snapshot", f"the camera answers {answer.status}")
            case 404 | 405:
                raise ProtocolViolation("snapshot", f"the camera answers {answer.status} for {self._target}")
            case status:
                raise LinkLost("snapshot", f"the camera answers {status}")

    async def _get(self) -> Answer:
        self._answer = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._answer_s):
                link = await self._usable()
                await link.write(self._exchange.get(self._target, self._login.authorization(self._target)))
                return await self._answer
        except TimeoutError:
            raise LinkLost("snapshot", f"no picture within {self._answer_s:g} s") from None

    async def _usable(self) -> Link:
        await self._opened.wait()  # within the time of the answer
        assert self._link is not None
        if self._stale:
            old, self._link = self._link, await self._reopen()
            self._exchange, self._stale = Exchange(self._host), False
            self._renewed.set()
            await old.close()
        return self._link


class Video:
    """Pictures out of a stream or a USB camera, read by a process of its own: OpenCV's `read` blocks on a dead one."""

    def __init__(self, source: str, *, answer_s: float) -> None:
        self._source, self._answer_s = source, answer_s
        self._child: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()

    async def run(self) -> None:
        self._child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "drivers.lpr_frames_capture",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert self._child.stdin is not None
        self._child.stdin.write(f"{self._source}\n".encode())  # not as an argument: it may hold a password
        self._ready.set()
        try:
            code = await self._child.wait()  # for as long as the camera sends pictures
            raise LinkLost("capture", f"the pictures have stopped (exit code {code})")
        finally:
            if self._child.returncode is None:
                self._child.kill()
                await self._child.wait()

    async def check(self) -> bytes | None:
        async for picture in self.burst(0, 0.0):
            return picture
        return None

    async def burst(self, count: int, apart_s: float) -> AsyncIterator[bytes]:
        """What the ring has, thinned to `apart_s`, then `count` new ones."""
        await self._ready.wait()
        child = self._child
        assert child is not None and child.stdin is not None and child.stdout is not None
        try:
            async with asyncio.timeout(self._answer_s + count * max(apart_s, 0.1)):
                child.stdin.write(b"%d %.3f\n" % (count, apart_s))
                while size := int.from_bytes(await child.stdout.readexactly(4), "big"):
                    yield await child.stdout.readexactly(min(size, _FILE_LIMIT))
        except TimeoutError:
            raise LinkLost("capture", f"no picture within {self._answer_s:g} s") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            raise LinkLost("capture", "the pictures have stopped") from None


class Folder:
    """Pictures that somebody else puts into a folder; a new one asks to be read by itself."""

    def __init__(self, folder: Path, arrived: Callable[[], None], *, look_every_s: float, ring: int) -> None:
        self._folder, self._arrived, self._look_every_s = folder, arrived, look_every_s
        self._ring: deque[Path] = deque(maxlen=ring)
        self._sizes: dict[str, int] = {}
        self._given: set[str] | None = None
        self._news = asyncio.Event()

    async def run(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(self._look_every_s)

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(None, _sizes, self._folder)
        if self._given is None:  # what was there before us shows nobody who is here now
            self._given = set(found)
        whole = [name for name, size in found.items() if name not in self._given and self._sizes.get(name) == size]
        self._sizes = found
        self._given &= set(found)
        for name in sorted(whole):
            self._given.add(name)
            self._ring.append(self._folder / name)
        if whole:
            self._news.set()
            self._arrived()

    async def check(self) -> bytes | None:
        if not await asyncio.get_running_loop().run_in_executor(None, self._folder.is_dir):
            raise LinkLost("look", "the folder is not there")
        return None

    async def burst(self, count: int, apart_s: float) -> AsyncIterator[bytes]:
        """Those that have come, and those that come within the time of `count` pictures."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(count * apart_s, 2 * self._look_every_s)):
                while len(self._ring) < count:
                    self._news.clear()
                    await self._news.wait()
        while self._ring:
            path = self._ring.popleft()
            content = await asyncio.get_running_loop().run_in_executor(None, _content, path)
            if content:
                yield content


def _sizes(folder: Path) -> dict[str, int]:
    try:
        with os.scandir(folder) as entries:
            return {e.name: e.stat().st_size for e in entries if e.is_file() and not e.name.startswith(".")}
    except OSError:
        return {}


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.stat().st_size <= _FILE_LIMIT else b""
    except OSError:
        return b""
