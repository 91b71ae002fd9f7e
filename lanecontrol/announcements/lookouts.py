"""What only those may see who are authorised: class `lookout`."""

from __future__ import annotations

from dataclasses import dataclass

from lanecontrol.announcements.words import Referral
from lanecontrol.commands import Actor, Disposition
from lanecontrol.questions import Hit


@dataclass(frozen=True, slots=True)
class LookoutAnswered:
    """The answer about lookouts for a passage: told for every one that was asked about, whether there are hits or not.

    For the officer's authorised view alone. `by` is empty where nobody answered.
    """

    passage: str
    by: str
    hits: tuple[Hit, ...]
    referral: Referral
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class LookoutRefusal:
    """A disposition that was refused because of a lookout. Until the passage is settled only who gave it knows."""

    key: str
    """Of the order."""
    disposition: Disposition
    actor: Actor
    justification: str
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class LookoutSettled:
    """What became of a passage that was asked about: the officer's decision, made with these hits on the table.

    None where the passage closed without a decision. `refused`: what was tried before and told nowhere else.
    """

    passage: str
    hits: tuple[Hit, ...]
    disposition: Disposition | None
    actor: Actor | None
    at_utc_s: float
    refused: tuple[LookoutRefusal, ...] = ()
