"""For tests of the fakes: virtual time, and a client on a memory link."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from lanecontrol.errors import LinkLost
from lanecontrol.links import Handler, Link, MemoryLink
from sim.virtual_clock import VirtualLoop


def virtual(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a test on a loop whose time jumps. Beside hypothesis, too, where each example needs a loop of its own."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(_await(test(*args, **kwargs)))

    return run


async def _await(work: Awaitable[None]) -> None:
    await work


@asynccontextmanager
async def client_of(serve: Handler) -> AsyncIterator[MemoryLink]:
    """A client's link, served by `serve`. Anything but LinkLost that leaves `serve` fails the test."""
    server, client = MemoryLink.pair()
    serving = asyncio.create_task(_serve(serve, server))
    await asyncio.sleep(0)
    try:
        yield client
    finally:
        await client.close()
        await serving


async def _serve(serve: Handler, link: Link) -> None:
    with suppress(LinkLost):
        await serve(link)
    await link.close()


async def received(link: Link, quiet_s: float = 0.001) -> bytes:
    """Everything that arrives until nothing does for a while."""
    data = b""
    with suppress(TimeoutError, LinkLost):
        while True:
            async with asyncio.timeout(quiet_s):
                data += await link.read()
    return data


async def lost(link: Link) -> bool:
    """Whether the other end closes, after whatever it still sends; five seconds are enough for that."""
    with suppress(TimeoutError):
        try:
            async with asyncio.timeout(5):
                while True:
                    await link.read()
        except LinkLost:
            return True
    return False
