"""What an M6e module complains of, from one session to the next.

Called by the `rfid.mercury` session. Holds no link and reports nothing itself: it answers which reports are due.
"""

from __future__ import annotations

import math

from lanecontrol.events import DeviceFault

_PASSING = ("temperature", "return_loss", "module")
_PASSING_S = 10.0
"""A complaint that was not repeated for so long is over: the module sends no word when it is."""


class Faults:
    """What the module complains of. Outlives a session, so that the next one can clear what it does not find again."""

    def __init__(self) -> None:
        self._active: dict[str, float] = {}
        """When a complaint was last heard; infinite while only a measurement can end it."""
        self._doubtful = set(_PASSING)
        self.connected: set[int] = set()
        """Antennas that were connected at some time: one that is missing now was lost."""

    def begin(self, code: str, detail: str, now_s: float) -> list[DeviceFault]:
        """The report, if it is news."""
        news = code not in self._active
        self._active[code] = max(now_s, self._active.get(code, now_s))
        return [DeviceFault(code, detail)] if news else []

    def measured(self, code: str, detail: str, *, bad: bool) -> list[DeviceFault]:
        """The report, if it is news. What was measured as bad lasts until it is measured as good."""
        if bad:
            return self.begin(code, detail, math.inf)
        return self.end(code) if self._active.get(code) == math.inf else []

    def end(self, code: str) -> list[DeviceFault]:
        """The report that clears it, if it was there."""
        if code not in self._active:
            return []
        del self._active[code]
        return [DeviceFault(code, "", active=False)]

    def outlived(self, now_s: float) -> list[DeviceFault]:
        """Reports that clear the passing complaints which were not repeated. A missing antenna does not pass."""
        codes = [code for code in _PASSING if now_s - self._active.get(code, now_s) > _PASSING_S]
        return [fault for code in codes for fault in self.end(code)]

    def left_over(self) -> list[DeviceFault]:
        """Once: reports that clear what a process before this one may have left at the lane."""
        codes = sorted(self._doubtful - self._active.keys())
        self._doubtful.clear()
        return [DeviceFault(code, "", active=False) for code in codes]
