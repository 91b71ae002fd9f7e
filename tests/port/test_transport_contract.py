"""What every transport must do, run by our own client and by aiomqtt against mosquitto, and by ours against rumqttd
and over memory links.

The memory broker is an independent reading of the standard by another hand; used by its public class only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from port_bench import Mosquitto, free_port, mosquitto

from lanecontrol.errors import CredentialsRefused, LinkLost, ProtocolViolation
from lanecontrol.links import Link, LinkOpener, MemoryNet, serve_memory, serve_tcp
from lanecontrol.port.mqtt_aiomqtt import AiomqttConnector
from lanecontrol.port.mqtt_client import MqttConnector
from lanecontrol.port.transport import Broker, Connect, Message, TakenOver, Transport
from sim.broker import MemoryBroker, iotcore_settings

REAL_LOOP = True
"""A broker in another process knows nothing of virtual time."""

ACL = """
user lane
topic readwrite poe/#
topic write denied/nothing
user other
topic readwrite #
"""


@dataclass
class Stand:
    """A broker and a client to reach it with."""

    connect: Connect
    url: str
    name: str
    server: Mosquitto | None
    url_311: str = ""
    """Where MQTT 3.1.1 is served, if that is elsewhere."""

    def broker(self, client_id: str = "lane-1", **settings: Any) -> Broker:
        older = settings.get("protocol") == 4
        return Broker(self.url_311 if older and self.url_311 else self.url, client_id, **settings)

    def joined(self, client_id: str = "lane-1", will: Message | None = None, **settings: Any) -> Any:
        return self.connect(self.broker(client_id, **settings), will=will)

    @property
    def real(self) -> Mosquitto:
        assert self.server is not None
        return self.server


CLIENTS: dict[str, Callable[[], Connect]] = {
    "ours": lambda: MqttConnector(LinkOpener()),
    "aiomqtt": AiomqttConnector,
}
BOTH = [
    pytest.param("ours-mosquitto", marks=pytest.mark.broker),
    pytest.param("aiomqtt-mosquitto", marks=pytest.mark.broker),
]
EVERY = [*BOTH, "ours-rumqttd", "ours-memory"]
SILENT = {"ours-rumqttd": 0}
"""rumqttd never says that nobody had subscribed."""


@asynccontextmanager
async def standing(name: str, folder: Path, *lines: str) -> AsyncIterator[Stand]:
    client, _, server = name.partition("-")
    if server == "memory":
        net = MemoryNet()
        async with serve_memory(net, "broker", MemoryBroker().serve):
            yield Stand(MqttConnector(LinkOpener(net)), "mem://broker", name, None)
    elif server == "rumqttd":
        with rumqttd(folder) as (five, older):
            urls = f"mqtt://127.0.0.1:{five}", f"mqtt://127.0.0.1:{older}"
            yield Stand(MqttConnector(LinkOpener()), urls[0], name, None, urls[1])
    else:
        with mosquitto(folder, *lines) as running:
            yield Stand(CLIENTS[client](), f"mqtt://127.0.0.1:{running.port}", name, running)


@contextmanager
def rumqttd(folder: Path) -> Iterator[tuple[int, int]]:
    """The broker in the package iotcore, which serves MQTT 5 and 3.1.1 on a port each."""
    iotcore = pytest.importorskip("iotcore", reason="the extra `sim` is not installed")
    ports = free_port(), free_port()
    five = iotcore_settings(ports[0])
    older = iotcore_settings(ports[1]).partition("[v5.1]")[2].replace("v5.1", "v4.1")
    settings = folder / "rumqttd.toml"
    settings.write_text(f"{five}\n[v4.1]{older}")
    broker = iotcore.Broker(config_path=str(settings))
    broker.start(10.0)
    try:
        yield ports
    finally:
        broker.stop()


@pytest.fixture(params=EVERY)
async def stand(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stand]:
    async with standing(request.param, tmp_path) as found:
        yield found


async def soon(transport: Transport) -> Any:
    async with asyncio.timeout(30):
        return await transport.receive()


@pytest.mark.parametrize("protocol", [5, 4])
async def test_a_message_goes_round(stand: Stand, protocol: int) -> None:
    async with stand.joined(protocol=protocol) as transport:
        assert transport.greeting.protocol == protocol
        await transport.subscribe(["poe/#"])
        for n in range(5):
            assert await transport.publish(Message("poe/x", b"%d" % n)) == 0
        found = [await soon(transport) for _ in range(5)]
        assert [(m.topic, m.payload, m.qos, m.retained) for m in found] == [
            ("poe/x", b"%d" % n, 1, False) for n in range(5)
        ]


async def test_the_properties_of_mqtt_5_pass_unchanged(stand: Stand) -> None:
    message = Message("poe/x", b"", 1, False, "a/b", "poe/r", b"\0\xff", 60, (("backlog", "true"), ("k", "v")))
    async with stand.joined() as transport:
        await transport.subscribe(["poe/x"])
        assert await transport.publish(message) == 0
        found = await soon(transport)
    assert (found.content_type, found.response_topic, found.correlation) == ("a/b", "poe/r", b"\0\xff")
    assert found.user_properties == message.user_properties
    assert found.expiry_s in (59, 60)


async def test_the_properties_of_mqtt_5_are_left_out_on_3_1_1(stand: Stand) -> None:
    message = Message("poe/x", b"body", content_type="a/b", user_properties=(("k", "v"),), expiry_s=5)
    async with stand.joined(protocol=4) as transport:
        await transport.subscribe(["poe/x"])
        assert await transport.publish(message) == 0
        assert (await soon(transport)).payload == b"body"


async def test_many_publishes_in_flight_all_arrive_in_order(stand: Stand) -> None:
    async with stand.joined() as transport, stand.joined("reader") as reader:
        await reader.subscribe(["poe/n"])
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            sending = [tasks.create_task(transport.publish(Message("poe/n", b"%d" % n))) for n in range(500)]
            found = [int((await reader.receive()).payload) for _ in range(500)]
        assert [task.result() for task in sending] == [0] * 500
        assert found == list(range(500))


async def test_without_a_subscriber_mqtt_5_says_so(stand: Stand) -> None:
    async with stand.joined() as transport:
        assert await transport.publish(Message("poe/nobody", b"x")) == SILENT.get(stand.name, 0x10)


async def test_a_retained_message_is_told_from_a_live_one(stand: Stand) -> None:
    async with stand.joined() as transport, stand.joined("reader") as reader, stand.joined("strict") as strict:
        assert await transport.publish(Message("poe/kept", b"1", retain=True)) in (0, 0x10)
        await reader.subscribe(["poe/kept"])
        await strict.subscribe(["poe/kept"], retain_as_published=True)
        assert (await soon(reader)).retained
        assert (await soon(strict)).retained
        await transport.publish(Message("poe/kept", b"2", retain=True))
        assert not (await soon(reader)).retained
        assert (await soon(strict)).retained is (stand.name != "ours-rumqttd")  # which does not know the option


async def test_the_will_comes_when_the_context_is_left_by_an_exception_and_only_then(stand: Stand) -> None:
    will = Message("poe/status", b"lost", retain=True)
    async with stand.joined("reader") as reader:
        await reader.subscribe(["poe/status"])
        # Another client id: rumqttd keeps wills by it, and looks at the end of a connection after the next has begun.
        async with stand.joined("leaver", will=will):
            pass
        with pytest.raises(RuntimeError):
            async with stand.joined(will=will) as transport:
                await transport.publish(Message("poe/status", b"online"))
                raise RuntimeError
        assert [(await soon(reader)).payload for _ in range(2)] == [b"online", b"lost"]


async def test_somebody_with_our_client_id_takes_over(stand: Stand) -> None:
    told = TakenOver if stand.name == "ours-memory" else LinkLost  # mosquitto 2.0.11 closes without a word
    async with stand.joined() as first, stand.joined() as second:
        with pytest.raises(told):
            async with asyncio.timeout(5):
                await first.receive()
        assert await second.publish(Message("poe/x", b"")) == SILENT.get(stand.name, 0x10)


@pytest.mark.parametrize("stand", [*BOTH, "ours-memory"], indirect=True)  # rumqttd takes it
async def test_a_filter_that_is_no_filter_is_refused(stand: Stand) -> None:
    async with stand.joined() as transport:
        with pytest.raises((ProtocolViolation, LinkLost)):
            await transport.subscribe(["a/#/b"])


# --- what only a real broker can do ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("protocol", [5, 4])
async def test_a_publish_refused_by_the_access_list_is_never_success_on_mqtt_5(
    name: str, protocol: int, tmp_path: Path
) -> None:
    (tmp_path / "acl").write_text(ACL)
    (tmp_path / "acl").chmod(0o600)
    async with (
        standing(name, tmp_path, f"acl_file {tmp_path / 'acl'}") as stand,
        stand.joined(username="lane", protocol=protocol) as transport,
    ):
        code = await transport.publish(Message("forbidden/x", b"x"))
        assert code == (0x87 if protocol == 5 else 0)  # 3.1.1 cannot say it
        await transport.subscribe(["poe/#"])
        assert await transport.publish(Message("poe/x", b"x")) == 0


@pytest.mark.parametrize("name", BOTH)
async def test_wrong_credentials_are_told_as_such(name: str, tmp_path: Path) -> None:
    (tmp_path / "passwords").write_text("")
    lines = ("allow_anonymous false", f"password_file {tmp_path / 'passwords'}")
    async with standing(name, tmp_path, *lines) as stand:
        with pytest.raises(CredentialsRefused):
            async with stand.joined(username="a", password="b"):
                pass


@pytest.mark.parametrize("name", BOTH)
async def test_the_receive_maximum_and_packet_size_of_the_broker_are_known(name: str, tmp_path: Path) -> None:
    async with (
        standing(name, tmp_path, "max_inflight_messages 7", "max_packet_size 2000") as stand,
        stand.joined() as transport,
    ):
        assert transport.greeting.receive_maximum == 7
        assert transport.greeting.maximum_packet_bytes == 2000
        assert await transport.publish(Message("poe/x", b"x" * 2000)) == 0x95
        assert await asyncio.gather(*(transport.publish(Message("poe/x", b"x")) for _ in range(50))) == [0x10] * 50


@pytest.mark.parametrize("name", BOTH)
async def test_a_killed_broker_fails_all_that_is_in_flight_promptly(name: str, tmp_path: Path) -> None:
    async with standing(name, tmp_path) as stand, stand.joined() as transport:
        stand.real.freeze()
        sending = [asyncio.ensure_future(transport.publish(Message("poe/x", b"x"))) for _ in range(50)]
        await asyncio.sleep(0.1)
        stand.real.kill()
        async with asyncio.timeout(3):
            results = await asyncio.gather(*sending, return_exceptions=True)
        assert [type(result) for result in results] == [LinkLost] * 50
        with pytest.raises(LinkLost):
            await transport.publish(Message("poe/x", b"x"))


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
async def test_a_frozen_broker_is_noticed_by_the_deadline_of_a_puback(name: str, tmp_path: Path) -> None:
    async with standing(name, tmp_path) as stand, stand.joined(answer_timeout_s=1.0) as transport:
        stand.real.freeze()
        async with asyncio.timeout(4):
            with pytest.raises(LinkLost):
                await transport.publish(Message("poe/x", b"x"))


@pytest.mark.slow
@pytest.mark.broker
async def test_our_client_notices_a_frozen_broker_within_one_and_a_half_keepalives(tmp_path: Path) -> None:
    async with standing("ours-mosquitto", tmp_path) as stand, stand.joined(keepalive_s=2) as transport:
        stand.real.freeze()
        async with asyncio.timeout(1.5 * 2 + 0.5):
            with pytest.raises(LinkLost, match="nothing heard"):
                await transport.receive()


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
async def test_a_quiet_connection_lives_through_many_keepalives(name: str, tmp_path: Path) -> None:
    async with standing(name, tmp_path) as stand, stand.joined(keepalive_s=1) as transport:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(4):
                await transport.receive()
        assert await transport.publish(Message("poe/x", b"x")) == 0x10


@pytest.mark.parametrize("name", BOTH)
async def test_a_closed_port_is_a_lost_link(name: str, tmp_path: Path) -> None:
    async with standing(name, tmp_path) as stand:
        stand.real.kill()
        with pytest.raises(LinkLost):
            async with stand.joined():
                pass


# --- a link that swallows bytes --------------------------------------------------------------------------------------


@asynccontextmanager
async def swallowing(port: int) -> AsyncIterator[tuple[int, Callable[[], None]]]:
    """A way to a broker, and what makes it swallow all bytes from then on, both ways, with every socket open."""
    swallow = asyncio.Event()

    async def pump(here: Link, there: Link) -> None:
        while True:
            data = await here.read()
            if not swallow.is_set():
                await there.write(data)

    async def carry(link: Link) -> None:
        async with LinkOpener().open(f"tcp://127.0.0.1:{port}") as far, asyncio.TaskGroup() as tasks:
            tasks.create_task(pump(link, far))
            tasks.create_task(pump(far, link))

    async def serve(link: Link) -> None:
        with suppress(ExceptionGroup):
            await carry(link)

    async with serve_tcp("127.0.0.1", 0, serve) as way:
        yield way, swallow.set


KEEPALIVE_S = 2


@pytest.mark.slow
@pytest.mark.broker
@pytest.mark.parametrize("busy", [False, True], ids=["quiet", "busy"])
@pytest.mark.parametrize("protocol", [5, 4])
async def test_a_half_open_link_is_noticed_within_one_and_a_half_keepalives(
    tmp_path: Path, protocol: int, busy: bool
) -> None:
    """Nothing refuses, nothing closes: the bytes just go nowhere. Also while we send and send."""
    loop = asyncio.get_running_loop()
    with mosquitto(tmp_path) as broker:
        async with swallowing(broker.port) as (way, swallow):
            there = Broker(f"mqtt://127.0.0.1:{way}", "lane-1", protocol, KEEPALIVE_S)
            async with MqttConnector(LinkOpener())(there) as transport:
                await transport.publish(Message("poe/x", b"x"))
                swallow()
                since_s = loop.time()
                sending = asyncio.create_task(publish_on(transport)) if busy else None
                with pytest.raises(LinkLost):
                    async with asyncio.timeout(10):
                        await transport.receive()
                if sending is not None:
                    sending.cancel()
                assert loop.time() - since_s <= 1.5 * KEEPALIVE_S + 0.3


async def publish_on(transport: Transport) -> None:
    while True:
        transport.begin(Message("poe/x", b"x")).add_done_callback(lambda done: done.exception())
        await asyncio.sleep(0.05)
