"""Unions in JSON: a member is written with its class name under `type`, and found again by it."""

from __future__ import annotations

from typing import Any, get_args


class ByName:
    """Annotation for a union of dataclasses: `Annotated[A | B, ByName()]`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        choices = {member.__name__: handler.generate_schema(member) for member in get_args(source)}
        return core_schema.tagged_union_schema(
            choices,
            discriminator=lambda value: value.get("type") if isinstance(value, dict) else type(value).__name__,
            serialization=core_schema.wrap_serializer_function_ser_schema(
                lambda value, inner: {"type": type(value).__name__, **inner(value)}
            ),
        )
