"""Cards read in several lanes of a port: keyed hashes out, hashes of other lanes in, matches to the lane.

A lane publishes below `neighbour/<lane>/cards` which cards its passages have, as keyed hashes that mean the same in
every lane of the port for a day, and hears what the others publish. What matches a card of its own within a minute is
given to the lane core; everything else is forgotten. Nothing is kept on disk and no number leaves the lane here.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import ValidationError

from lanecontrol import forms
from lanecontrol.clock import Clock
from lanecontrol.events import CardElsewhere, Event
from lanecontrol.identifier import HashKey, Identifier, keyed_hash
from lanecontrol.lane.effects import ShowCards
from lanecontrol.lane.elsewhere import APART_S
from lanecontrol.port.payloads import JSON
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import Message, Received, Transport

SOURCE = "neighbours"
KEPT = 2048
"""Cards remembered: a minute of the busiest lane is a few dozen, of twenty lanes some hundreds."""
WAITING_LIMIT = 64
MAX_CARDS = 32
BODY_LIMIT_BYTES = 8 * 1024


@dataclass(frozen=True, slots=True)
class ShownCard:
    """A card by its keyed hash, and what speaks for its being in a vehicle of that lane."""

    hash: str
    score: float


@dataclass(frozen=True, slots=True)
class ShownCards:
    """Cards of one passage."""

    lane: str
    cards: tuple[ShownCard, ...]


@dataclass(frozen=True, slots=True)
class _Theirs:
    lane: str
    score: float
    at_s: float


class Neighbours:
    """What one lane tells the others, and hears of them."""

    def __init__(self, address: LaneAddress, *, key: HashKey, clock: Clock, emit: Callable[[str, Event], None]) -> None:
        self.topics: tuple[str, ...] = (address.neighbour("+"),)
        self.refused = 0
        """Messages that made no sense."""
        self._address = address
        self._key = key
        self._clock = clock
        self._emit = emit
        self._ours: dict[str, tuple[Identifier, float]] = {}
        self._theirs: dict[tuple[str, str], _Theirs] = {}
        self._waiting: deque[tuple[float, Message]] = deque()
        self._waits = asyncio.Event()

    def show(self, shown: ShowCards) -> None:
        """A passage of ours has these cards. Never blocks."""
        now_s = self._clock.now().mono_s
        self._forget(now_s)
        cards = []
        for number, score in shown.cards[:MAX_CARDS]:
            name = keyed_hash(self._key, number.number)
            self._ours[name] = (number, now_s)
            cards.append(ShownCard(name, round(score, 4)))
            for other in [t for (seen, _), t in self._theirs.items() if seen == name]:
                self._match(number, other, now_s)
        body = forms.to_json(ShownCards(self._address.lane, tuple(cards)))
        message = Message(self._address.neighbour(self._address.lane), body, content_type=JSON, expiry_s=round(APART_S))
        self._waiting.append((now_s, message))
        while len(self._waiting) > WAITING_LIMIT:
            self._waiting.popleft()
        self._waits.set()

    def take(self, received: Received) -> None:
        """Another lane's cards. Never raises."""
        lane = received.topic.removesuffix("/cards").rpartition("/")[2]
        if lane == self._address.lane:
            return  # the broker's copy of our own
        cards = None if received.retained else _parsed(received.payload)
        if cards is None or cards.lane != lane:
            self.refused += 1
            return
        now_s = self._clock.now().mono_s
        self._forget(now_s)
        for card in cards.cards[:MAX_CARDS]:
            theirs = _Theirs(lane, card.score, now_s)
            self._theirs[card.hash, lane] = theirs
            ours = self._ours.get(card.hash)
            if ours is not None:
                self._match(ours[0], theirs, ours[1])

    def _match(self, number: Identifier, theirs: _Theirs, ours_s: float) -> None:
        apart_s = abs(theirs.at_s - ours_s)
        self._emit(SOURCE, CardElsewhere(number, theirs.lane, theirs.score, apart_s))

    def _forget(self, now_s: float) -> None:
        """Older than a minute, or too many: the oldest go."""
        since_s = now_s - APART_S
        self._ours = dict([row for row in self._ours.items() if row[1][1] >= since_s][-KEPT:])
        self._theirs = dict([row for row in self._theirs.items() if row[1].at_s >= since_s][-KEPT:])

    async def send(self, transport: Transport) -> None:
        """Send for the life of one connection. Raises LinkLost. What is older than a minute is not sent."""
        while True:
            while self._waiting:
                made_s, message = self._waiting.popleft()
                if self._clock.now().mono_s - made_s <= APART_S:
                    await transport.publish(message)
            self._waits.clear()
            await self._waits.wait()


def _parsed(body: bytes) -> ShownCards | None:
    if len(body) > BODY_LIMIT_BYTES:
        return None
    try:
        return forms.from_plain(ShownCards, json.loads(body))
    except (ValidationError, ValueError, RecursionError):
        return None
