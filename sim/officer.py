"""The automatic officer of simulations: looks at the vehicle, reads the lane's assessment, and decides.

It stands in for a person and is marked as simulated in everything it does. It has no privileged way in: it hears what
the port hears and gives the same orders over MQTT that an officer's client gives. It follows the recommendation:
a mandatory or recommended referral goes to secondary, everything else is released. In a lane with a scanner a share of
the rest is sent there first, and the officer sees that through before turning to the next vehicle.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sim.scan_duty import ScanDuty
from sim.second_look import Deed, SecondLook

RETRY_S = 3.0
"""After a refusal (gate still moving, new assessment due) a person looks again after a few seconds."""
LOOK_S = 2.0
"""How long a person waits for the screen to take in the count of occupants."""

Ask = Callable[[str, str, Mapping[str, Any]], Awaitable[str]]
"""Give an order: lane, verb, fields. Answers the result (`done`, `refused` ...)."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How long the officer takes per vehicle, in seconds: a normal distribution, never below `least_s`."""

    mean_s: float = 6.0
    spread_s: float = 1.5
    least_s: float = 2.5
    wrong_share: float = 0.0
    """Share of decisions that do not follow the recommendation."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the officer sees through the booth's window: which vehicle, and how many people sit in it."""

    vehicle: int
    persons: int


class AutomaticOfficer:
    """Serves one lane. `hear` gets every event the port receives; `sees` is the officer's own look at the booth."""

    def __init__(
        self,
        lane: str,
        manner: Manner,
        rng: random.Random,
        ask: Ask,
        sees: Callable[[], Seen | None],
        scans: ScanDuty | None = None,
    ) -> None:
        """`scans` is for a lane with a scanner."""
        self.lane = lane
        self._scans = scans
        self._manner = manner
        self._rng = rng
        self._ask = ask
        self._sees = sees
        self._assessed: dict[str, Mapping[str, Any]] = {}
        self._news: asyncio.Queue[str] = asyncio.Queue()
        self._lane_there = asyncio.Event()
        self._told = asyncio.Event()
        self._wanted: set[str] = set()
        """Passages of vehicles that somebody looks for: the officer's own view tells, and nobody else knows."""
        self._signal = ""
        self._why = ""
        """The lane's last answer to an order, in words."""
        self._departures: list[str] = []
        """Alarms about vehicles that left without a disposition."""
        self._released: tuple[str, Seen | None] = ("", None)
        self._look = SecondLook[Seen]()

    def hear(self, kind: str, data: Mapping[str, Any]) -> None:
        """An event of this lane: its type's short name and its data."""
        self._lane_there.set()
        self._told.set()
        if self._scans is not None:
            self._scans.hear(kind, data)
        if kind == "passage_assessed":
            passage = data["passage"]
            if passage not in self._assessed:
                self._news.put_nowait(passage)
            self._assessed[passage] = data
        elif kind == "passage_closed":
            self._assessed.pop(data["passage"], None)
            self._wanted.discard(data["passage"])
        elif kind == "lookout_answered" and data["hits"]:
            self._wanted.add(data["passage"])
        elif kind == "signal_shown":
            self._signal = data["aspect"]
        elif kind == "order_answered":
            self._why = data["reason"]
        elif kind == "alarm_raised" and data["kind"] == "unreleased_departure":
            self._departures.append(data["alarm"])

    async def work(self) -> None:
        """Once the lane is heard of: open it, then serve vehicle by vehicle, for ever."""
        await self._lane_there.wait()
        await self._open()
        while True:
            while self._departures:  # nobody is called in before that
                await self._ask(self.lane, "acknowledge", {"alarm": self._departures.pop()})
            try:
                async with asyncio.timeout(RETRY_S):
                    passage = await self._news.get()
            except TimeoutError:
                await self._look_again()
            else:
                await self._serve(passage)

    async def _look_again(self) -> None:
        """A vehicle stands there before a red signal: its permission was withdrawn, or the lane does not know of it."""
        passage, seen = self._released
        there = self._sees()
        decided = passage in self._assessed and seen in (None, there)
        match self._look.at(there, red=self._signal == "stop", decided=decided):
            case Deed.DECIDE:
                await self._decide(passage)
            case Deed.CALL:
                await self._ask(self.lane, "next", {})

    async def _open(self) -> None:
        while await self._ask(self.lane, "open", {}) != "done":  # noqa: ASYNC110  asked again, not looked at
            await asyncio.sleep(RETRY_S)
        if self._scans is not None:
            await self._scans.put_into_use()

    async def _serve(self, passage: str) -> None:
        manner = self._manner
        await asyncio.sleep(max(manner.least_s, self._rng.gauss(manner.mean_s, manner.spread_s)))
        seen = self._sees()
        if seen is not None:
            await self._ask(self.lane, "occupants", {"passage": passage, "count": seen.persons})
            await self._until_assessed_with(passage, seen.persons)
        await self._insist(passage)

    async def _until_assessed_with(self, passage: str, persons: int) -> None:
        """The count can change the recommendation, and the assessment may arrive after the answer to the order."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                while passage in self._assessed and self._assessed[passage]["occupants"] != persons:
                    self._told.clear()
                    await self._told.wait()

    async def _insist(self, passage: str) -> None:
        """Until the lane takes the decision, or the passage has ended without it. Others waiting have their turn."""
        while passage in self._assessed and not await self._decide(passage):
            await asyncio.sleep(RETRY_S)
            if not self._news.empty():
                self._news.put_nowait(passage)
                return
            if self._look.refused(self._sees(), self._why) is Deed.CALL:
                await self._ask(self.lane, "next", {})

    async def _decide(self, passage: str) -> bool:
        """Give the disposition; whether the lane took it."""
        decision = self._further(passage, self._contrary(decide(self._assessed[passage])))
        if passage in self._wanted:
            decision = {"disposition": "REFER_SECONDARY", "reasons": ["officer"]}
        seen = self._sees()
        scans = self._scans if decision["disposition"] == "REFER_SCANNER" else None
        if scans is not None and seen is not None:
            scans.tell_driver(seen.vehicle)
        done = await self._ask(self.lane, "disposition", {"passage": passage, **decision}) == "done"
        if done:
            self._released = (passage, seen)
            if scans is not None and seen is not None:
                await scans.see_through(passage, seen.vehicle)
        return done

    def _further(self, passage: str, decision: dict[str, Any]) -> dict[str, Any]:
        """Some of those that would be released are to be scanned."""
        if self._scans is None or decision["disposition"] != "RELEASED" or not self._scans.chooses(passage):
            return decision
        return {"disposition": "REFER_SCANNER", "reasons": ["officer"]}

    def _contrary(self, decision: dict[str, Any]) -> dict[str, Any]:
        """Now and then the other way round; releasing against a mandatory referral the lane will refuse."""
        if self._rng.random() >= self._manner.wrong_share:
            return decision
        released = decision["disposition"] == "RELEASED"
        return {"disposition": "REFER_SECONDARY", "reasons": ["officer"]} if released else {"disposition": "RELEASED"}


def decide(assessed: Mapping[str, Any]) -> dict[str, Any]:
    """The disposition that follows the lane's recommendation, as fields of an order."""
    if assessed["referral"] in ("mandatory", "recommended"):
        reasons = [f["code"] for f in assessed["findings"] if f["referral"] in ("mandatory", "recommended")]
        return {"disposition": "REFER_SECONDARY", "reasons": reasons}
    return {"disposition": "RELEASED"}
