"""The client against a scripted broker on a memory link and a virtual clock: windows, deadlines, silence, farewells."""

from __future__ import annotations

import asyncio

import pytest
from port_bench import (
    CONNECT,
    DISCONNECT,
    OK_V5,
    OK_V311,
    PINGREQ,
    PONG,
    PUBACK,
    PUBLISH,
    Bench,
    Peer,
    connack,
    everything,
    incoming,
)

from lanecontrol.errors import CredentialsRefused, LinkLost, ProtocolViolation
from lanecontrol.port.mqtt_client import QUEUE_LIMIT
from lanecontrol.port.mqtt_greeting import link_url
from lanecontrol.port.transport import Message, TakenOver


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def lost(future: asyncio.Future[int]) -> str:
    with pytest.raises(LinkLost) as found:
        await future
    return found.value.why


# --- connecting ------------------------------------------------------------------------------------------------------


def test_broker_urls_become_link_urls() -> None:
    assert link_url("mqtt://host") == "tcp://host:1883"
    assert link_url("mqtt://host:1884") == "tcp://host:1884"
    assert link_url("mqtts://[fe80::1]:1?ca=x") == "tls://[fe80::1]:1?ca=x"
    assert link_url("mqtts://host?ca=x") == "tls://host:8883?ca=x"
    assert link_url("mem://name") == "mem://name"
    for wrong in ("http://host", "mqtt://", "host:1883"):
        with pytest.raises(ValueError, match="broker url"):
            link_url(wrong)


async def test_the_greeting_tells_what_the_broker_said(bench: Bench) -> None:
    async with bench.connected(connack("210014", "2700000400")) as (client, _):
        assert client.greeting.receive_maximum == 20
        assert client.greeting.maximum_packet_bytes == 1024
        assert client.greeting.protocol == 5
        assert not client.greeting.session_present


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (0x87, CredentialsRefused),
        (0x86, CredentialsRefused),
        (0x88, LinkLost),
        (0x9F, LinkLost),
        (0x84, ProtocolViolation),
        (0x85, ProtocolViolation),
    ],
)
async def test_a_refused_connection_says_why(bench: Bench, code: int, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"0x{code:02X}"):
        async with bench.connected(connack(code=code)):
            pass


async def test_a_broker_without_qos_1_is_no_broker_for_us(bench: Bench) -> None:
    with pytest.raises(ProtocolViolation, match="QoS 1"):
        async with bench.connected(connack("2400")):
            pass


async def test_a_broker_that_never_answers_is_given_up_after_the_connect_timeout(bench: Bench) -> None:
    loop = asyncio.get_running_loop()
    with pytest.raises(LinkLost, match="no CONNACK within 3 s"):
        async with bench.connector(bench.broker(connect_timeout_s=3.0)):
            pass
    assert 3.0 <= loop.time() < 4.0
    assert bench.work.outstanding == 0
    assert bench.net.connections() == 0


async def test_anything_but_a_connack_first_is_a_violation(bench: Bench) -> None:
    with pytest.raises(ProtocolViolation, match="before CONNACK"):
        async with bench.connected(PONG):
            pass


# --- publishing ------------------------------------------------------------------------------------------------------


async def test_a_publish_answers_the_reason_code_of_its_puback(bench: Bench) -> None:
    async with bench.connected() as (client, peer):
        futures = [client.begin(Message("a", bytes((n,)))) for n in range(3)]
        packets = [await peer.expect(PUBLISH) for _ in futures]
        await peer.ack(packets[2], 0x87)
        await peer.ack(packets[0])
        await peer.ack(packets[1], 0x10)
        assert await asyncio.gather(*futures) == [0, 0x10, 0x87]


async def test_no_more_than_the_receive_maximum_is_ever_unacknowledged_and_order_is_kept(bench: Bench) -> None:
    async with bench.connected(connack("210003")) as (client, peer):
        futures = [client.begin(Message("a", bytes((n,)))) for n in range(10)]
        taken = [await peer.expect(PUBLISH) for _ in range(3)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await peer.next()
        seen = []
        while taken:
            first = taken.pop(0)
            seen.append(first.body[-1])
            await peer.ack(first)
            if len(seen) <= 7:
                taken.append(await peer.expect(PUBLISH))
        assert seen == list(range(10))
        assert await asyncio.gather(*futures) == [0] * 10


async def test_a_cancelled_publish_that_was_not_sent_yet_is_never_sent(bench: Bench) -> None:
    async with bench.connected(connack("210001")) as (client, peer):
        first = client.begin(Message("a", b"1"))
        second = asyncio.ensure_future(client.publish(Message("a", b"2")))
        third = client.begin(Message("a", b"3"))
        await asyncio.sleep(0)
        second.cancel()
        await peer.ack(await peer.expect(PUBLISH))
        packet = await peer.expect(PUBLISH)
        assert packet.body[-1:] == b"3"
        await peer.ack(packet)
        assert await first == await third == 0


async def test_a_packet_larger_than_the_broker_takes_is_refused_here_and_not_sent(bench: Bench) -> None:
    async with bench.connected(connack("2700000020")) as (client, peer):
        assert await client.publish(Message("a", b"x" * 40)) == 0x95
        assert bench.work.outstanding == 0
        future = client.begin(Message("a", b"x"))
        await peer.ack(await peer.expect(PUBLISH))
        assert await future == 0


async def test_what_cannot_be_said_in_mqtt_is_refused_here(bench: Bench) -> None:
    async with bench.connected(connack("2500")) as (client, _):
        assert await client.publish(Message("a/#", b"")) == 0x90
        assert await client.publish(Message("a", b"", retain=True)) == 0x9A


async def test_qos_0_is_done_when_it_is_written(bench: Bench) -> None:
    async with bench.connected() as (client, peer):
        assert await client.publish(Message("a", b"x", qos=0)) == 0
        assert (await peer.next()).first == 0x30


async def test_all_in_flight_fail_at_once_when_the_connection_is_cut(bench: Bench) -> None:
    async with bench.connected() as (client, peer):
        futures = [client.begin(Message("a", b"x")) for _ in range(50)]
        for _ in futures:
            await peer.expect(PUBLISH)
        bench.net.drop("broker")
        assert {await lost(future) for future in futures} == {"the connection was cut"}
        assert asyncio.get_running_loop().time() == 0.0
        assert await lost(client.begin(Message("a", b"x")))
        with pytest.raises(LinkLost):
            await client.receive()
        with pytest.raises(LinkLost):
            await client.subscribe(["a"])
    assert bench.work.outstanding == 0


async def test_a_puback_that_does_not_come_ends_the_connection_at_its_deadline(bench: Bench) -> None:
    loop = asyncio.get_running_loop()
    async with bench.connected(keepalive_s=600, answer_timeout_s=10.0) as (client, peer):
        await asyncio.sleep(5)
        first = client.begin(Message("a", b"1"))
        packet = await peer.expect(PUBLISH)
        await asyncio.sleep(4)
        second = client.begin(Message("a", b"2"))
        await peer.ack(packet)
        assert await first == 0
        sent_s = loop.time()
        assert await lost(second) == "no acknowledgement within 10 s"
        assert loop.time() == pytest.approx(sent_s + 10.0)


async def test_a_puback_for_nothing_is_ignored(bench: Bench) -> None:
    async with bench.connected() as (client, peer):
        await peer.send(b"\x40\x02\x00\x63")
        future = client.begin(Message("a", b"1"))
        await peer.ack(await peer.expect(PUBLISH))
        assert await future == 0


async def test_real_work_is_counted_from_publish_to_puback(bench: Bench) -> None:
    async with bench.connected() as (client, peer):
        assert bench.work.outstanding == 0
        futures = [client.begin(Message("a", b"1")) for _ in range(2)]
        packets = [await peer.expect(PUBLISH) for _ in futures]
        assert bench.work.outstanding == 1
        await peer.ack(packets[0])
        await futures[0]
        assert bench.work.outstanding == 1
        await peer.ack(packets[1])
        await futures[1]
        await asyncio.sleep(0)
        assert bench.work.outstanding == 0


async def test_packet_ids_never_collide_with_those_in_flight(bench: Bench) -> None:
    async with bench.connected() as (client, peer):
        held = client.begin(Message("a", b"held"))
        first = await peer.expect(PUBLISH)
        client._flight._packet_id = 65_534
        for _ in range(3):
            future = client.begin(Message("a", b"x"))
            packet = await peer.expect(PUBLISH)
            assert packet.packet_id not in (0, first.packet_id)
            await peer.ack(packet)
            await future
        await peer.ack(first)
        assert await held == 0


# --- subscribing and receiving ---------------------------------------------------------------------------------------


async def test_a_refused_filter_is_told(bench: Bench) -> None:
    async with bench.connected() as (client, peer):
        asking = asyncio.ensure_future(client.subscribe(["a", "b"]))
        packet = await peer.next()
        await peer.send(b"\x90\x05" + packet.packet_id.to_bytes(2, "big") + b"\x00\x01\x87")
        with pytest.raises(ProtocolViolation, match="b: not authorised"):
            await asking


async def test_a_puback_never_passes_for_a_suback(bench: Bench) -> None:
    async with bench.connected(answer_timeout_s=2.0, keepalive_s=600) as (client, peer):
        asking = asyncio.ensure_future(client.subscribe(["a"]))
        packet = await peer.next()
        await peer.send(b"\x40\x02" + packet.packet_id.to_bytes(2, "big"))
        with pytest.raises(LinkLost, match="no acknowledgement within 2 s"):
            await asking


async def test_a_message_is_acknowledged_when_it_is_received_not_before(bench: Bench) -> None:
    async with bench.connected() as (client, peer):
        await peer.send(incoming("cmd/open", b"1", packet_id=7) + incoming("cmd/open", b"2", packet_id=8))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await peer.next()
        assert (await client.receive()).payload == b"1"
        assert (await peer.expect(PUBACK)).body == b"\x00\x07"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await peer.next()
        assert (await client.receive()).payload == b"2"
        assert (await peer.expect(PUBACK)).body == b"\x00\x08"


async def test_a_cancelled_receive_loses_nothing(bench: Bench) -> None:
    async with bench.connected() as (client, peer):
        waiting = asyncio.ensure_future(client.receive())
        await asyncio.sleep(0.1)
        waiting.cancel()
        await peer.send(incoming("a", b"1", packet_id=1))
        assert (await client.receive()).payload == b"1"


async def test_a_flood_of_qos_0_waits_in_the_socket_and_not_in_memory(bench: Bench) -> None:
    async with bench.connected() as (client, peer):
        flood = asyncio.ensure_future(_flood(peer, 5000))
        await asyncio.sleep(1.0)
        assert not flood.done()
        assert len(client._incoming) < 3000
        for n in range(5000):
            assert (await client.receive()).payload == b"%d" % n
        await flood


async def _flood(peer: Peer, count: int) -> None:
    for n in range(count):
        await peer.send(incoming("a/" + "x" * 80, b"%d" % n))


async def test_our_own_slowness_is_not_blamed_on_the_broker(bench: Bench) -> None:
    async with bench.connected(keepalive_s=10, answer_timeout_s=5.0) as (client, peer):
        await peer.send(b"".join(incoming("a", b"x") for _ in range(QUEUE_LIMIT + 10)))
        await asyncio.sleep(0.1)
        future = client.begin(Message("a", b"1"))
        await peer.ack(await peer.expect(PUBLISH))
        await asyncio.sleep(60)
        assert not future.done()
        for _ in range(QUEUE_LIMIT + 10):
            await client.receive()
        assert await future == 0


async def test_what_had_arrived_before_the_loss_is_still_handed_out(bench: Bench) -> None:
    async with bench.connected() as (client, peer):
        await peer.send(incoming("a", b"1", packet_id=1))
        await asyncio.sleep(0.1)
        await peer.link.close()
        await asyncio.sleep(0.1)
        assert (await client.receive()).payload == b"1"
        with pytest.raises(LinkLost):
            await client.receive()


# --- silence ---------------------------------------------------------------------------------------------------------


async def test_a_quiet_connection_is_kept_with_pings(bench: Bench) -> None:
    loop = asyncio.get_running_loop()
    async with bench.connected(keepalive_s=8) as (client, peer):
        for n in range(1, 6):
            await peer.expect(PINGREQ)
            assert loop.time() == pytest.approx(6.0 * n, abs=0.05)
            assert bench.work.outstanding == 1
            await peer.send(PONG)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert client._lost is None
        assert bench.work.outstanding == 0


async def test_a_frozen_broker_is_noticed_within_one_and_a_half_keepalives(bench: Bench) -> None:
    loop = asyncio.get_running_loop()
    async with bench.connected(keepalive_s=8) as (client, peer):
        await peer.send(PONG)
        heard_s = loop.time()
        with pytest.raises(LinkLost, match="nothing heard"):
            await client.receive()
        assert loop.time() - heard_s <= 1.5 * 8


async def test_a_broker_that_sends_but_hears_nothing_from_us_is_pinged_in_time(bench: Bench) -> None:
    loop = asyncio.get_running_loop()
    async with bench.connected(keepalive_s=8) as (_, peer):
        talking = asyncio.ensure_future(_talk(peer))
        await peer.expect(PINGREQ)
        assert loop.time() <= 8
        talking.cancel()


async def _talk(peer: Peer) -> None:
    while True:
        await asyncio.sleep(1)
        await peer.send(incoming("a", b"x"))


async def test_the_keepalive_that_the_broker_asks_for_counts(bench: Bench) -> None:
    loop = asyncio.get_running_loop()
    async with bench.connected(connack("130004"), keepalive_s=60) as (_, peer):
        await peer.expect(PINGREQ)
        assert loop.time() <= 4


async def test_a_broker_that_answers_pings_but_no_publish_is_lost_at_the_deadline(bench: Bench) -> None:
    async with bench.connected(keepalive_s=4, answer_timeout_s=10.0) as (client, peer):
        future = client.begin(Message("a", b"x"))
        ponging = asyncio.ensure_future(_pong(peer))
        assert await lost(future) == "no acknowledgement within 10 s"
        ponging.cancel()


async def _pong(peer: Peer) -> None:
    while True:
        if (await peer.next()).kind == PINGREQ:
            await peer.send(PONG)


# --- the end ---------------------------------------------------------------------------------------------------------


async def test_a_take_over_is_told_as_such(bench: Bench) -> None:
    async with bench.connected() as (client, peer):
        await peer.send(b"\xe0\x01\x8e")
        with pytest.raises(TakenOver, match="another client"):
            await client.receive()


async def test_a_disconnect_of_the_broker_carries_its_reason(bench: Bench) -> None:
    async with bench.connected() as (client, peer):
        future = client.begin(Message("a", b"x"))
        await peer.send(b"\xe0\x01\x8b")
        assert "server shutting down (0x8B)" in await lost(future)


async def test_a_broker_that_breaks_the_protocol_is_told_so_and_left(bench: Bench) -> None:
    async with bench.connected() as (client, peer):
        await peer.send(b"\x34\x04\x00\x01x\x00")
        with pytest.raises(LinkLost, match="broke the protocol"):
            await client.receive()
        assert (await peer.expect(DISCONNECT)).body == b"\x9b"


async def test_a_second_connack_is_a_violation(bench: Bench) -> None:
    async with bench.connected() as (client, peer):
        await peer.send(OK_V5)
        with pytest.raises(LinkLost, match="second CONNACK"):
            await client.receive()


async def test_leaving_says_goodbye_so_that_the_will_is_forgotten(bench: Bench) -> None:
    async with bench.connected(will=Message("s", b"lost", retain=True)) as (_, peer):
        pass
    assert [(packet.kind, packet.body) for packet in await everything(peer)] == [(DISCONNECT, b"")]
    assert bench.net.connections() == 0


async def test_leaving_by_an_exception_asks_for_the_will(bench: Bench) -> None:
    with pytest.raises(RuntimeError):
        async with bench.connected(will=Message("s", b"lost")) as (_, peer):
            raise RuntimeError
    assert [(packet.kind, packet.body) for packet in await everything(peer)] == [(DISCONNECT, b"\x04")]


async def test_mqtt_3_1_1_leaves_without_a_word_when_the_will_shall_be_published(bench: Bench) -> None:
    with pytest.raises(RuntimeError):
        async with bench.connected(OK_V311, protocol=4) as (_, peer):
            raise RuntimeError
    assert await everything(peer) == []


async def test_closing_fails_what_is_in_flight_and_may_be_repeated(bench: Bench) -> None:
    async with bench.connected() as (client, peer):
        future = client.begin(Message("a", b"x"))
        await peer.expect(PUBLISH)
        await client.close()
        assert await lost(future) == "closed by us"
        await client.close()
    assert bench.work.outstanding == 0


async def test_closing_towards_a_peer_that_reads_nothing_takes_less_than_a_second(bench: Bench) -> None:
    loop = asyncio.get_running_loop()
    async with bench.connected() as (client, _):
        stuck = client.begin(Message("a", b"x" * 300_000))
        await asyncio.sleep(0.1)
        began_s = loop.time()
        await client.close()
        assert loop.time() - began_s <= 1.0
        await lost(stuck)


async def test_cancelling_a_connection_attempt_closes_the_link(bench: Bench) -> None:
    async def attempt() -> None:
        async with bench.connector(bench.broker()):
            pass

    task = asyncio.ensure_future(attempt())
    peer = await bench.peers.get()
    await peer.expect(CONNECT)
    task.cancel()
    await asyncio.wait((task,))
    assert task.cancelled()
    assert bench.net.connections() == 0
    assert bench.work.outstanding == 0
