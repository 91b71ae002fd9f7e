"""An LLRP reader for the tests: answers what it is told to, frames built by hand from the standard."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

from lanecontrol.errors import LinkLost
from lanecontrol.links import Link

OK = bytes.fromhex("011f 0008 0000 0000")
ANSWERS = {1: 11, 2: 12, 3: 13, 14: 4, 20: 30, 21: 31, 22: 32, 24: 34, 25: 35, 40: 50, 41: 51, 42: 52}

GENERAL = bytes.fromhex("0089 0019 0004 4000 000065ba 001e8484 0007 352e31322e3130")
"""Four antennas, a clock, maker 26042, model 2000004, firmware `5.12.10`."""
REGULATORY = bytes.fromhex(
    "008f 0035 0348 0001"
    "0090 002d"
    "0091 0008 0001 03e8  0091 0008 0002 0834  0091 0008 0003 0bb8"
    "0092 0011 80  0093 000c 05 00 0001 000df732"
)
"""Powers 10, 21 and 30 dBm; one hop table, number 5. What follows in the band is left out."""


def frame(kind: int, number: int, body: bytes = b"", version: int = 1) -> bytes:
    return struct.pack(">HII", version << 10 | kind, 10 + len(body), number) + body


def status(code: int) -> bytes:
    """LLRPStatus without a text."""
    return struct.pack(">HHHH", 287, 8, code, 0)


def event(parameter: bytes) -> bytes:
    """READER_EVENT_NOTIFICATION with a time stamp and one event."""
    body = bytes.fromhex("0080 000c 0006474846204000") + parameter
    return frame(63, 0, struct.pack(">HH", 246, 4 + len(body)) + body)


def greeting(status: int = 0) -> bytes:
    return event(struct.pack(">HHH", 256, 6, status))


def report(epc: str, antenna: int = 1, rssi: int = -51, rospec: int | None = None) -> bytes:
    """RO_ACCESS_REPORT of one tag with a 96-bit EPC."""
    body = b"\x8d" + bytes.fromhex(epc) + (b"" if rospec is None else struct.pack(">BI", 0x89, rospec))
    body += struct.pack(">BHBb", 0x81, antenna, 0x86, rssi)
    body += bytes.fromhex("82 0006474846204000 84 0006474846204000 88 0001")
    return frame(61, 7, struct.pack(">HH", 240, 4 + len(body)) + body)


class Reader:
    """One client at a time; `received` are (type, body) in order."""

    def __init__(self) -> None:
        self.status = 0
        self.received: list[tuple[int, bytes]] = []
        self.mute_for: set[int] = set()
        self.bodies: dict[int, bytes] = {
            1: OK + GENERAL + REGULATORY,
            2: OK + bytes.fromhex("00dd 0009 80 0001 0000  00dd 0009 00 0002 0000  00e1 0008 0001 80 01"),
        }
        self.answer: Callable[[int, int], bytes | None] = lambda kind, number: None
        self.link: Link | None = None
        self.keepalive_s = 5.0
        self.on_start = b""
        self.on_enable = b""
        """What it had held back, sent when ENABLE_EVENTS_AND_REPORTS comes."""
        self.supports = 1
        """Version of the protocol: 1 is 1.0.1, 2 is 1.1; 0 says nothing to the question."""
        self.current = 1
        self.versions: list[int] = []
        """Of each request."""

    @property
    def asked(self) -> list[int]:
        return [kind for kind, _ in self.received]

    async def serve(self, link: Link) -> None:
        self.link = link
        await link.write(greeting(self.status))
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen(link))
                tasks.create_task(self._keep_alive(link))
        except* LinkLost:
            pass  # the client went

    async def _keep_alive(self, link: Link) -> None:
        while True:
            await asyncio.sleep(self.keepalive_s)
            await link.write(frame(62, 99))

    async def _listen(self, link: Link) -> None:
        pending = b""
        while True:
            pending += await link.read()
            while len(pending) >= 10 and len(pending) >= (size := int.from_bytes(pending[2:6], "big")):
                message, pending = pending[:size], pending[size:]
                await self._take(link, message)

    async def _take(self, link: Link, message: bytes) -> None:
        head, _, number = struct.unpack_from(">HII", message)
        kind = head & 0x3FF
        self.received.append((kind, message[10:]))
        self.versions.append(head >> 10)
        if kind in self.mute_for:
            return
        special = self.answer(kind, number)
        answer = special if special is not None else self._usual(kind, number, message)
        if answer:
            await link.write(answer)
        if kind == 22 and self.on_start:
            await link.write(self.on_start)

    def _usual(self, kind: int, number: int, message: bytes) -> bytes:
        match kind:
            case 46 | 47 if self.supports == 1:
                return frame(100, number, status(110))
            case 46 if self.supports == 2:
                return frame(56, number, bytes((self.current, self.supports)) + OK, 2)
            case 47 if self.supports == 2:
                self.current = message[10]
                return frame(57, number, OK, 2)
            case 64:
                return self.on_enable
            case _ if kind in ANSWERS:
                return frame(ANSWERS[kind], number, self.bodies.get(kind, OK), self.current)
        return b""

    async def send(self, data: bytes) -> None:
        assert self.link is not None
        await self.link.write(data)
