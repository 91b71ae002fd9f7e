"""A vehicle in the lane: where it is, and how far it has come with all that its driver does.

Moved by `Traffic`; sensors, lamps and crews of the world look at it. Decides nothing and draws nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sim.world.plan import MANOEUVRES, Conduct, Plan

START_FROM_M = 0.6
"""A standing driver moves up only when there is room for at least this."""
STANDING_MPS = 0.05
"""Slower than this counts as standing."""
DONE = 4
"""The last of what `Vehicle.manoeuvre` says."""
ABREAST, TAILGATES_THROUGH = Conduct.ABREAST, Conduct.TAILGATES_THROUGH


class Vehicle:
    """One vehicle in the lane. `front_m` and `rear_m` are its bumpers."""

    __slots__ = (
        "booth_entered_s",
        "booth_left_s",
        "clear_from_m",
        "clear_to_m",
        "entered_s",
        "followed",
        "front_m",
        "goes_at_s",
        "manoeuvre",
        "manoeuvring",
        "marks_m",
        "pause_until_s",
        "plan",
        "rear_m",
        "release_seen_s",
        "released",
        "slowed",
        "speed_mps",
        "steady_square",
        "steady_to_m",
        "stood_since_s",
        "stop_at_m",
        "struck",
    )

    def __init__(self, plan: Plan, front_m: float, speed_mps: float, now_s: float, stop_at_m: float) -> None:
        self.plan = plan
        self.front_m = front_m
        self.rear_m = front_m - plan.length_m
        self.speed_mps = speed_mps
        self.entered_s = now_s
        self.stop_at_m = stop_at_m
        self.released = plan.conduct is Conduct.RUNS
        """It may pass the stop line: told so, or it does not ask."""
        self.release_seen_s: float | None = None
        self.followed = False
        """It passed the booth on another vehicle's release."""
        self.manoeuvre = 0 if plan.conduct in MANOEUVRES else DONE
        """How far a back-out or a reversal has come: 0 ahead, 1 pausing, 2 reversing, 3 pausing, 4 done."""
        self.manoeuvring = plan.conduct in MANOEUVRES
        """It still has a back-out or a reversal ahead of it, or is about it: the others keep away."""
        self.pause_until_s = 0.0
        self.goes_at_s: float | None = None
        self.stood_since_s: float | None = None
        self.booth_entered_s: float | None = None
        self.booth_left_s: float | None = None
        self.struck = False
        self.clear_from_m, self.clear_to_m = math.inf, -math.inf
        """While its front is between these two, neither bumper passes a mark."""
        self.marks_m: list[float] = []
        """Where its front is as one of its bumpers passes a mark, in order."""
        self.steady_to_m, self.steady_square = -math.inf, 0.0
        """Up to there nothing on the lane makes it go faster or slower, nor does one ahead who is far enough away for
        this square of speeds (see `Traffic._steady`)."""
        self.slowed = False
        """It was once slower than walking."""

    def place(self, front_m: float) -> None:
        self.front_m = front_m
        self.rear_m = front_m - self.plan.length_m

    def waits_behind(self, leader: Vehicle) -> bool:
        """It stands, has nothing to ask of signal or gate, and the one ahead leaves it no room to move up."""
        plan = self.plan
        return (
            self.stop_at_m - self.front_m > START_FROM_M
            and leader.rear_m - self.front_m - plan.standstill_gap_m < START_FROM_M
            and not self.manoeuvring
            and not self.released
            and plan.conduct is not TAILGATES_THROUGH
        )

    def covers(self, start_m: float, end_m: float) -> bool:
        """Some of its body is over this stretch."""
        return self.front_m >= start_m and self.rear_m <= end_m


@dataclass(frozen=True, slots=True)
class Departure:
    """A vehicle that has left the world."""

    vehicle: Vehicle
    at_s: float
    withdrew: bool
