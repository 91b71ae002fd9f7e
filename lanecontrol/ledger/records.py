"""What goes into the ledger and what comes out of it. Plain data, no behaviour beyond a row's own check."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import NewType

from lanecontrol.ledger import chain

Position = NewType("Position", int)
"""Where a row stands in its store: rises by row, also across epochs. A `seq` is not a position."""

START = Position(0)
"""Before the first row."""
EPOCH_PREFIX = "epoch/"
"""The store keeps what it knows of an epoch under this and its number."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event to be recorded. `body` is what will be sent, byte for byte; `seq` must be the ledger's `next_seq`."""

    seq: int
    topic_class: str
    kind: str
    time_utc_s: float
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Row:
    """One recorded event. `body` and `salt` are None once erased, or when damage took them.

    Without the key that it was sealed with only the body is None.
    """

    position: Position
    epoch: int
    seq: int
    topic_class: str
    kind: str
    time_utc_s: float
    digest: bytes
    link: bytes
    """The chain's value at this row."""
    sum: int
    salt: bytes | None = field(repr=False)
    body: bytes | None = field(repr=False)

    @property
    def head_is_sound(self) -> bool:
        """Everything but salt and body is as it was written."""
        try:
            return self.sum == chain.row_sum(
                self.position,
                self.epoch,
                self.seq,
                self.topic_class,
                self.kind,
                self.time_utc_s,
                self.digest,
                self.link,
            )
        except (AttributeError, TypeError, ValueError, struct.error):  # values that no row of ours can have
            return False

    @property
    def is_sealed(self) -> bool:
        """The body is there, and the key to it is not."""
        return self.body is None and self.salt is not None

    @property
    def body_is_sound(self) -> bool:
        """The body is there and is what was written."""
        return (
            isinstance(self.salt, bytes)
            and isinstance(self.body, bytes)
            and chain.digest(self.salt, self.body) == self.digest
        )


@dataclass(frozen=True, slots=True)
class Loss:
    """Rows that are known to have been recorded and are gone: `first_seq` to `last_seq` of `epoch`."""

    epoch: int
    first_seq: int
    last_seq: int
    why: str


@dataclass(frozen=True, slots=True)
class Epoch:
    """Where an epoch's rows stand (`base` + seq = position) and what its chain starts from, after pruning too."""

    number: int
    base: int
    anchor_seq: int
    anchor_link: bytes

    @classmethod
    def fresh(cls, number: int, base: int) -> Epoch:
        return cls(number, base, 0, chain.genesis(number))

    @property
    def key(self) -> str:
        return f"{EPOCH_PREFIX}{self.number}"

    def to_value(self) -> bytes:
        return json.dumps({"base": self.base, "seq": self.anchor_seq, "link": self.anchor_link.hex()}).encode()

    @classmethod
    def from_value(cls, key: str, value: bytes) -> Epoch:
        plain = json.loads(value)
        number = int(key.removeprefix(EPOCH_PREFIX))
        return cls(number, plain["base"], plain["seq"], bytes.fromhex(plain["link"]))


@dataclass(frozen=True, slots=True)
class OpenReport:
    """How opening went. `quarantined` names what was moved aside, `salvaged` counts the rows taken over from it.

    `moved`: the store had been used on another box, and goes on in a new epoch.
    `lost` are the gaps that salvage knows of; rows after the last one found cannot be counted. `bodies_lost` counts
    rows whose body was damaged while the rest of the row was good.
    """

    created: bool = False
    moved: bool = False
    quarantined: tuple[str, ...] = ()
    salvaged: int = 0
    bodies_lost: int = 0
    lost: tuple[Loss, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """The last row of the present epoch: what the next one builds on. `seq` 0 stands for none yet."""

    epoch: int
    seq: int
    link: bytes
    position: Position


@dataclass(frozen=True, slots=True)
class Status:
    """The ledger's condition. `held` rows are in memory because the disk fails; `refused` ones were never taken.

    `chain_head` is the chain's value at `head_seq`, in hex. `delivered_through` is the position up to which nothing
    waits. `size_bytes` is what the store takes on disk.
    """

    writable: bool
    reason: str
    epoch: int
    head_seq: int
    chain_head: str
    rows: int
    undelivered: int
    oldest_undelivered_utc_s: float | None
    delivered_through: Position
    size_bytes: int
    held: int = 0
    refused: int = 0
    damaged: int = 0


@dataclass(frozen=True, slots=True)
class BadRecord:
    """The first record that does not verify, and why."""

    epoch: int
    seq: int
    why: str

    def __str__(self) -> str:
        return f"record {self.epoch}-{self.seq}: {self.why}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What checking the chain found. `losses` are the gaps the ledger itself declares.

    `erased` rows have no body any more; of `sealed` ones the body was not looked at, since the key is not here.
    """

    rows: int
    erased: int
    sealed: int
    losses: tuple[Loss, ...]
    first_bad: BadRecord | None

    @property
    def good(self) -> bool:
        return self.first_bad is None
