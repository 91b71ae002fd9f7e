"""From contacts to loops, gate and button, and what the modules say of themselves.

Green and red are never both commanded (`lane.interlock` has no way to ask for it); here the outputs that a module
reads back are held against what was commanded. A contact that has not been read, or is stale, counts as its unsafe
value. Called by `lane.step` for what I/O modules and the supervisor report.
"""

from __future__ import annotations

from lanecontrol.announcements import CommandCompleted, DeviceFaultChanged, DeviceStateChanged, GateMoved, GateState
from lanecontrol.commands import ClearWatchdog, Outcome, Result, TakePicture
from lanecontrol.events import (
    CommandEnded,
    DeviceChanged,
    DeviceFault,
    DeviceState,
    Identity,
    InputChanged,
    InputsFresh,
    InputsStale,
    ModuleWatchdogTripped,
    OutputsRead,
)
from lanecontrol.lane import interlock, loops, orders, patience
from lanecontrol.lane.record import replace
from lanecontrol.lane.setup import Gate, Loop, Signal
from lanecontrol.lane.state import MAX_DEVICES, Contact, DeviceNote, Equipment
from lanecontrol.lane.turn import Turn

CHATTER_EDGES = 38
CHATTER_WINDOW_S = 30.0
"""A loop with so many changes in so long is chattering (IRIS, vehicle detection)."""
_TEXT = 200


def initial(points: int) -> Equipment:
    return Equipment(contacts=(Contact(),) * points)


# --- contacts --------------------------------------------------------------------------------------------------------


def input_changed(t: Turn, event: InputChanged) -> None:
    """A contact changed or was read for the first time in this session."""
    wanted = (t.given.source, event.point)
    if wanted not in t.plan.points:
        return
    index = t.plan.points.index(wanted)
    old = t.contact(index)
    if old.on is event.on:
        return
    if index < len(t.plan.loop_station):
        _loop_changed(t, index, old, event.on)
    else:
        _put(t, index, Contact(event.on, t.now_s, old.since_s))
        if index == t.plan.button:
            if event.on and old.on is False:
                orders.button_pressed(t)
        else:
            gate_moved(t)


def _put(t: Turn, index: int, contact: Contact) -> None:
    contacts = t.equipment.contacts
    t.equipment = replace(t.equipment, contacts=(*contacts[:index], contact, *contacts[index + 1 :]))


def _loop_changed(t: Turn, index: int, old: Contact, on: bool) -> None:
    window_s, edges = (old.window_s, old.edges + 1)
    if t.now_s - old.window_s > CHATTER_WINDOW_S:
        window_s, edges = t.now_s, 1
        _chattering(t, index, active=old.edges >= CHATTER_EDGES)
    elif edges == CHATTER_EDGES:
        _chattering(t, index, active=True)
    _put(t, index, replace(old, on=on, since_s=t.now_s, before_s=old.since_s, window_s=window_s, edges=edges))
    if on:
        _take_pictures(t, t.setup.loops[index])
    loops.told(t, index, old)


def _take_pictures(t: Turn, loop: Loop) -> None:
    """A loop went on: the cameras that look at its zone and read nothing by themselves take pictures now."""
    for camera in t.setup.cameras:
        if camera.trigger and camera.zone == loop.zone and t.usable(camera.device):
            t.ask(camera.device, TakePicture(f"{loop.name} is on"))


def _chattering(t: Turn, index: int, *, active: bool) -> None:
    loop = t.setup.loops[index]
    interlock.fault(t, loop.name, "chatter", f"{CHATTER_EDGES} changes in {CHATTER_WINDOW_S:g} s", active=active)
    code = f"chatter:{loop.name}"
    if active:
        t.doubt(code, for_s=4 * CHATTER_WINDOW_S)
    else:
        t.trust(code)


# --- gate ------------------------------------------------------------------------------------------------------------


def gate_moved(t: Turn) -> None:
    """Work out the gate's state from its limit switches and what it was told; announce a change."""
    gate = t.setup.gate
    if gate is None:
        return
    state, why = _gate_state(t, gate)
    arrived = state is (GateState.OPEN if t.equipment.gate_open else GateState.CLOSED)
    if arrived:
        if t.equipment.gate_watch_s is not None:
            t.equipment = replace(t.equipment, gate_watch_s=None)
        interlock.fault(t, "gate", "travel", "reached its end", active=False)
    if state is not t.equipment.gate:
        t.equipment = replace(t.equipment, gate=state)
        t.tell(GateMoved(state, why, t.utc_s))
        interlock.fault(t, "gate", "switches", "both limit switches are on", active=state is GateState.FAULT)


def _gate_state(t: Turn, gate: Gate) -> tuple[GateState, str]:
    opened, closed = t.contact(t.plan.opened).on, t.contact(t.plan.closed).on
    if opened is None or closed is None or not t.usable(gate.device):
        return GateState.UNKNOWN, "its limit switches cannot be read"
    if opened and closed:
        return GateState.FAULT, "both limit switches are on"
    if opened:
        return GateState.OPEN, "limit switch"
    if closed:
        return GateState.CLOSED, "limit switch"
    if t.equipment.gate_open:
        return GateState.OPENING, "on its way"
    return GateState.CLOSING, "on its way"


def gate_late(t: Turn) -> None:
    """The gate has not reached its end in time."""
    gate = t.setup.gate
    if gate is None or not t.due(t.equipment.gate_watch_s):
        return
    t.equipment = replace(t.equipment, gate_watch_s=None)
    gate_moved(t)
    state, _ = _gate_state(t, gate)
    if state is not (GateState.OPEN if t.equipment.gate_open else GateState.CLOSED):
        wanted = "open" if t.equipment.gate_open else "closed"
        interlock.fault(t, "gate", "travel", f"not {wanted} within {gate.travel_limit_s:g} s", active=True)
        interlock.withdraw(t, "the gate did not reach its end")


# --- what modules say ------------------------------------------------------------------------------------------------


def stale(t: Turn, event: InputsStale) -> None:
    _mark_stale(t, stale=True)
    if t.given.source in t.plan.trusted:
        interlock.withdraw(t, f"the inputs of {t.given.source} are stale")


def fresh(t: Turn, event: InputsFresh) -> None:
    _mark_stale(t, stale=False)


def _mark_stale(t: Turn, *, stale: bool) -> None:
    note = t.device(t.given.source)
    if note is None:
        if not stale:
            return
        note = DeviceNote(t.given.source, DeviceState.ONLINE, "", t.utc_s, Identity())
    if note.stale is not stale or t.device(t.given.source) is None:
        _note(t, replace(note, stale=stale))
        gate_moved(t)


def outputs_read(t: Turn, event: OutputsRead) -> None:
    """What the module says its outputs are, held against what was commanded."""
    source = t.given.source
    if any(pending.device == source for pending in t.equipment.pending):
        return
    points = dict(event.points)
    wrong = [why for why in (_signal_wrong(t, points), _gate_wrong(t, points)) if why]
    if wrong:
        interlock.withdraw(t, wrong[0])
        interlock.reassert(t, wrong[0])


def _signal_wrong(t: Turn, points: dict[str, bool]) -> str:
    signal = t.setup.signal
    if signal is None or signal.device != t.given.source or not {signal.green, signal.red} & points.keys():
        return ""
    green, red = points.get(signal.green), points.get(signal.red)
    interlock.fault(t, "signal", "conflict", "green and red are both on", active=bool(green and red))
    why = _signal_mismatch(t, signal, points)
    interlock.fault(t, "signal", "readback", why or "as commanded", active=bool(why))
    return why


def _signal_mismatch(t: Turn, signal: Signal, points: dict[str, bool]) -> str:
    green_wanted = t.desk.permission is not None
    if points.get(signal.green, green_wanted) is not green_wanted:
        return "green is off though commanded" if green_wanted else "green is on without a permission"
    if points.get(signal.red, not green_wanted) is green_wanted:
        return "red is on though green is commanded" if green_wanted else "red is off without a permission"
    return ""


def _gate_wrong(t: Turn, points: dict[str, bool]) -> str:
    gate = t.setup.gate
    if gate is None or gate.device != t.given.source or gate.open_output not in points:
        return ""
    on = points[gate.open_output]
    if t.desk.permission is not None and not on:
        return "the gate's output has dropped"
    if not t.equipment.gate_open and on:
        return "the gate's output is on without a permission"
    return ""


def watchdog_tripped(t: Turn, event: ModuleWatchdogTripped) -> None:
    """The module had dropped its outputs by itself: nothing stands any more, and it has to be told to go on."""
    source = t.given.source
    interlock.withdraw(t, f"the watchdog of {source} had tripped")
    interlock.fault(t, source, "watchdog_tripped", "the module's own watchdog had dropped its outputs", active=True)
    if source in t.plan.trusted:
        t.drive(source, ClearWatchdog(), grants=False)
        t.equipment = replace(t.equipment, reasserted_s=None)
        interlock.reassert(t, "after the module's watchdog")


# --- devices ---------------------------------------------------------------------------------------------------------


def device_changed(t: Turn, event: DeviceChanged) -> None:
    """The supervisor says that a device came, went or failed."""
    source = t.given.source
    old = t.device(source)
    reason = event.reason[:_TEXT]
    since_utc_s = old.since_utc_s if old is not None and old.state is event.state else t.utc_s
    kind = dict(t.setup.device_kinds).get(source, "")
    t.tell(DeviceStateChanged(source, kind, event.state, reason, since_utc_s, event.identity))
    _note(t, DeviceNote(source, event.state, reason, since_utc_s, event.identity))
    if source not in t.plan.trusted:
        return
    if event.state is DeviceState.ONLINE:
        t.equipment = replace(t.equipment, reasserted_s=None)
        interlock.reassert(t, f"{source} is online again")
        interlock.fault(t, source, "watchdog_tripped", "online", active=False)
    elif old is None or old.state is DeviceState.ONLINE:
        _lost(t, source)


def _lost(t: Turn, source: str) -> None:
    interlock.withdraw(t, f"{source} is not online")
    blank = tuple(
        Contact(None, t.now_s, contact.since_s, contact.window_s, contact.edges) if point[0] == source else contact
        for contact, point in zip(t.equipment.contacts, t.plan.points, strict=False)
    )
    t.equipment = replace(t.equipment, contacts=blank)
    if any(loop.device == source for loop in t.setup.loops):
        patience.lose_sight(t, patience.AWAY_S)
    gate_moved(t)


def watch_booth_loop(t: Turn) -> None:
    """Without the booth loop nobody but the officer knows which vehicle is there."""
    booth = t.plan.booth
    blind = any(
        loop.zone == t.setup.booth_zone and not t.usable(loop.device) for loop in t.setup.loops
    ) and booth < len(t.plan.stations)
    known = any(doubt.code == "booth_loop_lost" for doubt in t.desk.doubts)
    if blind and not known:
        t.doubt("booth_loop_lost")
    elif known and not blind:
        t.trust("booth_loop_lost")


def _note(t: Turn, note: DeviceNote) -> None:
    others = tuple(other for other in t.equipment.devices if other.device != note.device)
    t.equipment = replace(t.equipment, devices=(*others, note)[-MAX_DEVICES:])


def device_fault(t: Turn, event: DeviceFault) -> None:
    """A device complains of itself, or stops complaining."""
    row = (f"device:{t.given.source}"[:_TEXT], event.code[:_TEXT])
    if event.active == (row in t.equipment.faults):
        return
    faults = tuple(f for f in t.equipment.faults if f != row)
    t.equipment = replace(t.equipment, faults=(*faults, row)[-64:] if event.active else faults)
    t.tell(DeviceFaultChanged(t.given.source, event.code, event.detail[:_TEXT], event.active, t.utc_s))


def command_ended(t: Turn, event: CommandEnded) -> None:
    """A command came back. What was to grant and did not is withdrawn; what was to withdraw is said again."""
    pending = next((p for p in t.equipment.pending if p.command == event.command), None)
    if pending is None:
        return
    left = tuple(p for p in t.equipment.pending if p is not pending)
    t.equipment = replace(t.equipment, pending=left)
    if event.outcome.result is Result.DONE:
        return
    _tell_ended(t, pending.device, pending.command, event.outcome)
    permission = t.desk.permission
    if pending.grants and permission is not None and pending.command in permission.commands:
        interlock.withdraw(t, f"{pending.device} did not carry out the release")
    elif not pending.grants and t.usable(pending.device) and permission is None:
        t.equipment = replace(t.equipment, reassert_s=t.now_s + interlock.REASSERT_EVERY_S)


def forget_pending(t: Turn) -> None:
    """After a restart nobody knows what became of commands that were under way."""
    for pending in t.equipment.pending:
        _tell_ended(t, pending.device, pending.command, Outcome(Result.UNKNOWN, "the software was restarted"))
    t.equipment = replace(t.equipment, pending=())


def _tell_ended(t: Turn, device: str, command: str, outcome: Outcome) -> None:
    t.tell(CommandCompleted(device, command, outcome.result, outcome.reason[:_TEXT], t.utc_s))
