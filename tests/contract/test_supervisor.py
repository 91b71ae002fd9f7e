"""The supervisor on its own, with a driver that does as the test says. On a virtual clock."""

from __future__ import annotations

import asyncio
import random

import pytest
from structlog.testing import capture_logs
from supervisor_bench import SECRET, WRITE, Script, Scripted, at_work, ends_with, states, supervised

from lanecontrol.commands import Result
from lanecontrol.driver import Reporter
from lanecontrol.errors import CommandError, CredentialsRefused, DeviceError, LinkLost, ProtocolViolation
from lanecontrol.events import DeviceChanged, DeviceState, Identity, InputChanged, TagRead
from lanecontrol.failures import CAP_S, SLOW_S, Backoff
from lanecontrol.identifier import Identifier, keyed_hash

# --- back-off --------------------------------------------------------------------------------------------------------


async def test_waits_double_from_half_a_second_to_thirty() -> None:
    driver = Scripted(ends_with(LinkLost("connect", "refused")))
    async with supervised(driver):
        await asyncio.sleep(200)
    assert driver.waits[:9] == [0.5, 1, 2, 4, 8, 16, CAP_S, CAP_S, CAP_S]


def test_jitter_spreads_over_the_whole_wait() -> None:
    backoff = Backoff(random.Random(7))
    for _ in range(10):
        backoff.after(LinkLost("connect", "refused"))
    waits = [backoff.after(LinkLost("connect", "refused")) for _ in range(500)]
    assert min(waits) < 1.0
    assert 29.0 < max(waits) <= CAP_S
    assert 13.0 < sum(waits) / len(waits) < 17.0


@pytest.mark.parametrize("error", [ProtocolViolation, CredentialsRefused])
async def test_a_wrong_answer_is_a_fault_and_retried_slowly(error: type[DeviceError]) -> None:
    driver = Scripted(ends_with(error("shake hands", "not this device")))
    async with supervised(driver) as (_, told):
        await asyncio.sleep(300)
    assert all(SLOW_S <= wait <= 1.1 * SLOW_S for wait in driver.waits)
    assert states(told)[1:] == [(DeviceState.FAULT, "shake hands: not this device")]


async def test_only_online_makes_waits_short_again() -> None:
    shots = iter([False] * 6 + [True] + [False] * 3)

    async def script(out: Reporter) -> None:
        if next(shots, False):
            out.online(Identity())
        raise LinkLost("read", "gone")

    driver = Scripted(script)
    async with supervised(driver):
        await asyncio.sleep(60)
    assert driver.waits[:9] == [0.5, 1, 2, 4, 8, 16, 0.5, 1, 2]


async def test_a_driver_that_fails_after_every_start_is_restarted_less_and_less_often() -> None:
    driver = Scripted(ends_with(ZeroDivisionError(), online=True))
    async with supervised(driver):
        await asyncio.sleep(300)
    assert driver.waits[:7] == [0.5, 1, 2, 4, 8, 16, CAP_S]


# --- availability ----------------------------------------------------------------------------------------------------


async def test_a_device_that_stays_away_is_told_and_logged_once() -> None:
    with capture_logs() as logs:
        async with supervised(Scripted(ends_with(LinkLost("connect", "refused")))) as (supervisor, told):
            await asyncio.sleep(3600)
            assert supervisor.status.failures > 50
    assert states(told) == [(DeviceState.CONNECTING, "first attempt"), (DeviceState.OFFLINE, "connect: refused")]
    assert [entry["event"] for entry in logs] == ["device offline"]


async def test_loss_and_return_are_logged_once_each_and_counted() -> None:
    with capture_logs() as logs:
        driver = Scripted(ends_with(LinkLost("read", "silent"), after_s=100, online=True))
        async with supervised(driver) as (supervisor, told):
            await asyncio.sleep(250)
            assert supervisor.status.lost == 2
            assert supervisor.status.sessions == 3
    assert [state for state, _ in states(told)][1:] == ["online", "offline", "online", "offline", "online"]
    assert [entry["event"] for entry in logs] == ["device online", "device offline"] * 2 + ["device online"]
    assert logs[1]["reason"] == "read: silent"
    assert logs[1]["lasted_s"] == 100


async def test_the_newest_reason_is_in_the_status_although_it_is_not_told_again() -> None:
    reasons = iter(["refused", "no route"])

    async def script(out: Reporter) -> None:
        raise LinkLost("connect", next(reasons, "unreachable"))

    async with supervised(Scripted(script)) as (supervisor, told):
        await asyncio.sleep(30)
        assert supervisor.status.reason == "connect: unreachable"
        assert supervisor.status.since.mono_s < 1
    assert len(states(told)) == 2


async def test_what_a_device_says_of_itself_later_is_told_without_a_change_of_state() -> None:
    async def script(out: Reporter) -> None:
        out.online(Identity(model="m"))
        out.online(Identity(model="m"))
        out.online(Identity(model="m", firmware="1.2"))
        await asyncio.Event().wait()

    async with supervised(Scripted(script)) as (supervisor, told):
        await asyncio.sleep(1)
        assert supervisor.status.sessions == 1
        assert supervisor.status.identity == Identity(model="m", firmware="1.2")
    changes = [event for event in told if isinstance(event, DeviceChanged)]
    assert [change.identity.firmware for change in changes] == ["", "", "1.2"]


async def test_several_errors_at_once_count_as_the_one_that_matters_most() -> None:
    async def script(out: Reporter) -> None:
        lost, refused = LinkLost("read", "gone"), CredentialsRefused("log in", "wrong password")
        raise ExceptionGroup("tasks", [lost, ExceptionGroup("inner", [refused, lost])])

    async with supervised(Scripted(script)) as (_, told):
        await asyncio.sleep(1)
    assert states(told)[1] == (DeviceState.FAULT, "log in: wrong password")


async def test_after_the_end_the_device_is_offline_and_commands_are_refused() -> None:
    async with supervised(Scripted(at_work)) as (supervisor, _):
        await asyncio.sleep(1)
    assert supervisor.status.state is DeviceState.OFFLINE
    assert (await supervisor.perform(WRITE, 1.0)).result is Result.REFUSED


# --- bugs of drivers -------------------------------------------------------------------------------------------------


async def test_a_bug_is_a_fault_logged_once_with_its_type_and_place_but_not_its_text() -> None:
    def choke() -> None:
        raise ValueError(f"cannot read {SECRET!r}")

    async def script(out: Reporter) -> None:
        choke()

    with capture_logs() as logs:
        async with supervised(Scripted(script)) as (supervisor, told):
            await asyncio.sleep(100)
            assert supervisor.status.bugs > 5
    assert states(told)[1] == (DeviceState.FAULT, "driver bug: ValueError")
    bugs = [entry for entry in logs if entry["event"] == "bug in the driver"]
    assert len(bugs) == 1
    assert bugs[0]["where"].startswith("test_supervisor.py:")
    assert bugs[0]["where"].endswith(" choke")
    assert "E200" not in repr(logs)
    assert "E200" not in repr(told)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (ends_with(CommandError("write", "no")), "driver bug: CommandError"),
        (ends_with(TimeoutError()), "driver bug: TimeoutError"),
        (ends_with(asyncio.CancelledError()), "driver bug: the session cancelled itself"),
    ],
)
async def test_what_a_session_must_not_raise_is_a_bug(script: Script, reason: str) -> None:
    async with supervised(Scripted(script)) as (_, told):
        await asyncio.sleep(0.1)
    assert states(told)[1] == (DeviceState.FAULT, reason)


async def test_a_session_that_returns_is_a_bug() -> None:
    async def script(out: Reporter) -> None:
        out.online(Identity())

    async with supervised(Scripted(script)) as (_, told):
        await asyncio.sleep(0.1)
    assert states(told)[2] == (DeviceState.FAULT, "driver bug: the session returned")


async def test_a_report_before_online_never_reaches_the_lane_and_is_a_fault() -> None:
    async def script(out: Reporter) -> None:
        out.report(InputChanged("loop", True))
        await asyncio.Event().wait()

    async with supervised(Scripted(script)) as (_, told):
        await asyncio.sleep(0.1)
    assert states(told)[1] == (DeviceState.FAULT, "driver bug: reported InputChanged before it was online")
    assert all(isinstance(event, DeviceChanged) for event in told)


async def test_a_report_of_an_undeclared_type_never_reaches_the_lane_and_is_a_fault() -> None:
    async def script(out: Reporter) -> None:
        out.online(Identity())
        out.report(TagRead(1, Identifier("e200")))
        out.report(InputChanged("loop", True))
        await asyncio.Event().wait()

    async with supervised(Scripted(script)) as (_, told):
        await asyncio.sleep(0.1)
    assert states(told)[2] == (DeviceState.FAULT, "driver bug: reported TagRead, which it does not declare")
    assert all(isinstance(event, DeviceChanged) for event in told)


async def test_a_task_that_outlives_its_session_is_not_heard() -> None:
    reporters: list[Reporter] = []

    async def script(out: Reporter) -> None:
        reporters.append(out)
        out.online(Identity())
        if len(reporters) == 1:
            raise LinkLost("read", "gone")
        await asyncio.Event().wait()

    async with supervised(Scripted(script)) as (supervisor, _):
        await asyncio.sleep(1)
        reporters[0].report(InputChanged("loop", True))
        reporters[0].online(Identity(model="ghost"))
        assert supervisor.status.events == 0
        assert supervisor.status.identity == Identity()


# --- doubts ----------------------------------------------------------------------------------------------------------


async def test_doubts_are_counted_and_logged_at_powers_of_ten_without_their_bytes() -> None:
    async def script(out: Reporter) -> None:
        out.online(Identity())
        for _ in range(2345):
            out.doubt(SECRET, "no such line")
        await asyncio.Event().wait()

    with capture_logs() as logs:
        async with supervised(Scripted(script)) as (supervisor, _):
            await asyncio.sleep(0.1)
            assert supervisor.status.doubts == 2345
    doubts = [entry for entry in logs if entry["event"] == "bytes in doubt"]
    assert [entry["count"] for entry in doubts] == [1, 10, 100, 1000]
    assert doubts[0]["length"] == len(SECRET)
    assert doubts[0]["hash"] == keyed_hash(b"key", SECRET)
    assert "E200" not in repr(logs)
