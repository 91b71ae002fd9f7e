"""`lpr.frames`: snapshots asked for, kept, read and reported; HTTP from the client's side; folders. No weights."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from driver_bench import Bench, Notebook, in_session, session_of
from frames_bench import READING, Reader, innermost, jpeg, until
from hypothesis import given
from hypothesis import strategies as st

from drivers import lpr_frames
from drivers.lpr_frames import FrameCamera
from drivers.lpr_frames_config import FrameConfig
from drivers.lpr_frames_http import Answer, Broken, Exchange, Login
from lanecontrol.commands import DONE, Result, TakePicture, WriteOutputs
from lanecontrol.errors import CredentialsRefused, LinkLost, ProtocolViolation
from lanecontrol.events import DeviceFault, PictureTaken, PlateRead, PlateUnread
from lanecontrol.identifier import Identifier
from lanecontrol.links import Link, LinkOpener, MemoryNet
from lanecontrol.plates import PlatesUnavailable
from lanecontrol.plates.answers import Options, Reading, Rejected
from lanecontrol.plates.process import ReadFailed

JPEG = jpeg()


def ok(body: bytes, more: str = "") -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


class Camera:
    """A camera of the test: answers every request by the next of `answers`, the last one for ever."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers) or [ok(JPEG)]
        self.requests: list[str] = []
        self.links = 0

    async def __call__(self, link: Link) -> None:
        self.links += 1
        heard = b""
        while True:
            heard += await link.read()
            while b"\r\n\r\n" in heard:
                request, _, heard = heard.partition(b"\r\n\r\n")
                self.requests.append(request.decode())
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                await link.write(answer)
                if b"Connection: close" in answer:
                    await link.close()
                    return


@asynccontextmanager
async def camera_at_work(
    monkeypatch: pytest.MonkeyPatch, camera: Camera, answer: Callable[[tuple[bytes, ...]], Reading], **settings: Any
) -> AsyncIterator[tuple[FrameCamera, Notebook, Reader]]:
    reader = Reader(answer)
    monkeypatch.setattr(lpr_frames, "PlateReader", reader)
    async with in_session(FrameCamera, camera, apart_ms=20, **settings) as (driver, bench):
        assert isinstance(driver, FrameCamera)
        await until(lambda: bool(bench.notebook.identities))
        yield driver, bench.notebook, reader


# --- from the trigger to the report -----------------------------------------------------------------------------------


async def test_a_trigger_takes_pictures_and_what_is_read_is_reported_with_its_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    camera = Camera(*(ok(jpeg(text)) for text in ("first", "one", "two", "three")))
    async with camera_at_work(monkeypatch, camera, lambda _: READING, shots=3) as (driver, notebook, reader):
        assert await driver.perform(TakePicture("the loop is on")) == DONE
        await until(lambda: bool(notebook.of(PlateRead)))
    (read,) = notebook.of(PlateRead)
    assert reader.asked[0][0] == (jpeg("one"), jpeg("two"), jpeg("three"))
    assert read.text == "ABC1234"
    assert read.picture == f"sha256:{hashlib.sha256(jpeg('two')).hexdigest()}", "the one that the box belongs to"
    assert (read.confidence, read.jurisdiction, read.box, read.engine) == (
        0.97,
        "US-TX",
        (10, 20, 100, 30),
        "stand-in/1",
    )
    assert read.candidates == READING.candidates
    assert re.fullmatch(r"\d+", read.track)


async def test_settings_of_the_reading_reach_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    settings: dict[str, Any] = {
        "window": {"x": 1, "y": 2, "width": 300, "height": 200},
        "min_confidence": 0.5,
        "fixes": {"A8C1234": "ABC1234"},
        "mix": {"US-TX": 400},
    }
    async with camera_at_work(monkeypatch, Camera(), lambda _: READING, **settings) as (driver, notebook, reader):
        await driver.perform(TakePicture())
        await until(lambda: bool(notebook.of(PlateRead)))
    assert reader.asked[0][1] == Options(0.5, {"A8C1234": "ABC1234"}, {"US-TX": 400}, (1, 2, 300, 200))


async def test_what_is_not_sure_enough_is_reported_as_unread_with_reasons_and_without_the_plate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    doubtful = Reading(
        Identifier("ABC1234"),
        0.4,
        why="confidence 0.40 is below 0.85",
        rejected=(Rejected(Identifier("STOP"), "a word"),),
    )
    async with camera_at_work(monkeypatch, Camera(), lambda _: doubtful) as (driver, notebook, _):
        await driver.perform(TakePicture())
        await until(lambda: bool(notebook.of(PlateUnread)))
    (unread,) = notebook.of(PlateUnread)
    assert unread.why == "confidence 0.40 is below 0.85; a word"
    assert unread.picture
    assert notebook.of(PlateRead) == []


@pytest.mark.parametrize("failure", [ReadFailed("not read in time"), PlatesUnavailable("install it with ...")])
async def test_a_picture_that_cannot_be_read_is_kept_and_the_fault_is_told_once(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    good = False

    def answer(_: tuple[bytes, ...]) -> Reading:
        if good:
            return READING
        raise failure

    async with camera_at_work(monkeypatch, Camera(), answer) as (driver, notebook, _):
        for count in (1, 2):
            await driver.perform(TakePicture())
            await until(lambda count=count: len(notebook.of(PlateUnread)) == count)  # type: ignore[misc]
        good = True
        await driver.perform(TakePicture())
        await until(lambda: bool(notebook.of(PlateRead)))
    assert [(fault.active, fault.detail) for fault in notebook.of(DeviceFault)] == [
        (True, str(failure)),
        (False, "plates are read again"),
    ]
    assert all(unread.picture for unread in notebook.of(PlateUnread))


async def test_without_reading_pictures_are_only_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    async with camera_at_work(monkeypatch, Camera(), lambda _: READING, read=False, shots=2) as (driver, notebook, _):
        await driver.perform(TakePicture())
        await until(lambda: len(notebook.of(PictureTaken)) == 2)
    assert notebook.of(PlateRead, PlateUnread) == []


async def test_another_command_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with camera_at_work(monkeypatch, Camera(), lambda _: READING) as (driver, _, _):
        assert (await driver.perform(WriteOutputs(()))).result is Result.REFUSED


# --- the camera's answers ---------------------------------------------------------------------------------------------


async def _failure(*answers: bytes, **settings: Any) -> BaseException:
    async with in_session(FrameCamera, Camera(*answers), read=False, **settings) as (_, bench):
        return innermost(await bench.failure())


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("401 No", CredentialsRefused),
        ("403 No", CredentialsRefused),
        ("404 No", ProtocolViolation),
        ("503 No", LinkLost),
    ],
)
async def test_an_answer_without_a_picture_ends_the_session(status: str, kind: type[Exception]) -> None:
    assert isinstance(await _failure(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()), kind)


async def test_an_answer_that_is_no_http_ends_the_session() -> None:
    assert isinstance(await _failure(b"SSH-2.0-OpenSSH\r\n\r\n"), LinkLost)


async def test_a_camera_that_hangs_up_after_each_picture_stays_online(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = Camera(ok(JPEG, "Connection: close\r\n"))
    async with camera_at_work(monkeypatch, camera, lambda _: READING, shots=2) as (driver, notebook, _):
        await driver.perform(TakePicture())
        await until(lambda: bool(notebook.of(PlateRead)))
    assert camera.links == 3


async def test_basic_and_digest_are_answered_when_they_are_asked_for() -> None:
    for challenge, scheme in (('Basic realm="cam"', "Basic"), ('Digest realm="cam", nonce="n1", qop="auth"', "Digest")):
        asks = f"HTTP/1.1 401 No\r\nWWW-Authenticate: {challenge}\r\nContent-Length: 0\r\n\r\n".encode()
        camera = Camera(asks, ok(JPEG))
        settings: dict[str, Any] = {"username": "lane", "password": "secret", "read": False}
        async with in_session(FrameCamera, camera, **settings) as (_, bench):
            await until(lambda bench=bench: bool(bench.notebook.identities))  # type: ignore[misc]
        assert "Authorization" not in camera.requests[0], "no password before it is asked for"
        assert f"Authorization: {scheme}" in camera.requests[1]
        assert "secret" not in camera.requests[1]


async def test_a_wrong_password_is_not_tried_again_and_again() -> None:
    asks = b'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="cam"\r\nContent-Length: 0\r\n\r\n'
    assert isinstance(await _failure(asks, username="lane", password="wrong"), CredentialsRefused)


# --- HTTP, pure -------------------------------------------------------------------------------------------------------


def test_the_example_of_the_digest_standard_gives_its_answer() -> None:
    # RFC 7616, section 3.9.1, with MD5.
    login = Login("Mufasa", "Circle of Life", cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")
    assert login.challenged(
        (
            'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, '
            'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
            'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"',
        )
    )
    assert 'response="8ca523f5e9506fed4657c9700eebdbec"' in login.authorization("/dir/index.html")


def test_basic_is_name_and_password() -> None:
    login = Login("a", "b", cnonce="")
    assert login.authorization("/") == ""
    assert login.challenged(("Basic realm=x",))
    assert login.authorization("/") == "Basic " + base64.b64encode(b"a:b").decode()
    assert not login.challenged(("Basic realm=x",)), "it was tried"


@given(st.integers(1, 60))
def test_an_answer_in_pieces_is_the_same_answer(size: int) -> None:
    whole, exchange = ok(JPEG * 20), Exchange("cam")
    exchange.get("/", "")
    answers = [exchange.feed(whole[at : at + size]) for at in range(0, len(whole), size)]
    assert answers[-1] == Answer(200, "image/jpeg", JPEG * 20, (), again=False)
    assert not any(answers[:-1])


@given(st.binary(min_size=1, max_size=300), st.booleans())
def test_whatever_bytes_a_camera_answers_nothing_is_raised(data: bytes, well_begun: bool) -> None:
    exchange = Exchange("cam")
    exchange.get("/", "")
    found = exchange.feed(b"HTTP/1.1 200 OK\r\n" * well_begun + data)
    assert found is None or isinstance(found, Answer | Broken)


# --- folders ----------------------------------------------------------------------------------------------------------


async def test_new_pictures_in_a_folder_are_read_and_old_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old.jpg").write_bytes(b"old")
    reader = Reader(lambda _: READING)
    monkeypatch.setattr(lpr_frames, "PlateReader", reader)
    config = FrameConfig.model_validate(
        {"id": "cam", "url": f"local://{tmp_path}", "source": "folder", "apart_ms": 20, "shots": 1}
    )
    driver, notebook = FrameCamera(config, LinkOpener(memory=MemoryNet()).for_device("cam")), Notebook()
    async with session_of(driver, notebook) as bench:
        assert isinstance(bench, Bench)
        await asyncio.sleep(0.1)
        (tmp_path / "new.jpg").write_bytes(jpeg("new"))
        await until(lambda: bool(notebook.of(PlateRead)))
    assert [pictures for pictures, _ in reader.asked] == [(jpeg("new"),)]


# --- configuration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"url": "local:///var/pictures"}, "source http needs a url like tcp://host:port"),
        ({"url": "tcp://cam:80", "source": "folder"}, "source folder needs a url like local:///path"),
        ({"url": "tcp://cam:80", "fixes": {"abc": "ABC"}}, "not A to Z"),
        ({"url": "tcp://cam:80", "models": {"detector": {"path": "x", "sha256": "no"}}}, "sha256"),
    ],
)
def test_a_wrong_configuration_is_told(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        FrameConfig.model_validate({"id": "cam", **settings})
