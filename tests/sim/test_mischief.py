"""Every kind of mischief does what it says, when lane time says so, and heals."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from fake_bench import virtual
from hypothesis import given
from hypothesis import strategies as st

from lanecontrol.errors import ConfigError, LinkLost
from lanecontrol.links import Link, MemoryNet, serve_memory
from sim.mischief import Bent, Mischief, Mischiefs, What, serve_with
from sim.readings import Contact, Vacant
from sim.scoring import scored
from sim.simfile import load_scenario, load_simfile
from sim.simulate import Options, simulate

CONFIGS = Path(__file__).parents[2] / "configs"


class Place:
    """A device that echoes, its faults, and a lane clock turned by hand."""

    def __init__(self, *planned: Mischief) -> None:
        self.lane_s = 0.0
        self.net = MemoryNet()
        self.faults = Mischiefs(planned, lambda: self.lane_s, random.Random(1))
        self.served = 0

    def turn_to(self, lane_s: float) -> None:
        self.lane_s = lane_s
        self.faults.tick()

    async def _echo(self, link: Link) -> None:
        self.served += 1
        while True:
            await link.write(await link.read())

    async def _serve(self, link: Link) -> None:
        await serve_with(link, self.faults, self._echo)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Link]:
        async with serve_memory(self.net, "device", self._serve):
            yield self.net.connect("device")


def fault(what: What, at_s: float = 10.0, for_s: float = 10.0, **more: Any) -> Mischief:
    return Mischief(device="device", what=what, at_s=at_s, for_s=for_s, **more)


async def asked(link: Link, data: bytes, limit_s: float = 0.5) -> bytes:
    """What comes back within a while."""
    await link.write(data)
    found = b""
    try:
        async with asyncio.timeout(limit_s):
            while True:
                found += await link.read()
    except TimeoutError:
        return found


# --- on the line -----------------------------------------------------------------------------------------------------


@virtual
async def test_refuse_closes_new_connections_at_once_and_leaves_old_ones_alone() -> None:
    place = Place(fault(What.REFUSE))
    async with place.client() as old:
        assert await asked(old, b"one") == b"one"
        place.turn_to(10)
        assert await asked(old, b"two") == b"two"
        with pytest.raises(LinkLost):
            await asked(place.net.connect("device"), b"new")
        place.turn_to(20)
        assert await asked(place.net.connect("device"), b"new") == b"new"


@virtual
async def test_drop_cuts_a_connection_when_lane_time_comes_and_every_new_one_until_it_is_over() -> None:
    place = Place(fault(What.DROP, 10, 10), fault(What.DROP, 30, 10))
    async with place.client() as link:
        await asyncio.sleep(60)  # loop time alone must not cut it
        assert await asked(link, b"one") == b"one"
        place.turn_to(10)
        with pytest.raises(LinkLost):
            await link.read()
        with pytest.raises(LinkLost):
            await asked(place.net.connect("device"), b"new")
        place.turn_to(20)
        again = place.net.connect("device")
        assert await asked(again, b"two") == b"two"
        place.turn_to(30)
        with pytest.raises(LinkLost):
            await again.read()


@virtual
async def test_freeze_keeps_the_connection_and_moves_nothing_also_when_it_begins_in_a_read() -> None:
    place = Place(fault(What.FREEZE))
    async with place.client() as link:
        assert await asked(link, b"one") == b"one"
        place.turn_to(10)
        assert await asked(link, b"two", limit_s=30) == b""
        place.turn_to(20)
        assert await asked(link, b"three") == b"twothree"


@virtual
async def test_what_a_frozen_device_would_have_said_is_gone() -> None:
    place = Place(fault(What.DELAY, 5, 100, pause_s=1.0), fault(What.FREEZE))
    async with place.client() as link:
        place.turn_to(5)
        await link.write(b"asked before, answered during")
        await asyncio.sleep(0.5)
        place.turn_to(10)
        await asyncio.sleep(5)
        place.turn_to(20)
        assert await asked(link, b"after", 3) == b"after"


@virtual
async def test_drip_sends_byte_by_byte_and_the_rest_at_once_when_it_is_over() -> None:
    place = Place(fault(What.DRIP, pause_s=0.1))
    async with place.client() as link:
        place.turn_to(10)
        await link.write(b"abcdef")
        pieces = [await link.read() for _ in range(3)]
        assert pieces == [b"a", b"b", b"c"]
        place.turn_to(20)
        assert await link.read() == b"def"
        assert await asked(link, b"whole") == b"whole"


@virtual
async def test_writes_stay_together_and_in_order_under_drip_and_delay() -> None:
    place = Place(fault(What.DRIP, pause_s=0.01), fault(What.DELAY, 10, 10, pause_s=1.0))
    together = asyncio.Event()

    async def talkative(link: Link) -> None:
        async with asyncio.TaskGroup() as tasks:
            for word in (b"first ", b"second ", b"third "):
                tasks.create_task(link.write(word))
            await asyncio.sleep(0.5)
            place.turn_to(20)  # what comes after the delay must not overtake what came during it
            tasks.create_task(link.write(b"last"))
        together.set()
        await link.read()

    place._echo = talkative  # type: ignore[method-assign]
    place.turn_to(10)
    async with place.client() as link:
        await together.wait()
        assert await link.read() == b"first second third last"


@virtual
async def test_delay_sends_everything_late() -> None:
    place = Place(fault(What.DELAY, pause_s=2.0))
    loop = asyncio.get_running_loop()
    async with place.client() as link:
        place.turn_to(10)
        began_s = loop.time()
        await link.write(b"late")
        assert await link.read() == b"late"
        assert loop.time() - began_s == pytest.approx(2.0)
        place.turn_to(20)
        began_s = loop.time()
        await link.write(b"in time")
        assert await link.read() == b"in time"
        assert loop.time() == began_s


@virtual
async def test_garble_changes_the_share_of_bytes_that_it_says() -> None:
    place = Place(fault(What.GARBLE, share=0.1))
    async with place.client() as link:
        place.turn_to(10)
        sent = bytes(20_000)
        came = await asked(link, sent)
        assert len(came) == len(sent)
        assert sum(byte != 0 for byte in came) == pytest.approx(2000, rel=0.15)
        place.turn_to(20)
        assert await asked(link, b"clean") == b"clean"


@virtual
async def test_duplicate_sends_everything_twice() -> None:
    place = Place(fault(What.DUPLICATE))
    async with place.client() as link:
        place.turn_to(10)
        assert await asked(link, b"ab") == b"abab"
        place.turn_to(20)
        assert await asked(link, b"ab") == b"ab"


@virtual
async def test_a_client_that_goes_during_a_fault_leaves_nothing_behind() -> None:
    for what in What:
        place = Place(fault(what, 0, 1000, pause_s=100))
        async with place.client() as link:
            with suppress(LinkLost):
                await link.write(b"bye")
            await asyncio.sleep(1)
            await link.close()
        assert place.net.connections() == 0
    assert len(asyncio.all_tasks()) == 1


# --- at the sensors --------------------------------------------------------------------------------------------------


class Sensors:
    def __init__(self, *planned: Mischief) -> None:
        self.lane_s = 0.0
        self.bent = Bent(Mischiefs(planned, lambda: self.lane_s, random.Random(1)))
        self.shown: dict[str, bool] = {}
        self.others = 0

    def sense(self, reading: Any) -> None:
        for noticed in self.bent.take(reading):
            self._show(noticed)

    def turn_to(self, lane_s: float) -> None:
        self.lane_s = lane_s
        for noticed in self.bent.catch_up():
            self._show(noticed)

    def _show(self, noticed: Any) -> None:
        if isinstance(noticed, Contact):
            self.shown[noticed.point] = noticed.on
        else:
            self.others += 1


def test_stuck_sensors_keep_their_value_and_show_what_is_true_afterwards() -> None:
    sensors = Sensors(fault(What.STICK))
    sensors.sense(Contact("loop", True))
    sensors.turn_to(10)
    sensors.sense(Contact("loop", False))
    sensors.sense(Vacant((1.0,), (1.0,)))
    assert (sensors.shown, sensors.others) == ({"loop": True}, 0)
    sensors.turn_to(20)
    sensors.sense(Vacant((1.0,), (1.0,)))
    assert (sensors.shown, sensors.others) == ({"loop": False}, 1)


def test_lying_contacts_show_the_opposite_from_the_beginning_to_the_end_of_the_lie() -> None:
    sensors = Sensors(fault(What.LIE))
    sensors.sense(Contact("loop", False))
    sensors.turn_to(10)
    assert sensors.shown == {"loop": True}
    sensors.sense(Contact("loop", True))
    assert sensors.shown == {"loop": False}
    sensors.turn_to(20)
    assert sensors.shown == {"loop": True}


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b"]), st.booleans(), st.floats(0, 5)), max_size=30),
    st.sampled_from([What.STICK, What.LIE]),
)
def test_contacts_are_true_again_after_every_fault(changes: list[tuple[str, bool, float]], what: What) -> None:
    sensors, true = Sensors(fault(what)), {}
    for point, on, later_s in changes:
        sensors.turn_to(sensors.lane_s + later_s)
        sensors.sense(Contact(point, on))
        true[point] = on
    sensors.turn_to(1000)
    assert sensors.shown == true


# --- in a scenario ---------------------------------------------------------------------------------------------------


def test_a_scenario_may_not_name_a_device_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("title: t\nmischief:\n  - {device: io2, what: drop, at_s: 1}\n")
    with pytest.raises(ConfigError) as caught:
        load_scenario(path, load_simfile(CONFIGS / "sim.yaml").devices)
    assert str(caught.value) == f"{path}:3:14: there is no device 'io2', known here: io1, rfid1, rpm1"


@pytest.mark.slow
def test_a_run_under_every_mischief_loses_no_event() -> None:
    simulation = load_simfile(CONFIGS / "sim.yaml")
    scenario = load_scenario(CONFIGS / "scenarios" / "mischief.yaml", simulation.devices)
    scenario = scenario.model_copy(update={"vehicles": 60})
    assert {fault.what for fault in scenario.mischief} == set(What)
    report = simulate(Options(simulation, scenario, seed=3, links="mem"))
    events = scored(report, 3).to_plain()["events"]
    assert (events["lost"], events["out_of_order"], events["duplicated"]) == (0, 0, 0)
    assert events["recorded"] == events["acknowledged"]
    lost = {device.device: device.lost for device in report.runs[0].lane.snapshot().devices}
    assert lost["io1"] >= 2, "the faults must have been felt"
    assert lost["rfid1"] >= 2
    assert lost["rpm1"] >= 1
