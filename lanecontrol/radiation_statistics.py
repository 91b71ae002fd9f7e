"""The mathematics of a portal's two alarm decisions, worked out from its counts alone.

Used by the lane core, which keeps the figures as evidence, and by drivers, whose `decode` compares them with what the
controller decided in a recording. Pure; must never be given the controller's own decision, and never raise on counts.

Gamma: S = (W - B) / sqrt(B), W the sum of the last intervals, B the background before the occupancy over the same time,
for each active group of panels; an alarm while S > N in any of them. Neutron: Wald's sequential test between the
background and a higher rate, truncated after some seconds. Both are those of Rapiscan/TSA portal controllers; what the
recordings behind them do not show is said where it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, isfinite, log, sqrt

# --- gamma -----------------------------------------------------------------------------------------------------------

INTERVAL_S = 0.2
"""What one line of gamma counts stands for."""
N_SIGMA = 4.0
"""Alarm threshold where nobody says otherwise."""
INTERVALS = 5
"""Intervals in the gamma window where nobody says otherwise."""

Sums = tuple[int, int, int]
"""Counts of one interval, or of a window: all panels, the first pillar's pair, the second pillar's pair."""
Places = tuple[int, ...]

GROUPS = ("SUM", "VERTICAL_1", "VERTICAL_2")
"""Names of the three places in `Sums`."""
ALL_GROUPS: Places = (0, 1, 2)


def sums_of(counts: Sequence[int]) -> Sums:
    """The counts of one interval by groups."""
    if len(counts) == 4:
        a, b, c, d = counts
        return a + b + c + d, a + b, c + d
    half = len(counts) // 2
    return sum(counts), sum(counts[:half]), sum(counts[half:])


def expected_of(background_cps: Sequence[int]) -> tuple[float, float, float]:
    """What the background brings in one interval, by groups."""
    a, b, c = sums_of(background_cps)
    return a * INTERVAL_S, b * INTERVAL_S, c * INTERVAL_S


def slide(window: tuple[Sums, ...], total: Sums, sums: Sums, intervals: int) -> tuple[tuple[Sums, ...], Sums]:
    """The window with one more interval, and its sum; the oldest intervals fall out."""
    window = (*window, sums)
    a, b, c = total
    a, b, c = a + sums[0], b + sums[1], c + sums[2]
    while len(window) > intervals:
        a, b, c = a - window[0][0], b - window[0][1], c - window[0][2]
        window = window[1:]
    return window, (a, b, c)


def strongest(
    total: Sums, expected: tuple[float, float, float], intervals: int, groups: Places = ALL_GROUPS
) -> tuple[float | None, int]:
    """The highest S of a full window and the place of its group; None where there is no background to compare with."""
    highest, where = None, 0
    for place in groups:
        background = expected[place] * intervals
        if background > 0.0:
            s = (total[place] - background) / sqrt(background)
            if highest is None or s > highest:
                highest, where = s, place
    return highest, where


def groups_of(mask: str) -> Places:
    """The groups that an algorithm mask (SG2: sum, horizontal, vertical, single) turns on.

    Which panels HORIZONTAL takes together, and how SINGLE decides, is not documented: they are left out. A mask that
    turns nothing else on, or that is none, stands for SUM and VERTICAL.
    """
    if len(mask) != 4 or set(mask) - {"0", "1"}:
        return ALL_GROUPS
    places = (0,) * (mask[0] == "1") + (1, 2) * (mask[2] == "1")
    return places or ALL_GROUPS


class GammaTest:
    """The gamma decision line by line, for recordings. The lane does the same with the same steps in its own state."""

    def __init__(self, n_sigma: float = N_SIGMA, intervals: int = INTERVALS) -> None:
        self.n_sigma = n_sigma
        self.intervals = intervals
        self.groups = ALL_GROUPS
        self._background_cps: tuple[int, ...] = ()
        self._expected = (0.0, 0.0, 0.0)
        self._window: tuple[Sums, ...] = ()
        self._total = (0, 0, 0)

    def background(self, cps: tuple[int, ...]) -> None:
        """Vacant: whatever was counted before is over."""
        self._background_cps, self._expected = cps, expected_of(cps)
        self.end()

    def end(self) -> None:
        """The occupancy is over. The background stands until the next one is told."""
        self._window, self._total = (), (0, 0, 0)

    def counts(self, counts: tuple[int, ...]) -> float | None:
        """S after one more interval; None before a full window, and where there is no background to compare with."""
        self._window, self._total = slide(self._window, self._total, sums_of(counts), self.intervals)
        if len(self._window) < self.intervals or len(counts) != len(self._background_cps):
            return None
        return strongest(self._total, self._expected, self.intervals, self.groups)[0]


# --- neutron ---------------------------------------------------------------------------------------------------------

ALPHA = 4.7e-5
BETA = 0.36934
"""Chances of a false and of a missed neutron alarm: they give the limits that recorded controllers announce."""
NEUTRON_STEPS = 3
"""Seconds after which the test starts over where nobody says otherwise."""

_FACTORS = (5.0483, 5.0709)
"""Five times the alarming rate is floor(a + factor x sqrt(a)), a = floor(5 x background). What recordings show for a
from 29 to 36 leaves the factor between these two; for other a the rule is an extrapolation."""
_NOISE = 1e-5
"""Fifths of a count: a background so close to a whole number may have been on either side of it in the controller."""


def limits(alpha: float = ALPHA, beta: float = BETA) -> tuple[float, float]:
    """Upper and lower limit of the score."""
    return log((1 - beta) / alpha), log(beta / (1 - alpha))


class NeutronTest:
    """The neutron decision second by second. The score is followed for every alternative that rounding leaves open."""

    def __init__(self) -> None:
        self.steps = NEUTRON_STEPS
        self.upper, self.lower = limits()
        self._tests: tuple[_Sequential, ...] = ()

    def background(self, cps: tuple[float, ...]) -> None:
        """The exact background of all channels; whatever was counted before is over."""
        rate = sum(cps)
        found = dict.fromkeys(_alternatives(rate)) if isfinite(rate) else {}
        self._tests = tuple(_Sequential(rate, other / 5) for other in found if other / 5 > rate > 0.0)

    def end(self) -> None:
        """The occupancy is over."""
        for test in self._tests:
            test.restart()

    def second(self, counts: tuple[int, ...]) -> tuple[float, ...]:
        """The score after one more second, once for each alternative; empty where no background is known."""
        return tuple(test.step(sum(counts), self.steps, self.upper, self.lower) for test in self._tests)


class _Sequential:
    """One test: the background against one higher rate, both in counts per second."""

    def __init__(self, background_cps: float, alarming_cps: float) -> None:
        self._excess = alarming_cps - background_cps
        self._log_ratio = log(alarming_cps / background_cps)
        self._score, self._taken = 0.0, 0

    def restart(self) -> None:
        self._score, self._taken = 0.0, 0

    def step(self, count: int, most: int, upper: float, lower: float) -> float:
        """That the test starts over above the upper limit too is the rule of such tests; no recording shows it."""
        score = self._score + count * self._log_ratio - self._excess
        self._score, self._taken = score, self._taken + 1
        if not lower < score <= upper or self._taken >= most:
            self.restart()
        return score


def _alternatives(background_cps: float) -> list[int]:
    """Five times the alarming rate: one value as a rule, two or three where rounding decides."""
    fifths = 5 * background_cps
    return [
        floor(a + factor * sqrt(a))
        for a in (floor(fifths), floor(fifths + _NOISE), floor(fifths - _NOISE))
        if a > 0
        for factor in _FACTORS
    ]
