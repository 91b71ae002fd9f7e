"""Signals, gate, overrides and the scanner: classes `equipment`, `scanner` (overrides: `audit`)."""

from __future__ import annotations

from dataclasses import dataclass

from lanecontrol.announcements.parts import (
    BoundOccupancy,
    BoundPicture,
    DisposedBy,
    Permissive,
    ScanCounts,
    ScannedPlate,
    ScannerContacts,
    ScanOperator,
)
from lanecontrol.announcements.words import (
    GateState,
    LaneAspect,
    OverridePhase,
    ScanCause,
    ScanEnd,
    ScannerState,
    SignalAspect,
)
from lanecontrol.commands import Actor, OverridePart, Result

# --- class `equipment` -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignalShown:
    """The booth signal was commanded to another aspect, and why."""

    aspect: SignalAspect
    why: str
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class LaneSignalShown:
    """The overhead lane-use signal was commanded to another aspect, and why."""

    aspect: LaneAspect
    why: str
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class OverrideTold:
    """Part of the equipment is set aside by hand: it was set, it stands, it ended (and why). `left_s` from now on."""

    override: str
    part: OverridePart
    name: str
    """Which one, where there are several: a loop's name."""
    phase: OverridePhase
    reason: str
    """Why it was set."""
    actor: Actor
    """Who set it."""
    left_s: float
    why: str
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class GateMoved:
    """The gate's state as its contacts tell it."""

    state: GateState
    why: str
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class CommandCompleted:
    """A command to a device came to an end that is worth knowing: anything but done."""

    device: str
    command: str
    result: Result
    reason: str
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class EquipmentFault:
    """A signal, gate, loop or module is not as it should be (`active`), or is again (not `active`)."""

    equipment: str
    code: str
    detail: str
    active: bool
    at_utc_s: float


# --- class `scanner` -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ScannerChanged:
    """The scanner's state changed: from what by what cause, by whom (None: by itself), and what its contacts said."""

    state: ScannerState
    previous: ScannerState
    cause: ScanCause
    why: str
    actor: Actor | None
    scan: str
    """Key of the order; empty where there is none."""
    passage: str
    contacts: ScannerContacts
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class PermissivesChanged:
    """Why it will not scan: every condition of a scan in order, and in plain words the first that is not met."""

    state: ScannerState
    scan: str
    blocking: str
    """Empty when nothing stands in the way."""
    chain: tuple[Permissive, ...]
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class ScanRecorded:
    """The record of one ordered scan, written once when it ends, however it does."""

    scan: str
    """Key of the order."""
    passage: str
    mode: str
    maker: str
    model: str
    serial: str
    modality: str
    end: ScanEnd
    cause: ScanCause
    why: str
    false_abort: bool
    """It ended by staleness, by the loss of a device or by late answers, with no contact gone bad."""
    reason: str
    """Why it was ordered."""
    ordered_utc_s: float
    requested_utc_s: float | None
    begun_utc_s: float | None
    ended_utc_s: float
    operators: tuple[ScanOperator, ...]
    interlocks: ScannerContacts
    """When the scan was requested; at its end where it never was."""
    unmet: tuple[ScanCause, ...]
    """Conditions that were not met when it ended."""
    plates: tuple[ScannedPlate, ...]
    occupancies: tuple[BoundOccupancy, ...]
    pictures: tuple[BoundPicture, ...]
    disposition: DisposedBy | None
    counts: ScanCounts


@dataclass(frozen=True, slots=True)
class ScannerFigures:
    """Once a day: the counts so far."""

    counts: ScanCounts
    at_utc_s: float
