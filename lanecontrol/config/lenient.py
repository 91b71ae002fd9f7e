"""A section that is wrong in places, made as far as it is right: so that what other parts say about it is checked too.

Used by `lanecontrol.config.load` only to find further problems; nothing made here is ever used to run a lane. A part
that is wrong is `nan` for a number and None for all else; the checks pass both over.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

M = TypeVar("M", bound=BaseModel)


def as_far_as_right(model: type[M], values: Any) -> M:
    """`model` with each field that can be read."""
    given = values if isinstance(values, dict) else {}
    parts = {name: _part(field, name in given, given.get(name)) for name, field in model.model_fields.items()}
    return model.model_construct(**parts)


def _part(field: FieldInfo, present: bool, value: Any) -> Any:
    inner = sections_in(field.annotation)
    if not inner:
        return _plain(field, present, value)
    if get_origin(field.annotation) is list:
        return [as_far_as_right(inner[0], item) for item in value] if isinstance(value, list) else []
    if isinstance(value, dict) or field.is_required():
        return as_far_as_right(inner[0], value)
    return field.get_default(call_default_factory=True)


def _plain(field: FieldInfo, present: bool, value: Any) -> Any:
    if not present and not field.is_required():
        return field.get_default(call_default_factory=True)
    try:
        kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        return adapter.validate_python(value)
    except ValidationError:
        return math.nan if field.annotation is float else None


def sections_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that an annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in sections_in(argument)]
