"""Listening for devices that connect to us: TCP, TLS and memory, one task for each connection.

Called by `link_open` alone, which shows every byte to the flight recorder. Never takes more connections than the
limit: a device that forgets its old connections, or somebody who opens a thousand, must not use the daemon up.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from lanecontrol.errors import LinkLost
from lanecontrol.links.address import ListenAddress, MemoryAddress, TlsListenAddress, place
from lanecontrol.links.buffer import BufferedLink, plain_words
from lanecontrol.links.contract import Handler, Link
from lanecontrol.links.memory import MemoryNet
from lanecontrol.links.stream import StreamLink, accept_stream, server_context

MOST = 64
"""Connections at once."""
SILENT_S = 10.0
"""When all places are taken, a connection that has been silent for so long gives its place up."""
BACKLOG = 100
NO_MORE_S = 1.0
"""When the system has no descriptor left, the next attempt to take somebody in is made after this time."""

Refused = Callable[[str], None]
"""Told why a connection was turned away."""


class Crowd:
    """The connections of one listener, and who must give way when there are too many."""

    def __init__(self, handler: Handler, tasks: asyncio.TaskGroup, refused: Refused) -> None:
        self._handler = handler
        self._tasks = tasks
        self._refused = refused
        self._members: dict[asyncio.Task[None], _Heard] = {}

    def admit(self, begin: Callable[[], Awaitable[BufferedLink]]) -> asyncio.Task[None] | None:
        """Serve a connection whose link comes of `begin`; None when there is no room for it."""
        if not self._room():
            self._refused(f"more than {MOST} connections")
            return None
        heard = _Heard()
        serving = self._serve(begin, heard)
        try:
            task = self._tasks.create_task(serving)
        except RuntimeError:  # the group is ending: somebody came in the last moment
            serving.close()
            return None
        self._members[task] = heard
        task.add_done_callback(self._gone)
        return task

    def _room(self) -> bool:
        if len(self._members) < MOST:
            return True
        task, quietest = min(self._members.items(), key=lambda member: member[1].at_s)
        if asyncio.get_running_loop().time() - quietest.at_s < SILENT_S:
            return False
        self._refused("silent for too long while others wanted its place")
        del self._members[task]
        task.cancel()
        return True

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._members.pop(task, None)

    async def _serve(self, begin: Callable[[], Awaitable[BufferedLink]], heard: _Heard) -> None:
        try:
            link = await begin()
        except LinkLost as error:
            self._refused(error.why)
            return
        try:
            await self._handler(_Heeded(link, heard))
        except LinkLost:
            if isinstance(link, StreamLink) and link.distrusted:
                self._refused("the device does not trust our certificate")
        finally:
            await link.close()

    async def leave(self) -> None:
        """End every connection and wait: closing takes at most a second, for all at the same time."""
        for task in tuple(self._members):
            task.cancel()
        if self._members:
            await asyncio.wait(tuple(self._members))


class _Heard:
    """When something last came from a connection."""

    def __init__(self) -> None:
        self.at_s = asyncio.get_running_loop().time()


class _Heeded(Link):
    """A link that notes when something comes."""

    def __init__(self, link: Link, heard: _Heard) -> None:
        self.peer = link.peer
        self._link = link
        self._heard = heard

    async def read(self) -> bytes:
        data = await self._link.read()
        self._heard.at_s = asyncio.get_running_loop().time()
        return data

    async def write(self, data: bytes) -> None:
        await self._link.write(data)

    async def close(self) -> None:
        await self._link.close()


@asynccontextmanager
async def listening(
    address: ListenAddress | TlsListenAddress | MemoryAddress,
    memory: MemoryNet | None,
    handler: Handler,
    refused: Refused,
) -> AsyncIterator[str]:
    """Serve at `address` while the context lasts; gives it in words.

    Raises LinkLost when it cannot be had, and what a handler raises other than LinkLost.
    """
    where = place(address)
    try:
        async with AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            crowd = Crowd(handler, tasks, refused)
            stack.push_async_callback(crowd.leave)
            if isinstance(address, MemoryAddress):
                await stack.enter_async_context(_memory_door(address.name, memory, crowd))
            else:
                await stack.enter_async_context(_socket_doors(address, crowd))
            yield where
    except BaseExceptionGroup as group:
        raise _only(group) from None


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """A single error goes on by itself; where there are several, all of them do."""
    only = group.exceptions[0]
    if len(group.exceptions) > 1:
        return group
    return _only(only) if isinstance(only, BaseExceptionGroup) else only


# --- doors -----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _memory_door(name: str, memory: MemoryNet | None, crowd: Crowd) -> AsyncIterator[None]:
    async def serve(link: Link) -> None:
        assert isinstance(link, BufferedLink)
        serving = crowd.admit(lambda: _already(link))
        if serving is not None:
            await asyncio.wait({serving})  # no deadline: as long as the device stays

    if memory is None:
        raise LinkLost("listen", f"there are no memory links in this process, so no mem://{name}")
    try:
        memory.listen(name, serve)
    except ValueError as error:
        raise LinkLost("listen", str(error)) from None
    try:
        yield
    finally:
        await memory.unlisten_and_wait(name)


async def _already(link: BufferedLink) -> BufferedLink:
    return link


@asynccontextmanager
async def _socket_doors(address: ListenAddress | TlsListenAddress, crowd: Crowd) -> AsyncIterator[None]:
    """Listen on every socket address that the host stands for."""
    tls = None
    if isinstance(address, TlsListenAddress):
        # Reading files: off the loop.
        tls = await asyncio.get_running_loop().run_in_executor(None, server_context, address)
    doors: list[_Door] = []
    try:
        try:
            for family, host in await _resolve(address):
                doors.append(_Door(_bound(family, host), tls, crowd))
        except OSError as error:
            raise LinkLost("listen", f"{place(address)}: {plain_words(error)}") from error
        yield
    finally:
        for door in doors:
            door.close()


async def _resolve(address: ListenAddress | TlsListenAddress) -> dict[tuple[socket.AddressFamily, Any], None]:
    found = await asyncio.get_running_loop().getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return {(family, host): None for family, _, _, _, host in found}


def _bound(family: socket.AddressFamily, host: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(host)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


class _Door:
    """One listening socket. Takes in on the loop's call, so that nobody is left half in when it closes."""

    def __init__(self, sock: socket.socket, tls: ssl.SSLContext | None, crowd: Crowd) -> None:
        self._sock = sock
        self._tls = tls
        self._crowd = crowd
        self._again: asyncio.TimerHandle | None = None
        self._open()

    def _open(self) -> None:
        asyncio.get_running_loop().add_reader(self._sock, self._come)

    def close(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._sock)
        if self._again is not None:
            self._again.cancel()
        self._sock.close()

    def _come(self) -> None:
        try:
            for _ in range(BACKLOG):
                taken, _ = self._sock.accept()
                self._take(taken)
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            pass  # nobody else, or gone before it was in
        except OSError:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._sock)  # it would call again at once
            self._again = loop.call_later(NO_MORE_S, self._open)

    def _take(self, taken: socket.socket) -> None:
        taken.setblocking(False)
        with suppress(OSError):  # a device that loses its power does not say so
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        serving = self._crowd.admit(lambda: accept_stream(taken, self._tls))
        if serving is None:
            taken.close()
        else:
            # Cancelled before its first step, nobody else would close it.
            serving.add_done_callback(lambda _: taken.close())
