"""The scanner's state machine as one table: from, to, when. The first row of a state that applies is taken.

The states, time-outs and transitions are those of the scanner's interface for the stationary mode with the driver out;
rows that this software adds say so, and every one of them only withdraws. The request is on in TRIGGERED and SCANNING,
which only the rows from INTERLOCK_CHECK through WARNING lead to. Read by `scanner.machine`; it decides nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lanecontrol.announcements import ScanCause, ScannerState
from lanecontrol.lane.scanner.conditions import BEAM, CHAIN, RULES, at_zone, first_unmet, gone_bad, unmet
from lanecontrol.lane.scanner.view import Ask, View, Why
from lanecontrol.lane.setup import ScannerTimes

C, S = ScanCause, ScannerState
When = Callable[[View], Why | None]

SLOW_S = 10.0
"""A warning that goes on for so much longer than it has to: the lane controller does not keep up."""


@dataclass(frozen=True, slots=True)
class Row:
    """One transition. `when` answers its cause, or None while it does not apply."""

    state: ScannerState
    to: ScannerState
    when: When


# --- the words of the table ------------------------------------------------------------------------------------------


def asked(what: Ask, cause: ScanCause, words: str) -> When:
    """Somebody asked for it in this step, and was allowed to."""
    return lambda v: Why(cause, words) if v.asked is what else None


def lost(codes: Iterable[ScanCause]) -> When:
    """One of these conditions is not met, or is not known to be."""
    codes = tuple(codes)

    def when(v: View) -> Why | None:
        first = first_unmet(v, codes)
        return None if first is None else Why(*first)

    return when


def told_off(code: ScanCause, name: str) -> When:
    """This contact has been read and is off; one that is not known says nothing yet."""
    return lambda v: Why(code, RULES[code](v)) if getattr(v.contacts, name) is False else None


def doubt(but: ScanCause | None = None) -> When:
    """This step's event has made something uncertain: inputs lost, a watchdog tripped, an output not as commanded."""
    return lambda v: v.doubt if v.doubt is not None and v.doubt.cause is not but else None


def after(limit: Callable[[ScannerTimes], float], cause: ScanCause, words: str) -> When:
    """It has been in this state for so long."""

    def when(v: View) -> Why | None:
        limit_s = limit(v.times)
        return Why(cause, f"{words} within {limit_s:g} s") if v.in_state_for(limit_s) else None

    return when


def on(test: Callable[[View], bool], cause: ScanCause, words: str) -> When:
    return lambda v: Why(cause, words) if test(v) else None


def lasting(since: Callable[[View], float | None], cause: ScanCause, words: str) -> When:
    """It has been so for longer than contacts may contradict each other."""

    def when(v: View) -> Why | None:
        since_s = since(v)
        if since_s is None or not v.reached(since_s + v.times.contradiction_s):
            return None
        return Why(cause, f"{words} for {v.times.contradiction_s:g} s")

    return when


def either(*whens: When) -> When:
    """The first of these that applies."""

    def when(v: View) -> Why | None:
        for one in whens:
            why = one(v)
            if why is not None:
                return why
        return None

    return when


def unmet_too_long(v: View) -> Why | None:
    if not v.in_state_for(v.times.check_s):
        return None
    missing = unmet(v)
    if not missing:
        return Why(C.LATE, "the lane controller was too slow to see every interlock twice")
    cause = missing[0] if set(missing) <= {C.LINK, C.STALE, C.OUTPUT} and not gone_bad(v) else C.INTERLOCKS
    return Why(cause, "; ".join(RULES[code](v) for code in missing))


def in_place(v: View) -> bool:
    scan = v.scan
    agreed = scan is not None and scan.driver_out and (scan.confirmed or not scan.needs_second)
    return agreed and v.contacts.vehicle_in_position is True and v.contacts.driver_clear is True and at_zone(v)


def warned_too_long(v: View) -> Why | None:
    if not v.in_state_for(v.times.warning_confirm_s + v.warning_s + SLOW_S):
        return None
    return Why(C.LATE, "the lane controller was too slow to end the warning in time")


def open_after_restart(v: View) -> Why | None:
    """The software was started in mid-scan, and the shutter has not been seen closed since."""
    limit_s = v.times.shutter_s
    known = v.contacts.shutter_closed is not None and v.contacts.shutter_open is not None
    if not v.m.interrupted or not known or v.shut or not v.in_state_for(limit_s):
        return None
    if not v.reached(max(v.changed_s("shutter_closed"), v.changed_s("shutter_open")) + limit_s):
        return None
    return Why(C.SHUTTER, "the shutter is not closed after a restart in mid-scan")


# --- groups of reasons -----------------------------------------------------------------------------------------------

abort = asked(Ask.ABORT, C.OPERATOR, "withdrawn by somebody")
no_use = either(lost((C.LANE, C.CONFIGURATION, C.LINK)), told_off(C.KEY, "key_enabled"))
"""No key, lane closed, configuration changed, link lost."""
out_of_use = either(doubt(but=C.OUTPUT), no_use)
ended_while_waiting = either(abort, doubt(), no_use, told_off(C.ESTOP, "estop_ok"), lost((C.EXPIRED, C.PASSAGE)))
contradiction = lasting(lambda v: v.contradiction_s, C.CONTRADICTION, "the shutter's contacts contradict each other")
unasked = lasting(lambda v: v.beam_s, C.UNASKED, "the shutter is open, or a scan goes on, without a request")
faulty = either(contradiction, unasked)
ended_early = lasting(lambda v: v.dark_s, C.ENDED_EARLY, "neither a beam nor a completed scan")
silenced = on(
    lambda v: v.m.warned_s is not None and v.contacts.warning_active is not True, C.WARNING, "the warning has stopped"
)
condition_lost = either(abort, doubt(), lost(CHAIN), silenced)
interlock_lost = either(abort, doubt(), lost(BEAM), contradiction)


def shut(v: View) -> bool:
    return v.shut


def reset(v: View) -> Why | None:
    """Somebody has reset it, and nothing has asked for another reset since."""
    return Why(C.RESET, "reset") if v.asked is Ask.RESET and not v.m.tripped else None


def begun(v: View) -> bool:
    return v.contacts.scan_in_progress is True or v.contacts.shutter_open is True


def twice(v: View) -> bool:
    """Every condition holds, and has held since a sample before."""
    return v.ripe and first_unmet(v, CHAIN) is None


def warned(v: View) -> bool:
    """The warning has been confirmed for long enough."""
    return v.ripe and v.contacts.warning_active is True


def unconfirmed(v: View) -> Why | None:
    confirm = after(lambda s: s.warning_confirm_s, C.WARNING, "the warning was not confirmed")
    return confirm(v) if v.m.warned_s is None else None


# --- the table -------------------------------------------------------------------------------------------------------

TABLE: tuple[Row, ...] = (
    Row(S.DISABLED, S.IDLE, asked(Ask.ENABLE, C.ENABLED, "enabled")),
    Row(S.DISABLED, S.FAULT, open_after_restart),  # ours: somebody has to hear of it
    #
    Row(S.IDLE, S.DISABLED, out_of_use),
    Row(S.IDLE, S.FAULT, faulty),
    Row(S.IDLE, S.ARMED, asked(Ask.ORDER, C.ORDERED, "ordered")),
    #
    Row(S.ARMED, S.CANCELLED, ended_while_waiting),
    Row(S.ARMED, S.FAULT, faulty),
    Row(S.ARMED, S.CANCELLED, after(lambda s: s.arm_s, C.NOT_THERE, "the vehicle was not at the scanner's zone")),
    Row(S.ARMED, S.POSITIONING, on(at_zone, C.AT_ZONE, "the vehicle is at the scanner's zone")),
    #
    Row(S.POSITIONING, S.CANCELLED, ended_while_waiting),
    Row(S.POSITIONING, S.FAULT, faulty),
    Row(S.POSITIONING, S.CANCELLED, after(lambda s: s.position_s, C.NOT_READY, "not in position with the driver out")),
    Row(S.POSITIONING, S.INTERLOCK_CHECK, on(in_place, C.DRIVER_OUT, "in position, the driver out and confirmed")),
    #
    Row(S.INTERLOCK_CHECK, S.CANCELLED, ended_while_waiting),
    Row(S.INTERLOCK_CHECK, S.FAULT, faulty),
    Row(S.INTERLOCK_CHECK, S.CANCELLED, unmet_too_long),
    Row(S.INTERLOCK_CHECK, S.WARNING, on(twice, C.INTERLOCKS, "every interlock is met, in two samples")),
    #
    Row(S.WARNING, S.CANCELLED, condition_lost),
    Row(S.WARNING, S.FAULT, unconfirmed),
    Row(S.WARNING, S.CANCELLED, warned_too_long),  # ours
    Row(S.WARNING, S.TRIGGERED, on(warned, C.WARNED, "the warning was given for as long as it has to be")),
    #
    Row(S.TRIGGERED, S.ABORTING, interlock_lost),
    Row(S.TRIGGERED, S.ABORTING, after(lambda s: s.start_s, C.NO_START, "the scan did not begin")),
    Row(S.TRIGGERED, S.SCANNING, on(begun, C.BEGUN, "the scan has begun")),
    #
    Row(S.SCANNING, S.ABORTING, interlock_lost),
    Row(S.SCANNING, S.ABORTING, after(lambda s: s.scan_s, C.TOO_LONG, "the scan was not complete")),
    Row(S.SCANNING, S.COMPLETING, on(lambda v: v.pulse, C.SCANNED, "the scan is complete")),
    Row(S.SCANNING, S.ABORTING, ended_early),  # ours: nothing is scanned, so nothing is requested
    #
    Row(S.COMPLETING, S.COMPLETE, on(shut, C.SHUT, "the shutter is closed")),
    Row(S.COMPLETING, S.FAULT, after(lambda s: s.shutter_s, C.SHUTTER, "the shutter was not closed")),
    #
    Row(S.ABORTING, S.ABORTED, on(shut, C.SHUT, "the shutter is closed")),
    Row(S.ABORTING, S.FAULT, after(lambda s: s.shutter_s, C.SHUTTER, "the shutter was not closed")),
    #
    Row(S.COMPLETE, S.IDLE, on(lambda v: True, C.RESULT, "the record is written")),
    Row(S.CANCELLED, S.IDLE, on(lambda v: True, C.RESULT, "the record is written")),
    Row(S.ABORTED, S.IDLE, reset),
    Row(S.ABORTED, S.IDLE, on(lambda v: not v.m.tripped, C.RESULT, "the record is written, and nobody has to reset")),
    Row(S.FAULT, S.DISABLED, asked(Ask.RESET, C.RESET, "reset")),
)
"""Every transition there is."""

LIMITS: dict[ScannerState, Callable[[ScannerTimes], float]] = {
    S.ARMED: lambda s: s.arm_s,
    S.POSITIONING: lambda s: s.position_s,
    S.INTERLOCK_CHECK: lambda s: s.check_s,
    S.TRIGGERED: lambda s: s.start_s,
    S.SCANNING: lambda s: s.scan_s,
    S.COMPLETING: lambda s: s.shutter_s,
    S.ABORTING: lambda s: s.shutter_s,
}
"""How long a state lasts at most, so that the lane wakes for it; WARNING has moments of its own."""


Rows = dict[ScannerState, tuple[Row, ...]]


def by_state(table: tuple[Row, ...]) -> Rows:
    return {state: tuple(row for row in table if row.state is state) for state in ScannerState}


ROWS = by_state(TABLE)


def transition(v: View, rows: Rows = ROWS) -> tuple[Row, Why] | None:
    """The row to be taken now, and why; None when the state stays."""
    for row in rows[v.state]:
        why = row.when(v)
        if why is not None:
            return row, why
    return None
