"""The lane's schedule at work: at each change it wants the lane open (as some type) or closed, and sees to it once.

What somebody orders counts until the next change. A lane in emergency, in maintenance or suspended is never opened, and
none while the clock is not synchronised: then the schedule may only close. What is held back (by the clock, a divert
notice, a stage of resumption, nobody on duty, a vehicle in the lane) is made up for when it can be. Called by
`lane.step`, once a minute and at every change; nothing is worked out in between.
"""

from __future__ import annotations

from lanecontrol.announcements import LaneLife, LaneType, SchedulePhase, ScheduleTold
from lanecontrol.lane import duty, life, schedule
from lanecontrol.lane.faults import fault
from lanecontrol.lane.record import replace
from lanecontrol.lane.regime_state import Turned, awake
from lanecontrol.lane.turn import Turn

LOOK_EVERY_S = 60.0
"""The clock may be put right between two changes; a change itself is met to the moment."""
STEP_BACK_S = 3600.0
"""A clock that is put back by less does not undo a change."""

_NEVER_OPENED = frozenset({LaneLife.EMERGENCY, LaneLife.MAINTENANCE, LaneLife.SUSPENDED})


def started(t: Turn) -> None:
    """The software was started: changes may have been missed, and the file may have another schedule."""
    if t.regime.serves is not None and t.regime.serves not in life.may_serve(t):
        life.serve(t, t.setup.lane_type, "the lane file no longer allows the other one")
    if t.setup.schedule is None:
        if t.regime.turned is not None:
            fault(t, "schedule", "clock_not_synchronised", "there is no schedule any more", active=False)
            t.regime = awake(replace(t.regime, turned=None, wish=False, held="", look_s=None))
        return
    _look(t, anew=True)


def on_time(t: Turn) -> None:
    if t.due(t.regime.look_s):
        _look(t, anew=False)


def _look(t: Turn, *, anew: bool) -> None:
    if t.setup.schedule is None:
        return
    sure, old = t.given.at.synchronised, t.regime.turned
    turned = old
    if old is None or _outdated(t, old, anew=anew or (sure and not old.sure)):
        wanted = schedule.at(t.setup.schedule, t.utc_s)
        turned = Turned(wanted.opens, wanted.lane_type, wanted.since_utc_s, wanted.until_utc_s, sure)
    assert turned is not None
    look_s = t.now_s + max(0.0, min(LOOK_EVERY_S, turned.until_utc_s - t.utc_s))
    t.regime = awake(replace(t.regime, turned=turned, look_s=look_s))
    _tell_of_clock(t, sure=sure)
    if old is None or _changes(t, old, turned):
        t.regime = replace(t.regime, wish=True, held="")
    pursue(t)


def _outdated(t: Turn, old: Turned, *, anew: bool) -> bool:
    """Whether the schedule has to be asked again."""
    if t.utc_s >= old.until_utc_s or t.utc_s < old.since_utc_s - STEP_BACK_S:
        return True
    return anew and not (old.sure and t.utc_s < old.since_utc_s)


def _changes(t: Turn, old: Turned, new: Turned) -> bool:
    return t.utc_s >= old.until_utc_s or (new.opens, new.lane_type) != (old.opens, old.lane_type)


def _tell_of_clock(t: Turn, *, sure: bool) -> None:
    words = "the clock is synchronised" if sure else "the clock is not synchronised: the schedule opens nothing"
    fault(t, "schedule", "clock_not_synchronised", words, active=not sure)


# --- seeing to it ----------------------------------------------------------------------------------------------------


def pursue(t: Turn) -> None:
    """Bring about what the schedule wants, as far as it goes now."""
    turned = t.regime.turned
    if not t.regime.wish or turned is None:
        return
    if not turned.opens:
        if t.desk.life in (LaneLife.OPEN, LaneLife.OPENING, LaneLife.SUSPENDED):
            life.begin_closing(t, "the schedule")
        duty.ends(t, "the schedule has closed the lane")
        _over(t, SchedulePhase.DONE, "")
    elif t.desk.life in _NEVER_OPENED:
        _over(t, SchedulePhase.DROPPED, f"the lane is {t.desk.life.value}")
    else:
        _pursue_opening(t, turned.lane_type or t.setup.lane_type)


def _pursue_opening(t: Turn, wanted: LaneType) -> None:
    """Open as this type; a lane that is open as another one is closed and drained first."""
    if t.desk.life in (LaneLife.OPEN, LaneLife.OPENING):
        if t.lane_type is wanted:
            _over(t, SchedulePhase.DONE, "")
            return
        life.begin_closing(t, f"the schedule: {wanted.value} from now on")
    why = _held_back(t, wanted)
    if why:
        _hold(t, why)
        return
    life.serve(t, wanted, "the schedule")
    _over(t, SchedulePhase.DONE, "")
    life.begin_opening(t, "the schedule")


def _held_back(t: Turn, wanted: LaneType) -> str:
    if t.desk.life is not LaneLife.CLOSED:
        return "a vehicle is in the lane"
    if wanted is not t.lane_type and (why := life.why_not_another_type(t)):
        if life.empty(t):
            t.regime = awake(replace(t.regime, look_s=life.clear_s(t)))
        return why
    if t.desk.stopping:
        return "the lane controller is stopping"
    if not t.given.at.synchronised:
        return "the clock is not synchronised"
    if t.setup.schedule is not None and t.setup.schedule.officer_required and t.regime.officer is None:
        return "no officer has signed on"
    return life.why_not_open(t, wanted)


def _hold(t: Turn, why: str) -> None:
    if why != t.regime.held:
        t.regime = replace(t.regime, held=why)
        _tell(t, SchedulePhase.HELD, why)


def _over(t: Turn, phase: SchedulePhase, why: str) -> None:
    t.regime = replace(t.regime, wish=False, held="")
    _tell(t, phase, why)


def _tell(t: Turn, phase: SchedulePhase, why: str) -> None:
    turned = t.regime.turned
    if turned is not None:
        wanted = (turned.lane_type or t.setup.lane_type) if turned.opens else None
        t.tell(ScheduleTold(turned.opens, wanted, phase, why, turned.until_utc_s, t.utc_s))
