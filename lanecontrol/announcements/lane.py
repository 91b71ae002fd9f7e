"""The lane itself and its devices: classes `lane`, `device`."""

from __future__ import annotations

from dataclasses import dataclass

from lanecontrol.announcements.words import LaneLife, LaneType, Quality, SchedulePhase
from lanecontrol.commands import Actor
from lanecontrol.events import DeviceState, Identity

# --- class `lane` ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LaneLifeChanged:
    """The lane opened, closed, went into emergency ..."""

    life: LaneLife
    previous: LaneLife
    why: str
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class LaneTypeChanged:
    """The closed, empty lane serves another type from now on."""

    lane_type: LaneType
    previous: LaneType
    why: str
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class DutyChanged:
    """Who is on duty at the booth from now on; None where nobody is. The schedule opens no lane without."""

    officer: Actor | None
    why: str
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class ScheduleTold:
    """The schedule wants the lane open (as this type) or closed until a moment, and what came of it."""

    opens: bool
    lane_type: LaneType | None
    phase: SchedulePhase
    why: str
    until_utc_s: float
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class DivertChanged:
    """The port's divert notice began or was changed (`active`), or ended and why: meanwhile nobody new is admitted."""

    notice: str
    active: bool
    reason: str
    to: str
    """Where traffic is sent, in plain words."""
    by: Actor
    """Who sent the notice."""
    until_utc_s: float
    why: str
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class ResumptionChanged:
    """The port comes back in stages and is at this one, or (an empty one) is back to normal. `may_open`: this lane may
    be opened by its officer, or by its schedule."""

    stage: str
    lane_types: tuple[LaneType, ...]
    may_open: bool
    actor: Actor
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class LaneStarted:
    """The software started; `cold` without a checkpoint. Every permission was withdrawn."""

    cold: bool
    boot: str
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class QualityChanged:
    """How far the mapping of readings to vehicles can be trusted now."""

    quality: Quality
    why: str
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class ClockStepped:
    """The clock was set: UTC of this event and later ones is `by_s` more than it would have been (less, if negative).

    Durations are not concerned; windows of time are, and say so.
    """

    by_s: float
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class CentralReach:
    """The port became reachable or not; without it the lane works in degraded mode."""

    reachable: bool
    why: str
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class DegradedChanged:
    """Degraded mode (continuity of operations) began or ended, and why. In it, whatever is unknown is referred."""

    active: bool
    why: str
    drill: bool
    """It is drilled, on command."""
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class CertificateEnds:
    """The lane's own certificate for the port's broker ends soon, or has ended (`days_left` below 0). Told daily."""

    file: str
    days_left: float
    at_utc_s: float


# --- class `device` --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeviceStateChanged:
    """A device came, went or failed. Also the retained state of the device."""

    device: str
    kind: str
    state: DeviceState
    reason: str
    since_utc_s: float
    identity: Identity


@dataclass(frozen=True, slots=True)
class DeviceFaultChanged:
    """A fault that the device itself reports began or ended."""

    device: str
    code: str
    detail: str
    active: bool
    at_utc_s: float
