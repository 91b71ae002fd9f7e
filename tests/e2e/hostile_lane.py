"""A lane that does all at once: it records, delivers by receipts, forgets what was delivered, with keys that change.

Started as a process by the test that kills it; a line in the file `said` for each event that is on disk.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import _lanes

from lanecontrol.clock import LoopClock
from lanecontrol.ledger import Ledger
from lanecontrol.ledger.retention import Gap, Keep, forget
from lanecontrol.links import LinkOpener
from lanecontrol.port.mqtt_client import MqttConnector
from lanecontrol.port.orders import Orders
from lanecontrol.port.relay import Relay, RelayPolicy
from lanecontrol.port.session import Birth, PortSession
from lanecontrol.port.transport import Broker
from lanecontrol.sealing import Sealer

CONSUMER = "archive"
BODY_BYTES = 300
SMALL = Keep(days=1, size_bytes=150_000)
"""So that there is always something to forget, and nothing may be given up undelivered."""


def keys(count: int) -> list[bytes]:
    """The newest first: each life of the lane has one more."""
    return [b"a secret of a lane, number %d" % n for n in range(count, 0, -1)]


def body(epoch: int, seq: int) -> bytes:
    return _lanes.body(epoch, seq, BODY_BYTES)


async def live(store: Path, port: int, said: Path, life: int) -> None:
    """For ever, until killed; with a life of 0 until all is delivered and receipted."""
    clock = LoopClock()
    sealer = Sealer(keys(life or 1000))
    async with await Ledger.open(store, sealer=sealer, box="this one") as ledger:
        relay = Relay(ledger, _lanes.ADDRESS, RelayPolicy(receipts=True, receipt_patience_s=3.0))
        session = PortSession(
            connect=MqttConnector(LinkOpener()),
            brokers=[Broker(f"mqtt://127.0.0.1:{port}", "lanecontrol-bench-1")],
            address=_lanes.ADDRESS,
            birth=Birth(ledger.epoch, {}, ""),
            relay=relay,
            orders=Orders(_lanes.ADDRESS, clock=clock, emit=print, rejected=print),
            clock=clock,
            rng=random.Random(),
            emit=lambda source, event: None,
            consumer=CONSUMER,
        )
        async with _lanes.running(session):
            if life:
                await work(ledger, said)
            else:
                await relay.wait_delivered()


async def work(ledger: Ledger, said: Path) -> None:
    handle = os.open(said, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(4):
            tasks.create_task(record(ledger, handle))
        tasks.create_task(tidy(ledger))


async def record(ledger: Ledger, said: int) -> None:
    while True:
        made = _lanes.entry(ledger, BODY_BYTES)
        await ledger.append([made], b"state %d" % made.seq)
        os.write(said, b"%d-%d\n" % (ledger.epoch, made.seq))
        await asyncio.sleep(0.002)


async def tidy(ledger: Ledger) -> None:
    async def tell(gap: Gap) -> None:
        raise AssertionError("nothing may be given up here")

    while True:
        await forget(ledger, SMALL, None, tell)
        await asyncio.sleep(0.05)


def main(store: str, port: str, said: str, life: str) -> None:
    with suppress(KeyboardInterrupt):
        asyncio.run(live(Path(store), int(port), Path(said), int(life)))


if __name__ == "__main__":
    main(*sys.argv[1:])
