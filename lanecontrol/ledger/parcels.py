"""Undelivered rows, read many at a time and only as far as sending them needs.

Called by the ledger on its reading thread. Python's SQLite module takes up the interpreter anew for each row; so many
rows are joined into one by SQLite itself, and cut apart here. Whatever does not fit together so is read row by row: it
is damaged. Every body is checked against its digest; nothing damaged is ever handed out as sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from itertools import accumulate, pairwise, repeat
from operator import eq
from typing import NamedTuple

from lanecontrol.ledger.chain import HASH_BYTES, SALT_BYTES
from lanecontrol.ledger.reader import Reader
from lanecontrol.ledger.records import Position
from lanecontrol.sealing import MAGIC, Sealer


class Parcel(NamedTuple):
    """A row to be sent. `body` is None where it is damaged, or its key is not here."""

    position: Position
    epoch: int
    seq: int
    topic_class: str
    body: bytes | None


SEPARATOR = "\x1f"

_BUNDLE = """
    SELECT count(*), min(epoch), max(epoch), min(position - seq), max(position - seq), min(position), max(position),
        group_concat(position), group_concat(topic_class, char(31)), group_concat(length(body)),
        CAST(group_concat(CAST(digest AS TEXT), '') AS BLOB), CAST(group_concat(CAST(salt AS TEXT), '') AS BLOB),
        CAST(group_concat(CAST(body AS TEXT), '') AS BLOB)
    FROM (SELECT position, epoch, seq, topic_class, digest, salt, body FROM outbox JOIN entries USING (position)
        WHERE position > ? ORDER BY position LIMIT ?)"""
"""A BLOB read as TEXT keeps its bytes, since the store's encoding is UTF-8 and nothing is converted."""

_made = partial(tuple.__new__, Parcel)
"""A `Parcel` of its five values, without the detour through Python that its constructor takes."""


def read_parcels(reader: Reader, after: Position, limit: int) -> list[Parcel]:
    """Up to `limit` undelivered rows after a position, in order. Raises StorageUnavailable, StorageCorrupt."""
    count, *columns = reader.select_one(_BUNDLE, after, limit)
    if not isinstance(count, int) or not count:
        return []
    found = _cut(reader.sealer, count, columns)
    return _one_by_one(reader, after, limit) if found is None else found


def _cut(sealer: Sealer, count: int, columns: list[object]) -> list[Parcel] | None:
    """The rows, their bodies in clear and known to be sound, or None; nothing when the columns do not fit together.

    Rows of two epochs do not either: that is rare, and over soon.
    """
    match columns:
        case [int(epoch), epoch_2, int(base), base_2, int(first), int(last), str(p), str(c), str(sizes), *blobs]:
            pass
        case _:
            return None
    match blobs:
        case [bytes(digests), bytes(salts), bytes(bodies)] if (epoch, base) == (epoch_2, base_2):
            pass
        case _:
            return None
    try:
        positions = range(first, last + 1) if last - first + 1 == count else list(map(int, p.split(",")))
        ends = list(accumulate(map(int, sizes.split(",")), initial=0))
    except ValueError:
        return None
    classes = c.split(SEPARATOR)
    lengths = {len(positions), len(classes), len(ends) - 1, len(digests) / HASH_BYTES, len(salts) / SALT_BYTES}
    if lengths != {count} or ends[-1] != len(bodies):
        return None
    parts = _sound(
        sealer,
        [digests[start : start + HASH_BYTES] for start in range(0, len(digests), HASH_BYTES)],
        [salts[start : start + SALT_BYTES] for start in range(0, len(salts), SALT_BYTES)],
        [bodies[start:end] for start, end in pairwise(ends)],
    )
    seqs = range(first - base, last + 1 - base) if isinstance(positions, range) else [at - base for at in positions]
    return list(map(_made, zip(positions, repeat(epoch), seqs, classes, parts, strict=False)))


def _sound(sealer: Sealer, digests: list[bytes], salts: list[bytes], stored: list[bytes]) -> Sequence[bytes | None]:
    """The bodies in clear; None for each that is not what was written, or whose key is not here."""
    if any(body.startswith(MAGIC) for body in stored):
        return list(map(partial(_unsealed, sealer), digests, salts, stored))
    found = [sha256(salt + body).digest() for salt, body in zip(salts, stored, strict=True)]
    if found == digests:
        return stored
    return [body if good else None for body, good in zip(stored, map(eq, found, digests), strict=True)]


def _unsealed(sealer: Sealer, digest: bytes, salt: bytes, stored: bytes) -> bytes | None:
    body = sealer.open(stored, digest)
    if body is not None and body is not stored:
        return body  # the seal proves that it is what was written, and where it belongs
    return body if body is not None and sha256(salt + body).digest() == digest else None


def _one_by_one(reader: Reader, after: Position, limit: int) -> list[Parcel]:
    rows = reader.undelivered(after, limit)
    sound = (row if row.body_is_sound else replace(row, salt=None, body=None) for row in rows)
    return [Parcel(row.position, row.epoch, row.seq, row.topic_class, row.body) for row in sound]
