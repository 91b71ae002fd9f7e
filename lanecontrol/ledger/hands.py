"""Who does blocking work for a store: one thread of its own, or, inline, the loop's thread.

The same calls in the same order either way. On a virtual clock work in a thread would hold time and be slow; done
inline a run is also repeatable. Used by ledger and recorder.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, ParamSpec, TypeVar

from lanecontrol.clock import RealWork

P = ParamSpec("P")
T = TypeVar("T")

_Job = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class Hands:
    """Does one thing at a time, in the order asked. `work` is counted while it is under way.

    The thread is a daemon, unlike an executor's: a disk that hangs must not keep the process from ending.
    """

    def __init__(self, name: str, inline: bool, work: RealWork) -> None:
        self.work = work
        self._jobs: SimpleQueue[_Job | None] | None = None if inline else SimpleQueue()
        if self._jobs is not None:
            Thread(target=_work_off, args=(self._jobs,), name=name, daemon=True).start()

    def do(self, what: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """The outcome of `what`. Begun in any case; cancelling the future only forgets the outcome."""
        loop = asyncio.get_running_loop()
        if self._jobs is None:
            return loop.create_task(_inline(what, *args, **kwargs))
        under_way = self.work.under_way()
        under_way.__enter__()
        future: asyncio.Future[T] = loop.create_future()
        future.add_done_callback(lambda _: under_way.__exit__(None, None, None))
        self._jobs.put((partial(what, *args, **kwargs), future))
        return future

    def end(self) -> None:
        """Let the thread go when it is done; does not wait."""
        if self._jobs is not None:
            self._jobs.put(None)


def _work_off(jobs: SimpleQueue[_Job | None]) -> None:
    """On the thread, until told to go."""
    while (job := jobs.get()) is not None:
        what, future = job
        outcome = _outcome(what)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            future.get_loop().call_soon_threadsafe(_settle, future, *outcome)
        del job, what, future, outcome


def _outcome(what: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return what(), None
    except BaseException as error:  # noqa: BLE001  whoever awaits it decides
        return None, error


def _settle(future: asyncio.Future[Any], found: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(found)
    else:
        future.set_exception(error)


async def _inline(what: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return what(*args, **kwargs)
