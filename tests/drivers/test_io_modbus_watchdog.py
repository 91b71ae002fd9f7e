"""The module's own watchdog: fed while the lane is healthy, told of when it tripped, cleared on command."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from driver_bench import Notebook
from modbus_bench import serving
from modbus_module import Module

from lanecontrol.commands import ClearWatchdog, Outcome, Result, WriteOutputs
from lanecontrol.events import InputsStale, ModuleWatchdogTripped

E1214: dict[str, Any] = {"profile": "iologik_e1214"}
FLAG = 4144


async def test_a_tripped_watchdog_is_told_after_connecting_and_cleared_only_on_command() -> None:
    module = Module()
    module.coils[FLAG] = True
    async with serving(module, **E1214) as (driver, _, notebook):
        assert notebook.events[0] == ModuleWatchdogTripped()
        await asyncio.sleep(10)
        assert module.coils[FLAG] is True
        assert len(notebook.of(ModuleWatchdogTripped)) == 1
        await driver.perform(WriteOutputs((("signal_red", True),)))
        assert module.coils[FLAG] is True, "driving outputs is not clearing"

        def clear(function: int, address: int) -> int:
            module.coils[FLAG] = module.coils[FLAG] and (function, address) != (5, FLAG)
            return 0

        module.refuse = clear
        assert await driver.perform(ClearWatchdog()) == Outcome(Result.DONE)
        assert (5, FLAG, b"\xff\x00") in module.writes
        module.refuse = lambda function, address: 0
        module.coils[FLAG] = False
        await asyncio.sleep(2)
        module.coils[FLAG] = True
        await asyncio.sleep(2)
        assert len(notebook.of(ModuleWatchdogTripped)) == 2, "tripped again in the same session"


async def test_a_module_without_a_flag_refuses_to_clear_it() -> None:
    async with serving(Module()) as (driver, _, _):
        assert (await driver.perform(ClearWatchdog())).result is Result.REFUSED


async def test_the_heartbeat_alternates_and_stops_while_the_lane_is_not_healthy() -> None:
    module, notebook = Module(), Notebook()
    async with serving(module, notebook, profile="wago750") as (_, bench, _):
        await asyncio.sleep(5)
        beats = [value for function, address, value in module.writes if (function, address) == (6, 0x1003)]
        assert len(beats) == pytest.approx(11, abs=1)
        assert set(beats) == {b"\x00\x01", b"\x00\x02"}
        assert all(one != other for one, other in itertools.pairwise(beats))
        notebook.healthy = False
        module.writes.clear()
        await asyncio.sleep(5)
        assert module.writes == []
        assert not bench.session.done(), "it goes on reading"
        notebook.healthy = True
        await asyncio.sleep(1)
        assert module.writes


async def test_what_may_grant_is_not_written_before_the_modules_watchdog_was_started() -> None:
    module, notebook = Module(), Notebook()
    notebook.healthy = False
    async with serving(module, notebook, profile="wago750") as (driver, _, _):
        await asyncio.sleep(1)
        written = []
        for healthy in (False, True, True):
            notebook.healthy = healthy
            module.writes.clear()
            await driver.perform(WriteOutputs((("signal_red", True),)))
            written.append([(function, address) for function, address, _ in module.writes])
        assert written == [[(5, 1)], [(6, 0x1003), (5, 1)], [(5, 1)]], "without health only what withdraws comes"


async def test_where_any_request_feeds_the_watchdog_nothing_is_asked_until_it_must_have_tripped() -> None:
    module, notebook = Module(), Notebook()
    async with serving(module, notebook, **E1214) as (driver, bench, _):
        notebook.healthy = False
        await asyncio.sleep(0.1)
        module.requests.clear()
        await asyncio.sleep(2.5)
        assert module.requests == []
        outcome = await driver.perform(WriteOutputs((("signal_red", True),)))
        assert outcome == Outcome(Result.DONE), "what withdraws permission still goes out"
        assert len(module.requests) == 1
        await asyncio.sleep(2.9)
        assert len(module.requests) == 1, "that fed the watchdog, so starving it begins anew"
        await asyncio.sleep(1)
        assert module.requests.count((2, 0)) > 10, "then it reads again, or it would never become healthy"
        assert not bench.session.done()


async def test_the_heartbeat_stops_while_the_inputs_are_stale_though_the_module_still_takes_writes() -> None:
    module = Module()
    async with serving(module, profile="wago750") as (_, bench, notebook):
        module.refuse = lambda function, address: 6 if function == 2 else 0
        await asyncio.sleep(0.3)
        assert isinstance(notebook.events[-1], InputsStale)
        module.writes.clear()
        await asyncio.sleep(5)
        assert module.writes == []
        assert not bench.session.done(), "its other answers still come"
        module.refuse = lambda function, address: 0
        await asyncio.sleep(1)
        assert module.writes


async def test_a_tripped_watchdog_is_not_cleared_while_the_lane_is_not_healthy_and_told_again_once_it_is() -> None:
    module, notebook = Module(), Notebook()
    async with serving(module, notebook, **E1214) as (driver, _, _):
        notebook.healthy = False
        module.coils[FLAG] = True
        await asyncio.sleep(5)
        assert len(notebook.of(ModuleWatchdogTripped)) == 1
        module.writes.clear()
        assert (await driver.perform(ClearWatchdog())).result is Result.REFUSED
        await asyncio.sleep(5)
        assert module.writes == []
        notebook.healthy = True
        await asyncio.sleep(5)
        assert len(notebook.of(ModuleWatchdogTripped)) == 2, "so that the lane clears it now"
        assert await driver.perform(ClearWatchdog()) == Outcome(Result.DONE)


async def test_a_trip_whose_clearing_got_no_answer_is_told_again_until_it_is_cleared() -> None:
    module = Module()
    async with serving(module, **E1214) as (driver, _, notebook):
        module.coils[FLAG] = True
        await asyncio.sleep(1)
        module.mute = True
        assert (await driver.perform(ClearWatchdog())).result is Result.UNKNOWN
        module.mute, module.coils[FLAG] = False, True
        await asyncio.sleep(1.1)
        assert len(notebook.of(ModuleWatchdogTripped)) == 2, "or the lane would never clear it"
        assert await driver.perform(ClearWatchdog()) == Outcome(Result.DONE)
        module.coils[FLAG] = False
        await asyncio.sleep(60)
        assert len(notebook.of(ModuleWatchdogTripped)) == 2


async def test_a_watchdog_that_trips_again_right_after_it_was_cleared_is_told_again() -> None:
    module = Module()
    async with serving(module, **E1214) as (driver, _, notebook):
        module.coils[FLAG] = True
        await asyncio.sleep(1)
        assert await driver.perform(ClearWatchdog()) == Outcome(Result.DONE)
        assert module.coils[FLAG] is True, "it tripped again before anybody has read its flag"
        await asyncio.sleep(1.1)
        assert len(notebook.of(ModuleWatchdogTripped)) == 2


async def test_a_flag_that_never_goes_down_is_told_less_and_less_often() -> None:
    module = Module()
    async with serving(module, **E1214) as (driver, _, notebook):
        module.coils[FLAG] = True
        told = 0
        for _ in range(600):
            await asyncio.sleep(0.5)
            if len(notebook.of(ModuleWatchdogTripped)) > told:
                told += 1
                assert await driver.perform(ClearWatchdog()) == Outcome(Result.DONE)
        assert 10 <= told <= 20
