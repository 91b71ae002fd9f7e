"""The virtual clock jumps when, and only when, nothing real is outstanding."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from sim import virtual_clock
from sim.virtual_clock import VirtualLoop

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T], loop: VirtualLoop) -> T:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main)


def test_an_hour_of_sleep_passes_at_once() -> None:
    async def sleeper() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    began = time.monotonic()
    assert run(sleeper(), VirtualLoop()) == 3600
    assert time.monotonic() - began < 60, "an hour of lane time must not be waited for"


def test_timers_fire_in_order_of_their_time() -> None:
    async def order() -> list[int]:
        seen: list[int] = []
        loop = asyncio.get_running_loop()
        for n, when in ((3, 0.3), (1, 0.1), (2, 0.2)):
            loop.call_later(when, seen.append, n)
        await asyncio.sleep(1)
        return seen

    assert run(order(), VirtualLoop()) == [1, 2, 3]


def test_time_stands_still_while_a_thread_works() -> None:
    async def work() -> float:
        loop = asyncio.get_running_loop()
        ticks: list[float] = []
        loop.call_later(5, lambda: ticks.append(loop.time()))
        await loop.run_in_executor(None, time.sleep, 0.05)
        assert not ticks, "no timer may fire while a thread is at work"
        return loop.time()

    assert run(work(), VirtualLoop()) == 0


def test_calls_for_threads_can_be_carried_out_in_the_order_in_which_they_were_made() -> None:
    async def main() -> tuple[list[int], set[int]]:
        done: list[int] = []
        threads: set[int] = set()

        def work(number: int) -> None:
            done.append(number)
            threads.add(threading.get_ident())

        async with asyncio.TaskGroup() as tasks:
            for number in range(50):
                tasks.create_task(asyncio.to_thread(work, number))
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 / 0)
        return done, threads

    done, threads = run(main(), VirtualLoop(inline=True))
    assert done == list(range(50))
    assert threads == {threading.get_ident()}


def test_time_stands_still_while_a_condition_of_the_simulation_holds() -> None:
    loop = VirtualLoop()
    waiting = [True]
    loop.hold_while(lambda: waiting[0])

    async def main() -> float:
        for _ in range(1000):
            await asyncio.sleep(0)
        held_at = asyncio.get_running_loop().time()
        waiting[0] = False
        await asyncio.sleep(10)
        return held_at

    assert run(main(), loop) == 0
    assert loop.time() == 10


def test_bytes_on_loopback_arrive_before_the_time_moves() -> None:
    async def main() -> float:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(100):
                writer.write(data)
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        before = asyncio.get_running_loop().time()
        for _ in range(200):
            writer.write(b"x")
            async with asyncio.timeout(0.001):
                await reader.read(1)
        after = asyncio.get_running_loop().time()
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        return after - before

    assert run(main(), VirtualLoop()) == 0


# --- holding ---------------------------------------------------------------------------------------------------------


def test_a_call_in_a_thread_that_fails_or_is_given_up_holds_no_longer() -> None:
    loop = VirtualLoop()
    go_on = threading.Event()

    def fails() -> None:
        raise ValueError("no")

    async def main() -> None:
        with pytest.raises(ValueError, match="no"):
            await asyncio.get_running_loop().run_in_executor(None, fails)
        await asyncio.sleep(0)
        assert loop.work.outstanding == 0
        given_up = asyncio.get_running_loop().run_in_executor(None, go_on.wait, 30)
        assert loop.work.outstanding == 1
        given_up.cancel()
        await asyncio.sleep(3600)
        assert loop.work.outstanding == 0
        go_on.set()

    run(main(), loop)


def test_a_peer_that_never_answers_holds_the_time_back_but_never_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_clock, "HOLD_GRACE_S", 0.05)
    loop = VirtualLoop()

    async def main() -> float:
        began = time.monotonic()
        with loop.work.under_way():
            await asyncio.sleep(0.2)
        return time.monotonic() - began

    assert run(main(), loop) >= 0.2, "held, time goes on no faster than real time"


def test_others_go_on_at_real_pace_while_one_peer_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_clock, "HOLD_GRACE_S", 0.02)
    loop = VirtualLoop()

    async def main() -> int:
        polls = 0
        with loop.work.under_way():
            while loop.time() < 0.3:
                await asyncio.sleep(0.05)
                polls += 1
        return polls

    assert run(main(), loop) in (6, 7)


def test_a_hold_that_ends_without_a_descriptor_is_noticed() -> None:
    loop = VirtualLoop()
    loop.work.outstanding = 1

    async def main() -> None:
        threading.Timer(0.05, lambda: setattr(loop.work, "outstanding", 0)).start()
        await asyncio.sleep(3600)

    run(main(), loop)
    assert loop.time() == 3600


def test_without_any_timer_it_waits_for_a_descriptor() -> None:
    loop = VirtualLoop()

    async def main() -> None:
        woken = asyncio.Event()
        threading.Timer(0.05, lambda: loop.call_soon_threadsafe(woken.set)).start()
        await woken.wait()

    run(main(), loop)
    assert loop.time() == 0
