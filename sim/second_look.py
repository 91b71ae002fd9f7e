"""What an officer does who looks up and finds a vehicle still standing there: decide anew, or call it by hand.

Pure; for the automatic officer on the wire (`sim.officer`) and for the one without (`sim.typed_run`). It knows neither
time nor lane: who asks says what is to be seen.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Generic, TypeVar

NOT_THERE = "not at the booth"
"""In the lane's answer: it believes the vehicle elsewhere, which the officer sees before the window."""
LOOKS = 3
"""Whoever has stood there for so many of these without the lane's saying a word is called by hand ("next vehicle")."""

V = TypeVar("V")


class Deed(Enum):
    NOTHING = auto()
    DECIDE = auto()
    """Decide once more about the vehicle that was let go: its permission was withdrawn."""
    CALL = auto()
    """Call the vehicle by hand: the lane does not know of it."""


class SecondLook(Generic[V]):
    """Counts looks in a row at one and the same vehicle before a red signal."""

    def __init__(self) -> None:
        self._stood: tuple[V | None, int] = (None, 0)

    def at(self, there: V | None, *, red: bool, decided: bool) -> Deed:
        """One look. `there` is the vehicle at the booth, `decided` whether the last decision was about it and its
        passage is still open."""
        before, looks = self._stood
        if there is None or not red:
            self._stood = (None, 0)
            return Deed.NOTHING
        looks = looks + 1 if there == before else 1
        self._stood = (there, looks)
        if decided:
            return Deed.DECIDE
        if looks < LOOKS:
            return Deed.NOTHING
        self._stood = (None, 0)
        return Deed.CALL

    def refused(self, there: V | None, why: str) -> Deed:
        """A decision was refused. `there` is the vehicle at the booth, of which the lane may have lost sight."""
        if there is None or NOT_THERE not in why:
            self._stood = (None, 0)
            return Deed.NOTHING
        return self.at(there, red=True, decided=False)
