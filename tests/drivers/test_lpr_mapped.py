"""The mapped driver: ISAPI in all its variants, JSON webhooks, mappings of one's own, and hostile bodies."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from push_bench import JPEG, OTHER_JPEG, PushNotebook, multipart, receiving

from drivers import lpr_mapped_mapping as mappings
from drivers.lpr_mapped import MappedCamera, MappedConfig
from drivers.lpr_mapped_codec import read_body
from drivers.push.sightings import Alive, Found, Sighting
from lanecontrol.clock import AnchoredClock
from lanecontrol.events import Heading, Identity, PictureTaken, PlateRead, PlateUnread
from lanecontrol.framing import Doubt

ISAPI = mappings.load("isapi")
EVENT_UTC_S = 1733122284.0
"""2024-12-02T14:51:24+08:00"""
UUID = "2f6d7a10-1dd2-11b2-8080-e8a0ed000001"
TYPE = "multipart/form-data; boundary=boundary"
XML_TYPE = 'application/xml; charset="UTF-8"'


def xml(
    *,
    plate: str = "8ABC123",
    confidence: str = "93",
    namespace: str = ' xmlns="http://www.isapi.org/ver20/XMLSchema"',
    prefix: str = "",
    version: str = "2.0",
    vehicle: str = "<vehicleInfo><color>white</color></vehicleInfo>",
    uuid: str = UUID,
    pictures: str = "2",
    event: str = "ANPR",
) -> bytes:
    """An alert as the guides describe it."""
    anpr = f"""<ANPR>
<country>USA</country><licensePlate>{plate}</licensePlate><line>1</line><direction>forward</direction>
<confidenceLevel>{confidence}</confidenceLevel>{vehicle}
<plateRect><X>408</X><Y>470</Y><width>149</width><height>31</height></plateRect>
</ANPR>"""
    body = f"""<ipAddress>192.0.2.60</ipAddress><macAddress>02:00:5e:00:00:01</macAddress><channelID>1</channelID>
<dateTime>2024-12-02T14:51:24+08:00</dateTime><activePostCount>80</activePostCount><eventType>{event}</eventType>
<eventState>active</eventState>{anpr if event == "ANPR" else ""}<UUID>{uuid}</UUID><picNum>{pictures}</picNum>"""
    if prefix:
        body = body.replace("</", f"</{prefix}:").replace("<", f"<{prefix}:").replace(f"<{prefix}:/", "</")
    name = f"{prefix}:EventNotificationAlert" if prefix else "EventNotificationAlert"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} version="{version}"{namespace}>{body}</{name}>'.encode()


def part(name: str, content: bytes, kind: str = "image/jpeg", *, filename: bool = True) -> tuple[str, bytes]:
    told = f'; filename="{name}"' if filename else ""
    disposition = f'Content-Disposition: form-data; name="{name}"{told}'
    return f"{disposition}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}", content


def alert(text: bytes, *pictures: tuple[str, bytes], filename: bool = True) -> bytes:
    return multipart([part("anpr.xml", text, XML_TYPE, filename=filename), *pictures])


PICTURES = (part("licensePlatePicture.jpg", JPEG), part("detectionPicture.jpg", OTHER_JPEG))


def found(body: bytes, content_type: str = TYPE, mapping: mappings.Mapping = ISAPI) -> Sighting:
    (one,) = read_body(body, content_type, mapping)
    assert isinstance(one, Sighting)
    return one


def without_pictures(one: Sighting) -> tuple[Any, ...]:
    return (one.text, one.raw, one.confidence, one.jurisdiction, one.heading, one.camera_utc_s, one.track, one.identity)


READ = (
    "8ABC123",
    "8ABC123",
    0.93,
    "US",
    Heading.FORWARD,
    EVENT_UTC_S,
    UUID,
    Identity(maker="Hikvision", serial="02:00:5e:00:00:01"),
)


def notebook() -> PushNotebook:
    return PushNotebook(clock=AnchoredClock(EVENT_UTC_S))


# --- ISAPI and its variants ------------------------------------------------------------------------------------------


def test_an_alert_with_its_pictures_the_scene_first() -> None:
    one = found(alert(xml(), *PICTURES))
    assert without_pictures(one) == READ
    assert [(picture.data, picture.view) for picture in one.pictures] == [(OTHER_JPEG, "scene"), (JPEG, "plate")]
    assert one.box == (408, 470, 149, 31)
    assert one.remarks == ()


@pytest.mark.parametrize("filename", [True, False])
def test_file_names_make_no_difference(filename: bool) -> None:
    pictures = [part("licensePlatePicture.jpg", JPEG, filename=filename)]
    one = found(alert(xml(pictures="1"), *pictures, filename=filename))
    assert without_pictures(one) == READ
    assert [picture.data for picture in one.pictures] == [JPEG]
    assert one.box is None  # it is that of the scene


def test_a_picture_of_more_than_a_mebibyte_comes_through_unchanged() -> None:
    large = b"\xff\xd8" + bytes(range(256)) * 6_000
    assert found(alert(xml(pictures="1"), part("detectionPicture.jpg", large))).pictures[0].data == large


def test_a_picture_without_a_byte_is_no_picture() -> None:
    one = found(alert(xml(pictures="0"), part("licensePlatePicture.jpg", b"", "image/pjpeg")))
    assert one.pictures == ()
    assert one.remarks == ()


@pytest.mark.parametrize("content_type", [XML_TYPE, "text/xml", ""])
def test_bare_xml_is_an_alert(content_type: str) -> None:
    assert without_pictures(found(xml(), content_type)) == READ


@pytest.mark.parametrize(
    "namespace",
    [
        "",
        ' xmlns="http://www.hikvision.com/ver10/XMLSchema"',
        ' xmlns="http://www.hikvision.com/ver20/XMLSchema"',
        ' xmlns="http://www.isapi.org/ver20/XMLSchema"',
        ' xmlns="http://www.std-cgi.com/ver20/XMLSchema"',
    ],
)
def test_the_namespace_makes_no_difference(namespace: str) -> None:
    assert without_pictures(found(xml(namespace=namespace), XML_TYPE)) == READ


@pytest.mark.parametrize("namespace", [' xmlns:ns2="http://www.isapi.org/ver20/XMLSchema"', ""])
def test_a_prefix_makes_no_difference_even_an_undeclared_one(namespace: str) -> None:
    assert without_pictures(found(xml(prefix="ns2", namespace=namespace), XML_TYPE)) == READ


def test_version_1_without_vehicle_info_is_the_same_read() -> None:
    assert without_pictures(found(xml(version="1.0", vehicle=""), XML_TYPE)) == READ


def test_names_that_are_misspelt_or_in_another_case_are_taken() -> None:
    text = xml().replace(b"<X>", b"<x>").replace(b"</X>", b"</x>").replace(b"plateRect", b"PlateRect")
    text = text.replace(b"vehicleInfo", b"vehileInfo").replace(b"licensePlate", b"LicensePlate")
    one = found(alert(text, *PICTURES))
    assert without_pictures(one) == READ
    assert one.box == (408, 470, 149, 31)


@pytest.mark.parametrize("tag", ["plateNumber", "plate", "originalLicensePlate"])
def test_other_names_for_the_plate_are_known(tag: str) -> None:
    assert found(xml().replace(b"licensePlate", tag.encode()), XML_TYPE).text == "8ABC123"


def test_a_confidence_with_decimals_is_per_cent() -> None:
    assert found(xml(confidence="92.5"), XML_TYPE).confidence == pytest.approx(0.925)


async def test_an_unknown_plate_is_unread_with_its_pictures() -> None:
    async with receiving(MappedCamera, notebook(), mapping="isapi") as camera:
        assert await camera.post(alert(xml(plate="unknown"), *PICTURES), TYPE) == 200
        await camera.quiet()
        (unread,) = camera.notes.of(PlateUnread)
        assert camera.notes.kept[unread.picture] == OTHER_JPEG
        assert [camera.notes.kept[more.picture] for more in camera.notes.of(PictureTaken)] == [JPEG]
        assert camera.notes.of(PlateRead) == []


@pytest.mark.parametrize(
    "doctype",
    [
        b"<!DOCTYPE EventNotificationAlert>",
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>',
        b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>',
    ],
)
async def test_xml_with_a_dtd_is_refused_counted_and_kept(doctype: bytes) -> None:
    async with receiving(MappedCamera, notebook(), mapping="isapi") as camera:
        text = xml().replace(b"?>\n", b"?>\n" + doctype)
        assert await camera.post(text, XML_TYPE) == 200
        await camera.quiet()
        assert camera.notes.whys[0].startswith("XML with a DTD; kept as sha256:")
        assert list(camera.notes.kept.values()) == [text]
        assert camera.notes.events == []
        assert camera.notes.identities == []


@pytest.mark.parametrize(
    "picture",
    [
        b"\xff\xd8\r\n\r\n--bound\r\n\x00\xff\xd9",
        b"\xff\xd8\r\n--boundary\r\nContent-Type: text/plain\r\n\r\n\xff\xd9",
        b"\xff\xd8\r\n--boundary--\r\n\xff\xd9",
    ],
)
@pytest.mark.parametrize("kind", ["image/jpeg", "image/pjpeg", "application/octet-stream"])
def test_pictures_that_contain_boundaries_and_nul_come_through_unchanged(picture: bytes, kind: str) -> None:
    one = found(alert(xml(pictures="1"), part("detectionPicture.jpg", picture, kind)))
    assert [image.data for image in one.pictures] == [picture]


def test_two_parts_of_one_name_and_parts_of_unknown_names_are_all_kept() -> None:
    more = [part("detectionPicture.jpg", JPEG), part("pedestrianDetectionPicture.jpg", JPEG + b"x")]
    one = found(alert(xml(), part("detectionPicture.jpg", OTHER_JPEG), *more))
    assert [(picture.data, picture.view) for picture in one.pictures] == [
        (OTHER_JPEG, "scene"),
        (JPEG, "scene"),
        (JPEG + b"x", "pedestrianDetectionPicture"),
    ]


async def test_the_same_uuid_is_one_read_and_uuids_with_one_beginning_are_all_there() -> None:
    async with receiving(MappedCamera, notebook(), mapping="isapi") as camera:
        for uuid in (UUID, UUID, UUID[:-1] + "2", UUID[:-1] + "3", UUID):
            assert await camera.post(alert(xml(uuid=uuid), *PICTURES), TYPE) == 200
        await camera.quiet()
        reads = camera.notes.of(PlateRead)
        assert [read.track for read in reads] == [UUID, UUID[:-1] + "2", UUID[:-1] + "3"]
        assert len(camera.notes.of(PictureTaken)) == 3


async def test_pictures_that_come_with_a_repetition_are_not_lost() -> None:
    async with receiving(MappedCamera, notebook(), mapping="isapi") as camera:
        await camera.post(alert(xml(pictures="0")), TYPE)
        await camera.post(alert(xml(), *PICTURES), TYPE)
        await camera.quiet()
        assert len(camera.notes.of(PlateRead)) == 1
        assert len(camera.notes.of(PictureTaken)) == 2


async def test_pictures_that_were_announced_and_did_not_come_are_a_warning() -> None:
    async with receiving(MappedCamera, notebook(), mapping="isapi") as camera:
        await camera.post(xml(pictures="2"), XML_TYPE)
        await camera.quiet()
        assert len(camera.notes.of(PlateRead)) == 1
        assert camera.notes.whys == ["2 pictures were announced, 0 came"]


@pytest.mark.parametrize("event", ["videoloss", "VMD"])
async def test_other_events_on_the_same_url_are_signs_of_life(event: str) -> None:
    async with receiving(MappedCamera, notebook(), mapping="isapi") as camera:
        await camera.post(xml(event=event, pictures="0"), XML_TYPE)
        await camera.quiet()
        assert camera.notes.identities == [Identity(maker="Hikvision", serial="02:00:5e:00:00:01")]
        assert camera.notes.of(PlateRead, PlateUnread) == []
        assert camera.notes.doubts == []


# --- other makes -----------------------------------------------------------------------------------------------------

WEBHOOK = {
    "webhook_type": "lpr",
    "data": {
        "license_plate_number": "8abc123",
        "confidence": "0.91",
        "license_plate_state": "us-ca",
        "crop": base64.b64encode(JPEG).decode(),
        "camera_id": "c-1",
    },
}


def webhook(**changes: Any) -> bytes:
    return json.dumps({**WEBHOOK, "data": {**WEBHOOK["data"], **changes}}).encode()  # type: ignore[dict-item]


def test_a_json_webhook_with_its_picture_inside() -> None:
    one = found(webhook(), "application/json", mappings.load("verkada"))
    assert (one.text, one.raw, one.confidence, one.jurisdiction) == ("8ABC123", "8abc123", 0.91, "US-CA")
    assert [(picture.data, picture.view) for picture in one.pictures] == [(JPEG, "plate")]
    assert one.remarks == ()


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        ({"confidence": None}, "//confidence is missing"),
        ({"confidence": "high"}, "//confidence is no number"),
        ({"confidence": {"value": 1}}, "//confidence is no number"),
        ({"license_plate_state": ["CA"]}, "//license_plate_state is no text"),
        ({"crop": "not base64!"}, "//crop is no picture"),
        ({"crop": "YWJj"}, "//crop is no picture"),
    ],
)
def test_a_missing_or_wrong_field_costs_only_itself_and_is_told_by_its_path(
    changes: dict[str, Any], remark: str
) -> None:
    one = found(webhook(**changes), "application/json", mappings.load("verkada"))
    assert one.text == "8ABC123"
    assert one.remarks == (remark,)


def test_an_empty_plate_is_an_unread_car_and_no_mistake() -> None:
    one = found(webhook(license_plate_number=""), "application/json", mappings.load("verkada"))
    assert (one.text, one.unread, one.remarks) == ("", "the camera could not read the plate", ())


def test_a_plate_of_the_wrong_type_is_an_unread_car() -> None:
    one = found(webhook(license_plate_number={"text": "x"}), "application/json", mappings.load("verkada"))
    assert (one.text, one.remarks) == ("", ("//license_plate_number is no text",))


def test_an_xml_template_with_a_picture_inside() -> None:
    text = (
        b"<Read><Plate>8ABC123</Plate><State>ca</State><CameraName>north</CameraName><PlateImage>%s</PlateImage></Read>"
    )
    one = found(text % base64.b64encode(JPEG), "text/xml", mappings.load("genetec-sharpv"))
    assert (one.text, one.jurisdiction, one.identity.serial) == ("8ABC123", "CA", "north")
    assert [picture.view for picture in one.pictures] == ["plate"]


def test_a_list_of_events_is_all_of_them() -> None:
    body = json.dumps([{"plate": "8ABC123"}, {"plate": "7XYZ999"}, {"alive": 1}]).encode()
    first, second, third = read_body(body, "application/json", mappings.load("milesight"))
    assert isinstance(first, Sighting)
    assert isinstance(second, Sighting)
    assert (first.text, second.text) == ("8ABC123", "7XYZ999")
    assert isinstance(third, Alive)


OWN = """
match: {content_type: application/json, has: license_plate_number, equals: {kind: LPR}}
map:
  text: license_plate_number
  confidence: {path: [sure, confidence], percent: true}
  state: {path: license_plate_state, strip_prefix: "us-", upper: true}
  country: {constant: us, upper: true}
  direction: {path: way, values: {N: forward, S: backward}}
  time: {path: at, form: ms}
  event: id
  track: car
  box: plate.box
  image: {path: "pictures[1].data", encoding: base64}
"""


async def test_a_mapping_of_ones_own_is_written_in_the_lane_file() -> None:
    from ruamel.yaml import YAML

    message = {
        "kind": "lpr",
        "license_plate_number": "8ABC123",
        "confidence": 91,
        "license_plate_state": "us-ca",
        "way": "s",
        "at": EVENT_UTC_S * 1000,
        "id": 17,
        "car": 4,
        "plate": {"box": [1, 2, 3, 4]},
        "pictures": [{}, {"data": "data:image/jpeg;base64," + base64.b64encode(JPEG).decode()}],
    }
    async with receiving(MappedCamera, notebook(), mapping=YAML(typ="safe").load(OWN)) as camera:
        await camera.post(json.dumps(message).encode(), "application/json")
        await camera.quiet()
        (read,) = camera.notes.of(PlateRead)
        assert camera.notes.doubts == []
        assert (read.text.clear, read.confidence, read.jurisdiction) == ("8ABC123", 0.91, "US-CA")
        assert (read.heading, read.track, read.box) == (Heading.BACKWARD, "4", (1, 2, 3, 4))
        assert (read.camera_utc_s, camera.notes.kept[read.picture]) == (EVENT_UTC_S, JPEG)
        assert read.engine == "mapped:own"


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ("nobody", "there is no mapping 'nobody'"),
        ({"map": {"text": "a..b"}}, "is no path"),
        ({"map": {"text": "a[x]"}}, "is no path"),
        ({"map": {"text": {"upper": True}}}, "a path or a constant"),
        ({"map": {"text": "a", "image": {"view": "x"}}}, "either part or path"),
        ({"map": {}}, "text"),
    ],
)
def test_mistakes_in_a_mapping_are_told(mapping: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MappedConfig(id="a", url="mem://x", mapping=mapping)


def test_every_mapping_that_comes_along_is_good_and_says_for_whom_it_is() -> None:
    assert mappings.shipped() == ("genetec-sharpv", "isapi", "milesight", "verkada")
    for name in mappings.shipped():
        assert mappings.load(name).title


# --- stored captures -------------------------------------------------------------------------------------------------


def test_a_stored_body_is_decoded_with_a_mapping_by_name_or_in_a_file(tmp_path: Any) -> None:
    raw = alert(xml(), *PICTURES)
    (tmp_path / "own.yaml").write_text("map: {text: //licensePlate}", encoding="utf-8")
    for mapping in ("isapi", str(tmp_path / "own.yaml")):
        first = next(MappedCamera.decode(raw, {"mapping": mapping}))
        assert isinstance(first, PlateRead)
        assert first.text.clear == "8ABC123"
    counts = MappedCamera.summarise(raw, {"mapping": "isapi"})
    assert (counts["sightings"], counts["pictures"], counts["doubts"]) == (1, 2, 0)


@pytest.mark.parametrize("settings", [{}, {"mapping": "nobody"}, {"mapping": "nowhere.yaml"}])
def test_decoding_needs_a_mapping_that_exists(settings: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="mapping"):
        MappedCamera.decode(b"{}", settings)


# --- hostile bodies ---------------------------------------------------------------------------------------------------


@given(st.binary(max_size=300), st.sampled_from([TYPE, XML_TYPE, "application/json", ""]))
def test_no_body_makes_the_codec_fail(body: bytes, content_type: str) -> None:
    assert read_body(body, content_type, ISAPI)


@given(st.integers(0, 2500), st.binary(max_size=4), st.booleans())
def test_no_damage_to_a_body_makes_the_codec_fail(at: int, damage: bytes, bare: bool) -> None:
    whole = xml() if bare else alert(xml(), *PICTURES)
    assert _kinds(read_body(whole[:at] + damage + whole[at + 1 :], XML_TYPE if bare else TYPE, ISAPI))


@given(
    st.dictionaries(
        st.sampled_from(["license_plate_number", "confidence", "license_plate_state", "crop", "camera_id"]),
        st.recursive(
            st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        ),
    )
)
def test_no_value_of_a_field_makes_the_codec_fail(changes: dict[str, Any]) -> None:
    assert _kinds(read_body(webhook(**changes), "application/json", mappings.load("verkada")))


def _kinds(items: list[Found]) -> bool:
    return bool(items) and all(isinstance(item, (Sighting, Alive, Doubt)) for item in items)
