"""A process that reads a video stream or a USB camera for `lpr.frames`, and keeps its last pictures in a ring.

Started as `python -m drivers.lpr_frames_capture`; `lpr_frames_messages` says what it hears and says. It is a process of
its own because OpenCV's `open` and `read` block, some 30 s by default, and cannot be interrupted. One thread does
nothing else; the other one answers, and ends the process when no picture has come for too long, when the stream ends,
or when nobody is there to ask any more.
"""

from __future__ import annotations

import grp
import os
import select
import stat
import sys
import threading
from pathlib import Path
from typing import IO, Any, NoReturn

from drivers.lpr_frames_messages import Ask, Failure, Kind, Order, message
from drivers.lpr_frames_ring import AGE_S, Lag, Ring
from lanecontrol.clock import stopwatch_s

LOOK_S = 0.2
"""So often the stream is looked at while nobody asks."""
VIDEO_MAJOR = 81
"""Device number of video4linux (the kernel's list of device numbers)."""
_QUALITY = 90
_LINE_LIMIT = 4096


def main() -> NoReturn:
    """Ends the process: exit code 0 when nobody asks any more, 3 when there are no pictures, after saying why."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries print
    order = Order.of(sys.stdin.buffer.readline())
    try:
        import cv2
    except ImportError:
        _failed(out, Failure.NO_OPENCV, "")
    if order.usb and (failure := device_failure(order.source)):
        _failed(out, *failure)
    cv2.setNumThreads(1)
    camera = Camera(cv2, order)
    _say(out, message(Kind.READY))
    threading.Thread(target=camera.run, daemon=True).start()
    _serve(camera, cv2, out)


class Camera:
    """The stream, its ring and how it fares. `run` belongs to one thread, all else to the other."""

    def __init__(self, cv2: Any, order: Order) -> None:
        self._cv2, self._order = cv2, order
        self.ring: Ring[Any] = Ring()
        self.news = threading.Condition()
        self._alive_s = self._punctual_s = stopwatch_s()
        self._opened = False
        self._failure: tuple[Failure, str] | None = None

    def run(self) -> None:
        """Open it and read it, until it fails."""
        video = self._video()
        if not video.isOpened():
            self._fail(Failure.NOT_OPENED)
            return
        with self.news:
            self._opened, self._alive_s = True, stopwatch_s()
            self._punctual_s = self._alive_s
        self._read(video)
        self._fail(Failure.ENDED)

    def _video(self) -> Any:
        cv2, order = self._cv2, self._order
        if order.usb:
            video = cv2.VideoCapture(order.source, cv2.CAP_V4L2)
            if order.width and order.height:
                video.set(cv2.CAP_PROP_FRAME_WIDTH, order.width)
                video.set(cv2.CAP_PROP_FRAME_HEIGHT, order.height)
            return video
        # Lost packets of UDP are smeared pictures; guessing the frame rate first would cost seconds of pictures.
        options = f"rtsp_transport;tcp|timeout;{2 * order.stalled_s * 1e6:.0f}|fpsprobesize;1"
        os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = options
        patience_ms = int(2000 * order.stalled_s)  # longer than our own: what is told does not depend on who is first
        settings = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, patience_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, patience_ms]
        # More threads would each hold a picture back.
        return cv2.VideoCapture(order.source, cv2.CAP_FFMPEG, [*settings, cv2.CAP_PROP_N_THREADS, 1])

    def _read(self, video: Any) -> None:
        lag = Lag()
        while video.grab():
            now_s = stopwatch_s()
            stamped_s = 0.0 if self._order.usb else video.get(self._cv2.CAP_PROP_POS_MSEC) / 1000
            late_s = lag.of(now_s, stamped_s) if stamped_s > 0.0 else 0.0
            with self.news:
                self._alive_s = now_s
                if late_s <= AGE_S:
                    self._punctual_s = now_s
                wanted = late_s <= AGE_S and self.ring.wants(now_s)
            if wanted:
                good, picture = video.retrieve()
                if not good:
                    return
                with self.news:
                    self.ring.add(now_s, picture, picture.nbytes)
                    self.news.notify_all()

    def _fail(self, failure: Failure, why: str = "") -> None:
        with self.news:
            self._failure = (failure, why)
            self.news.notify_all()

    @property
    def failure(self) -> tuple[Failure, str] | None:
        """Why there are no pictures, if that is so. Only while `news` is held."""
        if self._failure is not None:
            return self._failure
        now_s, patience_s = stopwatch_s(), self._order.stalled_s
        if now_s - self._alive_s > patience_s:
            return (Failure.STALLED if self._opened else Failure.NOT_OPENED), f"{patience_s:g}"
        if now_s - self._punctual_s > patience_s:
            return Failure.BEHIND, f"{patience_s:g}"
        return None

    def newer(self, than_s: float) -> tuple[float, Any] | None:
        """The first picture after this moment; None when there will be none."""
        with self.news:
            while self.ring.newest_s <= than_s:
                if self.failure is not None:
                    return None
                self.news.wait(LOOK_S)
            return self.ring.newest_s, self.ring.newest()


def _serve(camera: Camera, cv2: Any, out: IO[bytes]) -> NoReturn:
    heard = bytearray()
    while True:
        with camera.news:
            failure = camera.failure
        if failure is not None:
            _failed(out, *failure)
        if not select.select([0], [], [], LOOK_S)[0]:
            continue
        data = os.read(0, _LINE_LIMIT)
        heard += data
        if not data or len(heard) > _LINE_LIMIT:
            os._exit(0)  # as below
        *lines, rest = heard.split(b"\n")
        heard = bytearray(rest)
        for line in lines:
            _answer(camera, Ask.of(bytes(line)), cv2, out)


def _answer(camera: Camera, ask: Ask, cv2: Any, out: IO[bytes]) -> None:
    fresh = camera.newer(stopwatch_s() - AGE_S)
    if fresh is None:
        return  # the reason goes out next
    with camera.news:
        before = camera.ring.before(stopwatch_s(), ask.apart_s) if ask.reach_back else []
    last_s = fresh[0]
    for picture in before:
        _send(picture, ask, cv2, out)
    for _ in range(ask.count):
        newer = camera.newer(last_s + ask.apart_s)
        if newer is None:
            return
        last_s, picture = newer
        with camera.news:
            camera.ring.given()
        _send(picture, ask, cv2, out)
    _say(out, message(Kind.END, ask.number))


def _send(picture: Any, ask: Ask, cv2: Any, out: IO[bytes]) -> None:
    _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    _say(out, message(Kind.PICTURE, ask.number, jpeg.tobytes()))


def _say(out: IO[bytes], data: bytes) -> None:
    out.write(data)
    out.flush()


def _failed(out: IO[bytes], failure: Failure, why: str) -> NoReturn:
    _say(out, message(Kind.FAILED, 0, f"{failure} {why}".encode()))
    out.close()
    os._exit(3)  # the other thread may be within OpenCV, and cannot be asked to come out


def device_failure(path: str) -> tuple[Failure, str] | None:
    """What keeps this process from reading a camera at `path`; None for nothing that can be seen from outside."""
    try:
        found = Path(path).stat()
    except OSError as error:
        return Failure.NO_DEVICE, f"{path}: {error.strerror}"
    if not stat.S_ISCHR(found.st_mode) or os.major(found.st_rdev) != VIDEO_MAJOR:
        return Failure.WRONG_DEVICE, f"{path} is no video device"
    if not os.access(path, os.R_OK | os.W_OK):
        who = f"only its owner and group {_group(found.st_gid)} may; this process runs as user {os.geteuid()}"
        return Failure.NOT_ALLOWED, f"{path} may not be read by this process: {who}"
    return None


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


if __name__ == "__main__":
    main()
