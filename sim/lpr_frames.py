"""Fake camera that only takes pictures: snapshots by HTTP, as Axis and ISAPI cameras serve them, and motion JPEG.

`GET /axis-cgi/jpg/image.cgi` (`resolution=WxH`), `/axis-cgi/mjpg/video.cgi` (VAPIX, parts with the boundary
`myboundary`) and `/ISAPI/Streaming/channels/101/picture`. Basic or Digest (RFC 7616, MD5) if the camera has a user. The
picture shows what stands before it in the world now, or the empty lane. Written from the makers' descriptions, never
from our driver. Without numpy and OpenCV pictures have no bytes.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import Callable
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import h11
from pydantic import Field

from lanecontrol.links import Link
from sim.fake import Fake, FakeConfig
from sim.pictures import scene_off_loop
from sim.readings import Deed, InView, Reading

AXIS_STILL, AXIS_MOTION = "/axis-cgi/jpg/image.cgi", "/axis-cgi/mjpg/video.cgi"
ISAPI_STILL = re.compile(r"/ISAPI/Streaming/channels/\d{1,4}/picture")
IDLE_S = 60.0
"""A client that asks for nothing in this time is hung up on."""
BODY_LIMIT = 64 * 1024
"""A request with more than this has no business here."""
REALM = "AXIS_ACCC8E000000"
DIGEST_FIELD = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')
TAKES = 5
"""Two pictures of a vehicle that stands still differ by the sensor's noise; this many are different."""
EMPTY_LANE = InView("", "", 0.0)


class FrameCameraConfig(FakeConfig):
    """Settings of the camera."""

    kind: Literal["lpr.frames"] = "lpr.frames"
    width: int = Field(default=1280, ge=64, le=4096)
    """Of its pictures, in pixels."""
    height: int = Field(default=720, ge=64, le=4096)
    """Of its pictures, in pixels."""
    auth: Literal["none", "basic", "digest"] = "none"
    """How a client has to say who it is."""
    username: str = "root"
    """Who may see pictures."""
    password: str = "pass"
    """With which password."""
    motion: bool = True
    """It serves motion JPEG, too."""
    frames_per_s: float = Field(default=5.0, gt=0, le=30)
    """Pictures a second of motion JPEG."""
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
        self._nonces = 0
        self._taken = 0

    def sense(self, reading: Reading) -> None:
        match reading:
            case InView():
                self._view = reading
            case _:
                pass  # it reads nothing, it only sees

    async def serve(self, link: Link) -> None:
        await _Client(self, link).serve()

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
        if not self._known(method, target, authorization):
            return 401, [("WWW-Authenticate", self._challenge())]
        return 0, []

    def noted(self, status: int) -> None:
        """Remember what was answered, for tests."""
        self.answered = [*self.answered, status][-64:]

    # --- who asks ----------------------------------------------------------------------------------------------------

    def _challenge(self) -> str:
        if self.config.auth == "basic":
            return f'Basic realm="{REALM}"'
        self._nonces += 1
        return f'Digest realm="{REALM}", nonce="{self._nonce(self._nonces)}", algorithm=MD5, qop="auth"'

    def _nonce(self, number: int) -> str:
        return f"{number:08x}{hashlib.sha256(f'{self.config.site}/{number}'.encode()).hexdigest()[:24]}"

    def _known(self, method: str, target: str, authorization: str) -> bool:
        match self.config.auth:
            case "none":
                return True
            case "basic":
                secret = base64.b64encode(f"{self.config.username}:{self.config.password}".encode()).decode()
                return authorization == f"Basic {secret}"
            case _:
                return self._digest_is_right(method, target, authorization)

    def _digest_is_right(self, method: str, target: str, authorization: str) -> bool:
        scheme, _, rest = authorization.partition(" ")
        given = {name: quoted or plain for name, quoted, plain in DIGEST_FIELD.findall(rest)}
        ours = {self._nonce(number) for number in range(max(1, self._nonces - 100), self._nonces + 1)}
        if scheme.lower() != "digest" or given.get("nonce") not in ours or given.get("uri") != target:
            return False
        secret = _md5(f"{self.config.username}:{REALM}:{self.config.password}")
        request = _md5(f"{method}:{target}")
        middle = ":".join(given.get(name, "") for name in ("nonce", "nc", "cnonce", "qop"))
        right = _md5(f"{secret}:{middle}:{request}")
        return given.get("username") == self.config.username and given.get("response") == right


class _Client:
    """One connection. h11 speaks the protocol; this asks the camera and writes."""

    def __init__(self, camera: FakeFrameCamera, link: Link) -> None:
        self._camera = camera
        self._link = link
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=16 * 1024)

    async def serve(self) -> None:
        """Until the client goes, keeps silent for too long, or says what is no HTTP. Raises LinkLost."""
        try:
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


def _md5(text: str) -> str:
    """Digest as most cameras do it; not for keeping secrets."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
