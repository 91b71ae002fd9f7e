"""The scanner of the world: its beam follows request and arming, and its own interlocks close it without anybody."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from steel import PERMITTED, SCENE, Lane

from sim.world.rehearsal import Booth

SHUTTER_S = (0.3, 0.8)
SLOWEST_S = SHUTTER_S[1] + 0.2
"""The slowest shutter, and a step of the world before and after."""


def whole_scan(lane: Lane) -> None:
    lane.ready()
    lane.set(*PERMITTED)
    lane.until(lambda: lane.on("scan_complete"))
    lane.set(off=PERMITTED)
    lane.until(lambda: lane.on("shutter_closed"))


# --- an ordinary scan ------------------------------------------------------------------------------------------------


def test_a_scan_from_the_request_to_the_closed_shutter() -> None:
    lane = Lane()
    lane.ready()
    lane.set("warning_request")
    assert 0.2 < lane.until(lambda: lane.on("warning_active")) < 0.5
    assert not lane.beam
    lane.set(*PERMITTED)
    opening_s = lane.until(lambda: lane.on("shutter_open"))
    assert SHUTTER_S[0] <= opening_s <= SLOWEST_S
    assert lane.on("scan_in_progress") and not lane.on("shutter_closed")
    assert 4.5 < lane.until(lambda: lane.on("scan_complete")) < 5.5
    assert lane.until(lambda: lane.on("shutter_closed")) <= SLOWEST_S, "it closes by itself"
    lane.run(1.0)
    assert not lane.on("scan_complete"), "a pulse"
    lane.run(10.0)
    assert not lane.beam, "nothing begins anew while the request stands"
    (beam,) = lane.world.truth.beams
    assert (beam.vehicle, beam.ended_by, beam.people, beam.overran, beam.befallen) == (1, "complete", 0, False, False)
    assert (lane.world.truth.people_in_beam, lane.world.truth.beam_without_request) == (0, 0)


@pytest.mark.parametrize("outputs", [("scan_request",), ("scan_arm",), ("warning_request", "driver_stop"), ()])
def test_without_request_and_arming_together_there_is_no_beam(outputs: tuple[str, ...]) -> None:
    lane = Lane()
    lane.ready()
    lane.set(*outputs)
    lane.run(20.0)
    assert lane.world.truth.beams == () and not lane.beam


@pytest.mark.parametrize("dropped", PERMITTED)
def test_the_beam_ends_within_a_shutters_time_when_either_is_withdrawn(dropped: str) -> None:
    lane = Lane()
    lane.scanning()
    lane.set(off=(dropped,))
    assert lane.until(lambda: lane.on("shutter_closed")) <= SLOWEST_S
    assert [beam.ended_by for beam in lane.world.truth.beams] == ["withdrawn"]


def test_an_abort_ends_it_for_good_until_the_request_has_been_taken_back() -> None:
    lane = Lane()
    lane.scanning()
    lane.set("scan_abort")
    assert lane.until(lambda: not lane.beam) <= SLOWEST_S
    lane.set(off=("scan_abort",))
    lane.run(10.0)
    assert not lane.beam
    lane.set(off=PERMITTED)
    lane.run(0.2)
    lane.set(*PERMITTED)
    lane.until(lambda: lane.beam)
    assert [beam.ended_by for beam in lane.world.truth.beams] == ["abort", ""], "the second one is still on"


# --- people ----------------------------------------------------------------------------------------------------------


def test_the_driver_gets_out_at_red_and_comes_back_at_green() -> None:
    lane = Lane()
    lane.to_mark()
    lane.run(20.0)
    assert lane.place == "cab", "a dark light says nothing"
    lane.set("driver_stop")
    lane.until(lambda: lane.place == "leaving")
    assert not lane.on("zone_clear") and not lane.on("driver_clear")
    assert lane.until(lambda: lane.on("driver_clear")) > 5.0
    assert lane.on("zone_clear")
    lane.run(60.0)
    assert lane.place == "waiting" and lane.front_m() < SCENE.end_m
    lane.set("driver_go", off=("driver_stop",))
    lane.until(lambda: lane.place == "returning")
    assert not lane.on("driver_clear") and not lane.on("zone_clear")
    lane.until(lambda: not lane.world.whereabouts)


def test_a_vehicle_that_was_not_sent_there_drives_through_whatever_the_drivers_lights_show() -> None:
    lane = Lane()
    lane.set("driver_stop")
    lane.booth = Booth(lane.world, 0.5)
    lane.until(lambda: bool(lane.world.whereabouts))
    lane.until(lambda: not lane.world.whereabouts)


def test_red_and_green_together_are_red() -> None:
    lane = Lane()
    lane.ready()
    lane.set("driver_stop", "driver_go")
    lane.run(30.0)
    assert lane.place == "waiting"


def test_the_officer_waves_on_whoever_waits_before_a_dark_light() -> None:
    lane = Lane()
    lane.ready()
    lane.set(off=("driver_stop",))
    lane.run(30.0)
    assert lane.place == "waiting"
    lane.world.wave_on(1)
    lane.until(lambda: not lane.world.whereabouts)


def test_a_beam_over_a_vehicle_with_people_in_it_is_counted_against_whoever_asked_for_it() -> None:
    lane = Lane()
    lane.to_mark()
    lane.until(lambda: lane.on("barrier_closed"))
    lane.set(*PERMITTED)
    lane.until(lambda: lane.beam)
    lane.run(2.0)
    assert lane.world.truth.people_in_beam == 1
    lane.set(off=PERMITTED)
    lane.run(2.0)
    assert [beam.people for beam in lane.world.truth.beams] == [1]


def test_a_passenger_who_stays_is_not_seen_by_the_contact_and_met_by_the_beam() -> None:
    lane = Lane({"part": "scanner", "what": "passenger_stays"})
    lane.ready()
    there = lane.world.at_scanner
    assert lane.on("driver_clear") and there is not None and not there.all_out
    lane.set(*PERMITTED)
    lane.until(lambda: lane.beam)
    assert lane.world.truth.people_in_beam == 1


# --- its own interlocks ----------------------------------------------------------------------------------------------

TRIPS = [
    ("estop", "estop_ok"),
    ("zone_entry", "zone_clear"),
    ("driver_strays", "zone_clear"),
    ("key_off", "key_enabled"),
    ("not_ready", "scanner_ready"),
    ("barrier_open", "barrier_closed"),
]
NAMES = {"key_enabled": "scanner_key"}


@pytest.mark.parametrize(("what", "contact"), TRIPS)
def test_its_own_interlocks_close_the_shutter_without_anybody_and_before_it_meets_anybody(
    what: str, contact: str
) -> None:
    lane = Lane({"part": "scanner", "what": what, "phase": "beam", "after_s": 2.0, "for_s": 10.0})
    lane.scanning()
    tripped_s = lane.until(lambda: not lane.on(NAMES.get(contact, contact)))
    assert tripped_s < 3.0
    assert lane.until(lambda: not lane.beam) <= SLOWEST_S
    lane.run(30.0)
    assert not lane.beam, "the request still stands: nothing begins anew"
    truth = lane.world.truth
    assert [(beam.ended_by, beam.people, beam.befallen) for beam in truth.beams] == [("interlock", 0, True)]
    assert (truth.people_in_beam, truth.beam_without_request) == (0, 0)


def test_the_fault_contact_goes_with_a_fault_of_its_own() -> None:
    lane = Lane({"part": "scanner", "what": "fault", "phase": "beam", "after_s": 1.0, "for_s": 5.0})
    lane.scanning()
    lane.until(lambda: lane.on("scanner_fault"))
    lane.until(lambda: not lane.beam)
    lane.until(lambda: not lane.on("scanner_fault"))


@pytest.mark.parametrize("phase", ["idle", "armed", "warning", "requested", "beam", "closing"])
def test_an_estop_in_any_phase_holds_the_beam_until_the_key_was_turned_and_the_request_taken_back(phase: str) -> None:
    lane = Lane({"part": "scanner", "what": "estop", "at_s": 60.0, "phase": phase, "for_s": 8.0})
    lane.ready()
    lane.run(max(0.0, 61.0 - lane.world.now_s))
    for outputs in (("scan_arm",), ("warning_request",)):
        lane.set(*outputs)
        lane.run(1.0)
    lane.set(*PERMITTED)
    lane.run(2.0)
    if phase == "closing":
        lane.set(off=PERMITTED)
    lane.until(lambda: any(point == "estop_ok" and not on for _, point, on in lane.edges), limit_s=2.0)
    lane.until(lambda: not lane.beam)
    lane.set(*PERMITTED)
    began_s = lane.world.now_s
    lane.until(lambda: lane.on("estop_ok"))
    assert not lane.on("scanner_ready"), "released, and still locked"
    lane.until(lambda: not lane.on("scanner_key"))
    lane.until(lambda: lane.on("scanner_key") and lane.on("scanner_ready"))
    lane.run(5.0)
    assert not any(beam.started_s > began_s for beam in lane.world.truth.beams) and not lane.beam
    lane.set(off=PERMITTED)
    lane.run(0.2)
    lane.set(*PERMITTED)
    lane.until(lambda: lane.beam)


def two_sent(*mishaps: dict[str, Any]) -> Lane:
    """One stands at the mark, and another one comes to the gate."""
    lane = Lane(*mishaps, vehicles=2)
    lane.until(lambda: len(lane.world.whereabouts) == 2)
    lane.world.refer_to_scanner(2)
    lane.to_mark()
    lane.booth = None
    lane.set("signal_green", "gate_open", device="io1", off=("signal_red",))
    return lane


def test_the_scanners_own_arm_keeps_the_next_vehicle_out() -> None:
    lane = two_sent()
    lane.until(lambda: lane.front_m(2) > 33.0)
    lane.run(30.0)
    assert lane.front_m(2) < 36.0 and lane.on("zone_clear")


def test_a_second_vehicle_in_the_zone_is_seen_by_its_sensors() -> None:
    lane = two_sent({"part": "scanner", "what": "barrier_open"})
    lane.until(lambda: not lane.on("zone_clear"))
    lane.set(*PERMITTED)
    lane.run(10.0)
    assert not lane.beam


# --- faults of the manual --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["no_start", "shutter_sticks_closed"])
def test_a_scan_that_does_not_start_leaves_the_shutter_closed(what: str) -> None:
    lane = Lane({"part": "scanner", "what": what})
    lane.ready()
    lane.set(*PERMITTED)
    lane.run(10.0)
    assert lane.on("shutter_closed") and not lane.on("shutter_open")
    assert lane.on("scan_in_progress") == (what == "shutter_sticks_closed"), "it says so, and it is not so"
    assert lane.world.truth.beams == ()


def test_a_shutter_that_sticks_open_leaves_the_beam_on_and_the_truth_says_so() -> None:
    lane = Lane({"part": "scanner", "what": "shutter_sticks_open", "for_s": 60.0, "phase": "beam"})
    lane.scanning()
    lane.set(off=PERMITTED)
    lane.run(5.0)
    assert lane.beam and lane.on("shutter_open") and lane.on("scan_in_progress")
    lane.until(lambda: lane.on("shutter_closed"))
    (beam,) = lane.world.truth.beams
    assert beam.overran and beam.ended_by == "withdrawn"
    assert lane.world.truth.beam_without_request == 0, "it had been asked for"


@pytest.mark.parametrize(("what", "both"), [("contacts_both", True), ("contacts_neither", False)])
def test_contacts_can_contradict_each_other(what: str, both: bool) -> None:
    lane = Lane({"part": "scanner", "what": what, "at_s": 5.0})
    assert lane.on("shutter_closed") and not lane.on("shutter_open")
    lane.run(6.0)
    assert lane.on("shutter_closed") is lane.on("shutter_open") is both


def test_a_bouncing_contact_settles_within_half_a_second() -> None:
    lane = Lane({"part": "scanner", "what": "bounce"})
    lane.scanning()
    lane.set(off=PERMITTED)
    lane.until(lambda: not lane.beam)
    lane.run(2.0)
    changes = [at for at, point, _ in lane.edges if point == "shutter_closed" and at > 1.0]
    assert len(changes) > 4
    assert max(changes) - changes[-2] < 0.5 and lane.on("shutter_closed")


@pytest.mark.parametrize(
    ("what", "after_s"),
    [("late_complete", [4.0]), ("double_complete", [0.0, 4.0]), ("no_complete", [])],
)
def test_the_completed_pulse_may_come_late_twice_or_never(what: str, after_s: list[float]) -> None:
    lane = Lane({"part": "scanner", "what": what})
    lane.scanning()
    lane.until(lambda: not lane.beam)
    over_s = lane.world.truth.beams[0].ended_s
    lane.run(10.0)
    pulses = [at for at, point, on in lane.edges if point == "scan_complete" and on]
    assert len(pulses) == len(after_s)
    assert all(abs(at - over_s - wanted) < 1.0 for at, wanted in zip(pulses, after_s, strict=True))
    assert [beam.ended_by for beam in lane.world.truth.beams] == ["complete"]


def test_the_warning_may_go_unconfirmed() -> None:
    lane = Lane({"part": "scanner", "what": "no_warning"})
    lane.ready()
    lane.set("warning_request")
    lane.run(5.0)
    assert not lane.on("warning_active")


def test_a_mishap_waits_for_its_phase_begins_once_and_ends() -> None:
    lane = Lane({"part": "scanner", "what": "not_ready", "phase": "warning", "after_s": 1.0, "for_s": 2.0})
    lane.run(30.0)
    assert lane.on("scanner_ready")
    for found in (False, True):
        lane.set("warning_request")
        lane.run(0.9)
        assert lane.on("scanner_ready")
        lane.run(0.5)
        assert lane.on("scanner_ready") is found
        lane.run(3.0)
        lane.set(off=("warning_request",))
        lane.run(1.0)
        assert lane.on("scanner_ready")


# --- whatever is done to it ------------------------------------------------------------------------------------------

DEEDS = st.tuples(
    st.sampled_from(["scan_arm", "scan_request", "scan_abort", "warning_request", "driver_stop", "driver_go"]),
    st.booleans(),
    st.integers(1, 30),
)


@settings(max_examples=15, deadline=None)
@given(deeds=st.lists(DEEDS, max_size=25), seed=st.integers(0, 999))
def test_whatever_is_commanded_the_beam_is_never_on_without_request_arming_and_a_closed_chain(
    deeds: list[tuple[str, bool, int]], seed: int
) -> None:
    lane = Lane(seed=seed)
    lane.ready()
    commanded = {"scan_arm": False, "scan_request": False}
    allowed_s = -99.0
    for point, on, tenths in [("scan_arm", True, 1), ("scan_request", True, 9), *deeds]:
        lane.set(*((point,) if on else ()), off=() if on else (point,))
        commanded[point] = on
        for _ in range(tenths):
            lane.run(0.1)
            chain = all(lane.on(name) for name in ("estop_ok", "zone_clear", "barrier_closed", "scanner_ready"))
            if commanded["scan_arm"] and commanded["scan_request"] and chain and not commanded.get("scan_abort"):
                allowed_s = lane.world.now_s
            assert not lane.beam or lane.world.now_s - allowed_s <= SLOWEST_S
    assert lane.world.truth.beam_without_request == 0
