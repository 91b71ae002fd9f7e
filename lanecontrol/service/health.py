"""Is this process fit to hold permissions? One verdict, from what must make progress.

Made by the composition root. Drivers feed a module's watchdog, and `feed` pings systemd's, only while the verdict is
good: so a blocked event loop, a stuck lane task or a ledger that no longer writes drops the outputs by itself. Nothing
here repairs anything. While the verdict is bad nothing is granted either (`lane.drives`), and a module whose watchdog
has tripped is not cleared.

| what goes wrong | noticed | feed of the modules' watchdogs | and besides |
|---|---|---|---|
| power, kill -9, SIGSTOP, the whole machine | by the modules | nobody is there to feed | systemd starts it anew |
| the event loop stands still | when it goes on, in the same instant | nothing feeds while it stands; withheld until it was on time once, 250 ms later at the earliest | what was to be granted meanwhile is refused |
| the event loop is late by more than 250 ms | within 250 ms | withheld | nothing is granted |
| the lane does not keep up: an input has waited 250 ms | at the next feed | withheld | full inbox: red, and said |
| the lane task fails | at once | red is commanded, the process ends | systemd starts it anew |
| a device's session hangs | by its module | nobody else feeds it | its inputs are reported stale: red |
| inputs older than 250 ms | within 250 ms | that module's heartbeat is withheld; where requests feed, they go on for 1 s, until the link counts as lost | the lane withdraws every permission |
| a commit takes more than 5 s | at the next feed | withheld | nothing is granted before its commit |
| the store refuses writes (full, read-only, I/O error) | at the write | goes on | the lane withdraws and grants nothing: red is commanded, and shown by a lane that still knows what it does |
| the store is damaged beyond use | at the write | red is commanded, the process ends | opened anew, or red all the while |
| broker or central away | by their own time-outs | goes on | orders cannot come; a permission that was given stands until it is used or expires |
| the clock is set | never | goes on | all limits count monotonic time |
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

    @property
    def lag_s(self) -> float:
        """How late the event loop was when last measured."""
        return self._lag_s

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
