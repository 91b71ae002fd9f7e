"""What people ask of the scanner: each is carried out now or refused with the reason; nothing waits or is repeated.

Called by `lane.orders`, which has refused already what is late, repeated, nobody's, or not this role's to ask
(`lane.authority`). A scan that the port orders needs somebody at the lane to confirm it.
"""

from __future__ import annotations

import dataclasses

from lanecontrol.announcements import ScanCause, ScannerState, ScanOperator, ScanPart
from lanecontrol.commands import (
    DONE,
    AbortScan,
    Actor,
    ConfirmDriverOut,
    ConfirmScan,
    EnableScanner,
    Outcome,
    ResetScanner,
    ScanVehicle,
    refused,
)
from lanecontrol.lane import authority
from lanecontrol.lane.record import replace
from lanecontrol.lane.scanner.conditions import first_unmet
from lanecontrol.lane.scanner.machine import run
from lanecontrol.lane.scanner.view import Ask, View
from lanecontrol.lane.scanner_state import MAX_SCAN_KEYS, Scan
from lanecontrol.lane.texts import MAX_WORDS
from lanecontrol.lane.turn import Turn

C, S = ScanCause, ScannerState
ScanRequest = ScanVehicle | ConfirmScan | ConfirmDriverOut | AbortScan | EnableScanner | ResetScanner

LONGEST_VALID_S = 900.0
"""An order stands no longer than this: nobody remembers it any more."""
_WAITING = frozenset({S.ARMED, S.POSITIONING, S.INTERLOCK_CHECK})
_ENABLE = (C.LANE, C.CONFIGURATION, C.LINK, C.STALE, C.KEY, C.ESTOP, C.FAULT, C.SHUTTER, C.RESET, C.OUTPUT)
_ORDER = (C.LANE, C.CONFIGURATION, C.LINK, C.STALE, C.KEY, C.ESTOP, C.FAULT, C.SHUTTER, C.RESET, C.ENABLED)
_RESET = (C.LINK, C.STALE, C.ESTOP, C.FAULT, C.SHUTTER)


def ordered(t: Turn, key: str, actor: Actor, request: ScanRequest) -> Outcome:
    """Carry out or refuse what somebody asks of the scanner."""
    scanner, m = t.setup.scanner, t.scanner
    if scanner is None or m is None:
        return refused("this lane has no scanner")
    v = View(t, scanner, m)
    match request:
        case ScanVehicle():
            why = _why_not_ordered(v, key, request) or _order(v, key, actor, request)
        case ConfirmScan():
            why = _why_not_confirmed(v, actor, request.scan) or _confirm(v, actor)
        case ConfirmDriverOut():
            why = _why_not_out(v, request.scan) or _driver_out(v, actor)
        case AbortScan():
            run(t, v.contacts, asked=Ask.ABORT, actor=actor)
            why = ""
        case EnableScanner():
            why = _enable(v, actor)
        case ResetScanner():
            why = _reset(v, actor)
    return refused(why) if why else DONE


def _unmet(v: View, codes: tuple[ScanCause, ...]) -> str:
    first = first_unmet(v, codes)
    return "" if first is None else first[1]


# --- ordering --------------------------------------------------------------------------------------------------------


def _why_not_ordered(v: View, key: str, request: ScanVehicle) -> str:
    if key in v.m.keys:
        return "this scan was ordered before"
    if not request.reason.strip():
        return "an order to scan needs a reason"
    if not 0.0 < request.valid_s <= LONGEST_VALID_S:
        return f"an order to scan is valid for up to {LONGEST_VALID_S:g} s"
    if v.m.scan is not None:
        return "a scan is under way"
    return _unmet(v, _ORDER) or _why_not_this_vehicle(v, request.passage)


def _why_not_this_vehicle(v: View, name: str) -> str:
    passage = v.t.passage(name)
    if passage is None or passage.gone_s is not None:
        return "no open passage has this number"
    if passage.lost:
        return "the lane has lost sight of its vehicle"
    if passage.tail > v.t.plan.scanner_station:
        return "its vehicle has passed the scanner"
    return ""


def _order(v: View, key: str, actor: Actor, request: ScanVehicle) -> str:
    t, m = v.t, v.m
    scan = Scan(
        key=key,
        passage=request.passage,
        reason=request.reason[:MAX_WORDS],
        ordered_utc_s=t.utc_s,
        expires_s=t.now_s + request.valid_s,
        needs_second=v.scanner.two_persons or actor.role in authority.NEEDS_SECOND,
        operators=(ScanOperator(ScanPart.ORDERED, actor, t.utc_s),),
    )
    counts = dataclasses.replace(m.counts, ordered=m.counts.ordered + 1)
    t.scanner = replace(m, scan=scan, keys=(*m.keys, key)[-MAX_SCAN_KEYS:], counts=counts)
    run(t, v.contacts, asked=Ask.ORDER, actor=actor)
    return "" if t.scanner.scan is not None else "the scanner has just gone out of use"


# --- people at the lane ----------------------------------------------------------------------------------------------


def _why_not_this_scan(v: View, key: str) -> str:
    if v.m.scan is None or v.m.scan.key != key:
        return "no scan under this key is waiting"
    return ""


def _why_not_confirmed(v: View, actor: Actor, key: str) -> str:
    why = _why_not_this_scan(v, key)
    if why or v.scan is None:
        return why
    if v.state not in _WAITING or v.scan.confirmed:
        return "this scan is not waiting for a confirmation"
    if any(_same(actor, by.actor) for by in v.scan.operators if by.part is ScanPart.ORDERED):
        return "whoever ordered the scan cannot confirm it too"
    return ""


def _same(one: Actor, other: Actor) -> bool:
    """One and the same name, however it is spaced or capitalised."""
    return " ".join(one.name.split()).casefold() == " ".join(other.name.split()).casefold()


def _confirm(v: View, actor: Actor) -> str:
    if v.scan is not None:
        operators = (*v.scan.operators, ScanOperator(ScanPart.CONFIRMED, actor, v.t.utc_s))
        v.t.scanner = replace(v.m, scan=replace(v.scan, confirmed=True, operators=operators))
    return ""


def _why_not_out(v: View, key: str) -> str:
    why = _why_not_this_scan(v, key)
    if why:
        return why
    if v.state not in (S.POSITIONING, S.INTERLOCK_CHECK):
        return f"the scan is {v.state.value.replace('_', ' ')}"
    return _unmet(v, (C.POSITION, C.DRIVER_CLEAR))


def _driver_out(v: View, actor: Actor) -> str:
    if v.scan is not None:
        operators = (*v.scan.operators, ScanOperator(ScanPart.DRIVER_OUT, actor, v.t.utc_s))[-8:]
        v.t.scanner = replace(v.m, scan=replace(v.scan, driver_out=True, operators=operators))
    return ""


# --- in and out of use -----------------------------------------------------------------------------------------------


def _enable(v: View, actor: Actor) -> str:
    if v.state is not S.DISABLED:
        return f"the scanner is {v.state.value.replace('_', ' ')}"
    why = _unmet(v, _ENABLE)
    if not why:
        run(v.t, v.contacts, asked=Ask.ENABLE, actor=actor)
    return why


def _reset(v: View, actor: Actor) -> str:
    if v.m.scan is not None:
        return "a scan is under way"
    if not v.m.tripped and v.state is not S.FAULT:
        return "there is nothing to reset"
    why = _unmet(v, _RESET)
    if not why:
        v.t.scanner = replace(v.m, tripped="", interrupted=False)
        run(v.t, v.contacts, asked=Ask.RESET, actor=actor)
    return why
