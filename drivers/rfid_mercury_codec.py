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

_MARK = 0xFF


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


_MARKS = re.compile(rb"\xff*(?=\xff)")
"""A wake-up run but for its last byte, which may begin a frame. Passed over in one go: it can be long."""


class Frames:
    """Cuts the bytes from a module into frames. A bad checksum costs one byte, then the search goes on behind it.

    Runs of FF between frames are wake-up bytes and no error. Other bytes outside of frames come out as one doubt for
    each run, told when the run ends or has become as long as a doubt may be.
    """

    def __init__(self) -> None:
        self._pending = bytearray()
        self._junk = bytearray()
        self._junk_told = False

    @property
    def pending(self) -> int:
        """Bytes that wait for the rest of their frame: less than a frame."""
        return len(self._pending)

    def feed(self, data: bytes) -> list[Frame | Doubt]:
        """The frames and doubts that `data` completes."""
        self._pending += data
        found: list[Frame | Doubt] = []
        self._cut(found, last=False)
        return found

    def expire(self) -> list[Frame | Doubt]:
        """Nothing came for too long: what is pending is no beginning of a frame, but may hold whole ones."""
        found: list[Frame | Doubt] = []
        self._cut(found, last=True)
        self._tell_junk(found)
        self._junk_told = False
        self._junk.clear()
        return found

    def _cut(self, found: list[Frame | Doubt], *, last: bool) -> None:
        pending, at = self._pending, 0
        while at < len(pending):
            start = pending.find(_MARK, at)
            if start < 0:
                self._note_junk(at, len(pending), found)
                at = len(pending)
                break
            self._note_junk(at, start, found)
            at = start
            if run := _MARKS.match(pending, at):
                at = run.end()
            size = self._size(at)
            if size == 0:
                at += 1  # FF before a byte that is no length: the rest of a wake-up run
            elif len(pending) - at >= size:
                at = self._whole(at, size, found)
            elif not last:
                break
            else:
                at = self._no_frame(at, found)
        del pending[:at]

    def _size(self, at: int) -> int:
        """Size of the frame that begins at `at`, as far as it can be told; 0 where none does."""
        if at + 1 >= len(self._pending):
            return FRAME_LIMIT
        length = self._pending[at + 1]
        return length + 7 if length <= LENGTH_LIMIT else 0

    def _whole(self, at: int, size: int, found: list[Frame | Doubt]) -> int:
        raw = bytes(self._pending[at : at + size])
        if checksum(raw[1:-2]) != raw[-2] << 8 | raw[-1]:
            return self._no_frame(at, found)
        self._tell_junk(found)
        self._junk.clear()
        self._junk_told = False
        found.append(Frame(raw[2], raw[3] << 8 | raw[4], raw[5:-2], raw))
        return at + size

    def _no_frame(self, at: int, found: list[Frame | Doubt]) -> int:
        """A lone FF at the very end may be of a wake-up run; any other that begins no frame is junk."""
        if at + 1 < len(self._pending):
            self._note_junk(at, at + 1, found)
        return at + 1

    def _note_junk(self, start: int, end: int, found: list[Frame | Doubt]) -> None:
        self._junk += self._pending[start : min(end, start + DOUBT_LIMIT - len(self._junk))]
        if len(self._junk) >= DOUBT_LIMIT:
            self._tell_junk(found)

    def _tell_junk(self, found: list[Frame | Doubt]) -> None:
        if self._junk and not self._junk_told:
            found.append(Doubt(bytes(self._junk), "bytes outside of any frame, or a frame with a wrong checksum"))
            self._junk_told = True


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
