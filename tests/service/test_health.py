"""The health verdict, and that the watchdog is fed from it and from nothing else."""

from __future__ import annotations

import asyncio

import pytest

from lanecontrol.service.health import LAG_EVERY_S, Health
from lanecontrol.service.notify import Notifier


class Time:
    """A hand-driven event loop time."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


def test_a_fresh_process_is_healthy(time: Time) -> None:
    assert Health(time).verdict().good


def test_a_task_that_makes_no_progress_spoils_the_verdict_until_it_beats_again(time: Time) -> None:
    health = Health(time)
    health.expect("lane", 2.0)
    time.now += 2.5
    assert health.verdict().reasons == ("lane made no progress for 2.5 s",)
    health.beat("lane")
    assert health.verdict().good


def test_nothing_more_is_expected_of_what_ended_as_planned(time: Time) -> None:
    health = Health(time)
    health.expect("lane", 2.0)
    health.forget("lane")
    time.now += 60
    assert health.verdict().good


def test_a_check_is_asked_at_every_verdict(time: Time) -> None:
    health, wrong = Health(time), ""
    health.check("ledger", lambda: wrong)
    assert health.verdict().good
    wrong = "12 events wait for the disk"
    assert health.verdict().reasons == ("ledger: 12 events wait for the disk",)


async def test_a_late_event_loop_spoils_the_verdict_and_recovers(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    health, laps = Health(time), asyncio.Semaphore(0)

    async def sleep(seconds: float) -> None:
        time.now += seconds
        await laps.acquire()

    monkeypatch.setattr("lanecontrol.service.health.asyncio.sleep", sleep)
    task = asyncio.ensure_future(health.measure())
    await _turn()
    time.now += 0.6  # something blocked the loop while it slept
    laps.release()
    await _turn()
    assert health.verdict().reasons == ("event loop 0.60 s late",)
    laps.release()
    await _turn()
    assert health.verdict().good
    task.cancel()


async def _turn() -> None:
    loop = asyncio.get_running_loop()
    for _ in range(3):
        turned = loop.create_future()
        loop.call_soon(turned.set_result, None)
        await turned


async def test_a_measuring_task_that_no_longer_runs_is_seen_too(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    health, gate = Health(time), asyncio.Event()

    async def sleep(seconds: float) -> None:
        time.now += seconds
        if time.now > 100.0 + LAG_EVERY_S:
            await gate.wait()

    monkeypatch.setattr("lanecontrol.service.health.asyncio.sleep", sleep)
    task = asyncio.ensure_future(health.measure())
    await _turn()
    time.now += 1.0
    assert not health.verdict().good
    task.cancel()


class Told(Notifier):
    """Hands out what systemd would hear."""

    def __init__(self, watchdog_s: float | None = 0.03) -> None:
        super().__init__(watchdog_s=watchdog_s)
        self.told: asyncio.Queue[str] = asyncio.Queue()

    def _send(self, *fields: str) -> None:
        self.told.put_nowait(" ".join(fields))


async def test_the_watchdog_is_fed_while_healthy_and_told_why_not_otherwise(time: Time) -> None:
    health, notifier, wrong = Health(time), Told(), ""
    health.check("lane", lambda: wrong)
    task = asyncio.ensure_future(health.feed(notifier))
    assert await notifier.told.get() == "WATCHDOG=1"
    wrong = "stuck"
    assert await notifier.told.get() == "STATUS=unhealthy: lane: stuck"
    wrong = ""
    assert await notifier.told.get() == "WATCHDOG=1"
    task.cancel()


async def test_without_a_watchdog_nothing_is_fed(time: Time) -> None:
    notifier = Told(watchdog_s=None)
    await Health(time).feed(notifier)
    assert notifier.told.empty()
