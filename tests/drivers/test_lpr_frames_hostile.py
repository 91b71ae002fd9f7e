"""`lpr.frames` with cameras and folders that mean harm, or just do not know better: bounded in time and in bytes."""

from __future__ import annotations

import asyncio
import errno
import os
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from driver_bench import Bench, Notebook, in_session, session_of
from frames_bench import READING, Reader, innermost, jpeg, until

from drivers import lpr_frames
from drivers.lpr_frames import FrameCamera
from drivers.lpr_frames_config import FrameConfig
from lanecontrol.commands import TakePicture
from lanecontrol.errors import CredentialsRefused, LinkLost, ProtocolViolation
from lanecontrol.events import DeviceFault, PictureTaken, PlateRead, PlateUnread
from lanecontrol.links import Link, LinkOpener, MemoryNet

Peer = Callable[[Link], Awaitable[None]]


def ok(body: bytes, *, length: int | None = None, kind: str = "image/jpeg") -> bytes:
    told = len(body) if length is None else length
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {told}\r\n\r\n".encode() + body


async def asked(link: Link, heard: bytes = b"") -> bytes:
    """Wait for a request; gives its head."""
    while b"\r\n\r\n" not in heard:
        heard += await link.read()
    return heard


class Answers:
    """A server that gives these answers, one to each request, the last one for ever."""

    def __init__(self, *answers: bytes) -> None:
        self.answers, self.links, self.heads = list(answers), 0, list[bytes]()

    async def __call__(self, link: Link) -> None:
        self.links += 1
        while True:
            self.heads.append(await asked(link))
            await link.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])


async def failure(peer: Peer, **settings: Any) -> tuple[BaseException, float, Notebook]:
    """How the session ends, after how long, and what was noted."""
    async with in_session(FrameCamera, peer, read=False, **settings) as (_, bench):
        began_s = asyncio.get_running_loop().time()
        found = innermost(await bench.failure())
        return found, asyncio.get_running_loop().time() - began_s, bench.notebook


# --- servers ---------------------------------------------------------------------------------------------------------


async def test_a_body_without_an_end_is_given_up_at_16_mib() -> None:
    sent = 0

    async def endless(link: Link) -> None:
        nonlocal sent
        await asked(link)
        await link.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nConnection: close\r\n\r\n")
        while True:
            await link.write(bytes(1 << 16))
            sent += 1 << 16

    found, _, notebook = await failure(endless)
    assert isinstance(found, LinkLost)
    assert sent < 20 << 20
    assert [why for _, why in notebook.doubts] == ["the picture is larger than 16 MiB"]


@pytest.mark.parametrize("length", [(16 << 20) + 1, 10**15])
async def test_a_length_that_is_too_large_is_not_waited_for(length: int) -> None:
    found, after_s, notebook = await failure(Answers(ok(b"\xff\xd8", length=length)))
    assert isinstance(found, LinkLost)
    assert after_s < 1.0
    assert [why for _, why in notebook.doubts] == ["the picture is larger than 16 MiB"]


async def drip(link: Link) -> None:
    await asked(link)
    for byte in ok(jpeg("x" * 500)):
        await link.write(bytes([byte]))
        await asyncio.sleep(0.5)


async def short(link: Link) -> None:
    """Tells more than it sends, and waits."""
    await asked(link)
    await link.write(ok(jpeg(), length=5000))
    await link.read()


async def interim(link: Link) -> None:
    await asked(link)
    while True:
        await link.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await asyncio.sleep(0.01)


async def mute(link: Link) -> None:
    while True:
        await link.read()


@pytest.mark.parametrize("peer", [drip, short, interim, mute])
async def test_an_answer_that_does_not_become_a_picture_is_given_up_in_time(peer: Peer) -> None:
    found, after_s, _ = await failure(peer, answer_timeout_s=3.0)
    assert isinstance(found, LinkLost)
    assert str(found) == "snapshot: no picture within 3 s"
    assert after_s == pytest.approx(3.0, abs=0.1)


async def test_a_connection_that_ends_before_the_picture_does_is_given_up_at_once() -> None:
    async def cut(link: Link) -> None:
        await asked(link)
        await link.write(ok(jpeg(), length=5000))
        await link.close()

    found, after_s, _ = await failure(cut)
    assert isinstance(found, LinkLost)
    assert after_s < 1.0


async def test_a_head_without_an_end_is_given_up() -> None:
    async def endless(link: Link) -> None:
        await asked(link)
        await link.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            await link.write(b"X-More: " + b"x" * 1000 + b"\r\n")

    found, after_s, _ = await failure(endless)
    assert isinstance(found, LinkLost)
    assert after_s < 1.0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_nobody_is_followed_elsewhere(status: int) -> None:
    head = f"HTTP/1.1 {status} Moved\r\nLocation: http://192.0.2.66/\r\nContent-Length: 0\r\n\r\n"
    server = Answers(head.encode())
    found, _, _ = await failure(server, username="lane", password="secret")
    assert isinstance(found, ProtocolViolation)
    assert str(status) in str(found)
    assert len(server.heads) == 1


async def test_a_server_that_always_asks_for_the_password_is_answered_once() -> None:
    asks = [
        f'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="c", nonce="{n}"\r\nContent-Length: 0\r\n\r\n'.encode()
        for n in range(50)
    ]
    server = Answers(*asks)
    found, _, _ = await failure(server, username="lane", password="secret")
    assert isinstance(found, CredentialsRefused)
    assert len(server.heads) == 2


async def test_a_page_for_people_is_a_fault_that_says_what_came() -> None:
    found, _, notebook = await failure(Answers(ok(b"<html>Log in</html>", kind="text/html; charset=utf-8")))
    assert isinstance(found, ProtocolViolation)
    assert str(found) == "snapshot: the camera answers with text/html, not a picture"
    assert notebook.identities == []


async def test_what_a_camera_calls_its_answer_is_not_repeated_if_it_is_not_plain() -> None:
    found, _, _ = await failure(Answers(ok(b"<html>", kind="text/\x1b[31mred")))
    assert "\x1b" not in str(found)


async def test_a_length_that_is_too_small_spoils_that_picture_and_no_other() -> None:
    more = ok(jpeg("one"), length=20)  # the rest of it comes behind its end
    server = Answers(ok(jpeg("first")), more, ok(jpeg("two")))
    async with in_session(FrameCamera, server, read=False, shots=2, apart_ms=500) as (driver, bench):
        await until(lambda: bench.notebook.identities)
        await driver.perform(TakePicture())
        await until(lambda: len(bench.notebook.of(PictureTaken)) == 2)
    assert server.links == 2, "what came behind the end is not taken for an answer"


async def test_a_camera_that_does_not_stop_sending_is_hung_up_on() -> None:
    async def chatter(link: Link) -> None:
        await asked(link)
        await link.write(ok(jpeg()))
        while True:
            await asyncio.sleep(0.01)
            await link.write(bytes(1000))

    found, after_s, notebook = await failure(chatter)
    assert isinstance(found, LinkLost)
    assert str(found) == "snapshot: the camera does not stop sending"
    assert after_s < 5.0
    assert len(notebook.doubts) < 100


async def test_a_camera_that_hangs_up_after_each_picture_leaves_nothing_behind() -> None:
    opened, held = 0, 0

    async def once(link: Link) -> None:
        await asked(link)
        await link.write(ok(jpeg()).replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"))
        await link.close()

    net = MemoryNet()
    net.listen("device", once)
    links = LinkOpener(memory=net).for_device("dev")

    class Counted:
        @asynccontextmanager
        async def open(self, *arguments: Any, **settings: Any) -> AsyncIterator[Link]:
            nonlocal opened, held
            opened, held = opened + 1, held + 1
            async with links.open(*arguments, **settings) as link:
                yield link
            held -= 1

    config = FrameConfig.model_validate({"id": "dev", "url": "mem://device", "read": False, "every_s": 1.0, "shots": 1})
    async with session_of(FrameCamera(config, Counted()), Notebook()) as bench:
        await until(lambda: bench.notebook.identities)
        await asyncio.sleep(100.0)
        assert opened > 90
        assert held == 1
    assert held == 0
    await net.unlisten_and_wait("device")


# --- pictures --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def reading(
    monkeypatch: pytest.MonkeyPatch, *bodies: bytes, **settings: Any
) -> AsyncIterator[tuple[FrameCamera, Bench, Reader]]:
    """A camera that gives these pictures, the first one for its own sake, and a reader of plates."""
    reader = Reader(lambda _: READING)
    monkeypatch.setattr(lpr_frames, "PlateReader", reader)
    server = Answers(ok(jpeg("first")), *(ok(body) for body in bodies))
    async with in_session(FrameCamera, server, apart_ms=20, shots=len(bodies), **settings) as (driver, bench):
        assert isinstance(driver, FrameCamera)
        await until(lambda: bench.notebook.identities)
        yield driver, bench, reader


HUGE = jpeg().replace(struct.pack(">HH", 16, 16), struct.pack(">HH", 60_000, 60_000), 1)
TRUNCATED = jpeg("cut")[:-2]


async def test_what_is_no_picture_is_dropped_and_told_until_one_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    async with reading(monkeypatch, b"<html>busy</html>", b"", jpeg("good")) as (driver, bench, reader):
        await driver.perform(TakePicture())
        await until(lambda: bench.notebook.of(PlateRead))
    assert reader.asked[0][0] == (jpeg("good"),)
    assert [(fault.code, fault.detail, fault.active) for fault in bench.notebook.of(DeviceFault)] == [
        ("not_a_picture", "what the camera sent: not a JPEG, PNG, BMP or WebP picture", True),
        ("not_a_picture", "pictures come again", False),
    ]


async def test_a_burst_without_one_picture_is_a_vehicle_that_was_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    async with reading(monkeypatch, b"no", b"no") as (driver, bench, reader):
        await driver.perform(TakePicture())
        await until(lambda: bench.notebook.of(PlateUnread))
    assert [(one.why, one.picture) for one in bench.notebook.of(PlateUnread)] == [("no picture has come", "")]
    assert reader.asked == []


async def test_one_picture_cut_short_does_not_spoil_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async with reading(monkeypatch, TRUNCATED, jpeg("one"), jpeg("two")) as (driver, bench, reader):
        await driver.perform(TakePicture())
        await until(lambda: bench.notebook.of(PlateRead))
    assert reader.asked[0][0] == (jpeg("one"), jpeg("two"))
    (read,), (taken,) = bench.notebook.of(PlateRead), bench.notebook.of(PictureTaken)
    assert taken.picture, "also what is cut short shows something, and is kept"
    assert read.picture != taken.picture
    assert bench.notebook.of(DeviceFault) == []


@pytest.mark.parametrize(("picture", "why"), [(TRUNCATED, "truncated"), (HUGE, "more than 50 million")])
async def test_pictures_that_nobody_should_decode_are_kept_and_not_read(
    monkeypatch: pytest.MonkeyPatch, picture: bytes, why: str
) -> None:
    async with reading(monkeypatch, picture, picture) as (driver, bench, reader):
        await driver.perform(TakePicture())
        await until(lambda: bench.notebook.of(PlateUnread))
    (unread,) = bench.notebook.of(PlateUnread)
    assert why in unread.why
    assert unread.picture == bench.notebook.of(PictureTaken)[0].picture
    assert unread.afterwards
    assert reader.asked == []


# --- folders ---------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def watched(
    folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any
) -> AsyncIterator[tuple[Bench, Reader]]:
    reader = Reader(lambda _: READING)
    monkeypatch.setattr(lpr_frames, "PlateReader", reader)
    known = {"id": "cam", "url": f"local://{folder}", "source": "folder", "apart_ms": 20, "shots": 1, **settings}
    driver = FrameCamera(FrameConfig.model_validate(known), LinkOpener(memory=MemoryNet()).for_device("cam"))
    async with session_of(driver, Notebook()) as bench:
        await until(lambda: bench.notebook.identities)
        await asyncio.sleep(0.1)
        yield bench, reader


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"{}", "not a JPEG, PNG, BMP or WebP picture"),
        (b"", "it is empty"),
        (b"\xff\xd8" + bytes(16 << 20), "the file is larger than 16 MiB"),
    ],
)
async def test_a_file_that_is_no_picture_is_told_by_its_name_and_the_next_one_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, why: str
) -> None:
    async with watched(tmp_path, monkeypatch) as (bench, reader):
        (tmp_path / "gate 3.json").write_bytes(content)
        await until(lambda: bench.notebook.of(DeviceFault))
        (tmp_path / "next.jpg").write_bytes(jpeg("next"))
        await until(lambda: bench.notebook.of(PlateRead))
    first, second = bench.notebook.of(DeviceFault)
    assert (first.code, first.detail, first.active) == ("not_a_picture", f"gate 3.json: {why}", True)
    assert (second.code, second.active) == ("not_a_picture", False)
    assert [pictures for pictures, _ in reader.asked] == [(jpeg("next"),)]


async def test_a_file_that_may_not_be_read_is_told_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_bytes

    def refused(path: Path) -> bytes:  # as the system does; root would be let through
        if path.name == "secret.jpg":
            raise PermissionError(errno.EACCES, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    async with watched(tmp_path, monkeypatch) as (bench, _):
        (tmp_path / "secret.jpg").write_bytes(jpeg())
        await until(lambda: bench.notebook.of(DeviceFault))
    assert bench.notebook.of(DeviceFault)[0].detail == "secret.jpg: Permission denied"


async def test_files_that_go_while_they_are_counted_make_no_old_one_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old.jpg").write_bytes(jpeg("old"))
    async with watched(tmp_path, monkeypatch) as (bench, reader):
        os.rename(tmp_path, moved := tmp_path.with_name("away"))  # noqa: PTH104  back at once, as a mount would be
        await asyncio.sleep(0.1)
        os.rename(moved, tmp_path)  # noqa: PTH104
        (tmp_path / "dangling.jpg").symlink_to(tmp_path / "nothing")
        await asyncio.sleep(0.2)
        (tmp_path / "new.jpg").write_bytes(jpeg("new"))
        await until(lambda: bench.notebook.of(PlateRead))
    assert [pictures for pictures, _ in reader.asked] == [(jpeg("new"),)]


async def test_a_folder_that_is_gone_for_good_ends_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    async with watched(folder, monkeypatch) as (bench, _):
        folder.rmdir()
        found = innermost(await bench.failure())
    assert isinstance(found, LinkLost)
    assert str(found) == "look: the folder is not there"


async def test_a_pipe_in_the_folder_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched(tmp_path, monkeypatch) as (bench, reader):
        os.mkfifo(tmp_path / "a.jpg")
        await asyncio.sleep(0.2)
        (tmp_path / "b.jpg").write_bytes(jpeg("b"))
        await until(lambda: bench.notebook.of(PlateRead))
    assert [pictures for pictures, _ in reader.asked] == [(jpeg("b"),)]
