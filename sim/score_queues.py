"""The queue's part of the score: what the lane estimated, held against who really waited. Called by `sim.score`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sim.received import Received, named
from sim.score_file import Queues
from sim.world.truth import Truth

BEFORE_S = 0.001
"""A window ends before what happens at that very moment."""


def score_queues(truth: Truth, events: Sequence[Received], utc_at_zero_s: float) -> Queues:
    """The estimates of one lane, from its events, each once."""
    found = Queues()
    for data in (one.event["data"] for one in named(events, "lane_numbers")):
        found.windows += 1
        if data["queue"] is not None:
            _judge(found, data["queue"], truth.waiting_at(data["at_utc_s"] - utc_at_zero_s - BEFORE_S))
    return found


def _judge(found: Queues, queue: Mapping[str, Any], waiting: int) -> None:
    if queue["claim"] == "at_least":
        found.at_least += 1
        found.at_least_held += queue["low"] <= waiting
        return
    found.estimates += 1
    found.covered += queue["low"] <= waiting <= queue["high"]
    found.waiting_sum += waiting
    found.error_sum = round(found.error_sum + abs(queue["vehicles"] - waiting), 3)
    found.bias_sum = round(found.bias_sum + queue["vehicles"] - waiting, 3)
    found.width_sum += queue["high"] - queue["low"]
