"""What the automatic officer does about a vehicle that was sent to the scanner, with a second person and a supervisor.

As persons would: the officer orders the scan, a second one confirms it, somebody looks that everybody is out and stands
at the waiting place before saying so, and a supervisor puts the scanner into use and resets it after a trip. All by the
same orders over MQTT that any client gives; what happens in the lane is seen with eyes, as from a window.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from lanecontrol.commands import Actor, Role
from sim.world.scanner import AtScanner

RETRY_S = 3.0
"""After a refusal a person looks again after a few seconds."""
REFUSALS = 10
"""So many times; then the vehicle is sent on without a scan."""
LOOK_S = 1.0
"""How often somebody looks."""
CONFIRM_S = 2.0
"""The second person reads before confirming."""
OUT_LIMIT_S = 150.0
"""The vehicle has to come, stop, and be left by everybody; the lane gives up sooner."""
SCAN_LIMIT_S = 300.0
"""A scan that nobody has heard the end of."""
LEAVE_S = 45.0
"""After a scan drivers go by the light; whoever is still there after so long is waved on."""
RESET_S = 5.0
"""The supervisor goes and looks before resetting anything."""
RESETS = ("aborted", "fault")
"""States that somebody has to reset."""
ATTEMPTS = 2
"""A scan that came to nothing is ordered once more, after a reset, as a new order."""


@dataclass(frozen=True, slots=True)
class Given:
    """How an order ended, and its key."""

    result: str
    key: str = ""


Give = Callable[[str, Mapping[str, Any], Actor], Awaitable[Given]]
"""Give an order to the lane: verb, fields, who."""


class Scene(Protocol):
    """What can be seen and said at the scanner."""

    @property
    def at_scanner(self) -> AtScanner | None: ...

    def refer_to_scanner(self, number: int) -> None: ...

    def wave_on(self, number: int) -> None: ...


class ScanDuty:
    """The scans of one lane, one after the other. `name` is the officer's; the others' are made from it."""

    def __init__(self, give: Give, scene: Scene, name: str, rng: random.Random, share: float) -> None:
        """`share` of the vehicles that would be released are chosen to be scanned."""
        self._give = give
        self._rng = rng
        self._share = share
        self._chosen: dict[str, bool] = {}
        self._scene = scene
        self._officer = Actor(name, Role.OFFICER, simulated=True)
        self._second = Actor(f"{name}-2", Role.OFFICER, simulated=True)
        self._supervisor = Actor(f"{name}-supervisor", Role.SUPERVISOR, simulated=True)
        self._state = ""
        self._ended: dict[str, str] = {}
        self._news = asyncio.Event()

    def hear(self, kind: str, data: Mapping[str, Any]) -> None:
        """An event of the lane."""
        if kind == "scanner_changed":
            self._state = data["state"]
        elif kind == "scan_recorded":
            self._ended[data["scan"]] = data["end"]
        elif kind == "passage_closed":
            self._chosen.pop(data["passage"], None)
        else:
            return
        self._news.set()

    def chooses(self, passage: str) -> bool:
        """Whether this vehicle is to be scanned; settled once for each."""
        if passage not in self._chosen:
            self._chosen[passage] = self._rng.random() < self._share
        return self._chosen[passage]

    def tell_driver(self, number: int) -> None:
        """Tell the driver at the booth to stop at the scanner."""
        self._scene.refer_to_scanner(number)

    async def put_into_use(self) -> None:
        """What a supervisor does when the lane opens, and after a trip. Refused now, it is tried again later."""
        if self._state in RESETS:
            await self._give("scanner-reset", {}, self._supervisor)
            await self._until(lambda: self._state not in RESETS, LOOK_S)
        if self._state in ("", "disabled"):
            await self._give("scanner-enable", {}, self._supervisor)

    async def see_through(self, passage: str, number: int) -> None:
        """From the order to the vehicle's leaving the scanner. Ends in any case; at once where it never got there."""
        for _ in range(ATTEMPTS):
            if await self._scan(passage, number):
                break
            await asyncio.sleep(RESET_S)
            await self.put_into_use()
            if self._is_leaving(number) or not self._stands_there(number):
                break
        if self._stands_there(number) and not await self._until(lambda: self._has_left(number), LEAVE_S):
            self._scene.wave_on(number)
            await self._until(lambda: self._has_left(number), LEAVE_S)

    async def _scan(self, passage: str, number: int) -> bool:
        """Order one scan; whether it was completed."""
        key = await self._order(passage, number)
        if not key:
            return False
        await asyncio.sleep(CONFIRM_S)
        await self._give("scan-confirm", {"scan": key}, self._second)
        if await self._until(lambda: self._all_out(number) or key in self._ended, OUT_LIMIT_S):
            await asyncio.sleep(LOOK_S)
            if self._all_out(number) and key not in self._ended:
                await self._give("driver-out", {"scan": key}, self._officer)
        await self._until(lambda: key in self._ended, SCAN_LIMIT_S)
        return self._ended.pop(key, "") == "completed"

    async def _order(self, passage: str, number: int) -> str:
        """The order's key; empty when the lane would not take it."""
        for _ in range(REFUSALS):
            fields = {"passage": passage, "reason": "referred by the officer"}
            given = await self._give("scan", fields, self._officer)
            if given.result == "done":
                return given.key
            await asyncio.sleep(RETRY_S)
            if self._is_leaving(number):
                return ""
            await self.put_into_use()
        return ""

    # --- eyes --------------------------------------------------------------------------------------------------------

    def _all_out(self, number: int) -> bool:
        there = self._scene.at_scanner
        return there is not None and there.crew_of == number and there.all_out

    def _has_left(self, number: int) -> bool:
        """It is neither on its way to the scanner nor in it."""
        there = self._scene.at_scanner
        return there is None or number not in there.expected

    def _stands_there(self, number: int) -> bool:
        there = self._scene.at_scanner
        return there is not None and number in (there.standing, there.crew_of)

    def _is_leaving(self, number: int) -> bool:
        """Its driver has seen green and is on the way."""
        there = self._scene.at_scanner
        return self._has_left(number) or (there is not None and there.crew_of == number and there.place == "returning")

    async def _until(self, seen: Callable[[], bool], limit_s: float) -> bool:
        """Look again and again, and at once when there is news; whether it came to be."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + limit_s
        while not seen():
            if loop.time() >= end_s:
                return False
            self._news.clear()
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._news.wait()
            except TimeoutError:
                pass
        return True
