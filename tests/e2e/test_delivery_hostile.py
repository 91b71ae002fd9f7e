"""Everything at once: a flapping link, a broker that forgets all it had, a lane killed while it records, delivers and
forgets, with keys that change at each start. By receipts, nothing that was confirmed is lost.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import hostile_lane
import pytest
from hostile_lane import CONSUMER, body, keys

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import _lanes
from _brokers import Mosquitto, free_port, program
from _chaos import proxy

from lanecontrol.errors import DeviceError, StorageFatal
from lanecontrol.ledger import Ledger
from lanecontrol.links import LinkOpener
from lanecontrol.port.mqtt_client import MqttConnector
from lanecontrol.port.tasks import together
from lanecontrol.port.transport import Broker, Message, Transport
from lanecontrol.sealing import Sealer

REAL_LOOP = True

pytestmark = [
    pytest.mark.slow,
    pytest.mark.broker,
    pytest.mark.skipif(os.name == "nt", reason="SIGKILL is how it dies here"),
]


class Consumer:
    """The port's system: keeps what it hears, for good, and says so by receipts, for each epoch its own."""

    def __init__(self, port: int) -> None:
        self._broker = Broker(f"mqtt://127.0.0.1:{port}", "consumer")
        self.had: dict[str, bytes] = {}
        self.repeats = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._for_ever())
        try:
            yield
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def _for_ever(self) -> None:
        while True:
            # It comes and goes, and has no session: what is sent meanwhile the broker acknowledges and throws away.
            with suppress(DeviceError, TimeoutError):
                async with asyncio.timeout(1.0), MqttConnector(LinkOpener())(self._broker) as transport:
                    await transport.subscribe([_lanes.EVENTS])
                    await together(self._hear(transport), self._say(transport))
            await asyncio.sleep(0.2)

    async def _hear(self, transport: Transport) -> None:
        while True:
            payload = (await transport.receive()).payload
            self.repeats += _lanes.name_of(payload) in self.had
            assert self.had.setdefault(_lanes.name_of(payload), payload) == payload, "a repeat has the same bytes"

    async def _say(self, transport: Transport) -> None:
        while True:
            for receipt in self._receipts():
                await transport.publish(Message(_lanes.ADDRESS.receipt(CONSUMER), receipt, retain=True))
            await asyncio.sleep(0.2)

    def _receipts(self) -> list[bytes]:
        by_epoch: dict[int, list[int]] = {}
        for name in self.had:
            epoch, seq = map(int, name.split("-"))
            by_epoch.setdefault(epoch, []).append(seq)
        return [json.dumps(_receipt(epoch, sorted(seqs))).encode() for epoch, seqs in by_epoch.items()]


def _receipt(epoch: int, seqs: list[int]) -> dict[str, object]:
    """Up to where it can be told in a hundred gaps."""
    missing, before = [], 0
    for seq in seqs:
        if seq > before + 1:
            missing.append((before + 1, seq - 1))
        if len(missing) > 100:
            return {"epoch": epoch, "seq": before, "missing": missing[:-1]}
        before = seq
    return {"epoch": epoch, "seq": before, "missing": missing}


class Lane:
    """The process, killed and started again on the same store."""

    def __init__(self, folder: Path, port: int) -> None:
        self.store, self.said, self._port = folder / "store" / "ledger.db", folder / "said", port
        self.said.touch()
        self.lives = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.lives += 1
        self._process = self._run(self.lives)

    async def at_work(self, more: int = 20) -> None:
        """Until it has confirmed some more."""
        had = len(self.confirmed)
        async with asyncio.timeout(60):
            while len(self.confirmed) < had + more:  # noqa: ASYNC110 - a file gives no event
                await asyncio.sleep(0.05)

    def kill(self) -> None:
        if self._process is not None:
            assert self._process.poll() is None, "it ended by itself"
            self._process.kill()
            self._process.wait()
            self._process = None

    async def deliver_the_rest(self) -> None:
        process = self._run(0)
        try:
            async with asyncio.timeout(120):
                while process.poll() is None:  # noqa: ASYNC110 - a process of this kind gives no event
                    await asyncio.sleep(0.1)
        finally:
            process.kill()
        assert process.returncode == 0

    def _run(self, life: int) -> subprocess.Popen[bytes]:
        arguments = map(str, (self.store, self._port, self.said, life))
        return subprocess.Popen([sys.executable, hostile_lane.__file__, *arguments], start_new_session=True)

    @property
    def confirmed(self) -> set[str]:
        return set(self.said.read_text(encoding="ascii").split("\n")[:-1])


async def test_with_a_flapping_link_a_forgetful_broker_kills_and_new_keys_nothing_confirmed_is_lost(
    tmp_path: Path,
) -> None:
    if program() is None:
        pytest.skip("mosquitto is not installed (Debian package mosquitto)")
    rng = random.Random(3)
    broker = Mosquitto(tmp_path / "broker", ("persistence false",))
    with ExitStack() as stack:
        broker.start()
        stack.callback(broker.kill)
        way = stack.enter_context(proxy(broker.port, free_port()))
        lane, consumer = Lane(tmp_path, way.port), Consumer(broker.port)
        stack.callback(lane.kill)
        async with consumer.listening():
            for _ in range(6):
                lane.start()
                await lane.at_work()
                for _ in range(3):
                    await asyncio.sleep(rng.uniform(0.1, 0.6))
                    await asyncio.to_thread(rng.choice((way.up, way.up, way.down)))
                if rng.random() < 0.5:
                    broker.kill()
                    await asyncio.to_thread(broker.start)
                await asyncio.sleep(rng.uniform(0.5, 1.0))
                lane.kill()
            broker.kill()
            await asyncio.to_thread(broker.start)
            await asyncio.to_thread(way.up)
            await lane.deliver_the_rest()
    confirmed = lane.confirmed
    assert len(confirmed) > 100
    assert confirmed - consumer.had.keys() == set()
    assert all(raw == body(*map(int, name.split("-"))) for name, raw in consumer.had.items())
    async with await Ledger.open(lane.store, sealer=Sealer(keys(1000))) as ledger:
        assert (await ledger.verify()).good
        assert ledger.undelivered_count == 0
        assert ledger.epoch == 1, "no kill ever damaged it"


async def test_of_two_processes_on_one_store_the_second_leaves_it_alone(tmp_path: Path) -> None:
    lane = Lane(tmp_path, 1)
    lane.start()
    try:
        await lane.at_work()
        with pytest.raises(StorageFatal, match="another process uses"):
            await Ledger.open(lane.store, sealer=Sealer(keys(1)))
        had = len(lane.confirmed)
        await lane.at_work()
        copy = tmp_path / "copy"
        shutil.copytree(lane.store.parent, copy)
    finally:
        lane.kill()
    # A copy taken while it was written to is what a careless backup is: it opens, or is salvaged, and verifies.
    async with await Ledger.open(copy / "ledger.db", sealer=Sealer(keys(1)), box="another") as ledger:
        assert ledger.epoch > 1
        assert (await ledger.verify()).good
        waiting = {f"{row.epoch}-{row.seq}" for row in await ledger.undelivered(limit=100_000)}
        assert len(waiting) >= had
