"""A clock that jumps, or never was set: events keep their order by number, timers their pace, and the events say so."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "service"))

from app_bench import Bench

from lanecontrol.announcements import OrderRejected
from lanecontrol.app import Lane, Surroundings
from lanecontrol.clock import LoopClock
from lanecontrol.links import LinkOpener
from lanecontrol.port.central import PortClient
from lanecontrol.port.mqtt_client import MqttConnector
from lanecontrol.port.transport import Broker

DAY_S = 86_400.0
NOON_S = 1_800_000_000.0


@dataclass
class WallClock:
    """What the machine takes for the time, and whether anybody disciplines it."""

    utc_s: float = NOON_S
    synchronised: bool = True


@dataclass
class Ear:
    """A subscriber at the port."""

    events: list[dict[str, Any]] = field(default_factory=list)

    def rejected(self) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"].endswith("order_rejected.v1")]


@asynccontextmanager
async def listening(bench: Bench) -> AsyncIterator[Ear]:
    ear = Ear()
    client = PortClient(
        MqttConnector(LinkOpener(bench.net)),
        Broker("mem://broker", "ear"),
        clock=LoopClock(),
        new_key=lambda: "unused-key",
    )

    async def hear() -> None:
        async for arrival in client.events():
            if arrival.event is not None:
                ear.events.append(json.loads(arrival.raw))

    async with client:
        await client.subscribe([f"{bench.lane.address.root}/event/#"])
        hearing = asyncio.create_task(hear())
        try:
            yield ear
        finally:
            hearing.cancel()
            with suppress(asyncio.CancelledError):
                await hearing


@pytest.fixture
async def wall() -> WallClock:
    return WallClock()


@pytest.fixture
async def bench(tmp_path: Path, wall: WallClock) -> Bench:
    """A lane that takes its time from `wall`."""
    made = Bench(tmp_path)
    clock = LoopClock(lambda: wall.utc_s, lambda: wall.synchronised)
    around = Surroundings(clock, random.Random(1), boot="b00t", memory=made.net, database=made.disk.connect)
    made.lane = Lane(made.loaded, around)
    return made


def tell(bench: Bench, number: int) -> None:
    bench.lane._tell_port(OrderRejected(f"event {number}", "a test", "", None, 0.0))


@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S, -NOON_S], ids=["a day on", "a day back", "back to 1970"])
async def test_after_a_jump_events_keep_their_order_and_timers_their_pace(
    bench: Bench, wall: WallClock, jump_s: float
) -> None:
    async with bench.served() as running:
        await bench.at_work()
        async with listening(bench) as ear:
            tell(bench, 1)
            await bench.until(lambda: len(ear.rejected()) == 1)
            online = bench.lane.snapshot().devices
            wall.utc_s += jump_s
            wall.synchronised = False
            for number in range(2, 6):
                tell(bench, number)
                await asyncio.sleep(0.05)
            await bench.until(lambda: len(ear.rejected()) == 5)
            # What runs by timers goes on: marks reach the disk, nobody takes a device or the broker for silent.
            await bench.until(lambda: bench.lane.snapshot().undelivered == 0)
            assert bench.lane.snapshot().port.connections == 1
            assert [d.state for d in bench.lane.snapshot().devices] == [d.state for d in online]
            assert bench.lane.health.verdict().good
        assert not running.done()
        rows = [row async for row in bench.lane._ledger.export()]
        assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
        assert (await bench.lane._ledger.verify()).good
    told = ear.rejected()
    assert [event["data"]["topic"] for event in told] == [f"event {n}" for n in range(1, 6)]
    assert [event["seq"] for event in told] == sorted(event["seq"] for event in told)
    assert [event["timequality"] for event in told] == ["synchronised", *["free"] * 4]
    moved = told[1]["time"] > told[0]["time"] if jump_s > 0 else told[1]["time"] < told[0]["time"]
    assert moved, "the time is what the clock said; the order is by number"


async def test_without_a_battery_the_lane_starts_in_1970_and_goes_on_with_its_numbers(
    bench: Bench, wall: WallClock, tmp_path: Path
) -> None:
    async with bench.served() as running:
        await bench.at_work()
        tell(bench, 1)
        bench.stop.set()
        await running
    last = bench.lane._ledger.head.seq
    wall.utc_s, wall.synchronised = 3.0, False
    again = Bench(tmp_path)
    clock = LoopClock(lambda: wall.utc_s, lambda: wall.synchronised)
    again.lane = Lane(again.loaded, Surroundings(clock, random.Random(1), boot="b00t", memory=again.net))
    async with again.served():
        await again.at_work()
        tell(again, 2)
        await again.until(lambda: again.lane._ledger.head.seq == again.lane._ledger.next_seq - 1 > last)
        await again.until(lambda: again.lane.snapshot().undelivered == 0)
        rows = [row async for row in again.lane._ledger.export()]
        assert (again.lane._ledger.epoch, [row.seq for row in rows]) == (1, list(range(1, len(rows) + 1)))
        new = [json.loads(row.body) for row in rows if row.seq > last and row.body is not None]
        assert new
        assert {event["timequality"] for event in new} == {"free"}
        assert all(event["time"].startswith("1970-01-01T00:00:03") for event in new)
        assert (await again.lane._ledger.verify()).good
