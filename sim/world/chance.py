"""Random numbers of the world: one generator per purpose, so that a new sensor never shifts another one's noise.

Used by the world alone; fakes, drivers and the lane draw nothing from here.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence
from math import exp, floor, lgamma, log, sqrt

PTRS_FROM = 10.0
"""Below this mean, counting exponentials is cheaper than Hoermann's rejection, which is made for means from 10."""

TABLE_UP_TO = 500.0
"""Beyond this mean a table would be long, and its first entries too small for a float."""


class Streams:
    """Gives the generator of each purpose, derived from the seed and the purpose's name alone."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def of(self, purpose: str) -> random.Random:
        """A generator of its own. Asking twice for one purpose gives two that start alike."""
        return random.Random(f"{self._seed}/{purpose}")

    def begin_again(self, rng: random.Random, purpose: str) -> None:
        """Make `rng` the generator of another purpose: as `of`, at half the cost."""
        rng.seed(f"{self._seed}/{purpose}")


def poisson(rng: random.Random, mean: float) -> int:
    """A Poisson count with this mean; exact for every mean (no normal approximation)."""
    if mean <= 0.0:
        return 0
    return _poisson_small(rng, mean) if mean < PTRS_FROM else _poisson_ptrs(rng, mean)


def _poisson_small(rng: random.Random, mean: float) -> int:
    limit = exp(-mean)
    product, count = rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count


def poissons(rng: random.Random, means: Sequence[float]) -> tuple[int, ...]:
    """A Poisson count for each of these means: as `poisson` one by one, from the same numbers."""
    return tuple([_poisson_ptrs(rng, mean) if mean >= PTRS_FROM else poisson(rng, mean) for mean in means])


def _poisson_ptrs(rng: random.Random, mean: float) -> int:
    """Transformed rejection with squeeze (W. Hoermann, 1993, algorithm PTRS)."""
    b = 0.931 + 2.53 * sqrt(mean)
    a = -0.059 + 0.02483 * b
    twice_a, squeeze = 2.0 * a, 0.9277 - 3.6224 / (b - 2.0)
    random = rng.random
    while True:
        u = random() - 0.5
        v = random()
        us = 0.5 - (u if u >= 0.0 else -u)
        if us <= 0.0:
            continue
        k = floor((twice_a / us + b) * u + mean + 0.43)
        if us >= 0.07 and v <= squeeze:
            return k
        if k < 0 or (us < 0.013 and v > us):
            continue
        log_alpha = 1.1239 + 1.1328 / (b - 3.4)
        accept = -mean + k * log(mean) - lgamma(k + 1)
        if v > 0.0 and log(v * log_alpha / (a / (us * us) + b)) <= accept:
            return k


class PoissonTable:
    """Counts of one mean, drawn over and over: by inversion, with a single number each."""

    def __init__(self, mean: float) -> None:
        self._mean = mean
        self.cumulative: list[float] = []
        if mean > TABLE_UP_TO:
            return
        part = total = exp(-mean)
        for count in range(1, int(mean + 12.0 * sqrt(mean) + 12.0)):
            self.cumulative.append(total)
            part *= mean / count
            total += part

    def draw(self, rng: random.Random) -> int:
        return bisect_right(self.cumulative, rng.random()) if self.cumulative else poisson(rng, self._mean)


class PoissonTables:
    """Counts of several means, drawn together over and over: as from a `PoissonTable` of each in turn."""

    def __init__(self, means: Sequence[float]) -> None:
        self._tables = [PoissonTable(mean) for mean in means]
        self._cumulative = [table.cumulative for table in self._tables]
        self._short = all(self._cumulative)

    def draw(self, rng: random.Random) -> tuple[int, ...]:
        """A count of each mean."""
        if self._short:
            draw = rng.random
            return tuple([bisect_right(cumulative, draw()) for cumulative in self._cumulative])
        return tuple([table.draw(rng) for table in self._tables])


def chance(rng: random.Random, share: float) -> bool:
    """True with this probability. Draws exactly one number, whatever the share."""
    return rng.random() < share


def between(rng: random.Random, span: tuple[float, float]) -> float:
    """Uniform between the two ends. Draws exactly one number."""
    return span[0] + (span[1] - span[0]) * rng.random()


def pick(rng: random.Random, shares: Sequence[float]) -> int:
    """An index, with probability in proportion to its share. Draws exactly one number."""
    left = rng.random() * sum(shares)
    for index, share in enumerate(shares):
        left -= share
        if left < 0.0:
            return index
    return max(index for index, share in enumerate(shares) if share > 0.0)
