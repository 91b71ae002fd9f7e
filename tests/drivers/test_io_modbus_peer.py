"""The `io.modbus` driver against pymodbus's server over TCP: another reading of the same standard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from driver_bench import Notebook, session_of
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.io_modbus import ModbusModule
from lanecontrol.commands import Outcome, Result, WriteOutputs
from lanecontrol.events import InputChanged, OutputsRead
from lanecontrol.links import LinkOpener


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the other library has nothing to wait on
            await asyncio.sleep(0.01)


def _server() -> ModbusTcpServer:
    bits = [SimData(0, values=[False] * 32, datatype=DataType.BITS) for _ in range(2)]
    words = [SimData(0, values=[0] * 8, datatype=DataType.REGISTERS) for _ in range(2)]
    device = SimDevice(id=1, simdata=([bits[0]], [bits[1]], [words[0]], [words[1]]))
    return ModbusTcpServer(device, address=("127.0.0.1", 0))


async def _meet() -> None:
    server = _server()
    await server.serve_forever(background=True)
    port = cast(asyncio.Server, server.transport).sockets[0].getsockname()[1]
    config = ModbusModule.Config.model_validate(
        {
            "id": "io1",
            "url": f"tcp://127.0.0.1:{port}",
            "inputs": {"loop": 0, "button": 9},
            "outputs": {"green": 0, "red": 1, "gate": 9},
            "request_timeout_ms": 2000,
            "stale_limit_ms": 5000,
            "silence_timeout_s": 10,
        }
    )
    driver, notebook = ModbusModule(config, LinkOpener().for_device("io1")), Notebook()
    try:
        async with session_of(driver, notebook):
            await _until(lambda: len(notebook.of(InputChanged)) == 2)
            await server.async_setValues(1, 2, 9, [True])
            await _until(lambda: InputChanged("button", True) in notebook.events)
            written = await driver.perform(WriteOutputs((("green", False), ("red", True), ("gate", True))))
            assert written == Outcome(Result.DONE)
            assert (await server.async_getValues(1, 1, 0, 10)) == [False, True, *[False] * 7, True]
            await server.async_setValues(1, 5, 0, [True])
            lit = OutputsRead((("green", True), ("red", True), ("gate", True)))
            await _until(lambda: lit in notebook.events)
            assert notebook.doubts == []
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]


def test_inputs_outputs_and_read_back_agree_with_another_implementation() -> None:
    asyncio.run(_meet())
