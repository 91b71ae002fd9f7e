"""Gate, lamps and buttons of the world: what they do for their outputs, what befalls them, what drivers make of it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from steel import Lane

from sim.world.mishaps import Mishap
from sim.world.rehearsal import Booth

LAMPS = {
    "signal": [("signal_green", "green", "green_on"), ("signal_red", "red", "red_on")],
    "lane_signal": [
        ("lane_open", "open", "open_on"),
        ("lane_closing", "closing", "closing_on"),
        ("lane_closed", "closed", "closed_on"),
    ],
}
ALL = [(part, *lamp) for part, lamps in LAMPS.items() for lamp in lamps]
HERE, THERE, BELOW = "gate_opened", "gate_closed", "gate_beam"


def befallen(part: str, what: str, **more: Any) -> Lane:
    return Lane({"part": part, "what": what, **more})


def gate(lane: Lane) -> tuple[bool, bool]:
    """The two limit switches: open, closed."""
    return lane.on(HERE), lane.on(THERE)


def command(lane: Lane, seconds: float, *, open_it: bool) -> None:
    lane.set(*(("gate_open",) if open_it else ()), device="io1", off=() if open_it else ("gate_open",))
    lane.run(seconds)


# --- lamps -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("part", "output", "lamp", "contact"), ALL)
def test_a_read_back_contact_tells_of_the_lamp_and_not_of_the_output(
    part: str, output: str, lamp: str, contact: str
) -> None:
    for what, on_for in ((None, (False, True)), ("burnt_out", (False, False)), ("welded", (True, True))):
        lane = Lane(*([{"part": part, "what": what, "lamp": lamp}] if what else []))
        lane.run(0.2)
        assert lane.on(contact) is on_for[0], what
        lane.set(output, device="io1")
        lane.run(0.2)
        assert lane.on(contact) is on_for[1], what


def test_a_flickering_lamp_goes_out_again_and_again_and_rests_when_it_is_off() -> None:
    lane = befallen("lane_signal", "flickers", lamp="closed", at_s=5.0, for_s=10.0)
    lane.set("lane_closed", device="io1")
    lane.run(30.0)
    changes = [at for at, point, _ in lane.edges if point == "closed_on" and at > 1.0]
    assert 40 < len(changes) < 60
    assert min(changes) >= 5.0 and max(changes) < 15.5
    assert lane.on("closed_on")
    lane.set(device="io1", off=("lane_closed",))
    lane.run(0.2)
    assert not lane.on("closed_on")


# --- the overhead signal ---------------------------------------------------------------------------------------------


def test_nobody_enters_under_a_red_x_and_everybody_does_when_it_goes() -> None:
    lane = Lane(vehicles=3)
    lane.set("lane_closed", device="io1")
    lane.booth = Booth(lane.world, 0.5)
    lane.run(60.0)
    assert lane.world.whereabouts and all(v.front_m <= 0.0 and v.speed_mps == 0.0 for v in lane.world.whereabouts)
    assert lane.world.lamps.overhead == ("closed",)
    lane.set("lane_open", device="io1", off=("lane_closed",))
    lane.until(lambda: lane.world.done)
    assert all(vehicle.left_s is not None for vehicle in lane.world.truth.vehicles)


def test_whoever_is_past_it_drives_on_when_it_turns_red() -> None:
    lane = Lane(vehicles=2)
    lane.set("lane_open", device="io1")
    lane.booth = Booth(lane.world, 0.5)
    lane.until(lambda: len(lane.world.whereabouts) == 2 and lane.front_m(1) > 1.0)
    assert lane.front_m(2) < -1.0
    lane.set("lane_closed", device="io1", off=("lane_open",))
    lane.until(lambda: not any(v.number == 1 for v in lane.world.whereabouts))
    assert lane.front_m(2) <= 0.0


def test_a_driver_who_is_too_near_to_stop_drives_on() -> None:
    lane = Lane()
    lane.booth = Booth(lane.world, 0.5)
    lane.until(lambda: bool(lane.world.whereabouts) and lane.front_m() > -0.5)
    assert lane.front_m() < 0.0 and lane.world.whereabouts[0].speed_mps > 3.0
    lane.set("lane_closed", device="io1")
    lane.until(lambda: not lane.world.whereabouts)


@pytest.mark.parametrize("lit", [(), ("lane_open",), ("lane_closing",)])
def test_only_red_stops_anybody_a_dark_signal_is_none(lit: tuple[str, ...]) -> None:
    lane = Lane()
    lane.set(*lit, device="io1")
    lane.booth = Booth(lane.world, 0.5)
    lane.until(lambda: lane.world.done)
    assert lane.world.truth.vehicles[0].left_s is not None


def test_a_burnt_out_red_x_stops_nobody_and_a_welded_one_everybody() -> None:
    for what, passes in (("burnt_out", True), ("welded", False)):
        lane = befallen("lane_signal", what, lamp="closed")
        lane.set("lane_closed" if passes else "lane_open", device="io1")
        lane.booth = Booth(lane.world, 0.5)
        lane.run(60.0)
        assert (lane.world.truth.vehicles[0].left_s is not None) is passes


# --- the booth's signal ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "lamp", "outputs", "goes"),
    [
        ("burnt_out", "red", ("signal_green",), True),
        ("burnt_out", "green", ("signal_green",), False),
        ("welded", "red", ("signal_green",), False),
        ("welded", "green", ("signal_red",), False),
        ("welded", "green", (), True),
        ("flickers", "green", ("signal_green",), False),
    ],
)
def test_drivers_at_the_booth_go_by_what_they_see(what: str, lamp: str, outputs: tuple[str, ...], goes: bool) -> None:
    lane = befallen("signal", what, lamp=lamp)
    lane.set("gate_open", *outputs, device="io1")
    lane.run(60.0)
    assert (not lane.world.whereabouts) is goes


# --- the gate --------------------------------------------------------------------------------------------------------


def test_the_gate_needs_its_time_in_both_directions() -> None:
    lane = Lane()
    assert gate(lane) == (False, True)
    lane.set("gate_open", device="io1")
    assert 0.8 < lane.until(lambda: lane.on(HERE)) < 1.2
    assert not lane.on(THERE)
    lane.set(device="io1", off=("gate_open",))
    lane.run(0.5)
    assert gate(lane) == (False, False), "on its way"
    lane.run(0.7)
    assert gate(lane) == (False, True)


def test_a_closing_gate_goes_up_again_when_something_is_in_its_beam_and_down_when_it_is_free() -> None:
    lane = befallen("gate", "beam_blocked", at_s=3.4, for_s=5.0)
    command(lane, 2.9, open_it=True)
    command(lane, 0.5, open_it=False)
    assert gate(lane) == (False, False)
    lane.run(1.0)
    assert (*gate(lane), lane.on(BELOW)) == (True, False, True), "turned back half-way"
    lane.run(6.0)
    assert (*gate(lane), lane.on(BELOW)) == (False, True, False)


def test_the_beam_sees_a_vehicle_under_the_arm_and_the_arm_does_not_strike_it() -> None:
    lane = Lane()
    lane.set("signal_green", "gate_open", device="io1")
    lane.until(lambda: lane.contacts.get(BELOW, False))
    lane.set(device="io1", off=("gate_open",))
    lane.until(lambda: not lane.on(BELOW))
    lane.run(3.0)
    assert gate(lane) == (False, True)
    assert lane.world.truth.gate_strikes == 0


def test_a_gate_whose_beam_is_blind_strikes_whoever_is_under_it() -> None:
    lane = befallen("gate", "beam_blind")
    lane.set("signal_green", "gate_open", device="io1")
    lane.until(lambda: bool(lane.world.whereabouts) and lane.front_m() > 31.5)
    lane.set(device="io1", off=("gate_open",))
    lane.until(lambda: not lane.world.whereabouts)
    assert not lane.contacts.get(BELOW, False)
    assert lane.world.truth.gate_strikes == 1


@pytest.mark.parametrize(("what", "stands"), [("stuck", (False, True)), ("half_way", (False, False))])
def test_a_gate_that_does_not_move_is_a_fault_to_its_operator(what: str, stands: tuple[bool, bool]) -> None:
    lane = befallen("gate", what, for_s=20.0)
    command(lane, 1.0, open_it=True)
    assert not lane.on("gate_fault")
    lane.run(3.0)
    assert gate(lane) == stands and lane.on("gate_fault")
    lane.run(20.0)
    assert gate(lane) == (True, False) and not lane.on("gate_fault"), "and goes on when it can"


def test_nobody_drives_through_a_gate_that_is_half_open() -> None:
    lane = befallen("gate", "half_way")
    lane.set("signal_green", "gate_open", device="io1")
    lane.run(60.0)
    assert lane.front_m() < 31.0


def test_a_fault_of_the_operator_holds_the_arm_where_it_is() -> None:
    lane = befallen("gate", "fault", at_s=1.0, for_s=5.0)
    lane.run(1.2)
    command(lane, 3.0, open_it=True)
    assert (*gate(lane), lane.on("gate_fault")) == (False, True, True)
    lane.run(4.0)
    assert (*gate(lane), lane.on("gate_fault")) == (True, False, False)


@pytest.mark.parametrize(
    ("what", "opened", "closed"),
    [
        ("opened_switch_dead", (False, False), (False, True)),
        ("opened_switch_welded", (True, False), (True, True)),
        ("closed_switch_dead", (True, False), (False, False)),
        ("closed_switch_welded", (True, True), (False, True)),
    ],
)
def test_a_broken_limit_switch_tells_what_is_not_so(
    what: str, opened: tuple[bool, bool], closed: tuple[bool, bool]
) -> None:
    lane = befallen("gate", what)
    lane.run(0.2)
    assert gate(lane) == closed
    command(lane, 2.0, open_it=True)
    assert gate(lane) == opened


def test_a_gate_can_drift_open_slowly_or_be_forced_open_at_once() -> None:
    for what, leaves_s, opens_s in (("drifts_open", 0.2, 20.0), ("forced_open", 0.2, 0.5)):
        lane = befallen("gate", what, at_s=1.0)
        lane.run(1.0)
        assert lane.until(lambda lane=lane: not lane.on(THERE)) <= leaves_s  # type: ignore[misc]
        assert lane.until(lambda lane=lane: lane.on(HERE)) == pytest.approx(opens_s, abs=0.3)  # type: ignore[misc]


# --- buttons and beacon ----------------------------------------------------------------------------------------------


def test_the_emergency_button_latches() -> None:
    lane = Lane()
    assert not lane.on("emergency")
    lane.world.press_emergency()
    lane.run(30.0)
    assert lane.on("emergency")
    lane.world.press_emergency(held=False)
    lane.run(0.2)
    assert not lane.on("emergency")


def test_a_scenario_can_press_it_too() -> None:
    lane = befallen("emergency_button", "pressed", at_s=3.0, for_s=5.0)
    lane.run(10.0)
    (pressed_s, on), (released_s, off) = [(at, on) for at, name, on in lane.edges if name == "emergency" and at > 1.0]
    assert (on, off) == (True, False)
    assert abs(pressed_s - 3.0) < 0.15 and abs(released_s - 8.0) < 0.15


def test_the_beacon_burns_when_its_output_is_on_and_it_is_whole() -> None:
    for what, lit in ((None, True), ("burnt_out", False)):
        lane = Lane(*([{"part": "beacon", "what": what, "lamp": "light"}] if what else []))
        assert lane.world.lamps.beacon is False
        lane.set("beacon", device="io1")
        lane.run(0.1)
        assert lane.world.lamps.beacon is lit


# --- what a scenario may say -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mishap", "told"),
    [
        ({"part": "gate", "what": "burnt_out"}, "what can befall this part: stuck, half_way"),
        ({"part": "signal", "what": "burnt_out", "lamp": "yellow"}, "its lamps: green, red"),
        ({"part": "signal", "what": "burnt_out"}, "its lamps: green, red"),
        ({"part": "gate", "what": "stuck", "lamp": "red"}, "it has no lamps"),
        ({"part": "door", "what": "stuck"}, "gate"),
    ],
)
def test_a_mishap_that_cannot_be_is_refused_with_what_can(mishap: dict[str, str], told: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Mishap.model_validate(mishap)
    assert told in str(refused.value)
