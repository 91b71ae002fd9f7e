"""The drivers of pushing cameras against the fakes of the same makes, in every variant that those have."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from push_bench import PushNotebook, Receiver, receiving

from drivers.lpr_axis import AxisCamera
from drivers.lpr_mapped import MappedCamera
from lanecontrol.clock import AnchoredClock
from lanecontrol.driver import Driver
from lanecontrol.events import DeviceFault, PictureTaken, PlateRead, PlateTrackEnded, PlateUnread
from lanecontrol.links import LinkOpener
from sim.fake import Fake
from sim.fake import load as load_fake
from sim.readings import PlateGone, PlateView

CARS = 3
UTC_AT_ZERO_S = 1.7e9


async def a_minute(kind: str, driver: type[Driver], fake_settings: dict[str, Any], **settings: Any) -> PushNotebook:
    """Three cars, the third one without a legible plate."""
    notes = PushNotebook(clock=AnchoredClock(UTC_AT_ZERO_S))
    fake_kind = load_fake(kind)
    fake = fake_kind(fake_kind.Config.model_validate({"kind": kind, **fake_settings}), lambda deed: None)
    fake.utc_at_zero_s = UTC_AT_ZERO_S
    async with receiving(driver, notes, **settings) as camera:
        dialling = asyncio.create_task(_dial(fake, camera))
        try:
            await asyncio.sleep(12.0)
            for car in range(CARS):
                text = f"8ABC12{car}" if car < 2 else ""
                fake.sense(PlateView(text, 0.9, "US-CA", f"car-{car}", "in", f"8ABC12{car}", car))
                await asyncio.sleep(5.0)
                fake.sense(PlateGone(f"car-{car}"))
            await asyncio.sleep(40.0)
        finally:
            dialling.cancel()
            await asyncio.wait({dialling})
    return notes


async def _dial(fake: Fake, camera: Receiver) -> None:
    await fake.dial(lambda: LinkOpener(memory=camera.net).open("mem://device"))


def check(notes: PushNotebook) -> None:
    reads = notes.of(PlateRead)
    assert {read.text.clear for read in reads} == {"8ABC120", "8ABC121"}
    assert {read.jurisdiction for read in reads} <= {"US-CA", "US"}
    assert all(read.confidence == pytest.approx(0.9, abs=0.01) for read in reads)
    assert len(notes.of(PlateUnread)) >= 1
    assert notes.doubts == []
    assert len(notes.identities) == 1
    assert [fault for fault in notes.of(DeviceFault) if fault.active] == []


@pytest.mark.parametrize(
    "fake_settings",
    [
        {},
        {"images": ("frame",)},
        {"images": ()},
        {"keep_alive": True},
        {"picture_bytes": 1_500_000, "images": ("frame",)},
        {"direction_after_s": None},
        {"lost_after_s": None},
        {"heartbeat_form": "multipart"},
        {"spelling": "ffg"},
        {"numbers": True},
        {"escapes": True},
        {"transport": "tcp"},
    ],
    ids=str,
)
async def test_an_axis_camera_is_understood_in_every_variant(fake_settings: dict[str, Any]) -> None:
    transport = fake_settings.get("transport", "http")
    notes = await a_minute("lpr.axis", AxisCamera, fake_settings, transport=transport, track_timeout_s=25.0)
    check(notes)
    assert len(notes.of(PlateTrackEnded)) == CARS
    if transport == "http":
        pictures = {event.picture for event in notes.of(PlateRead, PlateUnread, PictureTaken)} - {""}
        assert pictures == set(notes.kept)
        assert (len(pictures) >= CARS) is bool(fake_settings.get("images", True))


async def test_an_axis_camera_with_credentials_is_let_in() -> None:
    login = {"username": "lane", "password": "s3cret"}
    check(await a_minute("lpr.axis", AxisCamera, login, **login))


async def test_an_axis_camera_whose_clock_is_an_hour_wrong_is_a_fault() -> None:
    notes = await a_minute("lpr.axis", AxisCamera, {"clock_offset_s": 3600.0})
    assert [fault.code for fault in notes.of(DeviceFault) if fault.active] == ["clock_skew"]


@pytest.mark.parametrize(
    "fake_settings",
    [
        {},
        {"version": "1.0"},
        {"namespace": "hikvision"},
        {"namespace": "std-cgi"},
        {"prefix": "ns2"},
        {"plate_tag": "plateNumber"},
        {"plate_tag": "plate"},
        {"float_confidence": True},
        {"misspelt": True},
        {"bare": True, "announced_pictures": 0},
        {"filenames": False},
        {"part_lengths": False},
        {"boundary": "----Made-Up_7"},
        {"picture_type": "image/pjpeg"},
        {"picture_type": "application/octet-stream"},
        {"picture_bytes": 1_500_000},
        {"keep_alive": True},
        {"repeats": 3},
        {"utc_offset_min": -480},
        {"id_prefix": "0" * 32},
    ],
    ids=str,
)
async def test_an_isapi_camera_is_understood_in_every_variant(fake_settings: dict[str, Any]) -> None:
    notes = await a_minute("lpr.mapped", MappedCamera, fake_settings, mapping="isapi")
    check(notes)
    assert len(notes.of(PlateRead, PlateUnread)) == CARS
    assert {event.picture for event in notes.of(PlateRead, PlateUnread, PictureTaken)} - {""} == set(notes.kept)


async def test_an_isapi_camera_that_sends_a_dtd_is_refused_and_counted() -> None:
    notes = await a_minute("lpr.mapped", MappedCamera, {"doctype": True}, mapping="isapi")
    assert notes.events == []
    assert notes.doubts
    assert all(why.startswith("XML with a DTD") for why in notes.whys)


async def test_announced_pictures_that_do_not_come_and_empty_ones_are_told_and_cost_nothing() -> None:
    notes = await a_minute("lpr.mapped", MappedCamera, {"announced_pictures": 2, "pictures": ()}, mapping="isapi")
    assert len(notes.of(PlateRead)) == 2
    assert notes.whys == ["2 pictures were announced, 0 came"] * CARS
    notes = await a_minute("lpr.mapped", MappedCamera, {"empty_pictures": True}, mapping="isapi")
    assert len(notes.of(PlateRead)) == 2
    assert notes.kept == {}


async def test_a_webhook_with_fields_that_are_missing_or_wrong_is_read_with_the_rest() -> None:
    check(await a_minute("lpr.mapped", MappedCamera, {"form": "webhook"}, mapping="verkada"))
    broken = {"form": "webhook", "omitted": ["confidence"], "mistyped": ["crop"]}
    notes = await a_minute("lpr.mapped", MappedCamera, broken, mapping="verkada")
    assert {read.text.clear for read in notes.of(PlateRead)} == {"8ABC120", "8ABC121"}
    assert {"//confidence is missing", "//crop is no picture"} == set(notes.whys)
