"""The part of `samples` that tells of the scanner: one hand-written announcement of every type. Called by it alone."""

from __future__ import annotations

from collections.abc import Iterator

from lanecontrol.announcements import (
    Announcement,
    BoundOccupancy,
    BoundPicture,
    CauseCount,
    DisposedBy,
    Permissive,
    PermissivesChanged,
    PlateRole,
    ScanCause,
    ScanCounts,
    ScanEnd,
    ScannedPlate,
    ScannerChanged,
    ScannerContacts,
    ScannerFigures,
    ScannerState,
    ScanOperator,
    ScanPart,
    ScanRecorded,
)
from lanecontrol.commands import Actor, Role
from lanecontrol.identifier import Identifier


def scanner_samples(
    at: float,
    officer: Actor,
    plate: Identifier,
    occupancies: tuple[BoundOccupancy, ...],
    pictures: tuple[BoundPicture, ...],
    disposed: DisposedBy,
) -> Iterator[Announcement]:
    second = Actor("M. Chen", Role.SUPERVISOR)
    key, passage = "scan-5b1f2a90", "07-000451"
    ready = ScannerContacts(
        ready=True,
        key_enabled=True,
        fault=False,
        shutter_closed=True,
        shutter_open=False,
        scan_in_progress=False,
        scan_complete=False,
        estop_ok=True,
        zone_clear=True,
        barrier_closed=True,
        vehicle_in_position=True,
        driver_clear=True,
        warning_active=True,
    )
    counts = ScanCounts(12, 9, 1, 2, 0, 0, 1, 0, (CauseCount(ScanCause.STALE, 1), CauseCount(ScanCause.ZONE, 1)))
    yield ScannerChanged(
        ScannerState.TRIGGERED,
        ScannerState.WARNING,
        ScanCause.WARNED,
        "the warning was given for 5 s",
        None,
        key,
        passage,
        ready,
        at + 60.0,
    )
    yield PermissivesChanged(
        ScannerState.POSITIONING,
        key,
        "the officer has not confirmed that everybody is out",
        (
            Permissive(ScanCause.READY, True),
            Permissive(ScanCause.DRIVER_OUT, False, "the officer has not confirmed that everybody is out"),
        ),
        at + 40.0,
    )
    yield ScanRecorded(
        key,
        passage,
        "stationary_driver_out",
        "Rapiscan",
        "GaRDS",
        "4711",
        "gamma Cs-137, transmission",
        ScanEnd.ABORTED,
        ScanCause.ZONE,
        "somebody or something is in the scanner's zone",
        False,
        "gamma alarm",
        at,
        at + 60.0,
        at + 60.75,
        at + 71.5,
        (
            ScanOperator(ScanPart.ORDERED, officer, at),
            ScanOperator(ScanPart.CONFIRMED, second, at + 20.0),
            ScanOperator(ScanPart.DRIVER_OUT, officer, at + 45.0),
        ),
        ready,
        (ScanCause.ZONE,),
        (ScannedPlate(plate, PlateRole.TRACTOR, 0.93, "US-AZ"),),
        occupancies,
        pictures,
        disposed,
        counts,
    )
    yield ScannerFigures(counts, at + 80_000.0)
