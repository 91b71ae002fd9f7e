"""One hand-written announcement of every type: examples for integrators, and what the golden tests start from.

The values tell one afternoon at one lane: a vehicle with two cards and a plate alarms the portal and is referred. The
numbers are invented. Nothing in the daemon's own work uses this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lanecontrol.announcements import (
    AlarmAcknowledged,
    AlarmEnded,
    AlarmKind,
    AlarmRaised,
    Announcement,
    BacklogDrained,
    BacklogDraining,
    BoundOccupancy,
    BoundPicture,
    BoundPlate,
    BoundTag,
    CardSuspected,
    CentralReach,
    CertificateEnds,
    ChainHead,
    ClockStepped,
    CommandCompleted,
    DegradedChanged,
    DeviceFaultChanged,
    DeviceStateChanged,
    DisposedBy,
    DispositionRecorded,
    DivertChanged,
    DutyChanged,
    EquipmentFault,
    EventsGivenUp,
    EventUndeliverable,
    EvidenceStored,
    EvidenceUndeliverable,
    Finding,
    GateMoved,
    GateState,
    InputsDropped,
    LaneAspect,
    LaneLife,
    LaneLifeChanged,
    LaneNumbers,
    LaneSignalShown,
    LaneStarted,
    LaneType,
    LaneTypeChanged,
    LookoutAnswered,
    LookoutRefusal,
    LookoutSettled,
    OccupancyRecorded,
    OrderAnswered,
    OrderRejected,
    OverridePhase,
    OverrideTold,
    PassageAssessed,
    PassageAtBooth,
    PassageClosed,
    PassageEnd,
    PassageOpened,
    PlateNotRead,
    PlateSighted,
    Quality,
    QualityChanged,
    ReadingOrphaned,
    Referral,
    ResumptionChanged,
    SchedulePhase,
    ScheduleTold,
    Severity,
    SignalAspect,
    SignalShown,
    SourceChecked,
    StoreOverFull,
    StoreSalvaged,
    TagKind,
    TagSighted,
    VehiclePictured,
)
from lanecontrol.clock import Instant
from lanecontrol.commands import Actor, Disposition, OverridePart, Result, Role
from lanecontrol.events import DeviceState, Heading, Identity, PlateCandidate
from lanecontrol.figures import (
    Absent,
    Lasted,
    PassageTimes,
    QueueClaim,
    QueueEstimate,
    Served,
    Stage,
    StageTimes,
)
from lanecontrol.identifier import Identifier
from lanecontrol.port.payloads import event_bytes
from lanecontrol.port.samples_scanner import scanner_samples
from lanecontrol.port.topics import LaneAddress
from lanecontrol.questions import Hit

NOON_S = 1_767_974_400.0
"""2026-01-09T16:00:00Z."""

PICTURE = "sha256:5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"


@dataclass(frozen=True, slots=True)
class Sample:
    """An announcement and where it stands among its lane's events."""

    announcement: Announcement
    seq: int
    address: LaneAddress

    def bytes(self) -> bytes:
        """The event as it would go over the wire."""
        instant = Instant(self.seq * 1.5, NOON_S + self.seq * 1.5, synchronised=self.seq % 2 == 0)
        return event_bytes(self.announcement, epoch=2, seq=self.seq, instant=instant, source_lane=self.address)


def samples() -> Iterator[Sample]:
    """One of every type. The odd ones come from a free-running clock, every third from a simulated lane."""
    for seq, announcement in enumerate(_announcements(), 1):
        yield Sample(announcement, seq, LaneAddress("nogales", "07", simulated=seq % 3 == 0))


def _announcements() -> Iterator[Announcement]:
    at = NOON_S
    officer = Actor("J. Rivera", Role.OFFICER)
    card = Identifier("e2801160600002054f6b0a11")
    plate = Identifier("ABC123")
    tags = (
        BoundTag(card, TagKind.PERSON, 12.5, 31, at + 1.0, at + 9.5),
        BoundTag(Identifier("e2801160600002054f6b0a12"), TagKind.UNKNOWN, 2.5, 3, at + 2.0, at + 2.5, ambiguous=True),
    )
    plates = (BoundPlate(plate, 0.93, 4.0, "US-AZ", corrected=(Identifier("ABC128"),)),)
    pictures = (BoundPicture(PICTURE, "vehicle", "camera", plate),)
    occupancies = (BoundOccupancy("portal-000123", gamma_alarm=True, neutron_alarm=False),)
    findings = (
        Finding("rpm.gamma_alarm", Severity.HIGH, Referral.MANDATORY, "portal", "7.5 sigma"),
        Finding("card.too_few", Severity.MEDIUM, Referral.OFFICER_CONFIRMS, "lane"),
    )
    disposed = DisposedBy(Disposition.REFER_SECONDARY, officer, at + 20.0, ("rpm.gamma_alarm",))
    yield PassageOpened("07-000451", "approach", at)
    yield PassageAtBooth("07-000451", at + 5.0)
    yield PassageAssessed(
        "07-000451",
        1,
        at + 7.0,
        at + 5.0,
        tags,
        plates,
        occupancies,
        findings,
        Referral.MANDATORY,
        Quality.GOOD,
        2,
        pictures,
    )
    yield PassageClosed(
        "07-000451",
        PassageEnd.COMPLETE,
        "",
        LaneType.SENTRI,
        at,
        at + 5.0,
        at + 24.0,
        at + 27.5,
        tags,
        plates,
        occupancies,
        findings,
        Referral.MANDATORY,
        disposed,
        2,
        Quality.GOOD,
        "9f2c51d0a7b3e846",
        pictures,
        times=PassageTimes(3.0, 2.0, 6.1, 7.2, 11.0, 15.0, 19.0, 3.5, 27.5, 13.4, True),
    )
    yield TagSighted(card, TagKind.PERSON, "reader", "approach", 1, at + 1.0, -54.5)
    yield PlateSighted(
        plate,
        0.93,
        "camera",
        "approach",
        at + 1.5,
        "US-AZ",
        PICTURE,
        "4711",
        Identifier("ABC128"),
        "",
        Identifier("ABC 123"),
        (PlateCandidate(Identifier("ABC128"), 0.41),),
        Heading.FORWARD,
        (310, 220, 96, 40),
        "lpr.axis 4.2",
        device_utc_s=at + 1.25,
    )
    yield ReadingOrphaned(
        "tag", card, "reader", "exit", 2, at + 60.0, at + 60.5, late=True, why="its passage is closed"
    )
    yield OccupancyRecorded(
        "portal-000123",
        "portal",
        at + 0.5,
        at + 4.5,
        (251, 248, 255, 249),
        (1.5, 2.0),
        False,
        412,
        7.5,
        "upper left",
        True,
        3,
        False,
        2.25,
        20,
        False,
        False,
        False,
        ("07-000451",),
        4.0,
        2,
    )
    yield AlarmRaised("alarm-88", AlarmKind.GAMMA, "portal", at + 4.0, ("07-000450", "07-000451"), "portal-000123")
    yield AlarmAcknowledged("alarm-88", officer, at + 8.0)
    yield AlarmEnded("alarm-88", at + 30.0)
    yield DispositionRecorded("07-000451", disposed, ("rpm.gamma_alarm", "card.too_few"))
    yield SignalShown(SignalAspect.PROCEED, "disposition REFER_SECONDARY", at + 20.0)
    yield GateMoved(GateState.OPENING, "commanded", at + 20.5)
    yield CommandCompleted("io", "open gate", Result.UNKNOWN, "no answer within 1 s", at + 21.5)
    yield EquipmentFault("gate", "gate.travel", "not open after 8 s", True, at + 28.5)
    yield LaneLifeChanged(LaneLife.OPEN, LaneLife.OPENING, "order of M. Chen", at - 3600.0)
    yield LaneStarted(cold=False, boot="5f0c9c52", at_utc_s=at - 3700.0)
    yield QualityChanged(Quality.DEGRADED, "loop booth stale", at + 90.0)
    yield CentralReach(False, "mqtts://broker:8883: connect: connection refused", at + 100.0)
    yield DeviceStateChanged(
        "portal",
        "rpm.rapiscan",
        DeviceState.ONLINE,
        "",
        at - 3690.0,
        Identity("Rapiscan", "TSA VM-250", "", "1.1.8"),
    )
    yield DeviceFaultChanged("reader", "antenna.2", "not connected", True, at + 110.0)
    yield OrderAnswered("console-5b1f2a90", "Dispose", officer, Result.DONE, "", at + 20.0, "3f" * 16)
    yield OrderRejected(
        "poe/nogales/lane/07/cmd/open", "late: the deadline was 4.0 s ago", "M. Chen", Role.SUPERVISOR, at
    )
    yield InputsDropped(12, at + 120.0)
    yield EvidenceStored(PICTURE, 48_213, "image/jpeg", "camera", at + 1.75)
    yield ChainHead(7, 184_220, "5a" * 32, at + 900.0)
    yield EventsGivenUp("telemetry", 7, 90_001, 91_312, 300, at - 86_400.0, at - 80_000.0, at + 130.0)
    yield StoreOverFull(52_428_800, True, at + 131.0)
    yield EventUndeliverable("reading", 7, 184_101, 0x87, "not authorized", at + 132.0)
    yield CertificateEnds("booth-07.pem", 29.5, at + 132.5)
    yield BacklogDraining(120_000, 2000.0, at + 133.0)
    yield BacklogDrained(120_000, 60.25, at + 194.0)
    yield PlateNotRead("below the confidence asked for", "camera", "approach", at + 1.5, "4712", PICTURE)
    yield VehiclePictured(PICTURE, "vehicle", "camera", "approach", at + 1.75, "4711")
    yield EvidenceUndeliverable(PICTURE, "packet too large", at + 133.5)
    yield StoreSalvaged(184_000, 2, 31, "database disk image is malformed", at + 134.0)
    yield LaneSignalShown(LaneAspect.CLOSING, "order of M. Chen", at + 135.0)
    yield OverrideTold(
        "07-o000004",
        OverridePart.LOOP_OUT,
        "exit",
        OverridePhase.STANDS,
        "stuck since the rain, technician called",
        Actor("M. Chen", Role.SUPERVISOR),
        5400.0,
        "still set",
        at + 136.0,
    )
    later = at + 200.0
    yield from scanner_samples(later, officer, plate, occupancies, pictures, disposed)
    yield SourceChecked(
        "check-20260101",
        "rpm",
        "Cs-137 no. 12",
        officer,
        False,
        "no gamma alarm in time",
        False,
        False,
        1.2345,
        ("07-r000009",),
        later + 90_000.0,
    )
    yield from _questions(later + 90_100.0, officer, plate)
    yield from _life(later + 90_200.0, officer)


def _life(at: float, officer: Actor) -> Iterator[Announcement]:
    port = Actor("port command", Role.CENTRAL)
    yield LaneTypeChanged(LaneType.READY, LaneType.SENTRI, "the schedule", at)
    yield DutyChanged(officer, "signed on", at)
    yield ScheduleTold(True, LaneType.READY, SchedulePhase.HELD, "the clock is not synchronised", at + 7200.0, at)
    yield DivertChanged("divert-1", True, "flooding", "the bridge", port, at + 3600.0, "", at)
    yield ResumptionChanged("trusted", (LaneType.SENTRI, LaneType.NEXUS), True, officer, at)


def _questions(at: float, officer: Actor, plate: Identifier) -> Iterator[Announcement]:
    hits = (Hit(plate, "stolen vehicle", armed=True),)
    yield DegradedChanged(True, "the port's broker cannot be reached", False, at)
    yield LookoutAnswered("07-000460", "central", hits, Referral.MANDATORY, at + 10.0)
    refused = LookoutRefusal("key-0000001", Disposition.RELEASED, officer, "", at + 15.0)
    yield LookoutSettled("07-000460", hits, Disposition.REFER_SECONDARY, officer, at + 20.0, (refused,))
    yield CardSuspected(
        Identifier("e2801160600002054f6b0a11"),
        "read in two lanes that are not side by side",
        "07-000460",
        "12",
        True,
        at + 30.0,
    )
    yield from _numbers(at + 100.0)


def _numbers(at: float) -> Iterator[Announcement]:
    yield ClockStepped(-2.5, at)
    start = at // 900 * 900
    yield LaneNumbers(
        window=97,
        start_utc_s=start,
        end_utc_s=start + 900.0,
        missing_windows=0,
        observed_s=880.0,
        unobserved_s=17.5,
        clock_stepped_s=2.5,
        synchronised=True,
        life=LaneLife.CLOSED,
        lives=(Lasted("open", 620.0), Lasted("closing", 20.0), Lasted("closed", 240.0)),
        open_s=620.0,
        quality=Quality.DEGRADED,
        qualities=(Lasted("GOOD", 760.0), Lasted("DEGRADED", 120.0)),
        inside_before=2,
        opened=49,
        served=46,
        served_as=(Served("SENTRI", 46),),
        uninspected=1,
        unreleased=0,
        withdrawn=2,
        interrupted=1,
        inside_after=1,
        untimed=5,
        referred=2,
        throughput_per_h=258.8,
        capacity_per_h=345.6,
        saturation=0.749,
        approach_occupied=0.41,
        waiting_mean=1.3,
        waiting_most=3,
        stages=(
            StageTimes(Stage.TO_BOOTH, 41, 9.804, 8.62, 16.84, 3.4, 41.7),
            StageTimes(Stage.SERVICE, 41, 8.113, 7.818, 11.55, 4.9, 23.2),
        ),
        queue=QueueEstimate("clear-entry/1", QueueClaim.ESTIMATE, 2.4, 1, 5, 2, 271.4, 38.5),
        absent=(Absent("to_referral", "tracking was not GOOD for any vehicle served"),),
        at_utc_s=start + 900.0,
    )
