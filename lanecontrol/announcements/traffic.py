"""Passages: what was read of them, what was decided. Classes `passage`, `reading`, `evidence`, `disposition`."""

from __future__ import annotations

from dataclasses import dataclass

from lanecontrol.announcements.parts import BoundOccupancy, BoundPicture, BoundPlate, BoundTag, DisposedBy, Finding
from lanecontrol.announcements.words import LaneType, PassageEnd, Quality, Referral, ScanEnd, TagKind
from lanecontrol.events import Heading, PlateCandidate
from lanecontrol.figures import PassageTimes
from lanecontrol.identifier import Identifier

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


# --- class `disposition` ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DispositionRecorded:
    """An officer decided about a passage; `acknowledged` are the findings that lay on the table then."""

    passage: str
    by: DisposedBy
    acknowledged: tuple[str, ...]
