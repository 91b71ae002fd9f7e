"""The port's notices and stages, over the broker to a whole lane, and still there after a restart."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from app_bench import Bench

from lanecontrol.app import Lane, Surroundings
from lanecontrol.clock import LoopClock
from lanecontrol.commands import Actor, Role
from lanecontrol.links import LinkOpener
from lanecontrol.port.mqtt_client import MqttConnector
from lanecontrol.port.notices import DIVERT, notice_bytes
from lanecontrol.port.transport import Broker, Message

CHIEF = Actor("watch commander", Role.SUPERVISOR, simulated=True)


async def tell(bench: Bench, *, active: bool) -> None:
    """A notice to all lanes of the port, which stays at the broker."""
    now_utc_s = time.time()
    body = notice_bytes(
        "divert-1",
        "SYS",
        active=active,
        actor=CHIEF,
        issued_utc_s=now_utc_s,
        until_utc_s=now_utc_s + 600,
        reason="flood",
    )
    async with MqttConnector(LinkOpener(bench.net))(Broker("mem://broker", "chief")) as transport:
        await transport.publish(Message(bench.lane.address.notice(DIVERT), body, retain=True, expiry_s=600))


def another_run(bench: Bench) -> None:
    around = Surroundings(LoopClock(), random.Random(2), boot="b00t", memory=bench.net)
    bench.lane, bench.stop = Lane(bench.loaded, around), asyncio.Event()


def diverted(bench: Bench) -> bool:
    return bench.lane.runner.state.regime.divert is not None


async def test_a_divert_notice_reaches_the_lane_stands_over_a_restart_and_ends(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with bench.served():
        await bench.at_work()
        await tell(bench, active=True)
        await bench.until(lambda: diverted(bench))
        async with bench.port() as order:
            assert "the port diverts traffic: flood" in (await order("open")).reason
        assert "traffic diverted: flood" in bench.lane.status_line()
    another_run(bench)
    async with bench.served():
        await bench.at_work()
        assert diverted(bench)
        await tell(bench, active=False)
        await bench.until(lambda: not diverted(bench))
        async with bench.port() as order:
            assert (await order("open")).result == "done"


async def test_a_lane_that_was_away_hears_of_the_notice_that_stands(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with bench.served():
        await tell(bench, active=True)
        await bench.at_work()
        await bench.until(lambda: diverted(bench))
