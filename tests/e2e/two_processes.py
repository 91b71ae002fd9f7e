"""World and fakes in one process, the daemon in another, a broker in a third; the daemon is killed, again and again.

Used by the test of it and by the benchmark `kills`. A subscriber of our own hears everything at the broker, so that
what is held against the ledger does not come from whoever worked out the score.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from whole_system import LANECONTROL, LIMIT_S, lanecontrol

from lanecontrol.clock import LoopClock
from lanecontrol.links import LinkOpener
from lanecontrol.port.central import PortClient
from lanecontrol.port.mqtt_client import MqttConnector
from lanecontrol.port.transport import Broker

DRAIN_S = 1.0
"""After the daemon has ended, what it sent is still on its way through the broker to the subscriber."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much traffic, and how often the daemon dies."""

    vehicles: int
    kills: int
    seed: int = 7
    speed: float = 10.0
    least_life_s: float = 0.3
    longest_life_s: float = 8.0
    """A daemon lives a random time between these two, from the start of its process: some die before they are ready."""


@dataclass(slots=True)
class Outcome:
    """What was left when the traffic was over."""

    plan: Plan
    folder: Path
    score: dict[str, Any]
    kills: int = 0
    killed_before_ready: int = 0
    stop_code: int | None = None
    stop_s: float = 0.0
    wall_s: float = 0.0
    arrived: list[bytes] = field(default_factory=list)
    """Payloads in the order of their arrival at the broker's subscriber."""
    ledger: list[bytes] = field(default_factory=list)
    undelivered: list[bytes] = field(default_factory=list)
    verified: dict[str, Any] = field(default_factory=dict)

    @property
    def lost(self) -> set[str]:
        """Ids of events that the ledger holds for delivered and that never arrived."""
        return ids(self.ledger) - ids(self.undelivered) - ids(self.arrived)

    @property
    def repeated(self) -> int:
        return len(self.arrived) - len(ids(self.arrived))

    @property
    def differing(self) -> set[str]:
        """Ids under which different bytes arrived, or other bytes than the ledger holds."""
        variants: dict[str, set[bytes]] = {}
        for raw in self.arrived + self.ledger:
            variants.setdefault(json.loads(raw)["id"], set()).add(raw)
        return {name for name, texts in variants.items() if len(texts) > 1}

    @property
    def passages(self) -> dict[str, list[str]]:
        """What became of each passage that was opened, as the ledger has it: how it was closed, every time it was."""
        ends: dict[str, list[str]] = {}
        for event in map(json.loads, self.ledger):
            if event["type"] == "lanecontrol.passage_opened.v1":
                ends.setdefault(event["data"]["passage"], [])
            elif event["type"] == "lanecontrol.passage_closed.v1":
                ends.setdefault(event["data"]["passage"], []).append(event["data"]["end"])
        return ends

    @property
    def opened_twice(self) -> set[str]:
        opened = (json.loads(raw) for raw in self.ledger)
        names = Counter(e["data"]["passage"] for e in opened if e["type"] == "lanecontrol.passage_opened.v1")
        return {name for name, count in names.items() if count > 1}


def ids(events: Iterable[bytes]) -> set[str]:
    return {json.loads(raw)["id"] for raw in events}


async def run_with_kills(folder: Path, plan: Plan, tell: Callable[[str], None] = lambda text: None) -> Outcome:
    """Play the plan to its end. Raises AssertionError when a process does not come up or ends badly."""
    began = time.monotonic()
    lane_file, report = folder / "lane.yaml", folder / "r.json"
    outcome = Outcome(plan, folder, {})
    async with started(sys.executable, "-m", "sim.broker", "--port", "0", stdout=PIPE) as broker:
        url = await line_with(broker.stdout, "mqtt://")
        async with hearing(url, outcome.arrived), fakes(plan, lane_file, report, url) as world:
            await line_with(world.stderr, "lane file written")
            reading = asyncio.create_task(drained(world.stderr))
            await _killing(lane_file, plan, outcome, world, tell)
            reading.cancel()
            await asyncio.sleep(DRAIN_S)
    outcome.score = json.loads(report.read_text(encoding="utf-8"))
    _read_ledger(lane_file, outcome)
    outcome.wall_s = time.monotonic() - began
    return outcome


async def _killing(lane_file: Path, plan: Plan, outcome: Outcome, world: Process, tell: Callable[[str], None]) -> None:
    """Start the daemon, kill it after a random life, start it again; the last one lives until the traffic is over."""
    rng = random.Random(f"kills/{plan.seed}")
    log = lane_file.with_suffix(".log")
    for number in range(plan.kills):
        life_s = rng.uniform(plan.least_life_s, plan.longest_life_s)
        opened = len(log.read_bytes()) if log.exists() else 0
        async with daemon(lane_file, log) as doomed:
            await asyncio.sleep(life_s)
            assert doomed.returncode is None, f"the daemon ended by itself; see {log}"
            assert world.returncode is None, "the traffic was over before the last kill"
            doomed.kill()
            await doomed.wait()
        outcome.kills += 1
        before_ready = b"device online" not in log.read_bytes()[opened:]
        outcome.killed_before_ready += before_ready
        tell(f"kill {number + 1}: after {life_s:.1f} s{', before any device was online' if before_ready else ''}")
    async with daemon(lane_file, log) as last:
        async with asyncio.timeout(LIMIT_S * 2):
            await world.wait()
        asked_s = time.monotonic()
        last.send_signal(signal.SIGTERM)
        outcome.stop_code = await last.wait()
        outcome.stop_s = time.monotonic() - asked_s


def _read_ledger(lane_file: Path, outcome: Outcome) -> None:
    outcome.ledger = exported(lane_file)
    outcome.undelivered = exported(lane_file, "--undelivered")
    outcome.verified = json.loads(lanecontrol("ledger", "verify", lane_file, "--json").stdout)


def exported(lane_file: Path, *options: str) -> list[bytes]:
    """The ledger's events, one a line, as they were or will be sent."""
    done = lanecontrol("ledger", "export", lane_file, *options)
    assert done.returncode == 0, done.stderr
    return [line.encode() for line in done.stdout.splitlines()]


# --- processes -------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def started(*command: str, **options: Any) -> AsyncIterator[Process]:
    """A child process that does not outlive the context; nor do its own: a tracer leaves the traced behind."""
    child = await asyncio.create_subprocess_exec(*command, **{"stdin": DEVNULL, "start_new_session": True, **options})
    try:
        yield child
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.terminate()
            try:
                async with asyncio.timeout(5.0):
                    await child.wait()
            except TimeoutError:
                child.kill()
                await child.wait()
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


@asynccontextmanager
async def fakes(plan: Plan, lane_file: Path, report: Path, broker: str) -> AsyncIterator[Process]:
    """`lanecontrol sim --fakes-only`: world, fakes and officer, and the score when all vehicles are through."""
    arguments = ["sim", "--fakes-only", "--write-config", lane_file, "--broker", broker, "--report", report]
    arguments += ["--vehicles", plan.vehicles, "--speed", plan.speed, "--seed", plan.seed]
    async with started(*LANECONTROL, *map(str, arguments), stdout=DEVNULL, stderr=PIPE) as child:
        yield child


@asynccontextmanager
async def daemon(lane_file: Path, log: Path) -> AsyncIterator[Process]:
    """`lanecontrol run`, its log appended to `log`."""
    with log.open("ab") as out:
        async with started(*LANECONTROL, "run", str(lane_file), stdout=out, stderr=out) as child:
            yield child


async def line_with(stream: asyncio.StreamReader | None, words: str, limit_s: float = 30.0) -> str:
    """The first line that has these words."""
    assert stream is not None
    seen: list[str] = []
    async with asyncio.timeout(limit_s):
        while line := (await stream.readline()).decode():
            seen.append(line)
            if words in line:
                return line.strip()
    raise AssertionError(f"{words!r} was never said, but: {''.join(seen)}")


async def drained(stream: asyncio.StreamReader | None) -> None:
    """Read and forget, so that the writer never waits for us."""
    while stream is not None and await stream.readline():
        pass


@asynccontextmanager
async def hearing(broker: str, arrived: list[bytes]) -> AsyncIterator[None]:
    """Every event at the broker, as the bytes that came, appended to `arrived`."""
    name = f"e2e-ear-{random.SystemRandom().randrange(10**9)}"
    client = PortClient(MqttConnector(LinkOpener()), Broker(broker, name), clock=LoopClock(), new_key=lambda: name)
    async with client:
        await client.subscribe(["sim/poe/#"])
        listening = asyncio.create_task(_listen(client, arrived))
        try:
            yield
            assert not listening.done(), "the subscriber lost the broker"
        finally:
            listening.cancel()


async def _listen(client: PortClient, arrived: list[bytes]) -> None:
    async for arrival in client.events():
        arrived += [arrival.raw] if arrival.event is not None else []
