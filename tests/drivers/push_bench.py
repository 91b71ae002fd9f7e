"""A camera of the test, byte for byte, that connects to a listening driver over memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from driver_bench import Notebook, make, session_of

from lanecontrol.driver import Driver
from lanecontrol.errors import LinkLost
from lanecontrol.links import MemoryLink, MemoryNet

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)) * 4 + b"\xff\xd9"
OTHER_JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(255, -1, -1)) * 4 + b"\xff\xd9"


@dataclass
class PushNotebook(Notebook):
    """Keeps pictures, and settles only while `stored` says so."""

    kept: dict[str, bytes] = field(default_factory=dict)
    stored: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.stored.set()

    async def keep(self, picture: bytes, media_type: str) -> str:
        reference = await super().keep(picture, media_type)
        if reference:
            self.kept[reference] = picture
        return reference

    async def settled(self) -> None:
        await self.stored.wait()

    @property
    def whys(self) -> list[str]:
        return [why for _, why in self.doubts]


@dataclass
class Receiver:
    """A driver in session, and the ways in which a camera can talk to it."""

    net: MemoryNet
    notes: PushNotebook
    session: asyncio.Task[None]

    def connect(self) -> MemoryLink:
        return self.net.connect("device")

    async def send(self, raw: bytes) -> int:
        """Bytes on a connection of their own; the status of the answer, 0 for none."""
        link = self.connect()
        try:
            await link.write(raw)
            return await status(link)
        finally:
            await link.close()

    async def post(self, body: bytes, content_type: str = "", **headers: str) -> int:
        return await self.send(request(body, content_type, **headers))

    async def quiet(self) -> None:
        """Until everything that came was told, and settled where that is possible."""
        await asyncio.sleep(0.5)


def request(body: bytes, content_type: str = "", method: str = "POST", **headers: str) -> bytes:
    lines = [f"{method} /events HTTP/1.1", "Host: lane", f"Content-Length: {len(body)}"]
    lines += [f"Content-Type: {content_type}"] if content_type else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def status(link: MemoryLink) -> int:
    """The status of the next answer; 0 when the connection ends without one."""
    heard = b""
    try:
        while b"\r\n\r\n" not in heard:
            heard += await link.read()
    except LinkLost:
        return 0
    assert heard.startswith(b"HTTP/1.1 ")
    return int(heard[9:12])


def multipart(parts: Sequence[tuple[str, bytes]], boundary: str = "boundary", end: str = "\r\n") -> bytes:
    """Parts as (header lines, content)."""
    made = b""
    for headers, content in parts:
        made += f"--{boundary}{end}{headers}{end}{end}".encode() + content + end.encode()
    return made + f"--{boundary}--{end}".encode()


@asynccontextmanager
async def receiving(
    kind: type[Driver], notes: PushNotebook | None = None, driver: Driver | None = None, **settings: Any
) -> AsyncIterator[Receiver]:
    """A driver in session, listening; afterwards nothing listens any more. `driver` goes on with one from before."""
    if driver is None:
        net = MemoryNet()
        driver = make(kind, net, **settings)
    else:
        net = driver.links.opener.memory  # type: ignore[attr-defined]
    notes = notes or PushNotebook()
    async with session_of(driver, notes) as bench:
        receiver = Receiver(net, notes, bench.session)
        await listening(receiver)
        yield receiver
    assert net.connections() == 0


async def listening(receiver: Receiver) -> None:
    while not receiver.session.done():
        try:
            await receiver.connect().close()
            return
        except LinkLost:
            await asyncio.sleep(0.01)
