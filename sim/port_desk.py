"""The port's side in a simulation: hears every event the lanes publish, and gives the automatic officers' orders.

An ordinary client of the broker, like a central system would be: it sees nothing but what arrives.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lanecontrol.clock import Clock, RealWork
from lanecontrol.commands import Actor, Role
from lanecontrol.errors import DeviceError, LinkLost
from lanecontrol.port.central import Arrival, PortClient
from lanecontrol.port.question_payloads import answer_bytes, parse_question
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import Broker, Connect, Message
from sim.central import CentralSystem
from sim.officer import AutomaticOfficer
from sim.scan_duty import Given

AGAIN_S = 0.5
"""After a lost connection."""


@dataclass(frozen=True, slots=True)
class Heard:
    """An event as it arrived, with the wall time of its arrival (a monotonic reading, in seconds)."""

    arrival: Arrival
    wall_s: float


@dataclass(slots=True)
class LaneDesk:
    """What the desk keeps of one lane."""

    address: LaneAddress
    officer: AutomaticOfficer | None = None
    central: CentralSystem | None = None
    heard: list[Heard] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def answers(self) -> bool:
        """Somebody answers this lane's questions, every one of them."""
        return self.central is not None and self.central.answers_all

    async def has_heard(self, events: int) -> None:
        """Wait until so many different events have arrived; the caller bounds the wait."""
        while len(self.ids) < events:
            self.news.clear()
            await self.news.wait()


class PortDesk:
    """One connection for all lanes of a simulation."""

    def __init__(
        self, connect: Connect, broker: Broker, *, clock: Clock, new_key: Callable[[], str], work: RealWork, name: str
    ) -> None:
        self._connect = connect
        self._broker = broker
        self._clock = clock
        self._new_key = new_key
        self._work = work
        self.name = name
        self._actor = Actor(name, Role.OFFICER, simulated=True)
        self._client: PortClient | None = None
        self.lanes: dict[str, LaneDesk] = {}
        self.listening = asyncio.Event()
        self._failure = "no answer"

    def watch(self, address: LaneAddress) -> LaneDesk:
        """Hear this lane; before `run` begins."""
        desk = self.lanes[address.root] = LaneDesk(address)
        return desk

    async def run(self) -> None:
        """Connected for ever."""
        while True:
            try:
                await self._one_connection()
            except DeviceError as error:
                self._client, self._failure = None, error.why
                await asyncio.sleep(AGAIN_S)

    async def reached(self, limit_s: float) -> None:
        """Wait for the first connection. Raises LinkLost when there is none in time."""
        try:
            async with asyncio.timeout(limit_s):
                await self.listening.wait()
        except TimeoutError:
            raise LinkLost("reach the broker", f"{self._broker.url}: {self._failure}") from None

    async def _one_connection(self) -> None:
        client = PortClient(self._connect, self._broker, clock=self._clock, new_key=self._new_key, work=self._work)
        async with client:
            await client.subscribe([f"{root}/event/#" for root in self.lanes])
            asking = [f"{root}/ask/+" for root, desk in self.lanes.items() if desk.central is not None]
            if asking:
                await client.subscribe(asking)
            self._client = client
            self.listening.set()
            async for arrival in client.events():
                if "/ask/" in arrival.topic:
                    await self._answer(client, arrival)
                else:
                    self._hear(arrival)

    async def _answer(self, client: PortClient, arrival: Arrival) -> None:
        """Answer a lane's question, as the port's central system would."""
        root, _, kind = arrival.topic.partition("/ask/")
        desk, asked = self.lanes.get(root), parse_question(arrival.raw)
        if desk is None or desk.central is None or asked is None:
            return
        answer = desk.central.answer(asked)
        if answer is not None:
            await client.publish(Message(desk.address.answer(kind), answer_bytes(asked, answer)))

    def _hear(self, arrival: Arrival) -> None:
        event = arrival.event
        if event is None or (desk := self.lanes.get(event.source)) is None:
            return
        desk.heard.append(Heard(arrival, time.perf_counter()))
        first = event.id not in desk.ids
        desk.ids.add(event.id)
        desk.news.set()
        if first and desk.officer is not None:
            desk.officer.hear(short_name(event.type), event.data)

    async def ask(self, address: LaneAddress, verb: str, fields: Mapping[str, Any]) -> str:
        """Give an order as the automatic officer; answers how it ended."""
        return (await self.give(address, verb, fields, self._actor)).result

    async def give(self, address: LaneAddress, verb: str, fields: Mapping[str, Any], actor: Actor) -> Given:
        """Give an order as `actor`; answers how it ended, and its key."""
        if self._client is None:
            return Given("unknown")
        try:
            reply = await self._client.command(address, verb, dict(fields), actor=actor)
        except DeviceError:
            return Given("unknown")
        return Given(reply.result.value, reply.key)


def short_name(event_type: str) -> str:
    """`passage_closed` of `lanecontrol.passage_closed.v1`."""
    return event_type.split(".")[1] if event_type.count(".") == 2 else event_type
