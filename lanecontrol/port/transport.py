"""The thin transport: five verbs between us and whatever MQTT client does the work.

connect -> publish (answers the PUBACK's reason code), subscribe, receive, close. A transport serves one connection and
never reconnects; a fresh one is made per connection, and the outbox owns every retry.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

REFUSED = 0x80
"""MQTT 5 reason codes from here on are refusals: never success."""
NO_SUBSCRIBERS = 0x10
"""Acknowledged and thrown away: nobody had subscribed (MQTT 5, section 3.4.2.1)."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent. The MQTT 5 properties are left out on a 3.1.1 connection."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    content_type: str = ""
    response_topic: str = ""
    correlation: bytes = b""
    expiry_s: int | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """What arrived. `retained` tells a stored message from a live one; `duplicate` is the DUP flag."""

    topic: str
    payload: bytes
    qos: int
    retained: bool
    duplicate: bool
    content_type: str = ""
    response_topic: str = ""
    correlation: bytes = b""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What the broker's CONNACK said. The window of unacknowledged publishes never exceeds `receive_maximum`."""

    session_present: bool
    receive_maximum: int
    maximum_packet_bytes: int | None
    protocol: int
    """5 or 4 (4 stands for 3.1.1)."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where and how to connect. `url` is `mqtt://host:port`, `mqtts://host:port` or `mem://name`."""

    url: str
    client_id: str
    protocol: int = 5
    keepalive_s: int = 15
    clean_start: bool = True
    username: str = ""
    password: str = ""
    connect_timeout_s: float = 5.0
    answer_timeout_s: float = 10.0
    """A PUBACK or SUBACK later than this means that the connection is lost."""


class Transport(ABC):
    """One connection to a broker."""

    greeting: Greeting

    @abstractmethod
    async def publish(self, message: Message) -> int:
        """Send; answers the reason code (0 with 3.1.1 and QoS 0). Raises LinkLost: nobody knows whether it arrived.

        Several may be under way; the caller keeps to the window. Order of sending is the order of the calls.
        """

    @abstractmethod
    async def subscribe(self, filters: Sequence[str]) -> None:
        """Subscribe at QoS 1. Raises ProtocolViolation when the broker refuses a filter, LinkLost."""

    @abstractmethod
    async def receive(self) -> Received:
        """The next message; waits without limit. Raises LinkLost."""

    @abstractmethod
    async def close(self) -> None:
        """Say goodbye and close; never raises, bounded by a second."""


class Connect(Protocol):
    """Opens a transport. Raises LinkLost, CredentialsRefused, ProtocolViolation. Leaving the context closes it."""

    def __call__(self, broker: Broker, *, will: Message | None = None) -> AbstractAsyncContextManager[Transport]: ...
