"""What a link is: a byte stream to one peer, however it is carried.

Drivers and fakes know nothing else of a connection. Nothing in this module opens one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
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

    @abstractmethod
    async def close(self) -> None:
        """Close now; never raises, never takes longer than a second, may be called again."""


class Links(Protocol):
    def open(self, url: str, *, timeout_s: float = 5.0) -> AbstractAsyncContextManager[Link]:
        """Connect; leaving the context closes. Raises LinkLost when it cannot be done in time."""
        ...
