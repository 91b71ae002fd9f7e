"""The daemon and a store that was damaged, or fails: it comes up or goes on, says so, and delivers what can be proven.

The daemon is a process as in service; its devices are away, which does not matter here. Events from before the damage
wait in the store, since the broker was away then.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from served_lane import ADDRESS, COMES_UP_S, DEVICES, write_lane_file
from two_processes import hearing, started
from whole_system import LANECONTROL

from lanecontrol.announcements import OrderRejected
from lanecontrol.clock import Instant
from lanecontrol.ledger import Entry, Ledger
from lanecontrol.ledger.database import PAGE_BYTES
from lanecontrol.links import serve_tcp
from lanecontrol.port.payloads import event_bytes
from sim.broker import MemoryBroker

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from _brokers import free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="disks and signals of Linux"),
]

WAITING = 300
NOWHERE = "tcp://127.0.0.1:1"


def body(epoch: int, seq: int) -> bytes:
    """An event as the daemon records it, of a usual size."""
    told = OrderRejected("topic", "." * 700, "", None, 0.0)
    return event_bytes(told, epoch=epoch, seq=seq, instant=Instant(0.0, 1.8e9), source_lane=ADDRESS)


class Site:
    """A lane's files, and what its broker's subscriber has heard."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        urls = dict.fromkeys(DEVICES, NOWHERE)
        self.lane_file = write_lane_file(folder, urls, f"mqtt://127.0.0.1:{self.port}")
        self.log = folder / "daemon.log"
        self.store = folder / "store" / "ledger.db"
        self.arrived: list[bytes] = []

    @asynccontextmanager
    async def broker(self) -> AsyncIterator[None]:
        async with (
            serve_tcp("127.0.0.1", self.port, MemoryBroker().serve),
            hearing(f"mqtt://127.0.0.1:{self.port}", self.arrived),
        ):
            yield

    @asynccontextmanager
    async def daemon(self, *prefix: str) -> AsyncIterator[Process]:
        with self.log.open("ab") as out:
            async with started(*prefix, *LANECONTROL, "run", str(self.lane_file), stdout=out, stderr=out) as process:
                yield process

    async def until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(COMES_UP_S):
            while not what():  # noqa: ASYNC110 - a file and a subscriber give no event
                await asyncio.sleep(0.05)

    def said(self, words: str) -> bool:
        return self.log.exists() and words in self.log.read_text(encoding="utf-8", errors="replace")

    def heard(self, kind: str) -> list[dict[str, Any]]:
        return [e for e in map(json.loads, self.arrived) if e["type"] == f"lanecontrol.{kind}.v1"]

    def heard_seqs(self, epoch: int = 1) -> set[int]:
        return {e["seq"] for e in self.heard("order_rejected") if e["epoch"] == epoch}

    @property
    def all_as_recorded(self) -> bool:
        return {raw for raw in self.arrived if b"order_rejected" in raw} <= {body(1, n) for n in range(1, 1000)}

    async def fill(self) -> set[int]:
        """Confirmed events that nobody has received yet; their numbers."""
        async with await Ledger.open(self.store) as ledger:
            first = ledger.next_seq
            for start in range(first, first + WAITING, 50):
                seqs = range(start, start + 50)
                await ledger.append([Entry(n, "passage", "test", 1.8e9, body(ledger.epoch, n)) for n in seqs])
        return set(range(first, first + WAITING))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def nuls(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def one_bit_per_page(path: Path) -> None:
    rng, content = random.Random(5), bytearray(path.read_bytes())
    for page in range(0, len(content), PAGE_BYTES):
        content[page + rng.randrange(PAGE_BYTES)] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "least"), [(nuls, 0), (emptied, 0), (truncated, WAITING // 4), (one_bit_per_page, WAITING // 2)]
)
async def test_a_damaged_store_is_moved_aside_said_and_what_can_be_proven_is_delivered(
    site: Site, damage: Callable[[Path], None], least: int
) -> None:
    waiting = await site.fill()
    damage(site.store)
    async with site.broker(), site.daemon() as daemon:
        await site.until(lambda: len(site.heard("store_salvaged")) == 1 and len(site.heard("lane_started")) == 1)
        await site.until(lambda: len(site.heard_seqs()) >= site.heard("store_salvaged")[0]["data"]["salvaged"] // 2)
        assert daemon.returncode is None
        daemon.send_signal(signal.SIGTERM)
        assert await daemon.wait() == 0
    assert site.said("store quarantined")
    assert list(site.store.parent.glob("ledger.bad-*"))
    assert {event["epoch"] for event in site.heard("lane_started")} == {2}
    assert least <= len(site.heard_seqs()) <= len(waiting)
    assert site.all_as_recorded


async def test_damage_while_running_ends_the_daemon_and_the_next_start_delivers_the_rest(site: Site) -> None:
    """systemd starts it again; no event recorded before the damage and still provable is lost."""
    waiting = await site.fill()
    async with site.daemon() as daemon:
        await site.until(lambda: site.said("ready") or site.said("device"))
        daemon.kill()
        await daemon.wait()
    one_bit_per_page(site.store)
    async with site.broker(), site.daemon() as daemon:
        await site.until(lambda: len(site.heard_seqs()) > WAITING // 2)
        assert daemon.returncode is None
    assert site.heard_seqs() <= waiting


# --- disks that fail -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "when"),
    [("fdatasync", "EIO", 1), ("fdatasync", "EIO", 4), ("pwrite64", "ENOSPC", 60), ("pwrite64", "EROFS", 60)],
)
async def test_a_disk_that_fails_is_said_and_what_was_confirmed_before_is_delivered(
    site: Site, strace: str, call: str, error: str, when: int
) -> None:
    """From that call on the disk refuses, for good: nothing more is granted, but the backlog goes out."""
    waiting = await site.fill()
    refusing = [strace, "-f", "-qq", "-o", os.devnull, f"--trace={call}", f"--inject={call}:error={error}:when={when}+"]
    async with site.broker(), site.daemon(*refusing) as daemon:
        await site.until(lambda: site.heard_seqs() == waiting)
        await site.until(lambda: site.said('"writable": false'))
        assert daemon.returncode is None
    assert site.all_as_recorded


def remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


@pytest.mark.parametrize("how", ["full", "read-only"])
async def test_a_full_or_read_only_disk_delivers_its_backlog_and_heals_without_a_restart(
    site: Site, make_disk: Callable[[int], Path], how: str
) -> None:
    small_disk = make_disk(3)
    site.store.parent.symlink_to(small_disk / "store")
    (small_disk / "store").mkdir()
    waiting = await site.fill()
    ballast = small_disk / "ballast"
    if how == "full":
        ballast.write_bytes(bytes(os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize))
    else:
        remount(small_disk, "ro")
    async with site.broker(), site.daemon() as daemon:
        await site.until(lambda: site.heard_seqs() == waiting or site.said("store unavailable"))
        assert daemon.returncode is None
        if how == "full":
            ballast.unlink()
        else:
            remount(small_disk, "rw")
        await site.until(lambda: site.heard_seqs() == waiting and bool(site.heard("lane_started")))
        assert daemon.returncode is None
