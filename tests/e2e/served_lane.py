"""`lanecontrol run` as a process of its own, and all it talks to served from the test: devices, broker, systemd.

The test is the lane's hands: it drives contacts, gives an officer's orders over MQTT, and sees every output change at
the module in order.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from two_processes import started
from whole_system import LANECONTROL, shipped

from lanecontrol.clock import LoopClock
from lanecontrol.commands import Actor, Role
from lanecontrol.errors import LinkLost
from lanecontrol.links import Link, LinkOpener, serve_tcp
from lanecontrol.port.central import PortClient
from lanecontrol.port.mqtt_client import MqttConnector
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import Broker
from sim.broker import MemoryBroker
from sim.fake import Fake
from sim.lanefile import Replaced, lane_file
from sim.port_desk import short_name
from sim.readings import Contact, Deed

ADDRESS = LaneAddress("SYS", "07", simulated=True)
OFFICER = Actor("sim-officer", Role.OFFICER, simulated=True)
DEVICES = ("io1", "rpm1", "rfid1")
COMES_UP_S = 30.0
"""For the process to be at work on a busy machine; nothing is measured by it."""


def write_lane_file(folder: Path, urls: dict[str, str], broker: str) -> Path:
    """The shipped lane with these addresses; it assesses a vehicle at once."""
    path = folder / "lane.yaml"
    text = lane_file(shipped().lane, Replaced("07", urls, broker, folder / "store"))
    path.write_text(text + "limits: {assess_after_s: 0.1}\n", encoding="utf-8")
    return path


class Systemd:
    """The other end of sd_notify."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.setblocking(False)
        self.told: list[str] = []

    async def hears(self, words: str) -> None:
        """Wait until a datagram with these words has come; the caller bounds the wait."""
        loop = asyncio.get_running_loop()
        while not any(words in message for message in self.told):
            self.told.append((await loop.sock_recv(self._socket, 4096)).decode())

    async def hears_again(self, words: str, times: int) -> None:
        """Wait until so many datagrams with these words have come, all told; the caller bounds the wait."""
        loop = asyncio.get_running_loop()
        while sum(words in message for message in self.told) < times:
            self.told.append((await loop.sock_recv(self._socket, 4096)).decode())

    def listen_to_the_end(self) -> list[str]:
        """What has come by now."""
        with suppress(BlockingIOError):
            while True:
                self.told.append(self._socket.recv(4096).decode())
        return self.told

    def close(self) -> None:
        self._socket.close()


@asynccontextmanager
async def running(lane: Path, systemd: Systemd) -> AsyncIterator[Process]:
    """`lanecontrol run` as systemd would start it."""
    environment = {**os.environ, "NOTIFY_SOCKET": systemd.address}
    with lane.with_suffix(".log").open("ab") as log:
        command = [*LANECONTROL, "run", str(lane)]
        async with started(*command, env=environment, stdout=log, stderr=log) as process:
            yield process


class ServedLane:
    """One lane at work; made by `served_lane`."""

    def __init__(self) -> None:
        self.deeds: list[Deed] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._news = asyncio.Event()
        self.fakes = {device: shipped().make_fake(device, self._acted) for device in DEVICES}
        self.started_s = 0.0
        """The loop's time just before the process was started."""
        self.process: Process
        self.systemd: Systemd
        self.port: PortClient

    def _acted(self, deed: Deed) -> None:
        self.deeds.append(deed)
        self._news.set()

    @property
    def outputs(self) -> dict[str, bool]:
        """What each output of the module came to."""
        return {deed.point: deed.on for deed in self.deeds}

    def contacts(self, **points: bool) -> None:
        for point, on in points.items():
            self.fakes["io1"].sense(Contact(point, on))

    async def hear(self) -> None:
        """Take the port's events in, for as long as the lane is served."""
        async for arrival in self.port.events():
            if arrival.event is not None:
                self.events.append((short_name(arrival.event.type), dict(arrival.event.data)))
                self._news.set()

    async def until(self, what: Callable[[], bool], limit_s: float = COMES_UP_S) -> None:
        """Wait until it is so; looks whenever an output has changed or an event has come."""
        async with asyncio.timeout(limit_s):
            while not what():
                self._news.clear()
                await self._news.wait()

    def told(self, name: str, **wanted: Any) -> list[dict[str, Any]]:
        return [d for n, d in self.events if n == name and all(d.get(k) == v for k, v in wanted.items())]

    async def order(self, verb: str, **fields: Any) -> None:
        reply = await self.port.command(ADDRESS, verb, fields, actor=OFFICER)
        assert reply.result == "done", reply

    async def let_one_through(self) -> None:
        """Open the lane, have a vehicle drive up and release it: the signal is green and the gate on its way."""
        self.contacts(gate_closed=True)
        async with asyncio.timeout(COMES_UP_S):
            await self.systemd.hears("READY=1")
        await self.until(lambda: bool(self.told("device_state_changed", device="io1", state="online")))
        await self.until(lambda: bool(self.told("gate_moved", state="closed")))
        await self.order("open")
        self.contacts(loop_approach=True, loop_booth=True)
        await asyncio.sleep(0.5)  # the module is polled: both contacts are seen before the first goes
        self.contacts(loop_approach=False)
        await self.until(lambda: bool(self.told("passage_assessed")))
        await self.order("disposition", passage=self.told("passage_assessed")[-1]["passage"], disposition="RELEASED")
        await self.until(lambda: self.outputs.get("signal_green", False) and self.outputs.get("gate_open", False))
        self.contacts(gate_closed=False, gate_opened=True)


@asynccontextmanager
async def served_lane(folder: Path) -> AsyncIterator[ServedLane]:
    """A lane at work on fake devices and a broker in this process. What of it is left at the end is killed."""
    lane = ServedLane()
    async with AsyncExitStack() as stack:
        broker_port = await stack.enter_async_context(serve_tcp("127.0.0.1", 0, MemoryBroker().serve))
        broker = f"mqtt://127.0.0.1:{broker_port}"
        ports = {
            device: await stack.enter_async_context(serve_tcp("127.0.0.1", 0, _serving(fake)))
            for device, fake in lane.fakes.items()
        }
        name = f"e2e-{random.SystemRandom().randrange(10**9)}"
        keys = (f"{name}-{number:08d}" for number in range(10**6))
        lane.port = PortClient(
            MqttConnector(LinkOpener()), Broker(broker, name), clock=LoopClock(), new_key=lambda: next(keys)
        )
        await stack.enter_async_context(lane.port)
        await lane.port.subscribe([f"{ADDRESS.root}/event/#"])
        hearing = asyncio.create_task(lane.hear())
        stack.callback(hearing.cancel)
        lane.systemd = Systemd(folder)
        stack.callback(lane.systemd.close)
        path = write_lane_file(folder, {device: f"tcp://127.0.0.1:{port}" for device, port in ports.items()}, broker)
        lane.started_s = asyncio.get_running_loop().time()
        lane.process = await stack.enter_async_context(running(path, lane.systemd))
        yield lane


def _serving(fake: Fake) -> Callable[[Link], Any]:
    async def handle(link: Link) -> None:
        with suppress(LinkLost):  # the client went: the normal end
            await fake.serve(link)

    return handle
