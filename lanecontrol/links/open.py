"""Opening links by URL, with a tap for the flight recorder and a count of bytes per device."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal, assert_never

from lanecontrol.errors import LinkLost
from lanecontrol.links.address import (
    ListenAddress,
    LocalAddress,
    MemoryAddress,
    SerialAddress,
    TcpAddress,
    TlsAddress,
    TlsListenAddress,
    parse_url,
)
from lanecontrol.links.contract import Handler, Link
from lanecontrol.links.listen import listening
from lanecontrol.links.memory import MemoryNet
from lanecontrol.links.serial import connect_serial
from lanecontrol.links.stream import connect_stream

Tap = Callable[[str, Literal["rx", "tx"], bytes], None]
"""Sees every byte: device id (or URL, where no device is known), direction, bytes. Must not block or raise."""


@dataclass(slots=True)
class Traffic:
    """Bytes that came from a device and went to it, since the start."""

    rx_bytes: int = 0
    tx_bytes: int = 0
    listening_at: str = ""
    """Where we listen for the device, or did the last time; empty when the place could not be had."""
    connections: int = 0
    """Connections to us that were taken in."""
    turned_away: int = 0
    """Connections to us that were refused, failed before they began, or had to give way."""
    turned_away_why: str = ""
    """Why, the last time."""

    def turn_away(self, why: str) -> None:
        self.turned_away += 1
        self.turned_away_why = why


@dataclass(frozen=True, slots=True)
class LinkOpener:
    """Opens any URL. `memory` is where `mem://` names are looked up; `tap` sees all bytes of all links."""

    memory: MemoryNet | None = None
    tap: Tap | None = None

    def open(self, url: str, *, timeout_s: float = 5.0) -> AbstractAsyncContextManager[Link]:
        """Connect; leaving the context closes. Raises LinkLost, and ValueError for a wrong URL."""
        return DeviceLinks(self, url).open(url, timeout_s=timeout_s)

    def listen(self, url: str, handler: Handler) -> AbstractAsyncContextManager[str]:
        """Serve whoever connects. Raises LinkLost, and ValueError for a wrong URL."""
        return DeviceLinks(self, url).listen(url, handler)

    def for_device(self, device_id: str) -> DeviceLinks:
        """The same, for the driver of one device: its taps carry the device's id, its bytes are counted."""
        return DeviceLinks(self, device_id)

    async def connect(self, url: str, timeout_s: float) -> Link:
        """A bare link, for whoever closes it himself. Raises LinkLost, and ValueError for a wrong URL."""
        match address := parse_url(url):
            case TcpAddress() | TlsAddress():
                return await connect_stream(address, timeout_s)
            case SerialAddress():
                return await connect_serial(address)
            case MemoryAddress(name):
                if self.memory is None:
                    raise LinkLost("connect", f"there are no memory links in this process, so no mem://{name}")
                return self.memory.connect(name)
            case LocalAddress():
                raise ValueError(f"{url} is on this box; no link leads to it")
            case ListenAddress() | TlsListenAddress():
                raise ValueError(f"{url} is where devices connect to us; it cannot be connected to")
            case _:
                assert_never(address)


@dataclass(frozen=True, slots=True)
class DeviceLinks:
    """What a driver is given as its `Links`."""

    opener: LinkOpener
    label: str
    traffic: Traffic = field(default_factory=Traffic)

    @asynccontextmanager
    async def open(self, url: str, *, timeout_s: float = 5.0) -> AsyncIterator[Link]:
        """Connect; leaving the context closes. Raises LinkLost, and ValueError for a wrong URL."""
        link = await self.opener.connect(url, timeout_s)
        try:
            yield _Watched(link, self.label, self.traffic, self.opener.tap)
        finally:
            await link.close()

    @asynccontextmanager
    async def listen(self, url: str, handler: Handler) -> AsyncIterator[str]:
        """Serve whoever connects. Raises LinkLost, and ValueError for a wrong URL."""

        traffic = self.traffic
        traffic.listening_at = ""

        async def watched(link: Link) -> None:
            traffic.connections += 1
            await handler(_Watched(link, self.label, traffic, self.opener.tap))

        match address := parse_url(url):
            case ListenAddress() | TlsListenAddress() | MemoryAddress():
                async with listening(address, self.opener.memory, watched, traffic.turn_away) as where:
                    traffic.listening_at = where
                    yield where
            case _:
                raise ValueError(f"{url} is no place to listen at; write listen://address:port")


class _Watched(Link):
    """Counts, and shows every byte to the tap."""

    def __init__(self, link: Link, label: str, traffic: Traffic, tap: Tap | None) -> None:
        self.peer = link.peer
        self._link = link
        self._label = label
        self._traffic = traffic
        self._tap = tap

    async def read(self) -> bytes:
        data = await self._link.read()
        self._traffic.rx_bytes += len(data)
        if self._tap is not None:
            self._tap(self._label, "rx", data)
        return data

    async def write(self, data: bytes) -> None:
        # Before it is sent: an answer must not be recorded ahead of its question.
        self._traffic.tx_bytes += len(data)
        if self._tap is not None:
            self._tap(self._label, "tx", data)
        await self._link.write(data)

    def write_now(self, data: bytes) -> bool:
        if self._tap is not None or not self._link.write_now(data):  # the tap must see it first
            return False
        self._traffic.tx_bytes += len(data)
        return True

    def heed(self, take: Callable[[bytes], bool]) -> bool:
        if self._tap is not None:
            return False

        def counted(data: bytes) -> bool:
            self._traffic.rx_bytes += len(data)
            return take(data)

        return self._link.heed(counted)

    async def close(self) -> None:
        await self._link.close()
