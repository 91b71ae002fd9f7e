"""How sure a read is: a few features of it, weighed by coefficients that were fitted and are kept as data.

Called by the engine, and by the benchmark that fits the coefficients. Pure but for reading the data file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

FEATURES = (
    "certainty",
    "weakest",
    "share",
    "prior",
    "agreement",
    "height",
    "short",
    "letters",
    "digits",
    "taller",
    "tight",
)
"""What a read is judged by, each between about -3 and 1: see `engine.features`."""
_STEPS, _RIDGE = 50, 1e-3


@dataclass(frozen=True, slots=True)
class Calibration:
    """Coefficients of a logistic regression over the features of a read."""

    bias: float
    weights: Mapping[str, float]

    def confidence(self, features: Mapping[str, float]) -> float:
        """Probability 0 to 1 that the read is right."""
        total = self.bias + sum(weight * features.get(name, 0.0) for name, weight in self.weights.items())
        return 1 / (1 + math.exp(-max(min(total, 30.0), -30.0)))


def load() -> Calibration:
    """The coefficients of the data file."""
    from ruamel.yaml import YAML

    text = files(__package__).joinpath("confidence.yaml").read_text(encoding="utf-8")
    data = YAML(typ="safe", pure=True).load(text)
    return Calibration(float(data["bias"]), {name: float(value) for name, value in data["weights"].items()})


def fitted(samples: Sequence[tuple[Mapping[str, float], bool]]) -> Calibration:
    """Coefficients that fit these reads best, drawn a little towards zero. Deterministic; needs numpy."""
    import numpy as np

    x = np.array([[1.0, *(features.get(name, 0.0) for name in FEATURES)] for features, _ in samples])
    y = np.array([float(right) for _, right in samples])
    w, pull = np.zeros(x.shape[1]), np.diag([0.0, *([_RIDGE] * len(FEATURES))])
    for _ in range(_STEPS):  # Newton's method
        p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        slope = x.T @ (p - y) / len(y) + pull @ w
        bend = (x.T * (p * (1 - p))) @ x / len(y) + pull + np.eye(len(w)) * 1e-9
        w -= np.linalg.solve(bend, slope)
    return Calibration(float(w[0]), {name: float(value) for name, value in zip(FEATURES, w[1:], strict=True)})
