"""A notebook that stands in for the supervisor, and a wire in memory between a driver and a peer of the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lanecontrol.backing import Alone
from lanecontrol.clock import AnchoredClock
from lanecontrol.driver import Driver
from lanecontrol.events import Identity
from lanecontrol.links import Link, LinkOpener, MemoryNet
from lanecontrol.sealing import Sealer

URL = "mem://device"


@dataclass
class Notebook:
    """Keeps what a session tells."""

    clock: AnchoredClock = field(default_factory=lambda: AnchoredClock(0.0))
    healthy: bool = True
    identities: list[Identity] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    doubts: list[tuple[bytes, str]] = field(default_factory=list)
    backing: Alone = field(default_factory=Alone)

    def online(self, identity: Identity) -> None:
        self.identities.append(identity)

    def report(self, event: Any) -> None:
        assert self.identities, f"{type(event).__name__} before the device was online"
        self.events.append(event)
        self.times.append(self.clock.now().mono_s)

    def doubt(self, raw: bytes, why: str) -> None:
        assert why
        self.doubts.append((raw, why))

    async def keep(self, picture: bytes, media_type: str) -> str:
        return await self.backing.keep(picture, media_type)

    async def settled(self) -> None:
        await self.backing.settled()

    @property
    def spool(self) -> Path:
        return self.backing.spool

    @property
    def sealer(self) -> Sealer:
        return self.backing.sealer

    def of(self, *kinds: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kinds)]


@dataclass
class Bench:
    """A running session."""

    notebook: Notebook
    session: asyncio.Task[None]

    async def failure(self, within_s: float = 120.0) -> BaseException:
        """How the session ends."""
        await asyncio.wait({self.session}, timeout=within_s)
        assert self.session.done(), f"the session still runs after {within_s} s"
        found = self.session.exception()
        assert found is not None
        return found


def make(driver: type[Driver], net: MemoryNet, **settings: Any) -> Driver:
    config = driver.Config.model_validate({"id": "dev", "url": URL, **settings})
    return driver(config, LinkOpener(memory=net).for_device("dev"))


@asynccontextmanager
async def in_session(
    kind: type[Driver], peer: Callable[[Link], Awaitable[None]], notebook: Notebook | None = None, **settings: Any
) -> AsyncIterator[tuple[Driver, Bench]]:
    """A driver in session with `peer`; ends the session, and checks that its link is closed."""
    net = MemoryNet()
    net.listen("device", peer)
    driver = make(kind, net, **settings)
    async with session_of(driver, notebook or Notebook()) as bench:
        yield driver, bench
    await asyncio.sleep(0)
    assert net.connections("device") == 0, "the link stayed open"
    await net.unlisten_and_wait("device")


@asynccontextmanager
async def session_of(driver: Driver, notebook: Notebook) -> AsyncIterator[Bench]:
    """One session of a driver."""
    task = asyncio.create_task(driver.session(notebook))
    try:
        yield Bench(notebook, task)
    finally:
        task.cancel()
        await asyncio.wait({task})
