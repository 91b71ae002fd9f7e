"""All that a lane remembers between two inputs, as plain frozen data.

`lane.step` makes a new one from the old one; the runner writes it into the ledger as a checkpoint (`lanecontrol.forms`)
and hands it back after a restart. Every moment in here is *lane time*: the monotonic second of the input plus
`offset_s`, which takes up the jump when the machine restarts. UTC is kept only to be published. Everything is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lanecontrol.announcements import (
    AlarmKind,
    BoundOccupancy,
    DisposedBy,
    GateState,
    LaneAspect,
    LaneLife,
    LookoutRefusal,
    Quality,
    ScanEnd,
    SignalAspect,
    TagKind,
)
from lanecontrol.commands import Actor, OverridePart
from lanecontrol.events import DeviceState, Identity
from lanecontrol.identifier import Identifier
from lanecontrol.lane.numbers_state import Numbers
from lanecontrol.lane.plan import BEFORE, Plan
from lanecontrol.lane.radiation_state import PortalState
from lanecontrol.lane.record import quick
from lanecontrol.lane.regime_state import Regime
from lanecontrol.lane.scanner_state import Scanning
from lanecontrol.questions import Cargo, Hit, NumberFact, Question, Respondent

MAX_KEYS = 256
MAX_ALARMS = 32
MAX_DEVICES = 64
MAX_FAULTS = 64
MAX_PENDING = 32
MAX_OVERRIDES = 32
MAX_FLED = 16

# --- tracking --------------------------------------------------------------------------------------------------------


@quick
@dataclass(frozen=True, slots=True)
class Passage:
    """One vehicle's way through the lane. It covers the stations from `tail` to `head`.

    `adrift_s` is set while no loop sees it, since when; `gone_s` once it has cleared the last loop and only waits for
    its readings to settle. `wake_s` is the one moment at which its position has to be judged again.
    """

    id: str
    opened_s: float
    opened_utc_s: float
    head: int = BEFORE
    tail: int = BEFORE
    adrift_s: float | None = None
    gone_s: float | None = None
    lost: bool = False
    """Its loops could not be read for a while: what happens next may not be a fact about this vehicle."""
    wake_s: float | None = None
    reached_s: float | None = None
    """When it took its first loop."""
    booth_s: float | None = None
    booth_utc_s: float | None = None
    booth_left_s: float | None = None
    booth_left_utc_s: float | None = None
    assess_s: float | None = None
    revision: int = 0
    shown: Identifier = Identifier("")
    """What the last assessment said, cut to what matters: only a change is published again. It names numbers."""
    occupancies: tuple[BoundOccupancy, ...] = ()
    portal_notes: tuple[str, ...] = ()
    """What is to be said of its measurements by the portal: codes of findings."""
    disposition: DisposedBy | None = None
    occupants: int | None = None
    minors: int = 0
    """How many of them need no card where only adults do."""
    unreleased: bool = False
    quality: Quality = Quality.GOOD
    scan: ScanEnd | None = None
    """How its last scan ended, if one was ordered."""


@quick
@dataclass(frozen=True, slots=True)
class Tracking:
    """Open passages, the foremost first."""

    passages: tuple[Passage, ...] = ()
    guessed_s: float | None = None
    """When somebody was last put into the lane whom the portal had not told of, or taken to have left for no better
    reason than a loop that chatters. For a while a vehicle may be taken for the one before it."""


# --- assembly --------------------------------------------------------------------------------------------------------


class What(StrEnum):
    TAG = "tag"
    PLATE = "plate"


@quick
@dataclass(frozen=True, slots=True)
class Vote:
    """What speaks for one passage: the sum of weights, at how many counted reads it was within reach and at how many
    of these at the booth, and when the first and the last of these were."""

    passage: str
    score: float
    reads: int
    at_booth: int = 0
    first_s: float = 0.0
    last_s: float = 0.0


@quick
@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a vehicle, by its reference, and what it shows."""

    reference: str
    view: str = ""


@quick
@dataclass(frozen=True, slots=True)
class Seen:
    """What hardly changes about a reading. A plate's number does, by correction; it is empty while none was read."""

    what: What
    number: Identifier
    kind: TagKind
    device: str
    zone: str
    first_s: float
    first_utc_s: float
    tid: Identifier | None = None
    jurisdiction: str = ""
    track: str = ""
    """The camera's own name of the car; empty for tags and for cameras that follow none."""
    track_ended: bool = False
    late: bool = False
    """Held back by its device: it speaks for nobody."""


@quick
@dataclass(frozen=True, slots=True)
class Reading:
    """A number that was read, and all that speaks for whose it is. `owner` is set when a closed passage took it."""

    seen: Seen
    reads: int
    counted: int
    last_s: float
    last_utc_s: float
    counted_s: float
    votes: tuple[Vote, ...] = ()
    sighted: tuple[tuple[str, float], ...] = ()
    confidence: float = 0.0
    owner: str = ""
    shared: bool = False
    """A closed passage listed it as ambiguous."""
    late_reads: int = 0
    tids_differ: bool = False
    pictures: tuple[Picture, ...] = ()
    corrected: tuple[Identifier, ...] = ()
    """What a camera had read on this track before it corrected itself."""


@quick
@dataclass(frozen=True, slots=True)
class Habits:
    """What this lane's antennas are like, learnt from the vehicles that passed (`lane.votes`)."""

    cadence_s: float = 1.1
    """How often a card within reach is counted."""
    on_way: float = 0.5
    """0 to 1: how surely a card is within reach already on the way from the first loop to the booth."""
    strays: float = 0.4
    """0 to 1: how usual it is that a card is read while its vehicle is elsewhere in the lane."""
    level: float = 0.7
    """Strength of a read above which it comes from the booth rather than from behind it."""


@quick
@dataclass(frozen=True, slots=True)
class Assembly:
    """Readings that no passage has taken for good yet. `sweep_s`: when to look for orphans."""

    readings: tuple[Reading, ...] = ()
    sweep_s: float | None = None
    habits: Habits = Habits()


# --- equipment -------------------------------------------------------------------------------------------------------


SHORT_S = 0.35
"""Too short for a vehicle: a motorcycle of 2 m needs longer over a loop of 2 m at 10 m/s."""
STUCK_AFTER = 3
"""A loop is stuck that is on while so many vehicles come to the booth; between two in a queue it may stay on."""
CHATTERS_FROM = 3
CALM_S = 60.0
"""A loop chatters from so many states on that were too short for a vehicle, until there was none for so long."""


@quick
@dataclass(frozen=True, slots=True)
class Contact:
    """A contact as last read; `on` is None until it was read in this session. `edges` since `window_s`."""

    on: bool | None = None
    since_s: float = 0.0
    before_s: float = 0.0
    """Since when it was what it was before."""
    window_s: float = 0.0
    edges: int = 0
    held: bool | None = None
    """What tracking goes by: a change that could be a false one is believed only after a while (`lane.loops`)."""
    held_s: float = 0.0
    """When that last changed."""
    held_before_s: float = 0.0
    lean_s: float = 0.0
    """For how long, taken together, the contact has contradicted `held` up to its last change."""
    settle_s: float | None = None
    """When it will have done so for long enough."""
    passed: int = 0
    """Vehicles that came to the booth since it was last off."""
    shorts: int = 0
    """States of the last while that were too short for any vehicle; `short_s` is when the last one ended."""
    short_s: float = 0.0

    def chatters(self, now_s: float) -> bool:
        """Whether this contact has lately told of several states that were too short for any vehicle."""
        return self.shorts >= CHATTERS_FROM and now_s - self.short_s < CALM_S


@quick
@dataclass(frozen=True, slots=True)
class DeviceNote:
    """How a device is doing."""

    device: str
    state: DeviceState
    reason: str
    since_utc_s: float
    identity: Identity
    stale: bool = False


@quick
@dataclass(frozen=True, slots=True)
class Pending:
    """A command that was given to a device and has not come back."""

    command: str
    device: str
    grants: bool
    clears: bool = False
    """It is to clear the module's tripped watchdog."""


@quick
@dataclass(frozen=True, slots=True)
class SetAside:
    """A manual override. It stands until `until_s` unless somebody ends it; then it is kept for the records only.

    `command` is what carries it where it grants something; `ended_s` is set once it is over.
    """

    id: str
    part: OverridePart
    name: str
    reason: str
    actor: Actor
    set_s: float
    until_s: float
    tell_s: float
    command: str = ""
    ended_s: float | None = None


@quick
@dataclass(frozen=True, slots=True)
class Equipment:
    """Contacts, devices, and what signal and gate were told."""

    contacts: tuple[Contact, ...] = ()
    devices: tuple[DeviceNote, ...] = ()
    aspect: SignalAspect = SignalAspect.DARK
    gate_open: bool = True
    """The gate may be commanded open: so after a start, until the command has been taken back."""
    gate: GateState = GateState.UNKNOWN
    gate_watch_s: float | None = None
    gate_close_s: float | None = None
    loops_s: float | None = None
    """When a change of a loop that is not believed yet is to be looked at."""
    reassert_s: float | None = None
    reasserted_s: float | None = None
    faults: tuple[tuple[str, str], ...] = ()
    pending: tuple[Pending, ...] = ()
    lane_aspect: LaneAspect = LaneAspect.DARK
    lane_since_s: float = 0.0
    """Since when the overhead signal is told to show this."""
    lane_command: str = ""
    """The command that carries its green arrow; empty while it is not to be shown."""
    lane_hold_s: float | None = None
    """No other aspect before this moment: the yellow X's least time, or a pause after a red one shown in doubt."""
    beacon: bool | None = None
    lamps_s: tuple[float | None, float | None] = (None, None)
    """When what the lamps of the booth's and the overhead signal read back becomes a fault."""
    gate_told: bool = False
    """The gate was commanded open in this run, and the command has not been taken back."""
    gate_again: bool = False
    """It is commanded closed, and is to be told once more as soon as nothing can be under the arm."""
    gate_odd_s: float | None = None
    """When a movement that nobody commanded becomes a fault."""
    health_s: float | None = None
    """When the loops' health is looked at next."""
    overrides: tuple[SetAside, ...] = ()


# --- the desk: life, permission, alarms, orders ----------------------------------------------------------------------


@quick
@dataclass(frozen=True, slots=True)
class Permission:
    """One vehicle may leave the booth. It stands until it is used, withdrawn or out of time."""

    id: str
    passage: str
    expires_s: float
    commands: tuple[str, ...]


@quick
@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm that has not ended."""

    id: str
    kind: AlarmKind
    occupancy: str
    passages: tuple[str, ...]
    active: bool
    """Its occupancy still goes on."""
    acknowledged: bool = False
    cause: str = ""
    """The fault behind it, as `equipment/code`, where there is one."""


@quick
@dataclass(frozen=True, slots=True)
class Doubt:
    """Why the mapping of readings to vehicles cannot be fully trusted, until when (None: until it is cleared)."""

    code: str
    until_s: float | None = None


@quick
@dataclass(frozen=True, slots=True)
class Unsettled:
    """What stood against a vehicle that the lane lost track of: it is among the next `turns` at the booth, if any."""

    alarms: tuple[BoundOccupancy, ...]
    hits: tuple[Hit, ...]
    turns: int


@quick
@dataclass(frozen=True, slots=True)
class Desk:
    """Everything people decide, and what stands between them and the equipment."""

    life: LaneLife = LaneLife.CLOSED
    permission: Permission | None = None
    alarms: tuple[Alarm, ...] = ()
    keys: tuple[str, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    quality: Quality = Quality.GOOD
    writable: bool = True
    central: bool | None = None
    stopping: bool = False
    life_s: float = 0.0
    """Since when the lane's life is what it is."""
    accepted: str | None = None
    """Hash of the equipment's configuration as last accepted; None before the first time."""
    fled: tuple[str, ...] = ()
    """Passages that were closed because their vehicle left without a release: an officer may yet say that it fled."""
    lost_in_row: int = 0
    """Vehicles that the lane lost track of since it last saw one come to the booth."""
    unsettled: tuple[Unsettled, ...] = ()


@quick
@dataclass(frozen=True, slots=True)
class Counters:
    """Numbers from which ids are made. At any time `passages` = open + `closed`."""

    passages: int = 0
    closed: int = 0
    occupancies: int = 0
    alarms: int = 0
    commands: int = 0
    presses: int = 0
    overrides: int = 0


# --- questions to the port -------------------------------------------------------------------------------------------


@quick
@dataclass(frozen=True, slots=True)
class Asked:
    """A question that has not been answered, and until when it can be."""

    question: Question
    of: Respondent
    due_s: float
    told: bool = False
    """The other respondent has answered meanwhile: this one's silence leaves nothing unknown."""


@quick
@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A card of a passage that another lane has read: `theirs` and `ours` are what speaks for each lane."""

    number: Identifier
    lane: str
    theirs: float
    ours: float
    apart_s: float


@quick
@dataclass(frozen=True, slots=True)
class Dossier:
    """What was asked about the vehicle of a passage, and what came back. Hits are for `lane.lookouts` alone."""

    passage: str
    numbers: tuple[Identifier, ...] = ()
    """Asked about so far."""
    rounds: int = 0
    facts: tuple[NumberFact, ...] = ()
    cargo: Cargo | None = None
    unknown: bool = False
    """Nobody answered about enrolments."""
    unchecked: bool = False
    """Nobody answered about lookouts."""
    hits: tuple[Hit, ...] = ()
    settled: bool = False
    """What became of its lookouts has been told."""
    refused: tuple[LookoutRefusal, ...] = ()
    """Dispositions that were refused because of a lookout: told when it is settled."""
    elsewhere: tuple[Elsewhere, ...] = ()


@quick
@dataclass(frozen=True, slots=True)
class Inquiry:
    """Questions, answers, and how the port's central system is doing."""

    asked: tuple[Asked, ...] = ()
    dossiers: tuple[Dossier, ...] = ()
    questions: int = 0
    """Asked so far: their ids are made of it."""
    lost_s: float | None = None
    """Since when the port's broker cannot be reached."""
    unanswered: int = 0
    """Questions to central without an answer, in a row."""
    degraded: str = ""
    """Why the lane is in degraded mode; empty when it is not."""
    drill_s: float | None = None
    """Until when degraded mode is drilled."""
    wake_s: float | None = None
    """When any of this is to be looked at."""


@quick
@dataclass(frozen=True, slots=True)
class LaneState:
    """The whole state. `wake_s` is the next moment, in lane time, at which something is due."""

    plan: Plan
    boot: str = ""
    offset_s: float = 0.0
    now_s: float = 0.0
    utc_s: float = 0.0
    wake_s: float | None = None
    radiation: tuple[PortalState, ...] = ()
    tracking: Tracking = Tracking()
    assembly: Assembly = Assembly()
    equipment: Equipment = Equipment()
    desk: Desk = Desk()
    counters: Counters = Counters()
    scanner: Scanning | None = None
    """None in a lane that has none."""
    inquiry: Inquiry = Inquiry()
    regime: Regime = Regime()
    numbers: Numbers = Numbers()
