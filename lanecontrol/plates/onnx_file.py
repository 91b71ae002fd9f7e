"""Just enough of the ONNX file format to rearrange the nodes of a model: read, change, write.

Called by `folding` while the weights are loaded. Pure. Only nodes and constants of 32-bit floats are understood;
everything else is kept as the bytes it was. Raises ValueError for what is no such file; never guesses.

Field numbers are those of onnx.proto3 (ONNX intermediate representation), the encoding that of protocol buffers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Field = tuple[int, int, int | bytes]
"""Number, wire type (0 variable length, 1 eight bytes, 2 with a length, 5 four bytes) and value."""

_GRAPH = 7
_NODE = 1
_INPUT, _OUTPUT, _KIND, _ATTRIBUTE = 1, 2, 4, 5
_NAME, _FLOAT, _WHOLE, _TENSOR, _WHOLES, _TYPE = 1, 2, 3, 5, 8, 20
_TYPE_FLOAT, _TYPE_WHOLES, _TYPE_TENSOR = 1, 7, 4
_DIMENSIONS, _DATA_TYPE, _FLOAT_DATA, _RAW = 1, 2, 4, 9
_FLOAT32 = 1
_GRAPH_OUTPUT, _VALUE_NAME = 12, 1


@dataclass(slots=True)
class Node:
    """One operation: its kind (`Conv`), the names of what goes in and comes out, and its attributes as bytes."""

    kind: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, bytes] = field(default_factory=dict)
    rest: list[Field] = field(default_factory=list)

    def whole(self, name: str, default: int = 0) -> int:
        """A whole-number attribute."""
        return next((int(v) for n, _, v in _fields(self.attributes.get(name, b"")) if n == _WHOLE), default)

    def wholes(self, name: str) -> list[int]:
        """An attribute that is a list of whole numbers."""
        return _wholes(self.attributes.get(name, b""), _WHOLES)

    def fraction(self, name: str, default: float) -> float:
        """An attribute that is a 32-bit float."""
        found = (v for n, _, v in _fields(self.attributes.get(name, b"")) if n == _FLOAT and isinstance(v, bytes))
        return next((float(np.frombuffer(value, "<f4")[0]) for value in found), default)


@dataclass(slots=True)
class Model:
    """The nodes of a model in their order, and all else as it was."""

    nodes: list[Node]
    results: frozenset[str]
    """Names of what the whole model gives."""
    _graph: list[Field]
    _model: list[Field]


def read(content: bytes) -> Model:
    """The model of a file. Raises ValueError."""
    try:
        model = list(_fields(content))
        (graph_bytes,) = (value for number, _, value in model if number == _GRAPH and isinstance(value, bytes))
        graph = list(_fields(graph_bytes))
        nodes = [_node(value) for number, _, value in graph if number == _NODE and isinstance(value, bytes)]
        results = frozenset(
            name for number, _, value in graph if number == _GRAPH_OUTPUT for name in _texts(value, _VALUE_NAME)
        )
    except (IndexError, TypeError, UnicodeDecodeError) as error:
        raise ValueError("not an ONNX file") from error
    return Model(nodes, results, [f for f in graph if f[0] != _NODE], [f for f in model if f[0] != _GRAPH])


def written(model: Model) -> bytes:
    """The file of a model."""
    nodes: list[Field] = [(_NODE, 2, _node_bytes(node)) for node in model.nodes]
    return _joined([*model._model, (_GRAPH, 2, _joined([*nodes, *model._graph]))])


def constant(name: str, value: Floats) -> Node:
    """A node that gives this array."""
    sizes: list[Field] = [(_DIMENSIONS, 0, size) for size in value.shape]
    tensor = _joined([*sizes, (_DATA_TYPE, 0, _FLOAT32), (_RAW, 2, value.astype("<f4").tobytes())])
    attribute = _joined([(_NAME, 2, b"value"), (_TENSOR, 2, tensor), (_TYPE, 0, _TYPE_TENSOR)])
    return Node("Constant", [], [name], {"value": attribute})


def with_fractions(node: Node, **values: float) -> Node:
    """The node with these 32-bit floats for attributes."""
    for name, value in values.items():
        data = np.array(value, "<f4").tobytes()
        node.attributes[name] = _joined([(_NAME, 2, name.encode()), (_FLOAT, 5, data), (_TYPE, 0, _TYPE_FLOAT)])
    return node


def with_wholes(node: Node, **values: int | Sequence[int]) -> Node:
    """The node with these whole numbers, or lists of them, for attributes."""
    for name, value in values.items():
        start: list[Field] = [(_NAME, 2, name.encode())]
        if isinstance(value, int):
            node.attributes[name] = _joined([*start, (_WHOLE, 0, value), (_TYPE, 0, 2)])
        else:
            each: list[Field] = [(_WHOLES, 0, one) for one in value]
            node.attributes[name] = _joined([*start, *each, (_TYPE, 0, _TYPE_WHOLES)])
    return node


def floats(node: Node) -> Floats | None:
    """The array that a `Constant` gives, if it is one of 32-bit floats."""
    tensor = next((v for n, _, v in _fields(node.attributes.get("value", b"")) if n == _TENSOR), None)
    if node.kind != "Constant" or not isinstance(tensor, bytes):
        return None
    held = {number: value for number, _, value in _fields(tensor)}
    data = held.get(_RAW, held.get(_FLOAT_DATA))
    if held.get(_DATA_TYPE) != _FLOAT32 or not isinstance(data, bytes):
        return None
    return np.frombuffer(data, "<f4").reshape(_wholes(tensor, _DIMENSIONS)).copy()


# --- nodes ------------------------------------------------------------------------------------------------------------


def _node(content: bytes) -> Node:
    node = Node("", [], [])
    for number, wire, value in _fields(content):
        match number, value:
            case (1, bytes()):
                node.inputs.append(value.decode())
            case (2, bytes()):
                node.outputs.append(value.decode())
            case (4, bytes()):
                node.kind = value.decode()
            case (5, bytes()):
                node.attributes[_texts(value, _NAME)[0]] = value
            case _:
                node.rest.append((number, wire, value))
    if not node.outputs:
        raise ValueError("an ONNX file with a step that gives nothing")
    return node


def _node_bytes(node: Node) -> bytes:
    names: list[Field] = [(_INPUT, 2, name.encode()) for name in node.inputs]
    names += [(_OUTPUT, 2, name.encode()) for name in node.outputs]
    attributes: list[Field] = [(_ATTRIBUTE, 2, value) for value in node.attributes.values()]
    return _joined([*names, (_KIND, 2, node.kind.encode()), *attributes, *node.rest])


def _texts(content: int | bytes, wanted: int) -> list[str]:
    assert isinstance(content, bytes)
    return [value.decode() for number, _, value in _fields(content) if number == wanted and isinstance(value, bytes)]


def _wholes(content: bytes, wanted: int) -> list[int]:
    """Repeated whole numbers, one by one or packed."""
    found: list[int] = []
    for number, _, value in _fields(content):
        if number != wanted:
            continue
        if isinstance(value, int):
            found.append(value)
        else:
            at = 0
            while at < len(value):
                one, at = _number(value, at)
                found.append(one)
    return found


# --- the encoding -----------------------------------------------------------------------------------------------------


def _fields(content: bytes) -> Iterator[Field]:
    at = 0
    while at < len(content):
        key, at = _number(content, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _number(content, at)
            yield number, wire, value
            continue
        if wire not in (1, 2, 5):
            raise ValueError("not an ONNX file")
        length = {1: 8, 5: 4}.get(wire, 0)
        if wire == 2:
            length, at = _number(content, at)
        if at + length > len(content):
            raise ValueError("an ONNX file that is cut short")
        yield number, wire, content[at : at + length]
        at += length


def _number(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("not an ONNX file")


def _joined(parts: Iterable[Field]) -> bytes:
    made: list[bytes] = []
    for number, wire, value in parts:
        made.append(_as_number(number << 3 | wire))
        if isinstance(value, int):
            made.append(_as_number(value))
        else:
            made += [_as_number(len(value)), value] if wire == 2 else [value]
    return b"".join(made)


def _as_number(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)
