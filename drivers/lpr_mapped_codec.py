"""A push of any make, read as its mapping says: bytes in, sightings out. Pure, never raises.

Called by the driver `lpr.mapped`. What is missing or of the wrong type is left out and told by its path; the rest of
the event is read all the same.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping as AnyMapping
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from drivers.lpr_mapped_document import Document, Path, Refused, read_json, read_xml
from drivers.lpr_mapped_mapping import Box, Image, Mapping, Source, Time
from drivers.push import values
from drivers.push.multipart import Part, boundary_of, media_type, split
from drivers.push.sightings import Alive, Found, Picture, Sighting
from lanecontrol.events import Heading, Identity
from lanecontrol.framing import DOUBT_LIMIT, Doubt

_PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
_BLANKS = b"\xef\xbb\xbf \t\r\n"

path_of = lru_cache(maxsize=1024)(Path.of)
"""Paths come from the configuration: there are not many."""


def read_body(body: bytes, content_type: str, mapping: Mapping) -> list[Found]:
    """What is in a body: multipart, bare JSON or bare XML."""
    if not body:
        return [Doubt(b"", "an empty body")]
    if media_type(content_type).startswith("multipart/") or body[:64].lstrip().startswith(b"--"):
        found = split(body, boundary_of(content_type))
        told: list[Found] = [Doubt(body[:DOUBT_LIMIT], remark) for remark in found.remarks]
        return told + _read_parts(found.parts, body, mapping)
    return _read_text(Part("", "", media_type(content_type), body), (), mapping)


def _read_parts(parts: Sequence[Part], body: bytes, mapping: Mapping) -> list[Found]:
    texts = [part for part in parts if _form(part.body)]
    if not texts:
        return [Doubt(body[:DOUBT_LIMIT], "no part of the body is JSON or XML")]
    # Empty parts stay: a picture without a byte is no picture, and no error.
    others = [part for part in parts if not _form(part.body)]
    return [item for part in texts for item in _read_text(part, others, mapping)]


def _form(text: bytes) -> str:
    match text[:64].lstrip(_BLANKS)[:1]:
        case b"{" | b"[":
            return "json"
        case b"<":
            return "xml"
        case _:
            return ""


def _read_text(part: Part, others: Sequence[Part], mapping: Mapping) -> list[Found]:
    try:
        if _form(part.body) == "xml":
            documents = [read_xml(part.body, ignore_case=mapping.ignore_case)]
        else:
            documents = read_json(part.body, ignore_case=mapping.ignore_case)
    except Refused as refused:
        return [Doubt(part.body[:DOUBT_LIMIT], str(refused))]
    return [_read_document(document, part, others, mapping) for document in documents]


def _read_document(document: Document, part: Part, others: Sequence[Part], mapping: Mapping) -> Found:
    read = _Reading(document, mapping)
    if not _is_event(document, part.content_type, mapping):
        return Alive(read.identity(quiet=True))
    return read.sighting(part.body, others)


def _is_event(document: Document, content_type: str, mapping: Mapping) -> bool:
    match = mapping.match
    if match.content_type and content_type and content_type != match.content_type.lower():
        return False
    if match.root and document.root.casefold() != match.root.casefold():
        return False
    if match.has and all(document.find(path_of(path)) is None for path in match.has):
        return False
    return all(
        values.text(document.find(path_of(path))).casefold() == wanted.casefold()
        for path, wanted in match.equals.items()
    )


class _Reading:
    """One event. Gathers remarks on the way."""

    def __init__(self, document: Document, mapping: Mapping) -> None:
        self._document = document
        self._mapping = mapping
        self._remarks: list[str] = []

    def sighting(self, text: bytes, others: Sequence[Part]) -> Sighting:
        fields = self._mapping.map
        raw = self._text(fields.text)
        plate = "" if self._stands_for_none(raw) else values.plate(raw)
        identity = self.identity()
        event = self._text(fields.event)
        track = self._text(fields.track)
        pictures, whole = self._pictures(others)
        return Sighting(
            key=(identity.serial, _digest(event.encode() if event else text)),
            track=track or event,
            text=plate,
            raw=raw,
            confidence=self._confidence(fields.confidence),
            jurisdiction=values.jurisdiction(self._text(fields.country), self._text(fields.state)),
            heading=self._heading(fields.direction),
            box=self._box(fields.box) if whole else None,
            camera_utc_s=self._time(fields.time),
            pictures=pictures,
            unread="" if plate else "the camera could not read the plate",
            identity=identity,
            remarks=tuple(self._remarks),
        )

    def identity(self, *, quiet: bool = False) -> Identity:
        fields = self._mapping.map
        told = Identity(self._mapping.maker, self._text(fields.model), self._text(fields.camera))
        if quiet:
            self._remarks.clear()
        return told

    # --- single fields -----------------------------------------------------------------------------------------------

    def _value(self, source: Source) -> tuple[Any, str]:
        """The value and where it was found; None where there is none, which is remarked on unless it may be so.

        An empty text is no value either, and no mistake: cameras write a plate that they could not read so.
        """
        empty = source.optional
        for path in source.path:
            found = self._document.find(path_of(path))
            if found is not None and found != "":
                return found, path
            empty |= found == ""
        if source.constant:
            return source.constant, ""
        if not empty:
            self._remarks.append(f"{source.path[0]} is missing")
        return None, ""

    def _text(self, source: Source | None) -> str:
        if source is None:
            return ""
        value, path = self._value(source)
        if value is None:
            return ""
        found = values.text(value)
        if not found:
            self._remarks.append(f"{path} is no text")
        if source.strip_prefix and found.casefold().startswith(source.strip_prefix.casefold()):
            found = found[len(source.strip_prefix) :]
        if source.values:
            found = _looked_up(found, source.values)
        return found.upper() if source.upper else found

    def _stands_for_none(self, raw: str) -> bool:
        return raw.casefold() in map(str.casefold, self._mapping.unread)

    def _confidence(self, source: Source | None) -> float:
        if source is None:
            return 0.0
        value, path = self._value(source)
        found = values.share(value, percent=source.percent)
        if found is None and value is not None:
            self._remarks.append(f"{path} is no number")
        return found or 0.0

    def _heading(self, source: Source | None) -> Heading:
        try:
            return Heading(self._text(source).lower())
        except ValueError:
            return Heading.UNKNOWN

    def _time(self, source: Time | None) -> float | None:
        if source is None:
            return None
        value, path = self._value(source)
        if value is None:
            return None
        per_second = _PER_SECOND.get(source.form)
        found = values.epoch(value, per_second) if per_second else values.iso_time(value)
        if found is None:
            self._remarks.append(f"{path} is no time")
        return found

    def _box(self, source: Box | None) -> tuple[int, int, int, int] | None:
        """A plate's place is a nicety: where it is missing nothing is said."""
        if source is None:
            return None
        if source.path:
            told = self._first(source.path)
            return values.box(told) if isinstance(told, list) else None
        return values.box([self._first(paths) for paths in (source.x, source.y, source.width, source.height)])

    def _first(self, paths: Sequence[str]) -> Any:
        return next((found for path in paths if (found := self._document.find(path_of(path))) is not None), None)

    # --- pictures ----------------------------------------------------------------------------------------------------

    def _pictures(self, others: Sequence[Part]) -> tuple[tuple[Picture, ...], bool]:
        """Those of the mapping in its order, then whatever else came; whether the first one is the mapping's first."""
        images = self._mapping.map.image
        named = [self._those_of(image, others) for image in images]
        taken = [part for part in others if any(_is_named(part, image) for image in images)]
        rest = [picture for part in others if part not in taken if (picture := _picture(part, _stem(part)))]
        pictures = [picture for found in named for picture in found] + rest
        self._count(len(pictures))
        return tuple(pictures), bool(named and named[0])

    def _those_of(self, image: Image, others: Sequence[Part]) -> list[Picture]:
        if not image.part:
            return self._inside(image)
        return [picture for part in others if _is_named(part, image) if (picture := _picture(part, image.view))]

    def _inside(self, image: Image) -> list[Picture]:
        told = self._first(image.path)
        if told in (None, ""):
            return []
        try:
            text = told if isinstance(told, str) else "?"
            data = base64.b64decode(text[text.find(",") + 1 :] if text.startswith("data:") else text)
        except (binascii.Error, ValueError):
            data = b""
        if kind := values.picture_type(data):
            return [Picture(data, kind, image.view)]
        self._remarks.append(f"{image.path[0]} is no picture")
        return []

    def _count(self, came: int) -> None:
        source = self._mapping.map.picture_count
        announced = values.number(self._value(source)[0]) if source else None
        if announced is not None and announced > came:
            self._remarks.append(f"{announced:g} pictures were announced, {came} came")


def _looked_up(word: str, words: AnyMapping[str, str]) -> str:
    return next((meaning for known, meaning in words.items() if known.casefold() == word.casefold()), "")


def _digest(event: bytes) -> bytes:
    """All of an id or text, to be kept by the thousand. Ids that differ only at their end are different."""
    return hashlib.sha256(event).digest()


def _picture(part: Part, view: str) -> Picture | None:
    kind = values.picture_type(part.body, part.content_type)
    return Picture(part.body, kind, view) if kind else None


def _is_named(part: Part, image: Image) -> bool:
    wanted = _without_ending(image.part)
    return bool(wanted) and wanted in (_without_ending(part.name), _without_ending(part.filename))


def _without_ending(name: str) -> str:
    return name.rpartition(".")[0].casefold() if "." in name else name.casefold()


def _stem(part: Part) -> str:
    return values.text((part.name or part.filename).rpartition(".")[0] or part.name, 64)
