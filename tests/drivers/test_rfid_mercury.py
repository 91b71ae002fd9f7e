"""A module in session: set-up, continuous reading and polling, complaints, silence, stopping at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from driver_bench import Bench, Notebook, in_session, make, session_of
from mercury_module import EPC, KEEP_ALIVE, RECORD, Module, answer, streamed

from drivers.rfid_mercury import MercuryConfig, MercuryReader
from lanecontrol.errors import LinkLost, ProtocolViolation
from lanecontrol.events import DeviceFault, Identity, TagRead
from lanecontrol.identifier import Identifier
from lanecontrol.links import MemoryNet

READ = TagRead(1, Identifier(EPC), -51.0, 1)
SET_UP = [0x2F, 0x03, 0x0C, 0x67, 0x93, 0x92, 0x9A, 0x61, 0x91]


@asynccontextmanager
async def serving(module: Module, **settings: Any) -> AsyncIterator[tuple[Bench, Notebook]]:
    notebook = Notebook()
    async with in_session(MercuryReader, module.serve, notebook, **settings) as (_, bench):
        await asyncio.sleep(0.5)
        yield bench, notebook


async def _failure_of(module: Module, **settings: Any) -> tuple[BaseException, Notebook]:
    async with in_session(MercuryReader, module.serve, **settings) as (_, bench):
        return await bench.failure(), bench.notebook


def _faults(notebook: Notebook) -> list[tuple[str, bool]]:
    """Complaints, without the clearing of what an earlier process may have left."""
    told = [(event.code, event.active) for event in notebook.of(DeviceFault)]
    return [fault for n, fault in enumerate(told) if fault[1] or (fault[0], True) in told[:n]]


# --- set-up ----------------------------------------------------------------------------------------------------------


async def test_every_session_stops_what_runs_and_does_the_whole_set_up() -> None:
    module = Module()
    async with serving(module) as (_, notebook):
        assert module.operations == [*SET_UP, 0x2F]
        assert notebook.identities == [Identity("ThingMagic", "M6e", "", "01.1b.02.05 of 20200101")]
        assert module.data_of(0x92) == [(2700).to_bytes(2, "big")]
        assert module.data_of(0x93) == [b"\x00\x05"]
        assert module.data_of(0x91) == [bytes.fromhex("0201010202")], "the connected ones, to send and to receive"
        assert module.data_of(0x9A) == [bytes.fromhex("010c00")], "no read filter: each read is sent"
        assert [data.hex() for data in module.data_of(0x2F)] == ["000002", "00000122000005072210001b00fa0fff"]
        assert module.reading


async def test_a_module_that_is_still_reading_for_a_host_that_died_is_taken_over() -> None:
    module = Module()
    module.reading = True
    async with serving(module) as (_, notebook):
        assert module.operations == [*SET_UP, 0x2F]
        assert notebook.doubts == []


async def test_a_module_that_does_not_answer_a_stop_is_set_up_all_the_same() -> None:
    module = Module()
    module.mute_for = {0x2F}
    async with in_session(MercuryReader, module.serve) as _:
        await asyncio.sleep(1.2)
        assert module.operations == [*SET_UP, 0x2F]


async def test_a_module_in_its_boot_loader_is_started() -> None:
    module = Module()
    module.program = 0x11
    async with serving(module) as (_, notebook):
        assert module.operations[:5] == [0x2F, 0x03, 0x0C, 0x04, 0x03]
        assert notebook.identities


async def test_a_module_that_was_never_told_a_region_is_told_the_lanes() -> None:
    module = Module()
    module.region = 0
    async with serving(module, region="NA2") as (_, notebook):
        assert module.region == 0x0D
        assert notebook.identities


async def test_a_module_set_to_another_region_is_refused_and_left_as_it_is() -> None:
    module = Module()
    module.region = 0x08
    failure, notebook = await _failure_of(module)
    assert isinstance(failure, ProtocolViolation)
    assert failure.why == "the module is set to region 08, and the lane to 01"
    assert (module.region, notebook.identities) == (0x08, [])


@pytest.mark.parametrize("op", [0x03, 0x0C, 0x67, 0x93, 0x92, 0x9A, 0x61, 0x91])
async def test_a_refusal_in_the_set_up_is_a_fault_with_the_modules_words(op: int) -> None:
    module = Module()
    module.statuses[op] = 0x0103
    failure, notebook = await _failure_of(module)
    assert isinstance(failure, ProtocolViolation)
    assert failure.why == "the module answers status 0103 (power too high)"
    assert notebook.identities == []


@pytest.mark.parametrize("op", [0x03, 0x0C, 0x67, 0x93, 0x92, 0x9A, 0x61, 0x91])
async def test_a_missing_answer_in_the_set_up_is_noticed_after_1_s(op: int) -> None:
    module = Module()
    module.mute_for = {op}
    failure, notebook = await _failure_of(module)
    assert isinstance(failure, LinkLost)
    assert failure.why == "no answer within 1 s"
    assert notebook.clock.now().mono_s == pytest.approx(1.0, abs=0.1)


async def test_the_tid_is_read_along_only_where_it_is_configured() -> None:
    module = Module()
    async with serving(module, read_tid=True):
        assert module.data_of(0x2F)[-1].hex() == "00000122000005" + "13" + "22" + "10001f00fa0fff" + (
            "01" + "09" + "28" + "0000" + "00" + "02" + "00000000" + "06"
        )


# --- reading ---------------------------------------------------------------------------------------------------------


async def test_each_read_is_reported_as_it_comes() -> None:
    module = Module()
    async with serving(module) as (_, notebook):
        await module.send(streamed() + KEEP_ALIVE + streamed())
        await asyncio.sleep(0.1)
        assert notebook.of(TagRead) == [READ, READ]
        assert EPC not in repr(notebook.events)


async def test_wake_up_runs_and_damaged_frames_do_not_end_the_session() -> None:
    module = Module()
    async with serving(module) as (_, notebook):
        damaged = bytearray(streamed())
        damaged[-1] ^= 0x40
        await module.send(b"\xff" * 200 + bytes(damaged) + b"\xff" * 200 + streamed())
        await asyncio.sleep(0.1)
        assert notebook.of(TagRead) == [READ]
        assert len(notebook.doubts) == 1


async def test_a_read_behind_a_beginning_without_an_end_is_not_held_up_for_long() -> None:
    module = Module()
    module.still = True
    async with serving(module) as (_, notebook):
        await module.send(b"\xff\xf0\x22" + streamed())
        await asyncio.sleep(0.12)
        assert notebook.of(TagRead) == [READ]


async def test_a_frame_may_come_in_pieces_with_pauses_below_the_limit() -> None:
    module = Module()
    module.still = True
    async with serving(module) as (_, notebook):
        for at in range(0, len(streamed()), 10):
            await module.send(streamed()[at : at + 10])
            await asyncio.sleep(0.08)
        assert notebook.of(TagRead) == [READ]
        assert notebook.doubts == []


async def test_polling_searches_and_fetches_every_record() -> None:
    module = Module()
    module.buffer = [RECORD] * 5
    async with serving(module, mode="polling") as (_, notebook):
        assert notebook.of(TagRead) == [READ] * 5
        assert len(module.data_of(0x29)) == 3
        assert module.data_of(0x22)[0].hex() == "10001300fa0fff"
        assert module.data_of(0x9A) == [bytes.fromhex("010c01")]
        assert not module.reading
        module.buffer = [RECORD]
        await asyncio.sleep(0.6)
        assert notebook.of(TagRead) == [READ] * 6


async def test_a_refused_search_is_a_fault_and_not_answered_by_a_flood_of_questions() -> None:
    module = Module()
    module.statuses[0x22] = 0x0505
    async with serving(module, mode="polling") as (_, notebook):
        await asyncio.sleep(10)
        assert len(module.data_of(0x22)) <= 44
        assert _faults(notebook) == [("return_loss", True)]


async def test_a_mute_module_is_noticed_while_polling() -> None:
    module = Module()
    async with serving(module, mode="polling") as (bench, _):
        module.mute_for = {0x22, 0x2A}
        before = bench.notebook.clock.now().mono_s
        failure = await bench.failure()
        assert isinstance(failure, LinkLost)
        assert bench.notebook.clock.now().mono_s - before < 1.6


# --- complaints ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "code"), [(0x0504, "temperature"), (0x0505, "return_loss"), (0x0509, "module")])
async def test_a_complaint_is_told_once_and_cleared_when_it_is_not_repeated(status: int, code: str) -> None:
    module = Module()
    async with serving(module, check_s=0) as (_, notebook):
        module.cycle_status = status
        await asyncio.sleep(20)
        assert _faults(notebook) == [(code, True)]
        module.cycle_status = 0x0400
        await asyncio.sleep(9)
        assert _faults(notebook) == [(code, True)]
        await asyncio.sleep(2)
        assert _faults(notebook) == [(code, True), (code, False)]


async def test_a_wanted_antenna_that_is_missing_is_a_fault_and_the_others_are_used() -> None:
    module = Module()
    async with serving(module, antennas=[1, 3]) as (_, notebook):
        assert module.data_of(0x91) == [bytes.fromhex("020101")]
        assert _faults(notebook) == [("antenna_3", True)]


async def test_an_antenna_that_the_module_does_not_have_is_refused() -> None:
    failure, _ = await _failure_of(Module(), antennas=[5])
    assert isinstance(failure, ProtocolViolation)
    assert failure.why == "the module has no antenna 5"


async def test_a_lost_antenna_is_found_out_between_tags_and_used_again_when_it_is_back() -> None:
    module = Module()
    async with serving(module, check_s=10) as (_, notebook):
        module.antennas[2] = False
        await asyncio.sleep(11)
        assert _faults(notebook) == [("antenna_2", True)]
        assert module.data_of(0x91)[-1] == bytes.fromhex("020101")
        module.antennas[2] = True
        await asyncio.sleep(11)
        assert _faults(notebook) == [("antenna_2", True), ("antenna_2", False)]
        assert module.data_of(0x91)[-1] == bytes.fromhex("0201010202")
        assert module.reading


async def test_the_module_is_not_stopped_for_a_check_while_a_vehicle_passes() -> None:
    module = Module()
    async with serving(module, check_s=10):
        for _ in range(15):
            await module.send(streamed())
            await asyncio.sleep(1)
        assert module.data_of(0x72) == []
        await asyncio.sleep(3)
        assert len(module.data_of(0x72)) == 1


async def test_a_module_that_gets_hot_is_a_fault_before_it_complains() -> None:
    module = Module()
    async with serving(module, check_s=10) as (_, notebook):
        module.temperature_c = 90
        await asyncio.sleep(11)
        assert _faults(notebook) == [("temperature", True)]


async def test_a_module_that_was_measured_as_hot_is_so_until_it_is_measured_as_cool() -> None:
    module = Module()
    async with serving(module, check_s=60) as (_, notebook):
        module.temperature_c = 90
        await asyncio.sleep(110)
        assert _faults(notebook) == [("temperature", True)]
        module.temperature_c = 40
        await asyncio.sleep(20)
        assert _faults(notebook) == [("temperature", True), ("temperature", False)]


async def test_noise_that_looks_like_frames_lets_others_have_their_turn() -> None:
    module = Module()
    async with serving(module) as (bench, notebook):
        turns = 0
        await module.send(b"\xff\xf8\x22" * 20_000 + streamed() + KEEP_ALIVE * 50)
        while not bench.session.done() and not notebook.of(TagRead):
            turns += 1
            await asyncio.sleep(0)
        assert turns >= 60_000 // 4096
        assert notebook.of(TagRead) == [READ]


async def test_an_antenna_that_fails_in_the_search_ends_the_session_and_the_next_one_names_it() -> None:
    module, net, notebook = Module(), MemoryNet(), Notebook()
    net.listen("device", module.serve)
    driver = make(MercuryReader, net)
    async with session_of(driver, notebook) as bench:
        await asyncio.sleep(0.5)
        module.antennas[2] = False
        module.cycle_status = 0x0503
        assert isinstance(await bench.failure(), LinkLost)
    module.cycle_status = 0x0400
    module.reading = False
    async with session_of(driver, notebook):
        await asyncio.sleep(0.5)
    assert _faults(notebook) == [("antenna_2", True)]
    await net.unlisten_and_wait("device")


# --- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (answer(0x04), "the module has restarted"),
        (answer(0x2F, b"\x02"), "the module has stopped reading"),
        (answer(0x2F, status=0x0100), "the module has stopped reading"),
        (answer(0x22, bytes.fromhex("10001b0fff00")), "the module has ended its search"),
        (answer(0x22, status=0x7F01), "the module reports status 7f01 (fatal error of the tag protocol)"),
    ],
)
async def test_what_ends_the_reading_ends_the_session_with_its_reason(frame: bytes, why: str) -> None:
    module = Module()
    async with serving(module) as (bench, _):
        await module.send(frame)
        failure = await bench.failure(1.0)
        assert isinstance(failure, LinkLost)
        assert failure.why == why


async def test_silence_of_three_cycles_and_a_second_is_a_lost_link() -> None:
    module = Module()
    async with serving(module) as (bench, notebook):
        module.still = True
        before = notebook.clock.now().mono_s
        failure = await bench.failure()
        assert isinstance(failure, LinkLost)
        assert failure.why == "nothing from the module for 1.75 s"
        assert notebook.clock.now().mono_s - before <= 1.75


async def test_cancelling_stops_the_module() -> None:
    module = Module()
    async with serving(module):
        assert module.reading
    assert not module.reading


async def test_cancelling_waits_at_most_half_a_second_for_a_module_that_does_not_stop() -> None:
    module = Module()
    async with serving(module) as (bench, notebook):
        module.mute_for = {0x2F}
        before = notebook.clock.now().mono_s
        bench.session.cancel()
        await asyncio.wait({bench.session})
        assert notebook.clock.now().mono_s - before == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("moment_s", [0.0, 0.01, 0.3, 10.0])
async def test_a_session_cancelled_at_any_moment_ends_and_closes_its_link(moment_s: float) -> None:
    module = Module()
    async with in_session(MercuryReader, module.serve, check_s=10):
        await asyncio.sleep(moment_s)
    assert not module.reading


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kill_password": "00000000"}, "never writes to, locks, kills or erases"),
        ({"write_epc": "00"}, "never writes to, locks, kills or erases"),
        ({"region": "EU"}, "no such region"),
        ({"region": 0}, "from 1 to 255"),
        ({"metadata": 0x0FF8}, "read count, RSSI and antenna"),
        ({"metadata": 0x000F, "read_tid": True}, "0x0080"),
        ({"antennas": [1, 1]}, "named twice"),
        ({"url": "serial:///dev/ttyUSB0"}, r"write serial:///dev/\.\.\.\?baud=115200"),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_the_reason(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MercuryConfig.model_validate({"id": "dev", "url": "mem://device", **settings})
