"""Orders from the port: checked, given to the lane once, answered once.

The session hands every message below `cmd/` to `take`; the runner calls `answer` when the lane is done. What is
malformed, retained, late, repeated or meant for somebody else never reaches the lane: the sender is told why, and so is
the record. A repeat of an order that was answered gets that answer again, also after a restart: the record has it.
Nothing here waits, nothing is queued for later, and nothing raises on what a sender wrote.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from lanecontrol.announcements import OrderAnswered, OrderRejected
from lanecontrol.clock import Clock, Instant, RealWork
from lanecontrol.commands import Outcome, Result, Role
from lanecontrol.events import Event, OrderGiven
from lanecontrol.port.order_base import CommandPayload
from lanecontrol.port.order_payloads import Refusal, parse_command, reply_bytes
from lanecontrol.port.payloads import JSON
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import Message, Received, Transport

SOURCE = "port"
"""The source of the events given to the lane."""
AHEAD_LIMIT_S = 600.0
"""A deadline further ahead is refused: a key must be remembered until its deadline, and memory is bounded."""
PENDING_LIMIT = 64
"""Orders that the lane may have in hand at once; an officer gives one at a time."""
KEYS_LIMIT = 4096
"""Keys remembered: 6 orders a second for the whole of the time a deadline may lie ahead."""
REPLIES_LIMIT = 256
REPLY_KEPT_S = 60.0
"""A reply that could not be sent for so long is dropped: nobody waits for it any more."""
REJECTIONS_BURST = 50
REJECTIONS_PER_S = 1.0
"""Rejections recorded; more are counted and answered, but a flood must not fill the ledger."""


Emit = Callable[[str, Event], None]
"""The lane's inbox: source and event. Never blocks."""


@dataclass(frozen=True, slots=True)
class _Route:
    """Where the reply to an order goes; no topic where the sender named none."""

    topic: str
    correlation: bytes


@dataclass(frozen=True, slots=True)
class _Known:
    """A key that has been used, what for, and how it ended; `outcome` None while the lane has it in hand."""

    digest: str
    until_utc_s: float
    outcome: Outcome | None


@dataclass(slots=True)
class OrderCounts:
    """What came in since the start."""

    accepted: int = 0
    rejected: int = 0
    redelivered: int = 0
    """The broker's second copies of orders in hand: ignored, the answer comes."""
    repeated: int = 0
    """Orders that had been answered before, and got their answer again."""
    unrecorded: int = 0
    """Rejections beyond what is recorded."""
    replies_dropped: int = 0


class Orders:
    """The orders of one lane."""

    def __init__(
        self,
        address: LaneAddress,
        *,
        clock: Clock,
        emit: Emit,
        rejected: Callable[[OrderRejected], None],
        work: RealWork | None = None,
    ) -> None:
        self.counts = OrderCounts()
        self._address = address
        self._prefix = address.command("")
        self._clock = clock
        self._emit = emit
        self._rejected = rejected
        self._work = work or RealWork()
        self._routes: dict[str, _Route] = {}
        self._keys: dict[str, _Known] = {}
        self._latest: dict[tuple[str, str | None, str], tuple[float, float]] = {}
        """Of each person, tool and concern: when the newest order taken was issued, and until when that matters."""
        self._replies: deque[tuple[float, Message]] = deque()
        self._reply_waits = asyncio.Event()
        self._budget = _Budget(REJECTIONS_BURST, REJECTIONS_PER_S)

    def remember(self, answered: Iterable[OrderAnswered]) -> None:
        """Orders that were answered before a restart, from the ledger: a repeat is treated as ever."""
        for one in answered:
            outcome = Outcome(one.result, one.reason)
            self._keys[one.key] = _Known(one.digest, one.at_utc_s + AHEAD_LIMIT_S, outcome)

    # --- in ---

    def take(self, received: Received) -> None:
        """A message below `cmd/` came in."""
        verb = received.topic.removeprefix(self._prefix)
        route = self._response_route(received)
        try:
            if received.retained:
                raise Refusal("retained: an order is never kept for later")
            payload = parse_command(verb, received.payload)
            if not route.topic and payload.client is not None:
                route = replace(route, topic=self._address.reply(payload.client))
            self._accept(payload, received, route)
        except Refusal as refusal:
            self._refuse(received.topic, refusal, route)

    def _accept(self, payload: CommandPayload, received: Received, route: _Route) -> None:
        now = self._clock.now()
        digest = hashlib.sha256(received.topic.encode("utf-8", "replace") + b"\0" + received.payload).hexdigest()[:32]
        order = replace(payload.order(), digest=digest)
        if received.expiry_s is not None:
            order = replace(order, deadline_utc_s=min(order.deadline_utc_s, now.utc_s + received.expiry_s))
        if self._is_repeat(payload, received.topic, digest, route):
            return
        if why := self._objection(payload, order.deadline_utc_s, now):
            raise Refusal(why, key=payload.key, name=payload.by.name, role=payload.by.role)
        self.counts.accepted += 1
        self._keys[order.key] = _Known(digest, payload.deadline, None)
        if payload.issued is not None:
            self._latest.pop(_line_of(payload), None)
            self._latest[_line_of(payload)] = payload.issued, now.utc_s + AHEAD_LIMIT_S
        self._routes[order.key] = route
        self._work.outstanding += 1  # until answered
        self._emit(SOURCE, OrderGiven(order))

    def _is_repeat(self, payload: CommandPayload, topic: str, digest: str, route: _Route) -> bool:
        """The very message once more: while it is in hand, its answer comes; after that, its answer comes again."""
        known = self._keys.get(payload.key)
        if known is None or known.digest != digest:
            return False
        if known.outcome is None:
            self.counts.redelivered += 1
            return True
        self.counts.repeated += 1
        self._reply(route, payload.key, known.outcome, repeated=True)
        # How, the reply says: in the record that others read, a refusal because of a lookout must not show.
        self._record(topic, "repeated: answered before", payload.by.name, payload.by.role)
        return True

    def _objection(self, payload: CommandPayload, deadline_utc_s: float, now: Instant) -> str:
        """Why this order is not given to the lane; empty when it is.

        A clock that nobody disciplines is believed all the same: one that is wrong refuses, and the reason says so.
        What it could let through late is bounded by how wrong it is, and by the expiry that the broker counts.
        """
        now_utc_s = now.utc_s
        doubt = "" if now.synchronised else f" by the lane's clock ({now.iso()}), which is not synchronised"
        self._forget(now_utc_s)
        known = self._keys.get(payload.key)
        if payload.lane != self._address.lane:
            return f"foreign: meant for lane {payload.lane}, this is lane {self._address.lane}"
        if payload.by.simulated and not self._address.simulated:
            return "a simulated officer has no say over a real lane"
        if known is not None:
            answered = known.outcome is not None
            first = "for another order" if answered else "and its first use is being carried out"
            return f"repeated: this key was used before {first}"
        if deadline_utc_s <= now_utc_s:
            return f"late: the deadline was {now_utc_s - deadline_utc_s:.1f} s ago{doubt}"
        newest_s, _ = self._latest.get(_line_of(payload), (payload.issued or 0.0, 0.0))
        if payload.issued is not None and payload.issued < newest_s and not payload.withdraws:
            return "reordered: an order that the same person gave later was taken before"
        if payload.deadline > now_utc_s + AHEAD_LIMIT_S:
            return f"the deadline is more than {AHEAD_LIMIT_S:g} s ahead{doubt}"
        if len(self._routes) >= PENDING_LIMIT or len(self._keys) >= KEYS_LIMIT:
            return "busy: too many orders at once"
        return ""

    def _forget(self, now_utc_s: float) -> None:
        """Keys past their deadline: a repeat would be refused as late."""
        if len(self._keys) > KEYS_LIMIT // 2:
            gone = [
                key for key, known in self._keys.items() if known.outcome is not None and known.until_utc_s < now_utc_s
            ]
            for key in gone:
                del self._keys[key]
        while self._latest:  # the oldest first, as they stand in the order of their coming
            line = next(iter(self._latest))
            if self._latest[line][1] >= now_utc_s and len(self._latest) <= KEYS_LIMIT:
                break
            del self._latest[line]

    def _refuse(self, topic: str, refusal: Refusal, route: _Route) -> None:
        self.counts.rejected += 1
        self._reply(route, refusal.key, Outcome(Result.REFUSED, refusal.reason))
        self._record(topic, refusal.reason, refusal.name, refusal.role)

    def _record(self, topic: str, reason: str, name: str, role: Role | None) -> None:
        now = self._clock.now()
        if self._budget.spend(now.mono_s):
            self._rejected(_rejection(topic, reason, name, role, now.utc_s))
        else:
            self.counts.unrecorded += 1

    def _response_route(self, received: Received) -> _Route:
        """The MQTT 5 response topic, where it is one that we may be asked to write to."""
        topic = received.response_topic
        own = topic.startswith(f"{self._address.root}/") and not topic.startswith(self._address.reply(""))
        fit = topic and len(topic) <= 512 and not topic.startswith("$") and not any(c in "+#\0" for c in topic)
        return _Route(topic if fit and not own else "", received.correlation)

    # --- out ---

    def answer(self, key: str, outcome: Outcome) -> None:
        """The lane is done with the order under `key`. Never blocks; an unknown key is ignored."""
        route = self._routes.pop(key, None)
        if route is None:
            return
        self._work.outstanding -= 1
        self._keys[key] = replace(self._keys[key], outcome=outcome)
        self._reply(route, key, outcome)

    def _reply(self, route: _Route, key: str, outcome: Outcome, *, repeated: bool = False) -> None:
        if not route.topic:
            return
        if len(self._replies) >= REPLIES_LIMIT:
            self._replies.popleft()
            self.counts.replies_dropped += 1
        body = reply_bytes(key, outcome, self._address.lane, repeated=repeated)
        message = Message(route.topic, body, content_type=JSON, correlation=route.correlation)
        self._replies.append((self._clock.now().mono_s, message))
        self._reply_waits.set()

    async def send_replies(self, transport: Transport) -> None:
        """Send replies for the life of one connection. Raises LinkLost; what was not acknowledged is sent again."""
        while True:
            while self._replies:
                made_s, message = self._replies[0]
                if self._clock.now().mono_s - made_s > REPLY_KEPT_S:
                    self.counts.replies_dropped += 1
                else:
                    await transport.publish(message)
                if self._replies and self._replies[0][1] is message:  # it may have been dropped meanwhile
                    self._replies.popleft()
            self._reply_waits.clear()
            await self._reply_waits.wait()


def _line_of(payload: CommandPayload) -> tuple[str, str | None, str]:
    """Orders among which the newer one counts: of one person, by one tool, about one thing."""
    return payload.by.name, payload.client, payload.concern


def _rejection(topic: str, reason: str, name: str, role: Role | None, at_utc_s: float) -> OrderRejected:
    shown = "".join(c if c.isprintable() else "?" for c in topic[:200])
    return OrderRejected(shown, reason, name, role, at_utc_s)


class _Budget:
    """So many at once, and so many a second in the long run."""

    def __init__(self, burst: float, per_s: float) -> None:
        self._burst = self._left = burst
        self._per_s = per_s
        self._at_s: float | None = None

    def spend(self, now_s: float) -> bool:
        """Whether there is one left; takes it."""
        if self._at_s is not None:
            self._left = min(self._burst, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True
