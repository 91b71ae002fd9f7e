"""What really happened in the world: for scoring, for the automatic officer's eyes, and for nobody else.

Nothing in `lanecontrol` or `drivers` can see this. Times are world seconds, from 0 at the start.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from enum import StrEnum


class Fate(StrEnum):
    """How a vehicle's way through the lane has ended, or not yet."""

    INSIDE = "inside"
    THROUGH = "through"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class VehicleTruth:
    """One vehicle. `booth_entered_s` and `booth_left_s` are its front entering and its rear leaving the booth zone."""

    number: int
    kind: str
    length_m: float
    conduct: str
    plates: tuple[str, ...]
    jurisdiction: str
    persons: int
    tags: tuple[str, ...]
    """EPCs of all its tags, lower-case hex."""
    cards: int
    """How many of them are persons' cards."""
    gamma_source: bool
    neutron_source: bool
    entered_s: float
    booth_entered_s: float | None
    booth_left_s: float | None
    left_s: float | None
    fate: Fate
    unreleased: bool
    """It passed the stop line without having been released itself."""


@dataclass(frozen=True, slots=True)
class OccupancyTruth:
    """One occupancy of the portal: who was in it, what its controller decided, and because of whom."""

    started_s: float
    ended_s: float
    vehicles: tuple[int, ...]
    gamma_causes: tuple[int, ...]
    neutron_causes: tuple[int, ...]
    gamma_alarm: bool
    neutron_alarm: bool
    portal: str = ""
    """The portal's device, where there may be several."""


@dataclass(frozen=True, slots=True)
class BeamTruth:
    """One time that the scanner's beam was on."""

    started_s: float
    ended_s: float
    vehicle: int | None
    """Which vehicle stood in position when it came on."""
    ended_by: str
    """`complete`; `withdrawn`, `abort`: the lane took it back; `interlock`: the scanner's own chain. Empty where a
    beam that nobody asked for ended."""
    people: int
    """How many people it met."""
    overran: bool
    """The shutter did not close when it should have."""
    befallen: bool
    """Something was the matter with the scanner, or its chain was broken."""


@dataclass(frozen=True, slots=True)
class Truth:
    """The world up to `now_s`."""

    seed: int
    now_s: float
    vehicles: tuple[VehicleTruth, ...]
    """In the order of arrival; those that wait upstream of the world are not among them."""
    occupancies: tuple[OccupancyTruth, ...]
    """Those that have ended, of all portals, in the order in which they began."""
    gate_strikes: int
    """How often the arm met a vehicle."""
    beams: tuple[BeamTruth, ...] = ()
    """Every time that the scanner's beam was on; one that still is ends now."""
    people_in_beam: int = 0
    """How many people a beam met."""
    beam_without_request: int = 0
    """How often a beam came on without request and arming."""
    queue: tuple[tuple[float, int], ...] = ()
    """When the number of vehicles waiting for the booth changed, and to what (see `World.waiting`); 0 before."""

    def waiting_at(self, at_s: float) -> int:
        """How many vehicles waited for the booth at this moment."""
        place = bisect_right(self.queue, (at_s, math.inf))
        return self.queue[place - 1][1] if place else 0


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a vehicle is now, for a live picture of the lane."""

    number: int
    kind: str
    front_m: float
    rear_m: float
    speed_mps: float
