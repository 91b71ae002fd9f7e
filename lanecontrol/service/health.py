"""Is this process fit to hold permissions? One verdict, from what must make progress.

Made by the composition root. Drivers feed a module's watchdog, and `feed` pings systemd's, only while the verdict is
good: so a blocked event loop, a stuck lane task or a ledger that no longer writes drops the outputs by itself. Nothing
here repairs anything. While the verdict is bad nothing is granted either (`lane.drives`), and a module whose watchdog
has tripped is not cleared.

| what goes wrong | noticed | feed of the modules' watchdogs |
|---|---|---|
| power, kill -9, SIGSTOP | by the modules | nobody is there to feed |
| the event loop stands still | as soon as it goes on | none; withheld until it was on time once (250 ms) |
| the event loop is 250 ms late | within 250 ms | withheld |
| an input waits 250 ms for its turn | at the next feed | withheld |
| a commit takes more than 5 s | at the next feed | withheld |
| the lane task fails, the store is ruined | at once | red is commanded, the process ends |
| a device's session hangs | by its module | nobody else feeds it |
| inputs are 250 ms old (1) | at 250 ms | that module's heartbeat is withheld |
| the inbox is full, inputs were lost (2) | at once | goes on |
| the store's disk is full (2) | within 0.5 s | goes on |
| the store refuses writes (2) | at the write | goes on |
| a module's link is cut (2) | within 250 ms | nothing reaches it |
| broker or central away (3) | by their time-outs | goes on |
| somebody sets the clock | never | goes on: every limit counts monotonic time |

1. Where any request feeds, polls go on for a second until the link counts as lost: only they can find the inputs fresh.
2. The lane withdraws every permission in the same step: red is commanded, by a lane that still knows what it does.
3. No order can come. A permission that was given stands until it is used or expires.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from lanecontrol.service.notify import Notifier

LAG_LIMIT_S = 0.25
"""The event loop may be late by this much (fail-safe rule 2 of the lane's I/O)."""
LAG_EVERY_S = 0.25
"""How often the lag is measured: four times within the shortest watchdog of a module."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reasons` is empty when all is well."""

    reasons: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        return not self.reasons


Check = Callable[[], str]
"""Answers what is wrong now, or an empty text. Never blocks or raises."""


class Health:
    """Gathers signs of life. `now` is the event loop's time, in seconds."""

    def __init__(self, now: Callable[[], float], *, lag_limit_s: float = LAG_LIMIT_S) -> None:
        self._now = now
        self._lag_limit_s = lag_limit_s
        self._measured_at: float | None = None
        self._lag_s = 0.0
        self._limits: dict[str, float] = {}
        self._beats: dict[str, float] = {}
        self._checks: dict[str, Check] = {}

    def expect(self, name: str, within_s: float) -> None:
        """From now on `beat(name)` must come at least once in this time."""
        self._limits[name] = within_s
        self._beats[name] = self._now()

    def beat(self, name: str) -> None:
        """`name` made progress."""
        self._beats[name] = self._now()

    def forget(self, name: str) -> None:
        """`name` ended as planned: no more is expected of it."""
        self._limits.pop(name, None)
        self._checks.pop(name, None)

    def check(self, name: str, check: Check) -> None:
        """Ask `check` at every verdict: for what is idle most of the time, like a ledger with nothing to write."""
        self._checks[name] = check

    def verdict(self) -> Verdict:
        """All that is wrong now."""
        now = self._now()
        unmeasured_s = 0.0 if self._measured_at is None else now - self._measured_at - LAG_EVERY_S
        late_s = max(self._lag_s, unmeasured_s)
        reasons = [f"event loop {late_s:.2f} s late"] if late_s > self._lag_limit_s else []
        for name, within_s in self._limits.items():
            silent_s = now - self._beats[name]
            if silent_s > within_s:
                reasons.append(f"{name} made no progress for {silent_s:.1f} s")
        reasons += [f"{name}: {wrong}" for name, check in self._checks.items() if (wrong := check())]
        return Verdict(tuple(reasons))

    async def measure(self) -> None:
        """Measure the event loop's lag, for ever; a task of its own."""
        while True:
            before = self._now()
            await asyncio.sleep(LAG_EVERY_S)
            self._measured_at = self._now()
            self._lag_s = max(0.0, self._measured_at - before - LAG_EVERY_S)

    async def feed(self, notifier: Notifier) -> None:
        """Ping systemd's watchdog at a third of its time while the verdict is good, for ever; a task of its own."""
        if notifier.watchdog_s is None:
            return
        while True:
            verdict = self.verdict()
            if verdict.good:
                notifier.ping()
            else:
                notifier.status(f"unhealthy: {'; '.join(verdict.reasons)}")
            await asyncio.sleep(notifier.watchdog_s / 3)
