"""What a lane asks the port, and what it is told: enrolments, what the port knows of the cargo, lookouts.

The words between the lane core, which asks, and `lanecontrol.port`, which carries questions to the port's central
system or looks into the local snapshot. Frozen data, no I/O. An answer is a statement about numbers, never about whose
they are: which number is in which vehicle the lane alone decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lanecontrol.identifier import Identifier

MAX_NUMBERS = 32
"""Numbers that one question may name; a coach with more cards than this is counted by its officer."""
MAX_ROUNDS = 8
"""Questions of a kind about one vehicle: readings that come and go must not become a flood."""
MAX_VEHICLES = 8
"""Vehicles that an enrolment may name."""
MAX_TEXT = 200


class AskKind(StrEnum):
    """What is asked. Each kind has a topic of its own, so that a broker can hand them to different systems."""

    ENROLMENT = "enrolment"
    LOOKOUT = "lookout"


class Respondent(StrEnum):
    """Who is asked, and who answers."""

    CENTRAL = "central"
    SNAPSHOT = "snapshot"
    """The local file of enrolments and lookouts, while central is silent."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question about the vehicle of a passage, by the numbers that were read so far."""

    id: str
    kind: AskKind
    passage: str
    cards: tuple[Identifier, ...]
    """Numbers of persons' cards."""
    transponders: tuple[Identifier, ...]
    """Numbers of vehicles' tags."""
    plates: tuple[Identifier, ...]
    lane_type: str = ""
    """What the lane serves, where it is not its file's type."""

    def numbers(self) -> tuple[Identifier, ...]:
        """All of them, in order."""
        return (*self.cards, *self.transponders, *self.plates)


class Standing(StrEnum):
    """What the port says of one number."""

    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    NOT_ENROLLED = "not_enrolled"
    UNKNOWN = "unknown"
    """Who answers cannot tell."""


@dataclass(frozen=True, slots=True)
class NumberFact:
    """What the port says of one card, transponder or plate."""

    number: Identifier
    standing: Standing
    programmes: tuple[str, ...] = ()
    """Programmes that it is enrolled in, by their names: `SENTRI`, `NEXUS`, `FAST` ..."""
    vehicles: tuple[Identifier, ...] = ()
    """Plates of the vehicles that it is enrolled with."""


@dataclass(frozen=True, slots=True)
class Cargo:
    """What the port knows of the vehicle's load. None where it cannot tell."""

    manifest: bool | None = None
    """An e-Manifest is on file, in time."""
    seal: bool | None = None
    """The seal that the carrier declared is on file."""
    user_fee: bool | None = None
    """The transponder's user fee is paid."""
    hazmat: bool = False
    """Hazardous cargo is declared."""


@dataclass(frozen=True, slots=True)
class Enrolments:
    """The answer about enrolments."""

    facts: tuple[NumberFact, ...] = ()
    cargo: Cargo = Cargo()


@dataclass(frozen=True, slots=True)
class Hit:
    """A number that is on a lookout list."""

    number: Identifier
    why: str = ""
    armed: bool = False
    """Armed and dangerous."""


@dataclass(frozen=True, slots=True)
class Lookouts:
    """The answer about lookouts; empty where there is none."""

    hits: tuple[Hit, ...] = ()
