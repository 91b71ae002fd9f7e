"""Orders over the broker to a whole lane: what is refused is refused to the sender and in the ledger, also after a
restart, and nothing is done twice."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from app_bench import Bench

from lanecontrol.announcements import LaneLifeChanged, OrderAnswered, OrderRejected
from lanecontrol.app import Lane, Surroundings
from lanecontrol.clock import LoopClock
from lanecontrol.links import LinkOpener
from lanecontrol.port.mqtt_client import MqttConnector
from lanecontrol.port.payloads import parse_event
from lanecontrol.port.transport import Broker, Message, Transport

OFFICER = {"name": "sim-officer", "role": "officer", "simulated": True}


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


class Sender:
    """Sends requests as bytes, and takes replies."""

    def __init__(self, bench: Bench, transport: Transport) -> None:
        self._address = bench.lane.address
        self._transport = transport

    def body(self, **changes: Any) -> bytes:
        made = {"key": "key-of-test-1", "by": OFFICER, "lane": "07", "deadline": time.time() + 60.0}
        return json.dumps({**made, **changes}).encode()

    async def send(self, verb: str, body: bytes, *, retain: bool = False) -> dict[str, Any]:
        """The reply."""
        topic = self._address.reply("test")
        await self._transport.publish(Message(self._address.command(verb), body, retain=retain, response_topic=topic))
        async with asyncio.timeout(10):
            reply: dict[str, Any] = json.loads((await self._transport.receive()).payload)
        return reply


@asynccontextmanager
async def sender(bench: Bench) -> AsyncIterator[Sender]:
    connect = MqttConnector(LinkOpener(bench.net))
    async with connect(Broker("mem://broker", "test")) as transport:
        await transport.subscribe([bench.lane.address.reply("test")])
        yield Sender(bench, transport)


def another_run(bench: Bench) -> None:
    """The daemon is started again on the same store."""
    around = Surroundings(LoopClock(), random.Random(2), boot="b00t", memory=bench.net)
    bench.lane, bench.stop = Lane(bench.loaded, around), asyncio.Event()


async def recorded(bench: Bench, *kinds: type[Any]) -> list[Any]:
    await bench.lane._journal.settled()
    found = []
    async for row in bench.lane._ledger.export():
        event = parse_event(row.body or b"")
        if event is not None and isinstance(announcement := event.announcement(), kinds):
            found.append(announcement)
    return found


async def test_an_order_is_carried_out_once_and_answered_alike_also_after_a_restart(bench: Bench) -> None:
    async with bench.served():
        await bench.at_work()
        async with sender(bench) as port:
            body = port.body()
            first = await port.send("open", body)
            again = await port.send("open", body)
    assert (first["result"], first["repeated"]) == ("done", False)
    assert again == {**first, "repeated": True}
    another_run(bench)
    async with bench.served():
        await bench.at_work()
        async with sender(bench) as port:
            assert await port.send("open", body) == again
            other = await port.send("close", body)
        assert other["reason"] == "repeated: this key was used before for another order"
        assert len(await recorded(bench, OrderAnswered)) == 1
        openings = [one for one in await recorded(bench, LaneLifeChanged) if one.life == "opening"]
        assert len(openings) == 1
        assert [one.reason for one in await recorded(bench, OrderRejected)] == [
            "repeated: answered before",
            "repeated: answered before",
            "repeated: this key was used before for another order",
        ]


async def test_what_is_refused_is_refused_to_the_sender_and_in_the_ledger(bench: Bench) -> None:
    technician = {**OFFICER, "role": "technician"}
    now = time.time()
    refused: list[tuple[str, str, dict[str, Any], bool]] = [
        ("explode", "the verb 'explode' is unknown", {}, False),
        ("open", "malformed", {"lane": None}, False),
        ("open", "by.role", {"by": {**OFFICER, "role": "king"}}, False),
        ("open", "foreign", {"lane": "08"}, False),
        ("open", "late", {"deadline": now - 4}, False),
        ("open", "ahead", {"deadline": now + 3600}, False),
    ]
    async with bench.served():
        await bench.at_work()
        async with sender(bench) as port:
            reasons = []
            for n, (verb, what, changes, retain) in enumerate(refused):
                reply = await port.send(verb, port.body(key=f"key-of-test-{n}", **changes), retain=retain)
                assert reply["result"] == "refused"
                assert what in reply["reason"]
                reasons.append(reply["reason"])
            rejected = await recorded(bench, OrderRejected)
            assert [one.reason for one in rejected] == reasons

            reply = await port.send("open", port.body(key="key-by-technician", by=technician))
            assert reply["reason"] == "only an officer or a supervisor opens the lane"
            [answered] = await recorded(bench, OrderAnswered)
            assert (answered.key, answered.reason) == ("key-by-technician", reply["reason"])
        assert await recorded(bench, LaneLifeChanged) == []


async def test_a_retained_order_is_refused_when_the_lane_comes_and_while_it_is_there(bench: Bench) -> None:
    async with bench.served():
        await bench.at_work()
        async with sender(bench) as port:
            assert "retained" in (await port.send("open", port.body(), retain=True))["reason"]
        assert "retained" in (await recorded(bench, OrderRejected))[0].reason


async def test_an_order_that_comes_out_of_its_order_is_refused_by_the_state_that_it_meets(bench: Bench) -> None:
    """The release of a vehicle that is not at the booth any more, or not yet, comes to nothing."""
    async with bench.served():
        await bench.at_work()
        await bench.green()
        passage = bench.lane.runner.state.tracking.passages[0].id
        async with sender(bench) as port:
            late = {"passage": passage, "disposition": "RELEASED"}
            reply = await port.send("disposition", port.body(key="key-released-again", **late))
            assert (reply["result"], reply["reason"]) == ("refused", "already disposed of")
            early = {"passage": "07-999999", "disposition": "RELEASED"}
            reply = await port.send("disposition", port.body(key="key-released-early", **early))
            assert (reply["result"], reply["reason"]) == ("refused", "no open passage has this number")
        told = {one.key: one.reason for one in await recorded(bench, OrderAnswered)}
        assert told["key-released-again"] == "already disposed of"
        assert told["key-released-early"] == "no open passage has this number"
