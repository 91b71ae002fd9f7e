"""From the ledger's outbox to the broker: each recorded event until it is delivered, in order per class.

The session calls `drain` for the life of one connection and gives it a fresh transport each time. A row leaves the
outbox only on a good PUBACK, or for the dead letters when it was refused too often; nothing refused ever counts as
delivered, and nothing refused holds up other classes. The bytes sent are the bytes recorded.
"""

from __future__ import annotations

import asyncio
from bisect import insort
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from lanecontrol import forms
from lanecontrol.errors import StorageUnavailable
from lanecontrol.ledger.records import START, Position, Row
from lanecontrol.port.mqtt_packets import PACKET_TOO_LARGE, TOPIC_INVALID, reason_text
from lanecontrol.port.outbox import DEAD_LETTERS, DeadLetter, DeadLetters, Outbox
from lanecontrol.port.payloads import CONTENT_TYPE
from lanecontrol.port.tasks import together
from lanecontrol.port.topics import BACKLOG_PROPERTY, CLASSES, LaneAddress
from lanecontrol.port.transport import NO_SUBSCRIBERS, REFUSED, Message, Transport

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
    hold_without_subscribers: bool = False
    """Keep what the broker acknowledged and threw away because nobody had subscribed, and send it again."""
    hold_s: float = 5.0
    """Before such a message is sent again."""


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


_BATCH = 500
_PARKED_LIMIT = 2000
"""Rows kept in memory while their classes wait; beyond it nothing more is fetched until some have been settled."""
_HOPELESS = frozenset((PACKET_TOO_LARGE, TOPIC_INVALID))
"""Reasons that no further try can change."""
_STREAK = 3
"""After so many dead letters in a row a class is tried once each: it must not crawl at the pace of the retries."""
_STORAGE_RETRY_S = 1.0
_TICK_S = 0.001
"""Timers may fire this much early, by rounding."""


@dataclass(slots=True)
class _Stalled:
    """A class that waits: refused rows and those that came after them, in order."""

    until_s: float
    waiting: list[Row] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class _Feed:
    """A place in the outbox, and whether there may be more after it."""

    after: Position
    more: bool = True


class Relay:
    """The relay of one lane. `on_dead` is told of every dead letter, to be logged and shown."""

    def __init__(
        self,
        outbox: Outbox,
        address: LaneAddress,
        policy: RelayPolicy | None = None,
        *,
        on_dead: Callable[[DeadLetter], None] = lambda letter: None,
    ) -> None:
        self.policy = policy or RelayPolicy()
        self.counts = RelayCounts()
        self._outbox = outbox
        self._address = address
        self._topics = {name: address.event(name) for name in CLASSES}
        self._on_dead = on_dead
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

    async def dead_letters(self) -> DeadLetters:
        """What could not be delivered. Raises StorageError."""
        if self._dead is None:
            stored = await self._outbox.get(DEAD_LETTERS)
            self._dead = forms.from_json(DeadLetters, stored) if stored else DeadLetters()
        return self._dead

    async def drain(self, transport: Transport) -> None:
        """Send what there is and what comes, until the connection is lost: raises LinkLost, or a StorageError."""
        drain = _Drain(self, transport, self._outbox.head.position)
        try:
            await together(self._keep_burying(), drain.pump(), self._follow(drain))
        finally:
            drain.end()

    async def _follow(self, drain: _Drain) -> None:
        while True:
            seen = self._outbox.head.position
            drain.committed()
            await self._outbox.beyond(seen)

    # --- for the drain at work ---

    def topic(self, topic_class: str) -> str:
        return self._topics.get(topic_class) or self._address.event(topic_class)

    async def fetch(self, after: Position, limit: int) -> Sequence[Row]:
        rows = await self._patiently(lambda: self._outbox.undelivered(after, limit))
        if self._dying:  # not put down yet: they must not be sent again on a new connection
            dying = {letter.position for letter in self._dying}
            return [row for row in rows if row.position not in dying]
        return rows

    def good(self, row: Row, unheard: bool) -> None:
        """The broker took it."""
        self.counts.delivered += 1
        self.counts.unheard += unheard
        if self._tries:
            self._tries.pop(row.position, None)
        if self._streaks:
            self._streaks.pop(row.topic_class, None)
        self._outbox.mark_delivered((row.position,))
        self._progress.set()

    def bad(self, row: Row, code: int) -> bool:
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

    def unreadable(self, row: Row) -> None:
        """Damage on disk took the body: there is nothing to send."""
        self._die(row, 0, "its body is damaged on disk")

    def _die(self, row: Row, code: int, why: str) -> None:
        self.counts.dead += 1
        self._dying.append(DeadLetter(row.position, row.epoch, row.seq, row.topic_class, code, why))
        self._dead_waits.set()

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
        self._outbox.mark_delivered([Position(letter.position) for letter in letters])
        self._progress.set()
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


class _Drain:
    """One connection's worth of relaying.

    `backlog` follows the outbox from its beginning. While it is still behind what was recorded before this connection,
    `live` looks ahead from there, for the classes whose live events may overtake.
    """

    def __init__(self, relay: Relay, transport: Transport, head: Position) -> None:
        self._relay = relay
        self._transport = transport
        self._head = head
        self._window = min(relay.policy.window, transport.greeting.receive_maximum)
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._backlog = _Feed(START)
        self._live = _Feed(head)
        self._queue: deque[Row] = deque()
        self._express: deque[Row] = deque()
        self._overtaken: set[Position] = set()
        self._stalled: dict[str, _Stalled] = {}
        self._flying = 0
        self._lost: BaseException | None = None
        self._ended = False

    def committed(self) -> None:
        self._backlog.more = self._live.more = True
        self._wake.set()

    def end(self) -> None:
        self._ended = True
        for stalled in self._stalled.values():
            if stalled.timer is not None:
                stalled.timer.cancel()

    async def pump(self) -> None:
        while True:
            self._wake.clear()
            self._fill()
            if self._lost is not None:
                raise self._lost
            if await self._fetch():
                continue
            # Without a limit: a commit, a PUBACK, a retry's timer or the end of the connection wakes it.
            await self._wake.wait()

    # --- taking rows ---

    async def _fetch(self) -> bool:
        """Get more rows if there may be some and there is room for them; answers whether any came."""
        got = False
        if self._live.more and self._behind and len(self._express) < _BATCH:
            got = await self._look_ahead()
        parked = sum(len(stalled.waiting) for stalled in self._stalled.values())
        if self._backlog.more and len(self._queue) < _BATCH // 2 and parked < _PARKED_LIMIT:
            rows = await self._next_rows(self._backlog)
            if len(rows) < _BATCH:  # all there was, so what was recorded before this connection is in hand
                self._backlog.after = max(self._backlog.after, self._head)
            self._queue.extend(row for row in rows if row.position not in self._overtaken)
            self._overtaken.difference_update([row.position for row in rows])
            got = got or bool(rows)
        return got

    @property
    def _behind(self) -> bool:
        """The backlog has not been taken in yet up to where the live events begin."""
        return self._backlog.after < self._live.after

    async def _look_ahead(self) -> bool:
        rows = await self._next_rows(self._live)
        hurried = [row for row in rows if _overtakes(row.topic_class)]
        self._overtaken.update(row.position for row in hurried)
        self._express.extend(hurried)
        return bool(rows)

    async def _next_rows(self, feed: _Feed) -> Sequence[Row]:
        feed.more = False  # before asking, so that a commit during the answer is not missed
        rows = await self._relay.fetch(feed.after, _BATCH)
        if rows:
            feed.after = rows[-1].position
            feed.more = feed.more or len(rows) == _BATCH
        return rows

    # --- sending ---

    def _fill(self) -> None:
        while self._flying < self._window:
            row = self._next()
            if row is None:
                return
            self._send(row)

    def _next(self) -> Row | None:
        if self._stalled and (row := self._resumed()) is not None:
            return row
        for source in (self._express, self._queue):
            while source:
                row = source.popleft()
                if row.topic_class not in self._stalled:
                    return row
                insort(self._stalled[row.topic_class].waiting, row, key=_position)
        return None

    def _resumed(self) -> Row | None:
        """The next row of a class whose wait is over."""
        now_s = self._loop.time()
        for topic_class, stalled in list(self._stalled.items()):
            if stalled.until_s <= now_s + _TICK_S:
                if stalled.waiting:
                    return stalled.waiting.pop(0)
                del self._stalled[topic_class]
        return None

    def _send(self, row: Row) -> None:
        if row.body is None:
            self._relay.unreadable(row)
            return
        message = Message(
            self._relay.topic(row.topic_class),
            row.body,
            content_type=CONTENT_TYPE,
            user_properties=(BACKLOG_PROPERTY,) if row.position <= self._head else (),
        )
        self._flying += 1
        self._relay.counts.sent += 1
        self._transport.begin(message).add_done_callback(partial(self._answered, row))

    def _answered(self, row: Row, future: asyncio.Future[int]) -> None:
        self._flying -= 1
        self._wake.set()
        if future.cancelled():
            return
        lost = future.exception()
        if lost is not None:
            self._lost = self._lost or lost
            return
        code = future.result()
        if code >= REFUSED:
            if self._relay.bad(row, code):
                self._stall(row, self._relay.policy.retry_s)
        elif code == NO_SUBSCRIBERS and self._relay.policy.hold_without_subscribers:
            self._relay.counts.unheard += 1
            self._stall(row, self._relay.policy.hold_s)
        else:
            self._relay.good(row, code == NO_SUBSCRIBERS)

    def _stall(self, row: Row, wait_s: float) -> None:
        """Keep the class waiting behind this row, so that its order is kept from here on."""
        if self._ended:
            return
        until_s = self._loop.time() + wait_s
        stalled = self._stalled.setdefault(row.topic_class, _Stalled(until_s))
        insort(stalled.waiting, row, key=_position)
        stalled.until_s = until_s
        if stalled.timer is not None:
            stalled.timer.cancel()
        stalled.timer = self._loop.call_at(until_s, self._wake.set)


def _overtakes(topic_class: str) -> bool:
    policy = CLASSES.get(topic_class)
    return policy is not None and policy.overtake


def _position(row: Row) -> Position:
    return row.position
