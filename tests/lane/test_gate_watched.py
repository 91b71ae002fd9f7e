"""The gate: its states, what keeps its arm up, and what is told of it when it does not do as it was told."""

from __future__ import annotations

import pytest
from equipped_bench import EquippedLane
from lane_bench import SUPERVISOR

from lanecontrol.announcements import AlarmKind, GateMoved, GateState
from lanecontrol.commands import Override, OverridePart
from lanecontrol.events import DeviceChanged, DeviceState, InputsFresh, InputsStale, ModuleWatchdogTripped
from lanecontrol.lane.effects import Drive
from lanecontrol.lane.gate import arrived, possibly_closed, possibly_open


@pytest.fixture
def lane() -> EquippedLane:
    return EquippedLane().started()


def states(lane: EquippedLane) -> list[GateState]:
    return [moved.state for moved in lane.told(GateMoved)]


def goes_through(lane: EquippedLane) -> None:
    """A car is released and leaves; the gate's output has just gone off again, and its arm is still up."""
    lane.arrives(1)
    lane.releases()
    lane.leaves()
    lane.wait(2.0)
    assert lane.gate is False


# --- states ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", GateState)
def test_only_an_end_that_is_seen_rules_the_other_out(state: GateState) -> None:
    assert possibly_open(state) is (state is not GateState.CLOSED)
    assert possibly_closed(state) is (state is not GateState.OPEN)
    assert arrived(state, commanded_open=True) is (state is GateState.OPEN)
    assert arrived(state, commanded_open=False) is (state is GateState.CLOSED)


def test_a_gate_whose_switches_cannot_be_read_is_unknown(lane: EquippedLane) -> None:
    lane.give("io1", InputsStale(0.3))
    assert states(lane)[-1] is GateState.UNKNOWN
    lane.give("io1", InputsFresh())
    assert states(lane)[-1] is GateState.CLOSED


def test_its_operators_own_fault_is_a_fault_of_the_gate_and_an_alarm(lane: EquippedLane) -> None:
    lane.contact("gate_fault", True)
    assert states(lane)[-1] is GateState.FAULT
    assert lane.alarms() == [AlarmKind.GATE_FAULT]
    lane.contact("gate_fault", False)
    assert states(lane)[-1] is GateState.CLOSED
    assert lane.faults("gate") == [("operator", True), ("operator", False)]


# --- suppression -----------------------------------------------------------------------------------------------------


def test_a_photo_eye_keeps_the_arm_up_until_1_s_after_it_is_clear(lane: EquippedLane) -> None:
    lane.arrives(1)
    lane.releases()
    lane.contact("beam", True)
    lane.leaves()
    lane.wait(60.0)
    assert lane.gate is True
    lane.contact("beam", False)
    lane.wait(0.9)
    assert lane.gate is True
    lane.wait(0.2)
    assert lane.gate is False


def test_a_photo_eye_that_cannot_be_read_keeps_the_arm_up() -> None:
    lane = EquippedLane()
    super(EquippedLane, lane).started()
    lane.wait(30.0)
    assert lane.gate is False and lane.outputs.get("gate_open") is None, "never commanded down without its photo-eye"
    lane.contact("beam", False)
    lane.wait(1.1)
    assert lane.outputs["gate_open"] is False


def test_stale_inputs_keep_the_arm_up(lane: EquippedLane) -> None:
    lane.arrives(1)
    lane.releases()
    lane.leaves()
    assert lane.gate is False
    lane.gate_goes_down()
    lane.arrives(2)
    lane.releases()
    lane.loop("exit", True)
    lane.loop("booth", False)
    lane.wait(1.0)
    lane.loop("exit", False)
    lane.give("io1", InputsStale(0.3))
    lane.wait(20.0)
    assert lane.gate is True


def test_something_that_comes_under_the_arm_while_it_comes_down_is_told_and_nothing_is_commanded(
    lane: EquippedLane,
) -> None:
    goes_through(lane)
    lane.contact("gate_opened", False)
    before = len([effect for effect in lane.effects if isinstance(effect, Drive) and effect.grants])
    lane.contact("beam", True)
    assert lane.faults("gate") == [("under_arm", True)]
    assert lane.alarms() == [AlarmKind.GATE_FAULT]
    lane.wait(0.5)
    lane.contact("beam", False)
    lane.contact("gate_closed", True)
    assert lane.faults("gate")[-1] == ("under_arm", False)
    assert len([effect for effect in lane.effects if isinstance(effect, Drive) and effect.grants]) == before


# --- late, obstructed, forced, dropped -------------------------------------------------------------------------------


def test_a_gate_that_stays_up_when_told_to_close_is_late(lane: EquippedLane) -> None:
    goes_through(lane)
    lane.wait(8.1)
    assert lane.faults("gate") == [("travel", True)]
    lane.contact("gate_opened", False)
    lane.contact("gate_closed", True)
    assert lane.faults("gate")[-1] == ("travel", False)


def test_a_gate_that_stops_on_its_way_down_is_obstructed(lane: EquippedLane) -> None:
    goes_through(lane)
    lane.contact("gate_opened", False)
    lane.wait(8.1)
    assert lane.faults("gate") == [("obstruction", True)]
    assert lane.alarms() == [AlarmKind.GATE_FAULT]


def test_a_gate_that_goes_up_again_while_closing_is_obstructed_at_once_and_not_closed_again_by_us(
    lane: EquippedLane,
) -> None:
    goes_through(lane)
    lane.contact("gate_opened", False)
    lane.wait(0.3)
    before = len([effect for effect in lane.effects if isinstance(effect, Drive)])
    lane.contact("gate_opened", True)
    assert lane.faults("gate") == [("obstruction", True)]
    lane.wait(30.0)
    gate = [
        effect
        for effect in lane.effects
        if isinstance(effect, Drive) and "gate_open" in dict(getattr(effect.command, "points", ()))
    ]
    assert gate[-1] in [effect for effect in lane.effects if isinstance(effect, Drive)][:before]
    lane.gate_goes_down()
    assert lane.faults("gate")[-1] == ("obstruction", False)


def test_a_gate_that_opens_though_never_commanded_is_a_security_event(lane: EquippedLane) -> None:
    lane.contact("gate_closed", False)
    lane.wait(0.4)
    assert lane.alarms() == []
    lane.wait(0.2)
    assert lane.faults("gate") == [("forced", True)]
    assert lane.alarms() == [AlarmKind.GATE_FORCED]
    assert lane.beacon


def test_a_gate_that_is_up_at_once_needs_no_second_look(lane: EquippedLane) -> None:
    lane.contact("gate_closed", False)
    lane.contact("gate_opened", True)
    lane.wait(0.01)
    assert lane.alarms() == [AlarmKind.GATE_FORCED]


def test_an_arm_that_rattles_in_the_wind_is_not_forced(lane: EquippedLane) -> None:
    for _ in range(20):
        lane.contact("gate_closed", False)
        lane.wait(0.2)
        lane.contact("gate_closed", True)
        lane.wait(0.2)
    assert lane.alarms() == []


def test_a_gate_found_open_after_the_module_was_away_is_a_security_event(lane: EquippedLane) -> None:
    lane.give("io1", DeviceChanged(DeviceState.OFFLINE, "timeout"))
    lane.wait(20.0)
    lane.give("io1", DeviceChanged(DeviceState.ONLINE, "connected"))
    lane.contact("gate_opened", True)
    lane.contact("gate_closed", False)
    lane.wait(0.1)
    assert AlarmKind.GATE_FORCED in lane.alarms()


def test_a_gate_that_comes_down_though_told_to_be_open_withdraws(lane: EquippedLane) -> None:
    lane.arrives(1)
    lane.releases()
    lane.contact("gate_opened", False)
    lane.wait(0.6)
    assert lane.faults("gate") == [("dropped", True)]
    assert lane.red and not lane.green


def test_a_module_that_drops_the_gate_by_its_own_watchdog_is_not_told_as_a_broken_gate(lane: EquippedLane) -> None:
    lane.arrives(1)
    lane.releases()
    lane.give("io1", ModuleWatchdogTripped())
    lane.contact("gate_opened", False)
    lane.wait(0.4)
    lane.contact("gate_closed", True)
    lane.wait(10.0)
    assert [code for code, _ in lane.faults("gate")] == []


def test_a_gate_that_somebody_works_on_is_not_blamed(lane: EquippedLane) -> None:
    lane.order(Override(OverridePart.GATE_HELD, "new arm", 600.0), SUPERVISOR)
    for contact, on in (("gate_closed", False), ("gate_opened", True), ("gate_closed", True), ("gate_fault", True)):
        lane.contact(contact, on)
        lane.wait(2.0)
    assert lane.faults("gate") == []
    assert states(lane)[-1] is GateState.FAULT, "what it does is told all the same"
