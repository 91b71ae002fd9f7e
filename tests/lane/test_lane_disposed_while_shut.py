"""A vehicle at the booth of a lane that lets nobody go: what its officer decides is put on record and opens nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lane_bench import OFFICER, SUPERVISOR, refused
from life_bench import CENTRAL, TECHNICIAN, LivingLane, opened

from lanecontrol.announcements import AlarmKind, DispositionRecorded, LaneLife, OrderAnswered, PassageEnd
from lanecontrol.commands import (
    DONE,
    Actor,
    CloseLane,
    DeclareEmergency,
    Disposition,
    EndMaintenance,
    Maintain,
    OpenLane,
    Outcome,
    Override,
    OverridePart,
    ResetLane,
    Result,
    SuspendLane,
)
from lanecontrol.events import StoreChanged

CLOSED, OPEN = LaneLife.CLOSED, LaneLife.OPEN
ELSEWHERE = (
    Disposition.REFER_SECONDARY,
    Disposition.REFER_SCANNER,
    Disposition.REFER_AGRICULTURE,
    Disposition.TURN_BACK,
)
"""What moves a vehicle that is not released."""
STAYS = (Disposition.DETAINED, Disposition.ABSCONDED, Disposition.LANE_PASS_UNINSPECTED, Disposition.VOID)


def closed() -> LivingLane:
    """Somebody drives into a closed lane, past the red X."""
    lane = LivingLane().started()
    lane.arrives(1)
    return lane


def opening() -> LivingLane:
    """The same in one that is to open, and cannot: its red lamp has burnt out."""
    lane = LivingLane().started()
    lane.burnt_out.add("red_lit")
    lane.lamps()
    lane.wait(2.0)
    lane.order(OpenLane())
    lane.arrives(1)
    assert lane.life is LaneLife.OPENING
    return lane


def maintained() -> LivingLane:
    lane = LivingLane().started()
    lane.order(Maintain("loop 2"), TECHNICIAN)
    lane.arrives(1)
    return lane


def suspended() -> LivingLane:
    lane = opened()
    lane.order(SuspendLane("shift change"))
    lane.wait(5.0)
    lane.arrives(1)
    return lane


def diverted() -> LivingLane:
    lane = opened()
    lane.divert()
    lane.wait(5.0)
    lane.arrives(1)
    return lane


def in_emergency() -> LivingLane:
    lane = opened()
    lane.arrives(1)
    lane.order(DeclareEmergency("smoke"))
    return lane


def reset() -> LivingLane:
    """A vehicle is still in the lane when the emergency is over."""
    lane = in_emergency()
    assert lane.order(ResetLane(), SUPERVISOR) == DONE
    assert lane.life is CLOSED
    return lane


SHUT = [closed, opening, maintained, suspended, diverted, in_emergency, reset]


def on_record(outcome: Outcome) -> str:
    """What the officer is told; fails when it was refused, or when it was not said that nothing is opened."""
    assert outcome.result is Result.DONE
    assert "on record only" in outcome.reason
    return outcome.reason


def backs_out(lane: LivingLane, *, long: bool) -> None:
    """Onto the approach's loop and away; a long vehicle is on both loops on the way, a short one on neither."""
    lane.loop(*(("approach", True) if long else ("booth", False)))
    lane.wait(0.5)
    lane.loop(*(("booth", False) if long else ("approach", True)))
    lane.wait(1.0)
    lane.loop("approach", False)
    lane.wait(60.0)


def drives_off(lane: LivingLane) -> None:
    """Through the gate, which somebody has opened by its own controls."""
    lane.gate_goes_up()
    lane.leaves()
    lane.gate_goes_down()
    lane.wait(10.0)


@pytest.mark.parametrize("shut", SHUT)
@pytest.mark.parametrize("disposition", ELSEWHERE)
def test_where_the_vehicle_goes_is_put_on_record_and_nothing_is_granted(
    shut: Callable[[], LivingLane], disposition: Disposition
) -> None:
    lane = shut()
    already = len(lane.drives(grants=True))
    told = on_record(lane.dispose(disposition=disposition))
    (recorded,) = lane.told(DispositionRecorded)
    assert (recorded.by.disposition, recorded.by.actor) == (disposition, OFFICER)
    assert lane.told(OrderAnswered)[-1].reason == told
    lane.wait(30.0)
    assert lane.state.desk.permission is None
    assert len(lane.drives(grants=True)) == already
    assert (lane.green, lane.gate) == (False, False)


@pytest.mark.parametrize("shut", SHUT)
def test_nobody_is_released_and_the_officer_is_told_what_may_be_done_instead(shut: Callable[[], LivingLane]) -> None:
    lane = shut()
    assert "referred, turned back or detained" in refused(lane.dispose())
    assert "referred, turned back or detained" in refused(lane.dispose(actor=SUPERVISOR))
    assert not lane.told(DispositionRecorded)


@pytest.mark.parametrize("shut", SHUT)
@pytest.mark.parametrize("disposition", STAYS)
def test_what_moves_nothing_is_recorded_as_in_any_lane(
    shut: Callable[[], LivingLane], disposition: Disposition
) -> None:
    assert shut().dispose(disposition=disposition) == DONE


@pytest.mark.parametrize("actor", [TECHNICIAN, CENTRAL])
def test_only_those_at_the_booth_decide(actor: Actor) -> None:
    lane = closed()
    assert "only an officer" in refused(lane.dispose(disposition=Disposition.TURN_BACK, actor=actor))


def test_an_alarm_is_not_turned_back_on_record_by_an_officer_alone() -> None:
    lane = LivingLane().started()
    lane.arrives(1, gamma=True)
    assert "only a supervisor" in refused(lane.dispose(disposition=Disposition.TURN_BACK))
    on_record(lane.dispose(disposition=Disposition.REFER_SECONDARY))


@pytest.mark.parametrize("shut", [closed, suspended, diverted, in_emergency])
@pytest.mark.parametrize("long", [True, False])
def test_who_was_turned_back_and_backs_out_leaves_a_record_of_it_and_an_empty_lane(
    shut: Callable[[], LivingLane], long: bool
) -> None:
    lane = shut()
    turned_back = lane.at_booth
    on_record(lane.dispose(disposition=Disposition.TURN_BACK))
    backs_out(lane, long=long)
    (passage,) = [closed for closed in lane.closed if closed.passage == turned_back]
    assert passage.end is PassageEnd.WITHDRAWN
    assert passage.disposition is not None
    assert passage.disposition.disposition is Disposition.TURN_BACK
    assert AlarmKind.UNRELEASED_DEPARTURE not in lane.alarms()
    assert not lane.state.tracking.passages


def test_who_was_referred_and_is_let_out_by_the_gates_own_controls_is_no_runaway() -> None:
    lane = closed()
    on_record(lane.dispose(disposition=Disposition.REFER_SECONDARY))
    drives_off(lane)
    (passage,) = lane.closed
    assert passage.end is PassageEnd.COMPLETE
    assert AlarmKind.UNRELEASED_DEPARTURE not in lane.alarms()


@pytest.mark.parametrize("disposition", [None, Disposition.DETAINED, Disposition.VOID])
def test_who_leaves_a_closed_lane_otherwise_is_one(disposition: Disposition | None) -> None:
    lane = closed()
    if disposition is not None:
        lane.dispose(disposition=disposition)
    drives_off(lane)
    assert lane.closed[0].end is PassageEnd.UNRELEASED
    assert AlarmKind.UNRELEASED_DEPARTURE in lane.alarms()


def test_a_gate_opened_for_life_safety_is_recorded_as_that_where_nobody_has_decided() -> None:
    lane = in_emergency()
    assert lane.order(Override(OverridePart.GATE_OPEN, "fire", 600.0)) == DONE
    drives_off(lane)
    (recorded,) = lane.told(DispositionRecorded)
    assert recorded.by.disposition is Disposition.LANE_PASS_UNINSPECTED


def test_a_record_is_no_permission_when_the_lane_opens_which_asks_for_a_new_decision() -> None:
    lane = reset()
    on_record(lane.dispose(disposition=Disposition.REFER_SECONDARY))
    revision = lane.assessment.revision
    assert lane.order(OpenLane()) == DONE
    lane.wait(10.0)
    assert lane.life is OPEN
    assert (lane.green, lane.gate) == (False, False)
    assert lane.assessment.revision == revision + 1
    lane.releases()
    assert (lane.green, lane.gate) == (True, True)
    lane.leaves()
    assert lane.closed[-1].disposition is not None
    assert lane.closed[-1].disposition.disposition is Disposition.RELEASED


def test_a_record_may_be_put_right_by_another_decision_and_stands_after_a_restart() -> None:
    lane = closed()
    on_record(lane.dispose(disposition=Disposition.TURN_BACK))
    on_record(lane.dispose(disposition=Disposition.REFER_SECONDARY))
    lane.restarts()
    assert (lane.green, lane.gate) == (False, False)
    passage = lane.state.tracking.passages[0]
    assert passage.disposition is not None
    assert passage.disposition.disposition is Disposition.REFER_SECONDARY


def test_a_lane_that_drains_still_lets_go_by_disposition() -> None:
    lane = opened()
    lane.arrives(1)
    lane.order(CloseLane())
    assert lane.dispose(disposition=Disposition.REFER_SECONDARY) == DONE
    assert lane.green


def test_maintenance_can_end_while_the_vehicle_stands_there_and_its_record_stays() -> None:
    lane = maintained()
    on_record(lane.dispose(disposition=Disposition.TURN_BACK))
    assert lane.order(EndMaintenance(), TECHNICIAN) == DONE
    backs_out(lane, long=False)
    assert lane.closed[0].disposition is not None


def test_without_a_store_nothing_is_decided() -> None:
    lane = closed()
    lane.give("lane", StoreChanged(False, "disk full"))
    assert "event store" in refused(lane.dispose(disposition=Disposition.TURN_BACK))
