"""JSON and XML as one kind of tree, and paths into it: dots, `[n]`, `//name`; no expressions.

Pure; called by the codec of `lpr.mapped`. XML keeps local names only (prefix and namespace vary between firmwares), has
no DTD and no entities: a text with either is refused. Nothing here raises on any text but `Refused`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat

from drivers.push.jsonstream import MEMBERS_LIMIT, loads

_DEPTH_LIMIT = 64
_STEP = re.compile(r"([^.\[\]/\s]+)((?:\[\d{1,4}\])*)")
_INDEX = re.compile(r"\[(\d+)\]")
_MISSING = object()


class Refused(Exception):
    """The text is no document that may be read; the text of the error says why, and quotes nothing."""


@dataclass(frozen=True, slots=True)
class Path:
    """Where a value is. Raises ValueError when it is made of a text that is no path."""

    text: str
    anywhere: bool
    """`//name...`: the first place in the document that fits."""
    steps: tuple[str | int, ...]

    @classmethod
    def of(cls, text: str) -> Path:
        anywhere = text.startswith("//")
        steps: list[str | int] = []
        for name in text[2 * anywhere :].split("."):
            found = _STEP.fullmatch(name)
            if found is None:
                raise ValueError(f"{text!r} is no path: names with dots between them, [n], and // in front")
            steps += [found[1], *(int(index) for index in _INDEX.findall(found[2]))]
        return cls(text, anywhere, tuple(steps))


class Document:
    """A tree of dicts, lists and plain values. `root` is the name of an XML document's root, empty for JSON."""

    def __init__(self, tree: Any, root: str = "", *, ignore_case: bool = False) -> None:
        self.root = root
        self._tree = tree
        self._ignore_case = ignore_case
        self._places: dict[str, list[Any]] | None = None

    def find(self, path: Path) -> Any:
        """The value at `path`; None where there is none, or nothing in it."""
        first, *rest = path.steps
        for place in self._anywhere(str(first)) if path.anywhere else [self._step(self._tree, first)]:
            for step in rest:
                place = self._step(place, step)
            if place is not _MISSING and place is not None:
                return place
        return None

    def _anywhere(self, name: str) -> list[Any]:
        if self._places is None:
            self._places = {}
            for key, value in _members(self._tree):
                self._places.setdefault(self._name(key), []).append(value)
        return self._places.get(self._name(name), [])

    def _name(self, name: str) -> str:
        return name.casefold() if self._ignore_case else name

    def _step(self, place: Any, step: str | int) -> Any:
        if isinstance(step, int):
            if isinstance(place, list):
                return place[step] if step < len(place) else _MISSING
            return place if step == 0 else _MISSING  # XML does not tell one of a list from a single one
        if isinstance(place, list):
            place = place[0] if place else _MISSING
        if not isinstance(place, dict):
            return _MISSING
        if not self._ignore_case or step in place:
            return place.get(step, _MISSING)
        return next((value for name, value in place.items() if name.casefold() == step.casefold()), _MISSING)


def _members(tree: Any) -> Iterator[tuple[str, Any]]:
    """Every name in the tree with its value, in the order of the document."""
    waiting = [tree]
    while waiting:
        match waiting.pop():
            case dict() as found:
                # A pair goes back on the heap so that it comes before what is in it.
                waiting.extend(reversed([(name, value) for name, value in found.items()]))
            case (str() as name, value):
                yield name, value
                waiting.append(value)
            case list() as found:
                waiting.extend(reversed(found))


# --- reading ---------------------------------------------------------------------------------------------------------


def read_json(text: bytes, *, ignore_case: bool = False) -> list[Document]:
    """The document, or each of a list of documents. Raises Refused."""
    try:
        tree = loads(text)
    except ValueError:
        raise Refused("no JSON") from None
    trees = tree if isinstance(tree, list) else [tree]
    if not trees or not all(isinstance(one, dict) for one in trees):
        raise Refused("JSON that is no object")
    return [Document(one, ignore_case=ignore_case) for one in trees]


def read_xml(text: bytes, *, ignore_case: bool = False) -> Document:
    """The document. Raises Refused."""
    if text.count(b"<") > MEMBERS_LIMIT:
        raise Refused("XML with too many elements")
    reader = _XmlReader()
    try:
        reader.parser.Parse(text.strip(b"\x00 \t\r\n"), True)
    except (expat.ExpatError, ValueError, LookupError):
        # ValueError and LookupError: an encoding that is not known here
        raise Refused("no well-formed XML") from None
    return Document(reader.tree, reader.root, ignore_case=ignore_case)


class _XmlReader:
    """Makes a tree of elements: text for a leaf, a dict of local names for the others, a list where one name repeats.

    Attributes and text between elements are left out.
    """

    def __init__(self) -> None:
        self.root = ""
        self.tree: Any = {}
        self._open: list[tuple[str, dict[str, Any], list[str]]] = []
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.EntityDeclHandler = self._doctype

    def _doctype(self, *_: Any) -> None:
        raise Refused("XML with a DTD")

    def _start(self, name: str, _: Any) -> None:
        if len(self._open) == _DEPTH_LIMIT:
            raise Refused("XML that is nested too deeply")
        self._open.append((name.rpartition(":")[2], {}, []))

    def _text(self, text: str) -> None:
        self._open[-1][2].append(text)

    def _end(self, _: str) -> None:
        name, children, texts = self._open.pop()
        value = children or "".join(texts).strip()
        if not self._open:
            self.root, self.tree = name, {name: value} if isinstance(value, str) else value
            return
        siblings = self._open[-1][1]
        if name not in siblings:
            siblings[name] = value
        elif isinstance(siblings[name], list):
            siblings[name].append(value)
        else:
            siblings[name] = [siblings[name], value]
