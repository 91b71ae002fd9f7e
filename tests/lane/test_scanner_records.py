"""What is told and kept of scans: records, counts, false aborts, alarms, and why it will not scan."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from scanner_bench import OFFICER, SCANNER_IO, SUPERVISOR, ScannerBench, setup

from lanecontrol.announcements import (
    AlarmEnded,
    AlarmKind,
    AlarmRaised,
    PassageClosed,
    PermissivesChanged,
    ScanEnd,
    ScannerChanged,
    ScannerFigures,
    Severity,
)
from lanecontrol.announcements import ScanCause as C
from lanecontrol.announcements import ScannerState as S
from lanecontrol.commands import DONE, Acknowledge, Disposition, EnableScanner
from lanecontrol.events import (
    DeviceChanged,
    DeviceState,
    InputsFresh,
    InputsLost,
    InputsStale,
    ModuleWatchdogTripped,
    Started,
)
from lanecontrol.forms import from_json, to_json
from lanecontrol.lane.state import LaneState

Do = Callable[[ScannerBench], object]


def completed() -> ScannerBench:
    b = ScannerBench()
    b.completing()
    b.shutter_closes()
    return b


# --- the record ------------------------------------------------------------------------------------------------------


def test_a_completed_scan_leaves_its_whole_record() -> None:
    b = completed()
    (record,) = b.records
    assert (record.end, record.cause, record.false_abort) == (ScanEnd.COMPLETED, C.SCANNED, False)
    assert (record.mode, record.maker, record.modality) == (
        "stationary_driver_out",
        "example",
        "gamma Cs-137, transmission",
    )
    assert record.passage == "31-000001" and record.reason == "gamma alarm"
    assert record.requested_utc_s is not None and record.begun_utc_s is not None
    assert record.ordered_utc_s < record.requested_utc_s <= record.begun_utc_s < record.ended_utc_s
    assert record.interlocks.zone_clear and record.interlocks.shutter_closed and record.interlocks.warning_active
    assert record.disposition is not None and record.disposition.disposition is Disposition.REFER_SCANNER
    assert (record.counts.ordered, record.counts.completed) == (1, 1)


def test_the_passage_s_own_record_says_how_its_scan_ended() -> None:
    b = completed()
    b.loop("exit", True)
    b.wait(1.0)
    b.loop("scanner", False)
    b.wait(2.0)
    b.loop("exit", False)
    b.wait(5.0)
    assert b.told(PassageClosed)[-1].scan is ScanEnd.COMPLETED


def test_a_cancelled_scan_lists_what_was_not_met() -> None:
    b = ScannerBench()
    b.checking()
    b.contact("zone_clear", False)
    b.wait(10.0)
    (record,) = b.records
    assert (record.end, record.cause) == (ScanEnd.CANCELLED, C.INTERLOCKS)
    assert set(record.unmet) == {C.BARRIER, C.ZONE}
    assert "barrier" in record.why and "zone" in record.why
    assert record.requested_utc_s is None and not record.false_abort


def test_an_aborted_scan_names_its_cause_and_not_what_came_after() -> None:
    b = ScannerBench()
    b.aborting()
    b.wait(0.6)
    b.contact("estop_ok", False)
    b.shutter_closes()
    (record,) = b.records
    assert (record.end, record.cause, record.unmet) == (ScanEnd.ABORTED, C.ZONE, (C.ZONE,))
    assert [(row.cause, row.count) for row in record.counts.by_cause] == [(C.ZONE, 1)]


@pytest.mark.parametrize("after_s", [0.0, 0.4])
def test_an_emergency_stop_is_the_cause_also_where_another_contact_fell_first(after_s: float) -> None:
    b = ScannerBench()
    b.scanning()
    b.contact("ready", False)
    assert b.scanner_state is S.ABORTING
    b.wait(after_s)
    b.contact("estop_ok", False)
    b.shutter_closes()
    (record,) = b.records
    assert (record.end, record.cause, record.unmet) == (ScanEnd.ABORTED, C.ESTOP, (C.ESTOP, C.READY))
    assert record.why == "an emergency stop is pressed; told first: the scanner is not ready"
    assert [(row.cause, row.count) for row in record.counts.by_cause] == [(C.ESTOP, 1)]
    assert b.scanner.tripped == "an emergency stop was pressed"


def test_an_abort_that_seemed_ours_is_no_false_one_when_an_emergency_stop_was_behind_it() -> None:
    b = ScannerBench()
    b.scanning()
    b.give(SCANNER_IO, InputsStale(0.3))
    assert b.scanner_state is S.ABORTING
    b.give(SCANNER_IO, InputsFresh())
    b.contact("estop_ok", False)
    b.shutter_closes()
    (record,) = b.records
    assert (record.cause, record.false_abort) == (C.ESTOP, False)


def test_after_a_reset_the_scanner_is_idle_because_of_it_and_of_whom() -> None:
    b = ScannerBench()
    b.aborting()
    b.shutter_closes()
    assert b.scanner_state is S.ABORTED
    b.contact("zone_clear", True)
    assert b.resets(SUPERVISOR) == DONE
    last = b.changes[-1]
    assert (last.state, last.cause, last.why, last.actor) == (S.IDLE, C.RESET, "reset", SUPERVISOR)


def test_a_scan_whose_shutter_stays_open_is_on_record_as_faulted() -> None:
    b = ScannerBench()
    b.fault()
    (record,) = b.records
    assert (record.end, record.cause, record.counts.faulted) == (ScanEnd.FAULTED, C.SHUTTER, 1)
    assert C.ZONE in record.unmet, "what the abort came from is kept"


@pytest.mark.parametrize(
    ("what", "false"),
    [
        (lambda b: b.give(SCANNER_IO, InputsStale(0.3)), True),
        (lambda b: b.give(SCANNER_IO, DeviceChanged(DeviceState.OFFLINE, "gone")), True),
        (lambda b: b.give(SCANNER_IO, ModuleWatchdogTripped()), True),
        (lambda b: b.give("lane", InputsLost(4)), True),
        (lambda b: b.contact("zone_clear", False), False),
        (lambda b: b.contact("estop_ok", False), False),
        (lambda b: b.aborts(), False),
    ],
    ids=["stale", "away", "watchdog", "inputs lost", "zone", "emergency stop", "somebody"],
)
def test_a_false_abort_is_one_without_any_contact_gone_bad(what: Do, false: bool) -> None:
    b = ScannerBench()
    b.warning()
    what(b)
    (record,) = b.records
    assert record.false_abort is false
    assert record.counts.false_aborts == int(false)


def test_staleness_with_a_contact_gone_bad_before_is_no_false_abort() -> None:
    b = ScannerBench()
    b.checking()
    b.give("lane", InputsLost(1))
    assert b.records[-1].false_abort, "what was lost is not known to be bad"
    b = ScannerBench()
    b.checking()
    b.give("io1", InputsStale(0.3))
    b.wait(10.0)
    assert not b.records[-1].false_abort


def test_the_counts_are_published_once_a_day() -> None:
    b = completed()
    b.wait(86_400.0)
    (figures,) = b.told(ScannerFigures)
    assert (figures.counts.ordered, figures.counts.completed) == (1, 1)
    b.wait(86_400.0)
    assert len(b.told(ScannerFigures)) == 2


def test_what_is_remembered_of_the_scanner_survives_a_checkpoint() -> None:
    b = ScannerBench(setup(two_persons=True))
    b.scanning()
    assert from_json(LaneState, to_json(b.state)) == b.state


# --- restart ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reach", ["armed", "positioning", "checking", "warning", "triggered", "scanning", "completing"]
)
def test_a_restart_in_mid_scan_withdraws_marks_the_passage_and_leaves_the_scanner_out_of_use(reach: str) -> None:
    b = ScannerBench()
    getattr(b, reach)()
    b.state = from_json(LaneState, to_json(b.state))
    b.outputs["scan_request"] = True
    b.give("lane", Started(False, "boot-2"))
    assert b.at(S.DISABLED) and not b.outputs["scan_request"] and not b.outputs["scan_arm"]
    (record,) = b.records
    assert (record.end, record.cause, record.counts.interrupted) == (ScanEnd.INTERRUPTED, C.STARTED, 1)
    (passage,) = [p for p in b.state.tracking.passages if p.id == record.passage]
    assert passage.scan is ScanEnd.INTERRUPTED and passage.scan.value == "scan_interrupted"
    b.wait(30.0)
    assert not b.outputs["scan_request"]


def test_a_fault_and_the_need_for_a_reset_outlast_a_restart() -> None:
    b = ScannerBench()
    b.fault()
    b.shutter_closes()
    b.give("lane", Started(False, "boot-2"))
    assert b.at(S.FAULT)
    b = ScannerBench()
    b.aborted()
    b.give("lane", Started(False, "boot-2"))
    assert b.at(S.DISABLED) and b.scanner.tripped
    for device in ("io1", SCANNER_IO):
        b.give(device, DeviceChanged(DeviceState.ONLINE, ""))
    b.contacts["zone_clear"] = True
    b.read_contacts()
    b.loop("scanner", False)
    b.wait(1.0)
    assert b.order(EnableScanner()) != DONE
    assert b.resets() == DONE
    assert b.order(EnableScanner()) == DONE


# --- alarms ----------------------------------------------------------------------------------------------------------


def test_a_shutter_that_does_not_close_is_a_critical_alarm_until_somebody_has_reset_it() -> None:
    b = ScannerBench()
    b.fault()
    (alarm,) = [raised for raised in b.told(AlarmRaised) if raised.device == SCANNER_IO]
    assert (alarm.kind, alarm.severity) == (AlarmKind.SCANNER_SHUTTER, Severity.CRITICAL)
    assert alarm.passages == ("31-000001",)
    assert b.order(Acknowledge(alarm.alarm)) == DONE
    b.shutter_closes()
    b.wait(60.0)
    assert alarm.alarm not in [ended.alarm for ended in b.told(AlarmEnded)], "acknowledged, and still so"
    assert b.resets() == DONE
    assert alarm.alarm in [ended.alarm for ended in b.told(AlarmEnded)]


def test_other_faults_are_alarms_too() -> None:
    b = ScannerBench()
    b.enabled()
    b.contact("shutter_closed", False)
    b.wait(1.0)
    (alarm,) = b.told(AlarmRaised)
    assert (alarm.kind, alarm.severity, alarm.passages) == (AlarmKind.SCANNER_FAULT, Severity.HIGH, ())


# --- why will it not scan? -------------------------------------------------------------------------------------------


def test_why_it_will_not_scan_is_told_step_by_step() -> None:
    b = ScannerBench(setup(two_persons=True))
    b.started()
    assert b.why == "the scanner has not been enabled"
    b.order(EnableScanner())
    assert b.why == "no scan has been ordered"
    b.wait(1.5)
    b.orders(b.at_booth())
    assert b.why == "the ordered vehicle is not in the scanner's zone"
    b.drives_in()
    assert b.why == "the vehicle is not in position"
    b.contact("vehicle_in_position", True)
    assert b.why == "a second person has not confirmed"
    b.contact("driver_clear", True)
    b.in_place()
    b.wait(0.0)
    assert b.why == "", "nothing stands in the way"


def test_the_chain_is_published_whole_with_the_first_blocking_one_named() -> None:
    b = ScannerBench()
    b.positioning()
    b.wait(2.0)
    told = b.told(PermissivesChanged)[-1]
    assert told.blocking == "the vehicle is not in position" == next(p.words for p in told.chain if not p.met)
    assert [p.code for p in told.chain if not p.met] == [C.POSITION, C.DRIVER_CLEAR, C.DRIVER_OUT]
    assert len(told.chain) > 20


def test_a_contact_that_chatters_does_not_flood_the_port() -> None:
    b = ScannerBench()
    b.positioning()
    told = len(b.told(PermissivesChanged))
    for number in range(200):
        b.contact("zone_clear", number % 2 == 0)
        b.wait(0.05)
    assert len(b.told(PermissivesChanged)) - told <= 12
    b.contact("zone_clear", True)
    b.wait(2.0)
    assert C.ZONE not in [p.code for p in b.told(PermissivesChanged)[-1].chain if not p.met], "the last word counts"


def test_every_transition_is_told_with_its_contacts_and_who_brought_it_about() -> None:
    b = ScannerBench()
    b.triggered()
    b.aborts(SUPERVISOR)
    changes = b.told(ScannerChanged)
    assert all(later.previous is earlier.state for earlier, later in pairwise(changes))
    by = {change.state: change.actor for change in changes}
    assert by[S.ARMED] == OFFICER and by[S.ABORTING] == SUPERVISOR and by[S.WARNING] is None
    assert changes[-1].contacts.estop_ok is True
