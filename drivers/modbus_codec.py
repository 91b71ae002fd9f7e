"""Modbus/TCP as a client speaks it: requests to bytes, answer bytes to values.

Pure. Called by the sessions of drivers whose devices speak Modbus/TCP; must never raise on bytes from a peer, and never
keep more than one frame.
Source: MODBUS Application Protocol V1.1b3 and MODBUS Messaging on TCP/IP V1.0b. Functions 1, 2, 3, 4, 5, 6, 15, 16.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from enum import IntEnum

from lanecontrol.framing import LengthFramer

FRAME_LIMIT = 260
"""MBAP header and the longest protocol data unit, section 4.1."""


class Area(IntEnum):
    """A table of the module; the value is the function code that reads it."""

    COILS = 1
    DISCRETE_INPUTS = 2
    HOLDING_REGISTERS = 3
    INPUT_REGISTERS = 4


_REGISTERS = (Area.HOLDING_REGISTERS, Area.INPUT_REGISTERS)

EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "accepted, not yet done",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target does not answer",
}

PERMANENT = frozenset({1, 2, 3})
"""Exceptions that a repetition does not change: we ask for what the module does not have."""


# --- requests --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Read:
    """Read `count` bits (at most 2000) or registers (at most 125) from the zero-based `address`."""

    area: Area
    address: int
    count: int

    def __post_init__(self) -> None:
        _within(self.address, self.count, 125 if self.area in _REGISTERS else 2000)


@dataclass(frozen=True, slots=True)
class WriteCoils:
    """Set coils from `address` on: one with function 5, several with function 15 in one deed (at most 1968)."""

    address: int
    values: tuple[bool, ...]

    def __post_init__(self) -> None:
        _within(self.address, len(self.values), 1968)


@dataclass(frozen=True, slots=True)
class WriteRegisters:
    """Set holding registers from `address` on: one with function 6, several with function 16 (at most 123)."""

    address: int
    values: tuple[int, ...]

    def __post_init__(self) -> None:
        _within(self.address, len(self.values), 123)
        if not all(0 <= value <= 0xFFFF for value in self.values):
            raise ValueError("a register holds 0 to 65535")


Request = Read | WriteCoils | WriteRegisters


def _within(address: int, count: int, limit: int) -> None:
    if not (0 <= address <= 0xFFFF and 1 <= count <= limit and address + count <= 0x10000):
        raise ValueError(f"{count} items from address {address}: at most {limit}, all within 0 to 65535")


def request_pdu(request: Request) -> bytes:
    """The protocol data unit: function code and data."""
    match request:
        case Read(area, address, count):
            return struct.pack(">BHH", area, address, count)
        case WriteCoils(address, (value,)):
            return struct.pack(">BHH", 5, address, 0xFF00 if value else 0)
        case WriteCoils(address, values):
            bits = sum(1 << i for i, value in enumerate(values) if value)
            size = (len(values) + 7) // 8
            return struct.pack(">BHHB", 15, address, len(values), size) + bits.to_bytes(size, "little")
        case WriteRegisters(address, (word,)):
            return struct.pack(">BHH", 6, address, word)
        case WriteRegisters(address, words):
            return struct.pack(f">BHHB{len(words)}H", 16, address, len(words), 2 * len(words), *words)


def request_tail(unit: int, request: Request) -> bytes:
    """A whole frame but for its first two bytes, the transaction id, which is put before it at each sending."""
    pdu = request_pdu(request)
    return struct.pack(">HHB", 0, len(pdu) + 1, unit) + pdu


# --- answers ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bits:
    """Bits that were read; bit 0 of `value` is the first address. Registers give 16 bits each, lowest bit first."""

    value: int


@dataclass(frozen=True, slots=True)
class Written:
    """A write was carried out."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The module answered with an exception."""

    code: int

    def __str__(self) -> str:
        return f"exception {self.code} ({EXCEPTIONS.get(self.code, 'not in the standard')})"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The answer does not fit the request."""

    why: str


Answer = Bits | Written | Refused | Mismatch


def read_answer(unit: int, request: Request, tail: bytes) -> Answer:
    """What the frame `tail` (without its transaction id) answers to `request`."""
    if len(tail) < 7 or tail[4] != unit:
        return Mismatch("answer from another unit")
    asked, pdu = request_pdu(request), tail[5:]
    if pdu[0] == asked[0] | 0x80:
        return Refused(pdu[1])
    if pdu[0] != asked[0]:
        return Mismatch(f"answer to function {pdu[0]}, asked was {asked[0]}")
    if isinstance(request, Read):
        return _read_values(request, pdu)
    return Written() if pdu == asked[:5] else Mismatch("the answer does not repeat what was written")


def _read_values(request: Read, pdu: bytes) -> Answer:
    registers = request.area in _REGISTERS
    size = 2 * request.count if registers else (request.count + 7) // 8
    if pdu[1] != size or len(pdu) != 2 + size:
        return Mismatch(f"{len(pdu) - 2} bytes of values, not {size}")
    if not registers:
        return Bits(int.from_bytes(pdu[2:], "little") & ((1 << request.count) - 1))
    words = struct.unpack(f">{request.count}H", pdu[2:])
    return Bits(sum(word << 16 * i for i, word in enumerate(words)))


# --- framing ---------------------------------------------------------------------------------------------------------


_HEADER_SIZE = 6
_HEADER = re.compile(rb"..\x00\x00[\x00\x01].", re.DOTALL)
"""Transaction id, protocol id 0, length; the unit id belongs to what is counted."""


def _frame_size(header: bytes) -> int:
    """Bytes of the whole frame; too few for a frame where the length leaves no room for an answer."""
    length = header[4] << 8 | header[5]
    return _HEADER_SIZE + length if length >= 3 else 0


def answer_framer() -> LengthFramer:
    """Cuts the stream of answers into frames, transaction id included. A header that is not Modbus ends the stream."""
    return LengthFramer(_HEADER, _HEADER_SIZE, _frame_size, limit=FRAME_LIMIT)
