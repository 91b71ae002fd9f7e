"""Vehicles on the lane: arrivals, car following, stopping at signal and gate, and the odd ways of some drivers.

Used by `World` alone. Draws nothing itself: what is by chance is in each vehicle's `Plan`. Following uses a safe-speed
rule (Gipps 1981, in Krauss's form): no driver goes faster than lets them stop behind the one ahead, should that one
brake. A final clamp keeps bodies apart whatever happens.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from math import sqrt

from sim.world.barrier import Barrier
from sim.world.manoeuvre import manoeuvre, turning_point_m
from sim.world.plan import Conduct, Plan, Population
from sim.world.scenario import Scenario
from sim.world.scene import Scene
from sim.world.signals import StopLine
from sim.world.vehicle import ABREAST, DONE, STANDING_MPS, START_FROM_M, TAILGATES_THROUGH, Departure, Vehicle

BRAKE_MPS2 = 2.5
"""Comfortable braking, that every driver reckons with."""
HARD_BRAKE_MPS2 = 6.0
"""Whoever would have to brake harder than this for a closing arm drives on."""
WALL_TIME_S = 0.45
"""How cautiously drivers creep up to a line."""
CREEP_MPS, CREEP_M = 0.3, 0.25
"""A driver who creeps this slowly, this close to where to stop, just stops."""
WALKING_MPS = 1.4
AT_MARK_M = 1e-6
"""So near to a mark it is looked at exactly."""
INFINITE = math.inf
TWICE_BRAKE_MPS2 = 2.0 * BRAKE_MPS2
WALL_REACH_M = BRAKE_MPS2 * WALL_TIME_S
WALL_SQUARE = WALL_REACH_M * WALL_REACH_M
BODY_GAP_M = 0.2
"""Two bodies never come closer than this."""
SLOWS_M = 9.0
"""Drivers slow down for the portal from this far before it."""
LEAVERS = frozenset({Conduct.BACKS_OUT, Conduct.CHANGES_LANE})
WITH_OTHERS = frozenset({TAILGATES_THROUGH, ABREAST})
"""They go by what another vehicle does."""
FOLLOW_THROUGH_M = 7.0
"""A tailgater this close behind a released vehicle goes with it."""
TIRED_S = 3.0
"""A driver who wants to change lanes and stands this long on the approach leaves from there."""
COMMITS_M = 3.0
"""So near before the portal a driver who has room behind it makes up their mind to drive through."""
CLEAR_BEHIND_M = 0.3
"""Room that drivers leave between their rear and the end of the portal."""


class Traffic:
    """All vehicles, the first in the lane first."""

    def __init__(
        self, scene: Scene, scenario: Scenario, population: Population, barrier: Barrier, *lines: StopLine
    ) -> None:
        marks = [(site.start_m, site.end_m) for site in scene.loops]
        marks += [(scene.booth.start_m, scene.booth.end_m)]
        marks += [(scene.gate.at_m, scene.gate.at_m)] if scene.gate else []
        self._marks = sorted({at_m for mark in marks for at_m in mark})
        self._scene = scene
        self._lines = lines
        self._scenario = scenario
        self._population = population
        self._barrier = barrier
        self.vehicles: list[Vehicle] = []
        self._upstream: deque[Plan] = deque()
        self._next: Plan | None = self._draw()
        self.arrivals_ended_s: float | None = None
        self.left_s = 0.0
        """When the last vehicle left the world."""
        self.changed = True
        """In the last step somebody came, went, slowed down, or passed a mark: an end of a loop or booth, the gate."""
        self._odd: list[Vehicle] = []
        portal = scene.portal
        self._portal_wall_m = portal.start_m - portal.keep_clear_m if portal else -math.inf
        self._clear_m = portal.end_m + CLEAR_BEHIND_M if portal else -math.inf
        self._slow_from_m, self._slow_to_m = (
            (portal.start_m - SLOWS_M, portal.end_m + 1.0) if portal else (math.inf, math.inf)
        )
        self._booth_m, self._end_m = scene.booth.start_m, scene.end_m
        self._booth_wall_m = scene.booth.start_m - 0.5
        self._booth_free_m = scene.booth.end_m + 1.0
        self._gate_wall_m = scene.gate.at_m - 0.6 if scene.gate else math.inf
        self._committed: set[int] = set()

    @property
    def upstream(self) -> int:
        """Who has arrived and finds no room in the world yet."""
        return len(self._upstream)

    @property
    def empty(self) -> bool:
        """Nobody in the lane and nobody waiting to come in."""
        return not self.vehicles and not self._upstream

    def step(self, now_s: float, dt_s: float) -> Sequence[Departure]:
        """Move everybody by `dt_s` up to `now_s`; the vehicles that left."""
        self.changed = False
        if self._next is None or self._next.arrives_s <= now_s or self._upstream:
            self._arrive(now_s)
        leader: Vehicle | None = None
        for vehicle in self.vehicles:
            front_m, speed_mps = vehicle.front_m, vehicle.speed_mps
            if front_m < vehicle.steady_to_m and (leader is None or _far_ahead(leader, vehicle, dt_s)):
                vehicle.front_m = to_m = front_m + speed_mps * dt_s
                vehicle.rear_m = to_m - vehicle.plan.length_m
                if not vehicle.clear_from_m < to_m < vehicle.clear_to_m:
                    self._passes_mark(vehicle, now_s)
            elif (
                speed_mps != 0.0
                or not vehicle.stood_since_s
                or vehicle.goes_at_s
                or not self._goes_on_standing(vehicle, leader)
            ):
                if leader is not None and vehicle.plan.conduct is ABREAST:
                    self._beside(vehicle, leader)
                else:
                    self._move(vehicle, leader, now_s, dt_s)
                if not vehicle.clear_from_m < vehicle.front_m < vehicle.clear_to_m:
                    self._passes_mark(vehicle, now_s)
                if vehicle.speed_mps < WALKING_MPS and not vehicle.slowed:
                    vehicle.slowed = self.changed = True
            if leader is None or vehicle.rear_m <= leader.rear_m:
                leader = vehicle
        if self._odd or (self.vehicles and self.vehicles[0].front_m > self._end_m):
            return self._leave(now_s)
        return ()

    def _passes_mark(self, vehicle: Vehicle, now_s: float) -> None:
        """A bumper is at a mark, or has passed one: note the booth, and how far it is to the next marks."""
        self.changed = True
        if vehicle.front_m >= self._booth_m or vehicle.booth_entered_s is not None:
            self._booth(vehicle, now_s)
        if not vehicle.marks_m:
            length_m = vehicle.plan.length_m
            vehicle.marks_m = sorted([mark_m for mark in self._marks for mark_m in (mark, mark + length_m)])
        at_m = vehicle.marks_m
        passed = bisect_right(at_m, vehicle.front_m)
        vehicle.clear_from_m = (at_m[passed - 1] if passed else -math.inf) + AT_MARK_M
        vehicle.clear_to_m = (at_m[passed] if passed < len(at_m) else math.inf) - AT_MARK_M

    def _goes_on_standing(self, vehicle: Vehicle, leader: Vehicle | None) -> bool:
        """Nothing has changed for a driver who stands: no room, or the signal holds it at the line."""
        if leader is not None and vehicle.waits_behind(leader):
            return True
        if (
            vehicle.released
            or vehicle.manoeuvring
            or vehicle.stop_at_m - vehicle.front_m >= START_FROM_M
            or vehicle.plan.conduct in WITH_OTHERS
            or (self._barrier.passable and self._barrier.proceed)
        ):
            return False
        vehicle.release_seen_s = None
        return True

    # --- coming and going ---

    def _draw(self) -> Plan | None:
        """The next vehicle, or None when the scenario wants no more."""
        plan = self._population.next()
        limit, until_s = self._scenario.vehicles, self._scenario.duration_s
        if (limit is not None and plan.number > limit) or (until_s is not None and plan.arrives_s > until_s):
            return None
        return plan

    def _arrive(self, now_s: float) -> None:
        while self._next is not None and self._next.arrives_s <= now_s:
            self._upstream.append(self._next)
            self._next = self._draw()
            self.changed = True
        if self._next is None and self.arrivals_ended_s is None:
            self.arrivals_ended_s = now_s
        while self._upstream and self._enter(self._upstream[0], now_s):
            self._upstream.popleft()
            self.changed = True

    def _enter(self, plan: Plan, now_s: float) -> bool:
        start_m = self._scene.start_m
        speed_mps = plan.wish_mps
        last = self.vehicles[-1] if self.vehicles else None
        if last is not None and plan.conduct is not Conduct.ABREAST:
            room_m = min(last.rear_m, self.vehicles[-2].rear_m if len(self.vehicles) > 1 else math.inf) - start_m
            if room_m < plan.standstill_gap_m + START_FROM_M:
                return False
            speed_mps = min(speed_mps, self._safe_mps(plan, room_m, last.speed_mps))
        vehicle = Vehicle(plan, start_m, speed_mps, now_s, self._scene.stop_line_m - plan.stops_short_m)
        self.vehicles.append(vehicle)
        if plan.conduct in LEAVERS:
            self._odd.append(vehicle)
        return True

    def _leave(self, now_s: float) -> list[Departure]:
        gone = [Departure(v, now_s, True) for v in self._odd if self._withdraws(v, now_s)]
        gone += [Departure(v, now_s, False) for v in self.vehicles[:2] if v.rear_m > self._scene.end_m]
        if gone:
            self.left_s, self.changed = now_s, True
        for departure in gone:
            self.vehicles.remove(departure.vehicle)
            if departure.vehicle in self._odd:
                self._odd.remove(departure.vehicle)
            self._committed.discard(departure.vehicle.plan.number)
        return gone

    def _withdraws(self, vehicle: Vehicle, now_s: float) -> bool:
        plan, approach = vehicle.plan, self._scene.approach
        if plan.conduct is Conduct.BACKS_OUT:
            return vehicle.manoeuvre == DONE
        if plan.conduct is not Conduct.CHANGES_LANE or vehicle.front_m < approach.start_m + 0.3:
            return False
        tired = vehicle.stood_since_s is not None and now_s - vehicle.stood_since_s > TIRED_S
        booth_m = self._scene.booth.start_m
        return tired or vehicle.front_m >= approach.end_m + plan.where * 0.8 * (booth_m - approach.end_m)

    def _booth(self, vehicle: Vehicle, now_s: float) -> None:
        booth = self._scene.booth
        if vehicle.front_m < booth.start_m:
            if vehicle.booth_entered_s is not None and vehicle.booth_left_s is None and vehicle.manoeuvre == 2:
                vehicle.booth_left_s = now_s  # rolled back; comes again
        elif vehicle.rear_m <= booth.end_m:
            if vehicle.booth_entered_s is None:
                vehicle.booth_entered_s = now_s
            vehicle.booth_left_s = None
        elif vehicle.booth_left_s is None and vehicle.booth_entered_s is not None:
            vehicle.booth_left_s = now_s

    # --- driving ---

    def _move(self, vehicle: Vehicle, leader: Vehicle | None, now_s: float, dt_s: float) -> None:
        vehicle.steady_to_m = -INFINITE
        if vehicle.manoeuvring and manoeuvre(self._scene, vehicle, now_s, dt_s):
            return
        if not vehicle.released:
            if vehicle.speed_mps < STANDING_MPS or vehicle.plan.conduct is TAILGATES_THROUGH:
                self._ask_to_pass(vehicle, leader, now_s)
            else:
                vehicle.release_seen_s = None
        plan, speed_before_mps, front_m = vehicle.plan, vehicle.speed_mps, vehicle.front_m
        wall_m = self._wall_m(vehicle, leader)
        gap_m = INFINITE if leader is None else leader.rear_m - front_m
        room_m = gap_m - plan.standstill_gap_m
        if wall_m < room_m:
            room_m = wall_m
        if speed_before_mps < CREEP_MPS and room_m < CREEP_M:
            vehicle.speed_mps = speed_before_mps = 0.0
        if speed_before_mps < STANDING_MPS and self._stays(vehicle, room_m, now_s):
            vehicle.speed_mps = 0.0
            return
        if vehicle.followed and vehicle.stood_since_s is not None and self._barrier.proceed:
            vehicle.followed = False  # the gate had stopped it; now it is released like anybody else
        vehicle.stood_since_s = None
        slow = self._slow_from_m < front_m and vehicle.rear_m < self._slow_to_m
        wish_mps = plan.portal_mps if slow else plan.wish_mps
        speed_mps = speed_before_mps + plan.acceleration_mps2 * dt_s
        least_mps = speed_before_mps - BRAKE_MPS2 * dt_s
        if wish_mps < least_mps:
            wish_mps = least_mps
        if wish_mps < speed_mps:
            speed_mps = wish_mps
        if wall_m != INFINITE:
            approach_mps = sqrt(WALL_SQUARE + TWICE_BRAKE_MPS2 * wall_m) - WALL_REACH_M if wall_m > 0.02 else 0.0
            if approach_mps < speed_mps:
                speed_mps = approach_mps
        if leader is not None:
            leader_mps = leader.speed_mps
            reach_m = BRAKE_MPS2 * plan.time_gap_s
            least = reach_m * reach_m
            square = least + leader_mps * leader_mps + TWICE_BRAKE_MPS2 * (gap_m - plan.standstill_gap_m)
            safe_mps = sqrt(square) - reach_m if square > least else 0.0
            if safe_mps < speed_mps:
                speed_mps = safe_mps
        if speed_mps < 0.0:
            speed_mps = 0.0
        to_m = front_m + speed_mps * dt_s
        if leader is not None and to_m > leader.rear_m - BODY_GAP_M:
            to_m = max(front_m, leader.rear_m - BODY_GAP_M)
            speed_mps = (to_m - front_m) / dt_s
        vehicle.speed_mps = speed_mps
        vehicle.front_m = to_m
        vehicle.rear_m = to_m - plan.length_m
        if speed_mps == speed_before_mps == wish_mps:
            self._steady(vehicle, slow)

    def _steady(self, vehicle: Vehicle, slow: bool) -> None:
        """This driver goes as fast as they want to: note up to where they certainly go on like that.

        Moving on at the same speed is then all there is to do; where in doubt, `_move` looks at everything again.
        """
        plan, front_m, speed_mps = vehicle.plan, vehicle.front_m, vehicle.speed_mps
        if self._lines or vehicle.manoeuvring or plan.conduct in WITH_OTHERS or speed_mps < CREEP_MPS:
            return
        to_m = (
            self._slow_to_m + plan.length_m if slow else self._slow_from_m if front_m <= self._slow_from_m else INFINITE
        )
        stops_in_m = speed_mps * (speed_mps + 2.0 * WALL_REACH_M) / TWICE_BRAKE_MPS2
        if front_m <= self._booth_wall_m:
            to_m = min(to_m, self._booth_wall_m - stops_in_m)
            if front_m <= self._portal_wall_m:
                to_m = min(to_m, self._portal_wall_m - max(stops_in_m, COMMITS_M))
        if not vehicle.released:
            to_m = min(to_m, vehicle.stop_at_m - stops_in_m)
        elif front_m <= self._gate_wall_m:
            to_m = -INFINITE
        reach_m = BRAKE_MPS2 * plan.time_gap_s
        vehicle.steady_to_m = to_m - AT_MARK_M
        vehicle.steady_square = speed_mps * (speed_mps + 2.0 * reach_m) + AT_MARK_M

    @staticmethod
    def _stays(vehicle: Vehicle, room_m: float, now_s: float) -> bool:
        """A standing driver goes on standing: no room, or still reacting."""
        if vehicle.stood_since_s is None:
            vehicle.stood_since_s = now_s
        if room_m < START_FROM_M:
            vehicle.goes_at_s = None
            return True
        if vehicle.goes_at_s is None:
            vehicle.goes_at_s = now_s + vehicle.plan.start_delay_s
        if now_s < vehicle.goes_at_s:
            return True
        vehicle.goes_at_s = None
        return False

    @staticmethod
    def _safe_mps(plan: Plan, gap_m: float, leader_mps: float) -> float:
        room_m = gap_m - plan.standstill_gap_m
        reach_m = BRAKE_MPS2 * plan.time_gap_s
        least = reach_m * reach_m
        square = least + leader_mps * leader_mps + TWICE_BRAKE_MPS2 * room_m
        return sqrt(square) - reach_m if square > least else 0.0

    def _wall_m(self, vehicle: Vehicle, leader: Vehicle | None) -> float:
        """How far ahead this driver has to stop, as things stand."""
        front_m, wall_m = vehicle.front_m, INFINITE
        if not vehicle.released:
            wall_m = vehicle.stop_at_m - front_m
        elif front_m <= self._gate_wall_m and not self._barrier.passable and self._can_stop(vehicle):
            wall_m = self._gate_wall_m - front_m
        if leader is not None and front_m <= self._booth_wall_m:
            if front_m <= self._portal_wall_m and not self._may_enter_portal(vehicle, leader):
                to_portal_m = self._portal_wall_m - front_m
                if to_portal_m < wall_m:
                    wall_m = to_portal_m
            if vehicle.plan.disciplined and leader.rear_m < self._booth_free_m:  # one at the booth at a time
                to_booth_m = self._booth_wall_m - front_m
                if to_booth_m < wall_m:
                    wall_m = to_booth_m
        if vehicle.manoeuvring:
            wall_m = min(wall_m, turning_point_m(self._scene, vehicle) - front_m)
        for line in self._lines:
            wall_m = min(wall_m, line.wall_m(vehicle))
        return wall_m

    def _can_stop(self, vehicle: Vehicle) -> bool:
        if vehicle.plan.conduct is Conduct.RUNS:
            return False
        room_m = self._gate_wall_m - vehicle.front_m
        return vehicle.speed_mps * vehicle.speed_mps <= 2.0 * HARD_BRAKE_MPS2 * room_m + 0.01

    def _may_enter_portal(self, vehicle: Vehicle, leader: Vehicle) -> bool:
        if vehicle.plan.number in self._committed:
            return True
        if leader.manoeuvring:
            return False
        if not vehicle.plan.disciplined:
            return True
        room_m = leader.rear_m - vehicle.plan.standstill_gap_m - vehicle.plan.length_m - self._clear_m
        if room_m >= 0.0 and self._portal_wall_m - vehicle.front_m < COMMITS_M:
            self._committed.add(vehicle.plan.number)
        return room_m >= 0.0

    def _ask_to_pass(self, vehicle: Vehicle, leader: Vehicle | None, now_s: float) -> None:
        """Decide whether the stop line holds this vehicle any longer."""
        if vehicle.manoeuvring:
            return
        if vehicle.plan.conduct is TAILGATES_THROUGH and self._goes_with(vehicle, leader):
            vehicle.released = vehicle.followed = True
            return
        at_line = vehicle.speed_mps < STANDING_MPS and vehicle.stop_at_m - vehicle.front_m <= START_FROM_M
        if not (at_line and self._barrier.proceed and self._barrier.passable):
            vehicle.release_seen_s = None
        elif vehicle.release_seen_s is None:
            vehicle.release_seen_s = now_s
        elif now_s - vehicle.release_seen_s >= vehicle.plan.start_delay_s:
            vehicle.released, vehicle.goes_at_s = True, now_s

    def _goes_with(self, vehicle: Vehicle, leader: Vehicle | None) -> bool:
        return (
            leader is not None
            and leader.released
            and leader.speed_mps > 0.3
            and leader.rear_m - vehicle.front_m < FOLLOW_THROUGH_M
            and leader.rear_m > self._scene.booth.start_m - FOLLOW_THROUGH_M
        )

    @staticmethod
    def _beside(vehicle: Vehicle, partner: Vehicle) -> None:
        """Side by side: level with the partner, whatever that one does."""
        vehicle.speed_mps = partner.speed_mps
        vehicle.released = partner.released
        vehicle.place(partner.front_m)


def _far_ahead(leader: Vehicle, vehicle: Vehicle, dt_s: float) -> bool:
    """Whether the one ahead does not keep a steady driver from going on like that."""
    free_m, leader_mps = leader.rear_m - vehicle.front_m, leader.speed_mps
    return (
        leader_mps * leader_mps + TWICE_BRAKE_MPS2 * (free_m - vehicle.plan.standstill_gap_m) > vehicle.steady_square
        and free_m > vehicle.speed_mps * dt_s + BODY_GAP_M + AT_MARK_M
    )
