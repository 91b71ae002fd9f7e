"""Who is on duty at the booth: whoever signed on, or opened the lane. Without anybody the schedule opens nothing.

Duty ends by signing off, and when the lane is closed or reset. Called by `lane.orders`, `lane.life` and
`lane.timetable`. It decides about no vehicle: who may, each disposition is asked anew.
"""

from __future__ import annotations

from lanecontrol.announcements import DutyChanged, LaneLife
from lanecontrol.commands import DONE, Actor, Outcome, SignOff, SignOn, refused
from lanecontrol.lane.record import replace
from lanecontrol.lane.turn import Turn


def ordered(t: Turn, actor: Actor, request: SignOn | SignOff) -> Outcome:
    """Sign on, in whoever's place, or off."""
    if isinstance(request, SignOn):
        begins(t, actor, "signed on")
    elif t.desk.life in (LaneLife.OPEN, LaneLife.OPENING, LaneLife.CLOSING):
        why = f"the lane is {t.desk.life.value}: close or suspend it first, or somebody else signs on"
        return refused(why)
    else:
        ends(t, "signed off")
    return DONE


def begins(t: Turn, actor: Actor, why: str) -> None:
    if t.regime.officer != actor:
        t.regime = replace(t.regime, officer=actor)
        t.tell(DutyChanged(actor, why, t.utc_s))


def ends(t: Turn, why: str) -> None:
    if t.regime.officer is not None:
        t.regime = replace(t.regime, officer=None)
        t.tell(DutyChanged(None, why, t.utc_s))
