"""The engine: pictures in, the plate they show out. A pure function once the weights are loaded.

Called by the worker process, by the command line and by the benchmark, never on the event loop: one picture takes a
tenth to a third of a second. Keeps nothing between calls. One thread, bounded input sizes, no memory held back.

A picture is looked at in three steps: a coarse look for lines of text at a fixed number of pixels, a close look around
each line that may be a plate, and several shifted crops of each line for the recogniser.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from lanecontrol.clock import stopwatch_s
from lanecontrol.events import PlateCandidate
from lanecontrol.identifier import Identifier
from lanecontrol.plates import chooser, confidence, detector, grammar, jurisdiction, recogniser, vote, weights
from lanecontrol.plates.answers import Box, Options, Reading, Rejected
from lanecontrol.plates.detector import Image, Model, TextBox
from lanecontrol.plates.grammar import Grammar

VERSION = "1"
COARSE_PX = 736 * 416
"""Pixels of the coarse look: fewer lose small plates, more cost time and memory."""
CANDIDATES = 8
"""Most that are told of one read."""
_LINES = 6
"""Most lines that are read in one picture."""
_VOTED = 2
"""Lines that are looked at again with shifted crops."""
_SURE = 0.97


@dataclass(frozen=True, slots=True)
class Seen:
    """A line of text in one picture: where, and what it may say."""

    box: TextBox
    votes: dict[str, float]
    looks: tuple[str, ...]
    """The best text of each look."""


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
        """The lines of one picture, read once each, and those that may be the plate several times."""
        lines = [self._seen(picture, box, vote.OFFSETS[:1]) for box in self._boxes(picture)]
        order = _by_score(lines, picture.shape[:2], known)
        for place in order[:_VOTED]:
            lines[place] = self._again(picture, lines[place], known)
        return lines

    def _boxes(self, picture: Image) -> list[TextBox]:
        found = detector.coarse(self.finder, picture, COARSE_PX)
        found.sort(key=lambda box: -box.score * min(1.0, box.height / 8))
        boxes: list[TextBox] = []
        for box in found[:_LINES]:
            if detector.may_be_read(box) and not any(detector.overlap(box, other) > 0.6 for other in boxes):
                boxes += [box, *detector.closer(self.finder, picture, box)]
        return detector.distinct([box for box in boxes if detector.may_be_read(box)])[: 2 * _LINES]

    def _again(self, picture: Image, line: Seen, known: Grammar) -> Seen:
        ranked = vote.ranked(line.votes, known)
        if ranked and line.votes[ranked[0][0]] > _SURE and known.usual(ranked[0][0]):
            return self._seen(picture, line.box, vote.OFFSETS[:2])
        return self._seen(picture, line.box, vote.OFFSETS)

    def _seen(self, picture: Image, box: TextBox, offsets: Sequence[tuple[float, float]]) -> Seen:
        crops = [recogniser.crop(picture, box, dx, dy) for dx, dy in offsets]
        tables = recogniser.probabilities(self.reader, crops, self.fold)
        votes = vote.over_crops(tables, recogniser.ALPHABET)
        looks = tuple(recogniser.greedy(table) for table in tables)
        return Seen(box, votes, looks)

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
        sure = self.calibration.confidence(features(text, share, votes, [line for _, line in chosen], known))
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


def features(text: str, share: float, votes: vote.Votes, lines: Sequence[Seen], known: Grammar) -> dict[str, float]:
    """What the confidence is made of."""
    same = text.replace("O", "0")
    certainty = sum(p for other, p in votes.items() if other.replace("O", "0") == same)
    looks = [look.replace("O", "0") for line in lines for look in line.looks]
    return {
        "certainty": min(certainty, 1.0),
        "share": share,
        "prior": known.log_prior(text),
        "agreement": sum(look == same for look in looks) / max(len(looks), 1),
    }


def _best(lines: Sequence[Seen], size: tuple[int, int], known: Grammar) -> Seen | None:
    order = _by_score(lines, size, known)
    return lines[order[0]] if order else None


def _by_score(lines: Sequence[Seen], size: tuple[int, int], known: Grammar) -> list[int]:
    """Places of the lines that may be the plate, the best first."""
    scored = []
    for place, seen in enumerate(lines):
        line = _line(seen, known)
        if line is not None and not chooser.refusal(line):
            scored.append((chooser.score(line, size, known), place))
    return [place for _, place in sorted(scored, key=lambda item: (-item[0], item[1]))]


def _line(seen: Seen, known: Grammar) -> chooser.Line | None:
    ranked = vote.ranked(seen.votes, known)
    if not ranked:
        return None
    text, share = ranked[0]
    box = seen.box
    return chooser.Line(text, share, seen.votes[text], box.x, box.y, box.width, box.height)


def _refusals(frames: Sequence[Sequence[Seen]], known: Grammar) -> list[Rejected]:
    made = []
    for lines in frames:
        for seen in lines:
            line = _line(seen, known)
            if line is not None and (why := chooser.refusal(line)):
                made.append(Rejected(Identifier(line.text), why, seen.box.upright()))
    return made


def _near(box: TextBox, plate: TextBox) -> bool:
    """Whether a line of text may stand on the same plate."""
    reach = 1.6 * plate.height
    return box is not plate and abs(box.y - plate.y) < reach and abs(box.x - plate.x) < plate.width / 2 + reach


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
    finder, reader = (_session(weights.verified(each)) for each in found)
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
