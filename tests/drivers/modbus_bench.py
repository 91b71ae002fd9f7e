"""The driver for Modbus modules in session with a module that does as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from driver_bench import Bench, Notebook, in_session
from modbus_module import Module

from drivers.io_modbus import ModbusModule
from lanecontrol.driver import Driver

POINTS: dict[str, Any] = {
    "inputs": {"loop_approach": 0, "loop_booth": 1, "gate_closed": 5},
    "outputs": {"signal_green": 0, "signal_red": 1, "gate_open": 3},
}


@asynccontextmanager
async def serving(
    module: Module, notebook: Notebook | None = None, **settings: Any
) -> AsyncIterator[tuple[Driver, Bench, Notebook]]:
    notebook = notebook or Notebook()
    async with in_session(ModbusModule, module.serve, notebook, **{**POINTS, **settings}) as (driver, bench):
        await asyncio.sleep(0.5)
        yield driver, bench, notebook
