"""The codecs of cameras, which push by HTTP or are asked, and of their fakes, as `_fuzz_codecs` lists them."""

from __future__ import annotations

from collections.abc import Iterator

from _fuzz_fed import Back, Codec, Fed, Items, each_body

from drivers import lpr_axis_codec, lpr_frames_http, lpr_mapped_codec, lpr_mapped_mapping
from drivers.push import http, jsonstream, multipart, spool
from drivers.push.door import Door
from sim import lpr_http

OBJECT_LIMIT = 1 << 16
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


def _axis(body: bytes) -> Items:
    yield from lpr_axis_codec.read_body(body, FORM if body.startswith(b"--") else "application/json")


def _mapped(body: bytes) -> Items:
    for name in lpr_mapped_mapping.shipped():
        yield from lpr_mapped_codec.read_body(body, FORM if body[:1] == b"-" else "", lpr_mapped_mapping.load(name))


def _multipart(body: bytes) -> Items:
    header, _, rest = body.partition(b"\n")
    boundary = multipart.boundary_of(header.decode("latin-1"))
    return [multipart.split(body, b"boundary"), multipart.split(rest, boundary), multipart.split(rest, b"")]


ENDLESS_OBJECT = b'{"plate": "' + b"x" * OBJECT_LIMIT


def _json_stream() -> Fed:
    scanner = jsonstream.ObjectScanner(OBJECT_LIMIT)
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


CODECS = (
    Codec("push http", Back.DROP, _http, HTTP_POST, 1 << 17, b"POST / HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n"),
    Codec(
        "push multipart",
        Back.BODY,
        each_body(_multipart),
        (AXIS_POST, ISAPI_POST, FORM.encode() + b"\n" + AXIS_POST),
        0,
    ),
    Codec("push json stream", Back.DROP, _json_stream, (AXIS_EVENT, WEBHOOK), OBJECT_LIMIT, ENDLESS_OBJECT),
    Codec(
        "push spool files",
        Back.BODY,
        each_body(lambda raw: [spool.unpack(raw)]),
        (spool.pack(spool.Push(b"x", "y", 1)),),
        0,
    ),
    Codec("lpr.axis bodies", Back.BODY, each_body(_axis), (AXIS_POST, AXIS_EVENT), 0),
    Codec("lpr.mapped bodies", Back.BODY, each_body(_mapped), (ISAPI_POST, ISAPI_EVENT, WEBHOOK), 0),
    Codec("lpr.frames answers", Back.BODY, each_body(_snapshot), HTTP_ANSWERS, 0),
    Codec("fake camera's answers", Back.BODY, each_body(_camera_reads), HTTP_ANSWERS, 0),
)
