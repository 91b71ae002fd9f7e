"""A relay with an outbox in memory, and a broker that acknowledges as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from publish_only import PublishOnly

from lanecontrol.errors import LinkLost, StorageUnavailable
from lanecontrol.ledger.records import Head, Position, Row
from lanecontrol.port.relay import DeadLetter, Relay, RelayPolicy
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import Greeting, Message

LANE = LaneAddress("laredo", "07")


class FakeOutbox:
    """The ledger as the relay sees it, in memory. `failing` calls raise StorageUnavailable first."""

    def __init__(self) -> None:
        self.rows: dict[Position, Row] = {}
        self.delivered: list[Position] = []
        self.values: dict[str, bytes] = {}
        self.failing = 0
        self.fetched = 0
        self._grown = asyncio.Event()

    def commit(self, *classes: str) -> None:
        for topic_class in classes:
            n = len(self.rows) + 1
            self.rows[Position(n)] = Row(
                position=Position(n),
                epoch=1,
                seq=n,
                topic_class=topic_class,
                kind="Kind",
                time_utc_s=0.0,
                digest=b"",
                link=b"",
                sum=0,
                salt=b"",
                body=b"%d" % n,
            )
        self._grown.set()

    @property
    def head(self) -> Head:
        return Head(1, len(self.rows), b"", Position(len(self.rows)))

    @property
    def undelivered_count(self) -> int:
        return len(self.rows) - len(set(self.delivered))

    async def undelivered(self, after: Position, limit: int) -> Sequence[Row]:
        await asyncio.sleep(0.001)
        if self.failing:
            self.failing -= 1
            raise StorageUnavailable("read", "disk gone")
        done = set(self.delivered)
        found = [row for position, row in self.rows.items() if position > after and position not in done][:limit]
        self.fetched += len(found)
        return found

    def mark_delivered(self, positions: Iterable[Position]) -> None:
        self.delivered.extend(positions)

    @property
    def repeatable(self) -> int:
        return 0

    async def marked(self, at_most: int) -> None:
        raise AssertionError("nothing is repeatable")

    async def waiting_through(
        self, epoch: int, seq: int, after: Position, limit: int
    ) -> Sequence[tuple[Position, int]]:
        done, rows = set(self.delivered), self.rows.items()
        fit = [(p, r.seq) for p, r in rows if r.epoch == epoch and r.seq <= seq and p > after and p not in done]
        return fit[:limit]

    async def beyond(self, position: Position) -> None:
        while len(self.rows) <= position:
            self._grown.clear()
            await self._grown.wait()

    async def get(self, key: str) -> bytes | None:
        return self.values.get(key)

    def put(self, key: str, value: bytes) -> asyncio.Future[None]:
        self.values[key] = value
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future


class FakeBroker(PublishOnly):
    """Answers each publish after `delay_s` with what `answer` says; remembers what it took, in order of sending."""

    def __init__(
        self,
        answer: Callable[[Message], int] = lambda message: 0,
        *,
        delay_s: float = 0.01,
        receive_maximum: int = 65_535,
    ) -> None:
        self.greeting = Greeting(False, receive_maximum, None, 5)
        self.answer = answer
        self.delay_s = delay_s
        self.slow: dict[bytes, float] = {}
        """Seconds until the PUBACK of single messages, by their body."""
        self.sent: list[Message] = []
        self.flying = self.most_flying = 0
        self.gone = asyncio.Event()

    async def publish(self, message: Message) -> int:
        if self.gone.is_set():
            raise LinkLost("session", "gone")
        self.sent.append(message)
        self.flying += 1
        self.most_flying = max(self.most_flying, self.flying)
        code = self.answer(message)
        try:
            async with asyncio.timeout(self.slow.get(message.payload, self.delay_s)):
                await self.gone.wait()
            raise LinkLost("session", "gone")
        except TimeoutError:
            return code
        finally:
            self.flying -= 1

    def bodies(self, topic_class: str = "") -> list[int]:
        return [int(m.payload) for m in self.sent if topic_class in ("", m.topic.rpartition("/")[2])]

    @property
    def live(self) -> list[int]:
        return [int(m.payload) for m in self.sent if not m.user_properties]


@asynccontextmanager
async def draining(relay: Relay, broker: FakeBroker) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.ensure_future(relay.drain(broker))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait((task,))


@dataclass
class Desk:
    outbox: FakeOutbox = field(default_factory=FakeOutbox)
    policy: RelayPolicy = field(default_factory=RelayPolicy)
    dead: list[DeadLetter] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.relay = Relay(self.outbox, LANE, self.policy, on_dead=self.dead.append)

    def draining(self, broker: FakeBroker) -> AbstractAsyncContextManager[asyncio.Task[None]]:
        return draining(self.relay, broker)

    async def delivered(self, limit_s: float = 60.0) -> None:
        async with asyncio.timeout(limit_s):
            await self.relay.wait_delivered()
