"""What an LLRP reader tells of itself in session, and the reports that it had held back."""

from __future__ import annotations

import asyncio

import pytest
from driver_bench import Notebook, make, session_of
from llrp_bench import EPC, failure_of, serving, told_by
from llrp_reader import Reader, event, greeting, report

from drivers.rfid_llrp import LlrpConfig, LlrpReader
from lanecontrol.clock import AnchoredClock
from lanecontrol.errors import LinkLost
from lanecontrol.events import DeviceFault, InputChanged, TagRead
from lanecontrol.links import MemoryNet

# --- what the reader had held back -----------------------------------------------------------------------------------


async def test_reads_that_the_reader_had_held_back_are_told_as_late_and_those_of_now_are_not() -> None:
    reader = Reader()
    reader.on_enable = report("a" * 24, rospec=77) + report("b" * 24)
    async with serving(reader) as (_, notebook):
        await reader.send(report("c" * 24, rospec=1) + report("d" * 24) + report("e" * 24, rospec=77))
        await asyncio.sleep(0.1)
        assert [(read.epc[0], read.late) for read in notebook.of(TagRead)] == [
            ("a", True),  # of another inventory
            ("b", True),  # of no inventory, before ours was started
            ("c", False),
            ("d", False),  # nobody can know
            ("e", True),
        ]


async def test_each_session_has_an_inventory_of_its_own_also_after_a_restart_of_the_process() -> None:
    seen = []
    for started_s in (1_700_000_000.0, 1_700_000_000.0, 1_800_000_000.0):
        reader, net, notebook = Reader(), MemoryNet(), Notebook(AnchoredClock(started_s))
        net.listen("device", reader.serve)
        driver = make(LlrpReader, net)
        for _ in range(2):
            async with session_of(driver, notebook):
                await asyncio.sleep(0.1)
        seen.append([int.from_bytes(body[4:8], "big") for kind, body in reader.received if kind == 20])
        await net.unlisten_and_wait("device")
    assert len({*seen[0], *seen[2]}) == 4
    assert max(seen[0]) < min(seen[2])


async def test_a_flood_of_held_reads_is_told_in_slices_and_what_is_too_much_is_a_fault() -> None:
    reader = Reader()
    reader.on_enable = report(EPC, rospec=77) * 17_000
    async with serving(reader) as (_, notebook):
        assert len(notebook.of(TagRead)) == 16_384
        lost = [fault for fault in notebook.of(DeviceFault) if fault.active]
        assert lost == [DeviceFault("report_overflow", "616 reads that the reader had held are lost")]


async def test_old_edges_of_a_contact_are_not_told_but_its_present_state_is() -> None:
    reader = Reader()
    high, low = event(bytes.fromhex("00f8 0007 0001 80")), event(bytes.fromhex("00f8 0007 0001 00"))
    reader.on_enable = low + high + low
    async with serving(reader, gpi={1: "loop_booth"}) as (_, notebook):
        assert notebook.of(InputChanged) == [InputChanged("loop_booth", True)]


async def test_faults_that_the_reader_had_held_back_are_told_before_the_present_states() -> None:
    reader = Reader()
    reader.on_enable = event(bytes.fromhex("00ff 0007 00 0001")) + event(bytes.fromhex("00fc 0008 0002 6869"))
    async with serving(reader) as (_, notebook):
        assert [(fault.code, fault.active) for fault in told_by(notebook)] == [
            ("antenna_1", True),
            ("reader_exception", True),
            ("antenna_1", False),
        ]


# --- events ----------------------------------------------------------------------------------------------------------


async def test_faults_begin_and_end_as_the_reader_says() -> None:
    reader = Reader()
    async with serving(reader, antennas=[1]) as (_, notebook):
        await reader.send(event(bytes.fromhex("00ff 0007 00 0001")))
        await reader.send(event(bytes.fromhex("00ff 0007 01 0001")))
        await reader.send(event(bytes.fromhex("00fc 000c 0006 504120686f74")))
        await reader.send(event(bytes.fromhex("00fa 0005 5a")))
        await reader.send(event(bytes.fromhex("00fb 0004")))
        await asyncio.sleep(0.1)
        assert told_by(notebook) == [
            DeviceFault("antenna_1", "antenna 1 is not connected"),
            DeviceFault("antenna_1", "antenna 1 is not connected", active=False),
            DeviceFault("reader_exception", "PA hot"),
            DeviceFault("report_buffer", "report buffer 90 % full"),
            DeviceFault("report_overflow", "report buffer overflow: reads were lost"),
        ]


async def test_an_antenna_that_is_wanted_and_not_connected_is_a_fault_from_the_start() -> None:
    async with serving(Reader(), antennas=[1, 2]) as (_, notebook):
        assert told_by(notebook) == [DeviceFault("antenna_2", "antenna 2 is not connected")]


async def test_faults_that_nobody_clears_end_with_the_next_session() -> None:
    reader, net, notebook = Reader(), MemoryNet(), Notebook()
    net.listen("device", reader.serve)
    driver = make(LlrpReader, net)
    async with session_of(driver, notebook):
        await asyncio.sleep(1)
        await reader.send(event(bytes.fromhex("00fb 0004")))
        await asyncio.sleep(0.1)
    async with session_of(driver, notebook):
        await asyncio.sleep(1)
    assert [fault.active for fault in told_by(notebook)] == [True]
    assert notebook.events[-1] == DeviceFault("report_overflow", "", active=False)
    await net.unlisten_and_wait("device")


async def test_a_complaint_without_an_end_is_over_when_it_is_not_repeated() -> None:
    reader = Reader()
    async with serving(reader) as (_, notebook):
        for _ in range(3):
            await reader.send(event(bytes.fromhex("00fc 000c 0006 504120686f74")))
            await asyncio.sleep(20)
        assert told_by(notebook) == [DeviceFault("reader_exception", "PA hot")]
        await asyncio.sleep(20)
        assert told_by(notebook)[1:] == [DeviceFault("reader_exception", "PA hot", active=False)]


@pytest.mark.parametrize("said", [f"tag {EPC} went", f"tag {EPC.upper()} went", "tag f0 00 00 00 be ef went"])
async def test_the_number_of_a_tag_in_the_words_of_a_reader_goes_nowhere(said: str) -> None:
    reader = Reader()
    text = said.encode()
    reader.bodies[20] = bytes.fromhex(f"011f {8 + len(text):04x} 0064 {len(text):04x}") + text
    failure, _ = await failure_of(reader)
    assert str(failure) == "ADD_ROSPEC: the reader answers status 100: tag <redacted> went"
    reader = Reader()
    async with serving(reader) as (_, notebook):
        await reader.send(event(bytes.fromhex(f"00fc {6 + len(text):04x} {len(text):04x}") + text))
        await asyncio.sleep(0.1)
        assert notebook.of(DeviceFault)[-1].detail.startswith("tag <redacted>")


async def test_bytes_that_are_no_text_do_not_get_into_the_identity() -> None:
    reader = Reader()
    reader.bodies[1] = reader.bodies[1].replace(b"5.12.10", b"5.1\xff\x07.1")
    async with serving(reader) as (_, notebook):
        assert notebook.identities[0].firmware == "5.1.1"


async def test_a_contact_may_be_on_when_its_input_is_low() -> None:
    async with serving(Reader(), gpi={1: "loop_booth"}, invert=["loop_booth"]) as (_, notebook):
        assert notebook.of(InputChanged) == [InputChanged("loop_booth", False)]


def test_loops_may_name_the_contacts_of_a_reader_and_no_others() -> None:
    config = LlrpConfig.model_validate({"id": "rfid1", "url": "tcp://192.0.2.1:5084", "gpi": {3: "loop_exit"}})
    assert config.inputs == {"loop_exit": 3}


async def test_contacts_at_the_reader_are_reported_from_the_start_and_at_each_edge() -> None:
    reader = Reader()
    async with serving(reader, gpi={1: "loop_booth"}) as (_, notebook):
        assert "00e10008000180" in dict(reader.received)[3].hex(), "the port is switched on"
        await reader.send(event(bytes.fromhex("00f8 0007 0001 00")))
        await reader.send(event(bytes.fromhex("00f8 0007 0002 80")))
        await asyncio.sleep(0.1)
        assert notebook.of(InputChanged) == [InputChanged("loop_booth", True), InputChanged("loop_booth", False)]


async def test_an_inventory_that_the_reader_ends_is_begun_again_by_a_new_session() -> None:
    reader = Reader()
    async with serving(reader) as (bench, _):
        await reader.send(event(bytes.fromhex("00f9 000d 01 00000007 00000000")))
        await asyncio.sleep(0.1)
        assert not bench.session.done(), "somebody else's operation"
        await reader.send(event(bytes.fromhex("00f9 000d 00 00000001 00000000")))
        await reader.send(event(bytes.fromhex("00f9 000d 01 00000001 00000000")))
        assert isinstance(await bench.failure(), LinkLost)


async def test_the_end_of_an_earlier_inventory_that_the_reader_held_back_ends_nothing() -> None:
    reader = Reader()
    async with serving(reader) as (bench, _):
        await reader.send(event(bytes.fromhex("00f9 000d 01 00000001 00000000")))
        await reader.send(event(bytes.fromhex("00f9 000d 00 00000001 00000000")))
        await asyncio.sleep(1)
        assert not bench.session.done()


async def test_a_reader_that_says_goodbye_is_lost_at_once() -> None:
    reader = Reader()
    async with serving(reader) as (bench, _):
        await reader.send(event(bytes.fromhex("0101 0004")))
        assert isinstance(await bench.failure(1), LinkLost)


async def test_a_second_client_that_tries_does_not_disturb() -> None:
    reader = Reader()
    async with serving(reader) as (bench, notebook):
        await reader.send(greeting(4))
        await asyncio.sleep(1)
        assert not bench.session.done()
        assert told_by(notebook) == []


async def test_the_driver_switches_the_antennas_off_and_takes_its_leave() -> None:
    reader = Reader()
    async with serving(reader):
        reader.received.clear()
    assert reader.asked == [25, 14]


async def test_a_reader_that_does_not_answer_the_goodbye_holds_nothing_up() -> None:
    reader = Reader()
    reader.mute_for = {14, 25}
    async with serving(reader) as (bench, notebook):
        began_s = notebook.clock.now().mono_s
        bench.session.cancel()
        await asyncio.wait({bench.session})
        assert notebook.clock.now().mono_s - began_s <= 0.6
