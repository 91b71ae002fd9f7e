"""A day of a lane in one go, for `./lane bench tracking --day`: what a step costs hour by hour, and its replay."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

import sim.typed_run
from lanecontrol import forms
from lanecontrol.events import Input
from lanecontrol.lane.setup import LaneSetup
from lanecontrol.lane.state import LaneState
from lanecontrol.lane.step import Effects, initial, step
from lanecontrol.recorder.effects import effects_digest
from lanecontrol.recorder.records import encode_checkpoint, encode_input, encode_segment
from lanecontrol.recorder.replay import replay
from sim.simfile import load_scenario, load_simfile
from sim.typed_run import TypedRun

CONFIGS = Path(__file__).parent.parent / "configs"
SLICE_INPUTS = 2_000
"""Measured in one go: some twenty vehicles, a twentieth of a second."""
CHECKPOINT_EVERY = 20_000
"""Inputs between two checkpoints of the recording; the daemon writes them by time."""


@dataclass(frozen=True)
class Day:
    """Microseconds of processor time per input in each hour, the same in yardsticks (a step beside a second's worth of
    additions: what the machine itself does to both falls out), and what the replay of the whole took."""

    hours_us: tuple[float, ...]
    hours_beside: tuple[float, ...]
    vehicles: int
    inputs: int
    replay_s: float
    identical: bool


class Inputs:
    """What `step` is given, while it is entered."""

    def __init__(self) -> None:
        self.taken: list[Input] = []

    def __enter__(self) -> Self:
        setattr(sim.typed_run, "step", self.step)  # noqa: B010  mypy would take it for the function itself
        return self

    def __exit__(self, *_: object) -> None:
        setattr(sim.typed_run, "step", step)  # noqa: B010

    def step(self, setup: LaneSetup, state: LaneState, given: Input) -> tuple[LaneState, Effects]:
        self.taken.append(given)
        return step(setup, state, given)


@dataclass(frozen=True)
class Slice:
    """A part of the steps of a run, and the yardstick right after it: the machine may be another one a second later."""

    inputs: int
    step_s: float
    yardstick_s: float

    @property
    def step_us(self) -> float:
        return 1e6 * self.step_s / self.inputs


def stepped(setup: LaneSetup, state: LaneState, inputs: Sequence[Input]) -> list[Slice]:
    """Processor time of the steps alone: all of these in a row, without the world around them.

    Nor is it theirs to look through what this measurement keeps, every input and every announcement of the run: a lane
    keeps none of that. So the collector is told to leave it alone; it goes on collecting what the steps leave behind.
    """
    gc.collect()
    gc.freeze()
    try:
        slices = []
        for first in range(0, len(inputs), SLICE_INPUTS):
            part = inputs[first : first + SLICE_INPUTS]
            began = time.process_time()
            for given in part:
                state, _ = step(setup, state, given)
            slices.append(Slice(len(part), time.process_time() - began, yardstick_s()))
        return slices
    finally:
        gc.unfreeze()


def yardstick_s() -> float:
    """Processor time for five million additions, by a tenth of them: about 0.25 s on a free core of 2024."""
    began, total = time.process_time(), 0
    for number in range(500_000):
        total += number * 2
    return 10.0 * (time.process_time() - began)


def play_day(hours: float, seed: int = 1) -> Day:
    """`hours` of clean traffic, 300 vehicles an hour, recorded as the daemon would, and replayed."""
    scenario = load_scenario(CONFIGS / "scenarios" / "clean.yaml")
    scenario = scenario.model_copy(update={"vehicles": None, "duration_s": 3600.0 * hours})
    run = TypedRun(load_simfile(CONFIGS / "sim.yaml"), scenario, seed)
    with tempfile.TemporaryDirectory(prefix="lanecontrol-day-") as folder:
        path = Path(folder) / "day"
        with path.open("wb") as file, _Recording(run, file) as record:
            run.play()
            record.end_hour()
        run.received.clear()
        began = time.process_time()
        report = replay(path)
        took_s = time.process_time() - began
    whole = max(1, int(hours))
    costs, beside = tuple(record.hours_us[:whole]), tuple(record.hours_beside[:whole])
    return Day(costs, beside, len(run.world.truth.vehicles), report.inputs, round(took_s, 1), report.identical)


class _Recording(Inputs):
    """Writes every input down, and steps through those of each hour once more to see what they cost."""

    def __init__(self, run: TypedRun, file: BinaryIO) -> None:
        super().__init__()
        self.hours_us: list[float] = []
        self.hours_beside: list[float] = []
        self._run = run
        self._file = file
        self._count = 0
        self._setup = forms.to_json(run.setup)
        self._before = initial(run.setup)
        self._state = self._before
        file.write(encode_segment(1, continues=False))
        file.write(encode_checkpoint(0, self._setup, forms.to_json(self._before)))

    def step(self, setup: LaneSetup, state: LaneState, given: Input) -> tuple[LaneState, Effects]:
        if self._run.world.now_s >= 3600.0 * (len(self.hours_us) + 1):
            self.end_hour()
        after, effects = super().step(setup, state, given)
        self._state = after
        self._count += 1
        self._file.write(encode_input(self._count, given, effects_digest(effects) if effects else ""))
        if self._count % CHECKPOINT_EVERY == 0:
            self._file.write(encode_checkpoint(self._count, self._setup, forms.to_json(after)))
        return after, effects

    def end_hour(self) -> None:
        parts = stepped(self._run.setup, self._before, self.taken)
        spent_s, yards_s = sum(part.step_s for part in parts), sum(part.yardstick_s for part in parts)
        us = 1e6 * spent_s / max(1, len(self.taken))
        self.hours_us.append(round(us, 2))
        self.hours_beside.append(round(us * len(parts) / max(1e-6, yards_s), 1))
        self.taken.clear()
        self._before = self._state
