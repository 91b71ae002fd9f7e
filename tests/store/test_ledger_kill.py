"""Processes killed while they write, and the order of what they asked the system for."""

from __future__ import annotations

import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

APPENDING = Path(__file__).with_name("appending_process.py")
PRUNING = Path(__file__).with_name("pruning_process.py")


def confirmed_until_killed(store: Path, lines: int, width: int) -> list[tuple[int, int]]:
    """Start the appending process, kill it after so many confirmations, and answer everything it confirmed."""
    process = subprocess.Popen([sys.executable, str(APPENDING), str(store), str(width)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process:
        said = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
    return [(int(epoch), int(seq)) for epoch, seq in map(bytes.split, (line for line in said if line.endswith(b"\n")))]


async def check_everything_confirmed_is_there(open_ledger: Any, store: Path, confirmed: list[tuple[int, int]]) -> None:
    ledger = await open_ledger(path=store)
    assert ledger.opened.quarantined == ()
    rows = [row async for row in ledger.export()]
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert {(row.epoch, row.seq) for row in rows} >= set(confirmed)
    assert all(row.body is not None and row.body.startswith(f"{row.epoch}-{row.seq} ".encode()) for row in rows)
    assert (await ledger.verify()).good
    even = {row.seq for row in rows if row.seq % 2 == 0}
    assert even <= {row.seq for row in await ledger.undelivered(limit=100_000)}
    assert await ledger.load_checkpoint() == (b"state %d" % len(rows) if rows else None)
    await ledger.close()


KILLS = [*range(3), *(pytest.param(n, marks=pytest.mark.slow) for n in range(3, 13))]


@pytest.mark.parametrize("seed", KILLS)
async def test_a_killed_writer_has_lost_nothing_it_confirmed(open_ledger: Any, store: Path, seed: int) -> None:
    rng = random.Random(seed)
    confirmed: list[tuple[int, int]] = []
    for _ in range(2):  # the second run goes on where the first was killed
        confirmed += confirmed_until_killed(store, rng.randrange(1, 400), rng.choice([1, 8, 64]))
        await check_everything_confirmed_is_there(open_ledger, store, confirmed)


# --- system calls ----------------------------------------------------------------------------------------------------


CALLS = "pwrite64,fdatasync,fsync,rename,renameat,renameat2,unlink,ftruncate,mkdir"


def run_until_call(when: int, strace: str, program: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """A process that is killed at the call with this number in its thread."""
    tracer = [strace, "-f", "-qq", "-o", "/dev/null", f"--trace={CALLS}", f"--inject={CALLS}:signal=KILL:when={when}"]
    return subprocess.run([*tracer, sys.executable, str(program), *arguments], capture_output=True)


@pytest.mark.slow
async def test_a_process_killed_at_any_system_call_has_lost_nothing(
    strace: str, open_ledger: Any, tmp_path: Path
) -> None:
    """Making the store, then ten appends one by one: killed at the first such call, at the second, and so on."""
    killed = 0
    for when in _every_third():
        store = tmp_path / str(when) / "ledger.db"
        done = run_until_call(when, strace, APPENDING, str(store), "0")
        confirmed = [(int(e), int(s)) for e, s in map(bytes.split, done.stdout.splitlines())]
        await check_everything_confirmed_is_there(open_ledger, store, confirmed)
        if done.returncode == 0:
            break
        killed += 1
    assert killed > 10


@pytest.mark.slow
async def test_a_process_killed_at_any_system_call_of_forgetting_has_lost_nothing_that_must_stay(
    strace: str, open_ledger: Any, make: Any, tmp_path: Path
) -> None:
    """Old and delivered rows go, bodies behind one that waits, telemetry with its gap record; alarms stay."""
    template = tmp_path / "template" / "ledger.db"
    ledger = await open_ledger(path=template)
    for n in range(80):
        topic_class = "telemetry" if n % 4 == 3 else "alarm"
        made = [replace(entry, time_utc_s=n * 86_400.0) for entry in make(ledger, 1, 2000, topic_class)]
        await ledger.append(made)
    ledger.mark_delivered([row.position for row in await ledger.undelivered() if row.seq <= 20 or 25 <= row.seq <= 40])
    await ledger.close()
    must_stay = {n for n in range(1, 81) if n % 4 and not (n <= 20 or 25 <= n <= 40)}
    killed = 0
    for when in range(2, 600, 9):
        store = tmp_path / str(when) / "ledger.db"
        shutil.copytree(template.parent, store.parent)
        done = run_until_call(when, strace, PRUNING, str(store))
        ledger = await open_ledger(path=store)
        assert (await ledger.verify()).good
        assert ledger.epoch == 1
        waiting = {row.seq for row in await ledger.undelivered(limit=1000) if row.body and row.topic_class == "alarm"}
        assert waiting == must_stay
        rows = {row.seq: row async for row in ledger.export()}
        gone = {
            n for n in rows if rows[n].topic_class == "telemetry" and rows[n].body is None and n not in range(25, 41)
        }
        gaps = [tuple(map(int, row.body.split())) for row in rows.values() if row.topic_class == "store" and row.body]
        assert all(any(first <= n <= last for first, last, _ in gaps) for n in gone), "each is told of before it goes"
        await ledger.close()
        if done.returncode == 0:
            break
        killed += 1
    assert killed >= 5, killed
    assert gone


def _every_third() -> Iterator[int]:
    yield from range(1, 12)
    yield from range(12, 400, 3)


@pytest.mark.slow
def test_data_is_on_disk_before_it_is_confirmed(strace: str, store: Path, tmp_path: Path) -> None:
    """From the trace: the log is written, then synced, then the confirmation goes out; never otherwise."""
    trace = tmp_path / "trace"
    command = [strace, "-f", "-y", "-o", str(trace), "-e", "trace=pwrite64,fdatasync,fsync,write"]
    done = subprocess.run([*command, sys.executable, str(APPENDING), str(store), "0"], capture_output=True, check=True)
    assert len(done.stdout.splitlines()) == 10
    unsynced: set[str] = set()
    syncs = confirmations = 0
    for call, file, line in _calls(trace.read_text(errors="replace")):
        if call == "pwrite64" and file.endswith((".db", ".db-wal")):
            unsynced.add(file)
        elif call in ("fdatasync", "fsync") and file in unsynced:
            unsynced.discard(file)
            syncs += 1
        elif call == "write" and re.search(r'"1 \d+\\n"', line):
            confirmations += 1
            assert str(store) + "-wal" not in unsynced, line
    assert confirmations == 10
    assert syncs >= 10


def _calls(trace: str) -> Iterator[tuple[str, str, str]]:
    """Finished calls in the order in which they returned (a sync counts from then), writes when they began."""
    open_calls: dict[str, tuple[str, str, str]] = {}
    for line in trace.splitlines():
        thread = line.split()[0]
        if begun := re.match(r"\d+ +(\w+)\(\d+<([^>]*)>", line):
            call = (begun[1], begun[2], line)
            if line.endswith("<unfinished ...>") and begun[1] != "write":
                open_calls[thread] = call
            else:
                yield call
        elif " resumed>" in line and thread in open_calls:
            yield open_calls.pop(thread)
