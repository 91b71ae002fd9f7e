"""A port that consumes with several processes: what a shared subscription at mosquitto gives, and what it costs.

What is asserted here is what docs/explanation/delivery.md says of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from port_bench import Mosquitto, mosquitto

from lanecontrol.links import LinkOpener
from lanecontrol.port.mqtt_client import MqttConnector
from lanecontrol.port.transport import Message, Transport

REAL_LOOP = True
EVENTS = 2000
SHARED = "$share/central/poe/laredo/lane/+/event/#"

pytestmark = pytest.mark.broker


@dataclass
class Member:
    """One process of the consumer: what it took, as class and number."""

    transport: Transport
    took: list[tuple[str, int]] = field(default_factory=list)

    async def take_all(self) -> None:
        while True:
            received = await self.transport.receive()
            self.took.append((received.topic, int(received.payload)))

    def of(self, topic: str) -> list[int]:
        return [number for at, number in self.took if at == topic]


@asynccontextmanager
async def members(broker: Mosquitto, count: int) -> AsyncIterator[list[Member]]:
    async with AsyncExitStack() as stack:
        found = []
        for n in range(count):
            transport = await stack.enter_async_context(MqttConnector(LinkOpener())(broker.broker(f"central-{n}")))
            await transport.subscribe([SHARED])
            found.append(Member(transport))
        tasks = [asyncio.ensure_future(member.take_all()) for member in found]
        yield found
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def topic_of(number: int) -> str:
    return f"poe/laredo/lane/07/event/{'alarm' if number % 10 == 0 else 'reading'}"


async def publish_all(broker: Mosquitto) -> None:
    async with MqttConnector(LinkOpener())(broker.broker("lane")) as lane:
        codes = await asyncio.gather(*(lane.publish(Message(topic_of(n), b"%d" % n)) for n in range(EVENTS)))
        assert set(codes) == {0}


async def until(members: list[Member], count: int) -> None:
    async with asyncio.timeout(30):
        while sum(len(member.took) for member in members) < count:  # noqa: ASYNC110  nobody tells of it
            await asyncio.sleep(0.02)


async def test_two_members_get_each_event_once_between_them_and_each_in_order(tmp_path: Path) -> None:
    with mosquitto(tmp_path, "max_queued_messages 0") as broker:
        async with members(broker, 2) as (one, two):
            await publish_all(broker)
            await until([one, two], EVENTS)
    assert sorted(number for member in (one, two) for _, number in member.took) == list(range(EVENTS))
    assert abs(len(one.took) - len(two.took)) <= 2, "in turn, whatever each of them has in hand"
    for member in (one, two):
        for topic in {topic_of(0), topic_of(1)}:
            assert all(before < after for before, after in pairwise(member.of(topic)))
    readings = one.of(topic_of(1))
    assert any(after > before + 1 for before, after in pairwise(readings)), "the class is split: seq restores its order"
