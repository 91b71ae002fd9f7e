"""What a supervisor makes of commands: one at a time, never twice, and always an outcome."""

from __future__ import annotations

import asyncio

import pytest
from supervisor_bench import SECRET, WRITE, Scripted, done, ends_with, never, performing, states, supervised

from lanecontrol.commands import DONE, ClearWatchdog, Command, Outcome, Result
from lanecontrol.driver import Reporter
from lanecontrol.errors import CommandError, LinkLost, ProtocolViolation
from lanecontrol.events import DeviceState


async def test_a_command_that_the_driver_does_not_perform_is_refused() -> None:
    async with supervised(performing(done)) as (supervisor, _):
        await asyncio.sleep(0.1)
        assert await supervisor.perform(WRITE, 1.0) == DONE
        assert await supervisor.perform(ClearWatchdog(), 1.0) == Outcome(
            Result.REFUSED, "scripted performs no ClearWatchdog"
        )


async def test_a_command_is_refused_with_the_reason_while_the_device_is_away() -> None:
    async with supervised(Scripted(ends_with(LinkLost("connect", "refused")), done)) as (supervisor, _):
        await asyncio.sleep(0.1)
        outcome = await supervisor.perform(WRITE, 1.0)
    assert outcome == Outcome(Result.REFUSED, "dev is offline: connect: refused")


async def test_a_command_during_the_handshake_is_refused() -> None:
    async def shaking_hands(out: Reporter) -> None:
        await asyncio.Event().wait()

    async with supervised(Scripted(shaking_hands, done)) as (supervisor, _):
        await asyncio.sleep(0.1)
        outcome = await supervisor.perform(WRITE, 1.0)
    assert outcome == Outcome(Result.REFUSED, "dev is connecting: first attempt")


async def test_a_second_command_is_refused_and_never_queued() -> None:
    asked: list[Command] = []

    async def slow(command: Command) -> Outcome:
        asked.append(command)
        await asyncio.sleep(1.0)
        return DONE

    async with supervised(performing(slow)) as (supervisor, _):
        await asyncio.sleep(0.1)
        first = asyncio.ensure_future(supervisor.perform(WRITE, 2.0))
        await asyncio.sleep(0.1)
        assert supervisor.status.busy
        assert await supervisor.perform(WRITE, 2.0) == Outcome(Result.REFUSED, "busy")
        assert await first == DONE
        await asyncio.sleep(5.0)
        assert not supervisor.status.busy
    assert len(asked) == 1


async def test_a_command_without_an_answer_is_unknown_after_its_time() -> None:
    async with supervised(performing(never)) as (supervisor, _):
        await asyncio.sleep(1.0)
        began = asyncio.get_running_loop().time()
        assert await supervisor.perform(WRITE, 0.7) == Outcome(Result.UNKNOWN, "no answer within 0.7 s")
        assert asyncio.get_running_loop().time() - began == pytest.approx(0.7)
        assert not supervisor.status.busy


async def test_a_command_ends_as_unknown_when_the_session_ends() -> None:
    driver = Scripted(ends_with(LinkLost("read", "gone"), after_s=1.0, online=True), never)
    async with supervised(driver) as (supervisor, _):
        await asyncio.sleep(0.1)
        assert await supervisor.perform(WRITE, 60.0) == Outcome(Result.UNKNOWN, "the session ended meanwhile")
        assert asyncio.get_running_loop().time() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (CommandError("write", "illegal address"), Outcome(Result.FAILED, "write: illegal address")),
        (LinkLost("write", "gone"), Outcome(Result.UNKNOWN, "write: gone")),
        (ProtocolViolation("write", "odd answer"), Outcome(Result.UNKNOWN, "write: odd answer")),
        (KeyError(SECRET), Outcome(Result.UNKNOWN, "driver bug: KeyError")),
    ],
)
async def test_errors_of_a_command_become_its_outcome(error: Exception, outcome: Outcome) -> None:
    async def fail(command: Command) -> Outcome:
        raise error

    async with supervised(performing(fail)) as (supervisor, _):
        await asyncio.sleep(0.1)
        assert await supervisor.perform(WRITE, 1.0) == outcome
        assert supervisor.status.state is DeviceState.ONLINE


async def test_a_cancelled_command_has_ended_before_its_caller_goes_on() -> None:
    ended: list[str] = []

    async def tidy(command: Command) -> Outcome:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.5)
            ended.append("tidied")
        return DONE

    async with supervised(performing(tidy)) as (supervisor, _):
        await asyncio.sleep(0.1)
        under_way = asyncio.ensure_future(supervisor.perform(WRITE, 60.0))
        await asyncio.sleep(0.1)
        under_way.cancel()
        with pytest.raises(asyncio.CancelledError):
            await under_way
        assert ended == ["tidied"]


async def test_a_command_that_will_not_end_ends_the_session_and_the_next_session_takes_commands() -> None:
    release, begun = asyncio.Event(), []

    async def stubborn(command: Command) -> Outcome:
        begun.append(command)
        while len(begun) == 1 and not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return DONE

    async with supervised(performing(stubborn)) as (supervisor, told):
        await asyncio.sleep(0.1)
        assert (await supervisor.perform(WRITE, 1.0)).result is Result.UNKNOWN
        await asyncio.sleep(0.1)
        assert states(told)[-1] == (DeviceState.FAULT, "driver bug: a command did not end when it was cancelled")
        await asyncio.sleep(1.0)
        assert states(told)[-1][0] is DeviceState.ONLINE
        assert await supervisor.perform(WRITE, 1.0) == DONE
        release.set()
