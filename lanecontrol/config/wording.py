"""From pydantic's errors to sentences a technician can act on: what is wrong, and what would be right.

Used by `lanecontrol.config.load`. No value of a `!secret`, nor anything under a key that sounds like one, is shown.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lanecontrol.config.document import Items, Leaf, Table, Tree, find
from lanecontrol.config.lenient import sections_in
from lanecontrol.errors import Problem

_CLOSE = 0.7
"""How alike two words must be to suggest one for the other: `loop_exit` is not meant by `loop_booth` (0.63)."""
_HUSH = re.compile(r"password|secret|token|keys?$|^fixes$")
"""Keys whose values are for nobody else: secrets, and the plates of vehicles that a camera always reads wrong."""


def hushed(root: Tree) -> Any:
    """The file as plain values for other people's eyes: secrets by name, nothing under a key that sounds like one."""
    match root:
        case Leaf():
            return f"!secret {root.secret}" if root.secret else root.value
        case Items():
            return [hushed(node) for node in root.nodes]
        case Table():
            return {
                key: "(not shown)" if _HUSH.search(key) and not _is_secret(entry.node) else hushed(entry.node)
                for key, entry in root.entries.items()
            }


def _is_secret(node: Tree) -> bool:
    """It is told by name, or is a list of such."""
    if isinstance(node, Items):
        return all(map(_is_secret, node.nodes))
    return isinstance(node, Leaf) and bool(node.secret)


def problems_of(
    error: ValidationError, root: Tree, model: type[BaseModel], beside: Iterable[str] = ()
) -> list[Problem]:
    """Every error at the place in the file that it is about. `beside` are keys that stand next to the model's own."""
    return [_problem(detail, root, model, frozenset(beside)) for detail in error.errors(include_url=False)]


def close_to(word: str, known: Iterable[str]) -> str:
    """A suggestion for a misspelt word, or what is known."""
    words = sorted(known)
    near = difflib.get_close_matches(word, words, n=1, cutoff=_CLOSE)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"known here: {', '.join(words)}" if words else ""


def _problem(detail: ErrorDetails, root: Tree, model: type[BaseModel], beside: frozenset[str]) -> Problem:
    location = detail["loc"]
    name = next((str(part) for part in reversed(location) if isinstance(part, str) and part != "[key]"), "")
    node, entry = find(root, location)
    match detail["type"]:
        case "extra_forbidden":
            place = entry.key_place if entry is not None else node.place
            known = _keys(model, location[:-1]) | (frozenset() if location[:-1] else beside)
            return place.problem(f"unknown key '{name}'", close_to(name, known))
        case "missing":
            what = f"the key '{name}' is missing"
            return find(root, location[:-1])[0].place.problem(what, _meaning(model, location))
        case "value_error":
            return node.place.problem(*_own_words(detail, name, node))
        case kind:
            return node.place.problem(f"{_label(name, node)} is not right", _remedy(kind, detail, node))


def _own_words(detail: ErrorDetails, name: str, node: Tree) -> tuple[str, str]:
    """A validator's own message: `what; remedy`, or what would be right."""
    message = str(detail["ctx"]["error"]) if "ctx" in detail else detail["msg"]
    if not isinstance(node, Leaf):
        return message, ""
    what, semicolon, remedy = message.partition("; ")
    if semicolon:
        return what, remedy
    return f"{_label(name, node)} is not right", message


def _label(name: str, node: Tree) -> str:
    if isinstance(node, Leaf) and not node.secret and not _HUSH.search(name):
        shown = node.text if node.value is not None else node.text or "nothing"
        return f"'{name}: {shown[:60]}'"
    return f"the value of '{name}'"


def _remedy(kind: str, detail: ErrorDetails, node: Tree) -> str:
    context = detail.get("ctx", {})
    match kind:
        case "too_short" | "too_long" if isinstance(node, Leaf):
            return _KINDS[f"string_{kind}"].format(**context)
        case "string_type" if isinstance(node, Leaf) and node.value is not None:
            return f'a text was expected: quote it, "{node.text}"'
        case "string_type":
            return "a text was expected"
        case "literal_error" | "enum":
            return _one_of(str(context.get("expected", "")), node)
        case "string_pattern_mismatch":
            return _PATTERN_REMEDY.get(str(context.get("pattern")), f"it must match {context.get('pattern')}")
        case "model_type" | "dict_type" | "dataclass_type" | "model_attributes_type":
            return "a mapping of keys was expected"
    plain = _KINDS.get(kind)
    return plain.format(**context) if plain else detail["msg"].lower()


def _one_of(expected: str, node: Tree) -> str:
    choices = re.findall(r"'([^']*)'", expected) or re.split(r", | or ", expected)
    near = difflib.get_close_matches(node.text, choices, n=1) if isinstance(node, Leaf) else []
    return f"did you mean '{near[0]}'?" if near else f"one of {', '.join(choices)}"


_KINDS = {
    "int_type": "a whole number was expected",
    "int_parsing": "a whole number was expected",
    "int_from_float": "a whole number was expected",
    "float_type": "a number was expected",
    "float_parsing": "a number was expected",
    "finite_number": "a finite number was expected",
    "bool_type": "true or false was expected",
    "bool_parsing": "true or false was expected",
    "list_type": "a list was expected",
    "tuple_type": "a list was expected",
    "greater_than": "it must be above {gt}",
    "greater_than_equal": "it must be at least {ge}",
    "less_than": "it must be below {lt}",
    "less_than_equal": "it must be at most {le}",
    "string_too_short": "at least {min_length} characters were expected",
    "string_too_long": "at most {max_length} characters were expected",
    "too_short": "at least {min_length} were expected",
    "too_long": "at most {max_length} were expected",
}

_PATTERN_REMEDY = {
    r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$": "letters, digits, _ and - only, at most 32",
    r"^(mqtts?://[^/\s@]+:\d{1,5}|mem://[^/\s]+)$": "mqtt://host:port or mqtts://host:port",
}


def _keys(model: type[BaseModel], location: tuple[int | str, ...]) -> set[str]:
    return {name for found in _models_at(model, location) for name in found.model_fields}


def _meaning(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """What the missing key means, in the words of its own documentation."""
    for found in _models_at(model, location[:-1]):
        part = found.model_fields.get(str(location[-1]))
        if part is not None and part.description:
            return f"add it: {part.description.splitlines()[0].rstrip('.')}"
    return "add it"


def _models_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[type[BaseModel]]:
    found = [model]
    for part in location:
        inner = [each.model_fields[part].annotation for each in found if part in each.model_fields]
        if inner:
            found = [each for annotation in inner for each in sections_in(annotation)]
    return found
