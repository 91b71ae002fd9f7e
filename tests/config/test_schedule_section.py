"""Schedule, stages and time zone in a lane file: what they mean, and what is wrong with them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanecontrol.announcements import LaneType
from lanecontrol.config import load_text, time_zone
from lanecontrol.errors import ConfigError
from lanecontrol.lane.schedule import DatedHours, Hours, Schedule, Shift, WeeklyHours, offset_at
from lanecontrol.lane.setup import Stage

LANE = """\
port: SYS
time_zone: America/Tijuana
lane: {id: "07", type: SENTRI, other_types: [READY]}
zones: [{name: booth, start_m: 25, end_m: 29}]
loops: [{name: booth, device: io1, point: loop_booth, zone: booth}]
devices:
  - {kind: io.modbus, id: io1, url: "tcp://192.0.2.21:502", inputs: {loop_booth: 0}, outputs: {red: 1}}
brokers: [{url: "mqtt://192.0.2.10:1883"}]
store: {path: state}
schedule:
  weekly:
    - {days: [mon, tue], opens: "06:00", closes: "22:00"}
    - {days: [sat], opens: "20:00", closes: "02:00", type: READY}
  exceptions:
    - {date: "2026-12-25"}
    - {date: "2026-12-24", opens: "06:00", closes: "24:00"}
resumption:
  - {stage: trusted, types: [SENTRI, NEXUS]}
  - {stage: all, types: [READY]}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load_text(text)
    return [str(problem) for problem in raised.value.problems]


def with_hours(*rows: str) -> str:
    head, _, _ = LANE.partition("schedule:")
    return head + "schedule:\n  weekly:\n" + "".join(f"    - {{{row}}}\n" for row in rows)


def test_a_lane_file_names_hours_exceptions_and_stages() -> None:
    setup = load_text(LANE).setup
    assert setup.schedule is not None
    assert setup.schedule.zone == "America/Tijuana"
    assert setup.schedule.weekly == (
        WeeklyHours((0, 1), Hours(360, 1320)),
        WeeklyHours((5,), Hours(1200, 1560, LaneType.READY)),
    )
    christmas = datetime(2026, 12, 25, tzinfo=UTC).toordinal()
    assert setup.schedule.dated == (DatedHours(christmas), DatedHours(christmas - 1, (Hours(360, 1440),)))
    assert setup.other_types == (LaneType.READY,)
    assert setup.resumption == (
        Stage("trusted", (LaneType.SENTRI, LaneType.NEXUS)),
        Stage("all", (LaneType.READY,)),
    )


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ('days: [mon], opens: "06:00", closes: "06:00"', "closes when it opens"),
        ('days: [mon], opens: "24:00", closes: "06:00"', "opens"),
        ('days: [monday], opens: "06:00", closes: "07:00"', "days"),
        ('days: [], opens: "06:00", closes: "07:00"', "days"),
        ('days: [mon], opens: "06:00", closes: "07:00", type: FAST', "does not serve FAST"),
    ],
)
def test_what_is_wrong_with_hours_is_told(row: str, told: str) -> None:
    (problem,) = problems(with_hours(row))
    assert told in problem


def test_two_types_at_one_time_are_told_also_over_the_end_of_the_week() -> None:
    sunday = 'days: [sun], opens: "20:00", closes: "02:00", type: READY'
    monday = 'days: [mon], opens: "01:00", closes: "05:00"'
    (problem,) = problems(with_hours(sunday, monday))
    assert "two types at one time" in problem
    load_text(with_hours(sunday, monday.replace("01:00", "02:00")))


def test_a_schedule_needs_a_time_zone_that_there_is() -> None:
    (problem,) = problems(LANE.replace("time_zone: America/Tijuana\n", ""))
    assert "no time zone" in problem
    (problem,) = problems(LANE.replace("America/Tijuana", "America/Atlantis"))
    assert "no time zone 'America/Atlantis'" in problem


def test_a_date_that_never_comes_and_half_an_exception_are_told() -> None:
    (problem,) = problems(LANE.replace("2026-12-25", "2026-02-30"))
    assert "date" in problem
    (problem,) = problems(LANE.replace('opens: "06:00", closes: "24:00"', 'opens: "06:00"'))
    assert "both times" in problem


def test_a_lane_with_a_schedule_does_not_open_at_every_start() -> None:
    (problem,) = problems(LANE.replace("type: SENTRI,", "type: SENTRI, opens_at_start: true,"))
    assert "open at every start" in problem


@settings(max_examples=100)
@given(
    zone=st.sampled_from(["America/Tijuana", "America/Phoenix", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"]),
    minutes=st.integers(0, 39 * 366 * 1440),
)
def test_the_table_of_shifts_says_what_the_time_zone_says(zone: str, minutes: int) -> None:
    moment = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    offset = moment.astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    table = Schedule(zone, _shifts[zone]) if zone in _shifts else _remember(zone)
    assert offset_at(table, moment.timestamp()) == offset.total_seconds()


_shifts: dict[str, tuple[Shift, ...]] = {}  # made once: it takes some milliseconds


def _remember(zone: str) -> Schedule:
    made = Schedule(zone, time_zone.shifts(zone))
    _shifts[zone] = made.shifts
    return made


def test_every_device_that_takes_a_picture_when_asked_is_known_to_the_lane() -> None:
    camera = '  - {kind: lpr.frames, id: cam1, url: "tcp://192.0.2.51:554"}\n'
    pushing = '  - {kind: lpr.axis, id: cam2, url: "listen://0.0.0.0:8090"}\n'
    assert load_text(LANE).setup.picture_devices == ()
    setup = load_text(LANE.replace("brokers:", f"{camera}{pushing}brokers:")).setup
    assert setup.picture_devices == ("cam1",)
