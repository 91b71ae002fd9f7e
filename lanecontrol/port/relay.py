"""From the ledger's outbox to the broker: each recorded event until it is delivered, in order per class.

The session calls `drain` for the life of one connection and gives it a fresh transport each time. A row leaves the
outbox only on a good PUBACK, or on the port's receipt where one is asked for, or for the dead letters when it was
refused too often; nothing refused ever counts as delivered, and nothing refused holds up other classes. The bytes sent
are the bytes recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Never, TypeVar

from lanecontrol import forms
from lanecontrol.errors import StorageUnavailable
from lanecontrol.ledger.records import START, Position
from lanecontrol.port.drain import REPEAT_LIMIT, Drain
from lanecontrol.port.mqtt_packets import PACKET_TOO_LARGE, TOPIC_INVALID, reason_text
from lanecontrol.port.outbox import DEAD_LETTERS, DeadLetter, DeadLetters, Outbox, Waiting
from lanecontrol.port.receipts import Receipt, Receipts
from lanecontrol.port.tasks import together
from lanecontrol.port.topics import CLASSES, LaneAddress
from lanecontrol.port.transport import Transport

__all__ = ["DeadLetter", "DeadLetters", "Outbox", "Relay", "RelayCounts", "RelayPolicy"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RelayPolicy:
    """How the relay behaves. The window is the smaller of ours and the broker's receive maximum."""

    window: int = 100
    """Publishes in flight; 20 to 200 gave the best rate, more only adds latency."""
    tries: int = 3
    """A message refused so often becomes a dead letter."""
    retry_s: float = 1.0
    """Before a refused message is tried again; its class waits, the others do not."""
    hold: frozenset[str] = frozenset()
    """Classes of which an event is kept and sent again that the broker acknowledged and threw away: nobody had
    subscribed."""
    hold_s: float = 5.0
    """Before such a message is sent again."""
    backlog_per_s: float = 0.0
    """What was recorded before the connection is sent no faster than this; 0 for as fast as the broker takes it."""
    receipts: bool = False
    """The port's receipt frees an event, and not the broker's PUBACK."""
    receipt_patience_s: float = 60.0
    """What is acknowledged and not receipted for so long is sent again."""
    receipt_window: int = 20_000
    """So many may wait for their receipt; no more is sent until some have it."""


@dataclass(slots=True)
class RelayCounts:
    """What became of what was sent, since the start."""

    sent: int = 0
    delivered: int = 0
    unheard: int = 0
    """Acknowledged with 0x10: nobody had subscribed."""
    refused: int = 0
    dead: int = 0
    last_refusal: str = ""
    storage_retries: int = 0
    resent: int = 0
    """Rounds of sending again what the port had not received."""


_HOPELESS = frozenset((PACKET_TOO_LARGE, TOPIC_INVALID))
"""Reasons that no further try can change."""
_STREAK = 3
"""After so many dead letters in a row a class is tried once each: it must not crawl at the pace of the retries."""
_STORAGE_RETRY_S = 1.0
_FREED_AT_ONCE = 2000
"""Events freed by a receipt in one turn of the loop: some milliseconds."""


class Relay:
    """The relay of one lane. `on_dead` is told of every dead letter, to be logged and shown."""

    def __init__(
        self,
        outbox: Outbox,
        address: LaneAddress,
        policy: RelayPolicy | None = None,
        *,
        on_dead: Callable[[DeadLetter], None] = lambda letter: None,
        on_backlog: Callable[[int, float | None], None] = lambda waiting, took_s: None,
    ) -> None:
        """`on_backlog` is told how much waits when a connection begins with a backlog worth mentioning, and, with the
        seconds that it took, when that is through."""
        self.policy = policy or RelayPolicy()
        self.counts = RelayCounts()
        self._outbox = outbox
        self._address = address
        self._topics = {name: address.event(name) for name in CLASSES}
        self._on_dead = on_dead
        self.on_backlog = on_backlog
        self.receipts = Receipts(lambda: asyncio.get_running_loop().time(), self.policy.receipt_patience_s)
        self._judged: dict[int, Receipt] = {}
        """The latest receipts that nothing was done about yet, by epoch."""
        self._receipt_came = asyncio.Event()
        self._tries: dict[Position, int] = {}
        self._streaks: dict[str, int] = {}
        self._dying: list[DeadLetter] = []
        self._dead_waits = asyncio.Event()
        self._dead: DeadLetters | None = None
        self._progress = asyncio.Event()

    async def wait_delivered(self) -> None:
        """Until all that is on disk is delivered. Without a broker that never comes: the caller bounds the wait."""
        while self._outbox.undelivered_count:
            self._progress.clear()
            await self._progress.wait()

    async def wait_sent(self) -> None:
        """Until nothing waits to be sent: for what goes only when the line is free. The caller need not bound it."""
        while self.waiting_to_be_sent:
            self._progress.clear()
            await self._progress.wait()

    async def dead_letters(self) -> DeadLetters:
        """What could not be delivered. Raises StorageError."""
        if self._dead is None:
            stored = await self._outbox.get(DEAD_LETTERS)
            self._dead = forms.from_json(DeadLetters, stored) if stored else DeadLetters()
        return self._dead

    async def drain(self, transport: Transport) -> None:
        """Send what there is and what comes, until the connection is lost: raises LinkLost, or a StorageError."""
        drain = Drain(self, transport, self._outbox.head.position)
        try:
            await together(
                self._keep_burying(), drain.feed(), drain.pump(), self._follow(drain), self._mind_receipts(drain)
            )
        finally:
            drain.end()

    async def _follow(self, drain: Drain) -> None:
        while True:
            seen = self._outbox.head.position
            drain.committed()
            await self._outbox.beyond(seen)

    # --- for the drain at work ---

    @property
    def waiting_to_be_sent(self) -> int:
        return max(0, self._outbox.undelivered_count - len(self.receipts.waiting))

    def topic(self, topic_class: str) -> str:
        return self._topics.get(topic_class) or self._address.event(topic_class)

    async def fetch(self, after: Position, limit: int) -> Sequence[Waiting]:
        rows = await self._patiently(lambda: self._outbox.undelivered(after, limit))
        if self._dying:  # not put down yet: they must not be sent again on a new connection
            dying = {letter.position for letter in self._dying}
            return [row for row in rows if row.position not in dying]
        return rows

    def room(self, flying: int) -> int:
        """How many more may be sent: neither may too many wait for their receipt, nor a crash repeat too many."""
        unknown = REPEAT_LIMIT - flying - self._outbox.repeatable
        return min(unknown, self.policy.receipt_window - len(self.receipts.waiting))

    @property
    def must_be_marked(self) -> bool:
        """A crash could repeat too many: the disk has to know first what has arrived."""
        return self._outbox.repeatable >= REPEAT_LIMIT // 2

    async def marked(self) -> None:
        """Wait until the disk knows of most of what has arrived."""
        await self._outbox.marked(REPEAT_LIMIT // 2)

    def good(self, rows: Sequence[Waiting], *, unheard: bool) -> None:
        """The broker took them."""
        self.counts.delivered += len(rows)
        if unheard:
            self.counts.unheard += len(rows)
        positions = [row.position for row in rows]
        for row in rows if self._tries or self._streaks else ():
            self._tries.pop(row.position, None)
            self._streaks.pop(row.topic_class, None)
        if self.policy.receipts:
            self.receipts.acknowledged(positions)
            self._progress.set()
        else:
            self._settle(positions)

    def _settle(self, positions: Sequence[Position]) -> None:
        """These have arrived where they must."""
        self._outbox.mark_delivered(positions)
        self._progress.set()

    def bad(self, row: Waiting, code: int) -> bool:
        """The broker refused it; answers whether it is worth another try."""
        self.counts.refused += 1
        self.counts.last_refusal = f"{row.topic_class} {row.epoch}-{row.seq}: {reason_text(code)}"
        tried = self._tries.get(row.position, 0) + 1
        streak = self._streaks.get(row.topic_class, 0)
        if code not in _HOPELESS and tried < self.policy.tries and streak < _STREAK:
            self._tries[row.position] = tried
            return True
        self._tries.pop(row.position, None)
        self._streaks[row.topic_class] = streak + 1
        self._die(row, code, reason_text(code))
        return False

    def unreadable(self, row: Waiting) -> None:
        """Damage on disk took the body: there is nothing to send."""
        self._die(row, 0, "its body is damaged on disk")

    def _die(self, row: Waiting, code: int, why: str) -> None:
        self.counts.dead += 1
        self._dying.append(DeadLetter(row.position, row.epoch, row.seq, row.topic_class, code, why))
        self._dead_waits.set()

    # --- receipts ---

    def take_receipt(self, payload: bytes) -> None:
        """The port says how far it has received. Never raises: whoever may publish there may publish anything."""
        receipt = self.receipts.judge(payload, self._outbox.head)
        if receipt is not None and self.policy.receipts:
            self._judged[receipt.epoch] = receipt
            self._receipt_came.set()

    async def _mind_receipts(self, drain: Drain) -> Never:
        """Free what the port has; send again what it misses, or says nothing about for too long."""
        while True:
            try:
                async with asyncio.timeout(self.policy.receipt_patience_s / 4):
                    await self._receipt_came.wait()
            except TimeoutError:
                pass
            self._receipt_came.clear()
            judged, self._judged = self._judged, {}
            missed = [await self._free(receipt) for receipt in judged.values()]
            if self.receipts.overdue() or any(missed):
                self.counts.resent += 1
                drain.rewind()
            drain.committed()

    async def _free(self, receipt: Receipt) -> bool:
        """Mark what a receipt covers, in steps; answers whether it misses anything."""
        covered, after, missed = receipt.covering(), START, False
        while waiting := await self._waiting_after(receipt, after):
            arrived = [position for position, seq in waiting if covered(seq)]
            self.receipts.settled(position for position, _ in waiting)
            self._settle(arrived)
            missed = missed or len(arrived) < len(waiting)
            after = waiting[-1][0]
        return missed

    async def _waiting_after(self, receipt: Receipt, after: Position) -> Sequence[tuple[Position, int]]:
        return await self._patiently(
            lambda: self._outbox.waiting_through(receipt.epoch, receipt.seq, after, _FREED_AT_ONCE)
        )

    # --- dead letters ---

    async def _keep_burying(self) -> None:
        """Put down what died, and only then take it out of the outbox."""
        while True:
            while self._dying:
                await self._bury()
            self._dead_waits.clear()
            await self._dead_waits.wait()

    async def _bury(self) -> None:
        letters, known = self._dying[:], await self._patiently(self.dead_letters)
        for letter in letters:
            known = known.with_one(letter)
        raw = forms.to_json(known)
        await self._patiently(lambda: self._outbox.put(DEAD_LETTERS, raw))
        self._dead = known
        del self._dying[: len(letters)]
        self._settle([Position(letter.position) for letter in letters])
        for letter in letters:
            self._on_dead(letter)

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """A full or failing disk heals or is replaced: the events wait in it until then."""
        while True:
            try:
                return await call()
            except StorageUnavailable:
                self.counts.storage_retries += 1
                await asyncio.sleep(_STORAGE_RETRY_S)
