"""What the port tests share: a scripted MQTT peer that reads and writes raw bytes, and mosquitto on a free port.

The peer's bytes are put together here by hand from the standard, never with the codec under test.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lanecontrol.clock import RealWork
from lanecontrol.errors import LinkLost
from lanecontrol.links import Link, LinkOpener, MemoryNet
from lanecontrol.port.mqtt_client import MqttClient, MqttConnector
from lanecontrol.port.transport import Broker, Message

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = 1, 2, 3, 4, 8, 9, 12, 13, 14
OK_V5 = bytes.fromhex("2003000000")
OK_V311 = bytes.fromhex("20020000")
PONG = b"\xd0\x00"


@dataclass(frozen=True)
class Raw:
    """A packet from the client, as it came."""

    first: int
    body: bytes

    @property
    def kind(self) -> int:
        return self.first >> 4

    @property
    def packet_id(self) -> int:
        """Of a PUBLISH of QoS 1 or a SUBSCRIBE."""
        at = 2 + int.from_bytes(self.body[:2], "big") if self.kind == PUBLISH else 0
        return int.from_bytes(self.body[at : at + 2], "big")

    @property
    def topic(self) -> str:
        return self.body[2 : 2 + int.from_bytes(self.body[:2], "big")].decode()


class Peer:
    """The broker's end of one connection: what the client sent, one by one, and bytes to send back."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self._held = b""

    async def next(self) -> Raw:
        """The client's next packet. Raises LinkLost."""
        while (found := self._whole()) is None:
            self._held += await self.link.read()
        return found

    def _whole(self) -> Raw | None:
        size = shift = 0
        for at in range(1, len(self._held)):
            size |= (self._held[at] & 0x7F) << shift
            shift += 7
            if self._held[at] < 0x80:
                end = at + 1 + size
                if len(self._held) < end:
                    return None
                packet = Raw(self._held[0], self._held[at + 1 : end])
                self._held = self._held[end:]
                return packet
        return None

    async def expect(self, kind: int) -> Raw:
        packet = await self.next()
        assert packet.kind == kind, packet
        return packet

    async def send(self, data: bytes) -> None:
        await self.link.write(data)

    async def welcome(self, connack: bytes = OK_V5) -> Raw:
        """Take the CONNECT and answer it."""
        connect = await self.expect(CONNECT)
        await self.send(connack)
        return connect

    async def ack(self, packet: Raw, code: int | None = None) -> None:
        """PUBACK; the short form without a code."""
        identifier = packet.packet_id.to_bytes(2, "big")
        await self.send(b"\x40\x02" + identifier if code is None else b"\x40\x03" + identifier + bytes((code,)))

    async def grant(self) -> Raw:
        """Take a SUBSCRIBE of one filter and grant it, in MQTT 5."""
        packet = await self.expect(SUBSCRIBE)
        await self.send(b"\x90\x04" + packet.packet_id.to_bytes(2, "big") + b"\x00\x01")
        return packet


def connack(*properties: str, code: int = 0) -> bytes:
    """A CONNACK of MQTT 5 with properties in hex."""
    found = bytes.fromhex("".join(properties))
    body = bytes((0, code, len(found))) + found
    return bytes((0x20, len(body))) + body


def incoming(topic: str, payload: bytes, packet_id: int = 0, properties: bytes = b"", flags: int = 0) -> bytes:
    """A PUBLISH of MQTT 5 to the client: QoS 1 where there is a packet id."""
    name = topic.encode()
    body = len(name).to_bytes(2, "big") + name
    body += packet_id.to_bytes(2, "big") if packet_id else b""
    body += bytes((len(properties),)) + properties + payload
    assert len(body) < 128
    return bytes((0x30 | (2 if packet_id else 0) | flags, len(body))) + body


class Bench:
    """One client and the scripted peer it is connected to, over a memory link."""

    def __init__(self) -> None:
        self.net = MemoryNet()
        self.work = RealWork()
        self.peers: asyncio.Queue[Peer] = asyncio.Queue()
        self.net.listen("broker", self._serve)
        self.connector = MqttConnector(LinkOpener(self.net), self.work)

    async def _serve(self, link: Link) -> None:
        self.peers.put_nowait(Peer(link))
        await asyncio.Event().wait()

    def broker(self, **settings: Any) -> Broker:
        return Broker("mem://broker", "lane-1", **settings)

    @asynccontextmanager
    async def connected(
        self, answer: bytes = OK_V5, will: Message | None = None, **settings: Any
    ) -> AsyncIterator[tuple[MqttClient, Peer]]:
        greeting = asyncio.ensure_future(self._greet(answer))
        async with self.connector(self.broker(**settings), will=will) as client:
            yield client, await greeting

    async def _greet(self, answer: bytes) -> Peer:
        peer = await self.peers.get()
        await peer.welcome(answer)
        return peer


async def everything(peer: Peer) -> list[Raw]:
    """All that the client sends until its end."""
    found = []
    try:
        while True:
            found.append(await peer.next())
    except LinkLost:
        return found


# --- mosquitto -------------------------------------------------------------------------------------------------------

MOSQUITTO = "/usr/sbin/mosquitto"


@dataclass
class Mosquitto:
    """An unprivileged mosquitto of our own."""

    port: int
    process: subprocess.Popen[bytes]

    def broker(self, name: str = "lane-1", **settings: Any) -> Broker:
        return Broker(f"mqtt://127.0.0.1:{self.port}", name, **settings)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def mosquitto(folder: Path, *lines: str, port: int = 0) -> Iterator[Mosquitto]:
    """Run mosquitto on a free port of loopback, with more lines for its configuration."""
    if not Path(MOSQUITTO).exists():
        pytest.skip("mosquitto is not installed (Debian package mosquitto)")
    port = port or free_port()
    settings = folder / "mosquitto.conf"
    # Started by root, as in a container, it would drop to a user that cannot read this folder.
    user = ("user root",) if os.geteuid() == 0 else ()
    anonymous = () if any("allow_anonymous" in line for line in lines) else ("allow_anonymous true",)
    settings.write_text(
        "\n".join((f"listener {port} 127.0.0.1", "set_tcp_nodelay true", *anonymous, *user, *lines)) + "\n"
    )
    with subprocess.Popen((MOSQUITTO, "-c", settings), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(port, process)
            yield Mosquitto(port, process)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(500):
        if process.poll() is not None:
            pytest.fail(f"mosquitto ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    pytest.fail("mosquitto does not listen")
