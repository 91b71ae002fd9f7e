"""What a lane is told: facts from devices, from the supervisor, from people. Frozen, in the field's own words.

A driver reports facts and does not interpret them: counts, not alarms of ours; contact edges, not gates. An `Input` is
an event with its moment and its source, and is all that `lane.step` ever sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from lanecontrol.byname import ByName
from lanecontrol.clock import Instant
from lanecontrol.commands import Actor, Order, Outcome
from lanecontrol.identifier import Identifier
from lanecontrol.questions import Enrolments, Lookouts, Respondent

# --- readers ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TagRead:
    """A tag answered: `epc` in lower-case hex, antenna number as printed on the reader, RSSI in dBm if it is told.

    `reader_utc_s` is the reader's own clock: data, never used for ordering. `late`: the reader had held the report
    back (a connection was lost meanwhile), so that its moment is not the moment of the read.
    """

    antenna: int
    epc: Identifier
    rssi_dbm: float | None = None
    seen_count: int = 1
    tid: Identifier | None = None
    reader_utc_s: float | None = None
    late: bool = False


# --- plates ----------------------------------------------------------------------------------------------------------


class Heading(StrEnum):
    """Which way a camera says that a car moves, seen from the lane."""

    FORWARD = "forward"
    BACKWARD = "backward"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PlateCandidate:
    """Another text that the same plate may be, with its probability 0 to 1."""

    text: Identifier
    confidence: float


@dataclass(frozen=True, slots=True)
class PlateRead:
    """A plate was read: normalised text (A-Z, 0-9), confidence 0 to 1, and the camera's own track of the car.

    A later read of the same `track` replaces the earlier one. `picture` is the reference that `Reporter.keep` gave.
    `raw` is the text as the camera wrote it; `box` is x, y, width, height in pixels of the picture; `engine` says
    which reader of plates it was, with its version; `camera_utc_s` is the camera's clock: data, never used for
    ordering. `late`: the camera or the spool had held it back. `afterwards`: read from pictures that were told before
    on this track, so that it says who the car is, but not where it is by now.
    """

    text: Identifier
    confidence: float
    jurisdiction: str = ""
    track: str = ""
    picture: str = ""
    raw: Identifier = Identifier()
    candidates: tuple[PlateCandidate, ...] = ()
    heading: Heading = Heading.UNKNOWN
    box: tuple[int, int, int, int] | None = None
    engine: str = ""
    camera_utc_s: float | None = None
    late: bool = False
    afterwards: bool = False


@dataclass(frozen=True, slots=True)
class PlateUnread:
    """A camera saw a car and could not read its plate, or what it read was rejected; `why` in plain words.

    `late` and `afterwards` are those of `PlateRead`.
    """

    why: str
    track: str = ""
    picture: str = ""
    late: bool = False
    afterwards: bool = False


@dataclass(frozen=True, slots=True)
class PictureTaken:
    """One more picture of a car on `track`; `view` is what it shows, in the camera's words (`frame`, `vehicle`)."""

    picture: str
    track: str = ""
    view: str = ""


@dataclass(frozen=True, slots=True)
class PlateTrackEnded:
    """The camera has lost sight of the car. Never waited for: cameras may not send it."""

    track: str


# --- contacts --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InputChanged:
    """A named contact of an I/O module changed, or was read for the first time in this session."""

    point: str
    on: bool


@dataclass(frozen=True, slots=True)
class InputsStale:
    """The module's inputs are older than the limit; every one of them counts as its unsafe value until read again."""

    age_s: float


@dataclass(frozen=True, slots=True)
class InputsFresh:
    """The module's inputs are read again after having been stale."""


@dataclass(frozen=True, slots=True)
class OutputsRead:
    """What the module says its outputs are: after connecting, and whenever they differ from what was written."""

    points: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class ModuleWatchdogTripped:
    """The module's own watchdog had dropped the outputs to their safe values."""


# --- radiation portal ------------------------------------------------------------------------------------------------


class Level(StrEnum):
    NORMAL = "normal"
    HIGH = "high"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class GammaBackground:
    """Vacant gamma background per panel, counts per second; `level` tells a high or low fault."""

    cps: tuple[int, ...]
    level: Level = Level.NORMAL


@dataclass(frozen=True, slots=True)
class NeutronBackground:
    """Vacant neutron background per channel, counts per second; exact where the firmware sends fractions."""

    cps: tuple[float, ...]
    level: Level = Level.NORMAL
    exact: bool = False


@dataclass(frozen=True, slots=True)
class GammaCounts:
    """Gamma counts per panel of one 200 ms interval while occupied; `alarm` is the portal controller's own decision."""

    counts: tuple[int, ...]
    alarm: bool


@dataclass(frozen=True, slots=True)
class NeutronCounts:
    """Neutron counts per channel of one second while occupied; `alarm` is the portal controller's own decision."""

    counts: tuple[int, ...]
    alarm: bool


class PortalSide(StrEnum):
    GAMMA = "gamma"
    NEUTRON = "neutron"


@dataclass(frozen=True, slots=True)
class PortalAlarm:
    """The portal controller's own decision, where it tells it apart from counts: raised (`active`) or cleared."""

    side: PortalSide
    active: bool


@dataclass(frozen=True, slots=True)
class PortalSpeed:
    """Vehicle speed measured by the portal, m/s; None where it is zero or saturated."""

    speed_mps: float | None


@dataclass(frozen=True, slots=True)
class OccupancyEnded:
    """The portal says that the vehicle has left. Its counter restarts with the controller: never a key."""

    counter: int | None
    neutron_background_cps: float | None = None


@dataclass(frozen=True, slots=True)
class PortalTamper:
    """A cabinet door of the portal opened (`active`) or closed."""

    active: bool


@dataclass(frozen=True, slots=True)
class PortalSetup:
    """One setup line of the portal, by its tag, with its fields as text in the order of the manual.

    `values` are the same by name (`lanecontrol.radiation_setup`), as far as they are known and can be read.
    """

    tag: str
    fields: tuple[str, ...]
    values: tuple[tuple[str, int | float | str], ...] = ()


@dataclass(frozen=True, slots=True)
class PortalExtra:
    """A well-formed line that carries nothing the lane acts on (newer firmware); kept and counted.

    `values` are its figures by name, where the meaning of the line is known.
    """

    tag: str
    fields: tuple[str, ...]
    values: tuple[tuple[str, float], ...] = ()


# --- devices, told by the supervisor ---------------------------------------------------------------------------------


class DeviceState(StrEnum):
    CONNECTING = "connecting"
    ONLINE = "online"
    OFFLINE = "offline"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a device says it is; empty where it does not say."""

    maker: str = ""
    model: str = ""
    serial: str = ""
    firmware: str = ""


@dataclass(frozen=True, slots=True)
class DeviceChanged:
    """A device changed its state, with the reason in plain words."""

    state: DeviceState
    reason: str
    identity: Identity = Identity()


@dataclass(frozen=True, slots=True)
class DeviceFault:
    """The device works but complains: antenna lost, temperature, buffer overflow. `active` False clears it."""

    code: str
    detail: str
    active: bool = True


# --- the process and its surroundings --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """First input of a run. `cold` when there was no checkpoint; `boot` changes when monotonic time restarted."""

    cold: bool
    boot: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A moment that the lane had asked for has come."""


@dataclass(frozen=True, slots=True)
class CommandEnded:
    """A device command came to its end."""

    command: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class OrderGiven:
    """An officer, technician, supervisor or the port asks for something; already authenticated and well formed."""

    order: Order


@dataclass(frozen=True, slots=True)
class CentralChanged:
    """The port's broker became reachable or not."""

    reachable: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a question of this lane. The snapshot's may be None: it has none, is too old, or is not trusted."""

    question: str
    by: Respondent
    answer: Annotated[Enrolments | Lookouts, ByName()] | None


@dataclass(frozen=True, slots=True)
class CardElsewhere:
    """Another lane of the port has read a card of ours, `apart_s` from when we did; `score` speaks for that lane."""

    number: Identifier
    lane: str
    score: float
    apart_s: float


@dataclass(frozen=True, slots=True)
class DivertHeard:
    """The port diverts traffic (`active`), `to` somewhere else, until a moment; or no longer does."""

    notice: str
    """Its key."""
    active: bool
    reason: str
    to: str
    by: Actor
    issued_utc_s: float
    until_utc_s: float


@dataclass(frozen=True, slots=True)
class StoreChanged:
    """The ledger can be written to, or not: without it nothing is granted."""

    writable: bool
    reason: str


@dataclass(frozen=True, slots=True)
class InputsLost:
    """The inbox was full: this many inputs were not taken in. A fault that shows red."""

    count: int


@dataclass(frozen=True, slots=True)
class Stopping:
    """The daemon is asked to stop: withdraw every permission now."""

    reason: str


DeviceReport = (
    TagRead
    | PlateRead
    | PlateUnread
    | PictureTaken
    | PlateTrackEnded
    | InputChanged
    | InputsStale
    | InputsFresh
    | OutputsRead
    | ModuleWatchdogTripped
    | GammaBackground
    | NeutronBackground
    | GammaCounts
    | NeutronCounts
    | PortalAlarm
    | PortalSpeed
    | OccupancyEnded
    | PortalTamper
    | PortalSetup
    | PortalExtra
    | DeviceFault
)
"""What a driver may report."""

Event = (
    DeviceReport
    | DeviceChanged
    | Started
    | Tick
    | CommandEnded
    | OrderGiven
    | CentralChanged
    | Answered
    | CardElsewhere
    | DivertHeard
    | StoreChanged
    | InputsLost
    | Stopping
)
"""All that a lane can be told."""


@dataclass(frozen=True, slots=True)
class Input:
    """An event, when it was taken in, and which device (or `lane`, `port`) it came from."""

    at: Instant
    source: str
    event: Annotated[Event, ByName()]
