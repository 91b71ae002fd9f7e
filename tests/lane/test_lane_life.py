"""The life of a lane: opened, drained, suspended, maintained, in emergency, changed in type; and who may ask for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lane_bench import OFFICER, SUPERVISOR, refused
from life_bench import CENTRAL, TECHNICIAN, LivingLane, opened

from lanecontrol.announcements import LaneAspect, LaneLife, LaneType, LaneTypeChanged, OverrideTold, PassageClosed
from lanecontrol.commands import (
    DONE,
    Actor,
    CloseLane,
    DeclareEmergency,
    EndMaintenance,
    EndOverride,
    Maintain,
    OpenLane,
    Override,
    OverridePart,
    Request,
    ResetLane,
    Resume,
    Role,
    ServeType,
    SuspendLane,
)

CLOSED, OPENING, OPEN, CLOSING = LaneLife.CLOSED, LaneLife.OPENING, LaneLife.OPEN, LaneLife.CLOSING
SUSPENDED, EMERGENCY, MAINTENANCE = LaneLife.SUSPENDED, LaneLife.EMERGENCY, LaneLife.MAINTENANCE
READY, SENTRI = LaneType.READY, LaneType.SENTRI


@pytest.fixture
def lane() -> LivingLane:
    """A closed lane without a schedule."""
    return LivingLane().started()


@pytest.fixture
def open_lane() -> LivingLane:
    return opened()


# --- closing ---------------------------------------------------------------------------------------------------------


def test_a_lane_that_closes_shows_yellow_and_then_red_and_is_closed_when_the_last_vehicle_is_through(
    open_lane: LivingLane,
) -> None:
    lane = open_lane
    lane.arrives(1)
    assert lane.order(CloseLane("end of shift")) == DONE
    lane.wait(0.5)
    assert (lane.life, lane.overhead()) == (CLOSING, LaneAspect.CLOSING)
    lane.releases()
    lane.leaves()
    lane.gate_goes_down()
    lane.wait(10.0)
    assert (lane.life, lane.overhead()) == (CLOSED, LaneAspect.CLOSED)


def test_an_empty_lane_that_closes_shows_yellow_for_its_least_time(open_lane: LivingLane) -> None:
    lane = open_lane
    lane.order(CloseLane())
    lane.wait(0.5)
    assert (lane.life, lane.overhead()) == (CLOSED, LaneAspect.CLOSING)
    lane.wait(4.0)
    assert lane.overhead() is LaneAspect.CLOSED


# --- suspension ------------------------------------------------------------------------------------------------------


def test_in_a_suspended_lane_whoever_is_inside_is_finished_and_nobody_new_is_let_go(open_lane: LivingLane) -> None:
    lane = open_lane
    lane.arrives(1)
    assert lane.order(SuspendLane("shift change")) == DONE
    lane.wait(5.0)
    assert (lane.life, lane.overhead()) == (SUSPENDED, LaneAspect.CLOSED)
    lane.releases()
    lane.leaves()
    lane.gate_goes_down()
    lane.arrives(2)
    assert "came after that" in refused(lane.dispose())
    assert not lane.green
    assert lane.order(OpenLane()) == DONE
    lane.wait(1.0)
    assert lane.dispose() == DONE


def test_opening_ends_a_suspension_and_closing_drains_a_suspended_lane(open_lane: LivingLane) -> None:
    lane = open_lane
    lane.order(SuspendLane())
    lane.wait(10.0)
    lane.order(OpenLane())
    lane.wait(5.0)
    assert (lane.life, lane.overhead()) == (OPEN, LaneAspect.OPEN)
    lane.order(SuspendLane())
    assert lane.order(CloseLane()) == DONE
    assert lane.lives()[-3:] == [SUSPENDED, CLOSING, CLOSED]


def test_only_an_open_lane_is_suspended_and_a_suspended_one_stays_so_over_a_restart(lane: LivingLane) -> None:
    assert "only an open lane" in refused(lane.order(SuspendLane()))
    lane.order(OpenLane())
    lane.order(SuspendLane())
    lane.restarts()
    assert lane.life is SUSPENDED


# --- maintenance -----------------------------------------------------------------------------------------------------


def test_maintenance_begins_in_a_closed_empty_lane_and_ends_in_a_closed_one(lane: LivingLane) -> None:
    assert "only a technician" in refused(lane.order(Maintain()))
    assert lane.order(Maintain("loop 2"), TECHNICIAN) == DONE
    assert lane.life is MAINTENANCE
    assert "maintenance" in refused(lane.order(OpenLane()))
    assert "maintenance" in refused(lane.order(CloseLane()))
    lane.restarts()
    assert lane.life is MAINTENANCE
    assert "only a technician" in refused(lane.order(EndMaintenance()))
    assert lane.order(EndMaintenance(), TECHNICIAN) == DONE
    assert lane.life is CLOSED


def test_an_open_lane_and_one_with_a_vehicle_in_it_are_not_taken_into_maintenance(open_lane: LivingLane) -> None:
    lane = open_lane
    assert "closed, and empty, first" in refused(lane.order(Maintain(), TECHNICIAN))
    lane.order(CloseLane())
    lane.to_approach()
    assert "a vehicle is in the lane" in refused(lane.order(Maintain(), TECHNICIAN))


def test_nobody_is_let_go_from_a_lane_in_maintenance(lane: LivingLane) -> None:
    lane.order(Maintain(), TECHNICIAN)
    lane.arrives(1)
    assert "the lane is maintenance" in refused(lane.dispose())
    assert lane.red


def test_outputs_are_tried_out_in_maintenance_only_and_are_as_before_when_it_ends(lane: LivingLane) -> None:
    yellow, gate = Override(OverridePart.YELLOW_X, "lamp check", 600.0), Override(OverridePart.GATE_OPEN, "arm", 600.0)
    assert "in maintenance only" in refused(lane.order(yellow, TECHNICIAN))
    assert "only supervisor" in refused(lane.order(gate, TECHNICIAN))
    lane.order(Maintain(), TECHNICIAN)
    assert lane.order(yellow, TECHNICIAN) == DONE
    lane.wait(5.0)
    assert lane.overhead() is LaneAspect.CLOSING
    assert lane.order(gate, TECHNICIAN) == DONE
    lane.gate_goes_up()
    lane.wait(5.0)
    assert lane.overhead() is LaneAspect.CLOSED  # a gate that is held open is a doubt, also here
    assert lane.gate
    assert not lane.green
    lane.order(EndMaintenance(), TECHNICIAN)
    lane.wait(10.0)
    assert lane.overhead() is LaneAspect.CLOSED
    assert not lane.gate
    assert [told.why for told in lane.told(OverrideTold)][-2:] == ["maintenance has ended"] * 2


def test_a_technician_ends_what_was_tried_out(lane: LivingLane) -> None:
    lane.order(Maintain(), TECHNICIAN)
    lane.order(Override(OverridePart.GATE_OPEN, "arm", 600.0), TECHNICIAN)
    assert lane.order(EndOverride(OverridePart.GATE_OPEN), TECHNICIAN) == DONE


# --- emergency -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_button", [True, False])
def test_an_emergency_by_button_or_order_is_red_at_once_and_ended_by_a_supervisor_alone(
    open_lane: LivingLane, by_button: bool
) -> None:
    lane = open_lane
    lane.arrives(1)
    lane.releases()
    assert lane.green
    if by_button:
        lane.contact("emergency", True)
    else:
        assert lane.order(DeclareEmergency("smoke"), TECHNICIAN) == DONE
    assert (lane.life, lane.overhead(), lane.red, lane.green) == (EMERGENCY, LaneAspect.CLOSED, True, False)
    for request, actor in (
        (OpenLane(), OFFICER),
        (OpenLane(), SUPERVISOR),
        (CloseLane(), CENTRAL),
        (SuspendLane(), OFFICER),
        (Maintain(), TECHNICIAN),
        (EndMaintenance(), TECHNICIAN),
        (ResetLane(), OFFICER),
        (ResetLane(), TECHNICIAN),
        (ResetLane(), CENTRAL),
    ):
        refused(lane.order(request, actor))
    lane.restarts()
    assert lane.life is EMERGENCY
    if by_button:
        lane.contact("emergency", True)
        assert "button" in refused(lane.order(ResetLane(), SUPERVISOR))
        lane.contact("emergency", False)
    assert lane.order(ResetLane(), SUPERVISOR) == DONE
    assert lane.life is CLOSED


# --- the type of the lane --------------------------------------------------------------------------------------------


def test_a_closed_empty_lane_serves_another_type_by_order_and_its_rules_are_those_of_that_type(
    lane: LivingLane,
) -> None:
    assert lane.order(ServeType("READY"), SUPERVISOR) == DONE
    assert lane.told(LaneTypeChanged)[-1].lane_type is READY
    lane.order(OpenLane())
    lane.arrives(1)
    lane.releases()
    lane.leaves()
    lane.gate_goes_down()
    lane.order(CloseLane())
    lane.wait(20.0)
    lane.restarts()
    assert lane.serves is READY
    assert lane.order(ServeType("SENTRI"), CENTRAL) == DONE
    lane.order(OpenLane())
    lane.arrives(1)
    lane.releases()
    lane.leaves()
    first, second = lane.told(PassageClosed)
    assert (first.lane_type, second.lane_type) == (READY, SENTRI)
    assert first.rules_hash != second.rules_hash


def test_a_change_of_type_is_refused_with_what_to_do_first(open_lane: LivingLane) -> None:
    lane = open_lane
    assert "only a supervisor" in refused(lane.order(ServeType("READY")))
    assert "may serve SENTRI, READY" in refused(lane.order(ServeType("BUS"), SUPERVISOR))
    assert "close it" in refused(lane.order(ServeType("READY"), SUPERVISOR))
    lane.arrives(1)
    lane.order(CloseLane())
    assert "close it" in refused(lane.order(ServeType("READY"), SUPERVISOR))
    lane.releases()
    lane.leaves()
    lane.gate_goes_down()
    assert lane.life is CLOSED
    assert "on its way in" in refused(lane.order(ServeType("READY"), SUPERVISOR))
    lane.wait(15.0)
    assert lane.order(ServeType("READY"), SUPERVISOR) == DONE


def test_a_type_that_the_lane_file_no_longer_allows_is_given_up_at_the_next_start(lane: LivingLane) -> None:
    lane.order(ServeType("READY"), SUPERVISOR)
    lane.setup = replace(lane.setup, other_types=())
    lane.restarts()
    assert lane.serves is SENTRI
    assert "no longer allows" in lane.told(LaneTypeChanged)[-1].why


# --- who may what ----------------------------------------------------------------------------------------------------

_ALLOWED: dict[str, tuple[Request, set[Role]]] = {
    "suspend": (SuspendLane(), {Role.OFFICER, Role.SUPERVISOR, Role.CENTRAL}),
    "maintain": (Maintain(), {Role.TECHNICIAN, Role.SUPERVISOR}),
    "serve": (ServeType("READY"), {Role.SUPERVISOR, Role.CENTRAL}),
    "resume": (Resume("all"), {Role.SUPERVISOR, Role.CENTRAL}),
}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("what", _ALLOWED)
def test_each_role_may_what_is_its_own(lane: LivingLane, what: str, role: Role) -> None:
    request, roles = _ALLOWED[what]
    if what == "suspend":
        lane.order(OpenLane())
        lane.wait(5.0)
    done = lane.order(request, Actor("somebody", role)) == DONE
    assert done is (role in roles)
