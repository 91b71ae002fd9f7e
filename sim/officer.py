"""The automatic officer of simulations: looks at the vehicle, reads the lane's assessment, and decides.

It stands in for a person and is marked as simulated in everything it does. It has no privileged way in: it hears what
the port hears and gives the same orders over MQTT that an officer's client gives. It follows the recommendation:
a mandatory or recommended referral goes to secondary, everything else is released.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

RETRY_S = 3.0
"""After a refusal (gate still moving, new assessment due) a person looks again after a few seconds."""

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


class AutomaticOfficer:
    """Serves one lane. `hear` gets every event the port receives; `counts_people` is the officer's own look."""

    def __init__(
        self, lane: str, manner: Manner, rng: random.Random, ask: Ask, counts_people: Callable[[], int | None]
    ) -> None:
        self.lane = lane
        self._manner = manner
        self._rng = rng
        self._ask = ask
        self._counts_people = counts_people
        self._assessed: dict[str, Mapping[str, Any]] = {}
        self._news: asyncio.Queue[str] = asyncio.Queue()
        self._lane_there = asyncio.Event()
        self.decided: dict[str, str] = {}

    def hear(self, kind: str, data: Mapping[str, Any]) -> None:
        """An event of this lane: its type's short name and its data."""
        self._lane_there.set()
        if kind == "passage_assessed":
            passage = data["passage"]
            if passage not in self._assessed:
                self._news.put_nowait(passage)
            self._assessed[passage] = data
        elif kind == "passage_closed":
            self._assessed.pop(data["passage"], None)

    async def work(self) -> None:
        """Once the lane is heard of: open it, then serve vehicle by vehicle, for ever."""
        await self._lane_there.wait()
        await self._open()
        while True:
            await self._serve(await self._news.get())

    async def _open(self) -> None:
        if await self._ask(self.lane, "open", {}) != "done":
            await asyncio.sleep(RETRY_S)
            await self._open()

    async def _serve(self, passage: str) -> None:
        manner = self._manner
        await asyncio.sleep(max(manner.least_s, self._rng.gauss(manner.mean_s, manner.spread_s)))
        people = self._counts_people()
        if people is not None:
            await self._ask(self.lane, "occupants", {"passage": passage, "count": people})
        while (assessed := self._assessed.get(passage)) is not None:
            decision = self._contrary(decide(assessed))
            if await self._ask(self.lane, "disposition", {"passage": passage, **decision}) == "done":
                self.decided[passage] = decision["disposition"]
                return
            await asyncio.sleep(RETRY_S)

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
