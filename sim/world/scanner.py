"""The vehicle scanner: a source that always emits, a shutter before it, and interlocks of its own that close it.

Written from the interface's page: dry contacts in both directions, no vendor's protocol. The beam needs the lane's
request *and* its arming, and the scanner's own chain (e-stop, key, zone, barrier, no fault). A chain that broke, and an
abort, close the shutter at once and for good, until the request has been taken back; after an e-stop somebody has to
turn the key, too. The world keeps the truth: when the beam was on, over which vehicle, and who was in it.

Used by `World`; draws the shutter's travel time and nothing else.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from sim.world.chance import between
from sim.world.crew import Crew
from sim.world.mishaps import Mishaps
from sim.world.scene import ScannerSite
from sim.world.signals import Head, Outputs
from sim.world.truth import BeamTruth
from sim.world.vehicle import Vehicle

NEARLY = 1e-6
MARK_M = 1.2
"""A vehicle that stands so near to the mark is in position."""
STANDING_MPS = 0.05
HARD_BRAKE_MPS2 = 6.0
BEFORE_ARM_M = 0.6
"""Drivers stop so far before a lowered arm."""
ARM_S = 1.5
"""The arm of the scanner's own barrier needs so long."""
WARNING_S = 0.3
"""Horn and lamp confirm themselves after so long."""
PULSE_S = 0.5
"""How long `scan_complete` is on."""
LATE_S = 4.0
"""A late, or second, `scan_complete` comes so much later."""
OVERRUN_S = 1.0
"""A shutter that is not closed so long after it should have begun to close."""
BOUNCE_S = 0.5
KEY_AFTER_S, KEY_OFF_S = 3.0, 2.0
"""After an e-stop was released somebody turns the key: off after the first, on again after the second."""


@dataclass(frozen=True, slots=True)
class AtScanner:
    """What a person who stands by the scanner sees. `standing`: the vehicle in position; `crew_of`: whose people are
    at `place` (cab, leaving, waiting, returning); `all_out`: nobody is left in it, and all stand at the waiting place.
    """

    phase: str
    beam: bool
    standing: int | None
    crew_of: int | None
    place: str
    all_out: bool
    expected: frozenset[int]
    """Vehicles that were sent here and have not driven on yet."""


class Scanner:
    """One scanner. `phase` says what it is at, `beam` whether the beam is on."""

    def __init__(self, site: ScannerSite, outputs: Outputs, mishaps: Mishaps, rng: random.Random) -> None:
        self.site = site
        self._outputs = outputs
        self._mishaps = mishaps
        self._rng = rng
        lamps = {"stop": (site.driver_stop, ""), "go": (site.driver_go, "")}
        self.lights = Head("driver_signal", site.device, lamps, outputs, mishaps)
        self.crew = Crew(site, self.lights, mishaps)
        self._now_s = 0.0
        self._inside: tuple[Vehicle, ...] = ()
        self._at_mark: Vehicle | None = None
        self._arm = 1.0
        self._shutter = 0.0
        self._shutter_way = (False, 0.5)
        """Which way it was sent last, and how long that takes."""
        self._ends = (True, False)
        self._ends_since_s = -math.inf
        self._wants = False
        self._spent = False
        self._sweep_s = 0.0
        self._warned_s: float | None = None
        self._pulses_s: list[float] = []
        self._locked = False
        self._released_s: float | None = None
        self._closing_since_s: float | None = None
        self._beam: _Beam | None = None
        self._beams: list[BeamTruth] = []
        self.people_in_beam = 0
        """How many people a beam met: everybody once for each beam."""
        self.beam_without_request = 0
        """How often the beam came on without request and arming."""
        self._told: tuple[bool, ...] | None = None

    # --- what others see ---------------------------------------------------------------------------------------------

    @property
    def beam(self) -> bool:
        """The beam is on: the shutter is not closed."""
        return self._shutter > NEARLY

    @property
    def phase(self) -> str:
        """What it is at, for mishaps that wait for it and for the live picture."""
        if self.beam:
            return "beam" if self._wants else "closing"
        if self._asks():
            return "requested"
        if self._on(self.site.warning_request):
            return "warning"
        return "armed" if self._on(self.site.scan_arm) else "idle"

    @property
    def standing(self) -> int | None:
        """The vehicle that stands in position."""
        return self._at_mark.plan.number if self._at_mark is not None else None

    def wall_m(self, vehicle: Vehicle) -> float:
        """How far ahead this driver has to stop for arm or mark; infinite if not at all."""
        site, front_m = self.site, vehicle.front_m
        wall_m = math.inf
        if self.crew.has_to_stop(vehicle.plan.number) and front_m <= site.stop_m:
            wall_m = site.stop_m - front_m
        arm_m = site.barrier_m - BEFORE_ARM_M - front_m
        if self._arm < 0.9 and vehicle.speed_mps**2 <= 2.0 * HARD_BRAKE_MPS2 * arm_m + 0.01 and arm_m >= 0.0:
            wall_m = min(wall_m, arm_m)
        return wall_m

    # --- one step ----------------------------------------------------------------------------------------------------

    def step(self, dt_s: float, now_s: float, vehicles: Sequence[Vehicle]) -> None:
        """Let `dt_s` pass, with these vehicles in the lane."""
        self._now_s = now_s
        self._look(vehicles)
        self.crew.step(now_s, vehicles, self._at_mark)
        self._move_arm(dt_s, vehicles)
        self._turn_key()
        asked = self._on(self.site.warning_request)
        self._warned_s = None if not asked else now_s if self._warned_s is None else self._warned_s
        self._decide()
        self._move_shutter(dt_s)
        self._sweep(dt_s)
        self._keep_truth()

    def _on(self, output: str) -> bool:
        return self._outputs.on(self.site.device, output)

    def _asks(self) -> bool:
        return self._on(self.site.scan_request) and self._on(self.site.scan_arm)

    def _look(self, vehicles: Sequence[Vehicle]) -> None:
        site = self.site
        self._inside = tuple(v for v in vehicles if v.covers(site.start_m, site.end_m))
        self._at_mark = self._inside[0] if len(self._inside) == 1 and self._in_position(self._inside[0]) else None

    def _in_position(self, vehicle: Vehicle) -> bool:
        site = self.site
        near = site.stop_m - MARK_M <= vehicle.front_m <= site.end_m and vehicle.rear_m >= site.start_m
        return near and abs(vehicle.speed_mps) < STANDING_MPS

    def _move_arm(self, dt_s: float, vehicles: Sequence[Vehicle]) -> None:
        """Down while a vehicle is in position, up otherwise; never onto a vehicle."""
        at_m = self.site.barrier_m
        under = any(v.rear_m - BEFORE_ARM_M < at_m < v.front_m + BEFORE_ARM_M for v in vehicles)
        down = self._at_mark is not None and not self._mishaps.now("scanner", "barrier_open")
        if down and not under:
            self._arm = max(0.0, self._arm - dt_s / ARM_S)
        else:
            self._arm = min(1.0, self._arm + dt_s / ARM_S)

    def _turn_key(self) -> None:
        """An e-stop locks the scanner until it is released and somebody has turned the key."""
        if not self._estop_ok:
            self._locked, self._released_s = True, None
        elif self._locked and self._released_s is None:
            self._released_s = self._now_s
        elif self._released_s is not None and self._now_s >= self._released_s + KEY_AFTER_S + KEY_OFF_S:
            self._locked, self._released_s = False, None

    def _decide(self) -> None:
        """Whether the shutter is to be open."""
        asks = self._asks()
        wanted = self._wants
        if not asks:
            self._spent, self._sweep_s = False, 0.0
        elif self._on(self.site.abort) or not self._chain:
            self._spent = True
        self._wants = asks and not self._spent and not self._mishaps.now("scanner", "no_start")
        if wanted and not self._wants:
            self._closing_since_s = self._now_s
            if self._beam is not None:
                self._beam.ended_by = self._cause(asks)

    def _cause(self, asks: bool) -> str:
        if not asks:
            return "withdrawn"
        return "abort" if self._on(self.site.abort) else "interlock"

    def _move_shutter(self, dt_s: float) -> None:
        if self._shutter_way[0] is not self._wants:
            self._shutter_way = (self._wants, between(self._rng, self.site.shutter_travel_s))
        if self._mishaps.now("scanner", "shutter_sticks_closed") and self._shutter <= NEARLY:
            return
        if self._mishaps.now("scanner", "shutter_sticks_open") and self._shutter >= 1.0 - NEARLY:
            return
        move = dt_s / self._shutter_way[1]
        self._shutter = min(1.0, self._shutter + move) if self._wants else max(0.0, self._shutter - move)

    def _sweep(self, dt_s: float) -> None:
        """The scan goes on while the shutter is open, and then it is over: the shutter closes by itself."""
        if not self._wants or self._shutter < 1.0 - NEARLY:
            return
        self._sweep_s += dt_s
        if self._sweep_s < self.site.sweep_s - NEARLY:
            return
        self._spent, self._wants, self._closing_since_s = True, False, self._now_s
        if self._beam is not None:
            self._beam.ended_by = "complete"
        befallen = self._mishaps
        if not befallen.now("scanner", "no_complete") and not befallen.now("scanner", "late_complete"):
            self._pulses_s.append(self._now_s)
        if befallen.now("scanner", "late_complete") or befallen.now("scanner", "double_complete"):
            self._pulses_s.append(self._now_s + LATE_S)

    @property
    def beams(self) -> tuple[BeamTruth, ...]:
        """Every time that the beam was on; one that still is, up to now."""
        return (*self._beams, self._beam.ended(self._now_s)) if self._beam is not None else tuple(self._beams)

    # --- the truth ---------------------------------------------------------------------------------------------------

    def _keep_truth(self) -> None:
        if not self.beam:
            self._closing_since_s = None
            if self._beam is not None:
                self._beams.append(self._beam.ended(self._now_s))
                self._beam = None
            return
        if self._beam is None:
            self._beam = _Beam(self._now_s, self.standing)
            self.beam_without_request += not self._asks()
        new = set(self.crew.in_beam(self._inside)) - self._beam.met
        self._beam.met |= new
        self.people_in_beam += len(new)
        if self._closing_since_s is not None and self._now_s - self._closing_since_s > OVERRUN_S:
            self._beam.overran = True
        self._beam.befallen = self._beam.befallen or self._mishaps.any_of("scanner") or not self._chain

    # --- contacts ----------------------------------------------------------------------------------------------------

    @property
    def _estop_ok(self) -> bool:
        return not self._mishaps.now("scanner", "estop")

    @property
    def _key(self) -> bool:
        off_s = math.inf if self._released_s is None else self._released_s + KEY_AFTER_S
        return self._now_s < off_s and not self._mishaps.now("scanner", "key_off")

    @property
    def _ready(self) -> bool:
        broken = self._mishaps.now("scanner", "not_ready") or self._mishaps.now("scanner", "fault")
        return self._key and not self._locked and not broken

    @property
    def _zone_clear(self) -> bool:
        return len(self._inside) <= 1 and not self.crew.in_zone

    @property
    def _chain(self) -> bool:
        """The scanner's own interlocks. What the lane thinks has no part in it."""
        return self._estop_ok and self._ready and self._zone_clear and self._arm <= NEARLY

    def contacts(self) -> list[tuple[str, str, bool]]:
        """Device, point, closed or not, of all contacts. Nothing while all stay as they were."""
        site, befallen = self.site, self._mishaps
        closed, opened = self._shutter_contacts()
        self._pulses_s = [at_s for at_s in self._pulses_s if self._now_s < at_s + PULSE_S]
        warned = self._warned_s is not None and self._now_s - self._warned_s >= WARNING_S - NEARLY
        turning = self._wants and befallen.now("scanner", "shutter_sticks_closed")
        states = {
            site.ready: self._ready,
            site.key_enabled: self._key,
            site.fault: befallen.now("scanner", "fault"),
            site.shutter_closed: closed,
            site.shutter_open: opened,
            site.scan_in_progress: self.beam or turning,
            site.scan_complete: any(self._now_s >= at_s for at_s in self._pulses_s),
            site.estop_ok: self._estop_ok,
            site.zone_clear: self._zone_clear,
            site.barrier_closed: self._arm <= NEARLY,
            site.vehicle_in_position: self._at_mark is not None,
            site.driver_clear: self.crew.at_waiting_place,
            site.warning_active: warned and not befallen.now("scanner", "no_warning"),
        }
        stands = tuple(states.values())
        if stands == self._told:
            return []
        self._told = stands
        return [(site.device, point, on) for point, on in states.items()]

    def _shutter_contacts(self) -> tuple[bool, bool]:
        """Closed and open, as the two contacts have it."""
        ends = (self._shutter <= NEARLY, self._shutter >= 1.0 - NEARLY)
        if ends != self._ends:
            self._ends, self._ends_since_s = ends, self._now_s
        befallen = self._mishaps
        if befallen.now("scanner", "contacts_both"):
            return True, True
        if befallen.now("scanner", "contacts_neither"):
            return False, False
        if befallen.now("scanner", "bounce") and self._now_s - self._ends_since_s < BOUNCE_S:
            turned = round((self._now_s - self._ends_since_s) / 0.1) % 2 == 1
            return ends[0] != turned, ends[1]
        return ends


class _Beam:
    """A beam that is on."""

    def __init__(self, started_s: float, vehicle: int | None) -> None:
        self.started_s = started_s
        self.vehicle = vehicle
        self.met: set[str] = set()
        self.ended_by = ""
        self.overran = False
        self.befallen = False

    def ended(self, now_s: float) -> BeamTruth:
        return BeamTruth(self.started_s, now_s, self.vehicle, self.ended_by, len(self.met), self.overran, self.befallen)
