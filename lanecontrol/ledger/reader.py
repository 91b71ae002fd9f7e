"""Reading a ledger: rows, the undelivered tail, small values, and the check of the chain.

Plain synchronous calls on one connection; the ledger makes them on its reading thread, the command line directly on a
store that a daemon may be writing to at the same time. Never writes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from lanecontrol.errors import StorageCorrupt, StorageFatal
from lanecontrol.ledger import chain, database
from lanecontrol.ledger.chain_check import ChainCheck
from lanecontrol.ledger.records import EPOCH_PREFIX, START, Epoch, Head, Loss, Position, Row, Status, Verdict
from lanecontrol.sealing import MAGIC, NO_KEY, Sealer

BATCH = 1000
"""Rows per read: some milliseconds, so that a long check never holds a snapshot that keeps the log from shrinking."""

CHECKPOINT = "checkpoint"
DELIVERED_THROUGH = "delivered_through"
OPENED = "opened"
BOX = "box"
"""Which machine the store is used on."""

LOCKED = "it is sealed with a key that is not among the lane's store keys"

_COLUMNS = "position, epoch, seq, topic_class, kind, time_utc_s, digest, link, sum, salt, body"


def kept_key(key: str) -> str:
    """Under which name a small value stands in the store."""
    return f"kept/{key}"


class Reader:
    """Reads one store. Every method raises StorageUnavailable or StorageCorrupt."""

    def __init__(self, db: sqlite3.Connection, sealer: Sealer = NO_KEY) -> None:
        self._db = db
        self.sealer = sealer

    @classmethod
    def open(cls, path: Path, connect: database.Connect = database.connect, sealer: Sealer = NO_KEY) -> Reader:
        """A reader of the store at `path`, read-only; without its key bodies stay sealed. Raises StorageError."""
        with database.translated("open for reading"):
            return cls(connect(path, "ro"), sealer)

    def close(self) -> None:
        with database.translated("close"):
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _select(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        with database.translated("read"):
            return self._db.execute(sql, values).fetchall()

    def select_one(self, sql: str, *values: object) -> tuple[object, ...]:
        """The one row that `sql` finds."""
        return self._select(sql, *values)[0]

    def _number(self, sql: str, *values: object) -> int:
        found = self._select(sql, *values)[0][0]
        return found if isinstance(found, int) else 0

    # --- rows --------------------------------------------------------------------------------------------------------

    def rows(self, after: Position = START, limit: int = BATCH) -> list[Row]:
        """Up to `limit` rows after a position, in order."""
        return self._rows(
            self._select(f"SELECT {_COLUMNS} FROM entries WHERE position > ? ORDER BY position LIMIT ?", after, limit)
        )

    def every_row(self, after: Position = START) -> Iterator[Row]:
        """All rows in order, read in batches."""
        while batch := self.rows(after):
            yield from batch
            after = batch[-1].position

    def undelivered(self, after: Position, limit: int) -> list[Row]:
        """Up to `limit` undelivered rows after a position, in order, as they are on disk: sound or not."""
        return self._rows(
            self._select(
                f"SELECT {_COLUMNS} FROM outbox JOIN entries USING (position) WHERE position > ?"
                " ORDER BY position LIMIT ?",
                after,
                limit,
            )
        )

    def _rows(self, found: list[tuple[object, ...]]) -> list[Row]:
        return [opened(Row(*values), self.sealer) for values in found]  # type: ignore[arg-type]

    def undelivered_count(self) -> int:
        return self._number("SELECT count(*) FROM outbox")

    def delivered_through(self) -> Position:
        """Everything up to this position is delivered."""
        first = self._select("SELECT min(position) FROM outbox")[0][0]
        return Position(first - 1 if isinstance(first, int) else self.last_position())

    def last_position(self) -> Position:
        return Position(self._number("SELECT max(position) FROM entries"))

    def last_row(self, through: Position) -> Row | None:
        """The newest row up to a position."""
        at = self._number("SELECT coalesce(max(position), 0) FROM entries WHERE position <= ?", through)
        return next(iter(self.rows(Position(at - 1), 1)), None) if at else None

    def last_position_before(self, utc_s: float, after: Position, limit: int) -> Position:
        """How far from a position on, within `limit` positions, all rows are older than a moment."""
        first = self._number("SELECT coalesce(min(position), 0) FROM entries WHERE position > ?", after)
        until = first + limit - 1
        young = self._select(
            "SELECT position FROM entries WHERE position BETWEEN ? AND ? AND time_utc_s >= ? ORDER BY position LIMIT 1",
            first,
            until,
            utc_s,
        )
        return Position(int(str(young[0][0])) - 1 if young else until)

    def waiting_through(self, epoch: int, seq: int, after: Position, limit: int) -> list[tuple[Position, int]]:
        """Position and number of an epoch's undelivered rows up to a number: the next `limit` after a position."""
        epochs = self.epochs()
        known = next((each for each in epochs if each.number == epoch), None)
        if known is None:
            return []
        end = min((each.base for each in epochs if each.number > epoch), default=known.base + seq)
        found = self._select(
            "SELECT position FROM outbox WHERE position > ? AND position <= ? ORDER BY position LIMIT ?",
            max(after, known.base),
            min(end, known.base + seq),
            limit,
        )
        return [(position, position - known.base) for (position,) in found]  # type: ignore[operator, misc]

    def waiting_of(self, classes: Sequence[str], limit: int) -> list[Row]:
        """The oldest undelivered rows of some classes."""
        marks = ", ".join("?" * len(classes))
        return self._rows(
            self._select(
                f"SELECT {_COLUMNS} FROM outbox JOIN entries USING (position) WHERE topic_class IN ({marks})"
                " AND body IS NOT NULL ORDER BY position LIMIT ?",
                *classes,
                limit,
            )
        )

    def delivered_bodies(
        self, after: Position, span: int, limit: int, before_utc_s: float
    ) -> tuple[Position, list[Position]]:
        """Delivered rows older than a moment that still have a body: `limit` of the next `span` rows after a position.

        With how far it looked: no further than that position where there are no more rows, or none so old.
        """
        last = self._number("SELECT coalesce(max(position), 0) FROM entries WHERE position <= ?", after + span)
        old = self._number(
            "SELECT coalesce(max(position), 0) FROM entries WHERE position > ? AND position <= ? AND time_utc_s < ?",
            after,
            last,
            before_utc_s,
        )
        found = self._select(
            "SELECT position FROM entries WHERE position > ? AND position <= ? AND body IS NOT NULL AND time_utc_s < ?"
            " AND position NOT IN (SELECT position FROM outbox) ORDER BY position LIMIT ?",
            after,
            old,
            before_utc_s,
            limit,
        )
        positions = [position for (position,) in found]
        through = positions[-1] if len(positions) == limit else old
        return Position(through), positions  # type: ignore[arg-type, return-value]

    def waiting_sizes(self, after: Position, span: int) -> tuple[Position, dict[str, int]]:
        """Bytes of the undelivered bodies of each class among the next `span` waiting rows, and how far it looked."""
        found = self._select(
            "SELECT topic_class, sum(coalesce(length(body), 0)), max(position) FROM (SELECT position, topic_class, body"
            " FROM outbox JOIN entries USING (position) WHERE position > ? ORDER BY position LIMIT ?) GROUP BY 1",
            after,
            span,
        )
        through = max((int(str(position)) for _, _, position in found), default=after)
        return Position(through), {_text(name): int(str(size)) for name, size, _ in found}

    def used_bytes(self) -> int:
        """What the rows take: pages of the main file that are not free."""
        pages = self._number("PRAGMA page_count") - self._number("PRAGMA freelist_count")
        return pages * database.PAGE_BYTES

    # --- values ------------------------------------------------------------------------------------------------------

    def values(self) -> dict[str, bytes]:
        """Every small value that is not sealed. Raises StorageCorrupt when one is not what was stored."""
        found = {_text(key): _checked(key, value, total) for key, value, total in self._meta("")}
        return {key: value for key, value in found.items() if not value.startswith(MAGIC)}

    def value(self, key: str) -> bytes | None:
        """One small value, None where there is none. Raises StorageFatal where its key is not here."""
        for found, value, total in self._meta("WHERE key = ?", key):
            plain = self.sealer.open(_checked(found, value, total), key.encode())
            if plain is None:
                raise StorageFatal("read", LOCKED)
            return plain
        return None

    def _meta(self, where: str, *values: object) -> list[tuple[object, ...]]:
        return self._select(f"SELECT key, value, sum FROM meta {where}", *values)

    def epochs(self) -> list[Epoch]:
        """The epochs whose rows are here, oldest first; the last is the present one."""
        meta = self._meta("WHERE key GLOB ?", f"{EPOCH_PREFIX}*")
        found = [Epoch.from_value(_text(key), _checked(key, value, total)) for key, value, total in meta]
        if not found:
            raise StorageCorrupt("read", "no epoch is recorded")
        return sorted(found, key=lambda epoch: epoch.number)

    def losses(self) -> tuple[Loss, ...]:
        """The gaps that salvage declared."""
        found = self._select("SELECT epoch, first_seq, last_seq, why FROM losses ORDER BY epoch, first_seq")
        return tuple(Loss(*row) for row in found)  # type: ignore[arg-type]

    def head(self) -> Head:
        """The last row of the present epoch."""
        epoch = self.epochs()[-1]
        last = self.rows(Position(max(self.last_position() - 1, epoch.base)), 1)
        if not last:
            return Head(epoch.number, epoch.anchor_seq, epoch.anchor_link, Position(epoch.base + epoch.anchor_seq))
        return Head(epoch.number, last[0].seq, last[0].link, last[0].position)

    # --- the whole ---------------------------------------------------------------------------------------------------

    def status(self) -> Status:
        """The store's condition as the disk has it."""
        head = self.head()
        oldest = self._select(
            "SELECT time_utc_s FROM entries WHERE position = (SELECT min(position) FROM outbox)",
        )
        return Status(
            writable=True,
            reason="",
            epoch=head.epoch,
            head_seq=head.seq,
            chain_head=head.link.hex(),
            rows=self.row_count(),
            undelivered=self.undelivered_count(),
            oldest_undelivered_utc_s=oldest[0][0] if oldest else None,  # type: ignore[arg-type]
            delivered_through=self.delivered_through(),
            size_bytes=self._number("PRAGMA page_count") * database.PAGE_BYTES,
        )

    def row_count(self) -> int:
        """How many rows there are, by arithmetic: counting them would read the whole store."""
        epochs = self.epochs()
        bases = [epoch.base for epoch in epochs[1:]] + [self.last_position()]
        lost = sum(loss.last_seq - loss.first_seq + 1 for loss in self.losses())
        return sum(self._span(epoch, until) for epoch, until in zip(epochs, bases, strict=True)) - lost

    def _span(self, epoch: Epoch, until: int) -> int:
        first = epoch.base + epoch.anchor_seq
        last = self._number("SELECT max(position) FROM entries WHERE position > ? AND position <= ?", first, until)
        return max(last - first, 0)

    def check(self) -> None:
        """SQLite's own look at its pages. Raises StorageCorrupt. Reads the whole file."""
        found = self._select("PRAGMA quick_check(1)")
        if found != [("ok",)]:
            raise StorageCorrupt("check", str(found[0][0]).splitlines()[-1])

    def check_version(self) -> None:
        """Raises StorageCorrupt when this is no ledger, StorageFatal when a newer version of this program made it."""
        if self._number("PRAGMA application_id") != database.APPLICATION_ID:
            raise StorageCorrupt("open", "the file is no ledger")
        if (version := self._number("PRAGMA user_version")) > database.VERSION:
            raise StorageFatal("open", f"the store has version {version}, this program knows {database.VERSION}")

    def check_key(self) -> None:
        """Raises StorageFatal when the newest row is sealed with a key that is not here."""
        if any(row.is_sealed for row in self.rows(Position(self.last_position() - 1), 1)):
            raise StorageFatal("open", LOCKED)

    def verify(self, after: Position = START) -> Verdict:
        """Check every row after a position, and the chain through them."""
        check = self.chain_check(after)
        for row in self.every_row(after):
            if not check.take(row):
                break
        return check.verdict()

    def chain_check(self, after: Position = START) -> ChainCheck:
        """A check that wants every row after a position."""
        return ChainCheck(self.epochs(), self.losses(), self.rows(Position(after - 1), 1) if after else [])


def opened(row: Row, sealer: Sealer) -> Row:
    """The row with its body in clear, where the key to it is here. For rows as they are on disk, damaged or not."""
    if not isinstance(row.body, bytes) or not isinstance(row.digest, bytes):
        return row
    plain = sealer.open(row.body, row.digest)
    return row if plain is row.body else replace(row, body=plain)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _checked(key: object, value: object, total: object) -> bytes:
    if not isinstance(key, str) or not isinstance(value, bytes) or chain.value_sum(key, value) != total:
        raise StorageCorrupt("read", f"the stored value {key!r} is damaged")
    return value
