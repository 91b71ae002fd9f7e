"""The messages of the Axis License Plate Verifier and of CAMMRA AI: JSON with the members of FFG's protocol 1.6.

Pure. Written from the maker's table of fields and its sample messages, never from our driver. In the samples every
value is text, numbers too; `numbers` gives those that the table calls numbers as such.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

ALPHA_3 = {"US": "USA", "MX": "MEX", "CA": "CAN"}
"""ISO 3166-1: the code of three letters, by that of two."""
NUMBERS = frozenset(
    {
        "packetCounter",
        "capture_timestamp",
        "capture_ts",
        "frame_timestamp",
        "plateConfidence",
        "plateImageSize",
        "timeProcessing",
        "carID",
        "roiID",
    }
)
"""Members that the table of fields calls numbers."""
PLATE_BOX = ("402", "298", "156", "80")
"""Left, top, width, height. The pictures are not drawn by this table; where the plate is in them is not known here."""


@dataclass(frozen=True, slots=True)
class Camera:
    """What a camera says of itself in every message."""

    sensor: str
    serial: str
    model: str
    mac: str
    address: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a camera tells of one car at one moment."""

    state: str
    car_id: int
    text: str
    jurisdiction: str
    confidence: float
    direction: str
    utc_s: float


@dataclass(frozen=True, slots=True)
class Writing:
    """How values are written: numbers as numbers, and letters beyond ASCII or all of them as escapes."""

    numbers: bool = False
    escapes: bool = False

    def text(self, members: dict[str, Any]) -> bytes:
        """The JSON object."""
        pieces = [f"{_quoted(name)}:{self._value(name, value)}" for name, value in members.items()]
        return ("{" + ",".join(pieces) + "}").encode()

    def _value(self, name: str, value: Any) -> str:
        if name == "plateText" or (self.escapes and name in ("plateUTF8", "plateUnicode")):
            return escaped(str(value))
        if self.numbers and name in NUMBERS:
            return str(value)
        if self.numbers and name == "plateCoordinates":
            return json.dumps([int(number) for number in value])
        return json.dumps(value, ensure_ascii=False)


def escaped(text: str) -> str:
    """A JSON string in which every sign is an escape, as the table of fields shows `plateText`."""
    units = text.encode("utf-16-be", "surrogatepass")
    return '"' + "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2)) + '"'


def plate_event(packet: int, sighting: Sighting, camera: Camera, uptime_s: float, image: str = "") -> dict[str, Any]:
    """One event; `image` is the kind of the picture that comes with it, empty for none."""
    country, _, region = sighting.jurisdiction.partition("-")
    return {
        "packetCounter": str(packet),
        **_times(sighting.utc_s, uptime_s),
        "plateUTF8": sighting.text,
        "plateUnicode": sighting.text,
        "plateText": sighting.text,
        "plateCountry": ALPHA_3.get(country, ""),
        "plateRegion": region,
        "plateRegionCode": region,
        "plateISO3166-2": sighting.jurisdiction if region else "",
        "plateConfidence": f"{sighting.confidence:.6f}",
        "carState": sighting.state,
        "roiID": "1",
        "geotag": {"lat": "0.000000", "lon": "0.000000"},
        **({"imageType": image, "plateImageType": "jpeg"} if image else {}),
        "plateImageSize": "0",
        "carMoveDirection": sighting.direction,
        "timeProcessing": "0",
        "plateCoordinates": list(PLATE_BOX),
        "carID": str(sighting.car_id),
        **_camera(camera),
        "vehicle_info": {"type": "", "brand": "", "model": "", "color": "", "view": "", "confidenceMMR": "0.000000"},
        "imagesURI": [],
    }


def heartbeat(packet: int, camera: Camera, utc_s: float, uptime_s: float) -> dict[str, Any]:
    """A sign of life. Which fields it has is chosen on the camera; these are enough to know who is alive, and when."""
    return {"packetCounter": str(packet), **_times(utc_s, uptime_s), **_camera(camera)}


def _times(utc_s: float, uptime_s: float) -> dict[str, str]:
    """Milliseconds, nanoseconds and text for the same moment; the frame's time is microseconds since power-on."""
    ms = round(utc_s * 1000)
    moment = datetime.fromtimestamp(ms // 1000, UTC)
    return {
        "datetime": f"{moment:%Y%m%d %H%M%S}{ms % 1000:03d}",
        "capture_timestamp": str(ms),
        "capture_ts": str(ms * 1_000_000),
        "frame_timestamp": str(round(uptime_s * 1e6)),
    }


def _camera(camera: Camera) -> dict[str, Any]:
    return {
        "sensorProviderID": camera.sensor,
        "camera_info": {
            "SerialNumber": camera.serial,
            "ProdShortName": camera.model,
            "MACAddress": camera.mac,
            "IPAddress": camera.address,
        },
    }


def _quoted(name: str) -> str:
    return json.dumps(name)
