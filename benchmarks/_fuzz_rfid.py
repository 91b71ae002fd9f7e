"""The codecs of RFID readers, LLRP and Mercury, and of their fakes, as `_fuzz_codecs` lists them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress

from _fuzz_fed import Back, Codec, Fed, Items, hexes

from drivers import rfid_llrp_codec as llrp
from drivers import rfid_mercury_codec as mercury
from drivers import rfid_mercury_records as records
from drivers.rfid_llrp_reports import ReportReader
from lanecontrol.framing import Doubt
from sim import rfid_llrp_wire, rfid_mercury_wire
from sim.rfid_llrp_access import read_accessspec
from sim.rfid_llrp_settings import ReaderConfig, Settings, capabilities, get_config, set_config
from sim.rfid_llrp_specs import one, read_rospec
from sim.rfid_llrp_version import Versions
from sim.rfid_mercury_search import read_place, read_search, read_start
from sim.rfid_mercury_settings import MercuryConfig
from sim.rfid_mercury_settings import Settings as MercurySettings

# --- LLRP ------------------------------------------------------------------------------------------------------------

LLRP_LIMIT = 1 << 16
ABSURD_LLRP = bytes.fromhex("043d 7fffffff 00000007")


def _message(kind: int, body: str) -> bytes:
    raw = bytes.fromhex(body)
    return struct.pack(">HII", 1 << 10 | kind, 10 + len(raw), 9) + raw


LLRP_SEEDS = (
    _message(63, "00f600160080000c00064748462040000100 00060000"),
    _message(61, "00f0002b8df0000000000000000000beef81000186cd820006474846204000840006474846204000880001"),
    _message(61, "00f0002b 00f10016008000112233445566778899aabbccddeeff 810001 015d000b00000100011234 880001"),
    _message(63, "00f600170080000c0006474846204000 00ff0007000002"),
    _message(62, ""),
    _message(30, "011f0018006500000120000800020065 0121000800b10065"),
    _message(1023, "0000651a 01 00000001 00000002"),
)


def _mended_llrp(piece: bytes) -> bytes:
    return piece[:2] + (len(piece)).to_bytes(4, "big") + piece[6:] if len(piece) >= 10 else piece


def _llrp_frame(frame: bytes) -> object:
    message = llrp.decode(frame)
    if isinstance(message, Doubt):
        return None
    assert llrp.encode(message) == frame, "encodes to other bytes than it was decoded from"
    return message


def _llrp() -> Fed:
    frames = llrp.Frames(LLRP_LIMIT)
    return Fed(frames.feed, read=_llrp_frame, held=lambda: frames.pending)


def _llrp_reports() -> Fed:
    reader = ReportReader(LLRP_LIMIT)
    return Fed(reader.feed, held=lambda: reader.pending)


LLRP_REQUESTS = hexes(
    "04140000006d0000000500b1006300000001000000b2001d00b300100300b5000b0001800000000000b60009010000138800b7002a000200010"
    "00200b80019030000000000b9001000000002000000000000138800ba000700010100ed001202000100ee000b1780015c0005c0",
    "0428000000450000000500cf003b00000001000001000000000000d0000701000200d10024015200110153000d60002000051f0005150155000"
    "f0001000000008000000006",
    "040300000070000000050000f4004300f5000700008000f5000700018000f5000700028000f5000700038000f5000700048000f500070005800"
    "0f5000700068000f5000700078000f5000700088000dc000901000003e800e200058000ed000d02000100ee0006178000db0007000180",
    "0402000000110000000500000000000000",
    "04010000000b0000000500",
    "082e0000000a00000005",
    "082f0000000b0000000502",
)


READER, MODULE = ReaderConfig(), MercuryConfig()


def _llrp_request(frame: rfid_llrp_wire.Frame) -> object:
    """What the fake does with a request before any timer or tag is touched."""
    config, body = READER, frame.body
    if Versions(rfid_llrp_wire.V1_1).answer(frame) is not None:
        return True
    try:
        match frame.type:
            case rfid_llrp_wire.M.ADD_ROSPEC:
                return read_rospec(one(body, rfid_llrp_wire.P.ROSPEC), config.bounds)
            case rfid_llrp_wire.M.ADD_ACCESSSPEC:
                return read_accessspec(one(body, rfid_llrp_wire.P.ACCESSSPEC), config.bounds)
            case rfid_llrp_wire.M.SET_READER_CONFIG:
                return set_config(config, Settings(), rfid_llrp_wire.Fields(body))
            case rfid_llrp_wire.M.GET_READER_CONFIG:
                return get_config(config, Settings(), set(), {}, rfid_llrp_wire.Fields(body))
            case rfid_llrp_wire.M.GET_READER_CAPABILITIES:
                return capabilities(config, rfid_llrp_wire.Fields(body).number(1))
            case _:
                return list(rfid_llrp_wire.parameters(body))
    except rfid_llrp_wire.Refused as refusal:
        rfid_llrp_wire.status(refusal)
        return None


def _llrp_fake() -> Fed:
    framer = rfid_llrp_wire.Framer(LLRP_LIMIT)
    return Fed(framer.feed, read=_llrp_request, held=lambda: len(framer._buffer), broken=lambda: framer.broken)


# --- Mercury ---------------------------------------------------------------------------------------------------------

MERCURY_SEEDS = hexes(
    "ff14030000150112001800000120200101011b0205000000102545",
    "ff096100000501010201030004006bc4",
    "ff2b22000010001b0fff0101cd110df7320000002a005a0500000000000000803000f0000000000000000000beefaabbcff6",
    "ff07220000100013000000018f02",
    "ff012f00000130e5",
    "ff0022040084e0",
)


def _mended_mercury(piece: bytes) -> bytes:
    return _sealed(piece, 3)


def _mended_command(piece: bytes) -> bytes:
    return _sealed(piece, 1)


def _sealed(piece: bytes, uncounted: int) -> bytes:
    """LEN does not count the op code, nor a module's status."""
    body = piece[2:-2][:200]
    if len(body) < uncounted:
        return piece
    sealed = bytes((len(body) - uncounted,)) + body
    return b"\xff" + sealed + mercury.checksum(sealed).to_bytes(2, "big")


def _mercury_frame(frame: mercury.Frame) -> object:
    records.read_streamed(frame)
    records.read_fetched(frame)
    mercury.read_version(frame.data)
    mercury.read_antennas(frame.data)
    return frame


def _mercury() -> Fed:
    frames = mercury.Frames()
    return Fed(frames.feed, read=_mercury_frame, held=lambda: frames.pending, flush=frames.expire)


MERCURY_REQUESTS = hexes(
    "ff00031d0c", "ff016105bdb8", "ff059102010102022dc0", "ff039a010c00a35d", "ff02920a8c4bd5",
    "ff072210001301f40fff3242", "ff03290fff00facd", "ff102f00000122000005072210001b00fa0fffb40b",
)  # fmt: skip


def _mercury_request(command: rfid_mercury_wire.Command) -> object:
    """Every reader of the command's data, whatever its op code: each must refuse or take it."""
    data, settings = command.data, MercurySettings(MODULE, lambda pin, on: None)
    with suppress(ValueError):
        op = rfid_mercury_wire.Op(command.op)
        for attempt in (settings.change, lambda op, fields: settings.ask(op, fields, set(), 30)):
            with suppress(rfid_mercury_wire.Refused):
                attempt(op, rfid_mercury_wire.Fields(data))
    readers: tuple[Callable[[], object], ...] = (
        lambda: read_search(data, streaming=False),
        lambda: read_start(rfid_mercury_wire.Fields(data)),
        lambda: read_place(rfid_mercury_wire.Fields(data)),
    )
    for read in readers:
        with suppress(rfid_mercury_wire.Refused):
            read()
    return command


def _mercury_fake() -> Fed:
    framer = rfid_mercury_wire.Framer(0.1)
    now_s = [0.0]

    def later() -> Items:
        now_s[0] += 1.0
        return framer.feed(b"", now_s[0])

    return Fed(
        lambda data: framer.feed(data, now_s[0]),
        read=_mercury_request,
        held=lambda: len(framer._buffer),
        flush=later,
    )


CODECS = (
    Codec("rfid.llrp frames", Back.DROP, _llrp, LLRP_SEEDS, LLRP_LIMIT, ABSURD_LLRP, mend=_mended_llrp),
    Codec("rfid.llrp reports", Back.DROP, _llrp_reports, LLRP_SEEDS, LLRP_LIMIT, ABSURD_LLRP, mend=_mended_llrp),
    Codec("rfid.mercury", Back.FRAME, _mercury, MERCURY_SEEDS, 512, mend=_mended_mercury),
    Codec("fake rfid.llrp", Back.DROP, _llrp_fake, LLRP_REQUESTS, LLRP_LIMIT, ABSURD_LLRP, mend=_mended_llrp),
    Codec("fake rfid.mercury", Back.FRAME, _mercury_fake, MERCURY_REQUESTS, 512, mend=_mended_command),
)
