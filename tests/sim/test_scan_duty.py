"""What the automatic officer does about a scan: asks in the right names, looks before confirming, and never hangs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any

from fake_bench import virtual

from lanecontrol.commands import Actor, Role
from sim.scan_duty import ATTEMPTS, LEAVE_S, REFUSALS, Given, ScanDuty
from sim.world.scanner import AtScanner

GONE = AtScanner("idle", False, None, None, "cab", False, frozenset())
THERE = AtScanner("idle", False, 1, 1, "cab", False, frozenset({1}))
OUT = AtScanner("idle", False, 1, 1, "waiting", True, frozenset({1}))


class Lane:
    """Answers `answers[verb]`, else `done`, and keeps what was asked."""

    def __init__(self) -> None:
        self.at_scanner: AtScanner | None = THERE
        self.asked: list[tuple[float, str, str, Mapping[str, Any]]] = []
        self.answers: dict[str, str] = {}
        self.waved: list[int] = []
        self.roles: set[tuple[str, Role]] = set()
        self.duty = ScanDuty(self._give, self, "sim-officer", random.Random(1), 0.5)

    async def _give(self, verb: str, fields: Mapping[str, Any], actor: Actor) -> Given:
        assert actor.simulated
        self.asked.append((asyncio.get_running_loop().time(), verb, actor.name, fields))
        self.roles.add((actor.name, actor.role))
        return Given(self.answers.get(verb, "done"), f"key-{len(self.asked)}")

    def refer_to_scanner(self, number: int) -> None: ...

    def wave_on(self, number: int) -> None:
        self.waved.append(number)
        self.at_scanner = GONE

    def verbs(self) -> list[str]:
        return [verb for _, verb, _, _ in self.asked]

    def named(self, verb: str) -> list[tuple[str, Mapping[str, Any]]]:
        return [(name, fields) for _, one, name, fields in self.asked if one == verb]

    def change(self, state: str) -> None:
        self.duty.hear("scanner_changed", {"state": state})

    def end(self, scan: str, end: str) -> None:
        self.duty.hear("scan_recorded", {"scan": scan, "end": end})

    async def ends_within(self, seconds: float, *later: tuple[float, AtScanner | str]) -> float:
        """See the scan through, while things change at given moments; answers how long it took."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for after_s, what in later:
            loop.call_later(after_s, self._becomes, what)
        async with asyncio.timeout(seconds):
            await self.duty.see_through("p1", 1)
        return loop.time() - began_s

    def _becomes(self, what: AtScanner | str) -> None:
        if isinstance(what, AtScanner):
            self.at_scanner = what
        else:
            self.end("key-1", what)


@virtual
async def test_an_ordinary_scan_is_ordered_confirmed_by_another_person_and_looked_at() -> None:
    lane = Lane()
    await lane.ends_within(90.0, (20.0, OUT), (50.0, "completed"), (60.0, GONE))
    assert lane.verbs() == ["scan", "scan-confirm", "driver-out"]
    assert lane.named("scan") == [("sim-officer", {"passage": "p1", "reason": "referred by the officer"})]
    assert lane.named("scan-confirm") == [("sim-officer-2", {"scan": "key-1"})]
    assert lane.named("driver-out") == [("sim-officer", {"scan": "key-1"})]
    assert lane.asked[2][0] - lane.asked[0][0] >= 20.0, "not before everybody was seen out"
    assert lane.waved == []


@virtual
async def test_as_long_as_somebody_is_in_the_vehicle_nobody_says_that_all_are_out() -> None:
    lane = Lane()
    await lane.ends_within(2000.0)
    assert "driver-out" not in lane.verbs()
    assert lane.waved == [1]


@virtual
async def test_a_scan_that_came_to_nothing_is_reset_and_ordered_once_more_as_a_new_order() -> None:
    lane = Lane()
    lane.change("aborted")
    lane.at_scanner = OUT
    await lane.ends_within(2000.0, (10.0, "aborted"))
    assert lane.verbs().count("scan") == ATTEMPTS
    assert lane.verbs().count("scanner-reset") >= 1
    assert ("sim-officer-supervisor", Role.SUPERVISOR) in lane.roles
    assert lane.waved == [1], "and in the end it is waved on"


@virtual
async def test_a_lane_that_takes_no_order_keeps_the_officer_for_a_while_only() -> None:
    lane = Lane()
    lane.answers["scan"] = "refused"
    lane.change("disabled")
    lane.at_scanner = OUT
    took_s = await lane.ends_within(600.0)
    assert lane.verbs().count("scan") == ATTEMPTS * REFUSALS
    assert lane.verbs().count("scanner-enable") >= REFUSALS
    assert took_s > LEAVE_S and lane.waved == [1]


@virtual
async def test_a_driver_who_has_seen_green_is_not_called_back_for_another_scan() -> None:
    lane = Lane()
    returning = AtScanner("idle", False, 1, 1, "returning", False, frozenset({1}))
    await lane.ends_within(600.0, (5.0, OUT), (30.0, "aborted"), (30.0, returning), (40.0, GONE))
    assert lane.verbs().count("scan") == 1


@virtual
async def test_the_scanner_is_enabled_when_the_lane_opens_and_only_reset_when_it_has_to_be() -> None:
    lane = Lane()
    await lane.duty.put_into_use()
    assert lane.verbs() == ["scanner-enable"]
    lane.change("idle")
    await lane.duty.put_into_use()
    assert lane.verbs() == ["scanner-enable"], "it is in use"
    lane.change("fault")
    await lane.duty.put_into_use()
    assert lane.verbs() == ["scanner-enable", "scanner-reset"]


def test_about_the_share_that_was_asked_for_is_chosen_and_nobody_is_chosen_anew() -> None:
    duty = Lane().duty
    chosen = {passage: duty.chooses(passage) for passage in map(str, range(400))}
    assert 160 < sum(chosen.values()) < 240
    assert {passage: duty.chooses(passage) for passage in chosen} == chosen


@virtual
async def test_a_vehicle_that_never_got_to_the_scanner_is_given_back_to_the_booth() -> None:
    lane = Lane()
    lane.at_scanner = AtScanner("armed", False, None, None, "cab", False, frozenset({1}))
    took_s = await lane.ends_within(600.0, (120.0, "cancelled"))
    assert took_s < 130.0 and lane.verbs().count("scan") == 1 and lane.waved == []
