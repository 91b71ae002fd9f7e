"""The contract that every driver keeps, tried on each installed kind against its fake, on a virtual clock."""

from __future__ import annotations

import asyncio
import gc
import random
import tracemalloc
from contextlib import AsyncExitStack, suppress
from itertools import pairwise
from typing import get_args

import pytest
from contract_bench import NAME, Bench, Longest, at_work, bug_free, descriptors, end
from contract_case import Kind

from lanecontrol.commands import Command, Outcome, Result
from lanecontrol.driver import DeviceConfig
from lanecontrol.errors import LinkLost
from lanecontrol.events import DeviceReport, DeviceState
from lanecontrol.failures import CAP_S
from lanecontrol.links import Link

HEAL_S = 150.0
"""A fault is retried after 60 to 66 s, and the device may need some seconds to come up."""
SLACK_S = 0.25
"""Timers of a driver and the bench's own steps."""


# --- what it declares ------------------------------------------------------------------------------------------------


def test_a_driver_declares_only_events_and_commands_of_the_vocabulary(kind: Kind) -> None:
    assert kind.driver.reports
    assert kind.driver.reports <= set(get_args(DeviceReport))
    assert kind.driver.performs <= set(get_args(Command))
    assert (kind.case.command is None) == (not kind.driver.performs)
    assert kind.case.command is None or type(kind.case.command) in kind.driver.performs


def test_a_driver_listens_where_its_device_connects_by_itself(kind: Kind) -> None:
    assert kind.driver.traits.listens is kind.fake.dials


def test_a_drivers_configuration_is_a_device_stanza_of_its_own_kind_only(kind: Kind) -> None:
    assert issubclass(kind.driver.Config, DeviceConfig)
    stanza = {"id": "dev", "url": "mem://device", **kind.case.settings}
    assert kind.driver.Config.model_validate({**stanza, "kind": kind.name}).kind == kind.name
    with pytest.raises(ValueError, match="kind"):
        kind.driver.Config.model_validate({**stanza, "kind": "no.such.kind"})
    with pytest.raises(ValueError, match="no_such_setting"):
        kind.driver.Config.model_validate({**stanza, "kind": kind.name, "no_such_setting": 1})


def test_every_setting_of_a_driver_has_a_documented_meaning(kind: Kind) -> None:
    undocumented = [name for name, field in kind.driver.Config.model_fields.items() if not field.description]
    assert [name for name in undocumented if name not in ("kind", *DeviceConfig.model_fields)] == []


# --- coming and going ------------------------------------------------------------------------------------------------


async def test_a_device_that_answers_is_online_in_time_and_its_readings_come_through(kind: Kind) -> None:
    async with at_work(kind) as bench:
        for _ in range(5):
            await bench.further_reports(2 * kind.case.period_s + SLACK_S)
        assert bench.states == [DeviceState.CONNECTING, DeviceState.ONLINE]
        assert bench.supervisor.status.doubts == 0
        bug_free(bench)


async def test_a_device_at_work_stays_online(kind: Kind) -> None:
    async with at_work(kind) as bench:
        await asyncio.sleep(max(60.0, 5 * kind.driver.traits.silence_s))
        assert bench.supervisor.status.lost == 0
        assert len(bench.links.attempts) == 1
        bug_free(bench)


async def test_a_cut_connection_is_offline_at_once_and_heals(reached_kind: Kind) -> None:
    async with Bench(reached_kind) as bench:
        bench.keep_sensing()
        for _ in range(3):
            await bench.online()
            bench.net.drop(NAME)
            await bench.away(SLACK_S)
            assert DeviceState.OFFLINE in bench.states[-2:]
        await bench.online()
        await bench.further_reports(3 * reached_kind.case.period_s)
        assert bench.supervisor.status.lost == 3
        bug_free(bench)


async def test_a_device_that_closes_the_connection_in_good_order_is_offline_at_once(reached_kind: Kind) -> None:
    async with at_work(reached_kind) as bench:
        await bench.wire.ends[0].close()
        await bench.away(SLACK_S)
        await bench.online()
        bug_free(bench)


async def test_a_device_that_goes_quiet_is_noticed_in_time_and_heals(kind: Kind) -> None:
    async with at_work(kind) as bench:
        bench.wire.mute = True
        await bench.away(kind.driver.traits.silence_s + SLACK_S)
        bench.wire.mute = False
        await bench.online(HEAL_S)
        await bench.further_reports(3 * kind.case.period_s)
        bug_free(bench)


async def test_a_device_that_takes_the_connection_and_says_nothing_is_given_up_in_time(reached_kind: Kind) -> None:
    async with Bench(reached_kind) as bench:
        bench.wire.mute = True
        await bench.until(lambda: bench.links.open_now == 1, SLACK_S, "connected")
        await bench.until(lambda: bench.links.open_now == 0, reached_kind.driver.traits.silence_s + SLACK_S, "given up")
        assert DeviceState.ONLINE not in bench.states


async def test_a_device_that_only_babbles_is_as_good_as_quiet(kind: Kind) -> None:
    async with at_work(kind) as bench:
        bench.wire.mute = True
        bench.babble()
        await bench.away(kind.driver.traits.silence_s + SLACK_S)
        bug_free(bench)


async def test_a_missing_device_is_retried_with_waits_that_grow_to_a_limit_and_stay_there(reached_kind: Kind) -> None:
    async with Bench(reached_kind, rng=Longest()) as bench:
        bench.go_away()
        bench.links.attempts.clear()
        await asyncio.sleep(600.0)
        tried = bench.links.attempts
        waits = [round(after - before, 6) for before, after in pairwise(tried)]
        assert waits[-1] == CAP_S
        assert waits == sorted(waits), "a wait became shorter although the device never came online"
        assert len(tried) < 30
        assert bench.states == [DeviceState.CONNECTING, DeviceState.OFFLINE], "told once, not at every attempt"


async def test_a_connection_alone_does_not_shorten_the_waits(reached_kind: Kind) -> None:
    async def hang_up(link: Link) -> None:
        await link.close()

    async with Bench(reached_kind, rng=Longest()) as bench:
        bench.go_away()
        bench.links.attempts.clear()
        bench.net.listen(NAME, hang_up)
        await asyncio.sleep(600.0)
        assert len(bench.links.attempts) < 30
        assert bench.reports == []
        bug_free(bench)


async def test_coming_online_makes_the_next_wait_short_again(reached_kind: Kind) -> None:
    async with Bench(reached_kind, rng=Longest()) as bench:
        bench.keep_sensing()
        bench.go_away()
        await asyncio.sleep(120.0)
        bench.listen()
        await bench.online(HEAL_S)
        bench.net.drop(NAME)
        await bench.away(SLACK_S)
        before = len(bench.links.attempts)
        await bench.until(lambda: len(bench.links.attempts) > before, 0.5 + SLACK_S, "another attempt")


# --- bytes -----------------------------------------------------------------------------------------------------------


async def _reports_of_a_minute(kind: Kind, *, drip: bool) -> list[object]:
    async with Bench(kind) as bench:
        bench.wire.drip = drip
        bench.keep_sensing()
        await asyncio.sleep(60.0)
        assert bench.supervisor.status.lost == 0
        assert bench.supervisor.status.doubts == 0
        return [kind.case.comparable(event) for event in bench.reports]


@pytest.mark.slow
async def test_bytes_that_come_one_by_one_give_the_same_events(kind: Kind) -> None:
    whole = await _reports_of_a_minute(kind, drip=False)
    dripped = await _reports_of_a_minute(kind, drip=True)
    assert len(whole) >= 10
    assert dripped == whole


async def test_malformed_bytes_are_doubted_and_the_session_goes_on(kind: Kind) -> None:
    async with at_work(kind) as bench:
        for n in range(1, 11):
            await bench.inject(kind.case.malformed)
            await bench.further_reports(3 * kind.case.period_s)
            assert bench.supervisor.status.doubts >= n
        assert bench.supervisor.status.lost == 0
        bug_free(bench)


@pytest.mark.parametrize("seed", range(5))
async def test_noise_never_breaks_a_driver_for_good(kind: Kind, seed: int) -> None:
    rng = random.Random(seed)
    async with at_work(kind) as bench:
        for _ in range(20):
            with suppress(LinkLost):  # nobody is connected just now
                await bench.inject(rng.randbytes(rng.randrange(1, 400)))
            await asyncio.sleep(rng.random())
        await bench.online(HEAL_S)
        await bench.further_reports(HEAL_S)
        status = bench.supervisor.status
        assert status.doubts > 0 or status.lost > 0, "noise went by unnoticed"
        bug_free(bench)


@pytest.mark.parametrize("filler", [b"\x00", b"U", b"\xff"], ids=["zeros", "text", "ones"])
async def test_ten_megabytes_without_the_end_of_a_frame_do_not_pile_up(kind: Kind, filler: bytes) -> None:
    async with at_work(kind) as bench:
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            await _flood(bench, kind.case.bomb, filler * 16384, 640)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak - before < kind.case.hoard_bytes
        await bench.online(HEAL_S)
        await bench.further_reports(HEAL_S)
        bug_free(bench)


async def _flood(bench: Bench, bomb: bytes, junk: bytes, times: int) -> None:
    async with AsyncExitStack() as stack:
        beside = await stack.enter_async_context(bench.stray()) if bench.kind.fake.dials else None
        write = bench.wire.inject if beside is None else beside.write
        with suppress(LinkLost):  # a driver may give up on such a device
            await write(bomb)
            for _ in range(times):
                await write(junk)


async def test_nothing_is_told_before_the_device_has_answered(kind: Kind) -> None:
    async with Bench(kind) as bench:
        bench.wire.mute = True
        bench.keep_sensing()
        bench.babble()
        await asyncio.sleep(60.0)
        assert DeviceState.ONLINE not in bench.states
        assert bench.reports == []
        assert bench.supervisor.status.bugs == 0


# --- ending ----------------------------------------------------------------------------------------------------------


async def test_cancelling_closes_the_link_and_leaves_nothing_running(reached_kind: Kind) -> None:
    before = asyncio.all_tasks()
    async with at_work(reached_kind) as bench:
        assert bench.running is not None
        began = asyncio.get_running_loop().time()
        await end(bench.running)
        assert asyncio.get_running_loop().time() - began <= 2.0
        assert bench.links.open_now == 0
        assert bench.net.connections() == 0
    assert asyncio.all_tasks() == before


async def test_cancelling_during_the_handshake_closes_the_link_too(reached_kind: Kind) -> None:
    before = asyncio.all_tasks()
    async with Bench(reached_kind) as bench:
        bench.wire.mute = True
        await asyncio.sleep(0.01)
        assert bench.links.open_now == 1
        assert bench.running is not None
        await end(bench.running)
        assert bench.links.open_now == 0
        assert bench.net.connections() == 0
    assert asyncio.all_tasks() == before


async def test_many_sessions_leave_nothing_behind(reached_kind: Kind) -> None:
    before = asyncio.all_tasks()
    async with Bench(reached_kind) as bench:
        bench.keep_sensing()
        for _ in range(20):
            await bench.online(60.0)
            bench.net.drop(NAME)
            await bench.away(SLACK_S)
        await bench.online(60.0)
        assert bench.net.connections() == bench.links.open_now == 1
    assert asyncio.all_tasks() == before


async def test_over_tcp_the_same_driver_works_and_leaves_no_descriptor_open(reached_kind: Kind) -> None:
    before, tasks = descriptors(), asyncio.all_tasks()
    async with at_work(reached_kind, tcp=True) as bench:
        for _ in range(3):
            await bench.further_reports(2 * reached_kind.case.period_s + SLACK_S)
        await bench.wire.ends[0].close()
        await bench.away(SLACK_S)
        await bench.online()
        await bench.further_reports(3 * reached_kind.case.period_s)
        bug_free(bench)
    assert asyncio.all_tasks() == tasks
    assert descriptors() == before


# --- commands --------------------------------------------------------------------------------------------------------


def _command(kind: Kind) -> Command:
    assert kind.case.command is not None, f"the case of {kind.name} names no command"
    return kind.case.command


async def test_a_command_is_carried_out_once(performing_kind: Kind) -> None:
    command = _command(performing_kind)
    async with at_work(performing_kind) as bench:
        assert await bench.supervisor.perform(command, 1.0) == Outcome(Result.DONE)
        await asyncio.sleep(5.0)
        deed = performing_kind.case.deed
        assert deed is None or bench.deeds.count(deed) == 1, "a command that changes nothing in the world has no deed"


async def test_a_command_to_a_device_that_is_away_is_refused_and_not_kept_for_later(performing_kind: Kind) -> None:
    command = _command(performing_kind)
    async with Bench(performing_kind) as bench:
        bench.go_away()
        await asyncio.sleep(1.0)
        outcome = await bench.supervisor.perform(command, 1.0)
        assert outcome.result is Result.REFUSED
        bench.listen()
        bench.keep_sensing()
        await bench.online(HEAL_S)
        await asyncio.sleep(5.0)
        assert performing_kind.case.deed not in bench.deeds


async def test_a_second_command_while_one_is_under_way_is_refused(performing_kind: Kind) -> None:
    command = _command(performing_kind)
    async with at_work(performing_kind) as bench:
        bench.wire.mute = True
        first = asyncio.ensure_future(bench.supervisor.perform(command, 0.05))
        await asyncio.sleep(0)
        assert await bench.supervisor.perform(command, 0.05) == Outcome(Result.REFUSED, "busy")
        assert (await first).result is Result.UNKNOWN


async def test_a_command_without_an_answer_ends_as_unknown_in_time_and_is_not_repeated(performing_kind: Kind) -> None:
    command = _command(performing_kind)
    async with at_work(performing_kind) as bench:
        bench.wire.mute = True
        began = asyncio.get_running_loop().time()
        outcome = await bench.supervisor.perform(command, 0.05)
        assert outcome.result is Result.UNKNOWN
        assert asyncio.get_running_loop().time() - began < 0.1
        bench.wire.mute = False
        await bench.online(HEAL_S)
        await asyncio.sleep(5.0)
        assert bench.deeds.count(performing_kind.case.deed) <= 1  # type: ignore[arg-type]


async def test_a_command_cut_by_the_loss_of_the_link_ends_as_unknown(performing_kind: Kind) -> None:
    command = _command(performing_kind)
    async with at_work(performing_kind) as bench:
        bench.wire.mute = True
        under_way = asyncio.ensure_future(bench.supervisor.perform(command, 5.0))
        await asyncio.sleep(0.001)
        bench.net.drop(NAME)
        outcome = await under_way
        assert outcome.result is Result.UNKNOWN


async def test_a_cancelled_command_leaves_the_device_free_for_the_next(performing_kind: Kind) -> None:
    command = _command(performing_kind)
    async with at_work(performing_kind) as bench:
        bench.wire.mute = True
        under_way = asyncio.ensure_future(bench.supervisor.perform(command, 5.0))
        await asyncio.sleep(0.001)
        bench.wire.mute = False
        under_way.cancel()
        with pytest.raises(asyncio.CancelledError):
            await under_way
        assert (await bench.supervisor.perform(command, 1.0)).result is Result.DONE
