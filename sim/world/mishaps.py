"""What goes wrong with steel and lamps: gate, signals and scanner, each for some time or at some point of a scan.

`Mishap` is one line of a scenario, `Mishaps` are those of a world at work. Faults of devices and of the lines to them
are not here but in `sim.mischief`. Nothing is drawn by chance: when a mishap begins and ends is written down.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

HEADS: dict[str, tuple[str, ...]] = {
    "signal": ("green", "red"),
    "lane_signal": ("open", "closing", "closed"),
    "driver_signal": ("stop", "go"),
    "beacon": ("light",),
}
"""Heads and their lamps."""
LAMP_FAULTS = ("burnt_out", "welded", "flickers")
FAULTS: dict[str, tuple[str, ...]] = dict.fromkeys(HEADS, LAMP_FAULTS) | {
    "gate": (
        "stuck",
        "half_way",
        "drifts_open",
        "forced_open",
        "opened_switch_dead",
        "opened_switch_welded",
        "closed_switch_dead",
        "closed_switch_welded",
        "beam_blind",
        "beam_blocked",
        "fault",
    ),
    "emergency_button": ("pressed",),
    "scanner": (
        "no_start",
        "shutter_sticks_closed",
        "shutter_sticks_open",
        "contacts_both",
        "contacts_neither",
        "bounce",
        "estop",
        "key_off",
        "not_ready",
        "fault",
        "barrier_open",
        "no_warning",
        "late_complete",
        "double_complete",
        "no_complete",
        "zone_entry",
        "driver_strays",
        "passenger_stays",
    ),
}
"""What can befall each part; docs/reference/scenarios.md explains every one."""

Phase = Literal["idle", "armed", "warning", "requested", "beam", "closing"]


class Mishap(BaseModel):
    """Something that befalls a part of the lane."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    part: Literal["gate", "signal", "lane_signal", "driver_signal", "beacon", "emergency_button", "scanner"]
    """What it befalls."""
    what: str
    """Lamps: burnt_out, welded (always on), flickers. Gate: stuck (where it is), half_way (stops there), drifts_open,
    forced_open, opened_switch_dead, opened_switch_welded (and closed_switch_...), beam_blind, beam_blocked, fault.
    Emergency button: pressed. Scanner: no_start, shutter_sticks_closed, shutter_sticks_open, contacts_both,
    contacts_neither, bounce, estop, key_off, not_ready, fault, barrier_open, no_warning, late_complete,
    double_complete, no_complete, zone_entry (somebody walks in), driver_strays, passenger_stays."""
    lamp: str = ""
    """Which lamp: green or red (signal), open, closing or closed (lane_signal), stop or go (driver_signal), light."""
    at_s: Annotated[float, Field(ge=0)] = 0.0
    """When it begins, in lane seconds from the start."""
    phase: Phase | None = None
    """It begins when the scanner is next found like this: idle, armed, warning, requested, beam or closing."""
    after_s: Annotated[float, Field(ge=0)] = 0.0
    """With `phase`: once the scanner has been like that for so long."""
    for_s: Annotated[float, Field(gt=0)] | None = None
    """How long it lasts; for ever, if not given."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.what not in FAULTS[self.part]:
            raise ValueError(f"what can befall this part: {', '.join(FAULTS[self.part])}")
        lamps = HEADS.get(self.part, ("",))
        if self.lamp not in lamps:
            raise ValueError(f"its lamps: {', '.join(lamps)}" if self.part in HEADS else "it has no lamps")
        return self


class _Course:
    """One mishap on its way: not yet, now, over."""

    __slots__ = ("began_s", "mishap")

    def __init__(self, mishap: Mishap) -> None:
        self.mishap = mishap
        self.began_s: float | None = None

    def now(self, now_s: float, phase: str, in_phase_s: float) -> bool:
        mishap = self.mishap
        if self.began_s is None and now_s >= mishap.at_s:
            if mishap.phase is None:
                self.began_s = mishap.at_s
            elif mishap.phase == phase and in_phase_s >= mishap.after_s:
                self.began_s = now_s
        if self.began_s is None:
            return False
        return mishap.for_s is None or now_s < self.began_s + mishap.for_s


class Mishaps:
    """Those of one world. `step` whenever time has gone on; `now` says what is the matter."""

    def __init__(self, planned: Iterable[Mishap]) -> None:
        self._courses = [_Course(mishap) for mishap in planned]
        self.planned = bool(self._courses)
        self._active: frozenset[tuple[str, str, str]] = frozenset()
        self._phase: tuple[str, float] = ("", 0.0)
        self.now_s = 0.0

    def step(self, now_s: float, phase: str = "") -> None:
        """It is `now_s`, and the scanner is in this phase."""
        self.now_s = now_s
        if not self.planned:
            return
        if phase != self._phase[0]:
            self._phase = (phase, now_s)
        since_s = now_s - self._phase[1]
        self._active = frozenset(
            (c.mishap.part, c.mishap.what, c.mishap.lamp) for c in self._courses if c.now(now_s, phase, since_s)
        )

    def now(self, part: str, what: str, lamp: str = "") -> bool:
        """Whether this is the matter now."""
        return bool(self._active) and (part, what, lamp) in self._active

    def any_of(self, part: str) -> bool:
        """Whether anything is the matter with this part now."""
        return any(active[0] == part for active in self._active)
