"""A portal in session: description first, samples at their pace, and nothing taken for a sample that is none."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from driver_bench import Bench, Notebook, in_session, make, session_of
from modbus_module import Module
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.rpm_aspect import AspectConfig, AspectPortal
from lanecontrol.errors import LinkLost, ProtocolViolation
from lanecontrol.events import (
    DeviceFault,
    GammaBackground,
    GammaCounts,
    Identity,
    NeutronBackground,
    NeutronCounts,
    OccupancyEnded,
    PortalAlarm,
    PortalExtra,
    PortalSide,
    PortalTamper,
)
from lanecontrol.links import Link, LinkOpener, MemoryNet

DESCRIPTION = [0x4153, 121, 1, 100, 21, 0, 0, 0]
MONITOR = struct.unpack(
    ">21H", bytes.fromhex("e240000100410f810a5a0000000044fa000042320380000300000000402000003fc00011000408ca0021")
)
"""Occupied, gamma alarm, count 2650, background 2000; neutrons 3, background 2.5; object 17."""
VACANT_INPUTS, READY = 0, 0x0F80
ELAPSED = 100


class Portal(Module):
    """A Modbus server with a portal's registers, whose elapsed time runs while it is not frozen."""

    def __init__(self, base: int = 100) -> None:
        super().__init__()
        self.registers[0:8] = [*DESCRIPTION[:3], base, *DESCRIPTION[4:]]
        self.registers[base : base + 21] = MONITOR
        self.base = base
        self.frozen = False
        self.vacate()

    def vacate(self) -> None:
        self.registers[self.base + 2 : self.base + 4] = [VACANT_INPUTS, READY]

    def occupy(self) -> None:
        self.registers[self.base + 2 : self.base + 4] = [0x0041, 0x0F81]

    def restart(self) -> None:
        self.registers[self.base : self.base + 2] = [0, 0]

    async def serve(self, link: Link) -> None:
        running = asyncio.create_task(self._run())
        try:
            await super().serve(link)
        finally:
            running.cancel()
            await asyncio.wait({running})

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            if not self.frozen:
                low, high = self.registers[self.base : self.base + 2]
                elapsed = (low | high << 16) + 50
                self.registers[self.base : self.base + 2] = [elapsed & 0xFFFF, elapsed >> 16 & 0xFFFF]


@asynccontextmanager
async def serving(portal: Module, **settings: Any) -> AsyncIterator[tuple[Bench, Notebook]]:
    notebook = Notebook()
    async with in_session(AspectPortal, portal.serve, notebook, **settings) as (_, bench):
        await asyncio.sleep(0.5)
        yield bench, notebook


async def _failure_of(portal: Module, **settings: Any) -> tuple[BaseException, Notebook]:
    async with in_session(AspectPortal, portal.serve, **settings) as (_, bench):
        return await bench.failure(), bench.notebook


def _faults(notebook: Notebook) -> list[tuple[str, bool]]:
    """Complaints, without the clearing of what an earlier process may have left."""
    told = [(event.code, event.active) for event in notebook.of(DeviceFault)]
    return [fault for n, fault in enumerate(told) if fault[1] or (fault[0], True) in told[:n]]


# --- handshake -------------------------------------------------------------------------------------------------------


async def test_the_description_is_read_first_and_tells_where_the_monitor_block_is() -> None:
    portal = Portal(base=700)
    async with serving(portal) as (_, notebook):
        assert portal.requests[:3] == [(3, 0), (3, 700), (3, 700)]
        assert notebook.identities == [Identity("Aspect", "signature 4153")]
        assert notebook.events[:5] == [
            NeutronBackground((2.5,), exact=True),
            GammaBackground((2000,)),
            PortalAlarm(PortalSide.GAMMA, False),
            PortalAlarm(PortalSide.NEUTRON, False),
            PortalTamper(False),
        ]
        assert notebook.doubts == []


async def test_nothing_is_ever_written() -> None:
    portal = Portal()
    async with serving(portal):
        portal.occupy()
        await asyncio.sleep(5)
    assert {function for function, _ in portal.requests} == {3}


async def test_the_unit_is_a_setting() -> None:
    portal = Portal()
    portal.unit = 31
    async with serving(portal, unit=31) as (_, notebook):
        assert notebook.identities


@pytest.mark.parametrize(
    ("description", "settings", "why"),
    [
        ([1, 121, 1, 100, 20], {}, "a monitor block of 20 registers at 100, not 21 or more"),
        ([1, 121, 1, 65530, 21], {}, "a monitor block of 21 registers at 65530, not 21 or more"),
        ([1, 121, 1, 100, 21], {"signatures": [0x4153]}, "signature 0x0001 is not in the list"),
    ],
)
async def test_a_device_that_is_no_such_portal_is_a_fault(
    description: list[int], settings: dict[str, Any], why: str
) -> None:
    portal = Portal()
    portal.registers[0:5] = description
    failure, notebook = await _failure_of(portal, **settings)
    assert isinstance(failure, ProtocolViolation)
    assert failure.why == why
    assert notebook.identities == []


@pytest.mark.parametrize("refused", [0, 100])
async def test_registers_that_the_device_does_not_have_are_a_fault(refused: int) -> None:
    portal = Portal()
    portal.refuse = lambda function, address: 2 if address == refused else 0
    failure, notebook = await _failure_of(portal)
    assert isinstance(failure, ProtocolViolation)
    assert failure.why == "the portal answers exception 2 (illegal data address)"
    assert notebook.identities == []


async def test_a_busy_portal_is_asked_again_until_it_is_ready() -> None:
    portal = Portal()
    portal.refuse = lambda function, address: 6 if len(portal.requests) < 5 else 0
    async with serving(portal) as (_, notebook):
        await asyncio.sleep(1)
        assert notebook.identities


async def test_a_mute_portal_is_given_up_after_3_s() -> None:
    portal = Portal()
    portal.mute = True
    failure, notebook = await _failure_of(portal)
    assert isinstance(failure, LinkLost)
    assert failure.why == "no answer for 3 s"
    assert notebook.clock.now().mono_s == pytest.approx(3.0, abs=0.01)


# --- samples ---------------------------------------------------------------------------------------------------------


async def test_the_portal_is_asked_every_200_ms_and_every_100_ms_while_occupied() -> None:
    portal = Portal()
    async with serving(portal):
        before = len(portal.requests)
        await asyncio.sleep(10)
        assert len(portal.requests) - before == 50
        portal.occupy()
        await asyncio.sleep(0.3)
        before = len(portal.requests)
        await asyncio.sleep(10)
        assert len(portal.requests) - before == 100


async def test_a_vehicle_with_an_alarm_from_beginning_to_end() -> None:
    portal = Portal()
    async with serving(portal) as (_, notebook):
        await asyncio.sleep(2)
        notebook.events.clear()
        portal.occupy()
        await asyncio.sleep(2)
        portal.vacate()
        await asyncio.sleep(1)
        gamma = notebook.of(GammaCounts)
        first = [type(event) for event in notebook.of(GammaCounts, PortalAlarm)][:7]
        assert first == [GammaCounts] * 6 + [PortalAlarm], "five intervals from before, and the alarm within"
        assert notebook.of(PortalAlarm) == [PortalAlarm(PortalSide.GAMMA, active) for active in (True, False)]
        assert {event.counts for event in gamma} == {(530,)}
        assert 14 <= len(gamma) <= 18
        assert 2 <= len(notebook.of(NeutronCounts)) <= 3
        end = [PortalExtra("OBJECT", ("17", "4", "2250", "01")), OccupancyEnded(17, 2.5)]
        assert notebook.of(PortalExtra, OccupancyEnded) == end


async def test_counts_of_another_time_are_scaled_to_the_lanes() -> None:
    portal = Portal()
    portal.occupy()
    async with serving(portal, count_time_s=0.2) as (_, notebook):
        assert notebook.of(GammaCounts)[0] == GammaCounts((2650,), alarm=False)
        assert notebook.of(GammaBackground) == [GammaBackground((10_000,))]


# --- what is no sample -----------------------------------------------------------------------------------------------

FAILURES: list[tuple[Callable[[Portal], None], str]] = [
    (lambda portal: setattr(portal, "mute", True), "no answer for"),
    (lambda portal: setattr(portal, "refuse", lambda f, a: 4), "the portal answers exception 4 (device failure)"),
    (lambda portal: setattr(portal, "refuse", lambda f, a: 2), "the portal answers exception 2"),
    (lambda portal: setattr(portal, "delay_s", 0.4), "no answer for"),
    (lambda portal: setattr(portal, "frozen", True), "the portal repeats the same values"),
    (lambda portal: setattr(portal, "before_answer", lambda a: a[:6] + b"\x09" + a[7:]), "answer from another unit"),
    (lambda portal: setattr(portal, "before_answer", lambda a: b"\xee\xee" + a[2:]), "no answer for"),
]
IDS = ["mute", "failure", "refusal", "late", "frozen", "other unit", "other transaction"]


@pytest.mark.parametrize(("break_it", "why"), FAILURES, ids=IDS)
async def test_what_is_no_fresh_sample_is_never_published_but_stale_after_1_s_and_lost_after_3_s(
    break_it: Callable[[Portal], None], why: str
) -> None:
    portal = Portal()
    portal.occupy()
    async with serving(portal) as (bench, notebook):
        await asyncio.sleep(1)
        break_it(portal)
        broken_s = notebook.clock.now().mono_s
        failure = await bench.failure()
        assert isinstance(failure, LinkLost)
        assert failure.why.startswith(why)
        lost_s = notebook.clock.now().mono_s
        after = [
            (at_s, event) for at_s, event in zip(notebook.times, notebook.events, strict=True) if at_s > broken_s + 0.2
        ]
        assert [type(event) for _, event in after] == [DeviceFault]
        ((stale_s, stale),) = after
        assert (stale.code, stale.active) == ("stale", True)
        assert stale.detail.startswith(why)
        assert 0.8 <= stale_s - broken_s <= 1.1
        assert lost_s - stale_s == pytest.approx(2.0, abs=0.01)


async def test_values_are_fresh_again_when_the_portal_answers_again() -> None:
    portal = Portal()
    async with serving(portal) as (bench, notebook):
        portal.mute = True
        await asyncio.sleep(2)
        portal.mute = False
        await asyncio.sleep(1)
        assert _faults(notebook) == [("stale", True), ("stale", False)]
        assert not bench.session.done()


async def test_a_frozen_portal_does_not_come_online_again_and_a_thawed_one_does() -> None:
    portal, net, notebook = Portal(), MemoryNet(), Notebook()
    net.listen("device", portal.serve)
    driver = make(AspectPortal, net)
    async with session_of(driver, notebook) as bench:
        await asyncio.sleep(1)
        portal.frozen = True
        assert isinstance(await bench.failure(), LinkLost)
    async with session_of(driver, notebook) as bench:
        assert isinstance(await bench.failure(), LinkLost)
        assert len(notebook.identities) == 1
    portal.frozen = False
    async with session_of(driver, notebook):
        await asyncio.sleep(1)
        assert len(notebook.identities) == 2
        assert _faults(notebook) == [("stale", True), ("stale", False)]
    await net.unlisten_and_wait("device")


async def test_a_portal_whose_elapsed_time_stands_still_can_be_configured_so() -> None:
    portal = Portal()
    portal.frozen = True
    async with serving(portal, elapsed_runs=False) as (bench, notebook):
        await asyncio.sleep(10)
        assert not bench.session.done()
        assert _faults(notebook) == []


async def test_a_restart_ends_the_session_and_the_next_one_tells_of_it() -> None:
    portal, net, notebook = Portal(), MemoryNet(), Notebook()
    net.listen("device", portal.serve)
    driver = make(AspectPortal, net)
    async with session_of(driver, notebook) as bench:
        await asyncio.sleep(1)
        portal.restart()
        failure = await bench.failure()
        assert isinstance(failure, LinkLost)
        assert failure.why == "the portal has restarted: its elapsed time went back"
    async with session_of(driver, notebook):
        await asyncio.sleep(1)
        assert _faults(notebook) == [("restarted", True), ("restarted", False)]
    await net.unlisten_and_wait("device")


async def test_a_stream_that_is_no_modbus_is_dropped() -> None:
    portal = Portal()
    async with serving(portal) as (bench, notebook):
        portal.before_answer = lambda answer: b"\x00" + answer
        assert isinstance(await bench.failure(), LinkLost)
        assert notebook.doubts


async def test_a_peer_that_never_spoke_modbus_is_the_wrong_device() -> None:
    async def chatter(link: Link) -> None:
        await link.write(b"SSH-2.0-something\r\n")
        await asyncio.sleep(60)

    async with in_session(AspectPortal, chatter) as (_, bench):
        assert isinstance(await bench.failure(), ProtocolViolation)


@pytest.mark.parametrize(
    "settings", [{"stale_limit_s": 0.3}, {"silence_timeout_s": 0.5}, {"signatures": [70_000]}, {"unit": 256}]
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        AspectConfig.model_validate({"id": "dev", "url": "mem://device", **settings})


# --- another implementation ------------------------------------------------------------------------------------------


def test_a_server_of_another_make_is_read_and_seen_to_change() -> None:
    asyncio.run(_meet())


async def _meet() -> None:
    words = [*DESCRIPTION, *[0] * 92, *MONITOR, 0, 0, 0]
    device = SimDevice(id=1, simdata=[SimData(0, values=words, datatype=DataType.REGISTERS)])
    server = ModbusTcpServer(device, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    port = cast(asyncio.Server, server.transport).sockets[0].getsockname()[1]
    config = AspectConfig.model_validate(
        {"id": "p", "url": f"tcp://127.0.0.1:{port}", "request_timeout_ms": 2000, "stale_limit_s": 20.0}
        | {"silence_timeout_s": 20.0, "signatures": [0x4153]}
    )
    driver, notebook = AspectPortal(config, LinkOpener().for_device("p")), Notebook()
    try:
        async with session_of(driver, notebook):
            await _until(lambda: bool(notebook.of(GammaCounts)))
            assert notebook.of(GammaCounts)[0] == GammaCounts((530,), alarm=False)
            assert notebook.of(GammaBackground) == [GammaBackground((2000,))]
            for elapsed in range(1, 9):
                await server.async_setValues(1, 3, ELAPSED, [elapsed, 2, VACANT_INPUTS, READY])
                await asyncio.sleep(0.1)
            await _until(lambda: OccupancyEnded(17, 2.5) in notebook.events)
            assert notebook.doubts == []
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the other library has nothing to wait on
            await asyncio.sleep(0.01)
