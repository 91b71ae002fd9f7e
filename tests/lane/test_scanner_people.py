"""Who may ask what of the scanner, and what of it is refused, with the reason."""

from __future__ import annotations

import dataclasses

import pytest
from scanner_bench import (
    CENTRAL,
    OFFICER,
    SECOND,
    SUPERVISOR,
    TECHNICIAN,
    ScannerBench,
    refused,
    setup,
)

from lanecontrol.announcements import OrderAnswered, ScanPart
from lanecontrol.announcements import ScanCause as C
from lanecontrol.announcements import ScannerState as S
from lanecontrol.commands import (
    DONE,
    Actor,
    ConfirmDriverOut,
    ConfirmScan,
    EnableScanner,
    ResetScanner,
    Role,
    ScanVehicle,
)
from lanecontrol.events import Started


def with_vehicle(*, two_persons: bool = False) -> tuple[ScannerBench, str]:
    b = ScannerBench(setup(two_persons=two_persons))
    b.enabled()
    return b, b.at_booth()


# --- ordering --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"passage": "31-000009"}, "no open passage"),
        ({"reason": "  "}, "reason"),
        ({"valid_s": 0.0}, "valid for up to"),
        ({"valid_s": -5.0}, "valid for up to"),
        ({"valid_s": 901.0}, "valid for up to"),
        ({"valid_s": float("nan")}, "valid for up to"),
        ({"valid_s": float("inf")}, "valid for up to"),
    ],
)
def test_an_order_has_a_passage_a_reason_and_an_end(changes: dict[str, float | str], why: str) -> None:
    b, passage = with_vehicle()
    request = dataclasses.replace(ScanVehicle(passage, "gamma alarm"), **changes)  # type: ignore[arg-type]
    assert why in refused(b.order(request))
    assert b.at(S.IDLE) and b.scanner.scan is None


@pytest.mark.parametrize("actor", [OFFICER, SUPERVISOR, CENTRAL])
def test_officers_supervisors_and_the_port_order_scans(actor: Actor) -> None:
    b, passage = with_vehicle()
    assert b.orders(passage, actor) == DONE
    assert b.at(S.ARMED)


def test_a_technician_orders_none() -> None:
    b, passage = with_vehicle()
    assert "only" in refused(b.orders(passage, TECHNICIAN))


def test_one_scan_at_a_time() -> None:
    b, passage = with_vehicle()
    assert b.orders(passage) == DONE
    assert refused(b.orders(passage)) == "a scan is under way"


def test_an_order_under_a_key_seen_before_is_refused_also_after_a_restart_and_many_other_orders() -> None:
    b, passage = with_vehicle()
    assert b.order(ScanVehicle(passage, "gamma alarm"), key="the-key") == DONE
    b.aborts()
    assert refused(b.order(ScanVehicle(passage, "gamma alarm"), key="the-key"))
    for _ in range(300):
        b.order(ConfirmScan("nothing"))
    assert "the-key" not in b.state.desk.keys, "the desk has forgotten it"
    assert refused(b.order(ScanVehicle(passage, "gamma alarm"), key="the-key")) == "this scan was ordered before"
    b.give("lane", Started(False, "boot-2"))
    assert "the-key" in b.scanner.keys


def test_an_order_after_its_deadline_is_refused() -> None:
    b, passage = with_vehicle()
    assert "too late" in refused(b.order(ScanVehicle(passage, "gamma alarm"), within_s=-1.0))


@pytest.mark.parametrize(("valid_s", "state"), [(2.0, S.ARMED), (8.0, S.POSITIONING), (9.5, S.INTERLOCK_CHECK)])
def test_an_order_that_runs_out_while_it_waits_is_cancelled(valid_s: float, state: S) -> None:
    b, passage = with_vehicle()
    b.orders(passage, valid_s=valid_s)
    if state is not S.ARMED:
        b.drives_in()
    if state is S.INTERLOCK_CHECK:
        b.contact("barrier_closed", False)
        b.in_place()
    assert b.at(state)
    b.wait(valid_s)
    assert b.at(S.IDLE)
    assert b.records[-1].cause is C.EXPIRED


def test_an_order_that_runs_out_during_the_warning_is_cancelled() -> None:
    b, passage = with_vehicle()
    b.orders(passage, valid_s=8.0)
    b.drives_in()
    b.in_place()
    b.wait(0.3)
    b.contact("warning_active", True)
    b.wait(3.6)
    assert b.at(S.WARNING)
    b.wait(0.2)
    assert b.records[-1].cause is C.EXPIRED


def test_an_order_that_has_been_taken_up_runs_to_its_end() -> None:
    b = ScannerBench()
    b.enabled()
    passage = b.at_booth()
    b.orders(passage, valid_s=20.0)
    b.drives_in()
    b.contact("barrier_closed", True)
    b.in_place()
    b.wait(0.3)
    b.contact("warning_active", True)
    b.wait(5.0)
    assert b.at(S.TRIGGERED)
    b.contact("scan_in_progress", True)
    b.contact("shutter_open", True)
    b.contact("shutter_closed", False)
    b.wait(30.0)
    assert b.at(S.SCANNING) and b.request


def test_a_vehicle_that_has_passed_the_scanner_cannot_be_ordered_into_it() -> None:
    b, passage = with_vehicle()
    b.drives_in()
    b.loop("exit", True)
    b.wait(1.0)
    b.loop("scanner", False)
    b.wait(0.5)
    assert "passed" in refused(b.orders(passage))


def test_a_scanner_that_is_not_in_use_says_why() -> None:
    b = ScannerBench()
    b.started()
    passage = b.at_booth()
    assert refused(b.orders(passage)) == "the scanner has not been enabled"
    b.contact("key_enabled", False)
    assert refused(b.orders(passage)) == "the scanner's key is off"
    assert refused(b.order(EnableScanner())) == "the scanner's key is off"


# --- two persons -----------------------------------------------------------------------------------------------------


def waiting(b: ScannerBench) -> str:
    """In position with the driver out, everything met but the second person."""
    b.drives_in()
    b.contact("vehicle_in_position", True)
    b.contact("driver_clear", True)
    key = b.scan_key
    assert b.order(ConfirmDriverOut(key)) == DONE
    b.wait(5.0)
    assert b.at(S.POSITIONING)
    assert b.why == "a second person has not confirmed"
    return key


def test_a_second_person_confirms_at_the_booth() -> None:
    b, passage = with_vehicle(two_persons=True)
    b.orders(passage)
    key = waiting(b)
    assert b.order(ConfirmScan(key), SECOND) == DONE
    assert b.at(S.INTERLOCK_CHECK)


@pytest.mark.parametrize(
    "actor",
    [OFFICER, Actor(" OFFICER-12 ", Role.SUPERVISOR), Actor("Officer-12", Role.OFFICER), TECHNICIAN, CENTRAL],
)
def test_never_the_same_name_nor_somebody_elsewhere(actor: Actor) -> None:
    b, passage = with_vehicle(two_persons=True)
    b.orders(passage)
    key = waiting(b)
    assert refused(b.order(ConfirmScan(key), actor))
    b.wait(5.0)
    assert b.at(S.POSITIONING)


def test_the_port_s_order_needs_somebody_at_the_booth_also_where_one_person_is_enough() -> None:
    b, passage = with_vehicle(two_persons=False)
    b.orders(passage, CENTRAL)
    key = waiting(b)
    assert b.order(ConfirmScan(key), OFFICER) == DONE
    b.wait(0.4)
    assert b.at(S.WARNING)


@pytest.mark.parametrize("request_of", [ConfirmScan, ConfirmDriverOut])
def test_a_word_about_another_scan_is_refused(request_of: type[ConfirmScan] | type[ConfirmDriverOut]) -> None:
    b = ScannerBench(setup(two_persons=True))
    b.positioning()
    assert refused(b.order(request_of("another"), SECOND)) == "no scan under this key is waiting"


def test_the_driver_is_out_by_contact_and_by_word() -> None:
    b = ScannerBench()
    key = b.positioning()
    assert "position" in refused(b.order(ConfirmDriverOut(key)))
    b.contact("vehicle_in_position", True)
    assert "driver" in refused(b.order(ConfirmDriverOut(key)))
    b.contact("driver_clear", True)
    b.wait(5.0)
    assert b.at(S.POSITIONING), "the contact alone is not enough"
    assert "only" in refused(b.order(ConfirmDriverOut(key), CENTRAL))
    assert b.order(ConfirmDriverOut(key)) == DONE
    assert b.at(S.INTERLOCK_CHECK)


# --- enabling and resetting ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("actor", [TECHNICIAN, CENTRAL])
def test_only_people_at_the_lane_enable_and_reset(actor: Actor) -> None:
    b = ScannerBench()
    b.started()
    assert "only" in refused(b.order(EnableScanner(), actor))
    b.order(EnableScanner())
    b.contact("estop_ok", False)
    b.contact("estop_ok", True)
    assert "only" in refused(b.order(ResetScanner(), actor))


def test_there_is_nothing_to_reset_and_nothing_to_enable_twice() -> None:
    b = ScannerBench()
    b.enabled()
    assert refused(b.resets()) == "there is nothing to reset"
    assert refused(b.order(EnableScanner())) == "the scanner is idle"


def test_every_answer_is_on_record_and_every_word_is_in_the_record() -> None:
    b = ScannerBench(setup(two_persons=True))
    b.completing()
    b.shutter_closes()
    assert [(by.part, by.actor.name) for by in b.records[-1].operators] == [
        (ScanPart.ORDERED, "officer-12"),
        (ScanPart.CONFIRMED, "officer-31"),
        (ScanPart.DRIVER_OUT, "officer-12"),
    ]
    assert {row.request for row in b.told(OrderAnswered)} >= {"ScanVehicle", "ConfirmScan", "ConfirmDriverOut"}
