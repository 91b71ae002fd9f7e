"""Listening for devices that connect to us: who is let in, who must go, and that nothing stays behind."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from lanecontrol.errors import LinkLost, ProtocolViolation
from lanecontrol.links import Link, LinkOpener, MemoryLink, MemoryNet, listen, reserved_port
from lanecontrol.links.listen import Crowd
from sim.virtual_clock import VirtualLoop


async def echo(link: Link) -> None:
    while True:
        await link.write(await link.read())


async def hold(link: Link) -> None:
    await asyncio.Event().wait()


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted only


class Place:
    """Somewhere to listen, and how a device gets there."""

    def __init__(self, listen: str, connect: str, words: str) -> None:
        self.listen, self.connect, self.words = listen, connect, words
        self.opener = LinkOpener(MemoryNet())
        self.links = self.opener.for_device("lpr1")

    def dial(self) -> Any:
        return self.opener.open(self.connect)


@pytest.fixture(params=["tcp", "mem"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    if request.param == "mem":
        yield Place("mem://lpr1", "mem://lpr1", "mem://lpr1")
        return
    with reserved_port() as port:
        where = f"127.0.0.1:{port}"
        yield Place(f"listen://{where}", f"tcp://{where}", where)


async def test_a_device_that_connects_is_served_and_the_address_is_given_in_words(place: Place) -> None:
    async with place.links.listen(place.listen, echo) as where, place.dial() as device:
        assert where == place.words
        await device.write(b"POST / HTTP/1.1\r\n")
        assert await device.read() == b"POST / HTTP/1.1\r\n"


async def test_bytes_of_all_connections_are_counted_and_shown_to_the_tap(place: Place) -> None:
    seen: list[tuple[str, str, bytes]] = []
    links = LinkOpener(place.opener.memory, lambda *what: seen.append(what)).for_device("lpr1")
    async with links.listen(place.listen, echo):
        for word in (b"one", b"three"):
            async with place.dial() as device:
                await device.write(word)
                await device.read()
    assert (links.traffic.rx_bytes, links.traffic.tx_bytes) == (8, 8)
    assert seen == [("lpr1", way, word) for word in (b"one", b"three") for way in ("rx", "tx")]


async def test_leaving_closes_every_connection_and_leaves_nothing_behind(place: Place) -> None:
    tasks, descriptors = asyncio.all_tasks(), _descriptors()
    async with AsyncExitStack() as devices:
        async with place.links.listen(place.listen, hold):
            links = [await devices.enter_async_context(place.dial()) for _ in range(20)]
        for link in links:
            with pytest.raises(LinkLost):
                await link.read()
        with pytest.raises(LinkLost):
            await devices.enter_async_context(place.dial())
    assert asyncio.all_tasks() == tasks
    assert _descriptors() == descriptors


async def test_cancelling_closes_everything_too(place: Place) -> None:
    tasks, descriptors = asyncio.all_tasks(), _descriptors()

    async def serve() -> None:
        async with place.links.listen(place.listen, hold):
            await asyncio.Event().wait()

    serving = asyncio.ensure_future(serve())
    await asyncio.sleep(0.05)
    with suppress(LinkLost):
        async with place.dial() as device:
            serving.cancel()
            await device.read()
    await asyncio.wait({serving})
    assert serving.cancelled()
    assert asyncio.all_tasks() == tasks
    assert _descriptors() == descriptors


async def test_a_lost_connection_ends_alone(place: Place) -> None:
    async with place.links.listen(place.listen, echo), place.dial() as stays:
        async with place.dial() as goes:
            await goes.write(b"x")
            await goes.read()
        await stays.write(b"still here")
        assert await stays.read() == b"still here"


async def test_any_other_error_of_a_handler_ends_the_listener_with_itself(place: Place) -> None:
    async def wrong(link: Link) -> None:
        await link.read()
        raise ProtocolViolation("read", "this is no camera")

    with pytest.raises(ProtocolViolation, match="no camera"):
        async with place.links.listen(place.listen, wrong), place.dial() as device:
            await device.write(b"?")
            await asyncio.Event().wait()


async def test_what_the_body_raises_comes_out_as_it_is(place: Place) -> None:
    with pytest.raises(LinkLost, match="silent"):
        async with place.links.listen(place.listen, hold), place.dial():
            raise LinkLost("listen", "silent")


async def test_more_connections_than_the_limit_are_closed_at_once_and_counted(place: Place) -> None:
    async with AsyncExitStack() as devices:
        await devices.enter_async_context(place.links.listen(place.listen, echo))
        for _ in range(listen.MOST):
            device = await devices.enter_async_context(place.dial())
            await device.write(b"x")
            await device.read()
        for _ in range(3):
            turned_away = await devices.enter_async_context(place.dial())
            with pytest.raises(LinkLost):
                await turned_away.read()
        assert place.links.traffic.turned_away == 3
        assert place.links.traffic.turned_away_why == "more than 64 connections"
        await device.write(b"good")
        assert await device.read() == b"good"


async def test_an_address_that_is_taken_is_told_by_its_name(place: Place) -> None:
    async with place.links.listen(place.listen, echo):
        with pytest.raises(LinkLost, match=place.words.replace(".", r"\.")):
            async with place.links.listen(place.listen, echo):
                pass


async def test_a_place_can_be_had_again_at_once(place: Place) -> None:
    for _ in range(3):
        async with place.links.listen(place.listen, echo), place.dial() as device:
            await device.write(b"x")
            await device.read()


@pytest.mark.parametrize("url", ["tcp://127.0.0.1:8081", "serial:///dev/ttyS0"])
async def test_listening_elsewhere_is_a_mistake(url: str) -> None:
    with pytest.raises(ValueError, match="listen://"):
        async with LinkOpener().listen(url, echo):
            pass


async def test_a_place_to_listen_cannot_be_connected_to() -> None:
    with pytest.raises(ValueError, match="connect to us"):
        async with LinkOpener().open("listen://127.0.0.1:8081"):
            pass


async def test_an_unknown_host_and_a_process_without_memory_links_are_told() -> None:
    with pytest.raises(LinkLost, match=r"192\.0\.2\.1:8081"):
        async with LinkOpener().listen("listen://192.0.2.1:8081", echo):
            pass
    with pytest.raises(LinkLost, match="mem://lpr1"):
        async with LinkOpener().listen("mem://lpr1", echo):
            pass


def test_a_silent_connection_gives_its_place_up_when_all_are_taken() -> None:
    async def scene() -> None:
        net = MemoryNet()
        opener = LinkOpener(net)
        links = opener.for_device("lpr1")
        async with AsyncExitStack() as devices:
            await devices.enter_async_context(links.listen("mem://lpr1", echo))
            idle = [await devices.enter_async_context(opener.open("mem://lpr1")) for _ in range(listen.MOST)]
            await asyncio.sleep(listen.SILENT_S - 1)
            for link in idle[1:]:
                await link.write(b"x")
                await link.read()
            await asyncio.sleep(1)
            late = await devices.enter_async_context(opener.open("mem://lpr1"))
            await late.write(b"in")
            assert await late.read() == b"in"
            with pytest.raises(LinkLost):
                await idle[0].read()
            assert links.traffic.turned_away_why == "silent for too long while others wanted its place"

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(scene())


async def test_a_system_without_descriptors_takes_devices_in_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "NO_MORE_S", 0.05)
    short = [True]
    accept = socket.socket.accept

    def failing(self: socket.socket) -> Any:
        if short:
            short.clear()
            raise OSError(24, "Too many open files")
        return accept(self)

    monkeypatch.setattr(socket.socket, "accept", failing)
    with reserved_port() as port:
        opener = LinkOpener()
        async with opener.listen(f"listen://127.0.0.1:{port}", echo), opener.open(f"tcp://127.0.0.1:{port}") as device:
            await device.write(b"x")
            assert await device.read() == b"x"
        assert not short


def test_a_reserved_port_is_for_whoever_asks_for_it_alone() -> None:
    with reserved_port() as one, reserved_port() as other:
        assert one != other


def test_connections_on_ipv6_are_taken_too(tmp_path: Path) -> None:
    async def scene() -> None:
        with reserved_port("::1") as port:
            opener = LinkOpener()
            url = f"listen://[::1]:{port}"
            async with opener.listen(url, echo) as where, opener.open(f"tcp://[::1]:{port}") as device:
                assert where == f"[::1]:{port}"
                await device.write(b"x")
                assert await device.read() == b"x"

    if not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists() or not Path("/proc/net/if_inet6").read_text():
        pytest.skip("no IPv6 on this machine")
    asyncio.run(scene())


async def test_whoever_comes_while_the_listener_ends_is_not_taken_in(recwarn: pytest.WarningsRecorder) -> None:
    refused: list[str] = []

    async def handler(link: Link) -> None:
        await link.read()

    async def begin() -> MemoryLink:
        raise AssertionError("nobody is to be taken in")

    async with asyncio.TaskGroup() as tasks:
        crowd = Crowd(handler, tasks, refused.append)
    assert crowd.admit(begin) is None
    gc.collect()
    assert not [warning for warning in recwarn if "never awaited" in str(warning.message)]
