"""Serial links, tried on ptys: what a pty cannot show (baud rates, parity) is left to real ports."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lanecontrol.errors import LinkLost
from lanecontrol.links import Link, LinkOpener, SerialAddress, serve_pty
from lanecontrol.links.buffer import READ_LIMIT
from lanecontrol.links.serial import connect_serial
from sim.virtual_clock import VirtualLoop

pytest.importorskip("termios", reason="ptys need a Unix")


async def echo(link: Link) -> None:
    while True:
        await link.write(await link.read())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in the system
            await asyncio.sleep(0.01)


@contextmanager
def pty_pair() -> Iterator[tuple[int, str]]:
    """A device's descriptor, and the path that a client opens."""
    device, client = os.openpty()
    tty.setraw(client)
    path = os.ttyname(client)
    try:
        yield device, path
    finally:
        for fd in (device, client):
            os.close(fd)


async def test_bytes_go_both_ways_over_a_pty() -> None:
    async with serve_pty(echo) as path, LinkOpener().open(f"serial://{path}?baud=115200") as link:
        assert link.peer == f"serial://{path}"
        await link.write(bytes(range(256)))
        got = b""
        while len(got) < 256:
            got += await link.read()
        assert got == bytes(range(256))


async def test_the_next_client_is_served_after_the_first_has_gone() -> None:
    served: list[str] = []

    async def note(link: Link) -> None:
        served.append("begin")
        try:
            await echo(link)
        finally:
            served.append("end")

    async with serve_pty(note) as path:
        for n in range(3):
            async with LinkOpener().open(f"serial://{path}") as link:
                await link.write(b"%d" % n)
                assert await link.read() == b"%d" % n
            await until(lambda: served.count("end") > n)  # noqa: B023 - used at once
    assert served == ["begin", "end"] * 3


async def test_a_port_that_is_open_already_is_not_opened_twice() -> None:
    async with serve_pty(echo) as path, LinkOpener().open(f"serial://{path}"):
        with pytest.raises(LinkLost, match="another process has it open"):
            async with LinkOpener().open(f"serial://{path}"):
                pass


@pytest.mark.parametrize(
    ("path", "why"), [("/dev/no-such-port", "No such file or directory"), ("/dev/null", "open: ")], ids=["none", "null"]
)
async def test_a_port_that_cannot_be_opened_is_a_lost_link(path: str, why: str) -> None:
    with pytest.raises(LinkLost, match=why):
        async with LinkOpener().open(f"serial://{path}"):
            pass


async def test_an_unplugged_port_is_a_lost_link() -> None:
    device, client = os.openpty()
    path = os.ttyname(client)
    os.close(client)
    async with LinkOpener().open(f"serial://{path}") as link:
        reading = asyncio.ensure_future(link.read())
        await asyncio.sleep(0.01)
        os.close(device)
        with pytest.raises(LinkLost, match="read: "):
            await reading
        with pytest.raises(LinkLost, match="write: "):
            await link.write(b"x")


def test_closing_onto_a_device_that_takes_nothing_stays_within_a_second() -> None:
    async def closing_takes_s(path: str) -> float:
        link = await connect_serial(SerialAddress(path))
        writing = asyncio.ensure_future(link.write(b"x" * 1_000_000))
        await asyncio.sleep(0.05)
        assert not writing.done()
        began = asyncio.get_running_loop().time()
        await link.close()
        await link.close()
        with pytest.raises(LinkLost, match="closed on this side"):
            await writing
        return asyncio.get_running_loop().time() - began

    with pty_pair() as (_, path), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(closing_takes_s(path)) <= 1.0


async def test_a_flood_that_nobody_reads_is_held_up_and_not_piled_up() -> None:
    async def flood(link: Link) -> None:
        while True:
            await link.write(b"x" * 4096)

    async with serve_pty(flood) as path:
        link = await connect_serial(SerialAddress(path))
        await until(lambda: link._size > READ_LIMIT)
        await asyncio.sleep(0.05)
        assert link._size <= READ_LIMIT + 4096
        before = len(await link.read())
        assert before > READ_LIMIT
        assert await link.read()
        await link.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors as Linux shows them")
async def test_nothing_stays_open_after_server_and_client() -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    async with serve_pty(echo) as path, LinkOpener().open(f"serial://{path}") as link:
        await link.write(b"x")
        await link.read()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert len(asyncio.all_tasks()) == 1


async def test_a_bug_in_the_handler_comes_out_of_the_server() -> None:
    choked: list[bytes] = []

    async def choke(link: Link) -> None:
        choked.append(await link.read())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with serve_pty(choke) as path, LinkOpener().open(f"serial://{path}") as link:
            await link.write(b"x")
            await until(lambda: bool(choked))
