"""The lane's life: closed, opening, open, closing, suspended, emergency, maintenance; and what people ask of it.

Every change goes through `change`, and nothing opens, closes or drains by itself but in `settle`. Called by
`lane.orders` for orders, by `lane.equipment` for the emergency button and by `lane.timetable` for the schedule. It
never releases a vehicle, and nothing here ends an emergency but a supervisor's reset.
"""

from __future__ import annotations

from lanecontrol.announcements import LaneLife, LaneLifeChanged, LaneType, LaneTypeChanged
from lanecontrol.commands import (
    DONE,
    Actor,
    CloseLane,
    EndMaintenance,
    Maintain,
    Outcome,
    Role,
    ServeType,
    SuspendLane,
    refused,
)
from lanecontrol.lane import authority, duty, interlock, loop_health, overrides, readback, resumption
from lanecontrol.lane.passages import GOING, ask_again
from lanecontrol.lane.plan import NOWHERE
from lanecontrol.lane.record import replace
from lanecontrol.lane.texts import MAX_WORDS
from lanecontrol.lane.turn import Turn

CLEAR_S = 15.0
"""Whoever passed the green arrow just before it went out is on the first loop by then."""
_OPEN = LaneLife.OPEN
_WORKING = (_OPEN, LaneLife.OPENING)


def ordered(t: Turn, actor: Actor, request: SuspendLane | Maintain | EndMaintenance | ServeType) -> Outcome:
    """Carry out or refuse what somebody asks of the lane's life, but for opening, closing, emergency and reset."""
    match request:
        case SuspendLane(reason):
            return _suspend(t, actor, reason)
        case Maintain(reason):
            return _maintain(t, actor, reason)
        case EndMaintenance():
            return _end_maintenance(t, actor)
        case ServeType(name):
            return _serve_by_order(t, actor, name)


# --- opening and closing ---------------------------------------------------------------------------------------------


def open_lane(t: Turn, actor: Actor) -> Outcome:
    """Open, from closed or suspended; a lane that is closing turns back."""
    if t.desk.life in _WORKING:
        _heed(t)
        return DONE
    if t.desk.life not in (LaneLife.CLOSED, LaneLife.CLOSING, LaneLife.SUSPENDED):
        return refused(_how_out(t))
    if t.desk.stopping:
        return refused("the lane controller is stopping")
    why = why_not_open(t, t.lane_type, actor.role)
    if why:
        return refused(why)
    _heed(t)
    duty.begins(t, actor, "opened the lane")
    begin_opening(t, f"ordered by {actor.role.value}")
    return DONE


def why_not_open(t: Turn, lane_type: LaneType, role: Role | None = None) -> str:
    """Why the port as a whole keeps this lane, as this type, from opening; empty when it does not."""
    divert = t.regime.divert
    if divert is not None:
        return f"the port diverts traffic: {divert.reason or 'no reason given'}; the lane opens when that has ended"
    return "" if role in authority.OPENING_AT_ANY_STAGE else resumption.refusal(t, lane_type)


def begin_opening(t: Turn, why: str) -> None:
    """Open as soon as everything can be relied on. The caller has asked whether it may."""
    readback.try_again(t)
    change(t, LaneLife.OPENING, why)
    settle(t)


def close_lane(t: Turn, actor: Actor, request: CloseLane) -> Outcome:
    """Call nobody in any more; closed once the last vehicle is through."""
    life = t.desk.life
    if life in (LaneLife.EMERGENCY, LaneLife.MAINTENANCE):
        return refused(_how_out(t))
    _heed(t)
    if life in (*_WORKING, LaneLife.SUSPENDED):
        begin_closing(t, request.reason[:MAX_WORDS] or f"ordered by {actor.role.value}")
    duty.ends(t, "the lane was closed")
    return DONE


def begin_closing(t: Turn, why: str) -> None:
    change(t, LaneLife.CLOSING, why)
    settle(t)


def settle(t: Turn) -> None:
    """Opening ends when everything can be relied on, closing when the lane is empty."""
    if t.desk.life is _OPEN:
        return
    if t.desk.life is LaneLife.OPENING and not interlock.unsound(t):
        change(t, LaneLife.OPEN, "signal, gate and loops are in order")
    elif t.desk.life is LaneLife.CLOSING and drained(t):
        change(t, LaneLife.CLOSED, "the lane is empty")


def drained(t: Turn) -> bool:
    """No vehicle is in the lane, and none that was there still waits for its record."""
    return not t.tracking.passages


def empty(t: Turn) -> bool:
    """Drained, and no loop says that somebody is just coming."""
    return drained(t) and not any(t.level(station) for station in range(len(t.plan.stations)))


def change(t: Turn, life: LaneLife, why: str) -> None:
    previous = t.desk.life
    t.desk = replace(t.desk, life=life, life_s=t.now_s)
    if life is LaneLife.OPEN:
        loop_health.opened(t)
        _decide_anew(t)
    if previous is LaneLife.MAINTENANCE:
        overrides.maintenance_over(t)
    t.tell(LaneLifeChanged(life, previous, why, t.utc_s))


def _decide_anew(t: Turn) -> None:
    """What was put on record about the vehicle at the booth while nobody was let go is no permission now."""
    passage = t.at_booth()
    by = passage.disposition if passage is not None else None
    if passage is not None and by is not None and by.disposition in GOING and t.desk.permission is None:
        ask_again(t, passage.id)


def _heed(t: Turn) -> None:
    """Somebody has ordered how the lane is to be: what the schedule last wanted no longer counts."""
    if t.regime.wish:
        t.regime = replace(t.regime, wish=False, held="")


def _how_out(t: Turn) -> str:
    if t.desk.life is LaneLife.MAINTENANCE:
        return "the lane is in maintenance: that has to be ended first"
    return f"the lane is {t.desk.life.value}: a supervisor has to reset it first"


# --- suspension ------------------------------------------------------------------------------------------------------


def _suspend(t: Turn, actor: Actor, reason: str) -> Outcome:
    """Nobody new; whoever is inside is finished. Opening the lane goes on, closing it drains it."""
    if t.desk.life is LaneLife.SUSPENDED:
        return DONE
    if t.desk.life not in _WORKING:
        return refused(f"the lane is {t.desk.life.value}: only an open lane is suspended")
    _heed(t)
    change(t, LaneLife.SUSPENDED, reason[:MAX_WORDS] or f"ordered by {actor.role.value}")
    return DONE


# --- maintenance -----------------------------------------------------------------------------------------------------


def _maintain(t: Turn, actor: Actor, reason: str) -> Outcome:
    if t.desk.life is LaneLife.MAINTENANCE:
        return DONE
    if t.desk.life is not LaneLife.CLOSED:
        return refused(f"the lane is {t.desk.life.value}: it has to be closed, and empty, first")
    if not empty(t):
        return refused("a vehicle is in the lane, or a loop is on: it has to leave first, or the loop to be left out")
    _heed(t)
    interlock.stop_everything(t, "maintenance")
    change(t, LaneLife.MAINTENANCE, reason[:MAX_WORDS] or f"ordered by {actor.role.value}")
    return DONE


def _end_maintenance(t: Turn, actor: Actor) -> Outcome:
    if t.desk.life is not LaneLife.MAINTENANCE:
        return refused(f"the lane is {t.desk.life.value}")
    interlock.stop_everything(t, "maintenance has ended")
    change(t, LaneLife.CLOSED, f"maintenance ended by {actor.role.value}")
    return DONE


# --- the type of the lane --------------------------------------------------------------------------------------------


def _serve_by_order(t: Turn, actor: Actor, name: str) -> Outcome:
    if name not in {one.value for one in may_serve(t)}:
        return refused(f"this lane may serve {', '.join(one.value for one in may_serve(t))}")
    wanted = LaneType(name)
    if wanted is t.lane_type:
        return DONE
    if t.desk.life is not LaneLife.CLOSED:
        return refused(f"the lane is {t.desk.life.value}: close it, and change its type when it is empty")
    why = why_not_another_type(t)
    if why:
        return refused(why)
    serve(t, wanted, f"ordered by {actor.role.value}")
    return DONE


def may_serve(t: Turn) -> tuple[LaneType, ...]:
    """The types that the lane file allows, its own first."""
    return tuple(dict.fromkeys((t.setup.lane_type, *t.setup.other_types)))


def why_not_another_type(t: Turn) -> str:
    """Why the type may not be changed now, apart from the lane's life; empty when it may."""
    if not empty(t):
        return "a vehicle is in the lane, or a loop is on: its type changes only when that is gone"
    if not t.due(clear_s(t)):
        return f"the lane was closed just now, and a vehicle may still be on its way in: again in {CLEAR_S:g} s"
    return ""


def clear_s(t: Turn) -> float:
    """From when on nobody can be on the way in any more who still saw the lane open."""
    return t.desk.life_s + CLEAR_S


def serve(t: Turn, lane_type: LaneType, why: str) -> None:
    """Serve another type from now on. The caller has seen that the lane is closed and empty."""
    previous = t.lane_type
    if lane_type is previous:
        return
    t.regime = replace(t.regime, serves=None if lane_type is t.setup.lane_type else lane_type)
    t.tell(LaneTypeChanged(lane_type, previous, why, t.utc_s))


# --- emergency -------------------------------------------------------------------------------------------------------


def emergency(t: Turn, reason: str) -> Outcome:
    """Anybody may call it, by order or by the button: it only takes away. The gate stays as the interlock keeps it."""
    interlock.stop_everything(t, "emergency")
    if t.desk.life is not LaneLife.EMERGENCY:
        _heed(t)
        change(t, LaneLife.EMERGENCY, reason[:MAX_WORDS] or "declared")
    return DONE


def reset(t: Turn) -> Outcome:
    """Back to closed, once the button is out. The caller has seen that a supervisor asks."""
    if t.plan.emergency != NOWHERE and t.contact(t.plan.emergency).on is not False:
        return refused("the emergency button is pressed, or cannot be read")
    _heed(t)
    interlock.stop_everything(t, "the lane was reset")
    if t.desk.life is not LaneLife.CLOSED:
        change(t, LaneLife.CLOSED, "reset by a supervisor")
    duty.ends(t, "the lane was reset")
    t.trust("inputs_lost")
    return DONE
