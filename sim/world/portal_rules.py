"""The portal controller's own two decisions, gamma and neutron, as recordings of real portals show them.

Written from the recordings' arithmetic and never from the lane's code, which must come to the same answer by itself.
"""

from __future__ import annotations

import math
from collections import deque

GROUPS = ((0, 1, 2, 3), (0, 1), (2, 3))
"""SUM and VERTICAL (algorithm mask 1010): all four panels, and each pillar's pair."""
NEUTRON_UPPER, NEUTRON_LOWER = 9.50437640, -0.99599343
"""ln((1-beta)/alpha) and ln(beta/(1-alpha)) for alpha 4.7e-5, beta 0.36934."""
NEUTRON_STEPS = 3
ALTERNATIVE = {29: 56, 30: 57, 31: 59, 32: 60, 33: 62, 34: 63, 35: 64, 36: 66}
"""Five times the alternative rate, by the whole part of five times the background; other values are extrapolated."""


class GammaRule:
    """Sum of the last intervals against the background before the occupancy, per group of panels."""

    def __init__(self, background_cps: tuple[float, ...], n_sigma: float, intervals: int) -> None:
        self._window: deque[tuple[int, int]] = deque(maxlen=intervals)
        self._intervals = intervals
        self._left = self._right = 0
        """What the two pillars have counted in the window."""
        # The window lasts intervals x 0.2 s; the background is scaled to it.
        scale = intervals * 0.2
        backgrounds = [scale * sum(background_cps[panel] for panel in group) for group in GROUPS]
        self._limits = [(b, math.sqrt(b), n_sigma) if b > 0.0 else (0.0, 1.0, math.inf) for b in backgrounds]

    def alarm(self, counts: tuple[int, ...]) -> bool:
        """One more interval; True while any group exceeds the threshold. Never before the window is full."""
        a, b, c, d = counts
        left, right, window = a + b, c + d, self._window
        if len(window) == self._intervals:
            gone_left, gone_right = window[0]
            self._left -= gone_left
            self._right -= gone_right
        window.append((left, right))
        self._left = left = self._left + left
        self._right = right = self._right + right
        if len(window) < self._intervals:
            return False
        (both_mean, both_root, n), (left_mean, left_root, left_n), (right_mean, right_root, right_n) = self._limits
        return (
            (left + right - both_mean) / both_root > n
            or (left - left_mean) / left_root > left_n
            or (right - right_mean) / right_root > right_n
        )


class NeutronRule:
    """Truncated sequential test: background rate l0 against the alternative l1."""

    def __init__(self, background_cps: float) -> None:
        fifths = math.floor(5.0 * background_cps)
        alternative = ALTERNATIVE.get(fifths, math.floor(fifths + 5.06 * math.sqrt(fifths))) / 5.0
        self._difference = max(alternative - background_cps, 0.2)
        self._ratio = math.log((background_cps + self._difference) / max(background_cps, 0.02))
        self._z = 0.0
        self._steps = 0

    def alarm(self, count: int) -> bool:
        """One more second with this count in all channels."""
        self._z += count * self._ratio - self._difference
        self._steps += 1
        alarm = self._z > NEUTRON_UPPER
        if self._z <= NEUTRON_LOWER or self._steps >= NEUTRON_STEPS:
            self._z, self._steps = 0.0, 0
        return alarm
