"""What a lane is made of, as plain data: zones in order, which sensor watches which zone, signals, gate, limits.

Made from the lane file by `lanecontrol.config`; the lane core sees nothing else of the configuration.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from lanecontrol.announcements import LaneType, TagKind
from lanecontrol.lane.schedule import Schedule
from lanecontrol.radiation_statistics import HORIZONTAL


@dataclass(frozen=True, slots=True)
class Zone:
    """A stretch of lane. `start_m` and `end_m` are measured along the lane from where vehicles come in."""

    name: str
    start_m: float
    end_m: float


@dataclass(frozen=True, slots=True)
class Loop:
    """A presence detector: contact `point` of I/O `device`, watching `zone`. Stale counts as occupied."""

    name: str
    device: str
    point: str
    zone: str


@dataclass(frozen=True, slots=True)
class Antenna:
    """An RFID antenna: where its reads most likely come from."""

    device: str
    number: int
    zone: str


class Sees(StrEnum):
    """The end of a vehicle at which a camera looks."""

    FRONT = "front"
    REAR = "rear"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Camera:
    """A plate camera and the zone it looks at. `trigger`: it takes a picture when a loop of its zone goes on."""

    device: str
    zone: str
    trigger: bool = False
    sees: Sees = Sees.UNKNOWN


@dataclass(frozen=True, slots=True)
class Portal:
    """A radiation portal and the zone it stands in."""

    device: str
    zone: str
    n_sigma: float = 4.0
    intervals: int = 5
    """Gamma window, in 200 ms intervals, until the portal's own setup lines say otherwise."""
    silence_limit_s: float = 10.0
    """Occupied without a count for so long: the occupancy is closed as incomplete (rule 7 of the portal's page)."""
    background_age_limit_s: float = 10.0
    horizontal: tuple[tuple[int, ...], tuple[int, ...]] = HORIZONTAL
    """Panels of one height, by their place in a line of counts from 0."""
    check_every_h: float = 0.0
    """A source check has to be passed in this time, or the portal is told as unchecked; 0 for portals without."""


@dataclass(frozen=True, slots=True)
class Signal:
    """The booth signal: two outputs of one module, and read-back contacts where the head has them."""

    device: str
    green: str
    red: str
    green_input: str = ""
    """Contact of the same module that is on while the green lamp really burns; empty where the head has none."""
    red_input: str = ""
    """The same for the red lamp."""


@dataclass(frozen=True, slots=True)
class LaneSignal:
    """The overhead lane-use signal: green arrow, yellow X, red X (MUTCD, 11th ed., chapter 4T)."""

    device: str
    open: str
    closing: str
    closed: str
    open_input: str = ""
    """Contacts that are on while the lamp really burns; empty where the head has none."""
    closing_input: str = ""
    closed_input: str = ""
    closing_at_least_s: float = 4.0
    """The yellow X is shown for so long before the red one, except in an emergency."""


@dataclass(frozen=True, slots=True)
class Beacon:
    """A warning light: on while the lane is not to be entered, or something needs a person."""

    device: str
    output: str


@dataclass(frozen=True, slots=True)
class EmergencyButton:
    """A latching button in the booth: on is an emergency. A normally closed one is turned over in its module."""

    device: str
    point: str


@dataclass(frozen=True, slots=True)
class Gate:
    """The gate after the booth: one maintained output that opens it while on, and its limit switches."""

    device: str
    open_output: str
    opened_input: str
    closed_input: str
    travel_limit_s: float = 8.0
    """A gate that has not reached its end after this time is faulty."""
    beams: tuple[str, ...] = ()
    """Contacts of the same module that are on while something stands under the arm: photo-eyes, suppression loops."""
    fault_input: str = ""
    """Contact that is on while the operator itself reports a fault."""


@dataclass(frozen=True, slots=True)
class Point:
    """One input or output of an I/O module."""

    device: str
    point: str


@dataclass(frozen=True, slots=True)
class ScannerInputs:
    """What the scanner and its surroundings tell by contacts; each is on for what its name says."""

    ready: Point
    key_enabled: Point
    fault: Point
    shutter_closed: Point
    shutter_open: Point
    scan_in_progress: Point
    scan_complete: Point
    estop_ok: Point
    zone_clear: Point
    barrier_closed: Point
    vehicle_in_position: Point
    driver_clear: Point
    warning_active: Point


@dataclass(frozen=True, slots=True)
class ScannerOutputs:
    """What we tell the scanner and the driver. The safe value of every one of them is off, but for `driver_stop`."""

    scan_arm: Point
    scan_request: Point
    abort: Point
    warning_request: Point
    driver_stop: Point
    driver_go: Point


@dataclass(frozen=True, slots=True)
class ScannerTimes:
    """The time-outs of the scanner's states; the interface's own page is their source."""

    arm_s: float = 120.0
    """From the order until the vehicle is at the scanner's zone."""
    position_s: float = 90.0
    """From there until it stands in position and the driver is out."""
    check_s: float = 10.0
    """For every interlock to be met."""
    warning_confirm_s: float = 2.0
    """From asking for the warning until it is confirmed."""
    warning_s: float = 5.0
    """The warning lasts so long before a scan is requested; never less (IEC 62523, 4.8)."""
    start_s: float = 5.0
    """From the request until the scan is seen to begin."""
    scan_s: float = 120.0
    shutter_s: float = 3.0
    """From taking the request back until the shutter is closed."""
    contradiction_s: float = 1.0
    """Both shutter contacts, or neither, for so long is a fault."""


@dataclass(frozen=True, slots=True)
class Scanner:
    """A vehicle scanner behind dry contacts, for the stationary mode with the driver out only."""

    zone: str
    inputs: ScannerInputs
    outputs: ScannerOutputs
    times: ScannerTimes = ScannerTimes()
    two_persons: bool = True
    """A second person has to confirm every scan."""
    maker: str = ""
    model: str = ""
    serial: str = ""
    modality: str = ""
    """What it scans with, in plain words, for the record."""


@dataclass(frozen=True, slots=True)
class BoothButton:
    """A button in the booth that gives the disposition RELEASED, where the site says so."""

    device: str
    point: str
    officer: str


@dataclass(frozen=True, slots=True)
class TagRule:
    """Numbers that start with `prefix` (hex) are of this kind. The longest matching prefix wins."""

    prefix: str
    kind: TagKind


@dataclass(frozen=True, slots=True)
class Questions:
    """What the lane asks the port about each vehicle. Nothing in the lane waits for an answer."""

    answer_within_s: float = 1.5
    """No answer by then: what was asked is unknown, and the local snapshot is asked."""
    lookouts: bool = True
    """Ask for lookouts too."""
    programmes: tuple[str, ...] = ()
    """Enrolments that are good for this lane, in place of those of its type."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of coming back after a shutdown: from it on, lanes of these types may open too."""

    name: str
    types: tuple[LaneType, ...]


READBACK_LIMIT_S = 0.5
"""As the rules of the lane's signals have it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Times and bounds of the lane core; each default says where it comes from."""

    assess_after_s: float = 2.0
    """From standing at the booth to the first assessment: two re-reads of a card (about one a second)."""
    back_out_s: float = 1.5
    """Approach loop cleared and booth loop not taken within this: the vehicle went away (tracking rules)."""
    read_guard_s: float = 0.5
    """A read up to this long before presence belongs to the arriving vehicle (tracking rules)."""
    sighting_every_s: float = 3.0
    """The same tag is announced as sighted once in this time (tracking rules)."""
    decision_margin: float = 1.5
    """How far ahead the best has to be: for a card by so many reads' worth of evidence, for a plate by this factor."""
    decision_votes: int = 2
    max_passages: int = 8
    max_tags: int = 64
    release_limit_s: float = 60.0
    """A permission that no vehicle used is withdrawn after this time."""
    orphan_after_s: float = 30.0
    """A tag that no passage claimed for this long after its last read is published as an orphan."""
    chatter_counts: int = 38
    """A loop that went on so often within `chatter_window_s` chatters (IRIS, vehicle detection)."""
    chatter_window_s: float = 30.0
    locked_on_s: float = 120.0
    """A loop that is on for so long is stuck (the same source), unless vehicles wait there."""
    locked_on_queue_s: float = 1800.0
    """The same for the loops before the booth and in the scanner, where vehicles wait."""
    no_change_h: float = 24.0
    """An open lane's loop that has not changed for so many hours is dead, whatever the lane type."""
    degraded_after_s: float = 3.0
    """Without the port's broker for so long, the lane goes over to degraded mode."""
    degraded_questions: int = 3
    """The same after so many questions in a row that nobody answered."""
    numbers_window_s: float = 900.0
    """Figures of the traffic are told once in this time, by UTC; 900 are the quarter hours of every time zone."""


@dataclass(frozen=True, slots=True)
class LaneSetup:
    """One lane. `zones` in driving order; the last is where a vehicle leaves."""

    port: str
    lane: str
    lane_type: LaneType
    zones: tuple[Zone, ...]
    booth_zone: str
    loops: tuple[Loop, ...]
    portals: tuple[Portal, ...] = ()
    antennas: tuple[Antenna, ...] = ()
    cameras: tuple[Camera, ...] = ()
    signal: Signal | None = None
    gate: Gate | None = None
    booth_button: BoothButton | None = None
    lane_signal: LaneSignal | None = None
    beacon: Beacon | None = None
    emergency_button: EmergencyButton | None = None
    scanner: Scanner | None = None
    equipment_hash: str = ""
    """Names the configuration of everything that is commanded; another one has to be accepted by a supervisor."""
    tag_rules: tuple[TagRule, ...] = ()
    device_kinds: tuple[tuple[str, str], ...] = ()
    """Every device of the lane with its kind, for announcements."""
    opens_at_start: bool = False
    """Open without an order, for simulations and unattended trials only; never released without an officer."""
    adult_cards_required: bool = True
    simulated: bool = False
    rules_hash: str = ""
    limits: Limits = field(default_factory=Limits)
    direction: str = "inbound"
    questions: Questions | None = None
    """None: the lane asks the port nothing."""
    adjacent: tuple[str, ...] = ()
    """Lanes of the port beside this one: their antennas read this lane's cards, and ours read theirs."""
    other_types: tuple[LaneType, ...] = ()
    """Types that this lane may serve besides its own, by order or by its schedule."""
    schedule: Schedule | None = None
    resumption: tuple[Stage, ...] = ()
    """Stages of coming back after a shutdown, in order."""
    picture_devices: tuple[str, ...] = ()
    """Every device that takes a picture when asked."""
    readback_limit_s: float = READBACK_LIMIT_S
    """What a head's lamps read back may differ from what was commanded for so long: module, lamp and poll take their
    time. No setting makes it longer; on a simulated lane's faster clock it stays the same real time."""
    o_is_zero: bool = False
    """On plates here the letter O and the digit 0 look alike: texts that differ in that only are the same."""
