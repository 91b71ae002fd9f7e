"""A reader in session: greeting, set-up, reads, keep-alives, faults, contacts, goodbye."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from driver_bench import Bench, Notebook, in_session, make, session_of
from llrp_reader import OK, Reader, event, frame, greeting, report

from drivers.rfid_llrp import LlrpConfig, LlrpReader
from lanecontrol.errors import LinkLost, ProtocolViolation
from lanecontrol.events import DeviceFault, Identity, InputChanged, TagRead
from lanecontrol.identifier import Identifier
from lanecontrol.links import Link, MemoryNet

EPC = "f0000000000000000000beef"
LEFT_OVER = [DeviceFault(code, "", active=False) for code in ("reader_exception", "report_buffer", "report_overflow")]
SET_UP = [46, 1, 2, 3, 20, 21, 22, 24, 64]


@asynccontextmanager
async def serving(reader: Reader, **settings: Any) -> AsyncIterator[tuple[Bench, Notebook]]:
    notebook = Notebook()
    async with in_session(LlrpReader, reader.serve, notebook, **settings) as (_, bench):
        await asyncio.sleep(1)
        yield bench, notebook


async def _failure_of(reader: Reader, **settings: Any) -> tuple[BaseException, Notebook]:
    async with in_session(LlrpReader, reader.serve, **settings) as (_, bench):
        return await bench.failure(), bench.notebook


def _told(notebook: Notebook) -> list[Any]:
    """Events without the clearing of what an earlier process may have left."""
    return [event for event in notebook.events if event not in LEFT_OVER]


# --- set-up ----------------------------------------------------------------------------------------------------------


async def test_the_session_follows_the_order_of_the_standard_and_ends_in_an_inventory() -> None:
    reader = Reader()
    async with serving(reader) as (_, notebook):
        assert reader.asked == [46, 1, 3, 64, 21, 20, 24, 22, 2]
        assert reader.versions == [2, 1, 1, 1, 1, 1, 1, 1, 1], "only the question for the version is of 1.1"
        assert notebook.identities == [Identity("IANA 26042", "2000004", "", "5.12.10")]
        bodies = dict(reader.received)
        assert bodies[21] == bytes(4), "all operations of others are deleted"
        assert bodies[3].hex().endswith("00dc00090100001388" + "00e2000580"), "keep-alive 5000 ms, events held"


async def test_every_tag_is_reported_with_antenna_rssi_and_the_readers_time_as_data() -> None:
    reader = Reader()
    async with serving(reader) as (_, notebook):
        for antenna in (1, 2):
            await reader.send(report(EPC, antenna, -60 - antenna))
        await asyncio.sleep(0.1)
        utc_s = 1767225600.0
        assert notebook.of(TagRead) == [
            TagRead(1, Identifier(EPC), -61.0, 1, None, utc_s),
            TagRead(2, Identifier(EPC), -62.0, 1, None, utc_s),
        ]
        assert EPC not in repr(notebook.events)


async def test_reads_that_come_during_the_set_up_are_reported_once_online() -> None:
    reader = Reader()
    reader.on_start = report(EPC)
    async with serving(reader) as (_, notebook):
        assert [event.epc for event in notebook.of(TagRead)] == [EPC]


async def test_antennas_and_powers_are_asked_for_as_the_reader_offers_them() -> None:
    reader = Reader()
    async with serving(reader, antennas=[1, 3], power_dbm={1: 29.0}):
        rospec = dict(reader.received)[20].hex()
        assert "000200010003" in rospec
        assert "00de0010000100e0000a000500000002" in rospec, "21 dBm is the step below 29"


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"antennas": [5]}, "the reader has no antenna 5"),
        ({"power_dbm": {1: 5.0}}, "antenna 1: the reader has no power of 5 dBm or less"),
    ],
)
async def test_what_the_reader_does_not_have_is_a_fault(settings: dict[str, Any], why: str) -> None:
    failure, _ = await _failure_of(Reader(), **settings)
    assert isinstance(failure, ProtocolViolation)
    assert failure.why == why


async def test_the_tags_own_number_is_read_only_where_it_is_configured() -> None:
    reader = Reader()
    async with serving(reader, read_tid=True) as (_, notebook):
        assert [kind for kind in reader.asked if kind not in SET_UP] == [41, 40, 42]
        tid = "0000000b"  # AccessSpecID comes before the result
        body = bytes.fromhex(f"8d {EPC} 81 0001 90 {tid} 015d 0015 00 0001 0006 e28011602000000000000001")
        await reader.send(frame(61, 3, bytes.fromhex(f"00f0 {4 + len(body):04x}") + body))
        await asyncio.sleep(0.1)
        assert notebook.events[-1].tid == "e28011602000000000000001"


# --- refusals and silence --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [1, 2, 3, 4])
async def test_a_reader_that_has_another_client_is_a_busy_fault(status: int) -> None:
    reader = Reader()
    reader.status = status
    failure, notebook = await _failure_of(reader)
    assert isinstance(failure, ProtocolViolation)
    assert failure.why.startswith("busy")
    assert reader.asked == []
    assert notebook.identities == []


async def test_a_refused_request_is_a_fault_with_the_readers_words() -> None:
    reader = Reader()
    reader.bodies[20] = bytes.fromhex("011f 0012 0064 000a 62616420414953706563")
    failure, _ = await _failure_of(reader)
    assert isinstance(failure, ProtocolViolation)
    assert str(failure) == "ADD_ROSPEC: the reader answers status 100: bad AISpec"


async def test_an_error_message_answers_the_request_it_belongs_to() -> None:
    reader = Reader()
    reader.answer = lambda kind, number: frame(100, number, bytes.fromhex("011f0008006d0000")) if kind == 24 else None
    failure, _ = await _failure_of(reader)
    assert isinstance(failure, ProtocolViolation)
    assert str(failure) == "ENABLE_ROSPEC: the reader answers status 109"


@pytest.mark.parametrize("kind", [1, 2, 3, 20, 21, 22, 24])
async def test_a_missing_answer_is_noticed_after_2_s(kind: int) -> None:
    reader = Reader()
    reader.mute_for = {kind}
    failure, notebook = await _failure_of(reader)
    assert isinstance(failure, LinkLost)
    assert failure.why == "no answer within 2 s"
    assert notebook.clock.now().mono_s == pytest.approx(2.0, abs=0.1)


async def test_an_answer_with_another_id_is_doubted_and_never_used() -> None:
    reader = Reader()
    reader.answer = lambda kind, number: frame(34, number + 1, OK) if kind == 24 else None
    failure, notebook = await _failure_of(reader)
    assert isinstance(failure, LinkLost)
    assert [why for _, why in notebook.doubts] == ["ENABLE_ROSPEC_RESPONSE that nobody waits for"]


async def test_a_server_that_does_not_greet_is_left_after_2_s() -> None:
    async def mute(link: Link) -> None:
        await link.read()

    async with in_session(LlrpReader, mute) as (_, bench):
        assert isinstance(await bench.failure(), LinkLost)


async def test_a_server_that_speaks_something_else_is_the_wrong_device() -> None:
    async def web(link: Link) -> None:
        await link.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await asyncio.sleep(60)

    async with in_session(LlrpReader, web) as (_, bench):
        assert isinstance(await bench.failure(), ProtocolViolation)
        assert bench.notebook.doubts


async def test_a_reader_that_freezes_with_its_connection_open_is_lost_after_two_and_a_half_periods() -> None:
    reader = Reader()
    async with serving(reader, keepalive_s=2) as (bench, notebook):
        reader.keepalive_s = 1e9
        await asyncio.sleep(10)
        failure = await bench.failure()
        assert isinstance(failure, LinkLost)
        assert failure.why == "nothing from the reader for 5 s"
        assert notebook.clock.now().mono_s == pytest.approx(11.0, abs=0.1), "5 s (one keep-alive) + 5 s + first second"


async def test_keepalives_are_acknowledged_with_their_id_and_keep_the_session_up() -> None:
    reader = Reader()
    async with serving(reader) as (bench, _):
        await asyncio.sleep(60)
        assert reader.asked.count(72) == 12
        assert not bench.session.done()


async def test_a_length_beyond_the_limit_ends_the_session_and_the_next_one_is_clean() -> None:
    reader, net, notebook = Reader(), MemoryNet(), Notebook()
    net.listen("device", reader.serve)
    driver = make(LlrpReader, net)
    async with session_of(driver, notebook) as bench:
        await asyncio.sleep(1)
        await reader.send(bytes.fromhex("043d 7fffffff 00000001"))
        assert isinstance(await bench.failure(), LinkLost)
        assert notebook.doubts
    async with session_of(driver, notebook) as bench:
        await asyncio.sleep(1)
        await reader.send(report(EPC))
        await asyncio.sleep(0.1)
        assert len(notebook.of(TagRead)) == 1
    await net.unlisten_and_wait("device")


async def test_a_frame_that_does_not_fit_is_doubted_and_the_session_goes_on() -> None:
    reader = Reader()
    async with serving(reader) as (_, notebook):
        broken = frame(61, 1, bytes.fromhex("00f0 00ff 8d"))
        await reader.send(broken + report(EPC))
        await asyncio.sleep(0.1)
        assert [raw for raw, _ in notebook.doubts] == [broken]
        assert len(notebook.of(TagRead)) == 1


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
        assert _told(notebook) == [
            DeviceFault("antenna_1", "antenna 1 is not connected"),
            DeviceFault("antenna_1", "antenna 1 is not connected", active=False),
            DeviceFault("reader_exception", "PA hot"),
            DeviceFault("report_buffer", "report buffer 90 % full"),
            DeviceFault("report_overflow", "report buffer overflow: reads were lost"),
        ]


async def test_an_antenna_that_is_wanted_and_not_connected_is_a_fault_from_the_start() -> None:
    async with serving(Reader(), antennas=[1, 2]) as (_, notebook):
        assert _told(notebook) == [DeviceFault("antenna_2", "antenna 2 is not connected")]


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
    assert [fault.active for fault in _told(notebook)] == [True]
    assert notebook.events[-1] == DeviceFault("report_overflow", "", active=False)
    await net.unlisten_and_wait("device")


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
        assert _told(notebook) == []


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


# --- configuration ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["write_epc", "kill_password", "lock", "block_erase"])
def test_a_stanza_that_wants_to_alter_tags_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="never writes to, locks, kills or erases a tag"):
        LlrpConfig.model_validate({"id": "rfid1", "url": "tcp://192.0.2.1:5084", key: "0"})


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"antennas": [1], "power_dbm": {2: 30}}, "not among antennas"),
        ({"gpi": {1: "loop", 2: "loop"}}, "same name"),
        ({"antennas": [0]}, "greater than or equal to 1"),
    ],
)
def test_a_wrong_stanza_is_refused_with_the_reason(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        LlrpConfig.model_validate({"id": "rfid1", "url": "tcp://192.0.2.1:5084", **settings})
