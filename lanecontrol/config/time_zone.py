"""A time zone by its name, as the table of its shifts that the lane core reckons with.

Used by `lanecontrol.config.load` and the references' check. The rules come from the system's time zone database; the
table is part of the lane's setup, and so of every recording.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from lanecontrol.lane.schedule import Shift

FROM_YEAR, TO_YEAR = 2020, 2060
"""Beyond these years the offset of the nearest shift holds."""
_STEP = timedelta(days=7)
"""No zone goes over to another offset and back within a week."""


def known(name: str) -> bool:
    """Whether there is a time zone of this name here."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def shifts(name: str) -> tuple[Shift, ...]:
    """When this zone's offset changes, from one year to another. Raises ZoneInfoNotFoundError or ValueError."""
    zone = ZoneInfo(name)
    here = datetime(FROM_YEAR, 1, 1, tzinfo=UTC)
    found = [Shift(here.timestamp(), _offset_s(zone, here))]
    while here.year < TO_YEAR:
        there = here + _STEP
        if _offset_s(zone, there) != found[-1].offset_s:
            moment = _first_other(zone, here, there)
            found.append(Shift(moment.timestamp(), _offset_s(zone, moment)))
        here = there
    return tuple(found)


def _first_other(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The second at which the offset is another for the first time."""
    old_s = _offset_s(zone, before)
    low, high = int(before.timestamp()), int(after.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if _offset_s(zone, datetime.fromtimestamp(middle, UTC)) == old_s:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)


def _offset_s(zone: ZoneInfo, moment: datetime) -> int:
    offset = moment.astimezone(zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())
