"""For tests of the fake I/O module: one with the points of a booth, and a client of it."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fake_bench import client_of

from lanecontrol.links import MemoryLink
from sim.io_modbus import FakeModule, ModuleConfig
from sim.readings import Deed

BOOTH = {
    "inputs": {"points": ("approach", "booth", "exit", "gate_open", "", "gate_closed")},
    "outputs": {"points": ("green", "red", "gate")},
    "watchdog": {"time_s": 1.0, "safe": {"red": True}},
}


class Bench:
    """A module, what it did to the world, and one client."""

    def __init__(self, link: MemoryLink, module: FakeModule, deeds: list[Deed]) -> None:
        self.link = link
        self.module = module
        self.deeds = deeds

    async def ask(self, pdu: str, unit: int = 1) -> str:
        """PDU in hex to the PDU of the answer."""
        body = bytes.fromhex(pdu)
        await self.link.write(struct.pack(">HHHB", 7, 0, len(body) + 1, unit) + body)
        answer = await self.link.read()
        assert answer[:4] == b"\0\7\0\0"
        assert int.from_bytes(answer[4:6], "big") == len(answer) - 6
        assert answer[6] == unit
        return answer[7:].hex()


@asynccontextmanager
async def bench(**config: Any) -> AsyncIterator[Bench]:
    deeds: list[Deed] = []
    module = FakeModule(ModuleConfig.model_validate(config or BOOTH), deeds.append)
    async with client_of(module.serve) as client:
        yield Bench(client, module, deeds)
