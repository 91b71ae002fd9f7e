"""The life of a lane: opened, drained, suspended, maintained, changed in type; by people, its schedule, the port."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lane_bench import OFFICER, SUPERVISOR, refused
from life_bench import CENTRAL, EVERY_DAY, STAGES, TECHNICIAN, LivingLane, daily, living, wall

from lanecontrol import forms
from lanecontrol.announcements import (
    AlarmKind,
    AlarmRaised,
    DivertChanged,
    DutyChanged,
    LaneAspect,
    LaneLife,
    LaneType,
    LaneTypeChanged,
    OverrideTold,
    PassageClosed,
    ResumptionChanged,
    ScheduleTold,
    Severity,
)
from lanecontrol.commands import (
    DONE,
    Acknowledge,
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
    SignOff,
    SignOn,
    SuspendLane,
)
from lanecontrol.lane.schedule import Hours, WeeklyHours
from lanecontrol.lane.state import LaneState

CLOSED, OPENING, OPEN, CLOSING = LaneLife.CLOSED, LaneLife.OPENING, LaneLife.OPEN, LaneLife.CLOSING
SUSPENDED, EMERGENCY, MAINTENANCE = LaneLife.SUSPENDED, LaneLife.EMERGENCY, LaneLife.MAINTENANCE
READY, SENTRI = LaneType.READY, LaneType.SENTRI


@pytest.fixture
def lane() -> LivingLane:
    """A closed lane without a schedule."""
    return LivingLane().started()


@pytest.fixture
def open_lane(lane: LivingLane) -> LivingLane:
    assert lane.order(OpenLane()) == DONE
    lane.wait(5.0)
    assert lane.life is OPEN
    assert lane.overhead() is LaneAspect.OPEN
    return lane


def restarted(lane: LivingLane) -> None:
    """The software starts anew from its checkpoint, as it stands in the ledger."""
    lane.state = forms.from_json(LaneState, forms.to_json(lane.state))
    lane.started(cold=False)


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
    restarted(lane)
    assert lane.life is SUSPENDED


# --- maintenance -----------------------------------------------------------------------------------------------------


def test_maintenance_begins_in_a_closed_empty_lane_and_ends_in_a_closed_one(lane: LivingLane) -> None:
    assert "only a technician" in refused(lane.order(Maintain()))
    assert lane.order(Maintain("loop 2"), TECHNICIAN) == DONE
    assert lane.life is MAINTENANCE
    assert "maintenance" in refused(lane.order(OpenLane()))
    assert "maintenance" in refused(lane.order(CloseLane()))
    restarted(lane)
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
    restarted(lane)
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
    restarted(lane)
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
    restarted(lane)
    assert lane.serves is SENTRI
    assert "no longer allows" in lane.told(LaneTypeChanged)[-1].why


# --- the schedule ----------------------------------------------------------------------------------------------------


def scheduled(*weekly: WeeklyHours, starts: str = "2027-01-20 05:00") -> LivingLane:
    return LivingLane(living(*weekly), starts=starts).started()


def test_the_schedule_opens_and_closes_the_lane_to_the_second() -> None:
    lane = scheduled(daily(6, 22))
    lane.until("2027-01-20 05:59:59")
    assert lane.life is CLOSED
    lane.until("2027-01-20 06:00:00.1")
    assert lane.life is OPEN
    lane.until("2027-01-20 21:59:59")
    assert lane.life is OPEN
    lane.until("2027-01-20 22:00:00.1")
    assert lane.life is CLOSED
    assert [told.opens for told in lane.told(ScheduleTold)] == [False, True, False]


def test_a_lane_that_starts_within_its_hours_opens_when_everything_is_in_order() -> None:
    lane = scheduled(daily(6, 22), starts="2027-01-20 10:00")
    assert lane.lives() == [OPENING, OPEN]


def test_what_an_officer_orders_counts_until_the_next_change() -> None:
    lane = scheduled(daily(6, 22))
    lane.order(OpenLane())
    lane.until("2027-01-20 05:30")
    assert lane.life is OPEN  # though the schedule has it closed
    lane.until("2027-01-20 07:00")
    lane.order(CloseLane())
    lane.until("2027-01-20 21:00")
    assert lane.life is CLOSED  # though the schedule has it open
    lane.until("2027-01-21 06:01")
    assert lane.life is OPEN


def test_a_restart_within_the_hours_leaves_the_officers_order_alone_and_one_over_a_change_makes_up_for_it() -> None:
    lane = scheduled(daily(6, 22), starts="2027-01-20 10:00")
    lane.order(CloseLane())
    lane.wait(600.0)
    restarted(lane)
    assert lane.life is CLOSED
    lane.now_s += wall("2027-01-21 07:00") - lane.utc_s  # nobody looked meanwhile
    restarted(lane)
    assert lane.life is OPEN


@pytest.mark.parametrize("life", [SUSPENDED, EMERGENCY, MAINTENANCE])
def test_the_schedule_opens_no_lane_that_is_suspended_in_emergency_or_in_maintenance(life: LaneLife) -> None:
    lane = scheduled(daily(6, 22))
    if life is SUSPENDED:
        lane.order(OpenLane())
        lane.order(SuspendLane())
    elif life is EMERGENCY:
        lane.order(DeclareEmergency())
    else:
        lane.order(Maintain(), TECHNICIAN)
    lane.until("2027-01-20 07:00")
    assert lane.life is life
    assert lane.schedule_told()[-1] == ("dropped", f"the lane is {life.value}")
    if life is EMERGENCY:
        lane.order(ResetLane(), SUPERVISOR)
        lane.until("2027-01-20 08:00")
        assert lane.life is CLOSED  # a person opens it after that
    elif life is SUSPENDED:
        lane.until("2027-01-20 22:01")
        assert lane.life is CLOSED


def test_without_a_synchronised_clock_the_schedule_opens_nothing_and_says_so_and_may_close() -> None:
    lane = LivingLane(living(daily(6, 22)))
    lane.synchronised = False
    lane.started()
    lane.until("2027-01-20 06:30")
    assert lane.life is CLOSED
    assert lane.faults("schedule") == [("clock_not_synchronised", True)]
    assert lane.schedule_told()[-1] == ("held", "the clock is not synchronised")
    lane.synchronised = True
    lane.wait(61.0)
    assert lane.life is OPEN
    assert lane.faults("schedule")[-1] == ("clock_not_synchronised", False)
    lane.synchronised = False
    lane.until("2027-01-20 22:01")
    assert lane.life is CLOSED


def test_a_clock_that_was_wrong_and_is_put_right_undoes_what_was_only_wished_for() -> None:
    lane = LivingLane(living(daily(6, 22)), starts="2027-01-20 06:30")
    lane.synchronised = False
    lane.started()
    lane.synchronised = True
    lane.set_clock("2027-01-20 05:40")  # so much was it ahead
    lane.until("2027-01-20 05:50")
    assert lane.life is CLOSED
    lane.until("2027-01-20 06:01")
    assert lane.life is OPEN


def test_a_clock_that_is_put_back_a_little_after_a_change_does_not_undo_it() -> None:
    lane = scheduled(daily(6, 22))
    lane.until("2027-01-20 22:00:01")
    assert lane.life is CLOSED
    lane.set_clock("2027-01-20 21:59:30")
    lane.wait(120.0)
    restarted(lane)
    assert OPEN not in lane.lives()[lane.lives().index(CLOSED) :]


def test_on_the_night_with_the_hour_twice_the_lane_opens_once() -> None:
    half_past_one = WeeklyHours(EVERY_DAY, Hours(90, 240))
    lane = scheduled(half_past_one, starts="2027-11-07 00:00")
    lane.wait(6 * 3600.0)
    assert lane.lives() == [OPENING, OPEN, CLOSING, CLOSED]


def test_a_change_of_type_by_the_schedule_closes_drains_changes_and_opens() -> None:
    lane = scheduled(daily(6, 14, READY), daily(14, 22))
    lane.until("2027-01-20 06:00:30")
    assert (lane.life, lane.serves) == (OPEN, READY)
    lane.until("2027-01-20 13:59:50")
    lane.arrives(1)
    lane.wait(10.0)
    assert (lane.life, lane.overhead(), lane.serves) == (CLOSING, LaneAspect.CLOSING, READY)
    assert lane.schedule_told()[-1] == ("held", "a vehicle is in the lane")
    lane.releases()
    lane.leaves()
    lane.gate_goes_down()
    assert lane.serves is READY
    lane.wait(5.0)
    assert lane.overhead() is LaneAspect.CLOSED
    lane.wait(20.0)
    assert (lane.life, lane.overhead(), lane.serves) == (OPEN, LaneAspect.OPEN, SENTRI)
    assert lane.told(PassageClosed)[-1].lane_type is READY


def test_an_officer_who_opens_the_lane_while_it_drains_for_another_type_keeps_the_type() -> None:
    lane = scheduled(daily(6, 14, READY), daily(14, 22))
    lane.until("2027-01-20 13:59:50")
    lane.arrives(1)
    lane.wait(10.0)
    assert lane.life is CLOSING
    lane.order(OpenLane())
    lane.wait(5.0)
    assert (lane.life, lane.serves) == (OPEN, READY)


def test_a_schedule_costs_a_look_a_minute_and_no_more() -> None:
    lane = scheduled(daily(6, 22), starts="2027-01-20 10:00")
    lane.wait(100.0)
    before = len(lane.given)
    lane.wait(600.0)
    assert len(lane.given) - before <= 12


# --- who is on duty ---------------------------------------------------------------------------------------------------


def needing_an_officer() -> LivingLane:
    site = living(daily(6, 22))
    assert site.schedule is not None
    return LivingLane(replace(site, schedule=replace(site.schedule, officer_required=True))).started()


def test_the_schedule_opens_the_lane_only_once_an_officer_has_signed_on() -> None:
    lane = needing_an_officer()
    lane.until("2027-01-20 06:10")
    assert lane.life is CLOSED
    assert lane.schedule_told()[-1] == ("held", "no officer has signed on")
    assert "only an officer" in refused(lane.order(SignOn(), TECHNICIAN))
    assert lane.order(SignOn()) == DONE
    lane.wait(1.0)
    assert lane.life is OPEN
    lane.until("2027-01-21 06:10")
    assert lane.life is CLOSED  # duty ended when the schedule closed the lane
    assert [told.officer for told in lane.told(DutyChanged)] == [OFFICER, None]


def test_an_officer_who_signed_on_before_the_hours_finds_the_lane_opened() -> None:
    lane = needing_an_officer()
    lane.order(SignOn())
    restarted(lane)
    lane.until("2027-01-20 06:00:01")
    assert lane.life is OPEN


def test_whoever_opens_the_lane_is_on_duty_and_nobody_signs_off_from_an_open_lane(open_lane: LivingLane) -> None:
    lane = open_lane
    assert lane.state.regime.officer == OFFICER
    assert "close or suspend it first" in refused(lane.order(SignOff()))
    assert lane.order(SignOn(), SUPERVISOR) == DONE  # the next shift
    assert lane.state.regime.officer == SUPERVISOR
    lane.order(SuspendLane())
    assert lane.order(SignOff(), SUPERVISOR) == DONE
    assert lane.state.regime.officer is None


# --- the port's divert notice ----------------------------------------------------------------------------------------


def test_while_traffic_is_diverted_nobody_new_is_admitted_and_whoever_is_inside_is_finished(
    open_lane: LivingLane,
) -> None:
    lane = open_lane
    lane.arrives(1)
    lane.divert(600.0)
    lane.wait(0.1)
    assert lane.overhead() is LaneAspect.CLOSING
    lane.wait(5.0)
    assert (lane.life, lane.overhead(), lane.beacon) == (OPEN, LaneAspect.CLOSED, True)
    lane.releases()
    lane.leaves()
    lane.gate_goes_down()
    lane.arrives(2)
    assert "diverts" in refused(lane.dispose())
    lane.wait(600.0)
    assert (lane.life, lane.overhead()) == (OPEN, LaneAspect.OPEN)
    assert lane.dispose() == DONE
    assert [(told.active, told.why) for told in lane.told(DivertChanged)] == [(True, ""), (False, "its time is over")]


def test_a_divert_notice_ends_when_the_port_says_so_and_survives_a_restart(open_lane: LivingLane) -> None:
    lane = open_lane
    lane.divert()
    lane.wait(30.0)
    restarted(lane)
    assert lane.overhead() is LaneAspect.CLOSED
    lane.divert(active=False)
    lane.wait(10.0)
    assert lane.overhead() is LaneAspect.OPEN


def test_a_lane_does_not_open_into_a_divert_notice_and_its_schedule_makes_up_for_it() -> None:
    lane = scheduled(daily(6, 22))
    lane.divert(4 * 3600.0)
    assert "diverts" in refused(lane.order(OpenLane(), SUPERVISOR))
    lane.until("2027-01-20 08:00")
    assert lane.life is CLOSED
    assert lane.schedule_told()[-1][0] == "held"
    lane.until("2027-01-20 09:01")
    assert lane.life is OPEN


def test_of_several_notices_the_one_issued_last_counts_and_none_outlives_a_day(open_lane: LivingLane) -> None:
    lane = open_lane
    lane.divert(active=False)
    lane.divert(issued_s=lane.utc_s - 60.0)  # an older one that comes later
    lane.wait(1.0)
    assert lane.overhead() is LaneAspect.OPEN
    lane.divert(1e9)
    lane.wait(24 * 3600.0 + 20.0)
    assert lane.overhead() is LaneAspect.OPEN


# --- coming back after a shutdown ------------------------------------------------------------------------------------


def test_a_port_comes_back_in_stages_the_trusted_programmes_first() -> None:
    trusted, ready = LivingLane().started(), LivingLane(living(lane_type=READY)).started()
    for lane in (trusted, ready):
        assert lane.order(Resume("shutdown"), CENTRAL) == DONE
        assert "resumes in stages" in refused(lane.order(OpenLane()))
        assert lane.order(Resume("trusted"), CENTRAL) == DONE
    assert trusted.told(ResumptionChanged)[-1].may_open
    assert trusted.order(OpenLane()) == DONE
    assert not ready.told(ResumptionChanged)[-1].may_open
    assert "READY lanes open later" in refused(ready.order(OpenLane()))
    restarted(ready)
    assert "READY lanes open later" in refused(ready.order(OpenLane()))
    assert ready.order(Resume(""), SUPERVISOR) == DONE
    assert ready.order(OpenLane()) == DONE


def test_a_supervisor_opens_a_lane_before_its_stage() -> None:
    lane = LivingLane(living(lane_type=READY)).started()
    lane.order(Resume("trusted"), CENTRAL)
    assert lane.order(OpenLane(), SUPERVISOR) == DONE


def test_the_schedule_waits_for_the_lanes_stage() -> None:
    lane = LivingLane(living(daily(6, 22), lane_type=READY)).started()
    lane.order(Resume("trusted"), CENTRAL)
    lane.until("2027-01-20 07:00")
    assert lane.life is CLOSED
    assert lane.schedule_told()[-1][0] == "held"
    lane.order(Resume("all"), CENTRAL)
    lane.wait(1.0)
    assert lane.life is OPEN


def test_a_stage_is_ordered_by_supervisor_or_central_and_has_to_be_one_of_the_files(lane: LivingLane) -> None:
    assert "only a supervisor" in refused(lane.order(Resume("trusted")))
    assert "there are shutdown, trusted, all" in refused(lane.order(Resume("later"), CENTRAL))
    lane.setup = replace(lane.setup, resumption=STAGES[:1])
    lane.order(Resume("shutdown"), CENTRAL)
    lane.setup = replace(lane.setup, resumption=())
    assert "resumes in stages" in refused(lane.order(OpenLane()))  # a stage that nobody knows any more lets nobody


# --- a vehicle that leaves without a disposition ---------------------------------------------------------------------


def test_whoever_leaves_without_a_disposition_is_a_critical_alarm_a_red_x_and_in_a_picture_of_every_camera(
    open_lane: LivingLane,
) -> None:
    lane = open_lane
    passage = lane.arrives(1)
    lane.wait(1.0)
    lane.loop("exit", True)
    lane.loop("booth", False)
    lane.wait(1.5)
    (alarm,) = lane.told(AlarmRaised)
    assert (alarm.kind, alarm.severity) == (AlarmKind.UNRELEASED_DEPARTURE, Severity.CRITICAL)
    assert alarm.passages == (passage,)
    assert lane.pictures() == ["cam1", "cam2"]
    lane.loop("exit", False)
    lane.wait(30.0)
    assert lane.overhead() is LaneAspect.CLOSED  # until somebody has answered for it
    lane.order(Acknowledge(alarm.alarm))
    lane.wait(5.0)
    assert lane.overhead() is LaneAspect.OPEN
    assert lane.pictures() == ["cam1", "cam2"]


def test_a_released_vehicle_is_not_pictured_for_leaving(open_lane: LivingLane) -> None:
    lane = open_lane
    lane.arrives(1)
    lane.releases()
    lane.leaves()
    assert lane.pictures() == []


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
