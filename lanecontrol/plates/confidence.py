"""How sure a read is: a few features of it, weighed by coefficients that were fitted and are kept as data.

Called by the judgement of a read, and by the benchmark that fits the coefficients. Pure but for reading the data file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

FEATURES = (
    "certainty",
    "second",
    "contradicted",
    "share",
    "prior",
    "agreement",
    "height",
    "short",
    "letters",
    "digits",
    "word",
    "taller",
    "tight",
    "named",
    "foreign",
    "piece",
)
"""What a read is judged by, each between about -3 and 1: see `judging.features`."""
_STEPS, _RIDGE = 50, 2e-3
_MOST = 8.0


@dataclass(frozen=True, slots=True)
class Curve:
    """Coefficients of a logistic regression over the features of a read."""

    bias: float
    weights: Mapping[str, float]

    def __call__(self, features: Mapping[str, float]) -> float:
        return probability(self.bias + sum(weight * features.get(name, 0.0) for name, weight in self.weights.items()))


@dataclass(frozen=True, slots=True)
class Calibration:
    """Two questions: whether the line is a plate (`plate`), and whether it was read right if it is (`right`)."""

    plate: Curve
    right: Curve

    def confidence(self, features: Mapping[str, float]) -> float:
        """Probability 0 to 1 that the read of a single frame is right."""
        return self.plate(features) * self.right(features)


def logit(share: float) -> float:
    """Logarithm of the odds."""
    share = min(max(share, probability(-_MOST)), probability(_MOST))
    return math.log(share / (1 - share))


def probability(odds: float) -> float:
    """The probability whose odds have this logarithm."""
    return 1 / (1 + math.exp(-min(max(odds, -_MOST), _MOST)))


def load() -> Calibration:
    """The coefficients of the data file."""
    from ruamel.yaml import YAML

    text = files(__package__).joinpath("confidence.yaml").read_text(encoding="utf-8")
    data = YAML(typ="safe", pure=True).load(text)
    return Calibration(_curve(data["plate"]), _curve(data["right"]))


def _curve(data: Mapping[str, object]) -> Curve:
    weights = data["weights"]
    assert isinstance(weights, Mapping)
    return Curve(float(str(data["bias"])), {name: float(value) for name, value in weights.items()})


@dataclass(frozen=True, slots=True)
class Sample:
    """A read to fit on: its features, whether the line is the plate, and whether it was read right."""

    features: Mapping[str, float]
    plate: bool
    right: bool


def fitted(samples: Sequence[Sample]) -> Calibration:
    """Coefficients that fit these reads best, drawn a little towards zero. Deterministic; needs numpy."""
    return Calibration(
        _fitted([(each.features, each.plate) for each in samples]),
        _fitted([(each.features, each.right) for each in samples if each.plate]),
    )


def _fitted(samples: Sequence[tuple[Mapping[str, float], bool]]) -> Curve:
    import numpy as np

    x = np.array([[1.0, *(features.get(name, 0.0) for name in FEATURES)] for features, _ in samples])
    y = np.array([float(right) for _, right in samples])
    w, pull = np.zeros(x.shape[1]), np.diag([0.0, *([_RIDGE] * len(FEATURES))])
    for _ in range(_STEPS):  # Newton's method
        p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        slope = x.T @ (p - y) / len(y) + pull @ w
        bend = (x.T * (p * (1 - p))) @ x / len(y) + pull + np.eye(len(w)) * 1e-9
        w -= np.linalg.solve(bend, slope)
    return Curve(float(w[0]), {name: float(value) for name, value in zip(FEATURES, w[1:], strict=True)})
