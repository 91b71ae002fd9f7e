"""The thin transport: five verbs between us and whatever MQTT client does the work.

connect -> publish (answers the PUBACK's reason code), subscribe, receive, close. A transport serves one connection and
never reconnects; a fresh one is made per connection, and the outbox owns every retry.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

from lanecontrol.errors import LinkLost

REFUSED = 0x80
"""MQTT 5 reason codes from here on are refusals: never success."""
NO_SUBSCRIBERS = 0x10
"""Acknowledged and thrown away: nobody had subscribed (MQTT 5, section 3.4.2.1)."""


class TakenOver(LinkLost):
    """Another client came with our client id, and the broker gave it our place. Retry slowly: two would fight."""


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
    user_properties: tuple[tuple[str, str], ...] = ()


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
    user_properties: tuple[tuple[str, str], ...] = ()
    expiry_s: int | None = None
    """What is left of the message's expiry interval, if it has one."""


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

    @property
    def name(self) -> str:
        """Its url without the files behind the question mark, for messages."""
        return self.url.partition("?")[0]


class Sink(NamedTuple):
    """Who is told what became of messages, by the token that was given with each. Neither may raise."""

    good: Callable[[Any], object]
    """The broker took it: the reason code was 0."""
    other: Callable[[Any, int | BaseException], object]
    """Another reason code; or why nobody knows."""


Batch = Sequence[tuple[Message, bytes, Any]]
"""Messages to be sent, each with its payload (its own does not count) and a token."""


def _tell(done: asyncio.Future[int], sink: Sink, token: Any) -> None:
    if done.cancelled():
        return
    error = done.exception()
    if error is not None or done.result():
        sink.other(token, error or done.result())
    else:
        sink.good(token)


class Transport(ABC):
    """One connection to a broker."""

    greeting: Greeting

    @abstractmethod
    async def publish(self, message: Message) -> int:
        """Send; answers the reason code (0 with 3.1.1 and QoS 0). Raises LinkLost: nobody knows whether it arrived.

        Several may be under way; beyond the broker's receive maximum the call waits until there is room. Order of
        sending is the order of the calls.
        """

    def begin(self, message: Message) -> asyncio.Future[int]:
        """The same without waiting: the future answers the reason code, or fails with LinkLost.

        For a caller that keeps a window of its own: it saves a task per message where the client can do without.
        """
        return asyncio.ensure_future(self.publish(message))

    def send(self, batch: Batch, sink: Sink) -> None:
        """The same for thousands, in order: `sink` is told of each token once, when that is known; perhaps at once.

        Messages that differ in their payload only should be one object: what goes before the payload is then made once.
        """
        for message, payload, token in batch:
            future = self.begin(replace(message, payload=payload))
            future.add_done_callback(lambda done, token=token: _tell(done, sink, token))  # type: ignore[misc]

    def after_answers(self, call: Callable[[], None]) -> bool:
        """Have `call` called after each round of answers, when they are all told and before anything is written.

        False where this client does not do that. For a caller that then sends as much again at once.
        """
        return False

    @abstractmethod
    async def subscribe(self, filters: Sequence[str], *, retain_as_published: bool = False) -> None:
        """Subscribe at QoS 1. Raises ProtocolViolation when the broker refuses a filter, LinkLost.

        `retain_as_published` (MQTT 5, section 3.8.3.1): also a live message shows whether it was sent to be retained.
        """

    @abstractmethod
    async def receive(self) -> Received:
        """The next message; waits without limit, as nobody owes us one. Raises LinkLost.

        A message of QoS 1 is acknowledged to the broker when it is handed out here, not before.
        """

    @abstractmethod
    async def close(self, *, with_will: bool = False) -> None:
        """Say goodbye and close; never raises, bounded by a second, may be called again.

        `with_will` leaves without the goodbye that would make the broker forget our will.
        """


class Connect(Protocol):
    """Opens a transport. Raises LinkLost, CredentialsRefused, ProtocolViolation. Leaving the context closes it.

    Left by an exception, it closes `with_will`.
    """

    def __call__(self, broker: Broker, *, will: Message | None = None) -> AbstractAsyncContextManager[Transport]: ...
