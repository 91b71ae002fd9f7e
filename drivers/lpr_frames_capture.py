"""A process that reads a video stream or a USB camera for `lpr.frames`, and keeps its last pictures in a ring.

Started as `python -m drivers.lpr_frames_capture`. The first line of its input is `rtsp://...` or `usb:0`; a line `COUNT
APART_S` asks for what the ring holds and COUNT further pictures; each goes out as its length in four bytes and a JPEG,
then a length of zero.
Ends when its input ends or no picture has come for `STALLED_S`.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque

RING = 10
AGE_S = 1.0
"""Pictures older than this show the vehicle before."""
STALLED_S = 5.0
_QUALITY = 90


def main() -> int:
    import cv2

    source = sys.stdin.readline().strip()
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # Lost packets of UDP are smeared pictures; times are in microseconds.
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = f"rtsp_transport;tcp|timeout;{int(STALLED_S * 1e6)}"
    cv2.setNumThreads(1)
    video = cv2.VideoCapture(int(source[4:])) if source.startswith("usb:") else cv2.VideoCapture(source, cv2.CAP_FFMPEG)
    ring: deque[tuple[float, object]] = deque(maxlen=RING)
    news = threading.Condition()

    def read() -> None:
        while True:
            good, picture = video.read()
            if not good:
                break
            with news:
                ring.append((time.monotonic(), picture))
                news.notify_all()
        os._exit(3)  # the stream has ended; the other thread waits for input and cannot be asked

    def newer(than_s: float) -> tuple[float, object]:
        with news:
            if not news.wait_for(lambda: bool(ring) and ring[-1][0] > than_s, STALLED_S):
                os._exit(4)
            return ring[-1]

    def send(picture: object) -> None:
        _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])  # type: ignore[call-overload]
        out.write(len(jpeg).to_bytes(4, "big") + jpeg.tobytes())
        out.flush()

    threading.Thread(target=read, daemon=True).start()
    for line in sys.stdin:
        count, apart_s = int(line.split()[0]), float(line.split()[1])
        last_s, _ = newer(time.monotonic() - AGE_S)
        with news:
            held = [(at_s, picture) for at_s, picture in ring if at_s > time.monotonic() - AGE_S]
        for at_s, picture in _apart(held, apart_s):
            send(picture)
            last_s = at_s
        for _ in range(count):
            last_s, picture = newer(last_s + apart_s)
            send(picture)
        out.write(b"\0\0\0\0")
        out.flush()
    return 0


def _apart(held: list[tuple[float, object]], apart_s: float) -> list[tuple[float, object]]:
    """At most two of them: the newest, and the newest that is at least so much older."""
    if not held:
        return []
    older = [frame for frame in held if frame[0] <= held[-1][0] - apart_s]
    return [*older[-1:], held[-1]]


if __name__ == "__main__":
    sys.exit(main())
