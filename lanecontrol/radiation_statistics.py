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
from dataclasses import dataclass
from functools import lru_cache
from math import floor, isfinite, log, sqrt
from operator import add, sub

# --- gamma -----------------------------------------------------------------------------------------------------------

INTERVAL_S = 0.2
"""What one line of gamma counts stands for."""
N_SIGMA = 4.0
"""Alarm threshold where nobody says otherwise."""
INTERVALS = 5
"""Intervals in the gamma window where nobody says otherwise."""

Panels = tuple[int, ...]
"""Panels that are added up, by their place in a line of counts."""
Groups = tuple[str, ...]
"""Names of groups of panels, each of which decides by itself."""
Sums = tuple[int, ...]
"""Counts of one interval, or of a window, by groups."""
Pairs = tuple[Panels, Panels]

USUAL: Groups = ("SUM", "VERTICAL_1", "VERTICAL_2")
"""What controllers of recordings go by: all panels together, and those of each pillar."""
HORIZONTAL: Pairs = ((0, 2), (1, 3))
"""Panels of one height, where nobody says otherwise. Unverified: it may be the first with the fourth, and the second
with the third, so the lane file can say (`portals: horizontal`)."""


@lru_cache(maxsize=64)
def panels_of(groups: Groups, count: int, horizontal: Pairs = HORIZONTAL) -> tuple[Panels, ...]:
    """The panels of each group where a line has so many counts."""
    half = count // 2
    known: dict[str, Panels] = {
        "SUM": tuple(range(count)),
        "VERTICAL_1": tuple(range(half)),
        "VERTICAL_2": tuple(range(half, count)),
        "HORIZONTAL_1": tuple(panel for panel in horizontal[0] if panel < count),
        "HORIZONTAL_2": tuple(panel for panel in horizontal[1] if panel < count),
    }
    return tuple(known.get(name) or _single(name, count) for name in groups)


def _single(name: str, count: int) -> Panels:
    number = int(name.removeprefix("SINGLE_")) - 1 if name.startswith("SINGLE_") else count
    return (number,) if number < count else ()


def sums_of(counts: Sequence[int], groups: Groups = USUAL, horizontal: Pairs = HORIZONTAL) -> Sums:
    """The counts of one interval by groups."""
    if groups == USUAL and len(counts) == 4:
        a, b, c, d = counts
        return a + b + c + d, a + b, c + d
    return tuple(sum(counts[panel] for panel in panels) for panels in panels_of(groups, len(counts), horizontal))


def expected_of(
    background_cps: Sequence[int], groups: Groups = USUAL, horizontal: Pairs = HORIZONTAL
) -> tuple[float, ...]:
    """What the background brings in one interval, by groups."""
    return tuple([part * INTERVAL_S for part in sums_of(background_cps, groups, horizontal)])


def slide(window: tuple[Sums, ...], total: Sums, sums: Sums, intervals: int) -> tuple[tuple[Sums, ...], Sums]:
    """The window with one more interval, and its sum; the oldest intervals fall out. `total` is empty at first."""
    if len(total) != len(sums):
        window, total = (), (0,) * len(sums)
    if len(window) == intervals and len(sums) == 3:  # the usual case: SUM and the two pillars
        (new, new_1, new_2), (old, old_1, old_2) = sums, window[0]
        return (*window[1:], sums), (total[0] + new - old, total[1] + new_1 - old_1, total[2] + new_2 - old_2)
    window = (*window, sums)
    total = tuple(map(add, total, sums))
    while len(window) > intervals:
        total = tuple(map(sub, total, window[0]))
        window = window[1:]
    return window, total


def strongest(total: Sums, expected: tuple[float, ...], intervals: int) -> tuple[float | None, int]:
    """The highest S of a full window and the place of its group; None where there is no background to compare with."""
    if len(total) == 3 == len(expected):  # the usual case: SUM and the two pillars
        both, left, right = expected[0] * intervals, expected[1] * intervals, expected[2] * intervals
        if both > 0.0 and left > 0.0 and right > 0.0:
            s = (total[0] - both) / sqrt(both)
            s_left, s_right = (total[1] - left) / sqrt(left), (total[2] - right) / sqrt(right)
            if s_left > s and s_left >= s_right:
                return s_left, 1
            return (s_right, 2) if s_right > s else (s, 0)
    highest, where = None, 0
    for place, (counted, rate) in enumerate(zip(total, expected, strict=False)):  # nothing expected: no background
        background = rate * intervals
        if background > 0.0:
            s = (counted - background) / sqrt(background)
            if highest is None or s > highest:
                highest, where = s, place
    return highest, where


def groups_of(mask: str, panels: int = 4) -> Groups:
    """The groups that an algorithm mask (SG2: sum, horizontal, vertical, single) turns on.

    A mask that turns nothing on, or that is none, stands for SUM and VERTICAL. Unverified: that SINGLE is each panel by
    itself, which is what the word says; no recording shows it.
    """
    if len(mask) != 4 or set(mask) - {"0", "1"}:
        return USUAL
    kinds: tuple[Groups, ...] = (
        ("SUM",),
        ("HORIZONTAL_1", "HORIZONTAL_2"),
        ("VERTICAL_1", "VERTICAL_2"),
        tuple(f"SINGLE_{number}" for number in range(1, panels + 1)),
    )
    order = (0, 2, 1, 3)
    return tuple(name for kind in order if mask[kind] == "1" for name in kinds[kind]) or USUAL


class GammaTest:
    """The gamma decision line by line, for recordings. The lane does the same with the same steps in its own state."""

    def __init__(self, n_sigma: float = N_SIGMA, intervals: int = INTERVALS) -> None:
        self.n_sigma = n_sigma
        self.intervals = intervals
        self.groups = USUAL
        self._background_cps: tuple[int, ...] = ()
        self._expected: tuple[float, ...] = ()
        self._window: tuple[Sums, ...] = ()
        self._total: Sums = ()

    def group_by(self, groups: Groups) -> None:
        """Decide by these groups from now on."""
        self.groups, self._expected = groups, expected_of(self._background_cps, groups)

    def background(self, cps: tuple[int, ...]) -> None:
        """Vacant: whatever was counted before is over."""
        self._background_cps, self._expected = cps, expected_of(cps, self.groups)
        self.end()

    def end(self) -> None:
        """The occupancy is over. The background stands until the next one is told."""
        self._window, self._total = (), ()

    def counts(self, counts: tuple[int, ...]) -> float | None:
        """S after one more interval; None before a full window, and where there is no background to compare with."""
        self._window, self._total = slide(self._window, self._total, sums_of(counts, self.groups), self.intervals)
        if len(self._window) < self.intervals or len(counts) != len(self._background_cps):
            return None
        return strongest(self._total, self._expected, self.intervals)[0]


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
        self._tests: tuple[Sequential, ...] = ()

    def background(self, cps: tuple[float, ...]) -> None:
        """The exact background of all channels; whatever was counted before is over."""
        self._tests = sequential_tests(cps)

    def end(self) -> None:
        """The occupancy is over."""
        self._tests = tuple(Sequential(test.excess_cps, test.log_ratio) for test in self._tests)

    def second(self, counts: tuple[int, ...]) -> tuple[float, ...]:
        """The score after one more second, once for each alternative; empty where no background is known."""
        done = [second(test, sum(counts), self.steps, self.upper, self.lower) for test in self._tests]
        self._tests = tuple(test for test, _ in done)
        return tuple(score for _, score in done)


@dataclass(frozen=True, slots=True)
class Sequential:
    """One test under way: the background against one higher rate, `excess_cps` above it."""

    excess_cps: float
    log_ratio: float
    score: float = 0.0
    taken: int = 0


def sequential_tests(background_cps: Sequence[float]) -> tuple[Sequential, ...]:
    """Tests of this background, one for each alternative that rounding leaves open; none where it is no background."""
    rate = sum(background_cps)
    if not isfinite(rate) or rate <= 0.0:
        return ()
    rates = [fifths / 5 for fifths in dict.fromkeys(_alternatives(rate))]
    return tuple(Sequential(other - rate, log(other / rate)) for other in rates if other > rate)


def second(test: Sequential, count: int, steps: int, upper: float, lower: float) -> tuple[Sequential, float]:
    """The test after one more second, and its score.

    That it starts over above the upper limit too is the rule of such tests; no recording shows it.
    """
    score = test.score + count * test.log_ratio - test.excess_cps
    taken = test.taken + 1
    if not lower < score <= upper or taken >= steps:
        return Sequential(test.excess_cps, test.log_ratio), score
    return Sequential(test.excess_cps, test.log_ratio, score, taken), score


def _alternatives(background_cps: float) -> list[int]:
    """Five times the alarming rate: one value as a rule, two or three where rounding decides."""
    fifths = 5 * background_cps
    return [
        floor(a + factor * sqrt(a))
        for a in (floor(fifths), floor(fifths + _NOISE), floor(fifths - _NOISE))
        if a > 0
        for factor in _FACTORS
    ]
