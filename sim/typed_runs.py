"""Many runs without the wire, side by side on all processors: statistics over several seeds.

Called by `lanecontrol sim --typed --runs N`. Each run has a world and a seed of its own, so that its score is the same
as when it is played alone; what is told is their sum.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, is_dataclass, replace
from functools import partial
from itertools import count
from multiprocessing import get_context
from typing import Any

from sim.score_file import Score
from sim.simfile import Simulation
from sim.typed_run import run_typed
from sim.world.scenario import Scenario


def run_many(simulation: Simulation, scenario: Scenario, seed: int, runs: int, tell: Callable[[str], None]) -> Score:
    """The sum of so many runs with seeds counting up from `seed`; `tell` hears of each that is through."""
    began_s = time.perf_counter()
    seeds = range(seed, seed + runs)
    total = Score()
    # Processes are started afresh: a copy of this one would take over whatever its caller has open.
    with ProcessPoolExecutor(min(runs, os.cpu_count() or 1), get_context("spawn")) as pool:
        for number, one in zip(count(1), pool.map(partial(run_typed, simulation, scenario), seeds), strict=False):
            total = added(total, one)
            tell(f"run {number} of {runs}, seed {one.seed}: {one.vehicles} vehicles, {one.alarms.missed} alarms missed")
    return replace(total, seed=seed, lanes=1, wall_s=time.perf_counter() - began_s)


def added(one: Any, other: Any) -> Any:
    """Two scores, or parts of one, added number by number."""
    if not is_dataclass(one) or isinstance(one, type):
        return one + other
    return replace(
        one, **{part.name: added(getattr(one, part.name), getattr(other, part.name)) for part in fields(one)}
    )
