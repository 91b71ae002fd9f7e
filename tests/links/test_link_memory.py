"""Memory links: the same order in every run, bounded, and honest about loss."""

from __future__ import annotations

import asyncio

import pytest

from lanecontrol.errors import LinkLost
from lanecontrol.links import Link, LinkOpener, MemoryLink, MemoryNet, serve_memory
from lanecontrol.links.buffer import READ_LIMIT


async def echo(link: Link) -> None:
    while True:
        await link.write(await link.read())


async def test_bytes_go_both_ways() -> None:
    one, other = MemoryLink.pair()
    await one.write(b"question")
    assert await other.read() == b"question"
    await other.write(b"ans")
    await other.write(b"wer")
    assert await one.read() == b"answer"


async def test_nobody_listening_is_a_lost_link() -> None:
    with pytest.raises(LinkLost, match="nobody listens at mem://portal"):
        MemoryNet().connect("portal")


async def test_a_process_without_memory_links_says_so() -> None:
    with pytest.raises(LinkLost, match="no memory links in this process"):
        async with LinkOpener().open("mem://portal"):
            pass


async def test_a_name_is_taken_once() -> None:
    net = MemoryNet()
    net.listen("portal", echo)
    with pytest.raises(ValueError, match="mem://portal is taken"):
        net.listen("portal", echo)


async def test_what_was_sent_before_the_end_can_still_be_read() -> None:
    one, other = MemoryLink.pair()
    await one.write(b"last words")
    await one.close()
    assert await other.read() == b"last words"
    with pytest.raises(LinkLost, match="the peer closed the connection"):
        await other.read()
    with pytest.raises(LinkLost):
        await other.write(b"too late")


async def test_a_half_closed_link_still_carries_the_answer() -> None:
    one, other = MemoryLink.pair()
    await one.write(b"question")
    await one.finish()
    assert await other.read() == b"question"
    with pytest.raises(LinkLost):
        await other.read()
    await other.write(b"answer")
    assert await one.read() == b"answer"
    with pytest.raises(LinkLost):
        await one.write(b"more")


async def test_a_cut_loses_what_was_not_read_at_both_ends() -> None:
    one, other = MemoryLink.pair()
    await one.write(b"never read")
    one.drop()
    for end in (one, other):
        with pytest.raises(LinkLost, match="cut"):
            await end.read()


async def test_a_reader_that_waits_hears_of_the_end() -> None:
    one, other = MemoryLink.pair()
    reading = asyncio.ensure_future(other.read())
    await asyncio.sleep(0)
    await one.close()
    with pytest.raises(LinkLost, match="the peer closed the connection"):
        await reading


async def test_a_writer_waits_for_a_slow_reader_and_the_buffer_stays_bounded() -> None:
    one, other = MemoryLink.pair()
    sent = 0

    async def flood() -> None:
        nonlocal sent
        while True:
            await one.write(b"x" * 1000)
            sent += 1000

    flooding = asyncio.ensure_future(flood())
    await asyncio.sleep(0.01)
    assert sent <= READ_LIMIT + 1000
    got = len(await other.read())
    assert got <= READ_LIMIT + 1000
    await asyncio.sleep(0.01)
    assert sent > READ_LIMIT + 1000
    flooding.cancel()
    await asyncio.wait({flooding})


async def test_a_waiting_writer_hears_of_the_end() -> None:
    one, other = MemoryLink.pair()
    writing = asyncio.ensure_future(one.write(b"x" * (READ_LIMIT + 1)))
    await asyncio.sleep(0)
    assert not writing.done()
    await other.close()
    with pytest.raises(LinkLost, match="the peer closed the connection"):
        await writing


async def test_two_readers_of_one_link_are_a_mistake_and_told() -> None:
    one, _ = MemoryLink.pair()
    first = asyncio.ensure_future(one.read())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="two tasks read"):
        await one.read()
    await one.close()
    await asyncio.wait({first})
    assert isinstance(first.exception(), LinkLost)


async def test_every_client_has_its_own_handler_and_unlistening_ends_them() -> None:
    net = MemoryNet()
    async with serve_memory(net, "echo", echo):
        links = [net.connect("echo") for _ in range(3)]
        for n, link in enumerate(links):
            await link.write(b"%d" % n)
        assert [await link.read() for link in links] == [b"0", b"1", b"2"]
        assert net.connections("echo") == 3
    assert net.connections() == 0
    assert len(asyncio.all_tasks()) == 1
    for link in links:
        with pytest.raises(LinkLost):
            await link.read()
    with pytest.raises(LinkLost):
        net.connect("echo")


async def test_a_client_whose_handler_had_no_time_to_begin_hears_of_the_end() -> None:
    net = MemoryNet()
    async with serve_memory(net, "echo", echo):
        link = net.connect("echo")
    with pytest.raises(LinkLost):
        await link.read()


async def test_cutting_a_name_leaves_it_listening() -> None:
    net = MemoryNet()
    async with serve_memory(net, "echo", echo):
        first = net.connect("echo")
        net.drop("echo")
        with pytest.raises(LinkLost):
            await first.read()
        second = net.connect("echo")
        await second.write(b"again")
        assert await second.read() == b"again"


async def test_unlistening_at_once_refuses_cuts_and_can_be_undone() -> None:
    net = MemoryNet()
    net.listen("echo", echo)
    first = net.connect("echo")
    net.unlisten("echo")
    net.unlisten("echo")
    with pytest.raises(LinkLost):
        await first.read()
    net.listen("echo", echo)
    assert net.connect("echo").peer == "mem://echo"
    await net.unlisten_and_wait("echo")


async def test_a_bug_in_a_handler_is_told_to_the_loop_and_closes_only_its_link() -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))

    async def choke(link: Link) -> None:
        if await link.read() == b"choke":
            raise ZeroDivisionError
        await echo(link)

    net = MemoryNet()
    async with serve_memory(net, "echo", choke):
        bad, good = net.connect("echo"), net.connect("echo")
        await bad.write(b"choke")
        with pytest.raises(LinkLost):
            await bad.read()
        await good.write(b"x")
        await asyncio.sleep(0.01)
        await good.write(b"y")
        assert await good.read() == b"y"
    assert [type(error) for error in told] == [ZeroDivisionError]


async def _order_of(seed_tasks: int) -> list[str]:
    net, order = MemoryNet(), list[str]()

    async def note(link: Link) -> None:
        while True:
            order.append(f"served {(await link.read()).decode()}")
            await link.write(b"ok")

    async def ask(name: str) -> None:
        async with LinkOpener(net).open("mem://note") as link:
            for n in range(3):
                await link.write(f"{name}{n}".encode())
                await link.read()
                order.append(f"answered {name}{n}")

    async with serve_memory(net, "note", note), asyncio.TaskGroup() as tasks:
        for n in range(seed_tasks):
            tasks.create_task(ask(chr(97 + n)))
    return order


async def test_the_order_of_events_is_the_same_in_every_run() -> None:
    first = await _order_of(5)
    assert len(first) == 30
    assert await _order_of(5) == first


async def test_taps_see_all_bytes_under_the_devices_id_and_they_are_counted() -> None:
    seen: list[tuple[str, str, bytes]] = []
    net = MemoryNet()
    opener = LinkOpener(net, tap=lambda device, way, data: seen.append((device, way, data)))
    async with serve_memory(net, "echo", echo):
        links = opener.for_device("rpm-1")
        async with links.open("mem://echo") as link:
            await link.write(b"hello")
            assert await link.read() == b"hello"
        async with opener.open("mem://echo") as link:
            await link.write(b"x")
    assert seen == [("rpm-1", "tx", b"hello"), ("rpm-1", "rx", b"hello"), ("mem://echo", "tx", b"x")]
    assert (links.traffic.rx_bytes, links.traffic.tx_bytes) == (5, 5)
