"""A Modbus/TCP module written for the tests from the standard: tables in memory, and ways to misbehave."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

from lanecontrol.links import Link


class Module:
    """Answers functions 1 to 6, 15 and 16 for one unit."""

    def __init__(self, unit: int = 1) -> None:
        self.unit = unit
        self.coils = [False] * 5000
        self.contacts = [False] * 64
        self.registers = [0] * 0x2000
        self.mute = False
        self.delay_s = 0.0
        self.refuse: Callable[[int, int], int] = lambda function, address: 0
        self.before_answer: Callable[[bytes], bytes] = lambda answer: answer
        self.requests: list[tuple[int, int]] = []
        self.writes: list[tuple[int, int, bytes]] = []

    async def serve(self, link: Link) -> None:
        pending = b""
        while True:
            pending += await link.read()
            while len(pending) >= 6 and len(pending) >= 6 + pending[5]:
                size = 6 + pending[5]
                frame, pending = pending[:size], pending[size:]
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if (answer := self._answer(frame)) and not self.mute:
                    await link.write(self.before_answer(answer))

    def _answer(self, frame: bytes) -> bytes:
        assert frame[2:4] == b"\0\0"
        assert len(frame) == 6 + int.from_bytes(frame[4:6], "big")
        unit, function = frame[6], frame[7]
        address, value = struct.unpack_from(">HH", frame, 8)
        self.requests.append((function, address))
        if unit != self.unit:
            return b""
        if code := self.refuse(function, address):
            pdu = bytes((function | 0x80, code))
        else:
            pdu = self._carry_out(function, address, value, frame)
        return frame[:4] + struct.pack(">HB", len(pdu) + 1, unit) + pdu

    def _carry_out(self, function: int, address: int, value: int, frame: bytes) -> bytes:
        if function in (1, 2):
            table = (self.coils if function == 1 else self.contacts)[address : address + value]
            number = sum(on << n for n, on in enumerate(table))
            size = (value + 7) // 8
            return bytes((function, size)) + number.to_bytes(size, "little")
        if function in (3, 4):
            words = self.registers[address : address + value]
            return struct.pack(f">BB{value}H", function, 2 * value, *words)
        self.writes.append((function, address, frame[10:]))
        if function == 5:
            self.coils[address] = value == 0xFF00
        elif function == 6:
            self.registers[address] = value
        elif function == 15:
            bits = int.from_bytes(frame[13:], "little")
            for n in range(value):
                self.coils[address + n] = bool(bits >> n & 1)
        return frame[7:12]
