"""What stands in front of a camera that only takes pictures: which plate, and how far from where it is aimed.

One view whenever that changes by as much as shows. Reads nothing by itself; used by `World` for cameras whose site asks
for it. Draws from a generator of its own, one number for each vehicle, in the order in which they come into sight.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from sim.readings import InView
from sim.world.scene import CameraSite
from sim.world.vehicle import Vehicle

SHOWS_M = 0.2
"""A vehicle that moved less than this looks as before."""
PAST_M = 2.0
"""A plate is still in the picture when it is this much nearer than where the camera is aimed."""
NOTHING = InView("", "", 0.0)


class ViewSensor:
    """One camera that takes pictures."""

    def __init__(self, site: CameraSite, looks: random.Random) -> None:
        self.site = site
        self._looks = looks
        self._look_of: dict[int, int] = {}
        self._told = NOTHING

    def step(self, vehicles: Sequence[Vehicle]) -> Iterator[InView]:
        view = self._view(vehicles)
        moved_m = abs(view.distance_m - self._told.distance_m)
        if moved_m >= SHOWS_M or (view.text, view.look) != (self._told.text, self._told.look):
            self._told = view
            yield view

    def _view(self, vehicles: Sequence[Vehicle]) -> InView:
        """The nearest plate hides those behind it."""
        reach_m = self.site.pictures_from_m or 0.0
        near = [(away_m, v) for v in vehicles if -PAST_M <= (away_m := self._away_m(v)) <= reach_m]
        if not near:
            return NOTHING
        away_m, vehicle = min(near, key=lambda one: one[0])
        plan = vehicle.plan
        text = plan.plate if self.site.side == "front" else plan.rear_plate
        return InView(text, plan.jurisdiction, round(away_m, 2), self._look(plan.number))

    def _away_m(self, vehicle: Vehicle) -> float:
        """A front plate comes nearer, a rear plate goes away."""
        if self.site.side == "front":
            return self.site.at_m - vehicle.front_m
        return vehicle.rear_m - self.site.at_m

    def _look(self, number: int) -> int:
        if number not in self._look_of:
            self._look_of = {known: look for known, look in self._look_of.items() if known > number - 100}
            self._look_of[number] = self._looks.getrandbits(31)
        return self._look_of[number]
