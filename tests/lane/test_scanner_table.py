"""Every row of the scanner's table and every time-out, through the whole lane.

`ROWS` has one case for each row of `scanner.table.TABLE`, in its order; a test holds the two against each other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from scanner_bench import OFFICER, SCANNER_IO, SUPERVISOR, ScannerBench, refused, setup

from lanecontrol.announcements import ScanCause as C
from lanecontrol.announcements import ScanEnd, ScannerContacts
from lanecontrol.announcements import ScannerState as S
from lanecontrol.commands import (
    DONE,
    AbortScan,
    CloseLane,
    ConfirmDriverOut,
    DeclareEmergency,
    EnableEquipment,
    EnableScanner,
)
from lanecontrol.events import (
    CentralChanged,
    DeviceChanged,
    DeviceState,
    InputChanged,
    InputsLost,
    InputsStale,
    ModuleWatchdogTripped,
    OutputsRead,
    Started,
    Stopping,
    StoreChanged,
)
from lanecontrol.lane.scanner.table import TABLE
from lanecontrol.lane.scanner.view import NAMES
from lanecontrol.lane.setup import ScannerInputs, ScannerTimes

Do = Callable[[ScannerBench], object]


def bench(*, two_persons: bool = False) -> ScannerBench:
    return ScannerBench(setup(two_persons=two_persons))


def contact(name: str, on: bool) -> Do:
    return lambda b: b.contact(name, on)


def waits(duration_s: float) -> Do:
    return lambda b: b.wait(duration_s)


def then(*steps: Do) -> Do:
    def do(b: ScannerBench) -> None:
        for step in steps:
            step(b)

    return do


def closes(b: ScannerBench) -> None:
    b.shutter_closes()


def resets(b: ScannerBench) -> None:
    b.resets()


def stuck_shutter(b: ScannerBench) -> None:
    b.contact("shutter_closed", False)
    b.wait(1.0)


def unasked_beam(b: ScannerBench) -> None:
    b.contact("scan_in_progress", True)
    b.wait(1.0)


def restarted_in_beam(b: ScannerBench) -> None:
    b.scanning()
    b.give("lane", Started(False, "boot-1"))
    for device in ("io1", SCANNER_IO):
        b.give(device, DeviceChanged(DeviceState.ONLINE, "back"))
    b.read_contacts()


def silent(b: ScannerBench) -> None:
    """The scan ends without a word: shutter closed, nothing in progress, nothing complete."""
    b.shutter_closes()
    b.wait(1.0)


def slow_warning(b: ScannerBench) -> None:
    """Every tick comes late."""
    b.contact("warning_active", True)
    for _ in range(30):
        b.now_s += 0.9
        b.give("lane", InputChanged("nothing", True))
        b.wait(0.0)


@dataclasses.dataclass(frozen=True)
class Case:
    """In a state, somebody does something, and the lane is in another one, for this cause."""

    state: S
    to: S
    reach: Do
    do: Do
    cause: C
    via: S | None = None
    """Where it has gone on to by the end of the step, when that is not `to`."""


ROWS: tuple[Case, ...] = (
    Case(S.DISABLED, S.IDLE, lambda b: b.started(), lambda b: b.order(EnableScanner()), C.ENABLED),
    Case(S.DISABLED, S.FAULT, restarted_in_beam, waits(3.0), C.SHUTTER),
    #
    Case(S.IDLE, S.DISABLED, lambda b: b.enabled(), contact("key_enabled", False), C.KEY),
    Case(S.IDLE, S.FAULT, lambda b: b.enabled(), stuck_shutter, C.CONTRADICTION),
    Case(S.IDLE, S.ARMED, lambda b: (b.enabled(), b.at_booth()), lambda b: b.orders("31-000001"), C.ORDERED),
    #
    Case(S.ARMED, S.CANCELLED, lambda b: b.armed(), contact("estop_ok", False), C.ESTOP),
    Case(S.ARMED, S.FAULT, lambda b: b.armed(), stuck_shutter, C.CONTRADICTION),
    Case(S.ARMED, S.CANCELLED, lambda b: b.armed(), waits(120.0), C.NOT_THERE),
    Case(S.ARMED, S.POSITIONING, lambda b: b.armed(), lambda b: b.drives_in(), C.AT_ZONE),
    #
    Case(S.POSITIONING, S.CANCELLED, lambda b: b.positioning(), contact("key_enabled", False), C.KEY),
    Case(S.POSITIONING, S.FAULT, lambda b: b.positioning(), unasked_beam, C.UNASKED),
    Case(S.POSITIONING, S.CANCELLED, lambda b: b.positioning(), waits(90.0), C.NOT_READY),
    Case(S.POSITIONING, S.INTERLOCK_CHECK, lambda b: b.positioning(), lambda b: b.in_place(), C.DRIVER_OUT),
    #
    Case(S.INTERLOCK_CHECK, S.CANCELLED, lambda b: b.checking(), contact("estop_ok", False), C.ESTOP),
    Case(S.INTERLOCK_CHECK, S.FAULT, lambda b: b.checking(), stuck_shutter, C.CONTRADICTION),
    Case(S.INTERLOCK_CHECK, S.CANCELLED, lambda b: b.checking(), waits(10.0), C.INTERLOCKS),
    Case(
        S.INTERLOCK_CHECK,
        S.WARNING,
        lambda b: b.checking(),
        then(contact("barrier_closed", True), waits(0.3)),
        C.INTERLOCKS,
    ),
    #
    Case(S.WARNING, S.CANCELLED, lambda b: b.warning(), contact("ready", False), C.READY),
    Case(S.WARNING, S.FAULT, lambda b: b.warning(), waits(2.0), C.WARNING),
    Case(S.WARNING, S.CANCELLED, lambda b: b.warning(), slow_warning, C.LATE),
    Case(
        S.WARNING,
        S.TRIGGERED,
        lambda b: b.warning(),
        then(contact("warning_active", True), waits(5.0)),
        C.WARNED,
    ),
    #
    Case(S.TRIGGERED, S.ABORTING, lambda b: b.triggered(), contact("zone_clear", False), C.ZONE, S.ABORTED),
    Case(S.TRIGGERED, S.ABORTING, lambda b: b.triggered(), waits(5.0), C.NO_START, S.IDLE),
    Case(S.TRIGGERED, S.SCANNING, lambda b: b.triggered(), contact("shutter_open", True), C.BEGUN),
    #
    Case(S.SCANNING, S.ABORTING, lambda b: b.scanning(), contact("estop_ok", False), C.ESTOP),
    Case(S.SCANNING, S.ABORTING, lambda b: b.scanning(), waits(119.0), C.TOO_LONG),
    Case(S.SCANNING, S.COMPLETING, lambda b: b.scanning(), contact("scan_complete", True), C.SCANNED),
    Case(S.SCANNING, S.ABORTING, lambda b: b.scanning(), silent, C.ENDED_EARLY, S.IDLE),
    #
    Case(S.COMPLETING, S.COMPLETE, lambda b: b.completing(), lambda b: b.shutter_closes(), C.SHUT, S.IDLE),
    Case(S.COMPLETING, S.FAULT, lambda b: b.completing(), waits(3.0), C.SHUTTER),
    #
    Case(S.ABORTING, S.ABORTED, lambda b: b.aborting(), lambda b: b.shutter_closes(), C.SHUT),
    Case(S.ABORTING, S.FAULT, lambda b: b.aborting(), waits(3.0), C.SHUTTER),
    #
    Case(S.COMPLETE, S.IDLE, lambda b: b.completing(), lambda b: b.shutter_closes(), C.RESULT),
    Case(S.CANCELLED, S.IDLE, lambda b: b.armed(), lambda b: b.aborts(), C.RESULT),
    Case(
        S.ABORTED,
        S.IDLE,
        lambda b: b.aborted(),
        then(contact("zone_clear", True), resets),
        C.RESET,
    ),
    Case(S.ABORTED, S.IDLE, then(lambda b: b.scanning(), lambda b: b.aborts()), lambda b: b.shutter_closes(), C.RESULT),
    Case(
        S.FAULT,
        S.DISABLED,
        lambda b: b.fault(),
        then(closes, waits(1.5), resets),
        C.RESET,
    ),
)


def name_of(case: Case) -> str:
    return f"{case.state.value} to {case.to.value} by {case.cause.value}"


@pytest.mark.parametrize("case", ROWS, ids=name_of)
def test_a_row_of_the_table(case: Case) -> None:
    b = bench()
    case.reach(b)
    told = len(b.changes)
    case.do(b)
    b.wait(0.0)
    row = next((c for c in b.changes[told:] if c.previous is case.state and c.state is case.to), None)
    assert row is not None, [(c.previous.value, c.state.value, c.cause.value) for c in b.changes]
    assert row.cause is case.cause and row.why
    assert b.at(case.via or (S.IDLE if case.to is S.CANCELLED else case.to)) or case.cause is C.KEY
    assert b.request is (b.scanner_state in (S.TRIGGERED, S.SCANNING))


def test_there_is_a_case_for_every_row_in_the_order_of_the_table() -> None:
    assert [(case.state, case.to) for case in ROWS] == [(row.state, row.to) for row in TABLE]


# --- time-outs: not a moment before, and as the lane file says ------------------------------------------------------

LIMITS: tuple[tuple[str, Do, S, float], ...] = (
    ("arm_s", lambda b: b.armed(), S.ARMED, 7.0),
    ("position_s", lambda b: b.armed(), S.POSITIONING, 7.0),
    ("check_s", lambda b: b.positioning(), S.INTERLOCK_CHECK, 7.0),
    ("warning_confirm_s", lambda b: b.warning(), S.WARNING, 1.5),
    ("warning_s", then(lambda b: b.warning(), contact("warning_active", True)), S.WARNING, 8.0),
    ("start_s", lambda b: b.triggered(), S.TRIGGERED, 3.0),
    ("scan_s", lambda b: b.scanning(), S.SCANNING, 9.0),
    ("shutter_s", lambda b: b.completing(), S.COMPLETING, 1.5),
    ("shutter_s", lambda b: b.aborting(), S.ABORTING, 1.5),
)


@pytest.mark.parametrize(("field", "reach", "state", "limit_s"), LIMITS, ids=lambda value: str(value)[:24])
def test_a_time_out_is_the_one_of_the_lane_file_to_the_moment(field: str, reach: Do, state: S, limit_s: float) -> None:
    b = ScannerBench(setup(times=dataclasses.replace(ScannerTimes(), **{field: limit_s})))
    reach(b)
    if state is S.POSITIONING:
        b.drives_in()
    if state is S.INTERLOCK_CHECK:
        b.contact("barrier_closed", False)
        b.in_place()
    assert b.at(state)
    left_s = b.scanner.since_s + limit_s - b.now_s
    if state is S.WARNING and field == "warning_s":
        left_s = limit_s
    b.wait(left_s - 0.01)
    assert b.at(state)
    b.wait(0.02)
    assert not b.at(state)


def test_no_setting_makes_the_warning_shorter_than_5_s() -> None:
    b = ScannerBench(setup(times=dataclasses.replace(ScannerTimes(), warning_s=1.0)))
    b.warning()
    b.contact("warning_active", True)
    b.wait(4.99)
    assert b.at(S.WARNING)
    b.wait(0.02)
    assert b.at(S.TRIGGERED)


# --- every condition, wherever it counts -----------------------------------------------------------------------------

LOSSES: dict[str, tuple[Do, C]] = {
    "not ready": (contact("ready", False), C.READY),
    "key off": (contact("key_enabled", False), C.KEY),
    "fault": (contact("fault", True), C.FAULT),
    "emergency stop": (contact("estop_ok", False), C.ESTOP),
    "zone entered": (contact("zone_clear", False), C.ZONE),
    "barrier opened": (contact("barrier_closed", False), C.BARRIER),
    "moved": (contact("vehicle_in_position", False), C.POSITION),
    "driver back": (contact("driver_clear", False), C.DRIVER_CLEAR),
    "warning stopped": (contact("warning_active", False), C.WARNING),
    "stale": (lambda b: b.give(SCANNER_IO, InputsStale(0.3)), C.STALE),
    "loops stale": (lambda b: b.give("io1", InputsStale(0.3)), C.AT_ZONE),
    "module away": (lambda b: b.give(SCANNER_IO, DeviceChanged(DeviceState.OFFLINE, "gone")), C.LINK),
    "module came anew": (lambda b: b.give(SCANNER_IO, DeviceChanged(DeviceState.ONLINE, "again")), C.LINK),
    "watchdog": (lambda b: b.give(SCANNER_IO, ModuleWatchdogTripped()), C.WATCHDOG),
    "inputs lost": (lambda b: b.give("lane", InputsLost(1)), C.INPUTS_LOST),
    "request not shown": (lambda b: b.give(SCANNER_IO, OutputsRead((("warning_request", False),))), C.READBACK),
    "vehicle gone": (lambda b: b.loop("scanner", False), C.AT_ZONE),
    "store": (lambda b: b.give("lane", StoreChanged(False, "full")), C.LANE),
    "stopping": (lambda b: b.give("lane", Stopping("SIGTERM")), C.LANE),
    "lane closing": (lambda b: b.order(CloseLane("end of shift")), C.LANE),
    "emergency": (lambda b: b.order(DeclareEmergency("fire")), C.LANE),
    "somebody": (lambda b: b.aborts(), C.OPERATOR),
}


@pytest.mark.parametrize("what", LOSSES)
@pytest.mark.parametrize("state", [S.WARNING, S.TRIGGERED, S.SCANNING])
def test_whatever_is_lost_takes_the_request_back_in_the_same_step(state: S, what: str) -> None:
    b = bench()
    if state is S.WARNING:
        b.warning()
        b.contact("warning_active", True)
        b.wait(1.0)
    elif state is S.TRIGGERED:
        b.triggered()
    else:
        b.scanning()
    b.wait(0.0)
    told = len(b.changes)
    do, cause = LOSSES[what]
    do(b)
    row = b.changes[told]
    assert row.previous is state
    assert row.state is (S.CANCELLED if state is S.WARNING else S.ABORTING)
    assert row.cause is cause
    assert not b.request and not b.outputs["scan_arm"]
    b.wait(30.0)
    assert not b.request, "tried again by itself"
    assert b.records and b.records[-1].end in (ScanEnd.CANCELLED, ScanEnd.ABORTED, ScanEnd.FAULTED)


def test_another_vehicle_in_the_zone_takes_the_request_back() -> None:
    b = bench()
    b.scanning()
    b.at_booth()
    assert b.request
    b.loop("scanner", False)
    assert not b.request


@pytest.mark.parametrize("name", [n for n in LOSSES if LOSSES[n][1] in (C.READY, C.FAULT, C.ZONE, C.BARRIER)])
def test_the_check_waits_for_an_interlock_and_begins_its_samples_anew(name: str) -> None:
    b = bench()
    b.checking()
    b.contact("barrier_closed", True)
    b.wait(0.2)
    do, _ = LOSSES[name]
    do(b)
    b.wait(0.2)
    assert b.at(S.INTERLOCK_CHECK)
    for contact_name, on in (("ready", True), ("fault", False), ("zone_clear", True), ("barrier_closed", True)):
        b.contact(contact_name, on)
    b.wait(0.29)
    assert b.at(S.INTERLOCK_CHECK)
    b.wait(0.02)
    assert b.at(S.WARNING)


def test_a_warning_contact_that_was_on_before_confirms_nothing() -> None:
    b = bench()
    b.checking()
    b.contact("warning_active", True)
    b.wait(0.5)
    b.contact("barrier_closed", True)
    b.wait(0.3)
    assert b.at(S.WARNING)
    b.wait(2.0)
    assert b.at(S.FAULT) and not b.request


def test_a_late_clock_hears_what_waits_before_it_triggers() -> None:
    """The loop stood still over the end of the warning, and behind the tick an interlock's edge is waiting."""
    b = bench()
    b.warning()
    b.contact("warning_active", True)
    b.now_s += 6.0
    b.wait(0.0)
    assert b.at(S.WARNING)
    b.contact("zone_clear", False)
    assert b.at(S.IDLE) and not b.request


def test_an_emergency_stop_anywhere_asks_for_a_reset_and_then_a_new_order() -> None:
    b = bench()
    b.warning()
    b.contact("estop_ok", False)
    b.contact("estop_ok", True)
    b.wait(1.5)
    assert b.at(S.IDLE)
    assert "reset" in refused(b.orders("31-000001"))
    assert b.resets() == DONE
    b.wait(60.0)
    assert b.at(S.IDLE) and not b.request, "a reset does not bring an order back"
    assert b.orders("31-000001") == DONE


def test_a_scan_that_was_aborted_for_no_interlock_needs_no_reset() -> None:
    b = bench()
    b.triggered()
    b.aborts()
    assert b.at(S.IDLE)
    assert b.orders("31-000001") == DONE


def test_a_reset_waits_until_nothing_is_wrong() -> None:
    b = bench()
    b.fault()
    assert "shutter" in refused(b.resets())
    b.shutter_closes()
    b.contact("estop_ok", False)
    assert "emergency stop" in refused(b.resets(SUPERVISOR))
    b.contact("estop_ok", True)
    assert b.resets() == DONE and b.at(S.DISABLED)
    b.wait(0.1)
    assert b.order(EnableScanner()) == DONE


def test_a_fault_never_clears_itself() -> None:
    b = bench()
    b.fault()
    b.shutter_closes()
    b.wait(3600.0)
    assert b.at(S.FAULT)


@pytest.mark.parametrize(
    "state", [S.IDLE, S.ARMED, S.POSITIONING, S.INTERLOCK_CHECK, S.WARNING, S.TRIGGERED, S.COMPLETING]
)
def test_a_late_or_repeated_end_of_scan_changes_nothing(state: S) -> None:
    b = bench()
    reach: dict[S, Do] = {
        S.IDLE: lambda b: b.enabled(),
        S.ARMED: lambda b: b.armed(),
        S.POSITIONING: lambda b: b.positioning(),
        S.INTERLOCK_CHECK: lambda b: b.checking(),
        S.WARNING: lambda b: b.warning(),
        S.TRIGGERED: lambda b: b.triggered(),
        S.COMPLETING: lambda b: b.completing(),
    }
    reach[state](b)
    b.wait(0.0)
    b.contact("scan_complete", False)
    before, told, outputs = b.scanner, len(b.changes), dict(b.outputs)
    b.contact("scan_complete", True)
    assert b.at(state) and len(b.changes) == told and b.outputs == outputs
    assert b.scanner.scan == before.scan
    assert b.scanner.counts.stray_completes == before.counts.stray_completes + 1


def test_a_changed_configuration_waits_for_a_supervisor() -> None:
    b = ScannerBench(dataclasses.replace(setup(equipment_hash="new"), simulated=False))
    b.started()
    assert refused(b.order(EnableScanner()))
    assert b.order(EnableEquipment(), SUPERVISOR) == DONE
    b.wait(1.0)
    assert b.order(EnableScanner()) == DONE
    b.setup = dataclasses.replace(b.setup, equipment_hash="newer")
    b.give("port", InputChanged("nothing", True))
    b.loop("exit", True)
    assert b.at(S.DISABLED) and "supervisor" in b.why


def test_without_a_loop_in_its_zone_the_vehicle_at_the_booth_is_scanned() -> None:
    b = ScannerBench(setup(loops=("approach", "booth", "exit")))
    b.enabled()
    passage = b.at_booth()
    assert b.orders(passage) == DONE
    assert b.at(S.POSITIONING)
    b.in_place()
    b.wait(0.3)
    b.contact("warning_active", True)
    b.wait(5.0)
    assert b.at(S.TRIGGERED)
    b.loop("booth", False)
    assert not b.request


def test_the_loss_of_the_port_starts_nothing_and_withdraws_nothing() -> None:
    b = bench()
    b.scanning()
    b.give("lane", CentralChanged(False, "link"))
    b.wait(5.0)
    assert b.request and b.at(S.SCANNING)
    b.give("lane", CentralChanged(True, ""))
    assert b.at(S.SCANNING)


def test_the_officers_word_is_void_when_the_driver_comes_back() -> None:
    b = bench()
    key = b.checking()
    b.contact("driver_clear", False)
    b.contact("driver_clear", True)
    b.contact("barrier_closed", True)
    b.wait(3.0)
    assert b.at(S.INTERLOCK_CHECK) and "confirmed" in b.why
    assert b.order(ConfirmDriverOut(key), OFFICER) == DONE
    b.wait(0.4)
    assert b.at(S.WARNING)


def test_aborting_is_open_to_anybody_and_is_done_also_with_nothing_to_abort() -> None:
    b = bench()
    b.started()
    assert b.order(AbortScan("in doubt")) == DONE


def test_the_contacts_have_one_order_everywhere() -> None:
    """The plan's places, the snapshot and the lane file's fields are put together by their order."""
    inputs = tuple(part.name for part in dataclasses.fields(ScannerInputs))
    contacts = tuple(part.name for part in dataclasses.fields(ScannerContacts))
    assert inputs == contacts == NAMES
    b = bench()
    assert tuple(b.state.plan.points[place] for place in b.state.plan.scanner) == tuple((SCANNER_IO, n) for n in NAMES)
