"""The fake Aspect portal: its register map, its occupancies and alarms, its refusals, also seen by pymodbus."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fake_bench import client_of, lost, received, virtual
from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus.client import AsyncModbusTcpClient

from lanecontrol.errors import LinkLost
from lanecontrol.links import MemoryLink, serve_tcp
from sim.readings import (
    Contact,
    GammaInterval,
    NeutronSecond,
    OccupancyOver,
    Reading,
    SpeedMeasured,
    TagAnswer,
    Tamper,
    Vacant,
)
from sim.rpm_aspect import AspectConfig, FakeAspect
from sim.rpm_aspect_map import Channel, Input, Monitor, Output, Reckoning, detectors, float_words

VACANT = Vacant((500.0, 500.0, 500.0, 500.0), (1.5, 0.0, 1.0, 0.0))
QUIET, LOUD = GammaInterval((90, 100, 95, 85), alarm=False), GammaInterval((120, 150, 130, 130), alarm=True)
OVER = OccupancyOver(1, 2.5)
READ_MONITOR = bytes.fromhex("000200000006010300640015")


class Bench:
    """A portal and one client."""

    def __init__(self, link: MemoryLink, portal: FakeAspect) -> None:
        self.link = link
        self.portal = portal

    def sense(self, *readings: Reading) -> None:
        for reading in readings:
            self.portal.sense(reading)

    async def ask(self, pdu: str, unit: int = 1) -> str:
        """PDU in hex to the PDU of the answer."""
        body = bytes.fromhex(pdu)
        await self.link.write(struct.pack(">HHHB", 7, 0, len(body) + 1, unit) + body)
        answer = await self._answer()
        assert answer[:4] == b"\0\7\0\0"
        assert int.from_bytes(answer[4:6], "big") == len(answer) - 6
        assert answer[6] == unit
        return answer[7:].hex()

    async def _answer(self) -> bytes:
        async with asyncio.timeout(5):
            return await self.link.read()

    async def registers(self) -> tuple[int, ...]:
        """The monitor block."""
        await self.link.write(READ_MONITOR)
        answer = await self._answer()
        assert answer[:9] == bytes.fromhex("00020000002d01032a")
        return struct.unpack(">21H", answer[9:])

    async def inputs(self) -> Input:
        return Input((await self.registers())[2])

    async def gamma(self) -> Channel:
        return Channel((await self.registers())[3])


@asynccontextmanager
async def bench(**config: Any) -> AsyncIterator[Bench]:
    portal = FakeAspect(AspectConfig.model_validate(config), lambda deed: None)
    async with client_of(portal.serve) as client:
        yield Bench(client, portal)


def long(registers: tuple[int, ...], at: int) -> int:
    return registers[at] | registers[at + 1] << 16


def real(registers: tuple[int, ...], at: int) -> float:
    value: float = struct.unpack(">f", struct.pack(">HH", registers[at + 1], registers[at]))[0]
    return value


# --- vectors ---------------------------------------------------------------------------------------------------------


@virtual
async def test_the_description_is_answered_byte_for_byte() -> None:
    async with bench() as lane:
        await lane.link.write(bytes.fromhex("000100000006010300000008"))
        assert (await lane.link.read()).hex() == "00010000001301031041530079000100640015000000000000"


def test_a_monitor_block_lies_in_its_registers_low_word_first() -> None:
    gamma = Reckoning(Channel.ALARM_1 | Channel.READY | detectors(4), 2650, 2000.0, 44.5)
    neutron = Reckoning(Channel.READY | detectors(2), 3, 2.5, 1.5)
    inputs = Input.OCCUPIED_0 | Input.DIRECTION_01
    monitor = Monitor(123456, inputs, gamma, neutron, 17, 4, 2250, Output.ALARM | Output.BUSY)
    assert struct.pack(">21H", *monitor.words()).hex() == (
        "e240000100410f810a5a0000000044fa000042320380000300000000402000003fc00011000408ca0021"
    )


@virtual
async def test_the_same_moment_is_told_by_readings() -> None:
    async with bench(elapsed_at_start=123456, counter_at_start=16) as lane:
        lane.sense(VACANT, NeutronSecond((2, 0, 1, 0), alarm=False), *[LOUD] * 5, SpeedMeasured(2.25))
        words = await lane.registers()
        # The vector's variances are not those of Poisson counts; all else is the same.
        assert words[2:8] == (0x0041, 0x0F81, 2650, 0, 0x0000, 0x44FA)
        assert long(words, 0) == 123456
        assert words[10:15] == (0x0380, 3, 0, 0x0000, 0x4020)
        assert words[17:] == (17, 4, 2250, 0x0021)


@virtual
async def test_a_read_outside_of_the_blocks_is_refused_as_in_the_vector() -> None:
    async with bench(base=200) as lane:
        await lane.link.write(READ_MONITOR)
        assert (await lane.link.read()).hex() == "000200000003018302"


# --- the map ---------------------------------------------------------------------------------------------------------


@virtual
async def test_parts_of_a_block_can_be_read_but_not_beyond_it() -> None:
    async with bench() as lane:
        lane.sense(VACANT)
        assert await lane.ask("0300030002") == "030400640015"
        assert await lane.ask("0300660001") == "03020000"
        assert await lane.ask("0300780001") == "03020100", "the outputs: green"
        for outside in ("0300000009", "0300080001", "0300630015", "0300640016", "0300790001", "03ffff0001"):
            assert await lane.ask(outside) == "8302"
        assert await lane.ask("0300000000") == "8303"
        assert await lane.ask("030000007e") == "8303"
        assert await lane.ask("03000000") == "8303"


@virtual
async def test_the_monitor_block_can_lie_elsewhere() -> None:
    async with bench(base=0x1000, signature=0xBEEF, block_id=7) as lane:
        assert await lane.ask("0300000005") == "030abeef1015000710000015"
        assert (await lane.ask("0310000015")).startswith("032a")


@virtual
async def test_every_other_function_is_refused() -> None:
    async with bench() as lane:
        for function in (1, 2, 4, 5, 6, 15, 16, 43, 0x7F):
            answer = await lane.ask(f"{function:02x}00640001")
            assert answer == f"{function | 0x80:02x}01"


@virtual
async def test_it_answers_as_its_unit_and_refuses_for_every_other() -> None:
    async with bench(unit=5) as lane:
        for unit in range(32):
            answer = await lane.ask("0300000001", unit)
            assert answer == ("03024153" if unit == 5 else "830b")


# --- occupancies -----------------------------------------------------------------------------------------------------


@virtual
async def test_a_vacant_portal_tells_its_background() -> None:
    async with bench() as lane:
        lane.sense(VACANT)
        words = await lane.registers()
        assert (words[2], words[3], words[10]) == (0, 0x0F80, 0x0380)
        assert (long(words, 4), real(words, 6), real(words, 8)) == (2000, 2000.0, 2000.0)
        assert (long(words, 11), real(words, 13), real(words, 15)) == (2, 2.5, 2.5)
        assert words[17:] == (0, 0, 0, Output.ENTRY_GREEN)


@virtual
async def test_an_occupancy_moves_the_counter_as_it_begins_and_clears_its_bits_as_it_ends() -> None:
    async with bench(direction="10", occupancy_sensors=2) as lane:
        lane.sense(VACANT, NeutronSecond((1, 0), alarm=False), QUIET)
        words = await lane.registers()
        assert (words[2], words[17], words[18]) == (0x0083, 1, 4)
        assert words[20] == Output.BUSY
        lane.sense(QUIET, OVER)
        words = await lane.registers()
        assert (words[2], words[17], words[20]) == (0, 1, Output.ENTRY_GREEN)
        lane.sense(QUIET)
        assert (await lane.registers())[17] == 2


@virtual
async def test_counts_are_those_of_the_last_second() -> None:
    async with bench() as lane:
        lane.sense(VACANT, *(GammaInterval((n, 0, 0, 0), alarm=False) for n in (1, 10, 100, 1000, 10_000, 100_000)))
        assert long(await lane.registers(), 4) == 111_110
        lane.sense(NeutronSecond((3, 4), alarm=False), NeutronSecond((70_000, 1), alarm=False))
        assert long(await lane.registers(), 11) == 70_001
        lane.sense(OVER, QUIET)
        words = await lane.registers()
        assert long(words, 4) == 370, "an occupancy begins with its own"
        assert long(words, 11) == 2


@virtual
async def test_an_alarm_stays_until_its_occupancy_is_over() -> None:
    async with bench() as lane:
        lane.sense(VACANT, QUIET, LOUD, QUIET)
        await asyncio.sleep(10)
        lane.sense(QUIET)
        assert Channel.ALARM_1 in await lane.gamma()
        assert (await lane.registers())[10] & Channel.ALARM_1 == 0
        assert (await lane.registers())[20] == Output.ALARM | Output.BUSY
        lane.sense(OVER)
        assert Channel.ALARM_1 not in await lane.gamma()
        lane.sense(QUIET, NeutronSecond((9, 9), alarm=True))
        words = await lane.registers()
        assert (words[3] & Channel.ALARM_1, words[10] & Channel.ALARM_1) == (0, Channel.ALARM_1)


@virtual
async def test_which_alarm_bit_it_sets_is_a_setting() -> None:
    async with bench(alarm_bit=2) as b:
        b.sense(VACANT, LOUD, NeutronSecond((9, 0, 9, 0), alarm=True))
        registers = await b.registers()
        for status in (registers[3], registers[10]):
            assert Channel(status) & (Channel.ALARM_1 | Channel.ALARM_2) == Channel.ALARM_2
        assert Output(registers[20]) & Output.ALARM


@virtual
async def test_a_frozen_portal_answers_with_the_same_values_until_it_thaws_or_restarts() -> None:
    async with bench() as b:
        b.sense(VACANT)
        before = await b.registers()
        b.portal.freeze(True)
        await asyncio.sleep(5)
        b.sense(LOUD)
        assert await b.registers() == before
        assert (await b.ask("0300000008"))[:4] == "0310", "the rest of it answers as ever"
        b.portal.freeze(False)
        after = await b.registers()
        assert long(after, 0) - long(before, 0) == 5000
        assert Input(after[2]) & Input.OCCUPIED_0
        b.portal.freeze(True)
        b.portal.restart()
    async with client_of(b.portal.serve) as client:
        again = Bench(client, b.portal)
        assert long(await again.registers(), 0) == 0


@virtual
async def test_a_slow_portal_answers_one_request_after_the_other() -> None:
    async with bench(delay_s=0.4) as b:
        b.sense(VACANT)
        began = asyncio.get_running_loop().time()
        await b.registers()
        assert asyncio.get_running_loop().time() - began == pytest.approx(0.4)
        await b.link.write(READ_MONITOR * 2)
        await b._answer()
        assert asyncio.get_running_loop().time() - began == pytest.approx(0.8)
        await b._answer()
        assert asyncio.get_running_loop().time() - began == pytest.approx(1.2)


@virtual
async def test_the_other_word_order_turns_round_every_value_of_two_registers_and_no_other() -> None:
    async with bench() as low, bench(words="high_first") as high:
        for b in (low, high):
            b.sense(VACANT, LOUD)
        await asyncio.sleep(70)
        first, second = await low.registers(), await high.registers()
        turned = list(second)
        for at in (0, 4, 6, 8, 11, 13, 15):
            turned[at], turned[at + 1] = second[at + 1], second[at]
        assert long(first, 0) == 70_000
        assert tuple(turned) == first


@virtual
async def test_an_alarm_in_the_last_interval_is_shown_long_enough_to_be_polled() -> None:
    async with bench() as lane:
        lane.sense(VACANT, QUIET, LOUD, OVER)
        await asyncio.sleep(0.4)
        assert Channel.ALARM_1 in await lane.gamma()
        assert Input.OCCUPIED_0 in await lane.inputs()
        await asyncio.sleep(0.2)
        assert Channel.ALARM_1 not in await lane.gamma()
        assert await lane.inputs() == Input(0)


@virtual
async def test_the_next_vehicle_takes_nothing_over_from_an_alarm_still_shown() -> None:
    async with bench() as lane:
        lane.sense(VACANT, LOUD, SpeedMeasured(3.0), OVER, QUIET)
        words = await lane.registers()
        assert (words[3] & Channel.ALARM_1, words[17], words[19]) == (0, 2, 0)


@virtual
async def test_speed_is_in_millimetres_a_second_and_cut_to_its_register() -> None:
    async with bench() as lane:
        for speed_mps, register in ((0.0, 0), (2.2504, 2250), (65.5354, 65535), (300.0, 65535)):
            lane.sense(QUIET, SpeedMeasured(speed_mps))
            assert (await lane.registers())[19] == register


@virtual
async def test_the_object_counter_wraps() -> None:
    async with bench(counter_at_start=65535) as lane:
        assert (await lane.registers())[17] == 65535
        lane.sense(QUIET, OVER)
        assert (await lane.registers())[17] == 0
        lane.sense(QUIET, OVER)
        assert (await lane.registers())[17] == 1


@virtual
async def test_elapsed_time_runs_and_wraps() -> None:
    async with bench(elapsed_at_start=0xFFFF_FFFF - 999) as lane:
        assert long(await lane.registers(), 0) == 0xFFFF_FFFF - 999
        await asyncio.sleep(0.5)
        assert long(await lane.registers(), 0) == 0xFFFF_FFFF - 499
        await asyncio.sleep(1.5)
        assert long(await lane.registers(), 0) == 1000


@virtual
async def test_a_restart_drops_the_clients_and_begins_elapsed_time_and_counter_again() -> None:
    portal = FakeAspect(AspectConfig(elapsed_at_start=10**9, counter_at_start=50), lambda deed: None)
    async with client_of(portal.serve) as first:
        portal.sense(QUIET)
        portal.restart()
        assert await lost(first)
    async with client_of(portal.serve) as second:
        words = await Bench(second, portal).registers()
        assert (long(words, 0), words[2], words[17]) == (0, 0, 0)


# --- faults ----------------------------------------------------------------------------------------------------------


@virtual
async def test_faults_show_in_the_inputs_and_light_the_yellow_lamp() -> None:
    async with bench() as lane:
        lane.sense(Tamper(active=True))
        lane.portal.set_input(Input.POWER_FAIL | Input.LOW_BATTERY, on=True)
        words = await lane.registers()
        assert (words[2], words[20]) == (0x0700, Output.YELLOW)
        lane.sense(Tamper(active=False), QUIET)
        assert await lane.inputs() == Input.POWER_FAIL | Input.LOW_BATTERY | Input.OCCUPIED_0 | Input.DIRECTION_01
        lane.portal.set_input(Input.POWER_FAIL | Input.LOW_BATTERY, on=False)
        lane.sense(OVER)
        assert (await lane.registers())[20] == Output.ENTRY_GREEN


@virtual
async def test_backgrounds_outside_of_their_limits_show_in_the_channel_status() -> None:
    async with bench() as lane:
        for gamma_cps, neutron_cps, gamma, neutron in (
            ((500.0, 49.0, 500.0, 500.0), (1.0, 1.0), Channel.LOW_COUNT, Channel(0)),
            ((500.0, 20_001.0, 500.0, 500.0), (1.0, 101.0), Channel.HIGH_COUNT, Channel.HIGH_COUNT),
            ((200_000.0,) * 4, (1.0, 1.0), Channel.HIGH_COUNT | Channel.OVERLOAD, Channel(0)),
            ((500.0,) * 4, (1.0, 1.0), Channel(0), Channel(0)),
        ):
            lane.sense(Vacant(gamma_cps, neutron_cps))
            words = await lane.registers()
            assert (words[3] & 0x70, words[10] & 0x70) == (gamma, neutron)


@virtual
async def test_a_channel_that_is_not_ready_or_alarms_outside_of_an_occupancy_says_so() -> None:
    async with bench() as lane:
        lane.portal.set_ready(gamma=False)
        words = await lane.registers()
        assert (words[3] & Channel.READY, words[10] & Channel.READY) == (0, Channel.READY)
        lane.portal.force(gamma=Channel.ALARM_2, neutron=Channel(0))
        words = await lane.registers()
        assert (words[2], words[3] & Channel.ALARM_2, words[20]) == (0, Channel.ALARM_2, Output.ALARM)


@virtual
async def test_readings_of_other_sensors_and_an_end_without_beginning_change_nothing() -> None:
    async with bench() as lane:
        before = await lane.registers()
        lane.sense(OVER, Contact("x", on=True), TagAnswer(1, b"\xf0" * 12, -50.0))
        assert await lane.registers() == before


# --- clients ---------------------------------------------------------------------------------------------------------


@virtual
async def test_two_clients_see_the_same_portal_and_neither_disturbs_the_other() -> None:
    portal = FakeAspect(AspectConfig(), lambda deed: None)
    portal.sense(VACANT)
    async with client_of(portal.serve) as one, client_of(portal.serve) as two:
        first, second = Bench(one, portal), Bench(two, portal)
        await one.write(READ_MONITOR[:5])  # half a request
        assert (await second.registers())[17] == 0
        portal.sense(QUIET)
        await one.write(READ_MONITOR[5:])
        answer = await one.read()
        assert struct.unpack(">21H", answer[9:]) == await second.registers()
        await two.write(b"\0\1\0\0\xff\xff\1")
        assert await lost(two)
        assert (await first.registers())[17] == 1


@virtual
async def test_a_client_that_asks_and_never_reads_is_dropped() -> None:
    async with bench(outbox_bytes=2000) as lane:
        with pytest.raises(LinkLost):
            for _ in range(10_000):
                await lane.link.write(READ_MONITOR * 100)


@settings(max_examples=80, deadline=None)
@given(
    pieces=st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.builds(
                lambda pdu: struct.pack(">HHHB", 9, 0, len(pdu) + 1, 1) + pdu, st.binary(min_size=1, max_size=60)
            ),
        ),
        max_size=6,
    )
)
def test_whatever_a_client_sends_the_next_one_is_served(pieces: list[bytes]) -> None:
    @virtual
    async def check() -> None:
        portal = FakeAspect(AspectConfig(), lambda deed: None)
        async with client_of(portal.serve) as hostile:
            for data in pieces:
                try:
                    await hostile.write(data)
                except LinkLost:
                    break
                await received(hostile)
        async with client_of(portal.serve) as client:
            assert await Bench(client, portal).ask("0300000001") == "03024153"

    check()


@given(st.floats(width=32, allow_nan=False))
def test_a_float_survives_its_two_words(value: float) -> None:
    low, high = float_words(value)
    assert struct.unpack(">f", struct.pack(">HH", high, low))[0] == value


# --- an independent client -------------------------------------------------------------------------------------------


async def test_pymodbus_reads_the_portal_over_tcp() -> None:
    portal = FakeAspect(AspectConfig(unit=9), lambda deed: None)
    async with serve_tcp("127.0.0.1", 0, portal.serve) as port:
        client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=5, retries=0, reconnect_delay=0)
        assert await client.connect()
        portal.sense(VACANT)
        portal.sense(LOUD)
        description = (await client.read_holding_registers(0, count=8, device_id=9)).registers
        assert description == [0x4153, 121, 1, 100, 21, 0, 0, 0]
        words = (await client.read_holding_registers(description[3], count=description[4], device_id=9)).registers
        kinds = client.DATATYPE
        convert = client.convert_from_registers
        assert convert(words[6:8], kinds.FLOAT32, word_order="little") == pytest.approx(2000.0)
        assert convert(words[4:6], kinds.UINT32, word_order="little") == 530
        assert (words[2], words[3], words[20]) == (0x0041, 0x0F81, 0x0021)
        assert (await client.read_holding_registers(8, count=1, device_id=9)).exception_code == 2
        assert (await client.read_input_registers(0, count=1, device_id=9)).exception_code == 1
        assert (await client.read_holding_registers(0, count=1, device_id=1)).exception_code == 11
        client.close()
