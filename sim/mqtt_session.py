"""What a broker keeps for one client id: subscriptions, messages in flight, messages waiting. Bounded; does no I/O."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from sim.mqtt_packets import Outgoing, Will, Wish

OVERHEAD_BYTES = 200
"""What a waiting message costs beside its topic and payload, about."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A granted filter, with its subscription identifier (0: none)."""

    wish: Wish
    identifier: int


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message for one session and when it stops being worth sending (loop time)."""

    out: Outgoing
    deadline_s: float | None

    @property
    def size(self) -> int:
        message = self.out.message
        return len(message.topic) + len(message.payload) + len(message.properties) + OVERHEAD_BYTES

    def left_s(self, now_s: float) -> int | None:
        """Whole seconds of life left, at least one; None for ever."""
        return None if self.deadline_s is None else max(1, math.ceil(self.deadline_s - now_s))


class Session:
    """State of one client id, connected or not."""

    def __init__(self, client_id: str, queue_limit_bytes: int) -> None:
        self.client_id = client_id
        self.subscriptions: dict[str, Subscription] = {}
        self.expiry_s = 0
        self.window = 0xFFFF
        self.will: Will | None = None
        self._queue_limit_bytes = queue_limit_bytes
        self._queued_bytes = 0
        self._queue: deque[Parcel] = deque()
        self._in_flight: dict[int, Parcel] = {}
        self._last_id = 0

    def send_at_once(self, parcel: Parcel) -> int | None:
        """The packet id (0 for QoS 0) when nothing is before this message and the window allows it, else None."""
        if self._queue or (parcel.out.qos and len(self._in_flight) >= self.window):
            return None
        return self._take_id(parcel) if parcel.out.qos else 0

    def queue(self, parcel: Parcel) -> bool:
        """Keep a message until it can be sent; False when there is no room."""
        if self._queued_bytes + parcel.size > self._queue_limit_bytes:
            return False
        self._queue.append(parcel)
        self._queued_bytes += parcel.size
        return True

    def due(self, now_s: float) -> Iterator[tuple[int, Parcel]]:
        """Messages that may be sent now, with their packet ids; they count as in flight. Expired ones are dropped."""
        while self._queue and (len(self._in_flight) < self.window or not self._queue[0].out.qos):
            parcel = self._queue.popleft()
            self._queued_bytes -= parcel.size
            if parcel.deadline_s is not None and parcel.deadline_s <= now_s:
                continue
            yield (self._take_id(parcel) if parcel.out.qos else 0), parcel

    def _take_id(self, parcel: Parcel) -> int:
        while True:
            self._last_id = self._last_id % 0xFFFF + 1
            if self._last_id not in self._in_flight:
                self._in_flight[self._last_id] = parcel
                return self._last_id

    def unacknowledged(self) -> tuple[tuple[int, Parcel], ...]:
        """What was sent and not acknowledged, in the order of sending."""
        return tuple(self._in_flight.items())

    def acknowledge(self, packet_id: int) -> bool:
        """The client has it; False for an id that is not in flight."""
        return self._in_flight.pop(packet_id, None) is not None
