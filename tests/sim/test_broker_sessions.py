"""The memory broker over time: keep-alive, wills, take-over, kept sessions, windows, expiry, slow clients."""

from __future__ import annotations

import asyncio

import pytest
from fake_bench import virtual
from hypothesis import given, settings
from hypothesis import strategies as st
from mqtt_raw import (
    EXPIRY,
    V5,
    V311,
    Client,
    Will,
    attached,
    connect,
    joined,
    packet,
    props,
    publish,
    subscribe,
    u32,
)

from sim.broker import MemoryBroker, Settings
from sim.mqtt_decode import Framer, parse
from sim.mqtt_topics import matches, valid_filter

SESSION_EXPIRY, RECEIVE_MAXIMUM, MAXIMUM_PACKET = 0x11, 0x21, 0x27
GOODBYE, GOODBYE_WITH_WILL = b"\xe0\0", b"\xe0\1\4"


async def watcher_messages(watcher: Client, quiet_s: float = 0.0005) -> list[bytes]:
    return [message.payload for message in await watcher.messages(quiet_s=quiet_s)]


# --- keep-alive, wills, take-over ------------------------------------------------------------------------------------


@virtual
async def test_a_silent_client_is_sent_away_after_one_and_a_half_keep_alives() -> None:
    broker = MemoryBroker()
    async with joined(broker, connect(keepalive_s=10)) as client:
        for _ in range(4):
            await asyncio.sleep(14.9)
            await client.send(b"\xc0\0")
            assert await client.got() == [(0xD0, b"")]
        assert await client.got(quiet_s=15.1) == [(0xE0, b"\x8d")]
        assert await client.ended()


@virtual
async def test_without_a_keep_alive_a_client_may_be_silent() -> None:
    broker = MemoryBroker()
    async with joined(broker, connect()):
        await asyncio.sleep(100_000)
        assert broker.clients == ("one",)


@pytest.mark.parametrize(
    ("leave", "told"),
    [("close", True), ("goodbye", False), ("goodbye with will", True), ("silence", True), ("breach", True)],
)
@pytest.mark.parametrize("version", [V5, V311])
def test_the_will_is_published_unless_the_client_said_goodbye(leave: str, told: bool, version: int) -> None:
    if leave == "goodbye with will" and version == V311:
        return

    @virtual
    async def check() -> None:
        broker = MemoryBroker()
        async with joined(broker, connect("watcher")) as watcher:
            await watcher.ask(subscribe("status"))
            greeting = connect(keepalive_s=5, version=version, will=Will("status", b"lost", retain=True))
            async with joined(broker, greeting, version) as client:
                match leave:
                    case "goodbye":
                        await client.send(GOODBYE)
                    case "goodbye with will":
                        await client.send(GOODBYE_WITH_WILL)
                    case "silence":
                        await asyncio.sleep(8)
                    case "breach":
                        await client.send(packet(0x36))
                    case _:
                        pass
            assert await watcher_messages(watcher) == [b"lost"] * told
            async with joined(broker, connect("late")) as late:
                await late.send(subscribe("status"))
                assert await watcher_messages(late) == [b"lost"] * told, "retained"

    check()


@virtual
async def test_a_second_client_of_the_same_name_takes_over_and_the_first_is_told() -> None:
    broker = MemoryBroker()
    async with joined(broker, connect("watcher")) as watcher:
        await watcher.ask(subscribe("#"))
        async with (
            joined(broker, connect(will=Will("status", b"lost"))) as first,
            joined(broker, connect()) as second,
        ):
            assert await first.got() == [(0xE0, b"\x8e")]
            assert await first.ended()
            assert await watcher_messages(watcher) == [b"lost"]
            await second.send(publish("a"))
            assert (await second.got())[0][0] == 0x40
            assert broker.clients == ("watcher", "one")


@virtual
async def test_a_delayed_will_waits_and_is_forgotten_when_the_client_is_back_in_time() -> None:
    broker = MemoryBroker()
    greeting = connect(clean=False, properties=u32(SESSION_EXPIRY, 60), will=Will("status", b"lost", delay_s=20))
    async with joined(broker, connect("watcher")) as watcher:
        await watcher.ask(subscribe("#"))
        async with joined(broker, greeting):
            pass
        await asyncio.sleep(15)
        async with joined(broker, greeting):
            assert await watcher_messages(watcher, quiet_s=60) == []
        assert await watcher_messages(watcher, quiet_s=19) == []
        assert await watcher_messages(watcher, quiet_s=2) == [b"lost"]


@virtual
async def test_a_will_that_was_called_off_does_not_come_at_the_end_of_the_session_either() -> None:
    broker = MemoryBroker()
    kept = u32(SESSION_EXPIRY, 60)
    async with joined(broker, connect("watcher")) as watcher:
        await watcher.ask(subscribe("#"))
        async with joined(broker, connect(properties=kept, will=Will("status", b"lost", delay_s=50))):
            pass
        async with joined(broker, connect(clean=False, properties=kept)) as client:
            await client.send(GOODBYE)
        assert await watcher_messages(watcher, quiet_s=100) == []


@virtual
async def test_a_delayed_will_is_published_at_the_end_of_the_session_at_the_latest() -> None:
    for expiry_s, clean_again in ((5, False), (60, True)):
        broker = MemoryBroker()
        properties = u32(SESSION_EXPIRY, expiry_s)
        async with joined(broker, connect("watcher")) as watcher:
            await watcher.ask(subscribe("#"))
            async with joined(broker, connect(properties=properties, will=Will("status", b"lost", delay_s=600))):
                pass
            if clean_again:
                async with joined(broker, connect(clean=True)):
                    pass
            assert await watcher_messages(watcher, quiet_s=6) == [b"lost"]


# --- kept sessions ---------------------------------------------------------------------------------------------------

KEPT = {"clean": False, "properties": u32(SESSION_EXPIRY, 60)}


@pytest.mark.parametrize("version", [V5, V311])
def test_a_kept_session_has_its_subscriptions_and_messages_after_a_reconnect(version: int) -> None:
    @virtual
    async def check() -> None:
        broker = MemoryBroker()
        greeting = connect(version=version, clean=False, properties=u32(SESSION_EXPIRY, 60))
        async with joined(broker, greeting, version) as client:
            await client.ask(subscribe("a", version=version))
        async with joined(broker, connect("other")) as other:
            for number in range(3):
                await other.send(publish("a", bytes((number,))))
            await other.send(publish("a", b"not kept", qos=0))
            assert [body[2:] for _, body in await other.got()] == [b""] * 3, "not 0x10: somebody wants it"
        async with attached(broker, greeting, version) as client:
            (first, body), *rest = await client.got()
            assert (first, body[0]) == (0x20, 1), "session present"
            assert [each[1][-1] for each in rest] == [0, 1, 2]

    check()


@virtual
async def test_a_session_ends_when_its_time_is_over_or_a_client_starts_clean() -> None:
    broker = MemoryBroker()
    for wait_s, clean, present in ((59, False, 1), (61, False, 0), (1, True, 0)):
        async with joined(broker, connect(clean=True, properties=u32(SESSION_EXPIRY, 60))) as client:
            await client.ask(subscribe("a"))
        await asyncio.sleep(wait_s)
        async with attached(broker, connect(clean=clean)) as client:
            assert (await client.got())[0][1][0] == present


@virtual
async def test_a_client_can_shorten_its_session_on_leaving() -> None:
    broker = MemoryBroker()
    async with joined(broker, connect(properties=u32(SESSION_EXPIRY, 60))) as client:
        await client.send(packet(0xE0, b"\0", props(u32(SESSION_EXPIRY, 0))))
        assert await client.ended()
    async with attached(broker, connect(clean=False)) as client:
        assert (await client.got())[0][1][0] == 0


@virtual
async def test_what_was_not_acknowledged_is_sent_again_and_marked() -> None:
    broker = MemoryBroker()
    async with joined(broker, connect(clean=False, properties=u32(SESSION_EXPIRY, 60))) as client:
        await client.send(subscribe("a"), publish("a", b"1"), publish("a", b"2", packet_id=2))
        first, second = await client.messages(acknowledge=False)
        await client.send(packet(0x40, first.packet_id.to_bytes(2, "big")))
        await client.got()
    async with joined(broker, connect("silent", clean=True)):
        pass
    async with attached(broker, connect(clean=False, properties=u32(SESSION_EXPIRY, 60))) as client:
        [again] = await client.messages()
        assert (again.payload, again.dup, again.packet_id) == (b"2", True, second.packet_id)


@virtual
async def test_sessions_are_bounded_and_the_oldest_sleeper_makes_room() -> None:
    broker = MemoryBroker(Settings(max_sessions=2))
    for name in ("a", "b"):
        async with joined(broker, connect(name, properties=u32(SESSION_EXPIRY, 600))):
            pass
    async with joined(broker, connect("c")), attached(broker, connect("b", clean=False)) as known:
        assert (await known.got())[0][1][0] == 1
        async with attached(broker, connect("d")) as refused:
            assert (await refused.got())[0][1][1] == 0x97


# --- windows, expiry, slow clients -----------------------------------------------------------------------------------


@virtual
async def test_no_more_is_in_flight_than_the_client_allows_and_order_is_kept() -> None:
    broker = MemoryBroker()
    async with joined(broker, connect(properties=bytes((RECEIVE_MAXIMUM, 0, 3)))) as client:
        await client.send(subscribe("a"), *(publish("a", bytes((n,)), packet_id=n) for n in range(1, 21)))
        first = await client.messages(acknowledge=False)
        assert [message.payload[0] for message in first] == [1, 2, 3]
        rest = []
        for message in first:
            await client.send(packet(0x40, message.packet_id.to_bytes(2, "big")))
        while found := await client.messages():
            rest += [message.payload[0] for message in found]
        assert rest == list(range(4, 21))


@virtual
async def test_an_expired_message_is_not_delivered_and_the_time_left_is_told() -> None:
    broker = MemoryBroker()
    async with joined(broker, connect(properties=u32(SESSION_EXPIRY, 600))) as client:
        await client.ask(subscribe("a"))
    async with joined(broker, connect("other")) as other:
        for seconds in (5, 100):
            await other.send(publish("a", b"x", retain=True, properties=u32(EXPIRY, seconds)))
        await asyncio.sleep(30)
        await other.got()
        async with attached(broker, connect(clean=False)) as client:
            [message] = await client.messages()
            assert message.properties == u32(EXPIRY, 70)
        await asyncio.sleep(71)
        await other.send(subscribe("a"))
        assert await other.messages() == [], "nor is a retained one"


@virtual
async def test_a_message_larger_than_a_client_takes_is_left_out_for_it() -> None:
    broker = MemoryBroker()
    async with joined(broker, connect(properties=u32(MAXIMUM_PACKET, 100) + bytes((RECEIVE_MAXIMUM, 0, 1)))) as client:
        await client.send(subscribe("a"), publish("a", b"x" * 200), publish("a", b"small", packet_id=2))
        assert [message.payload for message in await client.messages()] == [b"small"]


@virtual
async def test_a_subscriber_that_does_not_read_is_dropped_and_the_publisher_goes_on() -> None:
    broker = MemoryBroker(Settings(outbox_bytes=50_000, queue_bytes=50_000))
    async with joined(broker, connect("deaf")) as deaf, joined(broker, connect("other")) as other:
        await deaf.ask(subscribe("#"))
        for number in range(1, 1000):
            await other.send(publish("t", b"x" * 1000, packet_id=number))
            assert len(await other.got(quiet_s=0.00001)) == 1
        assert broker.clients == ("other",)
        assert await deaf.ended()


@virtual
async def test_a_sleeping_session_keeps_a_bounded_backlog_and_counts_the_rest() -> None:
    broker = MemoryBroker(Settings(queue_bytes=5_000))
    async with joined(broker, connect(properties=u32(SESSION_EXPIRY, 600))) as client:
        await client.ask(subscribe("#"))
    async with joined(broker, connect("other")) as other:
        for number in range(1, 11):
            await other.send(publish("t", b"x" * 1000, packet_id=number))
    assert broker.dropped == 6


# --- hostile bytes ---------------------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(pieces=st.lists(st.binary(min_size=1, max_size=300), max_size=8))
def test_no_bytes_make_the_framer_raise_or_keep_more_than_a_packet(pieces: list[bytes]) -> None:
    framer = Framer(500)
    for data in pieces:
        framer.feed(data)
        assert len(framer._buffer) <= 500


@settings(max_examples=800, deadline=None)
@given(first=st.integers(0, 255), body=st.binary(max_size=60), version=st.sampled_from([0, V311, V5]))
def test_no_packet_makes_the_parser_raise(first: int, body: bytes, version: int) -> None:
    parse(first, body, version)


PACKETS = st.sampled_from(
    [
        connect(will=Will("w", b"x")), connect("two", version=V311), publish("a/b", b"x"), publish("a", qos=0),
        publish("a", retain=True, properties=u32(EXPIRY, 3) + b"\x08" + b"\0\1r"), subscribe("#", "a/+"),
        packet(0xA2, b"\0\x09\0\0\1#"), b"\xc0\0", b"\xe0\0", packet(0x40, b"\0\1"), packet(0x62, b"\0\1"),
    ]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(damaged=st.lists(st.tuples(PACKETS, st.integers(0, 40), st.binary(max_size=2)), max_size=6))
def test_whatever_one_client_sends_another_one_is_served(damaged: list[tuple[bytes, int, bytes]]) -> None:
    @virtual
    async def check() -> None:
        broker = MemoryBroker()
        async with joined(broker, connect("good")) as good:
            await good.ask(subscribe("mine"))
            async with attached(broker, connect()) as bad:
                for data, at, noise in damaged:
                    if broker.clients == ("good",):
                        break
                    await bad.send(data[:at] + noise + data[at + len(noise) :])
                    await bad.got()
            await good.send(publish("mine", b"still here"))
            assert b"still here" in [message.payload for message in await good.messages()]

    check()


# --- topics ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "topic", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/c", False),
        ("a/+", "a/b", True),
        ("a/+", "a", False),
        ("a/+", "a/", True),
        ("a/+", "a/b/c", False),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("a/#", "ab", False),
        ("#", "a/b", True),
        ("a/+/c/#", "a/b/c", True),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
        ("a", "A", False),
    ],
)
def test_a_filter_takes_the_topics_of_the_standards_examples(pattern: str, topic: str, expected: bool) -> None:
    assert matches(pattern, topic) is expected


@pytest.mark.parametrize("pattern", ["", "a/#/b", "a#", "a+", "+a/b", "#/a", "a\0b", "##"])
def test_a_wildcard_stands_alone_in_its_level(pattern: str) -> None:
    assert not valid_filter(pattern)
