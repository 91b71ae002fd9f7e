"""Fields of LLRP messages and parameters: bytes to values and back, by a layout.

Pure. Called by the LLRP codec, which makes the layouts from its tables. Must never lose a bit: reserved bits are
values like any other, so that what was taken apart can be put together again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


class Unfit(Exception):
    """The bytes do not fit the layout. Never leaves the codec."""


_UNSIGNED = {1: "B", 2: "H", 4: "I", 8: "Q"}
_SIGNED = {1: "b", 2: "h", 4: "i", 8: "q"}


@dataclass(frozen=True, slots=True)
class _Plain:
    """Fields of fixed size that follow one another. `bits` has the widths of those that share bytes, else nothing."""

    form: struct.Struct
    bits: tuple[tuple[int, ...], ...]

    def take(self, data: bytes, at: int, end: int, values: list[Any]) -> int:
        stop = at + self.form.size
        if stop > end:
            raise Unfit("too short for its fields")
        found = self.form.unpack_from(data, at)
        if not any(self.bits):
            values += found
            return stop
        for value, widths in zip(found, self.bits, strict=True):
            if widths:
                values += _spread(value, widths)
            else:
                values.append(value)
        return stop

    def give(self, values: Iterator[Any]) -> bytes:
        return self.form.pack(*(_gather(values, widths) if widths else next(values) for widths in self.bits))


def _spread(word: int, widths: tuple[int, ...]) -> Iterator[int]:
    left = sum(widths)
    for width in widths:
        left -= width
        yield word >> left & (1 << width) - 1


def _gather(values: Iterator[Any], widths: tuple[int, ...]) -> int:
    word = 0
    for width in widths:
        word = word << width | next(values) & (1 << width) - 1
    return word


@dataclass(frozen=True, slots=True)
class _Counted:
    """A field that begins with its count: `utf8` in bytes, `bits[]` in bits, `items` in items of `size` bytes."""

    kind: str
    size: int = 1

    def take(self, data: bytes, at: int, end: int, values: list[Any]) -> int:
        start = at + 2
        if start > end:
            raise Unfit("too short for its fields")
        count = data[at] << 8 | data[at + 1]
        stop = start + ((count + 7) // 8 if self.kind == "bits[]" else count * self.size)
        if stop > end:
            raise Unfit("too short for its fields")
        match self.kind:
            case "utf8":
                values.append(data[start:stop].decode("utf-8", "surrogateescape"))
            case "items":
                values.append(struct.unpack_from(f">{count}{_UNSIGNED[self.size]}", data, start))
            case _:
                values.append((count, data[start:stop]))
        return stop

    def give(self, values: Iterator[Any]) -> bytes:
        value = next(values)
        match self.kind:
            case "utf8":
                text = value.encode("utf-8", "surrogateescape")
                return struct.pack(">H", len(text)) + bytes(text)
            case "items":
                return struct.pack(f">H{len(value)}{_UNSIGNED[self.size]}", len(value), *value)
            case _:
                count, raw = value
                return struct.pack(">H", count) + bytes(raw)


@dataclass(frozen=True, slots=True)
class _Rest:
    """All bytes that are left."""

    def take(self, data: bytes, at: int, end: int, values: list[Any]) -> int:
        values.append(data[at:end])
        return end

    def give(self, values: Iterator[Any]) -> bytes:
        return bytes(next(values))


@dataclass(frozen=True, slots=True)
class Layout:
    """The fields of one message or parameter."""

    parts: tuple[_Plain | _Counted | _Rest, ...]
    index: dict[str, int] = field(default_factory=dict)
    """Where the value of each named field is among the values."""

    @property
    def size(self) -> int:
        """Bytes of the fields, where none is of variable size."""
        return sum(part.form.size for part in self.parts if isinstance(part, _Plain))

    def take(self, data: bytes, at: int, end: int) -> tuple[tuple[Any, ...], int]:
        """The values of the fields from `at` on, and where they stop. Raises Unfit."""
        values: list[Any] = []
        for part in self.parts:
            at = part.take(data, at, end, values)
        return tuple(values), at

    def give(self, values: tuple[Any, ...]) -> bytes:
        """The bytes of the fields. Raises struct.error or ValueError for values that do not fit."""
        left = iter(values)
        return b"".join([part.give(left) for part in self.parts])


@dataclass(slots=True)
class _Making:
    """Collects fields of fixed size until one of variable size, or the end, closes the run."""

    parts: list[_Plain | _Counted | _Rest] = field(default_factory=list)
    form: str = ""
    bits: list[tuple[int, ...]] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)

    def close(self) -> None:
        if self.form:
            self.parts.append(_Plain(struct.Struct(">" + self.form), tuple(self.bits)))
            self.form, self.bits = "", []

    def plain(self, form: str, widths: tuple[int, ...] = ()) -> None:
        self.form += form
        self.bits.append(widths)

    def bit(self, width: int) -> None:
        self.widths.append(width)
        if sum(self.widths) % 8 == 0:
            self.plain(_UNSIGNED[sum(self.widths) // 8], tuple(self.widths))
            self.widths = []

    def add(self, kind: str) -> None:
        if kind[1:].isdigit() and kind[0] in "us":
            self.plain((_UNSIGNED if kind[0] == "u" else _SIGNED)[int(kind[1:]) // 8])
        elif kind.startswith("raw") and kind != "raw":
            self.plain(f"{kind[3:]}s")
        else:
            self.close()
            self.parts.append(_variable(kind))


def _variable(kind: str) -> _Counted | _Rest:
    if kind == "raw":
        return _Rest()
    if kind in ("utf8", "bits[]"):
        return _Counted(kind)
    return _Counted("items", int(kind[1:-2]) // 8)


def layout(text: str) -> Layout:
    """A layout from its text: `type name` pairs and reserved bits, as the tables write them."""
    making, index = _Making(), dict[str, int]()
    tokens = iter(text.split())
    for at, kind in enumerate(tokens):
        reserved, digits = kind[0] == "r", kind[1:].isdigit()
        if not (reserved and digits):
            index[next(tokens)] = at
        if digits and kind[0] in "br":
            making.bit(int(kind[1:]))
        else:
            making.add(kind)
    making.close()
    return Layout(tuple(making.parts), index)
