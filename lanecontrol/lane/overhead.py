"""What the overhead lane-use signal and the beacon show: it follows from the lane's state, and nobody orders it.

Green arrow only while the lane is open and everything is sound; a lane that closes shows the yellow X, for its least
time at any rate; doubt, emergency, start and exit show the red X at once. Called at the end of every step that changed
something, and when a least time is over.
"""

from __future__ import annotations

from lanecontrol.announcements import LaneAspect, LaneLife
from lanecontrol.commands import OverridePart
from lanecontrol.lane import departures, interlock, set_aside, signals
from lanecontrol.lane.faults import stands
from lanecontrol.lane.record import replace
from lanecontrol.lane.setup import LaneSignal
from lanecontrol.lane.turn import Turn

_READBACK = ("dark", "lamp_on", "lamps_conflict", "lamp_unread", "lamp_out")


def settle(t: Turn) -> None:
    """Show what follows from the state as it is now."""
    if t.setup.lane_signal is None and t.setup.beacon is None:
        return
    doubt = _doubt(t)
    if t.setup.lane_signal is not None:
        _settle_lane(t, t.setup.lane_signal, doubt)
    if t.setup.beacon is not None:
        on = bool(doubt) or _life_shown(t) is not LaneLife.OPEN or _calls_for_somebody(t)
        if t.equipment.beacon is not on:
            signals.light_beacon(t, on=on)


def _doubt(t: Turn) -> str:
    """Why no vehicle is to come in although the lane may be open; empty where nothing speaks against it."""
    if t.desk.life is LaneLife.EMERGENCY:
        return "emergency"
    if t.equipment.faults:
        if code := stands(t, "lane_signal", *_READBACK):
            return f"the overhead signal has a fault: {code}"
        if code := stands(t, "gate"):
            return f"the gate has a fault: {code}"
    if t.desk.alarms and departures.unanswered(t):
        return "a vehicle has left without a disposition"
    return interlock.unsound(t)


def _calls_for_somebody(t: Turn) -> bool:
    if any(not alarm.acknowledged for alarm in t.desk.alarms):
        return True
    return any(row.ended_s is None for row in t.equipment.overrides)


def _settle_lane(t: Turn, overhead: LaneSignal, doubt: str) -> None:
    shown, hold_s = t.equipment.lane_aspect, t.equipment.lane_hold_s
    if hold_s is not None and t.due(hold_s):
        t.equipment = replace(t.equipment, lane_hold_s=None)
        hold_s = None
    if doubt:
        if shown is not LaneAspect.CLOSED:
            interlock.close_overhead(t, doubt)
        return
    life = _life_shown(t)
    wanted = LaneAspect.CLOSING if _tried_out(t) else _wanted(life, shown)
    if wanted is not shown and (hold_s is None or shown is LaneAspect.DARK):
        signals.show_lane(t, wanted, _why(t))
        least_s = overhead.closing_at_least_s if wanted is LaneAspect.CLOSING else None
        t.equipment = replace(t.equipment, lane_hold_s=None if least_s is None else t.now_s + least_s)


def _life_shown(t: Turn) -> LaneLife:
    """Drivers are shown a lane from which the port diverts traffic as one that is suspended."""
    diverted = t.regime.divert is not None and t.desk.life is LaneLife.OPEN
    return LaneLife.SUSPENDED if diverted else t.desk.life


def _tried_out(t: Turn) -> bool:
    """Somebody looks whether the yellow X burns."""
    if t.desk.life is not LaneLife.MAINTENANCE or not t.equipment.overrides:
        return False
    return set_aside.standing(t, OverridePart.YELLOW_X) is not None


def _why(t: Turn) -> str:
    if t.regime.divert is not None and t.desk.life is LaneLife.OPEN:
        return "the port diverts traffic"
    return f"the lane is {t.desk.life.value}"


def _wanted(life: LaneLife, shown: LaneAspect) -> LaneAspect:
    """A lane that leaves the green arrow in good order passes through the yellow X."""
    if life is LaneLife.OPEN:
        return LaneAspect.OPEN
    if shown is LaneAspect.OPEN or (life is LaneLife.CLOSING and shown is LaneAspect.CLOSING):
        return LaneAspect.CLOSING
    return LaneAspect.CLOSED
