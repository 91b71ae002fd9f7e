"""Does an I/O module let its outputs fall by itself? One trial per module: switch, stop the heartbeat, look, report.

Used by `lanecontrol devices --prove-failsafe`, at commissioning time, while the daemon does not run. The driver and its
session are the production ones; what is taken away is the health verdict, as a hanging daemon would. Must never switch
an output that the technician was not told of, nor two aspects of one signal at once, nor leave one in its unsafe state.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lanecontrol.backing import Alone
from lanecontrol.clock import Clock, LoopClock
from lanecontrol.commands import ClearWatchdog, Outcome, Result, WriteOutputs
from lanecontrol.driver import DeviceConfig, Driver
from lanecontrol.errors import CommandError, DeviceError
from lanecontrol.events import DeviceReport, Identity, ModuleWatchdogTripped, OutputsRead
from lanecontrol.links import Links
from lanecontrol.safe_state import SafeOutput
from lanecontrol.sealing import Sealer

TOLERANCE = 1.1
TOLERANCE_S = 0.1
"""Modules count their watchdog's time in units of 100 ms, by clocks of their own."""
READBACK_MS = 20
HOLDS_S = 0.25
"""Long enough for several read-backs to say that the outputs are as commanded."""
LOOK_S = 1.5
"""For the driver to read the outputs once it may ask again."""
WRITE_S = 1.0
FALLS, FALLS_NOT, NOT_SWITCHED, NOT_MOVED = "falls", "DOES NOT FALL", "NOT SWITCHED", "not moved"
TRIPPED_ALREADY = "its watchdog has tripped already; give --clear to clear it first"

Wait = Callable[[str, float, Awaitable[object]], Awaitable[None]]
"""Wait for something, at most so many seconds, and show it under these words."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What became of one output. `at_most`: it was first looked at then, since every request would have fed it."""

    output: SafeOutput
    verdict: str
    seen: bool | None = None
    after_ms: float | None = None
    at_most: bool = False
    why: str = ""

    @property
    def good(self) -> bool:
        return self.verdict in (FALLS, NOT_MOVED)


Pattern = dict[str, bool]


def patterns(outputs: Iterable[SafeOutput]) -> list[Pattern]:
    """What is switched, pass by pass: every output away from its safe value once, a signal never to two aspects.

    What is lit in the safe state goes dark; of what is dark then, one at a time of each head is lit.
    """
    made: list[Pattern] = []
    lit: dict[str, int] = {}
    for output in outputs:
        turn = 0
        if output.head and not output.on:
            turn = lit.get(output.head, 0)
            lit[output.head] = turn + 1
        while len(made) <= turn:
            made.append({})
        made[turn][output.point] = not output.on
    for output in outputs:  # a head stays dark but for the lamp of this pass
        if output.head and output.on:
            for pattern in made[1:]:
                pattern[output.point] = False
    return made


class Watcher:
    """What the session is given: the verdict, taken away on purpose, and what the module says its outputs are."""

    def __init__(self) -> None:
        self.clock: Clock = LoopClock()
        self.healthy = True
        self.online_told = asyncio.Event()
        self.tripped = False
        self.outputs: Pattern = {}
        self.read_s: dict[str, float] = {}
        """When an output was last seen to change."""
        self._news = asyncio.Event()
        self._alone = Alone()

    def online(self, identity: Identity) -> None:
        self.online_told.set()

    def report(self, event: DeviceReport) -> None:
        match event:
            case ModuleWatchdogTripped():
                self.tripped = True
            case OutputsRead(points):
                now_s = asyncio.get_running_loop().time()
                self.read_s.update({name: now_s for name, on in points if self.outputs.get(name) is not on})
                self.outputs.update(points)
        self._news.set()

    async def until(self, what: Callable[[], bool]) -> None:
        """The caller bounds the wait."""
        while not what():
            self._news.clear()
            await self._news.wait()

    def doubt(self, raw: bytes, why: str) -> None:
        """Not what is looked for here."""

    async def keep(self, picture: bytes, media_type: str) -> str:
        return await self._alone.keep(picture, media_type)

    async def settled(self) -> None:
        await self._alone.settled()

    @property
    def spool(self) -> Path:
        return self._alone.spool

    @property
    def sealer(self) -> Sealer:
        return self._alone.sealer


class ProofFailed(Exception):
    """The trial could not be made; the text says why."""


@dataclass(slots=True)
class Trial:
    """One module under trial: what becomes of each output that is moved, or is away from its safe value already."""

    config: DeviceConfig
    made: Callable[[DeviceConfig, Links], Driver]
    links: Links
    watchdog_s: float
    wait: Wait
    watcher: Watcher = field(default_factory=Watcher)

    async def run(self, outputs: list[SafeOutput], also: list[SafeOutput], *, clear: bool) -> list[Shown]:
        """Move `outputs`, and watch `also` where they are away from their safe values now. Raises ProofFailed."""
        shown: dict[str, Shown] = {}
        async with self._session() as driver:
            if self.watcher.tripped and not clear:
                raise ProofFailed(TRIPPED_ALREADY)
            now = self.watcher.outputs
            watched = [*outputs, *(o for o in also if now.get(o.point, o.on) is not o.on)]
            for number, pattern in enumerate(patterns(outputs)):
                moved = [o for o in watched if o.point in pattern or (number == 0 and o not in outputs)]
                for each in await self._pass(driver, pattern, moved):
                    shown.setdefault(each.output.point, each)
            if clear and self.watcher.tripped:
                await self._clear(driver)
                await self._safe(driver, watched)
        return list(shown.values())

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Driver]:
        quick = {"readback_ms": READBACK_MS} if "readback_ms" in type(self.config).model_fields else {}
        driver = self.made(self.config.model_copy(update=quick), self.links)
        session = asyncio.ensure_future(driver.session(self.watcher))
        online = asyncio.ensure_future(self.watcher.online_told.wait())
        try:
            limit_s = self.config.connect_timeout_s + LOOK_S
            await asyncio.wait({session, online}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            if not self.watcher.online_told.is_set():
                raise ProofFailed(_why(session) or f"no answer within {limit_s:g} s")
            yield driver
        finally:
            for task in (session, online):
                task.cancel()
            await asyncio.wait({session, online})

    async def _pass(self, driver: Driver, pattern: Pattern, moved: list[SafeOutput]) -> list[Shown]:
        watcher, loop = self.watcher, asyncio.get_running_loop()
        if watcher.tripped:
            await self._clear(driver)
        try:
            if refused := await self._write(driver, pattern):
                return [Shown(output, NOT_SWITCHED, why=refused) for output in moved]
            watcher.outputs.update(pattern)
            await asyncio.sleep(HOLDS_S)
            stuck = [o for o in moved if watcher.outputs.get(o.point) is o.on]
            falling = [o for o in moved if o not in stuck]
            stopped_s, limit_s = loop.time(), self.watchdog_s * TOLERANCE + TOLERANCE_S
            watcher.healthy = False
            fallen = watcher.until(lambda: all(watcher.outputs.get(o.point) is o.on for o in falling))
            await self.wait(f"heartbeat stopped: {_words(pattern)}", limit_s, fallen)
            silent_s = loop.time() - stopped_s
            watcher.healthy = True
            looked = watcher.until(lambda: all(watcher.read_s.get(o.point, 0.0) >= stopped_s for o in falling))
            await self.wait("looking at the outputs", LOOK_S, looked)
        finally:
            watcher.healthy = True
            await self._safe(driver, moved)
        return [
            *(Shown(o, NOT_SWITCHED, o.on, why="the module reads it back at its safe value") for o in stuck),
            *(self._fell(output, stopped_s, silent_s) for output in falling),
        ]

    def _fell(self, output: SafeOutput, stopped_s: float, silent_s: float) -> Shown:
        seen, read_s = self.watcher.outputs.get(output.point), self.watcher.read_s.get(output.point, 0.0)
        if seen is not output.on:
            return Shown(output, FALLS_NOT, seen, why=f"still so after {silent_s * 1000:.0f} ms without a heartbeat")
        after_s = read_s - stopped_s
        return Shown(output, FALLS, seen, round(after_s * 1000, 1), at_most=after_s >= silent_s)

    async def _safe(self, driver: Driver, outputs: list[SafeOutput]) -> None:
        """Whatever came of it: nothing is left away from its safe value. A tripped module holds most there itself."""
        now = self.watcher.outputs
        if self.watcher.tripped and any(now.get(each.point) is not each.on for each in outputs):
            await self._clear(driver)
        if not self.watcher.tripped and outputs:
            await self._write(driver, {output.point: output.on for output in outputs})

    async def _write(self, driver: Driver, pattern: Pattern) -> str:
        """Why the outputs could not be written; empty when they were."""
        outcome = await _performed(driver, WriteOutputs(tuple(pattern.items())))
        return "" if outcome.result is Result.DONE else f"{outcome.result.value}: {outcome.reason}"

    async def _clear(self, driver: Driver) -> None:
        outcome = await _performed(driver, ClearWatchdog())
        if outcome.result is not Result.DONE:
            raise ProofFailed(f"its watchdog has tripped and could not be cleared: {outcome.reason}")
        self.watcher.tripped = False
        await asyncio.sleep(HOLDS_S)


async def _performed(driver: Driver, command: WriteOutputs | ClearWatchdog) -> Outcome:
    try:
        async with asyncio.timeout(WRITE_S):
            return await driver.perform(command)
    except TimeoutError:
        return Outcome(Result.UNKNOWN, f"no answer within {WRITE_S:g} s")
    except (CommandError, DeviceError) as error:
        return Outcome(Result.FAILED, error.why)


def _why(session: asyncio.Future[None]) -> str:
    error = session.exception() if session.done() and not session.cancelled() else None
    if error is None:
        return ""
    return f"{error.deed}: {error.why}" if isinstance(error, DeviceError) else f"{type(error).__name__}: {error}"


def _words(pattern: Pattern) -> str:
    return ", ".join(f"{name} {'on' if on else 'off'}" for name, on in pattern.items())
