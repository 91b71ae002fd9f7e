"""The stage: every way to reach the fakes, and a world that waits for nobody."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from fake_bench import virtual

from lanecontrol.errors import LinkLost
from lanecontrol.links import LinkOpener, MemoryNet
from sim.mischief import Mischief, What
from sim.simfile import load_scenario, load_simfile
from sim.stage import Stage, Wiring
from sim.world.world import World

CONFIGS = Path(__file__).parents[2] / "configs"


def stage(vehicles: int = 2, mischief: tuple[Mischief, ...] = ()) -> Stage:
    simulation = load_simfile(CONFIGS / "sim.yaml")
    scenario = load_scenario(simulation.scenario).model_copy(update={"vehicles": vehicles, "mischief": mischief})
    return Stage(World(simulation.scene, scenario, 3), simulation.make_fake, simulation.devices, seed=3)


@pytest.mark.parametrize(
    "how", ["tcp", "mem", pytest.param("pty", marks=pytest.mark.skipif(os.name != "posix", reason="no ptys"))]
)
async def test_every_device_is_reached_at_the_address_that_is_given(how: str) -> None:
    net = MemoryNet()
    async with stage().serve(Wiring(how, net, "lane0-")) as urls:
        assert set(urls) == {"io1", "rpm1", "rfid1"}
        for url in urls.values():
            async with LinkOpener(net).for_device("device").open(url, timeout_s=2.0):
                pass
    assert net.connections() == 0


async def test_after_the_end_nobody_is_there() -> None:
    async with stage().serve(Wiring("tcp")) as urls:
        pass
    with pytest.raises(LinkLost):
        async with LinkOpener().for_device("device").open(urls["io1"], timeout_s=2.0):
            pass


async def test_memory_links_need_a_net() -> None:
    with pytest.raises(ValueError, match="MemoryNet"):
        async with stage().serve(Wiring("mem")):
            pass


@virtual
async def test_faults_begin_and_end_by_the_time_of_the_world() -> None:
    net = MemoryNet()
    played = stage(mischief=(Mischief(device="rpm1", what=What.DROP, at_s=5, for_s=5),))
    async with played.serve(Wiring("mem", net)) as urls:
        opener = LinkOpener(net).for_device("rpm1")
        async with opener.open(urls["rpm1"]) as link:
            await _on_to(4.95, played)
            assert await link.read()
            await _on_to(5.15, played)
            with pytest.raises(LinkLost):
                await link.read()
        await _on_to(10.15, played)
        async with opener.open(urls["rpm1"]) as link:
            await _on_to(20, played)
            assert await link.read()


async def _on_to(lane_s: float, played: Stage) -> None:
    while played.world.now_s < lane_s:
        played.tick()
        await asyncio.sleep(0.1)
