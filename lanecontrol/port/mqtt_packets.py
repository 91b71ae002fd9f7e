"""MQTT packets that a broker sends, as data, and the standard's reason codes in words.

Section numbers are those of MQTT 5.0 (OASIS). The codec makes these, the client acts on them.
"""

from __future__ import annotations

from dataclasses import dataclass

from lanecontrol.port.transport import Received

V5 = 5
V311 = 4
LONGEST = 268_435_455
"""The largest remaining length that four bytes can say (section 1.5.5)."""

MALFORMED = 0x81
PROTOCOL_ERROR = 0x82
TOPIC_INVALID = 0x90
PACKET_TOO_LARGE = 0x95
TAKEN_OVER = 0x8E
RETAIN_UNSUPPORTED = 0x9A
QOS_UNSUPPORTED = 0x9B
WITH_WILL = 0x04

REASONS: dict[int, str] = {
    0x00: "normal",
    0x04: "disconnect with will",
    0x10: "no matching subscribers",
    0x80: "unspecified error",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x83: "implementation specific error",
    0x84: "unsupported protocol version",
    0x85: "client identifier not valid",
    0x86: "bad user name or password",
    0x87: "not authorised",
    0x88: "server unavailable",
    0x89: "server busy",
    0x8A: "banned",
    0x8B: "server shutting down",
    0x8C: "bad authentication method",
    0x8D: "keep alive timeout",
    0x8E: "session taken over by another client with the same id",
    0x8F: "topic filter invalid",
    0x90: "topic name invalid",
    0x91: "packet identifier in use",
    0x93: "receive maximum exceeded",
    0x94: "topic alias invalid",
    0x95: "packet too large",
    0x96: "message rate too high",
    0x97: "quota exceeded",
    0x98: "administrative action",
    0x99: "payload format invalid",
    0x9A: "retain not supported",
    0x9B: "QoS not supported",
    0x9C: "use another server",
    0x9D: "server moved",
    0x9E: "shared subscriptions not supported",
    0x9F: "connection rate exceeded",
    0xA0: "maximum connect time",
    0xA1: "subscription identifiers not supported",
    0xA2: "wildcard subscriptions not supported",
}
"""Section 2.4. What MQTT 3.1.1 says in its own five CONNACK codes is translated to these."""


def reason_text(code: int) -> str:
    """A reason code in words, with its number."""
    return f"{REASONS.get(code, 'unknown reason')} (0x{code:02X})"


@dataclass(frozen=True, slots=True)
class Connack:
    """The answer to CONNECT. Properties that were not sent have the default the standard gives them."""

    session_present: bool
    code: int
    receive_maximum: int = 65_535
    maximum_packet_bytes: int | None = None
    maximum_qos: int = 2
    retain_available: bool = True
    keepalive_s: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Publish:
    """A message, and the id to acknowledge it by (0 at QoS 0)."""

    packet_id: int
    message: Received


@dataclass(frozen=True, slots=True)
class Puback:
    packet_id: int
    code: int


@dataclass(frozen=True, slots=True)
class Suback:
    packet_id: int
    codes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pingresp:
    pass


@dataclass(frozen=True, slots=True)
class Disconnect:
    code: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Violation:
    """The broker broke the protocol. The last thing a decoder gives: what follows cannot be trusted."""

    code: int
    why: str


Packet = Connack | Publish | Puback | Suback | Pingresp | Disconnect | Violation
