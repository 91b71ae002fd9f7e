"""The tasks of a server: one per client, owned by the server, all ended with it."""

from __future__ import annotations

import asyncio

from lanecontrol.errors import DeviceError
from lanecontrol.links.buffer import BufferedLink
from lanecontrol.links.contract import Handler, Link


class HandlerTasks:
    """Runs `handler(link)` for each client and closes the link after it, however the handler ends.

    A device error (LinkLost and its kin) is the normal end of a client. Any other error is a bug of the handler: it
    is told to the loop's exception handler, and the server goes on for the others.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, handler: Handler, link: BufferedLink) -> None:
        task = asyncio.get_running_loop().create_task(_serve(handler, link), name=f"serve {link.peer}")
        self._tasks.add(task)
        task.add_done_callback(lambda ended: self._ended(ended, link))

    def _ended(self, task: asyncio.Task[None], link: BufferedLink) -> None:
        self._tasks.discard(task)
        if not link.closed:
            link.drop()  # cancelled before its first step: no line of the handler ran
        if not task.cancelled() and (error := task.exception()) is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"bug in a handler: {task.get_name()}", "exception": error, "task": task}
            )

    def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def end(self) -> None:
        """Cancel all and wait for them: bounded by closing their links, a second each at the same time."""
        self.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


async def _serve(handler: Handler, link: Link) -> None:
    try:
        await handler(link)
    except DeviceError:
        pass
    finally:
        await link.close()
