"""One picture: the lines of text in it, looked at as closely as needed.

Called by the engine. Pure once the weights are loaded. A coarse look for lines of text at a fixed number of pixels;
where nothing is sure, a closer look around each line that may be a plate, and at overlapping parts of the picture; then
several shifted crops of the best line for the recogniser, and the opinion of another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from lanecontrol.plates import chooser, detector, lines, recogniser, vote
from lanecontrol.plates.detector import Image, Model, TextBox
from lanecontrol.plates.grammar import Grammar
from lanecontrol.plates.lines import Seen
from lanecontrol.plates.recogniser import Look

COARSE_PX = 736 * 416
"""Pixels of the coarse look: fewer lose small plates, more cost time and memory."""
_LINES = 6
"""Most lines that are read after one look for them."""
_CLOSER = 2
"""Lines around which is looked more closely."""
_MARGIN = 0.05
"""Of the height of the picture."""
_SAME = 0.85
_LIKELY = 0.4
"""Probability of a first look that makes looking elsewhere needless."""


@dataclass(frozen=True, slots=True)
class Recogniser:
    """A recogniser's weights, and for each of its classes the column it counts for."""

    model: Model
    fold: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Eyes:
    """The detector, the recogniser, and where there is one another recogniser for a second opinion."""

    finder: Model
    reader: Recogniser
    second: Recogniser | None = None

    def look(self, picture: Image, known: Grammar, hurry: Callable[[], bool] = lambda: False) -> list[Seen]:
        """The lines of one picture. The longer nothing is sure, the closer they are looked at, unless in a hurry."""
        size = picture.shape[:2]
        seen = self._read_once(picture, lines.ordered(detector.coarse(self.finder, picture, COARSE_PX)), [], known)
        seen = self._asked(picture, seen, size, known)
        if not hurry() and not self._sure(seen, size, known):
            for box in self._doubtful(seen, size, known):
                seen = self._read_once(picture, detector.closer(self.finder, picture, box), seen, known)
        if not self._likely(seen, size, known):
            for part in detector.parts(picture, COARSE_PX):
                if hurry():
                    break
                found = lines.ordered(detector.part(self.finder, picture, part))
                seen = self._read_once(picture, found, seen, known)
        seen = self._with_joined(picture, seen, known)
        for place in lines.to_vote(seen, size, known):
            seen[place] = self._again(picture, seen[place], known)
        best = lines.best(seen, size, known)
        if best is not None and len(best.looks) == 1 and best.second is None:
            seen[seen.index(best)] = self._again(picture, best, known)  # a third box around the same text
        return [lines.with_second(each) for each in seen]

    def _asked(self, picture: Image, seen: Sequence[Seen], size: tuple[int, int], known: Grammar) -> list[Seen]:
        """The same lines, the best one with a second opinion where that may save looking closer."""
        best = lines.best(seen, size, known)
        if best is None or lines.is_sure(best, known) or lines.certainty(best, known) <= _LIKELY:
            return list(seen)
        return [self._with_opinion(picture, each) if each is best else each for each in seen]

    def _doubtful(self, seen: Sequence[Seen], size: tuple[int, int], known: Grammar) -> list[TextBox]:
        order = lines.by_score(seen, size, known)[:_CLOSER]
        return [seen[place].box for place in order] or [line.box for line in seen[:_CLOSER]]

    def _with_joined(self, picture: Image, seen: Sequence[Seen], known: Grammar) -> list[Seen]:
        """Two lines that are pieces of one are read as one, and no longer on their own when that gives both texts."""
        made = list(seen)
        texts = {id(one): line.text for one in seen if (line := lines.line(one, known)) is not None}
        for one, other in combinations(seen, 2):
            length = len(texts.get(id(one), "")) + len(texts.get(id(other), ""))
            if not 4 <= length <= chooser.LONGEST or min(len(texts.get(id(s), "")) for s in (one, other)) < 1:
                continue
            box = detector.joined(one.box, other.box)
            if box is None or not detector.may_be_read(box):
                continue
            whole = self._seen(picture, box, vote.LOOKS[:1])
            left, right = sorted((one, other), key=lambda each: each.box.x)
            line = lines.line(whole, known)
            if line is not None and line.text == texts[id(left)] + texts[id(right)]:
                made = [each for each in made if each is not one and each is not other]
                made.append(whole)
        return made

    def _read_once(self, picture: Image, boxes: Sequence[TextBox], seen: Sequence[Seen], known: Grammar) -> list[Seen]:
        """Those lines and the ones in `boxes` that are new; after a sure one only what competes or stands near it."""
        made = list(seen)
        sure: TextBox | None = None
        for box in boxes:
            if len(made) >= len(seen) + _LINES:
                break
            if not detector.may_be_read(box) or any(detector.overlap(box, other.box) > _SAME for other in made):
                continue
            if sure is not None and not lines.near(box, sure) and box.height < sure.height:
                continue
            line = self._seen(picture, box, vote.LOOKS[:1])
            made.append(line)
            if sure is None and lines.is_sure(line, known):
                sure = box
        return made

    def _sure(self, seen: Sequence[Seen], size: tuple[int, int], known: Grammar) -> bool:
        best = lines.best(seen, size, known)
        return best is not None and lines.is_sure(best, known)

    def _likely(self, seen: Sequence[Seen], size: tuple[int, int], known: Grammar) -> bool:
        best = lines.best(seen, size, known)
        return best is not None and lines.certainty(best, known) > _LIKELY

    def _again(self, picture: Image, line: Seen, known: Grammar) -> Seen:
        """The line read by the other recogniser; where they do not agree on a sure one, more crops of it as well."""
        line = self._with_opinion(picture, line)
        sure = lines.is_sure(line, known)
        if sure and line.agreed:
            return line
        line = self._with_ends(picture, line)
        short = not sure and max(map(len, line.looks)) < lines.WHOLE
        return lines.merged(line, self._seen(picture, line.box, vote.LOOKS[1:] + (vote.WIDER,) * short))

    def _with_opinion(self, picture: Image, line: Seen) -> Seen:
        """The line as the other recogniser reads it, if there is one and it was not asked yet."""
        if self.second is None or line.second is not None:
            return line
        crop = recogniser.crop(picture, line.box, vote.ASIDE)
        tables = recogniser.probabilities(self.second.model, [crop], self.second.fold)
        return replace(line, second=vote.over_crops(tables, recogniser.ALPHABET))

    def _with_ends(self, picture: Image, line: Seen) -> Seen:
        """The line with what stands to the left and to the right of it."""
        crop = recogniser.crop(picture, line.box, vote.ENDS)
        (table,) = recogniser.probabilities(self.reader.model, [crop], self.reader.fold)
        return replace(line, wide=recogniser.greedy(table))

    def _seen(self, picture: Image, box: TextBox, looks: Sequence[Look]) -> Seen:
        crops = [recogniser.crop(picture, box, look) for look in looks]
        tables = recogniser.probabilities(self.reader.model, crops, self.reader.fold)
        votes = vote.over_crops(tables, recogniser.ALPHABET)
        margin = not _MARGIN < box.y / len(picture) < 1 - _MARGIN
        texts = tuple(recogniser.greedy(table) for table in tables)
        foreign = any(recogniser.foreign(table) for table in tables)
        return Seen(box, votes, texts, margin, foreign=foreign, cut=detector.cut(box, picture.shape[1]))
