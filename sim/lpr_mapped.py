"""Fake of a camera with a format of its own: ISAPI events over "HTTP listening", or a JSON webhook as Verkada's.

It connects by itself, tries each event once, and what is not answered with 200 within five seconds is gone; integrators
saw both that and repeated posts, so `repeats` can be asked for. Written from the ISAPI developer guides and from posts
that people captured, never from our driver. Every variant that was seen in the field is a setting.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Literal

from pydantic import Field

from sim.lpr_camera import CameraConfig, PushingCamera
from sim.lpr_http import Part, Target, multipart
from sim.lpr_mapped_message import (
    Device,
    Dialect,
    Maker,
    Read,
    isapi_event,
    isapi_heartbeat,
    webhook,
    webhook_heartbeat,
)
from sim.lpr_picture import Draw, camera_picture, drawn_ahead
from sim.lpr_push import Beat, Connect
from sim.readings import Deed, PlateView, Reading

PictureName = Literal[
    "licensePlatePicture", "detectionPicture", "vehiclePicture", "featurePicture", "pedestrianDetectionPicture"
]
VIEWS = {"licensePlatePicture": "plate", "vehiclePicture": "vehicle"}
"""What a picture shows; any other is the scene."""
DIRECTIONS = {"in": "forward", "out": "reverse"}
XML_TYPE = 'application/xml; charset="UTF-8"'


class MappedConfig(CameraConfig):
    """Settings of the camera."""

    kind: Literal["lpr.mapped"] = "lpr.mapped"
    form: Literal["isapi", "webhook"] = "isapi"
    """XML with pictures beside it, or JSON with the picture inside."""
    secret_header: str = ""
    """A header that carries a secret; empty for none."""
    secret: str = ""
    """That secret."""
    utc_offset_min: int = Field(default=0, ge=-14 * 60, le=14 * 60)
    """Its time zone, which stands in its time stamps."""
    again_s: float = Field(default=5.0, gt=0)
    """How soon it tries again with a sign of life that failed."""
    repeats: int = Field(default=1, ge=1, le=10)
    """How often it posts the same event, with the same id."""
    id_prefix: str = Field(default="", pattern=r"^[0-9a-zA-Z-]{0,64}$")
    """Event ids that differ only in the twelve digits behind this; empty for ids that have nothing in common."""

    version: Literal["2.0", "1.0"] = "2.0"
    """ISAPI: version of the event; 1.0 has no `vehicleInfo`."""
    namespace: Maker = "isapi"
    """ISAPI: whose namespace."""
    prefix: str = Field(default="", pattern=r"^([A-Za-z_][A-Za-z0-9_-]{0,15})?$")
    """ISAPI: prefix of every tag, as when a recorder forwards the event."""
    plate_tag: Literal["licensePlate", "plateNumber", "plate"] = "licensePlate"
    """ISAPI: the tag that the plate stands in."""
    unread: str = "unknown"
    """ISAPI: what stands for a plate that it could not read."""
    float_confidence: bool = False
    """ISAPI: confidence with a decimal."""
    misspelt: bool = False
    """ISAPI: tags misspelt and in other letters, as some firmware has them."""
    doctype: bool = False
    """ISAPI: with a document type and an entity, which a receiver must refuse."""
    bare: bool = False
    """ISAPI: the XML alone is the body; no pictures."""
    filenames: bool = True
    """ISAPI: parts have file names."""
    part_lengths: bool = True
    """ISAPI: parts tell their length."""
    boundary: str = Field(default="boundary", pattern=r"^[A-Za-z0-9'()+_,./:=?-]{1,70}$")
    """ISAPI: the boundary; devices really use this word."""
    pictures: tuple[PictureName, ...] = ("licensePlatePicture", "detectionPicture")
    """ISAPI: which pictures it sends; a name may stand twice."""
    announced_pictures: int | None = Field(default=None, ge=0)
    """ISAPI: `picNum`, if it is not the truth."""
    picture_type: Literal["image/jpeg", "image/pjpeg", "application/octet-stream"] = "image/jpeg"
    """ISAPI: content type of a picture."""
    empty_pictures: bool = False
    """Every picture has no bytes."""

    omitted: tuple[str, ...] = ()
    """Webhook: fields that are left out."""
    mistyped: tuple[str, ...] = ()
    """Webhook: fields that come as a list of what they should be."""

    mac: str = "44:47:cc:00:00:01"
    """MAC address."""
    address: str = "192.0.2.52"
    """The camera's own address, as it says."""
    channel: str = "1"
    """Channel."""
    device_uuid: str = "5a3c1a00-0000-4000-8000-000000000001"
    """The device's own id."""


class FakeMappedCamera(PushingCamera):
    """The camera. `tally` tells what became of its messages."""

    Config = MappedConfig
    config: MappedConfig

    def __init__(self, config: MappedConfig, act: Callable[[Deed], None], draw: Draw = camera_picture) -> None:
        super().__init__(config, act, draw)
        self._device = Device(config.address, config.mac, config.channel, config.device_uuid, config.utc_offset_min)
        self._dialect = Dialect(
            config.version,
            config.namespace,
            config.prefix,
            config.plate_tag,
            config.unread,
            config.float_confidence,
            config.misspelt,
            config.doctype,
        )
        self._events = 0

    # --- the world's side --------------------------------------------------------------------------------------------

    def sense(self, reading: Reading) -> None:
        match reading:
            case PlateView():
                self._seen(reading)
            case _:
                pass  # a camera has no sensor for it, and this one does not tell of cars that go

    def _seen(self, view: PlateView) -> None:
        self._events += 1
        direction = DIRECTIONS.get(view.heading, "unknown")
        event_id = self._event_id(self._events)
        read = Read(event_id, view.text, view.jurisdiction, view.confidence, direction, self._utc_s())
        for _ in range(self.config.repeats):
            self._waiting.put(lambda: self._request(read, view), lambda: drawn_ahead(view, *self._kinds()))

    def _event_id(self, number: int) -> str:
        if self.config.id_prefix:
            return f"{self.config.id_prefix}{number:012d}"
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.config.device_uuid}/{number}"))

    # --- what is sent ------------------------------------------------------------------------------------------------

    def _request(self, read: Read, view: PlateView) -> bytes:
        config, target = self.config, self._target()
        if config.form == "webhook":
            crop = self._picture(view, "licensePlatePicture")
            return target.post("application/json", webhook(read, self._device, crop, config.omitted, config.mistyped))
        pictures = () if config.bare else config.pictures
        announced = len(pictures) if config.announced_pictures is None else config.announced_pictures
        xml = isapi_event(read, self._device, self._dialect, pictures, announced)
        if config.bare:
            return target.post(XML_TYPE, xml)
        parts = [self._part("anpr.xml", XML_TYPE, xml)]
        parts += [self._part(f"{name}.jpg", config.picture_type, self._picture(view, name)) for name in pictures]
        return target.post(f"multipart/form-data; boundary={config.boundary}", multipart(parts, config.boundary))

    def _kinds(self) -> tuple[str, ...]:
        """Which pictures will be drawn for an event."""
        if self.config.empty_pictures or (self.config.bare and self.config.form != "webhook"):
            return ()
        names = ("licensePlatePicture",) if self.config.form == "webhook" else self.config.pictures
        return tuple(VIEWS.get(name, "frame") for name in names)

    def _part(self, name: str, content_type: str, body: bytes) -> Part:
        return Part(name, content_type, body, name if self.config.filenames else "", self.config.part_lengths)

    def _picture(self, view: PlateView, name: str) -> bytes:
        if self.config.empty_pictures:
            return b""
        return self._draw(view, VIEWS.get(name, "frame"), self.config.picture_bytes)

    def _heartbeat(self) -> bytes:
        if self.config.form == "webhook":
            return self._target().post("application/json", webhook_heartbeat(self._device, self._utc_s()))
        return self._target().post(XML_TYPE, isapi_heartbeat(self._device, self._dialect, self._utc_s()))

    def _target(self) -> Target:
        config = self.config
        header = config.secret_header, config.secret
        return Target(config.path, "receiver", config.username, config.password, header, config.keep_alive)

    # --- the receiver's side -----------------------------------------------------------------------------------------

    async def dial(self, connect: Connect) -> None:
        await self._http_push().run(connect, Beat(self.config.heartbeat_s, self.config.again_s, self._heartbeat))
