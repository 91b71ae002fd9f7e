"""The scanner's outputs: what each state wants of them, what is commanded when, and what is said again until shown.

What withdraws leaves in the step that decides it, before anything else. What grants (to arm, to warn, to request, to
let the driver go) is a command with an id that stands only as long as `Scanning.grants` names it, and the runner asks
for that right before it is performed. Outputs are never assumed: after a reconnect everything is withdrawn anew.
Called by `scanner.machine`; it must never grant what the state does not want.
"""

from __future__ import annotations

from lanecontrol.announcements import LaneLife, ScanCause, ScannerState
from lanecontrol.commands import ClearWatchdog, Result, WriteOutputs
from lanecontrol.events import CommandEnded, ModuleWatchdogTripped, OutputsRead
from lanecontrol.lane.record import replace
from lanecontrol.lane.scanner.view import View, Why, online
from lanecontrol.lane.scanner_state import MAX_SENT, Scanning, Sent
from lanecontrol.lane.setup import Point
from lanecontrol.lane.turn import Turn

S = ScannerState
Levels = dict[str, bool]

OUTPUTS = ("scan_request", "scan_arm", "warning_request", "driver_go", "driver_stop", "abort")
GRANTING = {
    "scan_request": True,
    "scan_arm": True,
    "warning_request": True,
    "driver_go": True,
    "driver_stop": False,
    "abort": False,
}
"""Which level of an output gives something; the other one takes it away."""
LIGHT = ("driver_go", "driver_stop")
REPEAT_S = 0.25
"""What withdraws is said again this often until its module has shown it."""
UNHEARD_S = 1.5
"""A command that has not come back by then is not waited for: it has a deadline of 1 s."""
LIGHT_REPEAT_S = 1.0
"""The driver's light is set again after so long; nothing else that grants ever is."""
LONGEST_REPEAT_S = 5.0

_OFF: Levels = {"scan_request": False, "scan_arm": False, "driver_go": False, "driver_stop": True}
_ARMED: Levels = _OFF | {"scan_arm": True, "warning_request": False, "abort": False}

IMAGE: dict[ScannerState, Levels] = {
    S.DISABLED: _OFF | {"warning_request": False},
    S.IDLE: _OFF | {"warning_request": False, "abort": False},
    S.ARMED: _ARMED,
    S.POSITIONING: _ARMED,
    S.INTERLOCK_CHECK: _ARMED,
    S.WARNING: _ARMED | {"warning_request": True},
    S.TRIGGERED: _ARMED | {"warning_request": True, "scan_request": True},
    S.SCANNING: _ARMED | {"warning_request": True, "scan_request": True},
    # The warning goes on until the shutter is closed: it is left as it is.
    S.COMPLETING: _OFF | {"abort": False},
    S.ABORTING: _OFF | {"abort": True},
    S.COMPLETE: _OFF | {"warning_request": False, "abort": False},
    S.ABORTED: _OFF | {"warning_request": False},
    S.CANCELLED: _OFF | {"warning_request": False},
    S.FAULT: _OFF | {"abort": True},
}
"""What each state wants; an output that is not named is left as it is. The driver may be let go on top of it."""

_DRIVING = frozenset({LaneLife.OPEN, LaneLife.CLOSING, LaneLife.SUSPENDED})
"""Whoever is inside drives on."""
_PASSABLE = frozenset({S.DISABLED, S.IDLE, S.ARMED, S.POSITIONING, S.ABORTED})


def wanted(v: View) -> Levels:
    """What the outputs are to be now."""
    levels = IMAGE[v.state]
    return levels | {"driver_go": True, "driver_stop": False} if passable(v) else levels


def passable(v: View) -> bool:
    """Whether a vehicle may drive through, into or out of the scanner: the light of the lane that it stands in."""
    contacts = v.contacts
    if v.state not in _PASSABLE or (v.state is S.POSITIONING and contacts.vehicle_in_position is not False):
        return False
    if v.t.desk.stopping or not v.t.desk.writable or v.t.desk.life not in _DRIVING:
        return False
    return v.shut and contacts.scan_in_progress is False and contacts.fault is False and contacts.estop_ok is True


# --- what comes back -------------------------------------------------------------------------------------------------


def ended(t: Turn, m: Scanning, event: CommandEnded) -> Why | None:
    """One of our writes came back. Answers the doubt where something was to be granted and was not."""
    sent = next((s for s in m.sent if s.command == event.command), None)
    if sent is None:
        return None
    m = replace(m, sent=tuple(s for s in m.sent if s is not sent))
    done = event.outcome.result is Result.DONE
    doubt = None
    if sent.grants:
        if not done and (sent.device, sent.command) in m.grants:
            doubt = Why(ScanCause.OUTPUT, f"{sent.device} did not carry out what it was told")
            m = _again(t, replace(m, grants=_without(m.grants, sent.device)), LIGHT_REPEAT_S)
    elif not any(s.device == sent.device and not s.grants for s in m.sent):
        m = _shown(m, sent.device) if done else _again(t, m, REPEAT_S)
    t.scanner = m
    return doubt


def _shown(m: Scanning, device: str) -> Scanning:
    return replace(m, unshown=tuple(name for name in m.unshown if name != device), misses=0)


def _again(t: Turn, m: Scanning, after_s: float) -> Scanning:
    """Say it again after a while that grows: a module that refuses for ever must not fill the ledger."""
    wait_s = min(after_s * 2.0 ** min(m.misses, 10), LONGEST_REPEAT_S)
    return replace(m, repeat_s=t.now_s + wait_s, misses=m.misses + 1)


def _without(grants: tuple[tuple[str, str], ...], device: str) -> tuple[tuple[str, str], ...]:
    return tuple(grant for grant in grants if grant[0] != device)


def read_back(v: View, event: OutputsRead) -> Why | None:
    """What a module says its outputs are, held against what it was told; nothing while a write is under way."""
    t, m, source = v.t, v.m, v.t.given.source
    if source not in t.plan.scanner_modules or any(s.device == source for s in m.sent):
        return None
    shown, told = dict(event.points), dict(m.wanted)
    wrong = [
        name
        for name in OUTPUTS
        if _at(v, name).device == source
        and name in told
        and shown.get(_at(v, name).point, told[name]) is not told[name]
    ]
    if not any(told[name] is not GRANTING[name] for name in wrong):
        m = _shown(m, source) if source in m.unshown else m
    else:
        m = replace(m, unshown=(*(d for d in m.unshown if d != source), source), repeat_s=t.now_s)
    if any(told[name] is GRANTING[name] for name in wrong):
        m = replace(m, grants=_without(m.grants, source), repeat_s=m.repeat_s or t.now_s + LIGHT_REPEAT_S)
    t.scanner = m
    # The driver's light may be dark without harm; everything else is as it was told, or nothing is certain.
    grave = [name for name in wrong if name not in LIGHT or told[name] is not GRANTING[name]]
    if not grave:
        return None
    level = "off" if told[grave[0]] else "on"
    return Why(ScanCause.READBACK, f"{_at(v, grave[0]).point} of {source} is {level}, and nobody told it to be")


# --- what is commanded -----------------------------------------------------------------------------------------------


def bring_about(v: View, anew: frozenset[str]) -> None:
    """Command what the state wants and was not commanded yet; withdraw again where that has not been shown.

    `anew` are modules of which nothing is assumed any more: they came, went, or their watchdog had tripped.
    """
    t, m = v.t, v.m
    now, before = wanted(v), dict(m.wanted)
    changed = {name for name, level in now.items() if before.get(name) is not level}
    repeat = m.repeat_s is not None and v.reached(m.repeat_s)
    if not changed and not repeat and not anew:
        return
    if repeat:
        t.scanner = replace(m, repeat_s=None)
    for device in dict.fromkeys(_at(v, name).device for name in OUTPUTS):
        points = {name: level for name, level in now.items() if _at(v, name).device == device}
        less = {name: level for name, level in points.items() if level is not GRANTING[name]}
        more = {name: level for name, level in points.items() if level is GRANTING[name]}
        unshown = repeat and device in m.unshown and online(t, device)
        withdrawing = bool(less) and (bool(changed & less.keys()) or unshown or device in anew)
        regrant = (
            bool(changed & more.keys()) or (withdrawing and _under_way(t, device)) or (repeat and _dark(t, device))
        )
        if withdrawing or not more:
            _drop(t, device)
        if withdrawing:
            _withdraw(v, device, less, anew)
        if more and regrant:
            _grant(v, device, more)
    told = before | now
    if t.scanner is not None:
        t.scanner = replace(t.scanner, wanted=tuple((name, told[name]) for name in OUTPUTS if name in told))


def _at(v: View, name: str) -> Point:
    point: Point = getattr(v.scanner.outputs, name)
    return point


def _under_way(t: Turn, device: str) -> bool:
    """A grant to this module has not come back; what withdraws cuts it short, so it has to be given anew."""
    return t.scanner is not None and any(s.device == device and s.grants for s in t.scanner.sent)


def _dark(t: Turn, device: str) -> bool:
    """The driver's light could not be set. What a scan needs is never given again: it has ended by then."""
    m = t.scanner
    return m is not None and m.scan is None and not any(d == device for d, _ in m.grants)


def _withdraw(v: View, device: str, levels: Levels, anew: frozenset[str]) -> None:
    """First of all effects. After a watchdog also behind the clearing of its flag: the write before may be refused,
    and without it the registers, which the flag had covered, would bring a request back."""
    t = v.t
    _write(v, device, levels, grants=False)
    t.effects.insert(0, t.effects.pop())
    if device in anew and isinstance(t.given.event, ModuleWatchdogTripped):
        if device not in t.plan.trusted:
            t.drive(device, ClearWatchdog(), grants=False)
        _write(v, device, levels, grants=False)
    m = t.scanner
    if m is not None:
        unshown = m.unshown if device in m.unshown else (*m.unshown, device)
        t.scanner = replace(m, unshown=unshown, repeat_s=t.now_s + UNHEARD_S)


def _grant(v: View, device: str, levels: Levels) -> None:
    _drop(v.t, device)
    command = _write(v, device, levels, grants=True)
    m = v.t.scanner
    if m is not None:
        v.t.scanner = replace(m, grants=(*m.grants, (device, command)))


def _drop(t: Turn, device: str) -> None:
    """No grant to this module stands any more."""
    m = t.scanner
    if m is not None and any(d == device for d, _ in m.grants):
        t.scanner = replace(m, grants=_without(m.grants, device))


def _write(v: View, device: str, levels: Levels, *, grants: bool) -> str:
    points = tuple((_at(v, name).point, levels[name]) for name in OUTPUTS if name in levels)
    command = v.t.drive(device, WriteOutputs(points), grants=grants)
    m = v.t.scanner
    if m is not None:
        v.t.scanner = replace(m, sent=(*m.sent, Sent(command, device, grants))[-MAX_SENT:])
    return command
