"""What is wrong with the gate: late, forced, dropped, obstructed, contradictory. Told, alarmed, never put right here.

Called by `lane.equipment` when a contact of the gate changes or cannot be read any more, and by `lane.step` when a time
is up. A gate that somebody works on (`GATE_HELD`) is watched for its state and not blamed for it.
"""

from __future__ import annotations

from lanecontrol.announcements import GateMoved, GateState
from lanecontrol.commands import OverridePart
from lanecontrol.lane import gate as arm
from lanecontrol.lane import interlock, set_aside
from lanecontrol.lane.faults import fault, stands
from lanecontrol.lane.record import replace
from lanecontrol.lane.setup import Gate
from lanecontrol.lane.turn import Turn

ODD_S = 0.5
"""A limit switch that was left for less than this is a gust of wind, not a movement."""

_MOVING = (GateState.OPENING, GateState.CLOSING)
_KNOWN = (*_MOVING, GateState.OPEN, GateState.CLOSED)


def moved(t: Turn) -> None:
    """Work out the gate's state from its contacts and what it was told; tell a change, and what is wrong with it."""
    gate = t.setup.gate
    if gate is None:
        return
    before = t.equipment.gate
    state, why = arm.state_of(t, gate)
    if state is not before:
        t.equipment = replace(t.equipment, gate=state)
        t.tell(GateMoved(state, why, t.utc_s))
    _contradiction(t)
    if arm.arrived(state, commanded_open=t.equipment.gate_open):
        _settled(t, state)
    elif before is GateState.CLOSING and state is GateState.OPEN:
        _obstructed(t, "it went up again while closing")
    watch(t)


def _contradiction(t: Turn) -> None:
    opened, closed = t.contact(t.plan.opened).on, t.contact(t.plan.closed).on
    both = bool(opened and closed)
    _blame(t, "switches", "both limit switches are on" if both else "one limit switch at most is on", active=both)
    broken = bool(t.contact(t.plan.gate_fault).on)
    _blame(t, "operator", "its operator reports a fault" if broken else "its operator is well", active=broken)


def _settled(t: Turn, state: GateState) -> None:
    if t.equipment.gate_watch_s is not None or t.equipment.gate_odd_s is not None:
        t.equipment = replace(t.equipment, gate_watch_s=None, gate_odd_s=None)
    for code in ("travel", "obstruction", "forced" if state is GateState.CLOSED else "dropped"):
        fault(t, "gate", code, "reached its end", active=False)


def watch(t: Turn) -> None:
    """Movements that nobody commanded, and whatever comes under an arm that is coming down.

    Called at the end of every step that changed something; costs next to nothing while the gate rests where it should.
    """
    gate = t.setup.gate
    if gate is None:
        return
    e = t.equipment
    odd = _odd(t)
    if odd and not stands(t, "gate", odd):
        _suspect(t, odd)
    elif e.gate_odd_s is not None:
        t.equipment = replace(e, gate_odd_s=None)
    if e.gate in _MOVING or stands(t, "gate", "under_arm"):
        below = not e.gate_open and e.gate is GateState.CLOSING and arm.something_under_arm(t)
        words = "something is under the arm while it comes down" if below else "nothing is under a moving arm"
        _blame(t, "under_arm", words, active=below)


def _suspect(t: Turn, odd: str) -> None:
    """At the other end, or on its way there for long enough: that was no gust of wind."""
    since_s = t.equipment.gate_odd_s
    if _complete(t) or t.due(since_s):
        t.equipment = replace(t.equipment, gate_odd_s=None)
        _blame(t, odd, _ODD_WORDS[odd], active=True)
    elif since_s is None:
        t.equipment = replace(t.equipment, gate_odd_s=t.now_s + ODD_S)


_ODD_WORDS = {
    "forced": "open, though never commanded: forced, or the arm is broken",
    "dropped": "not open any more, though commanded open",
}


def _odd(t: Turn) -> str:
    """Which end the gate has left without a command; empty where it has not, or is already blamed for being late."""
    e = t.equipment
    if e.gate_watch_s is not None or e.gate not in _KNOWN or arm.arrived(e.gate, commanded_open=e.gate_open):
        return ""
    if e.overrides and set_aside.standing(t, OverridePart.GATE_HELD) is not None:
        return ""
    if stands(t, "gate", "travel", "obstruction"):
        return ""
    if not e.gate_open:
        return "forced"
    return "dropped" if e.gate_told else ""


def _complete(t: Turn) -> bool:
    """It is at the other end already."""
    return t.equipment.gate is (GateState.CLOSED if t.equipment.gate_open else GateState.OPEN)


def late(t: Turn) -> None:
    """The time for the gate to reach its end is up."""
    gate = t.setup.gate
    if gate is None or not t.due(t.equipment.gate_watch_s):
        return
    moved(t)
    if t.equipment.gate_watch_s is None:
        return
    t.equipment = replace(t.equipment, gate_watch_s=None)
    if not t.equipment.gate_open and t.equipment.gate in _MOVING:
        _obstructed(t, "it stopped while closing")
    _late(t, gate)


def _late(t: Turn, gate: Gate) -> None:
    wanted = "open" if t.equipment.gate_open else "closed"
    if not stands(t, "gate", "obstruction"):
        _blame(t, "travel", f"not {wanted} within {gate.travel_limit_s:g} s", active=True)
    interlock.withdraw(t, "the gate did not reach its end")


def _obstructed(t: Turn, words: str) -> None:
    if not t.equipment.gate_open:
        t.equipment = replace(t.equipment, gate_watch_s=None)
        _blame(t, "obstruction", words, active=True)


def _blame(t: Turn, code: str, words: str, *, active: bool) -> None:
    """A fault of the gate, which withdraws permission when it begins; nobody is blamed while somebody works on it."""
    held = bool(t.equipment.overrides) and set_aside.standing(t, OverridePart.GATE_HELD) is not None
    begins = active and not held and not stands(t, "gate", code)
    fault(t, "gate", code, words, active=active and not held)
    if begins:
        interlock.withdraw(t, f"the gate: {words}")
