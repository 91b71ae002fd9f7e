"""What a fake device or the broker still has to send to one client: bounded, so that a slow client harms nobody else.

Whoever produces bytes calls `put`, which never blocks; one task per client runs `send`. A client whose outbox grows
past its limit is dropped, as a device drops a connection it cannot get rid of its data on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from lanecontrol.errors import LinkLost
from lanecontrol.links import Link

FLUSH_LIMIT_S = 1.0
"""After `finish`, how long the last bytes may take."""


class Outbox:
    """Bytes on their way to one client, at most `limit_bytes` of them."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._more = asyncio.Event()
        self._dropped = asyncio.Event()
        self._why = ""
        self._finished = False
        self._patience: asyncio.TimerHandle | None = None

    def put(self, data: bytes) -> None:
        """Send `data` when the link can take it. Without effect on a client that is being dropped or finished."""
        if self._finished or self._why:
            return
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes > self._limit_bytes:
            self.drop(f"the client does not read: {self._waiting_bytes} bytes are waiting")
        self._more.set()

    def finish(self) -> None:
        """Nothing more will be put: `send` returns once everything is out, which may take FLUSH_LIMIT_S."""
        if not self._finished:
            self._finished = True
            self._more.set()
            late = "the client does not take its last bytes"
            self._patience = asyncio.get_running_loop().call_later(FLUSH_LIMIT_S, self.drop, late)

    def drop(self, why: str) -> None:
        """Give the client up now, whatever is waiting."""
        self._why = self._why or why
        self._waiting.clear()
        self._waiting_bytes = 0
        self._dropped.set()

    async def send(self, link: Link) -> None:
        """Send until finished. Waits for data without limit; raises LinkLost."""
        try:
            while self._waiting or not self._finished:
                await self._more.wait()
                self._more.clear()
                await self._send_waiting(link)
        finally:
            if self._patience is not None:
                self._patience.cancel()

    async def _send_waiting(self, link: Link) -> None:
        while self._waiting:
            data = b"".join(self._waiting)
            self._waiting.clear()
            await link.write(data)
            # Counted as waiting until written, or a stuck write would hide a growing backlog.
            self._waiting_bytes = max(0, self._waiting_bytes - len(data))

    async def guard(self) -> None:
        """Raises LinkLost when the client is dropped, also while `send` is stuck in a write. Waits without limit."""
        await self._dropped.wait()
        raise LinkLost("send", self._why)


async def serve_client(link: Link, outbox: Outbox, listen: Coroutine[Any, Any, None]) -> None:
    """Listen and send until one of them ends. When listening ends by itself, what is waiting still goes out.

    Raises LinkLost.
    """
    await until_first(_listen_then_finish(outbox, listen), outbox.send(link), outbox.guard())


async def _listen_then_finish(outbox: Outbox, listen: Coroutine[Any, Any, None]) -> None:
    await listen
    outbox.finish()
    await asyncio.Event().wait()  # until what is waiting is out, or given up


async def until_first(*work: Coroutine[Any, Any, None]) -> None:
    """Run all of it until the first ends, end the rest, and raise what was raised."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    failures = [failure for task in tasks if not task.cancelled() and (failure := task.exception())]
    if failures:
        # A bug must not hide behind a lost link.
        raise next((failure for failure in failures if not isinstance(failure, LinkLost)), failures[0])


async def discard(link: Link) -> None:
    """Read and forget: clients of a device that only talks. Waits without limit; raises LinkLost."""
    while True:
        await link.read()
