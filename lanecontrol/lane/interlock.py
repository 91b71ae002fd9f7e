"""What gives permission and what takes it away: the only module that says yes for the booth's signal and the gate.

Permission is one object: it belongs to one passage, runs out, and names the commands that carry it. `refusal` says why
it may not be given now; any doubt withdraws it, in the same step, by commands that wait for nothing. How signals are
lit is in `lane.signals`, when the arm may come down in `lane.gate`, what the overhead signal shows in `lane.overhead`.
"""

from __future__ import annotations

from lanecontrol.announcements import LaneAspect, LaneLife, SignalAspect
from lanecontrol.commands import WriteOutputs
from lanecontrol.lane import gate as arm
from lanecontrol.lane import set_aside, signals
from lanecontrol.lane.effects import Drive
from lanecontrol.lane.faults import fault as fault
from lanecontrol.lane.faults import stands
from lanecontrol.lane.plan import NOWHERE
from lanecontrol.lane.record import replace
from lanecontrol.lane.state import Desk, Equipment, Passage, Permission
from lanecontrol.lane.turn import Turn

REASSERT_EVERY_S = 1.0
"""Red is commanded again at most this often while a module does not show it."""
PAUSE_S = 3.0
"""After a doubt the overhead signal shows its red X for at least so long: an arrow that blinks misleads."""

_OPEN_LIFE = frozenset({LaneLife.OPEN, LaneLife.CLOSING, LaneLife.SUSPENDED})


# --- may it be granted? ----------------------------------------------------------------------------------------------


def refusal(t: Turn) -> str:
    """Why nothing can be granted now, in plain words; empty when it can."""
    return lets_nobody_go(t, t.at_booth()) or unsound(t)


def lets_nobody_go(t: Turn, passage: Passage | None) -> str:
    """Why this vehicle is not let go, as a matter of the lane's life and of no doubt; empty when it may be."""
    if t.desk.stopping:
        return ""
    if t.desk.life not in _OPEN_LIFE:
        return f"the lane is {t.desk.life.value}"
    return _came_too_late(t, passage)


def shut_since(t: Turn) -> tuple[float | None, str]:
    """Since when the lane admits nobody new though whoever is inside is finished, and why. None while it does."""
    divert = t.regime.divert
    if t.desk.life is LaneLife.SUSPENDED:
        since_s = t.desk.life_s if divert is None else min(t.desk.life_s, divert.since_s)
        return since_s, "the lane is suspended"
    return (None, "") if divert is None else (divert.since_s, "the port diverts traffic")


def _came_too_late(t: Turn, passage: Passage | None) -> str:
    since_s, why = shut_since(t)
    if since_s is None or passage is None or passage.opened_s <= since_s:
        return ""
    return f"{why}, and this vehicle came after that: it waits until that has ended, or backs out"


def unsound(t: Turn) -> str:
    """Why nothing could be granted in an open lane; empty when it could."""
    if t.desk.stopping:
        return "the lane controller is stopping"
    if not t.desk.writable:
        return "the event store cannot be written to"
    by_hand = set_aside.gate_refusal(t) if t.equipment.overrides else ""
    if by_hand:
        return by_hand
    if t.equipment.faults and (code := stands(t, "signal", "dark", "lamp_on", "lamps_conflict", "lamp_unread")):
        return f"the booth signal has a fault: {code}"
    if t.setup.gate is not None and (why := equipment_enabled(t)):
        return why
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
    if t.plan.emergency != NOWHERE and t.contact(t.plan.emergency).on is not False:
        return "the emergency button is not known to be released"
    return ""


def equipment_enabled(t: Turn) -> str:
    """Why gate and scanner may not be commanded to anything that grants; empty when they may.

    The configuration of the equipment is not the one that a supervisor accepted. Whatever withdraws goes on.
    """
    if not t.setup.equipment_hash or t.desk.accepted == t.setup.equipment_hash:
        return ""
    return "the equipment's configuration is new or was changed: a supervisor has to enable it"


# --- granting --------------------------------------------------------------------------------------------------------


def standing(desk: Desk, equipment: Equipment, command_id: str) -> bool:
    """Whether the permission that this command carries still stands."""
    permission = desk.permission
    if permission is not None and command_id in permission.commands:
        return True
    if command_id == equipment.lane_command:
        return bool(command_id)
    return any(row.command == command_id and row.ended_s is None for row in equipment.overrides)


def grant(t: Turn, passage: Passage, why: str) -> None:
    """Let the vehicle of `passage` go: gate open, signal to proceed. The caller has asked `refusal`."""
    devices = dict.fromkeys(part.device for part in (t.setup.gate, t.setup.signal) if part is not None)
    commands = [t.drive(device, WriteOutputs(_granting(t, device)), grants=True) for device in devices]
    expires_s = t.now_s + t.setup.limits.release_limit_s
    name = commands[0] if commands else f"{t.setup.lane}-c{t.counters.commands:06d}"
    t.desk = replace(t.desk, permission=Permission(name, passage.id, expires_s, tuple(commands)))
    arm.raise_arm(t)
    if t.setup.signal is not None:
        signals.shown(t, SignalAspect.PROCEED, why)


def _granting(t: Turn, device: str) -> tuple[tuple[str, bool], ...]:
    """Gate and signal in one deed where they are on one module; what goes off first."""
    points: tuple[tuple[str, bool], ...] = ()
    if t.setup.signal is not None and t.setup.signal.device == device:
        points += signals.booth_lamps(t.setup.signal, SignalAspect.PROCEED)
    if t.setup.gate is not None and t.setup.gate.device == device:
        points += ((t.setup.gate.open_output, True),)
    return points


# --- withdrawing -----------------------------------------------------------------------------------------------------


def withdraw(t: Turn, why: str) -> None:
    """Take permission back, if there is any: red at once; the gate when the step ends, if it may."""
    if t.desk.permission is None:
        return
    drop_grants(t)
    t.desk = replace(t.desk, permission=None)
    signals.stop(t, why)


def stop_everything(t: Turn, why: str) -> None:
    """Withdraw, and command red also where nothing was granted: whatever the outputs show now, nobody is to go."""
    if t.desk.permission is not None:
        withdraw(t, why)
    else:
        signals.stop(t, why)
    close_overhead(t, why)


def close_overhead(t: Turn, why: str) -> None:
    """The overhead red X, at once and for a while: in an emergency, at a start, on the way out, in any doubt."""
    if t.setup.lane_signal is not None:
        signals.show_lane(t, LaneAspect.CLOSED, why)
        t.equipment = replace(t.equipment, lane_hold_s=t.now_s + PAUSE_S)


def drop_grants(t: Turn) -> None:
    """Take out grants of this very step: nothing that was withdrawn leaves the core."""
    permission = t.desk.permission
    names = permission.commands if permission is not None else ()
    t.effects[:] = [e for e in t.effects if not (isinstance(e, Drive) and e.grants and e.command_id in names)]


# --- keeping the outputs as they should be ---------------------------------------------------------------------------


def reassert(t: Turn, why: str) -> None:
    """Command what withdraws once more: after a start, a reconnect, or where a module shows something else.

    Not more often than `REASSERT_EVERY_S`; a moment is noted for the next time.
    """
    last_s = t.equipment.reasserted_s
    if last_s is not None and not t.due(last_s + REASSERT_EVERY_S):
        t.equipment = replace(t.equipment, reassert_s=last_s + REASSERT_EVERY_S)
        return
    t.equipment = replace(t.equipment, reassert_s=None, reasserted_s=t.now_s)
    if t.desk.permission is None:
        signals.stop(t, why)
        _reassert_gate(t)
    if t.equipment.lane_aspect not in (LaneAspect.OPEN, LaneAspect.DARK):
        signals.show_lane(t, t.equipment.lane_aspect, why)
    if t.equipment.beacon is not None:
        signals.light_beacon(t, on=t.equipment.beacon)


def _reassert_gate(t: Turn) -> None:
    """Whatever its output is now: it is told once more to close, with the same care as ever (`gate.lower`)."""
    if t.setup.gate is not None and not t.equipment.gate_open:
        t.equipment = replace(t.equipment, gate_again=True)


# --- acceptance of the configuration ---------------------------------------------------------------------------------


def look_at_configuration(t: Turn) -> None:
    """At a start: a changed configuration waits for a supervisor. A simulated lane's first one is taken as accepted.

    The first start of a real lane is its commissioning, and asks for a supervisor too.
    """
    if t.setup.simulated and t.desk.accepted is None:
        accept_configuration(t)
    why = equipment_enabled(t)
    fault(t, "equipment", "not_accepted", why or "accepted", active=bool(why))


def accept_configuration(t: Turn) -> None:
    t.desk = replace(t.desk, accepted=t.setup.equipment_hash)
    fault(t, "equipment", "not_accepted", "accepted by a supervisor", active=False)
