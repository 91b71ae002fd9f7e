"""Taking apart the raw pages of a store: whatever the bytes, only proven rows come out, and nothing is raised."""

from __future__ import annotations

import asyncio
import tempfile
from functools import cache
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from lanecontrol.ledger import Entry, Ledger
from lanecontrol.ledger.scavenge import scavenge


@cache
def files() -> tuple[bytes, bytes, dict[int, bytes]]:
    """Main file, log and bodies of a store with rows in both."""

    async def made(folder: Path) -> tuple[bytes, bytes, dict[int, bytes]]:
        bodies: dict[int, bytes] = {}
        path = folder / "ledger.db"
        for _ in range(2):
            async with await Ledger.open(path, inline=True) as ledger:
                for _ in range(12):
                    seq = ledger.next_seq
                    bodies[seq] = b"%d " % seq + b"x" * (seq * 531 % 9000)
                    await ledger.append([Entry(seq, "passage", "k", 0.5 * seq, bodies[seq])], b"state %d" % seq)
                both = path.read_bytes(), path.with_name("ledger.db-wal").read_bytes()
        return *both, bodies

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(made(Path(folder)))


def test_every_row_of_main_file_and_log_is_found() -> None:
    db, log, bodies = files()
    found = scavenge(db, log)
    assert {row.seq: row.body for row in found.rows.values()} == bodies
    assert found.values["checkpoint"] == b"state 24"
    assert found.bodies_lost == 0


def test_each_file_alone_gives_its_own() -> None:
    db, log, _ = files()
    assert {row.seq for row in scavenge(db, b"").rows.values()} == set(range(1, 13))
    assert {row.seq for row in scavenge(b"", log).rows.values()} >= set(range(13, 25))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=60), st.booleans())
def test_flipped_bytes_never_make_a_row_that_was_not_written(hits: list[tuple[int, int]], in_log: bool) -> None:
    db, log, bodies = files()
    parts = [bytearray(db), bytearray(log)]
    for at, mask in hits:
        parts[in_log][at % len(parts[in_log])] ^= mask
    for row in scavenge(bytes(parts[0]), bytes(parts[1])).rows.values():
        assert row.head_is_sound
        assert row.body in (None, bodies[row.seq])


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=9000), st.integers(0, 20_000), st.integers(0, 20_000))
def test_no_bytes_make_it_raise(noise: bytes, start: int, cut: int) -> None:
    db, log, bodies = files()
    spoiled = db[:start] + noise + db[start + cut :]
    for row in scavenge(spoiled, noise + log).rows.values():
        assert row.body in (None, bodies[row.seq])
    assert scavenge(noise, noise).rows == {}
