"""One lane's session, the memory broker it may reach, and all that came of it."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from relay_bench import FakeOutbox

from lanecontrol.announcements import DeviceStateChanged, OrderRejected
from lanecontrol.clock import AnchoredClock, RealWork
from lanecontrol.commands import Actor, Role
from lanecontrol.events import CentralChanged, DeviceState, Event, Identity
from lanecontrol.links import Link, LinkOpener, MemoryLink, MemoryNet
from lanecontrol.port.central import PortClient
from lanecontrol.port.mqtt_client import MqttConnector
from lanecontrol.port.orders import Orders
from lanecontrol.port.relay import Relay, RelayPolicy
from lanecontrol.port.session import Birth, PortSession
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import Broker
from sim.broker import MemoryBroker

LANE = LaneAddress("laredo", "07", simulated=True)


ROOT = "sim/poe/laredo/lane/07"


OFFICER = Actor("auto", Role.OFFICER, simulated=True)


PORTAL = DeviceStateChanged("portal", "rpm.rapiscan", DeviceState.ONLINE, "", 5.0, Identity())


@dataclass
class Port:
    """One lane's session, the memory broker it may reach, and all that came of it."""

    net: MemoryNet = field(default_factory=MemoryNet)
    outbox: FakeOutbox = field(default_factory=FakeOutbox)
    work: RealWork = field(default_factory=RealWork)
    clock: AnchoredClock = field(default_factory=lambda: AnchoredClock(1_800_000_000.0))
    events: list[tuple[float, Event]] = field(default_factory=list)
    rejected: list[OrderRejected] = field(default_factory=list)
    brokers: tuple[str, ...] = ("mem://broker",)
    consumer: str = ""
    links: list[Link] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.connect = MqttConnector(LinkOpener(self.net), self.work)
        self.orders = Orders(LANE, clock=self.clock, emit=self._take, rejected=self.rejected.append, work=self.work)
        self.relay = Relay(self.outbox, LANE, RelayPolicy(receipts=bool(self.consumer)))
        self.session = PortSession(
            connect=self.connect,
            brokers=[Broker(url, "lane-07", keepalive_s=10) for url in self.brokers],
            address=LANE,
            birth=Birth(3, {"lanecontrol": "0.1.0"}, "abcd"),
            relay=self.relay,
            orders=self.orders,
            clock=self.clock,
            rng=random.Random(7),
            emit=self._take,
            devices=("portal", "reader"),
            consumer=self.consumer,
        )

    def _take(self, source: str, event: Event) -> None:
        assert source == "port"
        self.events.append((asyncio.get_running_loop().time(), event))

    @property
    def reached(self) -> list[bool]:
        return [event.reachable for _, event in self.events if isinstance(event, CentralChanged)]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[Any]]:
        task = asyncio.ensure_future(self.session.run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait((task,))
            if not task.cancelled():
                task.result()

    def serve(self) -> None:
        broker = MemoryBroker()

        async def serve(link: Link) -> None:
            self.links.append(link)
            await broker.serve(link)

        self.net.listen("broker", serve)

    def cut(self) -> None:
        """Cut the connection that was made last."""
        link = self.links[-1]
        assert isinstance(link, MemoryLink)
        link.drop()

    @asynccontextmanager
    async def central(self, name: str = "central") -> AsyncIterator[PortClient]:
        keys = count()
        client = PortClient(
            self.connect,
            Broker("mem://broker", name),
            clock=self.clock,
            new_key=lambda: f"{name}-{next(keys):05}",
            work=self.work,
        )
        async with client as found:
            yield found

    async def retained(self) -> dict[str, Any]:
        """What stands at the broker now."""
        found: dict[str, Any] = {}
        async with self.connect(Broker("mem://broker", "looker")) as transport:
            await transport.subscribe(["#"])
            try:
                while True:
                    async with asyncio.timeout(1):
                        received = await transport.receive()
                    assert received.retained
                    found[received.topic] = json.loads(received.payload)
            except TimeoutError:
                return found
