"""Every codec that reads bytes from a device, a camera, the broker or a client: how it is fed, and what it promises.

Used by `fuzz.py` and by the test that runs its short form. A codec is made anew for each connection, as a session does
it. What a codec gives is read on, as far as its session would: frames into messages, messages into events.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any

from drivers import lpr_axis_codec, lpr_frames_http, lpr_mapped_codec, lpr_mapped_mapping
from drivers import modbus_codec as modbus
from drivers import rfid_llrp_codec as llrp
from drivers import rfid_mercury_codec as mercury
from drivers import rfid_mercury_records as records
from drivers.push import http, jsonstream, multipart, spool
from drivers.push.door import Door
from drivers.rfid_llrp_reports import ReportReader
from drivers.rpm_aspect_codec import monitor_request, read_description, read_monitor
from drivers.rpm_rapiscan_codec import LineCodec
from drivers.rpm_rapiscan_stored import stored_events
from lanecontrol import framing
from lanecontrol.framing import Doubt
from lanecontrol.port import mqtt_codec, mqtt_packets
from sim import io_modbus_wire, lpr_http, mqtt_decode, rfid_llrp_wire, rfid_mercury_wire
from sim import mqtt_packets as mqtt_server_packets
from sim.rfid_llrp_access import read_accessspec
from sim.rfid_llrp_settings import ReaderConfig, Settings, capabilities, get_config, set_config
from sim.rfid_llrp_specs import one, read_rospec
from sim.rfid_llrp_version import Versions
from sim.rfid_mercury_search import read_place, read_search, read_start
from sim.rfid_mercury_settings import MercuryConfig
from sim.rfid_mercury_settings import Settings as MercurySettings

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
            if isinstance(item, framing.Violation | mqtt_packets.Violation):
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


def _hexes(*texts: str) -> tuple[bytes, ...]:
    return tuple(map(bytes.fromhex, texts))


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


LLRP_REQUESTS = _hexes(
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

MERCURY_SEEDS = _hexes(
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


MERCURY_REQUESTS = _hexes(
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


# --- portals, Modbus -------------------------------------------------------------------------------------------------

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
    framer = framing.LineFramer()
    return Fed(framer.feed, held=lambda: framer.pending)


QUESTIONS = (
    modbus.Read(modbus.Area.HOLDING_REGISTERS, 0, 8),
    modbus.Read(modbus.Area.DISCRETE_INPUTS, 0, 12),
    modbus.WriteCoils(0, (True, False)),
)
MODBUS_SEEDS = _hexes(
    "0001 0000 0013 01 03 10 4153 0001 0002 0100 0040 0000 0000 0000",
    "0002 0000 0005 01 02 02 ff0f",
    "0003 0000 0006 01 0f 0000 0002",
    "0004 0000 0003 01 83 02",
)


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


MODBUS_REQUESTS = _hexes(
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


# --- MQTT ------------------------------------------------------------------------------------------------------------

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
        read=lambda packet: None if isinstance(packet, mqtt_server_packets.Bad) else packet,
        held=lambda: len(framer._buffer),
        broken=lambda: framer.problem,
    )


# --- cameras ---------------------------------------------------------------------------------------------------------

FORM = "multipart/form-data; boundary=boundary"
AXIS_EVENT = (
    b'{"packetCounter":"12","datetime":"20231114 221320000","capture_timestamp":"1700000000000","plateText":"8ABC123",'
    b'"plateUTF8":"8ABC123","plateCountry":"USA","plateConfidence":"0.913","plateCoordinates":["412","306","120","44"],'
    b'"carMoveDirection":"in","carID":"41","carState":"new","vehicle_info":{"type":"car"}}'
)
AXIS_POST = (
    b'--boundary\r\nContent-Disposition: form-data; name="event"\r\nContent-Type: application/json\r\n\r\n'
    + AXIS_EVENT
    + b'\r\n--boundary\r\nContent-Disposition: form-data; name="image"; filename="i.jpg"\r\nContent-Type: image/jpeg'
    b"\r\nContent-Length: 6\r\n\r\n\xff\xd8\xff\xe0\xff\xd9\r\n--boundary--\r\n"
)
ISAPI_EVENT = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<EventNotificationAlert version="2.0" '
    b'xmlns="http://www.isapi.org/ver20/XMLSchema"><ipAddress>192.0.2.1</ipAddress><dateTime>2023-11-14T22:13:20Z'
    b"</dateTime><eventType>ANPR</eventType><ANPR><licensePlate>8ABC123</licensePlate><confidenceLevel>92"
    b"</confidenceLevel><plateRect><X>1</X><Y>2</Y></plateRect></ANPR></EventNotificationAlert>"
)
WEBHOOK = b'{"webhook_type":"lpr","data":{"license_plate_number":"8ABC123","confidence":0.9,"detected":1700000000}}'
ISAPI_POST = AXIS_POST.replace(AXIS_EVENT, ISAPI_EVENT).replace(b"application/json", b"application/xml")


def _bodies(read: Callable[[bytes], Items]) -> Callable[[], Fed]:
    return lambda: Fed(read)


def _axis(body: bytes) -> Items:
    yield from lpr_axis_codec.read_body(body, FORM if body.startswith(b"--") else "application/json")


def _mapped(body: bytes) -> Items:
    for name in lpr_mapped_mapping.shipped():
        yield from lpr_mapped_codec.read_body(body, FORM if body[:1] == b"-" else "", lpr_mapped_mapping.load(name))


def _multipart(body: bytes) -> Items:
    header, _, rest = body.partition(b"\n")
    boundary = multipart.boundary_of(header.decode("latin-1"))
    return [multipart.split(body, b"boundary"), multipart.split(rest, boundary), multipart.split(rest, b"")]


ENDLESS_OBJECT = b'{"plate": "' + b"x" * LLRP_LIMIT


def _json_stream() -> Fed:
    scanner = jsonstream.ObjectScanner(LLRP_LIMIT)
    return Fed(scanner.feed, held=lambda: scanner.pending, flush=scanner.finish)


HTTP_POST = (
    b"POST /lpr HTTP/1.1\r\nHost: lane\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\nnull",
    b"POST /lpr HTTP/1.1\r\nHost: lane\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnull\r\n0\r\n\r\n",
)


def _http() -> Fed:
    connection = http.HttpConnection(Door())

    def cut(data: bytes) -> Iterator[object]:
        connection.feed(data)
        while (heard := connection.next()) is not None:
            yield heard if isinstance(heard, http.Posted) else None
            if isinstance(heard, http.Posted):
                connection.answer(200)
            connection.to_send()

    return Fed(cut, held=lambda: 0 if connection.closing else connection.size, broken=lambda: connection.closing)


HTTP_ANSWERS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 4\r\n\r\n\xff\xd8\xff\xd9",
    b'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="c", nonce="1", qop="auth", algorithm=MD5\r\n'
    b"Content-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\xff\xd8\r\n0\r\n\r\n",
)


def _snapshot(body: bytes) -> Items:
    exchange = lpr_frames_http.Exchange("camera")
    exchange.get("/image.jpg", "")
    for data in (body, b""):
        found = exchange.feed(data)
        if found is not None:
            if isinstance(found, lpr_frames_http.Answer):
                login = lpr_frames_http.Login("user", "secret", "0a4f113b")
                login.challenged(found.challenges)
                login.authorization("/image.jpg")
            return [found if isinstance(found, lpr_frames_http.Answer) else None]
    return []


def _camera_reads(body: bytes) -> Items:
    answer = lpr_http.Answer()
    answer.feed(body[: len(body) // 2])
    answer.feed(body[len(body) // 2 :])
    return [answer.status or None]


# --- all of them -----------------------------------------------------------------------------------------------------

_DROP, _BODY = Back.DROP, Back.BODY
MQTT_3_SEEDS = _packet(0x20, "0000"), _packet(0x40, "1234"), _packet(0x90, "0001 01"), _packet(0xD0, "")
ABSURD_MQTT = b"\x30\xff\xff\xff\x7f"

CODECS: Sequence[Codec] = (
    Codec("rfid.llrp frames", _DROP, _llrp, LLRP_SEEDS, LLRP_LIMIT, ABSURD_LLRP, mend=_mended_llrp),
    Codec("rfid.llrp reports", _DROP, _llrp_reports, LLRP_SEEDS, LLRP_LIMIT, ABSURD_LLRP, mend=_mended_llrp),
    Codec("rfid.mercury", Back.FRAME, _mercury, MERCURY_SEEDS, 512, mend=_mended_mercury),
    Codec("rpm.rapiscan lines", Back.LINE, _rapiscan, RAPISCAN_SEEDS, 4096),
    Codec("rpm.rapiscan files", _BODY, _bodies(stored_events), RAPISCAN_SEEDS, 0),
    Codec("rpm.aspect registers", _BODY, _bodies(_monitor), (bytes(range(64)), b"\xff" * 64), 0),
    Codec(
        "io.modbus answers",
        _DROP,
        _modbus,
        MODBUS_SEEDS,
        512,
        bytes.fromhex("0001 0000 ffff 01 03"),
        mend=_mended_modbus,
    ),
    Codec("lines", Back.LINE, _lines, RAPISCAN_SEEDS, 256),
    Codec("mqtt 5", _DROP, _mqtt(5), MQTT_SEEDS, MQTT_LIMIT, ABSURD_MQTT, mend=_mended_mqtt),
    Codec("mqtt 3.1.1", _DROP, _mqtt(4), MQTT_3_SEEDS, MQTT_LIMIT, ABSURD_MQTT, mend=_mended_mqtt),
    Codec("push http", _DROP, _http, HTTP_POST, 1 << 17, b"POST / HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n"),
    Codec("push multipart", _BODY, _bodies(_multipart), (AXIS_POST, ISAPI_POST, FORM.encode() + b"\n" + AXIS_POST), 0),
    Codec("push json stream", _DROP, _json_stream, (AXIS_EVENT, WEBHOOK), LLRP_LIMIT, ENDLESS_OBJECT),
    Codec(
        "push spool files", _BODY, _bodies(lambda raw: [spool.unpack(raw)]), (spool.pack(spool.Push(b"x", "y", 1)),), 0
    ),
    Codec("lpr.axis bodies", _BODY, _bodies(_axis), (AXIS_POST, AXIS_EVENT), 0),
    Codec("lpr.mapped bodies", _BODY, _bodies(_mapped), (ISAPI_POST, ISAPI_EVENT, WEBHOOK), 0),
    Codec("lpr.frames answers", _BODY, _bodies(_snapshot), HTTP_ANSWERS, 0),
    Codec("fake rfid.llrp", _DROP, _llrp_fake, LLRP_REQUESTS, LLRP_LIMIT, ABSURD_LLRP, mend=_mended_llrp),
    Codec("fake rfid.mercury", Back.FRAME, _mercury_fake, MERCURY_REQUESTS, 512, mend=_mended_command),
    Codec(
        "fake io.modbus",
        _DROP,
        _modbus_fake,
        MODBUS_REQUESTS,
        512,
        bytes.fromhex("0001 0000 ffff 01 03"),
        mend=_mended_modbus,
    ),
    Codec("fake broker", _DROP, _mqtt_fake, MQTT_REQUESTS, MQTT_LIMIT, ABSURD_MQTT, mend=_mended_mqtt),
    Codec("fake camera's answers", _BODY, _bodies(_camera_reads), HTTP_ANSWERS, 0),
)
