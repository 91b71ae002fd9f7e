"""Card numbers and plates: personal data that must not slip into a log by accident.

Used by everything that carries one. Nothing in here shows one in clear but `Identifier.clear`.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from collections.abc import Callable
from typing import Any

DAY_S = 86_400.0
_HEX_NUMBER = re.compile(r"(?:[0-9a-f]{2}){8,}")
"""A tag's number as drivers write it: lower-case hex of 64 bits or more. No plate is that long."""


class Identifier(str):
    """A card number or plate. Printing, formatting or tracing it shows `<redacted>`; `.clear` gives the text.

    It is a `str`, so that comparison, hashing and JSON of the ledger and of the payload to the port work unchanged;
    every other way out goes through `keyed_hash`.
    """

    __slots__ = ()

    @property
    def clear(self) -> str:
        """The text itself: only for the ledger, the payload to the port and an authorised screen."""
        return str.__str__(self)

    @property
    def number(self) -> bytes:
        """What hashes are made of: the bytes of a tag's number, the UTF-8 text of anything else."""
        text = str.__str__(self)
        return bytes.fromhex(text) if _HEX_NUMBER.fullmatch(text) else text.encode(errors="surrogatepass")

    def __repr__(self) -> str:
        return "<redacted>"

    def __str__(self) -> str:
        return "<redacted>"

    def __format__(self, spec: str) -> str:
        return format("<redacted>", spec)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(
            cls,
            core_schema.str_schema(max_length=512),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: str.__str__(value), return_schema=core_schema.str_schema()
            ),
        )


class RotatingKey:
    """The key of the day, made of the site's secret: hashes of one day can be linked, those of two days cannot.

    The day is that of UTC. Whoever has the secret can make the key of any day; whoever has a day's key, no other.
    """

    def __init__(self, secret: bytes, utc_s: Callable[[], float], period_s: float = DAY_S) -> None:
        """`utc_s` tells the time; `period_s` is how long one key lasts, counted from 1970."""
        self._secret = secret
        self._utc_s = utc_s
        self._period_s = period_s
        self._period = 0
        self._key = b""

    def __call__(self) -> bytes:
        """The key that holds now."""
        period = math.floor(self._utc_s() / self._period_s)
        if not self._key or period != self._period:
            self._period = period
            label = f"lanecontrol identifiers {self._period_s:g} {period}".encode()
            self._key = hmac.new(self._secret, label, hashlib.sha256).digest()
        return self._key


HashKey = bytes | Callable[[], bytes]
"""A key, or what gives the key that holds now."""


def keyed_hash(key: HashKey, number: bytes) -> str:
    """16 hex digits that stand for a card number or plate outside ledger and payload.

    HMAC-SHA-256 cut to 8 bytes; the key is the site's and rotates. A plain hash would not do: numbers with a fixed
    prefix can be enumerated.
    """
    return hmac.new(key if isinstance(key, bytes) else key(), number, hashlib.sha256).digest()[:8].hex()
