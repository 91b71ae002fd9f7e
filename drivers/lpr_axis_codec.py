"""Messages of AXIS License Plate Verifier and CAMMRA AI (`fflprapp`): bytes in, sightings out. Pure, never raises.

Called by the driver `lpr.axis`. Field names are those of the maker's push events (VAPIX, License plate verifier API)
and of the application's sample messages. Every number may be a string there, and every field may be missing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from drivers.push import values
from drivers.push.jsonstream import loads
from drivers.push.multipart import Part, boundary_of, media_type, split
from drivers.push.sightings import Alive, Found, Picture, Sighting
from lanecontrol.events import Heading, Identity
from lanecontrol.framing import DOUBT_LIMIT, Doubt

ENGINE = "alpv"

_PLATES = ("plateUTF8", "plateUnicode", "plateText")
_TIMES: tuple[tuple[str, Callable[[Any], float | None]], ...] = (
    ("capture_timestamp", lambda value: values.epoch(value, 1e3)),
    ("capture_ts", lambda value: values.epoch(value, 1e9)),
    ("frame_timestamp", lambda value: values.epoch(value, 1e6)),
)
_WHOLE_PICTURES = ("", "frame")
"""Kinds of picture in which the plate's coordinates are those of the picture."""


def read_body(body: bytes, content_type: str, inwards: Heading = Heading.FORWARD) -> list[Found]:
    """What is in a body: multipart with the parts `event` and `image`, or bare JSON."""
    if not body:
        return [Doubt(b"", "an empty body")]
    if media_type(content_type).startswith("multipart/") or body[:64].lstrip().startswith(b"--"):
        return _read_parts(body, content_type, inwards)
    return [_read_text(body, (), inwards)]


def _read_parts(body: bytes, content_type: str, inwards: Heading) -> list[Found]:
    found = split(body, boundary_of(content_type))
    told: list[Found] = [Doubt(body[:DOUBT_LIMIT], remark) for remark in found.remarks]
    events = [part for part in found.parts if _is_event(part)]
    if not events:
        return [*told, Doubt(body[:DOUBT_LIMIT], "no part of the body is an event")]
    images = [part.body for part in found.parts if part not in events and part.body]
    return [*told, *(_read_text(part.body, images, inwards) for part in events)]


def _is_event(part: Part) -> bool:
    return part.name == "event" or media_type(part.content_type).endswith("json")


def _read_text(text: bytes, images: Sequence[bytes], inwards: Heading) -> Found:
    try:
        message = loads(text)
    except ValueError:
        return Doubt(text[:DOUBT_LIMIT], "an event that is no JSON")
    if not isinstance(message, dict):
        return Doubt(text[:DOUBT_LIMIT], "an event that is no JSON object")
    return read_message(message, images, inwards)


def read_message(message: Mapping[str, Any], images: Sequence[bytes] = (), inwards: Heading = Heading.FORWARD) -> Found:
    """One JSON object: an event, or a heartbeat with whatever fields were chosen for it."""
    if not message:
        return Doubt(b"{}", "an empty message")
    if "carID" not in message and not any(name in message for name in _PLATES):
        return Alive(_identity(message), _camera_utc_s(message))
    return _sighting(message, images, inwards)


def _sighting(message: Mapping[str, Any], images: Sequence[bytes], inwards: Heading) -> Sighting:
    view = values.text(message.get("imageType"), 32)
    pictures = tuple(Picture(data, kind, view) for data in images if (kind := values.picture_type(data)))
    raw = _raw_plate(message)
    text = values.plate(raw)
    track = values.text(message.get("carID"), 64)
    state = values.text(message.get("carState"), 16).lower()
    confidence, remark = _confidence(message)
    return Sighting(
        key=_key(message),
        track=track,
        text=text,
        raw=raw,
        confidence=confidence,
        jurisdiction=_jurisdiction(message),
        heading=_heading(message.get("carMoveDirection"), inwards),
        box=_box(message.get("plateCoordinates")) if view in _WHOLE_PICTURES else None,
        camera_utc_s=_camera_utc_s(message),
        pictures=pictures,
        unread="" if text else _why_unread(raw),
        gone=state == "lost",
        at_once=state in ("", "new"),
        identity=_identity(message),
        remarks=(*remark, *(["a picture that is none"] if len(pictures) < len(images) else [])),
    )


# --- single fields ---------------------------------------------------------------------------------------------------

_SAME = (
    "carID",
    "carState",
    "carMoveDirection",
    "capture_timestamp",
    "capture_ts",
    *_PLATES,
    "plateConfidence",
    "plateCountry",
    "plateRegionCode",
)


def _key(message: Mapping[str, Any]) -> bytes:
    """What is the same in all posts of one event, which is sent once for each of its pictures.

    The packet's number is not among it unless there is no time: nothing says that it counts events and not posts.
    Two events that agree in all of this would make the same report. Hashed whole, to be kept by the thousand.
    """
    same = {name: values.text(message.get(name)) for name in _SAME}
    if _camera_utc_s(message) is None:
        same["packetCounter"] = values.text(message.get("packetCounter"))
    same["camera"] = _identity(message).serial
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).digest()


def _raw_plate(message: Mapping[str, Any]) -> str:
    """The plate as it was written. Only the second of the three fields is seen with its escapes written out."""
    for name in _PLATES:
        if found := values.text(message.get(name), 64):
            return values.unescaped(found) if name == "plateUnicode" else found
    return ""


def _why_unread(raw: str) -> str:
    return "the plate has nothing of A-Z and 0-9, or too much" if raw else "the camera read no plate"


def _confidence(message: Mapping[str, Any]) -> tuple[float, tuple[str, ...]]:
    told = message.get("plateConfidence")
    found = values.share(told)
    if found is None:
        return 0.0, () if told in (None, "") else ("plateConfidence is no number",)
    return found, ()


def _jurisdiction(message: Mapping[str, Any]) -> str:
    """The state may be told by a code or by its name: a name is left out, it would make no code."""
    whole, country, code = (
        values.text(message.get(name), 16) for name in ("plateISO3166-2", "plateCountry", "plateRegionCode")
    )
    region = values.text(message.get("plateRegion"), 16)
    return values.jurisdiction(country, code or (region if len(region) <= 3 else ""), whole)


def _heading(told: Any, inwards: Heading) -> Heading:
    match values.text(told, 16).lower():
        case "in":
            return inwards
        case "out":
            return Heading.BACKWARD if inwards is Heading.FORWARD else Heading.FORWARD
        case _:
            return Heading.UNKNOWN


def _box(told: Any) -> tuple[int, int, int, int] | None:
    if isinstance(told, str):
        told = told.strip("[] ").split(",")
    return values.box(told) if isinstance(told, list) else None


def _camera_utc_s(message: Mapping[str, Any]) -> float | None:
    """The first time that makes sense. `datetime` carries no offset and is left out: it would be no clock to go by."""
    return next((found for name, read in _TIMES if (found := read(message.get(name))) is not None), None)


def _identity(message: Mapping[str, Any]) -> Identity:
    camera = message.get("camera_info")
    serial = values.text(camera.get("SerialNumber"), 64) if isinstance(camera, Mapping) else ""
    return Identity(maker="Axis", serial=serial or values.text(message.get("sensorProviderID"), 64))
