"""The supervisor on its own, with a driver that does as the test says. On a virtual clock."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from lanecontrol.clock import AnchoredClock
from lanecontrol.commands import DONE, ClearWatchdog, Command, Outcome, Result, WriteOutputs
from lanecontrol.driver import DeviceConfig, Driver, Reporter, Traits
from lanecontrol.errors import CommandError, CredentialsRefused, DeviceError, LinkLost, ProtocolViolation
from lanecontrol.events import DeviceChanged, DeviceState, Event, Identity, InputChanged, TagRead
from lanecontrol.failures import CAP_S, SLOW_S, Backoff
from lanecontrol.identifier import Identifier, keyed_hash
from lanecontrol.links import Link, LinkOpener, MemoryNet
from lanecontrol.supervisor import Supervisor

Script = Callable[[Reporter], Awaitable[None]]
WRITE = WriteOutputs((("lamp", True),))
SECRET = b"E200 3411 B802 0118 card"


class Scripted(Driver):
    Config = DeviceConfig
    reports = frozenset({InputChanged})
    performs = frozenset({WriteOutputs})
    traits = Traits(has_handshake=False, speaks_unasked=True, silence_s=1.0)

    def __init__(self, script: Script, performs: Callable[[Command], Awaitable[Outcome]] | None = None) -> None:
        super().__init__(DeviceConfig(id="dev", kind="scripted", url="mem://dev"), LinkOpener().for_device("dev"))
        self._script = script
        self._performs = performs
        self.started: list[float] = []

    async def session(self, out: Reporter) -> None:
        self.started.append(asyncio.get_running_loop().time())
        await self._script(out)

    async def perform(self, command: Command) -> Outcome:
        assert self._performs is not None
        return await self._performs(command)

    @property
    def waits(self) -> list[float]:
        return [round(b - a, 3) for a, b in zip(self.started, self.started[1:], strict=False)]


class Longest(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return b


@asynccontextmanager
async def supervised(driver: Driver, **more: Any) -> AsyncIterator[tuple[Supervisor, list[Event]]]:
    told: list[Event] = []
    settings: dict[str, Any] = {"clock": AnchoredClock(0.0), "rng": Longest(), "hash_key": b"key", **more}
    supervisor = Supervisor(driver, lambda _, event: told.append(event), **settings)
    task = asyncio.get_running_loop().create_task(supervisor.run())
    try:
        yield supervisor, told
    finally:
        task.cancel()
        await asyncio.wait({task})


def states(told: list[Event]) -> list[tuple[DeviceState, str]]:
    return [(event.state, event.reason) for event in told if isinstance(event, DeviceChanged)]


async def at_work(out: Reporter) -> None:
    out.online(Identity(model="m"))
    await asyncio.Event().wait()


def ends_with(error: BaseException, after_s: float = 0.0, *, online: bool = False) -> Script:
    async def script(out: Reporter) -> None:
        if online:
            out.online(Identity())
        await asyncio.sleep(after_s)
        raise error

    return script


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


# --- commands --------------------------------------------------------------------------------------------------------


def performing(script: Callable[[Command], Awaitable[Outcome]]) -> Scripted:
    return Scripted(at_work, script)


async def never(command: Command) -> Outcome:
    await asyncio.Event().wait()
    return DONE


async def done(command: Command) -> Outcome:
    return DONE


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


# --- what a session is given -----------------------------------------------------------------------------------------


async def test_a_session_sees_the_lanes_health_as_it_is_now() -> None:
    health = [True]
    seen: list[bool] = []

    async def script(out: Reporter) -> None:
        out.online(Identity())
        while True:
            seen.append(out.healthy)
            await asyncio.sleep(1)

    async with supervised(Scripted(script), healthy=lambda: health[0]):
        await asyncio.sleep(0.5)
        health[0] = False
        await asyncio.sleep(1)
    assert seen == [True, False]


async def test_events_go_out_in_order_under_the_devices_id() -> None:
    told: list[tuple[str, Event]] = []

    async def script(out: Reporter) -> None:
        out.online(Identity())
        for n in range(5):
            out.report(InputChanged(f"p{n}", True))
        await asyncio.Event().wait()

    supervisor = Supervisor(
        Scripted(script),
        lambda device, event: told.append((device, event)),
        clock=AnchoredClock(0.0),
        rng=random.Random(1),
        hash_key=b"key",
    )
    task = asyncio.get_running_loop().create_task(supervisor.run())
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.wait({task})
    assert {device for device, _ in told} == {"dev"}
    assert [event.point for _, event in told if isinstance(event, InputChanged)] == ["p0", "p1", "p2", "p3", "p4"]
    assert supervisor.status.events == 5


# --- pictures, settling, the spool -----------------------------------------------------------------------------------


class Behind:
    """What stands behind a session, in the test's hand."""

    def __init__(self, folder: Path) -> None:
        self.kept: list[tuple[bytes, str]] = []
        self.losses = 0
        self.done = asyncio.Event()
        self.spool = folder

    async def keep(self, picture: bytes, media_type: str) -> str:
        self.kept.append((picture, media_type))
        return "sha256:it"

    async def settled(self) -> None:
        await self.done.wait()


async def test_a_session_keeps_pictures_settles_and_has_a_folder(tmp_path: Path) -> None:
    behind = Behind(tmp_path)
    found: list[object] = []

    async def script(out: Reporter) -> None:
        found.append(await out.keep(b"picture", "image/jpeg"))
        found.append(out.spool)
        await out.settled()
        found.append("settled")
        await at_work(out)

    async with supervised(Scripted(script), backing=behind):
        await asyncio.sleep(10)
        assert found == ["sha256:it", tmp_path]
        behind.done.set()
        await asyncio.sleep(0.1)
    assert found[-1] == "settled"
    assert behind.kept == [(b"picture", "image/jpeg")]


async def test_when_something_was_lost_the_session_begins_again_and_nothing_counts_as_settled(tmp_path: Path) -> None:
    behind = Behind(tmp_path)
    behind.done.set()
    settled = 0

    async def script(out: Reporter) -> None:
        nonlocal settled
        out.online(Identity())
        if len(driver.started) == 1:
            behind.losses = 1
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(out.settled())
            await waiting
            settled += 1
            await asyncio.Event().wait()

    driver = Scripted(script)
    async with supervised(driver, backing=behind) as (supervisor, told):
        await asyncio.sleep(10)
        assert len(driver.started) == 2
        assert settled == 1
        assert supervisor.status.bugs == 0
    assert states(told)[2] == (
        DeviceState.OFFLINE,
        "settle: the lane could not take everything in; the device's spool is told again",
    )


async def test_what_a_session_keeps_after_its_end_is_refused(tmp_path: Path) -> None:
    behind = Behind(tmp_path)
    sessions: list[Reporter] = []

    async def script(out: Reporter) -> None:
        sessions.append(out)
        raise LinkLost("read", "gone")

    async with supervised(Scripted(script), backing=behind):
        await asyncio.sleep(0.1)
        assert await sessions[0].keep(b"picture", "image/jpeg") == ""
    assert behind.kept == []


async def test_outside_a_lane_pictures_have_their_reference_and_the_spool_goes_with_the_supervisor() -> None:
    found: list[object] = []

    async def script(out: Reporter) -> None:
        found.append(await out.keep(b"picture", "image/jpeg"))
        found.append(await out.keep(b"", "image/jpeg"))
        (out.spool / "push").write_bytes(b"x")
        found.append(out.spool)
        await out.settled()
        await at_work(out)

    async with supervised(Scripted(script)) as (supervisor, _):
        await asyncio.sleep(1)
        assert supervisor.status.state is DeviceState.ONLINE
    del supervisor, _
    gc.collect()
    name, nothing, folder = found
    assert (name, nothing) == (f"sha256:{hashlib.sha256(b'picture').hexdigest()}", "")
    assert isinstance(folder, Path)
    assert not folder.exists()


# --- devices that connect to us --------------------------------------------------------------------------------------


class Listening(Scripted):
    traits = Traits(has_handshake=False, speaks_unasked=True, silence_s=5.0, listens=True)

    def __init__(self, net: MemoryNet, silence_s: float = 5.0) -> None:
        super().__init__(self._listen)
        self.links = LinkOpener(net).for_device("dev")
        self._silence_s = silence_s

    async def _listen(self, out: Reporter) -> None:
        async def serve(link: Link) -> None:
            await link.read()
            out.online(Identity())
            await link.read()

        async with self.links.listen("mem://dev", serve):
            await asyncio.sleep(self._silence_s)
            raise LinkLost("listen", "silent")


async def test_a_driver_that_listens_does_so_again_without_a_wait_and_says_that_nobody_came() -> None:
    driver = Listening(MemoryNet())
    async with supervised(driver) as (supervisor, told):
        await asyncio.sleep(100)
        assert supervisor.status.reason == "nobody has connected yet at mem://dev"
    assert set(driver.waits) == {5.0}
    nobody = "nobody has connected yet at mem://dev"
    assert states(told) == [(DeviceState.CONNECTING, nobody), (DeviceState.OFFLINE, nobody)]


async def test_it_says_why_those_who_tried_were_not_let_in() -> None:
    driver = Listening(MemoryNet())
    async with supervised(driver) as (supervisor, _):
        await asyncio.sleep(1)
        supervisor._traffic.turn_away("TLS: no certificate")
        await asyncio.sleep(10)
        assert supervisor.status.reason == "nobody was let in yet at mem://dev: TLS: no certificate"
        assert supervisor.status.turned_away == 1


async def test_once_somebody_has_connected_it_says_what_the_driver_says() -> None:
    net = MemoryNet()
    async with supervised(Listening(net)) as (supervisor, told):
        await asyncio.sleep(1)
        link = net.connect("dev")
        await link.write(b"hello")
        await asyncio.sleep(10)
        assert supervisor.status.reason == "listen: silent"
    assert [state for state, _ in states(told)] == [DeviceState.CONNECTING, DeviceState.ONLINE, DeviceState.OFFLINE]


async def test_a_listener_that_ends_at_once_is_waited_for_like_any_other() -> None:
    driver = Listening(MemoryNet(), silence_s=0.0)
    async with supervised(driver):
        await asyncio.sleep(60)
    assert driver.waits[:4] == [0.5, 1, 2, 4]


async def test_a_place_that_cannot_be_had_is_told_and_waited_for() -> None:
    net = MemoryNet()
    net.listen("dev", lambda link: link.close())
    driver = Listening(net)
    async with supervised(driver) as (supervisor, _):
        await asyncio.sleep(60)
        assert supervisor.status.reason == "listen: mem://dev is taken"
    assert driver.waits[:4] == [0.5, 1, 2, 4]
