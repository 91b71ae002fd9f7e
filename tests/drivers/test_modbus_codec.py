"""Modbus/TCP requests and answers, byte for byte, and whatever else a peer may send."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus_codec import (
    FRAME_LIMIT,
    Area,
    Bits,
    Mismatch,
    Read,
    Refused,
    Request,
    WriteCoils,
    WriteRegisters,
    Written,
    answer_framer,
    read_answer,
    request_tail,
)
from lanecontrol.framing import Doubt, Violation

REQUESTS: list[tuple[Request, str]] = [
    (Read(Area.COILS, 0, 6), "0000 0006 01 01 0000 0006"),
    (Read(Area.DISCRETE_INPUTS, 3, 22), "0000 0006 01 02 0003 0016"),
    (Read(Area.HOLDING_REGISTERS, 0x1006, 1), "0000 0006 01 03 1006 0001"),
    (Read(Area.INPUT_REGISTERS, 0, 125), "0000 0006 01 04 0000 007d"),
    (WriteCoils(16, (True,)), "0000 0006 01 05 0010 ff00"),
    (WriteCoils(16, (False,)), "0000 0006 01 05 0010 0000"),
    (WriteRegisters(0x1007, (1,)), "0000 0006 01 06 1007 0001"),
    (WriteCoils(16, (True, False, True, False, False, False)), "0000 0008 01 0f 0010 0006 01 05"),
    (WriteRegisters(1, (10, 258)), "0000 000b 01 10 0001 0002 04 000a 0102"),
]

ANSWERS: list[tuple[Request, str, object]] = [
    (REQUESTS[0][0], "0000 0004 01 01 01 05", Bits(0b000101)),
    (REQUESTS[1][0], "0000 0006 01 02 03 acdb35", Bits(0x35DBAC)),
    (REQUESTS[1][0], "0000 0006 01 02 03 acdbf5", Bits(0x35DBAC)),
    (REQUESTS[2][0], "0000 0005 01 03 02 0002", Bits(2)),
    (Read(Area.INPUT_REGISTERS, 0, 2), "0000 0007 01 04 04 0001 8000", Bits(0x8000_0001)),
    (REQUESTS[4][0], "0000 0006 01 05 0010 ff00", Written()),
    (REQUESTS[6][0], "0000 0006 01 06 1007 0001", Written()),
    (REQUESTS[7][0], "0000 0006 01 0f 0010 0006", Written()),
    (REQUESTS[8][0], "0000 0006 01 10 0001 0002", Written()),
    (REQUESTS[0][0], "0000 0003 01 81 02", Refused(2)),
    (REQUESTS[7][0], "0000 0003 01 8f 04", Refused(4)),
]

MISFITS = [
    (REQUESTS[0][0], "0000 0004 02 01 01 05"),
    (REQUESTS[0][0], "0000 0004 01 02 01 05"),
    (REQUESTS[0][0], "0000 0005 01 01 02 0500"),
    (REQUESTS[0][0], "0000 0004 01 01 02 05"),
    (REQUESTS[4][0], "0000 0006 01 05 0011 ff00"),
    (REQUESTS[4][0], "0000 0006 01 05 0010 0000"),
]


@pytest.mark.parametrize(("request_", "wire"), REQUESTS, ids=[wire for _, wire in REQUESTS])
def test_each_request_has_the_bytes_of_the_standard(request_: Request, wire: str) -> None:
    assert request_tail(1, request_) == bytes.fromhex(wire)


@pytest.mark.parametrize(("request_", "wire", "answer"), ANSWERS, ids=[wire for _, wire, _ in ANSWERS])
def test_each_answer_is_read(request_: Request, wire: str, answer: object) -> None:
    assert read_answer(1, request_, bytes.fromhex(wire)) == answer


@pytest.mark.parametrize(("request_", "wire"), MISFITS, ids=[wire for _, wire in MISFITS])
def test_an_answer_to_something_else_is_never_taken(request_: Request, wire: str) -> None:
    assert isinstance(read_answer(1, request_, bytes.fromhex(wire)), Mismatch)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Read(Area.COILS, 0, 2001),
        lambda: Read(Area.HOLDING_REGISTERS, 0, 126),
        lambda: Read(Area.COILS, 65535, 2),
        lambda: WriteCoils(0, ()),
        lambda: WriteRegisters(0, (65536,)),
    ],
)
def test_what_the_protocol_cannot_carry_cannot_be_asked(make: object) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=r"at most|65535"):
        make()


@given(st.sampled_from([request for request, _ in REQUESTS]), st.integers(0, 255), st.binary(max_size=300))
def test_no_bytes_make_an_answer_raise(request: Request, unit: int, tail: bytes) -> None:
    assert read_answer(unit, request, tail) is not None


@given(st.sampled_from(ANSWERS), st.data())
def test_a_damaged_answer_is_read_or_refused_and_never_raises(
    case: tuple[Request, str, object], data: st.DataObject
) -> None:
    raw = bytearray(bytes.fromhex(case[1]))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    assert isinstance(read_answer(1, case[0], bytes(raw)), (Bits, Written, Refused, Mismatch))


whole = st.sampled_from([b"\x00\x07" + bytes.fromhex(wire) for _, wire, _ in ANSWERS])


@given(
    st.lists(st.one_of(whole, st.binary(max_size=40)), max_size=12).map(b"".join),
    st.lists(st.integers(0, 500), max_size=8),
)
def test_wherever_the_stream_is_split_the_frames_are_the_same_and_little_is_kept(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    framer = answer_framer()
    pieces = []
    for start, end in itertools.pairwise(edges):
        pieces += framer.feed(data[start:end])
        assert framer.pending <= FRAME_LIMIT
    assert pieces == answer_framer().feed(data)


@pytest.mark.parametrize("header", ["0001 0001 0006 01 01", "0001 0000 ffff 01 01", "0001 0000 0002 01 01"])
def test_a_header_that_is_not_modbus_ends_the_stream(header: str) -> None:
    framer = answer_framer()
    (found,) = framer.feed(bytes.fromhex(header) + bytes(40))
    assert isinstance(found, Violation)
    assert framer.feed(bytes(1000)) == []


def test_good_frames_before_a_broken_one_still_count() -> None:
    good = bytes.fromhex("0001 0000 0004 01 01 01 05")
    first, second = answer_framer().feed(good + b"\xff" * 12)
    assert first == good
    assert isinstance(second, Doubt)
