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
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from failsafe_watch import (
    COMES_UP_S,
    FLAG,
    LOOK_EVERY_S,
    SAFE,
    WATCHDOG_S,
    Door,
    Observer,
    PolledModule,
    StallDevice,
    shows,
)
from served_lane import ADDRESS, OFFICER, ServedLane, Systemd
from stalling import installed
from whole_system import LANECONTROL, shipped

from lanecontrol.clock import LoopClock
from lanecontrol.links import LinkOpener, serve_tcp
from lanecontrol.port.central import PortClient
from lanecontrol.port.mqtt_client import MqttConnector
from lanecontrol.port.transport import Broker
from sim.broker import MemoryBroker
from sim.io_modbus import FakeModule, InputsConfig, ModuleConfig
from sim.io_modbus_watchdog import WatchdogConfig
from sim.lanefile import Replaced, lane_file
from sim.readings import Contact

LASTS_S = 0.1
"""A change is believed after it has lasted for so long."""
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


# --- first in turn --------------------------------------------------------------------------------------------------


@contextmanager
def first_in_turn() -> Iterator[None]:
    """Before all else on this machine, as the unit file has it for the daemon: what is measured is not the machine.
    Without the right to it (only root has it) as everything else."""
    try:
        in_turn()
    except (AttributeError, OSError):
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def in_turn(process: int = 0) -> None:
    """For its main thread alone, here or in a process that has just begun: children are as any other."""
    os.sched_setscheduler(process, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))


# --- the lane --------------------------------------------------------------------------------------------------------


class Rig(ServedLane):
    """One lane at work; made by `rig`."""

    watched = "io1"
    """The module that is looked at."""

    def __init__(self, folder: Path, store: Path) -> None:
        super().__init__()
        self.folder = folder
        self.store = store
        self.io1 = PolledModule(_signals(), self._acted)
        self.io2 = PolledModule(ModuleConfig(inputs=InputsConfig(points=LOOPS)), self._acted)
        self.stall = StallDevice()
        self.broker = MemoryBroker()
        served = {"io1": self.io1, "io2": self.io2, "rpm1": self.fakes["rpm1"], "rfid1": self.fakes["rfid1"]}
        self.doors = {device: Door(fake.serve) for device, fake in served.items()}
        self.doors |= {"stall1": Door(self.stall.serve), "broker": Door(self.broker.serve)}
        self.observer: Observer
        self.lane_file = folder / "lane.yaml"
        self.environment: dict[str, str] = {}
        self._starts = 0

    @property
    def watched_module(self) -> FakeModule:
        return self.io1

    def make_observer(self, port: int) -> Observer:
        return Observer(port)

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
                *command,
                env=self.environment,
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
            )
        with suppress(AttributeError, OSError):  # as in `first_in_turn`
            in_turn(self.process.pid)
        async with asyncio.timeout(COMES_UP_S):
            await self.systemd.hears_again("READY=1", self._starts)
        await self.well()
        await self.until(lambda: all(self.in_hand(name) or door.shut_now for name, door in self._modules()))

    def _modules(self) -> list[tuple[str, Door]]:
        return [(name, door) for name, door in self.doors.items() if name.startswith("io")]

    def in_hand(self, device: str) -> bool:
        """This run of the daemon has told that the device is online."""
        started = [at for at, (name, _) in enumerate(self.events) if name == "lane_started"]
        if len(started) < self._starts:
            return False
        told = [data for name, data in self.events[started[-1] :] if name == "device_state_changed"]
        return [data["state"] for data in told if data["device"] == device][-1:] == ["online"]

    async def well(self) -> None:
        """Until the daemon has the module in hand again: the trip is cleared, and a lamp shows."""
        await self.observer.until(lambda look: not look.tripped and (look.green or look.red))

    async def until_fed(self) -> None:
        """Until the module's watchdog runs: before the first feed nothing that it could drop was ever granted."""
        async with asyncio.timeout(COMES_UP_S):
            while not self.watched_module.watchdog.running:  # noqa: ASYNC110 - a module tells nobody
                await asyncio.sleep(LOOK_EVERY_S)

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
        try:
            await self.until(lambda: self.lives[-1:] == [life])
        except TimeoutError as error:
            raise AssertionError(f"{life} was not told: {self.lives}, last {self.events[-8:]}") from error

    @property
    def lives(self) -> list[str]:
        return [data["life"] for data in self.told("lane_life_changed")]

    async def in_turn(self, **points: bool) -> None:
        """Change contacts, and wait: modules are polled, and each change is to be seen before the next, and to last."""
        self.contacts(**points)
        polls = self.io1.polls, self.io2.polls
        async with asyncio.timeout(COMES_UP_S):
            while self.io1.polls == polls[0] or self.io2.polls == polls[1]:  # noqa: ASYNC110 - a module tells nobody
                await asyncio.sleep(LOOK_EVERY_S)
        await asyncio.sleep(LASTS_S)

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
async def rig(folder: Path, store: Path | None = None, kind: type[Rig] = Rig) -> AsyncIterator[Rig]:
    """Everything served, and the daemon at work for the first time. Nothing of it is left at the end."""
    lane = kind(folder, store or folder / "store")
    async with AsyncExitStack() as stack:
        stack.enter_context(first_in_turn())
        ports = {
            name: await stack.enter_async_context(serve_tcp("127.0.0.1", 0, door.serve))
            for name, door in lane.doors.items()
        }
        own = await stack.enter_async_context(serve_tcp("127.0.0.1", 0, Door(lane.broker.serve).serve))
        eyes = await stack.enter_async_context(serve_tcp("127.0.0.1", 0, Door(lane.watched_module.serve).serve))
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
        lane.observer = lane.make_observer(eyes)
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
