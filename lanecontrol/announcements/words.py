"""The words that announcements use: enumerations, each with its meaning. Their values are published and stay."""

from __future__ import annotations

from enum import StrEnum


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
    """Whose plate it is: a combination of vehicles has several. Which end a camera sees is told by the lane file."""

    FRONT = "front"
    REAR = "rear"
    """Where trailers come and nothing was read in front: a trailer's, or a single vehicle's."""
    TRACTOR = "tractor"
    TRAILER = "trailer"
    UNKNOWN = "unknown"
