"""The fake Axis camera: what it posts and streams, and what becomes of its events with any receiver."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from camera_receiver import OK, Posted, Receiver, dialling
from fake_bench import virtual
from hypothesis import given, settings
from hypothesis import strategies as st

from lanecontrol.links import Link
from sim.fake import load
from sim.lpr_axis import AxisConfig, FakeAxisCamera
from sim.lpr_http import Answer
from sim.one_fake import home_of
from sim.readings import Contact, PlateGone, PlateView
from sim.simfile import load_simfile

CONFIGS = Path(__file__).parents[2] / "configs"

VIEW = PlateView("9ABC123", 0.91, "US-CA", "car-7", "in", "9ABC123", 3)
JPEG = b"\xff\xd8\xff\xe0 a picture\r\n--with\r\n\0 line ends \xff\xd9"
TEXT = {"heartbeat_s": None}


def camera(**config: Any) -> FakeAxisCamera:
    return FakeAxisCamera(AxisConfig(**{**TEXT, **config}), lambda deed: None, lambda view, kind, least: JPEG)


def event_of(posted: Posted) -> dict[str, Any]:
    (headers, data), *_ = posted.parts
    assert 'name="event"' in headers["content-disposition"]
    found: dict[str, Any] = json.loads(data)
    return found


def states(receiver: Receiver) -> list[tuple[str, str, str]]:
    events = [event_of(posted) for posted in receiver.posted]
    return [(e["carState"], e["carMoveDirection"], e.get("imageType", "")) for e in events]


# --- HTTP ---


@virtual
async def test_one_event_is_posted_once_for_each_of_its_pictures() -> None:
    receiver, fake = Receiver(), camera(direction_after_s=None)
    async with receiver.pushed_by(fake):
        fake.sense(VIEW)
        await asyncio.sleep(1)
    first, second = receiver.posted
    assert first.line == "POST / HTTP/1.1"
    assert first.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert [event_of(p)["imageType"] for p in (first, second)] == ["frame", "vehicle"]
    assert {key: event_of(first)[key] for key in ("plateUTF8", "carState", "carID", "capture_timestamp")} == {
        key: event_of(second)[key] for key in ("plateUTF8", "carState", "carID", "capture_timestamp")
    }
    for posted in (first, second):
        (event, _), (image, picture) = posted.parts
        assert "filename=" in event["content-disposition"]
        assert 'name="image"' in image["content-disposition"]
        assert "filename=" in image["content-disposition"]
        assert image["content-type"] == "image/jpeg"
        assert picture == JPEG
    assert receiver.connections == 2
    assert (fake.tally.delivered, fake.tally.dropped) == (2, 0)


@virtual
async def test_a_car_is_new_then_updated_with_its_direction_then_lost_under_one_id() -> None:
    receiver, fake = Receiver(), camera(images=["frame"])
    async with receiver.pushed_by(fake):
        fake.sense(VIEW)
        await asyncio.sleep(5)
        fake.sense(PlateGone("car-7"))
        await asyncio.sleep(9.9)
        assert len(receiver.posted) == 2
        await asyncio.sleep(0.2)
    assert states(receiver) == [("new", "unknown", "frame"), ("update", "in", "frame"), ("lost", "in", "")]
    assert {event_of(p)["carID"] for p in receiver.posted} == {"1"}
    assert [event_of(p)["packetCounter"] for p in receiver.posted] == ["1", "2", "3"]
    assert receiver.posted[2].parts[1][1] == b""


@virtual
async def test_a_corrected_plate_is_an_update_of_the_same_car() -> None:
    receiver, fake = Receiver(), camera(images=["frame"], direction_after_s=0.3)
    async with receiver.pushed_by(fake):
        fake.sense(VIEW)
        await asyncio.sleep(1)
        fake.sense(PlateView("9ABC128", 0.95, "US-CA", "car-7", "in"))
        await asyncio.sleep(1)
        fake.sense(PlateView("OTHER1", 0.95, "US-CA", "car-8", "in"))
        await asyncio.sleep(1)
    told = [(e["carState"], e["plateUTF8"], e["carMoveDirection"], e["carID"]) for e in map(event_of, receiver.posted)]
    assert told == [
        ("new", "9ABC123", "unknown", "1"),
        ("update", "9ABC123", "in", "1"),
        ("update", "9ABC128", "in", "1"),
        ("new", "OTHER1", "unknown", "2"),
        ("update", "OTHER1", "in", "2"),
    ]


@virtual
async def test_every_value_is_text_as_in_the_makers_samples() -> None:
    receiver, fake = Receiver(), camera()
    fake.utc_at_zero_s = 1_767_254_400.5
    async with receiver.pushed_by(fake):
        fake.sense(VIEW)
        await asyncio.sleep(0.1)
    event = event_of(receiver.posted[0])
    nested = {"geotag", "camera_info", "vehicle_info", "plateCoordinates", "imagesURI"}
    assert all(isinstance(value, str) for name, value in event.items() if name not in nested)
    assert event["datetime"] == "20260101 080000500"
    assert event["capture_timestamp"] == "1767254400500"
    assert event["capture_ts"] == "1767254400500000000"
    assert (event["plateCountry"], event["plateRegionCode"], event["plateISO3166-2"]) == ("USA", "CA", "US-CA")
    assert event["plateImageSize"] == "0"
    assert b'"plateText":"\\u0039\\u0041' in receiver.posted[0].body
    assert event["plateText"] == "9ABC123"


@virtual
async def test_numbers_and_escapes_can_be_asked_for() -> None:
    receiver, fake = Receiver(), camera(numbers=True, escapes=True, spelling="ffg")
    async with receiver.pushed_by(fake):
        fake.sense(VIEW)
        await asyncio.sleep(1)
    new, *_, update = (event_of(p) for p in receiver.posted)
    assert (new["plateConfidence"], new["carID"]) == (0.91, 1)
    assert all(isinstance(number, int) for number in new["plateCoordinates"])
    assert b'"plateUTF8":"\\u0039' in receiver.posted[0].body
    assert (new["carMoveDirection"], update["carState"]) == ("unk", "updated")


@virtual
async def test_plates_beyond_ascii_and_plates_that_could_not_be_read_are_told_as_they_are() -> None:
    receiver, fake = Receiver(), camera(images=[], direction_after_s=None)
    async with receiver.pushed_by(fake):
        for number, text in enumerate(("", "ÄÖ·12", "京A12345", "\U0001d538")):
            fake.sense(PlateView(text, 0.5, "", f"car-{number}"))
        await asyncio.sleep(1)
    events = [event_of(p) for p in receiver.posted]
    assert [e["plateUTF8"] for e in events] == ["", "ÄÖ·12", "京A12345", "\U0001d538"]
    assert [e["plateText"] for e in events] == [e["plateUTF8"] for e in events]


@virtual
async def test_it_says_who_it_is_and_can_keep_one_connection() -> None:
    receiver, fake = Receiver(), camera(username="cam", password="secret", keep_alive=True, path="/in?lane=7")
    async with receiver.pushed_by(fake):
        fake.sense(VIEW)
        await asyncio.sleep(1)
    assert receiver.connections == 1
    assert len(receiver.posted) == 4
    first = receiver.posted[0]
    assert first.line == "POST /in?lane=7 HTTP/1.1"
    assert first.headers["authorization"] == "Basic " + base64.b64encode(b"cam:secret").decode()


@virtual
async def test_its_clock_can_be_wrong() -> None:
    receiver, right, wrong = Receiver(), camera(), camera(clock_offset_s=3600.0)
    async with receiver.pushed_by(right):
        right.sense(VIEW)
        await asyncio.sleep(0.1)
    async with receiver.pushed_by(wrong):
        wrong.sense(VIEW)
        await asyncio.sleep(0.1)
    first, *_, last = (int(event_of(p)["capture_timestamp"]) for p in receiver.posted)
    assert last - first == 3_600_100


@virtual
async def test_signs_of_life_come_regularly_and_say_nothing_of_a_car() -> None:
    receiver, fake = Receiver(), camera(heartbeat_s=10.0)
    async with receiver.pushed_by(fake):
        await asyncio.sleep(25)
    assert [p.at_s for p in receiver.posted] == [0.0, 10.0, 20.0]
    beat = json.loads(receiver.posted[0].body)
    assert "carState" not in beat
    assert "plateUTF8" not in beat
    assert beat["sensorProviderID"] == "lane"


@virtual
async def test_an_unanswered_sign_of_life_is_tried_again_sooner() -> None:
    receiver, fake = Receiver(), camera(heartbeat_s=60.0, reconnect_s=5.0)
    async with dialling(fake, receiver.connect):
        await asyncio.sleep(12)
        receiver.open()
        await asyncio.sleep(100)
        await receiver.close()
    assert [p.at_s for p in receiver.posted] == [15.0, 75.0]


# --- what receivers do ---


@pytest.mark.parametrize("status", [b"500 Internal Server Error", b"201 Created", b"413 Too Large", b"302 Found"])
@virtual
async def test_an_event_answered_otherwise_than_200_is_gone_and_counted(status: bytes) -> None:
    async def refuse(link: Link) -> None:
        await link.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 3\r\n\r\nno!")

    receiver, fake = Receiver(answer=refuse), camera(images=["frame"], direction_after_s=None)
    async with receiver.pushed_by(fake):
        fake.sense(VIEW)
        await asyncio.sleep(30)
    assert len(receiver.posted) == 1
    assert (fake.tally.refused, fake.tally.delivered) == (1, 0)
    assert fake.tally.statuses == [int(status[:3])]


@pytest.mark.parametrize(("after_s", "delivered", "late"), [(4.9, 1, 0), (5.1, 0, 1)])
@virtual
async def test_an_answer_later_than_five_seconds_is_none(after_s: float, delivered: int, late: int) -> None:
    async def slow(link: Link) -> None:
        await asyncio.sleep(after_s)
        await link.write(OK)

    receiver, fake = Receiver(answer=slow), camera(images=["frame"], direction_after_s=None)
    async with receiver.pushed_by(fake):
        fake.sense(VIEW)
        await asyncio.sleep(30)
    assert len(receiver.posted) == 1
    assert (fake.tally.delivered, fake.tally.late) == (delivered, late)


@virtual
async def test_without_a_listener_events_are_gone_and_counted() -> None:
    receiver, fake = Receiver(), camera(images=["frame"], direction_after_s=None)
    async with dialling(fake, receiver.connect):
        fake.sense(VIEW)
        await asyncio.sleep(1)
    assert fake.tally.lost == 1


@virtual
async def test_events_beyond_what_it_can_hold_push_the_oldest_out() -> None:
    async def never(link: Link) -> None:
        await asyncio.sleep(1000)

    receiver, fake = Receiver(answer=never), camera(images=["frame"], direction_after_s=None, waiting_events=3)
    async with receiver.pushed_by(fake):
        for number in range(10):
            fake.sense(PlateView("A", 0.9, "", f"car-{number}"))
            await asyncio.sleep(0.01)
        assert fake.tally.overflowed == 6
        await asyncio.sleep(0.1)
    assert [event_of(p)["carID"] for p in receiver.posted] == ["1"]


ANSWERS = [
    b"",
    b"\0\xff" * 40_000,
    b"HTTP/1.1 200",
    b"HTTP/1.1 2O0 OK\r\n\r\n",
    b"HTTP/9 \r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000,
    b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
    b"SSH-2.0-OpenSSH\r\n",
    b"\r\n\r\n\r\n",
]


@pytest.mark.parametrize("config", [{}, {"keep_alive": True}, {"transport": "tcp"}])
@pytest.mark.parametrize("answer", ANSWERS)
@virtual
async def test_no_answer_harms_the_camera(answer: bytes, config: dict[str, Any]) -> None:
    """Each hostile answer, cut off or held open; and the next receiver gets the next event."""
    for closes in (True, False):

        async def hostile(link: Link, closes: bool = closes) -> None:
            await link.write(answer)
            if closes:
                await link.close()

        receiver, fake = Receiver(), camera(images=[], direction_after_s=None, **config)
        receiver.net.listen("receiver", hostile)
        async with dialling(fake, receiver.connect):
            fake.sense(VIEW)
            await asyncio.sleep(20)
            receiver.net.unlisten("receiver")
            await asyncio.sleep(20)
            fake.sense(PlateView("LATER1", 0.9, "", "car-9"))
            got: list[bytes] = []
            receiver.net.listen("receiver", lambda link, got=got: _takes(link, got))  # type: ignore[misc]
            await asyncio.sleep(20)
            fake.sense(PlateView("LATER2", 0.9, "", "car-10"))
            await asyncio.sleep(20)
            receiver.net.unlisten("receiver")
        assert b"LATER2" in b"".join(got)


async def _takes(link: Link, got: list[bytes]) -> None:
    got.append(await link.read())
    await link.write(OK)
    while True:
        got.append(await link.read())


@settings(max_examples=200)
@given(pieces=st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([OK, b"HTTP/1.1 ", b"\r\n\r\n"])), max_size=8))
def test_any_answer_is_read_without_an_exception_and_in_bounded_memory(pieces: list[bytes]) -> None:
    answer = Answer()
    for piece in pieces:
        answer.feed(piece)
        assert answer.status == 0 or 100 <= answer.status <= 999
    assert not (answer.broken and answer.over)


@settings(max_examples=50)
@given(cuts=st.lists(st.integers(0, 80), max_size=5), body=st.binary(max_size=20))
def test_an_answer_is_the_same_however_it_is_cut(cuts: list[int], body: bytes) -> None:
    data = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    answer, at = Answer(), 0
    for cut in [*sorted(cuts), len(data)]:
        assert not answer.over or at >= len(data) - len(body)
        answer.feed(data[at:cut])
        at = max(at, cut)
    assert (answer.status, answer.over, answer.reusable, answer.broken) == (200, True, True, False)


# --- TCP ---


class Stream:
    """A receiver of the TCP push."""

    def __init__(self) -> None:
        self.receiver = Receiver()
        self.data: list[bytes] = []
        self.receiver.net.listen("receiver", self._handle)

    async def _handle(self, link: Link) -> None:
        self.data.append(b"")
        while True:
            self.data[-1] += await link.read()

    def objects(self) -> list[dict[str, Any]]:
        found, decoder = [], json.JSONDecoder()
        for text in (data.decode() for data in self.data):
            at = 0
            while at < len(text):
                one, at = decoder.raw_decode(text, at)
                found.append(one)
        return found


@virtual
async def test_by_tcp_objects_follow_each_other_on_one_connection_without_pictures() -> None:
    stream, fake = Stream(), camera(transport="tcp", heartbeat_s=10.0)
    async with dialling(fake, stream.receiver.connect):
        fake.sense(VIEW)
        await asyncio.sleep(1)
        fake.sense(PlateGone("car-7"))
        fake.sense(Contact("loop", True))
        await asyncio.sleep(20)
    assert len(stream.data) == 1
    assert stream.data[0].startswith(b"{")
    assert b"}{" in stream.data[0]
    assert b"\n" not in stream.data[0]
    told = stream.objects()
    assert [o.get("carState") for o in told] == ["new", None, "update", None, "lost", None]
    assert [o["packetCounter"] for o in told] == ["1", "2", "3", "4", "5", "6"]
    assert not any("imageType" in o for o in told)


@virtual
async def test_after_a_cut_it_connects_again_by_itself_and_sends_what_waited() -> None:
    stream, fake = Stream(), camera(transport="tcp", direction_after_s=None)
    async with dialling(fake, stream.receiver.connect):
        fake.sense(VIEW)
        await asyncio.sleep(1)
        stream.receiver.net.drop("receiver")
        await asyncio.sleep(1)
        fake.sense(PlateView("LATER1", 0.9, "", "car-8"))
        await asyncio.sleep(3.9)
        assert len(stream.data) == 1
        await asyncio.sleep(0.2)
    assert [o["plateUTF8"] for o in stream.objects()] == ["9ABC123", "LATER1"]
    assert [o["packetCounter"] for o in stream.objects()] == ["1", "1"]
    assert (fake.tally.delivered, fake.tally.dropped) == (2, 0)


@virtual
async def test_a_receiver_that_does_not_read_costs_the_event_that_was_under_way() -> None:
    receiver, fake = Receiver(), camera(transport="tcp", direction_after_s=None, first_car_id=1)
    idle = asyncio.Event()
    receiver.net.listen("receiver", lambda link: idle.wait())  # type: ignore[arg-type,return-value]
    async with dialling(fake, receiver.connect):
        for number in range(60):
            fake.sense(PlateView("A" * 4000, 0.9, "", f"car-{number}"))
        await asyncio.sleep(6)
        assert fake.tally.lost == 1
        receiver.net.unlisten("receiver")


@virtual
async def test_silence_can_be_asked_for() -> None:
    receiver, fake = Receiver(), camera(heartbeat_s=None, lost_after_s=None, direction_after_s=None, images=["frame"])
    async with receiver.pushed_by(fake):
        fake.sense(VIEW)
        fake.sense(PlateGone("car-7"))
        await asyncio.sleep(600)
    assert states(receiver) == [("new", "unknown", "frame")]


def test_it_dials_and_serves_nobody() -> None:
    assert FakeAxisCamera.dials
    with pytest.raises(NotImplementedError):
        asyncio.run(camera().serve(None))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "home"), [("lpr.axis", "sim-fast"), ("rfid.mercury", "sim"), ("none.such", "sim-fast")]
)
def test_every_kind_has_a_world_among_the_shipped_simulations(kind: str, home: str) -> None:
    shipped = [load_simfile(CONFIGS / name) for name in ("sim.yaml", "sim-fast.yaml")]
    assert home_of(kind, shipped).path.stem == home


def test_the_installed_entry_point_is_this_class() -> None:
    assert load("lpr.axis") is FakeAxisCamera
