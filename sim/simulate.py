"""One simulation, whole: world, fakes, broker, the unchanged daemon, an officer, and the score at the end.

Everything in one process and on one event loop, whose clock is virtual (`speed` None), scaled or real.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from lanecontrol.app import Lane, Surroundings
from lanecontrol.clock import AnchoredClock, Clock, LoopClock, RealWork
from lanecontrol.commands import Actor
from lanecontrol.config.load import load
from lanecontrol.links import LinkOpener, MemoryNet, serve_memory
from lanecontrol.port.mqtt_client import MqttConnector
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import Broker
from lanecontrol.scaled_loop import ScaledLoop, scaled_utc
from sim.broker import MemoryBroker, iotcore_broker
from sim.central import CentralSystem
from sim.fake import Fake
from sim.lanefile import Replaced, lane_file, module_settings
from sim.officer import AutomaticOfficer, Manner, Seen
from sim.port_desk import LaneDesk, PortDesk
from sim.readings import Deed
from sim.rpm_rapiscan_recording import RecordingConfig, RecordingPortal
from sim.scan_duty import Given, ScanDuty
from sim.simfile import Simulation
from sim.stage import Stage, Wiring
from sim.virtual_clock import VirtualLoop
from sim.world.scenario import Scenario
from sim.world.truth import Truth
from sim.world.world import World

EPOCH_UTC_S = 1_767_254_400.0
"""2026-01-01 08:00 UTC: where virtual time begins, so that the same seed gives the same stamps."""
SETTLE_S = 60.0
"""Lane time after the last vehicle: orphans are told 30 s after their last read, the gate closes, occupancies end."""
WIND_UP_S = 20.0
"""Real time that the last events may take to the port; on a virtual clock they take none."""
REACH_S = 10.0
"""Real time in which the broker must have been reached."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is simulated, and how."""

    simulation: Simulation
    scenario: Scenario
    seed: int = 7
    lanes: int = 1
    speed: float | None = None
    """Lane seconds per real second; None is as fast as it goes, on a virtual clock."""
    links: str = "tcp"
    """`tcp` for real sockets, `mem` for links within the process, which make a run repeatable byte by byte."""
    broker: str = ""
    """URL of a broker to use; empty brings one."""
    state: Path | None = None
    """Where the lanes' stores are kept; a temporary folder if not given."""
    recording: Path | None = None
    """A portal recording in place of the world's traffic."""


@dataclass(slots=True)
class Run:
    """One lane of a simulation, at work or finished."""

    stage: Stage
    lane: Lane
    desk: LaneDesk
    started_utc_s: float = 0.0
    recorded_wall_s: dict[int, float] = field(default_factory=dict)

    @property
    def truth(self) -> Truth:
        return self.stage.world.truth


@dataclass(slots=True)
class Report:
    """What a simulation leaves: for scoring, for tests."""

    runs: list[Run]
    lane_s: float
    wall_s: float


Watch = Callable[[list[Run], Callable[[], float]], Awaitable[None]]
"""Looks on while the lanes run (the terminal, JSON lines); gets the lane time so far. Cancelled at the end."""


def simulate(options: Options, watch: Watch | None = None) -> Report:
    """Run it.

    Raises ConfigError for a lane file that is wrong, OSError when there can be no broker or store, ImportError without
    the extra `sim` and another broker; in a group LinkLost when the broker is not reached.
    """
    with ExitStack() as stack:
        folder = options.state or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lanecontrol-sim-")))
        folder.mkdir(parents=True, exist_ok=True)
        broker = options.broker or stack.enter_context(_own_broker(options))
        work = RealWork()
        loop, clock = _time(options, work)
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            return runner.run(_Simulating(options, folder, broker, work, clock, loop).all(watch))


@contextmanager
def _own_broker(options: Options) -> Iterator[str]:
    if options.links == "mem":
        yield "mem://broker"
    else:
        with iotcore_broker() as port:
            yield f"mqtt://127.0.0.1:{port}"


def _time(options: Options, work: RealWork) -> tuple[asyncio.AbstractEventLoop, Clock]:
    if options.speed is None:
        return VirtualLoop(work, inline=options.links == "mem"), AnchoredClock(EPOCH_UTC_S)
    anchor_utc_s = time.time()
    return ScaledLoop(options.speed), LoopClock(scaled_utc(options.speed, anchor_utc_s))


class _Simulating:
    """A simulation under way."""

    def __init__(
        self,
        options: Options,
        folder: Path,
        broker: str,
        work: RealWork,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.options = options
        self.pace = options.speed or 1.0
        self.folder = folder
        self.broker = broker
        self.work = work
        self.clock = clock
        self.loop = loop
        self.net = MemoryNet() if options.links == "mem" else None
        self.rng = random.Random(f"simulation/{options.seed}")
        self.connect = MqttConnector(LinkOpener(self.net), work)

    async def all(self, watch: Watch | None) -> Report:
        began = time.perf_counter()
        stop = asyncio.Event()
        async with AsyncExitStack() as stack:
            if self.net is not None:
                await stack.enter_async_context(serve_memory(self.net, "broker", MemoryBroker().serve))
            desk = self._make_desk()
            runs = [await self._make_run(stack, desk, number) for number in range(self.options.lanes)]
            self._hold_for_deliveries(runs)
            async with asyncio.TaskGroup() as side:
                helpers = [side.create_task(desk.run(), name="port desk")]
                await desk.reached(REACH_S * self.pace)
                lane_s = await self._run_lanes(runs, stop, helpers, side, watch)
                for helper in helpers:
                    helper.cancel()
        return Report(runs, lane_s, time.perf_counter() - began)

    async def _run_lanes(
        self,
        runs: list[Run],
        stop: asyncio.Event,
        helpers: list[asyncio.Task[None]],
        side: asyncio.TaskGroup,
        watch: Watch | None,
    ) -> float:
        started_s = self.loop.time()
        async with asyncio.TaskGroup() as lanes:
            for run in runs:
                run.started_utc_s = self.clock.now().utc_s
                lanes.create_task(run.lane.run(stop), name=run.lane.setup.lane)
                if run.desk.officer is not None:
                    helpers.append(side.create_task(run.desk.officer.work(), name="officer"))
            if watch is not None:
                helpers.append(side.create_task(_shown(watch, runs, lambda: self.loop.time() - started_s)))
            await self._play(runs)
            lane_s = self.loop.time() - started_s
            stop.set()
        await self._wind_up(runs)
        return lane_s

    async def _play(self, runs: list[Run]) -> None:
        """Until every world is done, and some time more for what is still to be told."""
        async with asyncio.TaskGroup() as plays:
            for run in runs:
                plays.create_task(run.stage.play() if self.options.recording is None else _recorded(run.stage))
        if self.options.recording is not None:
            await asyncio.sleep(SETTLE_S)
            return
        until_s = self.loop.time() + SETTLE_S
        async with asyncio.TaskGroup() as plays:
            for run in runs:
                plays.create_task(run.stage.play_on(until_s))

    async def _wind_up(self, runs: list[Run]) -> None:
        """Until the port has heard everything that was recorded; a broker that is gone must not hold us for ever."""
        with suppress(TimeoutError):
            async with asyncio.timeout(WIND_UP_S * self.pace):
                for run in runs:
                    await run.desk.has_heard(len(run.recorded_wall_s))

    # --- parts -------------------------------------------------------------------------------------------------------

    def _make_desk(self) -> PortDesk:
        keys = (f"sim-{self.options.seed}-{number:08d}" for number in range(10**8))
        broker = Broker(self.broker, f"lanecontrol-sim-port-{self.options.seed}")
        return PortDesk(
            self.connect,
            broker,
            clock=self.clock,
            new_key=partial(next, keys),
            work=self.work,
            name=self.options.simulation.officer,
        )

    async def _make_run(self, stack: AsyncExitStack, desk: PortDesk, number: int) -> Run:
        options = self.options
        seed = options.seed + number
        world = World(options.simulation.scene, options.scenario, seed)
        make_fake = options.simulation.make_fake if options.recording is None else self._make_recorded
        zero_s = self.clock.now().utc_s - self.loop.time()
        devices = options.simulation.devices
        stage = Stage(world, make_fake, devices, seed=seed, utc_at_zero_s=zero_s, pace=self.pace)
        prefix = f"lane{number}-"
        urls = await stack.enter_async_context(stage.serve(Wiring(options.links, self.net, prefix)))
        recorded: dict[int, float] = {}
        lane = self._make_lane(number, urls, recorded)
        heard = desk.watch(lane.address)
        if options.scenario.central is not None:
            lane_type = lane.setup.lane_type.value
            heard.central = CentralSystem(options.scenario.central, lambda: world.truth, seed, lane_type)
        if options.scenario.officer.present:
            heard.officer = make_officer(desk, lane.address, world, options.scenario, seed)
        return Run(stage, lane, heard, recorded_wall_s=recorded)

    def _make_recorded(self, device: str, act: Callable[[Deed], None]) -> Fake:
        """The portal plays the recording; every other device has its fake."""
        portal = self.options.simulation.scene.portal
        if self.options.recording is not None and portal is not None and device == portal.device:
            return RecordingPortal(RecordingConfig(file=self.options.recording), act)
        return self.options.simulation.make_fake(device, act)

    def _make_lane(self, number: int, urls: Mapping[str, str], recorded: dict[int, float]) -> Lane:
        name = f"{7 + number:02d}"
        path = self.folder / f"lane-{name}.yaml"
        kinds = {device: config.kind for device, config in self.options.simulation.fakes.items()}
        settings = module_settings(kinds, self.pace)
        store = Path(f"store-{name}")  # beside the lane file, wherever that is
        asks = self.options.scenario.central is not None
        own = Replaced(name, urls, self.broker, store, max(self.pace, 1.0), time.time(), settings, asks)
        path.write_text(lane_file(self.options.simulation.lane, own), encoding="utf-8")
        salts = random.Random(self.rng.random())
        virtual = self.options.speed is None
        around = Surroundings(
            clock=self.clock,
            rng=random.Random(self.rng.random()),
            boot="simulated" if virtual else f"{time.time():.0f}",
            memory=self.net,
            work=self.work,
            inline_store=virtual and self.net is not None,
            salt=salts.randbytes,
            recorded=lambda seq: recorded.setdefault(seq, time.perf_counter()),
        )
        return Lane(load(path), around)

    def _hold_for_deliveries(self, runs: list[Run]) -> None:
        """On a virtual clock: no jump while the broker still has events that the port has not heard."""
        if isinstance(self.loop, VirtualLoop):
            for run in runs:
                self.loop.hold_while(lambda run=run: run.lane.delivered > len(run.desk.ids))  # type: ignore[misc]
                self.loop.hold_while(lambda run=run: run.lane.awaits_answers and run.desk.answers)  # type: ignore[misc]


def make_officer(desk: PortDesk, address: LaneAddress, world: World, scenario: Scenario, seed: int) -> AutomaticOfficer:
    """The automatic officer of one lane, who looks at `world` through the booth's window."""

    async def ask(_: str, verb: str, fields: Mapping[str, Any]) -> str:
        return await desk.ask(address, verb, fields)

    async def give(verb: str, fields: Mapping[str, Any], actor: Actor) -> Given:
        return await desk.give(address, verb, fields, actor)

    officer = scenario.officer
    manner = Manner(
        officer.service_time_s, officer.service_time_sd_s, officer.service_time_least_s, officer.wrong_share
    )
    rng = random.Random(f"officer/{seed}")
    scans = None
    if world.scene.scanner is not None:
        scans = ScanDuty(give, world, desk.name, random.Random(f"scans/{seed}"), officer.scanner_share)
    return AutomaticOfficer(address.lane, manner, rng, ask, lambda: _seen_at_booth(world), scans)


async def _recorded(stage: Stage) -> None:
    """The sensors' first state, then nothing but the recording, to its end."""
    stage.tick()
    portal = next(fake for fake in stage.fakes.values() if isinstance(fake, RecordingPortal))
    await portal.done.wait()


def _seen_at_booth(world: World) -> Seen | None:
    there = world.at_booth
    return Seen(there.number, there.persons) if there is not None else None


async def _shown(watch: Watch, runs: list[Run], lane_s: Callable[[], float]) -> None:
    await watch(runs, lane_s)
