"""A camera's push through a whole lane: spooled, settled, its picture on disk, and what happens when the disk fails."""

from __future__ import annotations

import asyncio
import hashlib
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from app_bench import Bench, full_disk

from lanecontrol.announcements import Announcement, DeviceFaultChanged, EvidenceStored, PlateSighted
from lanecontrol.evidence.files import measure
from lanecontrol.links import LinkOpener
from lanecontrol.port.payloads import parse_event
from sim.fake import load as load_fake
from sim.readings import PlateView


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, camera=True)


@asynccontextmanager
async def camera(bench: Bench) -> AsyncIterator[Any]:
    """The camera, switched on."""
    kind = load_fake("lpr.axis")
    settings = {"kind": "lpr.axis", "images": ["plate"], "picture_bytes": 2000, "heartbeat_s": 2.0, "reconnect_s": 0.2}
    fake = kind(kind.Config.model_validate(settings), bench.deeds.append)
    opener = LinkOpener(bench.net)
    fake.utc_at_zero_s = time.time() - asyncio.get_running_loop().time()
    dialling = asyncio.get_running_loop().create_task(fake.dial(lambda: opener.open("mem://lpr1")))
    try:
        yield fake
    finally:
        dialling.cancel()
        with suppress(asyncio.CancelledError):
            await dialling


def seen(number: int) -> PlateView:
    return PlateView(f"ABC{number:04d}", 0.9, "US-AZ", f"car-{number}", "", f"ABC{number:04d}", number)


class Store:
    """What the lane has on disk."""

    def __init__(self, bench: Bench) -> None:
        self.path = bench.loaded.store.path
        self._bench = bench

    @property
    def spooled(self) -> int:
        """Pushes that wait for the ledger."""
        return sum(path.is_file() for path in (self.path / "spool" / "lpr1").rglob("*"))

    @property
    def pictures(self) -> int:
        return measure(self.path / "evidence").pictures

    async def told(self) -> list[Announcement]:
        found = []
        async for row in self._bench.lane._ledger.export():
            event = parse_event(row.body or b"")
            if event is not None and (announcement := event.announcement()) is not None:
                found.append(announcement)
        return found

    async def until_told(self, kind: type[Any], count: int = 1) -> list[Any]:
        async with asyncio.timeout(20):
            while True:
                found = [one for one in await self.told() if isinstance(one, kind)]
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.02)


@asynccontextmanager
async def at_work(bench: Bench) -> AsyncIterator[tuple[Any, Store]]:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(bench.served())
        fake = await stack.enter_async_context(camera(bench))
        await bench.at_work()
        await bench.until(lambda: "online" in {d.state for d in bench.lane.snapshot().devices if d.device == "lpr1"})
        yield fake, Store(bench)


async def test_a_push_is_read_its_picture_kept_and_the_spool_empty_in_the_end(bench: Bench) -> None:
    async with at_work(bench) as (fake, store):
        fake.sense(seen(1))
        (plate, *_), (stored, *_) = await store.until_told(PlateSighted), await store.until_told(EvidenceStored)
        assert plate.text.clear == "ABC0001"
        assert plate.picture == stored.reference
        assert (stored.device, stored.media_type) == ("lpr1", "image/jpeg")
        digest = stored.reference.removeprefix("sha256:")
        on_disk = (store.path / "evidence" / digest[:2] / digest[2:4] / digest).read_bytes()
        assert hashlib.sha256(on_disk).hexdigest() == digest
        assert len(on_disk) == stored.size_bytes
        await bench.until(lambda: store.spooled == 0)


async def test_the_spool_is_a_folder_of_the_device_for_this_user_alone(bench: Bench) -> None:
    async with at_work(bench) as (_, store):
        for folder in (store.path / "spool", store.path / "spool" / "lpr1"):
            assert folder.stat().st_mode & 0o777 == 0o700


async def test_while_the_ledger_is_out_of_order_the_spool_keeps_what_was_pushed(bench: Bench) -> None:
    async with at_work(bench) as (fake, store):
        fake.sense(seen(1))
        await store.until_told(PlateSighted)
        await bench.until(lambda: store.spooled == 0)
        bench.disk.fails = full_disk()
        fake.sense(seen(2))
        await bench.until(lambda: store.spooled > 0)
        await asyncio.sleep(1.0)
        assert store.spooled > 0
        bench.disk.fails = None
        await bench.until(lambda: store.spooled == 0, limit_s=30.0)
        assert {one.text.clear for one in await store.until_told(PlateSighted, 2)} == {"ABC0001", "ABC0002"}


async def test_pictures_that_cannot_be_kept_are_told_once_and_the_lane_goes_on(bench: Bench) -> None:
    bench.lane.loaded = replace(bench.loaded, evidence=replace(bench.loaded.evidence, retry_s=0.1))
    in_the_way = bench.loaded.store.path / "evidence"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_bytes(b"")
    async with at_work(bench) as (fake, store):
        (fault,) = await store.until_told(DeviceFaultChanged)
        assert (fault.device, fault.code, fault.active) == ("evidence", "pictures_not_kept", True)
        fake.sense(seen(1))
        (plate, *_) = await store.until_told(PlateSighted)
        assert plate.picture
        await bench.vehicle_at_booth()
        in_the_way.unlink()
        _, good = await store.until_told(DeviceFaultChanged, 2)
        assert not good.active
        (stored, *_) = await store.until_told(EvidenceStored)
        assert stored.reference == plate.picture


async def test_stopping_brings_the_last_picture_to_disk(bench: Bench) -> None:
    async with at_work(bench) as (fake, store):
        fake.sense(seen(1))
        await store.until_told(PlateSighted)
        bench.stop.set()
        async with asyncio.timeout(10):
            while bench.net.connections("lpr1"):  # noqa: ASYNC110  nobody tells of it
                await asyncio.sleep(0.01)
        await bench.until(lambda: store.pictures == 1)
