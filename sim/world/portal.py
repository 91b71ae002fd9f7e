"""The radiation portal: Poisson counts around a background that vehicles dampen and sources raise, and its timing.

Timing as in recordings of real portals: vacant block about every 5 s and silence while occupied; at the start of an
occupancy one neutron second, then six gamma intervals in one burst (five from before, one live), then one per 200 ms
and one neutron second per second; hold-in after the beam clears; then the end. The next occupancy may begin before the
next vacant block, and then uses the old background.

Noise belongs to the vehicle, not to the moment: the counts of an occupancy begin with the stream of whoever came into
the beam, and what is counted once the beam is clear with that of whoever left it. So a lane that lets somebody go a
fraction of a second later meets the same alarms.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from sim.readings import GammaInterval, NeutronSecond, OccupancyOver, SpeedMeasured, Vacant
from sim.world.chance import PoissonTables, Streams, between, poisson, poissons
from sim.world.portal_rules import GammaRule, NeutronRule
from sim.world.scene import PortalSite
from sim.world.truth import OccupancyTruth
from sim.world.vehicle import Vehicle

INTERVAL_S = 0.2
HISTORY = 5
GAMMA_MEAN, NEUTRON_MEAN = 100, 120
"""Running means: 20 s of gamma intervals, 120 s of neutron seconds."""
VACANT_EVERY_S = (4.94, 5.06)
VACANT_AFTER_OCCUPANCY_S = (4.73, 4.97)
SPEED_EVERY_S = 2.0
SPEED_NOISE = 0.02
DAMPED_M = 1.5
"""A body dampens the background while it is this close to the detectors."""
NEAR_M = 3.0
"""A vehicle standing this close to the portal dampens it as well, where the scenario says so."""
SOURCE_WIDTH_M = 1.2
"""Half width of a panel's field of view for a source passing by."""
NOTHING = (0.0, 0.0, 0.0, 0.0)
REACH_M = 8.0
"""Beyond this distance a vehicle makes no difference."""

_Interval = tuple[tuple[float, ...], tuple[int, ...] | None]
"""One gamma interval: what it counts in the mean, and what was told of it (nothing yet, while vacant)."""
PortalReading = Vacant | GammaInterval | NeutronSecond | SpeedMeasured | OccupancyOver


class PortalSensor:
    """One portal. `name` tells its noise from another portal's, and which vehicles it fails to notice."""

    def __init__(self, site: PortalSite, waiting_suppression: float, streams: Streams, name: str = "portal") -> None:
        self.site = site
        self._name = name
        self._waiting = waiting_suppression
        self._streams = streams
        self._gamma_rng = streams.of(f"{name}/gamma")
        self._source_rng = streams.of(f"{name}/sources")
        self._neutron_rng = streams.of(f"{name}/neutron")
        self._timing_rng = streams.of(f"{name}/timing")
        self._speed_rng = streams.of(f"{name}/speed")
        self._middle_m = (site.start_m + site.end_m) / 2
        self._start_m, self._end_m = site.start_m, site.end_m
        self._from_m, self._to_m = site.start_m - REACH_M, site.end_m + REACH_M
        self._low_m, self._high_m = self._middle_m - DAMPED_M, self._middle_m + DAMPED_M
        self._alone_until_s = 0.0
        """Up to when nobody was near the vacant portal."""
        self.sleeps_until_s = 0.0
        """Before this nothing can wake it: an occupied portal wakes by time alone."""
        self._vacant_gamma = PoissonTables([cps * INTERVAL_S for cps in site.gamma_background_cps])
        self._vacant_neutron = PoissonTables(site.neutron_background_cps)
        self._background = tuple(cps * INTERVAL_S for cps in site.gamma_background_cps)
        self._gamma_seen = deque((self._gamma(self._background) for _ in range(GAMMA_MEAN)), GAMMA_MEAN)
        self._neutron_seen = deque((self._neutron(()) for _ in range(NEUTRON_MEAN)), NEUTRON_MEAN)
        self._history: deque[_Interval] = deque(((self._background, None) for _ in range(HISTORY)), HISTORY)
        self._reported = self._means()
        self._interval_due_s = INTERVAL_S
        self._second_due_s = 1.0
        self._vacant_due_s = between(self._timing_rng, (0.5, VACANT_EVERY_S[1]))
        self._counter = 0
        self._occupancy: _Occupancy | None = None
        self.occupancies: list[OccupancyTruth] = []
        """Every occupancy that has ended."""

    def wakes(self, vehicles: Sequence[Vehicle], now_s: float) -> bool:
        """Whether `step` has anything to do now: counts or a speed are due, or somebody is in a vacant portal's beam.

        Who comes into the beam of an occupied one is noted with the next counts: nobody passes between two of them.
        Counts of a vacant portal that nobody is near to are put off: only their mean is told, some seconds later.
        """
        if self._occupancy is None and now_s < self._vacant_due_s:
            for vehicle in vehicles:
                if vehicle.front_m > self._from_m and vehicle.rear_m < self._to_m:
                    break
            else:
                self._alone_until_s = now_s
                return False
        if now_s >= self._interval_due_s or now_s >= self._second_due_s:
            return True
        if self._occupancy is not None:
            if now_s < self._occupancy.speed_due_s:
                return False
            end_m = self._end_m
            return any(vehicle.front_m >= end_m >= vehicle.rear_m for vehicle in vehicles)
        if now_s >= self._vacant_due_s:
            return True
        start_m, end_m = self._start_m, self._end_m
        return any(vehicle.rear_m <= end_m and vehicle.front_m >= start_m for vehicle in vehicles)

    def step(self, vehicles: Sequence[Vehicle], now_s: float) -> list[PortalReading]:
        """What the portal tells now, in order."""
        told: list[PortalReading] = []
        near, beam = self._near(vehicles)
        if self._occupancy is None:
            self._count_vacant((), self._alone_until_s)
            if beam:
                self._begin(now_s, beam[0])
        if self._occupancy is not None:
            self._occupied(self._occupancy, near, beam, now_s, told)
        else:
            self._vacant(near, now_s, told)
        occupancy, self.sleeps_until_s = self._occupancy, 0.0
        if occupancy is not None:
            self.sleeps_until_s = min(self._interval_due_s, self._second_due_s, occupancy.speed_due_s)
        return told

    def _near(self, vehicles: Sequence[Vehicle]) -> tuple[list[Vehicle], list[Vehicle]]:
        """Who makes a difference to its counts, and who of them is in the beam."""
        from_m, to_m = self._from_m, self._to_m
        near = [vehicle for vehicle in vehicles if vehicle.front_m > from_m and vehicle.rear_m < to_m]
        if not near:
            return near, near
        start_m, end_m, name = self._start_m, self._end_m, self._name
        return near, [v for v in near if v.front_m >= start_m and v.rear_m <= end_m and name not in v.plan.missed_by]

    # --- vacant ---

    def _vacant(self, near: Sequence[Vehicle], now_s: float, told: list[PortalReading]) -> None:
        self._count_vacant(near, now_s)
        if now_s >= self._vacant_due_s:
            self._vacant_due_s = now_s + between(self._timing_rng, VACANT_EVERY_S)
            self._reported = self._means()
            told.append(self._reported)

    def _count_vacant(self, near: Sequence[Vehicle], until_s: float) -> None:
        """What is counted with these vehicles near it, and told to nobody by itself."""
        while self._interval_due_s <= until_s:
            self._interval_due_s += INTERVAL_S
            rates = self._rates(near) if near else self._background
            self._history.append((rates, None))
            self._gamma_seen.append(self._gamma(rates))
        while self._second_due_s <= until_s:
            self._second_due_s += 1.0
            self._neutron_seen.append(self._neutron(near))

    def _means(self) -> Vacant:
        """Gamma in whole counts, as the controller keeps and sends it; neutron exact."""
        seconds = GAMMA_MEAN * INTERVAL_S
        gamma = tuple(float(round(sum(panel) / seconds)) for panel in zip(*self._gamma_seen, strict=True))
        return Vacant(gamma, tuple(sum(channel) / NEUTRON_MEAN for channel in zip(*self._neutron_seen, strict=True)))

    # --- occupied ---

    def _begin(self, now_s: float, first: Vehicle) -> None:
        self._noise_of("before", first)
        self._occupancy = _Occupancy(
            now_s,
            GammaRule(self._reported.gamma_cps, self.site.n_sigma, self.site.intervals),
            NeutronRule(sum(self._reported.neutron_cps)),
        )
        self._interval_due_s = now_s + INTERVAL_S
        self._second_due_s = now_s

    def _occupied(
        self,
        occupancy: _Occupancy,
        near: Sequence[Vehicle],
        beam: Sequence[Vehicle],
        now_s: float,
        told: list[PortalReading],
    ) -> None:
        occupancy.note(near, beam)
        while self._second_due_s <= now_s:
            self._second_due_s += 1.0
            neutron = self._neutron(near)
            told.append(NeutronSecond(neutron, occupancy.neutron_alarm(neutron)))
        if beam and now_s >= occupancy.speed_due_s:
            self._speed(occupancy, beam, now_s, told)
        while self._interval_due_s <= now_s:
            self._interval_due_s += INTERVAL_S
            if not occupancy.burst_sent:
                occupancy.burst_sent = True
                for rates, known in tuple(self._history):
                    counts = known or self._gamma(rates)
                    told.append(GammaInterval(counts, occupancy.gamma_alarm(counts)))
            if not beam and not occupancy.clear and occupancy.last is not None:
                self._noise_of("after", occupancy.last)
            rates = self._rates(near)
            counts = self._gamma(rates)
            self._history.append((rates, counts))
            told.append(GammaInterval(counts, occupancy.gamma_alarm(counts)))
            occupancy.clear = 0 if beam else occupancy.clear + 1
            if occupancy.clear > self.site.hold_in or (not beam and self.site.hold_in == 0):
                told.append(self._end(occupancy, now_s))
                return

    def _end(self, occupancy: _Occupancy, now_s: float) -> OccupancyOver:
        self._counter += 1
        self._occupancy = None
        self._second_due_s = now_s + 1.0
        self._vacant_due_s = now_s + between(self._timing_rng, VACANT_AFTER_OCCUPANCY_S)
        self.occupancies.append(occupancy.truth(now_s, self.site.device))
        return OccupancyOver(self._counter, sum(self._reported.neutron_cps))

    def _speed(self, occupancy: _Occupancy, beam: Sequence[Vehicle], now_s: float, told: list[PortalReading]) -> None:
        """The first measurement as a front reaches the second beam, then every other second while it passes."""
        for vehicle in beam:
            if vehicle.front_m >= self._end_m:
                occupancy.speed_due_s = now_s + SPEED_EVERY_S
                if vehicle.speed_mps > 0.1:
                    noise = self._speed_rng.gauss(0.0, SPEED_NOISE)
                    told.append(SpeedMeasured(vehicle.speed_mps * (1.0 + noise)))
                return

    # --- counts ---

    def _noise_of(self, when: str, vehicle: Vehicle) -> None:
        """From here on chance is this vehicle's."""
        name = f"{self._name}/{when}/{vehicle.plan.number}"
        self._streams.begin_again(self._gamma_rng, f"{name}/gamma")
        self._streams.begin_again(self._source_rng, f"{name}/sources")
        self._streams.begin_again(self._neutron_rng, f"{name}/neutron")
        if when == "after":  # there is nothing to draw of when, before
            self._streams.begin_again(self._timing_rng, f"{name}/timing")

    def _rates(self, near: Sequence[Vehicle]) -> tuple[float, ...]:
        """What each panel counts in an interval, in the mean."""
        left = 1.0
        added: list[float] = []
        for vehicle in near:
            damping = self._damping(vehicle)
            if damping:
                left *= 1.0 - damping
            source = vehicle.plan.source
            if source is not None and any(source.gamma_cps):
                seen = self._seen_share(vehicle) * INTERVAL_S
                added = [a + seen * cps for a, cps in zip(added or NOTHING, source.gamma_cps, strict=True)]
        if left == 1.0 and not added:
            return self._background
        return tuple([left * mean + more for mean, more in zip(self._background, added or NOTHING, strict=True)])

    def _gamma(self, rates: tuple[float, ...]) -> tuple[int, ...]:
        """Counts of one interval. The background takes the same numbers from its stream whatever else is drawn."""
        if rates is self._background:
            return self._vacant_gamma.draw(self._gamma_rng)
        return poissons(self._source_rng, rates)

    def _neutron(self, near: Sequence[Vehicle]) -> tuple[int, ...]:
        counts = self._vacant_neutron.draw(self._neutron_rng)
        for vehicle in near:
            source = vehicle.plan.source
            if source is not None and any(source.neutron_cps):
                seen, backgrounds = self._seen_share(vehicle), self.site.neutron_background_cps
                counts = tuple(
                    [
                        count + poisson(self._source_rng, seen * cps) if background > 0.0 else count
                        for count, cps, background in zip(counts, source.neutron_cps, backgrounds, strict=False)
                    ]
                )
        return counts

    def _damping(self, vehicle: Vehicle) -> float:
        front_m, rear_m, low_m, high_m = vehicle.front_m, vehicle.rear_m, self._low_m, self._high_m
        if front_m > low_m and rear_m < high_m:
            over_m = (front_m if front_m < high_m else high_m) - (rear_m if rear_m > low_m else low_m)
            return vehicle.plan.suppression * over_m / (2 * DAMPED_M)
        close = front_m > self._start_m - NEAR_M and rear_m < self._end_m + NEAR_M
        return self._waiting if close else 0.0

    def _seen_share(self, vehicle: Vehicle) -> float:
        """How much of a source the panels see: falls steeply, for their pillars shield them sideways."""
        assert vehicle.plan.source is not None
        away_m = vehicle.front_m - vehicle.plan.source.behind_front_m - self._middle_m
        square = SOURCE_WIDTH_M * SOURCE_WIDTH_M
        share = square / (square + away_m * away_m)
        return share * share


class _Occupancy:
    """What builds up during one occupancy."""

    def __init__(self, started_s: float, gamma: GammaRule, neutron: NeutronRule) -> None:
        self.burst_sent = False
        self.clear = 0
        self.last: Vehicle | None = None
        """Who was in the beam last, and came in last."""
        self.speed_due_s = started_s
        self._started_s = started_s
        self._gamma_rule = gamma
        self._neutron_rule = neutron
        self._gamma_alarm = False
        self._neutron_alarm = False
        self._inside: dict[int, Vehicle] = {}
        self._near: dict[int, Vehicle] = {}

    def note(self, near: Sequence[Vehicle], beam: Sequence[Vehicle]) -> None:
        for vehicle in beam:
            self._inside[vehicle.plan.number] = vehicle
            self.last = vehicle
        for vehicle in near:
            if vehicle.plan.source is not None:
                self._near[vehicle.plan.number] = vehicle

    def gamma_alarm(self, counts: tuple[int, ...]) -> bool:
        alarm = self._gamma_rule.alarm(counts)
        self._gamma_alarm |= alarm
        return alarm

    def neutron_alarm(self, counts: tuple[int, ...]) -> bool:
        alarm = self._neutron_rule.alarm(sum(counts))
        self._neutron_alarm |= alarm
        return alarm

    def truth(self, ended_s: float, portal: str) -> OccupancyTruth:
        inside = tuple(self._inside)
        return OccupancyTruth(
            self._started_s,
            ended_s,
            inside,
            self._causes(True) if self._gamma_alarm else (),
            self._causes(False) if self._neutron_alarm else (),
            self._gamma_alarm,
            self._neutron_alarm,
            portal,
        )

    def _causes(self, gamma: bool) -> tuple[int, ...]:
        """Who made it alarm: who carried a source through, else whose source was near, else (noise) all inside."""

        def carries(vehicle: Vehicle) -> bool:
            source = vehicle.plan.source
            return source is not None and any(source.gamma_cps if gamma else source.neutron_cps)

        inside = tuple(number for number, vehicle in self._inside.items() if carries(vehicle))
        near = tuple(number for number, vehicle in self._near.items() if carries(vehicle))
        return inside or near or tuple(self._inside)
