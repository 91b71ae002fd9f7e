"""Two lanes in one process: each with its own traffic, devices, store and topics, and no event under the wrong one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from whole_system import in_memory, mistakes, scenario, score_of

from sim.simulate import Run


def tags_told(events: list[dict[str, Any]]) -> set[str]:
    return {event["data"]["epc"] for event in events if event["type"] == "lanecontrol.tag_sighted.v1"}


def tags_of(run: Run) -> set[str]:
    """What the world put into this lane's vehicles."""
    return {tag for vehicle in run.truth.vehicles for tag in vehicle.tags}


def test_two_lanes_in_one_process_both_let_their_vehicles_through_and_share_nothing(tmp_path: Path) -> None:
    report = in_memory(scenario(vehicles=5), lanes=2, state=tmp_path)
    score = score_of(report)
    assert (score["lanes"], score["vehicles"], score["passages"]["complete"]) == (2, 10, 10)
    assert mistakes(score) == {}
    seven, eight = report.runs
    assert [run.lane.setup.lane for run in report.runs] == ["07", "08"]
    for run in report.runs:
        root = f"sim/poe/SYS/lane/{run.lane.setup.lane}"
        arrivals = [heard.arrival for heard in run.desk.heard]
        assert {arrival.topic.rpartition("/event/")[0] for arrival in arrivals} == {root}
        events = [json.loads(arrival.raw) for arrival in arrivals]
        assert {event["source"] for event in events} == {root}
        # Gapless numbers of its own, from 1 on: nothing of the other lane was counted in.
        assert [event["seq"] for event in sorted(events, key=lambda e: e["seq"])] == list(range(1, len(events) + 1))
        assert tags_told(events) <= tags_of(run)
        assert tags_told(events)
        assert (tmp_path / f"store-{run.lane.setup.lane}" / "ledger.db").is_file()
    assert tags_of(seven).isdisjoint(tags_of(eight)), "the lanes' traffic must differ for this test to mean anything"
