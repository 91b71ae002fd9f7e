"""A picture store, a line to the port, and the lane between them, each doing as the test says."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Container
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from publish_only import PublishOnly

from lanecontrol.errors import LinkLost, StorageUnavailable
from lanecontrol.evidence.unsent import Unsent
from lanecontrol.port.evidence_chunks import chunk_payload, pieces
from lanecontrol.port.evidence_in import PictureDesk, Taken
from lanecontrol.port.evidence_out import ChunkSender, Dispatch
from lanecontrol.port.evidence_policy import SendPolicy
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import Greeting, Message

LANE = LaneAddress("laredo", "07", simulated=True)


POLICY = SendPolicy(chunk_bytes=2048, bytes_per_s=0)


def picture(number: int, size: int = 10_000) -> bytes:
    return b"".join(b"%d:%d;" % (number, n) for n in range(size // 2 + 1))[:size]


def digest(of: bytes) -> str:
    return hashlib.sha256(of).hexdigest()


class Kept:
    """The store of pictures as the sender sees it, in memory, with a disk that may fail."""

    def __init__(self, *pictures: bytes) -> None:
        self.pictures = {digest(one): one for one in pictures}
        self.notes = dict.fromkeys(self.pictures, "image/jpeg")
        self.settled: list[str] = []
        self.failing = 0
        self._news = asyncio.Event()

    def add(self, one: bytes) -> None:
        self.pictures[digest(one)] = one
        self.notes[digest(one)] = "image/jpeg"
        self._news.set()

    async def unsent(self, but: Container[str]) -> list[Unsent]:
        await asyncio.sleep(0.001)
        self._news.clear()
        if self.failing:
            self.failing -= 1
            raise StorageUnavailable("look", "disk gone")
        return [Unsent(name, kind) for name, kind in self.notes.items() if name not in but]

    async def news(self) -> None:
        await self._news.wait()

    async def read(self, name: str) -> bytes | None:
        return self.pictures.get(name.removeprefix("sha256:"))

    async def settle(self, name: str) -> None:
        del self.notes[name]
        self.settled.append(name)


class Line(PublishOnly):
    """A connection to a broker behind which the port's desk sits. `lose_after` publishes it is gone."""

    def __init__(
        self,
        desk: PictureDesk,
        answer: Callable[[Message], int] = lambda message: 0,
        *,
        lose_after: int | None = None,
        delivered_though_lost: bool = False,
        maximum_packet_bytes: int | None = None,
    ) -> None:
        self.greeting = Greeting(False, 20, maximum_packet_bytes, 5)
        self.desk, self.answer = desk, answer
        self.lose_after, self.delivered_though_lost = lose_after, delivered_though_lost
        self.sent: list[Message] = []
        self.took: list[Taken] = []

    async def publish(self, message: Message) -> int:
        await asyncio.sleep(0.01)
        lost = self.lose_after is not None and len(self.sent) >= self.lose_after
        code = 0x80 if lost else self.answer(message)
        if code < 0x80 or (lost and self.delivered_though_lost):
            self.took.append(self.desk.take(message.payload))
        if lost:
            raise LinkLost("session", "gone")
        self.sent.append(message)
        return code

    @property
    def indexes(self) -> list[int]:
        return [json.loads(message.payload)["index"] for message in self.sent]


@dataclass
class Lane:
    """The sender of one run of the lane, and what it told."""

    kept: Kept
    policy: SendPolicy = POLICY
    given_up: list[tuple[str, str]] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    events_wait: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while none waits."""

    def __post_init__(self) -> None:
        self.events_wait.set()
        self.dispatch = Dispatch(self.kept, self._quiet, self._gave_up, self.troubles.append)
        self.sender = ChunkSender(self.dispatch, LANE, self.policy)

    async def _quiet(self) -> None:
        await self.events_wait.wait()

    def _gave_up(self, reference: str, why: str) -> None:
        self.given_up.append((reference, why))

    @asynccontextmanager
    async def connected(self, line: Line) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.ensure_future(self.sender.send(line))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def until_lost(self, line: Line) -> None:
        with pytest.raises(LinkLost):
            await self.sender.send(line)


def chunks(of: bytes, chunk_bytes: int = 1000) -> list[bytes]:
    about: dict[str, Any] = {
        "digest": digest(of),
        "source": LANE.root,
        "media_type": "image/jpeg",
        "chunk_bytes": chunk_bytes,
    }
    return [chunk_payload(of, index, **about) for index in range(pieces(len(of), chunk_bytes))]
