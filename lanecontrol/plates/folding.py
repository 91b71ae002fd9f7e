"""A text detector rearranged so that the same numbers come out in less than half the time.

Called by the engine while the weights are loaded. Pure. The detectors of the PP-OCR family were exported with a
separate step for each scale, shift and third of an activation; each such step walks through the whole picture in memory
once more, and hinders onnxruntime from keeping its fast layout between convolutions. What can be computed beforehand
goes into the weights. Only rearrangements that give the same result up to rounding are made; where nothing matches, the
model stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lanecontrol.plates import onnx_file
from lanecontrol.plates.onnx_file import Floats, Model, Node


def folded(content: bytes) -> bytes:
    """The file of a model that gives the same in less time; the same file where it cannot be rearranged."""
    try:
        work = _Work(onnx_file.read(content))
        work.activations()
        work.normalisations()
        while work.scale_behind() or work.scale_ahead():
            pass
    except ValueError:  # no such file, or shapes that do not fit
        return content
    return onnx_file.written(work.done())


@dataclass(slots=True)
class _Work:
    """A model while it is rearranged."""

    model: Model
    nodes: list[Node] = field(init=False)
    arrays: dict[str, Floats] = field(init=False)
    made: dict[str, Floats] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        found = {node.outputs[0]: value for node in self.model.nodes if (value := onnx_file.floats(node)) is not None}
        self.arrays, self.nodes = found, list(self.model.nodes)

    def done(self) -> Model:
        """The model with its new constants in front, and without those that nobody needs any more."""
        constants = [onnx_file.constant(name, value) for name, value in self.made.items()]
        used = {name for node in self.nodes for name in node.inputs} | self.model.results
        nodes = [node for node in (*constants, *self.nodes) if node.kind != "Constant" or node.outputs[0] in used]
        self.model.nodes[:] = nodes
        return self.model

    # --- looking around -----------------------------------------------------------------------------------------------

    def maker(self, name: str) -> Node | None:
        return next((node for node in self.nodes if name in node.outputs), None)

    def users(self, name: str) -> list[Node]:
        return [node for node in self.nodes if name in node.inputs]

    def only_user(self, node: Node) -> Node | None:
        """The one step that takes what this one gives, if there is but one."""
        users = self.users(node.outputs[0])
        return users[0] if len(users) == 1 and node.outputs[0] not in self.model.results else None

    def with_number(self, node: Node, *kinds: str) -> tuple[float, str] | None:
        """The number and the other input of a step that combines an input with a single number."""
        if node.kind not in kinds or len(node.inputs) != 2:
            return None
        for place, name in enumerate(node.inputs):
            value = self.arrays.get(name)
            if value is not None and value.size == 1:
                return float(value.reshape(())), node.inputs[1 - place]
        return None

    def keep(self, name: str, value: Floats) -> str:
        """A new constant; its name."""
        name = f"{name}/folded{len(self.made)}"
        self.arrays[name] = self.made[name] = np.asarray(value, np.float32)
        return name

    def drop(self, node: Node, instead: str) -> None:
        """Take a step out: whoever took its result takes `instead`."""
        self.nodes.remove(node)
        for user in self.users(node.outputs[0]):
            user.inputs = [instead if name == node.outputs[0] else name for name in user.inputs]

    # --- rearranging --------------------------------------------------------------------------------------------------

    def activations(self) -> None:
        """x * clip(x + 3, 0, 6) / 6 as x * HardSigmoid(x): two steps instead of four."""
        for division in [node for node in self.nodes if node.kind == "Div"]:
            self._activation(division)

    def _activation(self, division: Node) -> None:
        sixth = self.with_number(division, "Div")
        if sixth is None or sixth[0] != 6 or division.inputs[0] != sixth[1]:
            return
        product = self.maker(sixth[1])
        if product is None or product.kind != "Mul" or self.only_user(product) is not division:
            return
        for name, x in (product.inputs, product.inputs[::-1]):
            clip = self.maker(name)
            if clip is None or clip.kind != "Clip" or self.only_user(clip) is not product:
                continue
            limits = [self.arrays.get(limit) for limit in clip.inputs[1:]]
            added = self.maker(clip.inputs[0])
            third = self.with_number(added, "Add") if added is not None else None
            if [float(limit.reshape(())) for limit in limits if limit is not None] != [0, 6] or third != (3, x):
                continue
            assert added is not None
            clip.kind, clip.inputs, clip.attributes = "HardSigmoid", [x], {}
            onnx_file.with_fractions(clip, alpha=1 / 6, beta=0.5)
            if self.only_user(added) is None and self.users(added.outputs[0]):
                return
            self.nodes.remove(added)
            self.drop(division, product.outputs[0])
            return

    def normalisations(self) -> None:
        """A batch normalisation into the convolution before it, also over a bias between them."""
        for node in [node for node in self.nodes if node.kind == "BatchNormalization"]:
            values = [self.arrays.get(name) for name in node.inputs[1:5]]
            maker = self.maker(node.inputs[0])
            if maker is None or self.only_user(maker) is not node or any(value is None for value in values):
                continue
            if maker.kind == "Add" and not self._bias_into(maker):
                continue
            conv = self.maker(node.inputs[0])
            if conv is None or self.only_user(conv) is not node:
                continue
            scale, shift, mean, variance = (value for value in values if value is not None)
            factor = scale / np.sqrt(variance + node.fraction("epsilon", 1e-5))
            if self._scaled(conv, factor, shift - mean * factor):
                self.drop(node, conv.outputs[0])

    def _bias_into(self, added: Node) -> bool:
        """A bias for each channel, added behind a convolution, into its own."""
        for name, other in (added.inputs, added.inputs[::-1]):
            bias, conv = self.arrays.get(name), self.maker(other)
            if bias is None or conv is None or self.only_user(conv) is not added or bias.ndim != 4:
                continue
            if self._scaled(conv, np.ones(bias.size, np.float32), bias.reshape(-1)):
                self.drop(added, conv.outputs[0])
                return True
        return False

    def _scaled(self, conv: Node, factor: Floats, shift: Floats) -> bool:
        """Have a convolution give `factor` times as much, and `shift` more, in each channel."""
        weights = self.arrays.get(conv.inputs[1]) if len(conv.inputs) > 1 else None
        axis = {"Conv": 0, "ConvTranspose": 1}.get(conv.kind)
        if weights is None or axis is None or (axis == 1 and conv.whole("group", 1) != 1):
            return False
        channels = weights.shape[axis]
        bias = self.arrays.get(conv.inputs[2]) if len(conv.inputs) > 2 else np.zeros(channels, np.float32)
        if bias is None or factor.size not in (1, channels):
            return False
        along = [1] * weights.ndim
        along[axis] = -1
        scaled = weights * np.broadcast_to(factor, channels).reshape(along)
        name = conv.outputs[0]
        conv.inputs = [conv.inputs[0], self.keep(name, scaled), self.keep(name, bias * factor + shift)]
        return True

    def scale_behind(self) -> bool:
        """A number that what a convolution gives is multiplied by, or that is added to it, into its weights."""
        for node in self.nodes:
            found = self.with_number(node, "Mul", "Add")
            conv = self.maker(found[1]) if found else None
            if found is None or conv is None or self.only_user(conv) is not node:
                continue
            number = np.array([found[0]], np.float32)
            one, none = np.ones(1, np.float32), np.zeros(1, np.float32)
            factor, shift = (number, none) if node.kind == "Mul" else (one, number)
            if self._scaled(conv, factor, shift):
                self.drop(node, conv.outputs[0])
                return True
        return False

    def scale_ahead(self) -> bool:
        """x * a + b before convolutions: `a` goes into their weights, `b` into their bias where nothing is padded.

        Where something is padded, the padding would lack `b`; it is added by a convolution of its own, in the layout
        of its neighbours.
        """
        for times in self.nodes:
            first = self.with_number(times, "Mul")
            plus = self.only_user(times) if first else None
            second = self.with_number(plus, "Add") if plus is not None else None
            if first is None or plus is None or second is None or first[0] == 0:
                continue
            users = self.users(plus.outputs[0])
            if plus.outputs[0] in self.model.results or not all(self._takes(user, plus) for user in users):
                continue
            bare = not any(any(user.wholes("pads")) for user in users)
            for user in users:
                self._scaled_in(user, first[0], second[0] if bare else 0.0)
            self.drop(times, first[1])
            if bare:
                self.drop(plus, first[1])
            else:
                self._shifts(plus, first[1], second[0] / first[0], self._channels(users[0]))
            return True
        return False

    def _takes(self, user: Node, plus: Node) -> bool:
        known = all(name in self.arrays for name in user.inputs[1:])
        return user.kind == "Conv" and user.inputs[0] == plus.outputs[0] and len(user.inputs) > 1 and known

    def _channels(self, conv: Node) -> int:
        """How many channels go into a convolution."""
        return int(self.arrays[conv.inputs[1]].shape[1]) * conv.whole("group", 1)

    def _scaled_in(self, conv: Node, factor: float, shift: float) -> None:
        weights = self.arrays[conv.inputs[1]]
        bias = self.arrays[conv.inputs[2]] if len(conv.inputs) > 2 else np.zeros(len(weights), np.float32)
        bias = bias + shift * weights.reshape(len(weights), -1).sum(1)
        name = conv.outputs[0]
        conv.inputs = [conv.inputs[0], self.keep(name, weights * factor), self.keep(name, bias)]

    def _shifts(self, node: Node, x: str, shift: float, channels: int) -> None:
        """Make this step add `shift` to every channel of `x`."""
        ones, bias = np.ones((channels, 1, 1, 1), np.float32), np.full(channels, shift, np.float32)
        name = node.outputs[0]
        node.kind, node.inputs, node.attributes = "Conv", [x, self.keep(name, ones), self.keep(name, bias)], {}
        onnx_file.with_wholes(node, group=channels, kernel_shape=(1, 1))
