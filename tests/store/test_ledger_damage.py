"""Stores that were damaged while nobody looked: the ledger opens, keeps what can be proven, and says what is gone."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lanecontrol.errors import StorageFatal
from lanecontrol.ledger import Loss
from lanecontrol.ledger.database import PAGE_BYTES


def overwrite(path: Path, start: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(content)


def flip_a_bit(path: Path, at: int, bit: int = 3) -> None:
    content = path.read_bytes()
    overwrite(path, at, bytes([content[at] ^ 1 << bit]))


def flip_in_body(path: Path, seq: int) -> None:
    flip_a_bit(path, path.read_bytes().index(b"1-%d ....." % seq) + 100)


def flip_in_head(path: Path, seq: int) -> None:
    content = path.read_bytes()
    flip_a_bit(path, content.rindex(b"passage.opened", 0, content.index(b"1-%d ....." % seq)))


def removed(path: Path) -> None:
    path.unlink()


def nuls(path: Path) -> None:
    overwrite(path, 0, bytes(path.stat().st_size))


def nul_header(path: Path) -> None:
    overwrite(path, 0, bytes(100))


def nul_first_pages(path: Path) -> None:
    overwrite(path, 0, bytes(2 * PAGE_BYTES))


def truncated(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 // PAGE_BYTES * PAGE_BYTES)


def cut_mid_page(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 2 // 3 + 17)


def emptied(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(0)


def replaced_by_text(path: Path) -> None:
    path.write_bytes(b"this is not a database\n" * 500)


def bit_per_page(path: Path) -> None:
    rng = random.Random(5)
    for page in range(0, path.stat().st_size, PAGE_BYTES):
        flip_a_bit(path, page + rng.randrange(PAGE_BYTES), rng.randrange(8))


WHOLE = [nuls, nul_header, nul_first_pages, truncated, cut_mid_page, emptied, replaced_by_text, bit_per_page]


@pytest.mark.parametrize("damage", WHOLE, ids=lambda damage: damage.__name__)
async def test_a_damaged_store_starts_in_a_higher_epoch(
    open_ledger: Any, fill: Any, make: Any, store: Path, damage: Callable[[Path], None]
) -> None:
    await fill(100, delivered=20)
    damage(store)
    ledger = await open_ledger()
    report = ledger.opened
    assert ledger.epoch == 2
    assert ledger.next_seq == 1
    assert report.quarantined == ("ledger.bad-1",)
    assert report.reason
    for row in await ledger.undelivered(limit=1000):
        assert row.body == f"1-{row.seq} ".encode().ljust(700, b".")
        assert row.seq > 20
    await ledger.append(make(ledger, 3))
    assert (await ledger.verify()).good
    assert [(row.epoch, row.seq) for row in (await ledger.undelivered(limit=1000))[-3:]] == [(2, 1), (2, 2), (2, 3)]
    await ledger.close()
    again = await open_ledger()
    assert (again.epoch, again.next_seq, again.opened.quarantined) == (2, 4, ())


@pytest.mark.parametrize("damage", [nul_header, nul_first_pages])
async def test_rows_survive_the_loss_of_header_and_schema(
    open_ledger: Any, fill: Any, store: Path, damage: Callable[[Path], None]
) -> None:
    await fill(100, delivered=20)
    damage(store)
    ledger = await open_ledger()
    assert ledger.opened.salvaged == 100
    assert ledger.opened.lost == ()
    assert [row.seq for row in await ledger.undelivered(limit=1000)] == list(range(21, 101))
    assert await ledger.load_checkpoint() == b"state after 90"


async def test_half_a_store_keeps_its_half(open_ledger: Any, fill: Any, store: Path) -> None:
    await fill(200)
    truncated(store)
    ledger = await open_ledger()
    assert 50 < ledger.opened.salvaged < 150


async def test_one_flipped_bit_per_page_leaves_most_rows(open_ledger: Any, fill: Any, store: Path) -> None:
    await fill(200)
    bit_per_page(store)
    ledger = await open_ledger()
    report = ledger.opened
    kept = report.salvaged - report.bodies_lost
    assert kept > 100
    lost = sum(loss.last_seq - loss.first_seq + 1 for loss in report.lost)
    assert report.salvaged + lost <= 200
    assert len(await ledger.undelivered(limit=1000)) == kept
    assert (await ledger.verify()).good


async def test_a_flipped_bit_in_a_body_costs_that_body_only(open_ledger: Any, fill: Any, store: Path) -> None:
    await fill(100)
    flip_in_body(store, 42)
    ledger = await open_ledger()
    assert (ledger.opened.salvaged, ledger.opened.bodies_lost, ledger.opened.lost) == (100, 1, ())
    assert [row.seq for row in await ledger.undelivered(limit=1000)] == [n for n in range(1, 101) if n != 42]


async def test_a_flipped_bit_in_a_row_s_head_is_declared_as_a_loss(open_ledger: Any, fill: Any, store: Path) -> None:
    await fill(100)
    flip_in_head(store, 42)
    ledger = await open_ledger()
    assert ledger.opened.lost == (Loss(1, 42, 42, "damage"),)
    assert (await ledger.status()).rows == 99
    assert (await ledger.verify()).good


async def test_long_bodies_survive_without_the_schema(open_ledger: Any, fill: Any, store: Path) -> None:
    """They lie on chains of overflow pages."""
    await fill(30, size=20_000)
    nul_first_pages(store)
    ledger = await open_ledger()
    assert ledger.opened.salvaged == 30
    assert ledger.opened.bodies_lost == 0


async def test_rows_still_in_the_log_survive_the_loss_of_the_main_file(
    open_ledger: Any, make: Any, store: Path, tmp_path: Path
) -> None:
    crashed = await _crashed_copy(open_ledger, make, store, tmp_path)
    overwrite(crashed, 0, bytes(crashed.stat().st_size))
    ledger = await open_ledger(path=crashed)
    assert ledger.opened.salvaged == 40
    assert len(await ledger.undelivered(limit=100)) == 40


async def test_a_damaged_log_is_noticed_although_sqlite_just_drops_its_tail(
    open_ledger: Any, make: Any, store: Path, tmp_path: Path
) -> None:
    crashed = await _crashed_copy(open_ledger, make, store, tmp_path)
    log = crashed.with_name("ledger.db-wal")
    flip_a_bit(log, 32 + 24 + 5)  # in the first frame: everything after it would be dropped
    ledger = await open_ledger(path=crashed)
    assert "are gone" in ledger.opened.reason
    assert ledger.epoch == 2
    assert ledger.opened.salvaged >= 39


async def test_a_log_that_vanished_is_noticed(open_ledger: Any, make: Any, store: Path, tmp_path: Path) -> None:
    crashed = await _crashed_copy(open_ledger, make, store, tmp_path)
    crashed.with_name("ledger.db-wal").unlink()
    ledger = await open_ledger(path=crashed)
    assert "records 1 to 40 of epoch 1 are gone" in ledger.opened.reason
    assert ledger.epoch == 2


async def _crashed_copy(open_ledger: Any, make: Any, store: Path, tmp_path: Path) -> Path:
    """The files as a killed process leaves them: rows in the log only."""
    ledger = await open_ledger()
    for _ in range(40):
        await ledger.append(make(ledger, 1, 700))
    copy = tmp_path / "crashed"
    shutil.copytree(store.parent, copy)
    copy.joinpath("ledger.db-shm").unlink()
    return copy / store.name


async def test_what_a_killed_process_left_in_the_log_is_simply_there(
    open_ledger: Any, make: Any, store: Path, tmp_path: Path
) -> None:
    crashed = await _crashed_copy(open_ledger, make, store, tmp_path)
    ledger = await open_ledger(path=crashed)
    assert (ledger.epoch, ledger.next_seq, ledger.opened.quarantined) == (1, 41, ())


@pytest.mark.parametrize("lost", ["ledger.db*", "ledger.[dh]*", "ledger.[de]*"])
async def test_a_lost_store_never_uses_an_epoch_again(open_ledger: Any, store: Path, lost: str) -> None:
    """Whichever of the small files is lost with it."""
    for generation in (1, 2, 3):
        ledger = await open_ledger()
        assert ledger.opened.created
        assert ledger.epoch == generation
        await ledger.close()
        for file in store.parent.glob(lost):
            removed(file)


async def test_an_older_copy_of_the_store_is_not_taken_for_the_present_one(
    open_ledger: Any, fill: Any, store: Path, tmp_path: Path
) -> None:
    await fill(20)
    shutil.copy(store, tmp_path / "backup")
    await fill(20)
    shutil.copy(tmp_path / "backup", store)
    ledger = await open_ledger()
    assert ledger.opened.reason == "records 21 to 40 of epoch 1 are gone"
    assert (ledger.epoch, ledger.opened.salvaged) == (2, 20)


async def test_a_copy_from_an_earlier_epoch_is_recognised(
    open_ledger: Any, fill: Any, store: Path, tmp_path: Path
) -> None:
    await fill(20)
    shutil.copy(store, tmp_path / "backup")
    removed(store)
    await fill(5)
    shutil.copy(tmp_path / "backup", store)
    ledger = await open_ledger()
    assert "older copy" in ledger.opened.reason
    assert ledger.epoch == 3


async def test_damage_twice_keeps_what_was_salvaged_the_first_time(
    open_ledger: Any, fill: Any, make: Any, store: Path
) -> None:
    await fill(30, delivered=10)
    nul_header(store)
    ledger = await open_ledger()
    await ledger.append(make(ledger, 5, 700))
    await ledger.close()
    nul_header(store)
    ledger = await open_ledger()
    assert ledger.epoch == 3
    assert [(row.epoch, row.seq) for row in await ledger.undelivered(limit=100)] == [
        *((1, seq) for seq in range(11, 31)),
        *((2, seq) for seq in range(1, 6)),
    ]
    assert (await ledger.verify()).good


@pytest.mark.parametrize("name", ["ledger.epoch", "ledger.head"])
@pytest.mark.parametrize("content", [b"", b"\0" * 96, b"9999999999999999999999 00000000\n", b"7 deadbeef\n", b"\xff"])
async def test_a_damaged_side_file_alone_does_no_harm(
    open_ledger: Any, fill: Any, store: Path, name: str, content: bytes
) -> None:
    await fill(10)
    store.with_name(name).write_bytes(content)
    ledger = await open_ledger()
    assert (ledger.epoch, ledger.next_seq, ledger.opened.quarantined) == (1, 11, ())
    await ledger.close()
    assert store.with_name(name).read_bytes() != content


async def test_a_store_of_a_newer_version_is_left_alone(open_ledger: Any, fill: Any, store: Path) -> None:
    await fill(3)
    other = sqlite3.connect(store)
    other.execute("PRAGMA user_version=99")
    other.close()
    with pytest.raises(StorageFatal, match="version 99"):
        await open_ledger()
    assert not list(store.parent.glob("ledger.bad-*"))


async def test_files_are_for_their_owner_only(open_ledger: Any, fill: Any, store: Path) -> None:
    await fill(3)
    nul_header(store)
    await open_ledger()
    files = [file for file in store.parent.rglob("*") if file.is_file()]
    assert len(files) > 5
    assert {file.stat().st_mode & 0o077 for file in files} == {0}
