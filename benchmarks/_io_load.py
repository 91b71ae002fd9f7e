"""What keeps a lane busy while something of it is measured: worlds with their fakes, or plates to be read.

Processes of their own. `fakes` says where its devices are, as JSON on the first line; vehicles come and go without the
lane having a say. `plates` has the worker of the daemon read drawn pictures, one after the other.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.stage import Stage
    from sim.world.rehearsal import Booth

CONFIGS = Path(__file__).parents[1] / "configs"
SERVICE_S = 4.0
WORLDS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("sim-fast.yaml", "fast", {}),
    ("sim.yaml", "demo", {"io1": "io2", "rpm1": "rpm3", "rfid1": "rfid3"}),
    ("sim.yaml", "saturated", {"rpm1": "rpm4"}),
)
"""Simulation, scenario, and what its devices are called in the lane; a device without a name is left out."""


async def fakes() -> None:
    from sim.simfile import load_scenario, load_simfile
    from sim.stage import Stage, Wiring
    from sim.world.rehearsal import Booth
    from sim.world.world import World

    urls: dict[str, str] = {}
    async with AsyncExitStack() as doors, asyncio.TaskGroup() as playing:
        for seed, (file, name, names) in enumerate(WORLDS):
            simulation = load_simfile(CONFIGS / file)
            scenario = load_scenario(CONFIGS / "scenarios" / f"{name}.yaml")
            endless = scenario.model_copy(update={"vehicles": None, "duration_s": None})
            world = World(simulation.scene, endless, seed)
            utc_at_zero_s = time.time() - asyncio.get_running_loop().time()
            stage = Stage(world, simulation.make_fake, simulation.devices, seed=seed, utc_at_zero_s=utc_at_zero_s)
            found = await doors.enter_async_context(stage.serve(Wiring("tcp")))
            urls |= {names.get(device, device): url for device, url in found.items() if not names or device in names}
            booth = Booth(world, SERVICE_S)
            playing.create_task(_play(stage, booth))
        print(json.dumps(urls), flush=True)


async def _play(stage: Stage, booth: Booth) -> None:
    await stage.play(after=booth.work)


def plates() -> None:
    from lanecontrol.plates.messages import Request
    from lanecontrol.plates.process import Process, ReadFailed
    from sim.pictures import scene

    pictures = [scene(f"7ABC{number}", "US-CA", number, 1, (1280, 720), 0.0) for number in range(4)]
    worker, read = Process(), 0
    print(worker.warm(), flush=True)
    while True:
        try:
            worker.ask(Request(tuple(pictures)), 10.0)
        except ReadFailed:
            continue
        read += 1
        print(read, flush=True)


if __name__ == "__main__":
    if hasattr(os, "getpriority"):
        os.nice(-os.getpriority(os.PRIO_PROCESS, 0))
    if sys.argv[1] == "plates":
        plates()
    else:
        asyncio.run(fakes())
