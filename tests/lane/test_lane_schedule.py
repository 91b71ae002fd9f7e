"""A lane's hours by the clock on the port's wall, over both nights on which that clock is changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanecontrol.announcements import LaneType
from lanecontrol.config import time_zone
from lanecontrol.lane.schedule import DatedHours, Hours, Schedule, Wanted, WeeklyHours, at, utc_of

ZONE = "America/Tijuana"
SHIFTS = time_zone.shifts(ZONE)
EVERY_DAY = tuple(range(7))
READY, SENTRI = LaneType.READY, LaneType.SENTRI


def minutes(text: str) -> int:
    return 60 * int(text[:2]) + int(text[3:])


def hours(opens: str, closes: str, lane_type: LaneType | None = None) -> Hours:
    begin, end = minutes(opens), minutes(closes)
    return Hours(begin, end if end > begin else end + 1440, lane_type)


def daily(opens: str, closes: str, *dated: DatedHours) -> Schedule:
    return Schedule(ZONE, SHIFTS, (WeeklyHours(EVERY_DAY, hours(opens, closes)),), dated)


def on(day: str, *of_it: Hours) -> DatedHours:
    return DatedHours(date.fromisoformat(day).toordinal(), of_it)


def utc(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def changes(schedule: Schedule, since: str, until: str) -> list[tuple[str, str]]:
    """Every change in between, in UTC, and what is wanted from then on."""
    found = []
    wanted = at(schedule, utc(since))
    while wanted.until_utc_s < utc(until):
        moment = datetime.fromtimestamp(wanted.until_utc_s, UTC)
        wanted = at(schedule, wanted.until_utc_s)
        name = (wanted.lane_type.value if wanted.lane_type else "open") if wanted.opens else "closed"
        found.append((f"{moment:%m-%d %H:%M}Z", name))
    return found


# --- an ordinary week ------------------------------------------------------------------------------------------------


def test_a_lane_is_open_within_its_hours_and_told_of_the_next_change() -> None:
    schedule = daily("06:00", "22:00")
    assert at(schedule, utc("2026-06-10T12:00:00-07:00")) == Wanted(
        True, None, utc("2026-06-10T06:00:00-07:00"), utc("2026-06-10T22:00:00-07:00")
    )
    night = at(schedule, utc("2026-06-10T23:00:00-07:00"))
    assert (night.opens, night.until_utc_s) == (False, utc("2026-06-11T06:00:00-07:00"))


def test_it_opens_at_the_very_second_and_closes_at_the_very_second() -> None:
    schedule = daily("06:00", "22:00")
    assert not at(schedule, utc("2026-06-10T05:59:59-07:00")).opens
    assert at(schedule, utc("2026-06-10T06:00:00-07:00")).opens
    assert not at(schedule, utc("2026-06-10T22:00:00-07:00")).opens


def test_hours_past_midnight_belong_to_the_day_on_which_they_begin() -> None:
    saturdays = Schedule(ZONE, SHIFTS, (WeeklyHours((5,), hours("20:00", "02:00")),))
    assert changes(saturdays, "2026-06-12T00:00:00-07:00", "2026-06-15T00:00:00-07:00") == [
        ("06-14 03:00Z", "open"),
        ("06-14 09:00Z", "closed"),
    ]


def test_hours_that_follow_each_other_as_other_types_change_the_type_and_as_the_same_are_one() -> None:
    weekly = (
        WeeklyHours(EVERY_DAY, hours("06:00", "14:00", READY)),
        WeeklyHours(EVERY_DAY, hours("14:00", "18:00", SENTRI)),
        WeeklyHours(EVERY_DAY, hours("18:00", "22:00", SENTRI)),
    )
    schedule = Schedule(ZONE, SHIFTS, weekly)
    assert changes(schedule, "2026-06-10T00:00:00-07:00", "2026-06-11T00:00:00-07:00") == [
        ("06-10 13:00Z", "READY"),
        ("06-10 21:00Z", "SENTRI"),
        ("06-11 05:00Z", "closed"),
    ]


def test_a_lane_that_never_closes_has_no_change_at_midnight() -> None:
    always = daily("00:00", "24:00")
    assert changes(always, "2026-06-10T12:00:00Z", "2026-08-10T12:00:00Z") == []


def test_a_schedule_without_hours_is_closed_and_looked_at_again_some_day() -> None:
    wanted = at(Schedule(ZONE, SHIFTS), utc("2026-06-10T12:00:00Z"))
    assert not wanted.opens
    assert wanted.until_utc_s > utc("2026-08-10T12:00:00Z")


# --- single dates ----------------------------------------------------------------------------------------------------


def test_an_exception_holds_for_its_date_from_midnight_to_midnight() -> None:
    schedule = daily("20:00", "02:00", on("2026-12-25"))
    assert changes(schedule, "2026-12-24T12:00:00-08:00", "2026-12-27T00:00:00-08:00") == [
        ("12-25 04:00Z", "open"),
        ("12-25 08:00Z", "closed"),  # at midnight, and not at two o'clock
        ("12-27 04:00Z", "open"),
    ]


def test_the_hours_of_an_exception_take_the_place_of_the_weeks() -> None:
    schedule = daily(
        "06:00", "22:00", on("2026-12-24", hours("07:00", "09:00")), on("2026-12-24", hours("10:00", "11:00"))
    )
    assert changes(schedule, "2026-12-24T00:00:00-08:00", "2026-12-25T00:00:00-08:00") == [
        ("12-24 15:00Z", "open"),
        ("12-24 17:00Z", "closed"),
        ("12-24 18:00Z", "open"),
        ("12-24 19:00Z", "closed"),
    ]


# --- the clock is changed --------------------------------------------------------------------------------------------


def test_half_past_one_that_comes_twice_is_the_first_of_the_two() -> None:
    assert changes(daily("01:30", "04:00"), "2026-11-01T00:00:00-07:00", "2026-11-01T20:00:00Z") == [
        ("11-01 08:30Z", "open"),  # 01:30 in summer time
        ("11-01 12:00Z", "closed"),
    ]
    assert changes(daily("22:00", "01:30"), "2026-11-01T00:00:00-07:00", "2026-11-01T20:00:00Z") == [
        ("11-01 08:30Z", "closed")
    ]


def test_a_night_with_the_hour_twice_is_an_hour_longer() -> None:
    night = at(daily("22:00", "06:00"), utc("2026-11-01T09:30:00Z"))
    assert night.until_utc_s - night.since_utc_s == 9 * 3600


def test_hours_that_follow_each_other_within_the_hour_that_comes_twice_stay_without_a_gap() -> None:
    weekly = (
        WeeklyHours(EVERY_DAY, hours("00:30", "01:30", READY)),
        WeeklyHours(EVERY_DAY, hours("01:30", "01:45", SENTRI)),
    )
    assert changes(Schedule(ZONE, SHIFTS, weekly), "2026-11-01T00:00:00-07:00", "2026-11-01T20:00:00Z") == [
        ("11-01 07:30Z", "READY"),
        ("11-01 08:30Z", "SENTRI"),
        ("11-01 08:45Z", "closed"),
    ]


def test_half_past_two_that_never_comes_is_the_moment_of_the_jump() -> None:
    assert changes(daily("02:30", "06:00"), "2026-03-08T00:00:00-08:00", "2026-03-08T20:00:00Z") == [
        ("03-08 10:00Z", "open"),  # the wall goes from 02:00 to 03:00
        ("03-08 13:00Z", "closed"),
    ]
    assert changes(daily("20:00", "02:30"), "2026-03-08T00:00:00-08:00", "2026-03-08T20:00:00Z") == [
        ("03-08 10:00Z", "closed")
    ]


def test_hours_that_lie_wholly_in_the_hour_left_out_are_none() -> None:
    assert changes(daily("02:15", "02:45"), "2026-03-08T00:00:00-08:00", "2026-03-09T00:00:00-07:00") == []


def test_a_night_with_an_hour_left_out_is_an_hour_shorter() -> None:
    night = at(daily("22:00", "06:00"), utc("2026-03-08T09:30:00Z"))
    assert night.until_utc_s - night.since_utc_s == 7 * 3600


# --- whatever the schedule -------------------------------------------------------------------------------------------

WALLS = st.integers(int(utc("2026-01-01T00:00:00Z")) // 60, int(utc("2027-01-01T00:00:00Z")) // 60).map(
    lambda m: 60.0 * m
)
A_WEEK = st.lists(
    st.builds(
        lambda days, opens, lasts: WeeklyHours(tuple(sorted(days)), Hours(opens, opens + lasts)),
        st.sets(st.integers(0, 6), min_size=1),
        st.integers(0, 1439),
        st.integers(1, 1440),
    ),
    max_size=4,
).map(lambda rows: Schedule(ZONE, SHIFTS, tuple(rows)))


@given(WALLS)
def test_a_time_of_day_is_the_first_moment_at_which_the_wall_shows_it_or_a_later_one(wall_s: float) -> None:
    moment = utc_of(Schedule(ZONE, SHIFTS), wall_s)

    def shown(utc_s: float) -> float:
        local = datetime.fromtimestamp(utc_s, ZoneInfo(ZONE)).replace(tzinfo=UTC)
        return local.timestamp()

    assert shown(moment) >= wall_s
    assert all(shown(moment - before) < wall_s for before in (1, 60, 1800, 3600, 7200))


@settings(max_examples=60, deadline=None)
@given(A_WEEK, st.floats(utc("2026-02-20T00:00:00Z"), utc("2026-11-20T00:00:00Z")))
def test_what_is_wanted_holds_until_the_change_that_is_named_and_not_beyond(schedule: Schedule, utc_s: float) -> None:
    wanted = at(schedule, utc_s)
    assert wanted.since_utc_s <= utc_s < wanted.until_utc_s
    for share in (0.0, 0.5, 0.999):
        between = at(schedule, utc_s + share * (wanted.until_utc_s - utc_s))
        assert (between.opens, between.lane_type, between.until_utc_s) == (wanted.opens, None, wanted.until_utc_s) or (
            not schedule.weekly or wanted.until_utc_s - utc_s > 60 * 86_400
        )
    if schedule.weekly and wanted.until_utc_s - utc_s < 60 * 86_400:
        assert at(schedule, wanted.until_utc_s).opens is not wanted.opens


@settings(max_examples=60, deadline=None)
@given(A_WEEK, st.integers(0, 270 * 1440))
def test_away_from_the_nights_of_the_change_it_is_what_the_wall_says(schedule: Schedule, minute: int) -> None:
    local = datetime(2026, 2, 20, tzinfo=ZoneInfo(ZONE)) + timedelta(minutes=minute)
    if any(abs((local.date() - day).days) < 3 for day in (date(2026, 3, 8), date(2026, 11, 1))):
        return
    minute_of_week = local.weekday() * 1440 + local.hour * 60 + local.minute
    inside = any(
        (minute_of_week - day * 1440 - row.hours.opens_min) % 10_080 < row.hours.closes_min - row.hours.opens_min
        for row in schedule.weekly
        for day in row.days
    )
    assert at(schedule, local.timestamp()).opens is inside


@pytest.mark.parametrize("zone", ["UTC", "America/Phoenix", "Australia/Lord_Howe"])
def test_other_zones_have_their_hours_too(zone: str) -> None:
    schedule = Schedule(zone, time_zone.shifts(zone), (WeeklyHours(EVERY_DAY, hours("06:00", "22:00")),))
    wanted = at(schedule, utc("2026-06-10T12:00:00Z"))
    local = datetime.fromtimestamp(wanted.until_utc_s, ZoneInfo(zone))
    assert f"{local:%H:%M}" in ("06:00", "22:00")
