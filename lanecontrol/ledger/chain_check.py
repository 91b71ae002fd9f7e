"""Whether the chain of a ledger is whole: fed with its rows in order, by whoever reads them. No I/O.

What salvage declared as lost is no fault; everything else that is missing, changed or out of its place is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lanecontrol.ledger import chain
from lanecontrol.ledger.records import BadRecord, Epoch, Loss, Row, Verdict


class ChainCheck:
    """Follows the chain row by row. Fed with rows in order; stops being interested at the first bad one."""

    def __init__(self, epochs: Sequence[Epoch], losses: Sequence[Loss], before: Sequence[Row] = ()) -> None:
        self._epochs = {epoch.number: epoch for epoch in epochs}
        self._losses = tuple(losses)
        self._epoch, self._seq, self._link = 0, 0, b""
        for row in before:
            self._epoch, self._seq, self._link = row.epoch, row.seq, row.link
        self._rows = self._erased = self._sealed = 0
        self._bad: BadRecord | None = None

    def take_all(self, rows: Iterable[Row]) -> bool:
        """Whether all is good so far."""
        return all(map(self.take, rows))

    def take(self, row: Row) -> bool:
        """Whether all is good so far."""
        if self._bad is None and (why := self._fault(row)):
            self._bad = BadRecord(row.epoch, row.seq, why)
        if self._bad is None:
            self._rows += 1
            self._erased += row.salt is None
            self._sealed += row.is_sealed
            self._seq, self._link = row.seq, row.link
        return self._bad is None

    def _fault(self, row: Row) -> str:
        if not row.head_is_sound:
            return "its checksum is wrong"
        if row.epoch != self._epoch and (why := self._enter(row)):
            return why
        if row.seq != self._seq + 1 and not self._declared(row):
            return f"records {self._seq + 1} to {row.seq - 1} before it are missing"
        if row.seq == self._seq + 1 and row.link != chain.link(
            self._link, row.seq, row.topic_class, row.kind, row.time_utc_s, row.digest
        ):
            return "the chain is broken here"
        if row.body is not None and not row.body_is_sound:
            return "its body does not match its digest"
        return ""

    def _enter(self, row: Row) -> str:
        epoch = self._epochs.get(row.epoch)
        if epoch is None or row.epoch < self._epoch or row.position != epoch.base + row.seq:
            return "it stands in the wrong place"
        self._epoch, self._seq, self._link = epoch.number, epoch.anchor_seq, epoch.anchor_link
        return ""

    def _declared(self, row: Row) -> bool:
        return Loss(row.epoch, self._seq + 1, row.seq - 1, "") in [
            Loss(loss.epoch, loss.first_seq, loss.last_seq, "") for loss in self._losses
        ]

    def verdict(self) -> Verdict:
        return Verdict(self._rows, self._erased, self._sealed, self._losses, self._bad)
