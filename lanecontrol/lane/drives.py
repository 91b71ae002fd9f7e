"""Commands on their way to devices: one at a time per device, in order; what withdraws cuts short what grants.

Used by the runner, and by the composition root for its own last red: whoever commands a device of a lane does it
through the same `Drives`, so that nobody finds the device busy. It never repeats a command and decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from lanecontrol.commands import Command, Outcome, Result, refused
from lanecontrol.lane.effects import Drive

LET_GO_S = 0.25
"""A command that we were cancelled in has this long to end, so that the device is free for the next one."""

Perform = Callable[[str, Command, float], Coroutine[Any, Any, Outcome]]
"""Carry out a command at a device within a time; answers its outcome and never raises but for cancellation."""


class Drives:
    """The commands of one lane's devices. `unfit` tells why this process is not fit to grant now; empty when it is."""

    def __init__(self, perform: Perform, unfit: Callable[[], str] = lambda: "") -> None:
        self._perform = perform
        self._unfit = unfit
        self._turn: dict[str, asyncio.Lock] = {}
        self._granting: dict[str, tuple[asyncio.Task[Outcome], Callable[[], bool]]] = {}

    async def carry_out(self, drive: Drive, still_granted: Callable[[], bool] = lambda: True) -> Outcome:
        """Perform `drive` when its turn has come; what grants is asked once more whether it still may.

        The moment before it goes out, a grant is also held against the health verdict: a process that stood still, or
        does not keep up, withholds the feed of the modules' watchdogs, and hands out no permission either. A grant
        that a later withdrawal cut short is UNKNOWN; one that still stands is not cut short by a command about
        something else on the same module. Cancelled, the command under way is ended too.
        """
        performing, stands = self._granting.get(drive.device, (None, still_granted))
        if not drive.grants and performing is not None and not stands():
            performing.cancel()
        async with self._turn.setdefault(drive.device, asyncio.Lock()):
            if drive.grants and not still_granted():
                return refused("permission was withdrawn before it was given")
            if drive.grants and (why := self._unfit()):
                return refused(f"nothing is granted while the daemon is not fit to: {why}")
            return await self._now(drive, still_granted)

    async def _now(self, drive: Drive, still_granted: Callable[[], bool]) -> Outcome:
        loop = asyncio.get_running_loop()
        performing = loop.create_task(self._perform(drive.device, drive.command, drive.timeout_s))
        if drive.grants:
            self._granting[drive.device] = (performing, still_granted)
        try:
            await asyncio.wait({performing})  # no deadline of its own: `perform` has one
        except asyncio.CancelledError:
            performing.cancel()
            await asyncio.wait({performing}, timeout=LET_GO_S)
            raise
        finally:
            self._granting.pop(drive.device, None)
        return Outcome(Result.UNKNOWN, "cut short by a withdrawal") if performing.cancelled() else performing.result()
