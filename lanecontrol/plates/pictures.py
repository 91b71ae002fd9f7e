"""Files to pictures, with suspicion: what is huge, truncated or no picture at all is told before it is decoded.

Called by the worker and by the command line. `dimensions` and `checked` are pure and bounded by the length of the file;
only `decoded` touches OpenCV. Sizes are read from the header first, so that a small file cannot claim gigabytes.
"""

from __future__ import annotations

import os
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lanecontrol.errors import LaneControlError

MOST_BYTES = 64 << 20
MOST_PIXELS = 50_000_000
"""Above what any camera here sends; decoded it is 150 MB."""
HALVED_PIXELS = 9_000_000
"""Larger pictures are decoded at half or quarter size: a plate is not lost, and memory stays bounded."""


class NotAPicture(LaneControlError):
    """The bytes cannot be used as a picture; the text says why, without any name."""


def content(path: Path) -> bytes:
    """The bytes of a file that may be a picture. Raises NotAPicture, also for what is no file."""
    try:
        if not path.is_file():
            raise NotAPicture("no such file" if not path.exists() else "not a file")
        if path.stat().st_size > MOST_BYTES:
            raise NotAPicture(f"the file is larger than {MOST_BYTES >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise NotAPicture(error.strerror or "cannot be read") from None


def checked(content: bytes) -> tuple[int, int]:
    """Width and height of a whole JPEG, PNG, BMP or WebP file. Raises NotAPicture."""
    if not content:
        raise NotAPicture("the file is empty")
    if len(content) > MOST_BYTES:
        raise NotAPicture(f"the file is larger than {MOST_BYTES >> 20} MiB")
    for magic, dimensions in _KINDS:
        if content.startswith(magic):
            width, height = _measured(dimensions, content)
            break
    else:
        raise NotAPicture("not a JPEG, PNG, BMP or WebP picture")
    if width < 1 or height < 1:
        raise NotAPicture("the picture has no pixels")
    if width * height > MOST_PIXELS:
        raise NotAPicture(f"{width} x {height} pixels are more than {MOST_PIXELS // 1_000_000} million")
    return width, height


def _measured(dimensions: Callable[[bytes], tuple[int, int]], content: bytes) -> tuple[int, int]:
    try:
        return dimensions(content)
    except (struct.error, IndexError):
        raise NotAPicture("the picture is truncated") from None


def _jpeg(content: bytes) -> tuple[int, int]:
    """From the first frame header (ITU-T T.81, B.2.2); the end-of-image marker must follow the first scan."""
    at, size = 2, None
    while True:
        if content[at] != 0xFF:
            raise NotAPicture("the JPEG picture is damaged")
        marker = content[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # without a length
            at += 2
        elif marker == 0xD9:
            raise NotAPicture("the JPEG picture has no content")
        else:
            (length,) = struct.unpack_from(">H", content, at + 2)
            if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
                height, width = struct.unpack_from(">HH", content, at + 5)
                size = (width, height)
            at += 2 + max(length, 2)
            if marker == 0xDA:
                break
    if size is None:
        raise NotAPicture("the JPEG picture does not tell its size")
    if content.find(b"\xff\xd9", at) < 0:
        raise NotAPicture("the picture is truncated")
    return size


def _png(content: bytes) -> tuple[int, int]:
    """From the first chunk (PNG 5.6); the last one must be there."""
    width, height = struct.unpack_from(">II", content, 16)
    at = 8
    while content[at + 4 : at + 8] != b"IEND":
        (length,) = struct.unpack_from(">I", content, at)
        at += 12 + length
    return width, height


def _bmp(content: bytes) -> tuple[int, int]:
    (declared,) = struct.unpack_from("<I", content, 2)
    if declared > len(content):
        raise NotAPicture("the picture is truncated")
    width, height = struct.unpack_from("<ii", content, 18)
    return abs(width), abs(height)


def _webp(content: bytes) -> tuple[int, int]:
    (declared,) = struct.unpack_from("<I", content, 4)
    if declared + 8 > len(content):
        raise NotAPicture("the picture is truncated")
    match content[12:16]:
        case b"VP8X":
            return 1 + int.from_bytes(content[24:27], "little"), 1 + int.from_bytes(content[27:30], "little")
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", content, 21)
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", content, 26)
            return width & 0x3FFF, height & 0x3FFF
        case _:
            raise NotAPicture("the WebP picture does not tell its size")


_KINDS: tuple[tuple[bytes, Callable[[bytes], tuple[int, int]]], ...] = (
    (b"\xff\xd8", _jpeg),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"BM", _bmp),
    (b"RIFF", _webp),
)


def decoded(content: bytes) -> tuple[Any, int]:
    """The picture as OpenCV has it, and by how much it was made smaller (1, 2 or 4). Raises NotAPicture."""
    import cv2
    import numpy as np

    width, height = checked(content)
    flag, factor = cv2.IMREAD_COLOR, 1
    if width * height > HALVED_PIXELS * 4:
        flag, factor = cv2.IMREAD_REDUCED_COLOR_4, 4
    elif width * height > HALVED_PIXELS:
        flag, factor = cv2.IMREAD_REDUCED_COLOR_2, 2
    with _complaints() as said:
        try:
            picture = cv2.imdecode(np.frombuffer(content, np.uint8), flag)
        except cv2.error:
            picture = None
        words = said()
    if picture is None or b"bad huffman" in words:
        raise NotAPicture("the picture is damaged")
    if b"premature end" in words:
        raise NotAPicture("the picture is truncated")
    return picture, factor


@contextmanager
def _complaints() -> Iterator[Callable[[], bytes]]:
    """What the decoding library writes to the process's error output, in lower case: it has no other way to say it.

    Meanwhile nothing else of this process may write there; the worker and the command line have one thread.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as caught:
        kept = os.dup(2)
        os.dup2(caught.fileno(), 2)

        def said() -> bytes:
            caught.seek(0)
            words: bytes = caught.read(4096)
            return words.lower()

        try:
            yield said
        finally:
            os.dup2(kept, 2)
            os.close(kept)
