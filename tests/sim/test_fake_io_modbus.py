"""The fake I/O module: its framing, its exceptions, its register map and its watchdog, also seen by pymodbus."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fake_bench import client_of, lost, virtual
from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus.client import AsyncModbusTcpClient

from lanecontrol.links import MemoryLink, serve_tcp
from sim.io_modbus import FakeModule, ModuleConfig
from sim.io_modbus_wire import Framer, parse
from sim.readings import Contact, Deed, OutputSet, Tamper

BOOTH = {
    "inputs": {"points": ("approach", "booth", "exit", "gate_open", "", "gate_closed")},
    "outputs": {"points": ("green", "red", "gate")},
    "watchdog": {"time_s": 1.0, "safe": {"red": True}},
}


class Bench:
    """A module, what it did to the world, and one client."""

    def __init__(self, link: MemoryLink, module: FakeModule, deeds: list[Deed]) -> None:
        self.link = link
        self.module = module
        self.deeds = deeds

    async def ask(self, pdu: str, unit: int = 1) -> str:
        """PDU in hex to the PDU of the answer."""
        body = bytes.fromhex(pdu)
        await self.link.write(struct.pack(">HHHB", 7, 0, len(body) + 1, unit) + body)
        answer = await self.link.read()
        assert answer[:4] == b"\0\7\0\0"
        assert int.from_bytes(answer[4:6], "big") == len(answer) - 6
        assert answer[6] == unit
        return answer[7:].hex()


@asynccontextmanager
async def bench(**config: Any) -> AsyncIterator[Bench]:
    deeds: list[Deed] = []
    module = FakeModule(ModuleConfig.model_validate(config or BOOTH), deeds.append)
    async with client_of(module.serve) as client:
        yield Bench(client, module, deeds)


# --- the wire --------------------------------------------------------------------------------------------------------


@virtual
async def test_the_frames_of_the_standard_are_answered_byte_for_byte() -> None:
    adam = {
        "inputs": {"area": "coils", "base": 0, "count": 6, "points": ("a", "b", "c")},
        "outputs": {"base": 16, "count": 6, "points": ("k1", "k2", "k3", "k4", "k5", "k6")},
    }
    async with bench(**adam) as lane:
        lane.module.sense(Contact("a", on=True))
        lane.module.sense(Contact("c", on=True))
        for request, answer in (
            ("000100000006010100000006", "00010000000401010105"),
            ("0002000000060105 0010ff00", "00020000000601050010ff00"),
            ("000300000008010f001000060105", "000300000006010f00100006"),
            ("000400000006 010100000016", "0004000000060101030500 05".replace(" ", "")),
        ):
            await lane.link.write(bytes.fromhex(request))
            assert (await lane.link.read()).hex() == answer
        assert lane.deeds == [OutputSet("k1", on=True), OutputSet("k3", on=True)]


@virtual
async def test_split_and_pipelined_requests_are_answered_in_order() -> None:
    async with bench() as lane:
        requests = b"".join(struct.pack(">HHHBBHH", n, 0, 6, 1, 2, 0, 6) for n in range(50))
        for at in range(0, len(requests), 5):
            await lane.link.write(requests[at : at + 5])
        answers = b""
        while len(answers) < 50 * 10:
            answers += await lane.link.read()
        assert [int.from_bytes(answers[at : at + 2], "big") for at in range(0, 500, 10)] == list(range(50))


@pytest.mark.parametrize(
    ("pdu", "answer", "why"),
    [
        ("07", "8701", "function code 7 is not offered"),
        ("2b0e0100", "ab01", "nor is 43"),
        ("0200000000", "8203", "no inputs at all"),
        ("02000007d1", "8203", "more than 2000 bits"),
        ("030000007e", "8303", "more than 125 registers"),
        ("0200000011", "8202", "17 of 16 inputs"),
        ("02ffff0002", "8202", "over the end of the address space"),
        ("0100100001", "8102", "after the last coil"),
        ("0300020001", "8302", "a register that is not there"),
        ("0400010001", "8402", "an input register that is not there"),
        ("0500001234", "8503", "neither on nor off"),
        ("050010ff00", "8502", "a coil that is not there"),
        ("0600020001", "8602", "a register that cannot be written"),
        ("0f0000000302", "8f03", "byte count without bytes"),
        ("0f00000003020000", "8f03", "two bytes for three coils"),
        ("0f0000001101ff", "8f03", "one byte for 17 coils"),
        ("0f000f00020103", "8f02", "one coil too far"),
        ("10000000010200", "9003", "half a register"),
        ("100001000204000a000b", "9002", "one register too far"),
        ("0200", "8203", "a request cut short"),
        ("020000000100", "8203", "a request too long"),
        ("83", "8301", "an answer for a request"),
        ("00", "8001", "no function at all"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_standards_exception(pdu: str, answer: str, why: str) -> None:
    @virtual
    async def check() -> None:
        async with bench() as lane:
            assert await lane.ask(pdu) == answer, why
            assert lane.deeds == []
            assert await lane.ask("0200000001") == "020100", "the session goes on"

    check()


@virtual
async def test_another_unit_is_not_there() -> None:
    async with bench() as lane:
        assert await lane.ask("0200000001", unit=2) == "820b"


@virtual
async def test_a_frame_of_another_protocol_is_passed_over() -> None:
    async with bench() as lane:
        await lane.link.write(bytes.fromhex("0001 0001 0006 01 02 0000 0001"))
        assert await lane.ask("0200000001") == "020100"


@pytest.mark.parametrize("length", [0, 1, 255, 65535])
def test_a_length_that_cannot_be_ends_the_connection(length: int) -> None:
    @virtual
    async def check() -> None:
        async with bench() as lane:
            await lane.link.write(struct.pack(">HHHB", 1, 0, length, 1))
            assert await lost(lane.link)

    check()


@settings(max_examples=200, deadline=None)
@given(pieces=st.lists(st.binary(min_size=1, max_size=300), max_size=8))
def test_no_bytes_make_the_framer_raise_or_keep_more_than_a_frame(pieces: list[bytes]) -> None:
    framer = Framer()
    for data in pieces:
        framer.feed(data)
        assert len(framer._buffer) <= 260


@settings(max_examples=500, deadline=None)
@given(pdu=st.binary(max_size=253) | st.builds(lambda fc, rest: bytes((fc,)) + rest, st.integers(1, 16), st.binary()))
def test_no_request_makes_the_parser_raise(pdu: bytes) -> None:
    parse(pdu)


@settings(max_examples=100, deadline=None)
@given(pdus=st.lists(st.builds(lambda fc, b: bytes((fc,)) + b, st.integers(0, 255), st.binary(max_size=9)), min_size=1))
def test_every_well_framed_request_gets_exactly_one_answer(pdus: list[bytes]) -> None:
    @virtual
    async def check() -> None:
        async with bench() as lane:
            for pdu in pdus:
                answer = bytes.fromhex(await lane.ask(pdu.hex()))
                assert answer[0] & 0x7F == pdu[0] & 0x7F

    check()


# --- points ----------------------------------------------------------------------------------------------------------


@virtual
async def test_contacts_of_the_world_are_discrete_inputs_and_strange_ones_are_ignored() -> None:
    async with bench() as lane:
        for reading in (Contact("booth", True), Contact("gate_closed", True), Contact("nowhere", True), Tamper(True)):
            lane.module.sense(reading)
        assert await lane.ask("0200000010") == "02022200"
        lane.module.sense(Contact("booth", False))
        assert await lane.ask("0200000010") == "02022000"


@virtual
async def test_the_world_hears_of_an_output_only_when_it_changes() -> None:
    async with bench() as lane:
        for pdu in ("050001ff00", "050001ff00", "0f0000000301 02".replace(" ", ""), "0500010000"):
            assert (await lane.ask(pdu))[:2] == pdu[:2]
        assert lane.deeds == [OutputSet("red", on=True), OutputSet("red", on=False)]
        assert lane.module.outputs() == {"green": False, "red": False, "gate": False}


@virtual
async def test_an_output_without_a_wire_keeps_what_was_written() -> None:
    async with bench() as lane:
        await lane.ask("050005ff00")
        assert await lane.ask("0100000010") == "01022000"
        assert lane.deeds == []


@virtual
async def test_outputs_can_be_read_back_at_a_second_place_and_not_written_there() -> None:
    async with bench(outputs={"points": ("red", "green"), "count": 2}, readback_base=0x200) as lane:
        assert await lane.ask("0102000002") == "010100"
        await lane.ask("050001ff00")
        assert await lane.ask("0102000002") == "010102"
        assert await lane.ask("050200ff00") == "8502"


@virtual
async def test_inverted_points_are_inverse_on_the_wire_only() -> None:
    config = {"inputs": {"points": ("loop",), "count": 1}, "outputs": {"points": ("red",), "count": 1}}
    async with bench(**config, invert=("loop", "red")) as lane:
        assert await lane.ask("0200000001") == "020101", "an open contact that means false reads 1"
        lane.module.sense(Contact("loop", on=True))
        assert await lane.ask("0200000001") == "020100"
        assert await lane.ask("0100000001") == "010101", "off at power-on"
        await lane.ask("0500000000")
        assert lane.deeds == [OutputSet("red", on=True)]


@virtual
async def test_all_clients_see_one_module() -> None:
    async with bench() as lane:
        await lane.ask("050000ff00")
        async with client_of(lane.module.serve) as other:
            assert await Bench(other, lane.module, lane.deeds).ask("0100000003") == "010101"


# --- watchdog --------------------------------------------------------------------------------------------------------

HEARTBEAT = "0600010001"
READ_FLAG, CLEAR_FLAG = "0110300001", "051030ff00"


@virtual
async def test_without_a_heartbeat_the_outputs_fall_to_their_safe_values_and_stay_there_until_cleared() -> None:
    async with bench() as lane:
        for _ in range(5):
            await lane.ask(HEARTBEAT)
            await lane.ask("0f000000030105")  # green and gate on
            await asyncio.sleep(0.9)
        assert lane.deeds == [OutputSet("green", on=True), OutputSet("gate", on=True)]
        assert await lane.ask(READ_FLAG) == "010100"
        await asyncio.sleep(0.2)
        assert lane.deeds[2:] == [OutputSet("green", False), OutputSet("red", True), OutputSet("gate", False)]
        assert await lane.ask(READ_FLAG) == "010101"
        assert await lane.ask("050000ff00") == "8504"
        assert await lane.ask(HEARTBEAT) == HEARTBEAT
        assert await lane.ask("0f000000030105") == "8f04", "a heartbeat alone clears nothing"
        await asyncio.sleep(5)
        assert await lane.ask("0400000001") == "04020001", "and starts nothing"
        assert await lane.ask("0510300000") == "0510300000", "nor does writing 0"
        assert await lane.ask(READ_FLAG) == "010101"
        assert await lane.ask(CLEAR_FLAG) == CLEAR_FLAG
        assert await lane.ask(READ_FLAG) == "010100"
        assert await lane.ask("050000ff00") == "050000ff00"
        assert await lane.ask("0400000001") == "04020001", "one trip since power-on"


@virtual
async def test_reads_do_not_feed_unless_it_is_configured_so() -> None:
    for fed_by, tripped in (("heartbeat", "010101"), ("any", "010100")):
        async with bench(watchdog={"time_s": 1.0, "fed_by": fed_by}) as lane:
            await lane.ask(HEARTBEAT)
            for _ in range(30):
                await asyncio.sleep(0.1)
                await lane.ask("0200000001")
            assert await lane.ask(READ_FLAG) == tripped


@virtual
async def test_a_watchdog_that_was_never_fed_does_not_trip() -> None:
    async with bench() as lane:
        await asyncio.sleep(3600)
        assert await lane.ask(READ_FLAG) == "010100"


@virtual
async def test_after_clearing_the_watchdog_runs_again_without_waiting_for_a_heartbeat() -> None:
    async with bench() as lane:
        await lane.ask(HEARTBEAT)
        await asyncio.sleep(2)
        await lane.ask(CLEAR_FLAG)
        await asyncio.sleep(2)
        assert await lane.ask(READ_FLAG) == "010101"


@virtual
async def test_the_time_can_be_read_and_set_in_units_of_100_ms_and_0_switches_off() -> None:
    async with bench() as lane:
        assert await lane.ask("0300000002") == "0304000a0000"
        assert await lane.ask("100000000204001e0005") == "1000000002"
        assert await lane.ask("0300000002") == "0304001e0005"
        await asyncio.sleep(2.9)
        assert await lane.ask(READ_FLAG) == "010100"
        assert await lane.ask("0600000000") == "0600000000"
        await asyncio.sleep(60)
        assert await lane.ask(READ_FLAG) == "010100"


@virtual
async def test_a_shorter_time_counts_at_once() -> None:
    async with bench(watchdog={"time_s": 60.0}) as lane:
        await lane.ask(HEARTBEAT)
        await lane.ask("0600000005")
        await asyncio.sleep(0.6)
        assert await lane.ask(READ_FLAG) == "010101"


@virtual
async def test_an_iologik_is_fed_by_every_valid_request_and_has_no_time_register() -> None:
    async with bench(watchdog={"kind": "iologik", "time_s": 1.0}) as lane:
        for _ in range(30):
            await asyncio.sleep(0.1)
            await lane.ask("0200000001")
        assert await lane.ask("0300000001") == "8302"
        for _ in range(30):
            await asyncio.sleep(0.1)
            await lane.ask("0200000000")  # refused: no life sign
        assert await lane.ask(READ_FLAG) == "010101"
        await lane.ask(CLEAR_FLAG)
        assert await lane.ask(READ_FLAG) == "010100"


@virtual
async def test_a_wago_has_its_register_block() -> None:
    config = {"outputs": {"points": ("red",)}, "watchdog": {"kind": "wago", "time_s": 1.0, "safe": {"red": True}}}
    async with bench(**config) as lane:
        status, trigger, restart = "0310060001", "061003{:04x}", "0610070001"
        assert await lane.ask(status) == "03020000", "idle"
        assert await lane.ask("0610000014") == "0610000014", "2 s"
        for value in range(1, 10):
            assert await lane.ask(trigger.format(value)) == trigger.format(value)
            assert await lane.ask(status) == "03020001", "active"
            await asyncio.sleep(1.9)
        assert await lane.ask("0610000001") == "8603", "the time of a running watchdog stays"
        await lane.ask(trigger.format(9))  # the same value again is no trigger
        await asyncio.sleep(0.2)
        assert await lane.ask(status) == "03020002", "expired"
        assert lane.deeds == [OutputSet("red", on=True)]
        assert await lane.ask("0500000000") == "8504"
        assert await lane.ask(restart) == restart
        assert await lane.ask("0500000000") == "0500000000"
        assert await lane.ask("061008aa55") + await lane.ask("06100855aa") == "061008aa55" + "06100855aa"
        await asyncio.sleep(60)
        assert await lane.ask(status) == "03020000", "stopped"
        assert await lane.ask(READ_FLAG) == "8102", "no flag coil"
        assert await lane.ask("0610060000") == "8602", "the status is read only"


@virtual
async def test_a_wago_can_be_fed_by_the_functions_in_its_mask() -> None:
    async with bench(watchdog={"kind": "wago", "time_s": 1.0}) as lane:
        await lane.ask("0610010002")  # bit of FC 2
        await lane.ask("0610030001")
        for _ in range(30):
            await asyncio.sleep(0.1)
            await lane.ask("0200000001")
        assert await lane.ask("0310060001") == "03020001"
        for _ in range(30):
            await asyncio.sleep(0.1)
            await lane.ask("0100000001")
        assert await lane.ask("0310060001") == "03020002"


# --- an independent client -------------------------------------------------------------------------------------------


async def test_pymodbus_reads_writes_and_is_refused_over_tcp() -> None:
    deeds: list[Deed] = []
    module = FakeModule(ModuleConfig.model_validate(BOOTH), deeds.append)
    async with serve_tcp("127.0.0.1", 0, module.serve) as port:
        client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=5, retries=0, reconnect_delay=0)
        assert await client.connect()
        module.sense(Contact("exit", on=True))
        assert (await client.read_discrete_inputs(0, count=6, device_id=1)).bits[:6] == [False] * 2 + [True] + [
            False
        ] * 3
        assert not (await client.write_coil(1, True, device_id=1)).isError()
        assert not (await client.write_coils(0, [True, True, False], device_id=1)).isError()
        assert (await client.read_coils(0, count=3, device_id=1)).bits[:3] == [True, True, False]
        assert not (await client.write_registers(0, [20, 1], device_id=1)).isError()
        assert (await client.read_holding_registers(0, count=2, device_id=1)).registers == [20, 1]
        assert (await client.read_input_registers(0, count=1, device_id=1)).registers == [0]
        assert (await client.read_coils(500, count=1, device_id=1)).exception_code == 2
        assert deeds == [OutputSet("red", on=True), OutputSet("green", on=True)]
        client.close()


# --- the makers' modules, as the reference has them ------------------------------------------------------------------

ADAM = {
    "inputs": {"area": "coils", "base": 0, "count": 6, "points": ("loop",)},
    "outputs": {"base": 16, "count": 6, "points": ("red", "gate")},
    "watchdog": {"kind": "adam", "time_s": 1.0, "safe": {"red": True}},
}
WAGO = {
    "inputs": {"points": ("loop",)},
    "outputs": {"points": ("red", "gate")},
    "readback_base": 0x200,
    "watchdog": {"kind": "wago", "time_s": 1.0, "safe": {"red": True}},
}
IOLOGIK = {
    "inputs": {"count": 6, "points": ("loop",)},
    "outputs": {"count": 6, "points": ("red", "gate")},
    "watchdog": {"kind": "iologik", "time_s": 1.0, "safe": {"red": True}},
}


@virtual
async def test_an_adam_drops_its_outputs_when_nobody_asks_and_tells_nobody_but_by_its_outputs() -> None:
    async with bench(**ADAM) as lane:
        gate_on, outputs = "050011ff00", "0100100002"
        for _ in range(20):
            assert await lane.ask(gate_on) == gate_on
            await asyncio.sleep(0.5)
        assert await lane.ask(outputs) == "010102", "the gate is on"
        await asyncio.sleep(1.1)
        assert lane.deeds == [OutputSet("gate", True), OutputSet("red", True), OutputSet("gate", False)]
        assert await lane.ask(outputs) == "010101", "only what is read back tells of it"
        assert await lane.ask(READ_FLAG) == "8102"
        assert await lane.ask("0300000001") == "8302", "nor has it any registers"
        assert await lane.ask(gate_on) == gate_on, "whoever writes next drives it again"


@virtual
async def test_a_wagos_idle_timeout_closes_the_connection_and_leaves_the_outputs_as_they_are() -> None:
    async with bench(**WAGO) as lane:
        await lane.ask("050001ff00")
        assert await lane.ask("061030001e") == "061030001e", "3 s"
        await lane.ask("0310300001")
        assert await lost(lane.link)
        assert lane.module.outputs() == {"red": False, "gate": True}, "the trap: no fail-safe"
        async with client_of(lane.module.serve) as other:
            assert await Bench(other, lane.module, lane.deeds).ask("0102010001") == "010101"


@pytest.mark.parametrize(
    ("config", "inputs", "outputs"),
    [(ADAM, "coils", 16), (WAGO, "discrete_inputs", 0), (IOLOGIK, "discrete_inputs", 0)],
    ids=["adam", "wago", "iologik"],
)
async def test_pymodbus_sees_the_watchdog_drop_what_another_client_had_set(
    config: dict[str, Any], inputs: str, outputs: int
) -> None:
    watchdog = {**config["watchdog"], "time_s": 0.2}
    dropped = asyncio.Event()
    module = FakeModule(
        ModuleConfig.model_validate({**config, "watchdog": watchdog}),
        lambda deed: dropped.set() if deed == OutputSet("gate", on=False) else None,
    )
    async with serve_tcp("127.0.0.1", 0, module.serve) as port:
        client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=5, retries=0, reconnect_delay=0)
        assert await client.connect()
        module.sense(Contact("loop", on=True))
        assert (await getattr(client, f"read_{inputs}")(0, count=6, device_id=1)).bits[0]
        assert not (await client.write_coils(outputs, [False, True], device_id=1)).isError()
        if watchdog["kind"] == "wago":
            assert not (await client.write_register(0x1003, 1, device_id=1)).isError()
        await dropped.wait()  # no deadline: the suite's own, should the watchdog not work
        assert (await client.read_coils(outputs, count=2, device_id=1)).bits[:2] == [True, False]
        client.close()


@virtual
async def test_where_time_runs_faster_than_the_real_one_the_client_is_given_as_much_longer() -> None:
    async with bench() as lane:
        lane.module.pace = 10.0
        await lane.ask(HEARTBEAT)
        await asyncio.sleep(9.5)
        assert await lane.ask(READ_FLAG) == "010100"
        await asyncio.sleep(1.0)
        assert await lane.ask(READ_FLAG) == "010101"
