"""The fake camera with a format of its own: the ISAPI event with its variants, the webhook, and hostile receivers."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any
from xml.etree import ElementTree

import pytest
from camera_receiver import OK, Posted, Receiver, dialling
from fake_bench import virtual

from lanecontrol.links import Link
from sim.fake import load
from sim.lpr_mapped import FakeMappedCamera, MappedConfig
from sim.lpr_picture import PADDING, camera_picture, padded
from sim.pictures import can_draw, picture
from sim.readings import PlateGone, PlateView

VIEW = PlateView("9ABC123", 0.91, "US-CA", "car-7", "in", "9ABC123", 3)
JPEG = b"\xff\xd8\xff\xe0 a picture\r\n--bound\r\n\0 line ends \xff\xd9"


def draw(view: PlateView, kind: str, least: int) -> bytes:
    return padded(JPEG.replace(b"a picture", kind.encode()), least)


def camera(**config: Any) -> FakeMappedCamera:
    return FakeMappedCamera(MappedConfig(**{"heartbeat_s": None, **config}), lambda deed: None, draw)


async def posts(views: list[PlateView], **config: Any) -> list[Posted]:
    receiver, fake = Receiver(), camera(**config)
    async with receiver.pushed_by(fake):
        for view in views:
            fake.sense(view)
        await asyncio.sleep(3)
    assert fake.tally.dropped == 0
    return receiver.posted


async def one(view: PlateView = VIEW, **config: Any) -> Posted:
    (posted,) = await posts([view], **config)
    return posted


def xml_of(posted: Posted) -> bytes:
    bare = posted.headers["content-type"].startswith("application/xml")
    return posted.body if bare else posted.parts[0][1]


def values(xml: bytes) -> dict[str, str]:
    """Every leaf by its local name; the first of each wins."""
    found: dict[str, str] = {}
    for element in ElementTree.fromstring(xml).iter():
        found.setdefault(element.tag.rpartition("}")[2], (element.text or "").strip())
    return found


# --- ISAPI ---


@virtual
async def test_an_event_is_a_form_of_xml_and_pictures_under_the_literal_boundary() -> None:
    posted = await one()
    assert posted.headers["content-type"] == "multipart/form-data; boundary=boundary"
    (event, xml), (plate, crop), (scene, picture_bytes) = posted.parts
    assert event["content-disposition"] == 'form-data; name="anpr.xml"; filename="anpr.xml"'
    assert event["content-type"] == 'application/xml; charset="UTF-8"'
    assert 'name="licensePlatePicture.jpg"' in plate["content-disposition"]
    assert 'name="detectionPicture.jpg"' in scene["content-disposition"]
    assert (crop, picture_bytes) == (draw(VIEW, "plate", 0), draw(VIEW, "frame", 0))
    assert int(plate["content-length"]) == len(crop)
    told = values(xml)
    assert (told["eventType"], told["licensePlate"], told["confidenceLevel"]) == ("ANPR", "9ABC123", "91")
    assert (told["direction"], told["picNum"], told["dateTime"]) == ("forward", "2", "2026-01-01T08:00:00+00:00")
    assert told["absTime"] == "20260101080000000"


@pytest.mark.parametrize("namespace", ["hikvision", "isapi", "std-cgi", "none"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("prefix", ["", "hik"])
@virtual
async def test_every_namespace_prefix_and_version_says_the_same(namespace: str, version: str, prefix: str) -> None:
    if namespace == "none" and prefix:
        return  # a prefix without a namespace is no XML
    xml = xml_of(await one(bare=True, namespace=namespace, version=version, prefix=prefix))
    root = ElementTree.fromstring(xml)
    assert root.get("version") == version
    assert (b"<hik:EventNotificationAlert" in xml) is bool(prefix)
    assert (b"/ver20/" in xml, b"/ver10/" in xml) == (
        version == "2.0" and namespace != "none",
        version == "1.0" and namespace != "none",
    )
    told = values(xml)
    assert (told["licensePlate"], told["confidenceLevel"]) == ("9ABC123", "91")
    assert ("vehicleInfo" in told) is (version == "2.0")


@virtual
async def test_bare_xml_is_the_whole_body() -> None:
    posted = await one(bare=True)
    assert posted.headers["content-type"] == 'application/xml; charset="UTF-8"'
    assert values(posted.body)["picNum"] == "0"


@virtual
async def test_parts_can_come_without_file_names_and_without_a_length() -> None:
    posted = await one(filenames=False, part_lengths=False)
    assert all("filename" not in headers["content-disposition"] for headers, _ in posted.parts)
    assert all("content-length" not in headers for headers, _ in posted.parts)


@pytest.mark.parametrize("kind", ["image/pjpeg", "application/octet-stream"])
@virtual
async def test_large_pictures_with_line_ends_in_them_arrive_whole(kind: str) -> None:
    posted = await one(picture_bytes=1_500_000, picture_type=kind)
    headers, data = posted.parts[2]
    assert headers["content-type"] == kind
    assert len(data) >= 1_500_000
    assert data.startswith(b"\xff\xd8\xff\xfe")
    assert data.endswith(JPEG[-10:])
    assert PADDING in data


@virtual
async def test_pictures_can_be_empty_announced_and_absent_or_twice_under_one_name() -> None:
    empty = await one(empty_pictures=True)
    assert [data for _, data in empty.parts[1:]] == [b"", b""]
    assert [headers["content-length"] for headers, _ in empty.parts[1:]] == ["0", "0"]
    lies = await one(pictures=[], announced_pictures=2)
    assert (len(lies.parts), values(xml_of(lies))["picNum"]) == (1, "2")
    twins = await one(pictures=["detectionPicture", "detectionPicture"])
    assert twins.parts[1] == twins.parts[2]


@virtual
async def test_tags_can_be_misspelt_plates_unread_and_confidence_have_a_decimal() -> None:
    view = PlateView("", 0.925, "MX-BCN", "car-1", "out")
    xml = xml_of(await one(view, misspelt=True, float_confidence=True))
    assert b"<vehicelRect>" in xml
    assert b"<palteTypeByGAT>" in xml
    assert b"<x>402</x>" in xml
    told = values(xml)
    assert (told["licensePlate"], told["confidenceLevel"], told["direction"]) == ("unknown", "92.5", "reverse")


@virtual
async def test_a_document_type_can_be_asked_for() -> None:
    assert b"<!DOCTYPE" in xml_of(await one(doctype=True))


@virtual
async def test_text_that_xml_reserves_is_escaped() -> None:
    assert values(xml_of(await one(PlateView("<&>", 0.5, "", "car-1"), bare=True)))["licensePlate"] == "<&>"


@virtual
async def test_the_same_event_can_come_twice_and_ids_can_differ_in_their_end_alone() -> None:
    found = await posts([VIEW, VIEW], repeats=2, id_prefix="4a1b-same-")
    ids = [values(xml_of(p))["UUID"] for p in found]
    assert ids == ["4a1b-same-000000000001"] * 2 + ["4a1b-same-000000000002"] * 2
    assert found[0].body == found[1].body
    plain = [values(xml_of(p))["UUID"] for p in await posts([VIEW, VIEW])]
    assert plain[0][:8] != plain[1][:8]


@virtual
async def test_the_time_zone_stands_in_the_stamps_and_the_clock_can_be_wrong() -> None:
    told = values(xml_of(await one(utc_offset_min=-480, clock_offset_s=-3600.0)))
    assert told["dateTime"] == "2025-12-31T23:00:00-08:00"


@virtual
async def test_signs_of_life_are_inactive_videoloss() -> None:
    receiver, fake = Receiver(), camera(heartbeat_s=10.0)
    async with receiver.pushed_by(fake):
        await asyncio.sleep(25)
    assert [p.at_s for p in receiver.posted] == [0.0, 10.0, 20.0]
    told = values(receiver.posted[0].body)
    assert (told["eventType"], told["eventState"]) == ("videoloss", "inactive")
    assert "licensePlate" not in told


# --- webhook ---


@virtual
async def test_the_webhook_carries_its_picture_in_base64_and_a_secret_in_a_header() -> None:
    posted = await one(form="webhook", secret_header="X-Secret", secret="hush", path="/hook")
    assert posted.line == "POST /hook HTTP/1.1"
    assert posted.headers["x-secret"] == "hush"
    told = json.loads(posted.body)
    assert (told["license_plate_number"], told["license_plate_state"], told["confidence"]) == ("9ABC123", "us-ca", 0.91)
    assert base64.b64decode(told["crop"]) == draw(VIEW, "plate", 0)


@virtual
async def test_fields_of_the_webhook_can_be_missing_or_of_another_type() -> None:
    told = json.loads((await one(form="webhook", omitted=["confidence"], mistyped=["license_plate_state"])).body)
    assert "confidence" not in told
    assert told["license_plate_state"] == ["us-ca"]


@virtual
async def test_a_webhook_of_the_camera_itself_names_no_plate() -> None:
    receiver, fake = Receiver(), camera(form="webhook", heartbeat_s=10.0)
    async with receiver.pushed_by(fake):
        await asyncio.sleep(1)
    assert "license_plate_number" not in json.loads(receiver.posted[0].body)


# --- what receivers do ---


@virtual
async def test_an_event_refused_or_answered_late_is_never_posted_again() -> None:
    async def refuse(link: Link) -> None:
        await link.write(b"HTTP/1.1 503 Busy\r\n\r\n")

    async def late(link: Link) -> None:
        await asyncio.sleep(5.5)
        await link.write(OK)

    for answer, counted in ((refuse, (1, 0)), (late, (0, 1))):
        receiver, fake = Receiver(answer=answer), camera()
        async with receiver.pushed_by(fake):
            fake.sense(VIEW)
            await asyncio.sleep(60)
        assert len(receiver.posted) == 1
        assert (fake.tally.refused, fake.tally.late) == counted


@pytest.mark.parametrize("answer", [b"", b"\xff\0" * 50_000, b"HTTP/1.1 200", b"HTTP/1.1 999999\r\n\r\n"])
@virtual
async def test_no_answer_harms_the_camera(answer: bytes) -> None:
    for closes in (True, False):

        async def hostile(link: Link, closes: bool = closes) -> None:
            await link.read()
            await link.write(answer)
            if not closes:
                await asyncio.sleep(3600)

        receiver, fake = Receiver(), camera()
        receiver.net.listen("receiver", hostile)
        async with dialling(fake, receiver.connect):
            fake.sense(VIEW)
            await asyncio.sleep(20)
            assert (fake.tally.delivered, fake.tally.lost + fake.tally.late) == (0, 1)
            receiver.net.unlisten("receiver")
            receiver.open()
            fake.sense(VIEW)
            await asyncio.sleep(1)
            assert (len(receiver.posted), fake.tally.delivered) == (1, 1)
            await receiver.close()


@virtual
async def test_a_receiver_that_reads_nothing_costs_the_event_and_no_more() -> None:
    async def deaf(link: Link) -> None:
        await asyncio.sleep(3600)

    receiver, fake = Receiver(), camera(picture_bytes=1_500_000)
    receiver.net.listen("receiver", deaf)
    async with dialling(fake, receiver.connect):
        fake.sense(VIEW)
        await asyncio.sleep(10)
        receiver.net.unlisten("receiver")
    assert fake.tally.late == 1


@virtual
async def test_cars_that_go_are_not_told() -> None:
    receiver, fake = Receiver(), camera()
    async with receiver.pushed_by(fake):
        fake.sense(PlateGone("car-7"))
        await asyncio.sleep(60)
    assert receiver.posted == []


# --- pictures ---


def test_a_picture_shows_the_plate_that_is_there_and_is_the_same_every_time() -> None:
    pytest.importorskip("cv2")
    misread = PlateView("9ABC128", 0.6, "US-CA", "car-7", "in", "9ABC123", 3)
    assert can_draw()
    drawn = camera_picture(misread, "plate")
    assert drawn == picture("9ABC123", "US-CA", 3, "plate") != picture("9ABC128", "US-CA", 3, "plate")
    assert drawn.startswith(b"\xff\xd8")
    assert drawn.endswith(b"\xff\xd9")


def test_a_padded_picture_is_still_the_same_picture() -> None:
    cv2, numpy = pytest.importorskip("cv2"), pytest.importorskip("numpy")
    drawn = picture("9ABC123", "US-CA", 3, "plate")
    larger = padded(drawn, 200_000)
    assert 200_000 <= len(larger) < 200_010
    assert padded(drawn, 10) == drawn
    first, second = (cv2.imdecode(numpy.frombuffer(data, numpy.uint8), 1) for data in (drawn, larger))
    assert (first == second).all()


def test_without_the_libraries_a_picture_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.pictures.can_draw", lambda: False)
    assert camera_picture(VIEW, "frame", 1_000_000) == b""


def test_the_installed_entry_point_is_this_class() -> None:
    assert load("lpr.mapped") is FakeMappedCamera
