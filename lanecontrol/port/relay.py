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
from typing import Protocol, TypeVar

from lanecontrol.errors import StorageUnavailable
from lanecontrol.ledger.records import START, Position, Row
from lanecontrol.port.mqtt_packets import PACKET_TOO_LARGE, TOPIC_INVALID, reason_text
from lanecontrol.port.payloads import CONTENT_TYPE
from lanecontrol.port.tasks import together
from lanecontrol.port.topics import BACKLOG_PROPERTY, CLASSES, LaneAddress
from lanecontrol.port.transport import NO_SUBSCRIBERS, REFUSED, Message, Transport

T = TypeVar("T")

NO_BODY = 0x100
"""Our own reason for a dead letter: the body is erased or damaged. No broker's code is above 0xFF."""


class Outbox(Protocol):
    """What the relay asks of the ledger. Every call may raise StorageUnavailable, and is then repeated."""

    async def undelivered(self, after: Position, limit: int) -> Sequence[Row]:
        """Up to `limit` committed, undelivered rows after a position, in order."""
        ...

    async def mark_delivered(self, positions: Sequence[Position]) -> None:
        """These need not be sent again."""
        ...

    async def mark_dead(self, position: Position, code: int, why: str) -> None:
        """This one cannot be delivered: into the dead letters, with the last reason code."""
        ...

    async def last_position(self) -> Position:
        """The newest committed row."""
        ...


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
_UNMARKED_LIMIT = 5000
"""Deliveries that the store has not taken down yet; beyond it nothing is sent, so that repeats stay bounded."""
_HOPELESS = frozenset((PACKET_TOO_LARGE, TOPIC_INVALID, NO_BODY))
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
    """The relay of one lane."""

    def __init__(
        self,
        outbox: Outbox,
        address: LaneAddress,
        policy: RelayPolicy | None = None,
        *,
        on_dead: Callable[[Row, str], None] = lambda row, why: None,
    ) -> None:
        self.policy = policy or RelayPolicy()
        self.counts = RelayCounts()
        self._outbox = outbox
        self._topics = {name: address.event(name) for name in CLASSES}
        self._on_dead = on_dead
        self._address = address
        self._drain: _Drain | None = None
        self._delivered: list[Position] = []
        self._dead: list[tuple[Row, int]] = []
        self._to_mark = asyncio.Event()
        self._tries: dict[Position, int] = {}
        self._streaks: dict[str, int] = {}
        self._quiet = asyncio.Event()

    def committed(self) -> None:
        """Something new is in the ledger. Never blocks."""
        self._quiet.clear()
        if self._drain is not None:
            self._drain.committed()

    async def wait_quiet(self) -> None:
        """Until everything recorded is delivered and marked. Without a broker that never comes: bound the wait."""
        await self._quiet.wait()

    async def drain(self, transport: Transport) -> None:
        """Send what there is and what comes, until the connection is lost: raises LinkLost, or a StorageError."""
        self._quiet.clear()
        await self._mark_all()
        head = await self._patiently(self._outbox.last_position)
        self._drain = _Drain(self, transport, head)
        try:
            await together(self._keep_marking(), self._drain.pump())
        finally:
            self._drain.end()
            self._drain = None

    # --- for the drain at work ---

    def topic(self, topic_class: str) -> str:
        return self._topics.get(topic_class) or self._address.event(topic_class)

    async def fetch(self, after: Position, limit: int) -> Sequence[Row]:
        return await self._patiently(lambda: self._outbox.undelivered(after, limit))

    @property
    def unmarked(self) -> int:
        return len(self._delivered) + len(self._dead)

    def good(self, row: Row, unheard: bool) -> None:
        """The broker took it."""
        self.counts.delivered += 1
        self.counts.unheard += unheard
        self._tries.pop(row.position, None)
        self._streaks.pop(row.topic_class, None)
        self._delivered.append(row.position)
        self._to_mark.set()

    def bad(self, row: Row, code: int) -> bool:
        """The broker refused it; answers whether it is worth another try."""
        self.counts.refused += code != NO_BODY
        self.counts.last_refusal = f"{row.topic_class} {row.epoch}-{row.seq}: {_why(code)}"
        tried = self._tries.get(row.position, 0) + 1
        streak = self._streaks.get(row.topic_class, 0)
        if code not in _HOPELESS and tried < self.policy.tries and streak < _STREAK:
            self._tries[row.position] = tried
            return True
        self._tries.pop(row.position, None)
        self._streaks[row.topic_class] = streak + 1
        self.counts.dead += 1
        self._dead.append((row, code))
        self._to_mark.set()
        return False

    def settled(self) -> None:
        """The drain has nothing in hand: quiet, once the store has it down."""
        if not self.unmarked:
            self._quiet.set()

    # --- marks ---

    async def _keep_marking(self) -> None:
        while True:
            await self._to_mark.wait()
            await self._mark_all()
            if self._drain is not None:
                self._drain.marked()

    async def _mark_all(self) -> None:
        self._to_mark.clear()
        while self._delivered:
            batch = self._delivered[:]
            await self._patiently(lambda done=batch: self._outbox.mark_delivered(done))  # type: ignore[misc]
            del self._delivered[: len(batch)]
        while self._dead:
            row, code = self._dead[0]
            await self._patiently(lambda row=row, code=code: self._outbox.mark_dead(row.position, code, _why(code)))  # type: ignore[misc]
            del self._dead[0]
            self._on_dead(row, _why(code))

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

    def marked(self) -> None:
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
            if not (self._flying or self._queue or self._express or self._stalled or self._backlog.more):
                self._relay.settled()
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
        while self._flying < self._window and self._relay.unmarked < _UNMARKED_LIMIT:
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
            self._relay.bad(row, NO_BODY)
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


def _why(code: int) -> str:
    return "the body is erased or damaged" if code == NO_BODY else reason_text(code)
