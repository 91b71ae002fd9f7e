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
LAMP_FAULTS = {
    "burnt_out": "It never burns; what reads it back says so.",
    "welded": "It burns whatever the output says (a relay's contact that is stuck).",
    "flickers": "While its output is on it goes out for 0.2 s of every 0.4 s.",
}
FAULTS: dict[str, dict[str, str]] = dict.fromkeys(HEADS, LAMP_FAULTS) | {
    "gate": {
        "stuck": "The arm stays where it is; the operator reports a fault when it has been driven in vain for 2 s.",
        "half_way": "The arm stops half-way, with the same consequence.",
        "drifts_open": "The arm rises by itself, five hundredths of its way a second, while it is not driven open.",
        "forced_open": "Somebody lifts the arm within half a second, and holds it.",
        "opened_switch_dead": "The upper limit switch is never on.",
        "opened_switch_welded": "The upper limit switch is always on.",
        "closed_switch_dead": "The lower limit switch is never on.",
        "closed_switch_welded": "The lower limit switch is always on.",
        "beam_blind": "The photo-eyes see nothing.",
        "beam_blocked": "The photo-eyes see something all the time.",
        "fault": "The operator reports a fault and does not move.",
    },
    "emergency_button": {"pressed": "Somebody has pressed it."},
    "scanner": {
        "no_start": "It takes no notice of a request.",
        "shutter_sticks_closed": "It says that a scan is in progress, and the shutter does not open.",
        "shutter_sticks_open": "The shutter opens and does not close: the beam stays on.",
        "contacts_both": "The shutter's contacts say that it is open and closed.",
        "contacts_neither": "The shutter's contacts say that it is neither.",
        "bounce": "The contact of the closed shutter bounces for half a second after each movement.",
        "estop": "Somebody presses an e-stop. When it is released, somebody turns the key 3 s later, for 2 s.",
        "key_off": "The key is turned off.",
        "not_ready": "It is not ready.",
        "fault": "It reports a fault of its own.",
        "barrier_open": "The arm before its zone does not come down.",
        "no_warning": "Horn and lamp do not confirm the warning.",
        "late_complete": "The scan is over, the shutter closes, and `scan_complete` comes 4 s later.",
        "double_complete": "`scan_complete` comes once more, 4 s later.",
        "no_complete": "`scan_complete` does not come.",
        "zone_entry": "A stranger walks into the zone; 2 s later they are where the beam is.",
        "driver_strays": "The driver leaves the waiting place for the vehicle, unasked; the same.",
        "passenger_stays": "Somebody stays in the vehicle. The contact at the waiting place does not know of it.",
    },
}
"""What can befall each part, and what that means."""

Phase = Literal["idle", "armed", "warning", "requested", "beam", "closing"]


class Mishap(BaseModel):
    """Something that befalls a part of the lane."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    part: Literal["gate", "signal", "lane_signal", "driver_signal", "beacon", "emergency_button", "scanner"]
    """What it befalls."""
    what: str
    """What befalls it: see the table below."""
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
