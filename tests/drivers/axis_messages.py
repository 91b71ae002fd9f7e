"""Messages of Axis cameras as the maker's page describes them, written by hand."""

from __future__ import annotations

import json
from typing import Any

from push_bench import multipart

BOUNDARY_TYPE = "multipart/form-data; boundary=boundary"

EVENT: dict[str, Any] = {
    "packetCounter": "12",
    "datetime": "20231114 221320000",
    "capture_timestamp": "1700000000000",
    "plateText": "8ABC123",
    "plateUnicode": "8ABC123",
    "plateUTF8": "8ABC123",
    "plateCountry": "USA",
    "plateRegion": "California",
    "plateRegionCode": "CA",
    "plateISO3166-2": "US-CA",
    "plateConfidence": "0.913",
    "plateCoordinates": ["412", "306", "120", "44"],
    "carMoveDirection": "unknown",
    "carID": "41",
    "carState": "new",
    "imageType": "frame",
    "plateImageSize": "0",
    "imagesURI": ["/local/fflprapp/tools.cgi?img=1"],
    "sensorProviderID": "lane-1",
    "camera_info": {"SerialNumber": "00408C000001", "MACAddress": ""},
    "vehicle_info": {"type": "car", "brand": "unknown", "confidenceMMR": "96.657967"},
}
HEARTBEAT = {"datetime": "20231114 221320000", "sensorProviderID": "lane-1"}
EVENT_UTC_S = 1_700_000_000.0


def text(**changes: Any) -> bytes:
    return json.dumps({**EVENT, **changes}).encode()


def post(image: bytes | None = None, **changes: Any) -> bytes:
    """The body of one post; `image=b""` is a picture without a byte, None no such part."""
    parts = [
        (
            'Content-Disposition: form-data; name="event"; filename="e.json"\r\nContent-Type: application/json',
            text(**changes),
        )
    ]
    if image is not None:
        parts.append(
            ('Content-Disposition: form-data; name="image"; filename="i.jpg"\r\nContent-Type: image/jpeg', image)
        )
    return multipart(parts)
