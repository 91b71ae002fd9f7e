"""What grants permission, what withdraws it, and who may ask: the interlock, the gate and the orders."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lane_bench import OFFICER, SUPERVISOR, LaneBench, refused, setup

from lanecontrol.announcements import (
    AlarmRaised,
    CommandCompleted,
    DispositionRecorded,
    EquipmentFault,
    GateMoved,
    GateState,
    LaneLife,
    LaneLifeChanged,
    OrderAnswered,
    PassageEnd,
    SignalAspect,
    SignalShown,
)
from lanecontrol.commands import (
    DONE,
    Acknowledge,
    Actor,
    ClearWatchdog,
    CloseLane,
    DeclareEmergency,
    Dispose,
    Disposition,
    OpenLane,
    Outcome,
    ResetLane,
    Result,
    Role,
    SetOccupants,
    WriteOutputs,
)
from lanecontrol.events import (
    CommandEnded,
    DeviceChanged,
    DeviceState,
    InputChanged,
    InputsFresh,
    InputsLost,
    InputsStale,
    ModuleWatchdogTripped,
    OutputsRead,
    Stopping,
    StoreChanged,
)
from lanecontrol.lane.effects import Answer, Drive, Publish
from lanecontrol.lane.setup import BoothButton
from lanecontrol.lane.step import still_granted


def granted(lane: LaneBench) -> bool:
    return lane.state.desk.permission is not None


def test_the_signal_shows_stop_until_an_officer_decides_and_again_when_the_car_has_gone(lane: LaneBench) -> None:
    lane.arrives(1)
    assert (lane.red, lane.green, lane.gate) == (True, False, False)
    lane.dispose()
    assert (lane.red, lane.green, lane.gate) == (False, True, True)
    lane.gate_goes_up()
    lane.wait(1.0)
    lane.loop("exit", True)
    assert (lane.red, lane.green, lane.gate) == (True, False, True)
    lane.loop("booth", False)
    lane.wait(1.0)
    lane.loop("exit", False)
    assert lane.gate is True
    lane.wait(1.1)
    assert lane.gate is False
    assert [s.aspect for s in lane.told(SignalShown)] == [SignalAspect.STOP, SignalAspect.PROCEED, SignalAspect.STOP]


def test_a_release_is_recorded_answered_and_only_then_granted(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.dispose()
    order = [type(e.announcement) if isinstance(e, Publish) else type(e) for e in lane.last]
    assert order.index(DispositionRecorded) < order.index(Answer) < order.index(Drive)
    (grant,) = lane.drives(grants=True)
    assert isinstance(grant.command, WriteOutputs)
    assert dict(grant.command.points) == {"gate_open": True, "signal_red": False, "signal_green": True}
    assert still_granted(lane.state, grant.command_id)


@pytest.mark.parametrize(
    "disposition",
    [
        Disposition.RELEASED,
        Disposition.REFER_SECONDARY,
        Disposition.REFER_SCANNER,
        Disposition.REFER_AGRICULTURE,
        Disposition.TURN_BACK,
    ],
)
def test_a_referral_lets_the_car_go_to_where_it_is_referred(lane: LaneBench, disposition: Disposition) -> None:
    lane.arrives(1)
    assert lane.dispose(disposition=disposition) == DONE
    assert lane.green
    lane.gate_goes_up()
    lane.leaves()
    assert lane.closed[0].end is PassageEnd.COMPLETE


@pytest.mark.parametrize(
    "disposition", [Disposition.DETAINED, Disposition.ABSCONDED, Disposition.LANE_PASS_UNINSPECTED, Disposition.VOID]
)
def test_some_dispositions_open_nothing(lane: LaneBench, disposition: Disposition) -> None:
    lane.arrives(1)
    assert lane.dispose(disposition=disposition) == DONE
    assert not granted(lane)
    assert not lane.drives(grants=True)
    assert len(lane.told(DispositionRecorded)) == 1


def runs(lane: LaneBench) -> str:
    """A vehicle leaves without a disposition. Its passage."""
    passage = lane.arrives(1)
    lane.wait(1.0)
    lane.loop("exit", True)
    lane.wait(0.6)
    lane.loop("booth", False)
    return passage


@pytest.mark.parametrize("after_s", [0.1, 120.0])
def test_that_a_vehicle_fled_is_put_on_record_while_its_passage_is_open_and_after_it_has_closed(
    lane: LaneBench, after_s: float
) -> None:
    passage = runs(lane)
    lane.loop("exit", False)
    lane.wait(after_s)
    assert refused(lane.dispose(passage, Disposition.RELEASED))
    assert "officer" in refused(lane.dispose(passage, Disposition.ABSCONDED, Actor("t", Role.TECHNICIAN)))
    assert lane.dispose(passage, Disposition.ABSCONDED) == DONE
    (recorded,) = lane.told(DispositionRecorded)
    assert (recorded.passage, recorded.by.disposition) == (passage, Disposition.ABSCONDED)
    lane.wait(20.0)
    (closed,) = lane.closed
    assert closed.end is PassageEnd.UNRELEASED
    assert (closed.disposition is not None) is (after_s < 1.0)
    assert not lane.state.desk.alarms
    assert refused(lane.dispose(passage, Disposition.ABSCONDED))
    assert not lane.drives(grants=True)


def test_that_a_vehicle_fled_is_put_on_record_also_after_its_alarm_was_silenced(lane: LaneBench) -> None:
    passage = runs(lane)
    lane.loop("exit", False)
    lane.wait(20.0)
    assert lane.order(Acknowledge(lane.told(AlarmRaised)[-1].alarm)) == DONE
    assert lane.dispose(passage, Disposition.ABSCONDED) == DONE


def test_a_detained_car_may_be_decided_about_again_by_a_supervisor_only(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.dispose(disposition=Disposition.DETAINED)
    assert "already" in refused(lane.dispose())
    assert lane.dispose(actor=SUPERVISOR) == DONE


def test_a_voided_passage_without_a_car_is_closed_at_once(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.dispose(disposition=Disposition.VOID)
    lane.loop("approach", True)
    lane.wait(0.3)
    lane.loop("booth", False)
    lane.loop("approach", False)
    lane.wait(2.0)
    assert lane.closed[0].end is PassageEnd.WITHDRAWN


@pytest.mark.parametrize(
    ("why", "doubt"),
    [
        ("stale inputs", lambda lane: lane.give("io1", InputsStale(0.3))),
        ("module lost", lambda lane: lane.give("io1", DeviceChanged(DeviceState.OFFLINE, "timeout"))),
        ("inbox full", lambda lane: lane.give("lane", InputsLost(3))),
        ("store full", lambda lane: lane.give("lane", StoreChanged(False, "disk full"))),
        ("stopping", lambda lane: lane.give("lane", Stopping("SIGTERM"))),
        ("emergency", lambda lane: lane.order(DeclareEmergency("smoke"))),
        ("watchdog", lambda lane: lane.give("io1", ModuleWatchdogTripped())),
        ("outputs", lambda lane: (lane.wait(0.1), lane.give("io1", OutputsRead((("signal_green", False),))))),
    ],
)
def test_any_doubt_withdraws_in_the_same_step(lane: LaneBench, why: str, doubt: Callable[[LaneBench], object]) -> None:
    lane.arrives(1)
    lane.dispose()
    (grant,) = lane.drives(grants=True)
    doubt(lane)
    drives = [effect for effect in lane.last if isinstance(effect, Drive)]
    assert drives and not any(drive.grants for drive in drives), why
    assert isinstance(lane.last[0], Drive), "what withdraws comes first"
    assert not still_granted(lane.state, grant.command_id)
    assert (lane.red, lane.green, lane.gate) == (True, False, why in ("stale inputs", "module lost"))


def test_the_gate_is_not_lowered_while_its_loop_is_stale(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.dispose()
    lane.give("io1", InputsStale(0.3))
    lane.wait(5.0)
    assert lane.gate is True
    lane.give("io1", InputsFresh())
    lane.wait(0.1)
    assert lane.gate is False


def test_the_gate_is_not_lowered_on_a_car(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.releases()
    lane.loop("exit", True)
    lane.loop("booth", False)
    lane.wait(300.0)
    assert lane.gate is True


def test_the_gate_is_not_lowered_on_a_short_vehicle_between_booth_and_exit(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.releases()
    lane.loop("booth", False)
    lane.wait(10.0)
    assert lane.gate is True
    assert lane.green is False


def test_a_permission_that_nobody_uses_runs_out(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.releases()
    lane.wait(58.0)
    assert lane.green
    lane.wait(2.0)
    assert not lane.green and not lane.gate
    assert lane.dispose() == DONE, "the car still stands there and may be decided about anew"


def test_a_module_that_fails_to_carry_out_the_release_withdraws_it(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.carries_out = False
    lane.dispose()
    (grant,) = lane.drives(grants=True)
    lane.carries_out = True
    lane.give("io1", CommandEnded(grant.command_id, Outcome(Result.UNKNOWN, "timeout")))
    assert not granted(lane)
    assert lane.red
    assert lane.told(CommandCompleted)[-1].result is Result.UNKNOWN


def test_a_gate_that_does_not_open_is_a_fault_and_withdraws(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.dispose()
    lane.wait(8.1)
    fault = lane.told(EquipmentFault)[-1]
    assert (fault.equipment, fault.code, fault.active) == ("gate", "travel", True)
    assert not granted(lane)


def test_the_gate_is_told_by_its_limit_switches(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.releases()
    lane.leaves()
    lane.gate_goes_down()
    states = [moved.state for moved in lane.told(GateMoved)]
    assert states == [
        GateState.CLOSED,
        GateState.OPENING,
        GateState.OPEN,
        GateState.CLOSING,
        GateState.CLOSED,
    ]
    lane.contact("gate_opened", True)
    assert lane.told(GateMoved)[-1].state is GateState.FAULT
    assert lane.told(EquipmentFault)[-1].code == "switches"


def test_outputs_that_show_green_without_a_permission_are_put_right_and_told(lane: LaneBench) -> None:
    before = len(lane.drives(grants=False))
    lane.give("io1", OutputsRead((("signal_green", True), ("signal_red", True), ("gate_open", False))))
    assert {fault.code for fault in lane.told(EquipmentFault)} == {"conflict", "readback"}
    lane.wait(1.1)
    assert len(lane.drives(grants=False)) > before


def test_a_tripped_watchdog_is_told_cleared_and_red_is_commanded_again(lane: LaneBench) -> None:
    lane.wait(5.0)
    lane.give("io1", ModuleWatchdogTripped())
    commands = [effect.command for effect in lane.last if isinstance(effect, Drive)]
    red = WriteOutputs((("signal_green", False), ("signal_red", True)))
    cleared = commands.index(ClearWatchdog())
    assert red in commands[:cleared] and red in commands[cleared:], "what the flag covered may come back with that"
    told = lane.told(EquipmentFault)[-1]
    assert (told.code, told.active) == ("watchdog_tripped", True)


def test_a_tripped_watchdog_is_a_fault_until_the_module_has_taken_its_clearing(lane: LaneBench) -> None:
    lane.wait(5.0)
    for result, stands in ((Result.UNKNOWN, True), (Result.DONE, False)):
        lane.give("io1", ModuleWatchdogTripped())
        clear = next(e for e in lane.last if isinstance(e, Drive) and e.command == ClearWatchdog())
        lane.give("io1", CommandEnded(clear.command_id, Outcome(result)))
        assert (("io1", "watchdog_tripped") in lane.state.equipment.faults) is stands


def test_a_module_that_comes_back_is_told_to_show_red(lane: LaneBench) -> None:
    lane.give("io1", DeviceChanged(DeviceState.OFFLINE, "timeout"))
    lane.give("io1", DeviceChanged(DeviceState.ONLINE, "connected"))
    (drive,) = [effect for effect in lane.last if isinstance(effect, Drive)]
    assert drive.command == WriteOutputs((("signal_green", False), ("signal_red", True)))
    assert drive.grants is False


# --- who may ask, and when -------------------------------------------------------------------------------------------


def test_a_repeated_order_is_refused_and_opens_nothing(lane: LaneBench) -> None:
    passage = lane.arrives(1)
    assert lane.order(Dispose(passage, Disposition.RELEASED), key="k") == DONE
    lane.wait(70.0)
    assert refused(lane.order(Dispose(passage, Disposition.RELEASED), key="k")) == "already answered"
    assert len(lane.drives(grants=True)) == 1
    assert not lane.green


def test_256_keys_are_remembered_and_no_more(lane: LaneBench) -> None:
    for number in range(300):
        lane.order(Acknowledge("07-a000001"), key=f"old-{number}")
    assert len(lane.state.desk.keys) == 256
    assert refused(lane.order(Acknowledge("07-a000001"), key="old-44")) == "already answered"
    assert refused(lane.order(Acknowledge("07-a000001"), key="old-43")) != "already answered"


def test_orders_are_refused_with_the_reason(lane: LaneBench) -> None:
    first = lane.arrives(1)
    lane.through_portal()
    waiting = "07-000002"
    assert "late" in refused(lane.order(Dispose(first, Disposition.RELEASED), within_s=-0.1))
    assert "officer" in refused(lane.dispose(first, actor=Actor("t", Role.TECHNICIAN)))
    assert "officer" in refused(lane.dispose(first, actor=Actor("port", Role.CENTRAL)))
    assert "who they are" in refused(lane.dispose(first, actor=Actor(" ", Role.OFFICER)))
    assert "no open passage" in refused(lane.dispose("07-000099"))
    assert "not at the booth" in refused(lane.dispose(waiting))
    lane.give("lane", StoreChanged(False, "disk full"))
    assert "store" in refused(lane.dispose(first))
    lane.give("lane", StoreChanged(True, ""))
    lane.give("io1", InputsStale(0.3))
    assert "stale" in refused(lane.dispose(first))
    lane.give("io1", InputsFresh())
    assert lane.dispose(first) == DONE
    assert "already" in refused(lane.dispose(first))
    assert [answer.result for answer in lane.told(OrderAnswered)].count(Result.REFUSED) == 9


def test_a_mandatory_referral_is_contradicted_by_a_supervisor_with_a_justification_only(lane: LaneBench) -> None:
    lane.arrives(1, gamma=True)
    assert "supervisor" in refused(lane.dispose(actor=OFFICER, justification="banana lorry"))
    assert "justification" in refused(lane.dispose(actor=SUPERVISOR))
    assert lane.dispose(actor=SUPERVISOR, justification="medical isotope, letter seen") == DONE
    assert lane.told(DispositionRecorded)[0].acknowledged[0] == "rpm.gamma_alarm"


def test_the_booth_button_releases_by_its_officer_but_never_against_a_mandatory_referral() -> None:
    lane = LaneBench(setup(button=BoothButton("io1", "booth_button", "officer-12"))).started()
    lane.arrives(1)
    lane.contact("booth_button", True)
    assert granted(lane)
    assert lane.told(DispositionRecorded)[0].by.actor.name == "officer-12"
    lane.contact("booth_button", False)
    lane.gate_goes_up()
    lane.leaves()
    lane.gate_goes_down()
    lane.arrives(2, neutron=True)
    lane.contact("booth_button", True)
    assert not granted(lane)
    assert lane.told(OrderAnswered)[-1].result is Result.REFUSED


def test_a_button_found_pressed_is_no_press() -> None:
    lane = LaneBench(setup(button=BoothButton("io1", "booth_button", "officer-12"))).started()
    lane.arrives(1)
    lane.give("io1", DeviceChanged(DeviceState.OFFLINE, "timeout"))
    lane.give("io1", DeviceChanged(DeviceState.ONLINE, "connected"))
    for point, on in (("loop_booth", True), ("loop_approach", False), ("loop_exit", False), ("booth_button", True)):
        lane.give("io1", InputChanged(point, on))
    assert not granted(lane)


def test_a_card_opens_nothing(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.read_for(60, 1, 2, 3)
    assert not lane.drives(grants=True)


# --- the lane's life -------------------------------------------------------------------------------------------------


def lives(lane: LaneBench) -> list[LaneLife]:
    return [changed.life for changed in lane.told(LaneLifeChanged)]


def test_a_lane_opens_by_order_closes_when_it_is_empty_and_serves_whoever_is_inside() -> None:
    lane = LaneBench(setup(opens_at_start=False)).started()
    passage = lane.arrives(1)
    assert "the lane is closed" in refused(lane.dispose(passage))
    assert "opens" in refused(lane.order(OpenLane(), Actor("t", Role.TECHNICIAN)))
    assert lane.order(OpenLane()) == DONE
    assert lane.order(CloseLane("shift ends")) == DONE
    assert lives(lane) == [LaneLife.OPENING, LaneLife.OPEN, LaneLife.CLOSING]
    lane.releases()
    lane.leaves()
    assert lives(lane)[-1] is LaneLife.CLOSED


def test_a_lane_opens_only_when_its_equipment_answers() -> None:
    lane = LaneBench(setup(opens_at_start=False)).started()
    lane.give("io1", DeviceChanged(DeviceState.OFFLINE, "timeout"))
    lane.order(OpenLane())
    assert lives(lane) == [LaneLife.OPENING]
    lane.give("io1", DeviceChanged(DeviceState.ONLINE, "connected"))
    lane.loop("booth", False)
    assert lives(lane) == [LaneLife.OPENING, LaneLife.OPEN]


def test_an_emergency_is_left_by_a_supervisor_only(lane: LaneBench) -> None:
    passage = lane.arrives(1)
    lane.order(DeclareEmergency("smoke"), Actor("tech", Role.TECHNICIAN))
    assert "the lane is emergency" in refused(lane.dispose(passage))
    assert "emergency" in refused(lane.order(OpenLane()))
    assert "supervisor" in refused(lane.order(ResetLane()))
    assert lane.order(ResetLane(), SUPERVISOR) == DONE
    assert lives(lane)[-1] is LaneLife.CLOSED


def test_nothing_is_granted_once_the_lane_is_stopping(lane: LaneBench) -> None:
    passage = lane.arrives(1)
    lane.give("lane", Stopping("SIGTERM"))
    assert "stopping" in refused(lane.dispose(passage))


def test_no_more_minors_than_people_are_counted(lane: LaneBench) -> None:
    passage = lane.arrives(1)
    assert "minors" in refused(lane.order(SetOccupants(passage, 2, 3)))
    assert "minors" in refused(lane.order(SetOccupants(passage, 2, -1)))
    assert lane.order(SetOccupants(passage, 2, 2)) == DONE


def test_occupants_are_counted_by_officers_and_change_the_assessment(lane: LaneBench) -> None:
    passage = lane.arrives(1)
    assert lane.order(SetOccupants(passage, 2)) == DONE
    assert lane.assessment.occupants == 2
    assert [finding.detail for finding in lane.assessment.findings] == ["1 cards, 2 occupants"]
    assert refused(lane.order(SetOccupants(passage, -1)))
    assert refused(lane.order(SetOccupants("07-000077", 1)))
