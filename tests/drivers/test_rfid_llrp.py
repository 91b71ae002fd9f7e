"""A reader in session: greeting, set-up, versions, refusals and silence, keep-alives, configuration, goodbye."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from driver_bench import Notebook, in_session, make, session_of
from llrp_bench import EPC, SET_UP, failure_of, serving
from llrp_reader import OK, Reader, frame, report, status

from drivers.rfid_llrp import LlrpConfig, LlrpReader
from lanecontrol.errors import LinkLost, ProtocolViolation
from lanecontrol.events import Identity, TagRead
from lanecontrol.identifier import Identifier
from lanecontrol.links import Handler, Link, MemoryNet

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
    failure, _ = await failure_of(Reader(), **settings)
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


@pytest.mark.parametrize(("tid_words", "asked"), [(6, "0006"), (4, "0004"), (0, "0000")])
async def test_so_much_of_the_tid_is_read_as_is_configured(tid_words: int, asked: str) -> None:
    reader = Reader()
    async with serving(reader, read_tid=True, tid_words=tid_words):
        assert dict(reader.received)[40].hex().endswith("0155000f0001" + "00000000" + "80" + "0000" + asked)


@pytest.mark.parametrize(("result", "why"), [("01", "the tag answers with an error"), ("02", "no answer")])
async def test_a_tag_whose_tid_cannot_be_read_is_reported_without_one(result: str, why: str) -> None:
    reader = Reader()
    async with serving(reader, read_tid=True) as (_, notebook):
        body = bytes.fromhex(f"8d {EPC} 81 0001 90 0000000b 015d 0009 {result} 0001 0000")
        await reader.send(frame(61, 3, bytes.fromhex(f"00f0 {4 + len(body):04x}") + body))
        await asyncio.sleep(0.1)
        assert notebook.of(TagRead) == [TagRead(1, Identifier(EPC))], why


@pytest.mark.parametrize("bits", [16, 64, 80, 96, 128, 496])
async def test_an_epc_of_any_length_is_reported_whole(bits: int) -> None:
    reader = Reader()
    epc = ("f0" + "ab" * 61)[: bits // 4]
    async with serving(reader) as (_, notebook):
        data = bytes.fromhex(f"00f1 {6 + bits // 8:04x} {bits:04x} {epc} 81 0001")
        for _ in range(2):
            await reader.send(frame(61, 3, bytes.fromhex(f"00f0 {4 + len(data):04x}") + data))
        await asyncio.sleep(0.1)
        assert [read.epc for read in notebook.of(TagRead)] == [epc] * 2


# --- the version of the protocol -------------------------------------------------------------------------------------


async def test_with_a_reader_of_1_1_all_is_in_1_1() -> None:
    reader = Reader()
    reader.supports = 2
    async with serving(reader) as (_, notebook):
        assert reader.asked == [46, 47, 1, 3, 64, 21, 20, 24, 22, 2]
        assert set(reader.versions) == {2}
        assert dict(reader.received)[47] == b"\x02"
        await reader.send(report(EPC).replace(b"\x04\x3d", b"\x08\x3d", 1) * 2 + frame(62, 5, version=2))
        await asyncio.sleep(0.1)
        assert len(notebook.of(TagRead)) == 2
        assert (reader.asked[-1], reader.versions[-1]) == (72, 2)


async def test_a_reader_that_is_in_1_1_already_is_not_set_to_it() -> None:
    reader = Reader()
    reader.supports = reader.current = 2
    async with serving(reader):
        assert reader.asked == [46, 1, 3, 64, 21, 20, 24, 22, 2]
        assert set(reader.versions) == {2}


@pytest.mark.parametrize("code", [109, 110])
async def test_a_reader_that_refuses_the_question_is_one_of_1_0_1(code: int) -> None:
    reader = Reader()
    reader.answer = lambda kind, number: frame(100, number, status(code)) if kind == 46 else None
    async with serving(reader) as (_, notebook):
        assert set(reader.versions[1:]) == {1}
        assert notebook.identities
        assert notebook.doubts == []


async def test_a_reader_of_1_1_that_will_not_change_to_it_is_served_in_1_0_1() -> None:
    reader = Reader()
    reader.supports = 2
    reader.answer = lambda kind, number: frame(57, number, status(401), 2) if kind == 47 else None
    async with serving(reader) as (_, notebook):
        assert reader.asked[:3] == [46, 47, 1]
        assert set(reader.versions[2:]) == {1}
        assert notebook.identities


async def test_a_reader_that_says_nothing_to_the_question_is_not_asked_again() -> None:
    reader, net, notebook = Reader(), MemoryNet(), Notebook()
    reader.supports = 0
    net.listen("device", reader.serve)
    driver = make(LlrpReader, net)
    for _ in range(2):
        async with session_of(driver, notebook):
            await asyncio.sleep(3)
    assert len(notebook.identities) == 2
    assert reader.asked.count(46) == 1
    await net.unlisten_and_wait("device")


async def lost_once_and_then_served(net: MemoryNet, serve: Handler) -> None:
    notebook = Notebook()
    net.listen("device", serve)
    driver = make(LlrpReader, net)
    async with session_of(driver, notebook) as bench:
        assert isinstance(await bench.failure(), LinkLost)
    async with session_of(driver, notebook):
        await asyncio.sleep(1)
    assert len(notebook.identities) == 1
    await net.unlisten_and_wait("device")


async def test_a_reader_that_hangs_up_at_the_question_is_not_asked_again() -> None:
    reader, net = Reader(), MemoryNet()

    def hang_up(kind: int, number: int) -> bytes | None:
        if kind == 46:
            net.drop("device")
        return None

    reader.answer = hang_up
    await lost_once_and_then_served(net, reader.serve)


async def test_a_reader_that_is_struck_dumb_by_the_question_is_served_at_the_next_connection() -> None:
    reader = Reader()

    async def confused(link: Link) -> None:
        reader.mute_for = set()
        await reader.serve(link)

    def struck_dumb(kind: int, number: int) -> bytes | None:
        reader.mute_for = set(range(100)) if kind == 46 else set()
        return b"" if kind == 46 else None

    reader.answer = struck_dumb
    await lost_once_and_then_served(MemoryNet(), confused)


async def test_where_1_0_1_is_configured_nobody_asks() -> None:
    reader = Reader()
    reader.supports = 2
    async with serving(reader, version="1.0.1"):
        assert reader.asked == [1, 3, 64, 21, 20, 24, 22, 2]
        assert set(reader.versions) == {1}


@pytest.mark.parametrize("supports", [1, 0])
async def test_where_1_1_is_configured_a_reader_without_it_is_not_served(supports: int) -> None:
    reader = Reader()
    reader.supports = supports
    failure, notebook = await failure_of(reader, version="1.1")
    assert isinstance(failure, ProtocolViolation if supports else LinkLost)
    assert notebook.identities == []


# --- refusals and silence --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attempt", [1, 2, 3, 4])
async def test_a_reader_that_has_another_client_is_a_busy_fault(attempt: int) -> None:
    reader = Reader()
    reader.status = attempt
    failure, notebook = await failure_of(reader)
    assert isinstance(failure, ProtocolViolation)
    assert failure.why.startswith("busy")
    assert reader.asked == []
    assert notebook.identities == []


async def test_a_refused_request_is_a_fault_with_the_readers_words() -> None:
    reader = Reader()
    reader.bodies[20] = bytes.fromhex("011f 0012 0064 000a 62616420414953706563")
    failure, _ = await failure_of(reader)
    assert isinstance(failure, ProtocolViolation)
    assert str(failure) == "ADD_ROSPEC: the reader answers status 100: bad AISpec"


async def test_an_error_message_answers_the_request_it_belongs_to() -> None:
    reader = Reader()
    reader.answer = lambda kind, number: frame(100, number, bytes.fromhex("011f0008006d0000")) if kind == 24 else None
    failure, _ = await failure_of(reader)
    assert isinstance(failure, ProtocolViolation)
    assert str(failure) == "ENABLE_ROSPEC: the reader answers status 109"


@pytest.mark.parametrize("kind", [1, 2, 3, 20, 21, 22, 24])
async def test_a_missing_answer_is_noticed_after_2_s(kind: int) -> None:
    reader = Reader()
    reader.mute_for = {kind}
    failure, notebook = await failure_of(reader)
    assert isinstance(failure, LinkLost)
    assert failure.why == "no answer within 2 s"
    assert notebook.clock.now().mono_s == pytest.approx(2.0, abs=0.1)


async def test_an_answer_with_another_id_is_doubted_and_never_used() -> None:
    reader = Reader()
    reader.answer = lambda kind, number: frame(34, number + 1, OK) if kind == 24 else None
    failure, notebook = await failure_of(reader)
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


async def test_what_came_before_the_stream_broke_is_still_told() -> None:
    reader = Reader()
    async with serving(reader) as (bench, notebook):
        await reader.send(report(EPC) * 2 + bytes.fromhex("043d 7fffffff 00000001"))
        failure = await bench.failure()
        assert isinstance(failure, LinkLost)
        assert failure.why == "not a header of this protocol, or an absurd length"
        assert len(notebook.of(TagRead)) == 2


async def test_a_large_report_lets_others_have_their_turn() -> None:
    reader = Reader()
    told = [0]
    async with serving(reader) as (bench, notebook):
        before = len(notebook.events)
        odd = bytes.fromhex("03ff 000c 000065ba 00000001")  # reports with this are read by the tables
        tag = bytes.fromhex(f"00f0 0037 8d {EPC} 81 0001 86 cd 82 0006474846204000 84 0006474846204000 88 0001") + odd
        await reader.send(frame(61, 1, tag * 5_000))
        while not bench.session.done() and told[-1] < 5_000:
            await asyncio.sleep(0)
            told.append(len(notebook.events) - before)
    assert told[-1] == 5_000
    assert max(after - before for before, after in itertools.pairwise(told)) <= 128


# --- configuration ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key", ["write_epc", "kill_password", "lock", "block_erase", "block_permalock", "recommission"]
)
def test_a_stanza_that_wants_to_alter_tags_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="never writes to, locks, kills or erases a tag"):
        LlrpConfig.model_validate({"id": "rfid1", "url": "tcp://192.0.2.1:5084", key: "0"})


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"antennas": [1], "power_dbm": {2: 30}}, "not among antennas"),
        ({"gpi": {1: "loop", 2: "loop"}}, "same name"),
        ({"antennas": [0]}, "greater than or equal to 1"),
        ({"gpi": {1: "Loop 1"}}, "lower-case letters"),
        ({"gpi": {1: "loop"}, "invert": ["gate"]}, "none of gpi"),
        ({"version": "2.0"}, "auto"),
    ],
)
def test_a_wrong_stanza_is_refused_with_the_reason(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        LlrpConfig.model_validate({"id": "rfid1", "url": "tcp://192.0.2.1:5084", **settings})
