"""Who does blocking work for a store: one thread of its own, or, inline, the loop's thread.

The same calls in the same order either way. On a virtual clock work in a thread would hold time and be slow; done
inline a run is also repeatable. Used by ledger and recorder.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from lanecontrol.clock import RealWork

P = ParamSpec("P")
T = TypeVar("T")


class Hands:
    """Does one thing at a time, in the order asked. `work` is counted while it is under way."""

    def __init__(self, name: str, inline: bool, work: RealWork) -> None:
        self.work = work
        self._thread = None if inline else ThreadPoolExecutor(1, thread_name_prefix=name)

    def do(self, what: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """The outcome of `what`. Begun in any case; cancelling the future only forgets the outcome."""
        loop = asyncio.get_running_loop()
        if self._thread is None:
            return loop.create_task(_inline(what, *args, **kwargs))
        under_way = self.work.under_way()
        under_way.__enter__()
        future = asyncio.wrap_future(self._thread.submit(what, *args, **kwargs), loop=loop)
        future.add_done_callback(lambda _: under_way.__exit__(None, None, None))
        return future

    def end(self) -> None:
        """Let the thread go when it is done; does not wait."""
        if self._thread is not None:
            self._thread.shutdown(wait=False)


async def _inline(what: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return what(*args, **kwargs)
