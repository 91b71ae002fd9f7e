"""Manual overrides with a reason and an end, and acceptance of a changed configuration.

An override is loud: told when it is set, again and again while it stands, and when it ends; it shows in every
assessment and record made under it, and lights the beacon. It ends by itself, towards the safe side, and never lasts
longer than it was set for, also over a restart. None of them can show green or have anything scanned. Called by
`lane.orders`, by `lane.restart`, by `lane.equipment` when a command failed, and by `lane.step` when a time is up.
"""

from __future__ import annotations

import dataclasses

from lanecontrol.announcements import LaneLife, OverridePhase, OverrideTold
from lanecontrol.commands import (
    DONE,
    Actor,
    EnableEquipment,
    EndOverride,
    Outcome,
    Override,
    OverridePart,
    Role,
    WriteOutputs,
    refused,
)
from lanecontrol.lane import gate as arm
from lanecontrol.lane import interlock, set_aside, tracking
from lanecontrol.lane.plan import NOWHERE
from lanecontrol.lane.record import replace
from lanecontrol.lane.state import MAX_OVERRIDES, SetAside
from lanecontrol.lane.turn import Turn

LONGEST_S = 28_800.0
"""A shift. Whoever needs it longer has to say so again."""
TELL_EVERY_S = 600.0
_REASON = range(3, 501)


def ordered(t: Turn, actor: Actor, request: Override | EndOverride | EnableEquipment) -> Outcome:
    """Carry out or refuse what somebody asks of the equipment."""
    why = ""
    match request:
        case Override():
            why = _refusal(t, request)
            if not why:
                _set(t, actor, request)
        case EndOverride(part, name):
            row = set_aside.standing(t, part, name)
            if row is None:
                why = "no such override is set"
            else:
                _end(t, row, f"ended by {actor.role.value}")
        case EnableEquipment():
            interlock.accept_configuration(t)
    return refused(why) if why else DONE


# --- setting ---------------------------------------------------------------------------------------------------------


def _refusal(t: Turn, request: Override) -> str:
    part = request.part
    if len(request.reason.strip()) not in _REASON:
        return "an override needs a reason, of 3 to 500 characters"
    if part is OverridePart.YELLOW_X and t.desk.life is not LaneLife.MAINTENANCE:
        return "outputs are tried out in maintenance only"
    if not 0.0 < request.for_s <= LONGEST_S:
        return f"an override lasts at most {LONGEST_S:g} s, and has to end"
    if sum(row.ended_s is None for row in t.equipment.overrides) >= MAX_OVERRIDES // 2:
        return "too many overrides are set"
    return _no_such_part(t, request) or _gate_refusal(t, part)


def _no_such_part(t: Turn, request: Override) -> str:
    match request.part:
        case OverridePart.LOOP_OUT:
            return "" if request.name in {loop.name for loop in t.setup.loops} else "there is no loop of this name"
        case OverridePart.SIGNAL_RED:
            there = t.setup.signal is not None
        case OverridePart.YELLOW_X:
            there = t.setup.lane_signal is not None
        case OverridePart.GATE_OPEN | OverridePart.GATE_HELD:
            there = t.setup.gate is not None
    if request.name:
        return "there is only one of these: it goes without a name"
    return "" if there else "this lane has none"


def _gate_refusal(t: Turn, part: OverridePart) -> str:
    gate = t.setup.gate
    if gate is None or part not in (OverridePart.GATE_OPEN, OverridePart.GATE_HELD):
        return ""
    opens = part is OverridePart.GATE_OPEN
    if set_aside.standing(t, OverridePart.GATE_HELD if opens else OverridePart.GATE_OPEN) is not None:
        return "somebody works on the gate" if opens else "the gate is held open for life safety"
    if not opens:
        return ""
    if t.desk.stopping:
        return "the lane controller is stopping"
    if not t.desk.writable:
        return "the event store cannot be written to"
    return interlock.equipment_enabled(t) or ("" if t.usable(gate.device) else f"{gate.device} is not online")


def _set(t: Turn, actor: Actor, request: Override) -> None:
    old = set_aside.standing(t, request.part, request.name)
    if old is not None:
        _end(t, old, "replaced by another order")
    number = t.counters.overrides + 1
    t.counters = replace(t.counters, overrides=number)
    row = SetAside(
        f"{t.setup.lane}-o{number:06d}",
        request.part,
        request.name,
        request.reason.strip(),
        actor,
        t.now_s,
        t.now_s + request.for_s,
        t.now_s + TELL_EVERY_S,
    )
    _keep(t, (*_worth_keeping(t), row))
    _tell(t, row, OverridePhase.SET, "")
    _take_effect(t, row)


def _take_effect(t: Turn, row: SetAside) -> None:
    gate = t.setup.gate
    why = f"overridden: {set_aside.label(row)}"
    match row.part:
        case OverridePart.LOOP_OUT:
            _leave_out_loops(t)
            t.doubt(_doubt(row))
        case OverridePart.SIGNAL_RED:
            interlock.stop_everything(t, why)
        case OverridePart.GATE_HELD:
            interlock.stop_everything(t, why)
            t.equipment = replace(t.equipment, gate_told=False, gate_watch_s=None, gate_odd_s=None)
        case OverridePart.GATE_OPEN if gate is not None:
            interlock.stop_everything(t, why)
            command = t.drive(gate.device, WriteOutputs(((gate.open_output, True),)), grants=True)
            _put(t, replace(row, command=command))
            arm.raise_arm(t)


def maintenance_over(t: Turn) -> None:
    """Nothing that was tried out goes on; in an emergency the gate is left as it is until its time is over."""
    for row in set_aside.all_standing(t):
        gate = row.part is OverridePart.GATE_OPEN and row.actor.role is Role.TECHNICIAN
        if row.part is OverridePart.YELLOW_X or (gate and t.desk.life is not LaneLife.EMERGENCY):
            _end(t, row, "maintenance has ended")


# --- standing --------------------------------------------------------------------------------------------------------


def due_s(t: Turn) -> float | None:
    """When an override is to be told again, or ends."""
    moments_s = [min(row.until_s, row.tell_s) for row in t.equipment.overrides if row.ended_s is None]
    return min(moments_s, default=None)


def on_time(t: Turn) -> None:
    """End every override whose time is over; tell of the others."""
    for row in set_aside.all_standing(t):
        if t.due(row.until_s):
            _end(t, row, "its time is over")
        elif t.due(row.tell_s):
            _remind(t, row, "it still stands")


def _remind(t: Turn, row: SetAside, why: str) -> None:
    row = replace(row, tell_s=t.now_s + TELL_EVERY_S)
    _put(t, row)
    _tell(t, row, OverridePhase.STANDS, why)


def restarted(t: Turn) -> None:
    """What stood goes on for what is left of its time. A gate held open is not opened anew, and told if it is not."""
    gate = t.setup.gate
    for row in set_aside.all_standing(t):
        _put(t, replace(row, command=""))
        if _no_such_part(t, Override(row.part, row.reason, 1.0, row.name)):
            _end(t, row, "the lane's layout was changed")
        elif not t.due(row.until_s):
            _remind(t, replace(row, command=""), "the software was started")
        if row.part is OverridePart.GATE_OPEN and gate is not None:
            t.equipment = replace(t.equipment, gate_told=True, gate_watch_s=t.now_s + gate.travel_limit_s)
    on_time(t)
    _leave_out_loops(t)


def command_failed(t: Turn, command: str, why: str) -> None:
    """What was to carry an override was not done: it is over."""
    for row in set_aside.all_standing(t):
        if row.command == command:
            _end(t, row, f"its command was not carried out: {why}")


# --- ending ----------------------------------------------------------------------------------------------------------


def _end(t: Turn, row: SetAside, why: str) -> None:
    _put(t, replace(row, ended_s=t.now_s))
    _tell(t, row, OverridePhase.ENDED, why)
    match row.part:
        case OverridePart.LOOP_OUT:
            t.trust(_doubt(row))
            _count_in_loops(t)
        case OverridePart.GATE_HELD:
            # Nobody knows where it was left: it counts as commanded open until it has been lowered with care.
            t.equipment = replace(t.equipment, gate_open=t.setup.gate is not None)
        case OverridePart.GATE_OPEN | OverridePart.SIGNAL_RED | OverridePart.YELLOW_X:
            pass  # the gate is lowered when nothing can be under it; the signal stays red until somebody decides
    _keep(t, _worth_keeping(t))


def _worth_keeping(t: Turn) -> tuple[SetAside, ...]:
    """Overrides that are over are kept while a vehicle is in the lane that was there under them."""
    oldest_s = min((p.opened_s for p in t.tracking.passages), default=t.now_s)
    return tuple(row for row in t.equipment.overrides if row.ended_s is None or row.ended_s >= oldest_s)


def _keep(t: Turn, rows: tuple[SetAside, ...]) -> None:
    over = [row for row in rows if row.ended_s is not None][-MAX_OVERRIDES // 2 :]
    kept = tuple(row for row in rows if row.ended_s is None or row in over)
    t.equipment = replace(t.equipment, overrides=kept)


def _put(t: Turn, row: SetAside) -> None:
    rows = tuple(row if other.id == row.id else other for other in t.equipment.overrides)
    t.equipment = replace(t.equipment, overrides=rows)


def _tell(t: Turn, row: SetAside, phase: OverridePhase, why: str) -> None:
    left_s = max(0.0, row.until_s - t.now_s) if phase is not OverridePhase.ENDED else 0.0
    t.tell(OverrideTold(row.id, row.part, row.name, phase, row.reason, row.actor, left_s, why, t.utc_s))


def _doubt(row: SetAside) -> str:
    return f"override:{set_aside.label(row)}"


# --- loops -----------------------------------------------------------------------------------------------------------


def _leave_out_loops(t: Turn) -> None:
    """Loops that are out stand at no station. Who was seen by nothing else is lost, but for whoever is at the booth."""
    left_out = _apply(t)
    for station in left_out - set(t.plan.loop_station):
        for passage in t.live():
            if passage.tail == station < passage.head:
                t.put(replace(passage, tail=station + 1))
            elif passage.head == passage.tail == station != t.plan.booth:
                lost_s = t.now_s + tracking.LOST_S
                t.put(replace(passage, lost=True, adrift_s=None, wake_s=lost_s))


def _count_in_loops(t: Turn) -> None:
    before = t.plan.loop_station
    _apply(t)
    for station in set(t.plan.loop_station) - set(before) - {NOWHERE}:
        if t.held(station):
            tracking.station_changed(t, station, False, True)


def _apply(t: Turn) -> set[int]:
    """Put the loops at their stations, but for those left out; answers the stations that lost one."""
    stations, names = t.plan.stations, set_aside.loops_out(t)
    at = {zone: index for index, zone in enumerate(stations)}
    places = tuple(NOWHERE if loop.name in names else at.get(loop.zone, NOWHERE) for loop in t.setup.loops)
    lost = {old for old, new in zip(t.plan.loop_station, places, strict=True) if old != new and new == NOWHERE}
    if places != t.plan.loop_station:
        t.plan = dataclasses.replace(t.plan, loop_station=places)
    return lost
