"""A supervisor with a driver that does what a test wrote down for it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from lanecontrol.clock import AnchoredClock
from lanecontrol.commands import DONE, Command, Outcome, WriteOutputs
from lanecontrol.driver import DeviceConfig, Driver, Reporter, Traits
from lanecontrol.events import DeviceChanged, DeviceState, Event, Identity, InputChanged
from lanecontrol.links import LinkOpener
from lanecontrol.supervisor import Supervisor

Script = Callable[[Reporter], Awaitable[None]]


WRITE = WriteOutputs((("lamp", True),))


SECRET = b"E200 3411 B802 0118 card"


class Scripted(Driver):
    Config = DeviceConfig
    reports = frozenset({InputChanged})
    performs = frozenset({WriteOutputs})
    traits = Traits(has_handshake=False, speaks_unasked=True, silence_s=1.0)

    def __init__(self, script: Script, performs: Callable[[Command], Awaitable[Outcome]] | None = None) -> None:
        super().__init__(DeviceConfig(id="dev", kind="scripted", url="mem://dev"), LinkOpener().for_device("dev"))
        self._script = script
        self._performs = performs
        self.started: list[float] = []

    async def session(self, out: Reporter) -> None:
        self.started.append(asyncio.get_running_loop().time())
        await self._script(out)

    async def perform(self, command: Command) -> Outcome:
        assert self._performs is not None
        return await self._performs(command)

    @property
    def waits(self) -> list[float]:
        return [round(b - a, 3) for a, b in zip(self.started, self.started[1:], strict=False)]


class Longest(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return b


@asynccontextmanager
async def supervised(driver: Driver, **more: Any) -> AsyncIterator[tuple[Supervisor, list[Event]]]:
    told: list[Event] = []
    settings: dict[str, Any] = {"clock": AnchoredClock(0.0), "rng": Longest(), "hash_key": b"key", **more}
    supervisor = Supervisor(driver, lambda _, event: told.append(event), **settings)
    task = asyncio.get_running_loop().create_task(supervisor.run())
    try:
        yield supervisor, told
    finally:
        task.cancel()
        await asyncio.wait({task})


def states(told: list[Event]) -> list[tuple[DeviceState, str]]:
    return [(event.state, event.reason) for event in told if isinstance(event, DeviceChanged)]


async def at_work(out: Reporter) -> None:
    out.online(Identity(model="m"))
    await asyncio.Event().wait()


def ends_with(error: BaseException, after_s: float = 0.0, *, online: bool = False) -> Script:
    async def script(out: Reporter) -> None:
        if online:
            out.online(Identity())
        await asyncio.sleep(after_s)
        raise error

    return script


def performing(script: Callable[[Command], Awaitable[Outcome]]) -> Scripted:
    return Scripted(at_work, script)


async def never(command: Command) -> Outcome:
    await asyncio.Event().wait()
    return DONE


async def done(command: Command) -> Outcome:
    return DONE
