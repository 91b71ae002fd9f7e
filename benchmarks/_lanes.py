"""A lane reduced to what delivers: ledger, relay and session, without devices. In the measurer's process, or in one
that is there to be killed.

Bodies are made from epoch and number alone, so that whoever hears them can tell whether they are what was recorded.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from lanecontrol.clock import LoopClock
from lanecontrol.events import Event
from lanecontrol.ledger import Entry, Ledger
from lanecontrol.links import LinkOpener
from lanecontrol.port.mqtt_client import MqttConnector
from lanecontrol.port.orders import Orders
from lanecontrol.port.relay import Relay, RelayPolicy
from lanecontrol.port.session import Birth, PortSession
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import Broker

ADDRESS = LaneAddress("bench", "1")
EVENTS = f"{ADDRESS.root}/event/#"
TOPIC = ADDRESS.event("passage")
BODY_BYTES = 1024


def body(epoch: int, seq: int, size: int = BODY_BYTES) -> bytes:
    """An event's body: JSON as to its form, and different in each bit from any other."""
    head = b'{"id":"%d-%d","data":"' % (epoch, seq)
    noise = hashlib.shake_128(head).hexdigest((size - len(head)) // 2 + 1)[: size - len(head) - 2]
    return head + noise.encode() + b'"}'


def name_of(payload: bytes) -> str:
    """Epoch and number of a body, `1-17`."""
    return payload[7 : payload.index(b'"', 7)].decode()


@dataclass(frozen=True, slots=True)
class Lane:
    ledger: Ledger
    relay: Relay
    session: PortSession


@asynccontextmanager
async def lane(
    store: Path,
    port: int,
    *,
    policy: RelayPolicy | None = None,
    on_event: Callable[[str, Event], None] = lambda source, event: None,
    client_id: str = "lanecontrol-bench-1",
) -> AsyncIterator[Lane]:
    """An open ledger with its relay and a session that is not running yet."""
    clock = LoopClock()
    async with await Ledger.open(store) as ledger:
        relay = Relay(ledger, ADDRESS, policy)
        orders = Orders(ADDRESS, clock=clock, emit=on_event, rejected=lambda rejected: None)
        session = PortSession(
            connect=MqttConnector(LinkOpener()),
            brokers=[Broker(f"mqtt://127.0.0.1:{port}", client_id)],
            address=ADDRESS,
            birth=Birth(ledger.epoch, {"lanecontrol": "bench"}, ""),
            relay=relay,
            orders=orders,
            clock=clock,
            rng=random.Random(),
            emit=on_event,
        )
        yield Lane(ledger, relay, session)


@asynccontextmanager
async def running(session: PortSession) -> AsyncIterator[None]:
    """The session at work."""
    task = asyncio.ensure_future(session.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def connected(session: PortSession, limit_s: float = 30.0) -> None:
    async with asyncio.timeout(limit_s):
        while not session.status().connected:  # noqa: ASYNC110 - the status gives no event
            await asyncio.sleep(0.01)


def entry(ledger: Ledger, size: int = BODY_BYTES) -> Entry:
    """The next one."""
    seq = ledger.next_seq
    return Entry(seq, "passage", "bench", 1.8e9 + seq, body(ledger.epoch, seq, size))


async def fill(store: Path, count: int) -> None:
    """A ledger with a backlog."""
    async with await Ledger.open(store) as ledger:
        for _ in range(0, count, 500):
            first = ledger.next_seq
            rows = [
                Entry(seq, "passage", "bench", 1.8e9 + seq, body(ledger.epoch, seq))
                for seq in range(first, first + 500)
            ]
            await ledger.append(rows)


def deliver_all(store: str, port: int, tell: Connection) -> None:
    """A process that delivers all there is in a store, says so, and ends."""
    asyncio.run(_deliver_all(Path(store), port))
    tell.send("delivered")


async def _deliver_all(store: Path, port: int) -> None:
    async with lane(store, port) as it, running(it.session):
        await it.relay.wait_delivered()


# --- to be killed ----------------------------------------------------------------------------------------------------


def live(store: str, port: int, width: int, pause_s: float, confirmed: int) -> None:
    """A process that appends for ever; a line on the descriptor `confirmed` for each event that is on disk."""
    asyncio.run(_live(Path(store), port, width, pause_s, confirmed))


async def _live(store: Path, port: int, width: int, pause_s: float, confirmed: int) -> None:
    async with lane(store, port) as it, running(it.session), asyncio.TaskGroup() as tasks:
        for _ in range(width):
            tasks.create_task(_append_for_ever(it.ledger, pause_s, confirmed))


async def _append_for_ever(ledger: Ledger, pause_s: float, confirmed: int) -> None:
    while True:
        made = entry(ledger, 300)
        await ledger.append([made], b"state %d" % made.seq)
        os.write(confirmed, b"%d-%d\n" % (ledger.epoch, made.seq))
        await asyncio.sleep(pause_s)


# --- one passage -----------------------------------------------------------------------------------------------------


async def _passage(store: Path, port: int, count: int, said: Path) -> None:
    """As many events as a vehicle leads to, one after the other, then all of it delivered; a port of 0 is an outage."""
    handle = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    async with lane(store, port or 1) as it, running(it.session):
        if port:
            await connected(it.session)
        for _ in range(count):
            made = entry(it.ledger, 300)
            await it.ledger.append([made], b"state %d" % made.seq)
            os.write(handle, b"%d-%d\n" % (it.ledger.epoch, made.seq))
        if port:
            await it.relay.wait_delivered()


def main(store: str, port: str, count: str, said: str) -> None:
    """The process that a tracer kills at one system call after the other."""
    asyncio.run(_passage(Path(store), int(port), int(count), Path(said)))


if __name__ == "__main__":
    main(*sys.argv[1:])
