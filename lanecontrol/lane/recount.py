"""The figures once more, from a lane's events alone: the proof that they were measured.

The same fold as in the lane (`lane.numbers`), fed with what the ledger holds instead of what the lane announces. Lane
time is worked out from the stamps of the events: UTC less what `ClockStepped` says. Pure; used by `lanecontrol numbers`
and by tests. What no event tells (`approach_occupied`) cannot be recounted, and the reasons in `absent` are not
compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

from lanecontrol.announcements import Announcement, ClockStepped, LaneNumbers, LaneStarted, Quality
from lanecontrol.figures import Lasted, QueueEstimate, StageTimes
from lanecontrol.lane.numbers import HEARD, after, begun, length_s
from lanecontrol.lane.numbers_state import Moment, Numbers
from lanecontrol.lane.record import replace

NOT_COMPARED = frozenset({"approach_occupied", "absent", "at_utc_s"})
EXACT_S = 0.01
"""Sums of seconds: stamps have microseconds, and a window's figures milliseconds."""
RELATIVE = 1e-3
AFTER_THE_MIDDLE = 2
"""A recount that begins in the middle of a ledger: from this window on it knows as much as the lane did."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event of the lane: when it was announced, and what it says."""

    utc_s: float
    announcement: Announcement
    synchronised: bool = True


@dataclass(frozen=True, slots=True)
class Recounted:
    """One window: as recounted, as published (None: it was not, or is lost), and in what they differ."""

    figures: LaneNumbers
    published: LaneNumbers | None
    differences: tuple[str, ...]
    known: bool = True
    """False where the recount began in the middle: then the figures are too low, and nothing is compared."""


def recount(events: Iterable[Told], window_s: float = 900.0) -> Iterator[Recounted]:
    """Every window that ended, recounted; `events` in the order of their numbers. Never raises."""
    return _Recount(length_s(window_s)).run(events)


class _Recount:
    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._numbers = Numbers()
        self._stepped_s = 0.0
        self._behind = 0
        """So many windows are still not known as a whole."""
        self._ended: list[LaneNumbers] = []
        """Recounted windows whose published figures have not come yet: they follow with the next event of the fold."""

    def run(self, events: Iterable[Told]) -> Iterator[Recounted]:
        for told in events:
            yield from self._take(told)
        yield from self._unmatched()

    def _take(self, told: Told) -> Iterator[Recounted]:
        match told.announcement:
            case ClockStepped(by_s):
                self._stepped_s += by_s
            case LaneNumbers() as published:
                self._count(told, ())
                yield from self._matched(published)
            case announcement if type(announcement) in HEARD:
                if self._ended and told.utc_s > self._ended[-1].at_utc_s:
                    yield from self._unmatched()
                self._count(told, (announcement,))

    def _count(self, told: Told, heard: tuple[Announcement, ...]) -> None:
        moment = Moment(told.utc_s - self._stepped_s, told.utc_s, told.synchronised)
        cold = any(isinstance(one, LaneStarted) and one.cold for one in heard)
        if cold:
            self._behind = 0
        elif self._numbers.window is None:
            self._numbers = begun(moment, self._window_s, None)
            self._behind = AFTER_THE_MIDDLE
        self._numbers, found = after(self._numbers, heard, moment, self._window_s)
        self._ended += [one for one in found if isinstance(one, LaneNumbers)]

    def _matched(self, published: LaneNumbers) -> Iterator[Recounted]:
        ended, self._ended = self._ended, []
        for figures in ended[:-1]:
            yield Recounted(figures, None, (), not self._behind)
        if ended:
            known = not self._behind
            differing = differences(ended[-1], published) if known else ()
            yield Recounted(ended[-1], published, differing, known)
        if self._behind:
            self._behind -= 1
            self._catch_up(published)

    def _catch_up(self, published: LaneNumbers) -> None:
        """Take over from the lane what cannot be seen from the middle of its events."""
        window = self._numbers.window
        if window is not None:
            window = replace(window, number=published.window + 1, inside_before=published.inside_after)
            quality = Quality.GOOD if published.quality is Quality.GOOD else self._numbers.quality
            self._numbers = replace(self._numbers, window=window, life=published.life, quality=quality)

    def _unmatched(self) -> Iterator[Recounted]:
        ended, self._ended = self._ended, []
        for figures in ended:
            yield Recounted(figures, None, (), not self._behind)


def differences(one: LaneNumbers, other: LaneNumbers) -> tuple[str, ...]:
    """The names of the figures in which two windows differ."""
    names = (field.name for field in fields(LaneNumbers) if field.name not in NOT_COMPARED)
    return tuple(name for name in names if not _alike(getattr(one, name), getattr(other, name)))


def _alike(one: object, other: object) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, float | int) and isinstance(other, float | int) and not isinstance(one, bool):
        return abs(one - other) <= max(EXACT_S, RELATIVE * abs(other))
    if isinstance(one, StageTimes | QueueEstimate | Lasted) and type(one) is type(other):
        return all(_alike(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    return one == other
