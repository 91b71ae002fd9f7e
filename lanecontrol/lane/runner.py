"""The shell around the lane core: one inbox, one order, effects done as `step` returned them.

Inputs are taken in without ever blocking; a full inbox is told to the lane as `InputsLost`, which shows red. What
withdraws permission never waits for the disk; what grants it waits for its ledger commit and is dropped when a later
step withdrew in the meantime. Nothing here decides anything.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from lanecontrol import forms
from lanecontrol.announcements import Announcement
from lanecontrol.clock import Clock, Instant, stopwatch_s
from lanecontrol.commands import Outcome, Result
from lanecontrol.errors import StorageError
from lanecontrol.events import CommandEnded, Event, Input, InputsLost, Stopping, Tick
from lanecontrol.lane.drives import Drives, Perform
from lanecontrol.lane.effects import Answer, Ask, Drive, Effect, Publish, ShowCards
from lanecontrol.lane.setup import LaneSetup
from lanecontrol.lane.state import LaneState
from lanecontrol.lane.step import deadline, step, still_granted

INBOX_LIMIT = 4096
"""Inputs that may wait: 20 s of the busiest lane measured. More means that the lane cannot keep up: a fault."""
SLICE = 64
"""Inputs handled before others get a turn of the event loop: some milliseconds. A count, not a time: a simulation
must do the same whatever else the machine does."""
TICK_APART_S = 0.01
"""Two ticks are this far apart at least: a deadline that has passed and still stands must not spin."""
DECISIONS_KEPT = 4096
SETTLE_RETRY_S = 1.0
"""While the store is out of order, whoever waits for it asks again after this time."""


class Journal(Protocol):
    """Where announcements go: numbered, written, made durable."""

    def write(
        self, announcements: Sequence[Announcement], at: Instant, checkpoint: Callable[[], bytes]
    ) -> asyncio.Future[None]:
        """Resolves when on disk; fails with StorageError."""
        ...

    @property
    def lost(self) -> int:
        """Announcements that the store refused, for good."""
        ...


class Trace(Protocol):
    """The flight recorder's side that sees what the lane was told and what came of it."""

    def taken_in(self, given: Input, state: LaneState, effects: tuple[Effect, ...]) -> None: ...


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
        unfit: Callable[[], str] = lambda: "",
        ask: Callable[[Ask | ShowCards], None] = lambda ask: None,
    ) -> None:
        self.setup = setup
        self.state = state
        self.drives = Drives(perform, unfit)
        self._clock = clock
        self._journal = journal
        self._trace = trace
        self._reply = reply
        self._ask = ask
        self._inbox: deque[tuple[Input, float]] = deque()
        self._lost = 0
        self._lost_ever = 0
        self._losing = False
        self._taken = self._handled = 0
        self._waiting_for_turn: list[asyncio.Future[None]] = []
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._ticked_s = float("-inf")
        self._running = False
        self._tasks = asyncio.TaskGroup()
        self._withdrawals: set[asyncio.Task[None]] = set()
        self.steps = 0
        self.decision_ms: deque[float] = deque(maxlen=DECISIONS_KEPT)
        """Real time from taking an input in to having its effects under way, of the latest inputs that had any."""

    # --- taking in ---------------------------------------------------------------------------------------------------

    def take(self, source: str, event: Event) -> None:
        """Take an event in, now. Never blocks; when the inbox is full the loss is counted and told to the lane."""
        if len(self._inbox) < INBOX_LIMIT:
            self._inbox.append((Input(self._clock.now(), source, event), stopwatch_s()))
            self._taken += 1
        else:
            self._lost += 1
            self._lost_ever += 1
        self._wake.set()

    def waiting_s(self) -> float:
        """How long the oldest input has been waiting, by the lane's clock: a lane that does not keep up shows here."""
        return self._clock.now().mono_s - self._inbox[0][0].at.mono_s if self._inbox else 0.0

    async def run(self) -> None:
        """Take inputs one by one, for ever."""
        try:
            async with self._tasks:
                self._running = True
                while True:
                    await self._wake.wait()
                    self._wake.clear()
                    self._drain()
                    if self._inbox or self._lost:
                        self._wake.set()
                        await asyncio.sleep(0)
        finally:
            self._running = False
            if self._timer is not None:
                self._timer.cancel()

    def _drain(self) -> None:
        for _ in range(SLICE):
            taken = self._next()
            if taken is None:
                break
            self._handle(*taken)
        self._arm()
        self._tell_of_turn()

    def _next(self) -> tuple[Input, float] | None:
        """The next input. A loss is told before what waits, once; again when nothing waits, if more was lost."""
        if self._lost and not (self._losing and self._inbox):
            lost, self._lost = self._lost, 0
            self._losing = True
            return self._overtaking(InputsLost(lost)), stopwatch_s()
        if not self._inbox:
            self._losing = False
            return None
        self._handled += 1
        return self._inbox.popleft()

    def _overtaking(self, event: Event) -> Input:
        """An input of the lane's own that goes before what waits; stamped so that time does not run backwards."""
        return Input(self._inbox[0][0].at if self._inbox else self._clock.now(), "lane", event)

    def _handle(self, given: Input, taken_s: float) -> None:
        before = self.state
        self.state, effects = step(self.setup, before, given)
        self.steps += 1
        self._trace.taken_in(given, before, effects)
        if effects:
            self._do(effects, given.at)
            self.decision_ms.append((stopwatch_s() - taken_s) * 1000)

    # --- settling ----------------------------------------------------------------------------------------------------

    @property
    def losses(self) -> int:
        """Inputs that found the inbox full and announcements that the store refused, since the start."""
        return self._lost_ever + self._journal.lost

    async def settled(self) -> None:
        """Until all that was taken in so far has been handled, and its effects and the lane's state are on disk.

        As long as the store is out of order it waits. What was lost on the way shows in `losses`.
        """
        upto = self._taken
        while self._handled < upto:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting_for_turn.append(turn)
            await turn
        while not await self._checkpointed():  # noqa: ASYNC110  a store that is well again tells only the lane
            await asyncio.sleep(SETTLE_RETRY_S)

    async def _checkpointed(self) -> bool:
        """Writes are in order: with this one, all before it are on disk."""
        state = self.state
        try:
            await self._journal.write((), self._clock.now(), lambda: forms.to_json(state))
        except StorageError:
            return False
        return True

    def _tell_of_turn(self) -> None:
        waiting, self._waiting_for_turn = self._waiting_for_turn, []
        for turn in waiting:
            if not turn.done():
                turn.set_result(None)

    # --- doing what was decided --------------------------------------------------------------------------------------

    def _do(self, effects: tuple[Effect, ...], at: Instant) -> None:
        announced: list[Announcement] = []
        after_commit: list[Drive | Answer] = []
        for effect in effects:
            match effect:
                case Drive(grants=False):
                    self._withdraw(effect)
                case Publish(announcement):
                    announced.append(announcement)
                case Ask() | ShowCards():
                    self._ask(effect)
                case _:
                    after_commit.append(effect)
        written: asyncio.Future[None] | None = None
        if announced:
            state = self.state
            written = self._journal.write(announced, at, lambda: forms.to_json(state))
        if after_commit:
            self._tasks.create_task(self._do_after(written, after_commit))

    def _withdraw(self, drive: Drive) -> None:
        task = self._tasks.create_task(self._drive(drive))
        self._withdrawals.add(task)
        task.add_done_callback(self._withdrawals.discard)

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
            else:
                await self._drive(effect)

    def _refuse(self, effects: Sequence[Drive | Answer], why: str) -> None:
        for effect in effects:
            if isinstance(effect, Answer):
                self._reply(effect.key, Outcome(Result.REFUSED, why))
            else:
                self._ended(effect, Outcome(Result.REFUSED, why))

    async def _drive(self, drive: Drive) -> None:
        self._ended(drive, await self.drives.carry_out(drive, lambda: still_granted(self.state, drive.command_id)))

    def _ended(self, drive: Drive, outcome: Outcome) -> None:
        self.take(drive.device, CommandEnded(drive.command_id, outcome))

    # --- time --------------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        due = deadline(self.state)
        if due == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        loop, soonest = asyncio.get_running_loop(), self._ticked_s + TICK_APART_S
        self._timer_at = due
        self._timer = None if due is None else loop.call_at(max(due, soonest), self._tick)

    def _tick(self) -> None:
        self._timer = self._timer_at = None
        self._ticked_s = asyncio.get_running_loop().time()
        self.take("lane", Tick())

    # --- the end -----------------------------------------------------------------------------------------------------

    async def stop(self, reason: str) -> None:
        """Tell the lane that the daemon stops, before whatever waits, and wait until what it withdraws is carried out
        and the lane has heard what became of it.

        The caller bounds the wait. Nothing is done for a lane that is not running: it has granted nothing.
        """
        if not self._running:
            return
        self._drain()
        self._handle(self._overtaking(Stopping(reason)), stopwatch_s())
        if self._withdrawals:
            await asyncio.wait(self._withdrawals)
            self._drain()
