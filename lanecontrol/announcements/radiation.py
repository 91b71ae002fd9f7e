"""What portals measured, and alarms of every kind: classes `radiation`, `alarm`."""

from __future__ import annotations

from dataclasses import dataclass

from lanecontrol.announcements.words import AlarmKind, Severity
from lanecontrol.commands import Actor

# --- class `radiation` -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OccupancyRecorded:
    """One portal occupancy: the controller's decision, our own figures beside it, and whose it may be.

    `gamma_disagreements` counts the intervals of 200 ms that our figures, with the threshold `n_sigma`, decide
    otherwise than the controller did. They are evidence; its decision stands.
    """

    occupancy: str
    portal: str
    started_utc_s: float
    ended_utc_s: float
    gamma_background_cps: tuple[int, ...]
    neutron_background_cps: tuple[float, ...]
    background_stale: bool
    gamma_max_counts: int
    gamma_max_sigma: float | None
    gamma_max_group: str
    gamma_alarm: bool
    neutron_max_counts: int
    neutron_alarm: bool
    speed_mps: float | None
    intervals: int
    incomplete: bool
    tamper: bool
    background_fault: bool
    passages: tuple[str, ...]
    n_sigma: float = 0.0
    gamma_disagreements: int = 0
    gamma_suppression: float | None = None
    """By which share the vehicle's mass lowered the count of all panels below the background, at most."""
    neutron_max_score: float | None = None
    """The highest score of our own sequential test, beside the limit that it is compared with."""
    neutron_score_limit: float = 0.0
    crowded: bool = False
    """Another vehicle stood by the portal and may have kept off background."""
    check: str = ""
    """The source check that this belongs to; then it is no vehicle's."""


@dataclass(frozen=True, slots=True)
class SourceChecked:
    """A source check of a portal has ended: passed, or why not. `check` is the key of the order that began it."""

    check: str
    portal: str
    source: str
    actor: Actor
    passed: bool
    why: str
    gamma_alarm: bool
    neutron_alarm: bool
    gamma_max_sigma: float | None
    occupancies: tuple[str, ...]
    at_utc_s: float


# --- class `alarm` ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AlarmRaised:
    """An alarm began. `occupancy` and `passages` name what it concerns; several passages when it is ambiguous."""

    alarm: str
    kind: AlarmKind
    device: str
    at_utc_s: float
    passages: tuple[str, ...]
    occupancy: str = ""
    severity: Severity = Severity.HIGH


@dataclass(frozen=True, slots=True)
class AlarmAcknowledged:
    """Somebody silenced an alarm; it stays listed until its state is normal."""

    alarm: str
    actor: Actor
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class AlarmEnded:
    """The state behind an alarm is normal again."""

    alarm: str
    at_utc_s: float
