"""The daemon's own MQTT client: one connection over a `Link`, many publishes in flight, every reason code told.

`MqttConnector` is the `Connect` that the session is given. The client answers for the window the broker asked for,
packet sizes, deadlines of acknowledgements and half-open connections; it never reconnects and never repeats a publish:
the outbox does. Timers are the event loop's, so a virtual clock can run it; what waits for the broker counts as real
work.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from lanecontrol.clock import RealWork
from lanecontrol.errors import DeviceError, LinkLost, ProtocolViolation
from lanecontrol.links import Link, Links
from lanecontrol.port import mqtt_encode as encode
from lanecontrol.port.mqtt_codec import Decoder
from lanecontrol.port.mqtt_flight import FUTURES, Flight, refusals, wrote
from lanecontrol.port.mqtt_greeting import link_url, refusal
from lanecontrol.port.mqtt_packets import (
    PROTOCOL_ERROR,
    TAKEN_OVER,
    V5,
    WITH_WILL,
    Connack,
    Disconnect,
    Packet,
    Pingresp,
    Puback,
    Publish,
    Suback,
    Violation,
    reason_text,
)
from lanecontrol.port.mqtt_pulse import Pulse
from lanecontrol.port.transport import Batch, Broker, Greeting, Message, Received, Sink, TakenOver, Transport

QUEUE_LIMIT = 64
"""Incoming messages that may wait to be received; told to an MQTT 5 broker as our receive maximum."""
PACKET_LIMIT_BYTES = 1 << 20
"""The largest packet we take: commands, receipts and snapshots are far below."""
FAREWELL_S = 0.5
_TICK_S = 0.001
"""Timers may fire this much early, by rounding."""


class MqttConnector:
    """Opens connections with this project's own client. The `Connect` of the daemon."""

    def __init__(
        self,
        links: Links,
        work: RealWork | None = None,
        *,
        queue_limit: int = QUEUE_LIMIT,
        packet_limit_bytes: int = PACKET_LIMIT_BYTES,
    ) -> None:
        self._links = links
        self._work = work or RealWork()
        self._queue_limit = queue_limit
        self._packet_limit_bytes = packet_limit_bytes

    @asynccontextmanager
    async def __call__(self, broker: Broker, *, will: Message | None = None) -> AsyncIterator[MqttClient]:
        """Connect. Raises LinkLost, CredentialsRefused, ProtocolViolation."""
        async with AsyncExitStack() as stack:
            with self._work.under_way():
                link = await stack.enter_async_context(
                    self._links.open(link_url(broker.url), timeout_s=broker.connect_timeout_s)
                )
                client = MqttClient(link, broker, self._work, self._queue_limit, self._packet_limit_bytes)
                stack.push_async_exit(client.leave)
                await client.greet(will)
            yield client


class MqttClient(Transport):
    """One connection. Made by `MqttConnector`."""

    def __init__(self, link: Link, broker: Broker, work: RealWork, queue_limit: int, packet_limit_bytes: int) -> None:
        self._link = link
        self._broker = broker
        self._work = work
        self._held = False
        self._queue_limit = queue_limit
        self._packet_limit = packet_limit_bytes
        self._loop = asyncio.get_running_loop()
        self._decoder = Decoder(broker.protocol, packet_limit_bytes)
        self._greeted: asyncio.Future[Connack] = self._loop.create_future()
        self._lost: DeviceError | None = None
        self._closed = False
        self._bug: BaseException | None = None
        self._tasks: list[asyncio.Task[None]] = []
        # towards the broker
        self._flight = Flight(broker.protocol)
        self._wake: asyncio.Future[None] | None = None
        self._round: Callable[[], None] | None = None
        self._in_round = False
        # from the broker
        self._incoming: deque[Publish] = deque()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        # timers
        self._deadline: asyncio.TimerHandle | None = None
        self._pulse = Pulse(self._ask, self._fail, lambda: self._deaf)

    # --- connect ---

    async def greet(self, will: Message | None) -> None:
        """Say CONNECT and take the answer. Raises LinkLost, CredentialsRefused, ProtocolViolation."""
        broker = self._broker
        hello = encode.Hello(
            broker.client_id,
            broker.protocol,
            broker.keepalive_s,
            broker.clean_start,
            broker.username,
            broker.password,
            will,
            self._queue_limit,
            self._packet_limit,
        )
        try:
            self._write(encode.encode_connect(hello))
        except encode.Unsendable as bad:
            raise ProtocolViolation("connect", f"client id, will or credentials {bad}") from None
        self._tasks = [
            self._loop.create_task(self._keep_writing(), name="mqtt writer"),
            self._loop.create_task(self._keep_reading(), name="mqtt reader"),
        ]
        for task in self._tasks:
            task.add_done_callback(self._task_ended)
        try:
            async with asyncio.timeout(broker.connect_timeout_s):
                self._welcome(await self._greeted)
        except TimeoutError:
            raise LinkLost("connect", f"no CONNACK within {broker.connect_timeout_s:g} s") from None

    def _welcome(self, connack: Connack) -> None:
        if connack.code:
            raise refusal(connack)
        if connack.maximum_qos < 1:
            raise ProtocolViolation("connect", "the broker has no QoS 1")
        self._flight.welcome(connack)
        self.greeting = Greeting(
            connack.session_present, connack.receive_maximum, connack.maximum_packet_bytes, self._broker.protocol
        )
        self._pulse.start(float(self._broker.keepalive_s if connack.keepalive_s is None else connack.keepalive_s))

    # --- publish ---

    async def publish(self, message: Message) -> int:
        return await self.begin(message)

    def begin(self, message: Message) -> asyncio.Future[int]:
        future: asyncio.Future[int] = self._loop.create_future()
        self.send([(message, message.payload, future)], FUTURES)
        return future

    def send(self, batch: Batch, sink: Sink) -> None:
        if self._lost is not None:
            for _, _, token in batch:
                sink.other(token, self._loss())
            return
        self._hold()
        self._flight.take(batch, sink, self._due())
        self._wake_writer()
        self._release()  # where all of it was refused on the spot

    def after_answers(self, call: Callable[[], None]) -> bool:
        self._round = call
        return True

    def _due(self) -> float:
        """When an answer to what is sent now is overdue; sees to it that somebody looks then."""
        due_s = self._loop.time() + self._broker.answer_timeout_s
        if self._deadline is None:
            self._deadline = self._loop.call_at(due_s, self._mind_deadline)
        return due_s

    # --- subscribe and receive ---

    async def subscribe(self, filters: Sequence[str], *, retain_as_published: bool = False) -> None:
        if self._lost is not None:
            raise self._loss()
        asked = self._flight.ask(filters, self._due(), retain_as_published=retain_as_published)
        self._hold()
        self._wake_writer()
        if refused := refusals(filters, await asked):
            raise ProtocolViolation("subscribe", refused)

    async def receive(self) -> Received:
        while not self._incoming:
            if self._lost is not None:
                raise self._loss()
            self._arrived.clear()
            await self._arrived.wait()
        arrived = self._incoming.popleft()
        if arrived.packet_id and self._lost is None:
            self._write(encode.encode_puback(arrived.packet_id))
        if len(self._incoming) <= self._queue_limit:
            self._room.set()
        return arrived.message

    # --- the two tasks ---

    def _write(self, packet: bytes) -> None:
        self._flight.out.append(packet)
        self._wake_writer()

    def _wake_writer(self) -> None:
        if self._flight.out and not self._in_round and self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _keep_writing(self) -> None:
        flight = self._flight
        try:
            while True:
                if not flight.out:
                    self._wake = self._loop.create_future()
                    await self._wake
                data, written = flight.take_out()
                self._pulse.sent()
                await self._link.write(data)
                wrote(written)
                self._release()
        except DeviceError as lost:
            self._fail(lost)

    def _write_round(self) -> None:
        """What a round of answers led to goes out without another task's turn, where it need not wait."""
        flight = self._flight
        if flight.out and flight.only_answered and self._wake is not None and not self._wake.done():
            data, _ = flight.take_out()
            try:
                written = self._link.write_now(data)
            except DeviceError as lost:
                self._fail(lost)
                return
            if written:
                self._pulse.sent()
            else:
                flight.out.append(data)
        self._wake_writer()

    async def _keep_reading(self) -> None:
        try:
            while self._lost is None:
                self._link.heed(self._take)
                if not self._take(await self._link.read()):
                    await self._room.wait()
                    self._pulse.heard()  # what waited in the socket meanwhile is no silence
        except DeviceError as lost:
            self._fail(lost)

    def _take(self, data: bytes) -> bool:
        """A round: all that came at once, and what that leads to. Answers whether more may come."""
        self._in_round = True
        flight = self._flight
        self._pulse.heard()
        if flight.flying:
            ids, data = self._decoder.acknowledgements(data)
            flight.acknowledged(ids)
        if data:
            for packet in self._decoder.feed(data):
                self._handle(packet)
        if flight.waiting and self._lost is None:
            flight.refill(self._due())
        if self._round is not None:
            self._round()
        self._in_round = False
        self._write_round()
        self._release()
        if len(self._incoming) > self._queue_limit:
            # More than our receive maximum: QoS 0, or MQTT 3.1.1. Whoever sends waits in the socket.
            self._room.clear()
        return self._lost is None and self._room.is_set()

    def _handle(self, packet: Packet) -> None:
        if self._lost is not None:
            return
        if not self._greeted.done():
            self._handle_first(packet)
            return
        match packet:
            case Puback(packet_id, code):
                self._flight.answered(packet_id, code)
            case Publish():
                self._incoming.append(packet)
                self._arrived.set()
            case Suback(packet_id, codes):
                self._flight.granted(packet_id, codes)
            case Pingresp():
                pass
            case Disconnect(code, reason):
                kind = TakenOver if code == TAKEN_OVER else LinkLost
                self._fail(kind("session", f"ended by the broker: {reason_text(code)}{reason and ': ' + reason}"))
            case Connack():
                self._violated(Violation(PROTOCOL_ERROR, "a second CONNACK"))
            case Violation():
                self._violated(packet)

    def _handle_first(self, packet: Packet) -> None:
        match packet:
            case Connack():
                self._greeted.set_result(packet)
            case Violation():
                self._violated(packet)
            case _:
                self._violated(Violation(PROTOCOL_ERROR, f"{type(packet).__name__} before CONNACK"))

    def _violated(self, violation: Violation) -> None:
        self._write(encode.encode_disconnect(self._broker.protocol, violation.code))
        before = not self._greeted.done()
        kind = ProtocolViolation if before else LinkLost
        self._fail(kind("connect" if before else "session", f"the broker broke the protocol: {violation.why}"))

    # --- time ---

    @property
    def _deaf(self) -> bool:
        """We are not reading, because our own side has not taken what came: the broker cannot be blamed."""
        return not self._room.is_set()

    def _mind_deadline(self) -> None:
        self._deadline = None
        oldest_s = self._flight.oldest_due_s()
        if oldest_s is None or self._lost is not None:
            return
        now_s, limit_s = self._loop.time(), self._broker.answer_timeout_s
        due_s = now_s + limit_s if self._deaf else oldest_s
        if due_s <= now_s + _TICK_S:
            self._fail(LinkLost("session", f"no acknowledgement within {limit_s:g} s"))
        else:
            self._deadline = self._loop.call_at(due_s, self._mind_deadline)

    def _ask(self) -> None:
        self._hold()
        self._write(encode.PINGREQ)

    # --- real work ---

    def _hold(self) -> None:
        """From here on something of ours waits for the broker: a virtual clock must not jump."""
        if not self._held:
            self._held = True
            self._work.outstanding += 1

    def _release(self) -> None:
        if self._held and (self._lost is not None or not (self._flight.pending or self._pulse.asked)):
            self._held = False
            self._work.outstanding -= 1

    # --- the end ---

    def _loss(self) -> DeviceError:
        lost = self._lost or LinkLost("session", "closed")
        return type(lost)(lost.deed, lost.why)

    def _fail(self, error: DeviceError) -> None:
        """The connection is over: everybody who waits is told, at once."""
        if self._lost is not None:
            return
        self._lost = error
        self._pulse.stop()
        if self._deadline is not None:
            self._deadline.cancel()
        self._flight.abandon(self._loss)
        if not self._greeted.done():
            self._greeted.set_exception(self._loss())
            self._greeted.exception()  # nobody may be waiting for it any more
        self._arrived.set()
        self._room.set()
        self._release()

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (bug := task.exception()) is not None:
            self._bug = bug
            self._fail(LinkLost("session", f"a bug in the client: {type(bug).__name__}"))

    async def leave(self, kind: type[BaseException] | None, *_: object) -> None:
        """The end of the context: without a goodbye when it ended by an exception, so that the will is published."""
        await self.close(with_will=kind is not None)
        if self._bug is not None:
            raise self._bug

    async def close(self, *, with_will: bool = False) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            if self._lost is None and self._greeted.done():
                await self._farewell(with_will)
        finally:
            self._fail(LinkLost("session", "closed by us"))
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._link.close()

    async def _farewell(self, with_will: bool) -> None:
        if with_will and self._broker.protocol != V5:
            return  # MQTT 3.1.1 has no other way than to go without a word
        goodbye = encode.encode_disconnect(self._broker.protocol, WITH_WILL if with_will else 0)
        flushed = self._flight.tell_when_written(goodbye)
        self._wake_writer()
        await asyncio.wait((flushed,), timeout=FAREWELL_S)
        if flushed.done():
            flushed.exception()
