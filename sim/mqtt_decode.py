"""MQTT bytes from a client to packets. Pure; never raises on any input, keeps less than one packet.

Written from the OASIS standards MQTT 5.0 and MQTT 3.1.1. Section numbers in comments are those of MQTT 5.0.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sim.mqtt_encode import encode_properties
from sim.mqtt_packets import (
    FOR_EVER,
    SHAPE,
    V5,
    V311,
    Bad,
    Connect,
    Disconnect,
    Kind,
    Packet,
    Pingreq,
    Prop,
    Props,
    Puback,
    Publish,
    Reason,
    Subscribe,
    Unsubscribe,
    Will,
    Wish,
)
from sim.mqtt_topics import valid_filter, valid_name

_MESSAGE_PROPS = frozenset(
    (Prop.PAYLOAD_FORMAT, Prop.MESSAGE_EXPIRY, Prop.CONTENT_TYPE, Prop.RESPONSE_TOPIC, Prop.CORRELATION,
     Prop.USER_PROPERTY)
)  # fmt: skip
_WILL_PROPS = _MESSAGE_PROPS | {Prop.WILL_DELAY}
_PUBLISH_PROPS = _MESSAGE_PROPS | {Prop.TOPIC_ALIAS}
_CONNECT_PROPS = frozenset(
    (Prop.SESSION_EXPIRY, Prop.RECEIVE_MAXIMUM, Prop.MAXIMUM_PACKET, Prop.TOPIC_ALIAS_MAXIMUM, Prop.REQUEST_RESPONSE,
     Prop.REQUEST_PROBLEM, Prop.USER_PROPERTY, Prop.AUTH_METHOD, Prop.AUTH_DATA)
)  # fmt: skip
_ACK_PROPS = frozenset((Prop.REASON_STRING, Prop.USER_PROPERTY))
_NOT_ZERO = frozenset((Prop.RECEIVE_MAXIMUM, Prop.MAXIMUM_PACKET, Prop.SUBSCRIPTION_ID, Prop.TOPIC_ALIAS))
_PASSED_ON = (Prop.PAYLOAD_FORMAT, Prop.CONTENT_TYPE, Prop.RESPONSE_TOPIC, Prop.CORRELATION, Prop.USER_PROPERTY)


class Framer:
    """Cuts the stream into packets; `problem` is set when it cannot go on."""

    def __init__(self, max_packet_bytes: int) -> None:
        self._max_packet_bytes = max_packet_bytes
        self._buffer = bytearray()
        self._need = 0
        self.problem: Reason | None = None

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """First byte and body of each packet that `data` completes."""
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._need:  # or a packet that comes byte by byte would be copied for each
                return []
            data = bytes(self._buffer)
        found, used = self._cut(data)
        self._buffer = bytearray() if self.problem else bytearray(data[used:])
        return found

    def _cut(self, data: bytes) -> tuple[list[tuple[int, bytes]], int]:
        found: list[tuple[int, bytes]] = []
        at, end, self._need = 0, len(data), 2
        while end - at >= 2:
            length, start = _varint(data, at + 1)
            if start == 0:  # the length is not complete, or longer than it may be
                self.problem = Reason.MALFORMED if end - at > 4 else None
                self._need = end - at + 1
                break
            if start - at + length > self._max_packet_bytes:
                self.problem = Reason.PACKET_TOO_LARGE
                break
            if start + length > end:
                self._need = start - at + length
                break
            found.append((data[at], data[start : start + length]))
            at = start + length
        return found, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Variable byte integer (1.5.5) and where it ends; an end of 0 when there is none within four bytes."""
    value = 0
    if at < len(data) and data[at] < 0x80:  # nearly always
        return data[at], at + 1
    for index, byte in enumerate(data[at : at + 4]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, at + index + 1
    return 0, 0


class _Refuse(Exception):
    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class _Cursor:
    """Takes fields off the front of a body. Raises _Refuse, which `parse` turns into Bad."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        start, self.at = self.at, self.at + count
        if self.at > len(self.data):
            raise _Refuse(Reason.MALFORMED)
        return self.data[start : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def binary(self) -> bytes:
        return self.take(self.number(2))

    def text(self) -> str:
        try:
            text = self.binary().decode()
        except UnicodeDecodeError:
            raise _Refuse(Reason.MALFORMED) from None
        if "\0" in text:
            raise _Refuse(Reason.MALFORMED)
        return text

    def varint(self) -> int:
        value, end = _varint(self.data, self.at)
        if end == 0:
            raise _Refuse(Reason.MALFORMED)
        self.at = end
        return value

    def more(self) -> bool:
        return self.at < len(self.data)

    def properties(self, allowed: frozenset[Prop]) -> Props:
        length = self.varint()
        return self.properties_to(self.at + length, allowed)

    def properties_to(self, end: int, allowed: frozenset[Prop]) -> Props:
        if end > len(self.data):
            raise _Refuse(Reason.MALFORMED)
        found: Props = {}
        while self.at < end:
            self._property(found, allowed)
        if self.at != end:
            raise _Refuse(Reason.MALFORMED)
        return found

    def _property(self, found: Props, allowed: frozenset[Prop]) -> None:
        key = self.varint()
        shape = SHAPE.get(key)
        if shape is None:
            raise _Refuse(Reason.MALFORMED)
        value = self._value(shape)
        if key not in allowed or (key in found and shape != "p") or (key in _NOT_ZERO and value == 0):
            raise _Refuse(Reason.PROTOCOL_ERROR)
        if shape == "p":
            found.setdefault(key, []).append(value)
        else:
            found[key] = value

    def _value(self, shape: str) -> Any:
        match shape:
            case "s":
                return self.text()
            case "b":
                return self.binary()
            case "v":
                return self.varint()
            case "p":
                return self.text(), self.text()
            case _:
                return self.number(int(shape))


def parse(first: int, body: bytes, version: int) -> Packet:
    """The packet with this first byte and body, on a connection of `version` (0 before CONNECT)."""
    try:
        return _parse(first, body, version)
    except _Refuse as refusal:
        return Bad(refusal.reason)


def _parse(first: int, body: bytes, version: int) -> Packet:
    kind, flags = first >> 4, first & 0x0F
    cursor = _Cursor(body)
    if kind == Kind.PUBLISH:
        return _publish(cursor, flags, version)
    if flags != (2 if kind in (Kind.SUBSCRIBE, Kind.UNSUBSCRIBE, Kind.PUBREL) else 0):
        return Bad(Reason.MALFORMED)
    match kind:
        case Kind.CONNECT:
            return _connect(cursor)
        case Kind.PUBACK:
            return Puback(_packet_id(cursor))
        case Kind.SUBSCRIBE:
            return _subscribe(cursor, version)
        case Kind.UNSUBSCRIBE:
            return _unsubscribe(cursor, version)
        case Kind.PINGREQ:
            return Bad(Reason.MALFORMED) if body else Pingreq()
        case Kind.DISCONNECT:
            return _disconnect(cursor, version)
        case Kind.AUTH if version != V5:
            return Bad(Reason.MALFORMED)
        case 0:
            return Bad(Reason.MALFORMED)
        case _:  # QoS 2 was never granted, no authentication was begun, or a server's packet
            return Bad(Reason.PROTOCOL_ERROR)


def _packet_id(cursor: _Cursor) -> int:
    packet_id = cursor.number(2)
    if packet_id == 0:
        raise _Refuse(Reason.PROTOCOL_ERROR)
    return packet_id


def _publish(cursor: _Cursor, flags: int, version: int) -> Packet:
    qos = flags >> 1 & 3
    if qos == 3 or (qos == 0 and flags & 8):
        return Bad(Reason.MALFORMED)
    if qos == 2:
        return Bad(Reason.QOS_NOT_SUPPORTED)
    topic = cursor.text()
    packet_id = _packet_id(cursor) if qos else 0
    coded, expiry_s = _passed_on(cursor.take(cursor.varint())) if version == V5 else (b"", None)
    if not valid_name(topic):
        return Bad(Reason.TOPIC_INVALID)
    return Publish(topic, cursor.data[cursor.at :], qos, bool(flags & 1), packet_id, coded, expiry_s)


def _passed_on(raw: bytes) -> tuple[bytes, int | None]:
    """Properties of a PUBLISH: those that go on to the receivers, coded, and the message's expiry interval."""
    if len(raw) > 256:
        return _read_passed_on(raw)
    return _known_passed_on(raw)  # a publisher sends the same few again and again


def _read_passed_on(raw: bytes) -> tuple[bytes, int | None]:
    props = _Cursor(raw).properties_to(len(raw), _PUBLISH_PROPS)
    if Prop.TOPIC_ALIAS in props:  # the topic alias maximum of this broker is 0
        raise _Refuse(Reason.TOPIC_ALIAS_INVALID)
    return _message_properties(props)


_known_passed_on = lru_cache(maxsize=256)(_read_passed_on)


def _message_properties(props: Props) -> tuple[bytes, int | None]:
    response = props.get(Prop.RESPONSE_TOPIC)
    if props.get(Prop.PAYLOAD_FORMAT, 0) > 1 or (response is not None and not valid_name(response)):
        raise _Refuse(Reason.PROTOCOL_ERROR)
    coded = encode_properties((key, props[key]) for key in _PASSED_ON if key in props)
    return coded, props.get(Prop.MESSAGE_EXPIRY)


def _connect(cursor: _Cursor) -> Packet:
    name, version = cursor.binary(), cursor.number(1)
    if name not in (b"MQTT", b"MQIsdp"):
        return Bad(Reason.UNSUPPORTED_VERSION)
    if name != b"MQTT" or version not in (V311, V5):
        return Bad(Reason.UNSUPPORTED_VERSION, V5 if version > V5 else V311)
    try:
        return _connect_body(cursor, version)
    except _Refuse as refusal:
        return Bad(refusal.reason, version)


def _connect_body(cursor: _Cursor, version: int) -> Packet:
    flags, keepalive_s = cursor.number(1), cursor.number(2)
    has_will, will_qos, has_name, has_password = flags & 4, flags >> 3 & 3, flags & 0x80, flags & 0x40
    if flags & 1 or will_qos == 3 or (not has_will and flags & 0x38):
        return Bad(Reason.MALFORMED, version)
    if version == V311 and has_password and not has_name:
        return Bad(Reason.MALFORMED, version)
    props = cursor.properties(_CONNECT_PROPS) if version == V5 else {}
    client_id = cursor.text()
    will = _will(cursor, will_qos, bool(flags & 0x20), version) if has_will else None
    username = cursor.text() if has_name else ""
    password = cursor.binary() if has_password else b""
    if cursor.more():
        return Bad(Reason.MALFORMED, version)
    if will_qos == 2:
        return Bad(Reason.QOS_NOT_SUPPORTED, version)
    clean = bool(flags & 2)
    return Connect(
        version, clean, keepalive_s, client_id, will, username, password,
        session_expiry_s=props.get(Prop.SESSION_EXPIRY, 0) if version == V5 else 0 if clean else FOR_EVER,
        receive_maximum=props.get(Prop.RECEIVE_MAXIMUM, 0xFFFF),
        maximum_packet_bytes=props.get(Prop.MAXIMUM_PACKET, 0xFFFF_FFFF),
        auth_method=props.get(Prop.AUTH_METHOD, ""),
    )  # fmt: skip


def _will(cursor: _Cursor, qos: int, retain: bool, version: int) -> Will:
    props = cursor.properties(_WILL_PROPS) if version == V5 else {}
    topic, payload = cursor.text(), cursor.binary()
    if not valid_name(topic):
        raise _Refuse(Reason.TOPIC_INVALID)
    return Will(Publish(topic, payload, qos, retain, 0, *_message_properties(props)), props.get(Prop.WILL_DELAY, 0))


def _subscribe(cursor: _Cursor, version: int) -> Packet:
    packet_id = _packet_id(cursor)
    allowed = frozenset((Prop.SUBSCRIPTION_ID, Prop.USER_PROPERTY))
    props = cursor.properties(allowed) if version == V5 else {}
    wishes: list[Wish] = []
    while cursor.more():
        wishes.append(_wish(cursor.text(), cursor.number(1), version))
    if not wishes:
        return Bad(Reason.PROTOCOL_ERROR)
    return Subscribe(packet_id, tuple(wishes), props.get(Prop.SUBSCRIPTION_ID, 0))


def _wish(pattern: str, options: int, version: int) -> Wish:
    qos, handling = options & 3, options >> 4 & 3
    if qos == 3 or options & (0xC0 if version == V5 else 0xFC) or handling == 3:
        raise _Refuse(Reason.MALFORMED)
    return Wish(pattern, min(qos, 1), bool(options & 4), bool(options & 8), handling)


def _unsubscribe(cursor: _Cursor, version: int) -> Packet:
    packet_id = _packet_id(cursor)
    if version == V5:
        cursor.properties(frozenset((Prop.USER_PROPERTY,)))
    patterns: list[str] = []
    while cursor.more():
        patterns.append(cursor.text())
    if not patterns or not all(map(valid_filter, patterns)):
        return Bad(Reason.PROTOCOL_ERROR)
    return Unsubscribe(packet_id, tuple(patterns))


def _disconnect(cursor: _Cursor, version: int) -> Packet:
    if version != V5 or not cursor.more():
        return Bad(Reason.MALFORMED) if cursor.more() else Disconnect()
    reason = cursor.number(1)
    props = cursor.properties(_ACK_PROPS | {Prop.SESSION_EXPIRY}) if cursor.more() else {}
    return Disconnect(reason, props.get(Prop.SESSION_EXPIRY))
