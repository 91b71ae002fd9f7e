"""Notices to all lanes of a port at once: today the divert notice, `notice/divert`.

A notice is a state, not an order: it may be retained, so that a lane that was away hears of it, and it always has an
end, so that none outlives its time. What is malformed, foreign, of nobody entitled or out of date never reaches the
lane. Which of several notices counts is the lane's to say (`lane.divert`). Nothing here raises on what a sender wrote.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Annotated, Any, Never

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from lanecontrol.announcements import OrderRejected
from lanecontrol.clock import Clock, Instant, utc_text
from lanecontrol.commands import Actor
from lanecontrol.events import DivertHeard, Event
from lanecontrol.lane.authority import DIVERTING
from lanecontrol.lane.regime_state import LONGEST_DIVERT_S
from lanecontrol.port.order_base import By, Level, Text, UtcSeconds
from lanecontrol.port.order_payloads import BODY_LIMIT_BYTES
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import Received, Transport

SOURCE = "port"
DIVERT = "divert"
AHEAD_S = 120.0
"""Issued by a clock that is ahead of ours by more: not believed."""
REJECTIONS_APART_S = 10.0
"""Of more than that, one is recorded: a flood must not fill the ledger."""


class DivertNotice(BaseModel):
    """Traffic is sent elsewhere, or no longer."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    key: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
    """What the notice is called."""
    port: Level
    """The port that it is meant for."""
    active: bool
    """Traffic is diverted; False ends it."""
    reason: Text = ""
    """Why."""
    to: Text = ""
    """Where traffic is sent, in plain words."""
    lanes: Annotated[tuple[Level, ...], Field(max_length=256)] = ()
    """Which lanes are meant; every one if it is left out."""
    by: By
    """Who says so: a supervisor, or central."""
    issued: UtcSeconds
    """When it was given. Of several notices the one issued last counts."""
    until: UtcSeconds
    """It ends by itself then, a day after it was issued at the latest."""


class Notices:
    """What one lane hears of its port's notices."""

    def __init__(
        self,
        address: LaneAddress,
        *,
        clock: Clock,
        emit: Callable[[str, Event], None],
        rejected: Callable[[OrderRejected], None],
    ) -> None:
        self.topics: tuple[str, ...] = (address.notice(DIVERT),)
        self.refused = 0
        self._address = address
        self._clock = clock
        self._emit = emit
        self._rejected = rejected
        self._recorded_s = float("-inf")

    def take(self, received: Received) -> None:
        """A notice came in. Never raises."""
        if not received.payload:
            return  # the retained one was cleared away
        now = self._clock.now()
        notice = _parsed(received.payload)
        why = "malformed" if notice is None else self._objection(notice, received, now)
        if why or notice is None:
            self._refuse(received, notice, why, now)
        elif not notice.lanes or self._address.lane in notice.lanes:
            until_utc_s = notice.until if now.synchronised else now.utc_s + _holds_s(notice, received)
            words = notice.active, notice.reason, notice.to
            self._emit(SOURCE, DivertHeard(notice.key, *words, notice.by.actor(), notice.issued, until_utc_s))

    def _objection(self, notice: DivertNotice, received: Received, now: Instant) -> str:
        if notice.port != self._address.port:
            return f"foreign: meant for port {notice.port}, this is {self._address.port}"
        if notice.by.role not in DIVERTING.roles:
            return DIVERTING.refusal
        if notice.by.simulated and not self._address.simulated:
            return "a simulated one has no say over a real lane"
        if not notice.issued < notice.until <= notice.issued + LONGEST_DIVERT_S:
            return "a notice ends after it was issued, and a day later at the latest"
        if received.retained and received.expiry_s is None and not now.synchronised:
            return "retained, and the lane's clock is not synchronised: it may be out of date"
        if now.synchronised and notice.issued > now.utc_s + AHEAD_S:
            return "issued in the future"
        late = notice.active and now.synchronised and notice.until <= now.utc_s
        return "late: its time is over" if late else ""

    def _refuse(self, received: Received, notice: DivertNotice | None, why: str, now: Instant) -> None:
        self.refused += 1
        if received.retained or now.mono_s < self._recorded_s + REJECTIONS_APART_S:
            return  # it comes again with every connection
        self._recorded_s = now.mono_s
        name, role = ("", None) if notice is None else (notice.by.name, notice.by.role)
        self._rejected(OrderRejected(received.topic[:200], why, name, role, now.utc_s))

    async def send(self, transport: Transport) -> Never:
        """Nothing is sent: waits for the connection's end, without a limit."""
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")


def _holds_s(notice: DivertNotice, received: Received) -> float:
    """For how long, where our own clock cannot tell."""
    whole_s = notice.until - notice.issued
    return whole_s if received.expiry_s is None else min(whole_s, received.expiry_s)


def notice_bytes(
    key: str,
    port: str,
    *,
    active: bool,
    actor: Actor,
    issued_utc_s: float,
    until_utc_s: float,
    reason: str = "",
    to: str = "",
    lanes: tuple[str, ...] = (),
) -> bytes:
    """A divert notice as JSON. Raises ValueError for one that no lane would take."""
    by: dict[str, Any] = {"name": actor.name, "role": actor.role.value}
    if actor.simulated:
        by["simulated"] = True
    body = {"key": key, "port": port, "active": active, "reason": reason, "to": to, "lanes": list(lanes), "by": by}
    times = {"issued": utc_text(issued_utc_s), "until": utc_text(until_utc_s)}
    made = json.dumps({**body, **times}, separators=(",", ":")).encode()
    if _parsed(made) is None or not issued_utc_s < until_utc_s <= issued_utc_s + LONGEST_DIVERT_S:
        raise ValueError("a notice needs a port, texts of at most 1000 characters, and an end within 24 hours")
    return made


def _parsed(body: bytes) -> DivertNotice | None:
    if len(body) > BODY_LIMIT_BYTES:
        return None
    try:
        return DivertNotice.model_validate_json(body)
    except ValidationError:
        return None
