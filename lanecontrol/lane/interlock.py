"""What gives permission and what takes it away: the only module that commands the signal and the gate.

Permission is one object: it belongs to one passage, runs out, and names the commands that carry it. `allowed` says why
it may not be given now; any doubt withdraws it, in the same step, by commands that wait for nothing. Green and red are
never commanded together: there is no way to ask for it. The gate's command is taken back only while nothing can be
under the arm: the loop behind it is known to be clear, freshly read, and no passage is between the loops.
"""

from __future__ import annotations

from lanecontrol.announcements import EquipmentFault, LaneLife, SignalAspect, SignalShown
from lanecontrol.commands import WriteOutputs
from lanecontrol.lane.effects import Drive
from lanecontrol.lane.record import replace
from lanecontrol.lane.setup import Signal
from lanecontrol.lane.state import MAX_FAULTS, Passage, Permission
from lanecontrol.lane.turn import Turn

GATE_CLEAR_S = 1.0
"""The loop behind the gate has been clear for this long before the gate may come down (UFGS 02840)."""
ROLL_S = 4.0
"""A vehicle that came onto the booth loop so recently may not have stopped: one that follows too closely is under the
arm by then (6 m, faster than walking pace)."""
REASSERT_EVERY_S = 1.0
"""Red is commanded again at most this often while a module does not show it."""

_OPEN_LIFE = frozenset({LaneLife.OPEN, LaneLife.CLOSING})


# --- may it be granted? ----------------------------------------------------------------------------------------------


def refusal(t: Turn) -> str:
    """Why nothing can be granted now, in plain words; empty when it can."""
    if t.desk.stopping:
        return "the lane controller is stopping"
    if t.desk.life not in _OPEN_LIFE:
        return f"the lane is {t.desk.life.value}"
    if not t.desk.writable:
        return "the event store cannot be written to"
    return doubt_of_inputs(t)


def doubt_of_inputs(t: Turn) -> str:
    """Why the lane's inputs and outputs cannot be relied on; empty when they can."""
    for device in t.plan.trusted:
        note = t.device(device)
        if note is not None and note.stale:
            return f"the inputs of {device} are stale"
        if not t.usable(device):
            return f"{device} is not online"
    if t.level(t.plan.booth) is None and t.plan.booth < len(t.plan.stations):
        return "the booth loop has not been read"
    return ""


# --- granting --------------------------------------------------------------------------------------------------------


def grant(t: Turn, passage: Passage, why: str) -> None:
    """Let the vehicle of `passage` go: gate open, signal to proceed. The caller has asked `refusal`."""
    devices = dict.fromkeys(part.device for part in (t.setup.gate, t.setup.signal) if part is not None)
    commands = [t.drive(device, WriteOutputs(_granting(t, device)), grants=True) for device in devices]
    expires_s = t.now_s + t.setup.limits.release_limit_s
    name = commands[0] if commands else f"{t.setup.lane}-c{t.counters.commands:06d}"
    t.desk = replace(t.desk, permission=Permission(name, passage.id, expires_s, tuple(commands)))
    if t.setup.gate is not None:
        watch_s = t.now_s + t.setup.gate.travel_limit_s
        t.equipment = replace(t.equipment, gate_open=True, gate_close_s=None, gate_watch_s=watch_s)
    if t.setup.signal is not None:
        _show(t, SignalAspect.PROCEED, why)


def _granting(t: Turn, device: str) -> tuple[tuple[str, bool], ...]:
    points: tuple[tuple[str, bool], ...] = ()
    if t.setup.gate is not None and t.setup.gate.device == device:
        points += ((t.setup.gate.open_output, True),)
    if t.setup.signal is not None and t.setup.signal.device == device:
        points += _lamps(t.setup.signal, SignalAspect.PROCEED)
    return points


def _lamps(signal: Signal, aspect: SignalAspect) -> tuple[tuple[str, bool], ...]:
    """The conflict monitor: the two lamps are always commanded together, and never both on."""
    green = aspect is SignalAspect.PROCEED
    return ((signal.red, not green), (signal.green, green))


def _show(t: Turn, aspect: SignalAspect, why: str) -> None:
    if t.equipment.aspect is not aspect:
        t.equipment = replace(t.equipment, aspect=aspect)
        t.tell(SignalShown(aspect, why, t.utc_s))


# --- withdrawing -----------------------------------------------------------------------------------------------------


def withdraw(t: Turn, why: str) -> None:
    """Take permission back, if there is any: red at once; the gate when the step ends, if it may."""
    if t.desk.permission is None:
        return
    drop_grants(t)
    t.desk = replace(t.desk, permission=None)
    stop(t, why)


def stop_everything(t: Turn, why: str) -> None:
    """Withdraw, and command red also where nothing was granted: whatever the outputs show now, nobody is to go."""
    if t.desk.permission is not None:
        withdraw(t, why)
    else:
        stop(t, why)


def drop_grants(t: Turn) -> None:
    """Take out grants of this very step: nothing that was withdrawn leaves the core."""
    permission = t.desk.permission
    names = permission.commands if permission is not None else ()
    t.effects[:] = [e for e in t.effects if not (isinstance(e, Drive) and e.grants and e.command_id in names)]


def stop(t: Turn, why: str) -> None:
    """Command red, whatever is shown now."""
    signal = t.setup.signal
    if signal is None:
        return
    t.drive(signal.device, WriteOutputs(_lamps(signal, SignalAspect.STOP)), grants=False)
    t.equipment = replace(t.equipment, reassert_s=None, reasserted_s=t.now_s)
    _show(t, SignalAspect.STOP, why)


def lower_gate(t: Turn) -> None:
    """Take back the gate's open command once that cannot hurt anybody; else note when to look again."""
    gate = t.setup.gate
    if gate is None or not t.equipment.gate_open or t.desk.permission is not None:
        if t.equipment.gate_close_s is not None:
            t.equipment = replace(t.equipment, gate_close_s=None)
        return
    safe_s = _clear_under_arm_since(t)
    if safe_s is None:
        if t.equipment.gate_close_s is not None:
            t.equipment = replace(t.equipment, gate_close_s=None)
    elif t.due(safe_s + GATE_CLEAR_S):
        t.drive(gate.device, WriteOutputs(((gate.open_output, False),)), grants=False)
        watch_s = t.now_s + gate.travel_limit_s
        t.equipment = replace(t.equipment, gate_open=False, gate_close_s=None, gate_watch_s=watch_s)
    elif t.equipment.gate_close_s != safe_s + GATE_CLEAR_S:
        t.equipment = replace(t.equipment, gate_close_s=safe_s + GATE_CLEAR_S)


def _clear_under_arm_since(t: Turn) -> float | None:
    """Since when nothing can be under the arm; None while something may be, or nobody knows."""
    if any(not t.usable(device) for device in t.plan.trusted):
        return None
    if any(_may_be_under_arm(t, passage) for passage in t.live()):
        return None
    beyond = range(t.plan.booth + 1, len(t.plan.stations))
    if any(t.level(station) is not False for station in beyond):
        return None
    booth = t.plan.booth
    arrived_s = [p.booth_s for p in t.live() if p.head == booth and p.booth_s is not None]
    # It seems to have gone back from the booth; if that was an error, it is under the arm for a moment.
    back_s = [t.changed_s(booth) for p in t.live() if p.head < booth and p.booth_s is not None]
    stopped_s = [moment_s + ROLL_S - GATE_CLEAR_S for moment_s in arrived_s + back_s]
    return max([t.changed_s(station) for station in beyond] + stopped_s, default=t.now_s - GATE_CLEAR_S)


def _may_be_under_arm(t: Turn, passage: Passage) -> bool:
    return passage.head > t.plan.booth or (passage.head == t.plan.booth and passage.adrift_s is not None)


# --- keeping the outputs as they should be ---------------------------------------------------------------------------


def reassert(t: Turn, why: str) -> None:
    """Command what withdraws once more: after a start, a reconnect, or where a module shows something else.

    Not more often than `REASSERT_EVERY_S`; a moment is noted for the next time.
    """
    if t.desk.permission is not None:
        return
    last_s = t.equipment.reasserted_s
    if last_s is not None and not t.due(last_s + REASSERT_EVERY_S):
        t.equipment = replace(t.equipment, reassert_s=last_s + REASSERT_EVERY_S)
        return
    t.equipment = replace(t.equipment, reassert_s=None, reasserted_s=t.now_s)
    stop(t, why)
    gate = t.setup.gate
    if gate is not None and not t.equipment.gate_open and _clear_under_arm_since(t) is not None:
        t.drive(gate.device, WriteOutputs(((gate.open_output, False),)), grants=False)


def fault(t: Turn, equipment: str, code: str, detail: str, *, active: bool) -> None:
    """A fault of signal, gate, loop or module began or ended; told once."""
    row = (equipment, code)
    if active == (row in t.equipment.faults):
        return
    others = tuple(f for f in t.equipment.faults if f != row)
    faults = (*others, row)[-MAX_FAULTS:] if active else others
    t.equipment = replace(t.equipment, faults=faults)
    t.tell(EquipmentFault(equipment, code, detail, active, t.utc_s))
