"""For tests of the brokers: MQTT packets put together by hand from the standard, never with the codec under test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from fake_bench import client_of

from lanecontrol.errors import LinkLost
from lanecontrol.links import Link
from sim.broker import MemoryBroker

CONNACK, PUBLISH, PUBACK, SUBACK, UNSUBACK, PINGRESP, DISCONNECT = 2, 3, 4, 9, 11, 13, 14
V311, V5 = 4, 5
EXPIRY, CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION, USER = 0x02, 0x03, 0x08, 0x09, 0x26


def varint(value: int) -> bytes:
    out = bytearray()
    while True:
        value, low = divmod(value, 128)
        out.append(low | (128 if value else 0))
        if not value:
            return bytes(out)


def text(value: str) -> bytes:
    return len(value.encode()).to_bytes(2, "big") + value.encode()


def props(*pieces: bytes) -> bytes:
    joined = b"".join(pieces)
    return varint(len(joined)) + joined


def packet(first: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return bytes((first,)) + varint(len(body)) + body


def u32(key: int, value: int) -> bytes:
    return bytes((key,)) + value.to_bytes(4, "big")


@dataclass(frozen=True)
class Will:
    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    delay_s: int = 0


def connect(
    client_id: str = "one",
    *,
    version: int = V5,
    clean: bool = True,
    keepalive_s: int = 0,
    properties: bytes = b"",
    will: Will | None = None,
    username: str = "",
    password: bytes = b"",
) -> bytes:
    flags = clean << 1
    payload = text(client_id)
    if will:
        flags |= 4 | will.qos << 3 | will.retain << 5
        payload += props(u32(0x18, will.delay_s)) if version == V5 else b""
        payload += text(will.topic) + len(will.payload).to_bytes(2, "big") + will.payload
    if username:
        flags |= 0x80 | 0x40
        payload += text(username) + len(password).to_bytes(2, "big") + password
    head = text("MQTT") + bytes((version, flags)) + keepalive_s.to_bytes(2, "big")
    return packet(0x10, head, props(properties) if version == V5 else b"", payload)


def publish(
    topic: str,
    payload: bytes = b"",
    *,
    packet_id: int = 1,
    qos: int = 1,
    retain: bool = False,
    properties: bytes = b"",
    version: int = V5,
) -> bytes:
    head = text(topic) + (packet_id.to_bytes(2, "big") if qos else b"")
    return packet(0x30 | qos << 1 | retain, head, props(properties) if version == V5 else b"", payload)


def subscribe(*filters: str, options: int = 1, packet_id: int = 7, version: int = V5, identifier: int = 0) -> bytes:
    own = b"\x0b" + varint(identifier) if identifier else b""
    head = packet_id.to_bytes(2, "big") + (props(own) if version == V5 else b"")
    return packet(0x82, head, *(text(each) + bytes((options,)) for each in filters))


@dataclass(frozen=True)
class Message:
    """A PUBLISH from the broker."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool
    packet_id: int
    properties: bytes


class Client:
    """A link to the broker, with the packets that came."""

    def __init__(self, link: Link, version: int) -> None:
        self.link = link
        self.version = version
        self._buffer = b""

    async def send(self, *packets: bytes) -> None:
        for each in packets:
            await self.link.write(each)

    async def got(self, quiet_s: float = 0.0005) -> list[tuple[int, bytes]]:
        """First byte and body of everything that comes until nothing does for a while."""
        with suppress(TimeoutError, LinkLost):
            while True:
                async with asyncio.timeout(quiet_s):
                    self._buffer += await self.link.read()
        packets = []
        while len(self._buffer) >= 2:
            length, at, shift = 0, 1, 0
            while True:
                byte = self._buffer[at]
                length |= (byte & 127) << shift
                at, shift = at + 1, shift + 7
                if byte < 128:
                    break
            packets.append((self._buffer[0], self._buffer[at : at + length]))
            self._buffer = self._buffer[at + length :]
        return packets

    async def ask(self, data: bytes) -> bytes:
        """The one packet that comes back, whole."""
        await self.send(data)
        [(first, body)] = await self.got()
        return packet(first, body)

    async def messages(self, *, acknowledge: bool = True, quiet_s: float = 0.0005) -> list[Message]:
        """The PUBLISH packets among what comes."""
        found = []
        for first, body in await self.got(quiet_s):
            if first >> 4 == PUBLISH:
                found.append(self._message(first, body))
        if acknowledge:
            for each in found:
                if each.qos:
                    await self.send(packet(0x40, each.packet_id.to_bytes(2, "big")))
        return found

    def _message(self, first: int, body: bytes) -> Message:
        size = int.from_bytes(body[:2], "big")
        topic, at, packet_id, properties = body[2 : 2 + size].decode(), 2 + size, 0, b""
        qos = first >> 1 & 3
        if qos:
            packet_id, at = int.from_bytes(body[at : at + 2], "big"), at + 2
        if self.version == V5:  # the tests' properties are shorter than 128 bytes
            properties, at = body[at + 1 : at + 1 + body[at]], at + 1 + body[at]
        return Message(topic, body[at:], qos, bool(first & 1), bool(first & 8), packet_id, properties)

    async def ended(self) -> bool:
        """Whether the broker closed the connection, once everything was read."""
        try:
            async with asyncio.timeout(20):
                while True:
                    await self.link.read()
        except LinkLost:
            return True
        except TimeoutError:
            return False


@asynccontextmanager
async def attached(broker: MemoryBroker, greeting: bytes = b"", version: int = V5) -> AsyncIterator[Client]:
    """A client that said hello; what came back is there to read when the greeting was given."""
    async with client_of(broker.serve) as link:
        client = Client(link, version)
        await client.send(greeting or connect(version=version))
        if not greeting:
            await client.got()
        yield client


@asynccontextmanager
async def joined(broker: MemoryBroker, greeting: bytes, version: int = V5) -> AsyncIterator[Client]:
    """A client that said hello and was welcomed."""
    async with attached(broker, greeting, version) as client:
        [(first, body), *_] = await client.got()
        assert (first, body[1]) == (CONNACK << 4, 0)
        yield client
