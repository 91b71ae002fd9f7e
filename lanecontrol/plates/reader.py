"""Plates for those who live on the event loop: ask, wait with a deadline, never block.

Used by the driver `lpr.frames`; owns one worker process, which is started by the first question and stays warm. The
conversation with it takes place in one thread, so that a simulation on a virtual clock knows that real work is under
way. Must be closed by whoever made it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

from lanecontrol.plates import require
from lanecontrol.plates.answers import Options, Reading
from lanecontrol.plates.messages import Request
from lanecontrol.plates.process import Process, ReadFailed
from lanecontrol.plates.weights import Weights

T = TypeVar("T")

DEADLINE_S = 5.0
"""For one question: ten times what five pictures take on two slow cores."""
WAITING = 4
"""Questions that may wait; more vehicles than that do not stand before one camera."""


class PlateReader:
    """Asks a warm worker process. Any number of tasks may call `read`; they are served in turn."""

    def __init__(
        self,
        *,
        deadline_s: float = DEADLINE_S,
        memory_mib: int = 500,
        detector: Weights | None = None,
        recogniser: Weights | None = None,
    ) -> None:
        self._deadline_s = deadline_s
        self._process = Process(memory_mib=memory_mib, detector=detector, recogniser=recogniser)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="plates")
        self._waiting = 0

    @property
    def engine(self) -> str:
        """Version of the engine and digests of its weights, once it is warm."""
        return self._process.engine

    @property
    def starts(self) -> int:
        """How often a worker was started."""
        return self._process.starts

    async def warm(self) -> str:
        """Start the worker and have it load its weights. Raises PlatesUnavailable, ReadFailed."""
        require()
        return await self._in_thread(self._process.warm)

    async def read(self, pictures: Sequence[bytes], options: Options | None = None) -> Reading:
        """The plate on these pictures (JPEG, PNG, BMP, WebP files), all of one vehicle.

        Raises PlatesUnavailable where plates cannot be read at all, ReadFailed for these pictures: damaged, too many
        waiting already, or not read in time.
        """
        require()
        if not pictures:
            raise ReadFailed("there is no picture")
        if self._waiting > WAITING:
            raise ReadFailed(f"{WAITING} others are waiting to be read")
        wanted = Request(tuple(pictures), options or Options())
        return await self._in_thread(lambda: self._process.ask(wanted, self._deadline_s))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._thread, work)
        future.add_done_callback(self._no_more)
        return await future  # the deadline is the process's own

    def _no_more(self, done: asyncio.Future[T]) -> None:
        self._waiting -= 1
        if not done.cancelled():
            done.exception()  # looked at here too: whoever asked may have gone

    def close(self) -> None:
        """End the worker now; what waits for it fails."""
        self._process.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
