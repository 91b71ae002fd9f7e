"""LLRP on the wire, the reader's side: frames, parameters, status. Pure.

Written from the LLRP 1.0.1 definition (llrp-1x0-def.xml); what 1.1 adds is from LLRP 1.1, section 17. `Framer` never
raises; what reads parameters raises `Refused` with the status that the standard gives for the mistake, and the reader
answers with it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

V1_0_1, V1_1 = 1, 2
"""Version bits in the header of a message."""
HEADER_BYTES = 10


class M(IntEnum):
    """Message types."""

    GET_READER_CAPABILITIES = 1
    GET_READER_CONFIG = 2
    SET_READER_CONFIG = 3
    CLOSE_CONNECTION_RESPONSE = 4
    CLOSE_CONNECTION = 14
    ADD_ROSPEC = 20
    DELETE_ROSPEC = 21
    START_ROSPEC = 22
    STOP_ROSPEC = 23
    ENABLE_ROSPEC = 24
    DISABLE_ROSPEC = 25
    GET_ROSPECS = 26
    ADD_ACCESSSPEC = 40
    DELETE_ACCESSSPEC = 41
    ENABLE_ACCESSSPEC = 42
    DISABLE_ACCESSSPEC = 43
    GET_ACCESSSPECS = 44
    GET_SUPPORTED_VERSION = 46
    SET_PROTOCOL_VERSION = 47
    GET_SUPPORTED_VERSION_RESPONSE = 56
    SET_PROTOCOL_VERSION_RESPONSE = 57
    GET_REPORT = 60
    RO_ACCESS_REPORT = 61
    KEEPALIVE = 62
    READER_EVENT_NOTIFICATION = 63
    ENABLE_EVENTS_AND_REPORTS = 64
    KEEPALIVE_ACK = 72
    ERROR_MESSAGE = 100


class P(IntEnum):
    """Parameter types that the fake reads or writes."""

    ANTENNA_ID = 1
    FIRST_SEEN_UTC = 2
    FIRST_SEEN_UPTIME = 3
    LAST_SEEN_UTC = 4
    LAST_SEEN_UPTIME = 5
    PEAK_RSSI = 6
    CHANNEL_INDEX = 7
    TAG_SEEN_COUNT = 8
    ROSPEC_ID = 9
    INVENTORY_PARAMETER_SPEC_ID = 10
    C1G2_CRC = 11
    C1G2_PC = 12
    EPC_96 = 13
    SPEC_INDEX = 14
    ACCESSSPEC_ID = 16
    UTC_TIMESTAMP = 128
    UPTIME = 129
    GENERAL_CAPABILITIES = 137
    SENSITIVITY_ENTRY = 139
    ANTENNA_PROTOCOL = 140
    GPIO_CAPABILITIES = 141
    LLRP_CAPABILITIES = 142
    REGULATORY_CAPABILITIES = 143
    UHF_BAND = 144
    POWER_LEVEL = 145
    FREQUENCY_INFORMATION = 146
    HOP_TABLE = 147
    ROSPEC = 177
    RO_BOUNDARY_SPEC = 178
    START_TRIGGER = 179
    PERIODIC_TRIGGER = 180
    GPI_TRIGGER = 181
    STOP_TRIGGER = 182
    AISPEC = 183
    AISPEC_STOP_TRIGGER = 184
    TAG_OBSERVATION_TRIGGER = 185
    INVENTORY_PARAMETER_SPEC = 186
    RF_SURVEY_SPEC = 187
    ACCESSSPEC = 207
    ACCESSSPEC_STOP_TRIGGER = 208
    ACCESS_COMMAND = 209
    CONFIGURATION_STATE = 217
    IDENTIFICATION = 218
    GPO_WRITE = 219
    KEEPALIVE_SPEC = 220
    ANTENNA_PROPERTIES = 221
    ANTENNA_CONFIGURATION = 222
    RF_RECEIVER = 223
    RF_TRANSMITTER = 224
    GPI_STATE = 225
    EVENTS_AND_REPORTS = 226
    RO_REPORT_SPEC = 237
    CONTENT_SELECTOR = 238
    ACCESS_REPORT_SPEC = 239
    TAG_REPORT_DATA = 240
    EPC_DATA = 241
    EVENT_SPEC = 244
    EVENT_STATE = 245
    EVENT_DATA = 246
    GPI_EVENT = 248
    ROSPEC_EVENT = 249
    BUFFER_LEVEL_EVENT = 250
    BUFFER_OVERFLOW_EVENT = 251
    READER_EXCEPTION_EVENT = 252
    AISPEC_EVENT = 254
    ANTENNA_EVENT = 255
    CONNECTION_ATTEMPT_EVENT = 256
    CONNECTION_CLOSE_EVENT = 257
    LLRP_STATUS = 287
    FIELD_ERROR = 288
    PARAMETER_ERROR = 289
    C1G2_CAPABILITIES = 327
    RF_MODE_TABLE = 328
    RF_MODE_ENTRY = 329
    C1G2_INVENTORY_COMMAND = 330
    C1G2_FILTER = 331
    C1G2_INVENTORY_MASK = 332
    C1G2_FILTER_ACTION = 334
    C1G2_TAG_SPEC = 338
    C1G2_TARGET_TAG = 339
    C1G2_READ = 341
    C1G2_WRITE = 342
    C1G2_KILL = 343
    C1G2_LOCK = 344
    C1G2_LOCK_PAYLOAD = 345
    C1G2_CONTENT_SELECTOR = 348
    C1G2_READ_RESULT = 349
    C1G2_WRITE_RESULT = 350
    C1G2_KILL_RESULT = 351
    C1G2_LOCK_RESULT = 352
    MAXIMUM_RECEIVE_SENSITIVITY = 363
    CUSTOM = 1023


class Code(IntEnum):
    """Status codes."""

    OK = 0
    PARAMETER_ERROR = 100
    FIELD_ERROR = 101
    UNEXPECTED_PARAMETER = 102
    MISSING_PARAMETER = 103
    UNSUPPORTED_MESSAGE = 109
    UNSUPPORTED_VERSION = 110
    UNEXPECTED_MESSAGE = 112
    IN_FIELD = 201
    IN_UNEXPECTED_PARAMETER = 202
    IN_MISSING_PARAMETER = 203
    IN_OVERFLOW_PARAMETER = 205
    IN_UNKNOWN_PARAMETER = 207
    IN_UNSUPPORTED_PARAMETER = 209


_TV_BYTES = {
    1: 2,
    2: 8,
    3: 8,
    4: 8,
    5: 8,
    6: 1,
    7: 2,
    8: 2,
    9: 4,
    10: 2,
    11: 2,
    12: 2,
    13: 12,
    14: 2,
    16: 4,
    17: 2,
    18: 4,
}


class Refused(Exception):
    """A request that cannot be carried out: the status to answer with.

    `parameter` is the parameter at fault and what is wrong with it, for a mistake inside of one.
    """

    def __init__(self, code: Code, text: str, parameter: tuple[int, Code] | None = None) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text
        self.parameter = parameter


def inside(parameter: int, code: Code, text: str) -> Refused:
    """A mistake inside a parameter."""
    return Refused(Code.PARAMETER_ERROR, text, (parameter, code))


@dataclass(frozen=True, slots=True)
class Frame:
    """One message as it came."""

    version: int
    type: int
    id: int
    body: bytes


class Framer:
    """Cuts the stream into messages. `broken` is set by a length that cannot be: nothing after it can be trusted."""

    def __init__(self, max_frame_bytes: int) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._buffer = bytearray()
        self.broken = False

    def feed(self, data: bytes) -> list[Frame]:
        """The messages that `data` completes. Keeps less than one."""
        self._buffer += data
        found: list[Frame] = []
        while not self.broken and len(self._buffer) >= HEADER_BYTES:
            head, length, message_id = struct.unpack_from(">HII", self._buffer)
            if not HEADER_BYTES <= length <= self._max_frame_bytes:
                self.broken = True
            elif len(self._buffer) < length:
                break
            else:
                found.append(Frame(head >> 10 & 7, head & 0x3FF, message_id, bytes(self._buffer[HEADER_BYTES:length])))
                del self._buffer[:length]
        if self.broken:
            self._buffer.clear()
        return found


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter: its type, its body, and all of its bytes."""

    type: int
    body: bytes
    raw: bytes


def parameters(data: bytes) -> Iterator[Param]:
    """The parameters one after the other. Raises Refused where one does not fit into what holds it."""
    at = 0
    while at < len(data):
        if data[at] & 0x80:
            kind, start, end = data[at] & 0x7F, at + 1, at + 1 + _TV_BYTES.get(data[at] & 0x7F, len(data))
        else:
            kind = int.from_bytes(data[at : at + 2], "big") & 0x3FF
            start, end = at + 4, at + int.from_bytes(data[at + 2 : at + 4], "big")
        if not start <= end <= len(data):
            raise inside(kind, Code.IN_FIELD, "a parameter's length does not fit")
        yield Param(kind, data[start:end], data[at:end])
        at = end


class Fields:
    """Takes fixed fields off the front of a parameter or message. Raises Refused when there are too few bytes."""

    __slots__ = ("_at", "_data", "_parameter")

    def __init__(self, data: bytes, parameter: int = 0) -> None:
        self._data = data
        self._at = 0
        self._parameter = parameter

    def take(self, count: int) -> bytes:
        start, self._at = self._at, self._at + count
        if self._at > len(self._data):
            if self._parameter:
                raise inside(self._parameter, Code.IN_FIELD, "a field is missing")
            raise Refused(Code.FIELD_ERROR, "a field is missing")
        return self._data[start : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def flag(self) -> bool:
        """One bit and seven reserved ones."""
        return bool(self.number(1) & 0x80)

    def numbers(self, size: int) -> tuple[int, ...]:
        """An array: item count and items."""
        return tuple(self.number(size) for _ in range(self.number(2)))

    def bits(self) -> str:
        """A bit array, as text of 0 and 1."""
        count = self.number(2)
        value = self.number((count + 7) // 8)
        return f"{value >> -count % 8:0{count}b}" if count else ""

    def rest(self) -> Iterator[Param]:
        """The parameters after the fields."""
        return parameters(self._data[self._at :])

    def end(self) -> None:
        """Nothing may follow."""
        if self._at < len(self._data):
            raise Refused(Code.UNEXPECTED_PARAMETER, "nothing may follow here")


# --- to bytes --------------------------------------------------------------------------------------------------------


def message(kind: int, message_id: int, body: bytes = b"") -> bytes:
    """One message of LLRP 1.0.1."""
    return struct.pack(">HII", V1_0_1 << 10 | kind, HEADER_BYTES + len(body), message_id) + body


def in_version(data: bytes, version: int) -> bytes:
    """The same message with other version bits."""
    return bytes((data[0] & 0xE3 | version << 2,)) + data[1:] if data else data


def tlv(kind: P, *parts: bytes) -> bytes:
    """A parameter with a length."""
    body = b"".join(parts)
    return struct.pack(">HH", kind, 4 + len(body)) + body


def tv(kind: P, value: bytes) -> bytes:
    """A parameter of fixed length."""
    return bytes((0x80 | kind,)) + value


def u8(*values: int) -> bytes:
    return bytes(values)


def u16(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def s16(value: int) -> bytes:
    return struct.pack(">h", value)


def u32(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def u64(value: int) -> bytes:
    return struct.pack(">Q", value)


def flag(on: bool) -> bytes:
    """One bit and seven reserved ones."""
    return b"\x80" if on else b"\0"


def utf8(text: str) -> bytes:
    data = text.encode()
    return u16(len(data)) + data


def u8_array(values: Sequence[int]) -> bytes:
    return u16(len(values)) + bytes(values)


OK = tlv(P.LLRP_STATUS, u16(Code.OK), utf8(""))


def status(refusal: Refused) -> bytes:
    """LLRPStatus of a refusal."""
    detail = b""
    if refusal.parameter is not None:
        detail = tlv(P.PARAMETER_ERROR, u16(*refusal.parameter))
    return tlv(P.LLRP_STATUS, u16(refusal.code), utf8(refusal.text), detail)
