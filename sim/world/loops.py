"""Presence loops, with what can go wrong with one: dead, stuck, chattering, blind for some vehicles."""

from __future__ import annotations

import random
from collections.abc import Sequence

from sim.world.chance import between
from sim.world.scenario import LoopTrouble
from sim.world.scene import LoopSite
from sim.world.vehicle import Vehicle

CHATTER_S = (0.1, 0.3)


class LoopSensor:
    """One loop. `step` answers whether its contact is closed."""

    def __init__(self, site: LoopSite, trouble: LoopTrouble, rng: random.Random) -> None:
        self.site = site
        self._start_m, self._end_m = site.start_m, site.end_m
        self.told: bool | None = None
        """The state that its contact last told."""
        self._trouble = trouble
        self._rng = rng
        self.troubled = trouble.dead or trouble.stuck or trouble.chatter_per_min > 0.0
        self._chatter_at_s = trouble.from_s + self._pause_s()
        self._chatter_until_s = 0.0

    def step(self, vehicles: Sequence[Vehicle], now_s: float) -> bool:
        start_m, end_m = self._start_m, self._end_m
        on = False
        for vehicle in vehicles:
            if vehicle.front_m < start_m:
                break
            if vehicle.rear_m <= end_m and self.site.point not in vehicle.plan.missed_by:
                on = True
                break
        return self._spoiled(on, now_s) if self.troubled else on

    def _spoiled(self, on: bool, now_s: float) -> bool:
        trouble = self._trouble
        if now_s < trouble.from_s or (trouble.until_s is not None and now_s >= trouble.until_s):
            return on
        if trouble.dead or trouble.stuck:
            return trouble.stuck
        if now_s >= self._chatter_at_s:
            self._chatter_until_s = now_s + between(self._rng, CHATTER_S)
            self._chatter_at_s = self._chatter_until_s + self._pause_s()
        return on != (now_s < self._chatter_until_s)

    def _pause_s(self) -> float:
        per_min = self._trouble.chatter_per_min
        return self._rng.expovariate(per_min / 60.0) if per_min > 0.0 else 0.0
