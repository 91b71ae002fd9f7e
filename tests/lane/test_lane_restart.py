"""Stopping, starting, and states that go through the ledger in between."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lane_bench import SUPERVISOR, UTC_S, LaneBench, numbers, refused, setup

from lanecontrol.announcements import (
    CentralReach,
    CommandCompleted,
    DeviceFaultChanged,
    DeviceStateChanged,
    EquipmentFault,
    InputsDropped,
    LaneLife,
    LaneStarted,
    PassageAssessed,
    PassageEnd,
    PassageOpened,
    QualityChanged,
)
from lanecontrol.clock import Instant
from lanecontrol.commands import (
    DONE,
    DeclareEmergency,
    EnableEquipment,
    OpenLane,
    Override,
    OverridePart,
    ResetLane,
    Result,
)
from lanecontrol.events import (
    CentralChanged,
    DeviceChanged,
    DeviceFault,
    DeviceState,
    Identity,
    Input,
    InputChanged,
    InputsLost,
    Started,
    Tick,
)
from lanecontrol.forms import from_json, to_json
from lanecontrol.lane.effects import Drive
from lanecontrol.lane.setup import LaneSetup, Zone
from lanecontrol.lane.state import LaneState
from lanecontrol.lane.step import deadline, step


def restart(lane: LaneBench, *, away_s: float, boot: str = "boot-1", **loops: bool) -> None:
    """The software stops dead, is started again from its checkpoint, and reads its contacts anew."""
    lane.state = from_json(LaneState, to_json(lane.state))
    lane.now_s += away_s
    lane.give("lane", Started(False, boot))
    for device in ("io1", "rpm1", "rfid1"):
        lane.give(device, DeviceChanged(DeviceState.ONLINE, "connected"))
    for name in ("approach", "booth", "exit"):
        lane.give("io1", InputChanged(f"loop_{name}", loops.get(name, False)))
    lane.contact("gate_opened", False)
    lane.contact("gate_closed", True)


def test_a_start_commands_red_and_lowers_the_gate_once_it_can_see(lane: LaneBench) -> None:
    assert lane.red and not lane.green
    assert lane.gate is False
    assert all(not drive.grants for drive in lane.effects if isinstance(drive, Drive))


def test_a_permission_does_not_survive_a_start(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.dispose()
    assert lane.green
    restart(lane, away_s=1.0, booth=True)
    assert lane.red and not lane.green
    assert lane.state.desk.permission is None
    assert lane.dispose() == DONE, "the officer may decide again"


def test_a_car_at_the_booth_goes_on_after_a_start(lane: LaneBench) -> None:
    passage = lane.arrives(1)
    restart(lane, away_s=20.0, booth=True)
    lane.wait(30.0)
    assert lane.closed == []
    lane.releases()
    lane.leaves()
    assert [(c.passage, c.end, numbers(c.tags)) for c in lane.closed] == [(passage, PassageEnd.COMPLETE, {1})]
    assert len(lane.told(PassageOpened)) == 1


def test_a_car_that_left_meanwhile_is_closed_as_interrupted(lane: LaneBench) -> None:
    passage = lane.arrives(1)
    restart(lane, away_s=20.0, booth=False)
    lane.wait(15.0)
    assert [(c.passage, c.end) for c in lane.closed] == [(passage, PassageEnd.INTERRUPTED)]


def test_after_hours_every_passage_is_interrupted(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.through_portal()
    restart(lane, away_s=7200.0, booth=True)
    lane.wait(5.0)
    assert {c.end for c in lane.closed} == {PassageEnd.INTERRUPTED}
    assert len(lane.closed) == 2
    assert lane.told(PassageAssessed)[-1].passage == "07-000003", "whoever stands there is a new passage"


def test_a_released_car_is_not_taken_for_the_next_one_after_a_long_stop(lane: LaneBench) -> None:
    first = lane.arrives(1)
    lane.dispose()
    restart(lane, away_s=30.0, booth=True)
    lane.wait(3.0)
    assert lane.closed[0].passage == first
    assert lane.closed[0].end is PassageEnd.INTERRUPTED
    assert lane.at_booth != first


def test_monotonic_time_may_begin_anew(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.state = from_json(LaneState, to_json(lane.state))
    utc_s = UTC_S + lane.now_s + 10.0
    for event in (Started(False, "boot-2"), Tick()):
        lane.state, _ = step(lane.setup, lane.state, Input(Instant(3.0, utc_s), "lane", event))
    due_s = deadline(lane.state)
    assert due_s is not None and 3.0 < due_s <= 33.0


def test_a_start_says_what_became_of_commands_under_way(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.carries_out = False
    lane.dispose()
    restart(lane, away_s=1.0, booth=True)
    assert lane.told(CommandCompleted)[-1].result is Result.UNKNOWN
    assert [started.cold for started in lane.told(LaneStarted)] == [True, False]


def test_a_changed_layout_interrupts_every_passage(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.setup = setup(loops=("booth", "exit"))
    lane.give("lane", Started(False, "boot-1"))
    assert lane.closed[0].end is PassageEnd.INTERRUPTED


def test_zones_may_be_renamed_between_starts_without_harm(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.setup = replace(lane.setup, zones=(Zone("elsewhere", 0, 1),), booth_zone="elsewhere")
    lane.give("lane", Started(False, "boot-1"))
    lane.loop("booth", True)
    lane.wait(100.0)


def test_the_loss_of_the_module_for_a_moment_keeps_the_car(lane: LaneBench) -> None:
    passage = lane.arrives(1)
    lane.give("io1", DeviceChanged(DeviceState.OFFLINE, "timeout"))
    lane.wait(5.0)
    assert "not online" in refused(lane.dispose(passage))
    lane.give("io1", DeviceChanged(DeviceState.ONLINE, "connected"))
    assert "not been read" in refused(lane.dispose(passage)) or "not at the booth" in refused(lane.dispose(passage))
    for name in ("approach", "booth", "exit"):
        lane.loop(name, name == "booth")
    assert lane.dispose(passage) == DONE


def test_a_car_that_went_while_the_module_was_away_is_interrupted_and_raises_no_alarm(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.give("io1", DeviceChanged(DeviceState.OFFLINE, "timeout"))
    lane.wait(5.0)
    lane.give("io1", DeviceChanged(DeviceState.ONLINE, "connected"))
    for name in ("approach", "booth", "exit"):
        lane.loop(name, False)
    lane.wait(20.0)
    assert [c.end for c in lane.closed] == [PassageEnd.INTERRUPTED]


def test_a_module_away_for_over_a_minute_interrupts_what_it_cannot_see(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.give("io1", DeviceChanged(DeviceState.OFFLINE, "timeout"))
    lane.wait(61.0)
    assert [c.end for c in lane.closed] == [PassageEnd.INTERRUPTED]


def test_states_of_devices_are_told_with_their_kind_and_since_when(lane: LaneBench) -> None:
    lane.give("rpm1", DeviceChanged(DeviceState.OFFLINE, "refused"))
    since = lane.told(DeviceStateChanged)[-1].since_utc_s
    lane.wait(5.0)
    lane.give("rpm1", DeviceChanged(DeviceState.OFFLINE, "still refused", Identity(model="TSA")))
    last = lane.told(DeviceStateChanged)[-1]
    assert (last.kind, last.since_utc_s, last.reason) == ("rpm.rapiscan", since, "still refused")


def test_a_devices_own_fault_is_told_once(lane: LaneBench) -> None:
    for _ in range(3):
        lane.give("rfid1", DeviceFault("antenna_lost", "port 1"))
    lane.give("rfid1", DeviceFault("antenna_lost", "port 1", active=False))
    assert [fault.active for fault in lane.told(DeviceFaultChanged)] == [True, False]


def test_lost_inputs_show_red_and_leave_the_matching_to_the_officer(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.dispose()
    lane.give("lane", InputsLost(17))
    assert lane.red and not lane.green
    assert lane.told(InputsDropped)[0].count == 17
    assert lane.told(QualityChanged)[-1].quality.value == "MANUAL"


def test_the_ports_reach_is_told_when_it_changes(lane: LaneBench) -> None:
    for reachable in (True, True, False, True):
        lane.give("port", CentralChanged(reachable, ""))
    assert [reach.reachable for reach in lane.told(CentralReach)] == [True, False, True]


@pytest.mark.parametrize("scene", ["empty", "queue", "booth", "released", "leaving", "alarm"])
def test_every_state_goes_through_json_and_back(lane: LaneBench, scene: str) -> None:
    if scene != "empty":
        lane.through_portal(gamma=scene == "alarm")
    if scene not in ("empty", "queue"):
        lane.to_approach()
        lane.to_booth()
        lane.read_for(3, 1, 2)
    if scene in ("released", "leaving"):
        lane.releases()
    if scene == "leaving":
        lane.loop("exit", True)
        lane.loop("booth", False)
    assert from_json(LaneState, to_json(lane.state)) == lane.state


# --- a changed configuration of the equipment ------------------------------------------------------------------------


def with_hash(name: str, *, simulated: bool) -> LaneSetup:
    return replace(setup(opens_at_start=False), equipment_hash=name, simulated=simulated)


def test_a_real_lanes_first_start_waits_for_a_supervisor_and_shows_red_meanwhile() -> None:
    lane = LaneBench(with_hash("one", simulated=False)).started()
    assert [(f.equipment, f.code, f.active) for f in lane.told(EquipmentFault)] == [("equipment", "not_accepted", True)]
    passage = lane.arrives(1)
    lane.order(OpenLane())
    assert lane.state.desk.life is LaneLife.OPENING
    assert "opening" in refused(lane.dispose(passage))
    assert lane.red and not lane.green
    assert "supervisor" in refused(lane.order(EnableEquipment()))
    assert lane.order(EnableEquipment(), SUPERVISOR) == DONE
    assert lane.told(EquipmentFault)[-1].active is False
    assert lane.dispose(passage) == DONE


def test_a_simulated_lanes_first_start_is_taken_as_accepted() -> None:
    lane = LaneBench(with_hash("one", simulated=True)).started()
    lane.order(OpenLane())
    assert lane.dispose(lane.arrives(1)) == DONE


@pytest.mark.parametrize("simulated", [True, False])
def test_a_changed_configuration_withdraws_and_waits_for_a_supervisor(simulated: bool) -> None:
    lane = LaneBench(with_hash("one", simulated=simulated)).started()
    lane.order(EnableEquipment(), SUPERVISOR)
    lane.order(OpenLane())
    passage = lane.arrives(1)
    lane.dispose()
    lane.setup = with_hash("two", simulated=simulated)
    restart(lane, away_s=2.0, booth=True)
    assert lane.red and not lane.green
    assert "enable" in refused(lane.dispose(passage))
    assert "enable" in refused(lane.order(Override(OverridePart.GATE_OPEN, "smoke", 60.0), SUPERVISOR))
    assert lane.order(DeclareEmergency()) == DONE, "what withdraws goes on"
    lane.order(ResetLane(), SUPERVISOR)
    lane.order(EnableEquipment(), SUPERVISOR)
    lane.order(OpenLane())
    assert lane.dispose(passage) == DONE


def test_an_accepted_configuration_is_accepted_over_restarts_and_the_one_before_is_not() -> None:
    lane = LaneBench(with_hash("one", simulated=False)).started()
    lane.order(EnableEquipment(), SUPERVISOR)
    restart(lane, away_s=2.0)
    assert ("not_accepted", True) not in [(f.code, f.active) for f in lane.told(EquipmentFault)[1:]]
    lane.setup = with_hash("two", simulated=False)
    restart(lane, away_s=2.0)
    lane.order(EnableEquipment(), SUPERVISOR)
    lane.setup = with_hash("one", simulated=False)
    restart(lane, away_s=2.0)
    assert lane.told(EquipmentFault)[-1].active is True
