"""The store of pictures: whole or not there, within its quota, and loud once when the disk fails."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lanecontrol.announcements import EvidenceStored
from lanecontrol.backing import HASHED_AT_ONCE, PICTURE_LIMIT
from lanecontrol.clock import Instant
from lanecontrol.errors import StorageUnavailable
from lanecontrol.evidence.files import EvidenceFull, EvidenceLimits, PictureFiles, Size, measure
from lanecontrol.evidence.store import EvidenceStore
from lanecontrol.sealing import NO_KEY, Sealer

NOON_S = 1_767_974_400.0
DAY_S = 86400.0
LIMITS = EvidenceLimits(spare_bytes=0, retry_s=0.02, full_retry_s=0.02)


class TurnedClock:
    """A clock that stands until it is turned."""

    utc_s = NOON_S

    def now(self) -> Instant:
        return Instant(0.0, self.utc_s)


class Bench:
    """A store, and what it told."""

    def __init__(self, folder: Path, limits: EvidenceLimits, **options: Any) -> None:
        self.folder = folder
        self.clock = TurnedClock()
        self.stored: list[EvidenceStored] = []
        self.troubles: list[str] = []
        self.store = EvidenceStore(
            folder,
            limits,
            clock=self.clock,
            stored=self.stored.append,
            trouble=self.troubles.append,
            **options,
        )

    async def keep(self, picture: bytes, media_type: str = "image/jpeg") -> str:
        return await self.store.keep("lpr1", picture, media_type)

    async def on_disk(self) -> None:
        async with asyncio.timeout(10):
            await self.store.settled()


OpenBench = Callable[..., Awaitable[Bench]]


@pytest.fixture(params=[False, True], ids=["thread", "inline"])
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenBench]:
    async with AsyncExitStack() as stack:

        async def open_one(limits: EvidenceLimits = LIMITS, **options: Any) -> Bench:
            bench = Bench(tmp_path / "evidence", limits, inline=request.param, **options)
            stack.push_async_callback(bench.store.close)
            return bench

        yield open_one


def reference(picture: bytes) -> str:
    return f"sha256:{hashlib.sha256(picture).hexdigest()}"


def place(folder: Path, picture: bytes) -> Path:
    digest = hashlib.sha256(picture).hexdigest()
    return folder / digest[:2] / digest[2:4] / digest


# --- keeping ---------------------------------------------------------------------------------------------------------


async def test_a_picture_has_its_reference_at_once_and_is_told_of_when_it_is_on_disk(opened: OpenBench) -> None:
    bench = await opened()
    assert await bench.keep(b"a picture") == reference(b"a picture")
    await bench.on_disk()
    assert place(bench.folder, b"a picture").read_bytes() == b"a picture"
    assert bench.stored == [EvidenceStored(reference(b"a picture"), 9, "image/jpeg", "lpr1", NOON_S)]
    assert await bench.store.read(reference(b"a picture")) == b"a picture"


async def test_folders_and_pictures_are_for_this_user_alone(opened: OpenBench) -> None:
    bench = await opened()
    await bench.keep(b"private")
    await bench.on_disk()
    path = place(bench.folder, b"private")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for folder in (path.parent, path.parent.parent, bench.folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_a_picture_that_is_there_already_is_not_written_again_but_stays_longer(opened: OpenBench) -> None:
    bench = await opened()
    await bench.keep(b"twice")
    await bench.on_disk()
    inode = place(bench.folder, b"twice").stat().st_ino
    bench.clock.utc_s += DAY_S
    await bench.keep(b"twice")
    await bench.on_disk()
    assert place(bench.folder, b"twice").stat().st_ino == inode
    assert place(bench.folder, b"twice").stat().st_mtime == NOON_S + DAY_S
    assert len(bench.stored) == 1


async def test_nothing_and_too_much_have_no_reference(opened: OpenBench) -> None:
    bench = await opened()
    assert await bench.keep(b"") == ""
    assert bench.troubles == []
    assert await bench.keep(bytes(PICTURE_LIMIT + 1)) == ""
    assert ["16" in why for why in bench.troubles] == [True]


async def test_a_large_picture_is_hashed_without_holding_the_loop(opened: OpenBench) -> None:
    bench = await opened()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    picture = bytes(HASHED_AT_ONCE + 1)
    assert await bench.keep(picture) == reference(picture)
    counting.cancel()
    assert turns > 0
    await bench.on_disk()


@pytest.mark.parametrize("told", ["", "image", "IMAGE/JPEG", "image/jpeg\r\nx: y", "image/" + "x" * 99])
async def test_a_media_type_that_is_none_is_not_passed_on(opened: OpenBench, told: str) -> None:
    bench = await opened()
    await bench.keep(b"what is it", told)
    await bench.on_disk()
    assert bench.stored[0].media_type == "application/octet-stream"


async def test_sealed_pictures_are_not_to_be_read_on_disk_and_open_with_their_key(opened: OpenBench) -> None:
    bench = await opened(sealer=Sealer([b"a secret of the site"]))
    name = await bench.keep(b"face of a driver" * 100)
    await bench.on_disk()
    assert b"face" not in place(bench.folder, b"face of a driver" * 100).read_bytes()
    assert await bench.store.read(name) == b"face of a driver" * 100
    await bench.store.close()
    assert PictureFiles(bench.folder, LIMITS, NO_KEY).read(name.removeprefix("sha256:")) is None


async def test_a_reference_that_is_none_reads_nothing(opened: OpenBench) -> None:
    bench = await opened()
    for name in ("", "sha256:", "../../etc/passwd", "sha256:" + "0" * 64):
        assert await bench.store.read(name) is None


# --- how much --------------------------------------------------------------------------------------------------------


def pictures(folder: Path) -> set[bytes]:
    return {path.read_bytes()[:2] for path in folder.rglob("*") if path.is_file()}


def numbered(number: int, size: int = 1000) -> bytes:
    return f"{number:02d}".encode() + bytes(size - 2)


async def fill(bench: Bench, numbers: range, apart_s: float = 3600.0, size: int = 1000) -> None:
    for number in numbers:
        await bench.keep(numbered(number, size))
        await bench.on_disk()
        bench.clock.utc_s += apart_s


async def test_above_the_quota_the_oldest_go_first(opened: OpenBench) -> None:
    bench = await opened(replace(LIMITS, quota_bytes=100_000, least_s=0.0))
    await fill(bench, range(12), size=10_000)
    assert measure(bench.folder).bytes <= 100_000
    kept = sorted(pictures(bench.folder))
    assert kept == [f"{n:02d}".encode() for n in range(12 - len(kept), 12)]
    assert len(kept) >= 8
    assert bench.troubles == [""]


async def until_told(bench: Bench, number: int) -> str:
    async with asyncio.timeout(10):
        while len(bench.troubles) < number:  # noqa: ASYNC110  told by a callback
            await asyncio.sleep(0.001)
    return bench.troubles[number - 1]


async def test_young_pictures_stay_and_new_ones_are_refused_until_there_is_room(opened: OpenBench) -> None:
    limits = replace(LIMITS, quota_bytes=200_000, least_s=DAY_S)
    bench = await opened(limits)
    await fill(bench, range(100), apart_s=10.0, size=2000)
    assert await bench.keep(numbered(200)), "the store finds out with this one"
    assert "young pictures" in await until_told(bench, 2)
    await bench.on_disk()
    assert bench.store.refused == 1, "nobody waits for what was given up"
    assert await bench.keep(numbered(201)) == ""
    assert bench.store.refused == 2
    bench.clock.utc_s += DAY_S
    assert await until_told(bench, 3) == ""
    assert await bench.keep(numbered(202))
    await bench.on_disk()
    assert (await bench.store.read(reference(numbered(202)))) == numbered(202)


async def test_a_picture_that_is_being_written_while_the_room_runs_out_is_not_given_up(
    tmp_path: Path, disk: Failing
) -> None:
    bench = Bench(tmp_path / "evidence", replace(LIMITS, tidy_every_s=0.01))
    await bench.keep(numbered(1))
    await bench.on_disk()
    disk.hang.clear()
    await bench.keep(numbered(2))
    await bench.keep(numbered(3))
    bench.store._failed(EvidenceFull("tidy", "no room"))
    disk.hang.set()
    await bench.on_disk()
    await asyncio.sleep(0.05)
    assert pictures(bench.folder) == {b"01", b"02"}
    assert bench.store.refused == 1
    assert bench.store.waiting_bytes == 0
    await bench.store.close()


async def test_the_ledgers_room_on_the_disk_is_left_alone(opened: OpenBench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = await opened(replace(LIMITS, spare_bytes=1000, least_s=DAY_S))
    await fill(bench, range(2))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil_usage(free=500))
    await bench.keep(numbered(2))
    assert "left on disk" in await until_told(bench, 2)
    monkeypatch.undo()
    assert await until_told(bench, 3) == ""


def shutil_usage(free: int) -> Any:
    return SimpleNamespace(total=10**9, used=10**9 - free, free=free)


async def test_pictures_go_when_they_are_too_old(opened: OpenBench) -> None:
    bench = await opened(replace(LIMITS, keep_s=10 * DAY_S, tidy_every_s=0.01))
    await fill(bench, range(4), apart_s=5 * DAY_S)
    async with asyncio.timeout(10):
        while len(pictures(bench.folder)) > 2:  # noqa: ASYNC110  nobody tells of it
            await asyncio.sleep(0.005)
    assert pictures(bench.folder) == {b"02", b"03"}


async def test_what_a_crash_left_unfinished_is_thrown_away_at_the_next_start(opened: OpenBench) -> None:
    bench = await opened()
    await bench.keep(b"whole")
    await bench.on_disk()
    await bench.store.close()
    (bench.folder / "unfinished" / ("f" * 64)).write_bytes(b"hal")
    bench = await opened()
    await bench.keep(b"next")
    await bench.on_disk()
    assert pictures(bench.folder) == {b"wh", b"ne"}
    assert measure(bench.folder) == Size(2, 9, NOON_S)


def test_nothing_is_measured_where_nothing_is(tmp_path: Path) -> None:
    assert measure(tmp_path / "absent") == Size(0, 0, None)


# --- a disk that fails -----------------------------------------------------------------------------------------------


class Failing:
    """Makes syncing fail while `why` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.why = 0
        self.hang = threading.Event()
        self.hang.set()
        sync = os.fsync

        def failing(handle: int) -> None:
            self.hang.wait(10)
            if self.why:
                raise OSError(self.why, os.strerror(self.why))
            sync(handle)

        monkeypatch.setattr(os, "fsync", failing)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Failing:
    return Failing(monkeypatch)


@pytest.mark.parametrize("why", [errno.ENOSPC, errno.EIO])
async def test_a_failing_disk_is_told_once_and_again_when_it_is_good(
    opened: OpenBench, disk: Failing, why: int
) -> None:
    bench = await opened()
    await bench.keep(b"before")
    await bench.on_disk()
    disk.why = why
    names = [await bench.keep(numbered(n)) for n in range(5)]
    await asyncio.sleep(0.2)  # several attempts
    assert all(names)
    assert bench.troubles == ["", os.strerror(why)]
    assert pictures(bench.folder) == {b"be"}
    disk.why = 0
    await bench.on_disk()
    assert bench.troubles == ["", os.strerror(why), ""]
    assert [told.reference for told in bench.stored[1:]] == names
    assert list((bench.folder / "unfinished").iterdir()) == []


async def test_what_waits_for_the_disk_is_bounded(opened: OpenBench, disk: Failing) -> None:
    bench = await opened(replace(LIMITS, queue_bytes=3_500))
    disk.why = errno.EIO
    names = [await bench.keep(numbered(n)) for n in range(5)]
    assert [bool(name) for name in names] == [True, True, True, False, False]
    assert bench.store.waiting_bytes == 3_000
    assert bench.store.refused == 2
    disk.why = 0
    await bench.on_disk()
    assert bench.store.waiting_bytes == 0
    assert bench.troubles[-1] == ""


async def test_a_disk_that_cannot_even_be_opened_is_told_and_waited_for(opened: OpenBench, tmp_path: Path) -> None:
    (tmp_path / "evidence").write_bytes(b"in the way")
    bench = await opened()
    await bench.keep(b"later")
    await asyncio.sleep(0.05)
    assert bench.troubles and bench.troubles[0]
    (tmp_path / "evidence").unlink()
    await bench.on_disk()
    assert bench.troubles[-1] == ""


async def test_closing_brings_what_waits_to_disk(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "evidence", LIMITS)
    for n in range(20):
        await bench.keep(numbered(n))
    await bench.store.close()
    assert len(bench.stored) == 20
    assert await bench.keep(b"too late") == ""
    await bench.store.close()


async def test_closing_does_not_wait_for_a_disk_that_hangs(tmp_path: Path, disk: Failing) -> None:
    bench = Bench(tmp_path / "evidence", replace(LIMITS, close_s=0.05))
    disk.hang.clear()
    await bench.keep(b"never there")
    await bench.store.close()
    assert bench.stored == []
    disk.hang.set()


def test_full_is_a_kind_of_unavailable() -> None:
    assert issubclass(EvidenceFull, StorageUnavailable)


# --- killed ----------------------------------------------------------------------------------------------------------

_WRITER = """
import sys
from pathlib import Path
from lanecontrol.evidence.files import EvidenceLimits, PictureFiles
from lanecontrol.sealing import NO_KEY
import hashlib
files = PictureFiles(Path(sys.argv[1]), EvidenceLimits(spare_bytes=0), NO_KEY)
for number in range(10**6):
    picture = number.to_bytes(8, "big") * 4096
    files.write(hashlib.sha256(picture).hexdigest(), picture, 1.0)
    print(number, flush=True)
"""


@pytest.mark.slow
def test_after_a_kill_every_picture_that_was_told_is_whole_and_nothing_is_left_half_done(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    told = 0
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(folder)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            for _ in range(10):
                told = max(told, int(writer.stdout.readline()))
            writer.send_signal(signal.SIGKILL)
    PictureFiles(folder, LIMITS, NO_KEY).tidy(1.0)
    for number in range(told + 1):
        picture = number.to_bytes(8, "big") * 4096
        assert place(folder, picture).read_bytes() == picture
    for path in folder.rglob("*"):
        assert path.is_dir() or hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    assert list((folder / "unfinished").iterdir()) == []
