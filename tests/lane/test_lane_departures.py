"""A vehicle that leaves without a disposition: an alarm, a red X, and pictures."""

from __future__ import annotations

import pytest
from life_bench import LivingLane, opened

from lanecontrol.announcements import AlarmKind, AlarmRaised, LaneAspect, Severity
from lanecontrol.commands import Acknowledge


@pytest.fixture
def open_lane() -> LivingLane:
    return opened()


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
