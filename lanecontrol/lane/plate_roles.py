"""Which end of a vehicle a plate is on, and whose plate it then is: a combination of vehicles has several.

A camera tells what it reads; which end it sees only the site knows (`sees` of the camera in the lane file). Where
trailers come, the plate in front is the tractor's, and another one behind is the trailer's. Called by `lane.assembly`.
Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from lanecontrol.announcements import BoundPlate, PlateRole
from lanecontrol.lane.setup import LaneSetup, Sees

_ENDS = {Sees.FRONT: PlateRole.FRONT, Sees.REAR: PlateRole.REAR, Sees.UNKNOWN: PlateRole.UNKNOWN}


def seen_by(setup: LaneSetup, device: str) -> PlateRole:
    """The end of the vehicle at which this camera looks."""
    return next((_ENDS[camera.sees] for camera in setup.cameras if camera.device == device), PlateRole.UNKNOWN)


def merged(plates: Sequence[BoundPlate], key: Callable[[BoundPlate], str], *, trailers: bool) -> tuple[BoundPlate, ...]:
    """One of each number, the strongest first: several cameras, or one that lost the car and found it again."""
    numbers: dict[str, BoundPlate] = {}
    for plate in plates:
        other = numbers.get(key(plate))
        numbers[key(plate)] = plate if other is None else _both(other, plate)
    strongest = tuple(sorted(numbers.values(), key=lambda plate: -plate.score))
    return _of_combination(strongest) if trailers else strongest


def _both(one: BoundPlate, other: BoundPlate) -> BoundPlate:
    return BoundPlate(
        one.text,
        max(one.confidence, other.confidence),
        round(one.score + other.score, 4),
        one.jurisdiction or other.jurisdiction,
        one.ambiguous and other.ambiguous,
        tuple(dict.fromkeys((*one.corrected, *other.corrected))),
        _end(one.role, other.role),
    )


def _end(one: PlateRole, other: PlateRole) -> PlateRole:
    """The same number at both ends is one vehicle's, and the one in front leads."""
    return next((role for role in (PlateRole.FRONT, PlateRole.REAR) if role in (one, other)), PlateRole.UNKNOWN)


def _of_combination(plates: tuple[BoundPlate, ...]) -> tuple[BoundPlate, ...]:
    """With nothing read in front, the one behind may be the trailer's or a single vehicle's: it stays `rear`."""
    if not any(plate.role is PlateRole.FRONT for plate in plates):
        return plates
    roles = {PlateRole.FRONT: PlateRole.TRACTOR, PlateRole.REAR: PlateRole.TRAILER}
    return tuple(replace(plate, role=roles.get(plate.role, plate.role)) for plate in plates)
