"""The figures of a lane full of traffic, held against the world that it stands in: measured, and never typed in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lanecontrol.announcements import Announcement, LaneNumbers
from lanecontrol.clock import Instant
from lanecontrol.lane.recount import Recounted, Told, recount
from lanecontrol.port.payloads import event_bytes, parse_event
from sim.received import Received
from sim.score import Run, score
from sim.score_queues import score_queues
from sim.simfile import Simulation, load_scenario, load_simfile
from sim.simulate import EPOCH_UTC_S
from sim.typed_run import TypedRun
from sim.world.scenario import Scenario
from sim.world.truth import Truth

CONFIGS = Path(__file__).parents[2] / "configs"
WINDOW_S = 120.0


class Recorded(TypedRun):
    """Keeps every event as the bytes that go into the ledger."""

    def __init__(self, simulation: Simulation, scenario: Scenario, seed: int) -> None:
        super().__init__(simulation, scenario, seed)
        self.events: list[bytes] = []

    def _publish(self, announcement: Announcement) -> None:
        at = Instant(self.world.now_s, EPOCH_UTC_S + self.world.now_s)
        seq = len(self.events) + 1
        self.events.append(event_bytes(announcement, epoch=1, seq=seq, instant=at, source_lane=self.address))
        super()._publish(announcement)


@pytest.fixture(scope="module")
def traffic() -> Recorded:
    """300 vehicles an hour, some of them with sources or without cards; the only run of this module (two seconds)."""
    wanted = load_scenario(CONFIGS / "scenarios" / "demo.yaml").model_copy(update={"vehicles": 60})
    run = Recorded(load_simfile(CONFIGS / "sim.yaml"), wanted, 5)
    run.setup = replace(run.setup, limits=replace(run.setup.limits, numbers_window_s=WINDOW_S))
    run.play()
    return run


def told(run: Recorded) -> list[Told]:
    events = [parse_event(raw) for raw in run.events]
    pairs = [(event.utc_s, event.announcement()) for event in events if event is not None]
    assert len(pairs) == len(run.received)
    return [Told(utc_s, announcement) for utc_s, announcement in pairs if announcement is not None]


def windows(run: Recorded) -> list[LaneNumbers]:
    return [one.announcement for one in told(run) if isinstance(one.announcement, LaneNumbers)]


def test_the_published_bytes_recounted_give_the_published_figures(traffic: Recorded) -> None:
    found: list[Recounted] = list(recount(told(traffic), WINDOW_S))
    assert len(found) == len(windows(traffic)) >= 4
    assert [one.differences for one in found] == [()] * len(found)
    assert all(one.known and one.published is not None for one in found)


def test_as_many_are_counted_in_and_out_as_there_were_vehicles(traffic: Recorded) -> None:
    vehicles = len(traffic.world.truth.vehicles)
    closed = [one for one in traffic.received if one.name == "passage_closed"]
    last = windows(traffic)[-1]
    later = sum(one.event["data"]["closed_utc_s"] > last.at_utc_s for one in closed)
    assert sum(window.opened for window in windows(traffic)) == vehicles
    assert sum(window.served for window in windows(traffic)) + later == vehicles
    assert last.inside_after == later


def test_the_times_measured_are_those_of_the_world(traffic: Recorded) -> None:
    vehicles = traffic.world.truth.vehicles
    stays_s = [v.booth_left_s - v.booth_entered_s for v in vehicles if v.booth_left_s and v.booth_entered_s]
    timed = [one.event["data"]["times"]["service_s"] for one in traffic.received if one.name == "passage_closed"]
    assert sum(timed) / len(timed) == pytest.approx(sum(stays_s) / len(stays_s), abs=0.3)


def test_no_estimate_of_the_queue_is_beside_the_truth_by_more_than_it_says(traffic: Recorded) -> None:
    result = score({traffic.address.root: traffic.world.truth}, traffic.received, Run(utc_at_zero_s=EPOCH_UTC_S))
    queues = result.queues
    assert queues.windows == len(windows(traffic))
    assert queues.estimates + queues.at_least >= 3
    assert queues.covered >= 0.9 * queues.estimates
    assert queues.at_least_held == queues.at_least


# --- the score -------------------------------------------------------------------------------------------------------


QUIET = Truth(seed=1, now_s=900.0, vehicles=(), occupancies=(), gate_strikes=0, queue=((10.0, 2), (20.0, 5), (30.0, 0)))


def estimated(at_s: float, claim: str, vehicles: float, low: int, high: int | None) -> Received:
    queue = {"claim": claim, "vehicles": vehicles, "low": low, "high": high}
    data = {"at_utc_s": 1000.0 + at_s, "queue": queue}
    return Received("lane/event/telemetry", {"id": "1-1", "type": "lanecontrol.lane_numbers.v1", "data": data})


def test_the_truth_at_a_moment_is_what_it_last_changed_to() -> None:
    assert [QUIET.waiting_at(at_s) for at_s in (0.0, 10.0, 19.9, 20.0, 29.0, 30.0, 99.0)] == [0, 2, 2, 5, 5, 0, 0]


def test_an_estimate_covers_the_truth_or_does_not() -> None:
    queues = score_queues(QUIET, [estimated(15, "estimate", 3.5, 1, 4), estimated(25, "estimate", 3.0, 1, 4)], 1000.0)
    assert (queues.estimates, queues.covered) == (2, 1)
    assert (queues.waiting_sum, queues.error_sum, queues.bias_sum, queues.width_sum) == (7, 3.5, -0.5, 6)


def test_at_least_so_many_holds_or_does_not() -> None:
    queues = score_queues(QUIET, [estimated(15, "at_least", 1, 1, None), estimated(35, "at_least", 1, 1, None)], 1000.0)
    assert (queues.windows, queues.estimates, queues.at_least, queues.at_least_held) == (2, 0, 2, 1)
