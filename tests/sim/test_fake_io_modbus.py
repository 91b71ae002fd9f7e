"""The fake I/O module: its framing, its exceptions and its register map, also seen by pymodbus."""

from __future__ import annotations

import struct

import pytest
from fake_bench import client_of, lost, virtual
from hypothesis import given, settings
from hypothesis import strategies as st
from module_bench import BOOTH, Bench, bench
from pymodbus.client import AsyncModbusTcpClient

from lanecontrol.links import serve_tcp
from sim.io_modbus import FakeModule, ModuleConfig
from sim.io_modbus_wire import Framer, parse
from sim.readings import Contact, Deed, OutputSet, Tamper

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
