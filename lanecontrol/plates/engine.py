"""The engine: pictures in, the plate they show out. A pure function once the weights are loaded.

Called by the worker process, by the command line and by the benchmark, never on the event loop: one picture takes a
tenth to a third of a second. Keeps nothing between calls. One thread, bounded input sizes, no memory held back.

`eyes` looks at each picture, `lines` chooses among what it sees, `vote` joins the pictures of one vehicle, `judging`
says how sure the result is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import cv2
import onnxruntime

from lanecontrol.clock import stopwatch_s
from lanecontrol.events import PlateCandidate
from lanecontrol.identifier import Identifier
from lanecontrol.plates import (
    PlatesUnavailable,
    chooser,
    confidence,
    folding,
    framing,
    grammar,
    judging,
    jurisdiction,
    lines,
    recogniser,
    vote,
    weights,
)
from lanecontrol.plates.answers import Options, Reading, Rejected
from lanecontrol.plates.detector import Image
from lanecontrol.plates.eyes import Eyes, Recogniser
from lanecontrol.plates.grammar import Grammar
from lanecontrol.plates.judging import Witness
from lanecontrol.plates.lines import Seen

VERSION = "2"
CANDIDATES = 8
"""Most that are told of one read."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Loaded weights and what goes with them."""

    eyes: Eyes
    grammar: Grammar
    calibration: confidence.Calibration
    version: str
    mixes: dict[tuple[tuple[str, float], ...], Grammar] = field(default_factory=dict)

    def read(self, pictures: Sequence[Image], options: Options) -> Reading:
        """The plate that these pictures show, all of the same vehicle, the best of them for its box."""
        began_s = stopwatch_s()
        known = self._grammar(options)
        x, y, width, height = framing.part(pictures, options.window)
        parts = [picture[y : y + height, x : x + width] for picture in pictures]
        seen: list[list[Seen]] = []
        for part in parts:
            left_s = options.budget_s - (stopwatch_s() - began_s) if options.budget_s else None
            if left_s is not None and left_s <= 0 and any(seen):
                break  # what was seen so far is worth more than nothing
            seen.append(self.eyes.look(part, known, _hurry(left_s)))
        sizes = [(part.shape[0], part.shape[1]) for part in parts[: len(seen)]]
        moved = framing.moved(self._together(seen, sizes, options, known), x, y)
        return replace(moved, ms=(stopwatch_s() - began_s) * 1000, engine=self.version)

    def _grammar(self, options: Options) -> Grammar:
        if not options.mix:
            return self.grammar
        key = tuple(sorted(options.mix.items()))
        if key not in self.mixes:
            self.mixes.clear()
            self.mixes[key] = grammar.load(options.mix)
        return self.mixes[key]

    def _together(
        self, frames: Sequence[Sequence[Seen]], sizes: Sequence[tuple[int, int]], options: Options, known: Grammar
    ) -> Reading:
        """The best line of each frame, those that may be the same plate taken together."""
        chosen = [(place, line) for place, (seen, size) in enumerate(zip(frames, sizes, strict=True))
                  if (line := lines.best(seen, size, known)) is not None]  # fmt: skip
        rejected = tuple(_refusals(frames, known))
        if not chosen:
            return Reading(rejected=rejected, why="no text that may be a plate" if rejected else "no text was found")
        votes = vote.over_frames([line.votes for _, line in chosen]) if len(chosen) > 1 else chosen[0][1].votes
        ranked = vote.ranked(votes, known)
        if not ranked:
            return Reading(rejected=rejected, why="no text that may be a plate")
        text = ranked[0][0]
        frame, line = max(chosen, key=lambda item: item[1].votes.get(text, 0.0))
        witnesses = [_witness(frames[place], each, known) for place, each in chosen]
        own = witnesses[[place for place, _ in chosen].index(frame)]
        measured = tuple(judging.features(text, own, known).items())
        judgement = judging.judged(text, witnesses, known, self.calibration)
        sure = judgement.confidence
        if (judgement.plate < options.plausible or sure < options.least) and sure < options.min_confidence:
            unlikely = Rejected(Identifier(text), "not likely enough to be a plate", line.box.upright(), round(sure, 4))
            return Reading(
                rejected=(unlikely, *rejected),
                why="no text that is likely to be a plate",
                confidence=round(sure, 4),
                features=measured,
            )
        accepted = sure >= options.min_confidence
        return Reading(
            plate=Identifier(options.fixes.get(text, text)),
            confidence=round(sure, 4),
            accepted=accepted,
            box=line.box.upright(),
            candidates=_candidates(ranked, sure, options),
            jurisdiction=jurisdiction.told(text, _words(frames[frame], line), known),
            rejected=rejected,
            why="" if accepted else f"confidence {sure:.2f} is below {options.min_confidence:.2f}",
            raw=Identifier(text),
            features=measured,
            frame=frame,
        )


def _hurry(left_s: float | None) -> Callable[[], bool]:
    """Says, from now on, whether so much time has passed."""
    began_s = stopwatch_s()
    return lambda: left_s is not None and stopwatch_s() - began_s > left_s


def _witness(seen: Sequence[Seen], line: Seen, known: Grammar) -> Witness:
    around = tuple(other.box for other in seen if lines.beside(other, line, known))
    return Witness(line, around, bool(jurisdiction.told("", _words(seen, line), known)))


def _words(seen: Sequence[Seen], line: Seen) -> list[str]:
    """What stands beside the number."""
    return [best for other in seen if lines.near(other.box, line.box) for best in other.looks[:1]]


def _candidates(ranked: Sequence[tuple[str, float]], sure: float, options: Options) -> tuple[PlateCandidate, ...]:
    """The best has the confidence of the read; the others share what is left of it as the looks at the line say."""
    left = max(1 - ranked[0][1], 1e-9)
    shares = [sure, *((1 - sure) * share / left for _, share in ranked[1:CANDIDATES])]
    return tuple(
        PlateCandidate(Identifier(options.fixes.get(text, text)), round(share, 4))
        for (text, _), share in zip(ranked[:CANDIDATES], shares, strict=True)
    )


def _refusals(frames: Sequence[Sequence[Seen]], known: Grammar) -> list[Rejected]:
    made = []
    for seen in frames:
        for one in seen:
            line = lines.line(one, known)
            if line is not None and (why := chooser.refusal(line, known)):
                made.append(Rejected(Identifier(line.text), why, one.box.upright()))
    return made


def load(detecting: weights.Weights | None = None, recognising: weights.Weights | None = None) -> Engine:
    """The engine with these weights, or with the packaged ones. Raises PlatesUnavailable."""
    found = [detecting or weights.packaged(weights.DETECTOR), recognising or weights.packaged(weights.RECOGNISER)]
    cv2.setNumThreads(1)
    finder = _session(folding.folded(weights.verified(found[0])))
    reader = _recogniser(found[1])
    second = None
    try:
        found.append(weights.packaged(weights.SECOND))
        second = _recogniser(found[-1])
    except PlatesUnavailable:  # whoever brings a detector of their own need not have it: reads are less sure then
        found = found[:2]
    version = f"lanecontrol-plates/{VERSION} " + "+".join(each.sha256[:12] for each in found)
    return Engine(Eyes(finder, reader, second), grammar.load(), confidence.load(), version)


def _recogniser(found: weights.Weights) -> Recogniser:
    session = _session(weights.verified(found))
    characters = session.get_modelmeta().custom_metadata_map["character"].split("\n")
    return Recogniser(session, recogniser.folding(characters, int(session.get_outputs()[0].shape[-1])))


def _session(content: bytes) -> onnxruntime.InferenceSession:
    """One thread, and memory given back after each run: it would otherwise stay at the largest input ever seen."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
