"""How sure a read is: what speaks for it in each frame, and all frames together.

Called by the engine. Pure. Two questions are asked apart, because several frames answer only one of them: whether the
line is a plate at all (a sign stays a sign however often it is looked at), and whether it was read right (where frames
that agree are evidence, and frames that do not agree are evidence against it).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lanecontrol.plates import vote
from lanecontrol.plates.confidence import Calibration, logit, probability
from lanecontrol.plates.detector import TextBox
from lanecontrol.plates.grammar import Grammar
from lanecontrol.plates.lines import WHOLE, Seen

_CHARACTER = 0.48
"""Width of a character on most plates, with its share of the gaps, in heights of the line's box."""
_FURTHER = 0.5
"""What one more frame counts against the one before: frames of one vehicle share most causes of error."""
_MORE = 2
"""One character more may be a bolt or the edge of the plate."""
_FLOOR = 1e-3


@dataclass(frozen=True, slots=True)
class Witness:
    """One frame: its line, the other texts beside it, and whether its words name a jurisdiction."""

    line: Seen
    around: tuple[TextBox, ...] = ()
    named: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """Probability that it is a plate, and that it was read right if it is one."""

    plate: float = 0.0
    right: float = 0.0

    @property
    def confidence(self) -> float:
        """Probability that this is the plate."""
        return self.plate * self.right


def judged(text: str, frames: Sequence[Witness], known: Grammar, calibration: Calibration) -> Judgement:
    """How sure it is that this text is the plate which these frames show."""
    plate, agreeing, others = [], [], []
    for witness in frames:
        best = _best(witness.line, known)
        measured = features(best, witness, known)
        right = logit(calibration.right(measured))
        if alike(best) == alike(text):
            plate.append(logit(calibration.plate(measured)))
            agreeing.append(right)
        else:
            others.append(right)
    if not agreeing:
        return Judgement()
    return Judgement(probability(sum(plate) / len(plate)), probability(_together(agreeing) - _further(others)))


def _together(agreeing: Sequence[float]) -> float:
    """Odds (logarithm) of frames that say the same; one that is doubtful on its own takes nothing from the rest."""
    return _further(agreeing) or max(agreeing)


def _further(evidence: Sequence[float]) -> float:
    """The strongest counts whole, each further one less."""
    strongest = sorted((each for each in evidence if each > 0), reverse=True)
    return sum(each * _FURTHER**place for place, each in enumerate(strongest))


def _best(line: Seen, known: Grammar) -> str:
    ranked = vote.ranked(line.votes, known)
    return ranked[0][0] if ranked else ""


def features(text: str, witness: Witness, known: Grammar) -> dict[str, float]:
    """What the confidence is made of, each scaled to about one.

    `certainty`: probability of the text before the prior (logarithm); `second`: the same in the eyes of the other
    recogniser; `contradicted`: how sure that one is of another text; `share`: its part of all candidates after the
    prior; `prior`: how usual its pattern is; `agreement`: part of the looks that say the same; `height` of the text in
    pixels (logarithm), where it is small; `short`: characters fewer than most plates have; `letters`, `digits`: it has
    nothing else; `word`: part of it that is a word written on signs and vehicles; `taller`: the tallest line beside it
    against it (logarithm), as the number is the largest; `tight`: how close the line's width is to what so many
    characters need; `named`: words beside it name a state; `foreign`: it has a character that plates
    do not have; `piece`: it goes on to the left or right, or reaches the picture's edge.
    """
    line, same = witness.line, alike(text)
    box = line.box
    ranked = vote.ranked(line.votes, known)
    return {
        "certainty": _log(_part(line.votes, same)),
        "second": -1.0 if line.second is None else _log(_part(line.second, same)),
        "contradicted": 0.0 if line.second is None else _otherwise(line.second, same),
        "share": next((share for other, share in ranked if alike(other) == same), 0.0),
        "prior": known.log_prior(text) / 3,
        "agreement": sum(alike(look) == same for look in line.looks) / max(len(line.looks), 1),
        "height": min(math.log10(max(box.height, 1.0) / 20), 0.1),
        "short": max(WHOLE - len(text), 0) / 3,
        "letters": float(text.isalpha()),
        "digits": float(text.isdigit()),
        "word": known.spelled(text),
        "taller": max(math.log(other.height / box.height) for other in (box, *witness.around)),
        "tight": -abs(math.log(max(box.aspect, 0.1) / (_CHARACTER * max(len(text), 1)))),
        "named": float(witness.named),
        "foreign": float(line.foreign),
        "piece": float(line.cut or any(len(look) >= len(text) + _MORE for look in line.longer(text))),
    }


def alike(text: str) -> str:
    """As texts are compared: O and 0 look the same on most plates."""
    return text.replace("O", "0")


def _part(votes: vote.Votes, same: str) -> float:
    return sum(p for other, p in votes.items() if alike(other) == same)


def _otherwise(votes: vote.Votes, same: str) -> float:
    others: dict[str, float] = {}
    for text, p in votes.items():
        others[alike(text)] = others.get(alike(text), 0.0) + p
    return max((p for text, p in others.items() if text != same), default=0.0)


def _log(share: float) -> float:
    return math.log10(max(min(share, 1.0), _FLOOR))
