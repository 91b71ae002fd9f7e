"""For tests of the fake LLRP reader: what a client sends, and a client that sorts what it gets."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from fake_bench import client_of

from lanecontrol.errors import LinkLost
from lanecontrol.links import MemoryLink
from sim.readings import Deed, TagAnswer
from sim.rfid_llrp import FakeReader
from sim.rfid_llrp_settings import ReaderConfig
from sim.rfid_llrp_wire import Framer

NOW_US = 1_767_225_600_000_000
EPC = bytes.fromhex("f0000000000000000000beef")
OTHER_EPC = bytes.fromhex("f0000000000000000000bef0")
TID = bytes.fromhex("e28011602000000000000001")
REPORT = 61
EVENT = 63


# --- what a client sends, written here once more ---------------------------------------------------------------------


def tlv(kind: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">HH", kind, len(body) + 4) + body


def start_trigger(kind: int = 0, *more: bytes) -> bytes:
    return tlv(179, bytes((kind,)), *more)


def stop_trigger(kind: int = 0, ms: int = 0, *more: bytes) -> bytes:
    return tlv(182, struct.pack(">BI", kind, ms), *more)


def gpi_trigger(port: int, level: bool, timeout_ms: int = 0) -> bytes:
    return tlv(181, struct.pack(">HBI", port, level << 7, timeout_ms))


def aispec(
    antennas: tuple[int, ...] = (0,), stop: int = 0, ms: int = 0, more: bytes = b"", inventory: bytes = b""
) -> bytes:
    ports = struct.pack(f">H{len(antennas)}H", len(antennas), *antennas)
    return tlv(
        183, ports, tlv(184, struct.pack(">BI", stop, ms), more), inventory or tlv(186, struct.pack(">HB", 1, 1))
    )


def report_spec(trigger: int = 2, n: int = 1, content: int = 0x1780, more: bytes = b"") -> bytes:
    return tlv(237, struct.pack(">BH", trigger, n), tlv(238, struct.pack(">H", content), more))


def rospec(
    spec_id: int = 1,
    start: bytes = b"",
    stop: bytes = b"",
    specs: tuple[bytes, ...] = (),
    report: bytes | None = None,
    priority: int = 0,
    state: int = 0,
) -> bytes:
    boundary = tlv(178, start or start_trigger(), stop or stop_trigger())
    head = struct.pack(">IBB", spec_id, priority, state)
    return tlv(177, head, boundary, *(specs or (aispec(),)), report_spec() if report is None else report)


def accessspec(
    spec_id: int = 1, *operations: bytes, mask: str = "", pointer: int = 32, count: int = 0, match: bool = True
) -> bytes:
    bits = struct.pack(">H", len(mask)) + int(mask or "0", 2).to_bytes((len(mask) + 7) // 8, "big")
    ones = struct.pack(">H", len(mask)) + int("1" * len(mask) or "0", 2).to_bytes((len(mask) + 7) // 8, "big")
    target = tlv(339, struct.pack(">BH", 1 << 6 | match << 5, pointer), ones, bits)
    command = tlv(209, tlv(338, target), *(operations or (read_tid(),)))
    stop = tlv(208, struct.pack(">BH", count > 0, count))
    return tlv(207, struct.pack(">IHBBI", spec_id, 0, 1, 0, 0), stop, command)


def read_tid(words: int = 6, bank: int = 2) -> bytes:
    return tlv(341, struct.pack(">HIBHH", 1, 0, bank << 6, 0, words))


EVENTS_ON = tlv(244, *(tlv(245, struct.pack(">HB", kind, 0x80)) for kind in range(9)))
KEEPALIVE_1_S = tlv(220, struct.pack(">BI", 1, 1000))
HOLD = tlv(226, b"\x80")


# --- the bench -------------------------------------------------------------------------------------------------------


class Reader:
    """A fake reader with one client on it, which sorts what it gets into answers, reports and events."""

    def __init__(self, link: MemoryLink, fake: FakeReader) -> None:
        self.link = link
        self.fake = fake
        self._framer = Framer(1 << 20)
        self._frames: list[tuple[int, int, bytes]] = []
        self._id = 1000

    async def got(self, quiet_s: float = 0.0005) -> list[tuple[int, int, bytes]]:
        """Type, id and body of everything that arrives until nothing does for a while."""
        with suppress(TimeoutError, LinkLost):
            while True:
                async with asyncio.timeout(quiet_s):
                    data = await self.link.read()
                self._frames += [(each.type, each.id, each.body) for each in self._framer.feed(data)]
        frames, self._frames = self._frames, []
        return frames

    async def ask(self, kind: int, body: bytes = b"") -> tuple[int, bytes]:
        """Type and body of the answer; other frames stay for `got`."""
        self._id += 1
        await self.link.write(struct.pack(">HII", 1 << 10 | kind, 10 + len(body), self._id) + body)
        frames = await self.got()
        answers = [frame for frame in frames if frame[1] == self._id]
        self._frames = [frame for frame in frames if frame[1] != self._id]
        assert len(answers) == 1, (kind, frames)
        return answers[0][0], answers[0][2]

    async def status(self, kind: int, body: bytes = b"") -> int:
        """Status code of the answer."""
        _, answer = await self.ask(kind, body)
        assert answer[:2] == b"\x01\x1f"
        return int.from_bytes(answer[4:6], "big")

    async def do(self, kind: int, body: bytes | int = b"") -> None:
        """Ask for something that must succeed."""
        body = struct.pack(">I", body) if isinstance(body, int) else body
        assert await self.status(kind, body) == 0

    async def begin(self, spec: bytes, spec_id: int = 1, *, start: bool = True) -> None:
        await self.do(20, spec)
        await self.do(24, spec_id)
        if start:
            await self.do(22, spec_id)

    async def _of_type(self, wanted: int) -> list[bytes]:
        """Bodies of this type; the other frames stay."""
        frames = await self.got()
        self._frames = [frame for frame in frames if frame[0] != wanted]
        return [body for kind, _, body in frames if kind == wanted]

    async def reports(self) -> list[str]:
        """TagReportData parameters in hex, without their heads."""
        found = []
        for body in await self._of_type(REPORT):
            while body:
                length = int.from_bytes(body[2:4], "big")
                found.append(body[4:length].hex())
                body = body[length:]
        return found

    async def events(self) -> list[str]:
        """Event parameters in hex, after the time stamp."""
        return [body[16:].hex() for body in await self._of_type(EVENT)]

    def tag(self, antenna: int = 1, epc: bytes = EPC, rssi_dbm: float = -51.0, tid: bytes = b"") -> None:
        self.fake.sense(TagAnswer(antenna, epc, rssi_dbm, tid))


@asynccontextmanager
async def attached(fake: FakeReader) -> AsyncIterator[Reader]:
    async with client_of(fake.serve) as link:
        yield Reader(link, fake)


def fake_reader(act: Callable[[Deed], None] = lambda deed: None, **config: Any) -> FakeReader:
    return FakeReader(ReaderConfig(**config), act, now_utc_us=lambda: NOW_US)


@asynccontextmanager
async def reader(**config: Any) -> AsyncIterator[Reader]:
    async with attached(fake_reader(**config)) as found:
        await found.got()
        yield found
