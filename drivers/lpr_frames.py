"""Driver `lpr.frames`: a camera that only takes pictures; its plates are read on this box.

Called by the supervisor. Takes pictures when the lane asks (a vehicle has come onto the zone's loop), has a worker
process read them, and reports what was read with the picture that shows it. Must never read on the event loop, and
never lose a picture because it could not be read: it is kept, with the reason.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

from drivers.lpr_frames_config import FrameConfig
from drivers.lpr_frames_http import Login
from drivers.lpr_frames_messages import Order
from drivers.lpr_frames_sources import Folder, Picture, Snapshots, Source, media_type
from drivers.lpr_frames_video import Video
from lanecontrol.commands import DONE, Command, Outcome, Result, TakePicture
from lanecontrol.driver import Driver, Reporter, Traits
from lanecontrol.events import DeviceFault, Identity, PictureTaken, PlateRead, PlateUnread
from lanecontrol.identifier import Identifier
from lanecontrol.links import Link
from lanecontrol.plates import PlatesUnavailable
from lanecontrol.plates.answers import Options, Reading
from lanecontrol.plates.pictures import NotAPicture, checked
from lanecontrol.plates.process import ReadFailed
from lanecontrol.plates.reader import PlateReader
from lanecontrol.plates.weights import Weights

_MOST_WANTED = 2
_MOST_TO_READ = 4


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
        config = self.config
        match config.source:
            case "http":
                return self._snapshots(out, stack)
            case "rtsp":
                order = Order(self._stream(), usb=False, stalled_s=config.answer_timeout_s)
                return Video(order, answer_s=config.answer_timeout_s)
            case "usb":
                patience_s = config.answer_timeout_s
                order = Order(
                    config.where, usb=True, stalled_s=patience_s, width=config.usb_width, height=config.usb_height
                )
                return Video(order, answer_s=patience_s)
            case "folder":
                look_s = config.apart_ms / 1000
                return Folder(Path(config.where), self._arrived, look_every_s=look_s, ring=config.shots)

    def _snapshots(self, out: Reporter, stack: AsyncExitStack) -> Snapshots:
        config, held = self.config, AsyncExitStack()
        stack.push_async_callback(lambda: held.aclose())

        async def reopen() -> Link:
            nonlocal held
            await held.aclose()  # a camera that hangs up after each picture must not leave anything behind
            held = AsyncExitStack()
            return await held.enter_async_context(self.links.open(config.url, timeout_s=config.connect_timeout_s))

        login = Login(config.username, config.password.get_secret_value(), cnonce=f"{out.clock.now().utc_s:.6f}")
        host = urlsplit(config.url).netloc or "camera"
        return Snapshots(
            out, reopen, host=host, target=config.path_at_camera, login=login, answer_s=config.answer_timeout_s
        )

    def _stream(self) -> str:
        """The url for ffmpeg, which has no other place for a password."""
        config, host = self.config, urlsplit(self.config.url).netloc
        password = config.password.get_secret_value()
        login = f"{quote(config.username, safe='')}:{quote(password, safe='')}@" if config.username else ""
        return f"rtsp://{login}{host}{config.path_at_camera}"

    def _arrived(self) -> None:
        if not self._wanted:
            self._ask(_Wanted("a picture has come", asyncio.get_running_loop().create_future()))

    async def _take_for_ever(self, out: Reporter, source: Source, to_read: asyncio.Queue[_Burst]) -> None:
        fault = _Fault(out, "not_a_picture", "pictures come again")
        while True:
            wanted = await self._next(source)
            if wanted is None:
                continue
            track = f"{out.clock.now().utc_s * 1000:.0f}"
            pictures: list[bytes] = []
            async for picture in self._taken(source, wanted, fault):
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

    async def _taken(self, source: Source, wanted: _Wanted, fault: _Fault) -> AsyncIterator[bytes]:
        """The pictures of one burst. What is no picture is told of by its name and dropped."""
        async for picture in source.burst(self.config.shots, self.config.apart_ms / 1000):
            if not wanted.taken.done():
                wanted.taken.set_result(None)
            fault.tell(why := _no_picture(picture))
            if not why:
                yield picture.content

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
        config, fault = self.config, _Fault(out, "plates_unread", "plates are read again")
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
                sound, why = _readable(burst)
                if not sound.pictures:
                    await self._unread(out, burst, why)
                    continue
                try:
                    reading = await reader.read(sound.pictures, self._options())
                except (PlatesUnavailable, ReadFailed) as error:
                    fault.tell(str(error))
                    await self._unread(out, burst, str(error))
                else:
                    fault.tell("")
                    await self._report(out, sound, reading)

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


def _no_picture(picture: Picture) -> str:
    """Why this is none, with the file's name; empty for a picture, whole or not."""
    if not picture.why and media_type(picture.content):
        return ""
    why = picture.why or ("not a JPEG, PNG, BMP or WebP picture" if picture.content else "it is empty")
    return f"{picture.name or 'what the camera sent'}: {why}"[:300]


def _readable(burst: _Burst) -> tuple[_Burst, str]:
    """Those of its pictures that are whole, and what is wrong with the others: one cut short spoils no reading."""
    sound, wrong = [], ""
    for picture in burst.pictures:
        try:
            checked(picture)
        except NotAPicture as why:
            wrong = str(why)
        else:
            sound.append(picture)
    return _Burst(burst.track, tuple(sound)), wrong


async def _kept(out: Reporter, picture: bytes) -> str:
    return await out.keep(picture, media_type(picture))


class _Fault:
    """Something that goes wrong, told when it begins and when it ends."""

    def __init__(self, out: Reporter, code: str, well: str) -> None:
        self._out, self._code, self._well, self._told = out, code, well, ""

    def tell(self, why: str) -> None:
        if bool(why) != bool(self._told):
            self._out.report(DeviceFault(self._code, why or self._well, active=bool(why)))
        self._told = why
