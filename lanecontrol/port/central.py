"""The port's side, for tools: see what lanes publish, ask something of a lane and take its reply.

Used by `lanecontrol watch`, `lanecontrol command` and the simulator's automatic officer. It serves one connection; a
tool that must outlive the broker makes a new one. The daemon never uses it.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from lanecontrol.clock import Clock, Instant, RealWork
from lanecontrol.commands import Actor, Result
from lanecontrol.errors import DeviceError, LinkLost
from lanecontrol.port.mqtt_packets import reason_text
from lanecontrol.port.order_payloads import ReplyPayload, command_bytes, parse_reply
from lanecontrol.port.payloads import JSON, PortEvent, parse_event
from lanecontrol.port.topics import BACKLOG_PROPERTY, LaneAddress
from lanecontrol.port.transport import NO_SUBSCRIBERS, REFUSED, Broker, Connect, Message, Received, Transport

WAITING_LIMIT = 20_000
"""Arrivals that may wait to be taken; beyond it nothing more is read, replies neither."""
EVERYTHING = ("poe/#", "sim/poe/#")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message as it came. `event` is None for what is no event: status, device states, somebody's mistake."""

    topic: str
    event: PortEvent | None
    raw: bytes
    at: Instant
    retained: bool
    duplicate: bool
    backlog: bool
    """Recorded before the lane's present connection came up; told on MQTT 5 only."""


class PortClient:
    """A tool's connection to the broker: `async with PortClient(connect, broker, clock=..., new_key=...) as port`.

    `new_key` makes idempotency keys: random ones for people, drawn from the seed in a simulation.
    """

    def __init__(
        self,
        connect: Connect,
        broker: Broker,
        *,
        clock: Clock,
        new_key: Callable[[], str],
        work: RealWork | None = None,
    ) -> None:
        self._connect = connect
        self._broker = broker
        self._clock = clock
        self._new_key = new_key
        self._work = work or RealWork()
        self._stack = AsyncExitStack()
        self._transport: Transport
        self._receiver: asyncio.Task[None]
        self._arrivals: deque[Arrival] = deque()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._replies: dict[str, asyncio.Future[ReplyPayload]] = {}
        self._replies_from: set[str] = set()
        self._lost: DeviceError | None = None

    async def __aenter__(self) -> Self:
        """Connect. Raises LinkLost, CredentialsRefused, ProtocolViolation."""
        self._transport = await self._stack.enter_async_context(self._connect(self._broker))
        self._receiver = asyncio.get_running_loop().create_task(self._receive(), name="port client")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._receiver.cancel()
        try:
            await asyncio.wait((self._receiver,))
            if not self._receiver.cancelled() and (bug := self._receiver.exception()) is not None:
                raise bug
        finally:
            await self._stack.aclose()

    # --- events ---

    async def subscribe(self, filters: Sequence[str] = EVERYTHING) -> None:
        """From now on `events` sees these. Raises ProtocolViolation when the broker forbids one, LinkLost."""
        await self._transport.subscribe(filters)

    async def events(self) -> AsyncIterator[Arrival]:
        """Everything that arrives, in order, for ever. Raises LinkLost when the connection is gone and all is taken."""
        while True:
            while not self._arrivals:
                if self._lost is not None:
                    raise type(self._lost)(self._lost.deed, self._lost.why)
                self._arrived.clear()
                await self._arrived.wait()
            arrival = self._arrivals.popleft()
            self._room.set()
            yield arrival

    async def _receive(self) -> None:
        try:
            while True:
                received = await self._transport.receive()
                if not self._is_reply(received):
                    while len(self._arrivals) >= WAITING_LIMIT:
                        self._room.clear()
                        await self._room.wait()
                    self._arrivals.append(self._arrival(received))
                    self._arrived.set()
        except DeviceError as lost:
            self._lost = lost
            self._arrived.set()
            for future in self._replies.values():
                if not future.done():
                    future.set_exception(LinkLost("command", lost.why))

    def _arrival(self, received: Received) -> Arrival:
        return Arrival(
            received.topic,
            parse_event(received.payload),
            received.payload,
            self._clock.now(),
            received.retained,
            received.duplicate,
            BACKLOG_PROPERTY in received.user_properties,
        )

    # --- commands ---

    async def command(
        self, lane: LaneAddress, verb: str, fields: dict[str, Any], *, actor: Actor, timeout_s: float = 10.0
    ) -> ReplyPayload:
        """Ask something of a lane and wait for its reply. After `timeout_s` the lane refuses it as late.

        No answer in time gives the result `unknown`; a broker that refuses, or a lane that does not listen, `refused`.
        Raises order_payloads.Refusal when the request is malformed, LinkLost when nobody knows what became of it.
        """
        key = self._new_key()
        client = self._broker.client_id
        now_utc_s = self._clock.now().utc_s
        body = command_bytes(
            verb,
            fields,
            key=key,
            actor=actor,
            lane=lane.lane,
            deadline_utc_s=now_utc_s + timeout_s,
            issued_utc_s=now_utc_s,
            client=client,
        )
        future: asyncio.Future[ReplyPayload] = asyncio.get_running_loop().create_future()
        with self._work.under_way():
            await self._listen_for_replies(lane)
            self._replies[key] = future
            try:
                async with asyncio.timeout(timeout_s):
                    refused = await self._send(lane, verb, body, key, timeout_s)
                    return refused or await future
            except TimeoutError:
                return ReplyPayload(key=key, result=Result.UNKNOWN, reason="no answer in time", lane=lane.lane)
            finally:
                del self._replies[key]
                if future.done() and not future.cancelled():
                    future.exception()

    async def publish(self, message: Message) -> int:
        """Publish what is no order: the answer to a lane's question. Answers the reason code. Raises LinkLost."""
        return await self._transport.publish(message)

    async def _send(self, lane: LaneAddress, verb: str, body: bytes, key: str, timeout_s: float) -> ReplyPayload | None:
        """Publish the request; a reply when the broker did not hand it to anybody."""
        message = Message(
            lane.command(verb),
            body,
            content_type=JSON,
            response_topic=lane.reply(self._broker.client_id),
            correlation=key.encode(),
            expiry_s=max(math.ceil(timeout_s), 1),
        )
        code = await self._transport.publish(message)
        if code >= REFUSED:
            why = f"the broker does not allow it: {reason_text(code)}"
        elif code == NO_SUBSCRIBERS:
            why = "no such lane is listening"
        else:
            return None
        return ReplyPayload(key=key, result=Result.REFUSED, reason=why, lane=lane.lane)

    async def _listen_for_replies(self, lane: LaneAddress) -> None:
        topic = lane.reply(self._broker.client_id)
        if topic not in self._replies_from:
            await self._transport.subscribe([topic])
            self._replies_from.add(topic)

    def _is_reply(self, received: Received) -> bool:
        """Take a reply to one of our requests; a late one is no longer of interest to anybody."""
        if received.topic not in self._replies_from:
            return False
        reply = parse_reply(received.payload)
        future = self._replies.get(received.correlation.decode("ascii", "replace") or (reply.key if reply else ""))
        if reply is not None and future is not None and not future.done():
            future.set_result(reply)
        return True
