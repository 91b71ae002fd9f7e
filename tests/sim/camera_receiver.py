"""For tests of fake cameras: a receiver written by hand, which keeps what was posted and answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from lanecontrol.errors import LinkLost
from lanecontrol.links import Link, MemoryNet
from sim.fake import Fake

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
NAME = "receiver"


@dataclass
class Posted:
    """One request, taken apart."""

    at_s: float
    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def parts(self) -> list[tuple[dict[str, str], bytes]]:
        """The parts of a form: headers and bytes of each."""
        boundary = self.headers["content-type"].split("boundary=")[1].encode()
        assert self.body.endswith(b"\r\n--" + boundary + b"--\r\n")
        found = []
        for piece in (b"\r\n" + self.body).split(b"\r\n--" + boundary + b"\r\n")[1:]:
            piece = piece.removesuffix(b"\r\n--" + boundary + b"--\r\n")
            head, _, data = piece.partition(b"\r\n\r\n")
            found.append((fields(head), data))
        return found


def fields(head: bytes) -> dict[str, str]:
    lines = head.decode().split("\r\n")
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines) if name}


Answering = Callable[[Link], Awaitable[None]]


async def good(link: Link) -> None:
    await link.write(OK)


@dataclass
class Receiver:
    """Takes posts. `answer` says what it does with each; `stream` is what came as no post at all (TCP)."""

    net: MemoryNet = field(default_factory=MemoryNet)
    answer: Answering = good
    posted: list[Posted] = field(default_factory=list)
    connections: int = 0

    async def handle(self, link: Link) -> None:
        self.connections += 1
        data = b""
        try:
            while True:
                data += await link.read()
                head, mark, rest = data.partition(b"\r\n\r\n")
                if not mark:
                    continue
                line, _, others = head.partition(b"\r\n")
                headers = fields(others)
                length = int(headers["content-length"])
                if len(rest) >= length:
                    now_s = asyncio.get_running_loop().time()
                    self.posted.append(Posted(now_s, line.decode(), headers, rest[:length]))
                    data = rest[length:]
                    await self.answer(link)
        except LinkLost:
            pass

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Link]:
        """As a fake gets it. Raises LinkLost when nobody listens."""
        link = self.net.connect(NAME)
        try:
            yield link
        finally:
            await link.close()

    def open(self) -> None:
        self.net.listen(NAME, self.handle)

    async def close(self) -> None:
        await self.net.unlisten_and_wait(NAME)

    @asynccontextmanager
    async def pushed_by(self, fake: Fake) -> AsyncIterator[None]:
        """The fake at work, with this receiver open. Whatever it raises fails the test."""
        self.open()
        async with dialling(fake, self.connect):
            yield
        await self.close()


@asynccontextmanager
async def dialling(fake: Fake, connect: Callable[[], object]) -> AsyncIterator[None]:
    """The fake at work. It must neither return nor raise."""
    task = asyncio.create_task(fake.dial(connect))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    try:
        yield
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled(), task.exception()
