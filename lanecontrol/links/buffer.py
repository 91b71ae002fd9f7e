"""The half of a link that all carriers share: what has come in and was not read yet, bounded, and how it ended.

Used by the carriers (`stream`, `fd`, `memory`); a carrier feeds bytes in and is told when to hold.
"""

from __future__ import annotations

import asyncio
import os
import socket
from abc import abstractmethod

from lanecontrol.errors import DeviceError, LinkLost
from lanecontrol.links.contract import Link

READ_LIMIT = 65536
"""Unread bytes above this stop the carrier until they are read."""

WRITE_DEADLINE_S = 5.0
"""A peer that takes nothing for so long is lost; as long as a connection attempt may take by default."""

CLOSE_S = 0.8
"""How long closing may wait for unsent bytes, so that it stays within its second."""

CLOSED_HERE = "closed on this side"
CLOSED_THERE = "the peer closed the connection"
CUT = "the connection was cut"


def plain_words(error: BaseException) -> str:
    """The cause of an I/O error as an operator reads it."""
    if isinstance(error, socket.gaierror):
        return f"the host name is unknown ({error.strerror})"
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


class BufferedLink(Link):
    """A link over a carrier that pushes bytes in."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self._received: list[bytes] = []
        self._size = 0
        self._held = False
        self._reader: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._read_end = ""
        self._write_end = ""
        self._blame: type[DeviceError] = LinkLost

    # --- for the carrier ---------------------------------------------------------------------------------------------

    @abstractmethod
    def _hold(self) -> None:
        """Enough unread bytes: stop the carrier."""

    @abstractmethod
    def _go_on(self) -> None:
        """There is room again."""

    @abstractmethod
    def drop(self) -> None:
        """Cut the connection at once, unsent bytes and all. Never waits, never raises."""

    def _feed(self, data: bytes) -> None:
        self._received.append(data)
        self._size += len(data)
        if self._size > READ_LIMIT and not self._held:
            self._held = True
            self._hold()
        self._wake_reader()

    def _end_reading(self, why: str) -> None:
        self._read_end = self._read_end or why
        self._wake_reader()

    def _end(self, why: str) -> None:
        """Nothing comes and nothing goes from here on; what was received can still be read."""
        self._write_end = self._write_end or why
        self._end_reading(why)
        self._make_room()

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _fill(self) -> None:
        if self._room is None:
            self._room = asyncio.get_running_loop().create_future()

    def _make_room(self) -> None:
        room, self._room = self._room, None
        if room is not None:
            room.set_result(None)

    @property
    def closed(self) -> bool:
        """Nothing comes and nothing goes any more."""
        return bool(self._read_end and self._write_end)

    # --- for the user of the link ------------------------------------------------------------------------------------

    async def read(self) -> bytes:
        while not self._received:
            if self._read_end:
                raise self._blame("read", self._read_end)
            await self._more()
        data = self._received[0] if len(self._received) == 1 else b"".join(self._received)
        self._received.clear()
        self._size = 0
        if self._held:
            self._held = False
            self._go_on()
        return data

    async def _more(self) -> None:
        if self._reader is not None:
            raise RuntimeError(f"two tasks read {self.peer} at once")
        self._reader = asyncio.get_running_loop().create_future()
        try:
            await self._reader  # no deadline: the driver knows how long its device may be silent
        finally:
            self._reader = None

    def _check_writable(self) -> None:
        if self._write_end:
            raise self._blame("write", self._write_end)

    async def _wait_for_room(self) -> None:
        """Wait until the carrier took enough. Raises LinkLost when it does not, and drops the connection."""
        if self._room is None:
            return
        done, _ = await asyncio.wait({self._room}, timeout=WRITE_DEADLINE_S)
        if not done:
            self._end(f"the peer took nothing for {WRITE_DEADLINE_S:g} s")
            self.drop()
        self._check_writable()
