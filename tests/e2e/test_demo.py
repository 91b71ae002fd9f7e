"""The demo: a lane at work through real bytes, scored against the world's truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from whole_system import in_memory, lanecontrol, mistakes, scenario, score_of, unsettled_share

CONTRACT: dict[str, Any] = {
    "seed": int,
    "lanes": int,
    "vehicles": int,
    "lane_s": float,
    "wall_s": float,
    "passages": ["complete", "interrupted", "withdrawn", "merged", "split", "missed", "order_errors"],
    "readings": ["bound", "misassigned", "orphan", "ambiguous"],
    "radiation": ["occupancies"],
    "alarms": ["true", "raised", "missed", "false", "extra_vehicles"],
    "events": ["recorded", "acknowledged", "lost", "duplicated", "out_of_order"],
    "latency_ms": {"decision": ["p50", "p99"], "delivery": ["p50", "p99"]},
}
"""The score file that others script against. Keys may be added; none of these may go."""


def missing_from(score: Any, wanted: Any, place: str = "score") -> list[str]:
    match wanted:
        case dict():
            return [lack for key in wanted for lack in missing_from(score.get(key), wanted[key], f"{place}.{key}")]
        case list():
            return [f"{place}.{key}" for key in wanted if not isinstance((score or {}).get(key), (int, float))]
        case kind:
            return [] if isinstance(score, kind) else [place]


def test_six_vehicles_go_through_and_nothing_is_wrong() -> None:
    score = score_of(in_memory(scenario(vehicles=6)))
    assert score["passages"]["complete"] == score["vehicles"] == 6
    assert mistakes(score) == {}
    assert score["events"]["recorded"] == score["events"]["acknowledged"] > 50
    assert missing_from(score, CONTRACT) == []


@pytest.mark.slow
def test_the_demo_of_fifty_vehicles_over_tcp_with_its_own_broker_makes_no_mistake(tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    done = lanecontrol("sim", "--vehicles", "50", "--seed", "7", "--speed", "max", "--report", file)
    assert done.returncode == 0, done.stderr
    score = json.loads(file.read_text(encoding="utf-8"))
    assert missing_from(score, CONTRACT) == []
    assert (score["seed"], score["lanes"], score["vehicles"]) == (7, 1, 50)
    assert score["passages"]["complete"] == 50
    assert mistakes(score) == {}
    assert score["events"]["recorded"] == score["events"]["acknowledged"]
    assert score["alarms"]["true"] == score["alarms"]["raised"] > 0
    assert score["radiation"]["occupancies"] == 50
    assert unsettled_share(score) <= 0.01
    # In a pipe it prints each event as it arrived at the broker, one JSON object a line.
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert len({event["id"] for event in events}) == score["events"]["recorded"]
    assert {event["simulated"] for event in events} == {True}
