"""Splitting multipart bodies: every byte of a part as it came, whatever cameras do around it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from push_bench import JPEG, multipart

from drivers.push.multipart import PARTS_LIMIT, Multipart, Part, boundary_of, media_type, split

DISPOSITION = 'Content-Disposition: form-data; name="image"'


def only(body: bytes, boundary: bytes = b"boundary") -> Part:
    found = split(body, boundary)
    assert found.remarks == ()
    assert len(found.parts) == 1
    return found.parts[0]


@pytest.mark.parametrize(
    ("header", "boundary"),
    [
        ("multipart/form-data; boundary=boundary", b"boundary"),
        ('multipart/form-data; boundary="----a b"', b"----a b"),
        ("Multipart/Form-Data;charset=utf-8;Boundary=x", b"x"),
        ("multipart/form-data", b""),
        ("application/json", b""),
    ],
)
def test_the_boundary_is_read_from_the_header_quoted_or_not(header: str, boundary: bytes) -> None:
    assert boundary_of(header) == boundary


def test_a_content_type_is_told_without_its_parameters() -> None:
    assert media_type('Text/XML; charset="UTF-8"') == "text/xml"


def test_a_part_has_its_names_its_type_and_its_bytes() -> None:
    headers = f'{DISPOSITION}; filename="a.jpg"\r\nContent-Type: image/jpeg'
    assert only(multipart([(headers, JPEG)])) == Part("image", "a.jpg", "image/jpeg", JPEG)


def test_a_part_without_a_file_name_is_bytes_all_the_same() -> None:
    assert only(multipart([(DISPOSITION, JPEG)])).body == JPEG


@pytest.mark.parametrize("size", [0, 1, 1_048_576, 1_500_000])
def test_pictures_of_any_size_come_through_unchanged(size: int) -> None:
    picture = (JPEG * (size // len(JPEG) + 1))[:size]
    assert only(multipart([(DISPOSITION, picture)])).body == picture


@pytest.mark.parametrize(
    "content",
    [
        b"\r\n",
        b"\r\n\r\n",
        b"\xff\xd8\r\n--bound\r\n\xff\xd9",
        b"\xff\xd8\r\n--boundaryx\r\n\x00\xff\xd9",
        b"\xff\xd8 --boundary\r\n\xff\xd9",
        b"\xff\xd8\r\n\x00\r\n--\r\n\xff\xd9",
    ],
)
def test_bytes_that_only_look_like_a_boundary_stay_in_the_part(content: bytes) -> None:
    assert only(multipart([(DISPOSITION, content)])).body == content


def test_a_whole_boundary_within_a_picture_stays_there_when_the_part_tells_its_length() -> None:
    content = b"\xff\xd8\r\n--boundary\r\nnonsense\r\n\r\n\xff\xd9"
    headers = f"{DISPOSITION}\r\nContent-Length: {len(content)}"
    assert only(multipart([(headers, content)])).body == content


@pytest.mark.parametrize("length", ["3", "99999", "-1", "x", ""])
def test_a_wrong_length_of_a_part_is_not_believed(length: str) -> None:
    assert only(multipart([(f"{DISPOSITION}\r\nContent-Length: {length}", JPEG)])).body == JPEG


def test_line_feeds_alone_are_line_ends_too() -> None:
    assert only(multipart([(DISPOSITION, JPEG)], end="\n")).body == JPEG


def test_a_boundary_that_the_header_names_wrongly_is_taken_from_the_body() -> None:
    assert only(multipart([(DISPOSITION, JPEG)]), b"other").body == JPEG
    assert only(multipart([(DISPOSITION, JPEG)]), b"").body == JPEG


def test_text_before_the_first_boundary_is_ignored() -> None:
    assert only(b"preamble\r\n" + multipart([(DISPOSITION, JPEG)])).body == JPEG


def test_two_parts_of_one_name_are_both_there() -> None:
    found = split(multipart([(DISPOSITION, b"one"), (DISPOSITION, b"two")]), b"boundary")
    assert [part.body for part in found.parts] == [b"one", b"two"]


def test_more_parts_than_the_limit_are_left_out_and_said_so() -> None:
    found = split(multipart([(DISPOSITION, b"x")] * (PARTS_LIMIT + 1)), b"boundary")
    assert len(found.parts) == PARTS_LIMIT
    assert found.remarks == (f"more than {PARTS_LIMIT} parts",)


def test_a_body_that_is_cut_off_keeps_what_came() -> None:
    whole = multipart([(DISPOSITION, b"one"), (DISPOSITION, b"two")])
    found = split(whole[: whole.rindex(b"two") + 2], b"boundary")
    assert [part.body for part in found.parts] == [b"one", b"tw"]
    assert found.remarks == ("the last part has no end",)


def test_a_body_without_any_boundary_has_no_parts() -> None:
    assert split(b"nothing of the kind", b"boundary") == Multipart((), ("no boundary in the body",))


def test_a_part_without_a_blank_line_is_kept_whole_and_said_so() -> None:
    found = split(b"--boundary\r\n" + JPEG.replace(b"\n", b".") + b"\r\n--boundary--\r\n", b"boundary")
    assert [part.body for part in found.parts] == [JPEG.replace(b"\n", b".")]
    assert found.remarks == ("a part without a blank line behind its headers",)


@given(st.lists(st.binary(max_size=200), max_size=5), st.booleans())
def test_whatever_is_in_the_parts_comes_back(contents: list[bytes], lengths: bool) -> None:
    """But for a part without its length that contains the boundary itself."""
    parts = [
        (DISPOSITION + (f"\r\nContent-Length: {len(content)}" if lengths else ""), content) for content in contents
    ]
    found = split(multipart(parts, boundary="b0undary"), b"b0undary")
    assert [part.body for part in found.parts] == contents


@given(
    st.lists(
        st.sampled_from([b"--", b"b", b"\r\n", b"\n", b": ", b"Content-Length: 4", b"\x00", b"--b\r\n"]), max_size=60
    ),
    st.sampled_from([b"b", b"", b"bb"]),
)
def test_no_bytes_make_it_fail_or_grow(pieces: list[bytes], boundary: bytes) -> None:
    body = b"".join(pieces)
    found = split(body, boundary)
    assert len(found.parts) <= PARTS_LIMIT
    assert sum(len(part.body) for part in found.parts) <= len(body)


@pytest.mark.parametrize("body", [b"--b\r\n" * 200_000, b"\n--bx" * 200_000, b"--b\n\n--b" * 100_000])
def test_a_body_made_of_boundaries_takes_no_longer_than_another(body: bytes) -> None:
    assert len(split(body, b"b").parts) <= PARTS_LIMIT
