"""Figures and what may be forgotten first: class `telemetry`."""

from __future__ import annotations

from dataclasses import dataclass

from lanecontrol.announcements.words import LaneLife, Quality
from lanecontrol.figures import Absent, Lasted, QueueEstimate, Served, StageTimes


@dataclass(frozen=True, slots=True)
class BacklogDraining:
    """After an outage: so many events are on their way, at this rate at the most (0: as fast as they are taken)."""

    waiting: int
    per_s: float
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class BacklogDrained:
    """A backlog that was announced is through."""

    count: int
    took_s: float
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class InputsDropped:
    """The inbox overflowed: this many inputs were lost. Red was shown."""

    count: int
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class LaneNumbers:
    """The figures of one window of time, by the clock's quarter hours unless the lane file says otherwise.

    `inside_before` + `opened` = `served` + `uninspected` + `unreleased` + `withdrawn` + `interrupted` + `inside_after`.
    A passage counts when it closes. All figures are measured, or None and then in `absent` with the reason.
    """

    window: int
    """Counts the windows that were told; `missing_windows` before this one nobody observed."""
    start_utc_s: float
    end_utc_s: float
    missing_windows: int
    observed_s: float
    """Monotonic: less than the window where the software started in it or the clock was set, and more where it was
    set back."""
    unobserved_s: float
    """The software was not running, or had nothing to show that it was."""
    clock_stepped_s: float
    """How much the clock was set in this window, up and down added up. Not 0: its ends are not where they should be."""
    synchronised: bool
    """The clock was disciplined whenever something happened."""
    life: LaneLife | None
    """When the window ended. None in a recount that began in the middle."""
    lives: tuple[Lasted, ...]
    """How long the lane's life was what, of the time observed."""
    open_s: float
    quality: Quality
    """The worst in this window."""
    qualities: tuple[Lasted, ...]
    inside_before: int
    opened: int
    served: int
    """Inspected, let go by an officer, and gone."""
    served_as: tuple[Served, ...]
    """The same by lane type."""
    uninspected: int
    """Let pass on record as uninspected (LANE_PASS_UNINSPECTED)."""
    unreleased: int
    withdrawn: int
    """Backed out, changed lanes, or voided."""
    interrupted: int
    inside_after: int
    untimed: int
    """Served, but not in `stages`: the lane was not sure which vehicle was which."""
    referred: int
    """Of those served, how many an officer referred."""
    throughput_per_h: float | None
    """Served, per hour open or closing."""
    capacity_per_h: float | None
    """3600 by the mean queued headway: what goes through while somebody is always there."""
    saturation: float | None
    """Throughput by capacity; about 1 is all that the booth can do."""
    approach_occupied: float | None
    """Share of time in which the loop before the booth was taken."""
    waiting_mean: float | None
    """Vehicles between the first sensor and the booth, mean over the time observed."""
    waiting_most: int
    stages: tuple[StageTimes, ...]
    queue: QueueEstimate | None
    """When the window ended."""
    absent: tuple[Absent, ...]
    at_utc_s: float
