"""A portal that tells its alarm apart from its counts: within an occupancy, before one, behind one and without one."""

from __future__ import annotations

import pytest
from lane_bench import LaneBench

from lanecontrol.announcements import AlarmKind, AlarmRaised, OccupancyRecorded, Referral
from lanecontrol.commands import DONE, Acknowledge
from lanecontrol.events import (
    GammaBackground,
    GammaCounts,
    NeutronCounts,
    OccupancyEnded,
    PortalAlarm,
    PortalSide,
)

GAMMA_ON, GAMMA_OFF = PortalAlarm(PortalSide.GAMMA, True), PortalAlarm(PortalSide.GAMMA, False)
NEUTRON_ON = PortalAlarm(PortalSide.NEUTRON, True)
COUNTS = GammaCounts((400,), alarm=False)
END = OccupancyEnded(17)


def raised(lane: LaneBench) -> list[tuple[AlarmKind, tuple[str, ...], bool]]:
    return [(alarm.kind, alarm.passages, bool(alarm.occupancy)) for alarm in lane.told(AlarmRaised)]


def give(lane: LaneBench, *events: GammaCounts | NeutronCounts | PortalAlarm | OccupancyEnded) -> None:
    for event in events:
        lane.give("rpm1", event)


@pytest.mark.parametrize(("event", "kind"), [(GAMMA_ON, AlarmKind.GAMMA), (NEUTRON_ON, AlarmKind.NEUTRON)])
def test_an_alarm_within_an_occupancy_is_its_alarm_once_and_for_good(
    lane: LaneBench, event: PortalAlarm, kind: AlarmKind
) -> None:
    give(lane, COUNTS, event, COUNTS, event, PortalAlarm(event.side, False), COUNTS, event, END)
    assert raised(lane) == [(kind, ("07-000001",), True)]
    (record,) = lane.told(OccupancyRecorded)
    assert (record.gamma_alarm, record.neutron_alarm) == (kind is AlarmKind.GAMMA, kind is AlarmKind.NEUTRON)


def test_both_sides_are_two_alarms(lane: LaneBench) -> None:
    give(lane, COUNTS, GAMMA_ON, NEUTRON_ON, END)
    assert [kind for kind, _, _ in raised(lane)] == [AlarmKind.GAMMA, AlarmKind.NEUTRON]


def test_an_alarm_that_stands_when_the_occupancy_begins_is_its_alarm_too(lane: LaneBench) -> None:
    give(lane, GAMMA_ON)
    assert raised(lane) == [(AlarmKind.GAMMA, (), False)], "an alarm of its own, of no vehicle"
    give(lane, COUNTS, GAMMA_ON, COUNTS, END)
    assert raised(lane)[1:] == [(AlarmKind.GAMMA, ("07-000001",), True)]
    assert lane.told(OccupancyRecorded)[0].gamma_alarm


def test_an_alarm_without_a_vehicle_opens_no_passage_and_is_raised_once(lane: LaneBench) -> None:
    give(lane, GAMMA_ON, GAMMA_ON)
    assert lane.state.tracking.passages == ()
    assert lane.state.radiation[0].occupancy is None
    (alarm,) = lane.told(AlarmRaised)
    give(lane, GAMMA_OFF)
    assert lane.order(Acknowledge(alarm.alarm)) == DONE
    give(lane, GAMMA_ON)
    assert len(lane.told(AlarmRaised)) == 2, "cleared and raised again"


def test_an_alarm_that_was_cleared_before_the_vehicle_came_is_not_its_own(lane: LaneBench) -> None:
    give(lane, GAMMA_ON, GAMMA_OFF, COUNTS, END)
    assert not lane.told(OccupancyRecorded)[0].gamma_alarm


def test_an_alarm_right_behind_the_end_belongs_to_the_vehicle_that_has_just_left(lane: LaneBench) -> None:
    give(lane, COUNTS, END)
    lane.wait(0.1)
    give(lane, GAMMA_ON, GAMMA_ON)
    assert raised(lane) == [(AlarmKind.GAMMA, ("07-000001",), True)]
    assert lane.state.radiation[0].occupancy is None


def test_an_alarm_makes_the_referral_mandatory_at_the_booth(lane: LaneBench) -> None:
    give(lane, COUNTS, NEUTRON_ON, END)
    lane.to_approach()
    lane.to_booth()
    lane.wait(3.0)
    assert lane.assessment.referral is Referral.MANDATORY
    assert "rpm.neutron_alarm" in {finding.code for finding in lane.assessment.findings}


def test_our_decision_is_compared_with_the_alarm_that_stands(lane: LaneBench) -> None:
    lane.give("rpm1", GammaBackground((2000,)))
    loud = GammaCounts((900,), alarm=False)
    give(lane, *[loud] * 5, GAMMA_ON, *[loud] * 4, END)
    assert lane.told(OccupancyRecorded)[0].gamma_disagreements == 1


def test_an_alarm_of_a_device_that_is_no_portal_changes_nothing(lane: LaneBench) -> None:
    lane.give("io1", GAMMA_ON)
    assert lane.told(AlarmRaised) == []
