"""One connection to the memory broker: greeting, keep-alive, packets in and out. Made by `sim.mqtt_broker` only."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, assert_never

from lanecontrol.links import Link
from sim import mqtt_encode as encode
from sim.mqtt_decode import Framer, parse
from sim.mqtt_packets import (
    FOR_EVER,
    V5,
    Bad,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Prop,
    Puback,
    Publish,
    Reason,
    Subscribe,
    Unsubscribe,
)
from sim.mqtt_session import Parcel, Session
from sim.outbox import Outbox, serve_client

if TYPE_CHECKING:
    from sim.mqtt_broker import MemoryBroker


class Connection:
    """One client. `over` once nothing it sends counts any more."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._settings = broker.settings
        self._outbox = Outbox(self._settings.outbox_bytes)
        self._framer = Framer(self._settings.maximum_packet_bytes)
        self.version = 0
        self.session: Session | None = None
        self.over = False
        self._maximum_packet_bytes = 0xFFFF_FFFF
        self._patience_s = self._settings.connect_timeout_s
        self._heard_s = asyncio.get_running_loop().time()
        self._keepalive: asyncio.TimerHandle | None = None

    async def run(self, link: Link) -> None:
        """Serve until the client goes or is sent away. Raises LinkLost."""
        self._watch()
        try:
            await serve_client(link, self._outbox, self._listen(link))
        finally:
            if self._keepalive is not None:
                self._keepalive.cancel()
            self.leave()

    async def _listen(self, link: Link) -> None:
        loop = asyncio.get_running_loop()
        while not self.over:
            data = await link.read()  # the keep-alive timer is its deadline
            self._heard_s = loop.time()
            for first, body in self._framer.feed(data):
                self._handle(parse(first, body, self.version))
                if self.over:
                    return
            if self._framer.problem is not None:
                self.send_away(self._framer.problem)

    def _watch(self) -> None:
        """Keep-alive (3.1.2.10): a client that is silent for 1.5 periods is gone. Also bounds the wait for CONNECT."""
        if self.over or not self._patience_s:
            return
        loop = asyncio.get_running_loop()
        quiet_s = loop.time() - self._heard_s
        if quiet_s >= self._patience_s:
            self.send_away(Reason.KEEP_ALIVE_TIMEOUT)
        else:
            self._keepalive = loop.call_later(self._patience_s - quiet_s, self._watch)

    def send_away(self, reason: Reason) -> None:
        """End the connection from this side, with the reason where MQTT 5 can tell it."""
        if self.over:
            return
        if self.session is not None and self.version == V5:
            self._outbox.put(encode.disconnect(reason))
        self.leave()
        self._outbox.finish()

    def leave(self, *, with_will: bool = True) -> None:
        """The client is gone: from here on the session is without a connection."""
        if not self.over:
            self.over = True
            if self.session is not None:
                self._broker.left(self, with_will=with_will)

    # --- what the client sends ---------------------------------------------------------------------------------------

    def _handle(self, packet: Packet) -> None:
        if self.session is None:
            self._greet(packet)
            return
        match packet:
            case Publish():
                self._publish(packet)
            case Puback(packet_id):
                self.session.acknowledge(packet_id)
                self.pump()
            case Subscribe():
                self._subscribe(packet)
            case Unsubscribe(packet_id, patterns):
                reasons = [self._broker.unsubscribe(self.session, pattern) for pattern in patterns]
                self._outbox.put(encode.unsuback(self.version, packet_id, reasons))
            case Pingreq():
                self._outbox.put(encode.PINGRESP)
            case Disconnect():
                self._goodbye(packet)
            case Bad(reason):
                self.send_away(reason)
            case Connect():
                self.send_away(Reason.PROTOCOL_ERROR)
            case _:
                assert_never(packet)

    def _greet(self, packet: Packet) -> None:
        match packet:
            case Connect():
                self.version = packet.version
                self._maximum_packet_bytes = packet.maximum_packet_bytes
                refusal = self._broker.admit(self, packet)
                if refusal is not None:
                    self._refuse(refusal)
            case Bad(reason, version) if version:
                self.version = version
                self._refuse(reason)
            case _:
                self.send_away(Reason.PROTOCOL_ERROR)

    def _refuse(self, reason: Reason) -> None:
        self._outbox.put(encode.connack(self.version, reason))
        self.send_away(reason)

    def welcome(self, session: Session, asked: Connect, *, present: bool) -> None:
        """The broker took the client in: answer, then send again what was never acknowledged."""
        self.session = session
        settings = self._settings
        self._patience_s = 1.5 * asked.keepalive_s
        if self._keepalive is not None:
            self._keepalive.cancel()
        self._watch()
        told = [
            (Prop.RECEIVE_MAXIMUM, settings.receive_maximum),
            (Prop.MAXIMUM_QOS, 1),
            (Prop.MAXIMUM_PACKET, settings.maximum_packet_bytes),
            (Prop.SHARED_AVAILABLE, 0),
        ]
        if not asked.client_id:
            told.append((Prop.ASSIGNED_CLIENT_ID, session.client_id))  # type: ignore[arg-type]
        properties = encode.encode_properties(told)
        self._outbox.put(encode.connack(self.version, 0, present=present, properties=properties))
        for packet_id, parcel in session.unacknowledged():
            self._send(packet_id, parcel, again=True)
        self.pump()

    def _publish(self, message: Publish) -> None:
        assert self.session is not None
        reason = self._broker.publish(message, self.session)
        if message.qos and not self.over:
            self._outbox.put(encode.puback(self.version, message.packet_id, reason))

    def _subscribe(self, packet: Subscribe) -> None:
        assert self.session is not None
        results = [self._broker.subscribe(self.session, wish, packet.identifier) for wish in packet.wishes]
        self._outbox.put(encode.suback(self.version, packet.packet_id, [result.reason for result in results]))
        for result in results:
            for parcel in result.retained:
                self.deliver(parcel)

    def _goodbye(self, packet: Disconnect) -> None:
        assert self.session is not None
        if packet.session_expiry_s is not None:
            if packet.session_expiry_s and not self.session.expiry_s:
                self.send_away(Reason.PROTOCOL_ERROR)  # 3.14.2.2.2: what ends with the connection cannot be kept
                return
            self.session.expiry_s = packet.session_expiry_s
        self.leave(with_will=packet.reason != Reason.SUCCESS)

    # --- what the client gets ----------------------------------------------------------------------------------------

    def deliver(self, parcel: Parcel) -> bool:
        """Send now or as soon as the client's window allows; False when the client lags too far and is sent away."""
        assert self.session is not None
        packet_id = self.session.send_at_once(parcel)
        if packet_id is not None:
            self._send(packet_id, parcel, again=False)
        elif not self.session.queue(parcel):
            self.send_away(Reason.QUOTA_EXCEEDED)
            return False
        return True

    def pump(self) -> None:
        """Send what the window allows."""
        if self.session is not None and not self.over:
            for packet_id, parcel in self.session.due(asyncio.get_running_loop().time()):
                self._send(packet_id, parcel, again=False)

    def _send(self, packet_id: int, parcel: Parcel, *, again: bool) -> None:
        assert self.session is not None
        left_s = parcel.left_s(asyncio.get_running_loop().time())
        data = encode.publish(parcel.out, self.version, packet_id, again=again, expiry_s=left_s)
        if len(data) <= self._maximum_packet_bytes:
            self._outbox.put(data)
        elif packet_id:  # 3.1.2.11.4: then it is dropped as if it had been sent
            self.session.acknowledge(packet_id)


def lifetime_s(session: Session) -> float | None:
    """How long the session outlives its connection, None for ever."""
    return None if session.expiry_s == FOR_EVER else float(session.expiry_s)
