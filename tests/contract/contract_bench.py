"""A bench for one driver: its fake on the other side of a wire that can be cut, muted, dripped and fouled.

The driver connects to its fake, or the fake connects to its driver: whichever way their kind has it.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import Any, Self

from contract_case import Kind

from lanecontrol.clock import AnchoredClock
from lanecontrol.errors import LinkLost
from lanecontrol.events import DeviceChanged, DeviceState, Event
from lanecontrol.links import Handler, Link, LinkOpener, MemoryNet, reserved_port, serve_tcp
from lanecontrol.supervisor import Supervisor
from sim.readings import Deed

NAME = "device"
STEP_S = 0.01
ONLINE_WITHIN_S = 10.0
"""A device that answers is online within this time."""


class Longest(random.Random):
    """Jitter that always draws the longest wait, so that the back-off can be read off."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Wire:
    """What the links between fake and driver have in common: their faults."""

    def __init__(self) -> None:
        self.mute = False
        self.drip = False
        self.ends: list[Link] = []

    async def inject(self, data: bytes) -> None:
        """Bytes that the device did not send. Raises LinkLost when nobody is connected."""
        if not self.ends:
            raise LinkLost("inject", "nobody is connected")
        for end in tuple(self.ends):
            await end.write(data)


class FaultyLink(Link):
    """The fake's end of the wire."""

    def __init__(self, link: Link, wire: Wire) -> None:
        self.peer, self._link, self._wire = link.peer, link, wire

    async def read(self) -> bytes:
        return await self._link.read()

    async def write(self, data: bytes) -> None:
        if self._wire.mute:
            return
        if not self._wire.drip:
            await self._link.write(data)
            return
        for piece in _pieces(data):
            await self._link.write(piece)
            await asyncio.sleep(0)

    async def close(self) -> None:
        await self._link.close()


BY_BYTES = 4096
"""So much at the beginning and at the end of a large write drips byte by byte; what is between is a picture."""


def _pieces(data: bytes) -> Iterator[bytes]:
    head, middle, tail = data[:BY_BYTES], data[BY_BYTES:-BY_BYTES], data[BY_BYTES:][-BY_BYTES:]
    yield from (head[at : at + 1] for at in range(len(head)))
    yield from (middle[at : at + 1021] for at in range(0, len(middle), 1021))
    yield from (tail[at : at + 1] for at in range(len(tail)))


class CountingLinks:
    """Notes when the driver tries to connect or to listen, and how many of its links are open."""

    def __init__(self, opener: LinkOpener) -> None:
        self._links = opener.for_device("dev")
        self.traffic = self._links.traffic
        self.attempts: list[float] = []
        self.open_now = 0

    @asynccontextmanager
    async def open(self, url: str, *, timeout_s: float = 5.0) -> AsyncIterator[Link]:
        self.attempts.append(asyncio.get_running_loop().time())
        async with self._links.open(url, timeout_s=timeout_s) as link:
            self.open_now += 1
            try:
                yield link
            finally:
                self.open_now -= 1

    @asynccontextmanager
    async def listen(self, url: str, handler: Handler) -> AsyncIterator[str]:
        self.attempts.append(asyncio.get_running_loop().time())

        async def counted(link: Link) -> None:
            self.open_now += 1
            try:
                await handler(link)
            finally:
                self.open_now -= 1

        async with self._links.listen(url, counted) as where:
            yield where


class Bench:
    """Use as a context: the fake serves or calls, the supervisor runs; afterwards nothing may be left."""

    def __init__(self, kind: Kind, *, tcp: bool = False, rng: random.Random | None = None, start: bool = True) -> None:
        self.kind = kind
        self.net = MemoryNet()
        self.wire = Wire()
        self.deeds: list[Deed] = []
        self.told: list[Event] = []
        self.readings_given = 0
        self._losses_seen = 0
        self.links = CountingLinks(LinkOpener(self.net))
        self._tcp = tcp
        self._rng = rng or random.Random(1)
        self._start = start
        self._stack = AsyncExitStack()
        self._opener = LinkOpener(self.net)
        self._switched_on = True
        self._where = f"mem://{NAME}"
        """Where a device that connects by itself finds the driver."""

    async def __aenter__(self) -> Self:
        kind = self.kind
        self.fake = kind.fake(
            kind.fake.Config.model_validate({"kind": kind.name, **kind.case.fake_settings}), self.deeds.append
        )
        url = self._call() if kind.fake.dials else await self._serve_all()
        config = kind.driver.Config.model_validate({"id": "dev", "kind": kind.name, "url": url, **kind.case.settings})
        self.supervisor = Supervisor(
            kind.driver(config, self.links),
            lambda _, event: self.told.append(event),
            clock=AnchoredClock(1.7e9),
            rng=self._rng,
            hash_key=b"bench",
        )
        self.running = self._own(self.supervisor.run()) if self._start else None
        return self

    async def _serve_all(self) -> str:
        """The fake is there to be connected to; gives where."""
        if self._tcp:
            return f"tcp://127.0.0.1:{await self._stack.enter_async_context(serve_tcp('127.0.0.1', 0, self._serve))}"
        self.listen()
        self._stack.push_async_callback(self.net.unlisten_and_wait, NAME)
        return f"mem://{NAME}"

    def _call(self) -> str:
        """The fake connects by itself; gives where the driver has to listen."""
        url = self._where
        if self._tcp:
            where = f"127.0.0.1:{self._stack.enter_context(reserved_port())}"
            url, self._where = f"listen://{where}", f"tcp://{where}"
        self._own(self.fake.dial(self._dial))
        return url

    async def __aexit__(self, *exc: Any) -> None:
        await self._stack.aclose()

    def _own(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._stack.push_async_callback(end, task)
        return task

    async def _serve(self, link: Link) -> None:
        self.wire.ends.append(link)
        try:
            await self.fake.serve(FaultyLink(link, self.wire))
        finally:
            self.wire.ends.remove(link)

    @asynccontextmanager
    async def _dial(self) -> AsyncIterator[Link]:
        """The fake's own connection to the driver."""
        if not self._switched_on:
            raise LinkLost("connect", "the device is switched off")
        async with self.stray() as link:
            self.wire.ends.append(link)
            try:
                yield FaultyLink(link, self.wire)
            finally:
                self.wire.ends.remove(link)

    @asynccontextmanager
    async def stray(self) -> AsyncIterator[Link]:
        """Somebody's connection to a driver that listens. Raises LinkLost."""
        async with self._opener.open(self._where) as link:
            yield link

    # --- the world ---------------------------------------------------------------------------------------------------

    def listen(self) -> None:
        """The device is there (again)."""
        self._switched_on = True
        if not self.kind.fake.dials:
            self.net.listen(NAME, self._serve)

    def go_away(self) -> None:
        """The device is gone: connections are cut, new ones refused."""
        self._switched_on = False
        if self.kind.fake.dials:
            self.net.drop(NAME)
        else:
            self.net.unlisten(NAME)

    def sense(self) -> None:
        """One more reading."""
        self.fake.sense(self.kind.case.reading(self.readings_given))
        self.readings_given += 1

    def keep_sensing(self) -> None:
        """One reading every period from now on."""
        self._own(self._sensing())

    async def _sensing(self) -> None:
        while True:
            await asyncio.sleep(self.kind.case.period_s)
            self.sense()

    def babble(self) -> None:
        """Malformed bytes twice a second, from now on, as long as somebody is connected."""
        self._own(self._babbling())

    async def _babbling(self) -> None:
        while True:
            with suppress(LinkLost):  # nobody connected, or just gone
                await self.inject(self.kind.case.malformed)
            await asyncio.sleep(0.5)

    async def inject(self, data: bytes) -> None:
        """Bytes that the device did not send: between its own, or, where it calls, in a connection beside.

        Raises LinkLost when nobody takes them.
        """
        if not self.kind.fake.dials:
            await self.wire.inject(data)
            return
        async with self.stray() as link:
            await link.write(data)
            await asyncio.sleep(0.01)

    # --- what came of it ---------------------------------------------------------------------------------------------

    @property
    def state(self) -> DeviceState:
        return self.supervisor.status.state

    @property
    def reports(self) -> list[Any]:
        """What the driver reported, without the supervisor's own events."""
        return [event for event in self.told if not isinstance(event, DeviceChanged)]

    @property
    def states(self) -> list[DeviceState]:
        """The states it went through; a device that tells more about itself later does not change its state."""
        return [state for state, _ in groupby(event.state for event in self.told if isinstance(event, DeviceChanged))]

    async def until(self, condition: Callable[[], bool], within_s: float, what: str) -> None:
        """Let (virtual) time pass until `condition()`; fails when that takes longer than `within_s`."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + within_s
        while not condition():
            assert loop.time() <= give_up, f"not within {within_s:g} s: {what}; {self.supervisor.status}"
            await asyncio.sleep(STEP_S)

    async def online(self, within_s: float = ONLINE_WITHIN_S) -> None:
        await self.until(lambda: self.state is DeviceState.ONLINE, within_s, "online")

    async def away(self, within_s: float) -> None:
        """One more loss is noticed; the device may be back already when this returns."""
        await self.until(lambda: self.supervisor.status.lost > self._losses_seen, within_s, "noticed")
        self._losses_seen = self.supervisor.status.lost

    async def further_reports(self, within_s: float) -> None:
        """Readings still come through."""
        before = len(self.reports)
        await self.until(lambda: len(self.reports) > before, within_s, "another report")


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel and wait; an error that the task ended with is raised."""
    task.cancel()
    await asyncio.wait({task}, timeout=5.0)
    assert task.done(), f"{task.get_name()} will not end"
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error


@asynccontextmanager
async def at_work(kind: Kind, *, tcp: bool = False) -> AsyncIterator[Bench]:
    """A device that is online and senses something every period."""
    async with Bench(kind, tcp=tcp) as bench:
        bench.keep_sensing()
        await bench.online()
        yield bench


def bug_free(bench: Bench) -> None:
    """The driver failed in no way that is its own fault, and told nothing while it was not online."""
    assert bench.supervisor.status.bugs == 0, bench.supervisor.status
    assert {type(event) for event in bench.reports} <= bench.kind.driver.reports
    online = False
    for event in bench.told:
        if isinstance(event, DeviceChanged):
            online = event.state is DeviceState.ONLINE
        else:
            assert online, f"{type(event).__name__} while not online"


def descriptors() -> int:
    """How many this process has open."""
    return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0  # noqa: PTH208 - counted only
