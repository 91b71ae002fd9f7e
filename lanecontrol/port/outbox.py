"""What the relay asks of the ledger, and the list of events that could not be delivered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from lanecontrol.ledger.records import Head, Position

DEAD_LETTERS = "dead-letters"
"""Under this name the ledger keeps what could not be delivered."""
DEAD_LETTERS_LIMIT = 1000
"""So many are listed; of more the oldest are only counted. The events themselves stay in the ledger."""


class Waiting(Protocol):
    """An event that waits to be delivered. Its bytes are those recorded; None where damage took them."""

    @property
    def position(self) -> Position: ...
    @property
    def epoch(self) -> int: ...
    @property
    def seq(self) -> int: ...
    @property
    def topic_class(self) -> str: ...
    @property
    def body(self) -> bytes | None: ...


class Outbox(Protocol):
    """What the relay asks of the ledger."""

    @property
    def head(self) -> Head:
        """The last row on disk."""
        ...

    @property
    def undelivered_count(self) -> int:
        """Rows on disk that are not marked as delivered."""
        ...

    async def undelivered(self, after: Position, limit: int) -> Sequence[Waiting]:
        """The next `limit` undelivered rows after a position, in order; fewer only when there are no more.

        A row that is damaged on disk has no body.
        """
        ...

    def mark_delivered(self, positions: Iterable[Position]) -> None:
        """These need not be sent again."""
        ...

    @property
    def repeatable(self) -> int:
        """Marked rows of which the disk does not know yet: a crash now would repeat them. 0 while the disk fails."""
        ...

    async def marked(self, at_most: int) -> None:
        """Wait until `repeatable` is no more than `at_most`; without limit, as a disk that fails ends it too."""
        ...

    async def waiting_through(
        self, epoch: int, seq: int, after: Position, limit: int
    ) -> Sequence[tuple[Position, int]]:
        """Position and number of undelivered rows of an epoch up to a number: those next after a position, in order.

        None when there are no more.
        """
        ...

    async def beyond(self, position: Position) -> None:
        """Wait until there is a row on disk after `position`."""
        ...

    async def get(self, key: str) -> bytes | None: ...

    def put(self, key: str, value: bytes) -> asyncio.Future[None]: ...


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that the broker refused for good. Its row in the ledger keeps what it said."""

    position: int
    epoch: int
    seq: int
    topic_class: str
    code: int
    """The broker's last reason code; 0 where it was never asked."""
    why: str


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """All of them: how many since the store was made, and the latest."""

    count: int = 0
    latest: tuple[DeadLetter, ...] = ()

    def with_one(self, letter: DeadLetter) -> DeadLetters:
        return DeadLetters(self.count + 1, (*self.latest, letter)[-DEAD_LETTERS_LIMIT:])
