"""A lane that is disturbed in every state, and an independent Modbus client that looks at its module meanwhile.

The daemon is a process; devices and broker are served from here, through doors that can be shut. The outputs hang on a
module whose watchdog is fed by a heartbeat only, so that pymodbus may read them all the time; the loops on another one.
Used by the test of it and by the benchmark `failsafe`.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pymodbus import ModbusException
from pymodbus.client import AsyncModbusTcpClient
from served_lane import ADDRESS, OFFICER, ServedLane, Systemd
from stalling import installed
from whole_system import LANECONTROL, shipped

from lanecontrol.clock import LoopClock
from lanecontrol.errors import LinkLost
from lanecontrol.links import Link, LinkOpener, serve_tcp
from lanecontrol.port.central import PortClient
from lanecontrol.port.mqtt_client import MqttConnector
from lanecontrol.port.transport import Broker
from sim.broker import MemoryBroker
from sim.io_modbus import FakeModule, InputsConfig, ModuleConfig
from sim.io_modbus_watchdog import WatchdogConfig
from sim.lanefile import Replaced, lane_file
from sim.readings import Contact

COMES_UP_S = 90.0
"""For what is not measured: a start takes a second, twenty on a machine that eight others use."""
WATCHDOG_S = 1.0
LOOK_EVERY_S = 0.02
POLLED_S = 0.2
FLAG = 4144
OUTPUTS = ("signal_green", "signal_red", "gate_open")
SAFE = {"signal_green": False, "signal_red": True, "gate_open": False}
LOOPS = ("loop_approach", "loop_booth", "loop_exit")
PROFILE = """\
# What the site wrote for its module.
title: relay box of the test
inputs: {area: discrete_inputs, base: 0, count: 8}
outputs: {base: 0, count: 3}
watchdog:
  fed_by: heartbeat
  flag: {area: coils, base: 4144, tripped: 1}
  clear: {area: coils, base: 4144, values: [1]}
  heartbeat: {area: holding_registers, base: 1, values: [1, 2]}
"""


# --- doors -----------------------------------------------------------------------------------------------------------


class Door:
    """Passes connections on to a handler, until it is shut: then those that there are end, and new ones at once."""

    def __init__(self, handler: Callable[[Link], Awaitable[None]]) -> None:
        self._handler = handler
        self._open: set[asyncio.Task[None]] = set()
        self.shut_now = False

    async def serve(self, link: Link) -> None:
        if self.shut_now:
            return
        task = asyncio.ensure_future(self._passed(link))
        self._open.add(task)
        try:
            await asyncio.wait({task})
        finally:
            self._open.discard(task)
            task.cancel()
            await asyncio.wait({task})

    async def _passed(self, link: Link) -> None:
        with suppress(LinkLost):
            await self._handler(link)

    def shut(self) -> None:
        self.shut_now = True
        for task in self._open:
            task.cancel()

    def open(self) -> None:
        self.shut_now = False


class StallDevice:
    """Tells the third party's driver to block the daemon's event loop."""

    def __init__(self) -> None:
        self._links: set[Link] = set()

    async def serve(self, link: Link) -> None:
        self._links.add(link)
        try:
            while True:
                await link.read()
        finally:
            self._links.discard(link)

    async def stall(self, seconds: float) -> None:
        for link in self._links:
            await link.write(b"%.1f\n" % seconds)


# --- the independent client ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Look:
    """What pymodbus read, and when, in the loop's time."""

    at_s: float
    outputs: dict[str, bool]
    tripped: bool

    @property
    def green(self) -> bool:
        return self.outputs["signal_green"]

    @property
    def red(self) -> bool:
        return self.outputs["signal_red"]

    @property
    def safe(self) -> bool:
        return self.outputs == SAFE


@dataclass
class Observer:
    """Reads the module's coils every 20 ms with another implementation of Modbus; keeps what it saw."""

    port: int
    looks: list[Look] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def watch(self) -> None:
        client = AsyncModbusTcpClient("127.0.0.1", port=self.port, timeout=5, retries=0, reconnect_delay=0)
        loop = asyncio.get_running_loop()
        try:
            while True:
                with suppress(ModbusException):
                    if client.connected or await client.connect():
                        coils = await client.read_coils(0, count=len(OUTPUTS), device_id=1)
                        flag = await client.read_coils(FLAG, count=1, device_id=1)
                        if not coils.isError() and not flag.isError():
                            named = dict(zip(OUTPUTS, coils.bits, strict=False))
                            self.looks.append(Look(loop.time(), named, flag.bits[0]))
                            self._news.set()
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            client.close()

    @property
    def now(self) -> Look:
        return self.looks[-1]

    async def until(self, what: Callable[[Look], bool], limit_s: float = COMES_UP_S) -> Look:
        """The first look from now on of which it is true."""
        seen = len(self.looks)
        async with asyncio.timeout(limit_s):
            while True:
                for look in self.looks[seen:]:
                    if what(look):
                        return look
                seen = len(self.looks)
                self._news.clear()
                await self._news.wait()

    async def for_s(self, seconds: float) -> list[Look]:
        """What is seen in the next seconds."""
        seen = len(self.looks)
        await asyncio.sleep(seconds)
        return self.looks[seen:]


def shows(**wanted: bool) -> Callable[[Look], bool]:
    return lambda look: all(look.outputs[name] is on for name, on in wanted.items())


# --- the lane --------------------------------------------------------------------------------------------------------


class Rig(ServedLane):
    """One lane at work; made by `rig`."""

    def __init__(self, folder: Path, store: Path) -> None:
        super().__init__()
        self.folder = folder
        self.store = store
        self.io1 = FakeModule(_signals(), self._acted)
        self.io2 = FakeModule(ModuleConfig(inputs=InputsConfig(points=LOOPS)), self._acted)
        self.stall = StallDevice()
        self.broker = MemoryBroker()
        served = {"io1": self.io1, "io2": self.io2, "rpm1": self.fakes["rpm1"], "rfid1": self.fakes["rfid1"]}
        self.doors = {device: Door(fake.serve) for device, fake in served.items()}
        self.doors |= {"stall1": Door(self.stall.serve), "broker": Door(self.broker.serve)}
        self.observer: Observer
        self.lane_file = folder / "lane.yaml"
        self.environment: dict[str, str] = {}
        self._starts = 0

    def contacts(self, **points: bool) -> None:
        for point, on in points.items():
            (self.io2 if point in LOOPS else self.io1).sense(Contact(point, on))

    def write_lane_file(self, urls: dict[str, str], broker: str) -> None:
        (self.folder / "relays.yaml").write_text(PROFILE, encoding="utf-8")
        settings: dict[str, dict[str, Any]] = {
            "io1": {"profile": "./relays.yaml", "heartbeat_ms": 250, "watchdog_ms": int(WATCHDOG_S * 1000)},
            "io2": {"kind": "io.modbus", "inputs": {name: at for at, name in enumerate(LOOPS)}},
            "stall1": {"kind": "test.stall"},
        }
        text = lane_file(shipped().lane, Replaced("07", urls, broker, self.store, settings=settings))
        zones = [name.removeprefix("loop_") for name in LOOPS]
        loops = [{"name": zone, "device": "io2", "point": f"loop_{zone}", "zone": zone} for zone in zones]
        more = f"loops: {json.dumps(loops)}\nlimits: {{assess_after_s: 0.1}}\n"
        self.lane_file.write_text(text + more, encoding="utf-8")

    async def start(self) -> None:
        """Start the daemon, for the first time or anew, and wait until it has everything in hand."""
        self._starts += 1
        command = [*LANECONTROL, "run", str(self.lane_file)]
        with self.lane_file.with_suffix(".log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *command, env=self.environment, stdin=DEVNULL, stdout=log, stderr=log
            )
        async with asyncio.timeout(COMES_UP_S):
            await self.systemd.hears_again("READY=1", self._starts)
        await self.well()

    async def well(self) -> None:
        """Until the daemon has the module in hand again: the trip is cleared, and a lamp shows."""
        await self.observer.until(lambda look: not look.tripped and (look.green or look.red))

    async def end(self) -> None:
        """Whatever state it is in: killed."""
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def order(self, verb: str, **fields: Any) -> None:
        """Give an order until it is done: after a disturbance the lane needs a moment to trust its devices again."""
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + COMES_UP_S
        while True:
            reply = await self.port.command(ADDRESS, verb, fields, actor=OFFICER)
            if reply.result == "done":
                return
            assert loop.time() < give_up_s, (verb, reply)
            await asyncio.sleep(0.1)

    async def reached(self) -> None:
        """Until the port and the lane hear each other again."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self.port.command(ADDRESS, "acknowledge", {"alarm": "none"}, actor=OFFICER)
                    return

    async def until(self, what: Callable[[], bool], limit_s: float = COMES_UP_S) -> None:
        await super().until(what, limit_s)

    async def life(self, life: str) -> None:
        await self.until(lambda: bool(self.lives) and self.lives[-1] == life)

    @property
    def lives(self) -> list[str]:
        return [data["life"] for data in self.told("lane_life_changed")]

    async def in_turn(self, **points: bool) -> None:
        """Change contacts, and wait: modules are polled, and each change is to be seen before the next."""
        self.contacts(**points)
        await asyncio.sleep(POLLED_S)

    async def vehicle_at_booth(self) -> None:
        """A vehicle drives up and is assessed."""
        before = len(self.told("passage_assessed"))
        await self.in_turn(loop_approach=True)
        await self.in_turn(loop_booth=True)
        await self.in_turn(loop_approach=False)
        await self.until(lambda: len(self.told("passage_assessed")) > before)

    async def release(self) -> None:
        """The officer lets it go: green, and the gate on its way."""
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + COMES_UP_S
        while not self.observer.now.green:
            passage = self.told("passage_assessed")[-1]["passage"]  # after a restart it may be another one
            reply = await self.port.command(
                ADDRESS, "disposition", {"passage": passage, "disposition": "RELEASED"}, actor=OFFICER
            )
            assert loop.time() < give_up_s, reply
            with suppress(TimeoutError):
                await self.observer.until(shows(signal_green=True, gate_open=True), 0.5)


def _signals() -> ModuleConfig:
    """The shipped lane's module with another watchdog: reading does not feed it."""
    config = shipped().fakes["io1"]
    assert isinstance(config, ModuleConfig)
    watchdog = WatchdogConfig(kind="generic", time_s=WATCHDOG_S, safe=SAFE, flag_coil=FLAG)
    return config.model_copy(update={"watchdog": watchdog})


@asynccontextmanager
async def rig(folder: Path, store: Path | None = None) -> AsyncIterator[Rig]:
    """Everything served, and the daemon at work for the first time. Nothing of it is left at the end."""
    lane = Rig(folder, store or folder / "store")
    async with AsyncExitStack() as stack:
        ports = {
            name: await stack.enter_async_context(serve_tcp("127.0.0.1", 0, door.serve))
            for name, door in lane.doors.items()
        }
        own = await stack.enter_async_context(serve_tcp("127.0.0.1", 0, Door(lane.broker.serve).serve))
        eyes = await stack.enter_async_context(serve_tcp("127.0.0.1", 0, Door(lane.io1.serve).serve))
        name = f"e2e-{random.SystemRandom().randrange(10**9)}"
        keys = (f"{name}-{number:08d}" for number in range(10**6))
        lane.port = PortClient(
            MqttConnector(LinkOpener()),
            Broker(f"mqtt://127.0.0.1:{own}", name),
            clock=LoopClock(),
            new_key=keys.__next__,
        )
        await stack.enter_async_context(lane.port)
        await lane.port.subscribe([f"{ADDRESS.root}/event/#"])
        lane.systemd = Systemd(folder)
        stack.callback(lane.systemd.close)
        lane.observer = Observer(eyes)
        for work in (lane.hear(), lane.observer.watch()):
            stack.callback(asyncio.create_task(work).cancel)
        broker = f"mqtt://127.0.0.1:{ports.pop('broker')}"
        lane.write_lane_file({device: f"tcp://127.0.0.1:{port}" for device, port in ports.items()}, broker)
        lane.environment = _environment(folder, lane.systemd)
        lane.contacts(gate_closed=True)
        stack.push_async_callback(lane.end)
        await lane.start()
        await lane.until(lambda: bool(lane.told("gate_moved", state="closed")))
        yield lane


def _environment(folder: Path, systemd: Systemd) -> dict[str, str]:
    site = installed(folder / "site")
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "NOTIFY_SOCKET": systemd.address,
        "PYTHONPATH": os.pathsep.join(paths),
    }
