"""LLRP frames to typed messages and back: the same bytes again, whatever they are, and no exception."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llrp_reader import Reader, event, frame, greeting, report

from drivers import rfid_llrp_requests as ask
from drivers.rfid_llrp import LlrpReader
from drivers.rfid_llrp_codec import (
    FRAME_LIMIT,
    LEFTOVER,
    Frames,
    Message,
    decode,
    encode,
)
from drivers.rfid_llrp_layouts import MESSAGES, PARAMETERS
from drivers.rfid_llrp_reports import ReportReader, tag_reads
from lanecontrol.events import TagRead
from lanecontrol.framing import Doubt, Violation
from lanecontrol.identifier import Identifier

EPC = "f0000000000000000000beef"
REPORT = bytes.fromhex(
    "043d000000350000000700f0002b8df0000000000000000000beef81000186cd82000647484620400084000647484620400088 0001"
)
LONG_REPORT = bytes.fromhex(
    "043d0000003e0000000700f0003400f100160080f000000000000000000000000000beef81000186cd"
    "82000647484620400084000647484620400088 0001"
)

REQUESTS = [
    ask.get_capabilities(),
    ask.get_configuration(),
    ask.set_configuration(5000, (1, 2)),
    ask.delete_rospecs(),
    ask.add_rospec(1, (1, 2), {1: (1, 0, 81)}),
    ask.enable_rospec(1),
    ask.start_rospec(1),
    ask.disable_rospec(1),
    ask.delete_accessspecs(),
    ask.add_tid_read(6),
    ask.get_supported_version(),
    ask.set_protocol_version(),
    ask.enable_tid_read(),
    ask.enable_events_and_reports(),
    ask.keepalive_ack(8),
    ask.close_connection(),
]

FRAMES = [
    REPORT,
    LONG_REPORT,
    report(EPC, 3),
    greeting(),
    event(bytes.fromhex("00fc 000c 0006 504120686f74")),
    frame(11, 1, Reader().bodies[1]),
    frame(12, 1, Reader().bodies[2]),
    *map(encode, REQUESTS),
]


@pytest.mark.parametrize("raw", FRAMES, ids=lambda raw: raw[:12].hex())
def test_a_frame_encodes_to_itself_from_its_typed_form(raw: bytes) -> None:
    message = decode(raw)
    assert isinstance(message, Message)
    assert message.name in {name for name, _ in MESSAGES.values()}
    assert encode(message) == raw


def test_fields_are_found_by_their_names() -> None:
    message = decode(frame(11, 1, Reader().bodies[1]))
    assert isinstance(message, Message)
    (general,) = message.find(137)
    assert (general["antennas"], general["has_utc_clock"], general["firmware"]) == (4, 1, "5.12.10")
    (regulatory,) = message.find(143)
    (band,) = regulatory.find(144)
    assert [(entry["index"], entry["centi_dbm"]) for entry in band.find(145)] == [(1, 1000), (2, 2100), (3, 3000)]


def test_a_read_has_epc_antenna_rssi_count_and_time() -> None:
    wanted = TagRead(1, Identifier(EPC), -51.0, 1, None, 1767225600.0)
    assert list(LlrpReader.decode(REPORT, {})) == [wanted]
    (long,) = LlrpReader.decode(LONG_REPORT, {})
    assert long == dataclasses.replace(wanted, epc=Identifier("f000000000000000000000000000beef"))


def test_what_a_report_leaves_out_is_left_out() -> None:
    (read,) = LlrpReader.decode(frame(61, 1, bytes.fromhex("00f0 0011 8d" + EPC)), {})
    assert read == TagRead(0, Identifier(EPC), None, 1, None, None)


def test_parameters_that_nobody_knows_are_kept_byte_for_byte_and_do_not_hide_the_tag() -> None:
    unknown = "03e7 0007 aabbcc" + "03ff 000e 000065ba 00000001 beef" + "8d" + EPC + "ee 0102"
    body = bytes.fromhex(unknown)
    raw = frame(61, 1, bytes.fromhex(f"00f0 {4 + len(body):04x}") + body)
    message = decode(raw)
    assert isinstance(message, Message)
    kinds = [part.type for part in message.parameters[0].parameters]
    assert kinds == [999, 1023, 13, LEFTOVER]
    assert encode(message) == raw
    assert [read.epc for read in tag_reads(message)] == [EPC]


def test_what_would_alter_a_tag_has_no_typed_form() -> None:
    assert not {342, 343, 344, 345, 346, 347} & PARAMETERS.keys()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x04\x3d",
        frame(61, 1, bytes.fromhex("00f0 00ff 8d")),
        frame(61, 1, bytes.fromhex("00f0 0005 8d")),
        frame(61, 1, bytes.fromhex("00f0 0003")),
        frame(61, 1, bytes.fromhex("0005 0004")),
        frame(21, 1, bytes.fromhex("0001")),
        frame(61, 1, b"\x00\xf0\x00\x04" + b"\x00"),
        frame(61, 1)[:-1] + b"\x00\x00",
    ],
)
def test_a_frame_that_does_not_fit_is_a_doubt(raw: bytes) -> None:
    found = decode(raw)
    assert isinstance(found, Doubt)
    assert found.raw == raw


def test_parameters_nested_without_end_are_a_doubt() -> None:
    body = b""
    for _ in range(8000):
        body = bytes.fromhex(f"00f0 {4 + len(body):04x}") + body
    assert isinstance(decode(frame(61, 1, body)), Doubt)


# --- the short way ---------------------------------------------------------------------------------------------------


def _long_way(frame: bytes) -> list[Any]:
    """What the tables say of a whole frame; of a report, what comes before the place where it stops to fit."""
    message = decode(frame)
    if isinstance(message, Message):
        return list(tag_reads(message)) if message.type == 61 else []
    whole: list[Any] = []
    for cut in range(10, len(frame)):
        message = decode(frame[:2] + cut.to_bytes(4, "big") + frame[6:cut])
        if isinstance(message, Message) and message.type == 61:
            whole = list(tag_reads(message))
    return whole


def _short_way(reader: ReportReader, data: bytes) -> list[Any]:
    return [item for item in reader.feed(data) if isinstance(item, TagRead)]


def test_a_report_of_a_form_seen_before_is_read_without_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = ReportReader()
    for first in (REPORT, LONG_REPORT, _with_rospec(REPORT, 7), among(REPORT, REPORT)):
        assert len(_short_way(reader, first)) == (2 if len(first) > 80 else 1)
    monkeypatch.setattr("drivers.rfid_llrp_reports.decoding_parameters", None)
    assert [read.rssi_dbm for read in _short_way(reader, report("e" * 24, 4, -70) * 3)] == [-70.0] * 3
    assert len(_short_way(reader, LONG_REPORT + _with_rospec(REPORT, 7) + among(REPORT, REPORT, REPORT))) == 5


def _with_rospec(raw: bytes, rospec: int) -> bytes:
    """The same report, that says of which inventory it is."""
    body = raw[14:27] + b"\x89" + rospec.to_bytes(4, "big") + raw[27:]
    return frame(61, 7, bytes.fromhex(f"00f0 {4 + len(body):04x}") + body)


def among(*reports: bytes) -> bytes:
    """One frame with the tags of several."""
    return frame(61, 9, b"".join(raw[10:] for raw in reports))


def test_a_report_of_another_inventory_is_late_and_one_of_none_until_ours_runs() -> None:
    ours, other = _with_rospec(REPORT, 7), _with_rospec(REPORT, 6)
    reader = ReportReader(rospec=7)
    assert [read.late for read in _short_way(reader, (REPORT + ours + other) * 2)] == [True, False, True] * 2
    reader.started = True
    assert [read.late for read in _short_way(reader, (REPORT + ours + other) * 2)] == [False, False, True] * 2
    assert not any(read.late for read in LlrpReader.decode(REPORT + ours + other, {})), "a capture has no session"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [REPORT, LONG_REPORT, _with_rospec(REPORT, 1), among(REPORT, LONG_REPORT), among(REPORT, REPORT)]
            ),
            st.lists(st.tuples(st.integers(0, 130), st.integers(0, 255)), max_size=3),
        ),
        max_size=20,
    )
)
def test_the_short_way_never_reads_anything_else_than_the_tables_do(
    cases: list[tuple[bytes, list[tuple[int, int]]]],
) -> None:
    reader = ReportReader()
    for raw, changes in cases:
        changed = bytearray(raw)
        for at, value in changes:
            place = at % len(changed)
            if not 2 <= place <= 5 and place > 0:  # another length, or another protocol, is another stream
                changed[place] = value
        assert _short_way(reader, bytes(changed)) == _long_way(bytes(changed))


def test_forms_without_end_are_not_all_learned() -> None:
    reader = ReportReader()
    for number in range(200):
        assert len(_short_way(reader, _with_rospec(REPORT, number) * 2)) == 2
    assert len(reader._alone) + len(reader._among) <= 64


# --- large frames ----------------------------------------------------------------------------------------------------


def _steps(raw: bytes) -> list[Any]:
    return list(ReportReader().feed(raw))


def test_a_report_of_a_mebibyte_is_read_in_steps() -> None:
    many = frame(61, 1, REPORT[10:] * 24_000)
    assert len(many) > 1_000_000
    assert sum(isinstance(item, TagRead) for item in _steps(many)) == 24_000


def test_a_message_of_many_parameters_is_read_with_breaths_between() -> None:
    body = bytes.fromhex("0080 000c 0006474846204000") + bytes.fromhex("00fb 0004") * 5000
    raw = frame(63, 0, bytes.fromhex(f"00f6 {4 + len(body):04x}") + body)
    *breaths, message = _steps(raw)
    assert len(breaths) >= 30
    assert set(breaths) == {None}
    assert message == decode(raw)


def test_a_tag_with_many_parameters_is_read_with_breaths_between() -> None:
    body = bytes.fromhex("8d" + EPC) + bytes.fromhex("015e 0009 00 0001 0001") * 5000
    raw = frame(61, 0, bytes.fromhex(f"00f0 {4 + len(body):04x}") + body)
    *breaths, read = _steps(raw)
    assert len(breaths) >= 30
    assert read == TagRead(0, Identifier(EPC))


def test_reads_before_the_place_where_a_report_breaks_are_told_and_then_the_doubt() -> None:
    read, doubt = _steps(frame(61, 1, REPORT[10:] + bytes.fromhex("00f0 00ff 8d")))
    assert isinstance(read, TagRead)
    assert isinstance(doubt, Doubt)
    assert doubt.why == "RO_ACCESS_REPORT: too short for a parameter"


# --- hostile bytes ---------------------------------------------------------------------------------------------------


@given(st.integers(0, 1023), st.binary(max_size=200))
def test_no_body_of_any_message_raises_and_what_decodes_encodes_to_itself(kind: int, body: bytes) -> None:
    raw = frame(kind, 1, body)
    message = decode(raw)
    if isinstance(message, Message):
        assert encode(message) == raw


@given(st.sampled_from(FRAMES), st.data())
def test_a_damaged_frame_is_a_message_or_a_doubt(raw: bytes, data: st.DataObject) -> None:
    changed = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    message = decode(bytes(changed))
    if isinstance(message, Message):
        assert encode(message) == changed
        list(tag_reads(message))


@given(
    st.lists(st.one_of(st.sampled_from(FRAMES), st.binary(max_size=30)), max_size=12).map(b"".join),
    st.lists(st.integers(0, 3000), max_size=8),
)
def test_wherever_the_stream_is_split_the_frames_are_the_same(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    frames = Frames()
    pieces = []
    for start, end in itertools.pairwise(edges):
        pieces += frames.feed(data[start:end])
        assert frames.pending <= FRAME_LIMIT
    assert pieces == Frames().feed(data)


def test_an_absurd_length_ends_the_stream_and_nothing_is_kept() -> None:
    frames = Frames()
    *good, last = frames.feed(REPORT * 3 + bytes.fromhex("043d 00100001 00000001"))
    assert good == [REPORT] * 3
    assert isinstance(last, Violation)
    assert frames.feed(REPORT) == []
    assert frames.pending == 0


def test_a_frame_that_never_ends_keeps_no_more_than_the_limit() -> None:
    frames = Frames(4096)
    assert frames.feed(bytes.fromhex("043d 00001000 00000001")) == []
    assert frames.feed(bytes(4000)) == []
    assert frames.pending <= 4096
