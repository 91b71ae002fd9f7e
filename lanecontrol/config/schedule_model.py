"""What may stand in a lane file about when the lane is open, and about coming back after a shutdown; and its meaning.

`schedule` and `stages` turn the sections into what the lane core reckons with; `check` tells what is wrong between
their parts. Used by `lanecontrol.config` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from lanecontrol.announcements import LaneType
from lanecontrol.config import time_zone
from lanecontrol.config.section import Name, Section
from lanecontrol.lane.schedule import DAY_MIN, DatedHours, Hours, Schedule, WeeklyHours
from lanecontrol.lane.setup import Stage

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Opens = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Closes = Annotated[str, StringConstraints(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")]


def _real_date(text: str) -> str:
    date.fromisoformat(text)
    return text


IsoDate = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\d$"), AfterValidator(_real_date)]


class WeeklySection(Section):
    """Hours that begin on certain days of every week."""

    days: list[Day] = Field(min_length=1)
    """On which days they begin: mon, tue, wed, thu, fri, sat, sun."""
    opens: Opens
    """When, by the clock on the wall: `"06:00"`. Quote it."""
    closes: Closes
    """Until when: `"22:00"`; `"24:00"` is midnight, and a time not after `opens` is on the next day."""
    type: LaneType | None = None
    """Which type the lane serves then, where it is not its own."""


class ExceptionSection(Section):
    """What holds on one date in place of the week's hours, from midnight to midnight. Without times: closed."""

    date: IsoDate
    """Which: `"2026-12-25"`. Quote it."""
    opens: Opens | None = None
    """When it opens, if it does."""
    closes: Closes | None = None
    """Until when."""
    type: LaneType | None = None
    """Which type the lane serves then, where it is not its own."""


class ScheduleSection(Section):
    """When the lane opens and closes by itself, in the port's time zone."""

    weekly: list[WeeklySection] = Field(default=[], max_length=64)
    """The hours of every week."""
    exceptions: list[ExceptionSection] = Field(default=[], max_length=400)
    """Single dates. The hours of several rows for one date add up."""
    officer_required: bool = True
    """The schedule opens the lane only while an officer has signed on there."""


class StageSection(Section):
    """One stage of coming back after a shutdown of the port."""

    stage: Name
    """What orders call it."""
    types: list[LaneType]
    """Lanes that may open from this stage on, besides those of the stages before."""


# --- what it means ---------------------------------------------------------------------------------------------------


def schedule(section: ScheduleSection | None, zone: str) -> Schedule | None:
    """As plain data for the lane core."""
    if section is None:
        return None
    weekly = tuple(
        WeeklyHours(tuple(map(_DAYS.index, row.days)), _hours(row.opens, row.closes, row.type))
        for row in section.weekly
    )
    dated = tuple(map(_dated, section.exceptions))
    return Schedule(zone, time_zone.shifts(zone), weekly, dated, section.officer_required)


def _dated(row: ExceptionSection) -> DatedHours:
    hours = (_hours(row.opens, row.closes, row.type),) if row.opens and row.closes else ()
    return DatedHours(date.fromisoformat(row.date).toordinal(), hours)


def _hours(opens: str, closes: str, lane_type: LaneType | None) -> Hours:
    begin, end = _minutes(opens), _minutes(closes)
    return Hours(begin, end if end > begin else end + DAY_MIN, lane_type)


def _minutes(text: str) -> int:
    hours, minutes = text.split(":")
    return 60 * int(hours) + int(minutes)


def stages(sections: Iterable[StageSection]) -> tuple[Stage, ...]:
    """As plain data for the lane core."""
    return tuple(Stage(section.stage, tuple(section.types)) for section in sections)


# --- what is wrong ---------------------------------------------------------------------------------------------------


Told = tuple[tuple[int | str, ...], str, str]
"""Where, what is wrong, and what would be right."""


def check(section: ScheduleSection, zone: str | None, types: Iterable[LaneType | None]) -> Iterator[Told]:
    """What one part of a schedule says about another, and about the types that the lane may serve."""
    if zone == "":
        yield ("schedule",), "the schedule's times are of no time zone", "give the port one: time_zone: America/Tijuana"
    may_serve = set(types)
    for key in ("weekly", "exceptions"):
        for index, row in enumerate(getattr(section, key) or ()):
            at = ("schedule", key, index)
            if row.type is not None and row.type not in may_serve:
                yield (*at, "type"), f"the lane does not serve {row.type.value}", "add it to `other_types` of the lane"
            if (row.opens is None) is not (row.closes is None) and key == "exceptions":
                yield at, "an exception has both times, or none: then it is closed", "give opens and closes"
            elif row.opens is not None and row.opens == row.closes:
                yield (*at, "closes"), "it closes when it opens", 'a whole day is opens: "00:00", closes: "24:00"'
    yield from _overlaps(section)


def _overlaps(section: ScheduleSection) -> Iterator[Told]:
    """Two types at one time."""
    week = 7 * DAY_MIN
    spans = []
    for index, row in enumerate(section.weekly or ()):
        if row.opens is None or row.closes is None or row.opens == row.closes:
            continue  # told already
        hours = _hours(row.opens, row.closes, row.type)
        for day in row.days or ():
            begin = _DAYS.index(day) * DAY_MIN + hours.opens_min
            spans.append((begin, begin + hours.closes_min - hours.opens_min, index, row.type))
    spans.sort(key=lambda span: span[:3])
    if spans:
        first = spans[0]
        spans.append((first[0] + week, first[1] + week, *first[2:]))
    told: set[int] = set()
    for (_, end, one, before), (begin, _, other, after) in pairwise(spans):
        if begin < end and before is not after and not {one, other} <= told:
            told |= {one, other}
            yield ("schedule", "weekly", max(one, other)), "two types at one time", "let the hours follow each other"
