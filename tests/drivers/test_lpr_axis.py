"""The Axis driver in session with a camera of the test: one read per event, tracks, silence, clocks, JSON over TCP."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from axis_messages import BOUNDARY_TYPE, EVENT_UTC_S, HEARTBEAT, post, text
from hypothesis import given
from hypothesis import strategies as st
from push_bench import JPEG, OTHER_JPEG, PushNotebook, receiving

from drivers.lpr_axis import AxisCamera, AxisConfig
from drivers.lpr_axis_codec import read_body, read_message
from drivers.push.jsonstream import OBJECT_LIMIT
from drivers.push.sightings import Alive, Sighting
from lanecontrol.clock import AnchoredClock
from lanecontrol.errors import LinkLost
from lanecontrol.events import (
    DeviceFault,
    Heading,
    Identity,
    PictureTaken,
    PlateRead,
    PlateTrackEnded,
    PlateUnread,
)
from lanecontrol.framing import Doubt

CLEAR = DeviceFault("clock_skew", "", active=False)


def notebook() -> PushNotebook:
    """Its clock starts in the moment of the event."""
    return PushNotebook(clock=AnchoredClock(EVENT_UTC_S))


def plates(notes: PushNotebook) -> list[PlateRead]:
    return [event for event in notes.events if isinstance(event, PlateRead)]


# --- events with pictures over HTTP ----------------------------------------------------------------------------------


async def test_a_post_is_one_read_with_its_picture_and_everything_that_the_camera_tells() -> None:
    async with receiving(AxisCamera, notebook()) as camera:
        assert await camera.post(post(JPEG, carMoveDirection="in"), BOUNDARY_TYPE) == 200
        await camera.quiet()
        (read,) = plates(camera.notes)
        assert (read.text.clear, read.raw.clear, read.jurisdiction, read.track) == ("8ABC123", "8ABC123", "US-CA", "41")
        assert (read.confidence, read.heading, read.box) == (0.913, Heading.FORWARD, (412, 306, 120, 44))
        assert (read.camera_utc_s, read.engine, read.late) == (EVENT_UTC_S, "alpv", False)
        assert camera.notes.kept[read.picture] == JPEG
        assert camera.notes.identities == [Identity(maker="Axis", serial="00408C000001")]
        assert camera.notes.doubts == []


async def test_an_event_that_comes_again_with_another_picture_is_one_read_and_two_pictures() -> None:
    async with receiving(AxisCamera, notebook()) as camera:
        for view, image in (("frame", JPEG), ("vehicle", OTHER_JPEG)):
            body = post(image, imageType=view, packetCounter=view, imagesURI=[view])
            assert await camera.post(body, BOUNDARY_TYPE) == 200
        await camera.quiet()
        (read,) = plates(camera.notes)
        (more,) = camera.notes.of(PictureTaken)
        assert camera.notes.kept[read.picture] == JPEG
        assert camera.notes.kept[more.picture] == OTHER_JPEG
        assert (more.track, more.view) == ("41", "vehicle")


async def test_a_post_that_is_sent_again_adds_nothing() -> None:
    async with receiving(AxisCamera, notebook()) as camera:
        for _ in range(3):
            assert await camera.post(post(JPEG), BOUNDARY_TYPE) == 200
        await camera.quiet()
        assert camera.notes.of(PlateRead, PictureTaken) == plates(camera.notes)[:1]


async def test_new_update_and_lost_are_one_track_whose_last_text_wins() -> None:
    async with receiving(AxisCamera, notebook()) as camera:
        await camera.post(post(plateUTF8="AA7690EQ"), BOUNDARY_TYPE)
        await camera.post(post(plateUTF8="AA7690EQ", carState="update", carMoveDirection="in"), BOUNDARY_TYPE)
        await camera.post(post(plateUTF8="AA7690EO", carState="update", carMoveDirection="in"), BOUNDARY_TYPE)
        await camera.post(post(plateUTF8="AA7690EO", carState="lost", carMoveDirection="in"), BOUNDARY_TYPE)
        await camera.quiet()
        reads = plates(camera.notes)
        assert [read.text.clear for read in reads] == ["AA7690EQ", "AA7690EQ", "AA7690EO"]
        assert [read.heading for read in reads] == [Heading.UNKNOWN, Heading.FORWARD, Heading.FORWARD]
        assert {read.track for read in reads} == {"41"}
        assert camera.notes.events[-1] == PlateTrackEnded("41")


async def test_a_camera_that_never_says_lost_has_its_tracks_ended_by_our_timer() -> None:
    async with receiving(AxisCamera, notebook(), silence_timeout_s=None, track_timeout_s=120.0) as camera:
        await camera.post(post(), BOUNDARY_TYPE)
        await asyncio.sleep(119.5)
        assert camera.notes.of(PlateTrackEnded) == []
        await asyncio.sleep(2.0)
        assert camera.notes.of(PlateTrackEnded) == [PlateTrackEnded("41")]


async def test_a_car_id_that_comes_back_after_its_end_is_another_track() -> None:
    async with receiving(AxisCamera, notebook(), silence_timeout_s=None) as camera:
        await camera.post(post(), BOUNDARY_TYPE)
        await camera.post(post(carState="lost"), BOUNDARY_TYPE)
        await camera.post(post(plateUTF8="7XYZ999", capture_timestamp="1700000030000"), BOUNDARY_TYPE)
        await camera.quiet()
        assert [type(event).__name__ for event in camera.notes.of(PlateRead, PlateTrackEnded)] == [
            "PlateRead",
            "PlateTrackEnded",
            "PlateRead",
        ]


async def test_a_picture_without_a_byte_is_no_picture_and_no_error() -> None:
    async with receiving(AxisCamera, notebook()) as camera:
        await camera.post(post(b""), BOUNDARY_TYPE)
        await camera.quiet()
        assert plates(camera.notes)[0].picture == ""
        assert camera.notes.doubts == []


async def test_a_bare_json_body_is_an_event_too() -> None:
    async with receiving(AxisCamera, notebook()) as camera:
        assert await camera.post(text(), "application/json") == 200
        await camera.quiet()
        assert len(plates(camera.notes)) == 1


async def test_what_nobody_understands_is_answered_200_doubted_and_kept_as_evidence() -> None:
    async with receiving(AxisCamera, notebook()) as camera:
        assert await camera.post(b'{"carID": ', "application/json") == 200
        await camera.quiet()
        ((raw, why),) = camera.notes.doubts
        assert raw == b'{"carID": '
        (reference,) = camera.notes.kept
        assert why == f"an event that is no JSON; kept as {reference}"
        assert camera.notes.kept[reference] == raw
        assert camera.notes.identities == []


# --- plates ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plate", ["", "???", "\u65e5\u672c", "\ud800", "A" * 60])
async def test_a_plate_that_is_none_is_unread_with_its_picture(plate: str) -> None:
    async with receiving(AxisCamera, notebook()) as camera:
        body = post(JPEG, plateUTF8=plate, plateUnicode="", plateText="")
        assert await camera.post(body, BOUNDARY_TYPE) == 200
        await camera.quiet()
        (unread,) = camera.notes.of(PlateUnread)
        assert (unread.track, camera.notes.kept[unread.picture]) == ("41", JPEG)
        assert plates(camera.notes) == []


def sighting(**changes: Any) -> Sighting:
    (found,) = read_body(text(**changes), "application/json")
    assert isinstance(found, Sighting)
    return found


def test_a_plate_with_accents_is_normalised_and_kept_as_it_was() -> None:
    found = sighting(plateUTF8="\u00c1BC 12-3")
    assert (found.text, found.raw) == ("ABC123", "\u00c1BC 12-3")


def test_the_plate_is_taken_from_the_first_of_three_fields_that_has_one() -> None:
    assert sighting(plateUTF8="", plateUnicode="8ABC\\u0031").raw == "8ABC1"
    assert sighting(plateUTF8=None, plateUnicode="", plateText="7X").raw == "7X"


def test_numbers_may_be_numbers_or_strings() -> None:
    changes = {
        "carID": 41,
        "packetCounter": 12,
        "capture_timestamp": 1700000000000,
        "plateConfidence": 0.913,
        "plateCoordinates": [412, 306, 120, 44],
    }
    assert sighting(**changes) == sighting()


def test_a_confidence_above_one_is_per_cent_and_a_wrong_one_is_told() -> None:
    assert sighting(plateConfidence="91.3").confidence == pytest.approx(0.913)
    assert sighting(plateConfidence="high").remarks == ("plateConfidence is no number",)
    assert sighting(plateConfidence="").remarks == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [("capture_ts", "1700000000000000000"), ("frame_timestamp", "1700000000000000")],
)
def test_the_cameras_time_is_taken_from_whichever_field_has_it(field: str, value: str) -> None:
    assert sighting(capture_timestamp="", **{field: value}).camera_utc_s == EVENT_UTC_S


def test_the_box_belongs_to_the_whole_picture_only() -> None:
    assert sighting(imageType="vehicle").box is None
    assert sighting(plateCoordinates="[1, 2, 3, 4]").box == (1, 2, 3, 4)


def test_which_way_in_is_can_be_turned_round() -> None:
    for told, found in (("in", Heading.BACKWARD), ("out", Heading.FORWARD), ("", Heading.UNKNOWN)):
        message = read_message({"carID": "1", "carMoveDirection": told}, inwards=Heading.BACKWARD)
        assert isinstance(message, Sighting)
        assert message.heading is found


def test_a_state_is_told_by_its_code_and_never_by_its_name() -> None:
    assert sighting(**{"plateISO3166-2": ""}).jurisdiction == "US-CA"
    assert sighting(**{"plateISO3166-2": "", "plateRegionCode": ""}).jurisdiction == "US"


def test_a_message_without_a_car_is_a_sign_of_life() -> None:
    assert read_message(HEARTBEAT) == Alive(Identity(maker="Axis", serial="lane-1"))
    assert isinstance(read_message({}), Doubt)


# --- there or not ----------------------------------------------------------------------------------------------------


async def test_a_heartbeat_alone_keeps_a_camera_online_and_silence_beyond_the_limit_ends_that() -> None:
    async with receiving(AxisCamera, notebook()) as camera:
        for _ in range(10):
            await camera.post(json.dumps(HEARTBEAT).encode(), "application/json")
            await asyncio.sleep(30.0)
        assert len(camera.notes.identities) == 1
        assert not camera.session.done()
        await asyncio.sleep(31.0)
        assert camera.session.done()
        assert isinstance(camera.session.exception(), LinkLost)
        assert "60 s" in str(camera.session.exception())


async def test_without_a_limit_silence_says_nothing() -> None:
    async with receiving(AxisCamera, notebook(), silence_timeout_s=None) as camera:
        await camera.post(post(), BOUNDARY_TYPE)
        await asyncio.sleep(86_400)
        assert not camera.session.done()


async def test_a_clock_that_is_an_hour_wrong_is_a_fault_until_it_is_right() -> None:
    async with receiving(AxisCamera, notebook()) as camera:
        await camera.post(post(capture_timestamp="1700003600000"), BOUNDARY_TYPE)
        await camera.post(post(capture_timestamp="1700003600100", carID="42"), BOUNDARY_TYPE)
        await camera.quiet()
        (fault,) = [event for event in camera.notes.of(DeviceFault) if event.code == "clock_skew"]
        assert fault.active
        assert "+3600" in fault.detail
        await camera.post(post(capture_timestamp="1700000001000", carID="43"), BOUNDARY_TYPE)
        await camera.quiet()
        assert camera.notes.of(DeviceFault)[-1] == CLEAR


async def test_an_update_with_the_time_of_the_first_picture_is_no_late_clock() -> None:
    async with receiving(AxisCamera, notebook()) as camera:
        await camera.post(post(), BOUNDARY_TYPE)
        await asyncio.sleep(8.0)
        await camera.post(post(carState="update", carMoveDirection="in"), BOUNDARY_TYPE)
        await camera.post(post(carState="lost"), BOUNDARY_TYPE)
        await camera.quiet()
        assert [fault for fault in camera.notes.of(DeviceFault) if fault.active] == []


# --- JSON over TCP ---------------------------------------------------------------------------------------------------


async def test_over_tcp_an_object_in_pieces_of_one_byte_and_two_in_one_segment_are_all_read() -> None:
    async with receiving(AxisCamera, notebook(), transport="tcp") as camera:
        link = camera.connect()
        raw = text(carID="1")
        for at in range(len(raw)):
            await link.write(raw[at : at + 1])
        await link.write(text(carID="2") + text(carID="3"))
        await camera.quiet()
        assert [read.track for read in plates(camera.notes)] == ["1", "2", "3"]
        assert camera.notes.doubts == []
        await link.close()


async def test_over_tcp_a_cut_object_is_counted_and_the_next_connection_is_clean() -> None:
    async with receiving(AxisCamera, notebook(), transport="tcp") as camera:
        link = camera.connect()
        await link.write(text(carID="1") + text(carID="2")[:100])
        await camera.quiet()
        await link.close()
        again = camera.connect()
        await again.write(text(carID="3"))
        await camera.quiet()
        assert [read.track for read in plates(camera.notes)] == ["1", "3"]
        assert camera.notes.whys == ["the connection ended within an object"]
        assert not camera.session.done()
        await again.close()


async def test_over_tcp_garbage_is_skipped_and_an_endless_object_drops_the_link_alone() -> None:
    async with receiving(AxisCamera, notebook(), transport="tcp") as camera:
        link = camera.connect()
        await link.write(b"garbage{ " + text(carID="1") + b'{"a": "')
        with pytest.raises(LinkLost):
            for _ in range(640):
                await link.write(b"x" * 16_384)
                await asyncio.sleep(0)
        await camera.quiet()
        assert camera.notes.whys == ["bytes outside of any object", f"no end of an object in {OBJECT_LIMIT} bytes"]
        again = camera.connect()
        await again.write(text(carID="2"))
        await camera.quiet()
        assert [read.track for read in plates(camera.notes)] == ["1", "2"]
        await again.close()


async def test_over_tcp_heartbeats_count() -> None:
    async with receiving(AxisCamera, notebook(), transport="tcp") as camera:
        link = camera.connect()
        for _ in range(5):
            await link.write(json.dumps(HEARTBEAT).encode())
            await asyncio.sleep(40.0)
        assert not camera.session.done()
        await link.close()


def test_over_tcp_credentials_are_a_mistake_in_the_lane_file() -> None:
    with pytest.raises(ValueError, match="sends no credentials"):
        AxisConfig(id="a", url="listen://0.0.0.0:1", transport="tcp", username="u", password="p")


def test_a_url_to_connect_to_is_a_mistake_in_the_lane_file() -> None:
    with pytest.raises(ValueError, match="listen://"):
        AxisConfig(id="a", url="tcp://192.0.2.7:80")


# --- stored captures -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        post(JPEG),
        text() + text(carState="lost"),
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(text()) + text(),
    ],
    ids=["body", "stream", "connection"],
)
def test_a_stored_body_stream_or_connection_is_decoded(raw: bytes) -> None:
    first = next(AxisCamera.decode(raw, {}))
    assert isinstance(first, PlateRead)
    assert first.text.clear == "8ABC123"
    assert AxisCamera.summarise(raw, {})["doubts"] == 0
    assert AxisCamera.summarise(raw, {})["sightings"] >= 1


# --- any bytes -------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=300), st.sampled_from([BOUNDARY_TYPE, "application/json", "", "multipart/mixed"]))
def test_no_body_makes_the_codec_fail(body: bytes, content_type: str) -> None:
    assert read_body(body, content_type)


@given(st.integers(0, 2000), st.binary(max_size=4))
def test_no_damage_to_a_body_makes_the_codec_fail(at: int, damage: bytes) -> None:
    whole = post(JPEG)
    assert read_body(whole[:at] + damage + whole[at + 1 :], BOUNDARY_TYPE)


@given(
    st.dictionaries(
        st.sampled_from(
            ["carID", "plateUTF8", "plateCoordinates", "camera_info", "carState", "capture_timestamp", "plateCountry"]
        ),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(st.characters()),
            lambda inner: st.lists(inner, max_size=4),
        ),
    )
)
def test_no_value_of_a_field_makes_the_codec_fail(message: dict[str, Any]) -> None:
    read_message(message, [b"", JPEG, b"x"])
