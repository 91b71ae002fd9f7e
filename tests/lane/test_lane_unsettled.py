"""Nobody gets rid of a mandatory referral by having the lane lose count of its vehicles."""

from __future__ import annotations

import pytest
from lane_bench import SUPERVISOR, LaneBench, refused
from questions_bench import PLATE, AskingBench

from lanecontrol.announcements import PassageClosed, PassageEnd
from lanecontrol.commands import DONE, Disposition, NextVehicle
from lanecontrol.events import DeviceChanged, DeviceState, Started
from lanecontrol.forms import from_json, to_json
from lanecontrol.lane.state import LaneState
from lanecontrol.questions import Hit


def loses_sight(lane: LaneBench, *, at_booth: bool = True) -> None:
    """The module is away for longer than the lane has patience; then its loops can be read again."""
    lane.give("io1", DeviceChanged(DeviceState.OFFLINE, "cable"))
    lane.wait(70.0)
    lane.give("io1", DeviceChanged(DeviceState.ONLINE, "cable"))
    for loop in ("approach", "booth", "exit"):
        lane.loop(loop, at_booth and loop == "booth")
    lane.contact("gate_opened", False)
    lane.contact("gate_closed", True)
    lane.wait(3.0)


def next_one(lane: LaneBench, *, queued: bool = True) -> None:
    if queued:
        lane.through_portal()
        lane.to_approach()
    assert lane.order(NextVehicle()) == DONE
    lane.wait(3.0)


def codes(lane: LaneBench) -> set[str]:
    return {finding.code for finding in lane.assessment.findings}


@pytest.mark.parametrize("lose", [loses_sight, next_one, lambda lane: next_one(lane, queued=False)])
def test_an_alarm_stands_against_whoever_is_at_the_booth_next(lane: LaneBench, lose: object) -> None:
    first = lane.arrives(1, gamma=True)
    lane.wait(30.0)
    assert callable(lose)
    lose(lane)
    assert lane.at_booth != first
    assert {"rpm.gamma_alarm", "passage.ambiguous"} <= codes(lane)
    assert "mandatory" in refused(lane.dispose())
    assert lane.dispose(actor=SUPERVISOR, justification="checked by hand") == DONE


def test_it_stands_against_one_vehicle_alone(lane: LaneBench) -> None:
    lane.arrives(1, gamma=True)
    loses_sight(lane)
    assert lane.dispose(disposition=Disposition.REFER_SECONDARY) == DONE
    lane.gate_goes_up()
    lane.leaves()
    lane.gate_goes_down()
    lane.arrives(2)
    assert "rpm.gamma_alarm" not in codes(lane)


def test_the_second_in_line_may_be_either_of_the_next_two(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.through_portal(gamma=True)
    lane.to_approach()
    loses_sight(lane, at_booth=False)
    for _ in range(2):
        lane.arrives(2)
        assert "rpm.gamma_alarm" in codes(lane)
        lane.dispose(disposition=Disposition.REFER_SECONDARY)
        lane.gate_goes_up()
        lane.leaves()
        lane.gate_goes_down()
    lane.arrives(3)
    assert "rpm.gamma_alarm" not in codes(lane)


def test_a_vehicle_without_an_alarm_leaves_nothing_behind(lane: LaneBench) -> None:
    lane.arrives(1)
    loses_sight(lane)
    assert "rpm.gamma_alarm" not in codes(lane)
    assert lane.dispose() == DONE


def test_a_vehicle_that_was_seen_to_leave_took_its_alarm_along(lane: LaneBench) -> None:
    lane.arrives(1, gamma=True)
    lane.dispose(disposition=Disposition.REFER_SECONDARY)
    lane.gate_goes_up()
    lane.wait(1.0)
    lane.loop("exit", True)
    lane.wait(0.3)
    lane.loop("booth", False)
    lane.give("io1", DeviceChanged(DeviceState.OFFLINE, "cable"))
    lane.wait(70.0)
    assert lane.state.desk.unsettled == ()


def test_a_lookout_stands_against_whoever_is_at_the_booth_next_and_the_officer_is_told() -> None:
    lane = AskingBench().started()
    lane.hits = (Hit(PLATE, "wanted"),)
    first = lane.comes(1)
    assert lane.order(NextVehicle()) == DONE
    lane.read_for(4, 1)
    assert lane.at_booth != first
    assert [hit.number for hit in lane.lookouts[-1].hits] == [PLATE]
    assert "lookout" in refused(lane.dispose())


def test_what_is_not_settled_lives_through_a_checkpoint_and_a_restart(lane: LaneBench) -> None:
    lane.arrives(1, gamma=True)
    lane.give("io1", DeviceChanged(DeviceState.OFFLINE, "cable"))
    lane.wait(70.0)
    assert [closed.end for closed in lane.told(PassageClosed)] == [PassageEnd.INTERRUPTED]
    lane.state = from_json(LaneState, to_json(lane.state))
    lane.give("lane", Started(True, "boot-2"))
    assert len(lane.state.desk.unsettled) == 1
