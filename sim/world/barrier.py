"""The booth's signal, gate and buttons: what the lane's outputs make of them, and what drivers see.

The gate has an operator of its own that moves the arm, goes up again when something is in a photo-eye, and reports a
fault when the arm does not move as it should. Used by `World`; `traffic` only reads it. Outputs come through the fakes,
the contacts go back through them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sim.world.mishaps import Mishaps
from sim.world.scene import BeamSite, GateSite, Scene
from sim.world.signals import Outputs, booth_head
from sim.world.vehicle import Vehicle

PASSABLE_FROM = 0.9
"""Drivers go from this opening on."""
NEARLY = 1e-6
BUTTON_S = 0.4
"""How long a finger stays on the button."""
HALF_WAY = 0.5
DRIFT_PER_S = 0.05
"""A drifting arm rises by so much of its way."""
FORCED_S = 0.5
"""Whoever forces the arm up needs so long."""
STALLED_S = 2.0
"""An arm that is driven and does not move for so long is a fault to its operator."""

Contacts = list[tuple[str, str, bool]]


class Barrier:
    """Gate, booth signal and buttons. `position` is the arm's: 0 closed, 1 open."""

    def __init__(self, scene: Scene, outputs: Outputs, mishaps: Mishaps) -> None:
        self._scene = scene
        self._outputs = outputs
        self._mishaps = mishaps
        self.head = booth_head(scene.signal, outputs, mishaps)
        self.position = 0.0
        self.moves = False
        """The arm moves, or is driven in vain."""
        self.strikes = 0
        """How often the arm came down on a vehicle, or one broke through."""
        self.emergency = False
        """The emergency button is latched."""
        self._released_s = 0.0
        self._obstructed: dict[str, bool] = {}
        self._stalled_s = 0.0
        self._told: tuple[object, ...] | None = None
        self.rests_since = -1
        """The arm rests where these outputs (`Outputs.changes`) want it: `step` need not be called while they stand."""
        self.settled = False
        """Every contact was told as it is, and stays so until the arm moves or somebody presses a button."""
        self._quiet = not mishaps.planned and not self.head.reads_back
        """Contacts change only with the arm, the photo-eyes and the buttons."""

    @property
    def proceed(self) -> bool:
        """The signal shows green, and not red."""
        return self.head.lit("green") and not self.head.lit("red")

    @property
    def passable(self) -> bool:
        """The gate is open, or there is none."""
        return self._scene.gate is None or self.position >= PASSABLE_FROM

    def press(self, now_s: float) -> None:
        """Somebody presses the booth button."""
        self._released_s = now_s + BUTTON_S
        self.settled = False

    def latch(self, *, held: bool) -> None:
        """Somebody presses the emergency button, or (not `held`) pulls it out again."""
        self.emergency = held
        self.settled = False

    # --- the gate's operator -----------------------------------------------------------------------------------------

    def step(self, dt_s: float, vehicles: Sequence[Vehicle] = ()) -> None:
        """Move the arm, with these vehicles in the lane."""
        gate, self.moves = self._scene.gate, False
        if gate is None or self.rests_since == self._outputs.changes:
            return
        self.settled = False
        if gate.beams:
            self._obstructed = {beam.point: self._sees(gate, beam, vehicles) for beam in gate.beams}
        wanted = 1.0 if self._outputs.on(gate.device, gate.open_output) or any(self._obstructed.values()) else 0.0
        before = self.position
        if before == wanted and not self._mishaps.planned:
            self._stalled_s = 0.0
            self.rests_since = -1 if gate.beams else self._outputs.changes
            return
        self.moves = True
        self.position = self._moved(gate, wanted, dt_s)
        driven_in_vain = self.position == before != wanted
        self._stalled_s = self._stalled_s + dt_s if driven_in_vain else 0.0

    def _moved(self, gate: GateSite, wanted: float, dt_s: float) -> float:
        """Where the arm is after `dt_s`."""
        at, befallen = self.position, self._mishaps
        if not befallen.planned:
            return _towards(at, wanted, dt_s / gate.travel_time_s)
        if befallen.now("gate", "forced_open"):
            return _towards(at, 1.0, dt_s / FORCED_S)
        if befallen.now("gate", "stuck") or befallen.now("gate", "fault"):
            return at
        if befallen.now("gate", "drifts_open") and wanted < 1.0:
            return _towards(at, 1.0, dt_s * DRIFT_PER_S)
        to = _towards(at, wanted, dt_s / gate.travel_time_s)
        if befallen.now("gate", "half_way") and min(at, to) <= HALF_WAY <= max(at, to):
            return HALF_WAY
        return to

    def _sees(self, gate: GateSite, beam: BeamSite, vehicles: Sequence[Vehicle]) -> bool:
        if self._mishaps.now("gate", "beam_blocked"):
            return True
        if self._mishaps.now("gate", "beam_blind"):
            return False
        start_m, end_m = gate.at_m - beam.before_m, gate.at_m + beam.before_m
        return any(vehicle.covers(start_m, end_m) for vehicle in vehicles)

    # --- contacts ----------------------------------------------------------------------------------------------------

    def contacts(self, now_s: float) -> Contacts:
        """Device, point, closed or not, of all contacts. Nothing while all stay as they were."""
        pressed = now_s < self._released_s
        stands = (self.position, pressed, self.emergency, self._stalled_s >= STALLED_S, self._obstructed)
        if stands == self._told and self._quiet:
            self.settled = not pressed
            return []
        self._told = stands
        return [*self._gate_contacts(), *self._buttons(pressed), *self.head.contacts()]

    @property
    def _faulty(self) -> bool:
        return self._stalled_s >= STALLED_S or self._mishaps.now("gate", "fault")

    def _gate_contacts(self) -> Iterator[tuple[str, str, bool]]:
        gate = self._scene.gate
        if gate is None:
            return
        yield gate.device, gate.opened_input, self._switch("opened", self.position > 1.0 - NEARLY)
        yield gate.device, gate.closed_input, self._switch("closed", self.position < NEARLY)
        for point, obstructed in self._obstructed.items():
            yield gate.device, point, obstructed
        if gate.fault_input:
            yield gate.device, gate.fault_input, self._faulty

    def _switch(self, end: str, reached: bool) -> bool:
        """A limit switch."""
        if self._mishaps.now("gate", f"{end}_switch_welded"):
            return True
        return reached and not self._mishaps.now("gate", f"{end}_switch_dead")

    def _buttons(self, pressed: bool) -> Iterator[tuple[str, str, bool]]:
        button, latching = self._scene.button, self._scene.emergency_button
        if button is not None:
            yield button.device, button.point, pressed
        if latching is not None:
            held = self.emergency or self._mishaps.now("emergency_button", "pressed")
            yield latching.device, latching.point, held


def _towards(at: float, to: float, by: float) -> float:
    return min(to, at + by) if to > at else max(to, at - by)
