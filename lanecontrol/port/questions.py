"""Questions of a lane to the port's central system: sent, matched with their answers, given to the lane.

The runner hands every `Ask` to `ask`, the session every message below `answer/` to `take`. A question that cannot be
sent at once is dropped when its deadline passes; nothing is repeated and nothing waits: the lane counts the time
itself. An answer is believed only if it was asked for, comes in time, is meant for this lane and was not retained;
anything else is counted and dropped. Nothing here logs a number.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from lanecontrol.clock import Clock
from lanecontrol.events import Answered, Event
from lanecontrol.lane.effects import Ask
from lanecontrol.port.payloads import JSON
from lanecontrol.port.question_payloads import parse_answer, question_bytes
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import Message, Received, Transport
from lanecontrol.questions import AskKind, Enrolments, Lookouts, Question, Respondent

SOURCE = "port"
"""The source of the answers given to the lane."""
WAITING_LIMIT = 64
"""Questions that may wait to be sent, or to be answered."""
GRACE_S = 5.0
"""An answer that comes so long after its deadline is still known for what it is, and dropped as late."""


class Lookup(Protocol):
    """The local snapshot: answers from memory, or None when it has nothing that may be used."""

    def __call__(self, question: Question) -> Enrolments | Lookouts | None: ...


def nothing_here(question: Question) -> None:
    """A lane without a snapshot."""


@dataclass(slots=True)
class AskCounts:
    """Since the start."""

    asked: int = 0
    """Questions to central that were sent."""
    unsent: int = 0
    """Questions that could not be sent in time."""
    answered: int = 0
    late: int = 0
    refused: int = 0
    """Answers that were malformed, retained, foreign, or to nothing that was asked."""
    snapshot: int = 0
    """Questions that the snapshot answered."""


@dataclass(frozen=True, slots=True)
class _Open:
    kind: AskKind
    until_s: float


class Asker:
    """The questions of one lane."""

    def __init__(
        self,
        address: LaneAddress,
        *,
        lane_type: str,
        direction: str,
        clock: Clock,
        emit: Callable[[str, Event], None],
        snapshot: Lookup = nothing_here,
    ) -> None:
        self.counts = AskCounts()
        self.topics: tuple[str, ...] = (address.answer("+"),)
        self._address = address
        self._lane_type = lane_type
        self._direction = direction
        self._clock = clock
        self._emit = emit
        self._snapshot = snapshot
        self._open: dict[str, _Open] = {}
        self._waiting: deque[tuple[float, Message]] = deque()
        self._waits = asyncio.Event()

    @property
    def awaited(self) -> int:
        """Questions to central that can still be answered in time."""
        now_s = self._clock.now().mono_s
        return sum(one.until_s > now_s for one in self._open.values())

    # --- out ---

    def ask(self, ask: Ask) -> None:
        """Ask, now. Never blocks."""
        if ask.of is Respondent.SNAPSHOT:
            answer = self._snapshot(ask.question)
            self.counts.snapshot += answer is not None
            self._emit(SOURCE, Answered(ask.question.id, Respondent.SNAPSHOT, answer))
            return
        until_s = self._clock.now().mono_s + ask.within_s
        self._remember(ask.question, until_s)
        if len(self._waiting) >= WAITING_LIMIT:
            self._waiting.popleft()
            self.counts.unsent += 1
        self._waiting.append((until_s, self._message(ask)))
        self._waits.set()

    def _remember(self, question: Question, until_s: float) -> None:
        now_s = self._clock.now().mono_s
        self._open = {name: one for name, one in self._open.items() if one.until_s + GRACE_S > now_s}
        while len(self._open) >= WAITING_LIMIT:
            del self._open[next(iter(self._open))]
        self._open[question.id] = _Open(question.kind, until_s)

    def _message(self, ask: Ask) -> Message:
        kind = ask.question.kind.value
        body = question_bytes(
            ask.question,
            lane=self._address.lane,
            lane_type=ask.question.lane_type or self._lane_type,
            direction=self._direction,
            deadline_utc_s=ask.deadline_utc_s,
        )
        return Message(
            self._address.ask(kind),
            body,
            content_type=JSON,
            response_topic=self._address.answer(kind),
            correlation=ask.question.id.encode(),
            expiry_s=max(1, math.ceil(ask.within_s)),
        )

    async def send(self, transport: Transport) -> None:
        """Send questions for the life of one connection. Raises LinkLost."""
        while True:
            while self._waiting:
                until_s, message = self._waiting.popleft()
                if self._clock.now().mono_s >= until_s:
                    self.counts.unsent += 1
                    continue
                self.counts.asked += 1
                # Not waited for: a question behind it is as urgent. That nobody took it shows in there being no answer.
                transport.begin(message).add_done_callback(_heed)
            self._waits.clear()
            await self._waits.wait()

    # --- in ---

    def take(self, received: Received) -> None:
        """A message below `answer/` came in. Never raises."""
        payload = None if received.retained else parse_answer(received.payload)
        asked = self._open.get(payload.id) if payload is not None else None
        if payload is None or asked is None or not self._fits(received, asked, payload.id, payload.kind, payload.lane):
            self.counts.refused += 1
            return
        del self._open[payload.id]
        if self._clock.now().mono_s > asked.until_s:
            self.counts.late += 1
            return
        self.counts.answered += 1
        self._emit(SOURCE, Answered(payload.id, Respondent.CENTRAL, payload.answer()))

    def _fits(self, received: Received, asked: _Open, name: str, kind: AskKind, lane: str) -> bool:
        """Asked for, of this kind, by this lane; with correlation data, if there are any, that say the same."""
        here = received.topic == self._address.answer(kind.value)
        same = received.correlation in (b"", name.encode())
        return here and same and kind is asked.kind and lane == self._address.lane


def _heed(done: asyncio.Future[int]) -> None:
    """What became of a question is of no interest; that its connection was lost the session learns by itself."""
    if not done.cancelled():
        done.exception()
