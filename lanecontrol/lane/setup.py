"""What a lane is made of, as plain data: zones in order, which sensor watches which zone, signals, gate, limits.

Made from the lane file by `lanecontrol.config`; the lane core sees nothing else of the configuration.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lanecontrol.announcements import LaneType, TagKind


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


@dataclass(frozen=True, slots=True)
class Camera:
    """A plate camera and the zone it looks at. `trigger`: it takes a picture when a loop of its zone goes on."""

    device: str
    zone: str
    trigger: bool = False


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


@dataclass(frozen=True, slots=True)
class Signal:
    """The booth signal: two outputs of one module, and read-back contacts where the head has them."""

    device: str
    green: str
    red: str


@dataclass(frozen=True, slots=True)
class Gate:
    """The gate after the booth: one maintained output that opens it while on, and its limit switches."""

    device: str
    open_output: str
    opened_input: str
    closed_input: str
    travel_limit_s: float = 8.0
    """A gate that has not reached its end after this time is faulty."""


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
    """Best score must be this many times the second (tracking rules)."""
    decision_votes: int = 2
    max_passages: int = 8
    max_tags: int = 64
    release_limit_s: float = 60.0
    """A permission that no vehicle used is withdrawn after this time."""
    orphan_after_s: float = 30.0
    """A tag that no passage claimed for this long after its last read is published as an orphan."""


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
    tag_rules: tuple[TagRule, ...] = ()
    device_kinds: tuple[tuple[str, str], ...] = ()
    """Every device of the lane with its kind, for announcements."""
    opens_at_start: bool = False
    """Open without an order, for simulations and unattended trials only; never released without an officer."""
    adult_cards_required: bool = True
    simulated: bool = False
    rules_hash: str = ""
    limits: Limits = field(default_factory=Limits)
