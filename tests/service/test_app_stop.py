"""Whatever hangs or fails: red is commanded, the lane ends in time, and nothing of it is left behind."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from app_bench import Bench, damaged_file, full_disk

from lanecontrol.errors import StorageCorrupt
from lanecontrol.events import DeviceState, Tick
from lanecontrol.lane import runner as runner_module
from lanecontrol.ledger.ledger import Ledger

LIMIT_S = 2.0


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    """No thread, no open file and no exception that nobody saw."""
    yield
    gc.collect()
    ours = {thread for thread in threading.enumerate() if thread.name.startswith(("ledger", "recorder"))}
    for thread in ours:
        thread.join(10)
    assert not any(thread.is_alive() for thread in ours)


async def stopped(bench: Bench, running: asyncio.Task[None]) -> float:
    """How long stopping took."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    bench.stop.set()
    await asyncio.wait({running}, timeout=10)
    took_s = loop.time() - began_s
    await running
    return took_s


async def test_a_stop_shows_red_and_ends_at_once(bench: Bench) -> None:
    async with bench.served() as running:
        await bench.at_work()
        await bench.green()
        assert await stopped(bench, running) < 1.0
        assert (bench.outputs["signal_red"], bench.outputs["signal_green"]) == (True, False)


async def test_what_became_of_the_last_withdrawal_is_told_to_the_port_before_the_goodbye(bench: Bench) -> None:
    async with bench.served() as running:
        await bench.at_work()
        bench.module_answers.clear()
        await bench.until(lambda: _offline(bench, "io1"))
        await stopped(bench, running)
    async with await Ledger.open(bench.loaded.store.path / "ledger.db") as ledger:
        rows = [row async for row in ledger.export()]
        assert rows[-1].kind == "lanecontrol.command_completed.v1"
        assert ledger.undelivered_count == 0


@pytest.mark.slow
@pytest.mark.parametrize("hangs", [("disk",), ("device",), ("broker",), ("disk", "device", "broker")])
async def test_a_stop_is_over_in_time_whatever_hangs(bench: Bench, hangs: tuple[str, ...]) -> None:
    unseen: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unseen.append(context))
    before = asyncio.all_tasks()
    async with bench.served() as running:
        await bench.at_work()
        await bench.green()
        if "broker" in hangs:
            bench.broker_hears.clear()
        if "disk" in hangs:
            bench.disk.hang()
            bench.lane._tell_port(_rejection())
            await asyncio.sleep(0.05)
        if "device" in hangs:
            bench.module_answers.clear()
        took_s = await stopped(bench, running)
        assert took_s < LIMIT_S
        if "device" not in hangs:
            assert (bench.outputs["signal_red"], bench.outputs["signal_green"]) == (True, False)
        bench.broker_hears.set()
        bench.module_answers.set()
    del running
    gc.collect()
    assert not unseen
    assert asyncio.all_tasks() == before


def _offline(bench: Bench, device: str) -> bool:
    devices = bench.lane.runner.state.equipment.devices
    return any(note.device == device and note.state is DeviceState.OFFLINE for note in devices)


def _rejection() -> Any:
    from lanecontrol.announcements import OrderRejected

    return OrderRejected("topic", "a test", "", None, 0.0)


async def test_a_stop_before_the_store_could_be_opened_is_over_at_once(bench: Bench) -> None:
    bench.disk.fails = full_disk()
    async with bench.served() as running:
        await asyncio.sleep(0.05)
        assert not bench.lane.ready.is_set()
        assert await stopped(bench, running) < 1.0


async def test_a_stop_while_opening_the_store_hangs_is_over_at_once(bench: Bench) -> None:
    bench.disk.hang()
    async with bench.served() as running:
        await asyncio.sleep(0.05)
        assert not bench.lane.ready.is_set()
        assert await stopped(bench, running) < 1.0
        bench.disk.go_on.set()


async def test_a_stop_that_came_before_the_start_opens_nothing(bench: Bench) -> None:
    bench.stop.set()
    async with bench.served() as running:
        await running
        assert not bench.lane.ready.is_set()


async def test_a_failing_core_shows_red_before_the_sessions_end_and_tells_why(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench.served() as running:
        await bench.at_work()
        await bench.green()

        def fails(*_: object) -> None:
            raise RuntimeError("a defect")

        monkeypatch.setattr(runner_module, "step", fails)
        bench.lane.runner.take("lane", Tick())
        await asyncio.wait({running}, timeout=10)
        assert (bench.outputs["signal_red"], bench.outputs["signal_green"]) == (True, False)
        error = running.exception()
        assert isinstance(error, ExceptionGroup)
        assert error.subgroup(RuntimeError) is not None


async def test_cancelled_it_shows_red_as_well(bench: Bench) -> None:
    async with bench.served() as running:
        await bench.at_work()
        await bench.green()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert (bench.outputs["signal_red"], bench.outputs["signal_green"]) == (True, False)


@pytest.mark.parametrize("rounds", [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89])
async def test_cancelled_at_any_stage_it_leaves_nothing_open(bench: Bench, rounds: int) -> None:
    unseen: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unseen.append(context))
    before, open_files = asyncio.all_tasks(), _files_of(bench)
    async with bench.served() as running:
        for _ in range(rounds):
            await asyncio.sleep(0.0005 if rounds % 2 else 0)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        assert bench.net.connections() == 0
    del running
    assert not unseen
    assert asyncio.all_tasks() == before
    await bench.until(lambda: _files_of(bench) == open_files)


def _files_of(bench: Bench) -> list[str]:
    """What this process has open in the lane's store."""
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        return []
    found = []
    for entry in folder.iterdir():
        with suppress(OSError):
            found.append(str(entry.readlink()))
    return sorted(name for name in found if name.startswith(str(bench.loaded.store.path)))


async def test_a_store_found_damaged_ends_the_process_so_that_the_next_start_salvages(bench: Bench) -> None:
    async with bench.served() as running:
        await bench.at_work()
        await bench.green()
        bench.disk.fails = damaged_file()
        bench.lane._tell_port(_rejection())
        await asyncio.wait({running}, timeout=10)
        error = running.exception()
        assert isinstance(error, ExceptionGroup)
        assert error.subgroup(StorageCorrupt) is not None
        assert bench.outputs["signal_red"]
