"""The automatic officer decides on what the lane says with the officer's own count in it, however late that arrives."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any

import pytest

from lanecontrol.clock import RealWork
from sim.officer import AutomaticOfficer, Manner, Seen
from sim.virtual_clock import VirtualLoop

PASSAGE = "07-000001"


class SlowLane:
    """Takes every order at once and tells its new assessment some time after its answer."""

    def __init__(self, tells_after_s: float | None) -> None:
        self.orders: list[tuple[str, Mapping[str, Any]]] = []
        self._tells_after_s = tells_after_s
        self.officer = AutomaticOfficer(
            "07", Manner(1.0, 0.0, 1.0), random.Random(1), self.ask, lambda: Seen(vehicle=1, persons=2)
        )

    async def ask(self, _lane: str, verb: str, fields: Mapping[str, Any]) -> str:
        self.orders.append((verb, fields))
        if verb == "occupants" and self._tells_after_s is not None:
            told = assessed("recommended", occupants=2)
            asyncio.get_running_loop().call_later(self._tells_after_s, self.officer.hear, "passage_assessed", told)
        return "done"

    def decisions(self) -> list[str]:
        return [fields["disposition"] for verb, fields in self.orders if verb == "disposition"]

    async def for_a_while(self) -> None:
        working = asyncio.create_task(self.officer.work())
        self.officer.hear("passage_assessed", assessed("none", occupants=None))
        await asyncio.sleep(10.0)
        working.cancel()


def assessed(referral: str, *, occupants: int | None) -> dict[str, Any]:
    findings = [] if referral == "none" else [{"code": "card.missing_for_occupants", "referral": referral}]
    return {"passage": PASSAGE, "referral": referral, "findings": findings, "occupants": occupants}


def run(lane: SlowLane) -> None:
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(RealWork())) as runner:
        runner.run(lane.for_a_while())


@pytest.mark.parametrize("tells_after_s", [0.0, 0.05, 0.4, 1.5])
def test_a_recommendation_that_follows_from_the_count_is_waited_for(tells_after_s: float) -> None:
    lane = SlowLane(tells_after_s)
    run(lane)
    assert lane.decisions() == ["REFER_SECONDARY"]


def test_an_officer_does_not_wait_for_ever_for_a_new_assessment() -> None:
    lane = SlowLane(None)
    run(lane)
    assert lane.decisions() == ["RELEASED"]
