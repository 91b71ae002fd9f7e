"""The stage: every way to reach the fakes, and a world that waits for nobody."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

import pytest
from fake_bench import virtual

from lanecontrol.errors import LinkLost
from lanecontrol.links import Link, LinkOpener, MemoryNet
from sim.fake import Fake, FakeConfig
from sim.mischief import Mischief, What
from sim.readings import Deed, Reading
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


class Caller(Fake):
    """A device that connects by itself, says so, and calls again a second after it was cut off or found nobody."""

    Config = FakeConfig
    dials = True

    def sense(self, reading: Reading) -> None:
        pass

    async def dial(self, connect: Callable[[], AbstractAsyncContextManager[Link]]) -> None:
        while True:
            with suppress(LinkLost):
                async with connect() as link:
                    await link.write(b"hello")
                    while True:
                        await link.read()
            await asyncio.sleep(1.0)


def stage_with_a_caller(*mischief: Mischief) -> Stage:
    simulation = load_simfile(CONFIGS / "sim.yaml")
    scenario = load_scenario(simulation.scenario).model_copy(update={"vehicles": 2, "mischief": mischief})

    def make(device: str, act: Callable[[Deed], None]) -> Fake:
        return Caller(FakeConfig(kind="caller"), act) if device == "rfid1" else simulation.make_fake(device, act)

    return Stage(World(simulation.scene, scenario, 3), make, simulation.devices, seed=3, utc_at_zero_s=1.7e9)


class Receiver:
    """The daemon's side: listens, and notes who calls."""

    def __init__(self, net: MemoryNet) -> None:
        self.links = LinkOpener(net).for_device("rfid1")
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.lost = 0

    async def serve(self, link: Link) -> None:
        try:
            while True:
                self.heard.put_nowait(await link.read())
        finally:
            self.lost += 1

    def listen(self, url: str) -> AbstractAsyncContextManager[str]:
        return self.links.listen(url, self.serve)


@pytest.mark.parametrize(("how", "scheme"), [("tcp", "listen://127.0.0.1:"), ("pty", "listen://"), ("mem", "mem://")])
async def test_a_device_that_connects_by_itself_comes_to_where_the_daemon_listens(how: str, scheme: str) -> None:
    tasks = asyncio.all_tasks()
    receiver = Receiver(net := MemoryNet())
    played = stage_with_a_caller()
    async with asyncio.timeout(10.0), played.serve(Wiring(how, net, "lane0-")) as urls:
        assert urls["rfid1"].startswith(scheme)
        for _ in range(2):  # the daemon comes, goes and comes again at the same place
            async with receiver.listen(urls["rfid1"]):
                assert await receiver.heard.get() == b"hello"
    assert asyncio.all_tasks() == tasks
    assert played.fakes["rfid1"].utc_at_zero_s == 1.7e9


@virtual
async def test_faults_meet_a_device_that_connects_by_itself_too() -> None:
    receiver = Receiver(net := MemoryNet())
    played = stage_with_a_caller(
        Mischief(device="rfid1", what=What.DROP, at_s=5, for_s=5),
        Mischief(device="rfid1", what=What.REFUSE, at_s=15, for_s=5),
    )
    async with played.serve(Wiring("mem", net)) as urls, receiver.listen(urls["rfid1"]):
        await _on_to(4.95, played)
        assert (receiver.heard.qsize(), receiver.lost) == (1, 0)
        await _on_to(9.5, played)
        assert (receiver.heard.qsize(), receiver.lost) == (1, 1)
        await _on_to(12, played)
        assert (receiver.heard.qsize(), receiver.lost) == (2, 1)
        await _on_to(16, played)
        net.drop("rfid1")
        await _on_to(19.5, played)
        assert (receiver.heard.qsize(), receiver.lost) == (2, 2)
        await _on_to(22, played)
        assert receiver.heard.qsize() == 3


async def test_a_defect_of_a_device_that_connects_by_itself_comes_out_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(self: Caller, connect: object) -> None:
        raise KeyError("defect")

    monkeypatch.setattr(Caller, "dial", broken)
    with pytest.raises(KeyError, match="defect"):
        async with stage_with_a_caller().serve(Wiring("mem", MemoryNet())):
            await asyncio.sleep(0)
