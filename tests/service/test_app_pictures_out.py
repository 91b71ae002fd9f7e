"""Pictures through a whole lane and a broker to the port's folder, and what the port is told of the others."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from app_bench import Bench

from lanecontrol.announcements import EvidenceStored, EvidenceUndeliverable
from lanecontrol.app import Lane, Surroundings
from lanecontrol.clock import LoopClock
from lanecontrol.config.load import load
from lanecontrol.evidence.unsent import FOLDER
from lanecontrol.links import LinkOpener
from lanecontrol.port.central import PortClient
from lanecontrol.port.evidence_in import PictureDesk
from lanecontrol.port.mqtt_client import MqttConnector
from lanecontrol.port.transport import Broker

PICTURES = [b"picture %d " % n * 5000 for n in range(4)]


def publishing(folder: Path) -> Bench:
    """A lane whose file says that pictures go over the broker."""
    bench = Bench(folder)
    path = folder / "07.yaml"
    path.write_text(f"{path.read_text()}evidence: {{publish: mqtt, chunk_kib: 4, rate_kib_s: 0, spare_gib: 0}}\n")
    return renewed(bench, path)


def renewed(bench: Bench, path: Path) -> Bench:
    """The lane as another run of the daemon has it, on the same store."""
    bench.loaded = load(path)
    around = Surroundings(LoopClock(), random.Random(2), boot="b00t", memory=bench.net)
    bench.lane, bench.stop = Lane(bench.loaded, around), asyncio.Event()
    return bench


@asynccontextmanager
async def port(bench: Bench, folder: Path) -> AsyncIterator[tuple[Path, list[Any]]]:
    """The port's side: pictures into a folder, events into a list."""
    desk, told = PictureDesk(folder), list[Any]()
    connect = MqttConnector(LinkOpener(bench.net))
    client = PortClient(connect, Broker("mem://broker", "port"), clock=LoopClock(), new_key=lambda: "")
    async with client:
        await client.subscribe([f"{bench.lane.address.root}/#"])

        async def listen() -> None:
            async for arrival in client.events():
                if "/evidence/" in arrival.topic:
                    desk.take(arrival.raw)
                elif arrival.event is not None:
                    told.append(arrival.event.announcement())

        task = asyncio.ensure_future(listen())
        try:
            yield folder, told
        finally:
            task.cancel()
            await asyncio.wait({task})


def of(told: list[Any], kind: type[Any]) -> list[Any]:
    return [one for one in told if isinstance(one, kind)]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return publishing(tmp_path)


def unsent(bench: Bench) -> Path:
    return bench.loaded.store.path / "evidence" / FOLDER


async def test_pictures_that_a_device_hands_in_arrive_whole_at_the_port(bench: Bench, tmp_path: Path) -> None:
    async with bench.served():
        await bench.at_work()
        async with port(bench, tmp_path / "port") as (folder, told):
            names = [await bench.lane._evidence.keep("lpr1", one, "image/jpeg") for one in PICTURES]
            await bench.until(lambda: all((folder / name.removeprefix("sha256:")).exists() for name in names))
            await bench.until(lambda: list(unsent(bench).iterdir()) == [])
            assert [(folder / name.removeprefix("sha256:")).read_bytes() for name in names] == PICTURES
            assert [one.reference for one in of(told, EvidenceStored)] == names
            assert of(told, EvidenceUndeliverable) == []


async def test_a_lane_that_ended_in_the_middle_sends_the_rest_when_it_runs_again(bench: Bench, tmp_path: Path) -> None:
    async with bench.served():
        await bench.at_work()
        bench.broker_hears.clear()
        names = [await bench.lane._evidence.keep("lpr1", one, "image/jpeg") for one in PICTURES]
        await bench.lane._evidence.settled()
    assert len(list(unsent(bench).iterdir())) == 4
    digests = [name.removeprefix("sha256:") for name in names]
    gone = digests.pop()
    (bench.loaded.store.path / "evidence" / gone[:2] / gone[2:4] / gone).unlink()
    bench.broker_hears.set()
    renewed(bench, tmp_path / "07.yaml")
    async with bench.served(), port(bench, tmp_path / "port") as (folder, told):
        await bench.at_work()
        await bench.until(lambda: all((folder / digest).exists() for digest in digests))
        await bench.until(lambda: len(of(told, EvidenceUndeliverable)) == 1)
        assert of(told, EvidenceUndeliverable)[0].reference == f"sha256:{gone}"
        assert list(unsent(bench).iterdir()) == []
