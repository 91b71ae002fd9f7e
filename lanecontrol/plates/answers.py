"""What the engine answers. No numbers library is needed to hold, send or print it.

Made by the engine in the worker process, used by the driver, the command line and the benchmark. Plates are
identifiers: printed by accident they show nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from lanecontrol.events import PlateCandidate
from lanecontrol.identifier import Identifier

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels of the picture as it was handed in."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line of text that was not taken for the plate, or a plate not trusted, and why in plain words."""

    text: Identifier
    why: str
    box: Box | None = None
    confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read from one picture or from several of the same vehicle.

    `plate` is the best answer, empty where there is none; `confidence` is the estimated probability that it is right
    (O counted as 0); `raw` is the text before known fixes.
    `accepted`: the confidence reaches the minimum that was asked for. `frame` is the number of the
    picture that `box` belongs to. `ms` is the time spent, without decoding.
    """

    plate: Identifier = Identifier()
    confidence: float = 0.0
    accepted: bool = False
    box: Box | None = None
    candidates: tuple[PlateCandidate, ...] = ()
    jurisdiction: str = ""
    rejected: tuple[Rejected, ...] = ()
    why: str = ""
    raw: Identifier = Identifier()
    features: tuple[tuple[str, float], ...] = ()
    """What the confidence was made of, for the benchmark that fits it."""
    frame: int = 0
    ms: float = 0.0
    engine: str = ""

    def scaled(self, factor: float) -> Reading:
        """With boxes in the pixels of a picture that is larger by `factor`."""
        if factor == 1:
            return self
        rejected = tuple(replace(line, box=_scaled(line.box, factor)) for line in self.rejected)
        return replace(self, box=_scaled(self.box, factor), rejected=rejected)


@dataclass(frozen=True, slots=True)
class Options:
    """How to read: minimum confidence of an accepted plate, known fixes, a mix of jurisdictions, a window.

    `fixes` maps texts as read to plates as they are. `window` is x, y, width, height of the only part looked at.
    `mix` gives jurisdictions other weights than the data file does.
    """

    min_confidence: float = 0.85
    """In cross-validation 97 % of the reads at or above this are right."""
    fixes: dict[str, str] = field(default_factory=dict)
    mix: dict[str, float] = field(default_factory=dict)
    window: Box | None = None
    plausible: float = 0.3
    """Below this probability of being a plate at all there is none: most such lines are other text."""
    least: float = 0.15
    """Below this confidence there is none either: hardly any such read is right."""
    budget_s: float = 0.0
    """After so long no closer looks are taken, and no further pictures are looked at; 0 for as long as it takes."""

    def scaled(self, factor: float) -> Options:
        """With the window in the pixels of a picture that is larger by `factor`."""
        return replace(self, window=_scaled(self.window, factor))


def _scaled(box: Box | None, factor: float) -> Box | None:
    if box is None or factor == 1:
        return box
    x, y, width, height = (round(side * factor) for side in box)
    return (x, y, width, height)
