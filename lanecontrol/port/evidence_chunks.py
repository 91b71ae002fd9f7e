"""A picture in pieces, as they go below `evidence/`: made from its bytes, and read back. Pure; reading never raises.

Each piece says all that is needed to put it where it belongs, so that pieces may come twice, in any order, and from
attempts that cut differently. Used by `evidence_out` and `evidence_in`.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import WithJsonSchema

from lanecontrol import forms
from lanecontrol.backing import PICTURE_LIMIT

CHUNK_LIMIT = 256 * 1024
"""Bytes of a picture in one message at the most: half a second of a line of 5 Mbit/s, for which an alarm may wait."""
PREFIX = "sha256:"
_REFERENCE = re.compile("sha256:[0-9a-f]{64}")
_TEXT_LIMIT = 200
Base64 = WithJsonSchema({"type": "string", "contentEncoding": "base64"})


@dataclass(frozen=True, slots=True)
class EvidenceChunk:
    """A piece of a picture. The same piece may come more than once, and pieces in any order."""

    reference: str
    """The picture: `sha256:` and the hash of the whole of it, by which it is checked when all pieces are there."""
    source: str
    """The lane, as in events; a simulated one begins with `sim/`."""
    media_type: str
    """What the picture is, in the camera's words."""
    size_bytes: int
    """Of the whole picture."""
    index: int
    """Which piece this is, counted from 0."""
    count: int
    """How many pieces there are."""
    offset: int
    """Where in the picture this piece begins."""
    data: Annotated[str, Base64] = field(repr=False)
    """The bytes, in base64."""

    def bytes(self) -> bytes:
        """The piece itself. Raises ValueError for what is no base64."""
        return base64.b64decode(self.data, validate=True)


def pieces(size_bytes: int, chunk_bytes: int) -> int:
    """How many chunks a picture makes."""
    return -(-size_bytes // chunk_bytes)


def chunk_payload(picture: bytes, index: int, *, digest: str, source: str, media_type: str, chunk_bytes: int) -> bytes:
    """Piece `index` of a picture as JSON; equal input gives equal bytes."""
    offset = index * chunk_bytes
    count = pieces(len(picture), chunk_bytes)
    data = base64.b64encode(picture[offset : offset + chunk_bytes]).decode()
    return forms.to_json(
        EvidenceChunk(f"{PREFIX}{digest}", source, media_type, len(picture), index, count, offset, data)
    )


def parse_chunk(raw: bytes) -> tuple[EvidenceChunk, bytes] | None:
    """A chunk and its bytes; None for what is none of ours, or cannot be true. Never raises."""
    try:
        chunk = forms.from_json(EvidenceChunk, raw)
        piece = chunk.bytes()
    except ValueError:  # of pydantic and of base64 alike
        return None
    return (chunk, piece) if _can_be(chunk, len(piece)) else None


def _can_be(chunk: EvidenceChunk, length: int) -> bool:
    return (
        _REFERENCE.fullmatch(chunk.reference) is not None
        and 0 < length <= CHUNK_LIMIT
        and 0 < chunk.size_bytes <= PICTURE_LIMIT
        and 0 <= chunk.index < chunk.count <= chunk.size_bytes
        and 0 <= chunk.offset <= chunk.size_bytes - length
        and max(len(chunk.source), len(chunk.media_type)) <= _TEXT_LIMIT
    )
