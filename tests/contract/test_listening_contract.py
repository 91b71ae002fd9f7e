"""The contract of drivers whose devices connect to them: what differs from drivers that connect.

Everything in `test_driver_contract` that is not about connecting is asked of them as well.
"""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from contextlib import AsyncExitStack, suppress
from itertools import pairwise

import pytest
from contract_bench import NAME, Bench, Longest, at_work, bug_free, descriptors, end
from contract_case import Kind

from lanecontrol.errors import LinkLost
from lanecontrol.events import DeviceState
from lanecontrol.failures import CAP_S
from lanecontrol.links import Link
from lanecontrol.links.listen import MOST

HEAL_S = 150.0
SLACK_S = 0.25
CALL_AGAIN_S = 60.0
"""A device that lost its connection, or found nobody, calls again within this time by its own rule."""


# --- coming and going ------------------------------------------------------------------------------------------------


async def test_a_cut_connection_is_made_up_for_by_the_next(listening_kind: Kind) -> None:
    async with at_work(listening_kind) as bench:
        for _ in range(3):
            bench.net.drop(NAME)
            await bench.further_reports(CALL_AGAIN_S)
        await bench.online(CALL_AGAIN_S)
        bug_free(bench)


async def test_a_device_that_is_switched_off_is_noticed_in_time_and_found_when_it_is_back(
    listening_kind: Kind,
) -> None:
    async with at_work(listening_kind) as bench:
        bench.go_away()
        await bench.away(listening_kind.driver.traits.silence_s + SLACK_S)
        await asyncio.sleep(300.0)
        bench.listen()
        await bench.online(CALL_AGAIN_S)
        await bench.further_reports(CALL_AGAIN_S)
        assert bench.states == [
            DeviceState.CONNECTING,
            DeviceState.ONLINE,
            DeviceState.OFFLINE,
            DeviceState.ONLINE,
        ]
        bug_free(bench)


async def test_until_somebody_connects_it_says_that_nobody_has(listening_kind: Kind) -> None:
    async with Bench(listening_kind) as bench:
        bench.go_away()
        await asyncio.sleep(1.0)
        assert bench.supervisor.status.reason == f"nobody has connected yet at mem://{NAME}"
        assert bench.state is DeviceState.CONNECTING
        await asyncio.sleep(600.0)
        assert bench.supervisor.status.reason == f"nobody has connected yet at mem://{NAME}"
        assert bench.states in ([DeviceState.CONNECTING], [DeviceState.CONNECTING, DeviceState.OFFLINE])


async def test_while_it_waits_the_door_is_never_shut(listening_kind: Kind) -> None:
    async with Bench(listening_kind, rng=Longest()) as bench:
        bench.go_away()
        await asyncio.sleep(0.7131)  # not just when a session ends and the next one begins
        shut = 0
        for _ in range(600):
            try:
                async with bench.stray():
                    pass
            except LinkLost:
                shut += 1
            await asyncio.sleep(1.0)
        assert shut == 0
        assert len(bench.links.attempts) < 30 + 600 / listening_kind.driver.traits.silence_s


async def test_a_connection_that_says_nothing_makes_nobody_online(listening_kind: Kind) -> None:
    async with Bench(listening_kind) as bench:
        bench.go_away()
        await asyncio.sleep(0.1)
        async with AsyncExitStack() as strays:
            for _ in range(5):
                await strays.enter_async_context(bench.stray())
            await asyncio.sleep(listening_kind.driver.traits.silence_s + SLACK_S)
            assert DeviceState.ONLINE not in bench.states
        assert bench.reports == []
        bug_free(bench)


async def test_a_place_that_is_taken_is_tried_with_waits_that_grow_to_a_limit(listening_kind: Kind) -> None:
    async def somebody(link: Link) -> None:
        await link.close()

    async with Bench(listening_kind, rng=Longest(), start=False) as bench:
        bench.go_away()
        bench.net.listen(NAME, somebody)
        running = asyncio.ensure_future(bench.supervisor.run())
        await asyncio.sleep(600.0)
        waits = [round(after - before, 6) for before, after in pairwise(bench.links.attempts)]
        assert waits[-1] == CAP_S
        assert waits == sorted(waits)
        assert "taken" in bench.supervisor.status.reason
        bench.net.unlisten(NAME)
        bench.listen()
        bench.keep_sensing()
        await bench.online(HEAL_S)
        await end(running)
        bug_free(bench)


# --- many at once ----------------------------------------------------------------------------------------------------


async def test_a_thousand_connections_of_which_nearly_all_are_idle_cost_little_and_the_device_is_heard(
    listening_kind: Kind,
) -> None:
    async with at_work(listening_kind) as bench, AsyncExitStack() as strays:
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for _ in range(1000):
                await strays.enter_async_context(bench.stray())
            assert bench.links.open_now <= MOST
            await asyncio.sleep(15.0)
            now, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert now - before < 8_000_000
        for link in tuple(bench.wire.ends):
            await link.close()
        await asyncio.sleep(0.1)
        while bench.links.open_now < MOST:  # whoever is idle has the device's place now
            await strays.enter_async_context(bench.stray())
            await asyncio.sleep(0.01)
        await bench.further_reports(CALL_AGAIN_S)
        for _ in range(10):
            await bench.further_reports(5 * listening_kind.case.period_s + SLACK_S)
        assert bench.links.open_now <= MOST
        assert bench.supervisor.status.lost == 0, "heard by way of a new session"
        assert bench.supervisor.status.turned_away >= 1000 - MOST
        bug_free(bench)


async def test_senders_that_never_come_to_an_end_do_not_keep_the_device_out(listening_kind: Kind) -> None:
    async def drip(link: Link) -> None:
        with suppress(LinkLost):
            while True:
                await link.write(b"P")
                await asyncio.sleep(5.0)

    async with at_work(listening_kind) as bench, AsyncExitStack() as strays:
        async with asyncio.TaskGroup() as tasks:
            links = [await strays.enter_async_context(bench.stray()) for _ in range(MOST // 2)]
            slow = [tasks.create_task(drip(link)) for link in links]
            for _ in range(120):
                await bench.further_reports(5 * listening_kind.case.period_s + SLACK_S)
            for task in slow:
                task.cancel()
        assert bench.supervisor.status.lost == 0
        bug_free(bench)


# --- ending ----------------------------------------------------------------------------------------------------------


async def test_cancelling_shuts_the_door_closes_every_link_and_leaves_nothing_running(listening_kind: Kind) -> None:
    before = asyncio.all_tasks()
    async with at_work(listening_kind) as bench, AsyncExitStack() as strays:
        for _ in range(10):
            await (await strays.enter_async_context(bench.stray())).write(b"POST ")
        await asyncio.sleep(0.1)
        assert bench.links.open_now >= 10
        assert bench.running is not None
        began = asyncio.get_running_loop().time()
        await end(bench.running)
        assert asyncio.get_running_loop().time() - began <= 2.0
        assert bench.links.open_now == 0
        assert bench.net.connections() == 0
        with pytest.raises(LinkLost):
            async with bench.stray():
                pass
    assert asyncio.all_tasks() == before


async def test_many_connections_leave_nothing_behind(listening_kind: Kind) -> None:
    before = asyncio.all_tasks()
    async with at_work(listening_kind) as bench:
        for _ in range(20):
            bench.net.drop(NAME)
            await bench.further_reports(CALL_AGAIN_S)
        assert bench.links.open_now <= 3
        assert bench.net.connections() <= 3
        bug_free(bench)
    assert asyncio.all_tasks() == before


async def test_over_tcp_the_same_driver_works_and_leaves_no_descriptor_open(listening_kind: Kind) -> None:
    before, tasks = descriptors(), asyncio.all_tasks()
    async with Bench(listening_kind, tcp=True) as bench, AsyncExitStack() as strays:
        bench.keep_sensing()
        await bench.online(CALL_AGAIN_S)
        for _ in range(5):
            await strays.enter_async_context(bench.stray())
        for _ in range(3):
            await bench.further_reports(5 * listening_kind.case.period_s + SLACK_S)
        bug_free(bench)
    assert asyncio.all_tasks() == tasks
    assert descriptors() == before
