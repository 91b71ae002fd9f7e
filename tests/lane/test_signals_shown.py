"""What the two signal heads and the beacon show, and what is made of lamps that burn otherwise than commanded."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from equipped_bench import EquippedLane, equipped
from lane_bench import OFFICER, SUPERVISOR, LaneBench, refused

from lanecontrol.announcements import (
    AlarmEnded,
    AlarmKind,
    EquipmentFault,
    LaneAspect,
    LaneLife,
    LaneSignalShown,
    SignalAspect,
)
from lanecontrol.commands import (
    DONE,
    Acknowledge,
    Actor,
    CloseLane,
    DeclareEmergency,
    OpenLane,
    Outcome,
    ResetLane,
    Result,
    Role,
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
    Started,
    Stopping,
    StoreChanged,
)
from lanecontrol.lane.effects import Drive, Publish
from lanecontrol.lane.readback import Lamp, mismatch
from lanecontrol.lane.setup import LaneSignal
from lanecontrol.lane.signals import booth_lamps, lane_lamps
from lanecontrol.lane.step import still_granted


@pytest.fixture
def lane() -> EquippedLane:
    return EquippedLane().started()


def life(lane: LaneBench) -> LaneLife:
    return lane.state.desk.life


# --- the conflict monitor: one lamp of a head at most, also between two writes ---------------------------------------


@pytest.mark.parametrize("aspect", [SignalAspect.STOP, SignalAspect.PROCEED])
def test_the_booths_lamps_are_commanded_together_and_what_goes_off_goes_first(aspect: SignalAspect) -> None:
    lamps = booth_lamps(equipped().signal or pytest.fail(), aspect)
    assert [on for _, on in lamps] == [False, True]


@pytest.mark.parametrize("aspect", LaneAspect)
def test_one_lamp_of_the_overhead_signal_is_commanded_on_and_last(aspect: LaneAspect) -> None:
    lamps = lane_lamps(LaneSignal("io1", "arrow", "yellow", "red"), aspect)
    assert [on for _, on in lamps] == [False, False, True]
    assert dict(lamps).keys() == {"arrow", "yellow", "red"}


@pytest.mark.parametrize(
    ("burns", "code"),
    [
        ((False, True), ""),
        ((True, True), "lamps_conflict"),
        ((True, False), "lamp_on"),
        ((False, False), "dark"),
        ((False, None), "lamp_unread"),
        ((None, True), "lamp_unread"),
        ((True, None), "lamp_on"),
    ],
)
def test_what_lamps_read_back_is_told_apart(burns: tuple[bool | None, bool | None], code: str) -> None:
    lamps = [Lamp("green", False, burns[0]), Lamp("red", True, burns[1])]
    assert mismatch(lamps)[0] == code


# --- read-back -------------------------------------------------------------------------------------------------------


def test_lamps_that_burn_as_commanded_are_never_a_fault(lane: EquippedLane) -> None:
    for number in (1, 2):
        lane.arrives(number)
        lane.releases()
        lane.leaves()
        lane.gate_goes_down()
    lane.order(CloseLane())
    lane.wait(10.0)
    assert lane.faults("signal") == lane.faults("lane_signal") == []
    assert lane.alarms() == []


def test_a_red_lamp_that_is_burnt_out_is_a_dark_signal_and_not_a_red_one(lane: EquippedLane) -> None:
    lane.burnt_out = {"red_lit"}
    lane.lamps()
    lane.wait(0.4)
    assert lane.faults("signal") == []
    lane.wait(0.2)
    assert lane.faults("signal") == [("dark", True)]
    assert lane.alarms() == [AlarmKind.SIGNAL_DARK]
    assert lane.overhead() is LaneAspect.CLOSED, "nobody is called in to a dark signal"
    assert lane.beacon
    passage = lane.arrives(1)
    assert "dark" in refused(lane.dispose(passage))


def test_the_alarm_of_a_dark_signal_ends_when_the_lamp_is_mended_and_somebody_has_answered_it(
    lane: EquippedLane,
) -> None:
    lane.burnt_out = {"red_lit"}
    lane.wait(1.0)
    lane.order(Acknowledge("07-a000001"))
    assert lane.told(AlarmEnded) == []
    lane.burnt_out = set()
    lane.wait(0.1)
    lane.wait(0.1)
    assert lane.faults("signal")[-1] == ("dark", False)
    assert len(lane.told(AlarmEnded)) == 1
    lane.wait(5.0)
    assert lane.overhead() is LaneAspect.OPEN
    assert not lane.beacon


def test_a_green_lamp_that_does_not_burn_withdraws_the_release_and_leaves_red(lane: EquippedLane) -> None:
    lane.burnt_out = {"green_lit"}
    lane.arrives(1)
    lane.dispose()
    lane.wait(0.6)
    assert ("dark", True) in lane.faults("signal")
    assert lane.state.desk.permission is None
    assert lane.red and not lane.green


@pytest.mark.parametrize(("welded", "code"), [("green_lit", "lamps_conflict"), ("open_lit", "lamps_conflict")])
def test_two_lamps_of_a_head_that_burn_together_are_a_fault_and_force_red(
    lane: EquippedLane, welded: str, code: str
) -> None:
    lane.order(CloseLane())
    lane.wait(10.0)
    before = len(lane.effects)
    lane.welded = {welded}
    lane.wait(0.1)
    lane.wait(0.5)
    head = "signal" if welded == "green_lit" else "lane_signal"
    assert lane.faults(head) == [(code, True)]
    assert lane.alarms() == [AlarmKind.SIGNAL_FAULT]
    commanded = [
        dict(e.command.points)
        for e in lane.effects[before:]
        if isinstance(e, Drive) and isinstance(e.command, WriteOutputs)
    ]
    assert {"signal_green": False, "signal_red": True} in commanded
    assert {"lane_open": False, "lane_closing": False, "lane_closed": True} in commanded


def test_a_conflict_withdraws_a_release_within_500_ms(lane: EquippedLane) -> None:
    lane.arrives(1)
    lane.releases()
    lane.welded = {"red_lit"}
    lane.lamps()
    lane.wait(0.51)
    assert lane.state.desk.permission is None
    assert ("lamps_conflict", True) in lane.faults("signal")


def test_a_head_whose_contacts_are_not_read_is_a_fault() -> None:
    lane = LaneBench(equipped()).started()
    faults = {(fault.equipment, fault.code) for fault in lane.told(EquipmentFault)}
    assert faults == {("signal", "lamp_unread"), ("lane_signal", "lamp_unread")}
    assert life(lane) is LaneLife.OPENING, "nor does such a lane open"


def test_while_a_release_waits_for_the_disk_the_lamps_may_show_either(lane: EquippedLane) -> None:
    lane.arrives(1)
    lane.carries_out = False
    lane.dispose()
    lane.wait(5.0)
    assert lane.faults("signal") == []
    assert lane.state.desk.permission is not None


def test_a_module_that_is_away_is_not_told_as_dark_lamps(lane: EquippedLane) -> None:
    lane.give("io1", DeviceChanged(DeviceState.OFFLINE, "timeout"))
    lane.wait(5.0)
    assert lane.faults("signal") == []


# --- the overhead signal follows the lane's life ---------------------------------------------------------------------


def shown(lane: EquippedLane) -> list[LaneAspect]:
    return [told.aspect for told in lane.told(LaneSignalShown)]


def test_a_start_shows_the_red_x_and_an_open_sound_lane_the_green_arrow() -> None:
    lane = EquippedLane()
    lane.give("lane", Started(True, "boot-1"))
    assert lane.overhead() is LaneAspect.CLOSED
    lane.started()
    assert lane.overhead() is LaneAspect.OPEN
    assert shown(lane) == [LaneAspect.CLOSED, LaneAspect.OPEN]


def test_the_green_arrow_is_a_grant_and_everything_else_is_not(lane: EquippedLane) -> None:
    arrows = [
        drive.grants
        for drive in lane.effects
        if isinstance(drive, Drive)
        and isinstance(drive.command, WriteOutputs)
        and ("lane_open", True) in drive.command.points
    ]
    assert arrows == [True]
    lane.order(CloseLane())
    lane.wait(10.0)
    others = [
        drive.grants
        for drive in lane.effects
        if isinstance(drive, Drive)
        and isinstance(drive.command, WriteOutputs)
        and ("lane_open", False) in drive.command.points
    ]
    assert others and not any(others)


def test_a_lane_that_closes_shows_the_yellow_x_for_at_least_4_s_also_when_it_is_empty(lane: EquippedLane) -> None:
    lane.order(CloseLane())
    assert life(lane) is LaneLife.CLOSED
    assert lane.overhead() is LaneAspect.CLOSING
    lane.wait(3.9)
    assert lane.overhead() is LaneAspect.CLOSING
    lane.wait(0.2)
    assert lane.overhead() is LaneAspect.CLOSED


def test_the_yellow_x_stays_until_the_last_vehicle_is_through(lane: EquippedLane) -> None:
    lane.arrives(1)
    lane.order(CloseLane())
    lane.wait(30.0)
    assert lane.overhead() is LaneAspect.CLOSING
    lane.releases()
    lane.leaves()
    assert lane.overhead() is LaneAspect.CLOSED


def test_an_emergency_shows_the_red_x_at_once_also_out_of_the_yellow_one(lane: EquippedLane) -> None:
    lane.order(CloseLane())
    lane.wait(1.0)
    assert lane.overhead() is LaneAspect.CLOSING
    lane.order(DeclareEmergency("smoke"))
    assert lane.overhead() is LaneAspect.CLOSED


@pytest.mark.parametrize(
    ("why", "doubt"),
    [
        ("stale inputs", lambda lane: lane.give("io1", InputsStale(0.3))),
        ("module lost", lambda lane: lane.give("io1", DeviceChanged(DeviceState.OFFLINE, "timeout"))),
        ("inbox full", lambda lane: lane.give("lane", InputsLost(3))),
        ("store full", lambda lane: lane.give("lane", StoreChanged(False, "disk full"))),
        ("stopping", lambda lane: lane.give("lane", Stopping("SIGTERM"))),
        ("emergency", lambda lane: lane.contact("emergency", True)),
        ("watchdog", lambda lane: lane.give("io1", ModuleWatchdogTripped())),
        ("gate", lambda lane: lane.contact("gate_fault", True)),
        ("outputs", lambda lane: lane.give("io1", OutputsRead((("lane_open", False), ("lane_closed", False))))),
    ],
)
def test_any_doubt_shows_the_red_x_in_the_same_step(
    lane: EquippedLane, why: str, doubt: Callable[[EquippedLane], object]
) -> None:
    lane.wait(0.1)
    command = lane.state.equipment.lane_command
    assert still_granted(lane.state, command)
    doubt(lane)
    drives = [effect for effect in lane.last if isinstance(effect, Drive)]
    assert not any(drive.grants for drive in drives), why
    assert any(
        ("lane_closed", True) in drive.command.points for drive in drives if isinstance(drive.command, WriteOutputs)
    )
    first_told = next(i for i, effect in enumerate(lane.last) if isinstance(effect, Publish))
    assert all(not isinstance(effect, Drive) for effect in lane.last[first_told:]), "commands that withdraw come first"
    assert not still_granted(lane.state, command)


def test_after_a_doubt_the_red_x_stays_for_a_while_and_the_arrow_comes_back(lane: EquippedLane) -> None:
    lane.give("io1", InputsStale(0.3))
    lane.wait(0.2)
    lane.give("io1", InputsFresh())
    lane.wait(2.0)
    assert lane.overhead() is LaneAspect.CLOSED
    lane.wait(1.5)
    assert lane.overhead() is LaneAspect.OPEN


def test_an_arrow_that_is_burnt_out_is_told_once_and_tried_again_when_somebody_opens_the_lane(
    lane: EquippedLane,
) -> None:
    lane.burnt_out = {"open_lit"}
    lane.lamps()
    for _ in range(40):
        lane.wait(5.0)
    assert lane.faults("lane_signal") == [("lamp_out", True)]
    assert lane.alarms() == [AlarmKind.SIGNAL_FAULT]
    assert lane.overhead() is LaneAspect.CLOSED
    lane.burnt_out = set()
    lane.order(CloseLane())
    lane.order(OpenLane())
    for _ in range(3):
        lane.wait(5.0)
    assert lane.faults("lane_signal")[-1] == ("lamp_out", False)
    assert lane.overhead() is LaneAspect.OPEN


def test_an_arrow_that_was_not_shown_is_not_held_for_shown(lane: EquippedLane) -> None:
    lane.order(CloseLane())
    lane.wait(10.0)
    lane.carries_out = False
    lane.order(OpenLane())
    (arrow,) = [drive for drive in lane.last if isinstance(drive, Drive) and drive.grants]
    lane.carries_out = True
    lane.give("io1", CommandEnded(arrow.command_id, Outcome(Result.UNKNOWN, "timeout")))
    assert lane.overhead() is LaneAspect.CLOSED
    lane.wait(9.0)
    assert lane.overhead() is LaneAspect.CLOSED
    lane.wait(2.0)
    assert lane.overhead() is LaneAspect.OPEN


def test_a_red_x_that_could_not_be_shown_is_commanded_again(lane: EquippedLane) -> None:
    lane.carries_out = False
    lane.order(DeclareEmergency())
    crosses = [d for d in lane.last if isinstance(d, Drive) and ("lane_closed", True) in d.command.points]  # type: ignore[union-attr]
    lane.carries_out = True
    lane.give("io1", CommandEnded(crosses[0].command_id, Outcome(Result.FAILED, "busy")))
    lane.wait(2.1)
    assert lane.overhead() is LaneAspect.CLOSED


# --- the beacon ------------------------------------------------------------------------------------------------------


def test_the_beacon_is_on_while_the_lane_is_not_to_be_entered_or_somebody_is_needed(lane: EquippedLane) -> None:
    assert not lane.beacon
    lane.arrives(1, gamma=True)
    assert lane.beacon, "an alarm that nobody has acknowledged"
    lane.order(Acknowledge("07-a000001"))
    assert not lane.beacon
    lane.order(CloseLane())
    assert lane.beacon
    lane.order(OpenLane())
    lane.order(DeclareEmergency())
    assert lane.beacon


# --- emergency -------------------------------------------------------------------------------------------------------


def test_the_emergency_button_stops_everything_in_the_same_step(lane: EquippedLane) -> None:
    lane.arrives(1)
    lane.releases()
    lane.contact("emergency", True)
    assert life(lane) is LaneLife.EMERGENCY
    assert (lane.red, lane.green, lane.overhead(), lane.beacon) == (True, False, LaneAspect.CLOSED, True)


def test_a_button_that_is_found_pressed_at_a_start_is_an_emergency() -> None:
    lane = EquippedLane()
    lane.give("lane", Started(True, "boot-1"))
    lane.give("io1", DeviceChanged(DeviceState.ONLINE, ""))
    lane.give("io1", InputChanged("emergency", True))
    assert life(lane) is LaneLife.EMERGENCY


def test_an_emergency_is_left_when_the_button_is_released_and_a_supervisor_resets(lane: EquippedLane) -> None:
    lane.contact("emergency", True)
    assert "button" in refused(lane.order(ResetLane(), SUPERVISOR))
    assert "emergency" in refused(lane.order(OpenLane(), SUPERVISOR))
    lane.contact("emergency", False)
    assert life(lane) is LaneLife.EMERGENCY, "releasing the button alone opens nothing"
    assert "supervisor" in refused(lane.order(ResetLane(), OFFICER))
    assert "supervisor" in refused(lane.order(ResetLane(), Actor("t", Role.TECHNICIAN)))
    assert lane.order(ResetLane(), SUPERVISOR) == DONE
    assert life(lane) is LaneLife.CLOSED


def test_a_button_that_cannot_be_read_keeps_the_lane_from_granting(lane: EquippedLane) -> None:
    passage = lane.arrives(1)
    lane.give("io1", DeviceChanged(DeviceState.OFFLINE, "timeout"))
    lane.give("io1", DeviceChanged(DeviceState.ONLINE, "connected"))
    for name in ("approach", "booth", "exit"):
        lane.loop(name, name == "booth")
    assert "emergency button" in refused(lane.dispose(passage))
