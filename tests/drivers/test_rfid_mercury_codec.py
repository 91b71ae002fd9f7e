"""Frames of the M6e protocol, byte for byte, and whatever else a serial line may bring."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mercury_module import EPC, KEEP_ALIVE, RECORD, answer, crc, streamed

from drivers import rfid_mercury_codec as codec
from drivers import rfid_mercury_records as tags
from drivers.rfid_mercury import MercuryReader
from drivers.rfid_mercury_codec import FRAME_LIMIT, Frame, Frames, Op, checksum
from drivers.rfid_mercury_records import Fetched, Nothing, SearchEnded
from lanecontrol.events import TagRead
from lanecontrol.framing import DOUBT_LIMIT, Doubt
from lanecontrol.identifier import Identifier

REAL = bytes.fromhex("FF282200001000 1B01FF0101C4110E164000000127000005 00000F00803000000000000000000000001545E94A561D")
"""A frame that a real module sent, with its own checksum."""

COMMANDS = [
    (codec.command(Op.VERSION), "ff00031d0c"),
    (codec.command(Op.PROGRAM), "ff000c1d03"),
    (codec.command(Op.GET_ANTENNAS, b"\x05"), "ff016105bdb8"),
    (codec.antennas_in_use((1, 2)), "ff059102010102022dc0"),
    (codec.command(Op.SET_OPTION, b"\x01\x0c\x00"), "ff039a010c00a35d"),
    (codec.command(Op.SET_REGION, b"\x01"), "ff0197014bbc"),
    (codec.command(Op.SET_PROTOCOL, codec.GEN2), "ff02930005517d"),
    (codec.command(Op.SET_POWER, (2700).to_bytes(2, "big")), "ff02920a8c4bd5"),
    (codec.search(500, 0x0FFF), "ff072210001301f40fff3242"),
    (codec.get_tags(0x0FFF), "ff03290fff00facd"),
    (codec.start(250, 0x0FFF), "ff102f00000122000005072210001b00fa0fffb40b"),
    (codec.STOP, "ff032f0000025e86"),
]

ANSWERS = [
    ("ff010c0000126343", Op.PROGRAM, 0, "12"),
    ("ff14030000150112001800000120200101011b0205000000102545", Op.VERSION, 0, None),
    ("ff096100000501010201030004006bc4", Op.GET_ANTENNAS, 0, "050101020103000400"),
    ("ff009a0000a633", Op.SET_OPTION, 0, ""),
    ("ff07220000100013000000018f02", Op.SEARCH, 0, "10001300000001"),
    ("ff0022040084e0", Op.SEARCH, 0x0400, ""),
    ("ff012f00000130e5", Op.CONTINUOUS, 0, "01"),
    ("ff0022050485e4", Op.SEARCH, 0x0504, ""),
    ("ff0022050585e5", Op.SEARCH, 0x0505, ""),
    ("ff012f00000230e6", Op.CONTINUOUS, 0, "02"),
    ("ff00040000c444", Op.BOOT_FIRMWARE, 0, ""),
    ("ff009901019751", 0x99, 0x0101, ""),
]

READ = TagRead(1, Identifier(EPC), -51.0, 1)


@pytest.mark.parametrize(("made", "wire"), COMMANDS, ids=[wire for _, wire in COMMANDS])
def test_each_command_has_the_bytes_of_the_protocol(made: bytes, wire: str) -> None:
    assert made.hex() == wire


@pytest.mark.parametrize(("wire", "op", "status", "data"), ANSWERS, ids=[wire for wire, *_ in ANSWERS])
def test_each_answer_is_a_frame(wire: str, op: int, status: int, data: str | None) -> None:
    (frame,) = Frames().feed(bytes.fromhex(wire))
    assert isinstance(frame, Frame)
    assert (frame.op, frame.status) == (op, status)
    assert data is None or frame.data.hex() == data


def test_the_checksum_is_the_modules_and_not_the_common_one() -> None:
    assert checksum(b"123456789") == 0xA69D


@given(st.binary(min_size=2, max_size=255))
def test_the_checksum_agrees_with_the_makers_way_of_reckoning(body: bytes) -> None:
    assert checksum(body) == crc(body)


def test_a_frame_of_a_real_module_is_a_tag_read() -> None:
    (frame,) = Frames().feed(REAL)
    assert isinstance(frame, Frame)
    read = tags.read_streamed(frame)
    assert read == TagRead(1, Identifier("000000000000000000001545"), -60.0, 1)
    assert "1545" not in repr(read)


def test_version_and_antennas_are_read() -> None:
    version = codec.read_version(bytes.fromhex("150112001800000120200101011b020500000010"))
    assert version == codec.Version("M6e", "01.1b.02.05 of 20200101")
    assert codec.read_version(b"\x15") is None
    assert codec.read_antennas(bytes.fromhex("050101020103000400")) == {1: True, 2: True, 3: False, 4: False}
    assert codec.read_antennas(b"") is codec.read_antennas(b"\x05\x01") is None


def test_no_operation_that_alters_a_tag_is_known() -> None:
    assert not {0x23, 0x24, 0x25, 0x26, 0x2D, 0x2E} & set(Op)


# --- records ---------------------------------------------------------------------------------------------------------


@st.composite
def records(draw: st.DrawFn) -> tuple[int, bytes, TagRead | None]:
    """Metadata, the bytes of a record with it, and what they mean."""
    metadata = draw(st.integers(0, 0x0FFF)) | 0x0007
    count, rssi, antenna = draw(st.integers(0, 255)), draw(st.integers(-128, 127)), draw(st.integers(1, 15))
    raw = struct.pack(">BbB", count, rssi, antenna << 4 | antenna)
    raw += b"".join(bytes(size) for bit, size in ((8, 3), (16, 4), (32, 2), (64, 1)) if metadata & bit)
    tid = b""
    if metadata & 0x0080:
        tid = draw(st.binary(max_size=24))
        raw += struct.pack(">H", 8 * len(tid)) + tid
    raw += b"".join(b"\x00" for bit in (0x0100, 0x0200, 0x0400, 0x0800) if metadata & bit)
    epc = draw(st.binary(max_size=62))
    xpc = draw(st.sampled_from([b"", b"\x00\x01", b"\x80\x01\x00\x02"]))
    body = (b"\x32\x00" if xpc else b"\x30\x00") + xpc + epc + b"\xaa\xbb"
    raw += struct.pack(">H", 8 * len(body)) + body
    number = Identifier(tid.hex()) if tid else None
    read = TagRead(antenna, Identifier(epc.hex()), float(rssi), count, number) if epc else None
    return metadata, raw, read


@given(records())
def test_a_record_is_cut_as_its_metadata_say_whatever_the_length_of_its_epc(
    case: tuple[int, bytes, TagRead | None],
) -> None:
    metadata, raw, read = case
    assert tags.read_record(b"??" + raw + b"more", 2, metadata) == (read, 2 + len(raw))


@given(records(), st.data())
def test_a_record_that_is_cut_off_is_no_record(case: tuple[int, bytes, TagRead | None], data: st.DataObject) -> None:
    metadata, raw, _ = case
    assert tags.read_record(raw[: data.draw(st.integers(0, len(raw) - 1))], 0, metadata) is None


@given(st.binary(max_size=248), st.integers(0, 0xFFFF))
def test_whatever_a_record_holds_it_is_read_or_left_and_never_raises(raw: bytes, metadata: int) -> None:
    frame = Frame(0x22, 0, raw, raw)
    tags.read_record(raw, 0, metadata)
    assert isinstance(tags.read_streamed(frame), TagRead | SearchEnded | Nothing | Doubt)
    assert isinstance(tags.read_fetched(frame), Fetched | Doubt)
    codec.read_version(raw)
    codec.read_antennas(raw)
    tags.read_count(raw)


def test_a_failed_tid_read_leaves_the_tag_without_one() -> None:
    raw = bytes.fromhex("01cd11 8000 0424 0080 3000 f0000000000000000000beef aabb")
    assert tags.read_record(raw, 0, 0x0087) == (READ, len(raw))


def test_the_tid_comes_with_the_tag() -> None:
    raw = bytes.fromhex("01cd11 0060 e28011602000000000000001 0080 3000 f0000000000000000000beef aabb")
    found = tags.read_record(raw, 0, 0x0087)
    assert found is not None
    assert found[0] == TagRead(1, Identifier(EPC), -51.0, 1, Identifier("e28011602000000000000001"))


def test_fetched_records_come_out_one_by_one() -> None:
    (frame,) = Frames().feed(answer(0x29, bytes.fromhex("0fff0002") + RECORD + RECORD))
    assert isinstance(frame, Frame)
    assert tags.read_fetched(frame) == Fetched(2, (READ, READ))


def test_the_end_of_the_search_and_status_reports_are_told_apart() -> None:
    kinds = [bytes.fromhex("10001b0fff") + bytes((kind,)) + bytes(4) for kind in (0, 2, 7)]
    found = [tags.read_streamed(Frame(0x22, 0, data, data)) for data in kinds]
    assert [type(item) for item in found] == [SearchEnded, Nothing, Doubt]


# --- the stream ------------------------------------------------------------------------------------------------------


def _ops(found: list[Frame | Doubt]) -> list[int | type]:
    return [item.op if isinstance(item, Frame) else Doubt for item in found]


@pytest.mark.parametrize("run", [1, 2, 200, 5000])
def test_wake_up_runs_are_survived_without_a_doubt(run: int) -> None:
    data = b"\xff" * run + streamed() + b"\xff" * run + KEEP_ALIVE
    assert _ops(Frames().feed(data)) == [0x22, 0x22]


def test_a_frame_with_a_wrong_checksum_is_one_doubt_and_the_next_frame_is_read() -> None:
    damaged = bytearray(streamed())
    damaged[10] ^= 1
    first, second = Frames().feed(bytes(damaged) + KEEP_ALIVE)
    assert isinstance(first, Doubt)
    assert first.raw == bytes(damaged)
    assert isinstance(second, Frame)


def test_a_good_frame_inside_a_broken_one_is_found() -> None:
    assert _ops(Frames().feed(b"\xff\xf0\x22" + streamed() + bytes(200))) == [Doubt, 0x22]


def test_a_beginning_that_is_never_finished_hides_the_next_frame_only_until_it_expires() -> None:
    frames = Frames()
    assert frames.feed(b"\xff\xf0\x22" + KEEP_ALIVE) == []
    assert _ops(frames.expire()) == [Doubt, 0x22]
    assert frames.pending == 0
    assert _ops(frames.feed(KEEP_ALIVE)) == [0x22]


@given(st.integers(0, 3))
def test_the_rest_of_a_wake_up_run_expires_without_a_doubt(run: int) -> None:
    frames = Frames()
    assert frames.feed(b"\xff" * run) == frames.expire() == []


pieces = st.one_of(
    st.sampled_from([streamed(), KEEP_ALIVE, REAL, b"\xff" * 7, b"\xff\xf9", b"\xff\xf8", b"\xff\x00\x22"]),
    st.binary(max_size=40),
)
streams = st.lists(pieces, max_size=25).map(b"".join)


@given(streams, st.lists(st.integers(0, 900), max_size=12))
def test_wherever_the_bytes_are_split_the_frames_are_the_same(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    frames, whole = Frames(), Frames()
    found = [item for start, end in itertools.pairwise(edges) for item in frames.feed(data[start:end])]
    assert found == whole.feed(data)
    assert frames.pending < FRAME_LIMIT
    assert frames.expire() == whole.expire()


@given(streams)
def test_a_good_frame_is_found_behind_whatever_came_before(data: bytes) -> None:
    frames = Frames()
    frames.feed(data)
    found = [*frames.feed(KEEP_ALIVE), *frames.expire()]
    assert KEEP_ALIVE in [item.raw for item in found]


@pytest.mark.parametrize("filler", [b"\x00", b"U", b"\xff", b"\xff\xf9", b"\xff\xf8\x00"])
def test_a_flood_does_not_pile_up(filler: bytes) -> None:
    frames = Frames()
    found = [item for _ in range(200) for item in frames.feed(filler * 1000)]
    assert len(found) <= 1
    assert all(len(item.raw) <= DOUBT_LIMIT for item in found)
    assert frames.pending < FRAME_LIMIT


@pytest.mark.parametrize("size", [1, 100, 4096])
def test_each_place_where_a_frame_may_begin_is_tried_once(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    tried = 0

    def never(data: bytes, at: int, stop: int) -> bool:
        nonlocal tried
        tried += 1
        return False

    monkeypatch.setattr(codec, "_is_frame", never)
    frames, noise = Frames(), b"\xff\xf8\x22" * 2000
    for at in range(0, len(noise), size):
        frames.feed(noise[at : at + size])
    frames.expire()
    assert tried <= 2000


@pytest.mark.parametrize("op", [0x00, 0xA0, 0xFE])
def test_bytes_that_name_no_operation_hold_nothing_up(op: int) -> None:
    """No answer has such an operation, so no 255 bytes are waited for."""
    assert _ops(Frames().feed(b"\xff\xf8" + bytes((op,)) + streamed())) == [Doubt, 0x22]


# --- stored captures -------------------------------------------------------------------------------------------------


def test_a_stored_capture_gives_its_tag_reads_and_their_count() -> None:
    fetched = answer(0x29, bytes.fromhex("0fff0001") + RECORD)
    raw = b"\xff" * 9 + KEEP_ALIVE + streamed() + b"noise" + fetched + answer(0x22, bytes.fromhex("10001300000001"))
    assert list(MercuryReader.decode(raw, {})) == [READ, READ]
    assert MercuryReader.summarise(raw, {}) == {"frames": 4, "doubts": 1, "tags": 2}
