"""The shell around the lane core: one inbox, one order, effects done as `step` returned them.

Inputs are taken in without ever blocking; a full inbox is told to the lane as `InputsLost`, which shows red. What
withdraws permission never waits for the disk; what grants it waits for its ledger commit and is dropped when a later
step withdrew in the meantime. Nothing here decides anything.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from lanecontrol import forms
from lanecontrol.announcements import Announcement
from lanecontrol.clock import Clock, Instant, stopwatch_s
from lanecontrol.commands import Command, Outcome, Result
from lanecontrol.errors import StorageError
from lanecontrol.events import CommandEnded, Event, Input, InputsLost, Stopping, Tick
from lanecontrol.lane.effects import Answer, Drive, Effect, Publish
from lanecontrol.lane.setup import LaneSetup
from lanecontrol.lane.state import LaneState
from lanecontrol.lane.step import deadline, step, still_granted

INBOX_LIMIT = 4096
"""Inputs that may wait: 20 s of the busiest lane measured. More means that the lane cannot keep up: a fault."""


DECISIONS_KEPT = 4096


class Journal(Protocol):
    """Where announcements go: numbered, written, made durable."""

    def write(
        self, announcements: Sequence[Announcement], at: Instant, checkpoint: Callable[[], bytes]
    ) -> asyncio.Future[None]:
        """Resolves when on disk; fails with StorageError."""
        ...


class Trace(Protocol):
    """The flight recorder's side that sees what the lane was told and what came of it."""

    def taken_in(self, given: Input, state: LaneState, effects: tuple[Effect, ...]) -> None: ...


Perform = Callable[[str, Command, float], Coroutine[Any, Any, Outcome]]
"""Carry out a command at a device within a time; answers its outcome and never raises but for cancellation."""

Reply = Callable[[str, Outcome], None]
"""Tell whoever gave the order under this key how it ended."""


class LaneRunner:
    """One lane at work. `take` is given to every source of events; `run` is the lane's task."""

    def __init__(
        self,
        setup: LaneSetup,
        state: LaneState,
        *,
        clock: Clock,
        journal: Journal,
        trace: Trace,
        perform: Perform,
        reply: Reply,
    ) -> None:
        self.setup = setup
        self.state = state
        self._clock = clock
        self._journal = journal
        self._trace = trace
        self._perform = perform
        self._reply = reply
        self._inbox: deque[tuple[Input, float]] = deque()
        self._lost = 0
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._tasks = asyncio.TaskGroup()
        self._withdrawals: set[asyncio.Task[None]] = set()
        self._drives = _Drives(perform)
        self.steps = 0
        self.decision_ms: deque[float] = deque(maxlen=DECISIONS_KEPT)
        """Real time from taking an input in to having its effects under way, of the latest inputs that had any."""

    def take(self, source: str, event: Event) -> None:
        """Take an event in, now. Never blocks; when the inbox is full the loss is counted and told to the lane."""
        if len(self._inbox) >= INBOX_LIMIT:
            self._lost += 1
        else:
            self._put(source, event)

    def _put(self, source: str, event: Event) -> None:
        self._inbox.append((Input(self._clock.now(), source, event), stopwatch_s()))
        self._wake.set()

    def waiting_s(self) -> float:
        """How long the oldest input has been waiting, in real seconds: a lane that does not keep up shows here."""
        return stopwatch_s() - self._inbox[0][1] if self._inbox else 0.0

    async def run(self) -> None:
        """Take inputs one by one, for ever."""
        async with self._tasks:
            while True:
                await self._wake.wait()
                self._wake.clear()
                self._drain()

    def _drain(self) -> None:
        while self._inbox:
            self._handle(*self._inbox.popleft())
            if self._lost and not self._inbox:
                lost, self._lost = self._lost, 0
                self._put("lane", InputsLost(lost))
        self._arm()

    def _handle(self, given: Input, taken_s: float) -> None:
        before = self.state
        self.state, effects = step(self.setup, before, given)
        self.steps += 1
        self._trace.taken_in(given, before, effects)
        if effects:
            self._do(effects, given.at)
            self.decision_ms.append((stopwatch_s() - taken_s) * 1000)

    def _do(self, effects: tuple[Effect, ...], at: Instant) -> None:
        announced: list[Announcement] = []
        after_commit: list[Drive | Answer] = []
        for effect in effects:
            match effect:
                case Drive(grants=False):
                    task = self._tasks.create_task(self._drive(effect))
                    self._withdrawals.add(task)
                    task.add_done_callback(self._withdrawals.discard)
                case Publish(announcement):
                    announced.append(announcement)
                case _:
                    after_commit.append(effect)
        written: asyncio.Future[None] | None = None
        if announced:
            state = self.state
            written = self._journal.write(announced, at, lambda: forms.to_json(state))
        if after_commit:
            self._tasks.create_task(self._do_after(written, after_commit))

    async def _do_after(self, written: asyncio.Future[None] | None, effects: Sequence[Drive | Answer]) -> None:
        try:
            if written is not None:
                await written
        except StorageError as error:
            self._refuse(effects, f"not on disk: {error.why}")
            return
        for effect in effects:
            if isinstance(effect, Answer):
                self._reply(effect.key, effect.outcome)
            elif still_granted(self.state, effect.command_id):
                await self._drive(effect)
            else:
                self._ended(effect, Outcome(Result.REFUSED, "permission was withdrawn before it was given"))

    def _refuse(self, effects: Sequence[Drive | Answer], why: str) -> None:
        for effect in effects:
            if isinstance(effect, Answer):
                self._reply(effect.key, Outcome(Result.REFUSED, why))
            else:
                self._ended(effect, Outcome(Result.REFUSED, why))

    async def _drive(self, drive: Drive) -> None:
        self._ended(drive, await self._drives.carry_out(drive, lambda: still_granted(self.state, drive.command_id)))

    def _ended(self, drive: Drive, outcome: Outcome) -> None:
        self.take(drive.device, CommandEnded(drive.command_id, outcome))

    def _arm(self) -> None:
        due = deadline(self.state)
        if due == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = due
        self._timer = None if due is None else asyncio.get_running_loop().call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = self._timer_at = None
        self.take("lane", Tick())

    async def stop(self, reason: str) -> None:
        """Tell the lane that the daemon stops, now, and wait until what it withdraws has been carried out.

        The caller bounds the wait.
        """
        self.take("lane", Stopping(reason))
        self._drain()
        if self._withdrawals:
            await asyncio.wait(self._withdrawals)


class _Drives:
    """Commands to devices: one at a time per device, in order; a withdrawal cuts short the grant before it."""

    def __init__(self, perform: Perform) -> None:
        self._perform = perform
        self._turn: dict[str, asyncio.Lock] = {}
        self._granting: dict[str, asyncio.Future[Outcome]] = {}

    async def carry_out(self, drive: Drive, still_granted: Callable[[], bool]) -> Outcome:
        if not drive.grants and (grant := self._granting.get(drive.device)) is not None:
            grant.cancel()
        async with self._turn.setdefault(drive.device, asyncio.Lock()):
            if drive.grants and not still_granted():
                return Outcome(Result.REFUSED, "permission was withdrawn before it was given")
            return await self._now(drive)

    async def _now(self, drive: Drive) -> Outcome:
        performing = asyncio.ensure_future(self._perform(drive.device, drive.command, drive.timeout_s))
        if drive.grants:
            self._granting[drive.device] = performing
        try:
            return await asyncio.shield(performing)
        except asyncio.CancelledError:
            if performing.cancelled():
                return Outcome(Result.UNKNOWN, "cut short by a withdrawal")
            performing.cancel()
            raise
        finally:
            self._granting.pop(drive.device, None)
