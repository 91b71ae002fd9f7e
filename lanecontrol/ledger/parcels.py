"""Undelivered rows, read many at a time and only as far as sending them needs.

Called by the ledger on its reading thread. Python's SQLite module takes up the interpreter anew for each row; so many
rows are joined into one by SQLite itself, and cut apart here. Whatever does not fit together so is read row by row: it
is damaged. Every body is checked against its digest; nothing damaged is ever handed out as sound.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import NamedTuple

from lanecontrol.ledger.chain import HASH_BYTES, SALT_BYTES
from lanecontrol.ledger.reader import Reader
from lanecontrol.ledger.records import Position
from lanecontrol.sealing import MAGIC


class Parcel(NamedTuple):
    """A row to be sent. `body` is None where it is damaged, or its key is not here."""

    position: Position
    epoch: int
    seq: int
    topic_class: str
    body: bytes | None


SEPARATOR = "\x1f"

_BUNDLE = """
    SELECT count(*), group_concat(position), group_concat(epoch), group_concat(seq),
        group_concat(topic_class, char(31)), group_concat(length(body)),
        CAST(group_concat(CAST(digest AS TEXT), '') AS BLOB), CAST(group_concat(CAST(salt AS TEXT), '') AS BLOB),
        CAST(group_concat(CAST(body AS TEXT), '') AS BLOB)
    FROM (SELECT position, epoch, seq, topic_class, digest, salt, body FROM outbox JOIN entries USING (position)
        WHERE position > ? ORDER BY position LIMIT ?)"""
"""A BLOB read as TEXT keeps its bytes, since the store's encoding is UTF-8 and nothing is converted."""


def read_parcels(reader: Reader, after: Position, limit: int) -> list[Parcel]:
    """Up to `limit` undelivered rows after a position, in order. Raises StorageUnavailable, StorageCorrupt."""
    count, *columns = reader.select_one(_BUNDLE, after, limit)
    if not count:
        return []
    cut = _cut(count, columns)
    return _one_by_one(reader, after, limit) if cut is None else [_opened(reader, *each) for each in cut]


def _cut(count: object, columns: list[object]) -> list[tuple[Parcel, bytes, bytes]] | None:
    """Each row with its digest and salt; None when the columns are not of one length."""
    match columns:
        case [str(p), str(e), str(s), str(c), str(sizes), bytes(digests), bytes(salts), bytes(bodies)]:
            pass
        case _:
            return None
    try:
        positions, epochs, seqs = (list(map(int, column.split(","))) for column in (p, e, s))
        ends = list(accumulate(map(int, sizes.split(",")), initial=0))
    except ValueError:
        return None
    classes = c.split(SEPARATOR)
    lengths = {len(positions), len(epochs), len(seqs), len(classes), len(ends) - 1, count}
    lengths |= {len(digests) / HASH_BYTES, len(salts) / SALT_BYTES}
    if len(lengths) != 1 or ends[-1] != len(bodies):
        return None
    parts = [bodies[start:end] for start, end in pairwise(ends)]
    rows = map(Parcel, map(Position, positions), epochs, seqs, classes, parts)
    return [
        (row, digests[n * HASH_BYTES : (n + 1) * HASH_BYTES], salts[n * SALT_BYTES : (n + 1) * SALT_BYTES])
        for n, row in enumerate(rows)
    ]


def _opened(reader: Reader, parcel: Parcel, digest: bytes, salt: bytes) -> Parcel:
    """With its body in clear and known to be sound, or without."""
    body = parcel.body
    if body is not None and body.startswith(MAGIC):
        body = reader.sealer.open(body, digest)
    if body is not None and hashlib.sha256(salt + body).digest() != digest:
        body = None
    return parcel if body is parcel.body else parcel._replace(body=body)


def _one_by_one(reader: Reader, after: Position, limit: int) -> list[Parcel]:
    rows = reader.undelivered(after, limit)
    sound = (row if row.body_is_sound else replace(row, salt=None, body=None) for row in rows)
    return [Parcel(row.position, row.epoch, row.seq, row.topic_class, row.body) for row in sound]
