"""The gate: what state it is in, when its arm may come down, and the two commands that it knows.

While its contacts do not say that it is at one end, the gate counts as both possibly open and possibly closed
(`possibly_open`, `possibly_closed`); whoever goes by its state asks these two. The open command is taken back only
while nothing can be under the arm: every beam and every loop behind it is known to be clear, freshly read, for a while,
and no passage is between the loops. Called by `lane.interlock`, `lane.gate_watch` and `lane.overrides`; it withdraws
nothing.
"""

from __future__ import annotations

from lanecontrol.announcements import GateState
from lanecontrol.commands import OverridePart, WriteOutputs
from lanecontrol.lane import set_aside
from lanecontrol.lane.record import replace
from lanecontrol.lane.setup import Gate
from lanecontrol.lane.state import Passage
from lanecontrol.lane.turn import Turn

GATE_CLEAR_S = 1.0
"""Beams and the loop behind the gate have been clear for this long before the gate may come down (UFGS 02840)."""
ROLL_S = 4.0
"""A vehicle that came onto the booth loop so recently may not have stopped: one that follows too closely is under the
arm by then (6 m, faster than walking pace)."""


# --- state -----------------------------------------------------------------------------------------------------------


def possibly_open(state: GateState) -> bool:
    """Whether a vehicle may get through: anything but known to be closed."""
    return state is not GateState.CLOSED


def possibly_closed(state: GateState) -> bool:
    """Whether the arm may be in the way: anything but known to be open."""
    return state is not GateState.OPEN


def arrived(state: GateState, *, commanded_open: bool) -> bool:
    """Whether the gate is for certain where it was told to be."""
    return not possibly_closed(state) if commanded_open else not possibly_open(state)


def state_of(t: Turn, gate: Gate) -> tuple[GateState, str]:
    """The gate's state by its contacts, and where they come from in plain words."""
    opened, closed = t.contact(t.plan.opened).on, t.contact(t.plan.closed).on
    if opened is None or closed is None or not t.usable(gate.device):
        return GateState.UNKNOWN, "its limit switches cannot be read"
    if opened and closed:
        return GateState.FAULT, "both limit switches are on"
    if t.contact(t.plan.gate_fault).on:
        return GateState.FAULT, "its operator reports a fault"
    if opened:
        return GateState.OPEN, "limit switch"
    if closed:
        return GateState.CLOSED, "limit switch"
    return _moving(t), "on its way"


def _moving(t: Turn) -> GateState:
    """Between its ends: away from the one that it has just left, else to where it was told to go."""
    before = t.equipment.gate
    if before is GateState.CLOSED:
        return GateState.OPENING
    if before is GateState.OPEN:
        return GateState.CLOSING
    if before in (GateState.OPENING, GateState.CLOSING) and t.equipment.gate_watch_s is None:
        return before
    return GateState.OPENING if t.equipment.gate_open else GateState.CLOSING


# --- commands --------------------------------------------------------------------------------------------------------


def raise_arm(t: Turn) -> None:
    """Note that the gate is being commanded open; the command itself is the caller's, who has the permission for it."""
    gate = t.setup.gate
    if gate is not None:
        watch_s = t.now_s + gate.travel_limit_s
        t.equipment = replace(
            t.equipment,
            gate_open=True,
            gate_told=True,
            gate_again=False,
            gate_close_s=None,
            gate_watch_s=watch_s,
            gate_odd_s=None,
        )


def lower(t: Turn) -> None:
    """Take back the gate's open command once that cannot hurt anybody; else note when to look again."""
    gate = t.setup.gate
    wanted = t.equipment.gate_open or t.equipment.gate_again
    if gate is None or not wanted or t.desk.permission is not None or kept(t):
        _look_again_at(t, None)
        return
    safe_s = clear_under_arm_since(t)
    if safe_s is None or not t.due(safe_s + GATE_CLEAR_S):
        _look_again_at(t, None if safe_s is None else safe_s + GATE_CLEAR_S)
        return
    t.drive(gate.device, WriteOutputs(((gate.open_output, False),)), grants=False)
    t.equipment = replace(t.equipment, gate_again=False)
    if t.equipment.gate_open:
        _lowered(t, gate)


def _lowered(t: Turn, gate: Gate) -> None:
    # One that was never told to open in this run, and is closed, has no way to go: if it moves now, it is forced.
    rests = not t.equipment.gate_told and arrived(t.equipment.gate, commanded_open=False)
    t.equipment = replace(
        t.equipment,
        gate_open=False,
        gate_told=False,
        gate_close_s=None,
        gate_watch_s=None if rests else t.now_s + gate.travel_limit_s,
        gate_odd_s=None,
    )


def _look_again_at(t: Turn, moment_s: float | None) -> None:
    if t.equipment.gate_close_s != moment_s:
        t.equipment = replace(t.equipment, gate_close_s=moment_s)


def kept(t: Turn) -> bool:
    """By hand: the gate is held open, or not to be commanded at all."""
    return bool(t.equipment.overrides) and (
        set_aside.standing(t, OverridePart.GATE_OPEN) is not None
        or set_aside.standing(t, OverridePart.GATE_HELD) is not None
    )


# --- what is under the arm -------------------------------------------------------------------------------------------


def clear_under_arm_since(t: Turn) -> float | None:
    """Since when nothing can be under the arm; None while something may be, or nobody knows."""
    live, booth = t.live(), t.plan.booth
    for passage in live:
        if may_be_under_arm(t, passage):
            return None
    beyond = range(booth + 1, len(t.plan.stations))
    for station in beyond:
        if t.level(station) is not False:
            return None
    for device in t.plan.trusted:
        if not t.usable(device):
            return None
    for beam in t.plan.beams:
        if t.contact(beam).on is not False:
            return None
    if t.equipment.overrides and set_aside.gate_loop_out(t):
        return None
    arrived_s = [p.booth_s for p in live if p.head == booth and p.booth_s is not None]
    # It seems to have gone back from the booth; if that was an error, it is under the arm for a moment.
    back_s = [t.changed_s(booth) for p in live if p.head < booth and p.booth_s is not None]
    stopped_s = [moment_s + ROLL_S - GATE_CLEAR_S for moment_s in arrived_s + back_s]
    beams_s = [t.contact(beam).since_s for beam in t.plan.beams]
    cleared_s = [t.changed_s(station) for station in beyond]
    return max(cleared_s + beams_s + stopped_s, default=t.now_s - GATE_CLEAR_S)


def may_be_under_arm(t: Turn, passage: Passage) -> bool:
    return passage.head > t.plan.booth or (passage.head == t.plan.booth and passage.adrift_s is not None)


def something_under_arm(t: Turn) -> bool:
    """Something is seen under the arm, or a vehicle is known to be there."""
    return any(t.contact(beam).on for beam in t.plan.beams) or any(may_be_under_arm(t, p) for p in t.live())
