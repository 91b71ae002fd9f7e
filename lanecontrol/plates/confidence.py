"""How sure a read is: a few features of it, weighed by coefficients that were fitted and are kept as data.

Called by the engine and by the benchmark that fits them. Pure but for reading the data file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

FEATURES = ("certainty", "share", "prior", "agreement")


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
