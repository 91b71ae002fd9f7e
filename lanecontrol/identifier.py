"""Card numbers and plates: personal data that must not slip into a log by accident."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any


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


def keyed_hash(key: bytes, number: bytes) -> str:
    """16 hex digits that stand for a card number or plate outside ledger and payload.

    HMAC-SHA-256 cut to 8 bytes; the key is the site's and rotates. A plain hash would not do: numbers with a fixed
    prefix can be enumerated.
    """
    return hmac.new(key, number, hashlib.sha256).digest()[:8].hex()
