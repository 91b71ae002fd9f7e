"""How fast a lane confirms and delivers, and how fast it drains a backlog, each beside its rival in the same run."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import NamedTuple

import _lanes
import aiomqtt
from _brokers import Mosquitto, bridge_lines, mosquitto
from _wire import Heard, count_messages, feed_without_broker, publish_all

from lanecontrol.ledger import Entry

LIMIT_S = 300.0
SETTLE_S = 1.0
"""What was acknowledged by the broker is with its subscriber by then."""
PRODUCED_AHEAD = 500
"""Appends awaited at once: what a drain of many devices could bring together."""
RIVAL_WINDOW = 100
"""Publishes of the rival under way at once: where it was fastest."""

Tell = Callable[[str], None]


def processes() -> ForkServerContext:
    """Processes that start in milliseconds, with everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["aiomqtt", "lanecontrol.ledger", "lanecontrol.port.session"])
    return context


class Counter:
    """A thin subscriber in a process of its own."""

    def __init__(self, port: int, topics: str, expect: int, *, keep: bool = False, qos: int = 0) -> None:
        self._pipe, far = processes().Pipe()
        self._process = processes().Process(
            target=count_messages, args=(port, topics, expect, keep, qos, far), daemon=True
        )
        self._process.start()
        far.close()

    def ready(self) -> None:
        if not self._pipe.poll(30):
            raise RuntimeError("the subscriber did not come up")
        self._pipe.recv()

    def enough(self) -> Heard:
        """What it has heard, once nothing more is on its way."""
        time.sleep(SETTLE_S)
        self._pipe.send("enough")
        return self.heard()

    def heard(self, limit_s: float = LIMIT_S) -> Heard:
        """Once all that was expected came; what there is when the limit is reached."""
        if not self._pipe.poll(limit_s):
            self._pipe.send("enough")
        heard: Heard = self._pipe.recv()
        self._process.join()
        return heard


@contextmanager
def counting(port: int, topics: str, expect: int, *, keep: bool = False, qos: int = 0) -> Iterator[Counter]:
    counter = Counter(port, topics, expect, keep=keep, qos=qos)
    counter.ready()
    yield counter


# --- confirmed durable and acknowledged ------------------------------------------------------------------------------


@dataclass(slots=True)
class Throughput:
    """Rates per second, round by round."""

    ours: list[float] = field(default_factory=list)
    rival: list[float] = field(default_factory=list)
    ours_cpu_us: list[float] = field(default_factory=list)
    rival_cpu_us: list[float] = field(default_factory=list)
    lost: int = 0

    @property
    def ratios(self) -> list[float]:
        """Neighbouring rounds, so that what the machine does besides falls on both."""
        return [a / b for a, b in zip(self.ours, self.rival, strict=True)]


def throughput(folder: Path, rounds: int, count: int, tell: Tell) -> Throughput:
    """Rounds in turn: our lane, then aiomqtt's plain publish without any store, at the same broker."""
    found = Throughput()
    bodies = [_lanes.body(1, seq) for seq in range(1, count + 1)]
    with mosquitto(folder / "broker") as broker:
        for number in range(rounds):
            with counting(broker.port, _lanes.EVENTS, count) as counter:
                cpu_s = time.process_time()
                found.ours.append(asyncio.run(_ours(folder / f"ours-{number}", broker.port, bodies)))
                found.ours_cpu_us.append((time.process_time() - cpu_s) / count * 1e6)
                found.lost += count - counter.heard().count
            with counting(broker.port, _lanes.EVENTS, count) as counter:
                cpu_s = time.process_time()
                found.rival.append(asyncio.run(_plain_aiomqtt(broker.port, bodies)))
                found.rival_cpu_us.append((time.process_time() - cpu_s) / count * 1e6)
                counter.heard()
            tell(f"  round {number + 1}: {found.ours[-1]:,.0f}/s, aiomqtt without a store {found.rival[-1]:,.0f}/s")
    return found


async def _ours(folder: Path, port: int, bodies: list[bytes]) -> float:
    async with _lanes.lane(folder / "ledger.db", port) as it, _lanes.running(it.session):
        await _lanes.connected(it.session)
        began_s = time.perf_counter()
        waiting: deque[asyncio.Future[None]] = deque()
        for seq, body in enumerate(bodies, 1):
            waiting.append(it.ledger.append([Entry(seq, "passage", "bench", 1.8e9 + seq, body)]))
            if len(waiting) >= PRODUCED_AHEAD:
                await waiting.popleft()
        while waiting:
            await waiting.popleft()
        await it.relay.wait_delivered()
        took_s = time.perf_counter() - began_s
        if it.relay.counts.delivered < len(bodies):
            raise RuntimeError("not all was delivered")
        return len(bodies) / took_s


async def _plain_aiomqtt(port: int, bodies: list[bytes]) -> float:
    async with aiomqtt.Client(
        "127.0.0.1",
        port,
        identifier="aiomqtt-bench",
        protocol=aiomqtt.ProtocolVersion.V5,
        max_inflight_messages=RIVAL_WINDOW,
    ) as client:
        client.pending_calls_threshold = RIVAL_WINDOW + 10  # or it warns
        rest = iter(bodies)

        async def publish_on() -> None:
            for body in rest:
                await client.publish(_lanes.TOPIC, body, qos=1, timeout=60)

        began_s = time.perf_counter()
        await asyncio.gather(*(publish_on() for _ in range(RIVAL_WINDOW)))
        return len(bodies) / (time.perf_counter() - began_s)


# --- a backlog -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Drained:
    """How a backlog went, round by round, in events per second at the subscriber."""

    ours: list[float] = field(default_factory=list)
    bridge: list[float] = field(default_factory=list)
    cap: list[float] = field(default_factory=list)
    """What the subscriber takes from a socket that is always full."""
    grown_mib: list[float] = field(default_factory=list)
    ours_cpu_us: list[float] = field(default_factory=list)
    bridge_cpu_us: list[float] = field(default_factory=list)
    """Processor time per event of what delivers: our lane's process, the bridge's local broker."""
    missing: int = 0
    bridge_missing: int = 0

    @property
    def ratios(self) -> list[float]:
        return [a / b for a, b in zip(self.ours, self.bridge, strict=True)]


PROFILE = ("max_inflight_messages 200",)
"""What the central broker takes at once where it is set up by `lanecontrol broker-profile`; mosquitto's own is 20."""


def backlog(folder: Path, rounds: int, count: int, tell: Tell, central: Sequence[str] = PROFILE) -> Drained:
    """Rounds in turn: our lane, mosquitto's bridge, and the subscriber alone; `central` sets up the broker of both."""
    found = Drained()
    for number in range(rounds):
        here = folder / f"backlog-{number}"
        here.mkdir(parents=True)
        tell(f"  round {number + 1}: filling {count:,}")
        ours = _our_backlog(here, count, central)
        bridge = _bridge_backlog(here, count, central)
        found.ours.append(ours.heard.per_s)
        found.grown_mib.append(ours.grown_mib)
        found.ours_cpu_us.append(ours.cpu_s / count * 1e6)
        found.missing += count - ours.heard.count
        found.bridge.append(bridge.heard.per_s)
        found.bridge_cpu_us.append(bridge.cpu_s / count * 1e6)
        found.bridge_missing += count - bridge.heard.count
        found.cap.append(_cap(count))
        tell(
            f"  round {number + 1}: {found.ours[-1]:,.0f}/s (memory {ours.grown_mib:+.1f} MiB), bridge"
            f" {found.bridge[-1]:,.0f}/s, the subscriber alone {found.cap[-1]:,.0f}/s"
        )
    return found


class _Drain(NamedTuple):
    heard: Heard
    cpu_s: float
    grown_mib: float = 0.0


def _our_backlog(folder: Path, count: int, central: Sequence[str]) -> _Drain:
    store = folder / "ours" / "ledger.db"
    asyncio.run(_lanes.fill(store, count))
    with mosquitto(folder / "central", *central) as broker, counting(broker.port, _lanes.EVENTS, count) as counter:
        near, far = processes().Pipe()
        child = processes().Process(target=drain, args=(str(store), broker.port, far), daemon=True)
        child.start()
        heard = counter.heard()
        grown_mib, cpu_s = near.recv()
        child.join()
    return _Drain(heard, cpu_s, grown_mib)


def drain(store: str, port: int, tell: Connection) -> None:
    """The lane's process: deliver all there is; tells by how many MiB it grew at the most, and its processor time."""
    tell.send(asyncio.run(_drain(Path(store), port)))


async def _drain(store: Path, port: int) -> tuple[float, float]:
    async with _lanes.lane(store, port) as it:
        before, most, cpu_s = _resident_mib(), 0.0, time.process_time()
        async with _lanes.running(it.session):
            waiting = asyncio.ensure_future(it.relay.wait_delivered())
            while not waiting.done():
                await asyncio.wait((waiting,), timeout=0.05)
                most = max(most, _resident_mib())
        return most - before, time.process_time() - cpu_s


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


def _bridge_backlog(folder: Path, count: int, lines: Sequence[str]) -> _Drain:
    """The local broker is filled while the central one is away; the clock runs from the first event that arrives."""
    central = Mosquitto(folder / "central-of-bridge", lines)
    with mosquitto(folder / "local", *bridge_lines(folder / "kept", central.port)) as local:
        bodies = (_lanes.body(1, seq) for seq in range(1, count + 1))
        publish_all(local.port, _lanes.TOPIC, bodies, window=100)
        cpu_s = local.cpu_s
        central.start()
        try:
            with counting(central.port, _lanes.EVENTS, count) as counter:
                return _Drain(counter.heard(), local.cpu_s - cpu_s)
        finally:
            central.kill()


def careful_bridge(folder: Path, count: int) -> float:
    """Events per second that a local broker takes in for its bridge when it writes its store after each change."""
    central = Mosquitto(folder / "central-of-careful")  # stays away: nothing is delivered meanwhile
    saving = "autosave_on_changes true", "autosave_interval 1"
    bodies = (_lanes.body(1, seq) for seq in range(1, count + 1))
    with mosquitto(folder / "careful", *bridge_lines(folder / "saved", central.port), *saving) as local:
        began_s = time.perf_counter()
        publish_all(local.port, _lanes.TOPIC, bodies, window=100)
        return count / (time.perf_counter() - began_s)


def _cap(count: int) -> float:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        body = _lanes.body(1, 1)
        feeding = threading.Thread(target=feed_without_broker, args=(listener, count, body, _lanes.TOPIC), daemon=True)
        feeding.start()
        with counting(listener.getsockname()[1], _lanes.EVENTS, count // 100 * 100) as counter:
            heard = counter.heard()
        feeding.join()
    return heard.per_s
