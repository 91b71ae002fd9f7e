"""The capture process of `lpr.frames` from inside: its ring, what it asks OpenCV for, what it says. No OpenCV."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import lpr_frames_capture as capture
from drivers.lpr_frames_messages import HEAD, Ask, Failure, Kind, Order, head, meant, message
from drivers.lpr_frames_ring import AGE_S, MOST_BYTES, PICTURES, Lag, Ring

# --- the ring --------------------------------------------------------------------------------------------------------


def ring_of(*times_s: float) -> Ring[float]:
    ring: Ring[float] = Ring()
    for at_s in times_s:
        ring.add(at_s, at_s, 1)
    return ring


def test_a_trigger_gets_the_newest_and_one_that_is_old_enough_to_differ() -> None:
    assert ring_of(10.0, 10.1, 10.2, 10.3).before(10.35, apart_s=0.2) == [10.1, 10.3]


def test_a_trigger_gets_nothing_that_is_too_old_to_show_this_vehicle() -> None:
    assert ring_of(10.0, 10.1).before(10.1 + AGE_S, apart_s=0.05) == [10.1]
    assert ring_of(10.0, 10.1).before(10.2 + AGE_S, apart_s=0.05) == []


def test_the_newest_is_not_given_twice_when_none_has_to_be_older() -> None:
    assert ring_of(10.0).before(10.0, apart_s=0.0) == [10.0]


def test_what_was_given_to_one_vehicle_is_not_given_to_the_next() -> None:
    ring = ring_of(10.0, 10.2)
    ring.before(10.2, apart_s=0.1)
    assert ring.before(10.3, apart_s=0.1) == []
    ring.add(10.4, 10.4, 1)
    assert ring.before(10.4, apart_s=0.1) == [10.4]


def test_pictures_that_come_fast_are_passed_over_so_that_the_ring_reaches_back() -> None:
    ring: Ring[float] = Ring()
    for number in range(300):  # ten seconds of 30 pictures a second
        if ring.wants(number / 30):
            ring.add(number / 30, number / 30, 1)
    assert len(ring.before(300 / 30, apart_s=0.8)) == 2


@given(st.lists(st.integers(0, MOST_BYTES), max_size=60))
def test_the_ring_stays_bounded_in_pictures_and_in_bytes(sizes: list[int]) -> None:
    ring: Ring[int] = Ring()
    for number, size in enumerate(sizes):
        ring.add(float(number), size, size)
        held = [kept for _, kept, _ in ring._held]
        assert len(held) <= PICTURES
        assert sum(held) == ring._bytes
        assert sum(held) <= MOST_BYTES or len(held) <= 2
        assert ring.newest() == size


def test_a_stream_that_falls_behind_is_told_from_two_clocks_that_drift_apart() -> None:
    drifting, falling = Lag(), Lag()
    late_s = [drifting.of(at_s * 1.0001, at_s) for at_s in range(36_000)]
    assert max(late_s) < 0.01
    late_s = [falling.of(at_s * 1.05, at_s) for at_s in range(600)]
    assert late_s[-1] > 25.0


# --- what is said ----------------------------------------------------------------------------------------------------


def test_an_order_does_not_show_its_password_by_accident() -> None:
    order = Order("rtsp://root:secret@192.0.2.1/x", usb=False, stalled_s=5.0)
    assert Order.of(order.line()) == order
    assert "secret" not in repr(order)


def test_a_message_begins_with_its_kind_its_question_and_its_length() -> None:
    data = message(Kind.PICTURE, 7, b"abc")
    assert head(data[: HEAD.size]) == (Kind.PICTURE, 7, 3)
    assert data[HEAD.size :] == b"abc"


@given(st.binary(min_size=HEAD.size, max_size=HEAD.size))
def test_a_head_is_read_or_refused(data: bytes) -> None:
    try:
        _, _, length = head(data)
    except ValueError:
        return
    assert length <= 16 << 20


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        (b"[rtsp @ 0x55d5] method DESCRIBE failed: 401 (Unauthorized)\n", "401"),
        (b"[rtsp @ 0x55d5] method SETUP failed: 461 (Unsupported Transport)\n", "461"),
        (b"[tcp @ 0x1] Connection to tcp://192.0.2.1:554?timeout=0 failed: Connection refused\n", "refused"),
        (b"rtsp://root:401@192.0.2.1/404: Invalid data found when processing input", "garbage"),
        (b"Stream timeout triggered after 3041.64 ms", "silent"),
        (b"", ""),
    ],
)
def test_what_ffmpeg_says_is_understood_and_not_its_addresses(said: bytes, meaning: str) -> None:
    assert meant(said) == meaning


# --- what is asked of OpenCV -----------------------------------------------------------------------------------------


class Frame:
    nbytes = 1000


class Stream:
    """A stand-in for `cv2.VideoCapture`: so many pictures, then the end."""

    def __init__(self, stamps_s: list[float], opened: bool) -> None:
        self._stamps_s, self._opened = stamps_s, opened
        self.set_to: dict[str, int] = {}
        self.retrieved = 0
        self._now_s = 0.0

    def isOpened(self) -> bool:
        return self._opened

    def set(self, what: str, value: int) -> None:
        self.set_to[what] = value

    def get(self, what: str) -> float:
        return self._now_s * 1000

    def grab(self) -> bool:
        if not self._stamps_s:
            return False
        self._now_s = self._stamps_s.pop(0)
        return True

    def retrieve(self) -> tuple[bool, Frame]:
        self.retrieved += 1
        return True, Frame()


class OpenCV:
    """A stand-in for the module: every constant is its own name."""

    def __init__(self, stamps_s: list[float], *, opened: bool = True) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.stream = Stream(stamps_s, opened)

    def VideoCapture(self, *arguments: Any) -> Stream:
        self.asked.append(arguments)
        return self.stream

    def __getattr__(self, name: str) -> str:
        return name


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Moves on by 0.1 s for each picture."""
    now_s = [100.0]

    def tick() -> float:
        now_s[0] += 0.1
        return now_s[0]

    monkeypatch.setattr(capture, "stopwatch_s", tick)
    monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "")
    return now_s


def told(camera: capture.Camera) -> Failure | None:
    with camera.news:
        failure = camera.failure
    return failure[0] if failure else None


def test_a_stream_is_asked_for_over_tcp_with_times_after_which_to_give_up(clock: list[float]) -> None:
    cv2 = OpenCV([0.1, 0.2])
    camera = capture.Camera(cv2, Order("rtsp://192.0.2.1/x", usb=False, stalled_s=5.0))
    camera.run()
    (source, backend, settings), *_ = cv2.asked
    assert (source, backend) == ("rtsp://192.0.2.1/x", "CAP_FFMPEG")
    pairs = dict(zip(settings[::2], settings[1::2], strict=True))
    assert pairs["CAP_PROP_OPEN_TIMEOUT_MSEC"] == pairs["CAP_PROP_READ_TIMEOUT_MSEC"] == 10_000
    assert "rtsp_transport;tcp|timeout;10000000" in os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"]
    assert told(camera) is Failure.ENDED


def test_a_usb_camera_is_opened_by_its_path_through_v4l2_and_asked_for_its_size(clock: list[float]) -> None:
    cv2 = OpenCV([])
    path = "/dev/v4l/by-id/usb-Camera-video-index0"
    capture.Camera(cv2, Order(path, usb=True, stalled_s=5.0, width=1920, height=1080)).run()
    assert cv2.asked == [(path, "CAP_V4L2")]
    assert cv2.stream.set_to == {"CAP_PROP_FRAME_WIDTH": 1920, "CAP_PROP_FRAME_HEIGHT": 1080}


def test_what_cannot_be_opened_says_so(clock: list[float]) -> None:
    camera = capture.Camera(OpenCV([], opened=False), Order("rtsp://x/", usb=False, stalled_s=5.0))
    camera.run()
    assert told(camera) is Failure.NOT_OPENED
    assert camera.newer(0.0) is None


def test_opening_that_takes_too_long_is_noticed(clock: list[float]) -> None:
    camera = capture.Camera(OpenCV([]), Order("rtsp://x/", usb=False, stalled_s=5.0))
    assert told(camera) is None
    clock[0] += 5.0
    assert told(camera) is Failure.NOT_OPENED


def test_pictures_that_come_ever_later_are_no_pictures_of_who_is_here_now(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The box takes 0.1 s for each picture, and the camera sends one every 0.05 s."""
    cv2 = OpenCV([number * 0.05 for number in range(1, 400)])
    camera = capture.Camera(cv2, Order("rtsp://x/", usb=False, stalled_s=5.0))
    monkeypatch.setattr(camera, "_fail", lambda *_: None)  # the end of the list is no part of this
    camera.run()
    assert told(camera) is Failure.BEHIND
    assert cv2.stream.retrieved < 40, "what is late is not worth decoding"


def test_who_waits_for_a_picture_is_told_when_the_stream_ends(clock: list[float]) -> None:
    camera = capture.Camera(OpenCV([0.1]), Order("rtsp://x/", usb=False, stalled_s=1e6))
    found: list[Any] = []
    waiting = threading.Thread(target=lambda: found.append(camera.newer(1e6)))
    waiting.start()
    camera.run()
    waiting.join(20)
    assert found == [None]


# --- devices ---------------------------------------------------------------------------------------------------------


def test_a_device_that_is_no_camera_is_told_by_its_path() -> None:
    assert capture.device_failure("/dev/video-none") == (
        Failure.NO_DEVICE,
        "/dev/video-none: No such file or directory",
    )
    assert capture.device_failure("/dev/null") == (Failure.WRONG_DEVICE, "/dev/null is no video device")
    assert capture.device_failure("/dev") == (Failure.WRONG_DEVICE, "/dev is no video device")


def test_a_camera_that_may_not_be_read_names_the_group_that_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "VIDEO_MAJOR", os.major(os.stat("/dev/null").st_rdev))  # noqa: PTH116
    assert capture.device_failure("/dev/null") is None
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    failure = capture.device_failure("/dev/null")
    assert failure is not None
    assert failure[0] is Failure.NOT_ALLOWED
    assert failure[1].startswith("/dev/null may not be read by this process: only its owner and group root may")


def test_questions_and_orders_of_one_line_come_back_as_they_were() -> None:
    ask = Ask(3, 2, 0.2, reach_back=False)
    assert Ask.of(ask.line()) == ask
