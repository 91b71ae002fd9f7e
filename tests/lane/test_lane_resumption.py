"""A port comes back after a shutdown, in stages: which lanes may open, and who may open one before that."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lane_bench import SUPERVISOR, refused
from life_bench import CENTRAL, STAGES, LivingLane, daily, living

from lanecontrol.announcements import LaneLife, LaneType, ResumptionChanged
from lanecontrol.commands import DONE, OpenLane, Resume

CLOSED, OPEN = LaneLife.CLOSED, LaneLife.OPEN
READY, SENTRI = LaneType.READY, LaneType.SENTRI


@pytest.fixture
def lane() -> LivingLane:
    """A closed lane without a schedule."""
    return LivingLane().started()


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
    ready.restarts()
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
