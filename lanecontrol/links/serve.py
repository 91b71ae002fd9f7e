"""The serving side of links: for the simulator's fakes, and for tests. Nothing in the daemon's own work serves."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from lanecontrol.errors import LinkLost
from lanecontrol.links.contract import Handler, Link
from lanecontrol.links.fd import FdLink
from lanecontrol.links.memory import MemoryNet
from lanecontrol.links.stream import StreamLink
from lanecontrol.links.tasks import HandlerTasks

__all__ = ["Handler", "reserved_port", "serve_memory", "serve_pty", "serve_tcp"]

_LOOK_FOR_CLIENT_S = 0.05
"""A pty does not tell when somebody opens it: it has to be looked at."""


@asynccontextmanager
async def serve_tcp(host: str, port: int, handler: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve at an address, with TLS if a context is given; gives the port that was bound (port 0 takes a free one).

    Leaving cancels the handlers and closes every link. `host` is an address: a name that stands for several would
    get a different free port for each. Raises OSError when the port cannot be had.
    """
    tasks = HandlerTasks()
    loop = asyncio.get_running_loop()

    closing = False

    def accepted(link: StreamLink) -> None:
        if closing:
            link.drop()
        else:
            tasks.start(handler, link)

    server = await loop.create_server(lambda: StreamLink(on_connect=accepted), host, port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        closing = True
        try:
            await _stop_accepting(server)
        finally:
            server.close()
            await tasks.end()
            await server.wait_closed()


async def _stop_accepting(server: asyncio.Server) -> None:
    """Take nobody in any more, and finish with those who are half in: asyncio (3.11) forgets to close these."""
    with suppress(NotImplementedError):  # loops without descriptors
        for sock in server.sockets:
            asyncio.get_running_loop().remove_reader(sock.fileno())
    for _ in range(3):
        await asyncio.sleep(0)


@contextmanager
def reserved_port(host: str = "127.0.0.1") -> Iterator[int]:
    """A free TCP port that the system gives to nobody while this lasts, but to a listener that asks for just this one.

    For listeners of our own, in this process or another, that must be told their port beforehand.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as holder:
        # Bound, and never listening: whoever sets the same option, as every listener of ours does, can bind it too.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((host, 0))
        port: int = holder.getsockname()[1]
        yield port


@asynccontextmanager
async def serve_memory(net: MemoryNet, name: str, handler: Handler) -> AsyncIterator[None]:
    """Serve at `mem://name`. Leaving cancels the handlers and closes every link."""
    net.listen(name, handler)
    try:
        yield
    finally:
        await net.unlisten_and_wait(name)


@asynccontextmanager
async def serve_pty(handler: Handler) -> AsyncIterator[str]:
    """Serve one client at a time on a pty; gives the path that the client opens like a serial port.

    The handler is called when a client has opened the pty, and again for the next one; a handler that ends while its
    client is still there is called again, as a device that restarts. Raises LinkLost where there are no ptys.
    """
    try:
        import tty  # not on every system
    except ImportError:
        raise LinkLost("open a pty", "this system has no ptys; use tcp:// instead") from None
    device, client = os.openpty()
    tty.setraw(client)
    path = os.ttyname(client)
    os.close(client)  # or the end of a client could not be noticed
    os.set_blocking(device, False)
    serving = asyncio.get_running_loop().create_task(_serve_clients(device, path, handler), name=f"serve {path}")
    try:
        yield path
    finally:
        serving.cancel()
        await asyncio.wait({serving})
        os.close(device)
        if not serving.cancelled() and (error := serving.exception()) is not None:
            raise error


async def _serve_clients(device: int, path: str, handler: Handler) -> None:
    while True:
        if not _somebody_there(device):
            await asyncio.sleep(_LOOK_FOR_CLIENT_S)
            continue
        link: Link = FdLink(device, f"pty:{path}", release=lambda: None)
        try:
            with suppress(LinkLost):
                await handler(link)
        finally:
            await link.close()
        await asyncio.sleep(_LOOK_FOR_CLIENT_S)


def _somebody_there(device: int) -> bool:
    poll = select.poll()
    poll.register(device, 0)
    return not any(events & select.POLLHUP for _, events in poll.poll(0))
