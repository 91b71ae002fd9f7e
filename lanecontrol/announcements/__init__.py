"""What a lane tells the port: every published event, as a frozen dataclass. Declared once, here.

`lanecontrol.port.payloads` turns these into CloudEvents and JSON Schemas; the class of a message (its topic) and how
precious it is stand in `TOPIC_CLASS` at the end. Times are UTC seconds since 1970, durations seconds, unless the name
says otherwise. A correction is a new announcement; nothing is edited.
"""

from __future__ import annotations

from lanecontrol.announcements.equipment import (
    CommandCompleted,
    EquipmentFault,
    GateMoved,
    LaneSignalShown,
    OverrideTold,
    PermissivesChanged,
    ScannerChanged,
    ScannerFigures,
    ScanRecorded,
    SignalShown,
)
from lanecontrol.announcements.lane import (
    CentralReach,
    CertificateEnds,
    ClockStepped,
    DegradedChanged,
    DeviceFaultChanged,
    DeviceStateChanged,
    DivertChanged,
    DutyChanged,
    LaneLifeChanged,
    LaneStarted,
    LaneTypeChanged,
    QualityChanged,
    ResumptionChanged,
    ScheduleTold,
)
from lanecontrol.announcements.lookouts import LookoutAnswered, LookoutRefusal, LookoutSettled
from lanecontrol.announcements.parts import (
    BoundOccupancy,
    BoundPicture,
    BoundPlate,
    BoundTag,
    CauseCount,
    DisposedBy,
    Finding,
    Permissive,
    ScanCounts,
    ScannedPlate,
    ScannerContacts,
    ScanOperator,
)
from lanecontrol.announcements.radiation import (
    AlarmAcknowledged,
    AlarmEnded,
    AlarmRaised,
    OccupancyRecorded,
    SourceChecked,
)
from lanecontrol.announcements.store import (
    ChainHead,
    EventsGivenUp,
    EventUndeliverable,
    OrderAnswered,
    OrderRejected,
    StoreOverFull,
    StoreSalvaged,
)
from lanecontrol.announcements.telemetry import BacklogDrained, BacklogDraining, InputsDropped, LaneNumbers
from lanecontrol.announcements.traffic import (
    CardSuspected,
    DispositionRecorded,
    EvidenceStored,
    EvidenceUndeliverable,
    PassageAssessed,
    PassageAtBooth,
    PassageClosed,
    PassageOpened,
    PlateNotRead,
    PlateSighted,
    ReadingOrphaned,
    TagSighted,
    VehiclePictured,
)
from lanecontrol.announcements.words import (
    AlarmKind,
    GateState,
    LaneAspect,
    LaneLife,
    LaneType,
    OverridePhase,
    PassageEnd,
    PlateRole,
    Quality,
    Referral,
    ScanCause,
    ScanEnd,
    ScannerState,
    ScanPart,
    SchedulePhase,
    Severity,
    SignalAspect,
    TagKind,
)

__all__ = [
    "TOPIC_CLASS",
    "AlarmAcknowledged",
    "AlarmEnded",
    "AlarmKind",
    "AlarmRaised",
    "Announcement",
    "BacklogDrained",
    "BacklogDraining",
    "BoundOccupancy",
    "BoundPicture",
    "BoundPlate",
    "BoundTag",
    "CardSuspected",
    "CauseCount",
    "CentralReach",
    "CertificateEnds",
    "ChainHead",
    "ClockStepped",
    "CommandCompleted",
    "DegradedChanged",
    "DeviceFaultChanged",
    "DeviceStateChanged",
    "DisposedBy",
    "DispositionRecorded",
    "DivertChanged",
    "DutyChanged",
    "EquipmentFault",
    "EventUndeliverable",
    "EventsGivenUp",
    "EvidenceStored",
    "EvidenceUndeliverable",
    "Finding",
    "GateMoved",
    "GateState",
    "InputsDropped",
    "LaneAspect",
    "LaneLife",
    "LaneLifeChanged",
    "LaneNumbers",
    "LaneSignalShown",
    "LaneStarted",
    "LaneType",
    "LaneTypeChanged",
    "LookoutAnswered",
    "LookoutRefusal",
    "LookoutSettled",
    "OccupancyRecorded",
    "OrderAnswered",
    "OrderRejected",
    "OverridePhase",
    "OverrideTold",
    "PassageAssessed",
    "PassageAtBooth",
    "PassageClosed",
    "PassageEnd",
    "PassageOpened",
    "Permissive",
    "PermissivesChanged",
    "PlateNotRead",
    "PlateRole",
    "PlateSighted",
    "Quality",
    "QualityChanged",
    "ReadingOrphaned",
    "Referral",
    "ResumptionChanged",
    "ScanCause",
    "ScanCounts",
    "ScanEnd",
    "ScanOperator",
    "ScanPart",
    "ScanRecorded",
    "ScannedPlate",
    "ScannerChanged",
    "ScannerContacts",
    "ScannerFigures",
    "ScannerState",
    "SchedulePhase",
    "ScheduleTold",
    "Severity",
    "SignalAspect",
    "SignalShown",
    "SourceChecked",
    "StoreOverFull",
    "StoreSalvaged",
    "TagKind",
    "TagSighted",
    "VehiclePictured",
]

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
