"""A small MQTT broker, 3.1.1 and 5, in memory: for simulations, tests and the refusals that other brokers never give.

It speaks real bytes over any link, has no tasks of its own, uses loop time only and no randomness, so that the same
run gives the same bytes. QoS 0 and 1; no shared subscriptions, no topic aliases, no authentication exchange (the
standard lets a server say so, and this one does). It keeps nothing on disk and is not a broker for a port.

Written from the OASIS standards MQTT 5.0 and MQTT 3.1.1; section numbers are those of MQTT 5.0.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from lanecontrol.links import Link
from sim.mqtt_connection import Connection, lifetime_s
from sim.mqtt_packets import V311, Connect, Outgoing, Publish, Reason, Will, Wish
from sim.mqtt_session import Parcel, Session, Subscription
from sim.mqtt_topics import matches, valid_filter

May = Callable[[str, Literal["pub", "sub"], str], bool]
"""Whether a client id may publish to a topic, or subscribe to a filter."""
Admits = Callable[[str, str, bytes], bool]
"""Whether a client id with this user name and password may come in."""

ROUTES_KEPT = 4096
"""How many topics' receivers are remembered."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Bounds of the broker."""

    receive_maximum: int = 100
    """How many QoS 1 publishes a client may have unacknowledged; told in CONNACK."""
    maximum_packet_bytes: int = 1024 * 1024
    max_sessions: int = 1000
    max_subscriptions: int = 1000
    """Per session."""
    retained_bytes: int = 64 * 1024 * 1024
    queue_bytes: int = 64 * 1024 * 1024
    """Messages waiting per session."""
    outbox_bytes: int = 32 * 1024 * 1024
    """Bytes waiting per connection."""
    window: int = 1000
    """How many QoS 1 messages are in flight to a client that allows more."""
    connect_timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class SubscribeResult:
    """The granted QoS or a refusal, and the retained messages to send."""

    reason: int
    retained: tuple[Parcel, ...] = ()


@dataclass(frozen=True, slots=True)
class _Route:
    """A session that takes a topic, and how."""

    session: Session
    qos: int
    no_local: bool
    as_published: bool
    identifiers: tuple[int, ...]


class MemoryBroker:
    """The broker. Hand `serve` to whatever listens."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        may: May = lambda client_id, action, topic: True,
        admits: Admits = lambda client_id, username, password: True,
    ) -> None:
        self.settings = settings or Settings()
        self.dropped = 0
        """Messages that a session had no room for."""
        self._may = may
        self._admits = admits
        self._sessions: dict[str, Session] = {}
        self._connections: dict[str, Connection] = {}
        self._timers: dict[str, list[asyncio.TimerHandle]] = {}
        self._delayed_wills: dict[str, Publish] = {}
        self._retained: dict[str, Parcel] = {}
        self._retained_bytes = 0
        self._routes: dict[str, tuple[_Route, ...]] = {}
        self._assigned = 0

    async def serve(self, link: Link) -> None:
        """Serve one client until it goes. Raises LinkLost, which is its normal end."""
        await Connection(self).run(link)

    @property
    def clients(self) -> tuple[str, ...]:
        """The ids of all connected clients."""
        return tuple(self._connections)

    def disconnect(self, client_id: str, reason: Reason = Reason.QUOTA_EXCEEDED) -> None:
        """Send a client away, for tests of the other side."""
        if connection := self._connections.get(client_id):
            connection.send_away(reason)

    # --- sessions ----------------------------------------------------------------------------------------------------

    def admit(self, connection: Connection, asked: Connect) -> Reason | None:
        """Take a client in, or answer why not (3.1.4)."""
        if refusal := self._refusal(asked):
            return refusal
        client_id = asked.client_id or self._assign_id()
        if other := self._connections.get(client_id):
            other.send_away(Reason.SESSION_TAKEN_OVER)
        kept = self._sessions.get(client_id)
        present = kept is not None and not asked.clean
        if kept is not None and not present:
            self._forget(client_id)
        if client_id not in self._sessions and not self._room_for_session():
            return Reason.QUOTA_EXCEEDED
        self._cancel_timers(client_id)
        self._delayed_wills.pop(client_id, None)  # back in time: there is no will to publish
        session = self._sessions.setdefault(client_id, Session(client_id, self.settings.queue_bytes))
        session.expiry_s, session.will = asked.session_expiry_s, asked.will
        session.window = min(asked.receive_maximum, self.settings.window)
        self._connections[client_id] = connection
        connection.welcome(session, asked, present=present)
        return None

    def _refusal(self, asked: Connect) -> Reason | None:
        if asked.auth_method:
            return Reason.BAD_AUTH_METHOD
        if not asked.client_id and asked.version == V311 and not asked.clean:
            return Reason.CLIENT_ID_NOT_VALID
        if not self._admits(asked.client_id, asked.username, asked.password):
            return Reason.BAD_CREDENTIALS
        will = asked.will
        if will and not self._may(asked.client_id, "pub", will.message.topic):
            return Reason.NOT_AUTHORIZED
        return None

    def _assign_id(self) -> str:
        self._assigned += 1
        return f"assigned-{self._assigned}"

    def _room_for_session(self) -> bool:
        if len(self._sessions) < self.settings.max_sessions:
            return True
        asleep = next((client_id for client_id in self._sessions if client_id not in self._connections), None)
        if asleep is not None:
            self._forget(asleep)
        return asleep is not None

    def left(self, connection: Connection, *, with_will: bool) -> None:
        """A client is gone, with or without a word."""
        session = connection.session
        assert session is not None
        client_id = session.client_id
        if self._connections.get(client_id) is connection:
            del self._connections[client_id]
        will, session.will = session.will, None
        keep_s = lifetime_s(session)
        if will and with_will:
            self._publish_will(session, will, keep_s)
        if keep_s is None:
            return
        if keep_s == 0:
            self._forget(client_id)
        else:
            self._later(client_id, keep_s, lambda: self._forget(client_id))

    def _publish_will(self, session: Session, will: Will, keep_s: float | None) -> None:
        """The will comes after its delay or at the end of the session, whichever is first (3.1.3.2.2)."""
        if will.delay_s and keep_s != 0:
            self._delayed_wills[session.client_id] = will.message
            self._later(session.client_id, will.delay_s, lambda: self._publish_delayed_will(session))
        else:
            self.publish(will.message, session)

    def _publish_delayed_will(self, session: Session) -> None:
        if will := self._delayed_wills.pop(session.client_id, None):
            self.publish(will, session)

    def _later(self, client_id: str, delay_s: float, deed: Callable[[], object]) -> None:
        self._timers.setdefault(client_id, []).append(asyncio.get_running_loop().call_later(delay_s, deed))

    def _cancel_timers(self, client_id: str) -> None:
        for timer in self._timers.pop(client_id, ()):
            timer.cancel()

    def _forget(self, client_id: str) -> None:
        self._cancel_timers(client_id)
        if session := self._sessions.pop(client_id, None):
            self._routes.clear()
            self._publish_delayed_will(session)

    # --- subscriptions -----------------------------------------------------------------------------------------------

    def subscribe(self, session: Session, wish: Wish, identifier: int) -> SubscribeResult:
        """Grant or refuse one filter (3.8.4); an existing one is replaced."""
        if refusal := self._subscribe_refusal(session, wish):
            return SubscribeResult(refusal)
        existed = wish.pattern in session.subscriptions
        session.subscriptions[wish.pattern] = Subscription(wish, identifier)
        self._routes.clear()
        if wish.retain_handling == 2 or (wish.retain_handling == 1 and existed):
            return SubscribeResult(wish.qos)
        return SubscribeResult(wish.qos, self._retained_for(wish, identifier))

    def _subscribe_refusal(self, session: Session, wish: Wish) -> Reason | None:
        if not valid_filter(wish.pattern):
            return Reason.FILTER_INVALID
        if wish.pattern.startswith("$share/"):
            return Reason.SHARED_NOT_SUPPORTED
        if not self._may(session.client_id, "sub", wish.pattern):
            return Reason.NOT_AUTHORIZED
        full = len(session.subscriptions) >= self.settings.max_subscriptions
        return Reason.QUOTA_EXCEEDED if full and wish.pattern not in session.subscriptions else None

    def _retained_for(self, wish: Wish, identifier: int) -> tuple[Parcel, ...]:
        now_s = asyncio.get_running_loop().time()
        identifiers = (identifier,) if identifier else ()
        found = [kept for topic, kept in self._retained.items() if matches(wish.pattern, topic)]
        return tuple(
            Parcel(Outgoing(kept.out.message, min(kept.out.qos, wish.qos), True, identifiers), kept.deadline_s)
            for kept in found
            if kept.deadline_s is None or kept.deadline_s > now_s
        )

    def unsubscribe(self, session: Session, pattern: str) -> Reason:
        """Take one filter away."""
        self._routes.clear()
        gone = session.subscriptions.pop(pattern, None)
        return Reason.SUCCESS if gone else Reason.NO_SUBSCRIPTION_EXISTED

    # --- messages ----------------------------------------------------------------------------------------------------

    def publish(self, message: Publish, publisher: Session) -> Reason:
        """Take a message over and hand it to every session that wants it; answers the PUBACK's reason (3.4.2.1)."""
        if not self._may(publisher.client_id, "pub", message.topic):
            return Reason.NOT_AUTHORIZED
        deadline_s = None
        if message.expiry_s is not None:
            deadline_s = asyncio.get_running_loop().time() + message.expiry_s
        if message.retain and not self._retain(message, deadline_s):
            return Reason.QUOTA_EXCEEDED
        routes = self._routes_of(message.topic)
        for route in routes:
            if not (route.no_local and route.session is publisher):
                self._hand_to(route, message, deadline_s)
        return Reason.SUCCESS if routes else Reason.NO_MATCHING_SUBSCRIBERS

    def _retain(self, message: Publish, deadline_s: float | None) -> bool:
        before = self._retained.get(message.topic)
        parcel = Parcel(Outgoing(message, message.qos, True), deadline_s)
        size = parcel.size if message.payload else 0
        total = self._retained_bytes - (before.size if before else 0) + size
        if size and total > self.settings.retained_bytes:
            return False
        self._retained_bytes = total
        self._retained.pop(message.topic, None)
        if size:  # an empty payload clears (3.3.1.3)
            self._retained[message.topic] = parcel
        return True

    def _routes_of(self, topic: str) -> tuple[_Route, ...]:
        known = self._routes.get(topic)
        if known is None:
            if len(self._routes) >= ROUTES_KEPT:
                self._routes.clear()
            found = (_route(session, topic) for session in self._sessions.values())
            known = self._routes[topic] = tuple(route for route in found if route)
        return known

    def _hand_to(self, route: _Route, message: Publish, deadline_s: float | None) -> None:
        qos, retain = min(message.qos, route.qos), message.retain and route.as_published
        parcel = Parcel(Outgoing(message, qos, retain, route.identifiers), deadline_s)
        connection = self._connections.get(route.session.client_id)
        kept = connection.deliver(parcel) if connection else not qos or route.session.queue(parcel)
        if not kept:
            self.dropped += 1


def _route(session: Session, topic: str) -> _Route | None:
    """How the session takes the topic: once, with the best QoS of all its filters that match (3.3.4)."""
    found = [each for pattern, each in session.subscriptions.items() if matches(pattern, topic)]
    if not found:
        return None
    return _Route(
        session,
        max(each.wish.qos for each in found),
        all(each.wish.no_local for each in found),
        any(each.wish.as_published for each in found),
        tuple(each.identifier for each in found if each.identifier),
    )
