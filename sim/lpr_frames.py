"""Fake camera that only takes pictures: snapshots by HTTP, as Axis and ISAPI cameras serve them, and motion JPEG.

`GET /axis-cgi/jpg/image.cgi` (`resolution=WxH`), `/axis-cgi/mjpg/video.cgi` (VAPIX, parts with the boundary
`myboundary`) and `/ISAPI/Streaming/channels/101/picture`. A client that says RTSP on the same port gets a stream
(`lpr_frames_rtsp`). Basic or Digest if the camera has a user. The picture shows what stands before it in the world now,
or the empty lane. Written from the makers' descriptions and the RFCs, never from our driver. Without numpy and OpenCV
pictures have no bytes, and a stream has no pictures.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import h11
from pydantic import Field

from lanecontrol.links import Link
from sim import lpr_frames_rtsp as rtsp
from sim.fake import Fake, FakeConfig
from sim.lpr_frames_login import Doorman
from sim.pictures import scene_off_loop
from sim.readings import Deed, InView, Reading

AXIS_STILL, AXIS_MOTION = "/axis-cgi/jpg/image.cgi", "/axis-cgi/mjpg/video.cgi"
ISAPI_STILL = re.compile(r"/ISAPI/Streaming/channels/\d{1,4}/picture")
IDLE_S = 60.0
"""A client that asks for nothing in this time is hung up on."""
BODY_LIMIT = 64 * 1024
"""A request with more than this has no business here."""
FIRST_LINE_LIMIT = 2048
"""Whoever has not said which protocol it speaks by then is taken for a client of HTTP, and told off."""
TAKES = 5
"""Two pictures of a vehicle that stands still differ by the sensor's noise; this many are different."""
EMPTY_LANE = InView("", "", 0.0)


class FrameCameraConfig(FakeConfig):
    """Settings of the camera."""

    kind: Literal["lpr.frames"] = "lpr.frames"
    width: int = Field(default=1280, ge=64, le=4096)
    """Of its pictures, in pixels."""
    height: int = Field(default=720, ge=64, le=4096)
    """Of its pictures, in pixels. A stream rounds both down to a multiple of 8."""
    auth: Literal["none", "basic", "digest"] = "none"
    """How a client has to say who it is."""
    username: str = "root"
    """Who may see pictures."""
    password: str = "pass"
    """With which password."""
    motion: bool = True
    """It serves motion JPEG, too."""
    frames_per_s: float = Field(default=5.0, gt=0, le=30)
    """Pictures a second of motion JPEG and of the stream."""
    streams: tuple[str, ...] = ("/axis-media/media.amp", "/Streaming/Channels/101", "/stream")
    """Paths of the RTSP stream; whatever follows a `?` is passed over."""
    stream_stops_after: int | None = Field(default=None, ge=0)
    """After so many pictures a stream is mute, while the camera still answers; 0 is one that never starts."""
    exposure_s: float = Field(default=0.05, ge=0, le=10)
    """From the request to the picture."""
    site: int = 1
    """Seed of what is behind the vehicles."""
    failing: int = Field(default=0, ge=0)
    """So many of the first requests are answered with 503: a camera that is still starting."""


class FakeFrameCamera(Fake):
    """The camera: any number of clients, one picture for each question."""

    Config = FrameCameraConfig
    config: FrameCameraConfig

    def __init__(self, config: FrameCameraConfig, act: Callable[[Deed], None]) -> None:
        super().__init__(config, act)
        self.answered: list[int] = []
        """The last few statuses."""
        self._view = EMPTY_LANE
        self._failing = config.failing
        self._doorman = Doorman(config.auth, config.username, config.password, config.site)
        self._sessions = 0
        self._taken = 0

    def sense(self, reading: Reading) -> None:
        match reading:
            case InView():
                self._view = reading
            case _:
                pass  # it reads nothing, it only sees

    async def serve(self, link: Link) -> None:
        heard = await _first_line(link)
        if not heard.partition(b"\n")[0].rstrip().endswith(b"RTSP/1.0"):
            await _Client(self, link).serve(heard)
            return
        self._sessions += 1
        await rtsp.Session(self, link, self._sessions).serve(heard)

    async def picture(self, size: tuple[int, int]) -> bytes:
        """What is before the camera now."""
        await asyncio.sleep(self.config.exposure_s)
        view, config = self._view, self.config
        self._taken += 1
        distance_m, take = round(view.distance_m, 1), self._taken % TAKES
        return await scene_off_loop(view.text, view.jurisdiction, view.look, config.site, size, distance_m, take)

    def refusal(self, method: str, target: str, authorization: str) -> tuple[int, list[tuple[str, str]]]:
        """The status of a request that gets no picture, and headers that go with it; 0 for one that does."""
        path = urlsplit(target).path
        if self._failing > 0:
            self._failing -= 1
            return 503, [("Retry-After", "1")]
        if path not in (AXIS_STILL, AXIS_MOTION) and not ISAPI_STILL.fullmatch(path):
            return 404, []
        if path == AXIS_MOTION and not self.config.motion:
            return 404, []
        if method not in ("GET", "HEAD"):
            return 405, [("Allow", "GET, HEAD")]
        if not self._doorman.knows(method, target, authorization):
            return 401, [("WWW-Authenticate", self._doorman.challenge())]
        return 0, []

    def noted(self, status: int) -> None:
        """Remember what was answered, for tests."""
        self.answered = [*self.answered, status][-64:]

    # --- what its stream asks (`lpr_frames_rtsp.Camera`) -------------------------------------------------------------

    @property
    def frames_per_s(self) -> float:
        return self.config.frames_per_s

    @property
    def stream_stops_after(self) -> int | None:
        return self.config.stream_stops_after

    def utc_s(self) -> float:
        return self.utc_at_zero_s + asyncio.get_running_loop().time()

    def size(self) -> tuple[int, int]:
        return self.config.width, self.config.height

    def stream_refusal(self, method: str, target: str, authorization: str) -> tuple[int, list[tuple[str, str]]]:
        """The status of a request for a stream that is refused, and headers that go with it; 0 for one that is not."""
        if self._failing > 0:
            self._failing -= 1
            return 503, []
        if rtsp.path_of(target) not in self.config.streams:
            return 404, []
        if not self._doorman.knows(method, target, authorization):
            return 401, [("WWW-Authenticate", self._doorman.challenge(qop=False))]
        return 0, []


class _Client:
    """One connection. h11 speaks the protocol; this asks the camera and writes."""

    def __init__(self, camera: FakeFrameCamera, link: Link) -> None:
        self._camera = camera
        self._link = link
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=16 * 1024)

    async def serve(self, heard: bytes) -> None:
        """Until the client goes, keeps silent for too long, or says what is no HTTP. Raises LinkLost."""
        if not heard:
            return
        try:
            self._http.receive_data(heard)
            while (request := await self._request()) is not None:
                await self._answer(request)
                if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                    return
                self._http.start_next_cycle()
        except h11.RemoteProtocolError as wrong:
            await self._complain(wrong.error_status_hint)

    async def _request(self) -> h11.Request | None:
        """The next request with its body read and forgotten; None when the client has nothing more to ask."""
        request, body_bytes = None, 0
        while True:
            match self._http.next_event():
                case h11.Request() as asked:
                    request = asked
                case h11.Data(data=data):
                    body_bytes += len(data)
                    if body_bytes > BODY_LIMIT:
                        return None
                case h11.EndOfMessage():
                    return request
                case h11.NEED_DATA:
                    if not await self._more():
                        return None
                case _:
                    return None

    async def _more(self) -> bool:
        try:
            async with asyncio.timeout(IDLE_S):
                self._http.receive_data(await self._link.read())
        except TimeoutError:
            return False
        return True

    async def _answer(self, request: h11.Request) -> None:
        method, target = request.method.decode("ascii"), request.target.decode("latin-1")
        given = {name: value.decode("latin-1") for name, value in request.headers}
        status, headers = self._camera.refusal(method, target, given.get(b"authorization", ""))
        if status:
            await self._respond(method, status, "text/plain", b"", headers)
        elif urlsplit(target).path == AXIS_MOTION:
            await self._stream(method, target)
        else:
            jpeg = await self._camera.picture(self._size(target))
            await self._respond(method, 200, "image/jpeg", jpeg, [])

    def _size(self, target: str) -> tuple[int, int]:
        """As asked for, if that is no larger than the camera's own."""
        config = self._camera.config
        asked = re.fullmatch(r"(\d{2,4})x(\d{2,4})", (parse_qs(urlsplit(target).query).get("resolution") or [""])[0])
        if asked is None:
            return config.width, config.height
        return min(max(64, int(asked[1])), config.width), min(max(64, int(asked[2])), config.height)

    async def _respond(
        self, method: str, status: int, content_type: str, body: bytes, headers: list[tuple[str, str]]
    ) -> None:
        self._camera.noted(status)
        told = [("Content-Type", content_type), ("Content-Length", str(len(body))), *headers]
        head = self._http.send(h11.Response(status_code=status, headers=told)) or b""
        content = (self._http.send(h11.Data(data=body)) or b"") if method != "HEAD" else b""
        await self._link.write(head + content + (self._http.send(h11.EndOfMessage()) or b""))

    async def _stream(self, method: str, target: str) -> None:
        """Motion JPEG, until the client goes. VAPIX: each part has its length, and follows the boundary at once."""
        self._camera.noted(200)
        told = [("Content-Type", "multipart/x-mixed-replace; boundary=myboundary"), ("Connection", "close")]
        await self._link.write(self._http.send(h11.Response(status_code=200, headers=told)) or b"")
        while method != "HEAD":
            jpeg = await self._camera.picture(self._size(target))
            head = f"--myboundary\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
            await self._link.write(self._http.send(h11.Data(data=head + jpeg + b"\r\n")) or b"")
            await asyncio.sleep(1.0 / self._camera.config.frames_per_s)

    async def _complain(self, status: int) -> None:
        """What came was no request. Says so if nothing was said yet; the connection ends."""
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            await self._respond("GET", status, "text/plain", b"", [("Connection", "close")])


async def _first_line(link: Link) -> bytes:
    """What a client says at first, up to and beyond the end of a line; empty if it keeps silent. Raises LinkLost."""
    heard = b""
    try:
        async with asyncio.timeout(IDLE_S):
            while b"\n" not in heard and len(heard) < FIRST_LINE_LIMIT:
                heard += await link.read()
    except TimeoutError:
        return b""
    return heard
