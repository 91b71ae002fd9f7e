"""What a lane tells the port: every published event, as a frozen dataclass. Declared once, here.

`lanecontrol.port.payloads` turns these into CloudEvents and JSON Schemas; the class of a message (its topic) and how
precious it is stand in `TOPIC_CLASS` at the end. Times are UTC seconds since 1970, durations seconds, unless the name
says otherwise. A correction is a new announcement; nothing is edited.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lanecontrol.commands import Actor, Disposition, OverridePart, Result, Role
from lanecontrol.events import DeviceState, Heading, Identity, PlateCandidate
from lanecontrol.figures import Absent, Lasted, PassageTimes, QueueEstimate, Served, StageTimes
from lanecontrol.identifier import Identifier
from lanecontrol.questions import Hit

# --- enumerations ----------------------------------------------------------------------------------------------------


class LaneType(StrEnum):
    SENTRI = "SENTRI"
    NEXUS = "NEXUS"
    FAST = "FAST"
    READY = "READY"
    STANDARD = "STANDARD"
    COMMERCIAL = "COMMERCIAL"
    EMPTY = "EMPTY"
    BUS = "BUS"


class LaneLife(StrEnum):
    CLOSED = "closed"
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    SUSPENDED = "suspended"
    EMERGENCY = "emergency"
    MAINTENANCE = "maintenance"


class PassageEnd(StrEnum):
    COMPLETE = "complete"
    """Disposed of by an officer and gone through the exit."""
    WITHDRAWN = "withdrawn"
    """Backed out or changed lane before the booth, or voided."""
    UNRELEASED = "unreleased"
    """Left the booth without a disposition."""
    INTERRUPTED = "interrupted"
    """The lane lost sight of it: a restart, a stale sensor, a full list."""


class Quality(StrEnum):
    """How far the lane's mapping of readings to vehicles can be trusted."""

    GOOD = "GOOD"
    DEGRADED = "DEGRADED"
    MANUAL = "MANUAL"


class Referral(StrEnum):
    """What the lane recommends. It never admits: NONE means that no finding speaks for a referral."""

    NONE = "none"
    OFFICER_CONFIRMS = "officer_confirms"
    RECOMMENDED = "recommended"
    MANDATORY = "mandatory"


class Severity(StrEnum):
    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class TagKind(StrEnum):
    """What kind of tag a number belongs to, by the site's table; only a person's card counts as a person."""

    PERSON = "person"
    VEHICLE = "vehicle"
    TOLL = "toll"
    UNKNOWN = "unknown"


class AlarmKind(StrEnum):
    GAMMA = "gamma"
    NEUTRON = "neutron"
    UNRELEASED_DEPARTURE = "unreleased_departure"
    SCANNER_FAULT = "scanner_fault"
    SCANNER_SHUTTER = "scanner_shutter_not_closed"
    """The request is off and the scanner's shutter is not seen to be closed: critical, the beam may be on."""
    SIGNAL_DARK = "signal_dark"
    """A lamp of a signal head was commanded and does not burn: a dark signal is not a red one."""
    SIGNAL_FAULT = "signal_fault"
    """A head shows another aspect than commanded, or two at once."""
    GATE_FAULT = "gate_fault"
    GATE_FORCED = "gate_forced"
    """Security: the gate opened without a command, by force or because its arm broke off."""
    PORTAL_TAMPER = "portal_tamper"
    """Security: a radiation portal says that somebody has opened it."""


class SchedulePhase(StrEnum):
    """What came of a change that the lane's schedule wanted."""

    DONE = "done"
    HELD = "held"
    """It waits for something, and is made up for then."""
    DROPPED = "dropped"
    """It is not made up for: the lane is in another's hands."""


class SignalAspect(StrEnum):
    STOP = "stop"
    PROCEED = "proceed"
    DARK = "dark"


class LaneAspect(StrEnum):
    """What the overhead lane-use signal shows."""

    DARK = "dark"
    OPEN = "open"
    """Green arrow."""
    CLOSING = "closing"
    """Yellow X."""
    CLOSED = "closed"
    """Red X."""


class OverridePhase(StrEnum):
    SET = "set"
    STANDS = "stands"
    """Told again and again, so that nobody forgets it."""
    ENDED = "ended"


class GateState(StrEnum):
    """FAULT, UNKNOWN and the moving states count as both possibly open and possibly closed."""

    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"
    FAULT = "fault"
    UNKNOWN = "unknown"


class ScannerState(StrEnum):
    """Where a scan stands; the state machine is `lane.scanner.table`."""

    DISABLED = "disabled"
    """Out of use until somebody enables it."""
    IDLE = "idle"
    ARMED = "armed"
    POSITIONING = "positioning"
    INTERLOCK_CHECK = "interlock_check"
    WARNING = "warning"
    TRIGGERED = "triggered"
    """The scan is requested and has not begun."""
    SCANNING = "scanning"
    COMPLETING = "completing"
    ABORTING = "aborting"
    COMPLETE = "complete"
    ABORTED = "aborted"
    CANCELLED = "cancelled"
    FAULT = "fault"
    """Never clears itself."""


class ScanCause(StrEnum):
    """Why the scanner's state changed, or what a scan waits for."""

    STARTED = "software_started"
    ENABLED = "enabled"
    ORDERED = "ordered"
    AT_ZONE = "vehicle_at_zone"
    DRIVER_OUT = "driver_out"
    INTERLOCKS = "interlocks"
    """At a change: every one is met. At the end of a scan: they were not met in time."""
    WARNED = "warning_given"
    BEGUN = "scan_begun"
    SCANNED = "scan_complete"
    SHUT = "shutter_closed"
    RESULT = "result_published"
    RESET = "reset"
    LANE = "lane"
    """The lane is not open, is stopping, or cannot write to its store."""
    CONFIGURATION = "configuration"
    LINK = "link_lost"
    STALE = "stale"
    OUTPUT = "output"
    """An output was not set when it was told to, or is not known to be as it was told."""
    READBACK = "readback"
    """An output is not as commanded."""
    WATCHDOG = "watchdog_tripped"
    INPUTS_LOST = "inputs_lost"
    LATE = "late"
    """The lane controller was too slow to go by what it knew."""
    KEY = "key_enabled"
    ESTOP = "estop_ok"
    FAULT = "fault"
    READY = "ready"
    BARRIER = "barrier_closed"
    ZONE = "zone_clear"
    ORDER = "order"
    EXPIRED = "order_expired"
    PASSAGE = "passage_ended"
    SECOND_PERSON = "second_person"
    POSITION = "vehicle_in_position"
    ALONE = "one_vehicle"
    DRIVER_CLEAR = "driver_clear"
    WARNING = "warning_active"
    OPERATOR = "operator"
    NOT_THERE = "not_at_zone"
    NOT_READY = "not_in_position"
    NO_START = "no_start"
    ENDED_EARLY = "ended_early"
    """Neither a beam nor a completed scan."""
    TOO_LONG = "too_long"
    SHUTTER = "shutter_not_closed"
    CONTRADICTION = "shutter_contradiction"
    UNASKED = "scan_unasked"
    """The shutter is open, or a scan goes on, without a request."""


class ScanEnd(StrEnum):
    """How an ordered scan ended."""

    COMPLETED = "completed"
    ABORTED = "aborted"
    """After the scan was requested."""
    CANCELLED = "cancelled"
    """Before it was."""
    FAULTED = "faulted"
    INTERRUPTED = "scan_interrupted"
    """The software was started anew meanwhile."""


class ScanPart(StrEnum):
    """What somebody did about a scan."""

    ORDERED = "ordered"
    CONFIRMED = "confirmed"
    DRIVER_OUT = "driver_out"
    ENDED = "ended"


class PlateRole(StrEnum):
    """Whose plate it is: a combination of vehicles has several. The lane's cameras do not tell yet."""

    TRACTOR = "tractor"
    TRAILER = "trailer"
    UNKNOWN = "unknown"


# --- parts -----------------------------------------------------------------------------------------------------------


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


# --- class `passage` -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PassageOpened:
    """A vehicle was seen for the first time."""

    passage: str
    zone: str
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class PassageAtBooth:
    """The vehicle stands at the booth."""

    passage: str
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class PassageAssessed:
    """The lane's recommendation for the vehicle at the booth. A later one (higher `revision`) replaces it."""

    passage: str
    revision: int
    at_utc_s: float
    booth_entered_utc_s: float
    tags: tuple[BoundTag, ...]
    plates: tuple[BoundPlate, ...]
    occupancies: tuple[BoundOccupancy, ...]
    findings: tuple[Finding, ...]
    referral: Referral
    quality: Quality
    occupants: int | None = None
    pictures: tuple[BoundPicture, ...] = ()


@dataclass(frozen=True, slots=True)
class PassageClosed:
    """The record of one vehicle's way through the lane, written once when it ends."""

    passage: str
    end: PassageEnd
    reason: str
    lane_type: LaneType
    opened_utc_s: float
    booth_entered_utc_s: float | None
    booth_left_utc_s: float | None
    closed_utc_s: float
    tags: tuple[BoundTag, ...]
    plates: tuple[BoundPlate, ...]
    occupancies: tuple[BoundOccupancy, ...]
    findings: tuple[Finding, ...]
    referral: Referral
    disposition: DisposedBy | None
    occupants: int | None
    quality: Quality
    rules_hash: str
    pictures: tuple[BoundPicture, ...] = ()
    scan: ScanEnd | None = None
    """How the last scan of this vehicle ended, if one was ordered."""
    times: PassageTimes = PassageTimes()


# --- class `reading` -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TagSighted:
    """A tag was seen for the first time in some seconds; says nothing yet of whose it is.

    `late`: the reader had held it back, so that it is nobody's any more; `device_utc_s` is the reader's own clock.
    """

    epc: Identifier
    kind: TagKind
    device: str
    zone: str
    antenna: int
    at_utc_s: float
    rssi_dbm: float | None = None
    late: bool = False
    device_utc_s: float | None = None


@dataclass(frozen=True, slots=True)
class PlateSighted:
    """A camera read a plate; says nothing yet of whose it is.

    `track` is the camera's own name of the car; a later one of the same track replaces the earlier, and then says which
    number it `replaces`. `passage` is named when the vehicle of the track has left already. `box` is x, y, width and
    height in the picture. `late`: the camera or its spool had held it back, so that it is nobody's any more;
    `device_utc_s` is the camera's own clock.
    """

    text: Identifier
    confidence: float
    device: str
    zone: str
    at_utc_s: float
    jurisdiction: str = ""
    picture: str = ""
    track: str = ""
    replaces: Identifier = Identifier()
    passage: str = ""
    raw: Identifier = Identifier()
    candidates: tuple[PlateCandidate, ...] = ()
    heading: Heading = Heading.UNKNOWN
    box: tuple[int, int, int, int] | None = None
    engine: str = ""
    late: bool = False
    device_utc_s: float | None = None


@dataclass(frozen=True, slots=True)
class PlateNotRead:
    """A camera saw a vehicle and could not read its plate, or what it read was rejected."""

    why: str
    device: str
    zone: str
    at_utc_s: float
    track: str = ""
    picture: str = ""
    late: bool = False


@dataclass(frozen=True, slots=True)
class VehiclePictured:
    """One more picture of the vehicle on a camera's track; `passage` when that vehicle has left the lane already."""

    picture: str
    view: str
    device: str
    zone: str
    at_utc_s: float
    track: str = ""
    passage: str = ""


@dataclass(frozen=True, slots=True)
class ReadingOrphaned:
    """A tag or plate that no passage could claim; `late` when its passage had closed, or the device held it back."""

    what: str
    number: Identifier
    device: str
    zone: str
    reads: int
    first_read_utc_s: float
    last_read_utc_s: float
    late: bool
    why: str


@dataclass(frozen=True, slots=True)
class CardSuspected:
    """A card that may be a copy, where no assessment says so: read where no vehicle was, or in two lanes.

    `passage` names the passage that had it, if one did; a correction where `kept` is False: it is not that vehicle's.
    """

    epc: Identifier
    why: str
    passage: str
    lane: str
    """The other lane that read it, if one did."""
    kept: bool
    at_utc_s: float


# --- class `evidence` ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EvidenceStored:
    """A picture is on the lane's disk for good, under this reference. Told once in a run; a repeat says the same."""

    reference: str
    size_bytes: int
    media_type: str
    device: str
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class EvidenceUndeliverable:
    """A picture whose bytes the port will not get: refused for good, or no longer on the lane's disk."""

    reference: str
    why: str
    at_utc_s: float


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


# --- class `disposition` ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DispositionRecorded:
    """An officer decided about a passage; `acknowledged` are the findings that lay on the table then."""

    passage: str
    by: DisposedBy
    acknowledged: tuple[str, ...]


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


# --- class `lookout` -------------------------------------------------------------------------------------------------


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


# --- class `lane`, again ---------------------------------------------------------------------------------------------


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


# --- class `telemetry` -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BacklogDraining:
    """After an outage: so many events are on their way, at this rate at the most (0: as fast as they are taken)."""

    waiting: int
    per_s: float
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class BacklogDrained:
    """A backlog that was announced is through."""

    count: int
    took_s: float
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class InputsDropped:
    """The inbox overflowed: this many inputs were lost. Red was shown."""

    count: int
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class LaneNumbers:
    """The figures of one window of time, by the clock's quarter hours unless the lane file says otherwise.

    `inside_before` + `opened` = `served` + `uninspected` + `unreleased` + `withdrawn` + `interrupted` + `inside_after`.
    A passage counts when it closes. All figures are measured, or None and then in `absent` with the reason.
    """

    window: int
    """Counts the windows that were told; `missing_windows` before this one nobody observed."""
    start_utc_s: float
    end_utc_s: float
    missing_windows: int
    observed_s: float
    """Monotonic: less than the window where the software started in it or the clock was set, and more where it was
    set back."""
    unobserved_s: float
    """The software was not running, or had nothing to show that it was."""
    clock_stepped_s: float
    """How much the clock was set in this window, up and down added up. Not 0: its ends are not where they should be."""
    synchronised: bool
    """The clock was disciplined whenever something happened."""
    life: LaneLife | None
    """When the window ended. None in a recount that began in the middle."""
    lives: tuple[Lasted, ...]
    """How long the lane's life was what, of the time observed."""
    open_s: float
    quality: Quality
    """The worst in this window."""
    qualities: tuple[Lasted, ...]
    inside_before: int
    opened: int
    served: int
    """Inspected, let go by an officer, and gone."""
    served_as: tuple[Served, ...]
    """The same by lane type."""
    uninspected: int
    """Let pass on record as uninspected (LANE_PASS_UNINSPECTED)."""
    unreleased: int
    withdrawn: int
    """Backed out, changed lanes, or voided."""
    interrupted: int
    inside_after: int
    untimed: int
    """Served, but not in `stages`: the lane was not sure which vehicle was which."""
    referred: int
    """Of those served, how many an officer referred."""
    throughput_per_h: float | None
    """Served, per hour open or closing."""
    capacity_per_h: float | None
    """3600 by the mean queued headway: what goes through while somebody is always there."""
    saturation: float | None
    """Throughput by capacity; about 1 is all that the booth can do."""
    approach_occupied: float | None
    """Share of time in which the loop before the booth was taken."""
    waiting_mean: float | None
    """Vehicles between the first sensor and the booth, mean over the time observed."""
    waiting_most: int
    stages: tuple[StageTimes, ...]
    queue: QueueEstimate | None
    """When the window ended."""
    absent: tuple[Absent, ...]
    at_utc_s: float


Announcement = (
    PassageOpened
    | PassageAtBooth
    | PassageAssessed
    | PassageClosed
    | TagSighted
    | PlateSighted
    | PlateNotRead
    | VehiclePictured
    | ReadingOrphaned
    | EvidenceStored
    | EvidenceUndeliverable
    | OccupancyRecorded
    | SourceChecked
    | AlarmRaised
    | AlarmAcknowledged
    | AlarmEnded
    | DispositionRecorded
    | SignalShown
    | LaneSignalShown
    | OverrideTold
    | GateMoved
    | CommandCompleted
    | EquipmentFault
    | ScannerChanged
    | PermissivesChanged
    | ScanRecorded
    | ScannerFigures
    | LaneLifeChanged
    | LaneTypeChanged
    | DutyChanged
    | ScheduleTold
    | DivertChanged
    | ResumptionChanged
    | LaneStarted
    | QualityChanged
    | ClockStepped
    | CentralReach
    | DegradedChanged
    | LookoutAnswered
    | LookoutSettled
    | CardSuspected
    | CertificateEnds
    | DeviceStateChanged
    | DeviceFaultChanged
    | OrderAnswered
    | OrderRejected
    | ChainHead
    | EventsGivenUp
    | StoreOverFull
    | StoreSalvaged
    | EventUndeliverable
    | BacklogDraining
    | BacklogDrained
    | InputsDropped
    | LaneNumbers
)

TOPIC_CLASS: dict[type[Announcement], str] = {
    PassageOpened: "passage",
    PassageAtBooth: "passage",
    PassageAssessed: "passage",
    PassageClosed: "passage",
    TagSighted: "reading",
    PlateSighted: "reading",
    PlateNotRead: "reading",
    VehiclePictured: "reading",
    ReadingOrphaned: "reading",
    EvidenceStored: "evidence",
    EvidenceUndeliverable: "evidence",
    OccupancyRecorded: "radiation",
    SourceChecked: "radiation",
    AlarmRaised: "alarm",
    AlarmAcknowledged: "alarm",
    AlarmEnded: "alarm",
    DispositionRecorded: "disposition",
    SignalShown: "equipment",
    LaneSignalShown: "equipment",
    OverrideTold: "audit",
    GateMoved: "equipment",
    CommandCompleted: "equipment",
    EquipmentFault: "equipment",
    ScannerChanged: "scanner",
    PermissivesChanged: "scanner",
    ScanRecorded: "scanner",
    ScannerFigures: "scanner",
    LaneLifeChanged: "lane",
    LaneTypeChanged: "lane",
    DutyChanged: "lane",
    ScheduleTold: "lane",
    DivertChanged: "lane",
    ResumptionChanged: "lane",
    LaneStarted: "lane",
    QualityChanged: "lane",
    ClockStepped: "lane",
    CentralReach: "lane",
    DegradedChanged: "lane",
    LookoutAnswered: "lookout",
    LookoutSettled: "lookout",
    CardSuspected: "reading",
    CertificateEnds: "lane",
    DeviceStateChanged: "device",
    DeviceFaultChanged: "device",
    OrderAnswered: "audit",
    OrderRejected: "audit",
    ChainHead: "store",
    EventsGivenUp: "store",
    StoreOverFull: "store",
    StoreSalvaged: "store",
    EventUndeliverable: "store",
    BacklogDraining: "telemetry",
    BacklogDrained: "telemetry",
    InputsDropped: "telemetry",
    LaneNumbers: "telemetry",
}
"""The topic class (`event/<class>`) of each announcement."""
