"""The spool: on the disk before it is answered, gone when it is settled, bounded, for its owner only."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from push_bench import JPEG

from drivers.push.spool import Push, Spool, SpoolError, SpoolLocked, pack, unpack
from lanecontrol.sealing import NO_KEY, Sealer

PUSH = Push(JPEG, "image/jpeg", 1_700_000_000.25)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def opened(folder: Path, limit_mib: int = 1, oldest_utc_s: float = 0.0, sealer: Sealer = NO_KEY) -> Spool:
    return await Spool.open(folder, limit_bytes=limit_mib << 20, oldest_utc_s=oldest_utc_s, sealer=sealer)


async def test_a_push_comes_back_from_the_disk_as_it_was(tmp_path: Path) -> None:
    spool = await opened(tmp_path / "lpr1")
    path = await spool.put(PUSH)
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "lpr1").stat().st_mode & 0o777 == 0o700
    assert await spool.get(path) == PUSH
    again = await opened(tmp_path / "lpr1")
    assert again.backlog == (path,)
    await again.drop([path])
    assert (await opened(tmp_path / "lpr1")).backlog == ()


async def test_pushes_come_back_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    paths = [await spool.put(Push(b"x", "", 1_700_000_000.0)) for _ in range(12)]
    assert (await opened(tmp_path)).backlog == tuple(paths)


async def test_a_push_of_a_later_run_does_not_overwrite_one_of_the_same_moment(tmp_path: Path) -> None:
    first = await (await opened(tmp_path)).put(PUSH)
    second = await (await opened(tmp_path)).put(PUSH)
    assert first != second


async def test_half_written_files_are_removed_and_foreign_ones_left(tmp_path: Path) -> None:
    (tmp_path / "1.part").write_bytes(b"half")
    (tmp_path / "notes.txt").write_bytes(b"mine")
    assert (await opened(tmp_path)).backlog == ()
    assert names(tmp_path) == ["notes.txt"]


async def test_what_is_too_old_is_dropped_and_counted(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    await spool.put(Push(b"old", "", 1_600_000_000.0))
    young = await spool.put(PUSH)
    again = await opened(tmp_path, oldest_utc_s=1_650_000_000.0)
    assert again.backlog == (young,)
    assert again.too_old == 1


async def test_a_full_spool_says_so_and_takes_more_when_something_is_settled(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    big = Push(b"x" * 900_000, "", 1.7e9)
    path = await spool.put(big)
    with pytest.raises(SpoolError, match="limit of 1 MiB"):
        await spool.put(big)
    await spool.drop([path])
    await spool.put(big)


async def test_a_disk_that_fails_is_told_in_words(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    spool = await opened(folder)
    folder.rmdir()
    with pytest.raises(SpoolError, match="No such file"):
        await spool.put(PUSH)
    assert spool.size == 0


async def test_a_place_that_cannot_be_a_folder_is_told_and_raises_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    spool = await opened(tmp_path / "file")
    assert spool.trouble
    with pytest.raises(SpoolError):
        await spool.put(PUSH)
    assert await spool.get(tmp_path / "file" / "x.push") is None


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="names of open files are asked of /proc")
async def test_file_and_folder_are_synced_before_a_push_counts_as_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(Path(f"/proc/self/fd/{number}").readlink().name))
    path = await (await opened(tmp_path)).put(PUSH)
    assert synced == [path.with_suffix(".part").name, tmp_path.name]


async def test_several_puts_at_once_are_all_there(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    paths = await asyncio.gather(*(spool.put(PUSH) for _ in range(8)))
    assert names(tmp_path) == sorted(path.name for path in paths)


async def test_a_sealed_push_shows_nothing_and_opens_with_any_of_the_keys(tmp_path: Path) -> None:
    push = Push(b'{"plate": "CANARY7"}', "application/json; plate=CANARY7", 1.7e9)
    path = await (await opened(tmp_path, sealer=Sealer([b"a key of the site"]))).put(push)
    assert b"CANARY" not in path.read_bytes()
    assert b"json" not in path.read_bytes()
    later = await opened(tmp_path, sealer=Sealer([b"a newer key", b"a key of the site"]))
    assert await later.get(path) == push


async def test_a_push_from_before_there_was_a_key_is_read_with_one_too(tmp_path: Path) -> None:
    path = await (await opened(tmp_path)).put(PUSH)
    assert await (await opened(tmp_path, sealer=Sealer([b"a key of the site"]))).get(path) == PUSH


@pytest.mark.parametrize("sealer", [NO_KEY, Sealer([b"another key"])], ids=["no key", "wrong key"])
async def test_a_push_whose_key_is_not_here_is_told_apart_from_damage_and_stays(tmp_path: Path, sealer: Sealer) -> None:
    path = await (await opened(tmp_path, sealer=Sealer([b"a key of the site"]))).put(PUSH)
    with pytest.raises(SpoolLocked):
        await (await opened(tmp_path, sealer=sealer)).get(path)
    assert path.exists()


async def test_a_sealed_push_that_was_damaged_or_renamed_is_unreadable(tmp_path: Path) -> None:
    sealer = Sealer([b"a key of the site"])
    spool = await opened(tmp_path, sealer=sealer)
    path = await spool.put(PUSH)
    other = path.rename(path.with_stem("00000000000000001-000001"))
    assert await spool.get(other) is None
    sealed = other.read_bytes()
    other.write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    assert await spool.get(other.rename(path)) is None


@given(st.binary(max_size=100), st.text(max_size=50), st.floats(0, 4e9))
def test_whatever_is_packed_comes_back(body: bytes, content_type: str, arrived_utc_s: float) -> None:
    push = Push(body, content_type, arrived_utc_s)
    assert unpack(pack(push)) == push


@given(st.binary(max_size=100))
def test_no_bytes_make_unpacking_fail(raw: bytes) -> None:
    unpack(raw)
    unpack(b"lanecontrol-push 1 " + raw + b"\n")
