"""Objects back to back on a connection: found again however the bytes are split, and after any garbage."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.push.jsonstream import MEMBERS_LIMIT, OBJECT_LIMIT, ObjectScanner, loads
from lanecontrol.framing import Doubt, Violation

EVENT = {"carID": "7", "plateUTF8": 'A"}{\\B', "plateCoordinates": [1, 2, 3, 4], "camera_info": {"SerialNumber": "1"}}
RAW = json.dumps(EVENT).encode()


def run(pieces: list[bytes], limit: int = OBJECT_LIMIT) -> list[dict[str, Any] | Doubt]:
    scanner = ObjectScanner(limit)
    found = [item for piece in pieces for item in scanner.feed(piece)]
    return found + scanner.finish()


def test_an_object_in_pieces_of_one_byte_is_one_object() -> None:
    assert run([RAW[at : at + 1] for at in range(len(RAW))]) == [EVENT]


def test_two_objects_in_one_segment_are_two() -> None:
    assert run([RAW + RAW]) == [EVENT, EVENT]
    assert run([RAW + b" \r\n" + RAW]) == [EVENT, EVENT]


def test_garbage_before_an_object_is_one_doubt_and_the_object_is_found() -> None:
    assert run([b"garbage { } [1] {x" + RAW]) == [Doubt(b"garbage { } [1] {x", "bytes outside of any object"), EVENT]


def test_an_object_that_is_cut_by_the_next_one_costs_no_other() -> None:
    cut = RAW[: RAW.index(b"plateCoordinates")]
    found = run([cut + RAW + RAW])
    assert isinstance(found[0], Doubt)
    assert found[1:] == [EVENT, EVENT]


def test_an_object_that_is_cut_by_the_end_of_the_connection_is_counted() -> None:
    found = run([RAW, RAW[:30]])
    assert found == [EVENT, Doubt(RAW[:30], "the connection ended within an object")]


def test_ten_megabytes_without_a_closing_brace_end_the_connection_and_are_not_held() -> None:
    scanner = ObjectScanner()
    found = scanner.feed(b'{"a": "')
    for _ in range(640):
        found += scanner.feed(b"x" * 16_384)
        assert scanner.pending <= OBJECT_LIMIT + 20_000
    assert [type(item) for item in found] == [Violation]
    assert scanner.pending == 0
    assert scanner.finish() == []


def test_endless_garbage_is_told_once_and_thrown_away() -> None:
    scanner = ObjectScanner()
    found = [item for _ in range(640) for item in scanner.feed(b"U" * 16_384)]
    assert len(found) == 1
    assert scanner.pending == 0
    assert scanner.feed(RAW) == [EVENT]


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[" * 100_000, b"1" * 5_000, b'{"a":' + b"[" * 5_000, b"\xff\xfe\xfd", b"[" + b"1," * MEMBERS_LIMIT],
)
def test_what_is_no_json_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError):
        loads(text)


def test_text_in_latin_1_is_read_all_the_same() -> None:
    assert loads('{"plate": "ÄB1"}'.encode("latin-1")) == {"plate": "ÄB1"}


PIECES = st.lists(
    st.sampled_from(
        [b'{"', b'"', b"{", b"}", b"a", b" ", b":", b"1", b"\\", b'{"a":1}', b",", b"\x00", b"\n", b"\xff"]
    ),
    max_size=80,
)


@given(PIECES, st.integers(1, 9), st.sampled_from([40, OBJECT_LIMIT]))
def test_any_split_of_the_bytes_gives_the_same(pieces: list[bytes], size: int, limit: int) -> None:
    raw = b"".join(pieces)
    assert run([raw[at : at + size] for at in range(0, len(raw), size)], limit) == run([raw], limit)


@given(st.lists(st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=9), min_size=1), max_size=5), PIECES)
def test_objects_come_back_after_any_garbage(objects: list[dict[str, str]], garbage: list[bytes]) -> None:
    """A newline is in no JSON string, so that it ends whatever the garbage had begun."""
    texts = [json.dumps(one).encode() for one in objects]
    found = run([b"".join(garbage).replace(b"{", b"(") + b"\n" + b"".join(texts)])
    assert [item for item in found if not isinstance(item, Doubt)] == objects


@given(st.binary(max_size=300))
def test_no_bytes_make_it_fail_or_grow(raw: bytes) -> None:
    scanner = ObjectScanner(100)
    scanner.feed(raw)
    assert scanner.pending <= max(100, len(raw))
    assert len(scanner.finish()) <= 2


@pytest.mark.parametrize("pattern", [b'{"', b'{"a"x', b"{", b'{"a":', b'{"a":"\\'])
def test_hostile_patterns_take_linear_time(pattern: bytes) -> None:
    scanner = ObjectScanner()
    for _ in range(20):
        scanner.feed(pattern * 4_000)
    scanner.finish()


def test_objects_within_objects_that_all_turn_out_to_be_none_are_not_looked_at_again_and_again() -> None:
    """Each of the 60,000 could be the one that is none; looking from each of them would take hours."""
    found = run([b'{"a":' * 60_000 + b"x" + RAW])
    assert found[-1] == EVENT
