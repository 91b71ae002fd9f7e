"""One connection's worth of relaying: which row goes next, how many are in flight, what waits for a better moment.

Made by the relay for each connection, and ended with it. Keeps the order of each class, lets the live events of a class
that asks for it overtake its backlog, and slows the backlog down to its declared rate.
"""

from __future__ import annotations

import asyncio
from bisect import insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lanecontrol.ledger.records import START, Position
from lanecontrol.port.outbox import Waiting
from lanecontrol.port.payloads import CONTENT_TYPE
from lanecontrol.port.topics import BACKLOG_PROPERTY, CLASSES
from lanecontrol.port.transport import NO_SUBSCRIBERS, REFUSED, Message, Sink, Transport

if TYPE_CHECKING:
    from lanecontrol.port.relay import Relay

_BATCH = 125
"""Rows per read: their bodies are copied several times, and of more than some 100 KiB the processor's cache holds only
a part: reading 500 at once takes half as long again for each."""
_LOW = 500
"""More is fetched when fewer are in hand: so many are sent while the disk is asked."""
_PARKED_LIMIT = 2000
"""Rows kept in memory while their classes wait; beyond it nothing more is fetched until some have been settled."""
_WORTH_TELLING = 1000
"""A backlog of so many events is announced, and announced again when it is through."""
REPEAT_LIMIT = 500
"""Delivered events, and those under way, of which the disk does not know yet: so many may a crash repeat."""
_TICK_S = 0.001
"""Timers may fire this much early, by rounding."""


@dataclass(slots=True)
class _Stalled:
    """A class that waits: refused rows and those that came after them, in order."""

    until_s: float
    waiting: list[Waiting] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None


class _Pace:
    """No more than so many per second, evenly, with at most a tenth of a second's worth at once. 0: without limit."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._burst_s = max(0.1, 1.0 / per_s) if per_s else 0.0
        self._next_s = 0.0

    def wait_s(self, now_s: float) -> float:
        """How long the next one has to wait; 0 counts it as gone."""
        if not self._per_s:
            return 0.0
        wait_s = self._next_s - now_s - self._burst_s
        if wait_s > _TICK_S:
            return wait_s
        self._next_s = max(self._next_s, now_s) + 1.0 / self._per_s
        return 0.0


@dataclass(slots=True)
class _Feed:
    """A place in the outbox, and whether there may be more after it."""

    after: Position
    more: bool = True


class Drain:
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
        self._hungry = asyncio.Event()
        self._filling = False
        self._good: list[Waiting] = []
        """Taken by the broker, not settled yet."""
        self._in_rounds = transport.after_answers(self._answers_told)
        self._sink = Sink(self._good.append if self._in_rounds else self._taken, self._not_taken)
        self._backlog = _Feed(START)
        self._live = _Feed(head)
        self._queue: deque[Waiting] = deque()
        self._express: deque[Waiting] = deque()
        self._overtaken: set[Position] = set()
        self._careful = relay.policy.receipts
        """What is fetched may be under way already."""
        self._stalled: dict[str, _Stalled] = {}
        self._flying: set[Position] = set()
        self._messages: dict[tuple[str, bool], Message] = {}
        self._pace = _Pace(relay.policy.backlog_per_s)
        self._paced = relay.policy.backlog_per_s > 0
        self._pause: asyncio.TimerHandle | None = None
        self._backlog_left = relay.waiting_to_be_sent
        self._began_s = self._loop.time()
        if self._backlog_left >= _WORTH_TELLING:
            relay.on_backlog(self._backlog_left, None)
        self._told = self._backlog_left
        self._lost: BaseException | None = None
        self._ended = False

    def committed(self) -> None:
        self._backlog.more = self._live.more = True
        self._hungry.set()
        self._wake.set()

    def end(self) -> None:
        self._ended = True
        self._settle()
        for stalled in self._stalled.values():
            if stalled.timer is not None:
                stalled.timer.cancel()
        if self._pause is not None:
            self._pause.cancel()

    def rewind(self) -> None:
        """Look through the outbox from its beginning again: some of what was sent has to be sent once more."""
        self._backlog, self._live = _Feed(START), _Feed(self._head)
        self._queue.clear()
        self._express.clear()
        self._overtaken.clear()
        self._careful = True
        for stalled in self._stalled.values():
            stalled.waiting.clear()
        self._hungry.set()

    async def pump(self) -> None:
        """Send what is in hand, until the connection is lost."""
        while True:
            self._wake.clear()
            self._fill()
            if self._lost is not None:
                raise self._lost
            if self._relay.room(0) <= 0 and self._relay.must_be_marked:
                await self._relay.marked()
            else:
                # Without a limit: a fetch, a retry's timer or the end of the connection wakes it. A PUBACK need not.
                await self._wake.wait()

    # --- taking rows ---

    async def feed(self) -> None:
        """Have enough in hand to send."""
        while True:
            self._hungry.clear()
            if await self._fetch():
                self._wake.set()
            else:
                # Without a limit: a commit, or having sent most of what was in hand, wakes it.
                await self._hungry.wait()

    async def _fetch(self) -> bool:
        """Get more rows if there may be some and there is room for them; answers whether any came."""
        got = False
        if self._live.more and (self._behind or self._queue_is_old) and len(self._express) < _BATCH:
            got = await self._look_ahead()
        parked = sum(len(stalled.waiting) for stalled in self._stalled.values())
        if self._backlog.more and len(self._queue) < _LOW and parked < _PARKED_LIMIT:
            feed = self._backlog
            rows = await self._next_rows(feed)
            if feed is not self._backlog:
                return True  # rewound meanwhile
            if len(rows) < _BATCH:  # all there was, so what was recorded before this connection is in hand
                feed.after = max(feed.after, self._head)
            self._take(rows)
            got = got or bool(rows)
        return got

    def _take(self, rows: Sequence[Waiting]) -> None:
        if not self._overtaken and not self._careful and (not rows or rows[-1].position <= self._head):
            self._queue.extend(rows)
            return
        for row in rows:
            if self._is_to_be_sent(row.position):
                hurries = row.position > self._head and self._queue_is_old and _overtakes(row.topic_class)
                (self._express if hurries else self._queue).append(row)
        self._overtaken.difference_update([row.position for row in rows])

    @property
    def _behind(self) -> bool:
        """The backlog has not been taken in yet up to where the live events begin."""
        return self._backlog.after < self._live.after

    @property
    def _queue_is_old(self) -> bool:
        """What goes next is backlog: it may have to keep to its rate."""
        return bool(self._queue) and self._queue[0].position <= self._head

    async def _look_ahead(self) -> bool:
        self._live.after = max(self._live.after, self._backlog.after)  # what the backlog has taken in is in hand
        rows = await self._next_rows(self._live)
        hurried = [row for row in rows if _overtakes(row.topic_class) and self._is_to_be_sent(row.position)]
        self._overtaken.update(row.position for row in hurried)
        self._express.extend(hurried)
        return bool(rows)

    async def _next_rows(self, feed: _Feed) -> Sequence[Waiting]:
        feed.more = False  # before asking, so that a commit during the answer is not missed
        rows = await self._relay.fetch(feed.after, _BATCH)
        if rows:
            feed.after = rows[-1].position
            feed.more = feed.more or len(rows) == _BATCH
        return rows

    def _is_to_be_sent(self, position: Position) -> bool:
        """Not so if it went ahead already, or is under way: seen when the outbox is looked through again."""
        return not (position in self._overtaken or position in self._flying or position in self._relay.receipts.waiting)

    # --- sending ---

    def _fill(self) -> None:
        """Send until the window is full, or nothing may or need be sent."""
        if self._filling or self._ended:  # a message refused on the spot is answered while it is being sent
            return
        self._filling = True
        # While the broker has work enough, a few more are not worth a packet of their own.
        least = self._window // 4 if self._flying else 0
        while self._lost is None and (room := self._room()) > least:
            if not self._send_some(room):
                break
        self._filling = False
        if (self._backlog.more and len(self._queue) < _LOW) or self._live.more:
            self._hungry.set()

    def _room(self) -> int:
        """How many more may be sent now."""
        flying = len(self._flying)
        room = self._relay.room(flying)
        if room <= 0 and not flying and self._relay.must_be_marked:
            self._wake.set()  # no answer will come to send more at
        return min(room, self._window - flying)

    def _send_some(self, count: int) -> bool:
        """Send so many; answers whether there were so many."""
        rows = self._next_rows_in_hand(count)
        messages, head = self._messages, self._head
        batch: list[tuple[Message, bytes, Waiting]] = []
        for row in rows:
            body, kind = row.body, (row.topic_class, row.position <= head)
            if body is None:
                self._relay.unreadable(row)
                self._less((row,))
            else:
                batch.append((messages.get(kind) or self._message(*kind), body, row))
        if batch:
            self._flying.update([row.position for _, _, row in batch])
            self._relay.counts.sent += len(batch)
            self._transport.send(batch, self._sink)
        return len(rows) == count

    def _next_rows_in_hand(self, count: int) -> Sequence[Waiting]:
        """The next rows to be sent, up to `count`."""
        queue = self._queue
        if not (self._stalled or self._express or self._paced):
            return [queue.popleft() for _ in range(min(count, len(queue)))]
        rows: list[Waiting] = []
        while len(rows) < count and (row := self._next()) is not None:
            rows.append(row)
        return rows

    def _next(self) -> Waiting | None:
        if self._stalled and (row := self._resumed()) is not None:
            return row
        for source in (self._express, self._queue):
            while source:
                if self._paced and source[0].position <= self._head and self._must_pause():
                    return None
                row = source.popleft()
                if row.topic_class not in self._stalled:
                    return row
                insort(self._stalled[row.topic_class].waiting, row, key=_position)
        return None

    def _must_pause(self) -> bool:
        """Whether the backlog has to wait, so as not to go faster than it may."""
        wait_s = self._pace.wait_s(self._loop.time())
        if wait_s and (self._pause is None or self._pause.when() <= self._loop.time()):
            self._pause = self._loop.call_later(wait_s, self._wake.set)
        return wait_s > 0

    def _resumed(self) -> Waiting | None:
        """The next row of a class whose wait is over."""
        now_s = self._loop.time()
        for topic_class, stalled in list(self._stalled.items()):
            if stalled.until_s <= now_s + _TICK_S:
                if stalled.waiting:
                    return stalled.waiting.pop(0)
                del self._stalled[topic_class]
        return None

    def _message(self, topic_class: str, old: bool) -> Message:
        """All that messages of a class have in common."""
        properties = (BACKLOG_PROPERTY,) if old else ()
        message = Message(self._relay.topic(topic_class), b"", content_type=CONTENT_TYPE, user_properties=properties)
        self._messages[topic_class, old] = message
        return message

    def _taken(self, row: Waiting) -> None:
        self._good.append(row)
        if not self._in_rounds:
            self._answers_told()

    def _not_taken(self, row: Waiting, outcome: int | BaseException) -> None:
        self._flying.discard(row.position)
        if isinstance(outcome, int):
            self._answered_otherwise(row, outcome)
        else:
            self._lost = self._lost or outcome
            self._wake.set()
        if not self._in_rounds:
            self._answers_told()

    def _answers_told(self) -> None:
        """All that were told together have been noted: settle them, and send as many again."""
        self._settle()
        self._fill()

    def _settle(self) -> None:
        if self._good:
            good = self._good[:]
            self._good.clear()
            self._flying.difference_update([row.position for row in good])
            self._relay.good(good, unheard=False)
            self._less(good)

    def _answered_otherwise(self, row: Waiting, code: int) -> None:
        if code >= REFUSED:
            if self._relay.bad(row, code):
                self._stall(row, self._relay.policy.retry_s)
            else:
                self._less((row,))
        elif code == NO_SUBSCRIBERS and row.topic_class in self._relay.policy.hold:
            self._relay.counts.unheard += 1
            self._stall(row, self._relay.policy.hold_s)
        else:
            self._relay.good((row,), unheard=code == NO_SUBSCRIBERS)
            self._less((row,))

    def _less(self, rows: Sequence[Waiting]) -> None:
        """Tell when all of a backlog worth mentioning is through."""
        if self._backlog_left:
            self._backlog_left = max(0, self._backlog_left - sum(row.position <= self._head for row in rows))
            if not self._backlog_left and self._told >= _WORTH_TELLING:
                self._relay.on_backlog(self._told, self._loop.time() - self._began_s)

    def _stall(self, row: Waiting, wait_s: float) -> None:
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


def _position(row: Waiting) -> Position:
    return row.position
