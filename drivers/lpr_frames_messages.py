"""What the driver `lpr.frames` and its capture process say to each other. Pure.

The driver writes lines of JSON: an `Order` first, then one `Ask` after the other. The process writes messages: a kind,
the number of the question, a length, and so many bytes. What ffmpeg writes about a failure is searched for what it
means and never passed on: it quotes addresses with passwords.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass, field
from enum import StrEnum

HEAD = struct.Struct(">cII")
MOST = 16 << 20
"""Bytes of one picture; what the evidence store takes at most."""


class Kind(StrEnum):
    """Kinds of messages. Those but PICTURE and END belong to no question."""

    READY = "R"
    PICTURE = "P"
    END = "E"
    FAILED = "F"


class Failure(StrEnum):
    """Why there are no pictures, as the first word of a FAILED message."""

    NO_OPENCV = "no-opencv"
    NO_DEVICE = "no-device"
    WRONG_DEVICE = "wrong-device"
    NOT_ALLOWED = "not-allowed"
    NOT_OPENED = "not-opened"
    ENDED = "ended"
    STALLED = "stalled"
    BEHIND = "behind"


@dataclass(frozen=True, slots=True)
class Order:
    """What to capture. `source` is a URL with its password, or the path of a device; `stalled_s` the patience."""

    source: str = field(repr=False)
    usb: bool
    stalled_s: float
    width: int = 0
    height: int = 0

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def of(cls, line: bytes) -> Order:
        """Raises ValueError, TypeError."""
        return cls(**json.loads(line))


@dataclass(frozen=True, slots=True)
class Ask:
    """What the ring holds, if `reach_back`, and `count` further pictures `apart_s` seconds apart."""

    number: int
    count: int
    apart_s: float
    reach_back: bool = True

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def of(cls, line: bytes) -> Ask:
        """Raises ValueError, TypeError."""
        return cls(**json.loads(line))


def message(kind: Kind, number: int = 0, content: bytes = b"") -> bytes:
    """The bytes of one message."""
    return HEAD.pack(kind.encode(), number, len(content)) + content


def head(data: bytes) -> tuple[Kind, int, int]:
    """Kind, question and length. Raises ValueError for what is no head."""
    kind, number, length = HEAD.unpack(data)
    if length > MOST:
        raise ValueError("a message longer than any picture")
    return Kind(kind.decode("latin-1")), number, length


_SAYINGS = (
    (b"401", "401"),
    (b"403", "403"),
    (b"404", "404"),
    (b"461", "461"),
    (b"503", "503"),
    (b"connection refused", "refused"),
    (b"no route to host", "no route"),
    (b"network is unreachable", "no route"),
    (b"connection timed out", "silent"),
    (b"timeout triggered", "silent"),
    (b"invalid data found", "garbage"),
)


def meant(said: bytes) -> str:
    """What ffmpeg's words mean: a status of RTSP (`401`), `refused`, `silent`, `garbage`; empty for nothing known."""
    low = said.lower()
    for saying, meaning in _SAYINGS:
        if saying.isdigit():
            if b"failed: " + saying in low:
                return meaning
        elif saying in low:
            return meaning
    return ""
