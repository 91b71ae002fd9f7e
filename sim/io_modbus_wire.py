"""The server's side of Modbus/TCP framing: bytes to requests, answers to bytes. Pure; never raises on any input.

Written from the Modbus Application Protocol Specification V1.1b3 and the Modbus Messaging on TCP/IP Implementation
Guide V1.0b. Only the fake module uses it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

HEADER_BYTES = 7
MAX_LENGTH = 254
"""Largest value of the length field: unit id, function code and 252 bytes."""


class Function(IntEnum):
    """The function codes that the fake knows."""

    READ_COILS = 1
    READ_DISCRETE_INPUTS = 2
    READ_HOLDING_REGISTERS = 3
    READ_INPUT_REGISTERS = 4
    WRITE_COIL = 5
    WRITE_REGISTER = 6
    WRITE_COILS = 15
    WRITE_REGISTERS = 16


class Refusal(IntEnum):
    """Exception codes."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_ADDRESS = 2
    ILLEGAL_VALUE = 3
    DEVICE_FAILURE = 4
    TARGET_MUTE = 11
    """A gateway's answer for a unit that is not there."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request: `pdu` starts with the function code."""

    transaction: int
    unit: int
    pdu: bytes


@dataclass(frozen=True, slots=True)
class Read:
    """FC 1 to 4."""

    function: Function
    address: int
    count: int


@dataclass(frozen=True, slots=True)
class WriteBits:
    """FC 5 and 15."""

    address: int
    values: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class WriteWords:
    """FC 6 and 16."""

    address: int
    values: tuple[int, ...]


Demand = Read | WriteBits | WriteWords


class Framer:
    """Cuts the stream into requests. After a length that cannot be, `broken` is set: nothing more can be trusted."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.broken = False

    def feed(self, data: bytes) -> list[Request]:
        """The requests that `data` completes. Keeps less than one frame."""
        self._buffer += data
        found: list[Request] = []
        while not self.broken and len(self._buffer) >= HEADER_BYTES:
            transaction, protocol, length, unit = struct.unpack_from(">HHHB", self._buffer)
            if not 2 <= length <= MAX_LENGTH:
                self.broken = True
            elif len(self._buffer) < 6 + length:
                return found
            else:
                if protocol == 0:  # a frame of another protocol is discarded
                    found.append(Request(transaction, unit, bytes(self._buffer[HEADER_BYTES : 6 + length])))
                del self._buffer[: 6 + length]
        if self.broken:
            self._buffer.clear()
        return found


def parse(pdu: bytes) -> Demand | Refusal:
    """What is asked for, or why it cannot be: unknown function, or a count or value outside the standard's limits."""
    match pdu[0] if pdu else 0:
        case 1 | 2:
            return _read(pdu, 2000)
        case 3 | 4:
            return _read(pdu, 125)
        case 5 if len(pdu) == 5 and pdu[3:] in (b"\x00\x00", b"\xff\x00"):
            return WriteBits(_word(pdu, 1), (pdu[3] == 0xFF,))
        case 6 if len(pdu) == 5:
            return WriteWords(_word(pdu, 1), (_word(pdu, 3),))
        case 15:
            return _write_bits(pdu)
        case 16:
            return _write_words(pdu)
        case 5 | 6:
            return Refusal.ILLEGAL_VALUE
        case _:
            return Refusal.ILLEGAL_FUNCTION


def _read(pdu: bytes, most: int) -> Read | Refusal:
    if len(pdu) != 5 or not 1 <= _word(pdu, 3) <= most:
        return Refusal.ILLEGAL_VALUE
    return Read(Function(pdu[0]), _word(pdu, 1), _word(pdu, 3))


def _write_bits(pdu: bytes) -> WriteBits | Refusal:
    if len(pdu) < 7:
        return Refusal.ILLEGAL_VALUE
    count, size = _word(pdu, 3), pdu[5]
    if not 1 <= count <= 1968 or size != (count + 7) // 8 or len(pdu) != 6 + size:
        return Refusal.ILLEGAL_VALUE
    return WriteBits(_word(pdu, 1), tuple(bool(pdu[6 + bit // 8] >> bit % 8 & 1) for bit in range(count)))


def _write_words(pdu: bytes) -> WriteWords | Refusal:
    if len(pdu) < 8:
        return Refusal.ILLEGAL_VALUE
    count, size = _word(pdu, 3), pdu[5]
    if not 1 <= count <= 123 or size != 2 * count or len(pdu) != 6 + size:
        return Refusal.ILLEGAL_VALUE
    return WriteWords(_word(pdu, 1), struct.unpack_from(f">{count}H", pdu, 6))


def _word(pdu: bytes, at: int) -> int:
    return pdu[at] << 8 | pdu[at + 1]


def frame(request: Request, pdu: bytes) -> bytes:
    """The answer `pdu` to a request, ready for the wire."""
    return struct.pack(">HHHB", request.transaction, 0, len(pdu) + 1, request.unit) + pdu


def refused(pdu: bytes, why: Refusal) -> bytes:
    """The exception answer to the request `pdu`."""
    return bytes((pdu[0] | 0x80, why))


def bits_answer(function: Function, bits: Sequence[bool]) -> bytes:
    """Answer to FC 1 and 2."""
    packed = bytearray((len(bits) + 7) // 8)
    for index, bit in enumerate(bits):
        packed[index // 8] |= bit << index % 8
    return bytes((function, len(packed))) + packed


def words_answer(function: Function, words: Iterable[int]) -> bytes:
    """Answer to FC 3 and 4."""
    body = b"".join(word.to_bytes(2, "big") for word in words)
    return bytes((function, len(body))) + body
