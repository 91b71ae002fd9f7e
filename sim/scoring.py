"""From what a simulation left to its score: the subscriber's messages and the world's truth, brought together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sim.port_desk import Heard
from sim.received import Received
from sim.score import Run as Ran
from sim.score import score
from sim.score_file import Score
from sim.simulate import Report, Run


def scored(report: Report, seed: int) -> Score:
    """The score of all lanes of a finished simulation."""
    runs = report.runs
    return score(
        {run.desk.address.root: run.truth for run in runs},
        [message for run in runs for message in received(run.desk.heard)],
        Ran(
            seed=seed,
            lane_s=report.lane_s,
            wall_s=report.wall_s,
            utc_at_zero_s=runs[0].started_utc_s,
            recorded=sum(len(run.recorded_wall_s) for run in runs),
            acknowledged=sum(run.lane.delivered for run in runs),
            decision_ms=[sample for run in runs for sample in run.lane.runner.decision_ms],
            delivery_ms=[sample for run in runs for sample in delivery_ms(run)],
        ),
    )


def received(heard: Iterable[Heard]) -> list[Received]:
    """As the score wants them: the bytes that arrived, parsed again without our own types."""
    return [
        Received(one.arrival.topic, parsed(one.arrival.raw), one.arrival.backlog, one.arrival.duplicate)
        for one in heard
    ]


def parsed(raw: bytes) -> Mapping[str, Any]:
    event: Mapping[str, Any] = json.loads(raw)
    return event


def delivery_ms(run: Run) -> list[float]:
    """Real time from giving an event its number to its first arrival at the port, of each event that arrived."""
    first: dict[int, float] = {}
    for one in run.desk.heard:
        if one.arrival.event is not None:
            first.setdefault(one.arrival.event.seq, one.wall_s)
    return [(at - run.recorded_wall_s[seq]) * 1000 for seq, at in first.items() if seq in run.recorded_wall_s]
