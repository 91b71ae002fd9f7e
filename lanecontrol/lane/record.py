"""Frozen dataclasses that are cheap to make: the lane makes several of them for every input.

The `__init__` that the standard library writes for a frozen class sets every field through `object.__setattr__`, which
costs about ten times a plain assignment; with a state of some twenty parts that is most of a step. `quick` writes one
that assigns plainly, to an open twin of the class with the same slots, and closes the instance again before anybody
sees it. `replace` copies the same way, and `maker` gives a function that makes instances quicker still: for those few
that nearly every input makes. Used by the lane core alone; nothing here may make a frozen instance change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from dataclasses import replace
else:

    def replace(value, /, **changes):
        """A copy of `value`, an instance of a `quick` class, with some fields changed."""
        return value._with(changes)


__all__ = ["maker", "quick", "replace"]

T = TypeVar("T", bound=type[Any])
P = ParamSpec("P")
R = TypeVar("R")


def quick(kind: T) -> T:
    """Give a frozen, slotted dataclass a quick `__init__`, and what `replace` needs.

    Raises TypeError for a class that this cannot be done for: no slots, or a default made by a factory.
    """
    parts = fields(kind)
    if any(part.default_factory is not MISSING or not part.init for part in parts):
        raise TypeError(f"{kind.__name__}: every field needs to be an argument, with a plain default if any")
    names = tuple(part.name for part in parts)
    if tuple(kind.__dict__.get("__slots__", ())) != names:
        raise TypeError(f"{kind.__name__}: not a slotted dataclass of its own")
    twin = type(f"_Open{kind.__name__}", (), {"__slots__": names})
    space = {
        "_kind": kind,
        "_twin": twin,
        "_set": object.__setattr__,
        **{f"_d_{part.name}": part.default for part in parts},
    }
    kind.__init__ = _made("__init__", _init_lines(parts), space)
    kind._make = staticmethod(_made("_make", _make_lines(parts), space))
    kind._with = _made("_with", _with_lines(names), space)
    return kind


def maker(kind: Callable[P, R]) -> Callable[P, R]:
    """A function with the arguments of this `quick` class, at half the cost of calling the class."""
    made: Callable[P, R] = kind._make  # type: ignore[attr-defined]
    return made


def _arguments(parts: tuple[Field[Any], ...]) -> str:
    return ", ".join(part.name if part.default is MISSING else f"{part.name}=_d_{part.name}" for part in parts)


def _init_lines(parts: tuple[Field[Any], ...]) -> list[str]:
    return [
        f"def __init__(self, {_arguments(parts)}):",
        " _set(self, '__class__', _twin)",
        *(f" self.{part.name} = {part.name}" for part in parts),
        " self.__class__ = _kind",
    ]


def _make_lines(parts: tuple[Field[Any], ...]) -> list[str]:
    return [
        f"def _make({_arguments(parts)}):",
        " _other = _twin()",
        *(f" _other.{part.name} = {part.name}" for part in parts),
        " _other.__class__ = _kind",
        " return _other",
    ]


def _with_lines(names: tuple[str, ...]) -> list[str]:
    return [
        "def _with(_self, _changes):",
        " _other = _twin()",
        *(f" _other.{name} = _self.{name}" for name in names),
        " for _name, _value in _changes.items():",
        "  setattr(_other, _name, _value)",
        " _other.__class__ = _kind",
        " return _other",
    ]


def _made(name: str, lines: list[str], space: dict[str, Any]) -> Callable[..., Any]:
    made: dict[str, Any] = {}
    exec("\n".join(lines), space, made)
    function: Callable[..., Any] = made[name]
    return function
