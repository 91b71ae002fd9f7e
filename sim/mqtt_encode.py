"""MQTT packets to bytes for a client. Pure.

Written from the OASIS standards MQTT 5.0 and MQTT 3.1.1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sim.mqtt_packets import SHAPE, V5, Kind, Outgoing, Prop, Reason


def encode_properties(properties: Iterable[tuple[int, Any]]) -> bytes:
    """The properties one after the other, without their length in front."""
    return b"".join(_encode_property(key, value) for key, value in properties)


def _encode_property(key: int, value: Any) -> bytes:
    head = bytes((key,))
    match SHAPE[key]:
        case "s":
            return head + _prefixed(value.encode())
        case "b":
            return head + _prefixed(value)
        case "v":
            return head + encode_varint(value)
        case "p":
            return b"".join(head + _prefixed(name.encode()) + _prefixed(text.encode()) for name, text in value)
        case size:
            return head + int(value).to_bytes(int(size), "big")


def _prefixed(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def encode_varint(value: int) -> bytes:
    """Variable byte integer."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while True:
        value, byte = value >> 7, value & 0x7F
        out.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(out)


def packet(first: int, body: bytes) -> bytes:
    """Fixed header and body."""
    return bytes((first,)) + encode_varint(len(body)) + body


def publish(out: Outgoing, version: int, packet_id: int, *, again: bool, expiry_s: int | None) -> bytes:
    """PUBLISH with the packet id (0 for QoS 0), DUP when sent again, and what is left of its life."""
    message = out.message
    head = _prefixed(message.topic.encode())
    if out.qos:
        head += packet_id.to_bytes(2, "big")
    if version == V5:
        properties = message.properties
        if expiry_s is not None:
            properties += _encode_property(Prop.MESSAGE_EXPIRY, expiry_s)
        if out.identifiers:
            properties += encode_properties((Prop.SUBSCRIPTION_ID, each) for each in out.identifiers)
        head += encode_varint(len(properties)) + properties
    first = Kind.PUBLISH << 4 | again << 3 | out.qos << 1 | out.retain
    return packet(first, head + message.payload)


def connack(version: int, reason: int, *, present: bool = False, properties: bytes = b"") -> bytes:
    """CONNACK; for 3.1.1 the reason becomes one of its six return codes."""
    if version == V5:
        return packet(Kind.CONNACK << 4, bytes((present, reason)) + encode_varint(len(properties)) + properties)
    return packet(Kind.CONNACK << 4, bytes((present, _RETURN_CODE.get(reason, 3 if reason else 0))))


_RETURN_CODE: dict[int, int] = {
    Reason.UNSUPPORTED_VERSION: 1, Reason.CLIENT_ID_NOT_VALID: 2, Reason.BAD_CREDENTIALS: 4, Reason.NOT_AUTHORIZED: 5
}  # fmt: skip


def puback(version: int, packet_id: int, reason: int) -> bytes:
    """PUBACK; 3.1.1 has no way to say that a message was refused."""
    coded = packet_id.to_bytes(2, "big")
    if version == V5 and reason:
        coded += bytes((reason,))
    return packet(Kind.PUBACK << 4, coded)


def suback(version: int, packet_id: int, reasons: Iterable[int]) -> bytes:
    """SUBACK; every refusal is 0x80 in 3.1.1."""
    codes = bytes(reasons) if version == V5 else bytes(min(reason, 0x80) for reason in reasons)
    return packet(Kind.SUBACK << 4, packet_id.to_bytes(2, "big") + (b"\0" if version == V5 else b"") + codes)


def unsuback(version: int, packet_id: int, reasons: Iterable[int]) -> bytes:
    """UNSUBACK; without reasons in 3.1.1."""
    codes = b"\0" + bytes(reasons) if version == V5 else b""
    return packet(Kind.UNSUBACK << 4, packet_id.to_bytes(2, "big") + codes)


def disconnect(reason: int) -> bytes:
    """DISCONNECT from the server, which only MQTT 5 has."""
    return packet(Kind.DISCONNECT << 4, bytes((reason,)))


PINGRESP = packet(Kind.PINGRESP << 4, b"")
