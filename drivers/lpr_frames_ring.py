"""The last pictures of a stream, so that a trigger can reach back, and how late a stream has become. Pure.

Used by `lpr_frames_capture`. Times are seconds on one clock that never goes back; what a picture is does not matter
here. Must never grow: neither in pictures nor in bytes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

P = TypeVar("P")

PICTURES = 10
SPACING_S = 0.1
"""Pictures that come faster are passed over: ten of them reach back a second whatever the camera's rate is."""
AGE_S = 1.0
"""Pictures older than this show the vehicle before."""
MOST_BYTES = 64 << 20
"""Ten pictures of 1920 by 1080; of larger ones fewer are kept."""
LEAST = 2
_DRIFT = 0.0002
"""Seconds a second by which two clocks may drift apart; a box that cannot keep up falls back much faster."""


@dataclass(slots=True)
class Ring(Generic[P]):
    """The newest pictures, oldest first."""

    _held: deque[tuple[float, int, P]] = field(default_factory=deque)
    _bytes: int = 0
    _given_s: float = float("-inf")

    @property
    def newest_s(self) -> float:
        """When the newest picture came; minus infinity when there is none."""
        return self._held[-1][0] if self._held else float("-inf")

    def wants(self, at_s: float) -> bool:
        """Whether a picture of this moment would be kept: those that would not need not be decoded."""
        return at_s >= self.newest_s + SPACING_S

    def add(self, at_s: float, picture: P, size: int) -> None:
        """Keep a picture of `size` bytes."""
        self._held.append((at_s, size, picture))
        self._bytes += size
        while len(self._held) > PICTURES or (self._bytes > MOST_BYTES and len(self._held) > LEAST):
            self._bytes -= self._held.popleft()[1]

    def before(self, now_s: float, apart_s: float) -> list[P]:
        """At most two for a trigger that comes now: the newest, and the newest that is at least so much older.

        None that was given before: two vehicles close together must not be shown each other's pictures.
        """
        oldest_s = max(now_s - AGE_S, self._given_s + 1e-6)
        fresh = [(at_s, picture) for at_s, _, picture in self._held if at_s >= oldest_s]
        if not fresh:
            return []
        older = [picture for at_s, picture in fresh if at_s <= fresh[-1][0] - apart_s and at_s < fresh[-1][0]]
        self.given()
        return [*older[-1:], fresh[-1][1]]

    def given(self) -> None:
        """The newest one has been given away: no later trigger gets it, or any before it."""
        self._given_s = self.newest_s

    def newest(self) -> P | None:
        """The newest picture."""
        return self._held[-1][2] if self._held else None


@dataclass(slots=True)
class Lag:
    """How late pictures come, from the times that the camera stamped them with.

    A box that decodes more slowly than the camera sends sees the lane ever later, and nothing else would tell.
    """

    _least_s: float | None = None
    _last_s: float = 0.0

    def of(self, at_s: float, stamped_s: float) -> float:
        """By how much the picture that came at `at_s` is later than the most punctual one was."""
        apart_s = at_s - stamped_s
        drifted = None if self._least_s is None else self._least_s + (at_s - self._last_s) * _DRIFT
        self._least_s = apart_s if drifted is None else min(apart_s, drifted)
        self._last_s = at_s
        return apart_s - self._least_s
