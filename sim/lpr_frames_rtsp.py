"""The RTSP side of the camera fake (RFC 2326): a motion JPEG stream over the connection that it was asked on.

Called by `lpr_frames` for a client whose first line is RTSP. Only RTP within the RTSP connection is served (10.12),
which is what a client on a lane network should ask for: lost packets are smeared pictures. Never raises on what a
client sends; keeps at most one request.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from lanecontrol.links import Link
from sim.lpr_frames_rtp import MOST_PX, PAYLOAD_TYPE, Packets, interleaved, scan_of

HEAD_LIMIT = 16 * 1024
BODY_LIMIT = 64 * 1024
TIMEOUT_S = 60.0
"""A session whose client says nothing for so long is ended; the client is told."""
REPORT_S = 5.0
"""Sender reports are this far apart."""
TRACK = "trackID=1"
METHODS = ("OPTIONS", "DESCRIBE", "SETUP", "PLAY", "PAUSE", "TEARDOWN", "GET_PARAMETER", "SET_PARAMETER")
REASONS = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Stream Not Found", 454: "Session Not Found",
    455: "Method Not Valid In This State", 461: "Unsupported Transport", 501: "Not Implemented",
    503: "Service Unavailable", 505: "RTSP Version Not Supported",
}  # fmt: skip
_FIRST_LINE = re.compile(r"([A-Z_]{1,20}) (\S{1,2000}) (RTSP/\d+\.\d+)")
_HOST = re.compile(r"rtspu?://([A-Za-z0-9.-]{1,253})")
_CHANNELS = re.compile(r"interleaved=(\d{1,3})-(\d{1,3})")


# --- requests, pure --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names in lower case. What was no request has no method."""

    method: str
    target: str = ""
    version: str = ""
    headers: dict[str, str] = field(default_factory=dict)


BROKEN = Request("")
"""What came was no request; nothing more can be made of this connection."""


class Requests:
    """Takes a client's bytes in. Packets that the client sends between its requests (RTCP) are passed over."""

    def __init__(self) -> None:
        self._heard = bytearray()
        self._skip = 0
        self._broken = False

    def feed(self, data: bytes) -> Iterator[Request]:
        """The requests that are whole now; after BROKEN nothing."""
        if self._broken:
            return
        self._heard += data
        while not self._broken and (found := self._next()) is not None:
            self._broken = found is BROKEN
            yield found

    def _next(self) -> Request | None:
        while True:
            passed = min(self._skip, len(self._heard))
            del self._heard[:passed]
            self._skip -= passed
            if self._skip or not self._heard:
                return None
            if self._heard[0] in b"\r\n":
                self._skip = 1  # between requests, empty lines are nothing
                continue
            if self._heard[0] != ord("$"):
                return self._request()
            if len(self._heard) < 4:
                return None
            self._skip = 4 + int.from_bytes(self._heard[2:4], "big")

    def _request(self) -> Request | None:
        end = self._heard.find(b"\r\n\r\n", 0, HEAD_LIMIT)
        if end < 0:
            return BROKEN if len(self._heard) >= HEAD_LIMIT else None
        first, *lines = bytes(self._heard[:end]).decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = headers.get("content-length", "0")
        matched = _FIRST_LINE.fullmatch(first)
        if matched is None or not re.fullmatch(r"[0-9]{1,6}", length) or int(length) > BODY_LIMIT:
            return BROKEN
        self._skip = end + 4 + int(length)  # no request that is served has a body that matters
        return Request(matched[1], matched[2], matched[3], headers)


def path_of(target: str) -> str:
    """The path that a request's URL names, without query, last slash and track."""
    path = re.sub(r"^rtspu?://[^/?]*", "", target).partition("?")[0]
    return path.rstrip("/").removesuffix(f"/{TRACK}").rstrip("/")


# --- serving ---------------------------------------------------------------------------------------------------------


class Camera(Protocol):
    """What a session asks of the camera."""

    @property
    def frames_per_s(self) -> float: ...

    @property
    def stream_stops_after(self) -> int | None: ...

    def utc_s(self) -> float: ...

    def size(self) -> tuple[int, int]: ...

    def stream_refusal(self, method: str, target: str, authorization: str) -> tuple[int, list[tuple[str, str]]]: ...

    def picture(self, size: tuple[int, int]) -> Awaitable[bytes]: ...

    def noted(self, status: int) -> None: ...


class Session:
    """One connection, and the one stream that it may carry."""

    def __init__(self, camera: Camera, link: Link, number: int) -> None:
        self._camera, self._link = camera, link
        self._name = f"{number:08X}"
        self._channels: tuple[int, int] | None = None
        self._playing: asyncio.Task[None] | None = None
        self._packets = Packets(0xCA000000 | number, 1000 * number, 90_000 * number)
        self._turn = asyncio.Lock()

    async def serve(self, heard: bytes) -> None:
        """Until the client goes, keeps silent for too long, or says what is no RTSP. Raises LinkLost."""
        requests = Requests()
        try:
            while await self._answered(requests.feed(heard)):
                async with asyncio.timeout(TIMEOUT_S):
                    heard = await self._link.read()
        except TimeoutError:
            pass
        finally:
            await self._pause()

    async def _answered(self, requests: Iterator[Request]) -> bool:
        """Answer what was asked; whether the connection goes on."""
        for request in requests:
            status, headers, body = await self._answer(request)
            self._camera.noted(status)
            await self._say(request, status, headers, body)
            if status == 200 and request.method == "PLAY":
                self._play()
            if request is BROKEN or (status == 200 and request.method == "TEARDOWN"):
                return False
        return True

    async def _say(self, request: Request, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        told = [("CSeq", request.headers.get("cseq", "0")), *headers]
        if body:
            told += [("Content-Type", "application/sdp"), ("Content-Length", str(len(body)))]
        lines = [f"RTSP/1.0 {status} {REASONS[status]}", *(f"{name}: {value}" for name, value in told), "", ""]
        await self._write("\r\n".join(lines).encode() + body)

    async def _write(self, data: bytes) -> None:
        async with self._turn:
            await self._link.write(data)

    async def _answer(self, request: Request) -> tuple[int, list[tuple[str, str]], bytes]:
        if request is BROKEN or "cseq" not in request.headers:
            return 400, [], b""
        if request.version != "RTSP/1.0":
            return 505, [], b""
        if request.method not in METHODS:
            return 501, [("Public", ", ".join(METHODS))], b""
        if request.method == "OPTIONS":
            return 200, [("Public", ", ".join(METHODS))], b""
        authorization = request.headers.get("authorization", "")
        status, headers = self._camera.stream_refusal(request.method, request.target, authorization)
        if status:
            return status, headers, b""
        match request.method:
            case "DESCRIBE":
                return 200, [("Content-Base", f"{request.target.rstrip('/')}/")], self._description(request.target)
            case "SETUP":
                return (*self._set_up(request.headers.get("transport", "")), b"")
            case _:
                return (*await self._in_session(request), b"")

    def _description(self, target: str) -> bytes:
        """What the stream is, as SDP (RFC 4566)."""
        matched = _HOST.match(target)
        host = matched[1] if matched else "0.0.0.0"
        lines = [
            "v=0", f"o=- 1 1 IN IP4 {host}", "s=Live", "t=0 0", "a=control:*",
            f"m=video 0 RTP/AVP {PAYLOAD_TYPE}", "c=IN IP4 0.0.0.0", f"a=framerate:{self._camera.frames_per_s:.1f}",
            f"a=control:{TRACK}",
        ]  # fmt: skip
        return "\r\n".join([*lines, ""]).encode()

    def _set_up(self, transports: str) -> tuple[int, list[tuple[str, str]]]:
        if self._playing is not None:
            return 455, []
        for transport in transports.split(","):
            if not transport.strip().lower().startswith("rtp/avp/tcp"):
                continue
            asked = _CHANNELS.search(transport)
            low, high = (int(asked[1]), int(asked[2])) if asked else (0, 1)
            if max(low, high) > 255:
                continue
            self._channels = (low, high)
            agreed = f"RTP/AVP/TCP;unicast;interleaved={low}-{high};ssrc={self._packets.source:08X}"
            return 200, [("Transport", agreed), ("Session", f"{self._name};timeout={TIMEOUT_S:.0f}")]
        return 461, []

    async def _in_session(self, request: Request) -> tuple[int, list[tuple[str, str]]]:
        session = [("Session", self._name)]
        named = request.headers.get("session", "").partition(";")[0].strip()
        if request.method in ("GET_PARAMETER", "SET_PARAMETER") and not named:
            return 200, []  # a way of saying: I am still here
        if self._channels is None or named != self._name:
            return 454, []
        match request.method:
            case "PLAY":
                at = f"url={request.target.rstrip('/')}/{TRACK};seq={self._packets.sequence}"
                return 200, [*session, ("Range", "npt=0.000-"), ("RTP-Info", at)]
            case "PAUSE":
                await self._pause()
            case "TEARDOWN":
                await self._pause()
                self._channels = None
            case _:
                pass
        return 200, session

    # --- pictures ----------------------------------------------------------------------------------------------------

    def _play(self) -> None:
        if self._playing is None or self._playing.done():
            self._playing = asyncio.get_running_loop().create_task(self._pictures())

    async def _pause(self) -> None:
        playing, self._playing = self._playing, None
        if playing is not None:
            playing.cancel()
            await asyncio.wait({playing})  # it waits for nothing but pictures and the link, which is about to close
            if not playing.cancelled():
                playing.exception()  # the link was lost: whoever reads it is told, too

    async def _pictures(self) -> None:
        assert self._channels is not None
        rtp, rtcp = self._channels
        loop = asyncio.get_running_loop()
        began_s = next_s = loop.time()
        report_s, sent = began_s, 0
        while self._camera.stream_stops_after is None or sent < self._camera.stream_stops_after:
            after_s = loop.time() - began_s
            width, height = (min(side, MOST_PX) // 8 * 8 for side in self._camera.size())
            scan = scan_of(await self._camera.picture((width, height)))
            if scan is not None:
                await self._write(b"".join(interleaved(rtp, p) for p in self._packets.picture(scan, after_s)))
                sent += 1
            if loop.time() >= report_s:
                await self._write(interleaved(rtcp, self._packets.report(self._camera.utc_s(), after_s)))
                report_s = loop.time() + REPORT_S
            next_s = max(next_s + 1.0 / self._camera.frames_per_s, loop.time())
            await asyncio.sleep(next_s - loop.time())
