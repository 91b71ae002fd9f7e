"""One fake device by itself, in a world that runs without a lane: for benches and for other people's clients."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from lanecontrol.clock import RealWork
from lanecontrol.links import Handler, serve_pty, serve_tcp
from lanecontrol.scaled_loop import ScaledLoop
from sim.fake import load
from sim.simfile import Simulation
from sim.stage import Stage
from sim.virtual_clock import VirtualLoop
from sim.world.rehearsal import Booth
from sim.world.scenario import Scenario
from sim.world.world import World

SERVICE_S = 6.0
"""The booth of this world lets a vehicle go after so long."""


def serve_one(
    options: argparse.Namespace, simulation: Simulation, scenario: Scenario, announce: Callable[[str], None]
) -> int:
    """Serve until interrupted, or for `options.seconds`; `announce` is told the URL to connect to.

    Raises ValueError for a kind or URL that cannot be served."""
    device = _device(simulation, options.kind)
    scheme = urlsplit(options.url).scheme
    if scheme not in ("tcp", "pty"):
        raise ValueError(f"{options.url!r}: serve at tcp://127.0.0.1:PORT or pty:")
    loop = VirtualLoop(RealWork()) if options.speed is None else ScaledLoop(options.speed)
    with asyncio.Runner(loop_factory=lambda: loop) as runner, suppress(KeyboardInterrupt):
        runner.run(_serve(options, simulation, scenario, device, announce))
    return 0


def _device(simulation: Simulation, kind: str) -> str:
    """The simulation's device of this kind: it knows what the world's sensors feed."""
    for device, config in simulation.fakes.items():
        if config.kind == kind:
            return device
    try:
        load(kind)
    except KeyError:
        raise ValueError(f"there is no fake of {kind!r}") from None
    raise ValueError(f"{simulation.path} has no device of kind {kind!r}; add one to its fakes")


async def _serve(
    options: argparse.Namespace,
    simulation: Simulation,
    scenario: Scenario,
    device: str,
    announce: Callable[[str], None],
) -> None:
    world = World(simulation.scene, scenario.model_copy(update={"vehicles": None, "duration_s": None}), options.seed)
    stage = Stage(world, simulation.make_fake, simulation.devices, seed=options.seed)
    booth = Booth(world, SERVICE_S)
    # The outputs of the one module that is served are set by its client; of all others nobody sets any.
    async with _served(options.url, stage.handler(device)) as url:
        announce(url)
        limit_s = None if options.seconds is None else options.seconds * (options.speed or 1.0)
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await stage.play(after=lambda: None if simulation.fakes[device].kind == "io.modbus" else booth.work())


@asynccontextmanager
async def _served(url: str, handler: Handler) -> AsyncIterator[str]:
    parts = urlsplit(url)
    if parts.scheme == "pty":
        async with serve_pty(handler) as path:
            yield f"serial://{path}"
    else:
        async with serve_tcp(parts.hostname or "127.0.0.1", parts.port or 0, handler) as port:
            yield f"tcp://{parts.hostname or '127.0.0.1'}:{port}"
