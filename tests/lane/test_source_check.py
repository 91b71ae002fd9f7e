"""A portal is checked with a source: what counts as passed, and what never counts as a source."""

from __future__ import annotations

import dataclasses

import pytest
from lane_bench import OFFICER, SUPERVISOR, LaneBench, setup

from lanecontrol.announcements import (
    AlarmRaised,
    EquipmentFault,
    OccupancyRecorded,
    PassageOpened,
    SourceChecked,
)
from lanecontrol.commands import DONE, Actor, CheckPortal, CloseLane, OpenLane, Result, Role
from lanecontrol.events import GammaCounts, NeutronCounts, OccupancyEnded

TECHNICIAN = Actor("Ortiz", Role.TECHNICIAN)
CHECK = CheckPortal("rpm1", "Cs-137 no. 12", within_s=60.0)


@pytest.fixture
def closed(lane: LaneBench) -> LaneBench:
    assert lane.order(CloseLane()) == DONE
    return lane


def hold_source(lane: LaneBench, *, gamma: bool = True, neutron: bool = False) -> None:
    """A source is held to the portal for two seconds."""
    for tick in range(10):
        lane.give("rpm1", GammaCounts((170, 180, 190, 160) if gamma else (76, 76, 85, 73), gamma and tick > 3))
        if neutron and tick == 5:
            lane.give("rpm1", NeutronCounts((30, 0, 28, 0), True))
        lane.wait(0.2)
    lane.give("rpm1", OccupancyEnded(1))


def result(lane: LaneBench) -> SourceChecked:
    (told,) = lane.told(SourceChecked)
    return told


def test_a_source_that_the_portal_tells_of_passes_and_is_no_alarm_and_no_vehicle(closed: LaneBench) -> None:
    assert closed.order(CHECK, TECHNICIAN) == DONE
    hold_source(closed)
    told = result(closed)
    assert (told.passed, told.why, told.gamma_alarm, told.actor) == (True, "", True, TECHNICIAN)
    assert told.gamma_max_sigma is not None
    assert told.gamma_max_sigma > 10
    (record,) = closed.told(OccupancyRecorded)
    assert (record.check, record.passages, record.gamma_alarm) == (told.check, (), True)
    assert closed.told(AlarmRaised) == []
    assert closed.told(PassageOpened) == []


def test_after_the_check_an_alarm_is_an_alarm_again(closed: LaneBench) -> None:
    closed.order(CHECK, TECHNICIAN)
    hold_source(closed)
    closed.wait(5.0)
    hold_source(closed)
    assert len(closed.told(AlarmRaised)) == 1


def test_a_portal_that_does_not_tell_of_the_source_has_failed(closed: LaneBench) -> None:
    closed.order(CHECK, TECHNICIAN)
    hold_source(closed, gamma=False)
    assert closed.told(SourceChecked) == []
    closed.wait(61.0)
    assert (result(closed).passed, result(closed).why) == (False, "no gamma alarm in time")


def test_a_check_of_both_sides_waits_for_both(closed: LaneBench) -> None:
    closed.order(dataclasses.replace(CHECK, neutron=True), TECHNICIAN)
    hold_source(closed)
    assert closed.told(SourceChecked) == []
    hold_source(closed, gamma=False, neutron=True)
    assert result(closed).passed
    assert len(result(closed).occupancies) == 2


def test_a_vehicle_that_comes_during_a_check_breaks_it_off_and_its_alarm_is_an_alarm(closed: LaneBench) -> None:
    closed.order(CHECK, TECHNICIAN)
    closed.loop("approach", True)
    hold_source(closed)
    assert (result(closed).passed, result(closed).why) == (False, "a vehicle came into the lane")
    assert len(closed.told(AlarmRaised)) == 1


def test_a_vehicle_that_comes_after_the_alarm_makes_it_one(closed: LaneBench) -> None:
    closed.order(dataclasses.replace(CHECK, neutron=True), TECHNICIAN)
    hold_source(closed)
    closed.loop("approach", True)
    hold_source(closed, gamma=False, neutron=True)
    assert not result(closed).passed
    assert [alarm.kind for alarm in closed.told(AlarmRaised)] == ["gamma", "neutron"]


@pytest.mark.parametrize(
    ("by", "request_", "why"),
    [
        (Actor("port", Role.CENTRAL), CHECK, "somebody at the lane"),
        (TECHNICIAN, dataclasses.replace(CHECK, portal="rpm9"), "no portal"),
        (TECHNICIAN, dataclasses.replace(CHECK, gamma=False), "say which alarm"),
    ],
)
def test_a_check_that_makes_no_sense_is_refused(closed: LaneBench, by: Actor, request_: CheckPortal, why: str) -> None:
    outcome = closed.order(request_, by)
    assert outcome.result is Result.REFUSED
    assert why in outcome.reason


def test_an_open_lane_is_not_checked(lane: LaneBench) -> None:
    assert "close it first" in lane.order(CHECK, TECHNICIAN).reason


def test_opening_the_lane_ends_what_counts_as_a_source(closed: LaneBench) -> None:
    closed.order(CHECK, TECHNICIAN)
    assert closed.order(OpenLane(), OFFICER) == DONE
    hold_source(closed)
    assert not result(closed).passed
    assert len(closed.told(AlarmRaised)) == 1


def test_a_portal_without_a_passed_check_is_told_after_a_day_until_one_is_passed() -> None:
    plain = setup()
    portals = tuple(dataclasses.replace(portal, check_every_h=24.0) for portal in plain.portals)
    lane = LaneBench(dataclasses.replace(plain, portals=portals))
    lane.started()
    lane.wait(23 * 3600.0)
    assert [fault for fault in lane.told(EquipmentFault) if fault.code == "source_check"] == []
    lane.wait(3700.0)
    lane.order(CloseLane(), SUPERVISOR)
    lane.order(CHECK, TECHNICIAN)
    hold_source(lane)
    told = [fault.active for fault in lane.told(EquipmentFault) if fault.code == "source_check"]
    assert told == [True, False]
