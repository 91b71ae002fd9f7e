"""The codecs of MQTT, the client's and the broker's, as `_fuzz_codecs` lists them."""

from __future__ import annotations

from collections.abc import Callable

from _fuzz_fed import Back, Codec, Fed, Items

from lanecontrol.port import mqtt_codec
from sim import mqtt_decode, mqtt_packets

MQTT_LIMIT = 4096


def _packet(first: int, body: str) -> bytes:
    raw = bytes.fromhex(body)
    return bytes((first, len(raw))) + raw


MQTT_SEEDS = (
    _packet(0x20, "01 00 14 210014 27000007d0 2401 2500 13001e 1f00026f6b"),
    _packet(0x40, "1234"),
    _packet(0x40, "1234 97 05 1f 0002 6869"),
    _packet(0x32, "0003 612f62 0001 05 0200000e10 68656c6c6f"),
    _packet(0x90, "0001 00 01"),
    _packet(0xD0, ""),
    _packet(0xE0, "8b"),
)
MQTT_3_SEEDS = _packet(0x20, "0000"), _packet(0x40, "1234"), _packet(0x90, "0001 01"), _packet(0xD0, "")
ABSURD_MQTT = b"\x30\xff\xff\xff\x7f"


def _mended_mqtt(piece: bytes) -> bytes:
    return piece[:1] + bytes((min(len(piece) - 2, 127),)) + piece[2:129] if len(piece) > 2 else piece


def _mqtt(protocol: int) -> Callable[[], Fed]:
    def new() -> Fed:
        decoder = mqtt_codec.Decoder(protocol, MQTT_LIMIT)
        return Fed(decoder.feed, held=lambda: decoder.held)

    return new


MQTT_REQUESTS = (
    _packet(0x10, "0004 4d515454 05 02 0000 00 0001 61"),
    _packet(0x32, "0003 612f62 0001 00 68"),
    _packet(0x82, "0001 00 0005 612f622f63 01"),
    _packet(0xC0, ""),
    _packet(0x40, "0001"),
)


def _mqtt_fake() -> Fed:
    framer = mqtt_decode.Framer(MQTT_LIMIT)

    def cut(data: bytes) -> Items:
        if framer.problem:  # the broker has hung up
            return []
        return [mqtt_decode.parse(first, body, 5) for first, body in framer.feed(data)]

    return Fed(
        cut,
        read=lambda packet: None if isinstance(packet, mqtt_packets.Bad) else packet,
        held=lambda: len(framer._buffer),
        broken=lambda: framer.problem,
    )


CODECS = (
    Codec("mqtt 5", Back.DROP, _mqtt(5), MQTT_SEEDS, MQTT_LIMIT, ABSURD_MQTT, mend=_mended_mqtt),
    Codec("mqtt 3.1.1", Back.DROP, _mqtt(4), MQTT_3_SEEDS, MQTT_LIMIT, ABSURD_MQTT, mend=_mended_mqtt),
    Codec("fake broker", Back.DROP, _mqtt_fake, MQTT_REQUESTS, MQTT_LIMIT, ABSURD_MQTT, mend=_mended_mqtt),
)
