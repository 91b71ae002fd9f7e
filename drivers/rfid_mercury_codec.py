"""The serial protocol of ThingMagic/Jadak M6e readers ("Mercury"): commands to bytes, bytes to frames and answers.

Pure. Called by the `rfid.mercury` session; tag records are in `rfid_mercury_records`. Must never raise on bytes from a
module, never keep more than one frame, and never hold the means to alter a tag: write, lock, kill and erase are not in
the table of operations.

Source: the maker's C SDK (serial_reader_l3.c, tmr_*.h); layouts not seen on a wire are marked so.
"""

from __future__ import annotations

import binascii
import re
import struct
from dataclasses import dataclass
from enum import IntEnum

from lanecontrol.framing import DOUBT_LIMIT, Doubt

LENGTH_LIMIT = 0xF8
"""Most data bytes of a frame."""
FRAME_LIMIT = LENGTH_LIMIT + 7


class Op(IntEnum):
    """The operations that this driver knows."""

    VERSION = 0x03
    BOOT_FIRMWARE = 0x04
    PROGRAM = 0x0C
    SEARCH = 0x22
    GET_TAGS = 0x29
    CLEAR_TAGS = 0x2A
    CONTINUOUS = 0x2F
    GET_ANTENNAS = 0x61
    GET_REGION = 0x67
    GET_TEMPERATURE = 0x72
    SET_ANTENNAS = 0x91
    SET_POWER = 0x92
    SET_PROTOCOL = 0x93
    SET_REGION = 0x97
    SET_OPTION = 0x9A


_READ_MEMORY = 0x28
"""Only ever sent inside a search, to read a tag's TID bank."""

OK = 0x0000
NO_TAGS = 0x0400
ANTENNA_MISSING = 0x0503
TOO_HOT = 0x0504
RETURN_LOSS = 0x0505
BUFFER_EMPTY = 0x0600

STATUS = {
    0x0100: "wrong length of the message",
    0x0101: "invalid operation",
    0x0102: "operation not implemented",
    0x0103: "power too high",
    0x0105: "invalid parameter",
    0x0106: "power too low",
    0x010A: "invalid baud rate",
    0x010B: "invalid region",
    0x0400: "no tags",
    0x0401: "no protocol set",
    0x0405: "transmitter off",
    0x040A: "tag error",
    0x0423: "tag memory overrun",
    0x0424: "tag memory locked",
    0x042B: "tag has too little power",
    0x0503: "antenna not connected",
    0x0504: "temperature too high",
    0x0505: "high return loss",
    0x0509: "supply voltage",
    0x0600: "tag buffer empty",
    0x0601: "tag buffer full",
    0x7F00: "fatal error",
    0x7F01: "fatal error of the tag protocol",
}


def words_of(status: int) -> str:
    """A status as a technician reads it."""
    return f"status {status:04x} ({STATUS.get(status, 'not in the list')})"


# --- frames ----------------------------------------------------------------------------------------------------------


def checksum(body: bytes) -> int:
    """CRC-16 over length byte to last data byte: polynomial 0x1021, start 0xFFFF, bits shifted in at the low end.

    The usual routine shifts 16 zero bits behind its message. Here the last two bytes stand in their place, and the
    start value is what 0xFFFF has become after 16 shifts. `body` has at least two bytes.
    """
    return binascii.crc_hqx(body[:-2], 0x1D0F) ^ int.from_bytes(body[-2:], "big")


def command(op: int, data: bytes = b"") -> bytes:
    """A frame to the module."""
    body = bytes((len(data), op)) + data
    return b"\xff" + body + checksum(body).to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame from the module."""

    op: int
    status: int
    data: bytes
    raw: bytes


_START = re.compile(rb"\xff(?=[\x00-\xf8][\x01-\x9f])")
"""Where a frame may begin: FF, a length, an operation. An answer has its request's, and those lie in this range."""

_WAKE_UP = re.compile(rb"\xff+(?=\xff)")
"""A run of FF but for its last byte, which may begin a frame, or may be part of what is none."""


class Frames:
    """Cuts the bytes from a module into frames. A bad checksum costs one byte, then the search goes on behind it.

    Runs of FF between frames are wake-up bytes and no error. Other bytes outside of frames come out as one doubt for
    each run, told when the run ends or has become as long as a doubt may be. One pass: each place where a frame may
    begin is looked at once, when as many bytes are there as it says that it has.
    """

    def __init__(self) -> None:
        self._pending = b""
        self._junk = bytearray()
        self._junk_told = False

    @property
    def pending(self) -> int:
        """Bytes that wait for the rest of their frame: less than a frame."""
        return len(self._pending)

    def feed(self, data: bytes) -> list[Frame | Doubt]:
        """The frames and doubts that `data` completes."""
        found: list[Frame | Doubt] = []
        data = self._pending + data
        noted, kept = self._cut(data, found, last=False)
        self._note_junk(data[noted : kept + 1], found, more=kept < len(data))
        self._pending = data[kept:]
        return found

    def expire(self) -> list[Frame | Doubt]:
        """Nothing came for too long: what is pending is no beginning of a frame, but may hold whole ones."""
        found: list[Frame | Doubt] = []
        data, self._pending = self._pending, b""
        noted, _ = self._cut(data, found, last=True)
        self._note_junk(data[noted:].rstrip(b"\xff"), found, more=False)
        self._end_of_junk(found)
        return found

    def _cut(self, data: bytes, found: list[Frame | Doubt], *, last: bool) -> tuple[int, int]:
        """Where the last frame ends, and what from there on may still become one."""
        at = behind = 0
        while (start := _START.search(data, at)) is not None:
            at = start.start()
            stop = at + data[at + 1] + 7
            if stop > len(data):
                if not last:
                    return behind, at
            elif _is_frame(data, at, stop):
                self._note_junk(data[behind : at + 1], found, more=True)
                self._end_of_junk(found)
                found.append(_frame(data[at:stop]))
                at = behind = stop
                continue
            at += 1
        return behind, max(_unsaid(data), at)

    def _note_junk(self, raw: bytes, found: list[Frame | Doubt], *, more: bool) -> None:
        """Note bytes that are in no frame. With `more` the last of them only tells where a wake-up run ends."""
        room = DOUBT_LIMIT - len(self._junk)
        if room:
            noise = _WAKE_UP.sub(b"", raw)
            self._junk += noise[: min(room, len(noise) - more)]
            if len(self._junk) == DOUBT_LIMIT:
                self._tell_junk(found)

    def _end_of_junk(self, found: list[Frame | Doubt]) -> None:
        self._tell_junk(found)
        self._junk.clear()
        self._junk_told = False

    def _tell_junk(self, found: list[Frame | Doubt]) -> None:
        if self._junk and not self._junk_told:
            found.append(Doubt(bytes(self._junk), "bytes outside of any frame, or a frame with a wrong checksum"))
            self._junk_told = True


def _unsaid(data: bytes) -> int:
    """Where a start begins that the next byte may make one or not: at the last byte, the one before, or nowhere."""
    if data[-1:] == b"\xff":
        return len(data) - 1
    return len(data) - 2 if data[-2:-1] == b"\xff" and data[-1] <= LENGTH_LIMIT else len(data)


def _is_frame(data: bytes, at: int, stop: int) -> bool:
    """Whether the checksum is right: `checksum` without its copies, because noise has many places to try."""
    last, found = data[stop - 4] << 8 | data[stop - 3], data[stop - 2] << 8 | data[stop - 1]
    return binascii.crc_hqx(data[at + 1 : stop - 4], 0x1D0F) == last ^ found


def _frame(raw: bytes) -> Frame:
    return Frame(raw[2], raw[3] << 8 | raw[4], raw[5:-2], raw)


# --- commands --------------------------------------------------------------------------------------------------------

GEN2 = b"\x00\x05"
STOP = command(Op.CONTINUOUS, b"\x00\x00\x02")

_ANTENNA_LIST, _EMBEDDED, _STREAMING, _LARGE_POPULATION = 0x03, 0x04, 0x08, 0x10

_READ_TID = bytes((1, 9, _READ_MEMORY)) + struct.pack(">HBBIB", 0, 0, 2, 0, 6)
"""One embedded command: read six words of bank 2 from word 0. Layout as in the SDK's sources; not seen on a wire."""


def _search(flags: int, time_ms: int, metadata: int, read_tid: bool) -> bytes:
    flags |= _ANTENNA_LIST | _LARGE_POPULATION | (_EMBEDDED if read_tid else 0)
    return struct.pack(">BHHH", 0x10, flags, time_ms, metadata) + (_READ_TID if read_tid else b"")


def search(time_ms: int, metadata: int, *, read_tid: bool = False) -> bytes:
    """Look for tags once, for `time_ms`, into the module's buffer."""
    return command(Op.SEARCH, _search(0, time_ms, metadata, read_tid))


def start(time_ms: int, metadata: int, *, read_tid: bool = False) -> bytes:
    """Look for tags again and again, `time_ms` for each cycle, and send each read unasked."""
    inner = _search(_STREAMING, time_ms, metadata, read_tid)
    return command(Op.CONTINUOUS, b"\x00\x00\x01\x22\x00\x00\x05" + bytes((len(inner), Op.SEARCH)) + inner)


def get_tags(metadata: int) -> bytes:
    """Fetch records from the module's buffer."""
    return command(Op.GET_TAGS, struct.pack(">HB", metadata, 0))


def antennas_in_use(antennas: tuple[int, ...]) -> bytes:
    """The search list: each antenna sends and receives."""
    return command(Op.SET_ANTENNAS, b"\x02" + bytes(port for antenna in antennas for port in (antenna, antenna)))


# --- answers ---------------------------------------------------------------------------------------------------------

_MODELS = {0x18: "M6e", 0x19: "M6e-i", 0x20: "M6e Micro", 0x30: "M6e Nano"}

BOOT_LOADER = 0x11


@dataclass(frozen=True, slots=True)
class Version:
    """What a module says it is."""

    model: str
    firmware: str
    """The four numbers of the firmware and its date, as the maker writes them (hexadecimal)."""


def read_version(data: bytes) -> Version | None:
    """The answer to VERSION; None where it is too short to be one."""
    if len(data) < 16:
        return None
    numbers = ".".join(f"{byte:02x}" for byte in data[12:16])
    return Version(_MODELS.get(data[4], f"hardware {data[4]:02x}"), f"{numbers} of {data[8:12].hex()}")


def read_antennas(data: bytes) -> dict[int, bool] | None:
    """The answer to GET_ANTENNAS with option 5: each port, and whether an antenna is connected."""
    if data[:1] != b"\x05" or len(data) % 2 == 0:
        return None
    return {port: state == 1 for port, state in zip(data[1::2], data[2::2], strict=True)}
