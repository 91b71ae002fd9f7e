"""The vocabulary as JSON and back: for recordings, checkpoints and payloads. The only user of pydantic's adapters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")


_adapters: dict[Any, TypeAdapter[Any]] = {}  # a cache of what the types already say; holds no state of a lane


def adapter(kind: Any) -> TypeAdapter[Any]:
    """The adapter of a dataclass, made at its first use."""
    found = _adapters.get(kind)
    if found is None:
        found = _adapters[kind] = TypeAdapter(kind)
    return found


def prepare(kinds: Iterable[Any]) -> None:
    """Make the adapters of these now: a large one takes tens of milliseconds, for which a lane at work has no time."""
    for kind in kinds:
        adapter(kind)


def to_json(value: Any) -> bytes:
    """Compact JSON of a dataclass. Identifiers come out in clear: for the ledger, recordings and the port only."""
    return adapter(type(value)).dump_json(value)


def to_plain(value: Any) -> Any:
    """The same as plain Python values."""
    return adapter(type(value)).dump_python(value, mode="json")


def from_json(kind: type[T], raw: bytes | str) -> T:
    """A dataclass from its JSON. Raises pydantic.ValidationError."""
    made: T = adapter(kind).validate_json(raw)
    return made


def from_plain(kind: type[T], value: Any) -> T:
    """A dataclass from plain values. Raises pydantic.ValidationError."""
    made: T = adapter(kind).validate_python(value)
    return made
