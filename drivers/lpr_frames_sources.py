"""Where the pictures of a camera without plate reading come from: HTTP snapshots, a folder.

Used by `lpr_frames`; streams are in `lpr_frames_video`. A source gives pictures as files (JPEG, PNG); it looks at no
more than their first bytes and keeps them no longer than its ring. Each is served by one task (`run`) and asked by one
other.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from drivers.lpr_frames_http import Answer, Broken, Exchange, Login
from lanecontrol.driver import Reporter
from lanecontrol.errors import CredentialsRefused, LinkLost, ProtocolViolation
from lanecontrol.links import Link

_NOISE = 4096
_UNASKED_LIMIT = 64 << 10
_FILE_LIMIT = 16 << 20
"""What the evidence store takes at most."""


MEDIA_TYPES = {b"\xff\xd8": "image/jpeg", b"\x89PNG": "image/png", b"BM": "image/bmp", b"RIFF": "image/webp"}
"""What the first bytes of a picture say it is."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it came, or why there is none. `name` is the file's, where it is one."""

    content: bytes
    name: str = ""
    why: str = ""


def media_type(content: bytes) -> str:
    """Of these bytes; empty for what is no picture."""
    return next((kind for magic, kind in MEDIA_TYPES.items() if content.startswith(magic)), "")


class Source(Protocol):
    """Pictures on demand."""

    async def run(self) -> None:
        """Serve until the source is lost. Raises LinkLost."""
        ...

    async def check(self) -> None:
        """Prove that the source lives and gives pictures. Raises LinkLost and the like."""
        ...

    def burst(self, count: int, apart_s: float) -> AsyncIterator[Picture]:
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
        self._unasked_bytes = 0

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
            self._unasked(data)
            return
        match self._exchange.feed(data):
            case Answer() as answer:
                self._settle(answer)
            case Broken(why):
                self._out.doubt(data[:_NOISE], why)
                raise LinkLost("snapshot", "what the camera sends is no HTTP answer")
            case None:
                pass

    def _unasked(self, data: bytes) -> None:
        """A few bytes too many are what sloppy cameras send; the next question goes over another connection."""
        self._out.doubt(data[:_NOISE], "bytes that nobody asked for")
        self._stale = True
        self._unasked_bytes += len(data)
        if self._unasked_bytes > _UNASKED_LIMIT:
            raise LinkLost("snapshot", "the camera does not stop sending")

    def _settle(self, answer: Answer) -> None:
        self._stale = answer.again
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    async def check(self) -> None:
        answer = await self.picture()
        if answer.body and not media_type(answer.body):
            raise ProtocolViolation("snapshot", f"the camera answers with {_plain(answer.media_type)}, not a picture")

    async def burst(self, count: int, apart_s: float) -> AsyncIterator[Picture]:
        for number in range(count):
            if number:
                await asyncio.sleep(apart_s)
            yield Picture((await self.picture()).body)

    async def picture(self) -> Answer:
        """The answer that holds a picture. Raises LinkLost, ProtocolViolation, CredentialsRefused."""
        answer = await self._get()
        if answer.status == 401 and self._login.challenged(answer.challenges):
            answer = await self._get()
        match answer.status:
            case 200:
                return answer
            case 401 | 403:
                raise CredentialsRefused("snapshot", f"the camera answers {answer.status}")
            case 404 | 405:
                raise ProtocolViolation("snapshot", f"the camera answers {answer.status} for {self._target}")
            case status if 300 <= status < 400:
                # Followed, the password would go wherever the answer says.
                raise ProtocolViolation("snapshot", f"the camera answers {status}: the pictures are at another path")
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
            self._exchange, self._stale, self._unasked_bytes = Exchange(self._host), False, 0
            self._renewed.set()
            await old.close()
        return self._link


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
        if found is None:
            return  # it cannot be listed now; what was there is not new when it can be again
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

    async def check(self) -> None:
        if not await asyncio.get_running_loop().run_in_executor(None, self._folder.is_dir):
            raise LinkLost("look", "the folder is not there")

    async def burst(self, count: int, apart_s: float) -> AsyncIterator[Picture]:
        """Those that have come, and those that come within the time of `count` pictures."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(count * apart_s, 2 * self._look_every_s)):
                while len(self._ring) < count:
                    self._news.clear()
                    await self._news.wait()
        while self._ring:
            path = self._ring.popleft()
            yield await asyncio.get_running_loop().run_in_executor(None, _picture, path)


def _sizes(folder: Path) -> dict[str, int] | None:
    """The size of each file; None when the folder cannot be listed."""
    found: dict[str, int] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                with suppress(OSError):  # gone meanwhile
                    if entry.is_file() and not entry.name.startswith("."):
                        found[entry.name] = entry.stat().st_size
    except OSError:
        return None
    return found


def _picture(path: Path) -> Picture:
    try:
        if path.stat().st_size > _FILE_LIMIT:
            return Picture(b"", path.name, f"the file is larger than {_FILE_LIMIT >> 20} MiB")
        return Picture(path.read_bytes(), path.name)
    except OSError as error:
        return Picture(b"", path.name, error.strerror or "cannot be read")


def _plain(media_type: str) -> str:
    """As the camera calls it, if that is fit to be shown."""
    return media_type if re.fullmatch(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,40}", media_type) else "something"
