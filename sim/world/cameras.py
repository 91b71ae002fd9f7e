"""Plate cameras: one view per vehicle, as it passes the trigger line; sometimes a second look that corrects the first.

What older scenarios ask for is drawn from one generator, and the rest (unread plates, second looks, pictures) from
another, so that their outcomes stay as they were.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

from sim.readings import PlateGone, PlateView
from sim.world.chance import between, chance
from sim.world.plan import DIGITS, LETTERS, Plan
from sim.world.scenario import Plates
from sim.world.scene import CameraSite
from sim.world.vehicle import Vehicle

WRONG_LOSS = 0.25
"""A misread plate has this much less confidence."""
SECOND_LOOK_M = 1.0
"""A second look comes so far behind the first."""

Sight = PlateView | PlateGone


class CameraSensor:
    """One camera."""

    def __init__(self, site: CameraSite, plates: Plates, rng: random.Random, looks: random.Random) -> None:
        self.site = site
        self._plates = plates
        self._rng = rng
        self._looks = looks
        self._seen = 0
        self._in_sight: dict[int, PlateView | None] = {}
        """Cars that it has told of and not lost yet, and what a second look will say."""

    def step(self, vehicles: Sequence[Vehicle]) -> Iterator[Sight]:
        if self._in_sight:
            yield from self._follow(vehicles)
        for vehicle in vehicles:
            if self._plate_m(vehicle) < self.site.at_m:
                break
            # Vehicles pass in the order of their numbers; one that rolls back is not read again.
            if vehicle.plan.number > self._seen:
                self._seen = vehicle.plan.number
                yield from self._view(vehicle.plan)

    def _plate_m(self, vehicle: Vehicle) -> float:
        return vehicle.front_m if self.site.side == "front" else vehicle.rear_m

    def _follow(self, vehicles: Sequence[Vehicle]) -> Iterator[Sight]:
        """Second looks, and cars that are out of sight."""
        at_m = {v.plan.number: self._plate_m(v) for v in vehicles if v.plan.number in self._in_sight}
        for number, second in tuple(self._in_sight.items()):
            beyond_m = at_m[number] - self.site.at_m if number in at_m else self.site.sight_m
            if beyond_m >= self.site.sight_m:
                del self._in_sight[number]
                yield PlateGone(_car(number))
            elif second is not None and beyond_m >= SECOND_LOOK_M:
                self._in_sight[number] = None
                yield second

    def _view(self, plan: Plan) -> Iterator[PlateView]:
        rng, looks, plates = self._rng, self._looks, self._plates
        true_text = plan.plate if self.site.side == "front" else plan.rear_plate
        missed, confidence = chance(rng, plates.miss_share), between(rng, plates.confidence)
        text = "".join(self._character(sign) for sign in true_text)
        unread, corrected = chance(looks, plates.unread_share), chance(looks, plates.second_look_share)
        look = looks.getrandbits(31)
        if missed:
            return
        right = PlateView(true_text, confidence, plan.jurisdiction, _car(plan.number), "in", true_text, look)
        wrong = replace(right, text=text, confidence=max(0.05, confidence - WRONG_LOSS))
        self._in_sight[plan.number] = right if corrected and text != true_text and not unread else None
        if unread:
            yield replace(right, text="", confidence=0.0)
        else:
            yield right if text == true_text else wrong

    def _character(self, sign: str) -> str:
        wrong, other = chance(self._rng, self._plates.character_error_share), self._rng.random()
        alphabet = [c for c in (DIGITS if sign.isdigit() else LETTERS) if c != sign]
        return alphabet[int(other * len(alphabet))] if wrong else sign


def _car(number: int) -> str:
    return f"car-{number}"
