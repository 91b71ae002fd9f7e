"""A lane goes by its schedule: what that opens and closes, when it holds back, and who has to be on duty."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lane_bench import OFFICER, SUPERVISOR, refused
from life_bench import EVERY_DAY, TECHNICIAN, LivingLane, daily, living, opened, scheduled, wall

from lanecontrol.announcements import DutyChanged, LaneAspect, LaneLife, LaneType, PassageClosed, ScheduleTold
from lanecontrol.commands import (
    DONE,
    CloseLane,
    DeclareEmergency,
    Maintain,
    OpenLane,
    ResetLane,
    SignOff,
    SignOn,
    SuspendLane,
)
from lanecontrol.lane.schedule import Hours, WeeklyHours

CLOSED, OPENING, OPEN, CLOSING = LaneLife.CLOSED, LaneLife.OPENING, LaneLife.OPEN, LaneLife.CLOSING
SUSPENDED, EMERGENCY, MAINTENANCE = LaneLife.SUSPENDED, LaneLife.EMERGENCY, LaneLife.MAINTENANCE
READY, SENTRI = LaneType.READY, LaneType.SENTRI


@pytest.fixture
def open_lane() -> LivingLane:
    return opened()


# --- the schedule ----------------------------------------------------------------------------------------------------


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
    lane.restarts()
    assert lane.life is CLOSED
    lane.now_s += wall("2027-01-21 07:00") - lane.utc_s  # nobody looked meanwhile
    lane.restarts()
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
    lane.restarts()
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
    lane.restarts()
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
