"""Files that are no pictures, are huge, cut off or damaged: told before anything is decoded."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanecontrol.plates import pictures
from lanecontrol.plates.pictures import NotAPicture


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, rows: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.fixture
def jpeg() -> bytes:
    np = pytest.importorskip("numpy", reason="needs lanecontrol[plates]")
    cv2 = pytest.importorskip("cv2", reason="needs lanecontrol[plates]")
    noise = np.random.default_rng(1).integers(0, 255, (120, 200, 3), np.uint8)
    _, made = cv2.imencode(".jpg", noise)
    content: bytes = made.tobytes()
    return content


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"hello\n", "not a JPEG, PNG, BMP or WebP picture"),
        (b"\xff\xd8", "truncated"),
        (b"\x89PNG\r\n\x1a\n", "truncated"),
        (png(60_000, 60_000), "more than 50 million"),
        (png(0, 10), "no pixels"),
        (b"BM", "truncated"),
        (b"RIFF\x10\x00\x00\x00WEBP", "truncated"),
    ],
)
def test_what_is_no_picture_is_told_without_decoding_it(content: bytes, why: str) -> None:
    with pytest.raises(NotAPicture, match=why):
        pictures.checked(content)


@given(st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"BM", b"RIFF"]))
def test_any_bytes_are_measured_or_refused(content: bytes, magic: bytes) -> None:
    try:
        width, height = pictures.checked(magic + content)
    except NotAPicture as error:
        assert str(error)
    else:
        assert 0 < width * height <= pictures.MOST_PIXELS


def test_a_whole_picture_is_decoded(jpeg: bytes) -> None:
    assert pictures.checked(jpeg) == (200, 120)
    picture, factor = pictures.decoded(jpeg)
    assert (picture.shape, factor) == ((120, 200, 3), 1)


@pytest.mark.parametrize("ending", [b"", b"\xff\xd9"])
def test_a_picture_that_is_cut_off_is_told_and_nothing_else_is_printed(
    jpeg: bytes, ending: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NotAPicture, match="truncated"):
        pictures.decoded(jpeg[: len(jpeg) // 2] + ending)
    assert capfd.readouterr() == ("", "")


def test_a_png_whose_content_is_missing_is_damaged(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("cv2", reason="needs lanecontrol[plates]")
    with pytest.raises(NotAPicture):
        pictures.decoded(png(100, 100)[:-40] + _chunk(b"IEND", b""))
    assert capfd.readouterr() == ("", "")


def test_a_large_picture_is_made_smaller_while_it_is_decoded() -> None:
    np = pytest.importorskip("numpy", reason="needs lanecontrol[plates]")
    cv2: Any = pytest.importorskip("cv2", reason="needs lanecontrol[plates]")
    _, made = cv2.imencode(".jpg", np.zeros((3000, 4000, 3), np.uint8))
    picture, factor = pictures.decoded(made.tobytes())
    assert (picture.shape, factor) == ((1500, 2000, 3), 2)


def test_a_folder_and_a_missing_file_are_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(NotAPicture, match="not a file"):
        pictures.content(tmp_path)
    with pytest.raises(NotAPicture, match="no such file"):
        pictures.content(tmp_path / "absent.jpg")
