"""An event loop whose time jumps to the next timer, so that an hour of lane time takes seconds.

It jumps only when no descriptor is ready and nothing real is outstanding: a commit on its way to the disk, a publish
waiting for its PUBACK, a command waiting for its reply, a call in an executor. The daemon under it is unchanged.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple, Unpack

from lanecontrol.clock import RealWork
from lanecontrol.scaled_loop import OtherSelector

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

HOLD_CHECK_S = 0.002
"""While held, how long one wait for a descriptor may last: a hold can end without one (a counter reaching zero)."""

HOLD_GRACE_S = 2.0
"""A hold longer than this real time lets virtual time pass at real pace, so that time-outs work on a dead peer."""


class _JumpingSelector(OtherSelector):
    """Asks the real selector without waiting; where the loop wants to wait, moves the virtual time instead."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop
        self._held_since: float | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            return self._real.select(HOLD_CHECK_S if self._loop.held() else None)
        if self._loop.held():
            return self._hold(timeout)
        self._held_since = None
        # A second look: on loopback the kernel may hand a segment over between the two.
        ready = self._real.select(0)
        if not ready:
            self._loop.advance(timeout)
        return ready

    def _hold(self, timeout: float) -> list[tuple[selectors.SelectorKey, int]]:
        began = time.monotonic()
        if self._held_since is None:
            self._held_since = began
        ready = self._real.select(HOLD_CHECK_S)
        if began - self._held_since > HOLD_GRACE_S:
            self._loop.advance(min(timeout, time.monotonic() - began))
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop. `work` counts what is outstanding; `hold_while` adds conditions of the simulation's own.

    `inline` carries out at once what is meant for the loop's own threads, which would end in any order: for runs that
    must be the same every time.
    """

    def __init__(self, work: RealWork | None = None, start_s: float = 0.0, *, inline: bool = False) -> None:
        self.work = work or RealWork()
        self._inline = inline
        self._now_s = start_s
        self._conditions: list[Callable[[], bool]] = []
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self._now_s

    def advance(self, by_s: float) -> None:
        """Move the virtual time on; only the selector calls this."""
        self._now_s += by_s

    def hold_while(self, condition: Callable[[], bool]) -> None:
        """Do not jump while `condition()` is true."""
        self._conditions.append(condition)

    def held(self) -> bool:
        """Something real is outstanding."""
        return self.work.outstanding > 0 or any(condition() for condition in self._conditions)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        if self._inline and executor is None:
            return self.create_task(_carried_out(func, *args))
        future = super().run_in_executor(executor, func, *args)
        self.work.outstanding += 1
        future.add_done_callback(self._executor_done)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for the threads without a limit: since Python 3.12 there is one, and virtual time would jump to it."""
        await super().shutdown_default_executor()

    def _executor_done(self, _: asyncio.Future[Any]) -> None:
        self.work.outstanding -= 1


async def _carried_out(func: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
    return func(*args)
