"""`lpr.frames` on a stream: the camera fake over TCP, read by OpenCV's ffmpeg in a process of its own, and every way in
which that may fail."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from driver_bench import Bench, Notebook, session_of
from frames_bench import READING, Reader, innermost, until

from drivers import lpr_frames
from drivers.lpr_frames import FrameCamera
from drivers.lpr_frames_config import FrameConfig
from drivers.lpr_frames_messages import Order
from drivers.lpr_frames_video import Video
from lanecontrol.commands import DONE, TakePicture
from lanecontrol.errors import CredentialsRefused, DeviceError, LinkLost, ProtocolViolation
from lanecontrol.events import PictureTaken, PlateRead
from lanecontrol.links import Link, LinkOpener, serve_tcp
from sim.lpr_frames import FakeFrameCamera, FrameCameraConfig
from sim.mischief import Mischief, Mischiefs, What, serve_with
from sim.pictures import scene
from sim.readings import InView

SIZE = (320, 176)
PATIENCE_S = 2.0
"""`answer_timeout_s` of these cameras: what takes 5 s at a lane takes two here."""
NOTICED_S = 10.0
"""Far more than that, and far less than the 30 s for which OpenCV would wait: these machines are busy."""
WHITE, DARK = InView("7KRM482", "US-CA", 1.0, 5), InView("ABC1234", "US-TX", 1.0, 9)


@pytest.fixture(autouse=True)
def needs_opencv() -> None:
    pytest.importorskip("cv2", reason="streams are read with the extra `plates`")


@dataclass
class Lane:
    """A camera that streams, and what a test does to it."""

    fake: FakeFrameCamera
    faults: list[Mischief]
    mischiefs: Mischiefs
    url: str = ""

    def strike(self, what: What, **more: Any) -> None:
        """From now on."""
        self.mischiefs.planned = (Mischief(device="cam", what=what, at_s=0.0, for_s=1e6, **more),)
        self.mischiefs.tick()


@asynccontextmanager
async def streaming(**settings: Any) -> AsyncIterator[Lane]:
    known = {"width": SIZE[0], "height": SIZE[1], "frames_per_s": 10.0, "exposure_s": 0.0, **settings}
    fake = FakeFrameCamera(FrameCameraConfig.model_validate(known), lambda deed: None)
    lane = Lane(fake, [], Mischiefs((), lambda: 1.0, random.Random(1)))

    async def serve(link: Link) -> None:
        with suppress(LinkLost):
            await serve_with(link, lane.mischiefs, fake.serve)

    async with serve_tcp("127.0.0.1", 0, serve) as port:
        lane.url = f"tcp://127.0.0.1:{port}"
        yield lane


@asynccontextmanager
async def watching(url: str, **settings: Any) -> AsyncIterator[tuple[FrameCamera, Bench]]:
    """The driver in session with the camera at `url`."""
    known = {"id": "cam", "url": url, "source": "rtsp", "answer_timeout_s": PATIENCE_S, "read": False, **settings}
    driver = FrameCamera(FrameConfig.model_validate(known), LinkOpener().for_device("cam"))
    async with session_of(driver, Notebook()) as bench:
        yield driver, bench


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[Video]:
    """Every capture that a test starts."""
    made: list[Video] = []

    class Counted(Video):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    monkeypatch.setattr(lpr_frames, "Video", Counted)
    return made


def gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


async def failure(url: str, **settings: Any) -> BaseException:
    async with watching(url, **settings) as (_, bench):
        return innermost(await bench.failure(NOTICED_S))


async def online(bench: Bench) -> None:
    await until(lambda: bench.notebook.identities or bench.session.done())
    assert not bench.session.done(), bench.session.exception()


def likeness(picture: bytes, view: InView) -> float:
    """How far the picture is from what this camera renders of the view; below 10 is the same scene."""
    import cv2
    import numpy as np

    wanted = scene(view.text, view.jurisdiction, view.look, 1, SIZE, view.distance_m, 1)
    one, other = (cv2.imdecode(np.frombuffer(p, np.uint8), cv2.IMREAD_COLOR) for p in (picture, wanted))
    assert one is not None and other is not None
    return float(np.abs(one.astype(np.int16) - other).mean())


# --- pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_trigger_gets_what_was_seen_before_it_and_what_comes_after(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(lambda _: READING)
    monkeypatch.setattr(lpr_frames, "PlateReader", reader)
    async with streaming() as lane:
        lane.fake.sense(WHITE)
        async with watching(lane.url, read=True, shots=2, apart_ms=250) as (driver, bench):
            await online(bench)
            await asyncio.sleep(0.6)  # the ring fills with what stands there now
            lane.fake.sense(DARK)
            assert await driver.perform(TakePicture("the loop is on")) == DONE
            await until(lambda: bench.notebook.of(PlateRead))
            (read,), (told,) = bench.notebook.of(PlateRead), bench.notebook.of(PictureTaken)
    (pictures, _), *_ = reader.asked
    assert len(pictures) == 4, "two out of the ring and two new ones"
    assert [likeness(picture, WHITE) < 10 for picture in pictures] == [True, True, False, False]
    assert likeness(pictures[-1], DARK) < 10
    assert read.track == told.track


@pytest.mark.slow
async def test_the_next_vehicle_gets_no_picture_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(lambda _: READING)
    monkeypatch.setattr(lpr_frames, "PlateReader", reader)
    async with streaming() as lane:
        lane.fake.sense(WHITE)
        async with watching(lane.url, read=True, shots=1, apart_ms=150) as (driver, bench):
            await online(bench)
            await driver.perform(TakePicture("the loop is on"))
            await until(lambda: len(reader.asked) == 1)
            lane.fake.sense(DARK)
            await asyncio.sleep(0.4)
            await driver.perform(TakePicture("the loop is on"))
            await until(lambda: len(reader.asked) == 2)
    first, second = (pictures for pictures, _ in reader.asked)
    assert not set(first) & set(second)
    assert likeness(second[-1], DARK) < 10
    assert not any(likeness(picture, WHITE) < 10 for picture in second[1:])


@pytest.mark.slow
@pytest.mark.parametrize("auth", ["basic", "digest"])
async def test_the_password_is_told_when_it_is_asked_for_whatever_is_in_it(auth: str) -> None:
    login = {"username": "lane 7", "password": "p@ss:/w%41d?#"}
    async with streaming(auth=auth, **login) as lane, watching(lane.url, **login) as (_, bench):
        await online(bench)
    assert lane.fake.answered[:3] == [200, 401, 200]


@pytest.mark.slow
def test_nothing_of_opencv_is_loaded_where_the_lane_runs() -> None:
    code = "import sys, drivers.lpr_frames; print('cv2' in sys.modules or 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"


# --- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_camera_that_freezes_with_its_socket_open_is_noticed() -> None:
    async with streaming() as lane, watching(lane.url) as (_, bench):
        await online(bench)
        lane.strike(What.FREEZE)
        found = innermost(await bench.failure(NOTICED_S))
    assert isinstance(found, LinkLost)
    assert str(found) == "capture: no picture for 2 s"


@pytest.mark.slow
async def test_a_camera_whose_encoder_hangs_while_its_server_answers_is_noticed() -> None:
    async with streaming(stream_stops_after=15) as lane, watching(lane.url) as (_, bench):
        await online(bench)
        found = innermost(await bench.failure(NOTICED_S))
    assert isinstance(found, LinkLost)
    assert str(found) == "capture: no picture for 2 s"


async def test_a_camera_that_hangs_up_in_the_middle_is_noticed() -> None:
    async with streaming() as lane, watching(lane.url) as (_, bench):
        await online(bench)
        lane.strike(What.DROP)
        found = innermost(await bench.failure(NOTICED_S))
    assert isinstance(found, LinkLost)
    assert str(found) == "capture: the camera has ended the stream"


@pytest.mark.slow
async def test_a_trigger_while_the_camera_is_frozen_does_not_wait_for_it() -> None:
    async with streaming() as lane, watching(lane.url) as (driver, bench):
        await online(bench)
        lane.strike(What.FREEZE)
        await asyncio.sleep(PATIENCE_S / 2)
        asked = asyncio.create_task(driver.perform(TakePicture("the loop is on")))
        found = innermost(await bench.failure(NOTICED_S))
        asked.cancel()  # as the supervisor does when the session has ended
        await asyncio.wait({asked})
    assert isinstance(found, LinkLost)


@pytest.mark.parametrize(("auth", "password"), [("digest", "wrong"), ("basic", "wrong"), ("digest", "")])
async def test_a_wrong_password_is_a_refusal_and_is_told_without_the_password(auth: str, password: str) -> None:
    async with streaming(auth=auth) as lane:
        found = await failure(lane.url, username="root" if password else "", password=password)
    assert isinstance(found, CredentialsRefused)
    assert str(found) == "open: the camera answers 401: it does not accept this user and password"


async def test_a_path_that_the_camera_does_not_have_is_a_fault() -> None:
    async with streaming() as lane:
        found = await failure(lane.url, path="/no/such/stream")
    assert isinstance(found, ProtocolViolation)
    assert "404" in str(found)


@pytest.mark.slow
async def test_a_camera_that_is_still_starting_is_tried_again() -> None:
    async with streaming(failing=1) as lane:
        found = await failure(lane.url)
        assert isinstance(found, LinkLost)
        assert "503" in str(found)
        async with watching(lane.url) as (_, bench):
            await online(bench)


@pytest.mark.slow
async def test_a_stream_that_never_starts_is_given_up() -> None:
    async with streaming(stream_stops_after=0) as lane:
        found = await failure(lane.url)
    assert isinstance(found, LinkLost)
    assert str(found) == "open: no stream within 2 s"


async def mute(link: Link) -> None:
    while True:
        await link.read()


async def another_server(link: Link) -> None:
    await link.write(b"SSH-2.0-OpenSSH_9.2p1\r\n")
    await mute(link)


async def noise(link: Link) -> None:
    dice = random.Random(1)
    for _ in range(2000):
        await link.write(dice.randbytes(1024))
        await asyncio.sleep(0)
    await mute(link)


@pytest.mark.slow
@pytest.mark.parametrize("peer", [mute, another_server, noise])
async def test_a_peer_that_is_no_camera_is_given_up(
    peer: Callable[[Link], Awaitable[None]], processes: list[Video]
) -> None:
    async def serve(link: Link) -> None:
        with suppress(LinkLost):
            await peer(link)

    async with serve_tcp("127.0.0.1", 0, serve) as port:
        found = await failure(f"tcp://127.0.0.1:{port}")
    assert isinstance(found, DeviceError)
    assert found.deed == "open"
    assert [video.process for video in processes] == [None]


async def test_nobody_at_the_address_is_told_at_once() -> None:
    async with streaming() as lane:
        pass
    found = await failure(lane.url, answer_timeout_s=60)
    assert isinstance(found, LinkLost)
    assert str(found) == "open: connection refused"


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0005, 0.02])
async def test_damaged_bytes_end_the_session_or_the_picture_and_nothing_else(share: float) -> None:
    async with streaming() as lane, watching(lane.url) as (driver, bench):
        await online(bench)
        lane.strike(What.GARBLE, share=share)
        await asyncio.wait({bench.session}, timeout=1.5)
        if bench.session.done():
            found = bench.session.exception()
            assert found is not None
            assert isinstance(innermost(found), DeviceError)
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(NOTICED_S):
                    await driver.perform(TakePicture())


# --- USB -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind", "told"),
    [
        ("/dev/video-none", LinkLost, "open: /dev/video-none: No such file or directory"),
        ("/dev/null", ProtocolViolation, "open: /dev/null is no video device"),
    ],
)
async def test_a_usb_camera_that_is_not_there_or_is_something_else_is_told_by_its_path(
    path: str, kind: type[DeviceError], told: str
) -> None:
    found = await failure(f"local://{path}", source="usb")
    assert isinstance(found, kind)
    assert str(found) == told


# --- ending ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_stopping_is_prompt_and_leaves_no_process_behind(processes: list[Video]) -> None:
    async with AsyncExitStack() as stack:
        lane = await stack.enter_async_context(streaming())
        async with watching(lane.url, answer_timeout_s=60) as (_, bench):
            await online(bench)
            lane.strike(What.FREEZE)  # OpenCV now waits within `read` for a picture
            process = processes[0].process
            assert process is not None
            bench.session.cancel()
            done, _ = await asyncio.wait({bench.session}, timeout=NOTICED_S)
            assert done, "the session waits for a camera that is frozen"
    assert gone(process)


async def test_stopping_while_the_stream_is_being_opened_is_prompt_too(processes: list[Video]) -> None:
    async def serve(link: Link) -> None:
        with suppress(LinkLost):
            await mute(link)

    async with (
        serve_tcp("127.0.0.1", 0, serve) as port,
        watching(f"tcp://127.0.0.1:{port}", answer_timeout_s=60) as (
            _,
            bench,
        ),
    ):
        await until(lambda: processes and processes[0].process)
        process = processes[0].process
        assert process is not None
        await asyncio.sleep(0.5)
        bench.session.cancel()
        done, _ = await asyncio.wait({bench.session}, timeout=NOTICED_S)
        assert done
    assert gone(process)


@pytest.mark.slow
async def test_the_process_ends_when_the_daemon_that_started_it_is_gone() -> None:
    async with streaming() as lane:
        order = Order(f"{lane.url.replace('tcp', 'rtsp')}/stream", usb=False, stalled_s=60.0)
        program = (sys.executable, "-m", "drivers.lpr_frames_capture")
        child = await asyncio.create_subprocess_exec(*program, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL)
        assert child.stdin is not None
        child.stdin.write(order.line())
        await until(lambda: 200 in lane.fake.answered)
        child.stdin.close()
        async with asyncio.timeout(NOTICED_S):
            assert await child.wait() == 0
