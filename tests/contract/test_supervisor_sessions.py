"""What a session is given by its supervisor: facts, a place for pictures, a spool, devices that connect to us."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import random
from pathlib import Path

from supervisor_bench import Scripted, at_work, states, supervised

from lanecontrol.clock import AnchoredClock
from lanecontrol.driver import Reporter, Traits
from lanecontrol.errors import LinkLost
from lanecontrol.events import DeviceState, Event, Identity, InputChanged
from lanecontrol.links import Link, LinkOpener, MemoryNet
from lanecontrol.supervisor import Supervisor

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
