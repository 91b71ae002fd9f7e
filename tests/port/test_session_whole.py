"""The session end to end: the tools' client hears its events, and its orders are answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from session_bench import LANE, OFFICER, ROOT, Port

from lanecontrol.commands import DONE, Outcome, Result
from lanecontrol.errors import LinkLost
from lanecontrol.events import OrderGiven
from lanecontrol.port.order_payloads import Refusal
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import Broker, Message


@pytest.fixture
def port() -> Port:
    return Port()


async def test_the_tools_client_sees_events_with_their_backlog_mark(port: Port) -> None:
    port.serve()
    port.outbox.commit("passage")
    async with port.central() as central:
        await central.subscribe([f"{ROOT}/event/#"])
        async with port.running():
            events = central.events()
            first = await anext(events)
            port.outbox.commit("alarm")
            second = await anext(events)
    assert (first.topic, first.raw, first.backlog) == (f"{ROOT}/event/passage", b"1", True)
    assert (second.topic, second.raw, second.backlog) == (f"{ROOT}/event/alarm", b"2", False)
    assert first.event is None  # the body in this test is no event


async def answer_all(port: Port, outcome: Outcome) -> None:
    """The lane: answers each order once."""
    answered = 0
    while True:
        await asyncio.sleep(0.01)
        given = [event for _, event in port.events if isinstance(event, OrderGiven)]
        for event in given[answered:]:
            port.orders.answer(event.order.key, outcome)
        answered = len(given)


@pytest.fixture
async def lane(port: Port) -> AsyncIterator[Port]:
    port.serve()
    answering = asyncio.ensure_future(answer_all(port, DONE))
    async with port.running():
        await asyncio.sleep(1)
        yield port
    answering.cancel()


async def test_an_order_is_answered_to_whoever_gave_it(lane: Port) -> None:
    async with lane.central() as central, lane.central("other") as other:
        await other.subscribe([f"{ROOT}/reply/#"])
        reply = await central.command(LANE, "disposition", {"passage": "p1", "disposition": "RELEASED"}, actor=OFFICER)
        assert (reply.result, reply.reason, reply.lane) == (Result.DONE, "", "07")
        second = await central.command(LANE, "open", {}, actor=OFFICER)
        assert second.key != reply.key
        assert lane.work.outstanding == 0


async def test_an_order_expires_at_the_broker_when_the_sender_stops_waiting(lane: Port) -> None:
    async with lane.central() as central, lane.connect(Broker("mem://broker", "eavesdropper")) as ears:
        await ears.subscribe([f"{ROOT}/cmd/#"])
        await central.command(LANE, "open", {}, actor=OFFICER, timeout_s=2.5)
        heard = await ears.receive()
    assert heard.expiry_s == 3
    assert json.loads(heard.payload)["by"] == {"name": "auto", "role": "officer", "simulated": True}
    assert heard.response_topic == f"{ROOT}/reply/central"


async def test_several_orders_at_once_get_their_own_replies(lane: Port) -> None:
    async with lane.central() as central:
        replies = await asyncio.gather(*(central.command(LANE, "open", {}, actor=OFFICER) for _ in range(20)))
    assert len({reply.key for reply in replies}) == 20
    assert {reply.result for reply in replies} == {Result.DONE}


async def test_an_order_that_the_lane_refuses_comes_back_with_the_reason(lane: Port) -> None:
    async with lane.central() as central:
        real = LaneAddress("laredo", "07")
        reply = await central.command(LANE, "disposition", {"passage": "p", "disposition": "VOID"}, actor=OFFICER)
        assert reply.result is Result.DONE
        nobody = await central.command(real, "open", {}, actor=OFFICER)
        assert (nobody.result, nobody.reason) == (Result.REFUSED, "no such lane is listening")


async def test_a_malformed_order_is_not_even_sent(lane: Port) -> None:
    async with lane.central() as central:
        with pytest.raises(Refusal, match="disposition"):
            await central.command(LANE, "disposition", {"passage": "p", "disposition": "LET_GO"}, actor=OFFICER)
        with pytest.raises(Refusal, match="unknown"):
            await central.command(LANE, "explode", {}, actor=OFFICER)


async def test_an_order_sent_to_be_retained_is_refused_live_and_stored(lane: Port) -> None:
    async with lane.connect(Broker("mem://broker", "careless")) as transport:
        await transport.publish(Message(f"{ROOT}/cmd/open", b"{}", retain=True))
        await asyncio.sleep(0.1)
        assert "retained" in lane.rejected[0].reason
        lane.net.drop("broker")
        await asyncio.sleep(3)
    assert len(lane.rejected) == 2
    assert "retained" in lane.rejected[1].reason


async def test_an_order_without_an_answer_ends_as_unknown_in_time(port: Port) -> None:
    loop = asyncio.get_running_loop()
    port.serve()
    async with port.running():
        await asyncio.sleep(1)
        async with port.central() as central:
            began_s = loop.time()
            reply = await central.command(LANE, "open", {}, actor=OFFICER, timeout_s=3)
            assert reply.result is Result.UNKNOWN
            assert loop.time() - began_s == pytest.approx(3.0)


async def test_a_broker_lost_while_an_order_is_out_is_told(port: Port) -> None:
    port.serve()
    async with port.running():
        await asyncio.sleep(1)
        async with port.central() as central:
            asking = asyncio.ensure_future(central.command(LANE, "open", {}, actor=OFFICER))
            await asyncio.sleep(0.5)
            port.net.drop("broker")
            with pytest.raises(LinkLost):
                await asking
            with pytest.raises(LinkLost):
                await anext(central.events())
