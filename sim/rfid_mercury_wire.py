"""The module's side of the Mercury serial protocol: bytes to commands, answers to bytes. Pure; never raises on input.

Written from the vendor's C SDK for the ThingMagic/Jadak M6e family (serial_reader_l3.c, serial_reader_imp.h,
tmr_status.h), never from our driver. Only the fake module uses it. `Refused` never leaves the fake: it becomes the
status word of the answer.
"""

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass
from enum import IntEnum

HEADER = 0xFF
MAX_LENGTH = 0xF8
"""Largest LEN, so that FF FF can never begin a frame."""
OVERHEAD = 5
"""A command's bytes around its data: FF, LEN, op code, CRC."""
_START = binascii.crc_hqx(b"\xff\xff", 0)


class Op(IntEnum):
    """Op codes that the fake carries out."""

    VERSION = 0x03
    BOOT_FIRMWARE = 0x04
    SET_BAUD = 0x06
    BOOT_LOADER = 0x09
    CURRENT_PROGRAM = 0x0C
    SEARCH = 0x22
    READ_MEMORY = 0x28
    GET_BUFFER = 0x29
    CLEAR_BUFFER = 0x2A
    CONTINUOUS = 0x2F
    GET_ANTENNAS = 0x61
    GET_READ_POWER = 0x62
    GET_PROTOCOL = 0x63
    GET_WRITE_POWER = 0x64
    GET_GPIO = 0x66
    GET_REGION = 0x67
    GET_POWER_MODE = 0x68
    GET_OPTION = 0x6A
    GET_STATISTICS = 0x6C
    PROTOCOLS = 0x70
    REGIONS = 0x71
    TEMPERATURE = 0x72
    SET_ANTENNAS = 0x91
    SET_READ_POWER = 0x92
    SET_PROTOCOL = 0x93
    SET_WRITE_POWER = 0x94
    SET_GPIO = 0x96
    SET_REGION = 0x97
    SET_POWER_MODE = 0x98
    SET_OPTION = 0x9A


UNIMPLEMENTED = frozenset(
    bytes.fromhex("0102 0708 0a0b 0d0e0f 10 21 2324252627 2d2e 65 69 6b 6d 95 99 9b 9d9e c1 c3"),
)
"""Op codes of the SDK that this fake does not carry out: flash, hop tables, air protocol settings, test signals, and
above all what changes a tag (write, lock, kill, erase)."""


class Status(IntEnum):
    """Status words."""

    OK = 0x0000
    WRONG_LENGTH = 0x0100
    INVALID_OP = 0x0101
    UNIMPLEMENTED = 0x0102
    POWER_TOO_HIGH = 0x0103
    BAD_PARAMETER = 0x0105
    POWER_TOO_LOW = 0x0106
    BAUD = 0x010A
    REGION = 0x010B
    NO_TAGS = 0x0400
    NO_PROTOCOL = 0x0401
    TAG_ERROR = 0x040A
    MEMORY_OVERRUN = 0x0423
    MEMORY_LOCKED = 0x0424
    ANTENNA_MISSING = 0x0503
    TEMPERATURE = 0x0504
    RETURN_LOSS = 0x0505
    BUFFER_EMPTY = 0x0600
    BUFFER_FULL = 0x0601


class Refused(Exception):
    """A command cannot be carried out; becomes the status word of its answer."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.name)
        self.status = status


@dataclass(frozen=True, slots=True)
class Command:
    """One command of the host."""

    op: int
    data: bytes


class Framer:
    """Cuts the stream into commands. Keeps less than one frame, and that no longer than `gap_s` without a new byte.

    A frame with a wrong CRC costs one byte, and the search for a frame goes on behind it: a module that cannot trust
    a command says nothing.
    """

    def __init__(self, gap_s: float) -> None:
        self._gap_s = gap_s
        self._buffer = bytearray()
        self._last_s = 0.0

    def feed(self, data: bytes, now_s: float) -> list[Command]:
        """The commands that `data`, which came at `now_s`, completes."""
        if now_s - self._last_s > self._gap_s:
            self._buffer.clear()
        self._last_s = now_s
        self._buffer += data
        found: list[Command] = []
        while (size := self._next()) is not None:
            body = bytes(self._buffer[1 : size - 2])
            if crc(body) == int.from_bytes(self._buffer[size - 2 : size], "big"):
                found.append(Command(body[1], body[2:]))
                del self._buffer[:size]
            else:
                del self._buffer[:1]
        return found

    def _next(self) -> int | None:
        """Bytes of the frame that the buffer begins with, after dropping what cannot begin one; None: not all here."""
        buffer = self._buffer
        at = buffer.find(HEADER)
        while at >= 0 and at + 1 < len(buffer) and buffer[at + 1] > MAX_LENGTH:
            at = buffer.find(HEADER, at + 1)  # of a run of FF, the last may be a header
        del buffer[: at if at >= 0 else len(buffer)]
        if len(buffer) < 2 or len(buffer) < buffer[1] + OVERHEAD:
            return None
        return buffer[1] + OVERHEAD


def crc(body: bytes) -> int:
    """CRC-16 of a frame from LEN to its last data byte: polynomial 0x1021, start 0xFFFF, the message shifted in at the
    low end, without a final 16 zero bits.

    The last 16 bits therefore are only added, not divided, and the CRC of what comes before them is the usual one.
    """
    return binascii.crc_hqx(body[:-2], _START) ^ int.from_bytes(body[-2:], "big")


def answer(op: int, status: int = Status.OK, data: bytes = b"") -> bytes:
    """A frame of the module."""
    body = struct.pack(">BBH", len(data), op, status) + data
    return bytes((HEADER,)) + body + crc(body).to_bytes(2, "big")


class Fields:
    """Reads a command's data field by field. Every method raises Refused when the data is too short or too long."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __len__(self) -> int:
        return len(self._data) - self._at

    def number(self, size: int) -> int:
        """Unsigned, of `size` bytes."""
        return int.from_bytes(self.take(size), "big")

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        if len(self) < size:
            raise Refused(Status.WRONG_LENGTH)
        self._at += size
        return self._data[self._at - size : self._at]

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self))

    def end(self) -> None:
        """There must be nothing left."""
        if len(self):
            raise Refused(Status.WRONG_LENGTH)


def u16(*values: int) -> bytes:
    """Big-endian words."""
    return struct.pack(f">{len(values)}H", *values)


def u32(*values: int) -> bytes:
    """Big-endian double words."""
    return struct.pack(f">{len(values)}I", *values)
