"""Framers: the same frames however the bytes were split, nothing unbounded, nothing raised."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanecontrol.framing import DOUBT_LIMIT, Doubt, LengthFramer, LineFramer, Violation

_CUTS = st.lists(st.integers(min_value=0, max_value=600), max_size=30)


def _feed(framer: Any, data: bytes, cuts: list[int]) -> list[bytes | Doubt]:
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    found: list[bytes | Doubt] = []
    for start, end in pairwise(edges):
        found += framer.feed(data[start:end])
    return found


# --- lines -----------------------------------------------------------------------------------------------------------


def test_lines_end_with_lf_or_crlf_and_may_be_empty() -> None:
    assert LineFramer().feed(b"GB,1\r\nGS,2\n\r\n\nrest") == [b"GB,1", b"GS,2", b"", b""]


def test_only_the_one_cr_before_the_lf_is_stripped() -> None:
    assert LineFramer().feed(b"a\rb\r\r\n\rc\n") == [b"a\rb\r", b"\rc"]


def test_a_line_may_come_in_pieces() -> None:
    framer = LineFramer()
    assert framer.feed(b"GB,00") == []
    assert framer.feed(b"0382\r") == []
    assert framer.feed(b"\nGS") == [b"GB,000382"]
    assert framer.pending == 2


def test_a_line_that_is_too_long_is_one_doubt_and_the_next_line_is_good() -> None:
    framer = LineFramer(limit=8)
    assert framer.feed(b"12345678\n123456789\nok\n") == [
        b"12345678",
        Doubt(b"12345678", "line of more than 8 bytes"),
        b"ok",
    ]


def test_an_endless_line_is_doubted_once_and_not_kept() -> None:
    framer = LineFramer(limit=256)
    found = [item for _ in range(1000) for item in framer.feed(b"x" * 1000)]
    assert [type(item) for item in found] == [Doubt]
    assert framer.pending == 0
    assert framer.feed(b"tail\nGB,1\n") == [b"GB,1"]


_LINES = st.lists(
    st.one_of(st.binary(max_size=12), st.sampled_from([b"\n", b"\r\n", b"\r", b"GB,1\r\n", b"y" * 20])), max_size=40
).map(b"".join)


@given(_LINES, _CUTS)
def test_lines_are_the_same_however_the_bytes_are_split(data: bytes, cuts: list[int]) -> None:
    whole = LineFramer(limit=16).feed(data)
    assert _feed(LineFramer(limit=16), data, cuts) == whole
    assert _feed(LineFramer(limit=16), data, list(range(len(data)))) == whole


@given(st.lists(st.binary(max_size=16).filter(lambda line: b"\n" not in line and not line.endswith(b"\r"))))
def test_every_line_within_the_limit_comes_out_as_it_went_in(lines: list[bytes]) -> None:
    assert LineFramer(limit=17).feed(b"".join(line + b"\r\n" for line in lines)) == lines


@given(st.binary(max_size=600), _CUTS)
def test_what_a_line_framer_keeps_is_never_more_than_a_line(data: bytes, cuts: list[int]) -> None:
    framer = LineFramer(limit=16)
    _feed(framer, data, cuts)
    assert framer.pending <= 16


# --- header and length -----------------------------------------------------------------------------------------------

# Two bytes of mark, one byte of length of what follows.
_HEADER = re.compile(rb"\xa5\x5a[\x00-\x20]", re.DOTALL)


def _length(header: bytes) -> int:
    return 3 + header[2]


def _framer(hunt: bool) -> LengthFramer:
    return LengthFramer(_HEADER, 3, _length, limit=32, hunt=hunt)


def _frame(body: bytes) -> bytes:
    return b"\xa5\x5a" + bytes([len(body)]) + body


def test_frames_come_out_whole_with_their_headers() -> None:
    framer = _framer(hunt=False)
    assert framer.feed(_frame(b"one") + _frame(b"") + _frame(b"two")[:4]) == [_frame(b"one"), _frame(b"")]
    assert framer.pending == 4
    assert framer.feed(b"wo") == [_frame(b"two")]
    assert framer.pending == 0


def test_an_absurd_header_is_a_violation_and_everything_after_it_is_ignored() -> None:
    framer = _framer(hunt=False)
    first, second = framer.feed(_frame(b"one") + b"\xff\xff\xff" + _frame(b"two"))
    assert first == _frame(b"one")
    assert isinstance(second, Violation)
    assert second.raw == b"\xff\xff\xff"
    assert framer.feed(_frame(b"three") * 1000) == []
    assert framer.pending == 0


@pytest.mark.parametrize("length", [0x1E, 0x20])
def test_a_length_above_the_limit_is_absurd(length: int) -> None:
    (found,) = _framer(hunt=False).feed(b"\xa5\x5a" + bytes([length]))
    assert isinstance(found, Violation)


def test_a_length_below_the_header_is_absurd() -> None:
    framer = LengthFramer(re.compile(b"..", re.DOTALL), 2, lambda header: header[1], limit=32)
    (found,) = framer.feed(b"\x00\x01")
    assert isinstance(found, Violation)


def test_hunting_finds_the_next_frame_and_doubts_what_was_between() -> None:
    found = _framer(hunt=True).feed(_frame(b"one") + b"junk\xa5" + _frame(b"two"))
    assert found == [_frame(b"one"), Doubt(b"junk\xa5", "bytes outside of any frame"), _frame(b"two")]


def test_endless_junk_is_doubted_once_and_not_kept() -> None:
    framer = _framer(hunt=True)
    found = [item for _ in range(1000) for item in framer.feed(b"junk" * 250)]
    assert found == [Doubt((b"junk" * 64)[:DOUBT_LIMIT], "bytes outside of any frame")]
    assert framer.pending < 3
    assert framer.feed(_frame(b"one")) == [_frame(b"one")]


_PIECES = st.lists(
    st.one_of(
        st.binary(max_size=20).map(_frame),
        st.binary(max_size=12),
        st.sampled_from([b"\xa5", b"\xa5\x5a", b"\xa5\x5a\xff", b"z" * 300]),
    ),
    max_size=30,
).map(b"".join)


@pytest.mark.parametrize("hunt", [False, True], ids=["strict", "hunting"])
@given(data=_PIECES, cuts=_CUTS)
def test_frames_are_the_same_however_the_bytes_are_split(hunt: bool, data: bytes, cuts: list[int]) -> None:
    whole = _framer(hunt).feed(data)
    assert _feed(_framer(hunt), data, cuts) == whole
    assert _feed(_framer(hunt), data, list(range(len(data)))) == whole


@pytest.mark.parametrize("hunt", [False, True], ids=["strict", "hunting"])
@given(data=_PIECES, cuts=_CUTS)
def test_what_a_length_framer_keeps_is_never_more_than_a_frame(hunt: bool, data: bytes, cuts: list[int]) -> None:
    framer = _framer(hunt)
    found = _feed(framer, data, cuts)
    assert framer.pending <= 32
    assert all(len(item.raw) <= DOUBT_LIMIT for item in found if isinstance(item, Doubt))


@given(st.lists(st.binary(max_size=20)))
def test_every_frame_comes_out_as_it_went_in(bodies: list[bytes]) -> None:
    frames = [_frame(body) for body in bodies]
    make: list[Callable[[], LengthFramer]] = [lambda: _framer(False), lambda: _framer(True)]
    assert all(new().feed(b"".join(frames)) == frames for new in make)
