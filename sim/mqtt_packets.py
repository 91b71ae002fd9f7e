"""MQTT control packets as a broker sees them: the vocabulary of `mqtt_decode` and `mqtt_encode`.

Written from the OASIS standards MQTT 5.0 and MQTT 3.1.1. Section numbers in comments are those of MQTT 5.0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

V311, V5 = 4, 5
FOR_EVER = 0xFFFF_FFFF
"""Session expiry interval: the session does not expire."""


class Kind(IntEnum):
    """Control packet types."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


class Reason(IntEnum):
    """Reason codes (2.4) that this broker gives or understands."""

    SUCCESS = 0x00
    DISCONNECT_WITH_WILL = 0x04
    NO_MATCHING_SUBSCRIBERS = 0x10
    NO_SUBSCRIPTION_EXISTED = 0x11
    MALFORMED = 0x81
    PROTOCOL_ERROR = 0x82
    UNSUPPORTED_VERSION = 0x84
    CLIENT_ID_NOT_VALID = 0x85
    BAD_CREDENTIALS = 0x86
    NOT_AUTHORIZED = 0x87
    BAD_AUTH_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    SESSION_TAKEN_OVER = 0x8E
    FILTER_INVALID = 0x8F
    TOPIC_INVALID = 0x90
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    QUOTA_EXCEEDED = 0x97
    QOS_NOT_SUPPORTED = 0x9B
    SHARED_NOT_SUPPORTED = 0x9E


class Prop(IntEnum):
    """Property identifiers (2.2.2.2)."""

    PAYLOAD_FORMAT = 0x01
    MESSAGE_EXPIRY = 0x02
    CONTENT_TYPE = 0x03
    RESPONSE_TOPIC = 0x08
    CORRELATION = 0x09
    SUBSCRIPTION_ID = 0x0B
    SESSION_EXPIRY = 0x11
    ASSIGNED_CLIENT_ID = 0x12
    AUTH_METHOD = 0x15
    AUTH_DATA = 0x16
    REQUEST_PROBLEM = 0x17
    WILL_DELAY = 0x18
    REQUEST_RESPONSE = 0x19
    REASON_STRING = 0x1F
    RECEIVE_MAXIMUM = 0x21
    TOPIC_ALIAS_MAXIMUM = 0x22
    TOPIC_ALIAS = 0x23
    MAXIMUM_QOS = 0x24
    USER_PROPERTY = 0x26
    MAXIMUM_PACKET = 0x27
    SHARED_AVAILABLE = 0x2A


SHAPE: dict[int, str] = {
    Prop.PAYLOAD_FORMAT: "1", Prop.MESSAGE_EXPIRY: "4", Prop.CONTENT_TYPE: "s", Prop.RESPONSE_TOPIC: "s",
    Prop.CORRELATION: "b", Prop.SUBSCRIPTION_ID: "v", Prop.SESSION_EXPIRY: "4", Prop.ASSIGNED_CLIENT_ID: "s",
    Prop.AUTH_METHOD: "s", Prop.AUTH_DATA: "b", Prop.REQUEST_PROBLEM: "1", Prop.WILL_DELAY: "4",
    Prop.REQUEST_RESPONSE: "1", Prop.REASON_STRING: "s", Prop.RECEIVE_MAXIMUM: "2", Prop.TOPIC_ALIAS_MAXIMUM: "2",
    Prop.TOPIC_ALIAS: "2", Prop.MAXIMUM_QOS: "1", Prop.USER_PROPERTY: "p", Prop.MAXIMUM_PACKET: "4",
    Prop.SHARED_AVAILABLE: "1",
}  # fmt: skip
"""How each property is coded: bytes of an integer, v variable integer, s text, b binary, p pair of texts."""

Props = dict[int, Any]


@dataclass(frozen=True, slots=True)
class Publish:
    """A message. `properties` are those that go to the receivers as they are, coded; `expiry_s` is not among them."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    packet_id: int = 0
    properties: bytes = b""
    expiry_s: int | None = None


@dataclass(frozen=True, slots=True)
class Will:
    """What to publish when the client goes without a word."""

    message: Publish
    delay_s: int = 0


@dataclass(frozen=True, slots=True)
class Connect:
    """The client's greeting."""

    version: int
    clean: bool
    keepalive_s: int
    client_id: str
    will: Will | None
    username: str
    password: bytes
    session_expiry_s: int
    receive_maximum: int
    maximum_packet_bytes: int
    auth_method: str


@dataclass(frozen=True, slots=True)
class Puback:
    """The client took a message over, or refused it: it is done with either way."""

    packet_id: int


@dataclass(frozen=True, slots=True)
class Wish:
    """One filter of a SUBSCRIBE. `valid` is False for a filter that the standard forbids."""

    pattern: str
    qos: int
    no_local: bool = False
    as_published: bool = False
    retain_handling: int = 0


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Filters to add."""

    packet_id: int
    wishes: tuple[Wish, ...]
    identifier: int = 0


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Filters to take away."""

    packet_id: int
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pingreq:
    """The client shows that it is there."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Goodbye."""

    reason: int = 0
    session_expiry_s: int | None = None


@dataclass(frozen=True, slots=True)
class Bad:
    """A packet that cannot be accepted, and why; the connection ends."""

    reason: Reason
    version: int = 0
    """Protocol of a refused CONNECT, 0 where it is not known."""


Packet = Connect | Publish | Puback | Subscribe | Unsubscribe | Pingreq | Disconnect | Bad


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message on its way to one client."""

    message: Publish
    qos: int
    retain: bool
    identifiers: tuple[int, ...] = field(default=())
