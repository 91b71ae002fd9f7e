"""MQTT 5.0 and 3.1.1, the client's side of the wire, without I/O: bytes from a broker to packets.

Written from the OASIS standards; section numbers are those of MQTT 5.0. QoS 0 and 1, no QoS 2 and no topic aliases: we
never ask for them, so a broker that uses them breaks the protocol. Nothing here raises on what a broker sends, and the
decoder never holds more than one packet of the agreed size. `mqtt_encode` is the other direction.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from lanecontrol.port.mqtt_packets import (
    MALFORMED,
    PACKET_TOO_LARGE,
    PROTOCOL_ERROR,
    QOS_UNSUPPORTED,
    V5,
    Connack,
    Disconnect,
    Packet,
    Pingresp,
    Puback,
    Publish,
    Suback,
    Violation,
)
from lanecontrol.port.transport import Received

_OLD_CONNACK = {0: 0x00, 1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87}
"""MQTT 3.1.1, table 3.1, in the codes of MQTT 5."""


class _Bad(Exception):
    """Internal: what is being read is not MQTT."""

    def __init__(self, why: str, code: int = MALFORMED) -> None:
        super().__init__(why)
        self.why = why
        self.code = code


class _Reader:
    """Fields of one packet in order. Raises _Bad, never anything else."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data = data
        self.at = at
        self.end = end

    def take(self, count: int) -> bytes:
        start, self.at = self.at, self.at + count
        if self.at > self.end:
            raise _Bad("a field runs over the end of its packet")
        return self.data[start : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def binary(self) -> bytes:
        return self.take(self.number(2))

    def text(self) -> str:
        try:
            text = self.binary().decode()
        except UnicodeDecodeError:
            raise _Bad("a text is not UTF-8") from None
        if "\0" in text:
            raise _Bad("a text holds U+0000")
        return text

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.number(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 21:
                raise _Bad("a variable byte integer has more than four bytes")

    def rest(self) -> bytes:
        return self.take(self.end - self.at)

    @property
    def left(self) -> int:
        return self.end - self.at


Property = int | str | bytes | tuple[str, str]

_BYTE, _TWO, _FOUR, _VARINT, _BINARY, _TEXT, _PAIR = range(7)
_KINDS: dict[int, int] = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), _BYTE),
    **dict.fromkeys((0x13, 0x21, 0x22, 0x23), _TWO),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), _FOUR),
    0x0B: _VARINT,
    **dict.fromkeys((0x09, 0x16), _BINARY),
    **dict.fromkeys((0x03, 0x08, 0x12, 0x15, 0x1A, 0x1C, 0x1F), _TEXT),
    0x26: _PAIR,
}
"""Section 2.2.2.2: the type of each property."""
_REPEATABLE = frozenset((0x26, 0x0B))


def _properties(reader: _Reader) -> dict[int, list[Property]]:
    size = reader.varint()
    end = reader.at + size
    if end > reader.end:
        raise _Bad("the properties run over the end of their packet")
    inner = _Reader(reader.data, reader.at, end)
    found: dict[int, list[Property]] = {}
    while inner.left:
        name = inner.varint()
        value = _property(inner, name)
        if name in found and name not in _REPEATABLE:
            raise _Bad(f"property 0x{name:02X} is there twice", PROTOCOL_ERROR)
        found.setdefault(name, []).append(value)
    reader.at = end
    return found


def _property(reader: _Reader, name: int) -> Property:
    match _KINDS.get(name):
        case 0:
            return reader.number(1)
        case 1:
            return reader.number(2)
        case 2:
            return reader.number(4)
        case 3:
            return reader.varint()
        case 4:
            return reader.binary()
        case 5:
            return reader.text()
        case 6:
            return reader.text(), reader.text()
        case _:
            raise _Bad(f"property 0x{name:02X} is unknown")


def _first(found: dict[int, list[Property]], name: int, default: Property) -> Property:
    values = found.get(name)
    return values[0] if values else default


def _number(found: dict[int, list[Property]], name: int, default: int) -> int:
    value = _first(found, name, default)
    return value if isinstance(value, int) else default


def _text(found: dict[int, list[Property]], name: int) -> str:
    value = _first(found, name, "")
    return value if isinstance(value, str) else ""


_IDS = [struct.Struct(">" + "xxH" * count) for count in range(128)]
"""The packet identifiers of so many PUBACKs of four bytes each (section 3.4)."""


class Decoder:
    """Bytes from the broker to packets. `limit` is the largest packet we announced to take."""

    def __init__(self, protocol: int, limit: int) -> None:
        self._protocol = protocol
        self._limit = limit
        self._held = bytearray()
        self._need = 2
        self._dead = False

    @property
    def held(self) -> int:
        """Bytes kept until the rest of their packet comes."""
        return len(self._held)

    def acknowledgements(self, data: bytes) -> tuple[Sequence[int], bytes]:
        """The ids of the plain PUBACKs (no code, so: success) that `data` begins with, and the bytes after them.

        The answer to nearly everything we send, read without detours. What is wrong with one is left to `feed`.
        """
        count = 0 if self._held or self._dead else len(data) // 4
        while count and (data[: count * 4 : 4].count(0x40) != count or data[1 : count * 4 : 4].count(2) != count):
            count //= 2
        if not count:
            return (), data
        ids = _IDS[count].unpack_from(data) if count < len(_IDS) else struct.unpack_from(">" + "xxH" * count, data)
        return ((), data) if 0 in ids else (ids, data[count * 4 :])

    def feed(self, data: bytes) -> list[Packet]:
        """The packets that `data` completes. After a `Violation` it gives nothing more."""
        if self._dead:
            return []
        if self._held:
            self._held += data
            if len(self._held) < self._need:  # a drip-fed packet is looked at once, when it is whole
                return []
            data = bytes(self._held)
        packets: list[Packet] = []
        try:
            rest = self._all(data, packets)
        except _Bad as bad:
            self._dead = True
            rest = len(data)
            packets.append(Violation(bad.code, bad.why))
        self._held = bytearray(data[rest:])
        return packets

    def _all(self, data: bytes, packets: list[Packet]) -> int:
        """Every whole packet of `data`, and where the first that is not whole begins."""
        at, available = 0, len(data)
        while available - at >= 5 and data[at] == 0x40 and data[at + 1] in (2, 3):
            packet_id = data[at + 2] << 8 | data[at + 3]
            if packet_id == 0 or (data[at + 1] == 3 and self._protocol != V5):
                break  # the long way says what is wrong
            packets.append(Puback(packet_id, data[at + 4] if data[at + 1] == 3 else 0))
            at += data[at + 1] + 2
        while (found := self._header(data, at)) is not None:
            body, end = found
            if end > available:
                self._need = end - at
                return at
            packets.append(self._packet(data[at], _Reader(data, body, end)))
            at = end
        self._need = available - at + 1
        return at

    def _header(self, data: bytes, at: int) -> tuple[int, int] | None:
        """Where the body of the packet at `at` begins and ends; None while that cannot be told."""
        length = _length(data, at + 1)
        if length is None:
            return None
        size, body = length
        if size > self._limit:
            raise _Bad(f"a packet of {size} bytes, more than the {self._limit} we take", PACKET_TOO_LARGE)
        return body, body + size

    def _packet(self, first: int, reader: _Reader) -> Packet:
        kind, flags = first >> 4, first & 0x0F
        if kind == 3:
            return self._publish(flags, reader)
        if flags:
            raise _Bad(f"flags {flags:04b} in a packet of type {kind}")
        match kind:
            case 2:
                return self._connack(reader)
            case 4:
                return self._puback(reader)
            case 9:
                return self._suback(reader)
            case 13:
                return Pingresp()
            case 14 if self._protocol == V5:
                return self._disconnect(reader)
            case _:
                raise _Bad(f"a packet of type {kind}, which a broker never sends us", PROTOCOL_ERROR)

    def _connack(self, reader: _Reader) -> Connack:
        flags, code = reader.number(1), reader.number(1)
        if flags > 1:
            raise _Bad("unknown flags in CONNACK")
        if self._protocol != V5 or not reader.left:
            # A broker that knows only 3.1.1 answers a CONNECT of MQTT 5 in its own, shorter form.
            return Connack(flags == 1, _OLD_CONNACK.get(code, max(code, 0x80)))
        found = _properties(reader)
        maximum = _number(found, 0x27, 0)
        receive_maximum = _number(found, 0x21, 65_535)
        if receive_maximum == 0 or (0x27 in found and maximum == 0):
            raise _Bad("a maximum of zero in CONNACK", PROTOCOL_ERROR)
        return Connack(
            flags == 1,
            code,
            receive_maximum,
            maximum or None,
            _number(found, 0x24, 2),
            _number(found, 0x25, 1) == 1,
            _number(found, 0x13, 0) if 0x13 in found else None,
            _text(found, 0x1F),
        )

    def _publish(self, flags: int, reader: _Reader) -> Publish:
        qos = flags >> 1 & 3
        if qos > 1:
            raise _Bad(f"a message of QoS {qos}, which nobody asked for", QOS_UNSUPPORTED)
        topic = reader.text()
        if not topic or "+" in topic or "#" in topic:
            raise _Bad("a message without a proper topic", PROTOCOL_ERROR)
        packet_id = _packet_id(reader) if qos else 0
        found = _properties(reader) if self._protocol == V5 else {}
        if 0x23 in found:
            raise _Bad("a topic alias, which we did not allow", PROTOCOL_ERROR)
        correlation = _first(found, 0x09, b"")
        message = Received(
            topic,
            reader.rest(),
            qos,
            retained=bool(flags & 1),
            duplicate=bool(flags & 8),
            content_type=_text(found, 0x03),
            response_topic=_text(found, 0x08),
            correlation=correlation if isinstance(correlation, bytes) else b"",
            user_properties=tuple(pair for pair in found.get(0x26, ()) if isinstance(pair, tuple)),
            expiry_s=_number(found, 0x02, 0) if 0x02 in found else None,
        )
        return Publish(packet_id, message)

    def _puback(self, reader: _Reader) -> Puback:
        packet_id = _packet_id(reader)
        if self._protocol != V5:
            if reader.left:
                raise _Bad("a PUBACK of MQTT 3.1.1 with more than an id")
            return Puback(packet_id, 0)
        code = reader.number(1) if reader.left else 0
        if reader.left:
            _properties(reader)
        return Puback(packet_id, code)

    def _suback(self, reader: _Reader) -> Suback:
        packet_id = _packet_id(reader)
        if self._protocol == V5:
            _properties(reader)
        codes = tuple(reader.rest())
        if not codes:
            raise _Bad("a SUBACK without reason codes", PROTOCOL_ERROR)
        return Suback(packet_id, codes)

    def _disconnect(self, reader: _Reader) -> Disconnect:
        code = reader.number(1) if reader.left else 0
        reason = _text(_properties(reader), 0x1F) if reader.left else ""
        return Disconnect(code, reason)


def _length(held: bytes, at: int) -> tuple[int, int] | None:
    """A remaining length and where it ends; None while it is not complete."""
    value = 0
    for index in range(4):
        if at + index >= len(held):
            return None
        byte = held[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise _Bad("a remaining length of more than four bytes")


def _packet_id(reader: _Reader) -> int:
    packet_id = reader.number(2)
    if packet_id == 0:
        raise _Bad("packet identifier 0", PROTOCOL_ERROR)
    return packet_id
