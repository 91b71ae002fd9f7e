"""Ending things in time: for the composition root, whose whole stop must be over within two seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

AGAIN_S = 0.05
TRIES = 20
"""A task that is still there after being cancelled so often is left to whoever owns it."""


async def end_all(tasks: Collection[asyncio.Task[Any]], grace_s: float) -> None:
    """Cancel tasks and wait for them; how they ended is for their owner to look at.

    After `grace_s` they are cancelled again and again, which cuts short a farewell to a peer that does not answer.
    """
    left = {task for task in tasks if not task.done()}
    for task in left:
        if not task.cancelling():
            task.cancel()
    limit_s = grace_s
    for _ in range(TRIES):
        if not left:
            return
        _, left = await asyncio.wait(left, timeout=limit_s)
        for task in left:
            task.cancel()
        limit_s = AGAIN_S


async def unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """What `work` gives or raises; None when `stop` is set before it is done, and then it has been cancelled."""
    loop = asyncio.get_running_loop()
    working, stopping = loop.create_task(work), loop.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        await end_all({working}, AGAIN_S)
        given_up = not working.done() or working.cancelled()
        error = None if given_up else working.exception()
    if error is not None:
        raise error
    return None if given_up else working.result()
