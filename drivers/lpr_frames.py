"""Driver `lpr.frames`: a camera that only takes pictures; its plates are read on this box.

Called by the supervisor. Takes pictures when the lane asks (a vehicle has come onto the zone's loop), has a worker
process read them, and reports what was read with the picture that shows it. Must never read on the event loop, and
never lose a picture because it could not be read: it is kept, with the reason.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from drivers.lpr_frames_http import Login
from drivers.lpr_frames_sources import Folder, Snapshots, Source, Video
from lanecontrol.commands import DONE, Command, Outcome, Result, TakePicture
from lanecontrol.driver import DeviceConfig, Driver, Reporter, Traits
from lanecontrol.events import DeviceFault, Identity, PictureTaken, PlateRead, PlateUnread
from lanecontrol.identifier import Identifier
from lanecontrol.links import Link
from lanecontrol.plates import PlatesUnavailable
from lanecontrol.plates.answers import Options, Reading
from lanecontrol.plates.process import ReadFailed
from lanecontrol.plates.reader import PlateReader
from lanecontrol.plates.weights import Weights

Share = Annotated[float, Field(ge=0, le=1)]
_MOST_WANTED = 2
_MOST_TO_READ = 4
_LOCAL = "local://"
_PLATE = re.compile(r"[A-Z0-9]{1,10}")
_MEDIA_TYPES = {b"\x89P": "image/png", b"BM": "image/bmp", b"RI": "image/webp"}


class ModelFile(BaseModel):
    """A file of weights of the site's own."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    path: str
    """Where the file is."""
    sha256: str = Field(pattern=r"^[0-9a-fA-F]{64}$")
    """Its SHA-256: another content is refused."""


class Window(BaseModel):
    """The only part of the picture in which plates are looked for, in pixels."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    x: int = Field(ge=0, le=20_000)
    """Left edge."""
    y: int = Field(ge=0, le=20_000)
    """Upper edge."""
    width: int = Field(ge=32, le=20_000)
    """To the right."""
    height: int = Field(ge=32, le=20_000)
    """Downwards."""


class FrameConfig(DeviceConfig):
    """A camera that only takes pictures. The url says where it is; `local:///path` is a folder or a USB camera."""

    kind: Literal["lpr.frames"] = "lpr.frames"
    source: Literal["http", "rtsp", "usb", "folder"] = "http"
    """How pictures come: an HTTP snapshot (best on a loop: nothing old, bounded time), a video stream over TCP, a USB
    camera, or a folder into which something else puts them."""
    path: str = Field(default="/axis-cgi/jpg/image.cgi", pattern=r"^/[\x21-\x7e]*$", max_length=1000)
    """Path of the snapshot or stream at the camera."""
    username: str = ""
    """Who we are to the camera, if it asks."""
    password: SecretStr = SecretStr("")
    """Write `!secret name`, not the password itself."""
    shots: int = Field(default=3, ge=1, le=8)
    """Pictures of one vehicle that are read together."""
    apart_ms: int = Field(default=200, ge=20, le=5000)
    """From one of them to the next."""
    every_s: float = Field(default=0.0, ge=0, le=3600)
    """Take pictures of its own accord so often; 0 for only when the lane asks."""
    check_s: float = Field(default=5.0, gt=0, le=3600)
    """After so long without a picture the camera is tried."""
    answer_timeout_s: float = Field(default=5.0, gt=0, le=60)
    """How long one picture may take."""
    read: bool = True
    """Read plates; without, pictures are only kept."""
    window: Window | None = None
    """The lane's part of the picture: less time, fewer wrong plates, and nothing outside is looked at."""
    min_confidence: Share = 0.85
    """A plate read with less is not reported as read."""
    fixes: dict[str, str] = {}
    """Plates that are always read wrong in the same way: what is read, and what it is."""
    mix: dict[str, Annotated[float, Field(ge=0, le=1000)]] = {}
    """Weights of jurisdictions at this lane, by code (`US-TX: 400`), where they differ from the usual ones."""
    read_timeout_s: float = Field(default=5.0, gt=0, le=60)
    """After so long the worker process is killed and started anew."""
    memory_mib: int = Field(default=500, ge=200, le=8000)
    """A worker process that has grown beyond this is started anew."""
    models: dict[Literal["detector", "recogniser"], ModelFile] = {}
    """Weights of the site's own in the place of the packaged ones."""

    @model_validator(mode="after")
    def _url_goes_with_the_source(self) -> FrameConfig:
        local = self.url.startswith(_LOCAL)
        if local != (self.source in ("usb", "folder")):
            wanted = "local:///path" if not local else "tcp://host:port"
            raise ValueError(f"source {self.source} needs a url like {wanted}")
        if wrong := [text for pair in self.fixes.items() for text in pair if not _PLATE.fullmatch(text)]:
            raise ValueError(f"fixes: {len(wrong)} of the texts are not A to Z and 0 to 9 alone")
        return self


@dataclass(slots=True)
class _Wanted:
    reason: str
    taken: asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class _Burst:
    track: str
    pictures: tuple[bytes, ...]


class FrameCamera(Driver):
    """One camera. Online once it has given a picture."""

    Config = FrameConfig
    config: FrameConfig
    reports = frozenset({PlateRead, PlateUnread, PictureTaken, DeviceFault})
    performs = frozenset({TakePicture})
    traits: ClassVar[Traits] = Traits(has_handshake=True, speaks_unasked=False, silence_s=12.0)

    def __init__(self, config: Any, links: Any) -> None:
        super().__init__(config, links)
        self._wanted: deque[_Wanted] = deque()
        self._news = asyncio.Event()

    async def perform(self, command: Command) -> Outcome:
        """Have pictures taken now; done when the first of them is here."""
        if not isinstance(command, TakePicture):
            return await super().perform(command)
        if len(self._wanted) >= _MOST_WANTED:
            return Outcome(Result.REFUSED, "pictures are being taken already")
        wanted = _Wanted(command.reason, asyncio.get_running_loop().create_future())
        self._ask(wanted)
        await wanted.taken  # the supervisor's time-out, and the end of the session, end this
        return DONE

    def _ask(self, wanted: _Wanted) -> None:
        self._wanted.append(wanted)
        self._news.set()

    async def session(self, out: Reporter) -> None:
        self._wanted.clear()
        async with AsyncExitStack() as stack:
            source = self._source(out, stack)
            to_read: asyncio.Queue[_Burst] = asyncio.Queue(_MOST_TO_READ)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(source.run())
                tasks.create_task(self._read_for_ever(out, to_read))
                await source.check()
                out.online(Identity())
                await self._take_for_ever(out, source, to_read)

    # --- taking pictures -------------------------------------------------------------------------------------------

    def _source(self, out: Reporter, stack: AsyncExitStack) -> Source:
        config, where = self.config, self.config.url.removeprefix(_LOCAL)
        match config.source:
            case "http":
                return self._snapshots(out, stack)
            case "rtsp":
                return Video(self._stream(), answer_s=config.answer_timeout_s)
            case "usb":
                number = re.search(r"(\d+)$", where)
                return Video(f"usb:{number[1] if number else 0}", answer_s=config.answer_timeout_s)
            case "folder":
                look_s = config.apart_ms / 1000
                return Folder(Path(where), self._arrived, look_every_s=look_s, ring=config.shots)

    def _snapshots(self, out: Reporter, stack: AsyncExitStack) -> Snapshots:
        config = self.config

        async def reopen() -> Link:
            return await stack.enter_async_context(self.links.open(config.url, timeout_s=config.connect_timeout_s))

        login = Login(config.username, config.password.get_secret_value(), cnonce=f"{out.clock.now().utc_s:.6f}")
        host = urlsplit(config.url).netloc or "camera"
        return Snapshots(out, reopen, host=host, target=config.path, login=login, answer_s=config.answer_timeout_s)

    def _stream(self) -> str:
        """The url for ffmpeg, which has no other place for a password."""
        config, host = self.config, urlsplit(self.config.url).netloc
        password = config.password.get_secret_value()
        login = f"{quote(config.username, safe='')}:{quote(password, safe='')}@" if config.username else ""
        return f"rtsp://{login}{host}{config.path}"

    def _arrived(self) -> None:
        if not self._wanted:
            self._ask(_Wanted("a picture has come", asyncio.get_running_loop().create_future()))

    async def _take_for_ever(self, out: Reporter, source: Source, to_read: asyncio.Queue[_Burst]) -> None:
        while True:
            wanted = await self._next(source)
            if wanted is None:
                continue
            track = f"{out.clock.now().utc_s * 1000:.0f}"
            pictures: list[bytes] = []
            async for picture in self._taken(out, source, wanted):
                if not pictures:
                    # Told before it is read: by then the vehicle may be elsewhere, and another one here.
                    out.report(PictureTaken(await _kept(out, picture), track, "frame"))
                pictures.append(picture)
            if not wanted.taken.done():
                wanted.taken.set_result(None)
            if not pictures:
                out.report(PlateUnread("no picture has come", track))
            elif to_read.full():
                await self._unread(out, _Burst(track, tuple(pictures)), "other vehicles wait to be read")
            else:
                to_read.put_nowait(_Burst(track, tuple(pictures)))

    async def _taken(self, out: Reporter, source: Source, wanted: _Wanted) -> Any:
        async for picture in source.burst(self.config.shots, self.config.apart_ms / 1000):
            if not wanted.taken.done():
                wanted.taken.set_result(None)
            if picture:
                yield picture
            else:
                out.doubt(b"", "a picture without content")

    async def _next(self, source: Source) -> _Wanted | None:
        """What is asked for next, or a try whether the camera is still there."""
        wait_s = self.config.every_s or self.config.check_s
        try:
            async with asyncio.timeout(wait_s):
                while not self._wanted:
                    self._news.clear()
                    await self._news.wait()
            return self._wanted.popleft()
        except TimeoutError:
            if self.config.every_s:
                return _Wanted("it is time", asyncio.get_running_loop().create_future())
            await source.check()
            return None

    # --- reading ---------------------------------------------------------------------------------------------------

    async def _read_for_ever(self, out: Reporter, to_read: asyncio.Queue[_Burst]) -> None:
        if not self.config.read:
            while True:
                burst = await to_read.get()
                for picture in burst.pictures[1:]:
                    out.report(PictureTaken(await _kept(out, picture), burst.track, "frame"))
        config, fault = self.config, _Fault(out)
        own = {name: Weights(Path(file.path), file.sha256) for name, file in config.models.items()}
        reader = PlateReader(
            deadline_s=config.read_timeout_s,
            memory_mib=config.memory_mib,
            detector=own.get("detector"),
            recogniser=own.get("recogniser"),
        )
        with reader:
            await self._warm(reader)
            while True:
                burst = await to_read.get()
                try:
                    reading = await reader.read(burst.pictures, self._options())
                except (PlatesUnavailable, ReadFailed) as error:
                    fault.tell(str(error))
                    await self._unread(out, burst, str(error))
                else:
                    fault.tell("")
                    await self._report(out, burst, reading)

    async def _warm(self, reader: PlateReader) -> None:
        """Load the weights before the first vehicle comes. What fails is told when a plate is to be read."""
        with suppress(PlatesUnavailable, ReadFailed):
            await reader.warm()

    def _options(self) -> Options:
        config, window = self.config, self.config.window
        box = None if window is None else (window.x, window.y, window.width, window.height)
        return Options(config.min_confidence, dict(config.fixes), dict(config.mix), box)

    async def _report(self, out: Reporter, burst: _Burst, reading: Reading) -> None:
        picture = await _kept(out, burst.pictures[min(reading.frame, len(burst.pictures) - 1)])
        if not reading.accepted:
            out.report(PlateUnread(_why(reading), burst.track, picture, afterwards=True))
            return
        out.report(
            PlateRead(
                text=reading.plate,
                confidence=reading.confidence,
                jurisdiction=reading.jurisdiction,
                track=burst.track,
                picture=picture,
                raw=Identifier(reading.raw.clear),
                candidates=reading.candidates,
                box=reading.box,
                engine=reading.engine,
                afterwards=True,
            )
        )

    async def _unread(self, out: Reporter, burst: _Burst, why: str) -> None:
        out.report(PlateUnread(why, burst.track, await _kept(out, burst.pictures[0]), afterwards=True))


def _why(reading: Reading) -> str:
    """Why there is no plate; what was read and refused is counted by its reason, not quoted."""
    reasons = sorted({line.why for line in reading.rejected})
    return "; ".join([reading.why or "no plate", *reasons])[:300]


async def _kept(out: Reporter, picture: bytes) -> str:
    return await out.keep(picture, _MEDIA_TYPES.get(picture[:2], "image/jpeg"))


class _Fault:
    """That plates cannot be read, told when it begins and when it ends."""

    def __init__(self, out: Reporter) -> None:
        self._out, self._told = out, ""

    def tell(self, why: str) -> None:
        if bool(why) != bool(self._told):
            self._out.report(DeviceFault("plates_unread", why or "plates are read again", active=bool(why)))
        self._told = why
