"""MQTT 5.0 and 3.1.1, the client's side of the wire, without I/O: what we say, as bytes.

Section numbers are those of MQTT 5.0 (OASIS). What cannot be said raises `Unsendable` with the reason code a broker
would have answered; nothing else is raised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from lanecontrol.port.mqtt_packets import LONGEST, MALFORMED, PACKET_TOO_LARGE, TOPIC_INVALID, V5
from lanecontrol.port.transport import Message

PINGREQ = b"\xc0\x00"


SESSION_KEPT_S = 86_400
"""How long a broker keeps a session that was not started clean (section 3.1.2.11.2): a day."""


class Unsendable(ValueError):
    """The message cannot be put into a packet; `code` is the reason a broker would have given."""

    def __init__(self, code: int) -> None:
        super().__init__(f"cannot be sent: 0x{code:02X}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Hello:
    """What a CONNECT says."""

    client_id: str
    protocol: int = V5
    keepalive_s: int = 15
    clean_start: bool = True
    username: str = ""
    password: str = ""
    will: Message | None = None
    receive_maximum: int = 65_535
    maximum_packet_bytes: int = LONGEST


def encode_connect(hello: Hello) -> bytes:
    """CONNECT (section 3.1). Raises Unsendable when a text is too long or holds U+0000."""
    five = hello.protocol == V5
    will = hello.will
    flags = (
        (0x02 if hello.clean_start else 0)
        | (0x04 | will.qos << 3 | will.retain << 5 if will else 0)
        | (0x80 if hello.username else 0)
        | (0x40 if hello.password else 0)
    )
    body = b"\x00\x04MQTT" + bytes((hello.protocol, flags)) + hello.keepalive_s.to_bytes(2, "big")
    if five:
        # Receive maximum bounds what the broker may send us unacknowledged (section 3.1.2.11.3).
        properties = b"" if hello.clean_start else b"\x11" + SESSION_KEPT_S.to_bytes(4, "big")
        properties += b"\x21" + hello.receive_maximum.to_bytes(2, "big")
        properties += b"\x27" + hello.maximum_packet_bytes.to_bytes(4, "big")
        body += _sized(properties)
    body += _utf8(hello.client_id)
    if will:
        body += (_sized(_message_properties(will)) if five else b"") + _utf8(will.topic) + _blob(will.payload)
    if hello.username:
        body += _utf8(hello.username)
    if hello.password:
        body += _blob(hello.password.encode())
    return b"\x10" + _sized(body)


def encode_publish(message: Message, packet_id: int, protocol: int) -> bytes:
    """PUBLISH (section 3.3); `packet_id` is 0 at QoS 0. Raises Unsendable for what cannot be sent at all."""
    return Form(message, protocol).head(packet_id, len(message.payload)) + message.payload


USUAL_BYTES = 0x3FFF
"""Packets up to this size tell it in one or two bytes."""
_SIZES = 1024
"""Beginnings that are kept: events differ little in their size."""


class Form:
    """What PUBLISH packets that differ in their payload only have in common. Raises Unsendable as `encode_publish`.

    A packet is `before`, which depends on its size, the packet id, `after`, and the payload. `usual` keeps what came
    before packets of QoS 1, not retained, of each size up to `USUAL_BYTES` that was met.
    """

    __slots__ = ("_first", "_topic", "after", "message", "size", "usual")

    def __init__(self, message: Message, protocol: int) -> None:
        self.message = message
        self._first = 0x30 | message.qos << 1 | message.retain
        self._topic = _topic(message.topic)
        self.after = b""
        if protocol == V5:
            properties = _message_properties(message)
            self.after = _sized(properties) if properties else b"\x00"
        self.size = len(self._topic) + (2 if message.qos else 0) + len(self.after)
        self.usual: dict[int, bytes] = {}

    def head(self, packet_id: int, payload_bytes: int) -> bytes:
        """All that goes before the payload; `packet_id` is 0 at QoS 0. Raises Unsendable when it is too long."""
        size = self.size + payload_bytes
        if size > LONGEST:
            raise Unsendable(PACKET_TOO_LARGE)
        before = b"%c%b%b" % (self._first, _varint(size), self._topic)
        if not packet_id:
            return before + self.after
        if size <= USUAL_BYTES and not self.message.retain and len(self.usual) < _SIZES:
            self.usual[size] = before
        return before + packet_id.to_bytes(2, "big") + self.after


def encode_puback(packet_id: int) -> bytes:
    """PUBACK that says success; the short form is right in both versions (section 3.4.2.1)."""
    return bytes((0x40, 2, packet_id >> 8, packet_id & 0xFF))


def encode_subscribe(
    filters: Sequence[str], packet_id: int, protocol: int, *, retain_as_published: bool = False
) -> bytes:
    """SUBSCRIBE at QoS 1 (section 3.8). Raises Unsendable for a filter that is too long or holds U+0000."""
    options = 0x01 | (0x08 if retain_as_published and protocol == V5 else 0)
    body = packet_id.to_bytes(2, "big") + (b"\x00" if protocol == V5 else b"")
    body += b"".join(_utf8(topic_filter) + bytes((options,)) for topic_filter in filters)
    return b"\x82" + _sized(body)


def encode_disconnect(protocol: int, code: int = 0) -> bytes:
    """DISCONNECT (section 3.14); in 3.1.1 it has no reason."""
    return bytes((0xE0, 1, code)) if protocol == V5 and code else b"\xe0\x00"


def _message_properties(message: Message) -> bytes:
    lasting = _lasting_properties(message.content_type, message.user_properties)
    if not (message.response_topic or message.correlation or message.expiry_s is not None):
        return lasting
    parts = []
    if message.expiry_s is not None:
        parts.append(b"\x02" + min(max(message.expiry_s, 0), 0xFFFFFFFF).to_bytes(4, "big"))
    if message.response_topic:
        parts.append(b"\x08" + _utf8(message.response_topic))
    if message.correlation:
        parts.append(b"\x09" + _blob(message.correlation))
    return b"".join(parts) + lasting


# Topics and lasting properties are the same for thousands of messages, and making them is most of the work.


@lru_cache(maxsize=256)
def _topic(topic: str) -> bytes:
    if not topic or "+" in topic or "#" in topic:
        raise Unsendable(TOPIC_INVALID)
    return _utf8(topic)


@lru_cache(maxsize=64)
def _lasting_properties(content_type: str, user_properties: tuple[tuple[str, str], ...]) -> bytes:
    kind = b"\x03" + _utf8(content_type) if content_type else b""
    return kind + b"".join(b"\x26" + _utf8(name) + _utf8(value) for name, value in user_properties)


def _utf8(text: str) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise Unsendable(MALFORMED) from None
    if b"\0" in data:
        raise Unsendable(MALFORMED)
    return _blob(data)


def _blob(data: bytes) -> bytes:
    if len(data) > 65_535:
        raise Unsendable(PACKET_TOO_LARGE)
    return len(data).to_bytes(2, "big") + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while True:
        byte, value = value & 0x7F, value >> 7
        out.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(out)


def _sized(data: bytes) -> bytes:
    return _varint(len(data)) + data
