"""Values as cameras write them, read leniently: numbers as strings, per cent, times of several kinds, plates.

Pure; called by the codecs of pushing cameras. Nothing here raises on any value: what makes no sense is None or empty.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Any

TEXT_LIMIT = 256
PLATE_LIMIT = 20
"""Characters of a plate; no jurisdiction's has half as many. What is longer is no plate."""
_NOT_PLATE = re.compile(r"[^A-Z0-9]+")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NUMBER_LENGTH = 40
_BASIC_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(.*)", flags=re.ASCII)
_OFFSET = re.compile(r"([+-]\d\d)(\d\d)\Z", flags=re.ASCII)
_LATEST_UTC_S = 4_102_444_800.0
"""The year 2100. A time beyond it, or before 2000, is a clock that was never set, or no time at all."""
_EARLIEST_UTC_S = 946_684_800.0


def text(value: Any, limit: int = TEXT_LIMIT) -> str:
    """A string or number as printable text; empty for anything else.

    Half surrogates, which JSON can carry and UTF-8 cannot, become question marks like control characters.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    if isinstance(value, int) and abs(value) >= 10**_NUMBER_LENGTH:
        return ""  # turning it into digits takes longer than it is worth
    return _UNPRINTABLE.sub("?", str(value)[:limit].strip())


def number(value: Any) -> float | None:
    """A finite number, also where it is written as a string."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    if isinstance(value, str) and len(value) > _NUMBER_LENGTH:
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def share(value: Any, *, percent: bool | None = None) -> float | None:
    """A probability 0 to 1; without `percent`, what is above 1 is taken for per cent. Not below 0, not above 1."""
    found = number(value)
    if found is None:
        return None
    if percent or (percent is None and found > 1.0):
        found /= 100.0
    return min(max(found, 0.0), 1.0)


def box(values: Sequence[Any]) -> tuple[int, int, int, int] | None:
    """x, y, width, height in whole pixels; None where one of them is no number, or nothing is inside."""
    if len(values) != 4:
        return None
    found = [number(value) for value in values]
    if any(value is None or abs(value) > 1e6 for value in found):
        return None
    x, y, width, height = (round(value) for value in found if value is not None)
    return (x, y, width, height) if width > 0 and height > 0 else None


def plate(raw: str) -> str:
    """The plate in A-Z and 0-9: accents taken off, full-width letters made plain, everything else left out.

    Empty where nothing is left, or more than any plate has.
    """
    plain = unicodedata.normalize("NFKD", raw[:TEXT_LIMIT]).upper()
    found = _NOT_PLATE.sub("", plain)
    return found if len(found) <= PLATE_LIMIT else ""


def unescaped(raw: str) -> str:
    """Text in which `\\uXXXX` was written out as six characters."""
    return _UNPRINTABLE.sub("?", _ESCAPE.sub(lambda found: chr(int(found[1], 16)), raw))


def jurisdiction(country: str, state: str, whole: str = "") -> str:
    """`US-CA`: the ISO 3166-2 code `whole` if the camera gives it, else made of country and state as far as known."""
    if whole:
        return whole.upper()
    country = _COUNTRIES.get(country.upper(), country.upper())
    state = state.upper()
    if not state or _ISO_3166_2.fullmatch(state):
        return state or country
    return f"{country}-{state}" if country else state


_ISO_3166_2 = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}")

_COUNTRIES = {"USA": "US", "MEX": "MX", "CAN": "CA"}
"""ISO 3166-1 alpha-3 to alpha-2 where ISO 3166-2 codes are common at a lane; other countries stay as they are told."""


def epoch(value: Any, per_second: float) -> float | None:
    """UTC seconds of a count since 1970."""
    found = number(value)
    return _plausible(found / per_second) if found is not None else None


def iso_time(value: Any) -> float | None:
    """UTC seconds of an ISO 8601 time with its offset, extended or basic; without an offset nobody knows: None."""
    raw = text(value, 40)
    if basic := _BASIC_TIME.fullmatch(raw):
        raw = f"{basic[1]}-{basic[2]}-{basic[3]}T{basic[4]}:{basic[5]}:{basic[6]}{basic[7]}"
    raw = _OFFSET.sub(r"\1:\2", raw)
    try:
        found = datetime.fromisoformat(raw)
        return _plausible(found.timestamp()) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _plausible(utc_s: float) -> float | None:
    return utc_s if _EARLIEST_UTC_S <= utc_s <= _LATEST_UTC_S else None


def is_jpeg(data: bytes) -> bool:
    return data.startswith(b"\xff\xd8")


def picture_type(data: bytes, told: str = "") -> str:
    """The media type of a picture by its first bytes; empty where it is none, whatever it is said to be."""
    if is_jpeg(data):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    return told if data and told.startswith("image/") else ""
