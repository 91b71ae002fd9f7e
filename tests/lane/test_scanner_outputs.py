"""What the scanner's outputs are told and when; what is said again; what is never performed any more."""

from __future__ import annotations

import dataclasses

import pytest
from scanner_bench import SCANNER_IO, ScannerBench, setup

from lanecontrol.announcements import ScanCause as C
from lanecontrol.announcements import ScannerState as S
from lanecontrol.commands import ClearWatchdog, Outcome, Result, WriteOutputs
from lanecontrol.events import (
    CommandEnded,
    DeviceChanged,
    DeviceState,
    InputsStale,
    ModuleWatchdogTripped,
    OutputsRead,
    Started,
)
from lanecontrol.lane import step as lane_step
from lanecontrol.lane.effects import Drive, Effect

ALL_OFF = {"scan_request": False, "scan_arm": False, "driver_go": False, "driver_stop": True}


def drives(effects: tuple[Effect, ...]) -> list[Drive]:
    return [e for e in effects if isinstance(e, Drive) and e.device == SCANNER_IO]


def levels(drive: Drive) -> dict[str, bool]:
    assert isinstance(drive.command, WriteOutputs)
    return dict(drive.command.points)


def withdrawals(effects: tuple[Effect, ...]) -> list[dict[str, bool]]:
    return [levels(d) for d in drives(effects) if not d.grants and isinstance(d.command, WriteOutputs)]


def test_at_the_start_and_at_every_connection_everything_is_withdrawn() -> None:
    b = ScannerBench()
    b.started()
    b.give(SCANNER_IO, DeviceChanged(DeviceState.ONLINE, "again"))
    assert withdrawals(b.last)[0].items() >= {"scan_request": False, "scan_arm": False}.items()
    fresh = ScannerBench()
    fresh.give("lane", Started(True, "boot-1"))
    assert withdrawals(fresh.last)[0].items() >= ALL_OFF.items()


@pytest.mark.parametrize(
    ("reach", "wanted"),
    [
        ("started", set()),
        ("enabled", set()),
        ("armed", {"scan_arm"}),
        ("positioning", {"scan_arm"}),
        ("checking", {"scan_arm"}),
        ("warning", {"scan_arm", "warning_request"}),
        ("triggered", {"scan_arm", "warning_request", "scan_request"}),
        ("scanning", {"scan_arm", "warning_request", "scan_request"}),
        ("completing", {"warning_request"}),
        ("aborting", {"warning_request", "abort"}),
        ("fault", {"warning_request", "abort"}),
        ("aborted", {"abort"}),
    ],
)
def test_what_each_state_wants_is_on_and_nothing_else(reach: str, wanted: set[str]) -> None:
    b = ScannerBench()
    getattr(b, reach)()
    b.wait(0.1)
    lights = {"driver_go", "driver_stop"}
    assert {name for name, on in b.outputs.items() if on and name in ALL_OFF | {"abort": 0, "warning_request": 0}} - (
        lights
    ) == wanted
    assert b.outputs["driver_go"] is not b.outputs["driver_stop"]


def test_the_driver_may_go_in_and_out_and_never_while_something_is_asked_of_the_scanner() -> None:
    b = ScannerBench()
    b.positioning()
    assert b.outputs["driver_go"]
    b.contact("vehicle_in_position", True)
    b.wait(0.0)
    assert b.outputs["driver_stop"] and not b.outputs["driver_go"]
    b.in_place()
    for _ in range(3):
        b.wait(0.3)
        assert not b.outputs["driver_go"]
    b.aborts()
    b.wait(0.1)
    assert b.outputs["driver_go"], "the scan is off, and the vehicle may leave"
    b.contact("shutter_open", True)
    assert not b.outputs["driver_go"]


# --- grants ----------------------------------------------------------------------------------------------------------


def test_the_request_waits_for_the_disk_and_is_dropped_when_something_was_lost_meanwhile() -> None:
    b = ScannerBench()
    b.warning()
    b.contact("warning_active", True)
    b.grants_wait = True
    b.wait(5.0)
    assert b.at(S.TRIGGERED) and not b.request
    (request,) = [drive for drive in b.held if levels(drive).get("scan_request")]
    assert request.grants and lane_step.still_granted(b.state, request.command_id)
    b.contact("zone_clear", False)
    assert not lane_step.still_granted(b.state, request.command_id)
    assert not b.perform(request) and not b.request


def test_a_request_for_an_earlier_scan_is_never_performed_in_a_later_one() -> None:
    b = ScannerBench()
    b.warning()
    b.contact("warning_active", True)
    b.grants_wait = True
    b.wait(5.0)
    stale = [drive for drive in b.held if levels(drive).get("scan_request")]
    b.aborts()
    b.grants_wait = False
    b.contact("warning_active", False)
    b.wait(1.0)
    b.orders("31-000001")
    b.in_place()
    b.wait(0.5)
    b.contact("warning_active", True)
    b.wait(5.0)
    assert b.at(S.TRIGGERED)
    assert not any(lane_step.still_granted(b.state, drive.command_id) for drive in stale)


def test_a_request_that_the_module_did_not_carry_out_ends_the_scan() -> None:
    b = ScannerBench()
    b.warning()
    b.contact("warning_active", True)
    b.grants_wait = True
    b.wait(5.0)
    request = b.held[-1]
    b.give(SCANNER_IO, CommandEnded(request.command_id, Outcome(Result.UNKNOWN, "timeout")))
    assert b.at(S.ABORTED) and b.records[-1].cause is C.OUTPUT and b.records[-1].false_abort
    assert b.scanner.unshown == (SCANNER_IO,)


def test_a_light_that_could_not_be_set_is_set_later_and_disables_nothing() -> None:
    b = ScannerBench()
    b.enabled()
    b.contact("shutter_open", True)
    b.answer_commands()
    b.grants_wait = True
    b.contact("shutter_open", False)
    b.answer_commands()
    b.give(SCANNER_IO, CommandEnded(b.held[-1].command_id, Outcome(Result.FAILED, "busy")))
    assert b.at(S.IDLE)
    b.grants_wait = False
    b.wait(2.0)
    assert b.outputs["driver_go"]


# --- withdrawals -----------------------------------------------------------------------------------------------------


def test_what_withdraws_is_the_first_effect_of_its_step() -> None:
    b = ScannerBench()
    b.scanning()
    b.contact("zone_clear", False)
    first = b.last[0]
    assert isinstance(first, Drive) and not first.grants
    assert levels(first)["scan_request"] is False
    assert b.last[0] is not b.last[-1]


def test_what_withdraws_is_said_again_until_the_module_has_shown_it() -> None:
    b = ScannerBench()
    b.scanning()
    b.wait(0.1)
    b.carries_out = False
    b.contact("zone_clear", False)
    for _ in range(5):
        command = drives(b.last)[0]
        b.give(SCANNER_IO, CommandEnded(command.command_id, Outcome(Result.UNKNOWN, "timeout")))
        assert b.scanner.unshown == (SCANNER_IO,)
        told = len(b.effects)
        b.wait(5.0)
        again = [e for e in b.effects[told:] if isinstance(e, Drive) and e.device == SCANNER_IO]
        assert again and levels(again[0])["scan_request"] is False
        b.last = (again[-1],)
    b.carries_out = True
    for sent in b.scanner.sent:
        b.give(SCANNER_IO, CommandEnded(sent.command, Outcome(Result.DONE)))
    assert b.scanner.unshown == ()
    told = len(b.effects)
    b.wait(20.0)
    assert not [e for e in b.effects[told:] if isinstance(e, Drive) and not e.grants and e.device == SCANNER_IO]


def test_a_command_that_never_comes_back_is_not_waited_for() -> None:
    b = ScannerBench()
    b.scanning()
    b.wait(0.1)
    b.carries_out = False
    b.contact("zone_clear", False)
    told = len(b.effects)
    b.wait(2.0)
    assert [e for e in b.effects[told:] if isinstance(e, Drive) and levels(e).get("scan_request") is False]


def test_a_request_that_is_on_and_should_not_be_is_taken_back_at_once() -> None:
    b = ScannerBench()
    b.enabled()
    b.wait(1.0)
    b.give(SCANNER_IO, OutputsRead((("scan_request", True), ("scan_arm", False))))
    assert withdrawals(b.last)[0]["scan_request"] is False
    assert b.at(S.DISABLED) and b.changes[-1].cause is C.READBACK


def test_a_request_that_has_dropped_by_itself_is_not_asked_for_again() -> None:
    b = ScannerBench()
    b.scanning()
    b.wait(0.1)
    b.give(SCANNER_IO, OutputsRead((("scan_request", False), ("scan_arm", True))))
    assert b.at(S.ABORTING) and b.scanner.scan is not None and b.scanner.scan.cause is C.READBACK
    b.wait(60.0)
    assert not b.request


def test_what_a_module_shows_while_a_write_is_under_way_says_nothing() -> None:
    b = ScannerBench()
    b.triggered()
    b.give(SCANNER_IO, OutputsRead((("scan_request", False),)))
    assert b.at(S.TRIGGERED) or b.records


def test_after_a_watchdog_the_registers_are_cleared_before_and_after_its_flag() -> None:
    """Clearing the flag must not bring a request back that the module had dropped by itself."""
    b = ScannerBench()
    b.scanning()
    b.give(SCANNER_IO, ModuleWatchdogTripped())
    commands = [d.command for d in drives(b.last)]
    flag = next(i for i, command in enumerate(commands) if isinstance(command, ClearWatchdog))
    before = [c for c in commands[:flag] if isinstance(c, WriteOutputs)]
    after = [c for c in commands[flag:] if isinstance(c, WriteOutputs)]
    assert before and after
    for command in (*before, *after):
        assert dict(command.points)["scan_request"] is False
    assert b.at(S.ABORTING) or b.at(S.DISABLED)


def test_a_module_that_is_away_is_withdrawn_from_when_it_comes_back_and_not_at_every_attempt() -> None:
    b = ScannerBench()
    b.scanning()
    b.wait(0.1)
    b.carries_out = False
    b.give(SCANNER_IO, DeviceChanged(DeviceState.OFFLINE, "gone"))
    assert withdrawals(b.last)
    b.wait(10.0)
    b.give(SCANNER_IO, DeviceChanged(DeviceState.CONNECTING, "again"))
    b.give(SCANNER_IO, DeviceChanged(DeviceState.OFFLINE, "refused"))
    assert not withdrawals(b.last)
    b.give(SCANNER_IO, DeviceChanged(DeviceState.ONLINE, "back"))
    assert withdrawals(b.last)[0]["scan_request"] is False


def test_the_scanner_s_module_is_none_of_the_booth_s_business() -> None:
    b = ScannerBench()
    b.enabled()
    assert SCANNER_IO not in b.state.plan.trusted
    b.at_booth()
    b.give(SCANNER_IO, DeviceChanged(DeviceState.OFFLINE, "gone"))
    b.drives_in()
    assert b.setup.scanner is not None


def test_stale_inputs_in_use_disable_nothing_and_scan_nothing() -> None:
    b = ScannerBench()
    b.enabled()
    b.give(SCANNER_IO, InputsStale(0.3))
    assert b.at(S.IDLE) and "stale" in b.why


def test_a_lane_without_a_scanner_keeps_nothing_of_one() -> None:
    b = ScannerBench(dataclasses.replace(setup(), scanner=None))
    assert b.state.scanner is None and b.state.plan.scanner == ()
