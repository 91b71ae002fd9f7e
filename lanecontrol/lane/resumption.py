"""Coming back after a shutdown of the port, in stages: which types of lane may open at which stage.

The stages are the lane file's; a supervisor or central orders each. A stage governs opening only: by the schedule, and
by an officer. A supervisor may open any lane at any stage, and a lane that is open stays so. Called by `lane.orders`,
and by whoever is about to open the lane.
"""

from __future__ import annotations

from lanecontrol.announcements import LaneType, ResumptionChanged
from lanecontrol.commands import DONE, Actor, Outcome, Resume, refused
from lanecontrol.lane.record import replace
from lanecontrol.lane.turn import Turn


def ordered(t: Turn, actor: Actor, request: Resume) -> Outcome:
    """Go over to another stage, or (without one) back to normal."""
    names = [stage.name for stage in t.setup.resumption]
    if request.stage and request.stage not in names:
        known = f"there are {', '.join(names)}" if names else "the lane file names none"
        return refused(f"there is no such stage: {known}")
    if request.stage != t.regime.stage:
        t.regime = replace(t.regime, stage=request.stage)
        may_open = not refusal(t, t.lane_type)
        t.tell(ResumptionChanged(request.stage, types(t), may_open, actor, t.utc_s))
    return DONE


def types(t: Turn) -> tuple[LaneType, ...]:
    """Types that may open at the present stage: those of this one and of all before it. A stage that the lane file no
    longer names lets none."""
    found: list[LaneType] = []
    for stage in t.setup.resumption:
        found += stage.types
        if stage.name == t.regime.stage:
            return tuple(dict.fromkeys(found))
    return ()


def refusal(t: Turn, lane_type: LaneType) -> str:
    """Why a lane of this type may not open yet without a supervisor; empty when it may."""
    if not t.regime.stage or lane_type in types(t):
        return ""
    return f"the port resumes in stages and is at '{t.regime.stage}': {lane_type.value} lanes open later"
