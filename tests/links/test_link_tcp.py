"""TCP links, client and server, against each other and against plain sockets on loopback."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from lanecontrol.errors import LinkLost
from lanecontrol.links import Link, LinkOpener, TcpAddress, buffer, serve_tcp
from lanecontrol.links.stream import StreamLink, connect_stream
from sim.virtual_clock import VirtualLoop

HOST = "127.0.0.1"


async def echo(link: Link) -> None:
    while True:
        await link.write(await link.read())


async def hold(link: Link) -> None:
    await asyncio.Event().wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


async def test_bytes_go_both_ways_and_the_peer_has_a_name() -> None:
    peers: list[str] = []

    async def serve(link: Link) -> None:
        peers.append(link.peer)
        await echo(link)

    async with serve_tcp(HOST, 0, serve) as port, LinkOpener().open(f"tcp://{HOST}:{port}") as link:
        await link.write(b"GB,000382\r\n")
        assert await link.read() == b"GB,000382\r\n"
        assert link.peer == f"tcp://{HOST}:{port}"
    assert peers[0].startswith(f"tcp://{HOST}:")


async def test_nagle_is_off_at_both_ends() -> None:
    served: list[StreamLink] = []

    async def serve(link: Link) -> None:
        assert isinstance(link, StreamLink)
        served.append(link)
        await echo(link)

    async with serve_tcp(HOST, 0, serve) as port:
        link = await connect_stream(TcpAddress(HOST, port), 5.0)
        await link.write(b"x")
        await link.read()
        for end in (link, served[0]):
            sock = end._transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        await link.close()


async def test_a_refused_connection_is_a_lost_link_in_plain_words() -> None:
    with pytest.raises(LinkLost, match="connect: Connection refused"):
        async with LinkOpener().open(f"tcp://{HOST}:{_free_port()}"):
            pass


async def test_a_host_that_nobody_knows_is_a_lost_link() -> None:
    with pytest.raises(LinkLost, match=r"host name is unknown|no answer"):
        async with LinkOpener().open("tcp://no-such-host.invalid:1600", timeout_s=2.0):
            pass


def test_a_peer_that_never_answers_is_given_up_after_the_time_given() -> None:
    async def connect() -> float:
        # A listener whose queue is full drops further attempts on Linux, as an unplugged device does.
        with socket.socket() as full:
            full.bind((HOST, 0))
            full.listen(0)
            with socket.socket() as first, socket.socket() as second:
                for client in (first, second):
                    client.setblocking(False)
                    client.connect_ex(full.getsockname())
                with pytest.raises(LinkLost, match="no answer within 7 s"):
                    async with LinkOpener().open(f"tcp://{HOST}:{full.getsockname()[1]}", timeout_s=7.0):
                        pass
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(connect()) == pytest.approx(7.0)


async def test_what_was_sent_before_the_end_can_still_be_read() -> None:
    async def last_words(link: Link) -> None:
        await link.write(b"last words")

    async with serve_tcp(HOST, 0, last_words) as port, LinkOpener().open(f"tcp://{HOST}:{port}") as link:
        await asyncio.sleep(0.05)
        assert await link.read() == b"last words"
        with pytest.raises(LinkLost, match="the peer closed the connection"):
            await link.read()


async def test_a_reset_is_a_lost_link() -> None:
    async def reset(link: Link) -> None:
        assert isinstance(link, StreamLink)
        await link.read()
        linger = (1).to_bytes(4, "little") + bytes(4)
        link._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        link.drop()

    async with serve_tcp(HOST, 0, reset) as port, LinkOpener().open(f"tcp://{HOST}:{port}") as link:
        await link.write(b"x")
        with pytest.raises(LinkLost, match="Connection reset"):
            await link.read()


async def test_a_client_that_half_closes_still_gets_its_answer() -> None:
    async def answer_at_the_end(link: Link) -> None:
        got = b""
        try:
            while True:
                got += await link.read()
        except LinkLost:
            await link.write(got[::-1])

    async with serve_tcp(HOST, 0, answer_at_the_end) as port:
        link = await connect_stream(TcpAddress(HOST, port), 5.0)
        await link.write(b"abc")
        await link.finish()
        assert await link.read() == b"cba"
        with pytest.raises(LinkLost, match="closed on this side"):
            await link.write(b"more")
        await link.close()


async def test_a_writer_waits_for_a_peer_that_does_not_read() -> None:
    async with serve_tcp(HOST, 0, hold) as port:
        link = await connect_stream(TcpAddress(HOST, port), 5.0)
        writing = asyncio.ensure_future(link.write(b"x" * 50_000_000))
        await asyncio.sleep(0.1)
        assert not writing.done()
        link.drop()
        with pytest.raises(LinkLost, match="cut"):
            await writing
        await link.close()


async def test_a_reader_that_does_not_read_holds_at_most_its_limit() -> None:
    async def flood(link: Link) -> None:
        while True:
            await link.write(b"x" * 65536)

    async with serve_tcp(HOST, 0, flood) as port:
        link = await connect_stream(TcpAddress(HOST, port), 5.0)
        async with asyncio.timeout(10):
            while link._size <= buffer.READ_LIMIT:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert link._size <= 2 * buffer.READ_LIMIT
        total = 0
        while total < 10_000_000:
            got = len(await link.read())
            assert got <= 2 * buffer.READ_LIMIT
            total += got
        await link.close()


async def test_a_peer_that_takes_nothing_is_lost_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer, "WRITE_DEADLINE_S", 0.1)
    with socket.socket() as deaf:
        deaf.bind((HOST, 0))
        deaf.listen()
        async with LinkOpener().open(f"tcp://{HOST}:{deaf.getsockname()[1]}") as link:
            with pytest.raises(LinkLost, match=r"the peer took nothing for 0\.1 s"):
                await link.write(b"x" * 50_000_000)
            with pytest.raises(LinkLost):
                await link.read()


async def test_closing_onto_a_peer_that_takes_nothing_stays_within_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lanecontrol.links.stream.CLOSE_S", 0.1)
    with socket.socket() as deaf:
        deaf.bind((HOST, 0))
        deaf.listen()
        link = await connect_stream(TcpAddress(*deaf.getsockname()), 5.0)
        writing = asyncio.ensure_future(link.write(b"x" * 50_000_000))
        await asyncio.sleep(0)
        async with asyncio.timeout(5.0):
            await link.close()
            await link.close()
        assert link._gone.done()
        with pytest.raises(LinkLost, match="closed on this side"):
            await writing
    assert buffer.CLOSE_S < 1.0


async def test_cancelling_a_session_closes_its_link() -> None:
    there, gone = asyncio.Event(), asyncio.Event()

    async def serve(link: Link) -> None:
        there.set()
        try:
            await link.read()
        except LinkLost:
            gone.set()

    async def session(port: int) -> None:
        async with LinkOpener().open(f"tcp://{HOST}:{port}") as link:
            await link.read()

    async with serve_tcp(HOST, 0, serve) as port:
        task = asyncio.ensure_future(session(port))
        async with asyncio.timeout(10):
            await there.wait()
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.wait({task})
            await gone.wait()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors as Linux shows them")
async def test_a_server_that_ends_cancels_its_handlers_and_leaves_nothing_open() -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    ended: list[str] = []

    async def serve(link: Link) -> None:
        try:
            await echo(link)
        finally:
            ended.append(link.peer)

    async with serve_tcp(HOST, 0, serve) as port:
        links = [await connect_stream(TcpAddress(HOST, port), 5.0) for _ in range(5)]
        await links[0].write(b"x")
        await links[0].read()
    assert len(ended) == 5
    for link in links:
        with pytest.raises(LinkLost):
            await link.read()
        await link.close()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("rounds", range(4))
async def test_a_server_that_ends_drops_clients_that_were_just_let_in(rounds: int) -> None:
    async with serve_tcp(HOST, 0, hold) as port:
        client = socket.create_connection((HOST, port))
        for _ in range(rounds):
            await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    client.settimeout(0)
    with client, suppress(ConnectionResetError):
        assert client.recv(1) == b""


async def test_concurrent_writes_stay_together() -> None:
    got = bytearray()
    complete = asyncio.Event()

    async def collect(link: Link) -> None:
        while len(got) < 20 * 100_000:
            got.extend(await link.read())
        complete.set()

    async with serve_tcp(HOST, 0, collect) as port, LinkOpener().open(f"tcp://{HOST}:{port}") as link:
        async with asyncio.TaskGroup() as tasks:
            for n in range(20):
                tasks.create_task(link.write(bytes([n]) * 100_000))
        await complete.wait()
    blocks = {bytes(got[at : at + 100_000]) for at in range(0, len(got), 100_000)}
    assert blocks == {bytes([n]) * 100_000 for n in range(20)}
