"""Two daemons under one lane's name: one of them has the place, the other comes when it is gone, and nobody fights."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from relay_bench import FakeOutbox

from lanecontrol import forms
from lanecontrol.clock import AnchoredClock, RealWork
from lanecontrol.links import Link, LinkOpener, MemoryNet
from lanecontrol.port.mqtt_client import MqttConnector
from lanecontrol.port.orders import Orders
from lanecontrol.port.payloads import LaneStatus, StatusDocument
from lanecontrol.port.relay import Relay
from lanecontrol.port.rival import Rivals
from lanecontrol.port.session import LOOK_S, SLOW_S, Birth, PortSession
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import Broker
from sim.broker import MemoryBroker

LANE = LaneAddress("laredo", "07", simulated=True)


@dataclass
class Port:
    """A broker, and any number of daemons that all believe that they are the lane."""

    protocol: int
    net: MemoryNet = field(default_factory=MemoryNet)
    connections: list[float] = field(default_factory=list)
    """When somebody connected."""

    def __post_init__(self) -> None:
        self.broker = MemoryBroker()

        async def serve(link: Link) -> None:
            self.connections.append(asyncio.get_running_loop().time())
            await self.broker.serve(link)

        self.net.listen("broker", serve)

    def daemon(self, seed: int, utc_s: float = 1_800_000_000.0) -> PortSession:
        clock = AnchoredClock(utc_s)
        outbox = FakeOutbox()
        outbox.commit(*["alarm"] * 20)
        return PortSession(
            connect=MqttConnector(LinkOpener(self.net), RealWork()),
            brokers=[Broker("mem://broker", "lane-07", protocol=self.protocol)],
            address=LANE,
            birth=Birth(3, {"lanecontrol": "0.1.0"}, "abcd"),
            relay=Relay(outbox, LANE),
            orders=Orders(LANE, clock=clock, emit=_ignore, rejected=_ignore),
            clock=clock,
            rng=random.Random(seed),
            emit=_ignore,
        )

    def made_since(self, since_s: float) -> int:
        return sum(at_s >= since_s for at_s in self.connections)


def _ignore(*_: Any) -> None:
    pass


@pytest.fixture(params=[4, 5], ids=["3.1.1", "5"])
def port(request: pytest.FixtureRequest) -> Port:
    return Port(request.param)


@asynccontextmanager
async def running(session: PortSession) -> AsyncIterator[PortSession]:
    task = asyncio.ensure_future(session.run())
    try:
        yield session
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_of_two_daemons_the_first_has_the_place_and_the_other_waits_and_says_why(port: Port) -> None:
    async with running(port.daemon(1)) as first:
        await asyncio.sleep(30)
        async with running(port.daemon(2)) as second:
            await asyncio.sleep(6 * SLOW_S)
            settled_s = asyncio.get_running_loop().time()
            for _ in range(600):
                await asyncio.sleep(1)
                assert first.status().connected
                assert not second.status().connected
            assert "two booths have one lane file" in second.status().reason
            looks = 600 / SLOW_S
            assert port.made_since(settled_s) <= looks + 2, "it only looks, from aside"


async def test_when_the_first_is_gone_the_other_has_the_place_and_delivers(port: Port) -> None:
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(AsyncExitStack())
        await one.enter_async_context(running(port.daemon(1)))
        await asyncio.sleep(30)
        second = await stack.enter_async_context(running(port.daemon(2)))
        await asyncio.sleep(10 * SLOW_S)
        assert not second.status().connected
        await one.aclose()
        await asyncio.sleep(2 * SLOW_S + LOOK_S)
        assert second.status().connected
        await asyncio.sleep(60)
        assert second._relay.counts.delivered == 20


@pytest.mark.parametrize("skew_s", [-86_400.0, -1_800_000_000.0, 86_400.0], ids=["a day behind", "1970", "a day ahead"])
async def test_clocks_that_do_not_agree_do_not_matter(port: Port, skew_s: float) -> None:
    async with running(port.daemon(1)) as first:
        await asyncio.sleep(30)
        async with running(port.daemon(2, 1_800_000_000.0 + skew_s)) as second:
            await asyncio.sleep(6 * SLOW_S)
            for _ in range(100):
                await asyncio.sleep(1)
                assert (first.status().connected, second.status().connected) == (True, False)


async def test_after_a_restart_the_first_is_the_later_one_if_the_other_came_meanwhile(port: Port) -> None:
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(AsyncExitStack())
        await one.enter_async_context(running(port.daemon(1)))
        await asyncio.sleep(30)
        second = await stack.enter_async_context(running(port.daemon(2)))
        await asyncio.sleep(6 * SLOW_S)
        await one.aclose()
        await asyncio.sleep(3 * SLOW_S)
        assert second.status().connected
        again = await stack.enter_async_context(running(port.daemon(3)))
        await asyncio.sleep(6 * SLOW_S)
        for _ in range(100):
            await asyncio.sleep(1)
            assert (second.status().connected, again.status().connected) == (True, False)


async def test_three_daemons_settle_too(port: Port) -> None:
    async with AsyncExitStack() as stack:
        sessions = []
        for seed in range(3):
            sessions.append(await stack.enter_async_context(running(port.daemon(seed))))
            await asyncio.sleep(5)
        await asyncio.sleep(20 * SLOW_S)
        for _ in range(300):
            await asyncio.sleep(1)
            assert [session.status().connected for session in sessions] == [True, False, False]


async def test_a_restart_is_no_rival(port: Port) -> None:
    for seed in range(5):
        async with running(port.daemon(seed)) as session:
            await asyncio.sleep(1)
            assert session.status().connected
            for client in port.broker.clients:
                port.broker.disconnect(client)
            await asyncio.sleep(5)
            assert session.status().connected


# --- what a status tells ---------------------------------------------------------------------------------------------


def status(run: str, turn: int, serial: int = 3, state: LaneStatus = LaneStatus.ONLINE) -> bytes:
    return forms.to_json(StatusDocument(state, 1, {}, "", False, 100.0, run, 0.0, turn, serial))


def after_publishing(*before: bytes) -> Rivals:
    rivals = Rivals("b")
    for one in before:
        assert rivals.is_ours(one)
    rivals.published()
    rivals.connected()
    return rivals


def test_a_run_takes_a_turn_above_what_it_finds() -> None:
    assert after_publishing().turn == 0
    assert after_publishing(status("a", 7)).turn == 8
    assert after_publishing(status("a", 7, state=LaneStatus.STOPPED), b"{").turn == 8
    assert after_publishing(status("a", -1)).turn == 1
    assert Rivals("b").told_turn == -1


def test_the_one_that_came_first_has_the_place() -> None:
    rivals = after_publishing(status("x", 4))
    assert not rivals.is_ours(status("z", 4))
    assert rivals.is_ours(status("a", 6))
    assert not rivals.is_ours(status("a", 5))
    assert rivals.is_ours(status("c", 5))
    assert rivals.is_ours(status("b", 5)), "our own"
    assert rivals.is_ours(status("z", -1, state=LaneStatus.LOST)), "it never came twice"
    assert rivals.is_ours(status("z", 4, state=LaneStatus.STOPPED)), "it is gone"
    assert not rivals.is_ours(status("z", 4, state=LaneStatus.LOST)), "it may have been thrown out by us"


def test_a_broker_that_forgot_the_latest_shows_no_rival() -> None:
    before = status("a", 10, serial=4)
    rivals = after_publishing(before)
    assert rivals.is_ours(before)
    assert rivals.is_ours(status("a", 10, serial=3))
    assert not rivals.is_ours(status("a", 10, serial=6)), "it works again after we came"


def test_nonsense_and_older_versions_are_no_rivals() -> None:
    rivals = after_publishing()
    for payload in (b"", b"{", b"[]", status("", 0)):
        assert rivals.is_ours(payload)
        assert rivals.is_free(payload)


@pytest.mark.parametrize(("state", "free"), [("online", False), ("lost", True), ("stopped", True)])
def test_the_place_is_free_when_the_other_one_is_gone(state: str, free: bool) -> None:
    assert Rivals("b").is_free(status("a", 10, state=LaneStatus(state))) is free
