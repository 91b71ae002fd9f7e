"""Faults on purpose: what cables, converters and tired devices do.

Sits between a fake and its client (`serve_with`, `dial_with`), or between the world and a fake (`Bent`), so that the
daemon under test meets the fault exactly where it would meet it at a port. Faults come and go by lane time, which
`Mischiefs.tick` tells; all randomness comes from the generator handed in.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from lanecontrol.errors import LinkLost
from lanecontrol.links import Link
from lanecontrol.links.buffer import BufferedLink
from sim.readings import Contact, Reading


class What(StrEnum):
    REFUSE = "refuse"
    """New connections are closed at once; a device that connects by itself finds nobody."""
    DROP = "drop"
    """The connection is cut when the time comes, and every new one until it is over."""
    FREEZE = "freeze"
    """The socket stays open and nothing moves in either direction."""
    DRIP = "drip"
    """What the device sends comes one byte at a time."""
    GARBLE = "garble"
    """Some bytes that the device sends are changed."""
    DUPLICATE = "duplicate"
    """Everything that the device sends comes twice."""
    DELAY = "delay"
    """Everything that the device sends comes late."""
    STICK = "stick"
    """The device's sensors keep their last value. Afterwards its contacts show what is true then."""
    LIE = "lie"
    """The device's contacts show the opposite."""


class Mischief(BaseModel):
    """One fault of one device for some time."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    device: str
    """Id of the device in the lane file."""
    what: What
    """Which fault: refuse, drop, freeze, drip, garble, duplicate, delay, stick or lie."""
    at_s: float = Field(ge=0)
    """When it begins, in lane seconds from the start."""
    for_s: float = Field(default=30.0, gt=0)
    """How long it lasts."""
    share: float = Field(default=0.01, gt=0, le=1)
    """Garble: which share of the bytes is changed."""
    pause_s: float = Field(default=0.02, ge=0)
    """Drip: seconds between bytes. Delay: how late everything comes."""

    def active(self, now_s: float) -> bool:
        return self.at_s <= now_s < self.at_s + self.for_s


class Mischiefs:
    """The faults of one device. `lane_s` tells the lane time; `tick` is called whenever it has gone on."""

    def __init__(self, planned: tuple[Mischief, ...], lane_s: Callable[[], float], rng: random.Random) -> None:
        self.planned = planned
        self._lane_s = lane_s
        self.rng = rng
        self._active: tuple[Mischief, ...] = ()
        self._waiters: list[asyncio.Future[None]] = []

    def now(self, *kinds: What) -> Mischief | None:
        """The fault of one of these kinds that is under way."""
        if not self.planned:
            return None
        at = self._lane_s()
        return next((m for m in self.planned if m.what in kinds and m.active(at)), None)

    def tick(self) -> None:
        """Lane time has gone on: wake whoever waits for a fault to begin or to end."""
        at = self._lane_s()
        active = tuple(m for m in self.planned if m.active(at))
        if active != self._active:
            self._active = active
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    async def begun(self, *kinds: What) -> None:
        """Wait for a fault of one of these kinds, for ever if none is planned."""
        while not self.now(*kinds):
            await self._change()

    async def over(self, *kinds: What) -> None:
        """Wait until no fault of these kinds is under way; as long as it lasts."""
        while self.now(*kinds):
            await self._change()

    async def _change(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter


class Bent:
    """What a device makes of its readings while its sensors are at fault."""

    def __init__(self, faults: Mischiefs) -> None:
        self._faults = faults
        self._true: dict[str, bool] = {}
        self._shown: dict[str, bool] = {}

    def take(self, reading: Reading) -> Iterator[Reading]:
        """The world gives a reading; the readings that the device notices."""
        if isinstance(reading, Contact):
            self._true[reading.point] = reading.on
            yield from self.catch_up()
        elif not self._faults.now(What.STICK):
            yield reading

    def catch_up(self) -> Iterator[Reading]:
        """Contacts that are not as they should be shown now: after a change, and after a fault began or ended."""
        if self._faults.now(What.STICK):
            return
        lies = self._faults.now(What.LIE) is not None
        for point, on in self._true.items():
            shown = on is not lies
            if self._shown.get(point) is not shown:
                self._shown[point] = shown
                yield Contact(point, shown)


class Mischievous(Link):
    """A link whose device misbehaves by plan. Given to the fake instead of the plain link."""

    def __init__(self, link: Link, faults: Mischiefs) -> None:
        self._link = link
        self._faults = faults
        self._turn = asyncio.Lock()
        self.peer = link.peer

    async def read(self) -> bytes:
        data = await self._link.read()
        await self._faults.over(What.FREEZE)
        return data

    async def write(self, data: bytes) -> None:
        late = self._faults.now(What.DELAY)
        due_s = asyncio.get_running_loop().time() + (late.pause_s if late else 0.0)
        async with self._turn:  # each write stays together, and in its place
            await self._write_at(due_s, data)

    async def _write_at(self, due_s: float, data: bytes) -> None:
        wait_s = due_s - asyncio.get_running_loop().time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        if garble := self._faults.now(What.GARBLE):
            data = self._garbled(data, garble.share)
        if self._faults.now(What.DUPLICATE):
            data += data
        while data and not self._faults.now(What.FREEZE):  # what a frozen device would have said is gone
            drip = self._faults.now(What.DRIP)
            piece, data = (data[:1], data[1:]) if drip else (data, b"")
            await self._link.write(piece)
            if drip:
                await asyncio.sleep(drip.pause_s)

    def _garbled(self, data: bytes, share: float) -> bytes:
        """Some bytes changed, each into any other."""
        rng = self._faults.rng
        return bytes(byte ^ rng.randrange(1, 256) if rng.random() < share else byte for byte in data)

    async def close(self) -> None:
        await self._link.close()


async def serve_with(link: Link, faults: Mischiefs, serve: Callable[[Link], Awaitable[None]]) -> None:
    """Serve one client under these faults: refuse it, cut it when the time comes, or let it live. Raises LinkLost."""
    if faults.now(What.REFUSE, What.DROP):
        await link.close()
        return
    serving = asyncio.ensure_future(serve(Mischievous(link, faults)))
    cut = asyncio.ensure_future(faults.begun(What.DROP))
    try:
        await asyncio.wait({serving, cut}, return_when=asyncio.FIRST_COMPLETED)
        if isinstance(link, BufferedLink) and not serving.done():
            link.drop()
    finally:
        for task in (serving, cut):
            task.cancel()
        await asyncio.wait({serving, cut})
        lost = None if serving.cancelled() else serving.exception()
        await link.close()
    if lost is not None:
        raise lost


@asynccontextmanager
async def dial_with(connect: Callable[[], Awaitable[Link]], faults: Mischiefs) -> AsyncIterator[Link]:
    """A connection that the device makes by itself, under these faults; leaving closes it. Raises LinkLost."""
    if faults.now(What.REFUSE, What.DROP):
        raise LinkLost("connect", "the way is cut")
    link = await connect()
    cutting = asyncio.ensure_future(_cut(link, faults))
    try:
        yield Mischievous(link, faults)
    finally:
        cutting.cancel()
        try:
            await asyncio.wait({cutting})
        finally:
            await link.close()


async def _cut(link: Link, faults: Mischiefs) -> None:
    await faults.begun(What.DROP)
    if isinstance(link, BufferedLink):
        link.drop()
