"""What a link is: a byte stream to one peer, however it is carried.

Drivers and fakes know nothing else of a connection. Nothing in this module opens one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class Link(ABC):
    """A byte stream to one peer. One task reads it at a time; any number may write, each write stays together."""

    peer: str
    """Who is at the other end, for messages."""

    @abstractmethod
    async def read(self) -> bytes:
        """The next bytes, at least one. Raises LinkLost at the end of the stream or on an error."""

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Send all of `data`; returns when the transport's buffer is below its limit. Raises LinkLost."""

    def write_now(self, data: bytes) -> bool:
        """Send `data` if that needs no waiting; answers whether it was done. Raises LinkLost."""
        return False

    def heed(self, take: Callable[[bytes], bool]) -> bool:
        """Hand what comes to `take` as it comes, without a task's turn, until it answers False; what comes then is
        read as ever, and so is the end. Answers whether this link does that. `take` must not raise.
        """
        return False

    @abstractmethod
    async def close(self) -> None:
        """Close now; never raises, never takes longer than a second, may be called again."""


Handler = Callable[[Link], Awaitable[None]]
"""Serves one connection until it is lost; LinkLost is its normal end."""


class Links(Protocol):
    def open(self, url: str, *, timeout_s: float = 5.0) -> AbstractAsyncContextManager[Link]:
        """Connect; leaving the context closes. Raises LinkLost when it cannot be done in time."""
        ...

    def listen(self, url: str, handler: Handler) -> AbstractAsyncContextManager[str]:
        """Serve whoever connects, each connection in a task of its own; leaving ends them all and closes.

        Gives the address in words, for messages. At most 64 connections at once: when there are so many, the one that
        has been silent for the longest gives way if that is 10 s or more, else the new one is closed at once. Raises
        LinkLost when the address cannot be had. A handler that raises anything but LinkLost ends the context with it.
        """
        ...
