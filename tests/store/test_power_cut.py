"""The power is cut at any moment of a recorded run: what was confirmed is there, and the chain through it holds."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from appending_process import body
from power_cut import TRACED, Call, Disk, calls, outcomes

APPENDING = Path(__file__).with_name("appending_process.py")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, strace: str) -> list[Call]:
    """Making a store, ten appends one by one, and closing: every call on its files."""
    folder = tmp_path_factory.mktemp("recorded") / "store"
    trace = folder.with_name("trace")
    command = [strace, "-f", "-y", "-s", "200000", "-o", str(trace), f"--trace={TRACED}"]
    done = subprocess.run(
        [*command, sys.executable, str(APPENDING), str(folder / "ledger.db"), "0"], capture_output=True
    )
    assert done.returncode == 0, done.stderr
    return list(calls(trace.read_text(encoding="latin-1"), folder))


@pytest.mark.slow
async def test_every_prefix_of_the_recorded_writes_holds_all_that_was_confirmed(
    open_ledger: Any, recorded: list[Call], tmp_path: Path
) -> None:
    rng = random.Random(7)
    disk, confirmed, states = Disk(Path(recorded[0].path).parent), 0, 0
    for number, call in enumerate(recorded):
        confirmed += call.name == "say"
        disk.do(call)
        for variant, files in enumerate(outcomes(disk, rng)):
            folder = tmp_path / f"{number}-{variant}"
            folder.mkdir()
            for name, content in files.items():
                (folder / name).write_bytes(content)
            await check(
                open_ledger, folder / "ledger.db", confirmed, f"after {call.name} of {call.path}, call {number}"
            )
            shutil.rmtree(folder)
            states += 1
    assert confirmed == 10
    assert states > 300


async def check(open_ledger: Any, store: Path, confirmed: int, where: str) -> None:
    ledger = await open_ledger(path=store, inline=True)
    rows = [row async for row in ledger.export()]
    assert ledger.opened.quarantined == (), (where, ledger.opened)
    assert len(rows) >= confirmed, (where, ledger.opened)
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1)), where
    assert all(row.body == body(row.epoch, row.seq) for row in rows), where
    assert (await ledger.verify()).good, where
    await ledger.close()


def test_nothing_is_confirmed_before_its_log_is_synced(recorded: list[Call]) -> None:
    """The order in the trace: each confirmation comes after a sync of the log, with no write to the log in between."""
    unsynced, synced, said = False, False, 0
    for call in recorded:
        if call.name == "write" and call.path.endswith("ledger.db-wal"):
            unsynced = True
        elif call.name == "sync" and call.path.endswith("ledger.db-wal"):
            unsynced, synced = False, True
        elif call.name == "say":
            assert synced
            assert not unsynced, f"confirmation {said + 1} came before its sync"
            said += 1
            synced = False
    assert said == 10
