"""A runner whose decisions are scripted: what is tested is the shell, not the lane."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from lanecontrol.announcements import Announcement, CentralReach
from lanecontrol.clock import Instant, LoopClock
from lanecontrol.commands import DONE, Command, Outcome, WriteOutputs
from lanecontrol.errors import StorageError
from lanecontrol.events import CommandEnded, Event, Input, StoreChanged
from lanecontrol.lane import runner as runner_module
from lanecontrol.lane.effects import Drive, Effect, Publish
from lanecontrol.lane.runner import LaneRunner
from lanecontrol.lane.setup import LaneSetup
from lanecontrol.lane.state import LaneState
from lanecontrol.lane.step import initial

RED = WriteOutputs((("red", True), ("green", False)))
GREEN = WriteOutputs((("red", False), ("green", True)))
TOLD = Publish(CentralReach(True, "", 0.0))


def do(name: str) -> StoreChanged:
    """An input that means: do what the script says under this name."""
    return StoreChanged(True, name)


def grant(name: str) -> Drive:
    return Drive(name, "io1", GREEN, grants=True)


def withdrawal(name: str) -> Drive:
    return Drive(name, "io1", RED, grants=False)


class Device:
    """What the lane commands. `slow` commands take until the bench says so."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.slow: set[Command] = set()
        self.go_on = asyncio.Event()
        self.end_takes = 0.0

    async def perform(self, device: str, command: Command, timeout_s: float) -> Outcome:
        name = "red" if command == RED else "green"
        self.log.append(f"{name} begins")
        try:
            if command in self.slow:
                await self.go_on.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(self.end_takes)
            self.log.append(f"{name} is cut short")
            raise
        self.log.append(f"{name} is done")
        return DONE


class Disk:
    """A journal that commits when the bench says so, or at once."""

    def __init__(self) -> None:
        self.at_once = True
        self.waiting: list[asyncio.Future[None]] = []
        self.written: list[Announcement] = []
        self.lost = 0

    def write(self, announcements: Sequence[Announcement], at: Instant, checkpoint: object) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.written += announcements
        if self.at_once:
            future.set_result(None)
        else:
            self.waiting.append(future)
        return future

    def commit(self) -> None:
        for future in self.waiting:
            future.set_result(None)
        self.waiting.clear()

    def fail(self, error: StorageError) -> None:
        for future in self.waiting:
            future.set_exception(error)
        self.waiting.clear()


class RunnerBench:
    """The script: effects by the name in `do(name)`; `granted` are the commands whose permission stands."""

    def __init__(self, setup: LaneSetup, monkeypatch: pytest.MonkeyPatch) -> None:
        self.script: dict[str, tuple[Effect, ...]] = {}
        self.granted: set[str] = set()
        self.due_s: Callable[[], float | None] = lambda: None
        self.inputs: list[Input] = []
        self.answers: list[tuple[str, Outcome]] = []
        self.device, self.disk = Device(), Disk()
        self.runner = LaneRunner(
            setup,
            initial(setup),
            clock=LoopClock(),
            journal=self.disk,
            trace=self,
            perform=self.device.perform,
            reply=lambda key, outcome: self.answers.append((key, outcome)),
        )
        monkeypatch.setattr(runner_module, "step", self._step)
        monkeypatch.setattr(runner_module, "deadline", lambda state: self.due_s())
        monkeypatch.setattr(runner_module, "still_granted", lambda state, command: command in self.granted)

    def taken_in(self, given: Input, state: LaneState, effects: tuple[Effect, ...]) -> None:
        self.inputs.append(given)

    def _step(self, setup: LaneSetup, state: LaneState, given: Input) -> tuple[LaneState, tuple[Effect, ...]]:
        effects: tuple[Effect, ...] = ()
        if isinstance(given.event, StoreChanged):
            effects = self.script.get(given.event.reason, ())
        for effect in effects:
            if isinstance(effect, Drive):
                self.granted = self.granted | {effect.command_id} if effect.grants else set()
        return state, effects

    async def give(self, *events: Event) -> None:
        for event in events:
            self.runner.take("test", event)
        await self.settle()

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110  nobody tells of it
                await asyncio.sleep(0)

    def events(self, kind: type[Any]) -> list[Any]:
        return [given.event for given in self.inputs if isinstance(given.event, kind)]

    def ended(self) -> dict[str, Outcome]:
        return {event.command: event.outcome for event in self.events(CommandEnded)}
