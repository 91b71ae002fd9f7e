"""A recording run through the lane's logic again, and compared with what happened then.

Pure but for reading the files: the step function and the types of state and setup are arguments, by default the real
lane's. What differs is reported, and the replay goes on from the next checkpoint's state.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lanecontrol import forms
from lanecontrol.events import Input
from lanecontrol.recorder.effects import digest_of, effects_bytes
from lanecontrol.recorder.records import Checkpoint, Gap, Record, Sealed, Segment, TakenIn, Wire
from lanecontrol.recorder.segments import LOCKED, read
from lanecontrol.sealing import NO_KEY, Sealer

Step = Callable[[Any, Any, Input], tuple[Any, Sequence[Any]]]
"""`step(setup, state, input) -> (state, effects)`."""

See = Callable[[TakenIn, bytes], None]
"""Called for each replayed input with the canonical bytes of its effects."""

DIFFERENCES_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the replay left the recording: at which input, when, and how."""

    number: int
    at: str
    what: str


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay gave. `skipped` inputs had no state to start from. `digest` covers all effects, in order. `locked`
    parts of the recording are sealed with a key that is not here."""

    inputs: int
    effects: int
    skipped: int
    checkpoints: int
    digest: str
    differences: tuple[Difference, ...]
    locked: int = 0

    @property
    def identical(self) -> bool:
        return not self.differences


def replay(
    path: Path,
    step: Step | None = None,
    *,
    setup_kind: type[Any] | None = None,
    state_kind: type[Any] | None = None,
    see: See = lambda taken, effects: None,
    sealer: Sealer = NO_KEY,
) -> ReplayReport:
    """Replay a segment or a folder of them. Raises OSError, and pydantic.ValidationError for a state or setup that
    this version of the program cannot read."""
    player = _Player(step or _real_step(), *_kinds(setup_kind, state_kind), see)
    for record in read(path, sealer):
        player.take(record)
    return player.report()


def _real_step() -> Step:
    from lanecontrol.lane.step import step

    return step


def _kinds(setup_kind: type[Any] | None, state_kind: type[Any] | None) -> tuple[type[Any], type[Any]]:
    from lanecontrol.lane.setup import LaneSetup
    from lanecontrol.lane.state import LaneState

    return setup_kind or LaneSetup, state_kind or LaneState


class _Player:
    def __init__(self, step: Step, setup_kind: type[Any], state_kind: type[Any], see: See) -> None:
        self._step, self._setup_kind, self._state_kind, self._see = step, setup_kind, state_kind, see
        self._setup: Any = None
        self._state: Any = None
        self._in_step = False
        self._at = ""
        self._inputs = self._effects = self._skipped = self._checkpoints = self._locked = 0
        self._digest = hashlib.sha256()
        self._differences: list[Difference] = []

    def take(self, record: Record) -> None:
        match record:
            case Segment(continues=False):
                self._in_step = False
            case Gap(inputs=lost) if lost:
                self._in_step = False
                self._locked += record.why == LOCKED.why  # also where `record` put it into a file of its own
            case Checkpoint():
                self._checkpoint(record)
            case TakenIn():
                self._taken_in(record)
            case Segment() | Gap() | Wire() | Sealed():
                pass

    def _checkpoint(self, record: Checkpoint) -> None:
        if self._in_step and json.loads(forms.to_json(self._state)) != json.loads(record.state):
            self._differ(record.inputs, "the state after it")
        self._setup = forms.from_json(self._setup_kind, record.setup)
        self._state = forms.from_json(self._state_kind, record.state)
        self._checkpoints += 1
        self._in_step = True

    def _taken_in(self, record: TakenIn) -> None:
        if not self._in_step:
            self._skipped += 1
            return
        self._at = record.given.at.iso()
        self._state, effects = self._step(self._setup, self._state, record.given)
        self._inputs += 1
        self._effects += len(effects)
        content = effects_bytes(effects)
        if (digest_of(content) if effects else "") != record.effects:
            self._differ(record.number, f"the effects of {type(record.given.event).__name__}")
        if effects:
            self._digest.update(content)
        self._see(record, content)

    def _differ(self, number: int, what: str) -> None:
        if len(self._differences) < DIFFERENCES_LIMIT:
            self._differences.append(Difference(number, self._at, what))

    def report(self) -> ReplayReport:
        return ReplayReport(
            inputs=self._inputs,
            effects=self._effects,
            skipped=self._skipped,
            checkpoints=self._checkpoints,
            digest=self._digest.hexdigest(),
            differences=tuple(self._differences),
            locked=self._locked,
        )
