"""Parts of announcements: what is bound to a passage, a scan, a finding."""

from __future__ import annotations

from dataclasses import dataclass

from lanecontrol.announcements.words import PlateRole, Referral, ScanCause, ScanPart, Severity, TagKind
from lanecontrol.commands import Actor, Disposition
from lanecontrol.identifier import Identifier


@dataclass(frozen=True, slots=True)
class BoundTag:
    """A tag that the lane holds to be in this vehicle; `ambiguous` when another passage scored too close."""

    epc: Identifier
    kind: TagKind
    score: float
    reads: int
    first_read_utc_s: float
    last_read_utc_s: float
    ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class BoundPlate:
    """A plate that the lane holds to be this vehicle's; `corrected` is what its camera had read before."""

    text: Identifier
    confidence: float
    score: float
    jurisdiction: str = ""
    ambiguous: bool = False
    corrected: tuple[Identifier, ...] = ()
    role: PlateRole = PlateRole.UNKNOWN


@dataclass(frozen=True, slots=True)
class BoundPicture:
    """A picture of this vehicle: its reference, what it shows in the camera's words, and what was read on its track."""

    picture: str
    view: str
    device: str
    plate: Identifier
    ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class BoundOccupancy:
    """A radiation occupancy of this vehicle; an ambiguous one is attached to every candidate."""

    occupancy: str
    gamma_alarm: bool
    neutron_alarm: bool
    ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a rule noticed: its code (`rpm.gamma_alarm`), how grave, what it recommends, and from where."""

    code: str
    severity: Severity
    referral: Referral
    source: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DisposedBy:
    """An officer's decision about a passage."""

    disposition: Disposition
    actor: Actor
    at_utc_s: float
    reasons: tuple[str, ...] = ()
    justification: str = ""


@dataclass(frozen=True, slots=True)
class ScannerContacts:
    """The scanner's contacts; None where a contact has not been read, or is stale."""

    ready: bool | None = None
    key_enabled: bool | None = None
    fault: bool | None = None
    shutter_closed: bool | None = None
    shutter_open: bool | None = None
    scan_in_progress: bool | None = None
    scan_complete: bool | None = None
    estop_ok: bool | None = None
    zone_clear: bool | None = None
    barrier_closed: bool | None = None
    vehicle_in_position: bool | None = None
    driver_clear: bool | None = None
    warning_active: bool | None = None


@dataclass(frozen=True, slots=True)
class Permissive:
    """One condition of a scan. `words` say what is wrong while it is not `met`."""

    code: ScanCause
    met: bool
    words: str = ""


@dataclass(frozen=True, slots=True)
class ScanOperator:
    """Who did what about a scan."""

    part: ScanPart
    actor: Actor
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class ScannedPlate:
    """A plate of the scanned vehicle."""

    text: Identifier
    role: PlateRole
    confidence: float
    jurisdiction: str = ""


@dataclass(frozen=True, slots=True)
class CauseCount:
    """How many scans ended for this cause."""

    cause: ScanCause
    count: int


@dataclass(frozen=True, slots=True)
class ScanCounts:
    """Scans since the lane's store began. `false_aborts`: ended by staleness, by the loss of a device or by late
    answers, with no contact gone bad; `stray_completes`: a scan was told to be complete that nobody had asked for."""

    ordered: int = 0
    completed: int = 0
    aborted: int = 0
    cancelled: int = 0
    faulted: int = 0
    interrupted: int = 0
    false_aborts: int = 0
    stray_completes: int = 0
    by_cause: tuple[CauseCount, ...] = ()
