"""A client of the fake reader that speaks bytes: frames made and taken apart here, not by the product."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fake_bench import client_of, received

from lanecontrol.links import MemoryLink
from sim.readings import Deed, TagAnswer
from sim.rfid_mercury import FakeMercury
from sim.rfid_mercury_settings import MercuryConfig

EPC = bytes.fromhex("f0000000000000000000beef")


OTHER = bytes.fromhex("f00000000000000000000001")


TID = bytes.fromhex("e2003412016e")


NANO_TAG = (
    "ff282200001000 1b01ff0101c4110e16400000012700000500000f008030000000"
    "00000000000000001545e94a561d"
)  # fmt: skip


RECORD = "01cd110df7320000002a005a0500000000000000803000f0000000000000000000beefaabb"


SETUP = ("9701", "930005", "91020101 0202")


START = "2f0000012200000507221000 1b00fa0fff"


NONE, HOT, RETURN_LOSS, STOPPED = "ff0022040084e0", "ff0022050485e4", "ff0022050585e5", "ff012f00000230e6"


def frame(op_and_data: str) -> bytes:
    """A command: op code and data in hex."""
    content = bytes.fromhex(op_and_data)
    body = bytes((len(content) - 1,)) + content
    return b"\xff" + body + slow_crc(body).to_bytes(2, "big")


def slow_crc(body: bytes) -> int:
    """The rule as it is written: nibble by nibble, shifted in at the low end."""
    register = 0xFFFF
    for byte in body:
        for nibble in (byte >> 4, byte & 15):
            register = ((register << 4) & 0xFFFF | nibble) ^ (register >> 12) * 0x1021
    return register


def frames(data: bytes) -> list[tuple[int, int, bytes]]:
    """Op code, status and data of each of the module's frames."""
    found = []
    while data:
        size = data[1] + 7
        body = data[1 : size - 2]
        assert data[0] == 0xFF
        assert slow_crc(body) == int.from_bytes(data[size - 2 : size], "big")
        found.append((data[2], int.from_bytes(data[3:5], "big"), data[5 : size - 2]))
        data = data[size:]
    return found


class Bench:
    """A module and one client."""

    def __init__(self, link: MemoryLink, module: FakeMercury, deeds: list[Deed]) -> None:
        self.link = link
        self.module = module
        self.deeds = deeds

    async def ask(self, *commands: str) -> str:
        """Commands in hex; the data of the last answer in hex, or its status word after a `!`."""
        answer_to = ""
        for command in commands:
            await self.link.write(frame(command))
            ((op, status, data),) = frames(await received(self.link))
            assert op == bytes.fromhex(command)[0]
            answer_to = f"!{status:04x}" if status else data.hex()
            assert not (status and data)
        return answer_to

    async def heard(self) -> list[tuple[int, int, bytes]]:
        return frames(await received(self.link))

    def tag(self, epc: bytes = EPC, antenna: int = 1, rssi_dbm: float = -51.0, tid: bytes = b"") -> None:
        self.module.sense(TagAnswer(antenna, epc, rssi_dbm, tid))

    async def search(self, command: str, *during: TagAnswer, after_s: float = 0.05) -> str:
        """The answer to a search during which these tags answer, in hex or as a status."""
        await self.link.write(frame(command))
        for reading in during:
            await asyncio.sleep(after_s)
            self.module.sense(reading)
        ((_op, status, data),) = frames(await received(self.link, quiet_s=66))
        return f"!{status:04x}" if status else data.hex()


@asynccontextmanager
async def bench(*, ready: bool = True, **config: Any) -> AsyncIterator[Bench]:
    deeds: list[Deed] = []
    module = FakeMercury(MercuryConfig.model_validate(config), deeds.append)
    async with client_of(module.serve) as client:
        lane = Bench(client, module, deeds)
        if ready:
            assert await lane.ask(*SETUP) == ""
        yield lane
