"""LLRP frames (1.0.1, and 1.1 as far as it differs) to typed messages and back, by the layout tables.

Pure. Called by the `rfid.llrp` session and by `decode`; must never raise on bytes from a peer, and never lose a byte:
what is not in the tables is kept as it came, so that a message encodes to the frame it was decoded from.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from drivers.rfid_llrp_fields import Layout, Unfit, layout
from drivers.rfid_llrp_layouts import MESSAGES, PARAMETERS, SHORT_PARAMETERS
from lanecontrol.framing import DOUBT_LIMIT, Doubt, Violation

HEADER_SIZE = 10
FRAME_LIMIT = 1 << 20
"""Bytes of a frame on a live link; a reader that claims more is not followed."""

LEFTOVER = -1
"""Type of a `Parameter` that holds bytes whose end could not be known (a short parameter that no table has)."""

_DEPTH = 16
"""Nesting of parameters; the standard's own goes to 7."""

_T = TypeVar("_T")

_BREATH = 128
"""Parameters decoded between two breaths: about half a millisecond."""


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
        return self.values[_LAYOUTS.get(self.type, _OPAQUE).index[name]]

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
        return self.values[_MESSAGE_LAYOUTS.get(self.type, _OPAQUE).index[name]]

    def find(self, *types: int) -> Iterator[Parameter]:
        """The parameters directly in the message that are of one of these types."""
        return (parameter for parameter in self.parameters if parameter.type in types)


_OPAQUE = layout("raw data")
_MESSAGE_LAYOUTS = {number: layout(text) for number, (_, text) in MESSAGES.items()}
_LAYOUTS = {number: layout(text) for number, (_, text) in (SHORT_PARAMETERS | PARAMETERS).items()}
_SHORT = {number: _LAYOUTS[number] for number in SHORT_PARAMETERS}
_SHORT_SIZES = {number: short.size for number, short in _SHORT.items()}

# --- decoding --------------------------------------------------------------------------------------------------------


def decode(frame: bytes) -> Message | Doubt:
    """The message of one whole frame, or the doubt where its bytes do not fit."""
    return in_one_go(decoding(frame))


def in_one_go(steps: Generator[None, None, _T]) -> _T:
    """What `steps` comes to, without a breath."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: _T = end.value
            return result


def decoding(frame: bytes) -> Generator[None, None, Message | Doubt]:
    """`decode` in steps of about half a millisecond, for whoever must let others have their turn between them."""
    if len(frame) < HEADER_SIZE:
        return Doubt(frame, "shorter than an LLRP header")
    head, length, number = struct.unpack_from(">HII", frame)
    if length != len(frame) or head >> 13:
        return Doubt(frame[:DOUBT_LIMIT], "not an LLRP header")
    kind = head & 0x3FF
    try:
        values, at = _MESSAGE_LAYOUTS.get(kind, _OPAQUE).take(frame, HEADER_SIZE, length)
        parameters = yield from decoding_parameters(frame, at, length)
    except Unfit as unfit:
        return Doubt(frame[:DOUBT_LIMIT], f"{MESSAGES[kind][0] if kind in MESSAGES else kind}: {unfit}")
    return Message(kind, number, values, parameters, head >> 10 & 7)


def decoding_parameters(data: bytes, at: int, end: int) -> Generator[None, None, tuple[Parameter, ...]]:
    """The parameters from `at` to `end`, in steps. Raises Unfit."""
    inside: list[Parameter] = []
    around: list[tuple[int, tuple[Any, ...], list[Parameter], int]] = []
    count = 0
    while True:
        while at == end:
            if not around:
                return tuple(inside)
            kind, values, outside, end = around.pop()
            outside.append(Parameter(kind, values, tuple(inside)))
            inside = outside
        count += 1
        if count % _BREATH == 0:
            yield
        kind, start, stop = extent(data, at, end)
        if kind == LEFTOVER:
            inside.append(Parameter(LEFTOVER, (data[start:stop],)))
            at = stop
            continue
        values, at = _LAYOUTS.get(kind, _OPAQUE).take(data, start, stop)
        if at == stop:
            inside.append(Parameter(kind, values))
        elif len(around) == _DEPTH:
            raise Unfit("nested too deep")
        else:
            around.append((kind, values, inside, end))
            inside, end = [], stop


def extent(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Type of the parameter at `at`, and where its body starts and stops. Raises Unfit."""
    if data[at] & 0x80:
        kind = data[at] & 0x7F
        size = _SHORT_SIZES.get(kind)
        if size is None:
            return LEFTOVER, at, end
        start, stop = at + 1, at + 1 + size
    else:
        start = at + 4
        if start > end:
            raise Unfit("too short for a parameter")
        kind, length = data[at] << 8 | data[at + 1], data[at + 2] << 8 | data[at + 3]
        if not 128 <= kind <= 0x3FF or length < 4:
            raise Unfit("not a parameter header")
        stop = at + length
    if stop > end:
        raise Unfit("too short for a parameter")
    return kind, start, stop


# --- encoding --------------------------------------------------------------------------------------------------------


def encode(message: Message) -> bytes:
    """The frame of a message. Raises struct.error or ValueError for values that do not fit their fields."""
    fields = _MESSAGE_LAYOUTS.get(message.type, _OPAQUE)
    body = fields.give(message.values) + b"".join([_parameter(parameter) for parameter in message.parameters])
    return struct.pack(">HII", message.version << 10 | message.type, HEADER_SIZE + len(body), message.id) + body


def _parameter(parameter: Parameter) -> bytes:
    if parameter.type == LEFTOVER:
        return bytes(parameter.values[0])
    fields: Layout = _LAYOUTS.get(parameter.type, _OPAQUE)
    body = fields.give(parameter.values) + b"".join([_parameter(inner) for inner in parameter.parameters])
    if parameter.type in SHORT_PARAMETERS:
        return bytes((0x80 | parameter.type,)) + body
    return struct.pack(">HH", parameter.type, 4 + len(body)) + body


# --- framing ---------------------------------------------------------------------------------------------------------

_FIRST_BYTES = range(0x04, 0x0C)
"""Reserved bits 0, version 1 or 2."""


class Frames:
    """Cuts a stream into frames. A header that is not LLRP, or a length above `limit`, ends the stream.

    What arrives is cut where it lies; only the beginning of a frame whose end is still to come is kept, and nothing of
    it is looked at or copied again before its end is there. `joined`, `cut` and `keep` are the three steps of `feed`,
    for whoever reads some frames in a quicker way.
    """

    def __init__(self, limit: int = FRAME_LIMIT) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._needed = HEADER_SIZE
        self._ended = False

    @property
    def pending(self) -> int:
        """Bytes that wait for the rest of their frame: never more than the limit."""
        return len(self._kept)

    def feed(self, data: bytes) -> list[bytes | Doubt]:
        """The frames that `data` completes."""
        data = self.joined(data)
        frames: list[bytes | Doubt] = []
        at = 0
        while (frame := self.cut(data, at)) is not None:
            frames.append(frame)
            at += len(frame) if isinstance(frame, bytes) else 0
        self.keep(data, at)
        return frames

    def joined(self, data: bytes) -> bytes:
        """`data` with what was kept before it; nothing where that completes no frame."""
        if self._ended:
            return b""
        if not self._kept:
            return data
        if len(self._kept) + len(data) < self._needed:
            self._kept += data
            return b""
        data = bytes(self._kept) + data
        self._kept.clear()
        return data

    def cut(self, data: bytes, at: int) -> bytes | Doubt | None:
        """The frame at `at`, or None where it is not complete; a Violation ends the stream."""
        if self._ended or len(data) - at < HEADER_SIZE:
            return None
        length = int.from_bytes(data[at + 2 : at + 6], "big")
        if data[at] not in _FIRST_BYTES or not HEADER_SIZE <= length <= self._limit:
            self._ended = True
            return Violation(data[at : at + HEADER_SIZE], "not a header of this protocol, or an absurd length")
        return data[at : at + length] if at + length <= len(data) else None

    def keep(self, data: bytes, at: int) -> None:
        """Keep what is left from `at` on for the next bytes."""
        if self._ended or at >= len(data):
            return
        self._kept += data[at:]
        whole = len(self._kept) >= HEADER_SIZE
        self._needed = int.from_bytes(self._kept[2:6], "big") if whole else HEADER_SIZE
