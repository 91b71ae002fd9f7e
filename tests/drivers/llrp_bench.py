"""The driver for LLRP readers in session with a reader that does as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from driver_bench import Bench, Notebook, in_session
from llrp_reader import Reader

from drivers.rfid_llrp import LlrpReader
from lanecontrol.events import DeviceFault

EPC = "f0000000000000000000beef"


LEFT_OVER = [DeviceFault(code, "", active=False) for code in ("reader_exception", "report_buffer", "report_overflow")]


SET_UP = [46, 1, 2, 3, 20, 21, 22, 24, 64]


@asynccontextmanager
async def serving(reader: Reader, **settings: Any) -> AsyncIterator[tuple[Bench, Notebook]]:
    notebook = Notebook()
    async with in_session(LlrpReader, reader.serve, notebook, **settings) as (_, bench):
        await asyncio.sleep(1)
        yield bench, notebook


async def failure_of(reader: Reader, **settings: Any) -> tuple[BaseException, Notebook]:
    async with in_session(LlrpReader, reader.serve, **settings) as (_, bench):
        return await bench.failure(), bench.notebook


def told_by(notebook: Notebook) -> list[Any]:
    """Events without the clearing of what an earlier process may have left."""
    return [event for event in notebook.events if event not in LEFT_OVER]
