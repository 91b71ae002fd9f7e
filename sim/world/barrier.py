"""The signal head and the gate: what the lane's outputs make of them, and what drivers see.

Used by `World`; `traffic` only reads it. Outputs come through the fakes, the limit switches go back as contacts.
"""

from __future__ import annotations

from sim.world.scene import Scene

PASSABLE_FROM = 0.9
"""Drivers go from this opening on."""
NEARLY = 1e-6
BUTTON_S = 0.4
"""How long a finger stays on the button."""


class Barrier:
    """Outputs as last set, and the position of the gate's arm (0 closed, 1 open)."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._outputs: dict[tuple[str, str], bool] = {}
        self.position = 0.0
        self.strikes = 0
        """How often the arm came down on a vehicle, or one broke through."""
        self._released_s = 0.0
        self._told: tuple[float, bool] | None = None

    def set(self, device: str, point: str, on: bool) -> None:
        """An output of a module changed. Outputs that move nothing in this scene are remembered and ignored."""
        self._outputs[device, point] = on

    @property
    def proceed(self) -> bool:
        """The signal shows green, and not red."""
        signal = self._scene.signal
        green = self._outputs.get((signal.device, signal.green), False)
        return green and not self._outputs.get((signal.device, signal.red), False)

    @property
    def passable(self) -> bool:
        """The gate is open, or there is none."""
        return self._scene.gate is None or self.position >= PASSABLE_FROM

    def press(self, now_s: float) -> None:
        """Somebody presses the booth button."""
        self._released_s = now_s + BUTTON_S

    def step(self, dt_s: float) -> None:
        gate = self._scene.gate
        if gate is None:
            return
        opening = self._outputs.get((gate.device, gate.open_output), False)
        move = dt_s / gate.travel_time_s
        self.position = min(1.0, self.position + move) if opening else max(0.0, self.position - move)

    def contacts(self, now_s: float) -> list[tuple[str, str, bool]]:
        """Limit switches and button: device, point, closed or not. Nothing while all stay as they were."""
        stands = (self.position, now_s < self._released_s)
        if stands == self._told:
            return []
        self._told = stands
        gate, button = self._scene.gate, self._scene.button
        found = []
        if gate is not None:
            found.append((gate.device, gate.opened_input, self.position > 1.0 - NEARLY))
            found.append((gate.device, gate.closed_input, self.position < NEARLY))
        if button is not None:
            found.append((button.device, button.point, now_s < self._released_s))
        return found
