"""The world: vehicles, sensors, signal and gate of one simulated lane, in a closed loop with whoever sets the outputs.

Pure: time comes in through `advance`, outputs through `act`, randomness from the seed; the same calls give the same
readings, whoever makes them. Used by the simulator, which hands the readings to the fakes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from sim.readings import Contact, Deed, OutputSet, Reading
from sim.world.antennas import AntennaSensor
from sim.world.barrier import Barrier
from sim.world.cameras import CameraSensor
from sim.world.chance import Streams
from sim.world.loops import LoopSensor
from sim.world.mishaps import Mishaps
from sim.world.plan import Population
from sim.world.portal import PortalSensor
from sim.world.scanner import AtScanner, Scanner
from sim.world.scenario import LoopTrouble, Scenario
from sim.world.scene import Scene
from sim.world.signals import Lamps, Outputs, Overhead, beacon_head
from sim.world.traffic import Traffic
from sim.world.truth import Fate, Truth, VehicleTruth, Whereabouts
from sim.world.vehicle import Departure, Vehicle
from sim.world.views import ViewSensor

STEP_S = 0.1
"""Longer advances are cut into steps of at most this."""
EPSILON_S = 1e-9
STRIKES_BELOW = 0.5
"""An arm that is down this far (1 is open) meets what stands under it."""


class Sensed(NamedTuple):
    """A reading, and the device whose sensor gave it."""

    device: str
    reading: Reading


class World:
    """One lane. `now_s` starts at 0; the first `advance` also gives the state of every contact."""

    def __init__(self, scene: Scene, scenario: Scenario, seed: int) -> None:
        self.scene = scene
        self.scenario = scenario
        self.seed = seed
        self.now_s = 0.0
        self.before_s = 0.0
        """When the step began that has led up to now."""
        streams = Streams(seed)
        points = tuple(site.point for site in scene.loops)
        self._outputs = Outputs()
        self._mishaps = Mishaps(scenario.mishaps)
        self._barrier = Barrier(scene, self._outputs, self._mishaps)
        self._overhead = Overhead(scene.lane_signal, self._outputs, self._mishaps) if scene.lane_signal else None
        self._scanner = (
            Scanner(scene.scanner, self._outputs, self._mishaps, streams.of("scanner")) if scene.scanner else None
        )
        self._beacon = beacon_head(scene.beacon, self._outputs, self._mishaps) if scene.beacon else None
        lines = tuple(line for line in (self._overhead, self._scanner) if line is not None)
        self._traffic = Traffic(scene, scenario, Population(scenario, streams, points), self._barrier, *lines)
        self._loops = [
            LoopSensor(site, scenario.loops.get(site.point, LoopTrouble()), streams.of(f"loop/{site.point}"))
            for site in scene.loops
        ]
        self._troubled_loops = [loop for loop in self._loops if loop.troubled]
        self._restless = bool(self._troubled_loops or lines)
        """There are contacts that may change at any moment."""
        self._portals = _portals(scene, scenario, streams)
        self._antennas = [AntennaSensor(site, scenario.reads, streams) for site in scene.antennas]
        self._round_due_s = 0.0
        cameras = [(site, f"camera/{number}/{site.device}") for number, site in enumerate(scene.cameras)]
        self._cameras = [
            CameraSensor(site, scenario.plates, streams.of(name), streams.of(f"{name}/looks")) for site, name in cameras
        ]
        self._views = [
            ViewSensor(site, streams.of(f"{name}/views")) for site, name in cameras if site.pictures_from_m is not None
        ]
        self._contacts: dict[tuple[str, str], bool] = {}
        self._began = False
        self._gone: list[VehicleTruth] = []
        self._queue: list[tuple[float, int]] = []

    def advance(self, dt_s: float) -> tuple[Sensed, ...]:
        """Let `dt_s` pass; what the sensors gave meanwhile, in order."""
        sensed: list[Sensed] = []
        if not self._began:
            self._began = True
            self._edges(sensed)
        if dt_s == STEP_S:
            self.now_s += dt_s
            self._step(dt_s, sensed)
            return tuple(sensed)
        steps = math.ceil(dt_s / STEP_S - EPSILON_S)
        for _ in range(steps):
            self.now_s += dt_s / steps
            self._step(dt_s / steps, sensed)
        return tuple(sensed)

    def advance_until(self, until_s: float) -> Sequence[Sensed]:
        """As one call of `advance(STEP_S)` after the other, up to the one that gives something or reaches `until_s`.

        Once the last vehicle has arrived it is a single one, for from then on the world may be done at any moment.
        """
        sensed: list[Sensed] = []
        if not self._began:
            self._began = True
            self._edges(sensed)
        traffic = self._traffic
        while True:
            self.before_s = self.now_s
            self.now_s += STEP_S
            self._step(STEP_S, sensed)
            if sensed or self.now_s >= until_s or traffic.arrivals_ended_s is not None:
                return sensed

    def act(self, device: str, deed: Deed) -> None:
        """An output of a device was set, by the lane or by the device's own watchdog."""
        match deed:
            case OutputSet(point, on):
                self._outputs.set(device, point, on)

    def press_button(self) -> None:
        """Somebody in the booth presses the release button."""
        self._barrier.press(self.now_s)

    def press_emergency(self, *, held: bool = True) -> None:
        """Somebody presses the emergency button, which latches, or (not `held`) pulls it out again."""
        self._barrier.latch(held=held)

    def refer_to_scanner(self, number: int) -> None:
        """The officer tells the driver of this vehicle to stop at the scanner, should there be one."""
        if self._scanner is not None:
            self._scanner.crew.refer(number)

    def wave_on(self, number: int) -> None:
        """The officer tells the driver at the scanner to get in again and drive on."""
        if self._scanner is not None:
            self._scanner.crew.wave_on(number)

    @property
    def done(self) -> bool:
        """All vehicles are through; or the arrivals are over and nobody is there who would let the rest pass."""
        ended_s = self._traffic.arrivals_ended_s
        if ended_s is None or self.now_s < (self.scenario.duration_s or 0.0) - EPSILON_S:
            return False
        patience_s = self.scenario.drain_limit_s if self.scenario.officer.present else 0.0
        return self._traffic.empty or self.now_s >= max(ended_s, self._traffic.left_s) + patience_s

    @property
    def at_booth(self) -> VehicleTruth | None:
        """The vehicle that an officer in the booth sees standing there."""
        for vehicle in self._traffic.vehicles:
            if vehicle.covers(self.scene.booth.start_m, self.scene.booth.end_m):
                return _told(vehicle, None)
        return None

    @property
    def at_scanner(self) -> AtScanner | None:
        """What a person who stands by the scanner sees; None where there is none."""
        scanner = self._scanner
        if scanner is None:
            return None
        crew = scanner.crew
        return AtScanner(
            scanner.phase,
            scanner.beam,
            scanner.standing,
            crew.vehicle,
            crew.place.value,
            crew.all_out,
            crew.expected,
        )

    @property
    def lamps(self) -> Lamps:
        """Which lamps really burn."""
        return Lamps(
            self._barrier.head.shows,
            self._overhead.head.shows if self._overhead else None,
            self._scanner.lights.shows if self._scanner else None,
            self._beacon.lit("light") if self._beacon else None,
        )

    @property
    def whereabouts(self) -> tuple[Whereabouts, ...]:
        """Every vehicle in the lane, the first in driving direction first."""
        return tuple(
            Whereabouts(v.plan.number, v.plan.kind, v.front_m, v.rear_m, v.speed_mps) for v in self._traffic.vehicles
        )

    @property
    def truth(self) -> Truth:
        """All that has happened up to now."""
        present = [_told(vehicle, None) for vehicle in self._traffic.vehicles]
        return Truth(
            self.seed,
            self.now_s,
            tuple(sorted(self._gone + present, key=lambda vehicle: vehicle.number)),
            tuple(sorted((o for p in self._portals for o in p.occupancies), key=lambda o: o.started_s)),
            self._barrier.strikes,
            self._scanner.beams if self._scanner else (),
            self._scanner.people_in_beam if self._scanner else 0,
            self._scanner.beam_without_request if self._scanner else 0,
            tuple(self._queue),
        )

    # --- one step ---

    def _step(self, dt_s: float, sensed: list[Sensed]) -> None:
        scanner, now_s, traffic = self._scanner, self.now_s, self._traffic
        if self._mishaps.planned:
            self._mishaps.step(now_s, scanner.phase if scanner else "")
        vehicles, barrier = traffic.vehicles, self._barrier
        if barrier.rests_since != self._outputs.changes:
            barrier.step(dt_s, vehicles)
        if scanner is not None:
            scanner.step(dt_s, now_s, vehicles)
        for departure in traffic.step(now_s, dt_s):
            self._gone.append(_told(departure.vehicle, departure))
            for antenna in self._antennas:
                antenna.forget(departure.vehicle)
        if (traffic.changed or barrier.moves) and barrier.position <= STRIKES_BELOW:
            self._strikes()
        if traffic.changed:
            self._count_waiting()
            self._edges(sensed)
        elif self._restless or not barrier.settled:
            self._edges(sensed)
        for portal in self._portals:
            if now_s >= portal.sleeps_until_s and portal.wakes(vehicles, now_s):
                sensed += [Sensed(portal.site.device, reading) for reading in portal.step(vehicles, now_s)]
        for camera in self._cameras:
            sensed += [Sensed(camera.site.device, view) for view in camera.step(vehicles)]
        for camera_view in self._views:
            sensed += [Sensed(camera_view.site.device, view) for view in camera_view.step(vehicles)]
        if now_s >= self._round_due_s:
            self._round(vehicles, sensed)

    def _round(self, vehicles: Sequence[Vehicle], sensed: list[Sensed]) -> None:
        """Those antennas whose turn it is ask who is there."""
        now_s, next_s = self.now_s, math.inf
        for antenna in self._antennas:
            if now_s >= antenna.round_due_s:
                answers = antenna.step(vehicles, now_s)
                if answers:
                    sensed += [Sensed(antenna.site.device, answer) for answer in answers]
            if antenna.round_due_s < next_s:
                next_s = antenna.round_due_s
        self._round_due_s = next_s

    def _edges(self, sensed: list[Sensed]) -> None:
        """Contacts that differ from what was last given; all of them at the start."""
        vehicles = self._traffic.vehicles
        for loop in self._loops if self._traffic.changed else self._troubled_loops:
            on = loop.step(vehicles, self.now_s)
            if on is not loop.told:
                loop.told = on
                sensed.append(Sensed(loop.site.device, Contact(loop.site.point, on)))
        told = [] if self._barrier.settled else self._barrier.contacts(self.now_s)
        if self._overhead is not None:
            told += self._overhead.head.contacts()
        if self._scanner is not None:
            told += self._scanner.contacts()
        for device, point, on in told:
            if self._contacts.get((device, point)) is not on:
                self._contacts[device, point] = on
                sensed.append(Sensed(device, Contact(point, on)))

    @property
    def waiting(self) -> int:
        """Vehicles that wait to come to the booth: once slower than walking, or not even in sight of the lane."""
        return self._queue[-1][1] if self._queue else 0

    def _count_waiting(self) -> None:
        booth_m = self.scene.booth.start_m
        count = self._traffic.upstream
        for vehicle in self._traffic.vehicles:
            if vehicle.front_m < booth_m and vehicle.booth_entered_s is None:
                count += vehicle.slowed
        if count != (self._queue[-1][1] if self._queue else 0):
            self._queue.append((self.now_s, count))

    def _strikes(self) -> None:
        gate = self.scene.gate
        if gate is None:
            return
        for vehicle in self._traffic.vehicles:
            if vehicle.front_m <= gate.at_m:
                break
            if not vehicle.struck and vehicle.rear_m < gate.at_m:
                vehicle.struck = True
                self._barrier.strikes += 1


def _told(vehicle: Vehicle, departure: Departure | None) -> VehicleTruth:
    plan = vehicle.plan
    fate = Fate.INSIDE if departure is None else Fate.WITHDRAWN if departure.withdrew else Fate.THROUGH
    plates = (plan.plate,) if plan.plate == plan.rear_plate else (plan.plate, plan.rear_plate)
    return VehicleTruth(
        number=plan.number,
        kind=plan.kind,
        length_m=plan.length_m,
        conduct=plan.conduct.value,
        plates=plates,
        jurisdiction=plan.jurisdiction,
        persons=plan.persons,
        tags=tuple(tag.epc.hex() for tag in plan.tags),
        cards=sum(tag.kind == "person" for tag in plan.tags),
        gamma_source=plan.source is not None and any(plan.source.gamma_cps),
        neutron_source=plan.source is not None and any(plan.source.neutron_cps),
        entered_s=vehicle.entered_s,
        booth_entered_s=vehicle.booth_entered_s,
        booth_left_s=vehicle.booth_left_s,
        left_s=departure.at_s if departure else None,
        fate=fate,
        unreleased=vehicle.followed or plan.conduct.value == "runs",
    )


def _portals(scene: Scene, scenario: Scenario, streams: Streams) -> list[PortalSensor]:
    waiting = scenario.radiation.waiting_suppression
    first = [PortalSensor(scene.portal, waiting, streams)] if scene.portal else []
    return first + [
        PortalSensor(site, waiting, streams, f"portal/{number}/{site.device}")
        for number, site in enumerate(scene.more_portals)
    ]
