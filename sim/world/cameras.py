"""Plate cameras: one view per vehicle, as it passes the trigger line."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from sim.readings import PlateView
from sim.world.chance import between, chance
from sim.world.plan import DIGITS, LETTERS, Plan
from sim.world.scenario import Plates
from sim.world.scene import CameraSite
from sim.world.traffic import Vehicle

WRONG_LOSS = 0.25
"""A misread plate has this much less confidence."""


class CameraSensor:
    """One camera."""

    def __init__(self, site: CameraSite, plates: Plates, rng: random.Random) -> None:
        self.site = site
        self._plates = plates
        self._rng = rng
        self._seen = 0

    def step(self, vehicles: Sequence[Vehicle]) -> Iterator[PlateView]:
        for vehicle in vehicles:
            at_m = vehicle.front_m if self.site.side == "front" else vehicle.rear_m
            if at_m < self.site.at_m:
                break
            # Vehicles pass in the order of their numbers; one that rolls back is not read again.
            if vehicle.plan.number > self._seen:
                self._seen = vehicle.plan.number
                yield from self._view(vehicle.plan)

    def _view(self, plan: Plan) -> Iterator[PlateView]:
        rng = self._rng
        true_text = plan.plate if self.site.side == "front" else plan.rear_plate
        missed, confidence = chance(rng, self._plates.miss_share), between(rng, self._plates.confidence)
        text = "".join(self._character(sign) for sign in true_text)
        if not missed:
            sure = confidence if text == true_text else max(0.05, confidence - WRONG_LOSS)
            yield PlateView(text, sure, plan.jurisdiction, f"car-{plan.number}")

    def _character(self, sign: str) -> str:
        wrong, other = chance(self._rng, self._plates.character_error_share), self._rng.random()
        alphabet = [c for c in (DIGITS if sign.isdigit() else LETTERS) if c != sign]
        return alphabet[int(other * len(alphabet))] if wrong else sign
