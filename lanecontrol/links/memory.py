"""Links inside one process: no socket, no kernel, the same order of events in every run.

What is written arrives at once and wakes the reader in the loop's next round; nothing depends on time or load.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from lanecontrol.errors import LinkLost
from lanecontrol.links.buffer import CLOSED_HERE, CLOSED_THERE, CUT, BufferedLink
from lanecontrol.links.contract import Handler
from lanecontrol.links.tasks import HandlerTasks


class MemoryLink(BufferedLink):
    """One end of a connection in memory. Bytes above the limit make the writer wait for the reader."""

    def __init__(self, peer: str) -> None:
        super().__init__(peer)
        self._other: MemoryLink = self

    @classmethod
    def pair(cls, one: str = "mem://one", other: str = "mem://other") -> tuple[MemoryLink, MemoryLink]:
        """Two ends that are connected; the names are those that each end gives to its peer."""
        first, second = cls(one), cls(other)
        first._other, second._other = second, first
        return first, second

    def _hold(self) -> None:
        self._other._fill()

    def _go_on(self) -> None:
        self._other._make_room()

    async def write(self, data: bytes) -> None:
        self._check_writable()
        if data:
            self._other._feed(bytes(data))
            await self._wait_for_room()

    async def finish(self) -> None:
        """Send nothing more, and go on reading."""
        self._write_end = self._write_end or CLOSED_HERE
        self._other._end_reading(CLOSED_THERE)

    async def close(self) -> None:
        self._end(CLOSED_HERE)
        self._other._end(CLOSED_THERE)

    def drop(self) -> None:
        """Cut the connection at once: both ends are lost, and what was not read yet is gone."""
        for end in (self, self._other):
            end._received.clear()
            end._size = 0
            end._end(CUT)


class MemoryNet:
    """The listeners and connections of one process. Made by whoever runs simulation or test; never global."""

    def __init__(self) -> None:
        self._listeners: dict[str, _Listener] = {}
        self._dialled = 0

    def listen(self, name: str, handler: Handler) -> None:
        """From now on `mem://name` is served by `handler`. Raises ValueError when somebody listens there already."""
        if name in self._listeners:
            raise ValueError(f"mem://{name} is taken")
        self._listeners[name] = _Listener(handler)

    def unlisten(self, name: str) -> None:
        """Refuse new connections at once, cut those that exist and cancel their handlers."""
        if (listener := self._listeners.pop(name, None)) is not None:
            listener.cut()
            listener.tasks.cancel()

    async def unlisten_and_wait(self, name: str) -> None:
        """The same, and wait until the handlers have ended."""
        if (listener := self._listeners.pop(name, None)) is not None:
            listener.tasks.cancel()
            await listener.tasks.end()
            listener.cut()

    def drop(self, name: str) -> None:
        """Cut every connection of `name`; the next attempt is served again."""
        if (listener := self._listeners.get(name)) is not None:
            listener.cut()

    def connections(self, name: str | None = None) -> int:
        """How many connections are open, at `name` or altogether."""
        listeners: Iterator[_Listener] = (
            listener for known, listener in self._listeners.items() if name in (None, known)
        )
        return sum(len(listener.open()) for listener in listeners)

    def connect(self, name: str) -> MemoryLink:
        """The client's end of a new connection. Raises LinkLost when nobody listens."""
        listener = self._listeners.get(name)
        if listener is None:
            raise LinkLost("connect", f"nobody listens at mem://{name}")
        self._dialled += 1
        return listener.accept(name, self._dialled)


class _Listener:
    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._servers: list[MemoryLink] = []
        self.tasks = HandlerTasks()

    def accept(self, name: str, number: int) -> MemoryLink:
        server, client = MemoryLink.pair(f"mem://{name}#{number}", f"mem://{name}")
        self._servers = [*self.open(), server]
        self.tasks.start(self._handler, server)
        return client

    def open(self) -> list[MemoryLink]:
        return [server for server in self._servers if not server.closed]

    def cut(self) -> None:
        for server in self.open():
            server.drop()


async def settle(rounds: int = 10) -> None:
    """Let everything that is ready run, without letting time pass: for tests over memory links."""
    for _ in range(rounds):
        await asyncio.sleep(0)
