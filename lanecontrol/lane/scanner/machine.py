"""The scanner's machine at work: from what this step has told, along the rows of the table, to outputs and records.

Called by `lane.step` at the end of every step of a lane that has a scanner, and by `scanner.asking` for what people
ask. It takes the transitions that `scanner.table` names and no others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from lanecontrol.announcements import (
    Permissive,
    PermissivesChanged,
    ScanCause,
    ScanEnd,
    ScannerChanged,
    ScannerContacts,
    ScannerFigures,
    ScannerState,
    ScanPart,
)
from lanecontrol.commands import Actor
from lanecontrol.events import (
    CommandEnded,
    DeviceChanged,
    DeviceState,
    InputChanged,
    InputsLost,
    ModuleWatchdogTripped,
    OutputsRead,
)
from lanecontrol.lane import faults
from lanecontrol.lane.record import replace
from lanecontrol.lane.scanner import conditions, outputs, records, table
from lanecontrol.lane.scanner.view import LATE_S, PLACE, ROUNDING_S, SAMPLE_S, Ask, View, Why, known_contacts
from lanecontrol.lane.scanner_state import Scan, Scanning
from lanecontrol.lane.setup import Scanner
from lanecontrol.lane.state import LaneState
from lanecontrol.lane.turn import Turn

C, S = ScanCause, ScannerState

MOST_ROWS = 8
"""Transitions in one step, at most: from a beam to out of use there are four."""
TELL_EVERY_S = 1.0
"""Why it will not scan is published no more often than this."""
FIGURES_EVERY_S = 86_400.0

STOPPED = "an emergency stop was pressed"
TOGETHER_S = 0.5
"""What is told so soon after an abort began may be what brought it about: a poll, and the relays of the scanner's own
chain, which an emergency stop opens one after the other."""

_ENDS = {
    S.COMPLETE: ScanEnd.COMPLETED,
    S.ABORTED: ScanEnd.ABORTED,
    S.CANCELLED: ScanEnd.CANCELLED,
    S.FAULT: ScanEnd.FAULTED,
}
_WAITING = frozenset({S.ARMED, S.POSITIONING, S.INTERLOCK_CHECK, S.WARNING})
_NEEDS_NO_RESET = frozenset({C.OPERATOR, C.NO_START, C.TOO_LONG, C.ENDED_EARLY, C.LANE})
"""Aborts that no interlock and no emergency stop brought about."""
_ASKED_FOR = frozenset({C.ENABLED, C.ORDERED, C.RESET, C.OPERATOR})
"""Causes that somebody's order is used up by."""
_HEARD = (CommandEnded, DeviceChanged, InputsLost, ModuleWatchdogTripped, OutputsRead)
"""Events that concern the scanner also where they change nothing else."""


# --- every step ------------------------------------------------------------------------------------------------------


def follow(t: Turn, before: LaneState) -> None:
    """What this step means for the scanner: doubts, transitions, outputs, and why it will not scan."""
    scanner, m = t.setup.scanner, t.scanner
    if scanner is None or m is None or not _concerned(t, before, m):
        return
    doubt, anew = _heard(t, before, scanner, m)
    contacts = known_contacts(t)
    run(t, contacts, doubt=doubt, pulse=_pulse(t, before))
    outputs.bring_about(_view(t, scanner, contacts), anew)
    v = _view(t, scanner, contacts)
    if not _as_explained(v, before):
        _explain(v)
    _figures(t)
    _sleep(_view(t, scanner, contacts))


def _concerned(t: Turn, before: LaneState, m: Scanning) -> bool:
    return (
        t.equipment is not before.equipment
        or t.desk is not before.desk
        or t.tracking is not before.tracking
        or m is not before.scanner
        or isinstance(t.given.event, _HEARD)
        or t.due(m.wake_s)
    )


def _view(t: Turn, scanner: Scanner, contacts: ScannerContacts) -> View:
    return View(t, scanner, t.scanner if t.scanner is not None else Scanning(), contacts)


def run(
    t: Turn,
    contacts: ScannerContacts,
    *,
    doubt: Why | None = None,
    pulse: bool = False,
    asked: Ask | None = None,
    actor: Actor | None = None,
) -> None:
    """Take every row of the table that applies now."""
    scanner = t.setup.scanner
    for _ in range(MOST_ROWS):
        if scanner is None or t.scanner is None:
            return
        _keep_up(t, scanner, contacts)
        v = View(t, scanner, t.scanner, contacts, doubt=doubt, pulse=pulse, asked=asked, actor=actor)
        found = table.transition(v)
        if found is None:
            return
        row, why = found
        _enter(v, row.to, why)
        pulse = False
        if why.cause in _ASKED_FOR:
            asked = None


# --- what is kept beside the state -----------------------------------------------------------------------------------


def _keep_up(t: Turn, scanner: Scanner, contacts: ScannerContacts) -> None:
    """Samples, the confirmed warning, the officer's word, the emergency stop: what lasts longer than a look."""
    v = _view(t, scanner, contacts)
    m = v.m
    if contacts.estop_ok is False:
        m = _stopped(v, m)
    if m.interrupted and v.shut:
        m = replace(m, interrupted=False)
    in_place = contacts.driver_clear is True and contacts.vehicle_in_position is True
    if m.scan is not None and m.scan.driver_out and m.state in (S.POSITIONING, S.INTERLOCK_CHECK) and not in_place:
        # Whoever was out may be in again: the word was about what was seen then.
        m = replace(m, scan=replace(m.scan, driver_out=False))
    if m is not v.m:
        t.scanner = m
    if m.state in (S.INTERLOCK_CHECK, S.WARNING):
        _keep_time(_view(t, scanner, contacts))


def _stopped(v: View, m: Scanning) -> Scanning:
    """An emergency stop has been read: somebody has to reset. It takes other contacts with it, and one of those may
    have been told first: it is the cause of the abort all the same."""
    tripped, scan = m.tripped or STOPPED, m.scan
    first_told = m.state is S.ABORTING and not v.reached(m.since_s + TOGETHER_S)
    if scan is not None and scan.cause is not None and scan.cause is not C.ESTOP and first_told:
        unmet = (C.ESTOP, *(code for code in scan.unmet if code is not C.ESTOP))
        why = f"{conditions.RULES[C.ESTOP](v)}; told first: {scan.why}"
        scan, tripped = replace(scan, cause=C.ESTOP, why=why, unmet=unmet, false_abort=False), STOPPED
    return m if scan is m.scan and tripped == m.tripped else replace(m, scan=scan, tripped=tripped)


def _keep_time(v: View) -> None:
    """Since when everything has held, or the warning is confirmed; and patience where the clock was late."""
    m, t = v.m, v.t
    if m.state is S.INTERLOCK_CHECK:
        good = conditions.first_unmet(v, conditions.CHAIN) is None
        if good is (m.good_s is None):
            m = replace(m, good_s=v.now_s if good else None, hold_s=None)
    elif m.warned_s is None and v.contacts.warning_active is True and v.changed_s("warning_active") >= m.since_s:
        # A contact that was on before anybody had asked for the warning would confirm nothing.
        m = replace(m, warned_s=v.now_s)
    ripe_s = View(t, v.scanner, m, v.contacts).ripe_s
    if ripe_s is not None and v.now_s > ripe_s + LATE_S:
        # Whatever waits behind this input may be older than the moment that was missed: it is heard first.
        m = replace(m, hold_s=v.now_s + SAMPLE_S)
    if m is not v.m:
        t.scanner = m


# --- transitions -----------------------------------------------------------------------------------------------------


def _enter(v: View, state: ScannerState, why: Why) -> None:
    """Leave the present state for this one; told with what it was decided by."""
    t, m, scan = v.t, v.m, v.m.scan
    t.tell(
        ScannerChanged(
            state=state,
            previous=m.state,
            cause=why.cause,
            why=why.words,
            actor=v.actor if v.asked is not None else None,
            scan=scan.key if scan is not None else "",
            passage=scan.passage if scan is not None else "",
            contacts=v.contacts,
            at_utc_s=t.utc_s,
        )
    )
    if scan is not None:
        scan = _scan_in(v, scan, state, why)
    tripped = m.tripped
    if state is S.FAULT or (state is S.ABORTING and why.cause not in _NEEDS_NO_RESET):
        tripped = tripped or why.words
    t.scanner = replace(
        m, state=state, since_s=t.now_s, scan=scan, tripped=tripped, good_s=None, warned_s=None, hold_s=None
    )
    end = _ENDS.get(state)
    if end is not None and scan is not None:
        told = Why(scan.cause, scan.why) if scan.cause is not None and state is not S.FAULT else why
        records.write(t, v.scanner, scan, end, told)
    if state is S.FAULT:
        records.raise_alarm(t, scan.passage if scan is not None else "", why)
    elif m.state is S.FAULT:
        records.end_alarm(t)


def _scan_in(v: View, scan: Scan, state: ScannerState, why: Why) -> Scan:
    if state is S.TRIGGERED:
        return replace(scan, requested_utc_s=v.t.utc_s, interlocks=v.contacts)
    if state is S.SCANNING:
        return replace(scan, begun_utc_s=v.t.utc_s)
    if state is S.COMPLETING:
        return replace(scan, cause=why.cause, why=why.words)
    if state in (S.ABORTING, S.CANCELLED) or (state is S.FAULT and scan.cause is None):
        return records.with_operator(v.t, records.noted(v, scan, why), ScanPart.ENDED, v)
    return scan


# --- what an event makes uncertain -----------------------------------------------------------------------------------


def _heard(t: Turn, before: LaneState, scanner: Scanner, m: Scanning) -> tuple[Why | None, frozenset[str]]:
    """What this step's event makes uncertain, and the modules of which nothing is assumed any more."""
    event, source = t.given.event, t.given.source
    nothing: frozenset[str] = frozenset()
    match event:
        case CommandEnded():
            return outputs.ended(t, m, event), nothing
        case InputsLost():
            for device in t.plan.scanner_modules:
                _forget(t, device)
            return Why(C.INPUTS_LOST, "inputs were lost"), frozenset(t.plan.scanner_modules)
        case OutputsRead() if source in t.plan.scanner_modules:
            return outputs.read_back(View(t, scanner, m), event), nothing
        case ModuleWatchdogTripped() if source in t.plan.scanner_modules:
            return Why(C.WATCHDOG, f"the watchdog of {source} had dropped its outputs"), frozenset({source})
        case DeviceChanged() if source in t.plan.scanner_modules:
            return _module_changed(t, before, event)
    return None, nothing


def _module_changed(t: Turn, before: LaneState, event: DeviceChanged) -> tuple[Why, frozenset[str]]:
    """A module came or went: its outputs are withdrawn in both cases, but not at every attempt to reach it again."""
    source = t.given.source
    was = next((note.state for note in before.equipment.devices if note.device == source), None)
    online = event.state is DeviceState.ONLINE
    if online:
        faults.fault(t, source, "watchdog_tripped", "online", active=False)
    else:
        _forget(t, source)
    news = online or was is DeviceState.ONLINE
    return Why(C.LINK, f"{source} is {event.state.value}"), frozenset({source}) if news else frozenset()


def _forget(t: Turn, device: str) -> None:
    """Nothing is known of the scanner's contacts at this module until they are read anew."""
    places = {place for place in t.plan.scanner if t.plan.points[place][0] == device}
    places -= set(range(len(t.plan.loop_station)))  # loops are the tracking's to forget
    contacts = [
        replace(contact, on=None, since_s=t.now_s, before_s=contact.since_s) if place in places else contact
        for place, contact in enumerate(t.equipment.contacts)
    ]
    t.equipment = replace(t.equipment, contacts=tuple(contacts))


def _pulse(t: Turn, before: LaneState) -> bool:
    """A scan was told to be complete, by a contact that was read off before. Elsewhere than in a scan it is counted."""
    event, m = t.given.event, t.scanner
    if not isinstance(event, InputChanged) or not event.on or m is None:
        return False
    place = t.plan.scanner[PLACE["scan_complete"]]
    if (t.given.source, event.point) != t.plan.points[place] or place >= len(before.equipment.contacts):
        return False
    if before.equipment.contacts[place].on is not False:
        return False
    if m.state is S.SCANNING:
        return True
    t.scanner = replace(m, counts=dataclasses.replace(m.counts, stray_completes=m.counts.stray_completes + 1))
    return False


# --- why it will not scan --------------------------------------------------------------------------------------------


def _as_explained(v: View, before: LaneState) -> bool:
    """Whether nothing that the conditions look at has changed in this step: most steps are about something else."""
    t, m, was = v.t, v.m, before.scanner
    now, then = t.equipment, before.equipment
    if was is None or m.told_s is None or m.tell_s is not None:
        return False
    if now.contacts is not then.contacts or now.devices is not then.devices:
        return False
    if t.desk is not before.desk or t.tracking is not before.tracking or t.plan is not before.plan:
        return False
    if m.state is not was.state or m.scan is not was.scan or m.tripped != was.tripped or m.unshown != was.unshown:
        return False
    expires_s = m.scan.expires_s - ROUNDING_S if m.scan is not None else None
    return expires_s is None or (before.now_s >= expires_s) is (v.now_s >= expires_s)


def _explain(v: View) -> None:
    """Keep why it will not scan, and publish it where it changed: with an order every condition, else the first."""
    m, judged = v.m, conditions.judged(v)
    missing = tuple([code for code, words in judged if words])
    blocking = next((words for _, words in judged if words), "")
    told = blocking if m.scan is None else f"{m.scan.key}|{blocking}|{','.join(missing)}"
    if missing != m.unmet or blocking != m.blocking:
        m = replace(m, unmet=missing, blocking=blocking)
    if told == m.told:
        if m.tell_s is not None:
            m = replace(m, tell_s=None)
    elif m.told_s is None or v.reached(m.told_s + TELL_EVERY_S):
        m = replace(m, told=told, told_s=v.now_s, tell_s=None)
        scan = m.scan.key if m.scan is not None else ""
        chain = tuple(Permissive(code, not words, words) for code, words in judged)
        v.t.tell(PermissivesChanged(m.state, scan, blocking, chain, v.t.utc_s))
    elif m.tell_s is None:
        m = replace(m, tell_s=m.told_s + TELL_EVERY_S)
    if m is not v.m:
        v.t.scanner = m


def _figures(t: Turn) -> None:
    m = t.scanner
    if m is not None and t.due(m.figures_s):
        t.tell(ScannerFigures(m.counts, t.utc_s))
        t.scanner = replace(m, figures_s=t.now_s + FIGURES_EVERY_S)


# --- time ------------------------------------------------------------------------------------------------------------


def _sleep(v: View) -> None:
    """Note the next moment at which anything may change by itself."""
    now_s, wake_s = v.now_s, None
    for moment_s in _moments(v):
        if moment_s is not None and moment_s > now_s and (wake_s is None or moment_s < wake_s):
            wake_s = moment_s
    if wake_s != v.m.wake_s:
        v.t.scanner = replace(v.m, wake_s=wake_s)


def _moments(v: View) -> Iterator[float | None]:
    m, times = v.m, v.times
    yield from (m.repeat_s, m.tell_s, m.figures_s)
    limit = table.LIMITS.get(m.state)
    if limit is not None:
        yield m.since_s + limit(times)
    if m.scan is not None and m.state in _WAITING:
        yield m.scan.expires_s
        yield v.ripe_s
    if m.state is S.WARNING:
        yield m.since_s + times.warning_confirm_s
        yield m.since_s + times.warning_confirm_s + v.warning_s + table.SLOW_S
    for since_s in (v.contradiction_s, v.beam_s, v.dark_s if m.state is S.SCANNING else None):
        if since_s is not None:
            yield since_s + times.contradiction_s
    if m.interrupted:
        yield max(m.since_s, v.changed_s("shutter_closed"), v.changed_s("shutter_open")) + times.shutter_s
