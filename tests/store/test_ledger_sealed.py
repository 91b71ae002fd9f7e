"""What is on disk is sealed: nobody reads it without the key, the chain verifies without it, damage is still damage."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanecontrol.errors import StorageFatal
from lanecontrol.ledger import Entry, Ledger
from lanecontrol.ledger.reader import Reader
from lanecontrol.ledger.sidefiles import Paths
from lanecontrol.sealing import MAGIC, NO_KEY, OVERHEAD_BYTES, Sealer

OLD, NEW = b"the store key of last year", b"the store key of this year"
CANARY = b"PLATE7CANARY7"

Open = Callable[..., Awaitable[Ledger]]


def entry_after(ledger: Ledger, body: bytes = CANARY) -> Entry:
    return Entry(ledger.next_seq, "passage", "passage.opened", 1000.0, b"%d %b" % (ledger.next_seq, body))


async def recorded(ledger: Ledger, count: int = 3) -> None:
    for _ in range(count):
        await ledger.append([entry_after(ledger)], b"state with " + CANARY)


def everything_on_disk(store: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(store.parent.rglob("*")) if file.is_file())


async def test_no_byte_of_body_state_or_value_is_on_disk_in_clear(store: Path, open_ledger: Open) -> None:
    ledger = await open_ledger(sealer=Sealer([NEW]))
    await recorded(ledger)
    await ledger.put("note", CANARY)
    assert CANARY not in everything_on_disk(store)
    await ledger.close()
    assert CANARY not in everything_on_disk(store)


async def test_without_a_key_it_is_as_it_was(store: Path, open_ledger: Open) -> None:
    await recorded(await open_ledger())
    assert CANARY in everything_on_disk(store)


async def test_the_key_opens_all_of_it_again(open_ledger: Open) -> None:
    ledger = await open_ledger(sealer=Sealer([NEW]))
    await recorded(ledger)
    await ledger.put("note", b"a value")
    await ledger.close()
    again = await open_ledger(sealer=Sealer([NEW]))
    assert [row.body for row in await again.undelivered()] == [b"%d %b" % (n, CANARY) for n in (1, 2, 3)]
    assert await again.load_checkpoint() == b"state with " + CANARY
    assert await again.get("note") == b"a value"
    assert (await again.verify()).good


async def test_a_rotated_key_seals_what_is_new_and_the_old_one_opens_what_is_old(open_ledger: Open) -> None:
    ledger = await open_ledger(sealer=Sealer([OLD]))
    await recorded(ledger)
    await ledger.close()
    ledger = await open_ledger(sealer=Sealer([NEW, OLD]))
    await recorded(ledger)
    assert [row.seq for row in await ledger.undelivered() if row.body is not None] == [1, 2, 3, 4, 5, 6]
    await ledger.close()
    with pytest.raises(StorageFatal, match="not among the lane's store keys"):
        await open_ledger(sealer=Sealer([OLD]))


async def test_a_key_that_comes_later_leaves_what_was_written_in_clear_readable(open_ledger: Open) -> None:
    ledger = await open_ledger()
    await recorded(ledger)
    await ledger.close()
    assert len(await (await open_ledger(sealer=Sealer([NEW]))).undelivered()) == 3


def main_file(store: Path) -> bytes:
    return store.read_bytes()


async def test_without_its_key_the_store_is_refused_and_left_untouched(store: Path, open_ledger: Open) -> None:
    ledger = await open_ledger(sealer=Sealer([NEW]))
    await recorded(ledger)
    await ledger.close()
    before = main_file(store)
    for wrong in (NO_KEY, Sealer([OLD])):
        with pytest.raises(StorageFatal, match="sealed with a key"):
            await open_ledger(sealer=wrong)
    assert main_file(store) == before
    assert not Paths(store).quarantines()


async def test_the_chain_verifies_without_the_key(store: Path, open_ledger: Open) -> None:
    ledger = await open_ledger(sealer=Sealer([NEW]))
    await recorded(ledger)
    await ledger.erase([(await ledger.undelivered())[0].position])
    await ledger.close()
    with Reader.open(store) as reader:
        verdict = reader.verify()
    assert verdict.good and (verdict.rows, verdict.erased, verdict.sealed) == (3, 1, 2)


async def damaged(store: Path, fill: Callable[..., Awaitable[None]]) -> None:
    """A sealed store whose main file lost its head."""
    await fill(count=50, sealer=Sealer([NEW]))
    with store.open("r+b") as file:
        file.write(bytes(100))


async def test_a_damaged_store_is_salvaged_and_sealed_again(
    store: Path, open_ledger: Open, fill: Callable[..., Awaitable[None]]
) -> None:
    await damaged(store, fill)
    ledger = await open_ledger(sealer=Sealer([NEW]))
    assert ledger.opened.salvaged == 50
    assert len(await ledger.undelivered()) == 50
    assert b"1-40 ..." not in everything_on_disk(store)


async def test_a_damaged_store_without_its_key_waits_for_the_key(
    store: Path, open_ledger: Open, fill: Callable[..., Awaitable[None]]
) -> None:
    await damaged(store, fill)
    with pytest.raises(StorageFatal, match="50 records"):
        await open_ledger()
    assert (await open_ledger(sealer=Sealer([NEW]))).opened.salvaged == 50


async def test_a_body_moved_to_another_row_is_damage(store: Path, open_ledger: Open) -> None:
    import sqlite3

    ledger = await open_ledger(sealer=Sealer([NEW]))
    await recorded(ledger)
    await ledger.close()
    with sqlite3.connect(store) as db:
        db.execute("UPDATE entries SET body = (SELECT body FROM entries WHERE position = 1) WHERE position = 2")
    db.close()
    with Reader.open(store, sealer=Sealer([NEW])) as reader:
        assert str(reader.verify().first_bad) == "record 1-2: its body does not match its digest"


async def test_a_copy_of_the_store_opens_with_the_same_secret_elsewhere(
    store: Path, tmp_path: Path, open_ledger: Open
) -> None:
    ledger = await open_ledger(sealer=Sealer([NEW]))
    await recorded(ledger)
    await ledger.close()
    elsewhere = tmp_path / "copy"
    shutil.copytree(store.parent, elsewhere)
    assert len(await (await open_ledger(path=elsewhere / store.name, sealer=Sealer([NEW]))).undelivered()) == 3


@given(st.binary(max_size=200), st.binary(max_size=20))
def test_what_was_sealed_opens_and_only_in_its_context(plain: bytes, context: bytes) -> None:
    sealer = Sealer([NEW])
    stored = sealer.seal(plain, context)
    assert len(stored) == len(plain) + OVERHEAD_BYTES
    assert sealer.open(stored, context) == plain
    assert sealer.open(stored, context + b"x") == stored
    assert NO_KEY.open(stored, context) is None


@given(st.binary(max_size=60), st.booleans(), st.binary(max_size=8))
def test_opening_whatever_is_stored_never_raises(noise: bytes, ours: bool, context: bytes) -> None:
    stored = MAGIC + bytes.fromhex(Sealer([NEW]).key_id) + noise if ours else noise
    result: Any = Sealer([NEW]).open(stored, context)
    assert result == stored or result is None
