"""Rows and values out of a store that SQLite cannot read any more: pure functions over raw pages.

Works without the file's header, its schema or its inner pages: every table leaf page that can be found in the main file
or in the write-ahead log is taken apart, and a cell counts only if its own checksum (and for a body its digest) is
right. Never raises on any input. Page layout and record format: "Database File Format", sqlite.org.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain as chained
from mmap import mmap
from typing import Any

from lanecontrol.ledger import chain
from lanecontrol.ledger.database import PAGE_BYTES
from lanecontrol.ledger.reader import opened
from lanecontrol.ledger.records import Position, Row
from lanecontrol.sealing import NO_KEY, Sealer

File = bytes | mmap

_LEAF = 0x0D
_FRAME_HEAD_BYTES = 24
_LOG_HEAD_BYTES = 32
_LOCAL_MOST = PAGE_BYTES - 35
_LOCAL_LEAST = (PAGE_BYTES - 12) * 32 // 255 - 23
_INT_SIZES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_ROW_COLUMNS = 11
_META_COLUMNS = 4

PageSource = Callable[[int], bytes]
"""A page by its number; empty where there is none."""


@dataclass(slots=True)
class Found:
    """What could be saved, by position and by name. `bodies_lost` counts rows that came through without their body."""

    rows: dict[Position, Row] = field(default_factory=dict)
    values: dict[str, bytes] = field(default_factory=dict)
    bodies_lost: int = 0

    def take_row(self, row: Row) -> None:
        """Keep a sound row. Of two that claim one position the first found was committed; the later one may be what a
        killed process left behind."""
        if not row.head_is_sound:
            return
        known = self.rows.get(row.position)
        if known is None or (known.link == row.link and _better(row, known)):
            self.rows[row.position] = row

    @property
    def sealed(self) -> int:
        """Rows whose key is not here."""
        return sum(row.is_sealed for row in self.rows.values())

    def finish(self) -> Found:
        """Drop the bodies that do not match their digests."""
        for position, row in self.rows.items():
            if row.body is not None and not row.body_is_sound:
                self.rows[position] = replace(row, salt=None, body=None)
                self.bodies_lost += 1
        return self


def _better(row: Row, known: Row) -> bool:
    """An erased row stays erased; a sound body replaces a damaged one."""
    if known.body is None:
        return False
    return row.body is None or (row.body_is_sound and not known.body_is_sound)


def scavenge(db: File, log: File, sealer: Sealer = NO_KEY) -> Found:
    """All that can be saved from a main file and its write-ahead log; either may be empty. Values stay sealed."""
    found = Found()
    newest = _newest_in_log(log)
    sources: list[PageSource] = [lambda n: newest.get(n) or _page(db, n), lambda n: _page(db, n)]
    for page in chained(_pages(db), (content for _, content in _frames(log))):
        for rowid, cell in _cells(page):
            for source in sources:
                if _take(found, rowid, _record(_payload(cell, source)), sealer):
                    break
    return found.finish()


def _take(found: Found, rowid: int, values: list[Any], sealer: Sealer) -> bool:
    """Keep what the values are. False when another reading of the same cell may do better."""
    if (row := _as_row(rowid, values)) is not None:
        row = opened(row, sealer)
        found.take_row(row)
        return row.body is None or row.body_is_sound
    if (pair := _as_value(values)) is not None:
        found.values[pair[0]] = pair[1]
        return True
    return False


def _as_row(rowid: int, values: list[Any]) -> Row | None:
    if len(values) != _ROW_COLUMNS:
        return None
    _, epoch, seq, topic_class, kind, time_utc_s, digest, link, total, salt, body = values
    if isinstance(time_utc_s, int):  # SQLite stores a whole REAL as an integer
        time_utc_s = float(time_utc_s)
    return Row(Position(rowid), epoch, seq, topic_class, kind, time_utc_s, digest, link, total, salt, body)


def _as_value(values: list[Any]) -> tuple[str, bytes] | None:
    if len(values) != _META_COLUMNS:
        return None
    _, key, value, total = values
    if isinstance(key, str) and isinstance(value, bytes) and chain.value_sum(key, value) == total:
        return key, value
    return None


# --- pages -----------------------------------------------------------------------------------------------------------


def _page(file: File, number: int) -> bytes:
    return file[(number - 1) * PAGE_BYTES : number * PAGE_BYTES] if number > 0 else b""


def _pages(file: File) -> Iterator[bytes]:
    for start in range(0, len(file), PAGE_BYTES):
        yield file[start : start + PAGE_BYTES]


def _frames(log: File) -> Iterator[tuple[int, bytes]]:
    """Page number and content of each frame of the log's present generation, in the order they were written.

    The frames' own running checksum is not asked: it ends at the first damaged bit, the rows have theirs.
    """
    size = _FRAME_HEAD_BYTES + PAGE_BYTES
    salts = log[_LOG_HEAD_BYTES + 8 : _LOG_HEAD_BYTES + 16]  # of the first frame: the header itself may be damaged
    for start in range(_LOG_HEAD_BYTES, len(log) - _FRAME_HEAD_BYTES, size):
        if log[start + 8 : start + 16] == salts:
            number = int.from_bytes(log[start : start + 4], "big")
            yield number, log[start + _FRAME_HEAD_BYTES : start + size]


def _newest_in_log(log: File) -> dict[int, bytes]:
    return dict(_frames(log))


# --- cells -----------------------------------------------------------------------------------------------------------


def _cells(page: bytes) -> Iterator[tuple[int, tuple[int, bytes]]]:
    """Row id, payload size and the bytes from the payload on, of each cell of a table leaf page."""
    if len(page) < 8 or page[0] != _LEAF:  # page 1 holds the schema, never our rows
        return
    count = int.from_bytes(page[3:5], "big")
    for at in range(8, min(8 + 2 * count, len(page) - 1), 2):
        start = int.from_bytes(page[at : at + 2], "big")
        size, start = _varint(page, start)
        rowid, start = _varint(page, start)
        if 0 < size < 1 << 30 and start < len(page):
            yield rowid, (size, page[start:])


def _payload(cell: tuple[int, bytes], source: PageSource) -> bytes:
    """A cell's payload, with what overflowed to other pages."""
    size, content = cell
    if size <= _LOCAL_MOST:
        return content[:size]
    local = _LOCAL_LEAST + (size - _LOCAL_LEAST) % (PAGE_BYTES - 4)
    local = local if local <= _LOCAL_MOST else _LOCAL_LEAST
    parts, have = [content[:local]], local
    number = int.from_bytes(content[local : local + 4], "big")
    while have < size:
        page = source(number)
        if len(page) < PAGE_BYTES:
            break
        parts.append(page[4 : 4 + size - have])
        have += PAGE_BYTES - 4
        number = int.from_bytes(page[:4], "big")
    return b"".join(parts)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for used, byte in enumerate(data[at : at + 9], 1):
        if used == 9:
            return (value << 8) | byte, at + used
        value = (value << 7) | (byte & 0x7F)
        if byte < 0x80:
            return value, at + used
    return 0, at + 9


def _record(payload: bytes) -> list[Any]:
    """The values of a record: a long one that lost a page comes out cut short, nonsense as nothing."""
    head_size, at = _varint(payload, 0)
    body = head_size
    values: list[Any] = []
    while at < min(head_size, len(payload)) and len(values) <= _ROW_COLUMNS:
        serial, at = _varint(payload, at)
        size = _size_of(serial)
        raw = payload[body : body + size]
        if len(raw) < size and serial < 12:
            return []
        values.append(_decoded(serial, raw))
        body += size
    return values


def _size_of(serial: int) -> int:
    if serial >= 12:
        return (serial - 12) // 2
    return 8 if serial == 7 else _INT_SIZES.get(serial, 0)


def _decoded(serial: int, raw: bytes) -> Any:
    if serial >= 12:
        return raw if serial % 2 == 0 else raw.decode("utf-8", "replace")
    if serial == 7:
        return struct.unpack(">d", raw)[0]
    if serial in (8, 9):
        return serial - 8
    return int.from_bytes(raw, "big", signed=True) if serial in _INT_SIZES else None
