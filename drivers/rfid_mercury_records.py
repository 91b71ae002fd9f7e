"""Tags in what an M6e module sends: records of reads, streamed one by one or fetched from its buffer.

Pure. Called by the `rfid.mercury` session and by `decode`; must never raise on bytes from a module. Cutting a record
needs every field of it, because the metadata in the frame alone say where the EPC begins.

Source: the maker's C SDK (serial_reader_l3.c, tmr_*.h).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from drivers.rfid_mercury_codec import Frame, Frames, Op
from lanecontrol.events import TagRead
from lanecontrol.framing import Doubt
from lanecontrol.identifier import Identifier

# --- one record ------------------------------------------------------------------------------------------------------

_COUNT, _RSSI, _ANTENNA, _DATA = 0x0001, 0x0002, 0x0004, 0x0080

_FIELDS = (
    (_COUNT, "B"),
    (_RSSI, "b"),
    (_ANTENNA, "B"),
    (0x0008, "3x"),  # frequency
    (0x0010, "4x"),  # time
    (0x0020, "2x"),  # phase
    (0x0040, "x"),  # protocol
    (_DATA, ""),
    (0x0100, "x"),  # GPIO
    (0x0200, "x"),  # Gen2 Q
    (0x0400, "x"),  # Gen2 link frequency
    (0x0800, "x"),  # Gen2 target
)
"""Fields of a record by their bit in the metadata, in their order on the wire."""

METADATA = 0x0FFF
"""All the fields above. A record with any other bit cannot be cut."""

_BEFORE_DATA = 0x007F
_FAILED = 0x8000
_XPC_W1, _XPC_W2 = 0x0200, 0x8000


@lru_cache(maxsize=16)
def _layout(metadata: int, mask: int) -> struct.Struct:
    return struct.Struct(">" + "".join(form for bit, form in _FIELDS if bit & mask & metadata))


def read_record(data: bytes, at: int, metadata: int) -> tuple[TagRead | None, int] | None:
    """The tag of the record at `at`, and where the next record begins; None where there is no whole record.

    A tag without an EPC says nothing. Data that was read along with the tag counts as its TID.
    """
    if metadata & ~METADATA:
        return None
    before, behind = _layout(metadata, _BEFORE_DATA), _layout(metadata, ~_BEFORE_DATA)
    if at + before.size > len(data):
        return None
    values = iter(before.unpack_from(data, at))
    count = next(values) if metadata & _COUNT else 1
    rssi = float(next(values)) if metadata & _RSSI else None
    port = next(values) if metadata & _ANTENNA else 0
    at += before.size
    tid = b""
    if metadata & _DATA:
        if at + 2 > len(data):
            return None
        bits = data[at] << 8 | data[at + 1]
        # A failed read carries a two-byte error in place of the data: from the SDK's sources, not seen on a wire.
        size = 2 if bits & _FAILED else (bits + 7) // 8
        tid = b"" if bits & _FAILED else data[at + 2 : at + 2 + size]
        at += 2 + size
    found = _read_epc(data, at + behind.size)
    if found is None:
        return None
    epc, end = found
    if not epc:
        return None, end
    number = Identifier(tid.hex()) if tid else None
    return TagRead(_antenna(port), Identifier(epc.hex()), rssi, count, number), end


def _antenna(port: int) -> int:
    """The transmitting port is in the high nibble; 16 does not fit and is sent as 0."""
    return (port >> 4 or 16) if port else 0


def _read_epc(data: bytes, at: int) -> tuple[bytes, int] | None:
    """The EPC without PC, XPC and CRC, and where it ends; None where it is cut off or its length is absurd."""
    if at + 4 > len(data):
        return None
    bits, pc = struct.unpack_from(">HH", data, at)
    end = at + 2 + (bits + 7) // 8
    head = at + 4
    if pc & _XPC_W1 and head + 2 <= len(data):
        head += 4 if data[head] << 8 & _XPC_W2 else 2
    if end > len(data) or head > end - 2:
        return None
    return data[head : end - 2], end


# --- answers with records --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SearchEnded:
    """The stream has ended."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """A sign of life without a tag: the end of a cycle, a status report, a tag without an EPC."""


def read_streamed(frame: Frame) -> TagRead | SearchEnded | Nothing | Doubt:
    """What a SEARCH frame with status 0 says while reading continuously."""
    data = frame.data
    if len(data) < 6 or data[0] != 0x10:
        return Doubt(frame.raw, "streamed frame of an unknown form")
    match data[5]:
        case 0:
            return SearchEnded()
        case 1:
            found = read_record(data, 6, data[3] << 8 | data[4])
            return Doubt(frame.raw, "tag record that cannot be cut") if found is None else found[0] or Nothing()
        case 2:
            return Nothing()
        case _:
            return Doubt(frame.raw, "streamed frame of an unknown kind")


def read_count(data: bytes) -> int:
    """How many tags a search has put into the buffer."""
    return int.from_bytes(data[3:7], "big") if len(data) >= 7 and data[0] == 0x10 else 0


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer to GET_TAGS: how many records it holds, and their tags."""

    records: int
    tags: tuple[TagRead, ...]


def read_fetched(frame: Frame) -> Fetched | Doubt:
    """The records of an answer to GET_TAGS."""
    if len(frame.data) < 4:
        return Doubt(frame.raw, "answer of an unknown form")
    tags: list[TagRead] = []
    at, metadata, records = 4, frame.data[0] << 8 | frame.data[1], frame.data[3]
    for _ in range(records):
        found = read_record(frame.data, at, metadata)
        if found is None:
            return Doubt(frame.raw, "tag record that cannot be cut")
        tag, at = found
        tags += [tag] if tag is not None else []
    return Fetched(records, tuple(tags))


def stored_reads(raw: bytes) -> Iterator[tuple[Frame | Doubt, tuple[TagRead, ...]]]:
    """Every frame of a capture of what a module sent, with its tags."""
    frames = Frames()
    for frame in (*frames.feed(raw), *frames.expire()):
        yield frame, _tags_of(frame)


def _tags_of(frame: Frame | Doubt) -> tuple[TagRead, ...]:
    match frame:
        case Frame(op=Op.SEARCH, status=0) if len(frame.data) > 7:
            read = read_streamed(frame)
            return (read,) if isinstance(read, TagRead) else ()
        case Frame(op=Op.GET_TAGS, status=0):
            fetched = read_fetched(frame)
            return fetched.tags if isinstance(fetched, Fetched) else ()
        case _:
            return ()
