"""Both brokers with an independent client, aiomqtt, over TCP on the real clock."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiomqtt
import pytest
from aiomqtt import ProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from lanecontrol.links import serve_tcp
from sim import broker
from sim.broker import LOOPBACK, MemoryBroker, iotcore_broker, iotcore_settings

pytest.importorskip("iotcore", reason="the extra `sim` is not installed")

BROKERS = ["memory", "iotcore"]


@asynccontextmanager
async def served(which: str) -> AsyncIterator[int]:
    if which == "memory":
        async with serve_tcp(LOOPBACK, 0, MemoryBroker().serve) as port:
            yield port
    else:
        with iotcore_broker() as port:
            yield port


def client(port: int, name: str, **settings: Any) -> aiomqtt.Client:
    settings = {"protocol": ProtocolVersion.V5, "timeout": 10, **settings}
    return aiomqtt.Client(LOOPBACK, port, identifier=name, **settings)


async def next_message(source: aiomqtt.Client) -> aiomqtt.Message:
    async with asyncio.timeout(10):
        async for message in source.messages:
            return message
    raise AssertionError("the client ended")


def sending(**values: Any) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(properties, name, value)
    return properties


@pytest.mark.parametrize("which", BROKERS)
async def test_a_request_is_answered_through_its_response_topic(which: str) -> None:
    async with served(which) as port, client(port, "lane") as lane, client(port, "officer") as officer:
        await lane.subscribe("poe/p/lane/1/cmd/#", qos=1)
        await officer.subscribe("poe/p/lane/1/reply/officer", qos=1)
        asked = sending(
            ResponseTopic="poe/p/lane/1/reply/officer",
            CorrelationData=b"\x00\x01key",
            MessageExpiryInterval=60,
            ContentType="application/json",
            UserProperty=("role", "officer"),
        )
        await officer.publish("poe/p/lane/1/cmd/open", b"{}", qos=1, properties=asked)
        request = await next_message(lane)
        properties: Any = request.properties
        assert properties.ContentType == "application/json"
        assert properties.UserProperty == [("role", "officer")]
        assert 0 < properties.MessageExpiryInterval <= 60
        answer = sending(CorrelationData=properties.CorrelationData)
        await lane.publish(properties.ResponseTopic, b"done", qos=1, properties=answer)
        reply = await next_message(officer)
        reply_properties: Any = reply.properties
        assert (reply.payload, reply_properties.CorrelationData) == (b"done", b"\x00\x01key")


@pytest.mark.parametrize("which", BROKERS)
async def test_the_retained_status_becomes_the_will_when_a_client_dies(which: str) -> None:
    will = aiomqtt.Will("poe/p/lane/1/status", b"lost", qos=1, retain=True)
    async with served(which) as port, client(port, "central") as central:
        async with client(port, "lane", will=will) as lane:
            await lane.publish("poe/p/lane/1/status", b"online", qos=1, retain=True)
            await central.subscribe("poe/+/lane/+/status", qos=1)
            first = await next_message(central)
            assert (first.payload, first.retain) == (b"online", True)
            connection = lane._client.socket()
            assert isinstance(connection, socket.socket)
            connection.shutdown(socket.SHUT_RDWR)  # dies without a word
            assert (await next_message(central)).payload == b"lost"
            with pytest.raises(aiomqtt.MqttError):
                await next_message(lane)
        async with client(port, "late") as late:
            await late.subscribe("poe/#", qos=1)
            kept = await next_message(late)
            assert (kept.payload, kept.retain) == (b"lost", True)


@pytest.mark.parametrize("which", BROKERS)
async def test_half_a_mebibyte_goes_through(which: str) -> None:
    async with served(which) as port, client(port, "one") as one:
        await one.subscribe("evidence/#", qos=1)
        payload = bytes(range(256)) * 2048
        await one.publish("evidence/1", payload, qos=1)
        assert (await next_message(one)).payload == payload


@pytest.mark.parametrize("which", BROKERS)
async def test_many_messages_arrive_once_and_in_order(which: str) -> None:
    async with served(which) as port, client(port, "sub") as subscriber, client(port, "pub") as publisher:
        await subscriber.subscribe("n/#", qos=1)
        for number in range(500):
            await publisher.publish(f"n/{number % 7}", str(number), qos=1)
        got = [int(str((await next_message(subscriber)).payload, "ascii")) for _ in range(500)]
        assert sorted(got) == list(range(500))
        for topic in range(7):
            assert [each for each in got if each % 7 == topic] == list(range(topic, 500, 7))


async def test_the_memory_broker_speaks_3_1_1_too() -> None:
    async with (
        served("memory") as port,
        client(port, "old", protocol=ProtocolVersion.V311) as old,
        client(port, "new") as new,
    ):
        await old.subscribe("a/+", qos=1)
        await new.publish("a/b", b"x", qos=1, properties=sending(ContentType="text/plain"))
        assert (await next_message(old)).payload == b"x"
        await new.subscribe("a/+")
        await old.publish("a/c", b"y", qos=0)
        assert (await next_message(new)).payload == b"y"


async def test_wrong_credentials_are_told_to_a_client() -> None:
    broker = MemoryBroker(admits=lambda client_id, username, password: password == b"right")
    async with serve_tcp(LOOPBACK, 0, broker.serve) as port:
        with pytest.raises(aiomqtt.MqttError, match="Bad user name or password"):
            await client(port, "one", username="lane", password="wrong").__aenter__()
        async with client(port, "one", username="lane", password="right"):
            assert broker.clients == ("one",)


def test_the_iotcore_broker_listens_on_loopback_only_and_its_port_is_free_afterwards() -> None:
    with iotcore_broker() as port:
        with socket.create_connection((LOOPBACK, port), timeout=5):
            pass
        with pytest.raises(OSError, match="in use"):
            iotcore_broker(port).__enter__()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, port), timeout=5).close()
    assert "0.0.0.0" not in iotcore_settings(port)


@pytest.mark.parametrize("extra", [[], ["--memory"]])
async def test_a_broker_can_be_run_from_the_command_line_until_it_is_told_to_end(extra: list[str]) -> None:
    command = [sys.executable, "-m", "sim.broker", "--port", "0", *extra]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(30):
        url = (await process.stdout.readline()).decode().strip()
        port = int(url.removeprefix(f"mqtt://{LOOPBACK}:"))
        async with client(port, "one") as one:
            await one.subscribe("a", qos=1)
        process.terminate()
        assert await process.wait() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, port), timeout=5).close()


@pytest.mark.parametrize("extra", [[], ["--memory"]])
def test_a_port_that_is_taken_is_told_in_a_line(extra: list[str]) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(SystemExit, match=r"python -m sim\.broker: .*[Aa]ddress already in use"):
            broker.main(["--port", port, *extra])


@pytest.mark.parametrize("port", ["99999", "80x", ""])
def test_a_port_that_is_none_is_wrong_usage(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        broker.main(["--port", port])
    assert end.value.code == 2
    assert "is no port" in capsys.readouterr().err
