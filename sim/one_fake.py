"""One fake device by itself, in a world that runs without a lane: for benches and for other people's clients."""

from __future__ import annotations

import argparse
import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

from lanecontrol.errors import LinkLost
from lanecontrol.links import parse_url, serve_pty, serve_tcp
from lanecontrol.links.address import TlsListenAddress
from lanecontrol.links.stream import server_context
from lanecontrol.scaled_loop import ScaledLoop
from sim.fake import load
from sim.simfile import Simulation
from sim.stage import Stage
from sim.world.rehearsal import Booth
from sim.world.scenario import Scenario
from sim.world.scene import Scene
from sim.world.world import World

TLS_FORM = "tls://127.0.0.1:PORT?cert=FILE&key=FILE"
PICTURES_ONLY, PICTURES_FROM_M = "lpr.frames", 10.0
"""The camera that takes the place of one that reads plates, and from how far on a vehicle is in its pictures."""
SERVICE_S = 6.0
"""The booth of this world lets a vehicle go after so long."""


def serve_one(
    options: argparse.Namespace, simulation: Simulation, scenario: Scenario, announce: Callable[[str], None]
) -> int:
    """Serve until interrupted, or for `options.seconds`; `announce` is told the URL to connect to.

    A device that connects by itself connects to the URL instead. Raises ValueError for a kind or URL that cannot be
    served.
    """
    simulation, device = with_device(simulation, options.kind)
    scheme = urlsplit(options.url).scheme
    if load(options.kind).dials:
        if scheme not in ("tcp", "tls"):
            raise ValueError(f"{options.url!r}: {options.kind} connects by itself; give tcp://HOST:PORT or tls://")
        parse_url(options.url)
    elif scheme not in ("tcp", "tls", "pty"):
        raise ValueError(f"{options.url!r}: serve at tcp://127.0.0.1:PORT or pty:, or at {TLS_FORM}")
    tls = None if load(options.kind).dials else _tls(options.url)
    if options.speed is None:
        raise ValueError("a client outside has real time: give a --speed that is a number")
    with asyncio.Runner(loop_factory=lambda: ScaledLoop(options.speed)) as runner, suppress(KeyboardInterrupt):
        runner.run(_serve(options, simulation, scenario, device, tls, announce))
    return 0


def home_of(kind: str, simulations: Iterable[Simulation]) -> Simulation:
    """The first of the simulations with a device of this kind or of its kin, the last one if there is none."""
    for simulation in simulations:
        if any(_family(config.kind) == _family(kind) for config in simulation.fakes.values()):
            break
    return simulation


def _family(kind: str) -> str:
    return kind.partition(".")[0]


def with_device(simulation: Simulation, kind: str) -> tuple[Simulation, str]:
    """The simulation with a device of this kind, and which that is.

    Where there is none, the new kind takes the place, and so the sensors, of its kin: `rfid.mercury` of `rfid.llrp`.
    """
    try:
        made = load(kind)
    except KeyError:
        raise ValueError(f"there is no fake of {kind!r}") from None
    kinds = {device: config.kind for device, config in simulation.fakes.items()}
    for device, known in kinds.items():
        if known == kind:
            return simulation, device
    for device, known in kinds.items():
        if _family(known) == _family(kind):
            config = made.Config.model_validate({"kind": kind})
            scene = _pictured(simulation.scene, device) if kind == PICTURES_ONLY else simulation.scene
            return replace(simulation, scene=scene, fakes={**simulation.fakes, device: config}), device
    raise ValueError(f"{simulation.path} has no device of kind {kind!r}; add one to its fakes")


def _pictured(scene: Scene, device: str) -> Scene:
    """The scene with vehicles in this camera's pictures: one that reads plates itself needs none."""
    cameras = tuple(
        site.model_copy(update={"pictures_from_m": site.pictures_from_m or PICTURES_FROM_M})
        if site.device == device
        else site
        for site in scene.cameras
    )
    return scene.model_copy(update={"cameras": cameras})


async def _serve(
    options: argparse.Namespace,
    simulation: Simulation,
    scenario: Scenario,
    device: str,
    tls: ssl.SSLContext | None,
    announce: Callable[[str], None],
) -> None:
    world = World(simulation.scene, scenario.model_copy(update={"vehicles": None, "duration_s": None}), options.seed)
    utc_at_zero_s = time.time() - asyncio.get_running_loop().time()
    clock = {"utc_at_zero_s": utc_at_zero_s, "pace": options.speed}
    stage = Stage(world, simulation.make_fake, simulation.devices, seed=options.seed, **clock)
    booth = Booth(world, SERVICE_S)
    # The outputs of the one module that is served are set by its client; of all others nobody sets any.
    async with _served(options.url, tls, stage, device) as url:
        announce(url)
        limit_s = None if options.seconds is None else options.seconds * options.speed
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await stage.play(after=lambda: None if simulation.fakes[device].kind == "io.modbus" else booth.work())


@asynccontextmanager
async def _served(url: str, tls: ssl.SSLContext | None, stage: Stage, device: str) -> AsyncIterator[str]:
    parts = urlsplit(url)
    host = parts.hostname or "127.0.0.1"
    if stage.fakes[device].dials:
        async with stage.dialling(device, url):
            yield url
    elif parts.scheme == "pty":
        async with serve_pty(stage.handler(device)) as path:
            yield f"serial://{path}"
    else:
        async with serve_tcp(host, parts.port or 0, stage.handler(device), tls=tls) as port:
            yield f"{parts.scheme}://{host}:{port}"


def _tls(url: str) -> ssl.SSLContext | None:
    """What to serve a `tls:` URL with. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme != "tls":
        return None
    files = dict(parse_qsl(parts.query))
    if "cert" not in files or files.keys() - {"cert", "key", "ca"}:
        raise ValueError(f"{url!r}: give {TLS_FORM}, and ca=FILE where clients need a certificate of that authority")
    try:
        return server_context(TlsListenAddress(parts.hostname or "127.0.0.1", parts.port or 0, **files))
    except LinkLost as error:
        raise ValueError(f"{url!r}: {error}") from None
