"""The suggested MQTT library behind our `Transport`: a second, independent client, for comparison and as a spare.

Optional (`pip install lanecontrol[aiomqtt]`) and imported only by whoever asks for it. aiomqtt wraps paho; what it
leaves out is put right here, with paho's own callbacks: reason codes of PUBACKs, the broker's receive maximum, calls
that fail at once when the connection is lost, and acknowledging a message only when it is taken. Half-open connections
are noticed as fast as paho does it (two keepalives), or by the deadline of an acknowledgement. The DUP flag of a
message is not passed on by aiomqtt.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiomqtt
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY, ConnectFlags
from paho.mqtt.client import Client as Paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from lanecontrol.clock import RealWork
from lanecontrol.errors import DeviceError, LinkLost, ProtocolViolation
from lanecontrol.links.stream import client_context, unusable
from lanecontrol.port.mqtt_client import PACKET_LIMIT_BYTES, QUEUE_LIMIT
from lanecontrol.port.mqtt_encode import SESSION_KEPT_S, Unsendable, encode_publish
from lanecontrol.port.mqtt_greeting import link_url, refusal
from lanecontrol.port.mqtt_packets import (
    PACKET_TOO_LARGE,
    RETAIN_UNSUPPORTED,
    TAKEN_OVER,
    V5,
    WITH_WILL,
    Connack,
    reason_text,
)
from lanecontrol.port.transport import Broker, Greeting, Message, Received, TakenOver, Transport

CLOSE_S = 1.0
_QUIET = logging.getLogger("lanecontrol.port.aiomqtt")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False  # errors are raised to the session, which tells of changes; the library logs every state


class AiomqttConnector:
    """Opens connections with aiomqtt. A `Connect`."""

    def __init__(self, work: RealWork | None = None) -> None:
        self._work = work or RealWork()

    @asynccontextmanager
    async def __call__(self, broker: Broker, *, will: Message | None = None) -> AsyncIterator[AiomqttTransport]:
        """Connect. Raises LinkLost, CredentialsRefused, ProtocolViolation."""
        with self._work.under_way():
            client = await _client(broker, will)
            transport = AiomqttTransport(client, broker, self._work)
            await transport.open()
        try:
            yield transport
        except BaseException:
            await transport.close(with_will=True)
            raise
        await transport.close()


async def _client(broker: Broker, will: Message | None) -> aiomqtt.Client:
    parts = urlsplit(link_url(broker.url))
    if parts.scheme not in ("tcp", "tls") or parts.hostname is None:
        raise ProtocolViolation("connect", f"aiomqtt cannot serve {broker.url}")
    context = None
    if parts.scheme == "tls":
        context = await asyncio.get_running_loop().run_in_executor(None, _tls, parts.query)
    five = broker.protocol == V5
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.ReceiveMaximum = QUEUE_LIMIT
    properties.MaximumPacketSize = PACKET_LIMIT_BYTES
    if not broker.clean_start:
        properties.SessionExpiryInterval = SESSION_KEPT_S
    client = aiomqtt.Client(
        parts.hostname,
        parts.port or 1883,
        identifier=broker.client_id,
        username=broker.username or None,
        password=broker.password or None,
        protocol=aiomqtt.ProtocolVersion.V5 if five else aiomqtt.ProtocolVersion.V311,
        keepalive=broker.keepalive_s,
        clean_session=None if five else broker.clean_start,
        clean_start=broker.clean_start if five else MQTT_CLEAN_START_FIRST_ONLY,
        properties=properties if five else None,
        will=_will(will, five) if will else None,
        timeout=broker.connect_timeout_s,
        tls_context=context,
        logger=_QUIET,
        max_inflight_messages=65_535,  # the window is ours
    )
    client._client.connect_timeout = broker.connect_timeout_s
    client._client.manual_ack_set(True)
    client.pending_calls_threshold = 65_535
    return client


def _tls(query: str) -> ssl.SSLContext:
    files = {name: values[0] for name, values in parse_qs(query).items()}
    try:
        context = client_context(files.get("ca"))
        if "cert" in files:
            context.load_cert_chain(files["cert"], files.get("key"), password="")
    except (OSError, ValueError) as error:
        raise LinkLost("connect", unusable(files, error)) from error
    return context


def _will(will: Message, five: bool) -> aiomqtt.Will:
    properties = _properties(will, PacketTypes.WILLMESSAGE) if five else None
    return aiomqtt.Will(will.topic, will.payload, will.qos, will.retain, properties)


def _properties(message: Message, kind: int) -> Properties:
    properties = Properties(kind)  # type: ignore[no-untyped-call]
    if message.content_type:
        properties.ContentType = message.content_type
    if message.response_topic:
        properties.ResponseTopic = message.response_topic
    if message.correlation:
        properties.CorrelationData = message.correlation
    if message.expiry_s is not None:
        properties.MessageExpiryInterval = message.expiry_s
    if message.user_properties:
        properties.UserProperty = list(message.user_properties)
    return properties


class AiomqttTransport(Transport):
    """One connection."""

    def __init__(self, client: aiomqtt.Client, broker: Broker, work: RealWork) -> None:
        self._client = client
        self._paho: Paho = client._client
        self._broker = broker
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._flying: dict[int, asyncio.Future[int]] = {}
        self._early: dict[int, int] = {}
        self._lost: DeviceError | None = None
        self._closed = False
        self._connack = Connack(False, 0)
        self._largest: int | None = None
        self._window = asyncio.Semaphore(1)

    # --- connect ---

    async def open(self) -> None:
        """Raises LinkLost, CredentialsRefused, ProtocolViolation."""
        paho, welcomed = self._paho, self._paho.on_connect

        def on_connect(client: Paho, data: Any, flags: ConnectFlags, code: ReasonCode, found: Any = None) -> None:
            self._connack = _connack(flags, code, found)
            welcomed(client, data, flags, code, found)  # type: ignore[misc, arg-type, call-arg]

        paho.on_connect = on_connect
        paho.on_publish = self._on_publish
        try:
            await self._client.__aenter__()
        except aiomqtt.MqttError as error:
            self._drop()
            raise refusal(self._connack) if self._connack.code else LinkLost("connect", str(error)) from None
        except BaseException:
            self._drop()
            raise
        connack = self._connack
        self._window = asyncio.Semaphore(connack.receive_maximum)
        self._largest = connack.maximum_packet_bytes
        self.greeting = Greeting(
            connack.session_present, connack.receive_maximum, connack.maximum_packet_bytes, self._broker.protocol
        )
        self._client._disconnected.add_done_callback(self._disconnected)

    def _disconnected(self, ended: asyncio.Future[None]) -> None:
        error = None if ended.cancelled() else ended.exception()
        code = getattr(getattr(error, "rc", None), "value", 0)
        if code == TAKEN_OVER:
            self._fail(TakenOver("session", f"ended by the broker: {reason_text(code)}"))
        elif code > 0x80:  # 0x80 is paho's own word for a connection that simply ended
            self._fail(LinkLost("session", f"ended by the broker: {reason_text(code)}"))
        else:
            self._fail(LinkLost("session", str(error or "closed")))

    # --- publish ---

    async def publish(self, message: Message) -> int:
        try:
            size = len(encode_publish(message, 1 if message.qos else 0, self._broker.protocol))
        except Unsendable as bad:
            return bad.code
        if self._largest is not None and size > self._largest:
            return PACKET_TOO_LARGE
        if message.retain and not self._connack.retain_available:
            return RETAIN_UNSUPPORTED
        with self._work.under_way():
            async with self._window:
                return await self._send(message)

    async def _send(self, message: Message) -> int:
        if self._lost is not None:
            raise self._loss()
        properties = _properties(message, PacketTypes.PUBLISH) if self._broker.protocol == V5 else None
        info = self._paho.publish(message.topic, message.payload, message.qos, message.retain, properties)
        if info.rc != 0:
            raise LinkLost("publish", f"paho error {info.rc}")
        if not message.qos:
            return 0
        if info.mid in self._early:
            return self._early.pop(info.mid)
        future: asyncio.Future[int] = self._loop.create_future()
        self._flying[info.mid] = future
        try:
            async with asyncio.timeout(self._broker.answer_timeout_s):
                return await future
        except TimeoutError:
            self._fail(LinkLost("session", f"no acknowledgement within {self._broker.answer_timeout_s:g} s"))
            raise self._loss() from None
        finally:
            self._flying.pop(info.mid, None)

    def _on_publish(self, client: Paho, data: Any, mid: int, code: ReasonCode, found: Any) -> None:
        future = self._flying.get(mid)
        value: int = code.value if self._broker.protocol == V5 else 0
        if future is None:
            self._early = {mid: value}  # paho can call this before its own publish() returns
        elif not future.done():
            future.set_result(value)

    # --- subscribe and receive ---

    async def subscribe(self, filters: Sequence[str], *, retain_as_published: bool = False) -> None:
        if self._lost is not None:
            raise self._loss()
        topics: Any
        if self._broker.protocol == V5:
            options = SubscribeOptions(qos=1, retainAsPublished=retain_as_published)
            topics = [(name, options) for name in filters]
        else:
            topics = [(name, 1) for name in filters]
        try:
            with self._work.under_way():
                codes = await self._client.subscribe(topics, timeout=self._broker.answer_timeout_s)
        except ValueError as error:
            raise ProtocolViolation("subscribe", str(error)) from None
        except aiomqtt.MqttError as error:
            self._fail(LinkLost("subscribe", str(error)))
            raise self._loss() from None
        values = [code if isinstance(code, int) else code.value for code in codes]
        refused = [f"{name}: {reason_text(code)}" for name, code in zip(filters, values, strict=False) if code > 2]
        if refused:
            raise ProtocolViolation("subscribe", "; ".join(refused))

    async def receive(self) -> Received:
        if self._lost is not None and not len(self._client.messages):
            raise self._loss()
        try:
            message = await anext(self._client.messages)
        except aiomqtt.MqttError as error:
            self._fail(LinkLost("session", str(error)))
            raise self._loss() from None
        self._paho.ack(message.mid, message.qos)
        return _received(message)

    # --- the end ---

    def _loss(self) -> DeviceError:
        lost = self._lost or LinkLost("session", "closed")
        return type(lost)(lost.deed, lost.why)

    def _fail(self, error: DeviceError) -> None:
        if self._lost is None:
            self._lost = error
        for future in self._flying.values():
            if not future.done():
                future.set_exception(self._loss())

    async def close(self, *, with_will: bool = False) -> None:
        if self._closed:
            return
        self._closed = True
        self._fail(LinkLost("session", "closed by us"))
        with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._goodbye(with_will)
        self._drop()

    async def _goodbye(self, with_will: bool) -> None:
        if not with_will:
            await self._client.__aexit__(None, None, None)
        elif self._broker.protocol == V5 and not self._client._disconnected.done():
            self._paho.disconnect(ReasonCode(PacketTypes.DISCONNECT, identifier=WITH_WILL))
            await asyncio.wait((self._client._disconnected,), timeout=CLOSE_S)

    def _drop(self) -> None:
        """Close the socket and end aiomqtt's task, whatever state they are in."""
        self._paho._sock_close()
        if self._client._disconnected.done() and not self._client._disconnected.cancelled():
            self._client._disconnected.exception()
        if self._client._misc_task is not None:
            self._client._misc_task.cancel()


def _connack(flags: ConnectFlags, code: ReasonCode, found: Any) -> Connack:
    def value(name: str, default: Any) -> Any:
        return getattr(found, name, default) if found is not None else default

    return Connack(
        flags.session_present,
        code.value,
        value("ReceiveMaximum", 65_535),
        value("MaximumPacketSize", None),
        retain_available=value("RetainAvailable", 1) == 1,
    )


def _received(message: aiomqtt.Message) -> Received:
    found: Any = message.properties
    payload = message.payload
    return Received(
        message.topic.value,
        payload if isinstance(payload, bytes) else bytes(str(payload or ""), "utf-8"),
        message.qos,
        message.retain,
        duplicate=False,
        content_type=getattr(found, "ContentType", ""),
        response_topic=getattr(found, "ResponseTopic", ""),
        correlation=getattr(found, "CorrelationData", b""),
        user_properties=tuple(map(tuple, getattr(found, "UserProperty", ()))),
        expiry_s=getattr(found, "MessageExpiryInterval", None),
    )
