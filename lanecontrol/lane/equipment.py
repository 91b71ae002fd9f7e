"""From contacts to loops, gate and buttons, and what the modules say of themselves.

Here the outputs that a module reads back are held against what was commanded; what the lamps really show is held
against it in `lane.readback`. A contact that has not been read, or is stale, counts as its unsafe value. Called by
`lane.step` for what I/O modules and the supervisor report.
"""

from __future__ import annotations

from lanecontrol.announcements import CommandCompleted, DeviceFaultChanged, DeviceStateChanged, LaneAspect
from lanecontrol.commands import ClearWatchdog, Outcome, OverridePart, Result, TakePicture
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
from lanecontrol.lane import (
    gate,
    gate_watch,
    interlock,
    life,
    loop_health,
    loops,
    orders,
    overhead,
    overrides,
    patience,
    readback,
    set_aside,
    signals,
)
from lanecontrol.lane.faults import fault
from lanecontrol.lane.record import replace
from lanecontrol.lane.setup import Loop, Signal
from lanecontrol.lane.state import MAX_DEVICES, Contact, DeviceNote, Equipment, Pending
from lanecontrol.lane.texts import MAX_NOTE
from lanecontrol.lane.turn import Turn

ARROW_AGAIN_S = 10.0
"""The green arrow follows from the state: where it could not be shown, the state is looked at again after this."""


def initial(points: int) -> Equipment:
    return Equipment(contacts=(Contact(),) * points)


def due_s(t: Turn) -> float | None:
    """The next moment at which anything about the equipment is due."""
    e = t.equipment
    first: float | None = None
    for moment_s in (
        e.gate_watch_s,
        e.gate_close_s,
        e.gate_odd_s,
        e.loops_s,
        e.reassert_s,
        e.lane_hold_s,
        e.health_s,
        *e.lamps_s,
        overrides.due_s(t) if e.overrides else None,
    ):
        if moment_s is not None and (first is None or moment_s < first):
            first = moment_s
    return first


def on_time(t: Turn) -> None:
    """What is due by the clock about gate, signals, loops and overrides."""
    overrides.on_time(t)
    gate_watch.late(t)
    if t.due(t.equipment.gate_odd_s):
        gate_watch.watch(t)
    if t.due(t.equipment.gate_close_s):
        gate.lower(t)
    if t.due(t.equipment.reassert_s):
        t.equipment = replace(t.equipment, reassert_s=None)
        interlock.reassert(t, "the outputs are not as commanded")
    if t.due(t.equipment.lamps_s[0]) or t.due(t.equipment.lamps_s[1]):
        readback.watch(t)
    loop_health.look(t)
    if t.due(t.equipment.lane_hold_s):
        overhead.settle(t)


def settle(t: Turn) -> None:
    """What follows for the equipment from whatever the step has changed. The order matters: doubts before displays."""
    watch_booth_loop(t)
    gate_watch.watch(t)
    gate.lower(t)
    readback.watch(t)


def show(t: Turn) -> None:
    """The last thing of a step: what overhead signal and beacon show now."""
    overhead.settle(t)


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
        t.put_contact(index, Contact(event.on, t.now_s, old.since_s))
        _contact_changed(t, index, old, event.on)


def _contact_changed(t: Turn, index: int, old: Contact, on: bool) -> None:
    """A contact that is no loop. What read-back contacts say is looked at when the step ends."""
    plan = t.plan
    if index == plan.button:
        if on and old.on is False:
            orders.button_pressed(t)
    elif index == plan.emergency:
        if on:
            life.emergency(t, "the emergency button is pressed")
    elif index in (plan.opened, plan.closed, plan.gate_fault) or index in plan.beams:
        gate_watch.moved(t)


def _loop_changed(t: Turn, index: int, old: Contact, on: bool) -> None:
    window_s, edges = loop_health.counted(t, index, old, on=on)
    contact = replace(old, on=on, since_s=t.now_s, before_s=old.since_s, window_s=window_s, edges=edges)
    if on:
        _take_pictures(t, t.setup.loops[index])
    loops.told(t, index, old, contact)


def _take_pictures(t: Turn, loop: Loop) -> None:
    """A loop went on: the cameras that look at its zone and read nothing by themselves take pictures now."""
    for camera in t.setup.cameras:
        if camera.trigger and camera.zone == loop.zone and t.usable(camera.device):
            t.ask(camera.device, TakePicture(f"{loop.name} is on"))


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
        gate_watch.moved(t)


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
    why = _overhead_wrong(t, points) or _beacon_wrong(t, points)
    if why:
        interlock.reassert(t, why)


def _overhead_wrong(t: Turn, points: dict[str, bool]) -> str:
    """The overhead head's outputs are not as commanded: the red X, which is commanded then in any case."""
    head, aspect = t.setup.lane_signal, t.equipment.lane_aspect
    if head is None or head.device != t.given.source or aspect is LaneAspect.DARK:
        return ""
    wanted = dict(signals.lane_lamps(head, aspect))
    if all(points.get(lamp, on) is on for lamp, on in wanted.items()):
        return ""
    why = "the overhead signal's outputs are not as commanded"
    if aspect is LaneAspect.OPEN:
        interlock.close_overhead(t, why)
    return why


def _beacon_wrong(t: Turn, points: dict[str, bool]) -> str:
    beacon, on = t.setup.beacon, t.equipment.beacon
    if beacon is None or beacon.device != t.given.source or on is None or points.get(beacon.output, on) is on:
        return ""
    return "the beacon is not as commanded"


def _signal_wrong(t: Turn, points: dict[str, bool]) -> str:
    signal = t.setup.signal
    if signal is None or signal.device != t.given.source or not {signal.green, signal.red} & points.keys():
        return ""
    green, red = points.get(signal.green), points.get(signal.red)
    fault(t, "signal", "conflict", "green and red are both on", active=bool(green and red))
    why = _signal_mismatch(t, signal, points)
    fault(t, "signal", "readback", why or "as commanded", active=bool(why))
    return why


def _signal_mismatch(t: Turn, signal: Signal, points: dict[str, bool]) -> str:
    green_wanted = t.desk.permission is not None
    if points.get(signal.green, green_wanted) is not green_wanted:
        return "green is off though commanded" if green_wanted else "green is on without a permission"
    if points.get(signal.red, not green_wanted) is green_wanted:
        return "red is on though green is commanded" if green_wanted else "red is off without a permission"
    return ""


def _gate_wrong(t: Turn, points: dict[str, bool]) -> str:
    site = t.setup.gate
    if site is None or site.device != t.given.source or site.open_output not in points:
        return ""
    on = points[site.open_output]
    held = bool(t.equipment.overrides) and set_aside.standing(t, OverridePart.GATE_HELD) is not None
    if held:
        return ""
    if t.desk.permission is not None and not on:
        return "the gate's output has dropped"
    if not t.equipment.gate_open and on:
        return "the gate's output is on without a permission"
    return ""


def watchdog_tripped(t: Turn, event: ModuleWatchdogTripped) -> None:
    """The module had dropped its outputs by itself: nothing stands any more, and it has to be told to go on."""
    source = t.given.source
    interlock.withdraw(t, f"the watchdog of {source} had tripped")
    fault(t, source, "watchdog_tripped", "the module's own watchdog had dropped its outputs", active=True)
    if source in t.plan.trusted:
        # What the flag covers may come back when it is cleared: red is commanded before that and once more behind it.
        _outputs_dropped(t, source)
        interlock.reassert(t, "the module's watchdog had tripped")
        t.drive(source, ClearWatchdog(), grants=False)
        _outputs_dropped(t, source)
        interlock.reassert(t, "after the module's watchdog")


def _outputs_dropped(t: Turn, source: str) -> None:
    """The module has, or may have, let go of its outputs: they are commanded anew, and the gate may move by itself."""
    t.equipment = replace(t.equipment, reasserted_s=None)
    if t.setup.gate is not None and t.setup.gate.device == source:
        t.equipment = replace(t.equipment, gate_told=False)
    if t.setup.lane_signal is not None and t.setup.lane_signal.device == source:
        interlock.close_overhead(t, f"the outputs of {source} have dropped")


# --- devices ---------------------------------------------------------------------------------------------------------


def device_changed(t: Turn, event: DeviceChanged) -> None:
    """The supervisor says that a device came, went or failed."""
    source = t.given.source
    old = t.device(source)
    reason = event.reason[:MAX_NOTE]
    since_utc_s = old.since_utc_s if old is not None and old.state is event.state else t.utc_s
    kind = dict(t.setup.device_kinds).get(source, "")
    t.tell(DeviceStateChanged(source, kind, event.state, reason, since_utc_s, event.identity))
    _note(t, DeviceNote(source, event.state, reason, since_utc_s, event.identity))
    if source not in t.plan.trusted:
        return
    if event.state is DeviceState.ONLINE:
        t.equipment = replace(t.equipment, reasserted_s=None)
        interlock.reassert(t, f"{source} is online again")
        fault(t, source, "watchdog_tripped", "online", active=False)
    elif old is None or old.state is DeviceState.ONLINE:
        _lost(t, source)


def _lost(t: Turn, source: str) -> None:
    interlock.withdraw(t, f"{source} is not online")
    _outputs_dropped(t, source)
    blank = tuple(
        Contact(None, t.now_s, contact.since_s, contact.window_s, contact.edges) if point[0] == source else contact
        for contact, point in zip(t.equipment.contacts, t.plan.points, strict=False)
    )
    t.equipment = replace(t.equipment, contacts=blank)
    if any(loop.device == source for loop in t.setup.loops):
        patience.lose_sight(t, patience.AWAY_S)
    gate_watch.moved(t)


def watch_booth_loop(t: Turn) -> None:
    """Without the booth loop nobody but the officer knows which vehicle is there."""
    booth = t.plan.booth
    blind = booth < len(t.plan.stations) and (
        _any_blind(t) or (bool(t.equipment.overrides) and booth not in t.plan.loop_station)
    )
    known = bool(t.desk.doubts) and any(doubt.code == "booth_loop_lost" for doubt in t.desk.doubts)
    if blind and not known:
        t.doubt("booth_loop_lost")
    elif known and not blind:
        t.trust("booth_loop_lost")


def _any_blind(t: Turn) -> bool:
    """A loop of the booth that cannot be read."""
    zone = t.setup.booth_zone
    return bool([loop for loop in t.setup.loops if loop.zone == zone and not t.usable(loop.device)])


def _note(t: Turn, note: DeviceNote) -> None:
    others = tuple(other for other in t.equipment.devices if other.device != note.device)
    t.equipment = replace(t.equipment, devices=(*others, note)[-MAX_DEVICES:])


def device_fault(t: Turn, event: DeviceFault) -> None:
    """A device complains of itself, or stops complaining."""
    row = (f"device:{t.given.source}"[:MAX_NOTE], event.code[:MAX_NOTE])
    if event.active == (row in t.equipment.faults):
        return
    faults = tuple(f for f in t.equipment.faults if f != row)
    t.equipment = replace(t.equipment, faults=(*faults, row)[-64:] if event.active else faults)
    t.tell(DeviceFaultChanged(t.given.source, event.code, event.detail[:MAX_NOTE], event.active, t.utc_s))


def command_ended(t: Turn, event: CommandEnded) -> None:
    """A command came back. What was to grant and did not is withdrawn; what was to withdraw is said again."""
    pending = next((p for p in t.equipment.pending if p.command == event.command), None)
    if pending is None:
        return
    left = tuple(p for p in t.equipment.pending if p is not pending)
    t.equipment = replace(t.equipment, pending=left)
    if event.outcome.result is Result.DONE:
        if pending.clears:
            fault(t, pending.device, "watchdog_tripped", "cleared", active=False)
        return
    _tell_ended(t, pending.device, pending.command, event.outcome)
    permission = t.desk.permission
    if pending.grants and permission is not None and pending.command in permission.commands:
        interlock.withdraw(t, f"{pending.device} did not carry out the release")
    elif pending.grants:
        _grant_failed(t, pending, event.outcome.reason)
    elif _reachable(t, pending.device):
        t.equipment = replace(t.equipment, reassert_s=t.now_s + interlock.REASSERT_EVERY_S)


def _reachable(t: Turn, device: str) -> bool:
    """Commands get through, as far as anybody knows, also while its inputs are stale."""
    note = t.device(device)
    return note is None or note.state is DeviceState.ONLINE


def _grant_failed(t: Turn, pending: Pending, why: str) -> None:
    """The overhead's green arrow, or an override's command, was not carried out."""
    if pending.command == t.equipment.lane_command:
        interlock.close_overhead(t, f"the green arrow was not shown: {why}"[:MAX_NOTE])
        t.equipment = replace(t.equipment, lane_hold_s=t.now_s + ARROW_AGAIN_S)
    overrides.command_failed(t, pending.command, why[:MAX_NOTE])


def forget_pending(t: Turn) -> None:
    """After a restart nobody knows what became of commands that were under way."""
    for pending in t.equipment.pending:
        _tell_ended(t, pending.device, pending.command, Outcome(Result.UNKNOWN, "the software was restarted"))
    t.equipment = replace(t.equipment, pending=())


def _tell_ended(t: Turn, device: str, command: str, outcome: Outcome) -> None:
    t.tell(CommandCompleted(device, command, outcome.result, outcome.reason[:MAX_NOTE], t.utc_s))
