"""The codecs of portals, which send lines or speak Modbus, and of I/O modules, as `_fuzz_codecs` lists them."""

from __future__ import annotations

from collections.abc import Iterator

from _fuzz_fed import Back, Codec, Fed, each_body, hexes

from drivers import modbus_codec as modbus
from drivers.rpm_aspect_codec import monitor_request, read_description, read_monitor
from drivers.rpm_rapiscan_codec import LineCodec
from drivers.rpm_rapiscan_stored import stored_events
from lanecontrol.framing import LineFramer
from sim import io_modbus_wire

RAPISCAN_SEEDS = tuple(
    line.encode() + b"\r\n"
    for line in (
        "GS,000104,000098,000111,000102", "NS,000001,000000,000000,000002", "GB,000410,000395,000402,000407",
        "NB,000003,000002,000002,000003", "SP,0.1100,06.198,009.97,000000", "GX,000012,000012,000012,000012",
        "GA,000504,000398,000411,000402", "TT,000000,000000,000000,000000",
    )
)  # fmt: skip


def _rapiscan() -> Fed:
    codec = LineCodec()
    return Fed(codec.feed, held=lambda: codec.pending)


def _lines() -> Fed:
    framer = LineFramer()
    return Fed(framer.feed, held=lambda: framer.pending)


QUESTIONS = (
    modbus.Read(modbus.Area.HOLDING_REGISTERS, 0, 8),
    modbus.Read(modbus.Area.DISCRETE_INPUTS, 0, 12),
    modbus.WriteCoils(0, (True, False)),
)
MODBUS_SEEDS = hexes(
    "0001 0000 0013 01 03 10 4153 0001 0002 0100 0040 0000 0000 0000",
    "0002 0000 0005 01 02 02 ff0f",
    "0003 0000 0006 01 0f 0000 0002",
    "0004 0000 0003 01 83 02",
)
ABSURD_MODBUS = bytes.fromhex("0001 0000 ffff 01 03")


def _mended_modbus(piece: bytes) -> bytes:
    return (
        piece[:2] + b"\0\0" + (min(len(piece), 250) - 6).to_bytes(2, "big") + piece[6:250] if len(piece) > 8 else piece
    )


def _modbus_answer(frame: bytes) -> object:
    for question in QUESTIONS:
        modbus.read_answer(1, question, frame[2:])
    value = int.from_bytes(frame[9:25].ljust(16, b"\0"), "little")
    monitor_request(read_description(value))
    return frame


def _modbus() -> Fed:
    framer = modbus.answer_framer()
    return Fed(framer.feed, read=_modbus_answer, held=lambda: framer.pending)


MODBUS_REQUESTS = hexes(
    "0001 0000 0006 01 02 0000 0006", "0002 0000 0008 01 0f 0000 0003 01 05", "0003 0000 0006 01 03 0000 0008",
    "0004 0000 0009 01 10 0000 0001 02 1234", "0005 0000 0006 01 05 0000 ff00",
)  # fmt: skip


def _modbus_fake() -> Fed:
    framer = io_modbus_wire.Framer()
    return Fed(
        framer.feed,
        read=lambda request: io_modbus_wire.parse(request.pdu),
        held=lambda: len(framer._buffer),
        broken=lambda: framer.broken,
    )


def _monitor(body: bytes) -> Iterator[object]:
    value = int.from_bytes(body[:64].ljust(64, b"\0"), "little")
    yield read_monitor(value)
    yield monitor_request(read_description(value & (1 << 128) - 1))


CODECS = (
    Codec("rpm.rapiscan lines", Back.LINE, _rapiscan, RAPISCAN_SEEDS, 4096),
    Codec("rpm.rapiscan files", Back.BODY, each_body(stored_events), RAPISCAN_SEEDS, 0),
    Codec("lines", Back.LINE, _lines, RAPISCAN_SEEDS, 256),
    Codec("rpm.aspect registers", Back.BODY, each_body(_monitor), (bytes(range(64)), b"\xff" * 64), 0),
    Codec("io.modbus answers", Back.DROP, _modbus, MODBUS_SEEDS, 512, ABSURD_MODBUS, mend=_mended_modbus),
    Codec("fake io.modbus", Back.DROP, _modbus_fake, MODBUS_REQUESTS, 512, ABSURD_MODBUS, mend=_mended_modbus),
)
