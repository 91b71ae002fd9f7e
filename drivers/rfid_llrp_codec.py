"""LLRP 1.0.1 frames to typed messages and back, by the layout tables.

Pure. Called by the `rfid.llrp` session and by `decode`; must never raise on bytes from a peer, and never lose a byte:
what is not in the tables is kept as it came, so that a message encodes to the frame it was decoded from.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from drivers.rfid_llrp_layouts import MESSAGES, PARAMETERS, SHORT_PARAMETERS
from lanecontrol.framing import Doubt, LengthFramer, Violation

HEADER_SIZE = 10
FRAME_LIMIT = 1 << 20
"""Bytes of a frame on a live link; a reader that claims more is not followed."""

LEFTOVER = -1
"""Type of a `Parameter` that holds bytes whose end could not be known (a short parameter that no table has)."""

_DEPTH = 16
"""Nesting of parameters; the standard's own goes to 7."""


class _Unfit(Exception):
    """The bytes do not fit the layout. Never leaves this module."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter: its type, the values of its fields in the order of the layout, and what is in it.

    Reserved bits are values too, so that nothing is lost. A type outside the tables has one value, its bytes.
    """

    type: int
    values: tuple[Any, ...] = ()
    parameters: tuple[Parameter, ...] = ()

    def __getitem__(self, name: str) -> Any:
        """The value of a field by its name in the layout. Raises KeyError."""
        return self.values[_layout_of(self.type).index[name]]

    def find(self, *types: int) -> Iterator[Parameter]:
        """The parameters directly inside that are of one of these types."""
        return (parameter for parameter in self.parameters if parameter.type in types)


@dataclass(frozen=True, slots=True)
class Message:
    """A message: type, id (an answer repeats the request's), protocol version, fields and parameters."""

    type: int
    id: int = 0
    values: tuple[Any, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    version: int = 1

    @property
    def name(self) -> str:
        return MESSAGES[self.type][0] if self.type in MESSAGES else f"message {self.type}"

    def __getitem__(self, name: str) -> Any:
        """The value of a field by its name in the layout. Raises KeyError."""
        return self.values[_message_layout(self.type).index[name]]

    def find(self, *types: int) -> Iterator[Parameter]:
        """The parameters directly in the message that are of one of these types."""
        return (parameter for parameter in self.parameters if parameter.type in types)


# --- layouts made ready ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Field:
    kind: str
    size: int
    """Bytes, of one item where there are several."""
    widths: tuple[int, ...] = ()
    """Of bits that share these bytes."""


@dataclass(frozen=True, slots=True)
class _Layout:
    fields: tuple[_Field, ...]
    index: dict[str, int]


def _compile(text: str) -> _Layout:
    tokens = iter(text.split())
    fields: list[_Field] = []
    index: dict[str, int] = {}
    widths: list[int] = []
    for at, token in enumerate(tokens):
        kind = token[0] if token[0] in "br" and token[1:].isdigit() else token
        if kind != "r":
            index[next(tokens)] = at
        if kind in ("b", "r"):
            widths.append(int(token[1:]))
            if sum(widths) % 8 == 0:
                fields.append(_Field("bits", sum(widths) // 8, tuple(widths)))
                widths = []
        else:
            fields.append(_field(kind))
    return _Layout(tuple(fields), index)


def _field(kind: str) -> _Field:
    if kind.endswith("[]") and kind != "bits[]":
        return _Field("items", int(kind[1:-2]) // 8)
    if kind in ("utf8", "bits[]", "raw"):
        return _Field(kind, 0)
    if kind.startswith("raw"):
        return _Field("bytes", int(kind[3:]))
    return _Field("signed" if kind[0] == "s" else "unsigned", int(kind[1:]) // 8)


_OPAQUE = _compile("raw data")
_MESSAGE_LAYOUTS = {number: _compile(text) for number, (_, text) in MESSAGES.items()}
_LAYOUTS = {number: _compile(text) for number, (_, text) in (SHORT_PARAMETERS | PARAMETERS).items()}
_SHORT_SIZES = {number: sum(field.size for field in _LAYOUTS[number].fields) for number in SHORT_PARAMETERS}


def _layout_of(number: int) -> _Layout:
    return _LAYOUTS.get(number, _OPAQUE)


def _message_layout(number: int) -> _Layout:
    return _MESSAGE_LAYOUTS.get(number, _OPAQUE)


# --- decoding --------------------------------------------------------------------------------------------------------


def decode(frame: bytes) -> Message | Doubt:
    """The message of one whole frame, or the doubt where its bytes do not fit."""
    if len(frame) < HEADER_SIZE:
        return Doubt(frame, "shorter than an LLRP header")
    head, length, number = struct.unpack_from(">HII", frame)
    if length != len(frame) or head >> 13:
        return Doubt(frame, "not an LLRP header")
    kind = head & 0x3FF
    try:
        values, parameters = _body(_message_layout(kind), frame, HEADER_SIZE, length, 0)
    except _Unfit as unfit:
        return Doubt(frame, f"{MESSAGES[kind][0] if kind in MESSAGES else kind}: {unfit}")
    return Message(kind, number, values, parameters, head >> 10 & 7)


def _body(layout: _Layout, data: bytes, at: int, end: int, depth: int) -> tuple[tuple[Any, ...], tuple[Parameter, ...]]:
    values: list[Any] = []
    for field in layout.fields:
        at = _take(field, data, at, end, values)
    return tuple(values), tuple(_parameters(data, at, end, depth)) if at < end else ()


def _take(field: _Field, data: bytes, at: int, end: int, values: list[Any]) -> int:
    """Append the values of `field`; answers where the next one starts."""
    match field.kind:
        case "unsigned" | "signed":
            stop = _within(at + field.size, end)
            values.append(int.from_bytes(data[at:stop], "big", signed=field.kind == "signed"))
        case "bits":
            stop = _within(at + field.size, end)
            word, left = int.from_bytes(data[at:stop], "big"), 8 * field.size
            for width in field.widths:
                left -= width
                values.append(word >> left & (1 << width) - 1)
        case "bytes":
            stop = _within(at + field.size, end)
            values.append(data[at:stop])
        case "raw":
            stop = end
            values.append(data[at:stop])
        case _:
            stop = _take_counted(field, data, at, end, values)
    return stop


def _take_counted(field: _Field, data: bytes, at: int, end: int, values: list[Any]) -> int:
    start = _within(at + 2, end)
    count = data[at] << 8 | data[at + 1]
    match field.kind:
        case "utf8":
            stop = _within(start + count, end)
            values.append(data[start:stop].decode("utf-8", "surrogateescape"))
        case "items":
            stop = _within(start + count * field.size, end)
            values.append(struct.unpack_from(f">{count}{_ITEM[field.size]}", data, start))
        case _:
            stop = _within(start + (count + 7) // 8, end)
            values.append((count, data[start:stop]))
    return stop


_ITEM = {1: "B", 2: "H", 4: "I"}


def _within(stop: int, end: int) -> int:
    if stop > end:
        raise _Unfit("too short for its fields")
    return stop


def _parameters(data: bytes, at: int, end: int, depth: int) -> Iterator[Parameter]:
    if depth > _DEPTH:
        raise _Unfit("nested too deep")
    while at < end:
        kind, start, stop = _extent(data, at, end)
        if kind == LEFTOVER:
            yield Parameter(LEFTOVER, (data[at:end],))
        else:
            values, inner = _body(_layout_of(kind), data, start, stop, depth + 1)
            if inner and kind in SHORT_PARAMETERS:
                raise _Unfit("bytes left over")
            yield Parameter(kind, values, inner)
        at = stop


def _extent(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Type of the parameter at `at`, and where its body starts and stops."""
    if data[at] & 0x80:
        kind = data[at] & 0x7F
        size = _SHORT_SIZES.get(kind)
        return (LEFTOVER, at, end) if size is None else (kind, at + 1, _within(at + 1 + size, end))
    _within(at + 4, end)
    head, length = struct.unpack_from(">HH", data, at)
    if head > 0x3FF or head < 128 or length < 4:
        raise _Unfit("not a parameter header")
    return head, at + 4, _within(at + length, end)


# --- encoding --------------------------------------------------------------------------------------------------------


def encode(message: Message) -> bytes:
    """The frame of a message. Raises struct.error or ValueError for values that do not fit their fields."""
    layout = _message_layout(message.type)
    body = _values(layout, message.values) + b"".join(map(_parameter, message.parameters))
    return struct.pack(">HII", message.version << 10 | message.type, HEADER_SIZE + len(body), message.id) + body


def _parameter(parameter: Parameter) -> bytes:
    if parameter.type == LEFTOVER:
        return bytes(parameter.values[0])
    body = _values(_layout_of(parameter.type), parameter.values) + b"".join(map(_parameter, parameter.parameters))
    if parameter.type in SHORT_PARAMETERS:
        return bytes((0x80 | parameter.type,)) + body
    return struct.pack(">HH", parameter.type, 4 + len(body)) + body


def _values(layout: _Layout, values: tuple[Any, ...]) -> bytes:
    left = iter(values)
    return b"".join(_give(field, left) for field in layout.fields)


def _give(field: _Field, values: Iterator[Any]) -> bytes:
    match field.kind:
        case "bits":
            word = 0
            for width in field.widths:
                word = word << width | next(values) & (1 << width) - 1
            return word.to_bytes(field.size, "big")
        case "unsigned" | "signed":
            return int(next(values)).to_bytes(field.size, "big", signed=field.kind == "signed")
        case "utf8":
            text = next(values).encode("utf-8", "surrogateescape")
            return struct.pack(">H", len(text)) + bytes(text)
        case "items":
            items = next(values)
            return struct.pack(f">H{len(items)}{_ITEM[field.size]}", len(items), *items)
        case "bits[]":
            count, raw = next(values)
            return struct.pack(">H", count) + bytes(raw)
        case _:
            return bytes(next(values))


# --- framing ---------------------------------------------------------------------------------------------------------

_PLAUSIBLE = re.compile(rb"[\x04-\x0b].{9}", re.DOTALL)
"""Reserved bits 0, version 1 or 2."""


def _length_of(header: bytes) -> int:
    return int.from_bytes(header[2:6], "big")


class Frames:
    """Cuts a stream into frames. A header that is not LLRP, or a length above `limit`, ends the stream.

    Whole frames at the start of what arrives, the rule for readers, are cut here; the rest is the framer's.
    """

    def __init__(self, limit: int = FRAME_LIMIT) -> None:
        self._limit = limit
        self._framer = LengthFramer(_PLAUSIBLE, HEADER_SIZE, _length_of, limit=limit)
        self._ended = False

    @property
    def pending(self) -> int:
        """Bytes that wait for the rest of their frame: never more than the limit."""
        return self._framer.pending

    def feed(self, data: bytes) -> list[bytes | Doubt]:
        """The frames that `data` completes."""
        if self._ended:
            return []
        frames: list[bytes | Doubt] = []
        at, end = 0, len(data)
        while not self._framer.pending and end - at >= HEADER_SIZE:
            stop = at + int.from_bytes(data[at + 2 : at + 6], "big")
            if not (4 <= data[at] <= 11 and at + HEADER_SIZE <= stop <= end and stop - at <= self._limit):
                break
            frames.append(data[at:stop])
            at = stop
        if at < end:
            frames += self._framer.feed(data[at:])
            self._ended = any(isinstance(frame, Violation) for frame in frames[-1:])
        return frames
