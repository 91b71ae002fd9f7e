"""Time. Nothing else reads a clock: whoever needs the time is given a `Clock`.

The monotonic time is always the event loop's own, so that timers and stamps agree, also when a simulation runs the
loop on a virtual or a scaled clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, order=True)
class Instant:
    """A moment: monotonic seconds (of this boot), UTC seconds since 1970, and whether the UTC is disciplined."""

    mono_s: float
    utc_s: float
    synchronised: bool = True

    def iso(self) -> str:
        """RFC 3339 in UTC with microseconds."""
        return utc_text(self.utc_s)


def utc_text(utc_s: float) -> str:
    """RFC 3339 text of UTC seconds, with microseconds and `Z`."""
    return datetime.fromtimestamp(utc_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Clock(Protocol):
    def now(self) -> Instant:
        """The present moment."""
        ...


@dataclass(frozen=True, slots=True)
class LoopClock:
    """The clock of a running daemon: the event loop's monotonic time, and UTC from `utc`.

    `synchronised` answers whether the system clock is disciplined now.
    """

    utc: Callable[[], float] = time.time
    synchronised: Callable[[], bool] = lambda: True

    def now(self) -> Instant:
        return Instant(asyncio.get_running_loop().time(), self.utc(), self.synchronised())


@dataclass(frozen=True, slots=True)
class AnchoredClock:
    """UTC that follows the loop's monotonic time from an anchor: simulations on a virtual or scaled loop."""

    utc_at_zero_s: float

    def now(self) -> Instant:
        mono_s = asyncio.get_running_loop().time()
        return Instant(mono_s, self.utc_at_zero_s + mono_s)


def stopwatch_s() -> float:
    """Real time for measuring how long something took, whatever clock the lane runs on."""
    return time.perf_counter()


class RealWork:
    """Counts what is under way in the real world: commits, publishes awaiting a PUBACK, executor calls.

    A virtual clock may not jump while `outstanding` is above zero, or an hour of lane time would pass during one
    fsync. On the real clock nobody looks at it.
    """

    def __init__(self) -> None:
        self.outstanding = 0

    @contextmanager
    def under_way(self) -> Iterator[None]:
        self.outstanding += 1
        try:
            yield
        finally:
            self.outstanding -= 1
