"""People around a scanner: those of the vehicle that is to be scanned, and somebody who walks where nobody may be.

Drivers who were told to go to the scanner stop at its mark, get out when the red light shows, walk to the waiting place
with everybody else, and come back when the green one does, or when the officer waves them on. Dark lights say nothing
to them. What they do wrong is in the scenario's mishaps. Used by `sim.world.scanner` alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

from sim.world.mishaps import Mishaps
from sim.world.scene import ScannerSite
from sim.world.signals import Head
from sim.world.vehicle import Vehicle

GETS_OUT_S = 3.0
"""From standing at the mark, with the red light on, to the open door."""
GREEN_S = 3.0
"""A driver who still sits in the cab, and sees nothing but green for so long, has nothing to wait for."""
REACH_S = 2.0
"""The zone is larger than the beam: whoever comes into it needs so long to where the beam is."""


class Place(StrEnum):
    """Where the people of the vehicle at the mark are."""

    CAB = "cab"
    LEAVING = "leaving"
    WAITING = "waiting"
    RETURNING = "returning"


class Crew:
    """Driver and passengers of the vehicles that are sent to the scanner, one vehicle at a time."""

    def __init__(self, site: ScannerSite, lights: Head, mishaps: Mishaps) -> None:
        self._site = site
        self._lights = lights
        self._mishaps = mishaps
        self._referred: set[int] = set()
        self._waved_on: set[int] = set()
        self.vehicle: int | None = None
        """The vehicle at the mark, as long as its people have something to do with the scanner."""
        self.place = Place.CAB
        self._since_s = 0.0
        self._astray_s: float | None = None
        self._stranger_s: float | None = None
        self._now_s = 0.0

    # --- what they are told ------------------------------------------------------------------------------------------

    def refer(self, number: int) -> None:
        """The officer tells the driver of this vehicle to stop at the scanner."""
        self._referred.add(number)

    def wave_on(self, number: int) -> None:
        """The officer tells the driver to get in again and drive on, whatever the lights show."""
        if number in self._referred:
            self._waved_on.add(number)

    def has_to_stop(self, number: int) -> bool:
        """This vehicle stops at the mark."""
        return number in self._referred

    @property
    def expected(self) -> frozenset[int]:
        """Vehicles that were sent here and have not driven on yet."""
        return frozenset(self._referred)

    # --- what they do ------------------------------------------------------------------------------------------------

    def step(self, now_s: float, vehicles: Sequence[Vehicle], at_mark: Vehicle | None) -> None:
        """It is `now_s`; `at_mark` stands in position."""
        self._now_s = now_s
        self._trespass(now_s)
        if self._referred:
            self._referred &= {vehicle.plan.number for vehicle in vehicles}
        if self.vehicle is None and at_mark is not None and at_mark.plan.number in self._referred:
            self.vehicle = at_mark.plan.number
            self._to(Place.CAB, now_s)
        if self.vehicle is not None:
            self._go_on(self.vehicle, now_s)

    def _go_on(self, number: int, now_s: float) -> None:
        been_s = now_s - self._since_s
        stop, go = self._lights.lit("stop"), self._lights.lit("go")
        back = number in self._waved_on or (go and not stop)
        match self.place:
            case Place.CAB if number in self._waved_on or (back and been_s >= GREEN_S):
                self._drives_on(number)
            case Place.CAB if not stop or go:
                if not back:
                    self._since_s = now_s  # nothing to obey yet
            case Place.CAB if been_s >= GETS_OUT_S:
                self._to(Place.LEAVING, now_s)
            case Place.LEAVING if been_s >= self._site.walk_s:
                self._to(Place.WAITING, now_s)
            case Place.WAITING if back and not self.strays:
                self._to(Place.RETURNING, now_s)
            case Place.RETURNING if been_s >= self._site.walk_s:
                self._drives_on(number)
            case _:
                pass

    def _to(self, place: Place, now_s: float) -> None:
        self.place, self._since_s = place, now_s

    def _drives_on(self, number: int) -> None:
        self._referred.discard(number)
        self._waved_on.discard(number)
        self.vehicle, self.place = None, Place.CAB

    def _trespass(self, now_s: float) -> None:
        if not self._mishaps.planned:
            return
        self._stranger_s = _since(self._mishaps.now("scanner", "zone_entry"), self._stranger_s, now_s)
        self._astray_s = _since(self.strays, self._astray_s, now_s)

    # --- where they are ----------------------------------------------------------------------------------------------

    @property
    def strays(self) -> bool:
        """The driver has left the waiting place for the vehicle, unasked."""
        return self.place is Place.WAITING and self._mishaps.now("scanner", "driver_strays")

    @property
    def at_waiting_place(self) -> bool:
        """The driver stands at the waiting place. Its contact knows nothing of passengers."""
        return self.vehicle is not None and self.place is Place.WAITING and not self.strays

    @property
    def all_out(self) -> bool:
        """Whoever looks into the cab sees nobody, and sees everybody at the waiting place."""
        return self.at_waiting_place and not self._mishaps.now("scanner", "passenger_stays")

    @property
    def in_zone(self) -> bool:
        """Somebody is on foot in the zone."""
        walking = self.vehicle is not None and self.place in (Place.LEAVING, Place.RETURNING)
        return walking or self._stranger_s is not None or self.strays

    def in_beam(self, inside: Sequence[Vehicle]) -> Iterator[str]:
        """Who is where the beam would be, by name, with these vehicles in the zone."""
        for vehicle in inside:
            if vehicle.plan.number != self.vehicle or self.place is not Place.WAITING:
                yield f"vehicle {vehicle.plan.number}"
            elif self._mishaps.now("scanner", "passenger_stays"):
                yield f"passenger of {vehicle.plan.number}"
        for who, since_s in (("stranger", self._stranger_s), ("driver", self._astray_s)):
            if since_s is not None and self._now_s - since_s >= REACH_S:
                yield who


def _since(now: bool, since_s: float | None, now_s: float) -> float | None:
    if not now:
        return None
    return now_s if since_s is None else since_s
