"""What the lane remembers for the figures of its traffic: one open window, and each open passage's moments so far.

Frozen and bounded; part of `LaneState`, so that a checkpoint carries it. Every moment is lane time (monotonic, going on
over a restart) unless it says UTC. Only `lane.numbers`, `lane.timing` and what they count with (`lane.queue`,
`lane.spread`) change it.
"""

from __future__ import annotations

from dataclasses import dataclass

from lanecontrol.announcements import LaneLife, Quality
from lanecontrol.figures import Stage
from lanecontrol.lane.record import quick


@dataclass(frozen=True, slots=True)
class Moment:
    """When something was announced: lane time, UTC, and whether UTC was disciplined."""

    now_s: float
    utc_s: float
    synchronised: bool = True


MAX_TIMINGS = 32
"""Passages are far fewer; whatever leaks is let go."""


@quick
@dataclass(frozen=True, slots=True)
class Spread:
    """Durations of one kind, in bins of equal ratio: bounded however many there are. See `lane.spread`."""

    count: int = 0
    sum_s: float = 0.0
    least_s: float = 0.0
    most_s: float = 0.0
    bins: tuple[tuple[int, int], ...] = ()
    """Number of a bin, and how many durations fell into it; in rising order."""


@quick
@dataclass(frozen=True, slots=True)
class Timing:
    """What has been measured of a passage that is still open, beyond what the passage itself keeps."""

    passage: str
    headway_s: float | None = None
    queued: bool = False
    recommended_s: float | None = None
    """Moments."""
    decided_s: float | None = None
    referred_s: float | None = None


@quick
@dataclass(frozen=True, slots=True)
class Ahead:
    """The vehicle that came to the booth last; `left_s` once it is known when it left."""

    passage: str
    booth_s: float
    left_s: float | None = None


@quick
@dataclass(frozen=True, slots=True)
class Entry:
    """Vehicles between the first sensor and the booth, and what is known of those before it. See `lane.queue`."""

    waiting: tuple[tuple[str, float], ...] = ()
    """Passages that are open and have not come to the booth, and since when."""
    at_booth: tuple[str, ...] = ()
    """Passages that have come to the booth and are still open."""
    empty_s: float | None = None
    """Since when nobody is waiting; None while somebody is."""
    clear_s: float | None = None
    """When the entry was last known to be clear."""
    arrived: int = 0
    """Passages opened since then."""
    spans: tuple[tuple[float, int], ...] = ((0.0, 0), (0.0, 0))
    """Time between one clear moment and the next, and who arrived in it: of late, and in the while before that."""


_PLACES = {stage: place for place, stage in enumerate(Stage)}


@quick
@dataclass(frozen=True, slots=True)
class Window:
    """One window under way. Seconds are of lane time; `start_utc_s` is where it begins by the clock."""

    number: int = 0
    start_utc_s: float = 0.0
    length_s: float = 900.0
    missing: int = 0
    """Windows before this one that nobody observed."""
    observed_s: float = 0.0
    unobserved_s: float = 0.0
    stepped_s: float = 0.0
    """How much the clock was set, up and down added up."""
    synchronised: bool = True
    lives: tuple[tuple[str, float], ...] = ()
    qualities: tuple[tuple[str, float], ...] = ()
    inside_before: int = 0
    opened: int = 0
    served: tuple[tuple[str, int], ...] = ()
    uninspected: int = 0
    unreleased: int = 0
    withdrawn: int = 0
    interrupted: int = 0
    untimed: int = 0
    referred: int = 0
    waited_s: float = 0.0
    """Vehicles waiting in sight, times seconds."""
    most_waiting: int = 0
    spreads: tuple[Spread, ...] = (Spread(),) * len(Stage)
    """In the order of the stages."""

    def spread(self, stage: Stage) -> Spread:
        return self.spreads[_PLACES[stage]]


@quick
@dataclass(frozen=True, slots=True)
class Approach:
    """The loops before the booth, taken as one: measured from contacts, which no event tells."""

    taken: bool | None = None
    since_s: float = 0.0
    taken_s: float = 0.0
    known_s: float = 0.0


@quick
@dataclass(frozen=True, slots=True)
class Numbers:
    """Everything. `at_s` is the moment up to which the window has been credited."""

    window: Window | None = None
    """None before the software was ever started."""
    at_s: float = 0.0
    anchor_s: float = 0.0
    """UTC less lane time, when last looked at."""
    life: LaneLife | None = None
    """None: not known, where a recount begins in the middle."""
    quality: Quality = Quality.GOOD
    entry: Entry = Entry()
    timings: tuple[Timing, ...] = ()
    ahead: Ahead | None = None
    approach: Approach = Approach()
    wake_s: float | None = None
    """When the window ends."""
