"""A module on a serial line: the same driver over a pty, in real time, as a port of the system behaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from driver_bench import Bench, Notebook, session_of
from mercury_module import EPC, RECORD, Module, streamed

from drivers.rfid_mercury import MercuryConfig, MercuryReader
from lanecontrol.errors import LinkLost
from lanecontrol.events import DeviceFault, TagRead
from lanecontrol.identifier import Identifier
from lanecontrol.links import Link, LinkOpener, serve_pty

READ = TagRead(1, Identifier(EPC), -51.0, 1)


def _driver(path: str, **settings: Any) -> MercuryReader:
    config = MercuryConfig.model_validate({"id": "dev", "url": f"serial://{path}?baud=115200", **settings})
    return MercuryReader(config, LinkOpener().for_device("dev"))


@asynccontextmanager
async def on_a_pty(module: Module, **settings: Any) -> AsyncIterator[tuple[Bench, str]]:
    """A session that is online."""
    async with serve_pty(module.serve) as path, session_of(_driver(path, **settings), Notebook()) as bench:
        await _until(lambda: bool(bench.notebook.identities) or bench.session.done())
        yield bench, path


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in the system
            await asyncio.sleep(0.01)


def _faults(notebook: Notebook) -> list[str]:
    return [fault.code for fault in notebook.of(DeviceFault) if fault.active]


def test_reading_continuously_the_module_is_set_up_read_and_stopped() -> None:
    asyncio.run(_continuously())


async def _continuously() -> None:
    module = Module()
    async with on_a_pty(module) as (bench, _):
        await module.send(b"\xff" * 200 + streamed())
        await _until(lambda: bool(bench.notebook.of(TagRead)))
        assert bench.notebook.of(TagRead) == [READ]
        assert bench.notebook.doubts == []
        bench.session.cancel()
        await asyncio.wait({bench.session})
        await _until(lambda: not module.reading)


def test_polling_the_module_is_searched_and_fetched_from() -> None:
    asyncio.run(_polling())


async def _polling() -> None:
    module = Module()
    module.buffer = [RECORD] * 5
    async with on_a_pty(module, mode="polling", cycle_ms=50) as (bench, _):
        await _until(lambda: len(bench.notebook.of(TagRead)) == 5)
        assert bench.notebook.of(TagRead) == [READ] * 5
        assert bench.notebook.doubts == []


def test_behind_noise_and_a_damaged_frame_the_next_good_one_is_read() -> None:
    asyncio.run(_noise())


async def _noise() -> None:
    module = Module()
    damaged = bytearray(streamed())
    damaged[20] ^= 0x10
    async with on_a_pty(module) as (bench, _):
        for noise in (bytes(damaged), b"\xff\xf8\x22" * 300, b"\x00\xff\x00\x22", b"\xff" * 700):
            await module.send(noise + streamed())
        await _until(lambda: len(bench.notebook.of(TagRead)) == 4)
        assert not bench.session.done()


def test_heat_return_loss_and_a_lost_antenna_are_faults() -> None:
    asyncio.run(_complaints())


async def _complaints() -> None:
    module = Module()
    async with on_a_pty(module, cycle_ms=50, check_s=0.1, antennas=[1, 2]) as (bench, _):
        module.cycle_status = 0x0505
        await _until(lambda: "return_loss" in _faults(bench.notebook))
        module.cycle_status, module.temperature_c, module.antennas[2] = 0x0400, 99, False
        await _until(lambda: {"temperature", "antenna_2"} <= set(_faults(bench.notebook)))
        assert not bench.session.done()


def test_a_port_that_another_one_has_open_is_told_so() -> None:
    asyncio.run(_twice())


async def _twice() -> None:
    module = Module()
    async with on_a_pty(module) as (_, path), session_of(_driver(path), Notebook()) as second:
        failure = await second.failure(20)
        assert isinstance(failure, LinkLost)
        assert failure.why == "another process has it open"


def test_an_unplugged_module_is_a_lost_link() -> None:
    asyncio.run(_unplugged())


async def _unplugged() -> None:
    module, notebook = Module(), Notebook()
    async with AsyncExitStack() as session:
        async with serve_pty(module.serve) as path:
            bench = await session.enter_async_context(session_of(_driver(path, cycle_ms=5000), notebook))
            await _until(lambda: bool(notebook.identities))
        failure = await bench.failure(10)  # silence would take 16 s
        assert isinstance(failure, LinkLost)


@pytest.mark.parametrize("moment_s", [0.0, 0.2])
def test_a_session_with_a_module_that_reads_nothing_ends_in_bounded_time(moment_s: float) -> None:
    asyncio.run(_deaf(moment_s))


async def _deaf(moment_s: float) -> None:
    async def deaf(link: Link) -> None:
        await asyncio.sleep(60)

    async with serve_pty(deaf) as path:
        notebook = Notebook()
        session = asyncio.create_task(_driver(path).session(notebook))
        await asyncio.sleep(moment_s)
        session.cancel()
        done, _ = await asyncio.wait({session}, timeout=10)
        assert done, "the close of a blocked port hangs"
        assert notebook.identities == []
