"""Nobody decides, nobody is let through: as the I/O module saw it, not as the lane's own log tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from watched_module import Watched, watched
from whole_system import scenario

from sim.port_desk import short_name
from sim.scoring import scored
from sim.simulate import Options, Report, simulate
from sim.world.scenario import Officer, Scenario

TEN_MINUTES_S = 600.0


def run(wanted: Scenario) -> tuple[Report, Watched]:
    simulation = watched()
    return simulate(Options(simulation, wanted, links="mem")), simulation


def events(report: Report, name: str) -> list[Mapping[str, Any]]:
    heard = (one.arrival.event for one in report.runs[0].desk.heard)
    return [event.data for event in heard if event is not None and short_name(event.type) == name]


def told(report: Report, name: str, key: str) -> set[str]:
    """What the lane itself told, besides what the module saw: the two must agree."""
    return {data[key] for data in events(report, name)}


def test_an_officer_who_decides_switches_green_and_gate_so_that_their_absence_means_something() -> None:
    report, module = run(scenario(vehicles=2))
    assert {"signal_green", "gate_open"} <= module.switched_on()
    assert len(events(report, "disposition_recorded")) == 2


def nobody_was_let_through(report: Report, module: Watched) -> None:
    assert report.lane_s >= TEN_MINUTES_S
    assert module.switched_on() == {"signal_red"}
    assert events(report, "disposition_recorded") == []
    assert told(report, "gate_moved", "state") == {"closed"}
    assert told(report, "signal_shown", "aspect") == {"stop"}
    score = scored(report, 7)
    assert score.vehicles >= 3
    assert score.passages.complete == score.passages.unreleased == 0


@pytest.mark.slow
def test_ten_minutes_of_traffic_without_an_officer_open_nothing() -> None:
    nobody_was_let_through(*run(scenario("no_officer")))


@pytest.mark.slow
def test_ten_minutes_in_an_open_lane_whose_officer_never_decides_open_nothing() -> None:
    undecided = Officer(service_time_s=1e6, service_time_sd_s=0.0)
    nobody_was_let_through(*run(scenario("no_officer", officer=undecided, duration_s=TEN_MINUTES_S, drain_limit_s=0.0)))
