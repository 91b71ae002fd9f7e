"""The automatic officer: follows the recommendation, insists without end and without starving anybody."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any

import pytest
from fake_bench import virtual

from lanecontrol.commands import Actor
from sim.officer import RETRY_S, AutomaticOfficer, Manner, Seen, decide
from sim.scan_duty import Given, ScanDuty

MANNER = Manner(mean_s=2.0, spread_s=0.5, least_s=1.0)


class Lane:
    """What the officer asks, and what is answered. `answers` by verb or by passage; else `done`."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, str, Mapping[str, Any]]] = []
        self.answers: dict[str, str] = {}
        self.seen: Seen | None = None
        self.officer = AutomaticOfficer("07", MANNER, random.Random(1), self._ask, lambda: self.seen)

    async def _ask(self, lane: str, verb: str, fields: Mapping[str, Any]) -> str:
        self.asked.append((asyncio.get_running_loop().time(), verb, fields))
        return self.answers.get(fields.get("passage", verb), "done")

    def assess(self, passage: str, referral: str = "none") -> None:
        findings = [{"code": "GAMMA", "referral": referral}]
        facts = {"passage": passage, "referral": referral, "findings": findings, "occupants": None}
        self.officer.hear("passage_assessed", facts)

    def decided(self) -> list[str]:
        return [fields["passage"] for _, verb, fields in self.asked if verb == "disposition"]

    async def for_s(self, seconds: float) -> None:
        working = asyncio.get_running_loop().create_task(self.officer.work())
        await asyncio.sleep(seconds)
        assert not working.done()
        working.cancel()
        await asyncio.wait({working})


@pytest.mark.parametrize(
    ("referral", "disposition"),
    [("none", "RELEASED"), ("recommended", "REFER_SECONDARY"), ("mandatory", "REFER_SECONDARY")],
)
def test_the_recommendation_is_followed(referral: str, disposition: str) -> None:
    findings = [{"code": "GAMMA", "referral": referral}]
    assert decide({"referral": referral, "findings": findings})["disposition"] == disposition


@virtual
async def test_nothing_is_asked_before_the_lane_is_heard_of() -> None:
    lane = Lane()
    await lane.for_s(3600)
    assert lane.asked == []


@virtual
async def test_a_lane_that_will_not_open_is_asked_again_for_days() -> None:
    lane = Lane()
    lane.answers["open"] = "refused"
    lane.officer.hear("lane_started", {})
    await lane.for_s(10_000 * RETRY_S)
    assert len(lane.asked) >= 9_999


@virtual
async def test_a_decision_that_is_refused_is_given_again_for_days() -> None:
    lane = Lane()
    lane.answers["p1"] = "refused"
    lane.assess("p1")
    await lane.for_s(10_000 * RETRY_S)
    assert len(lane.decided()) >= 9_990


@virtual
async def test_a_passage_that_cannot_be_decided_keeps_no_other_waiting() -> None:
    lane = Lane()
    lane.answers["p1"] = "refused"
    lane.assess("p1")
    lane.assess("p2")
    await lane.for_s(60)
    assert "p2" in lane.decided()
    assert lane.decided()[-1] == "p1"


@virtual
async def test_a_passage_that_has_ended_is_let_go() -> None:
    lane = Lane()
    lane.answers["p1"] = "refused"
    lane.assess("p1")
    asyncio.get_running_loop().call_later(10, lane.officer.hear, "passage_closed", {"passage": "p1"})
    await lane.for_s(3600)
    assert max(at for at, verb, _ in lane.asked if verb == "disposition") <= 10


@pytest.mark.parametrize(
    ("why", "called"), [("its vehicle is not at the booth", True), ("io1 is offline", False)], ids=["unseen", "offline"]
)
@virtual
async def test_a_vehicle_that_the_lane_has_lost_sight_of_is_called_by_hand(why: str, called: bool) -> None:
    lane = Lane()
    lane.seen = Seen(4, 2)
    lane.answers["p1"] = "refused"
    lane.assess("p1")
    lane.officer.hear("order_answered", {"result": "refused", "reason": why})
    await lane.for_s(30)
    assert ("next" in {verb for _, verb, _ in lane.asked}) is called


@virtual
async def test_a_vehicle_let_go_that_stands_before_red_again_is_let_go_again() -> None:
    lane = Lane()
    lane.seen = Seen(4, 2)
    lane.assess("p1")
    lane.officer.hear("signal_shown", {"aspect": "stop"})
    await lane.for_s(20)
    assert lane.decided().count("p1") >= 2


class Scanner:
    """A scanner beside the lane, and the scans that were seen through."""

    at_scanner = None

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.told: list[tuple[int, int]] = []
        self.verbs: list[str] = []
        scans = ScanDuty(self._give, self, "sim-officer", random.Random(1), 1.0)
        lane.officer = AutomaticOfficer("07", MANNER, random.Random(1), lane._ask, lambda: lane.seen, scans)

    async def _give(self, verb: str, fields: Mapping[str, Any], actor: Actor) -> Given:
        self.verbs.append(verb)
        return Given("refused")

    def refer_to_scanner(self, number: int) -> None:
        self.told.append((number, len(self.lane.decided())))

    def wave_on(self, number: int) -> None: ...


@virtual
async def test_whoever_is_to_be_scanned_is_told_before_the_signal_shows_green_and_the_scan_is_seen_through() -> None:
    lane = Lane()
    scanner = Scanner(lane)
    lane.seen = Seen(5, 1)
    lane.assess("p1")
    await lane.for_s(30.0)
    assert scanner.told == [(5, 0)], "before the decision was given"
    (fields,) = [fields for _, verb, fields in lane.asked if verb == "disposition"]
    assert fields["disposition"] == "REFER_SCANNER"
    assert scanner.verbs[:2] == ["scanner-enable", "scan"]


@virtual
async def test_a_vehicle_that_is_recommended_for_secondary_is_not_scanned_first() -> None:
    lane = Lane()
    scanner = Scanner(lane)
    lane.seen = Seen(5, 1)
    lane.assess("p1", "recommended")
    await lane.for_s(30.0)
    assert scanner.told == [] and "scan" not in scanner.verbs
