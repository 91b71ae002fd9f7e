"""What one sample of an Aspect portal after the other means."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.rpm_aspect_codec import Channel, Inputs, Monitor, Status, read_monitor
from drivers.rpm_aspect_facts import Memory, Watch, Ways, scaled
from lanecontrol.events import (
    DeviceFault,
    GammaBackground,
    GammaCounts,
    Level,
    NeutronBackground,
    NeutronCounts,
    OccupancyEnded,
    PortalAlarm,
    PortalExtra,
    PortalSide,
    PortalSpeed,
    PortalTamper,
)

WAYS = Ways(count_time_s=1.0, neutron=True, end_hold_s=0.3, background_s=5.0)
VACANT = Monitor(1000, 0, Channel(Status.READY, 2000, 2000.0), Channel(Status.READY, 3, 2.5), 17, 4, 2250, raw=b"")
IN = replace(VACANT, inputs=int(Inputs.OCCUP0 | Inputs.DIR01))


class Story:
    """Samples at 100 ms, and what came of them."""

    def __init__(self, ways: Ways = WAYS, memory: Memory | None = None) -> None:
        self.memory = memory or Memory()
        self.watch = Watch(ways, self.memory)
        self.now_s = 100.0
        self.step_s = 0.1

    def take(self, sample: Monitor, times: int = 1) -> list[Any]:
        told: list[Any] = []
        for _ in range(times):
            told += self.watch.take(self.now_s, sample)
            self.now_s += self.step_s
        return told


def _of(told: list[Any], *kinds: type) -> list[Any]:
    return [event for event in told if isinstance(event, kinds)]


def _faults(told: list[Any]) -> list[tuple[str, bool]]:
    return [(event.code, event.active) for event in _of(told, DeviceFault)]


def test_the_first_sample_tells_background_door_and_every_fault_that_may_have_been_left_standing() -> None:
    story = Story()
    told = story.take(VACANT)
    assert told[:5] == [
        NeutronBackground((2.5,), exact=True),
        GammaBackground((2000,)),
        PortalAlarm(PortalSide.GAMMA, False),
        PortalAlarm(PortalSide.NEUTRON, False),
        PortalTamper(False),
    ]
    assert all(not active for _, active in _faults(told))
    assert len(_faults(told)) == len(told) - 5 == 11
    assert story.take(VACANT) == []


def test_the_background_is_told_every_5_s_while_vacant_and_not_while_occupied() -> None:
    story = Story()
    assert len(_of(story.take(VACANT, 100), GammaBackground)) == 2
    story.take(IN)
    assert _of(story.take(IN, 100), GammaBackground, NeutronBackground) == []


@pytest.mark.parametrize(
    ("bit", "level"), [(Status.HIGH_COUNT, Level.HIGH), (Status.LOW_COUNT, Level.LOW)], ids=["high", "low"]
)
def test_a_fault_of_the_count_is_told_at_once_as_the_level_of_the_background(bit: Status, level: Level) -> None:
    story = Story()
    story.take(VACANT)
    told = story.take(replace(VACANT, gamma=Channel(Status.READY | bit, 2000, 2000.0)))
    assert told == [NeutronBackground((2.5,), exact=True), GammaBackground((2000,), level)]


def test_a_channel_that_is_not_ready_has_no_background() -> None:
    story = Story()
    told = story.take(replace(VACANT, gamma=Channel(0, 2000, 2000.0)))
    assert _of(told, GammaBackground) == []
    assert ("gamma_not_ready", True) in _faults(told)


def test_counts_are_told_in_the_lanes_intervals_with_five_from_before() -> None:
    story = Story()
    story.take(VACANT, 3)
    story.step_s = 0.2
    story.take(VACANT, 10)
    story.step_s = 0.1
    told = story.take(replace(IN, gamma=Channel(Status.READY, 2650, 2000.0)), 20)
    gamma, neutron = _of(told, GammaCounts), _of(told, NeutronCounts)
    assert [event.counts for event in gamma] == [(400,)] * 5 + [(530,)] * 10
    assert neutron == [NeutronCounts((3,), alarm=False)] * 2


def test_a_gap_in_the_samples_leaves_no_history() -> None:
    story = Story()
    story.take(VACANT, 10)
    assert story.watch.grow_stale("no answer for 1 s") == [DeviceFault("stale", "no answer for 1 s")]
    assert story.watch.grow_stale("no answer for 1 s") == [], "told once"
    told = story.take(IN)
    assert len(_of(told, GammaCounts)) == 1
    assert _faults(told) == [("stale", False)]


def test_an_occupancy_ends_when_all_signals_were_clear_for_300_ms() -> None:
    story = Story()
    story.take(VACANT)
    story.take(IN, 5)
    story.take(replace(IN, inputs=int(Inputs.OCCUP3)), 5)
    assert _of(story.take(VACANT, 2), OccupancyEnded) == []
    story.take(IN)
    assert _of(story.take(VACANT, 3), OccupancyEnded) == [], "another signal in between"
    assert story.take(VACANT)[-2:] == [PortalExtra("OBJECT", ("17", "4", "2250", "01")), OccupancyEnded(17, 2.5)]
    assert not story.watch.occupied
    assert _of(story.take(VACANT, 10), OccupancyEnded, GammaCounts) == []


def test_a_change_of_the_object_counter_begins_an_occupancy_too() -> None:
    story = Story()
    story.take(replace(VACANT, object_counter=0xFFFF))
    assert _of(story.take(replace(VACANT, object_counter=0)), GammaCounts) != [], "a wrap is a change"
    told = story.take(replace(IN, object_counter=0), 5) + story.take(replace(VACANT, object_counter=0), 10)
    assert _of(told, OccupancyEnded) == [OccupancyEnded(0, 2.5)]


def test_a_vehicle_in_the_portal_at_the_start_of_a_session_is_an_occupancy() -> None:
    story = Story()
    assert _of(story.take(IN), GammaCounts) == [GammaCounts((400,), alarm=False)]


@pytest.mark.parametrize(
    ("bits", "way"),
    [(Inputs.DIR01, "01"), (Inputs.DIR10, "10"), (Inputs.DIR01 | Inputs.DIR10, "unknown"), (Inputs(0), "unknown")],
)
def test_the_direction_is_kept_with_the_object(bits: Inputs, way: str) -> None:
    story = Story()
    story.take(replace(VACANT, inputs=int(Inputs.OCCUP0 | bits)))
    (extra,) = _of(story.take(VACANT, 5), PortalExtra)
    assert extra.fields[3] == way


def test_a_speed_is_told_when_it_changes_and_never_that_of_the_vehicle_before() -> None:
    story = Story()
    story.take(VACANT)
    assert _of(story.take(IN, 5), PortalSpeed) == []
    assert _of(story.take(replace(IN, object_speed_mm_s=1800), 5), PortalSpeed) == [PortalSpeed(1.8)]
    assert _of(story.take(replace(VACANT, object_speed_mm_s=1800), 9), PortalSpeed) == []


GAMMA_ON, GAMMA_OFF = PortalAlarm(PortalSide.GAMMA, True), PortalAlarm(PortalSide.GAMMA, False)
HOT = Channel(Status.READY | Status.ALARM1, 9000, 2000.0)


def _alarms(told: list[Any]) -> list[Any]:
    return _of(told, PortalAlarm)


@pytest.mark.parametrize("bit", [Status.ALARM1, Status.ALARM2])
def test_the_portals_alarm_is_told_at_once_and_by_itself(bit: Status) -> None:
    story = Story()
    story.take(VACANT)
    story.take(IN)
    hot = replace(IN, gamma=Channel(Status.READY | bit, 9000, 2000.0), neutron=Channel(Status.READY | bit, 50, 2.5))
    assert story.take(hot) == [GAMMA_ON, PortalAlarm(PortalSide.NEUTRON, True)]
    told = story.take(hot, 20)
    assert _alarms(told) == []
    assert {event.alarm for event in _of(told, GammaCounts, NeutronCounts)} == {False}
    assert _alarms(story.take(IN, 3)) == [GAMMA_OFF, PortalAlarm(PortalSide.NEUTRON, False)]


def test_the_other_alarm_bit_is_the_same_alarm() -> None:
    story = Story()
    story.take(VACANT)
    told = [
        event
        for bits in (Status.ALARM1, Status.ALARM1 | Status.ALARM2, Status.ALARM2, Status(0))
        for event in story.take(replace(IN, gamma=Channel(Status.READY | bits, 9000, 2000.0)))
    ]
    assert _alarms(told) == [GAMMA_ON, GAMMA_OFF]


def test_an_alarm_comes_within_its_occupancy_also_in_its_first_and_its_last_sample() -> None:
    story = Story()
    story.take(VACANT)
    told = story.take(replace(IN, gamma=HOT))
    assert [type(event) for event in told][-3:] == [GammaCounts, NeutronCounts, PortalAlarm]
    story.take(IN)
    story.take(VACANT, 3)
    told = story.take(replace(VACANT, gamma=HOT))
    assert told[-3:] == [GAMMA_ON, PortalExtra("OBJECT", ("17", "4", "2250", "01")), OccupancyEnded(17, 2.5)]


def test_an_alarm_without_a_vehicle_is_told_and_opens_no_occupancy() -> None:
    story = Story()
    story.take(VACANT)
    told = story.take(replace(VACANT, gamma=HOT), 5)
    assert told == [GAMMA_ON]
    assert not story.watch.occupied
    assert story.take(VACANT) == [GAMMA_OFF]


def test_an_alarm_that_stands_when_a_vehicle_comes_is_told_again_for_its_occupancy() -> None:
    story = Story()
    story.take(VACANT)
    assert _alarms(story.take(replace(VACANT, gamma=HOT), 3)) == [GAMMA_ON]
    told = story.take(replace(IN, gamma=HOT), 5)
    assert _alarms(told) == [GAMMA_ON]
    assert told.index(GAMMA_ON) > told.index(GammaCounts((1800,), alarm=False))


def test_an_alarm_that_outlasts_its_occupancy_is_not_a_further_one() -> None:
    story = Story()
    story.take(VACANT)
    assert _alarms(story.take(replace(IN, gamma=HOT), 5)) == [GAMMA_ON]
    told = story.take(replace(VACANT, gamma=HOT), 20)
    assert _alarms(told) == []
    assert _of(told, OccupancyEnded) != []
    assert _alarms(story.take(VACANT)) == [GAMMA_OFF]
    assert _alarms(story.take(replace(VACANT, gamma=HOT))) == [GAMMA_ON]


def test_the_next_session_tells_an_alarm_that_came_or_went_meanwhile_and_no_other() -> None:
    story = Story()
    story.take(replace(VACANT, gamma=HOT))
    again = Story(memory=story.memory)
    assert _alarms(again.take(replace(VACANT, elapsed=1001, gamma=HOT))) == []
    again = Story(memory=story.memory)
    assert _alarms(again.take(replace(VACANT, elapsed=1002))) == [GAMMA_OFF]


@pytest.mark.parametrize(
    ("sample", "code"),
    [
        (replace(VACANT, inputs=int(Inputs.POWER_FAIL)), "power_fail"),
        (replace(VACANT, inputs=int(Inputs.LOW_BATTERY)), "low_battery"),
        (replace(VACANT, inputs=int(Inputs.ERROR)), "error"),
        (replace(VACANT, gamma=Channel(Status.READY | Status.OVERLOAD, 0, 1.0)), "gamma_overload"),
        (replace(VACANT, neutron=Channel(Status.READY | Status.OVERLOAD, 0, 1.0)), "neutron_overload"),
        (replace(VACANT, gamma=Channel(0, 0, 1.0)), "gamma_not_ready"),
        (replace(VACANT, neutron=Channel(0, 0, 1.0)), "neutron_not_ready"),
        (replace(VACANT, gamma=Channel(Status.READY, 0, None)), "gamma_background"),
        (replace(VACANT, neutron=Channel(Status.READY, 0, None)), "neutron_background"),
    ],
)
def test_what_the_portal_complains_of_is_a_fault_from_beginning_to_end(sample: Monitor, code: str) -> None:
    story = Story()
    story.take(VACANT)
    assert _faults(story.take(sample, 3)) == [(code, True)]
    assert _faults(story.take(VACANT, 3)) == [(code, False)]


def test_an_open_door_is_tamper() -> None:
    story = Story()
    story.take(VACANT)
    assert story.take(replace(VACANT, inputs=int(Inputs.OPEN)), 3) == [PortalTamper(True)]
    assert story.take(VACANT, 3) == [PortalTamper(False)]


def test_a_portal_without_neutrons_tells_nothing_of_them() -> None:
    story = Story(replace(WAYS, neutron=False))
    told = story.take(replace(VACANT, neutron=Channel(0, 0, None))) + story.take(
        replace(IN, neutron=Channel(1, 9, None))
    )
    told += story.take(VACANT, 5)
    assert _of(told, NeutronBackground, NeutronCounts) == []
    assert _alarms(told) == [GAMMA_OFF]
    assert not [code for code, _ in _faults(told) if code.startswith("neutron")]
    assert _of(told, OccupancyEnded) == [OccupancyEnded(17, None)]


def test_the_next_session_tells_what_changed_and_that_the_portal_has_restarted() -> None:
    story = Story()
    story.take(replace(VACANT, inputs=int(Inputs.LOW_BATTERY)))
    again = Story(memory=story.memory)
    again.step_s = 0.2
    told = again.take(replace(VACANT, elapsed=5, object_counter=0))
    assert _faults(told) == [("low_battery", False), ("restarted", True)]
    assert not again.watch.occupied, "a counter that begins anew is no vehicle"
    assert _faults(again.take(replace(VACANT, elapsed=6, object_counter=0))) == [("restarted", False)]


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.05, 0.2, 1.0, 600.0]))
def test_scaled_counts_stay_within_what_the_lane_reckons_with(count: int, time_s: float) -> None:
    assert 0 <= scaled(Channel(0, count, 0.0), 1.0, replace(WAYS, count_time_s=time_s)) <= 10**9


@given(st.integers(0, (1 << 16 * 125) - 1))
def test_whatever_the_registers_hold_is_read_and_understood_without_an_error(value: int) -> None:
    watch = Watch(WAYS, Memory())
    for at in range(3):
        watch.take(at * 0.2, read_monitor(value >> at))
