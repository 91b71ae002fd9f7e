"""How far the port itself has received. A receipt frees events; a PUBACK only says that a broker had them.

Used by the relay when the lane file names a consumer. Between PUBACK and receipt an event is neither sent again nor
given away; what a receipt calls missing, or what no receipt covers for too long, is sent again. Nothing here does I/O.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import accumulate

from pydantic import ValidationError

from lanecontrol import forms
from lanecontrol.ledger.records import Head, Position

_MISSING_LIMIT = 1000
_HIGHEST = 2**62
"""No number of ours is ever so high; the store could not even look for a higher one."""
_EPOCHS = 16
"""Epochs whose receipts are remembered: there is one more after each damage of the store."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The consumer has every event of `epoch` up to `seq`, but for the `missing` spans (first and last, included).

    It says nothing of other epochs: each has receipts of its own.
    """

    epoch: int
    seq: int
    missing: tuple[tuple[int, int], ...] = ()

    def covering(self) -> Callable[[int], bool]:
        """Answers whether a number is covered; made once for many numbers."""
        spans = sorted(span for span in self.missing if span[0] <= span[1])
        firsts = [first for first, _ in spans]
        ends = list(accumulate((last for _, last in spans), max))

        def covered(seq: int) -> bool:
            before = bisect_right(firsts, seq)
            return seq <= self.seq and not (before and seq <= ends[before - 1])

        return covered


@dataclass(slots=True)
class Receipts:
    """What the port has said so far, and what it still has to say something about."""

    now_s: Callable[[], float]
    patience_s: float
    seqs: dict[int, int] = field(default_factory=dict)
    """The highest number receipted, by epoch."""
    waiting: dict[Position, float] = field(default_factory=dict)
    """Acknowledged by the broker, not receipted: since when. In order of acknowledgement."""
    refused: int = 0
    last_refusal: str = ""

    def judge(self, payload: bytes, head: Head) -> Receipt | None:
        """The receipt, if it says anything that can be believed. A wrong one frees nothing and is counted."""
        try:
            receipt = forms.from_json(Receipt, payload)
        except ValidationError:
            self._refuse("it is no receipt")
            return None
        if why := _wrong(receipt, head):
            self._refuse(why)
            return None
        if receipt.seq < self.seqs.get(receipt.epoch, 0):
            return None  # an older one, repeated: nothing that it frees is not free already
        self.seqs[receipt.epoch] = receipt.seq
        if len(self.seqs) > _EPOCHS:
            del self.seqs[min(self.seqs)]
        return receipt

    def _refuse(self, why: str) -> None:
        self.refused += 1
        self.last_refusal = why

    def acknowledged(self, positions: Iterable[Position]) -> None:
        """The broker has them."""
        self.waiting.update(dict.fromkeys(positions, self.now_s()))

    def settled(self, positions: Iterable[Position]) -> None:
        """These need not be waited for any more."""
        for position in positions:
            self.waiting.pop(position, None)

    def overdue(self) -> bool:
        """Whether any has waited for too long; those are not waited for any more, so that they are sent again."""
        limit_s = self.now_s() - self.patience_s
        late = []
        for position, since_s in self.waiting.items():
            if since_s > limit_s:
                break
            late.append(position)
        self.settled(late)
        return bool(late)


def _wrong(receipt: Receipt, head: Head) -> str:
    if receipt.epoch < 1 or not 0 <= receipt.seq <= _HIGHEST or len(receipt.missing) > _MISSING_LIMIT:
        return "its numbers are out of range"
    if receipt.epoch > head.epoch:
        return f"it speaks of epoch {receipt.epoch}, this store is in epoch {head.epoch}"
    if receipt.epoch == head.epoch and receipt.seq > head.seq:
        return f"it speaks of event {receipt.seq}, the last one is {head.seq}"
    return ""
