"""The registers of an Aspect portal, word for word."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from drivers.modbus_codec import Area, Bits, Read, Refused, read_answer, request_tail
from drivers.rpm_aspect_codec import (
    DESCRIPTION,
    MONITOR,
    MONITOR_REGISTERS,
    Channel,
    Description,
    Inputs,
    Monitor,
    Status,
    has_restarted,
    monitor_request,
    read_description,
    read_monitor,
)

MONITOR_READ = Read(Area.HOLDING_REGISTERS, 100, 21)
SAMPLE = bytes.fromhex(
    "00020000002d01032ae240000100410f810a5a0000000044fa000042320380000300000000402000003fc00011000408ca0021"
)


def test_the_requests_have_the_bytes_of_the_page() -> None:
    assert b"\x00\x01" + request_tail(1, DESCRIPTION) == bytes.fromhex("000100000006010300000008")
    assert b"\x00\x02" + request_tail(1, MONITOR_READ) == bytes.fromhex("000200000006010300640015")


def test_the_description_tells_where_the_monitor_block_lies() -> None:
    frame = bytes.fromhex("00010000001301031041530079000100640015000000000000")
    answer = read_answer(1, DESCRIPTION, frame[2:])
    assert isinstance(answer, Bits)
    found = read_description(answer.value)
    assert found == Description(0x4153, 121, 1, 100, 21)
    assert monitor_request(found) == MONITOR_READ


def test_the_monitor_block_is_read_with_the_low_word_first() -> None:
    answer = read_answer(1, MONITOR_READ, SAMPLE[2:])
    assert isinstance(answer, Bits)
    found = read_monitor(answer.value)
    assert replace(found, raw=b"") == Monitor(
        elapsed=123456,
        inputs=Inputs.OCCUP0 | Inputs.DIR01,
        gamma=Channel(Status.ALARM1 | Status.READY | 0x0F00, 2650, 2000.0),
        neutron=Channel(Status.READY | 0x0300, 3, 2.5),
        object_counter=17,
        object_mark=4,
        object_speed_mm_s=2250,
        raw=b"",
    )
    assert (found.occupied, found.direction, found.gamma.alarm, found.neutron.alarm) == (
        True,
        Inputs.DIR01,
        True,
        False,
    )


def _value(words: list[int]) -> int:
    """Registers as an answer gives them: the first one lowest."""
    return sum(word << 16 * at for at, word in enumerate(words))


def test_a_portal_with_the_other_word_order_is_read_alike() -> None:
    low_first = list(struct.unpack(">21H", SAMPLE[9:]))
    high_first = low_first.copy()
    for at in (0, 4, 6, 8, 11, 13, 15):
        high_first[at], high_first[at + 1] = low_first[at + 1], low_first[at]
    assert read_monitor(_value(high_first), high_first=True) == read_monitor(_value(low_first))
    assert read_monitor(_value(low_first)).gamma == Channel(0x0F81, 2650, 2000.0)
    assert read_monitor(_value(high_first)).gamma.count != 2650


def test_an_exception_is_a_refusal_and_no_values() -> None:
    assert read_answer(1, MONITOR_READ, bytes.fromhex("000200000003018302")[2:]) == Refused(2)


def test_the_map_has_no_gap_and_no_overlap() -> None:
    at = 0
    for name, offset, form in MONITOR:
        assert offset == at, name
        at += struct.calcsize(f"<{form}") // 2
    assert at == MONITOR_REGISTERS


@pytest.mark.parametrize(("length", "count"), [(21, 21), (60, 60), (125, 125), (400, 125)])
def test_the_whole_block_is_asked_for_as_far_as_one_request_goes(length: int, count: int) -> None:
    assert monitor_request(Description(1, 1, 1, 7, length)) == Read(Area.HOLDING_REGISTERS, 7, count)


@pytest.mark.parametrize(("base", "length"), [(100, 20), (100, 0), (65530, 21), (65535, 65535)])
def test_a_block_that_cannot_be_there_is_not_asked_for(base: int, length: int) -> None:
    assert monitor_request(Description(1, 1, 1, base, length)) is None


@pytest.mark.parametrize("background", [float("nan"), float("inf"), -1.0, 1e30])
def test_a_background_that_is_no_number_is_none(background: float) -> None:
    words = struct.unpack("<2H", struct.pack("<f", background))
    value = words[0] << 16 * 6 | words[1] << 16 * 7
    assert read_monitor(value).gamma.background is None


@pytest.mark.parametrize(
    ("before", "now", "restarted"),
    [(5, 6, False), (6, 6, False), (6, 5, True), (2**32 - 100, 100, False), (123456, 0, True), (3 * 10**9, 40, True)],
)
def test_elapsed_time_that_goes_back_is_a_restart_and_a_wrap_is_none(before: int, now: int, restarted: bool) -> None:
    assert has_restarted(before, now) is restarted
