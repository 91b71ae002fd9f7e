"""Rearranging a detector: the same numbers come out; what does not match stays as it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

np = pytest.importorskip("numpy", reason="needs lanecontrol[plates]")
pytest.importorskip("cv2", reason="needs lanecontrol[plates]")

from lanecontrol.plates import folding, onnx_file  # noqa: E402
from lanecontrol.plates.onnx_file import Model, Node  # noqa: E402

RANDOM = np.random.default_rng(7)


def _constant(name: str, *shape: int) -> Node:
    return onnx_file.constant(name, RANDOM.normal(size=shape).astype(np.float32))


def _number(name: str, value: float) -> Node:
    return onnx_file.constant(name, np.array(value, np.float32))


def _conv(x: str, weights: str, out: str, *, pad: int = 0, bias: str = "") -> Node:
    made = Node("Conv", [x, weights, bias] if bias else [x, weights], [out])
    return onnx_file.with_wholes(made, pads=(pad,) * 4, group=1)


def _block() -> list[Node]:
    """Convolution, scale, shift, activation, scale, shift, and a padded convolution: as the exporter writes it."""
    return [
        _constant("w1", 8, 3, 3, 3),
        _number("a1", 0.7),
        _number("b1", 0.3),
        _number("three", 3.0),
        _number("zero", 0.0),
        _number("six", 6.0),
        _number("a2", 1.9),
        _number("b2", -0.4),
        _constant("w2", 4, 8, 3, 3),
        _conv("x", "w1", "c1", pad=1),
        Node("Mul", ["a1", "c1"], ["m1"]),
        Node("Add", ["m1", "b1"], ["p1"]),
        Node("Add", ["p1", "three"], ["p3"]),
        Node("Clip", ["p3", "zero", "six"], ["clip"]),
        Node("Mul", ["p1", "clip"], ["product"]),
        Node("Div", ["product", "six"], ["swish"]),
        Node("Mul", ["a2", "swish"], ["m2"]),
        Node("Add", ["m2", "b2"], ["p2"]),
        _conv("p2", "w2", "y", pad=1),
    ]


def _file(nodes: list[Node]) -> bytes:
    """A whole model with one input and one output of any size."""

    def message(*fields: tuple[int, int, int | bytes]) -> bytes:
        return onnx_file._joined(fields)

    def value(name: str) -> bytes:
        sizes = message(*((1, 2, message((2, 2, size))) for size in (b"n", b"c", b"h", b"w")))
        return message((1, 2, name.encode()), (2, 2, message((1, 2, message((1, 0, 1), (2, 2, sizes))))))

    graph: list[Any] = [(2, 2, b"g"), (11, 2, value("x")), (12, 2, value("y"))]
    model: list[Any] = [(1, 0, 8), (8, 2, message((2, 0, 12)))]
    return onnx_file.written(Model(nodes, frozenset("y"), graph, model))


def _run(content: bytes) -> Any:
    onnxruntime: Any = pytest.importorskip("onnxruntime", reason="needs lanecontrol[plates]")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.random.default_rng(1).normal(size=(1, 3, 12, 16)).astype(np.float32)})[0]


def test_scales_shifts_and_activations_go_into_the_weights_and_the_result_stays() -> None:
    before = _file(_block())
    after = folding.folded(before)
    kinds = [node.kind for node in onnx_file.read(after).nodes if node.kind != "Constant"]
    assert kinds == ["Conv", "HardSigmoid", "Mul", "Conv", "Conv"]
    assert np.abs(_run(after) - _run(before)).max() < 1e-4


def test_without_padding_nothing_is_left_of_a_shift() -> None:
    nodes = [*_block()[:-1], _conv("p2", "w2", "y")]
    before = _file(nodes)
    after = folding.folded(before)
    kinds = [node.kind for node in onnx_file.read(after).nodes if node.kind != "Constant"]
    assert kinds == ["Conv", "HardSigmoid", "Mul", "Conv"]
    assert np.abs(_run(after) - _run(before)).max() < 1e-4


def test_what_somebody_else_takes_as_well_is_not_folded_away() -> None:
    nodes = [_constant("w", 3, 3, 1, 1), _number("a", 2.0), _conv("x", "w", "c"),
             Node("Mul", ["a", "c"], ["m"]), Node("Add", ["m", "c"], ["y"])]  # fmt: skip
    before = _file(nodes)
    after = folding.folded(before)
    assert [n.kind for n in onnx_file.read(after).nodes] == [n.kind for n in nodes]
    assert np.array_equal(_run(after), _run(before))


@given(st.binary(max_size=200))
def test_what_is_no_model_comes_back_as_it_was(content: bytes) -> None:
    try:
        onnx_file.read(content)
    except ValueError:
        assert folding.folded(content) == content


@given(st.integers(0, 4000), st.binary(min_size=1, max_size=3))
def test_a_damaged_model_is_refused_or_read_but_never_an_accident(at: int, noise: bytes) -> None:
    whole = _file(_block())
    damaged = whole[: at % len(whole)] + noise + whole[at % len(whole) + len(noise) :]
    try:
        onnx_file.read(damaged)
    except ValueError:
        assert folding.folded(damaged) == damaged


@pytest.mark.usefixtures("with_weights")
def test_the_packaged_detector_gives_the_same_map_with_a_third_of_its_steps_gone() -> None:
    from lanecontrol.plates import weights

    content = weights.verified(weights.packaged(weights.DETECTOR))
    after = folding.folded(content)

    def steps(file: bytes) -> int:
        return sum(node.kind != "Constant" for node in onnx_file.read(file).nodes)

    assert steps(after) < 2 / 3 * steps(content)
    picture = np.zeros((1, 3, 64, 64), np.float32)
    picture[..., 20:40, 10:50] = 2.0
    onnxruntime: Any = pytest.importorskip("onnxruntime")
    maps = []
    for file in (content, after):
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        maps.append(session.run(None, {"x": picture})[0])
    assert np.abs(maps[0] - maps[1]).max() < 1e-4
