"""What an LLRP reader complains of, from one session to the next.

Called by the `rfid.llrp` session. Holds no link and reports nothing itself: it answers which reports are due.
"""

from __future__ import annotations

from lanecontrol.events import DeviceFault

_PASSING = ("reader_exception", "report_buffer", "report_overflow")
"""Complaints whose end no reader tells of. An antenna's end is an event of its own."""

_PASSING_S = 30.0
"""A passing complaint that was not repeated for so long is over."""


class Faults:
    """Complaints that are not cleared yet. Outlives a session, so that the next one can clear what it does not find."""

    def __init__(self) -> None:
        self._active: dict[str, tuple[str, float]] = {}
        self._before: set[str] = set(_PASSING)
        """Passing complaints of a session, or of a process, before this one."""

    def begin(self, code: str, detail: str, now_s: float) -> list[DeviceFault]:
        """The report, if it is news."""
        news = code not in self._active
        self._active[code] = detail, now_s
        self._before.discard(code)
        return [DeviceFault(code, detail)] if news else []

    def end(self, code: str) -> list[DeviceFault]:
        """The report that clears it, if it was there."""
        return [DeviceFault(code, self._active.pop(code)[0], active=False)] if code in self._active else []

    def outlived(self, now_s: float) -> list[DeviceFault]:
        """Reports that clear the passing complaints which were not repeated."""
        codes = [code for code, (_, at_s) in self._active.items() if code in _PASSING and now_s - at_s > _PASSING_S]
        return [fault for code in codes for fault in self.end(code)]

    def new_session(self) -> None:
        """What was passing before is over unless it is told again before `left_over`."""
        self._before |= self._active.keys() & set(_PASSING)

    def left_over(self) -> list[DeviceFault]:
        """Reports that clear what nobody told of since `new_session`."""
        codes = sorted(self._before)
        self._before.clear()
        for code in codes:
            self._active.pop(code, None)
        return [DeviceFault(code, "", active=False) for code in codes]
