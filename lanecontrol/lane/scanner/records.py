"""What is left of a scan: its record, the counts, the mark on its passage, and the alarms of the scanner itself.

Called by `scanner.machine` when a scan ends and when the state FAULT begins or ends.
"""

from __future__ import annotations

from lanecontrol.announcements import (
    AlarmKind,
    CauseCount,
    ScanCause,
    ScanCounts,
    ScanEnd,
    ScannedPlate,
    ScanOperator,
    ScanPart,
    ScanRecorded,
    Severity,
)
from lanecontrol.lane import alarms, assembly
from lanecontrol.lane.record import replace
from lanecontrol.lane.scanner.conditions import TECHNICAL, gone_bad, unmet
from lanecontrol.lane.scanner.view import View, Why, known_contacts
from lanecontrol.lane.scanner_state import Scan
from lanecontrol.lane.setup import Scanner
from lanecontrol.lane.turn import Turn

MODE = "stationary_driver_out"
"""The only mode there is."""


# --- the record ------------------------------------------------------------------------------------------------------


def noted(v: View, scan: Scan, why: Why) -> Scan:
    """The scan with why it is ending, what was not met then, and whether that was any fault of the scanner's."""
    false = why.cause in TECHNICAL and not gone_bad(v)
    return replace(scan, cause=why.cause, why=why.words, unmet=unmet(v), false_abort=false)


def write(t: Turn, scanner: Scanner | None, scan: Scan, end: ScanEnd, why: Why) -> None:
    """Write the record of a scan that has ended, once; mark its passage; count it."""
    m = t.scanner
    if m is None:
        return
    counts = _counted(m.counts, end, why.cause, false=scan.false_abort)
    t.scanner = replace(m, scan=None, counts=counts)
    passage = t.passage(scan.passage)
    plates = assembly.bound(t, passage)[1] if passage is not None else ()
    pictures = assembly.pictured(t, passage) if passage is not None else ()
    if passage is not None:
        passage = t.put(replace(passage, scan=end))
    t.tell(
        ScanRecorded(
            scan=scan.key,
            passage=scan.passage,
            mode=MODE,
            maker=scanner.maker if scanner is not None else "",
            model=scanner.model if scanner is not None else "",
            serial=scanner.serial if scanner is not None else "",
            modality=scanner.modality if scanner is not None else "",
            end=end,
            cause=why.cause,
            why=why.words,
            false_abort=scan.false_abort,
            reason=scan.reason,
            ordered_utc_s=scan.ordered_utc_s,
            requested_utc_s=scan.requested_utc_s,
            begun_utc_s=scan.begun_utc_s,
            ended_utc_s=t.utc_s,
            operators=scan.operators,
            interlocks=scan.interlocks if scan.interlocks is not None else known_contacts(t),
            unmet=scan.unmet,
            plates=tuple(ScannedPlate(p.text, p.role, p.confidence, p.jurisdiction) for p in plates),
            occupancies=passage.occupancies if passage is not None else (),
            pictures=pictures,
            disposition=passage.disposition if passage is not None else None,
            counts=counts,
        )
    )


def with_operator(t: Turn, scan: Scan, part: ScanPart, v: View) -> Scan:
    """The scan with who did this about it, where somebody did."""
    if v.actor is None:
        return scan
    return replace(scan, operators=(*scan.operators, ScanOperator(part, v.actor, t.utc_s))[-8:])


def _counted(counts: ScanCounts, end: ScanEnd, cause: ScanCause, *, false: bool) -> ScanCounts:
    def plus(which: ScanEnd, count: int) -> int:
        return count + (end is which)

    by_cause = counts.by_cause if end is ScanEnd.COMPLETED else _one_more(counts.by_cause, cause)
    return ScanCounts(
        ordered=counts.ordered,
        completed=plus(ScanEnd.COMPLETED, counts.completed),
        aborted=plus(ScanEnd.ABORTED, counts.aborted),
        cancelled=plus(ScanEnd.CANCELLED, counts.cancelled),
        faulted=plus(ScanEnd.FAULTED, counts.faulted),
        interrupted=plus(ScanEnd.INTERRUPTED, counts.interrupted),
        false_aborts=counts.false_aborts + false,
        stray_completes=counts.stray_completes,
        by_cause=by_cause,
    )


def _one_more(rows: tuple[CauseCount, ...], cause: ScanCause) -> tuple[CauseCount, ...]:
    found = next((row.count for row in rows if row.cause is cause), 0)
    return (*(row for row in rows if row.cause is not cause), CauseCount(cause, found + 1))


# --- alarms ----------------------------------------------------------------------------------------------------------


def raise_alarm(t: Turn, passage: str, why: Why) -> None:
    """The scanner is in fault. The alarm lasts until somebody has reset it, however it is acknowledged."""
    m = t.scanner
    if m is None or m.alarm:
        return
    shutter = why.cause is ScanCause.SHUTTER
    kind = AlarmKind.SCANNER_SHUTTER if shutter else AlarmKind.SCANNER_FAULT
    severity = Severity.CRITICAL if shutter else Severity.HIGH
    device = t.plan.scanner_modules[0] if t.plan.scanner_modules else ""
    cause = f"scanner/{why.cause.value}"
    alarms.raise_alarm(t, kind, device, (passage,) if passage else (), cause=cause, severity=severity)
    t.scanner = replace(m, alarm=cause)


def end_alarm(t: Turn) -> None:
    m = t.scanner
    if m is not None and m.alarm:
        t.scanner = replace(m, alarm="")
        alarms.cause_over(t, m.alarm)
