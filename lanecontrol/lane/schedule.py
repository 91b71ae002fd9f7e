"""When a lane is to be open, by the clock on the port's wall: the timetable of the lane file as data, and one question.

`at` answers what is wanted at a moment of UTC, and until when. Pure: the time zone comes as a table of its shifts, made
by `lanecontrol.config.time_zone`, so that a recording replays alike on any machine. Used by `lane.timetable`.

A time of day means the first moment at which the clock on the wall shows that time or a later one. So 01:30 on the
night when it comes twice is the first of the two, and 02:30 on the night when it is left out is the moment of the jump.
Hours that lie wholly in what is left out are no hours at all.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from lanecontrol.announcements import LaneType

DAY_S = 86_400
DAY_MIN = 1440
LOOK_AHEAD_DAYS = 100
"""Nothing further ahead is looked for: a schedule without any hours is looked at again after so long."""
_EPOCH = 719_163
"""`date(1970, 1, 1).toordinal()`."""


@dataclass(frozen=True, slots=True)
class Hours:
    """Open from one minute after midnight to another; above 1440 that is on the next day. None: the file's type."""

    opens_min: int
    closes_min: int
    lane_type: LaneType | None = None


@dataclass(frozen=True, slots=True)
class WeeklyHours:
    """Hours that begin on these days of every week; Monday is 0."""

    days: tuple[int, ...]
    hours: Hours


@dataclass(frozen=True, slots=True)
class DatedHours:
    """All that holds on one date (its proleptic ordinal), from midnight to midnight; without hours it is closed."""

    day: int
    hours: tuple[Hours, ...] = ()


@dataclass(frozen=True, slots=True)
class Shift:
    """From this moment on, local time is UTC plus `offset_s`."""

    utc_s: float
    offset_s: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """A lane's hours. `shifts` in order; before the first one its own offset holds too."""

    zone: str
    shifts: tuple[Shift, ...]
    weekly: tuple[WeeklyHours, ...] = ()
    dated: tuple[DatedHours, ...] = ()
    officer_required: bool = True
    """It opens the lane only while an officer is on duty there."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Open, as this type, or closed: from `since_utc_s` (at the latest: what was asked about) to `until_utc_s`."""

    opens: bool
    lane_type: LaneType | None
    since_utc_s: float
    until_utc_s: float


def at(schedule: Schedule, utc_s: float) -> Wanted:
    """What is wanted at this moment, and the next one at which something else is."""
    closed_s = 0.0
    for span in _spans(schedule, utc_s):
        if span.until_utc_s <= utc_s:
            closed_s = span.until_utc_s
        elif span.since_utc_s <= utc_s:
            return span
        else:
            return Wanted(False, None, closed_s or utc_s, span.since_utc_s)
    return Wanted(False, None, closed_s or utc_s, utc_s + LOOK_AHEAD_DAYS * DAY_S)


def utc_of(schedule: Schedule, wall_s: float) -> float:
    """The first moment at which the wall shows this time or a later one. `wall_s` as if local time were UTC."""
    shifts = schedule.shifts
    first = max(0, bisect_right(shifts, wall_s - 2 * DAY_S, key=lambda shift: shift.utc_s) - 1)
    for index in range(first, len(shifts)):
        utc_s = wall_s - shifts[index].offset_s
        if index + 1 == len(shifts) or utc_s < shifts[index + 1].utc_s:
            return max(utc_s, shifts[index].utc_s) if index else utc_s
    return wall_s


def offset_at(schedule: Schedule, utc_s: float) -> int:
    """Seconds by which local time is ahead of UTC."""
    shifts = schedule.shifts
    if not shifts:
        return 0
    return shifts[max(0, bisect_right(shifts, utc_s, key=lambda shift: shift.utc_s) - 1)].offset_s


def _spans(schedule: Schedule, utc_s: float) -> Iterator[Wanted]:
    """When the lane is open, in order, from a little before `utc_s` on; what touches and is alike is one."""
    today = int((utc_s + offset_at(schedule, utc_s)) // DAY_S)
    last: Wanted | None = None
    for day in range(today - 2, today + LOOK_AHEAD_DAYS):
        for span in sorted(_of_day(schedule, day), key=lambda one: one.since_utc_s):
            if last is None:
                last = span
            elif span.since_utc_s <= last.until_utc_s and span.lane_type is last.lane_type:
                last = _lasting(last, max(last.until_utc_s, span.until_utc_s))
            else:
                yield _lasting(last, min(last.until_utc_s, span.since_utc_s))
                last = span
        if last is not None and last.until_utc_s < utc_of(schedule, (day + 1) * DAY_S):
            yield last
            last = None
    if last is not None:
        yield last


def _lasting(span: Wanted, until_utc_s: float) -> Wanted:
    return Wanted(span.opens, span.lane_type, span.since_utc_s, until_utc_s)


def _of_day(schedule: Schedule, day: int) -> Iterator[Wanted]:
    """The hours that begin on this day (since 1970). A dated next day ends them at its midnight."""
    midnight_s = day * DAY_S
    tomorrow = DAY_MIN if _dated(schedule, day + 1) is not None else 2 * DAY_MIN
    for hours in _hours(schedule, day):
        since_s = utc_of(schedule, midnight_s + 60 * hours.opens_min)
        until_s = utc_of(schedule, midnight_s + 60 * min(hours.closes_min, tomorrow))
        if since_s < until_s:
            yield Wanted(True, hours.lane_type, since_s, until_s)


def _hours(schedule: Schedule, day: int) -> tuple[Hours, ...]:
    dated = _dated(schedule, day)
    if dated is not None:
        return dated
    weekday = (day + 3) % 7  # 1970-01-01 was a Thursday
    return tuple(row.hours for row in schedule.weekly if weekday in row.days)


def _dated(schedule: Schedule, day: int) -> tuple[Hours, ...] | None:
    rows = [row.hours for row in schedule.dated if row.day - _EPOCH == day]
    return tuple(hours for row in rows for hours in row) if rows else None
