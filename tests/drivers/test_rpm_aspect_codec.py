"""The registers of an Aspect portal, word for word, and what one sample after the other means."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus_codec import Area, Bits, Read, Refused, read_answer, request_tail
from drivers.rpm_aspect_codec import (
    DESCRIPTION,
    MONITOR,
    MONITOR_REGISTERS,
    Channel,
    Description,
    Inputs,
    Monitor,
    Status,
    has_restarted,
    monitor_request,
    read_description,
    read_monitor,
)
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

MONITOR_READ = Read(Area.HOLDING_REGISTERS, 100, 21)
SAMPLE = bytes.fromhex(
    "00020000002d01032ae240000100410f810a5a0000000044fa000042320380000300000000402000003fc00011000408ca0021"
)


# --- registers -------------------------------------------------------------------------------------------------------


def test_the_requests_have_the_bytes_of_the_page() -> None:
    assert b"\x00\x01" + request_tail(1, DESCRIPTION) == bytes.fromhex("000100000006010300000008")
    assert b"\x00\x02" + request_tail(1, MONITOR_READ) == bytes.fromhex("000200000006010300640015")


def test_the_description_tells_where_the_monitor_block_lies() -> None:
    frame = bytes.fromhex("00010000001301031041530079000100640015000000000000")
    answer = read_answer(1, DESCRIPTION, frame[2:])
    assert isinstance(answer, Bits)
    found = read_description(answer.value)
    assert found == Description(0x4153, 121, 1, 100, 21)
    assert monitor_request(found) == MONITOR_READ


def test_the_monitor_block_is_read_with_the_low_word_first() -> None:
    answer = read_answer(1, MONITOR_READ, SAMPLE[2:])
    assert isinstance(answer, Bits)
    found = read_monitor(answer.value)
    assert replace(found, raw=b"") == Monitor(
        elapsed=123456,
        inputs=Inputs.OCCUP0 | Inputs.DIR01,
        gamma=Channel(Status.ALARM1 | Status.READY | 0x0F00, 2650, 2000.0),
        neutron=Channel(Status.READY | 0x0300, 3, 2.5),
        object_counter=17,
        object_mark=4,
        object_speed_mm_s=2250,
        raw=b"",
    )
    assert (found.occupied, found.direction, found.gamma.alarm, found.neutron.alarm) == (
        True,
        Inputs.DIR01,
        True,
        False,
    )


def _value(words: list[int]) -> int:
    """Registers as an answer gives them: the first one lowest."""
    return sum(word << 16 * at for at, word in enumerate(words))


def test_a_portal_with_the_other_word_order_is_read_alike() -> None:
    low_first = list(struct.unpack(">21H", SAMPLE[9:]))
    high_first = low_first.copy()
    for at in (0, 4, 6, 8, 11, 13, 15):
        high_first[at], high_first[at + 1] = low_first[at + 1], low_first[at]
    assert read_monitor(_value(high_first), high_first=True) == read_monitor(_value(low_first))
    assert read_monitor(_value(low_first)).gamma == Channel(0x0F81, 2650, 2000.0)
    assert read_monitor(_value(high_first)).gamma.count != 2650


def test_an_exception_is_a_refusal_and_no_values() -> None:
    assert read_answer(1, MONITOR_READ, bytes.fromhex("000200000003018302")[2:]) == Refused(2)


def test_the_map_has_no_gap_and_no_overlap() -> None:
    at = 0
    for name, offset, form in MONITOR:
        assert offset == at, name
        at += struct.calcsize(f"<{form}") // 2
    assert at == MONITOR_REGISTERS


@pytest.mark.parametrize(("length", "count"), [(21, 21), (60, 60), (125, 125), (400, 125)])
def test_the_whole_block_is_asked_for_as_far_as_one_request_goes(length: int, count: int) -> None:
    assert monitor_request(Description(1, 1, 1, 7, length)) == Read(Area.HOLDING_REGISTERS, 7, count)


@pytest.mark.parametrize(("base", "length"), [(100, 20), (100, 0), (65530, 21), (65535, 65535)])
def test_a_block_that_cannot_be_there_is_not_asked_for(base: int, length: int) -> None:
    assert monitor_request(Description(1, 1, 1, base, length)) is None


@given(st.integers(0, (1 << 16 * 125) - 1))
def test_whatever_the_registers_hold_is_read_and_understood_without_an_error(value: int) -> None:
    watch = Watch(WAYS, Memory())
    for at in range(3):
        watch.take(at * 0.2, read_monitor(value >> at))


@pytest.mark.parametrize("background", [float("nan"), float("inf"), -1.0, 1e30])
def test_a_background_that_is_no_number_is_none(background: float) -> None:
    words = struct.unpack("<2H", struct.pack("<f", background))
    value = words[0] << 16 * 6 | words[1] << 16 * 7
    assert read_monitor(value).gamma.background is None


@pytest.mark.parametrize(
    ("before", "now", "restarted"),
    [(5, 6, False), (6, 6, False), (6, 5, True), (2**32 - 100, 100, False), (123456, 0, True), (3 * 10**9, 40, True)],
)
def test_elapsed_time_that_goes_back_is_a_restart_and_a_wrap_is_none(before: int, now: int, restarted: bool) -> None:
    assert has_restarted(before, now) is restarted


# --- one sample after the other --------------------------------------------------------------------------------------

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
