"""Other people's LLRP programs as processes that speak JSON lines, and a fake reader in a world that they can read.

A peer is a small script in `peers/`, run by an environment of its own that `./lane peers` makes: nothing of it is ever
imported here. It gets its settings as one JSON argument, says what it does one JSON object a line, and does what it is
told the same way. Everything here has a deadline; no port is fixed.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lanecontrol.errors import LinkLost
from lanecontrol.links import Link, serve_tcp
from sim.readings import TagAnswer
from sim.rfid_llrp import FakeReader
from sim.rfid_llrp_settings import ReaderConfig
from sim.simfile import load_scenario, load_simfile
from sim.world.rehearsal import Booth
from sim.world.world import World

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".venv-peers"
DEADLINE_S = 30.0
"""For whatever a peer is waited for: an interpreter that starts on a busy machine takes a while."""
LAST_WORDS = 2000


def command(name: str, script: str) -> tuple[list[str], dict[str, str]]:
    """How to run a peer's script, and its environment. Skips the test where the peer is not installed."""
    if name == "node":
        program, there = shutil.which("node"), (PEERS / "node" / "node_modules" / "llrpjs").is_dir()
    else:
        program = str(PEERS / name / ("Scripts" if os.name == "nt" else "bin") / "python")
        there = Path(program).exists() and (PEERS / name / "lane-installed").is_file()
    if program is None or not there:
        why = f"{name} is not installed: ./lane peers"
        pytest.skip(why)
    environment = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "SYSTEMROOT") if key in os.environ}
    environment["NODE_PATH"] = str(PEERS / "node" / "node_modules")
    return [program, str(Path(__file__).parent / "peers" / script)], environment


@dataclass
class Peer:
    """A running peer. `said` is everything so far."""

    process: asyncio.subprocess.Process
    said: list[dict[str, Any]] = field(default_factory=list)
    complaints: bytes = b""
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: bool = False

    async def hear(self, wanted: str | Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first thing it says, or said, that is wanted: by the name of what happened, or by any other rule."""
        return await self.hear_next(wanted, 0)

    async def hear_next(self, wanted: str | Callable[[dict[str, Any]], bool], seen: int) -> dict[str, Any]:
        """The same, after the first `seen` things."""
        rule = wanted if callable(wanted) else lambda told: told["what"] == wanted
        with suppress(TimeoutError):
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    for told in self.said[seen:]:
                        seen += 1
                        if rule(told):
                            return told
                    if self._ended:
                        break
                    self._news.clear()
                    await self._news.wait()
        state = "ended" if self._ended else f"still runs after {DEADLINE_S} s"
        raise AssertionError(f"the peer {state}; it said {self.said[-20:]} and\n{self.complaints.decode()}")

    def all_of(self, what: str) -> list[dict[str, Any]]:
        return [told for told in self.said if told["what"] == what]

    async def tell(self, what: str, **more: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"what": what, **more}).encode() + b"\n")
        async with asyncio.timeout(DEADLINE_S):
            await self.process.stdin.drain()

    async def listen(self) -> None:
        """Take in what it says, until it ends."""
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            self.said.append(json.loads(line))
            self._news.set()
        self._ended = True
        self._news.set()

    async def listen_to_complaints(self) -> None:
        assert self.process.stderr is not None
        while data := await self.process.stderr.read(4096):
            self.complaints = (self.complaints + data)[-LAST_WORDS:]


@asynccontextmanager
async def peer(name: str, script: str, **settings: Any) -> AsyncIterator[Peer]:
    """A peer at work; it is ended when the context is left."""
    run, environment = command(name, script)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *run, json.dumps(settings), stdin=pipe, stdout=pipe, stderr=pipe, env=environment, limit=1 << 20
    )
    running = Peer(process)
    tasks = [asyncio.create_task(running.listen()), asyncio.create_task(running.listen_to_complaints())]
    try:
        yield running
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await asyncio.wait(tasks)
        for task in tasks:
            task.result()


# --- our reader, in a world ------------------------------------------------------------------------------------------

STEP_S = 0.1
PACE_S = 0.01
"""The world goes ten times as fast as the clock, so that there is always somebody to read."""
SERVICE_S = 1.0


@dataclass
class WorldReader:
    """The fake reader of the shipped simulation's lane, at an address, while vehicles with tags drive past it."""

    fake: FakeReader
    port: int
    truth: list[TagAnswer] = field(default_factory=list)

    @property
    def reads(self) -> set[tuple[str, int]]:
        """What the world's tags answered so far: EPC in hex, and antenna."""
        return {(tag.epc.hex(), tag.antenna) for tag in self.truth}

    @property
    def epcs(self) -> set[str]:
        return {epc for epc, _ in self.reads}

    async def drive(self) -> None:
        """Let the world run for as long as the test does."""
        simulation = load_simfile(ROOT / "configs" / "sim.yaml")
        scenario = load_scenario(simulation.scenario).model_copy(update={"vehicles": None, "duration_s": None})
        world = World(simulation.scene, scenario, 1)
        booth = Booth(world, SERVICE_S)
        while True:
            for sensed in world.advance(STEP_S):
                if isinstance(sensed.reading, TagAnswer):
                    self.truth.append(sensed.reading)
                    self.fake.sense(sensed.reading)
            booth.work()
            await asyncio.sleep(PACE_S)


@asynccontextmanager
async def world_reader(*, driving: bool = True, **config: Any) -> AsyncIterator[WorldReader]:
    fake = FakeReader(ReaderConfig(**config), lambda deed: None)

    async def serve(link: Link) -> None:
        with suppress(LinkLost):
            await fake.serve(link)
        await link.close()

    async with serve_tcp("127.0.0.1", 0, serve) as port:
        reader = WorldReader(fake, port)
        task = asyncio.create_task(reader.drive()) if driving else None
        try:
            yield reader
        finally:
            if task is not None:
                task.cancel()
                await asyncio.wait({task})


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that nothing tells about."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - the world has nothing to wait on
            await asyncio.sleep(0.01)
