"""A YAML file as a tree in which every key and value knows its file, line and column.

Used by `lanecontrol.config.load` alone. Reads YAML 1.2 through ruamel's composer, which keeps positions and both of
two equal keys; what is wrong becomes a `Problem`, never an exception, so that one run shows everything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from lanecontrol.errors import Problem

MAX_NODES = 50_000
"""Values in one file. A lane has some hundreds; aliases that multiply stop here."""
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands. Lines and columns from 1."""

    file: str
    line: int
    column: int

    def problem(self, what: str, remedy: str = "") -> Problem:
        return Problem(self.file, self.line, self.column, what, remedy)


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value; `text` as it is written. `secret` is the name after `!secret`, whose value is elsewhere."""

    place: Place
    value: str | int | float | bool | None
    text: str = ""
    secret: str = ""


@dataclass(frozen=True, slots=True)
class Items:
    place: Place
    nodes: tuple[Tree, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    place: Place
    entries: dict[str, Entry] = field(default_factory=dict)

    def leaf(self, key: str) -> Leaf | None:
        """The plain value under `key`, if it is there and is one."""
        entry = self.entries.get(key)
        return entry.node if entry is not None and isinstance(entry.node, Leaf) else None


@dataclass(frozen=True, slots=True)
class Entry:
    key_place: Place
    node: Tree


Tree = Leaf | Items | Table


def read(text: str, file: str, problems: list[Problem]) -> Table:
    """The tree of one file. What is wrong is added to `problems`; an unreadable file gives an empty table."""
    empty = Table(Place(file, 1, 1))
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        problems.append(_syntax(error, file, text))
        return empty
    except ReaderError as error:
        line, column = _position(text, error.position)
        problems.append(Problem(file, line, column, "a control character, which YAML forbids", "remove it"))
        return empty
    except YAMLError as error:
        problems.append(Problem(file, 1, 1, f"not YAML: {error}", "see yaml.org for the syntax"))
        return empty
    if root is None:
        return empty
    tree = _Builder(file, problems).build(root, ())
    if isinstance(tree, Table):
        return tree
    problems.append(tree.place.problem("the file is not a mapping", "write `key: value` lines"))
    return empty


def _position(text: str, offset: int) -> tuple[int, int]:
    before = text[:offset]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _syntax(error: MarkedYAMLError, file: str, text: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    what = error.problem or str(error).splitlines()[0]
    for sign, plain, remedy in _SYNTAX:
        if sign in what:
            return Problem(file, line, column, plain, remedy)
    return Problem(file, line, column, f"not YAML: {what}", "")


_SYNTAX = (
    (r"character '\t'", "a tab in the indentation", "indent with spaces"),
    ("mapping values are not allowed", "a `:` where none may stand", "check the indentation, or quote the text"),
    ("expected ',' or ']'", "a list opened with [ is not closed", "close it with ]"),
    ("expected ',' or '}'", "a mapping opened with { is not closed", "close it with }"),
    ("found undefined alias", "an alias (*name) without its anchor (&name)", "write the value out"),
    ("but found another document", "a second document begins here", "keep one lane to a file"),
    ("found duplicate anchor", "an anchor is given twice", "rename one"),
    ("that cannot start any token", "a character that no value may start with", "quote the text"),
)


class _Builder:
    """Turns ruamel's nodes into our tree."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self._file = file
        self._problems = problems
        self._left = MAX_NODES

    def build(self, node: Node, above: tuple[int, ...]) -> Tree:
        place = self._place(node)
        self._left -= 1
        if id(node) in above:
            self._problems.append(place.problem("an alias that contains itself", "write the value out"))
            return Leaf(place, None)
        if self._left < 0:
            if self._left == -1:
                self._problems.append(place.problem(f"more than {MAX_NODES} values", "use fewer aliases"))
            return Leaf(place, None)
        match node:
            case MappingNode():
                self._known_tag(node, place, "map", "omap")
                return Table(place, self._entries(node, (*above, id(node))))
            case SequenceNode():
                self._known_tag(node, place, "seq")
                return Items(place, tuple(self.build(item, (*above, id(node))) for item in node.value))
            case _:
                return self._leaf(node, place)

    def _place(self, node: Node) -> Place:
        return Place(self._file, node.start_mark.line + 1, node.start_mark.column + 1)

    def _entries(self, node: MappingNode, above: tuple[int, ...]) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        for key_node, value_node in node.value:
            place = self._place(key_node)
            value = self.build(value_node, above)
            if not isinstance(key_node, ScalarNode) or key_node.tag == _TAG + "merge":
                self._problems.append(place.problem("only plain keys are understood here", "write the keys out"))
            elif (key := str(key_node.value)) in entries:
                first = entries[key].key_place.line
                self._problems.append(place.problem(f"the key '{key}' is given twice", f"first on line {first}"))
            else:
                entries[key] = Entry(place, value)
        return entries

    def _known_tag(self, node: Node, place: Place, *known: str) -> None:
        if str(node.tag) not in {_TAG + name for name in known}:
            self._problems.append(place.problem(f"the tag {node.tag} is unknown here", "leave it out"))

    def _leaf(self, node: Node, place: Place) -> Leaf:
        text = str(node.value)
        tag = str(node.tag)
        if tag == "!secret":
            if not text:
                self._problems.append(place.problem("a secret without a name", "write `!secret name`"))
            return Leaf(place, "", text, secret=text or "?")
        reader = _SCALARS.get(tag.removeprefix(_TAG))
        if reader is None:
            self._problems.append(place.problem(f"the tag {tag} is unknown here", "only !secret is known"))
            return Leaf(place, text, text)
        try:
            return Leaf(place, reader(text), text)
        except ValueError:
            self._problems.append(place.problem(f"'{text}' is no number", "quote it if it is a text"))
            return Leaf(place, text, text)


def _whole(text: str) -> int:
    plain = text.replace("_", "")
    return int(plain, 0) if plain.lstrip("+-")[:2].lower() in ("0x", "0o", "0b") else int(plain)


def _real(text: str) -> float:
    plain = text.replace("_", "").lower()
    if plain.lstrip("+-") == ".inf":
        return -math.inf if plain.startswith("-") else math.inf
    return math.nan if plain == ".nan" else float(plain)


_SCALARS: dict[str, Callable[[str], str | int | float | bool | None]] = {
    "str": str,
    "timestamp": str,
    "int": _whole,
    "float": _real,
    "bool": lambda text: text.lower() in ("true", "yes", "on", "y"),
    "null": lambda _text: None,
}


def plain(node: Tree, secret: Callable[[Leaf], str]) -> Any:
    """The tree as plain Python values; `secret` gives the value of each `!secret`."""
    match node:
        case Leaf():
            return secret(node) if node.secret else node.value
        case Items():
            return [plain(item, secret) for item in node.nodes]
        case Table():
            return {key: plain(entry.node, secret) for key, entry in node.entries.items()}


def find(root: Tree, location: tuple[int | str, ...]) -> tuple[Tree, Entry | None]:
    """The node that a validation error means, and its entry where it is a value under a key.

    Parts that name no key or item (the tag of a union, `[key]`) are passed over.
    """
    node, entry = root, None
    for part in location:
        if isinstance(node, Table) and str(part) in node.entries:
            entry = node.entries[str(part)]
            node = entry.node
        elif isinstance(node, Items) and isinstance(part, int) and part < len(node.nodes):
            node, entry = node.nodes[part], None
    return node, entry


def leaves(node: Tree) -> Iterator[Leaf]:
    """Every plain value below `node`."""
    match node:
        case Leaf():
            yield node
        case Items():
            for item in node.nodes:
                yield from leaves(item)
        case Table():
            for entry in node.entries.values():
                yield from leaves(entry.node)
