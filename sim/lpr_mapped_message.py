"""The messages of cameras with a format of their own: the ISAPI event in XML with its variants, and a JSON webhook.

Pure. Written from the ISAPI developer guides, from posts that people captured and from Verkada's webhook page, never
from our driver. Real devices misspell tags, put any namespace, announce pictures that never come: all of that can be
asked for.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal
from xml.sax.saxutils import escape

Maker = Literal["hikvision", "isapi", "std-cgi", "none"]
HOSTS = {"hikvision": "www.hikvision.com", "isapi": "www.isapi.org", "std-cgi": "www.std-cgi.com"}
MISSPELT = {
    "vehicleInfo": "vehileInfo",
    "vehicleRect": "vehicelRect",
    "plateTypeByGAT": "palteTypeByGAT",
    "X": "x",
    "Y": "y",
}
"""Tags as some firmware writes them."""
DOCTYPE = '<!DOCTYPE EventNotificationAlert [<!ENTITY plate "DTD0001">]>\n'

Tree = tuple[tuple[str, Any], ...]
"""Children by their tags, in order: text, or a tree again."""


@dataclass(frozen=True, slots=True)
class Device:
    """What a camera says of itself."""

    address: str
    mac: str
    channel: str
    uuid: str
    utc_offset_min: int = 0

    def moment(self, utc_s: float) -> datetime:
        """By the camera's clock, in its time zone."""
        return datetime.fromtimestamp(utc_s, UTC).astimezone(timezone(timedelta(minutes=self.utc_offset_min)))


@dataclass(frozen=True, slots=True)
class Read:
    """One read, as it will be told."""

    event_id: str
    text: str
    jurisdiction: str
    confidence: float
    direction: str
    utc_s: float


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a firmware writes its XML."""

    version: Literal["2.0", "1.0"] = "2.0"
    namespace: Maker = "isapi"
    prefix: str = ""
    plate_tag: str = "licensePlate"
    unread: str = "unknown"
    float_confidence: bool = False
    misspelt: bool = False
    doctype: bool = False

    def document(self, children: Tree) -> bytes:
        """The whole XML document."""
        tag = f"{self.prefix}:" if self.prefix else ""
        name = f"{tag}EventNotificationAlert"
        space = ""
        if self.namespace != "none":
            address = f"http://{HOSTS[self.namespace]}/ver{self.version.replace('.', '')}/XMLSchema"
            space = f' xmlns{":" + self.prefix if self.prefix else ""}="{address}"'
        head = f'<?xml version="1.0" encoding="UTF-8"?>\n{DOCTYPE if self.doctype else ""}'
        return f'{head}<{name} version="{self.version}"{space}>\n{self._inside(children, tag)}</{name}>\n'.encode()

    def _inside(self, children: Tree, prefix: str) -> str:
        return "".join(self._element(name, value, prefix) for name, value in children)

    def _element(self, name: str, value: Any, prefix: str) -> str:
        tag = prefix + (MISSPELT.get(name, name) if self.misspelt else name)
        if isinstance(value, tuple):
            return f"<{tag}>\n{self._inside(value, prefix)}</{tag}>\n"
        return f"<{tag}>{escape(str(value))}</{tag}>\n"


def isapi_event(read: Read, device: Device, dialect: Dialect, pictures: tuple[str, ...], announced: int) -> bytes:
    """One ANPR event that announces so many pictures, of which those named are told in detail."""
    event: Tree = (
        *_head(device, read.utc_s, "ANPR", "active"),
        ("ANPR", _anpr(read, device, dialect, pictures)),
        ("UUID", read.event_id),
        ("picNum", announced),
        ("deviceUUID", device.uuid),
    )
    return dialect.document(event)


def isapi_heartbeat(device: Device, dialect: Dialect, utc_s: float) -> bytes:
    """The event that says nothing but that the camera lives: `videoloss`, inactive."""
    return dialect.document(_head(device, utc_s, "videoloss", "inactive"))


def _head(device: Device, utc_s: float, kind: str, state: str) -> Tree:
    return (
        ("ipAddress", device.address),
        ("portNo", "80"),
        ("protocol", "HTTP"),
        ("macAddress", device.mac),
        ("channelID", device.channel),
        ("dateTime", device.moment(utc_s).isoformat(timespec="seconds")),
        ("activePostCount", "1"),
        ("eventType", kind),
        ("eventState", state),
        ("eventDescription", f"{kind} alarm" if kind == "videoloss" else kind),
    )


def _anpr(read: Read, device: Device, dialect: Dialect, pictures: tuple[str, ...]) -> Tree:
    country, _, region = read.jurisdiction.partition("-")
    percent = 100.0 * read.confidence
    sure = f"{percent:.1f}" if dialect.float_confidence else f"{percent:.0f}"
    modern: Tree = (("vehicleInfo", (("color", "unknown"), ("vehicleRect", _rect(120, 80, 500, 380)))),)
    return (
        ("country", country),
        ("region", region),
        (dialect.plate_tag, read.text or dialect.unread),
        ("line", "1"),
        ("direction", read.direction),
        ("confidenceLevel", sure),
        ("plateTypeByGAT", "unknown"),
        ("plateColor", "unknown"),
        ("vehicleType", "unknown"),
        ("originalLicensePlate", read.text or dialect.unread),
        ("plateCharBelieve", ",".join([f"{percent:.0f}"] * len(read.text))),
        ("plateRect", _rect(402, 298, 156, 80)),
        *(modern if dialect.version == "2.0" else ()),
        ("pictureInfoList", tuple(("pictureInfo", _about(name, device, read.utc_s)) for name in pictures)),
    )


def _rect(x: int, y: int, width: int, height: int) -> Tree:
    return ("X", x), ("Y", y), ("width", width), ("height", height)


def _about(name: str, device: Device, utc_s: float) -> Tree:
    ms = round(utc_s * 1000) % 1000
    stamp = f"{device.moment(utc_s):%Y%m%d%H%M%S}{ms:03d}"
    return ("fileName", f"{name}.jpg"), ("type", name), ("dataType", "0"), ("absTime", stamp)


# --- webhook ---------------------------------------------------------------------------------------------------------


def webhook(
    read: Read, device: Device, crop: bytes, omitted: tuple[str, ...] = (), mistyped: tuple[str, ...] = ()
) -> bytes:
    """A read as JSON, its picture in base64. Fields can be left out, or come as a list of what they should be."""
    fields: dict[str, Any] = {
        "webhook_id": read.event_id,
        "webhook_type": "lpr",
        "camera_id": device.uuid,
        "created": int(read.utc_s),
        "license_plate_number": read.text,
        "license_plate_state": read.jurisdiction.lower(),
        "confidence": round(read.confidence, 4),
        "crop": base64.b64encode(crop).decode(),
    }
    told = {name: [value] if name in mistyped else value for name, value in fields.items() if name not in omitted}
    return json.dumps(told).encode()


def webhook_heartbeat(device: Device, utc_s: float) -> bytes:
    """A webhook that tells of the camera itself and of no plate."""
    told = {"webhook_type": "camera_status", "camera_id": device.uuid, "created": int(utc_s), "status": "online"}
    return json.dumps(told).encode()
