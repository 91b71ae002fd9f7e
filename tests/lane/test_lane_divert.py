"""The port diverts traffic: nobody new is admitted, and whoever is inside is finished."""

from __future__ import annotations

import pytest
from lane_bench import SUPERVISOR, refused
from life_bench import LivingLane, daily, opened, scheduled

from lanecontrol.announcements import DivertChanged, LaneAspect, LaneLife
from lanecontrol.commands import DONE, OpenLane

CLOSED, OPEN = LaneLife.CLOSED, LaneLife.OPEN


@pytest.fixture
def open_lane() -> LivingLane:
    return opened()


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
    lane.restarts()
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
