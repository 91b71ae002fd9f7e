"""The engine: pictures in, the plate they show out. A pure function once the weights are loaded.

Called by the worker process, by the command line and by the benchmark, never on the event loop: one picture takes a
tenth to a third of a second. Keeps nothing between calls. One thread, bounded input sizes, no memory held back.

A picture is looked at in three steps: a coarse look for lines of text at a fixed number of pixels, a close look around
each line that may be a plate, and several shifted crops of each line for the recogniser.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from lanecontrol.clock import stopwatch_s
from lanecontrol.events import PlateCandidate
from lanecontrol.identifier import Identifier
from lanecontrol.plates import chooser, confidence, detector, folding, grammar, jurisdiction, recogniser, vote, weights
from lanecontrol.plates.answers import Box, Options, Reading, Rejected
from lanecontrol.plates.detector import Image, Model, TextBox
from lanecontrol.plates.grammar import Grammar
from lanecontrol.plates.recogniser import Look

VERSION = "1"
COARSE_PX = 736 * 416
"""Pixels of the coarse look: fewer lose small plates, more cost time and memory."""
CANDIDATES = 8
"""Most that are told of one read."""
_LINES = 6
"""Most lines that are read after one look for them."""
_CLOSER = 2
"""Lines around which is looked more closely."""
_WHOLE = 6
"""Shorter texts may be plates of which a piece is missing."""
_MARGIN = 0.05
"""Of the height of the picture."""
_OVERLAID = 0.5
"""Share of the smaller of two boxes that lies in the other: both are drawn around the same text."""
_SAME = 0.85
_CHARACTER = 0.48
"""Width of a character on most plates, with its share of the gaps, in heights of the line's box."""
_SURE, _LIKELY = 0.95, 0.4
"""Probability of a first look that needs no closer one, and of one that makes looking elsewhere needless."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A line of text in one picture: where, and what it may say."""

    box: TextBox
    votes: dict[str, float]
    looks: tuple[str, ...]
    """The best text of each look."""
    margin: bool = False
    """It stands in the margin of the picture, where cameras write the time."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Loaded weights and what goes with them."""

    finder: Model
    reader: Model
    fold: NDArray[np.int64]
    grammar: Grammar
    calibration: confidence.Calibration
    version: str
    mixes: dict[tuple[tuple[str, float], ...], Grammar] = field(default_factory=dict)

    def read(self, pictures: Sequence[Image], options: Options) -> Reading:
        """The plate that these pictures show, all of the same vehicle, the best of them for its box."""
        began_s = stopwatch_s()
        known = self._grammar(options)
        seen = [self._look(_window(picture, options.window), known) for picture in pictures]
        reading = self._together(seen, [_size(picture, options.window) for picture in pictures], options, known)
        moved = _moved(reading, options.window)
        return replace(moved, ms=(stopwatch_s() - began_s) * 1000, engine=self.version)

    def _grammar(self, options: Options) -> Grammar:
        if not options.mix:
            return self.grammar
        key = tuple(sorted(options.mix.items()))
        if key not in self.mixes:
            self.mixes.clear()
            self.mixes[key] = grammar.load(options.mix)
        return self.mixes[key]

    def _look(self, picture: Image, known: Grammar) -> list[Seen]:
        """The lines of one picture. The longer nothing is sure, the closer they are looked at."""
        size = picture.shape[:2]
        lines = self._read_once(picture, _ordered(detector.coarse(self.finder, picture, COARSE_PX)), [], known)
        if not self._sure(lines, size, known):
            doubtful = [lines[place].box for place in _by_score(lines, size, known)[:_CLOSER]] or [
                line.box for line in lines[:_CLOSER]
            ]
            for box in doubtful:
                lines = self._read_once(picture, detector.closer(self.finder, picture, box), lines, known)
        if not self._likely(lines, size, known):
            for part in detector.parts(picture, COARSE_PX):
                found = _ordered(detector.part(self.finder, picture, part))
                lines = self._read_once(picture, found, lines, known)
        lines = self._with_joined(picture, lines, known)
        for place in self._to_vote(lines, size, known):
            lines[place] = self._again(picture, lines[place], known)
        return lines

    def _to_vote(self, lines: Sequence[Seen], size: tuple[int, int], known: Grammar) -> list[int]:
        """The best line; where it is not sure, also the next one if it is another box around the same text."""
        order = _by_score(lines, size, known)[:2]
        if len(order) == 2:
            first, second = (lines[place] for place in order)
            if _is_sure(first, known) or detector.shared(first.box, second.box) < _OVERLAID:
                return order[:1]
        return order

    def _with_joined(self, picture: Image, lines: Sequence[Seen], known: Grammar) -> list[Seen]:
        """Two lines that are pieces of one are read as one, and no longer on their own when that gives both texts."""
        made = list(lines)
        texts = {id(seen): line.text for seen in lines if (line := _line(seen, known)) is not None}
        for one, other in combinations(lines, 2):
            length = len(texts.get(id(one), "")) + len(texts.get(id(other), ""))
            if not 4 <= length <= chooser.LONGEST or min(len(texts.get(id(s), "")) for s in (one, other)) < 1:
                continue
            box = detector.joined(one.box, other.box)
            if box is None or not detector.may_be_read(box):
                continue
            whole = self._seen(picture, box, vote.LOOKS[:1])
            left, right = sorted((one, other), key=lambda seen: seen.box.x)
            line = _line(whole, known)
            if line is not None and line.text == texts[id(left)] + texts[id(right)]:
                made = [seen for seen in made if seen is not one and seen is not other]
                made.append(whole)
        return made

    def _read_once(self, picture: Image, boxes: Sequence[TextBox], lines: Sequence[Seen], known: Grammar) -> list[Seen]:
        """Those lines and the ones in `boxes` that are new; after a sure one only what competes or stands near it."""
        made = list(lines)
        sure: TextBox | None = None
        for box in boxes:
            if len(made) >= len(lines) + _LINES:
                break
            if not detector.may_be_read(box) or any(detector.overlap(box, seen.box) > _SAME for seen in made):
                continue
            if sure is not None and not _near(box, sure) and box.height < sure.height:
                continue
            seen = self._seen(picture, box, vote.LOOKS[:1])
            made.append(seen)
            if sure is None and _is_sure(seen, known):
                sure = box
        return made

    def _sure(self, lines: Sequence[Seen], size: tuple[int, int], known: Grammar) -> bool:
        best = _best(lines, size, known)
        return best is not None and _is_sure(best, known)

    def _likely(self, lines: Sequence[Seen], size: tuple[int, int], known: Grammar) -> bool:
        best = _best(lines, size, known)
        return best is not None and _certainty(best, known) > _LIKELY

    def _again(self, picture: Image, line: Seen, known: Grammar) -> Seen:
        """The line looked at with shifted crops; one more is enough where it agrees with a sure one."""
        if _is_sure(line, known):
            both = _merged(line, self._seen(picture, line.box, vote.LOOKS[1:2]))
            if both.looks[0] == both.looks[1]:
                return both
            return _merged(both, self._seen(picture, line.box, vote.LOOKS[2:]))
        short = max(map(len, line.looks)) < _WHOLE
        return _merged(line, self._seen(picture, line.box, vote.LOOKS[1:] + (vote.WIDER,) * short))

    def _seen(self, picture: Image, box: TextBox, looks: Sequence[Look]) -> Seen:
        crops = [recogniser.crop(picture, box, look) for look in looks]
        tables = recogniser.probabilities(self.reader, crops, self.fold)
        votes = vote.over_crops(tables, recogniser.ALPHABET)
        margin = not _MARGIN < box.y / len(picture) < 1 - _MARGIN
        return Seen(box, votes, tuple(recogniser.greedy(table) for table in tables), margin)

    def _together(
        self, frames: Sequence[Sequence[Seen]], sizes: Sequence[tuple[int, int]], options: Options, known: Grammar
    ) -> Reading:
        """The best line of each frame, those that may be the same plate taken together."""
        chosen = [(place, line) for place, (lines, size) in enumerate(zip(frames, sizes, strict=True))
                  if (line := _best(lines, size, known)) is not None]  # fmt: skip
        rejected = tuple(_refusals(frames, known))
        if not chosen:
            return Reading(rejected=rejected, why="no text that may be a plate" if rejected else "no text was found")
        votes = vote.over_frames([line.votes for _, line in chosen]) if len(chosen) > 1 else chosen[0][1].votes
        ranked = vote.ranked(votes, known)
        if not ranked:
            return Reading(rejected=rejected, why="no text that may be a plate")
        text, share = ranked[0]
        frame, line = max(chosen, key=lambda item: item[1].votes.get(text, 0.0))
        around = [other.box for other in frames[frame] if _beside(other, line, known)]
        measured = features(
            text, share, votes, [line, *(other for _, other in chosen if other is not line)], around, known
        )
        sure = self.calibration.confidence(measured)
        if sure < min(options.plausible, options.min_confidence):
            unlikely = Rejected(Identifier(text), "not likely enough to be a plate", line.box.upright(), round(sure, 4))
            return Reading(
                rejected=(unlikely, *rejected),
                why="no text that is likely to be a plate",
                confidence=round(sure, 4),
                features=tuple(measured.items()),
            )
        plate = options.fixes.get(text, text)
        accepted = sure >= options.min_confidence
        words = [best for other in frames[frame] if _near(other.box, line.box) for best in other.looks[:1]]
        return Reading(
            plate=Identifier(plate),
            confidence=round(sure, 4),
            accepted=accepted,
            box=line.box.upright(),
            candidates=_candidates(ranked, sure, options),
            jurisdiction=jurisdiction.told(text, words, known),
            rejected=rejected,
            why="" if accepted else f"confidence {sure:.2f} is below {options.min_confidence:.2f}",
            raw=Identifier(text),
            features=tuple(measured.items()),
            frame=frame,
        )


def _candidates(ranked: Sequence[tuple[str, float]], sure: float, options: Options) -> tuple[PlateCandidate, ...]:
    """The best has the confidence of the read; the others share what is left of it as the looks at the line say."""
    left = max(1 - ranked[0][1], 1e-9)
    shares = [sure, *((1 - sure) * share / left for _, share in ranked[1:CANDIDATES])]
    return tuple(
        PlateCandidate(Identifier(options.fixes.get(text, text)), round(share, 4))
        for (text, _), share in zip(ranked[:CANDIDATES], shares, strict=True)
    )


def features(
    text: str, share: float, votes: vote.Votes, lines: Sequence[Seen], around: Sequence[TextBox], known: Grammar
) -> dict[str, float]:
    """What the confidence is made of, each scaled to about one.

    `certainty`: probability of the text before the prior (logarithm); `weakest`: the same in the least convinced
    frame; `share`: its part of all candidates after it; `agreement`: part of the looks that say the same; `height` of
    the text in pixels (logarithm), where it is small; `short`: characters fewer than most plates have; `letters`,
    `digits`: it has nothing else; `taller`: the tallest line beside it against it (logarithm), as the number is the
    largest; `tight`: how close the line's width is to what so many characters need.
    """
    same = _alike(text)
    certainty = sum(p for other, p in votes.items() if _alike(other) == same)
    each = [sum(p for other, p in line.votes.items() if _alike(other) == same) for line in lines]
    looks = [_alike(look) for line in lines for look in line.looks]
    box = lines[0].box
    return {
        "certainty": math.log10(max(min(certainty, 1.0), 1e-3)),
        "weakest": math.log10(max(min(each), 1e-3)),
        "share": share,
        "prior": known.log_prior(text) / 3,
        "agreement": sum(look == same for look in looks) / max(len(looks), 1),
        "height": min(math.log10(max(box.height, 1.0) / 20), 0.1),
        "short": max(_WHOLE - len(text), 0) / 3,
        "letters": float(text.isalpha()),
        "digits": float(text.isdigit()),
        "taller": max(math.log(other.height / box.height) for other in (box, *around)),
        "tight": -abs(math.log(max(box.aspect, 0.1) / (_CHARACTER * max(len(text), 1)))),
    }


def _alike(text: str) -> str:
    return text.replace("O", "0")


def _merged(one: Seen, other: Seen) -> Seen:
    """Two sets of looks at the same line."""
    n, m = len(one.looks), len(other.looks)
    texts = {**one.votes, **other.votes}
    votes = {text: (n * one.votes.get(text, 0.0) + m * other.votes.get(text, 0.0)) / (n + m) for text in texts}
    return replace(one, votes=votes, looks=one.looks + other.looks)


def _certainty(seen: Seen, known: Grammar) -> float:
    line = _line(seen, known)
    return 0.0 if line is None or chooser.refusal(line, known) else line.certainty


def _is_sure(seen: Seen, known: Grammar) -> bool:
    line = _line(seen, known)
    return (
        line is not None
        and not chooser.refusal(line, known)
        and (line.certainty > _SURE and known.usual(line.text) and len(line.text) >= _WHOLE)
    )


def _ordered(boxes: list[TextBox]) -> list[TextBox]:
    """The clearest and largest first."""
    return sorted(boxes, key=lambda box: -box.score * min(1.0, box.height / 8))


def _best(lines: Sequence[Seen], size: tuple[int, int], known: Grammar) -> Seen | None:
    """The line that looks most like a plate, as the best of the boxes around the same text shows it."""
    order = _by_score(lines, size, known)
    if not order:
        return None
    first = lines[order[0]]
    same = [lines[place] for place in order if detector.shared(lines[place].box, first.box) >= _OVERLAID]
    return max(same, key=lambda seen: _weight(seen, known))


def _weight(seen: Seen, known: Grammar) -> float:
    line = _line(seen, known)
    return -1e9 if line is None else math.log(max(line.certainty, 1e-9)) + vote.PRIOR * known.log_prior(line.text)


def _by_score(lines: Sequence[Seen], size: tuple[int, int], known: Grammar) -> list[int]:
    """Places of the lines that may be the plate, the best first."""
    scored = []
    for place, seen in enumerate(lines):
        line = _line(seen, known)
        if line is not None and not chooser.refusal(line, known):
            scored.append((chooser.score(line, size, known), place))
    return [place for _, place in sorted(scored, key=lambda item: (-item[0], item[1]))]


def _line(seen: Seen, known: Grammar) -> chooser.Line | None:
    ranked = vote.ranked(seen.votes, known)
    if not ranked:
        return None
    text, share = ranked[0]
    box = seen.box
    return chooser.Line(text, share, seen.votes[text], box.x, box.y, box.width, box.height, seen.margin)


def _refusals(frames: Sequence[Sequence[Seen]], known: Grammar) -> list[Rejected]:
    made = []
    for lines in frames:
        for seen in lines:
            line = _line(seen, known)
            if line is not None and (why := chooser.refusal(line, known)):
                made.append(Rejected(Identifier(line.text), why, seen.box.upright()))
    return made


def _near(box: TextBox, plate: TextBox) -> bool:
    """Whether a line of text may stand on the same plate."""
    reach = 1.6 * plate.height
    return box is not plate and abs(box.y - plate.y) < reach and abs(box.x - plate.x) < plate.width / 2 + reach


def _beside(seen: Seen, plate: Seen, known: Grammar) -> bool:
    """Another text of the same vehicle that could be the number instead."""
    line = _line(seen, known)
    apart = math.hypot(seen.box.x - plate.box.x, seen.box.y - plate.box.y)
    return (
        line is not None
        and len(line.text) > 1
        and detector.shared(seen.box, plate.box) < _OVERLAID
        and apart < 3 * plate.box.width
    )


def _window(picture: Image, window: Box | None) -> Image:
    if window is None:
        return picture
    x, y, width, height = window
    part = picture[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)]
    return part if part.size else picture


def _size(picture: Image, window: Box | None) -> tuple[int, int]:
    height, width = _window(picture, window).shape[:2]
    return height, width


def _moved(reading: Reading, window: Box | None) -> Reading:
    """Boxes in the pixels of the whole picture."""
    if window is None:
        return reading

    def there(box: Box | None) -> Box | None:
        return None if box is None else (box[0] + max(window[0], 0), box[1] + max(window[1], 0), box[2], box[3])

    rejected = tuple(replace(line, box=there(line.box)) for line in reading.rejected)
    return replace(reading, box=there(reading.box), rejected=rejected)


def load(detecting: weights.Weights | None = None, recognising: weights.Weights | None = None) -> Engine:
    """The engine with these weights, or with the packaged ones. Raises PlatesUnavailable."""
    found = (detecting or weights.packaged(weights.DETECTOR), recognising or weights.packaged(weights.RECOGNISER))
    cv2.setNumThreads(1)
    finder = _session(folding.folded(weights.verified(found[0])))
    reader = _session(weights.verified(found[1]))
    characters = reader.get_modelmeta().custom_metadata_map["character"].split("\n")
    fold = recogniser.folding(characters, int(reader.get_outputs()[0].shape[-1]))
    version = f"lanecontrol-plates/{VERSION} " + "+".join(each.sha256[:12] for each in found)
    return Engine(finder, reader, fold, grammar.load(), confidence.load(), version)


def _session(content: bytes) -> onnxruntime.InferenceSession:
    """One thread, and memory given back after each run: it would otherwise stay at the largest input ever seen."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
