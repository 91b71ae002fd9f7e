"""The shell around the lane core: order, durability, withdrawals that wait for nothing, and ends that leave nothing."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from lane_bench import setup
from runner_bench import GREEN, RED, TOLD, RunnerBench, do, grant, withdrawal

from lanecontrol.commands import DONE, Outcome, Result
from lanecontrol.errors import StorageUnavailable
from lanecontrol.events import InputsLost, Stopping, Tick
from lanecontrol.lane import runner as runner_module
from lanecontrol.lane.effects import Answer
from lanecontrol.lane.runner import INBOX_LIMIT, SLICE, TICK_APART_S


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunnerBench]:
    bench = RunnerBench(setup(), monkeypatch)
    bench.script = {
        "grant": (TOLD, grant("g1")),
        "order": (TOLD, Answer("key", DONE), grant("g1")),
        "withdraw": (withdrawal("w1"), TOLD),
        "withdraw again": (withdrawal("w2"), TOLD),
        "withdraw once more": (withdrawal("w3"), TOLD),
    }
    running = asyncio.get_running_loop().create_task(bench.runner.run())
    await bench.settle()
    yield bench
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


# --- durability by effect --------------------------------------------------------------------------------------------


async def test_a_grant_and_an_answer_wait_for_the_commit(bench: RunnerBench) -> None:
    bench.disk.at_once = False
    await bench.give(do("order"))
    assert bench.device.log == []
    assert bench.answers == []
    bench.disk.commit()
    await bench.settle()
    assert bench.device.log == ["green begins", "green is done"]
    assert bench.answers == [("key", DONE)]


async def test_a_withdrawal_waits_neither_for_the_disk_nor_for_another_step(bench: RunnerBench) -> None:
    bench.disk.at_once = False
    await bench.give(do("withdraw"))
    assert bench.device.log == ["red begins", "red is done"]


async def test_a_grant_is_dropped_when_a_later_step_withdrew_while_the_commit_was_under_way(bench: RunnerBench) -> None:
    bench.disk.at_once = False
    await bench.give(do("grant"), do("withdraw"))
    bench.disk.commit()
    await bench.settle()
    assert bench.device.log == ["red begins", "red is done"]
    assert bench.ended()["g1"].result is Result.REFUSED


async def test_a_failed_commit_refuses_the_grant_and_the_order(bench: RunnerBench) -> None:
    bench.disk.at_once = False
    await bench.give(do("order"))
    bench.disk.fail(StorageUnavailable("write", "the disk is full"))
    await bench.settle()
    refused = Outcome(Result.REFUSED, "not on disk: the disk is full")
    assert bench.device.log == []
    assert bench.answers == [("key", refused)]
    assert bench.ended() == {"g1": refused}


# --- red wins --------------------------------------------------------------------------------------------------------


async def test_a_withdrawal_cuts_the_grant_in_flight_short_and_goes_out_after_it(bench: RunnerBench) -> None:
    bench.device.slow = {GREEN}
    await bench.give(do("grant"))
    await bench.give(do("withdraw"))
    assert bench.device.log == ["green begins", "green is cut short", "red begins", "red is done"]
    assert bench.ended() == {"g1": Outcome(Result.UNKNOWN, "cut short by a withdrawal"), "w1": DONE}


async def test_a_command_about_something_else_on_the_module_does_not_cut_a_standing_grant_short(
    bench: RunnerBench,
) -> None:
    bench.device.slow = {GREEN}
    await bench.give(do("grant"))
    beacon = asyncio.create_task(bench.runner.drives.carry_out(withdrawal("beacon")))
    await bench.settle()
    assert bench.device.log == ["green begins"]
    bench.device.go_on.set()
    await beacon
    assert bench.device.log[:2] == ["green begins", "green is done"]


async def test_several_withdrawals_for_one_device_all_go_out_in_order(bench: RunnerBench) -> None:
    bench.device.slow = {GREEN, RED}
    await bench.give(do("grant"))
    await bench.give(do("withdraw"), do("withdraw again"), do("withdraw once more"))
    bench.device.go_on.set()
    await bench.settle()
    assert bench.device.log == ["green begins", "green is cut short", *["red begins", "red is done"] * 3]
    assert list(bench.ended()) == ["g1", "w1", "w2", "w3"]


async def test_a_grant_that_waits_behind_a_slow_withdrawal_is_not_given_when_another_withdrawal_came(
    bench: RunnerBench,
) -> None:
    bench.device.slow = {RED}
    await bench.give(do("withdraw"), do("grant"), do("withdraw again"))
    bench.device.go_on.set()
    await bench.settle()
    assert "green begins" not in bench.device.log
    assert bench.ended()["g1"].result is Result.REFUSED


async def test_a_device_that_lets_go_slowly_gets_the_withdrawal_as_soon_as_it_has(bench: RunnerBench) -> None:
    bench.device.slow, bench.device.end_takes = {GREEN}, 0.05
    await bench.give(do("grant"))
    await bench.give(do("withdraw"))
    assert bench.device.log == ["green begins"]
    await bench.runner.stop("test")
    assert bench.device.log == ["green begins", "green is cut short", "red begins", "red is done"]


# --- the inbox -------------------------------------------------------------------------------------------------------


async def test_a_full_inbox_is_told_once_and_before_what_waits_in_it(bench: RunnerBench) -> None:
    bench.inputs.clear()
    for _ in range(INBOX_LIMIT + 7):
        bench.runner.take("test", do("nothing"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert bench.inputs[0].event == InputsLost(7)
    assert bench.inputs[0].at.mono_s <= bench.inputs[1].at.mono_s, "lane time must not run backwards"
    await bench.until(lambda: len(bench.inputs) > INBOX_LIMIT)
    await bench.settle()
    assert bench.events(InputsLost) == [InputsLost(7)]


async def test_what_is_lost_later_in_a_burst_is_told_when_the_burst_is_over(bench: RunnerBench) -> None:
    for _ in range(INBOX_LIMIT + 2):
        bench.runner.take("test", do("nothing"))
    await bench.until(lambda: len(bench.inputs) == SLICE)
    for _ in range(SLICE + 5):
        bench.runner.take("test", do("nothing"))
    await bench.until(lambda: not bench.runner.waiting_s())
    await bench.settle()
    assert bench.events(InputsLost) == [InputsLost(2), InputsLost(6)]


async def test_a_full_inbox_does_not_keep_others_from_the_event_loop(bench: RunnerBench) -> None:
    for _ in range(SLICE * 4):
        bench.runner.take("test", do("nothing"))
    handled = []
    for _ in range(4):
        await asyncio.sleep(0)
        handled.append(bench.runner.steps)
    assert handled[-1] - handled[0] <= SLICE * 3


async def test_taking_in_never_raises_also_after_the_end(bench: RunnerBench, monkeypatch: pytest.MonkeyPatch) -> None:
    over = RunnerBench(setup(), monkeypatch)
    running = asyncio.get_running_loop().create_task(over.runner.run())
    await over.settle()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    for _ in range(INBOX_LIMIT + 10):
        over.runner.take("test", do("withdraw"))
    await over.runner.stop("too late")
    assert over.inputs == []


# --- timers ----------------------------------------------------------------------------------------------------------


async def test_a_deadline_that_has_passed_and_still_stands_does_not_spin(bench: RunnerBench) -> None:
    bench.due_s = lambda: 0.0
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await bench.give(do("nothing"))
    await bench.until(lambda: len(bench.events(Tick)) == 6)
    assert loop.time() - began_s >= 5 * TICK_APART_S - 0.001


async def test_a_tick_that_found_the_inbox_full_comes_again(bench: RunnerBench) -> None:
    loop = asyncio.get_running_loop()
    due_s = loop.time() + 0.005
    bench.due_s = lambda: None if bench.events(Tick) else due_s
    await bench.give(do("nothing"))
    for _ in range(INBOX_LIMIT + 1):
        bench.runner.take("test", do("nothing"))
    bench.runner._tick()
    await bench.until(lambda: bool(bench.events(Tick)))
    assert bench.events(InputsLost) == [InputsLost(2)]


async def test_a_deadline_that_moves_is_followed(bench: RunnerBench) -> None:
    loop = asyncio.get_running_loop()
    far_s, near_s = loop.time() + 3600, loop.time() + 0.01
    bench.due_s = lambda: far_s
    await bench.give(do("nothing"))
    bench.due_s = lambda: None if bench.events(Tick) else near_s
    await bench.give(do("nothing"))
    await bench.until(lambda: bool(bench.events(Tick)))
    assert len(bench.events(Tick)) == 1


# --- the end ---------------------------------------------------------------------------------------------------------


async def test_stopping_overtakes_what_waits_and_waits_for_what_it_withdraws(bench: RunnerBench) -> None:
    for _ in range(SLICE * 3):
        bench.runner.take("test", do("nothing"))
    await bench.runner.stop("test")
    at = [type(given.event) for given in bench.inputs].index(Stopping)
    assert at == SLICE


async def test_a_runner_that_has_not_begun_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = RunnerBench(setup(), monkeypatch)
    fresh.runner.take("lane", do("withdraw"))
    await fresh.runner.stop("before it began")
    assert fresh.device.log == []


@pytest.mark.parametrize("rounds", range(12))
async def test_cancelled_at_any_moment_it_leaves_no_task_behind(rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = RunnerBench(setup(), monkeypatch)
    bench.device.slow, bench.disk.at_once = {RED, GREEN}, rounds % 2 == 0
    bench.script = {"grant": (TOLD, grant("g1")), "withdraw": (withdrawal("w1"), TOLD)}
    unraised: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unraised.append(context))
    before = asyncio.all_tasks()
    running = asyncio.get_running_loop().create_task(bench.runner.run())
    bench.runner.take("test", do("grant"))
    for _ in range(rounds):
        await asyncio.sleep(0)
        bench.runner.take("test", do("withdraw" if rounds % 3 else "grant"))
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert asyncio.all_tasks() == before
    del running
    gc.collect()
    assert not unraised


async def test_a_failing_step_ends_the_run_and_lets_the_device_go(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = RunnerBench(setup(), monkeypatch)
    bench.device.slow = {GREEN}
    bench.script = {"grant": (TOLD, grant("g1"))}
    running = asyncio.get_running_loop().create_task(bench.runner.run())
    bench.runner.take("test", do("grant"))
    await bench.settle()
    bench.script["fail"] = 7  # type: ignore[assignment]
    bench.runner.take("test", do("fail"))
    with pytest.raises(ExceptionGroup):
        await running
    assert bench.device.log == ["green begins", "green is cut short"]
    assert await bench.runner.drives.carry_out(withdrawal("last")) == DONE


# --- settling --------------------------------------------------------------------------------------------------------


def settling(bench: RunnerBench) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(bench.runner.settled())


async def test_it_is_settled_when_what_was_taken_in_has_been_handled_and_is_on_disk(bench: RunnerBench) -> None:
    bench.disk.at_once = False
    for _ in range(SLICE + 10):
        bench.runner.take("test", do("grant"))
    settled = settling(bench)
    await bench.settle()
    assert len(bench.inputs) == SLICE + 10
    assert not settled.done()
    bench.disk.commit()
    await bench.settle()
    assert settled.done()


async def test_it_does_not_wait_for_what_was_taken_in_later(bench: RunnerBench) -> None:
    await bench.give(do("grant"))
    settled = settling(bench)
    await bench.settle()
    assert settled.done()
    bench.disk.at_once = False
    await bench.give(do("grant"))
    assert bench.disk.waiting


async def test_what_nothing_came_of_is_settled_with_the_state_that_remembers_it(bench: RunnerBench) -> None:
    bench.disk.at_once = False
    await bench.give(Tick())
    settled = settling(bench)
    await bench.settle()
    assert not settled.done()
    assert len(bench.disk.waiting) == 1, "the state alone"
    bench.disk.commit()
    await bench.settle()
    assert settled.done()


async def test_settling_lasts_as_long_as_the_store_is_out_of_order(
    bench: RunnerBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "SETTLE_RETRY_S", 0.01)
    bench.disk.at_once = False
    settled = settling(bench)
    for _ in range(3):
        await bench.until(lambda: bool(bench.disk.waiting))
        bench.disk.fail(StorageUnavailable("append", "no space left"))
        await bench.settle()
        assert not settled.done()
    bench.disk.at_once = True
    await bench.until(settled.done)


async def test_what_was_lost_shows(bench: RunnerBench) -> None:
    assert bench.runner.losses == 0
    for _ in range(INBOX_LIMIT + 3):
        bench.runner.take("test", Tick())
    bench.disk.lost = 2
    assert bench.runner.losses == 5
    await bench.runner.settled()
