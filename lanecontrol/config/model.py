"""What may stand in a lane file, section by section. The docstrings are what editors show.

Used by `lanecontrol.config` alone; the rest of the daemon sees plain `lane.setup` data and each driver's own `Config`.
Only the devices are not modelled here: each driver brings its stanza.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, create_model

from lanecontrol.announcements import LaneType, TagKind
from lanecontrol.config.equipment_model import (
    BeaconSection,
    ButtonSection,
    EmergencyButtonSection,
    GateSection,
    LaneSignalSection,
    ScannerSection,
    SignalSection,
)
from lanecontrol.config.questions_model import PlatesSection, QuestionsSection
from lanecontrol.config.schedule_model import ScheduleSection, StageSection
from lanecontrol.config.section import Metres, Name, Seconds, Section, TopicPart
from lanecontrol.lane import setup
from lanecontrol.port.topics import CLASSES
from lanecontrol.radiation_statistics import HORIZONTAL


def _whole_hex(value: str) -> str:
    lower = value.lower()
    if any(digit not in "0123456789abcdef" for digit in lower):
        raise ValueError("a prefix is hexadecimal: digits and a to f")
    return lower


class LaneSection(Section):
    """Which lane this is."""

    id: TopicPart
    """The lane's number as the port knows it. Quote it: `"07"`."""
    type: LaneType
    """Which programme the lane serves; its rules follow from it."""
    direction: Literal["inbound", "outbound"] = "inbound"
    """Inbound lanes lead into the country."""
    booth_zone: Name = "booth"
    """The zone in which a vehicle stands at the booth."""
    opens_at_start: bool = False
    """Open without an order, for simulations and unattended trials only; never released without an officer."""
    adult_cards_required: bool = True
    """Every occupant needs a card of this lane's programme."""
    other_types: list[LaneType] = Field(default=[], max_length=8)
    """Which else it may serve, by order or by its schedule, once it is closed and empty."""
    adjacent: list[TopicPart] = Field(default=[], max_length=8)
    """Numbers of the lanes beside this one, whose antennas may read its cards."""


class ZoneSection(Section):
    """A stretch of lane, measured from where vehicles come in."""

    name: Name
    """Name of the zone: portal, approach, booth, exit, ..."""
    start_m: Metres
    """Where it begins, metres."""
    end_m: Metres
    """Where it ends, metres."""


class LoopSection(Section):
    """A presence detector wired to an input of an I/O module. Stale counts as occupied."""

    name: Name
    """Name of the loop."""
    device: Name
    """Id of the I/O module."""
    point: Name
    """Name of the module's input."""
    zone: Name
    """The zone that it watches."""


class PortalSection(Section):
    """A radiation portal."""

    device: Name
    """Id of the portal's device."""
    zone: Name
    """The zone it stands in."""
    n_sigma: float = Field(default=4.0, gt=0, le=50)
    """Gamma alarm threshold in standard deviations, until the portal's own setup lines say otherwise."""
    intervals: int = Field(default=5, ge=1, le=50)
    """Gamma window in intervals of 200 ms, until the portal's own setup lines say otherwise."""
    silence_limit_s: Seconds = 10.0
    """Occupied without a count for so long: the occupancy is closed as incomplete."""
    background_age_limit_s: Seconds = 10.0
    """A background older than this is marked stale."""
    horizontal: tuple[tuple[int, ...], tuple[int, ...]] = HORIZONTAL
    """Panels of one height, by their place in a line of counts from 0, for the algorithm of that name."""
    check_every_h: float = Field(default=0.0, ge=0, le=8784)
    """A source check has to be passed in this time, or the portal is told as unchecked; 0 for none."""


class AntennaSection(Section):
    """An RFID antenna and the zone its reads most likely come from."""

    device: Name
    """Id of the reader."""
    number: int = Field(ge=1, le=64)
    """Number as printed on the reader."""
    zone: Name
    """The zone it looks at."""


class CameraSection(Section):
    """A plate camera."""

    device: Name
    """Id of the camera."""
    zone: Name
    """The zone it looks at."""
    trigger: bool = False
    """Have it take pictures when a loop of the zone goes on; for cameras that read no plates by themselves."""
    sees: setup.Sees = setup.Sees.UNKNOWN
    """Which end of a vehicle: in front a combination has the tractor's plate, behind perhaps the trailer's."""


class TagSection(Section):
    """Card and tag numbers that begin with a prefix are of a kind. The longest matching prefix wins."""

    prefix: Annotated[str, AfterValidator(_whole_hex), Field(max_length=64)]
    """The first digits, hexadecimal. Quote it."""
    kind: TagKind
    """What such a tag stands for; only a person's card counts as a person."""


_BOUNDS: dict[str, Any] = {
    part.name: (int if isinstance(part.default, int) else float, Field(default=part.default, gt=0, le=100_000))
    for part in dataclasses.fields(setup.Limits)
}
LimitsSection: Any = create_model("LimitsSection", __base__=Section, **_BOUNDS)
"""Times and bounds of the lane core, field by field as `lane.setup.Limits` has them."""


class BrokerSection(Section):
    """A broker of the port. Several are tried in order."""

    url: str = Field(pattern=r"^(mqtts?://[^/\s@]+:\d{1,5}|mem://[^/\s]+)$")
    """`mqtt://host:port`, or `mqtts://host:port` for TLS."""
    username: str = ""
    """Who we are to the broker, where it asks."""
    password: SecretStr = SecretStr("")
    """Write `!secret name`, not the password itself."""
    protocol: Literal[4, 5] = 5
    """MQTT 5; 4 stands for 3.1.1."""
    ca: str = ""
    """File of the authority that the broker's certificate must come from, instead of the system's."""
    cert: str = ""
    """File of this booth's own certificate, for brokers that ask for one. Replaced on disk, it is used from the next
    connection on: `systemctl reload` makes one."""
    key: str = ""
    """File of the key to it, where that is not in the same file. Files are relative to the lane file."""
    keepalive_s: int = Field(default=15, ge=5, le=300)
    """A connection without a sign of life for one and a half times this is lost."""


def _event_class(name: str) -> str:
    if name not in CLASSES:
        raise ValueError(f"there is no class {name!r} of events; there are {', '.join(CLASSES)}")
    return name


EventClass = Annotated[str, AfterValidator(_event_class), Field(json_schema_extra={"enum": list(CLASSES)})]


class DeliverySection(Section):
    """How events reach the port."""

    consumer: str = Field(default="", pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,63})?$")
    """Who confirms events under `receipt/<consumer>`. An event then leaves the lane's store on that receipt; without a
    consumer it does when the broker acknowledges it."""
    receipt_patience_s: float = Field(default=60, ge=1, le=86_400)
    """What the broker has acknowledged and no receipt covers for so long is sent again."""
    backlog_per_s: float = Field(default=2000, ge=0, le=1_000_000)
    """After an outage the backlog is sent no faster than this, so that all lanes of a port can come back at once; 0 is
    as fast as the broker takes it. Live events are not slowed down."""
    hold_without_subscribers: bool | list[EventClass] = False
    """Keep what the broker acknowledged although nobody had subscribed, and send it again: of all classes of events, or
    of those listed (`evidence` also stands for the pictures themselves)."""


class StoreSection(Section):
    """Where the ledger and the flight recorder are kept."""

    path: Annotated[str, Field(min_length=1, max_length=4096)]
    """A folder of this lane alone; relative to the lane file."""
    recorder_mib: int = Field(default=64, ge=1, le=65_536)
    """How much of the recent past the flight recorder keeps, MiB."""
    keep_days: float = Field(default=35, ge=1, le=3660)
    """Delivered events stay on the box for so long."""
    limit_gib: float = Field(default=10, gt=0, le=100_000)
    """Over this size the oldest delivered events go; then, oldest first, undelivered ones of classes that may be
    dropped, and a record of the gap is left. Alarms, passages and decisions never go undelivered."""
    keys: list[Annotated[SecretStr, Field(min_length=16)]] = []
    """What is kept on disk is encrypted with the first of these, and read with any: a list of `!secret name`. To
    rotate, put a new one first and keep the old one until nothing of its time is left."""


class EvidenceSection(Section):
    """How many pictures are kept in the store's folder, and for how long."""

    quota_gib: float = Field(default=20.0, gt=0, le=100_000)
    """The most that pictures may take up. Above it the oldest go."""
    keep_days: float = Field(default=35.0, gt=0, le=3660)
    """Older pictures go."""
    least_hours: float = Field(default=24.0, ge=0, le=87_840)
    """Younger pictures stay, whatever the quota says; when only such are left, new ones are not taken."""
    spare_gib: float = Field(default=1.0, ge=0, le=10_000)
    """Nothing is kept when less would be left on the disk: the ledger needs it more."""
    publish: Literal["none", "mqtt", "http"] = "none"
    """How their bytes get to the port: not at all, in chunks over the broker, or by HTTP PUT to an object store. Only
    when no event waits to be sent."""
    url: str = Field(default="", pattern=r"^((https?|mem)://[^/\s@?#]+(/[^\s?#]*)?)?$")
    """For `http`: where each picture is put, under its hash."""
    token: SecretStr = SecretStr("")
    """For `http`: sent as a bearer's; `!secret name`."""
    ca: str = ""
    """For `https`: file of the authority that the store's certificate must come from, instead of the system's."""
    cert: str = ""
    """For `https`: file of our own certificate, for stores that ask for one."""
    key: str = ""
    """File of the key to it, where that is not in the same file. Files are relative to the lane file."""
    rate_kib_s: float = Field(default=512.0, ge=0, le=1_000_000)
    """How much of the line pictures may take, KiB a second; 0 is all of it."""
    chunk_kib: int = Field(default=64, ge=1, le=256)
    """How much of a picture goes in one message: an event may have to wait for one."""


class LogSection(Section):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged."""
    format: Literal["auto", "json", "console"] = "auto"
    """`auto` is console on a terminal, JSON otherwise."""


class PrivacySection(Section):
    """How card numbers and plates are hidden outside ledger and payload."""

    hash_key: SecretStr | None = Field(default=None, min_length=16)
    """Key of the hashes that stand for numbers in logs: `!secret name`. Without it, a new random one in each run."""
    rotate_h: float = Field(default=24.0, ge=0.1, le=8784)
    """How long the hashes of one number stay the same; 24 is from midnight to midnight UTC."""


class ClockSection(Section):
    """For simulated lanes only: time that runs faster, alike in daemon and fakes."""

    scale: float = Field(default=1.0, ge=1, le=1000)
    """Lane seconds per real second."""
    anchor_utc_s: float = Field(default=0.0, ge=0, le=1e11)
    """The real UTC (seconds since 1970) from which on time is scaled."""


class LaneFile(Section):
    """One lane: a lane file together with the port file that it extends."""

    port: TopicPart
    """Code of the port of entry; usually in the port file."""
    time_zone: str = ""
    """The port's, as `America/Tijuana`: its schedule goes by it. Usually in the port file."""
    simulated: bool = False
    """The devices are fakes: everything published is marked for good, under its own topics."""
    lane: LaneSection
    zones: list[ZoneSection] = Field(min_length=1)
    """In driving order; the last is where a vehicle leaves."""
    loops: list[LoopSection] = Field(min_length=1)
    """At least one watches the booth zone."""
    portals: list[PortalSection] = []
    antennas: list[AntennaSection] = []
    cameras: list[CameraSection] = []
    signal: SignalSection | None = None
    gate: GateSection | None = None
    booth_button: ButtonSection | None = None
    lane_signal: LaneSignalSection | None = None
    beacon: BeaconSection | None = None
    emergency_button: EmergencyButtonSection | None = None
    scanner: ScannerSection | None = None
    tags: list[TagSection] = []
    """What kind of tag a number belongs to; numbers that match nothing are unknown."""
    plates: PlatesSection = PlatesSection()
    questions: QuestionsSection | None = None
    """Without it the port is asked nothing."""
    schedule: ScheduleSection | None = None
    """Without it the lane is opened and closed by order only."""
    resumption: list[StageSection] = []
    """Stages of coming back after a shutdown, trusted programmes first; usually in the port file."""
    limits: LimitsSection = LimitsSection()
    """Times and bounds of the lane core. Change them only with a reason."""
    brokers: list[BrokerSection] = Field(min_length=1)
    delivery: DeliverySection = DeliverySection()
    store: StoreSection
    evidence: EvidenceSection = EvidenceSection()
    log: LogSection = LogSection()
    privacy: PrivacySection = PrivacySection()
    clock: ClockSection = ClockSection()
