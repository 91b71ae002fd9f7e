"""A store on another box, or a new one in the place of one that is gone: no number is ever given twice."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lanecontrol.errors import StorageUnavailable
from lanecontrol.ledger import Entry, Ledger
from lanecontrol.ledger.database import Access, connect
from lanecontrol.ledger.sidefiles import Paths, read_epoch, write_epoch


async def write(ledger: Ledger, what: str, count: int = 3) -> None:
    first = ledger.next_seq
    await ledger.append([Entry(first + n, "passage", "Kind", 1.0, f"{what} {n}".encode()) for n in range(count)])


async def bodies(ledger: Ledger) -> list[tuple[int, int, bytes | None]]:
    return [(row.epoch, row.seq, row.body) for row in await ledger.undelivered()]


def copied(store: Path, to: Path) -> Path:
    """Everything beside the store too, as a backup would."""
    shutil.copytree(store.parent, to)
    return to / store.name


async def test_a_copy_on_another_box_numbers_on_in_an_epoch_of_its_own(tmp_path: Path) -> None:
    store = tmp_path / "one" / "ledger.db"
    async with await Ledger.open(store, inline=True, box="one") as ledger:
        await write(ledger, "before")
    copy = copied(store, tmp_path / "two")
    async with await Ledger.open(store, inline=True, box="one") as ledger:
        assert (ledger.epoch, ledger.opened.moved) == (1, False)
        await write(ledger, "at home")
    async with await Ledger.open(copy, inline=True, box="two") as ledger:
        assert (ledger.epoch, ledger.next_seq, ledger.opened.moved) == (2, 1, True)
        await write(ledger, "away")
        assert await bodies(ledger) == [
            *((1, n + 1, b"before %d" % n) for n in range(3)),
            *((2, n + 1, b"away %d" % n) for n in range(3)),
        ]
        assert (await ledger.verify()).good
        assert (await ledger.status()).rows == 6
    async with await Ledger.open(copy, inline=True, box="two") as ledger:
        assert (ledger.epoch, ledger.next_seq, ledger.opened.moved) == (2, 4, False)


async def test_a_store_that_goes_back_and_forth_never_uses_an_epoch_again(tmp_path: Path) -> None:
    store = tmp_path / "s" / "ledger.db"
    for epoch, box in enumerate(("one", "two", "one", "two"), 1):
        async with await Ledger.open(store, inline=True, box=box) as ledger:
            assert ledger.epoch == epoch
            await write(ledger, box)
            assert (await ledger.verify()).good


async def test_a_store_from_before_boxes_were_told_apart_stays_as_it_is(tmp_path: Path) -> None:
    store = tmp_path / "ledger.db"
    async with await Ledger.open(store, inline=True) as ledger:
        await write(ledger, "before")
    for _ in range(2):
        async with await Ledger.open(store, inline=True, box="one") as ledger:
            assert (ledger.epoch, ledger.next_seq, ledger.opened.moved) == (1, 4, False)
    async with await Ledger.open(store, inline=True, box="two") as ledger:
        assert ledger.epoch == 2


async def test_where_nobody_knows_which_box_this_is_nothing_changes(tmp_path: Path) -> None:
    store = tmp_path / "ledger.db"
    for box in ("one", "", "one"):
        async with await Ledger.open(store, inline=True, box=box) as ledger:
            assert ledger.epoch == 1
            await write(ledger, box)


async def test_on_a_disk_that_takes_no_writes_a_moved_store_is_not_numbered_on(tmp_path: Path) -> None:
    store = tmp_path / "ledger.db"
    async with await Ledger.open(store, inline=True, box="one") as ledger:
        await write(ledger, "before")

    def full(path: Path, access: Access):  # type: ignore[no-untyped-def]
        db = connect(path, access)
        if access == "rw":
            db.execute("PRAGMA query_only=ON")
        return db

    with pytest.raises(StorageUnavailable):
        await Ledger.open(store, inline=True, box="two", connect=full)
    async with await Ledger.open(store, inline=True, box="two") as ledger:
        assert ledger.epoch > 1
        await write(ledger, "after")
        assert (await ledger.verify()).good


async def test_a_power_cut_while_the_epoch_is_begun_costs_nothing(tmp_path: Path) -> None:
    """The side file says that the epoch is used, the store does not yet."""
    store = tmp_path / "ledger.db"
    async with await Ledger.open(store, inline=True, box="one") as ledger:
        await write(ledger, "before")
    write_epoch(Paths(store), 2)
    async with await Ledger.open(store, inline=True, box="two") as ledger:
        assert ledger.epoch > 2
        assert [body for _, _, body in await bodies(ledger)] == [b"before 0", b"before 1", b"before 2"]


async def test_a_new_store_in_the_place_of_one_that_is_gone_begins_above_it(tmp_path: Path) -> None:
    """A disk was replaced, and what knew of the epochs is gone too. Minutes go on: who begins later begins higher."""
    epochs = []
    for minute in (500_000, 500_001):
        store = tmp_path / str(minute) / "ledger.db"
        async with await Ledger.open(store, inline=True, first_epoch=minute) as ledger:
            epochs.append(ledger.epoch)
    assert epochs == [500_000, 500_001]


async def test_after_damage_the_next_epoch_is_higher_also_when_the_clock_is_not(tmp_path: Path) -> None:
    store = tmp_path / "ledger.db"
    async with await Ledger.open(store, inline=True, first_epoch=900) as ledger:
        await write(ledger, "before")
    os.truncate(store, 100)
    async with await Ledger.open(store, inline=True, first_epoch=5) as ledger:
        assert ledger.epoch == 901
    assert read_epoch(Paths(store)) == 901
