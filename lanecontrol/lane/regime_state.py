"""What a lane remembers of its schedule, its type, a divert notice, a resumption and who is on duty: plain frozen data.

A module of its own so that `lane.state` can name it. Only `lane.timetable`, `lane.divert`, `lane.resumption`,
`lane.duty` and `lane.life` (the type, and that an order counts until the schedule's next change) change it. Moments are
lane time, as in `lane.state`, but for those in `_utc_s`.
"""

from __future__ import annotations

from dataclasses import dataclass

from lanecontrol.announcements import LaneType
from lanecontrol.commands import Actor
from lanecontrol.lane.record import quick, replace

LONGEST_DIVERT_S = 24 * 3600.0
"""A divert notice holds no longer: whoever needs it longer has to say so again."""


@quick
@dataclass(frozen=True, slots=True)
class Turned:
    """What the schedule wanted when it was last looked into: open (as which type) or closed, from when until when."""

    opens: bool
    lane_type: LaneType | None
    since_utc_s: float
    until_utc_s: float
    sure: bool = True
    """The clock was synchronised then."""


@quick
@dataclass(frozen=True, slots=True)
class Diverted:
    """The port sends traffic elsewhere: nobody new is admitted. `since_s` is when this lane heard of it."""

    notice: str
    reason: str
    to: str
    by: Actor
    since_s: float
    until_s: float
    until_utc_s: float


@quick
@dataclass(frozen=True, slots=True)
class Regime:
    """What is wanted of the lane from outside its own life. `wake_s`: when any of it is to be looked at."""

    serves: LaneType | None = None
    """The type that the lane serves, where it is not that of its file."""
    turned: Turned | None = None
    wish: bool = False
    """What the schedule wanted at its last change has not been carried out yet, and nobody has ordered otherwise."""
    held: str = ""
    """Why not, as last told."""
    look_s: float | None = None
    divert: Diverted | None = None
    heard_utc_s: float = 0.0
    """When the newest divert notice that was heeded had been issued: older ones are not."""
    officer: Actor | None = None
    """Who is on duty at the booth."""
    stage: str = ""
    """The stage of a resumption after a shutdown; empty when there is none."""
    wake_s: float | None = None


def awake(regime: Regime) -> Regime:
    """The same, with the next moment at which any of it is due."""
    until_s = regime.divert.until_s if regime.divert is not None else None
    moments_s = [moment_s for moment_s in (regime.look_s, until_s) if moment_s is not None]
    return replace(regime, wake_s=min(moments_s, default=None))
