"""Stored pushes for `lanecontrol decode`: a body, a file of the spool, the bytes of a whole connection.

Pure. Pictures get the reference that the evidence store would give them, and are kept nowhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

from drivers.push.http import stored_requests
from drivers.push.sightings import Found, PlateReport, Sighting, Teller
from drivers.push.spool import MAGIC, unpack

Bodies = Iterator[tuple[bytes, str]]

_METHODS = (b"POST ", b"GET ", b"HEAD ", b"PUT ")


def bodies(raw: bytes) -> Bodies:
    """Every body in a capture with its Content-Type, empty where nothing tells it."""
    if raw.startswith(MAGIC) and (push := unpack(raw)) is not None:
        yield push.body, push.content_type
    elif raw.startswith(_METHODS):
        for posted in stored_requests(raw):
            yield posted.body, posted.content_type
    else:
        yield raw, ""


def reports(found: Sequence[Found], teller: Teller) -> Iterator[PlateReport]:
    """The reports of what is in a message."""
    for item in found:
        if isinstance(item, Sighting):
            references = [f"sha256:{hashlib.sha256(picture.data).hexdigest()}" for picture in item.pictures]
            yield from teller.take(item, references, 0.0)


def tally(bodies: Bodies, read: Callable[[bytes, str], Sequence[Found]]) -> dict[str, int]:
    """Counts over a capture: bodies, sightings, pictures, and what was in doubt."""
    counts = {"bodies": 0, "sightings": 0, "unread": 0, "pictures": 0, "signs_of_life": 0, "doubts": 0}
    for body, content_type in bodies:
        counts["bodies"] += 1
        for item in read(body, content_type):
            _count(item, counts)
    return counts


def _count(item: Found, counts: dict[str, int]) -> None:
    if isinstance(item, Sighting):
        counts["sightings"] += 1
        counts["unread"] += not item.text
        counts["pictures"] += len(item.pictures)
        counts["doubts"] += len(item.remarks)
    else:
        counts["doubts" if hasattr(item, "why") else "signs_of_life"] += 1
