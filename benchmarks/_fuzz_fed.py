"""What a codec under test is: how it is fed on a connection, and what it promises. For `fuzz.py` and the lists.

What a codec gives is read on, as far as its session would: frames into messages, messages into events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from lanecontrol.framing import Doubt, Violation
from lanecontrol.port import mqtt_packets

Items = Iterable[Any]
NOTHING = b""


class Back(Enum):
    """How a codec finds its way again after bytes that made no sense."""

    LINE = "at the next line"
    FRAME = "within one good frame"
    DROP = "drops the link, says so"
    BODY = "each body by itself"


class Fed:
    """A codec on one connection. `feed` says how many good things came of the bytes."""

    def __init__(
        self,
        cut: Callable[[bytes], Items],
        *,
        read: Callable[[Any], object] = lambda item: item,
        held: Callable[[], int] = lambda: 0,
        broken: Callable[[], object] = lambda: False,
        flush: Callable[[], Items] = lambda: (),
    ) -> None:
        self._cut = cut
        self._read = read
        self._broken = broken
        self._flush = flush
        self.held = held
        self.dead = False
        self.last: object = None
        """The last good thing."""

    def feed(self, data: bytes) -> int:
        return self._count(self._cut(data))

    def flush(self) -> int:
        """Nothing more comes for a while: what waited for its rest is given up, where the protocol has such a rule."""
        return self._count(self._flush())

    def _count(self, items: Items) -> int:
        good = 0
        for item in items:
            if isinstance(item, Violation | mqtt_packets.Violation):
                self.dead = True
            elif item is not None and not isinstance(item, Doubt) and self._read(item) is not None:
                good += 1
                self.last = item
        self.dead = self.dead or bool(self._broken())
        return good


@dataclass(frozen=True, slots=True)
class Codec:
    """A codec under test. `seeds` are good on a connection, one after the other.

    `absurd` claims a length that none has. `mend` makes length and checksum of a spoilt piece right again, so that what
    is inside of it is looked at.
    """

    name: str
    back: Back
    new: Callable[[], Fed]
    seeds: tuple[bytes, ...]
    held_limit: int
    absurd: bytes = NOTHING
    mend: Callable[[bytes], bytes] | None = None


def each_body(read: Callable[[bytes], Items]) -> Callable[[], Fed]:
    """For what reads a whole body at a time and remembers nothing."""
    return lambda: Fed(read)


def hexes(*texts: str) -> tuple[bytes, ...]:
    return tuple(map(bytes.fromhex, texts))
