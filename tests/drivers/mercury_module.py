"""An M6e module written for the tests from the tables of the protocol, and ways to misbehave."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from lanecontrol.errors import LinkLost
from lanecontrol.links import Link

RECORD = bytes.fromhex("01cd110df7320000002a005a0500000000000000803000f0000000000000000000beefaabb")
"""One tag: metadata 0fff, RSSI -51, antenna 1, EPC f0000000000000000000beef."""

EPC = "f0000000000000000000beef"


def crc(body: bytes) -> int:
    """The maker's way, a nibble at a time."""
    value = 0xFFFF
    for byte in body:
        for nibble in (byte >> 4, byte & 15):
            value = ((value << 4) & 0xFFFF | nibble) ^ _polynomial(value >> 12)
    return value


def _polynomial(top: int) -> int:
    """What four bits that leave at the top turn over below."""
    value = top << 12
    for _ in range(4):
        value = (value << 1 ^ 0x1021) if value & 0x8000 else value << 1
    return value & 0xFFFF


def answer(op: int, data: bytes = b"", status: int = 0) -> bytes:
    body = bytes((len(data), op)) + status.to_bytes(2, "big") + data
    return b"\xff" + body + crc(body).to_bytes(2, "big")


def streamed(record: bytes = RECORD, metadata: int = 0x0FFF) -> bytes:
    """One tag read while reading continuously."""
    return answer(0x22, bytes.fromhex("10001b") + metadata.to_bytes(2, "big") + b"\x01" + record)


KEEP_ALIVE = answer(0x22, status=0x0400)


class Module:
    """Answers the set-up, reads on command. `asked` keeps the operations and their data."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, bytes]] = []
        self.statuses: dict[int, int] = {}
        self.mute_for: set[int] = set()
        self.region = 1
        self.program = 0x12
        self.boots = True
        self.antennas = {1: True, 2: True, 3: False, 4: False}
        self.temperature_c = 35
        self.cycle_s = 0.25
        self.reading = False
        self.still = False
        self.cycle_status = 0x0400
        self.buffer: list[bytes] = []
        self.per_answer = 2
        self.link: Link | None = None

    @property
    def operations(self) -> list[int]:
        return [op for op, _ in self.asked]

    def data_of(self, op: int) -> list[bytes]:
        return [data for asked, data in self.asked if asked == op]

    async def send(self, data: bytes) -> None:
        assert self.link is not None
        await self.link.write(data)

    async def serve(self, link: Link) -> None:
        self.link = link
        cycles = asyncio.create_task(self._cycles())
        try:
            await self._answer(link)
        finally:
            cycles.cancel()
            await asyncio.wait({cycles})

    async def _answer(self, link: Link) -> None:
        pending = b""
        while True:
            pending += await link.read()
            while len(pending) >= 2 and len(pending) >= pending[1] + 5:
                size = pending[1] + 5
                frame, pending = pending[:size], pending[size:]
                assert frame[0] == 0xFF
                assert crc(frame[1:-2]) == int.from_bytes(frame[-2:], "big"), frame.hex()
                await self._take(frame[2], frame[3:-2])

    async def _cycles(self) -> None:
        with suppress(LinkLost):
            while True:
                await asyncio.sleep(self.cycle_s)
                if self.reading and not self.still:
                    await self.send(answer(0x22, status=self.cycle_status))

    async def _take(self, op: int, data: bytes) -> None:
        self.asked.append((op, data))
        if op in self.mute_for:
            return
        if status := self.statuses.get(op, 0):
            await self.send(answer(op, status=status))
            return
        if op == 0x2F:
            self.reading = data[2] == 1
            await self.send(answer(op, b"\x01" if self.reading else b"\x02"))
        elif op == 0x22:
            await asyncio.sleep(int.from_bytes(data[3:5], "big") / 1000)
            found = len(self.buffer)
            head = b"\x10" + data[1:3] + found.to_bytes(4, "big")
            await self.send(answer(op, head) if found else answer(op, status=self.cycle_status))
        elif op == 0x29:
            batch, self.buffer = self.buffer[: self.per_answer], self.buffer[self.per_answer :]
            await self.send(answer(op, data[:2] + bytes((0, len(batch))) + b"".join(batch)))
        else:
            await self.send(answer(op, self._plain(op, data)))

    def _plain(self, op: int, data: bytes) -> bytes:
        match op:
            case 0x03 | 0x04:
                self.program = 0x12 if op == 0x04 and self.boots else self.program
                return bytes.fromhex("150112001800000120200101011b020500000010")
            case 0x0C:
                return bytes((self.program,))
            case 0x61:
                return b"\x05" + bytes(byte for port, on in self.antennas.items() for byte in (port, int(on)))
            case 0x67:
                return bytes((self.region,))
            case 0x97:
                self.region = data[0]
                return b""
            case 0x72:
                return self.temperature_c.to_bytes(1, "big", signed=True)
            case _:
                return b""
