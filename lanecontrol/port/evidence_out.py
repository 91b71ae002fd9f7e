"""Pictures to the port: in chunks over the broker, when no event waits, no faster than they may.

The composition root makes one per lane; the session calls `send` for the life of one connection. What is still to be
sent stands on disk beside the pictures and is struck off when the broker has acknowledged the last chunk: a picture may
be sent twice, never none. Must never delay an event by more than one chunk, nor stop for one picture that is refused.
Bytes by HTTP are `evidence_put`'s; `Dispatch` serves both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Never, Protocol

from lanecontrol.backing import reference
from lanecontrol.errors import LinkLost, StorageUnavailable
from lanecontrol.evidence.unsent import Unsent
from lanecontrol.port.evidence_chunks import CHUNK_LIMIT, PREFIX, chunk_payload, pieces
from lanecontrol.port.evidence_policy import SendPolicy
from lanecontrol.port.mqtt_packets import PACKET_TOO_LARGE, TOPIC_INVALID, reason_text
from lanecontrol.port.payloads import JSON
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import NO_SUBSCRIBERS, REFUSED, Message, Transport

TRIES = 3
"""A picture refused so often for its own sake is given up, as an event is."""
AGAIN_S = 60.0
"""Before a refused picture is tried again; others go meanwhile."""
OUTAGE_S = 5.0
"""Before the next picture is tried when nothing is taken, and after the disk has failed."""
ASIDE_LIMIT = 1000
"""Refused pictures that wait for another try; beyond it nothing else is tried until one of them is due."""
ENVELOPE_BYTES = 1024
"""What a chunk's message has besides its data, at the most: names, numbers, the topic and the MQTT header."""
LEAST_CHUNK_BYTES = 1024
LOSSES_IN_ROW = 2
"""Connections lost under a chunk: then chunks get smaller. A broker may drop us for a size that it did not announce
(MQTT 3.1.1 has no other way), and a link may never last for one that is long."""


class Pictures(Protocol):
    """What is asked of the store of pictures."""

    async def unsent(self, but: Container[str]) -> list[Unsent]: ...
    async def news(self) -> None: ...
    async def read(self, name: str) -> bytes | None: ...
    async def settle(self, digest: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Picked:
    """A picture on its way."""

    digest: str
    media_type: str
    picture: bytes = field(repr=False)

    @property
    def reference(self) -> str:
        return f"{PREFIX}{self.digest}"


class Fate(Enum):
    """What a refusal means for the picture."""

    HOPELESS = auto()
    """It will never be taken."""
    AGAIN = auto()
    """It may be taken another time; after some tries it is given up."""
    NOTHING_IS_TAKEN = auto()
    """The same would befall every other picture: nothing is given up for it."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The port did not take a picture."""

    why: str
    fate: Fate


_FATES = {
    PACKET_TOO_LARGE: Fate.HOPELESS,
    TOPIC_INVALID: Fate.HOPELESS,
    0x87: Fate.NOTHING_IS_TAKEN,  # not authorised: the rights are the same for every picture
    0x97: Fate.NOTHING_IS_TAKEN,  # quota exceeded
}


Deliver = Callable[[Picked], Awaitable[Refusal | None]]
"""Brings a picture to the port; None when it has arrived. Raises what ends the connection."""


@dataclass(slots=True)
class SendCounts:
    """What became of pictures, since the start."""

    sent: int = 0
    chunks: int = 0
    refused: int = 0
    given_up: int = 0
    unheard: int = 0
    """Chunks acknowledged with 0x10: nobody had subscribed."""


@dataclass(slots=True)
class _Aside:
    """A refused picture: how often, and when it may be tried again."""

    tries: int = 0
    until_s: float = 0.0
    sent: int = 0
    """How many pictures had been sent then: when others get through meanwhile, it is this one's own fault."""


class Dispatch:
    """Which picture goes next, and what becomes of one that does not get through. Lives as long as the lane."""

    def __init__(
        self,
        pictures: Pictures,
        quiet: Callable[[], Awaitable[None]],
        given_up: Callable[[str, str], None],
        trouble: Callable[[str], None],
    ) -> None:
        """`quiet` returns when no event waits to be sent; `given_up` is told the reference and why, once a picture;
        `trouble` why no picture is taken, once, and with an empty text when one is: also of the first one of a run, as
        a run before may have left a trouble standing."""
        self.counts = SendCounts()
        self.quiet = quiet
        self._pictures = pictures
        self._given_up = given_up
        self._trouble = trouble
        self._told: str | None = None
        self._aside: dict[str, _Aside] = {}

    async def run(self, deliver: Deliver) -> Never:
        """One picture after the other, until `deliver` raises."""
        while True:
            await self.quiet()
            try:
                await self._one(deliver)
            except StorageUnavailable:  # told by the store itself; what is on disk waits there
                await asyncio.sleep(OUTAGE_S)

    async def _one(self, deliver: Deliver) -> None:
        now_s = asyncio.get_running_loop().time()
        waiting = {digest for digest, aside in self._aside.items() if aside.until_s > now_s}
        found = await self._pictures.unsent(waiting) if len(waiting) < ASIDE_LIMIT else []
        if not found:
            await self._wait(min((aside.until_s for aside in self._aside.values()), default=None))
            return
        picked = await self._picked(found[0])
        if picked is not None:
            await self._settle(picked, await deliver(picked))

    async def _wait(self, until_s: float | None) -> None:
        """For another picture, or the time to try one again."""
        try:
            async with asyncio.timeout_at(until_s):  # None: nothing is owed to us
                await self._pictures.news()
        except TimeoutError:
            return

    async def _picked(self, unsent: Unsent) -> Picked | None:
        """The picture itself; one that is gone, or is not what it was, is given up."""
        picture = await self._pictures.read(f"{PREFIX}{unsent.digest}")
        why = ""
        if picture is None:
            why = "it is not on this disk any more, or its key is not here"
        elif await reference(picture) != f"{PREFIX}{unsent.digest}":
            why = "its file is damaged"
        if why or picture is None:
            await self._give_up(unsent.digest, why)
            return None
        return Picked(unsent.digest, unsent.media_type, picture)

    async def _settle(self, picked: Picked, refusal: Refusal | None) -> None:
        if refusal is None:
            await self._pictures.settle(picked.digest)
            self._aside.pop(picked.digest, None)
            self.counts.sent += 1
            self.tell("")
            return
        self.counts.refused += 1
        aside = self._aside.setdefault(picked.digest, _Aside(sent=self.counts.sent))
        others_went, aside.sent = self.counts.sent > aside.sent, self.counts.sent
        aside.until_s = asyncio.get_running_loop().time() + AGAIN_S
        if refusal.fate is Fate.NOTHING_IS_TAKEN and not others_went:
            self.tell(refusal.why)
            await asyncio.sleep(OUTAGE_S)
            return
        aside.tries += 1
        if refusal.fate is Fate.HOPELESS or aside.tries >= TRIES:
            await self._give_up(picked.digest, refusal.why)

    def tell(self, why: str) -> None:
        """Why no picture is taken, if that is news; empty when all is well."""
        if self._told is None or bool(why) is not bool(self._told):
            self._trouble(why)
        self._told = why

    async def _give_up(self, digest: str, why: str) -> None:
        await self._pictures.settle(digest)
        self._aside.pop(digest, None)
        self.counts.given_up += 1
        self._given_up(f"{PREFIX}{digest}", why)


class Pace:
    """So many bytes a second in the long run, one portion at a time."""

    def __init__(self, bytes_per_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._free_s = 0.0

    async def turn(self, size: int) -> None:
        """Until a portion of `size` bytes may go."""
        if not self._bytes_per_s:
            return
        now_s = asyncio.get_running_loop().time()
        begin_s = max(now_s, self._free_s)
        self._free_s = begin_s + size / self._bytes_per_s
        await asyncio.sleep(begin_s - now_s)


class ChunkSender:
    """Pictures over the broker, a chunk at a time. Where a connection is lost in the middle, the next one goes on."""

    def __init__(self, dispatch: Dispatch, address: LaneAddress, policy: SendPolicy) -> None:
        self.dispatch = dispatch
        self._address = address
        self._policy = policy
        self._pace = Pace(policy.bytes_per_s)
        self._largest = min(policy.chunk_bytes, CHUNK_LIMIT)
        self._losses = 0
        self._half_sent = ("", 0, 0)
        """A picture's hash, the size of its chunks, and how many of them are acknowledged."""

    async def send(self, transport: Transport) -> Never:
        """For the life of one connection. Raises LinkLost."""
        if self._losses:  # it may have been a chunk that cost us the last ones
            await asyncio.sleep(min(2.0**self._losses, AGAIN_S))
        chunk_bytes = self._chunk_bytes(transport.greeting.maximum_packet_bytes)
        await self.dispatch.run(lambda picked: self._deliver(picked, transport, chunk_bytes))

    def _chunk_bytes(self, packet_bytes: int | None) -> int:
        """Base64 makes four bytes of three."""
        fits = CHUNK_LIMIT if packet_bytes is None else (packet_bytes - ENVELOPE_BYTES) * 3 // 4
        return max(min(self._largest, fits), LEAST_CHUNK_BYTES)

    async def _deliver(self, picked: Picked, transport: Transport, chunk_bytes: int) -> Refusal | None:
        digest, size, done = self._half_sent
        first = done if (digest, size) == (picked.digest, chunk_bytes) else 0
        for index in range(first, pieces(len(picked.picture), chunk_bytes)):
            refusal = await self._one_chunk(picked, index, transport, chunk_bytes)
            if refusal is not None:
                self._half_sent = ("", 0, 0)
                return refusal
            self._half_sent = (picked.digest, chunk_bytes, index + 1)
        return None

    async def _one_chunk(self, picked: Picked, index: int, transport: Transport, chunk_bytes: int) -> Refusal | None:
        payload = chunk_payload(
            picked.picture,
            index,
            digest=picked.digest,
            source=self._address.root,
            media_type=picked.media_type,
            chunk_bytes=chunk_bytes,
        )
        message = Message(self._address.evidence(picked.digest), payload, content_type=JSON)
        while (code := await self._published(message, transport)) == NO_SUBSCRIBERS:
            self.dispatch.counts.unheard += 1
            if not self._policy.hold_without_subscribers:
                return None
            await asyncio.sleep(AGAIN_S)  # nobody listens: the same chunk again later, without a limit
        return Refusal(reason_text(code), _FATES.get(code, Fate.AGAIN)) if code >= REFUSED else None

    async def _published(self, message: Message, transport: Transport) -> int:
        await self._pace.turn(len(message.payload))
        await self.dispatch.quiet()
        try:
            code = await transport.publish(message)
        except LinkLost:
            self._losses += 1
            if self._losses % LOSSES_IN_ROW == 0:
                self._largest = max(self._largest // 2, LEAST_CHUNK_BYTES)
            raise
        self._losses = 0
        self.dispatch.counts.chunks += 1
        return code
