"""The memory broker, packet by packet: greeting, publishing, subscriptions, what is retained, what is refused."""

from __future__ import annotations

import pytest
from fake_bench import virtual
from mqtt_raw import (
    CONTENT_TYPE,
    CORRELATION,
    EXPIRY,
    RESPONSE_TOPIC,
    USER,
    V5,
    V311,
    Will,
    attached,
    connect,
    joined,
    packet,
    props,
    publish,
    subscribe,
    text,
    u32,
)

from sim.broker import MemoryBroker, Settings

OK_311 = bytes.fromhex("20020000")


def puback(reason: int = 0, packet_id: int = 1) -> bytes:
    return packet(0x40, packet_id.to_bytes(2, "big") + (bytes((reason,)) if reason else b""))


# --- greeting --------------------------------------------------------------------------------------------------------


@virtual
async def test_the_greeting_tells_the_brokers_bounds() -> None:
    broker = MemoryBroker(Settings(receive_maximum=20, maximum_packet_bytes=65536))
    async with attached(broker, connect()) as client:
        [(first, body)] = await client.got()
        assert (first, body) == (0x20, b"\0\0" + props(b"\x21\0\x14", b"\x24\x01", u32(0x27, 65536), b"\x2a\0"))
    async with attached(broker, connect(version=V311)) as client:
        assert await client.got() == [(0x20, b"\0\0")]


@virtual
async def test_a_client_without_a_name_is_given_one() -> None:
    broker = MemoryBroker()
    async with attached(broker, connect("")) as client, attached(broker, connect("", version=V311)):
        [(_, body)] = await client.got()
        assert body.endswith(b"\x12" + text(broker.clients[0]))
        assert len(set(broker.clients)) == 2


@pytest.mark.parametrize(
    ("greeting", "answer"),
    [
        (connect("", version=V311, clean=False), "20020002"),
        (packet(0x10, text("MQIsdp"), b"\3\2\0\0", text("a")), "20020001"),
        (packet(0x10, text("MQTT"), b"\6\2\0\0\0", text("a")), "2003008400"),
        (connect(properties=b"\x15" + text("SCRAM")), "2003008c00"),
        (connect(will=Will("a/#", b"")), "2003009000"),
        (connect(will=Will("a", b"", qos=2)), "2003009b00"),
        (connect(properties=b"\x21\0\0"), "2003008200"),
        (connect(properties=u32(EXPIRY, 1)), "2003008200"),
        (connect(properties=b"\x21\0\1\x21\0\1"), "2003008200"),
        (connect(properties=b"\x7f\0"), "2003008100"),
        (connect()[:-1].replace(b"\x10\x10", b"\x10\x0f"), "2003008100"),
        (packet(0x10, text("MQTT"), b"\5\3\0\0\0", text("a")), "2003008100"),
        (packet(0x10, text("MQTT"), b"\4\x42\0\0", text("a")), "20020003"),
        (packet(0x10, text("MQTT"), b"\4\2\0\0", text("a"), b"x"), "20020003"),
        (packet(0x10, text("HTTP"), b"\4\2\0\0", text("a")), ""),
        (publish("a"), ""),
        (b"\xc0\0", ""),
        (b"\x00\0", ""),
        (b"GET / HTTP/1.1\r\n\r\n", ""),
    ],
)
def test_a_greeting_that_cannot_be_is_refused_and_the_connection_ends(greeting: bytes, answer: str) -> None:
    @virtual
    async def check() -> None:
        broker = MemoryBroker()
        async with attached(broker, greeting) as client:
            assert b"".join(packet(*each) for each in await client.got()).hex() == answer
            assert await client.ended()
            assert broker.clients == ()

    check()


@virtual
async def test_whoever_may_not_come_in_is_told() -> None:
    broker = MemoryBroker(admits=lambda client_id, username, password: (username, password) == ("lane", b"secret"))
    for version, refusal in ((V5, b"\x86"), (V311, b"\x04")):
        async with attached(broker, connect(version=version, username="lane", password=b"wrong")) as client:
            [(_, body)] = await client.got()
            assert body[1:2] == refusal
            assert await client.ended()
        async with joined(broker, connect(version=version, username="lane", password=b"secret"), version):
            assert broker.clients == ("one",)


@virtual
async def test_a_will_for_a_forbidden_topic_is_refused_at_the_greeting() -> None:
    broker = MemoryBroker(may=lambda client_id, action, topic: topic != "secret")
    async with attached(broker, connect(will=Will("secret", b""))) as client:
        assert (await client.got())[0][1][1] == 0x87


@virtual
async def test_who_does_not_greet_in_time_is_sent_away() -> None:
    async with attached(MemoryBroker(Settings(connect_timeout_s=3)), b"\x10") as client:
        assert await client.got(quiet_s=2.9) == []
        assert await client.ended()


# --- publish ---------------------------------------------------------------------------------------------------------


@virtual
async def test_a_publish_that_nobody_wants_is_acknowledged_with_0x10_and_only_mqtt_5_can_say_so() -> None:
    broker = MemoryBroker()
    async with joined(broker, connect()) as client, joined(broker, connect("old", version=V311), V311) as old:
        assert await client.ask(publish("a", b"x")) == puback(0x10)
        assert await old.ask(publish("a", b"x", version=V311)) == puback()
        await old.send(subscribe("a", version=V311))
        await old.got()
        assert await client.ask(publish("a", b"x", packet_id=2)) == puback(packet_id=2)


@virtual
async def test_a_publish_that_is_not_allowed_is_refused_and_goes_nowhere() -> None:
    broker = MemoryBroker(may=lambda client_id, action, topic: (client_id, action, topic) != ("one", "pub", "a"))
    async with joined(broker, connect()) as client, joined(broker, connect("two")) as other:
        await other.ask(subscribe("#"))
        assert await client.ask(publish("a", retain=True)) == puback(0x87)
        await client.send(publish("a", qos=0))
        assert await client.ask(publish("b", packet_id=2)) == puback(packet_id=2)
        assert [message.topic for message in await other.messages()] == ["b"]
        await other.send(publish("a"))
        assert len(await other.messages()) == 1


@virtual
async def test_what_a_publisher_attached_to_a_message_arrives_unchanged() -> None:
    broker = MemoryBroker()
    carried = (
        b"\x01\x01",
        bytes((CONTENT_TYPE,)) + text("application/json"),
        bytes((RESPONSE_TOPIC,)) + text("reply/me"),
        bytes((CORRELATION,)) + b"\0\4\0\1\2\xff",
        bytes((USER,)) + text("k") + text("v"),
        bytes((USER,)) + text("k") + text("w"),
    )
    async with joined(broker, connect()) as client, joined(broker, connect("old", version=V311), V311) as old:
        await client.ask(subscribe("a"))
        await old.ask(subscribe("a", version=V311))
        await client.send(publish("a", b"\xff" * 40, properties=b"".join(carried)))
        [message] = await client.messages()
        assert message.properties == b"".join(carried)
        assert (message.payload, message.qos, message.retain, message.dup) == (b"\xff" * 40, 1, False, False)
        [message] = await old.messages()
        assert message.payload == b"\xff" * 40


@virtual
async def test_delivery_is_at_the_lower_of_the_two_qualities() -> None:
    broker = MemoryBroker()
    async with joined(broker, connect()) as client:
        assert (await client.ask(subscribe("q0", options=0)))[-1:] == b"\0"
        assert (await client.ask(subscribe("q1", options=1)))[-1:] == b"\1"
        assert (await client.ask(subscribe("q2", options=2)))[-1:] == b"\1", "2 is not offered"
        got = []
        for topic in ("q0", "q1", "q2"):
            for qos in (0, 1):
                await client.send(publish(topic, qos=qos))
                got += [message.qos for message in await client.messages()]
        assert got == [0, 0, 0, 1, 0, 1]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (publish("a", qos=2), 0x9B),
        (publish("a/+"), 0x90),
        (publish(""), 0x90),
        (publish("a", packet_id=0), 0x82),
        (publish("a", properties=b"\x23\0\1"), 0x94),
        (publish("a", properties=b"\x0b\1"), 0x82),
        (publish("a", properties=bytes((RESPONSE_TOPIC,)) + text("a/#")), 0x82),
        (publish("a", properties=b"\x01\2"), 0x82),
        (packet(0x32, b"\0\1\xff\0\1\0"), 0x81),
        (packet(0x32, b"\0\1\0\0\1\0"), 0x81),
        (packet(0x32, b"\0\x09a"), 0x81),
        (packet(0x36, text("a"), b"\0\1\0"), 0x81),
        (packet(0x38, text("a"), b"\0"), 0x81),
        (packet(0x80, b"\0\1\0", text("a"), b"\1"), 0x81),
        (subscribe(), 0x82),
        (subscribe("a", packet_id=0), 0x82),
        (subscribe("a", options=3), 0x81),
        (subscribe("a", options=0x31), 0x81),
        (subscribe("a", options=0x41), 0x81),
        (packet(0xA2, b"\0\1\0"), 0x82),
        (packet(0x50, b"\0\1"), 0x82),
        (packet(0xF0), 0x82),
        (packet(0x20, b"\0\0\0"), 0x82),
        (packet(0xC0, b"\0"), 0x81),
        (packet(0xE0, b"\0", props(u32(0x11, 5))), 0x82),
        (connect(), 0x82),
        (b"\x30\xff\xff\xff\xff\x01", 0x81),
        (b"\x30\xff\xff\xff\x7f", 0x95),
    ],
)
def test_a_breach_of_the_protocol_ends_the_connection_with_its_reason(data: bytes, reason: int) -> None:
    @virtual
    async def check() -> None:
        broker = MemoryBroker()
        async with joined(broker, connect()) as client:
            await client.send(data)
            assert await client.got() == [(0xE0, bytes((reason,)))]
            assert await client.ended()
            assert broker.clients == ()
        async with joined(broker, connect(version=V311), V311) as client:
            await client.send(packet(0x36, text("a"), b"\0\1"))
            assert await client.got() == [], "3.1.1 has no word for it"
            assert await client.ended()

    check()


@virtual
async def test_a_packet_that_comes_byte_by_byte_and_packets_that_come_together_are_the_same() -> None:
    broker = MemoryBroker()
    async with joined(broker, connect()) as client:
        stream = subscribe("#") + b"".join(publish(f"t/{n}", b"x" * n, packet_id=n) for n in range(1, 150))
        for at in range(len(stream)):
            await client.send(stream[at : at + 1])
        assert len(await client.messages()) == 149
        await client.send(b"".join(publish(f"t/{n}", packet_id=n) for n in range(1, 50)))
        assert len(await client.messages()) == 49


@virtual
async def test_a_ping_is_answered() -> None:
    async with joined(MemoryBroker(), connect()) as client:
        assert await client.ask(b"\xc0\0") == b"\xd0\0"


# --- subscriptions ---------------------------------------------------------------------------------------------------


@virtual
async def test_filters_that_cannot_be_are_refused_one_by_one() -> None:
    broker = MemoryBroker(may=lambda client_id, action, topic: topic != "secret")
    async with joined(broker, connect()) as client, joined(broker, connect("old", version=V311), V311) as old:
        answer = await client.ask(subscribe("a", "a/#/b", "secret", "$share/g/a", "b+"))
        assert answer == packet(0x90, b"\0\7\0", bytes((1, 0x8F, 0x87, 0x9E, 0x8F)))
        answer = await old.ask(subscribe("a", "a/#/b", version=V311))
        assert answer == packet(0x90, b"\0\7", bytes((1, 0x80)))


@virtual
async def test_overlapping_filters_bring_a_message_once_with_the_best_quality_and_every_identifier() -> None:
    broker = MemoryBroker()
    async with joined(broker, connect()) as client:
        await client.send(
            subscribe("a/#", options=0, identifier=5),
            subscribe("a/b", identifier=300),
            subscribe("+/b"),
            publish("a/b"),
        )
        [message] = await client.messages()
        assert (message.qos, message.properties) == (1, b"\x0b\x05\x0b\xac\x02")


@virtual
async def test_own_messages_do_not_come_back_where_that_was_asked_for() -> None:
    broker = MemoryBroker()
    async with joined(broker, connect()) as client, joined(broker, connect("two")) as other:
        await client.ask(subscribe("a", options=1 | 4))
        assert await client.ask(publish("a")) == puback(), "it matched, so it is not 0x10"
        await other.send(publish("a"))
        assert len(await client.messages()) == 1


@virtual
async def test_unsubscribing_ends_delivery_and_says_whether_there_was_a_subscription() -> None:
    broker = MemoryBroker()
    async with joined(broker, connect()) as client, joined(broker, connect("old", version=V311), V311) as old:
        await client.ask(subscribe("a"))
        assert await client.ask(packet(0xA2, b"\0\x09\0", text("a"), text("b"))) == packet(0xB0, b"\0\x09\0\0\x11")
        assert await client.ask(publish("a")) == puback(0x10)
        assert await old.ask(packet(0xA2, b"\0\x09", text("a"))) == packet(0xB0, b"\0\x09")


@virtual
async def test_a_session_has_a_bounded_number_of_subscriptions() -> None:
    async with joined(MemoryBroker(Settings(max_subscriptions=2)), connect()) as client:
        assert (await client.ask(subscribe("a", "b", "c", "a")))[-4:] == b"\1\1\x97\1"


# --- retained --------------------------------------------------------------------------------------------------------


@virtual
async def test_the_last_retained_message_of_a_topic_greets_a_new_subscriber() -> None:
    broker = MemoryBroker()
    async with joined(broker, connect()) as client:
        await client.ask(subscribe("live/#"))
        for topic, payload in (("live/a", b"old"), ("live/a", b"new"), ("live/b", b"b"), ("live/b", b"")):
            await client.send(publish(topic, payload, retain=True))
        assert [message.retain for message in await client.messages()] == [False] * 4
        await client.send(subscribe("live/+"))
        assert [(message.topic, message.payload, message.retain) for message in await client.messages()] == [
            ("live/a", b"new", True)
        ]


@virtual
async def test_retain_handling_and_retain_as_published_are_honoured() -> None:
    broker = MemoryBroker()
    async with joined(broker, connect()) as client:
        await client.send(publish("a", b"kept", retain=True))
        await client.got()
        counts = []
        for options in (0x20 | 1, 0x10 | 1, 0x10 | 1, 0x00 | 1, 0x20 | 8 | 1):
            await client.send(subscribe("a", options=options))
            counts.append(len(await client.messages()))
        assert counts == [0, 0, 0, 1, 0]
        await client.send(publish("a", b"again", retain=True))
        [message] = await client.messages()
        assert message.retain
    async with joined(broker, connect("two")) as other:
        await other.send(subscribe("a", options=0x10))
        [message] = await other.messages()
        assert (message.payload, message.qos) == (b"again", 0)


@virtual
async def test_what_is_retained_is_bounded() -> None:
    broker = MemoryBroker(Settings(retained_bytes=2000))
    async with joined(broker, connect()) as client:
        await client.ask(subscribe("#"))
        answers = []
        for number in range(5):
            await client.send(publish(f"t/{number}", b"x" * 300, retain=True))
            answers += [body[2:] for first, body in await client.got() if first == 0x40]
        assert answers == [b"", b"", b"", b"\x97", b"\x97"]
        await client.send(publish("t/0", b"", retain=True), publish("t/4", b"x" * 300, retain=True, packet_id=2))
        assert puback(packet_id=2) in [packet(*each) for each in await client.got()]
