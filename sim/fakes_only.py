"""World and fakes in this process, the daemon in another: what a daemon started elsewhere publishes is scored here.

The daemon may be killed and started again as often as anybody likes; the world goes on, and so does the officer.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from lanecontrol.clock import Clock, LoopClock, RealWork
from lanecontrol.config.load import load
from lanecontrol.links import LinkOpener
from lanecontrol.port.mqtt_client import MqttConnector
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import Broker
from lanecontrol.scaled_loop import ScaledLoop, scaled_utc
from sim.lanefile import Replaced, lane_file, module_settings
from sim.port_desk import LaneDesk, PortDesk
from sim.score import Run, score
from sim.score_file import Score
from sim.scoring import received
from sim.simfile import Simulation
from sim.simulate import REACH_S, SETTLE_S, make_officer
from sim.stage import Stage, Wiring
from sim.world.scenario import Scenario
from sim.world.world import World

LANE = "07"
QUIET_S = 5.0
"""Real time without a new event after which the lane is taken to have told everything."""
QUIET_LIMIT_S = 60.0

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What is served, and for whom."""

    simulation: Simulation
    scenario: Scenario
    seed: int
    speed: float
    broker: str
    write_config: Path


def serve_fakes(wanted: Elsewhere, tell: Tell) -> Score:
    """Serve until the world is done, and score. Raises ConfigError for a lane file that is wrong, OSError."""
    with asyncio.Runner(loop_factory=lambda: ScaledLoop(wanted.speed)) as runner:
        return runner.run(_serve(wanted, tell))


async def _serve(wanted: Elsewhere, tell: Tell) -> Score:
    began = time.perf_counter()
    anchor_utc_s = time.time()
    clock = LoopClock(scaled_utc(wanted.speed, anchor_utc_s))
    world = World(wanted.simulation.scene, awaited(wanted.scenario), wanted.seed)
    zero_s = clock.now().utc_s - asyncio.get_running_loop().time()
    make_fake, devices = wanted.simulation.make_fake, wanted.simulation.devices
    stage = Stage(world, make_fake, devices, seed=wanted.seed, utc_at_zero_s=zero_s, pace=wanted.speed)
    async with AsyncExitStack() as stack:
        urls = await stack.enter_async_context(stage.serve(Wiring("tcp")))
        store = wanted.write_config.resolve().with_suffix(".store")
        kinds = {device: config.kind for device, config in wanted.simulation.fakes.items()}
        settings = module_settings(kinds, wanted.speed)
        own = Replaced(LANE, urls, wanted.broker, store, wanted.speed, anchor_utc_s, settings)
        wanted.write_config.write_text(lane_file(wanted.simulation.lane, own), encoding="utf-8")
        setup = load(wanted.write_config).setup
        address = LaneAddress(setup.port, setup.lane, simulated=True)
        port = _desk(wanted, clock)
        desk = port.watch(address)
        if wanted.scenario.officer.present:
            desk.officer = make_officer(port, address, world, wanted.scenario, wanted.seed)
        tell(
            f"lane file written: {wanted.write_config}; waiting for the daemon (lanecontrol run {wanted.write_config})"
        )
        async with asyncio.TaskGroup() as tasks:
            helpers = [tasks.create_task(port.run(), name="port desk")]
            await port.reached(REACH_S * wanted.speed)
            await desk.has_heard(1)
            started_utc_s = clock.now().utc_s
            if desk.officer is not None:
                helpers.append(tasks.create_task(desk.officer.work(), name="officer"))
            helpers.append(tasks.create_task(_progress(world, desk, tell, wanted.speed), name="progress"))
            await stage.play()
            lane_s = world.now_s
            await stage.play_on(asyncio.get_running_loop().time() + SETTLE_S)
            await _until_quiet(desk, wanted.speed)
            for helper in helpers:
                helper.cancel()
    ran = Run(seed=wanted.seed, lane_s=lane_s, wall_s=time.perf_counter() - began, utc_at_zero_s=started_utc_s)
    return score({address.root: world.truth}, received(desk.heard), ran)


def awaited(scenario: Scenario) -> Scenario:
    """With no automatic officer somebody else is the officer: vehicles wait for that person as long as for it."""
    return scenario.model_copy(update={"officer": scenario.officer.model_copy(update={"present": True})})


def _desk(wanted: Elsewhere, clock: Clock) -> PortDesk:
    work = RealWork()
    name = f"lanecontrol-sim-port-{random.SystemRandom().randrange(10**9)}"
    return PortDesk(
        MqttConnector(LinkOpener(), work),
        Broker(wanted.broker, name),
        clock=clock,
        new_key=lambda: uuid.uuid4().hex,
        work=work,
        name=wanted.simulation.officer,
    )


async def _until_quiet(desk: LaneDesk, speed: float) -> None:
    """Until nothing new has come for a while; the loop's seconds are `speed` times as short as real ones."""
    for _ in range(int(QUIET_LIMIT_S / QUIET_S)):
        before = len(desk.ids)
        await asyncio.sleep(QUIET_S * speed)
        if len(desk.ids) == before:
            return


async def _progress(world: World, desk: LaneDesk, tell: Tell, speed: float) -> None:
    while True:
        await asyncio.sleep(5.0 * speed)
        through = sum(vehicle.left_s is not None for vehicle in world.truth.vehicles)
        tell(f"{world.now_s:7.0f} s  {through} vehicles through, {len(desk.ids)} events received")
