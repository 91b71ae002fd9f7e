"""A lane with everything that a lane can have but a scanner: overhead signal, beacon, photo-eye, read-back, buttons.

Its lamps burn as they are commanded, a moment later, and read back, unless a test has one burnt out or welded.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lane_bench import LaneBench, setup

from lanecontrol.announcements import AlarmKind, AlarmRaised, EquipmentFault, LaneAspect
from lanecontrol.lane.setup import Beacon, EmergencyButton, Gate, LaneSetup, LaneSignal, Signal

GATE = Gate("io1", "gate_open", "gate_opened", "gate_closed", beams=("beam",), fault_input="gate_fault")
SIGNAL = Signal("io1", "signal_green", "signal_red", "green_lit", "red_lit")
OVERHEAD = LaneSignal("io1", "lane_open", "lane_closing", "lane_closed", "open_lit", "closing_lit", "closed_lit")
LAMPS = {
    "green_lit": "signal_green",
    "red_lit": "signal_red",
    "open_lit": "lane_open",
    "closing_lit": "lane_closing",
    "closed_lit": "lane_closed",
}
"""Which output each read-back contact tells of."""
CONTACTS = ("beam", "gate_fault", "emergency", *LAMPS)


def equipped(**changes: Any) -> LaneSetup:
    """The lane of `lane_bench.setup` with all this."""
    whole = replace(
        setup(gate=GATE),
        signal=SIGNAL,
        lane_signal=OVERHEAD,
        beacon=Beacon("io1", "beacon"),
        emergency_button=EmergencyButton("io1", "emergency"),
        equipment_hash="hash-1",
    )
    return replace(whole, **changes)


class EquippedLane(LaneBench):
    """The bench, with lamps and gate contacts that can go wrong."""

    def __init__(self, lane_setup: LaneSetup | None = None) -> None:
        super().__init__(lane_setup if lane_setup is not None else equipped())
        self.burnt_out: set[str] = set()
        self.welded: set[str] = set()
        self._lit: dict[str, bool] = {}

    def started(self, *, cold: bool = True, boot: str = "boot-1") -> EquippedLane:
        super().started(cold=cold, boot=boot)
        self._lit.clear()
        for point in ("beam", "gate_fault", "emergency"):
            self.contact(point, False)
        self.lamps()
        self.wait(5.0)
        return self

    def lamps(self) -> None:
        """The read-back contacts follow the lamps."""
        for contact, output in LAMPS.items():
            burns = (self.outputs.get(output, False) and contact not in self.burnt_out) or contact in self.welded
            if self._lit.get(contact) is not burns:
                self._lit[contact] = burns
                self.contact(contact, burns)

    def _answer_commands(self) -> None:
        super()._answer_commands()
        self.lamps()

    # --- looking ---

    def overhead(self) -> LaneAspect:
        """What the overhead head's outputs show; fails when they show two things."""
        lit = [name for name in ("lane_open", "lane_closing", "lane_closed") if self.outputs.get(name)]
        assert len(lit) <= 1, lit
        return LaneAspect(lit[0].removeprefix("lane_")) if lit else LaneAspect.DARK

    @property
    def beacon(self) -> bool:
        return self.outputs["beacon"]

    def faults(self, equipment: str) -> list[tuple[str, bool]]:
        return [(fault.code, fault.active) for fault in self.told(EquipmentFault) if fault.equipment == equipment]

    def alarms(self) -> list[AlarmKind]:
        return [alarm.kind for alarm in self.told(AlarmRaised)]
