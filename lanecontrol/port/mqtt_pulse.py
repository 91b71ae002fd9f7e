"""Signs of life: asks a quiet connection for one, and gives it up when none comes (MQTT 5, section 3.1.2.10).

Used by the client alone. Its timers are the event loop's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lanecontrol.errors import DeviceError, LinkLost

QUIET = 0.75
"""Share of the keepalive after which a silent connection is asked for a sign of life."""
PATIENCE = 0.5
"""Share of the keepalive that the sign may take: with QUIET a half-open link is noticed within 1.25 keepalives."""
_TICK_S = 0.001
"""Timers may fire this much early, by rounding."""


class Pulse:
    """The pulse of one connection. `deaf` tells that we are not reading, so that silence proves nothing."""

    def __init__(self, ask: Callable[[], None], lost: Callable[[DeviceError], None], deaf: Callable[[], bool]) -> None:
        self._ask = ask
        self._lost = lost
        self._deaf = deaf
        self._loop = asyncio.get_running_loop()
        self._keepalive_s = 0.0
        self._sent_at = self._heard_at = self._loop.time()
        self._asked_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def asked(self) -> bool:
        """A sign of life has been asked for and has not come yet."""
        return self._asked_at is not None

    def start(self, keepalive_s: float) -> None:
        """Begin to mind; with a keepalive of 0 there is nothing to mind."""
        self._keepalive_s = keepalive_s
        if keepalive_s:
            self._mind()

    def stop(self) -> None:
        self._keepalive_s = 0.0
        if self._timer is not None:
            self._timer.cancel()

    def sent(self) -> None:
        """Something was sent."""
        self._sent_at = self._loop.time()

    def heard(self) -> None:
        """Something came: whatever it is, the other side lives."""
        self._heard_at = self._loop.time()
        self._asked_at = None

    def _mind(self) -> None:
        now_s = self._loop.time() + _TICK_S
        patience_s = self._keepalive_s * PATIENCE
        if self._asked_at is not None and not self._deaf() and now_s >= self._asked_at + patience_s:
            self._lost(LinkLost("session", f"nothing heard for {now_s - self._heard_at:.1f} s"))
            return
        due_s = min(self._heard_at, self._sent_at) + self._keepalive_s * QUIET
        if self._asked_at is None and now_s >= due_s:
            self._asked_at = self._sent_at = self._loop.time()
            self._ask()
        if self._asked_at is not None:
            due_s = max(self._asked_at, self._loop.time()) + patience_s
        self._timer = self._loop.call_at(due_s, self._mind)
