"""Orders and their answers, the ledger and what became of its events: classes `audit`, `store`."""

from __future__ import annotations

from dataclasses import dataclass

from lanecontrol.commands import Actor, Result, Role

# --- class `audit` ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OrderAnswered:
    """Somebody asked something of the lane, and how that ended. `digest` names the message that it came in."""

    key: str
    request: str
    actor: Actor
    result: Result
    reason: str
    at_utc_s: float
    digest: str = ""


@dataclass(frozen=True, slots=True)
class OrderRejected:
    """A message that asked for something was malformed, foreign, late, repeated or not allowed."""

    topic: str
    reason: str
    claimed_name: str
    claimed_role: Role | None
    at_utc_s: float


# --- class `store` ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ChainHead:
    """How far the ledger's hash chain has come, and its value there (hex): nothing up to here can be cut off unseen."""

    epoch: int
    seq: int
    link: str
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class EventsGivenUp:
    """Events that the store had to give up undelivered, by its declared policy: `count` of one class in a span.

    Numbers of 0 stand for events that never got one: the disk failed, and too much waited for it already.
    """

    topic_class: str
    epoch: int
    first_seq: int
    last_seq: int
    count: int
    first_utc_s: float
    last_utc_s: float
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class StoreOverFull:
    """The store is over its size (`active`), and all that is in it must be kept; or it is not any more."""

    over_bytes: int
    active: bool
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class StoreSalvaged:
    """The store was found damaged and moved aside: what could be proven of it goes on in a new one, of this epoch.

    `lost` counts the events known to be gone, and those after the last one found cannot be counted; of `bodies_lost`
    only the body is gone.
    """

    salvaged: int
    bodies_lost: int
    lost: int
    reason: str
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class EventUndeliverable:
    """The broker refused an event for good. Its row in the lane's ledger keeps what it said."""

    topic_class: str
    epoch: int
    seq: int
    code: int
    """The broker's last reason code; 0 where it was never asked."""
    why: str
    at_utc_s: float
