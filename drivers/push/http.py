"""The server's side of HTTP/1.1 for one connection: whole requests out, a status in. No I/O; h11 does the protocol.

Called by `reception` for live connections and by `decode` for stored ones. Must never hold more than its limits, and
never let a stranger's request through.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import h11

from drivers.push.door import Door, Verdict
from lanecontrol.framing import DOUBT_LIMIT

BODY_LIMIT = 16 << 20
"""Bytes of a body; the largest one seen has about 6 MiB."""
HEADER_LIMIT = 64 << 10
REASONS = {
    200: b"OK",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    413: b"Content Too Large",
    431: b"Request Header Fields Too Large",
    501: b"Not Implemented",
    503: b"Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Posted:
    """A whole body that somebody welcome has posted. It wants `answer(status)`."""

    body: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """A request that is not taken in, answered already. `why` is empty where that is no cause for doubt."""

    status: int
    why: str
    raw: bytes = b""


Heard = Posted | Rejected


class HttpConnection:
    """Feed it what comes; send what `to_send` gives; go on until `closing`.

    A request is taken in whole before it is answered: a camera that is cut off while it still sends may never read why.
    """

    def __init__(self, door: Door, *, banned: bool = False) -> None:
        self._door = door
        self._banned = banned
        self._h11 = _fresh()
        self._head = b""
        self._request: h11.Request | None = None
        self._chunks: list[bytes] = []
        self._refusal: Rejected | None = None
        self._out = bytearray()
        self.size = 0
        """Bytes of the body that is coming in."""
        self.closing = False
        self.busy = False
        """A request has begun and is not answered yet."""

    def feed(self, data: bytes) -> None:
        """Bytes from the client. Empty lines before a request are ignored, as RFC 9112 asks for."""
        if not self.busy:
            data, self._head = data.lstrip(b"\r\n"), b""
        if data:
            self.busy = True
            self._head += data[: DOUBT_LIMIT - len(self._head)]
            self._h11.receive_data(data)

    def to_send(self) -> bytes:
        """What is to be sent now."""
        out = bytes(self._out)
        self._out.clear()
        return out

    def next(self) -> Heard | None:
        """The next request that is complete; None where more bytes are needed, or nothing more will come."""
        while not self.closing:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as error:
                return self._broken(error)
            match event:
                case h11.Request():
                    self._begin(event)
                case h11.Data():
                    self._take(event.data)
                case h11.EndOfMessage():
                    return self._complete()
                case h11.NEED_DATA:
                    return None
                case _:  # whoever closes, or wants another protocol, gets no further
                    self.closing = True
            if self._refusal is not None and self.closing:
                return self._refusal
        return None

    def answer(self, status: int) -> None:
        """Answer the request that `next` gave."""
        self._respond(status)

    def reject(self, status: int, why: str) -> Rejected:
        """Give up on the request that is coming in, and on the connection."""
        self._respond(status, close=True)
        return Rejected(status, why)

    # --- a request ---------------------------------------------------------------------------------------------------

    def _begin(self, request: h11.Request) -> None:
        self._request, self._chunks, self.size = request, [], 0
        self._refusal = self._judge(request)
        length = _header(request, b"content-length")
        if length and int(length) > BODY_LIMIT:
            self._refusal = self.reject(413, f"a body of {int(length)} bytes")
        elif self._h11.they_are_waiting_for_100_continue:
            if self._refusal is not None:
                self._respond(self._refusal.status, close=True)
            else:
                self._send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))

    def _judge(self, request: h11.Request) -> Rejected | None:
        """Why the request is not taken in, None where it is."""
        if self._banned:
            return Rejected(403, "a request from an address that is not on the list")
        match self._door.judge(request.headers):
            case Verdict.UNKNOWN:
                return Rejected(401, "")
            case Verdict.REFUSED:
                return Rejected(401, "a request with wrong credentials")
            case Verdict.WELCOME if request.method in (b"GET", b"HEAD"):
                return Rejected(200, "")
            case Verdict.WELCOME if request.method != b"POST":
                return Rejected(405, "a request that is no POST")
        return None

    def _take(self, data: bytes) -> None:
        self.size += len(data)
        if self.size > BODY_LIMIT:
            self._chunks.clear()
            self._refusal = self.reject(413, f"a body of more than {BODY_LIMIT} bytes")
        elif self._refusal is None:
            self._chunks.append(bytes(data))

    def _complete(self) -> Heard:
        assert self._request is not None
        if self._refusal is not None:
            self._respond(self._refusal.status)
            return self._refusal
        body = b"".join(self._chunks)
        self._chunks.clear()
        return Posted(body, _header(self._request, b"content-type").decode("latin-1"))

    def _broken(self, error: h11.RemoteProtocolError) -> Rejected:
        status = error.error_status_hint
        self._respond(status, close=True)
        # The text of the error may quote what was sent.
        return Rejected(status, "not HTTP as RFC 9112 has it", self._head)

    # --- the answer --------------------------------------------------------------------------------------------------

    def _respond(self, status: int, *, close: bool = False) -> None:
        self.busy = False
        if self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._send(
                h11.Response(status_code=status, headers=_headers(status, close), reason=REASONS.get(status, b""))
            )
            self._send(h11.EndOfMessage())
        if close or self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
            self.closing = True
        else:
            rest, _ = self._h11.trailing_data
            self._h11 = _fresh()  # rather than its next cycle, which takes no empty line before a request
            self.feed(rest)

    def _send(self, event: h11.InformationalResponse | h11.Response | h11.EndOfMessage) -> None:
        self._out += self._h11.send(event) or b""


def _fresh() -> h11.Connection:
    return h11.Connection(h11.SERVER, max_incomplete_event_size=HEADER_LIMIT)


def _headers(status: int, close: bool) -> list[tuple[bytes, bytes]]:
    headers = [(b"Content-Length", b"0")]
    if status == 401:
        headers.append((b"WWW-Authenticate", b'Basic realm="lanecontrol"'))
    if status == 405:
        headers.append((b"Allow", b"POST, GET, HEAD"))
    if close:
        headers.append((b"Connection", b"close"))
    return headers


def _header(request: h11.Request, name: bytes) -> bytes:
    return next((value for key, value in request.headers if key == name), b"")


def stored_requests(raw: bytes) -> Iterator[Posted]:
    """The bodies in the stored bytes of a connection, as far as they are well-formed."""
    connection = HttpConnection(Door())
    connection.feed(raw)
    while (heard := connection.next()) is not None:
        if isinstance(heard, Posted):
            yield heard
            connection.answer(200)
