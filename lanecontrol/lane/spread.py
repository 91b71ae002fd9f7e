"""Durations in bins: how many, mean, median, 90th percentile, least and most, in bounded memory. Pure.

Bins grow by a constant ratio, so that a median of 4 s and one of 40 minutes are told with the same relative error.
The order in which durations come makes no difference to anything but the last digits of the sum.
"""

from __future__ import annotations

import math
from bisect import bisect_left

from lanecontrol.figures import Stage, StageTimes
from lanecontrol.lane.numbers_state import Spread

RATIO = 1.05
"""Of a bin's upper edge to its lower: what is told lies in its middle, so at most 2.5 % beside the true value."""
FINEST_S = 0.1
"""Everything below is one bin: no loop or reader is that exact."""
_LOG_RATIO = math.log(RATIO)
_LAST = 320
"""FINEST_S * RATIO**_LAST is 7 days; whatever is longer is counted there."""


def with_one(spread: Spread, duration_s: float) -> Spread:
    """The same with one more duration; less than 0 counts as 0."""
    duration_s = duration_s if duration_s > 0.0 else 0.0
    if not spread.count:
        return Spread(1, duration_s, duration_s, duration_s, ((_bin(duration_s), 1),))
    return Spread(
        spread.count + 1,
        spread.sum_s + duration_s,
        duration_s if duration_s < spread.least_s else spread.least_s,
        duration_s if duration_s > spread.most_s else spread.most_s,
        _counted(spread.bins, _bin(duration_s)),
    )


def _counted(bins: tuple[tuple[int, int], ...], number: int) -> tuple[tuple[int, int], ...]:
    at = bisect_left(bins, (number,))
    if at < len(bins) and bins[at][0] == number:
        return (*bins[:at], (number, bins[at][1] + 1), *bins[at + 1 :])
    return (*bins[:at], (number, 1), *bins[at:])


def told(stage: Stage, spread: Spread) -> StageTimes:
    """For publishing. `spread` has at least one duration in it."""
    return StageTimes(
        stage,
        spread.count,
        round(spread.sum_s / spread.count, 3),
        round(quantile_s(spread, 0.5), 3),
        round(quantile_s(spread, 0.9), 3),
        round(spread.least_s, 3),
        round(spread.most_s, 3),
    )


def quantile_s(spread: Spread, part: float) -> float:
    """Nearest rank, within 2.5 %, and never outside of least and most. 0 without durations."""
    rank = max(1, math.ceil(part * spread.count))
    for number, count in spread.bins:
        rank -= count
        if rank <= 0:
            return min(spread.most_s, max(spread.least_s, _middle_s(number)))
    return 0.0


def _bin(duration_s: float) -> int:
    if duration_s <= FINEST_S:
        return 0
    return min(_LAST, 1 + int(math.log(duration_s / FINEST_S) / _LOG_RATIO))


def _middle_s(number: int) -> float:
    """In the middle by ratio."""
    return 0.0 if number == 0 else FINEST_S * RATIO ** (number - 0.5)
