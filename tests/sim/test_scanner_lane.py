"""The FAST lane with a scanner, whole: trucks, officers, the unchanged daemon, and everything that can befall a scan.

Whatever goes wrong, nobody is met by the beam, no beam is on that nobody asked for, and every order has one end.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sim.scoring import scored
from sim.simfile import load_scenario, load_simfile
from sim.simulate import Options, Report, simulate
from sim.world.scenario import Scenario

CONFIGS = Path(__file__).parents[2] / "configs"
SIMULATION = load_simfile(CONFIGS / "sim-scanner.yaml")
SEED = 8
BEAM_S = 90.0
"""With this seed the first truck's beam is on from second 86 to 102."""

pytestmark = pytest.mark.slow
"""A whole lane, several hundred lane seconds each: about four real seconds."""


def scenario(**changes: Any) -> Scenario:
    shipped = load_scenario(SIMULATION.scenario, SIMULATION.devices)
    wanted = shipped.model_dump(mode="json") | {"vehicles": 1} | changes
    wanted["officer"]["scanner_share"] = 1.0
    return Scenario.model_validate(wanted)


def played(wanted: Scenario) -> tuple[Report, dict[str, Any]]:
    pytest.importorskip("cv2", reason="pictures are drawn with the extra `plates`")
    report = simulate(Options(SIMULATION, wanted, seed=SEED, links="mem"))
    return report, scored(report, SEED).to_plain()


def told(report: Report, name: str) -> list[dict[str, Any]]:
    events = (json.loads(one.arrival.raw) for run in report.runs for one in run.desk.heard)
    return [event["data"] for event in events if event["type"].split(".")[1] == name]


def ends(report: Report) -> list[str]:
    return [record["end"] for record in told(report, "scan_recorded")]


def all_is_well(score: dict[str, Any]) -> None:
    """What holds in every run."""
    scans, passages = score["scans"], score["passages"]
    assert (scans["people_in_beam"], scans["beam_without_request"]) == (0, 0)
    ended = ("completed", "aborted", "cancelled", "faulted", "interrupted")
    assert scans["ordered"] == sum(scans[name] for name in ended) > 0, "every order has one end"
    assert scans["false_aborts"] == scans["false_aborts_told"], "the lane knows which of its aborts were false"
    assert passages["complete"] == score["vehicles"], "and in the end everybody drives on"
    assert not any(passages[name] for name in ("merged", "split", "missed", "phantom", "unreleased"))


def test_trucks_are_scanned_one_after_the_other_and_everybody_drives_on() -> None:
    report, score = played(scenario(vehicles=3))
    all_is_well(score)
    assert ends(report) == ["completed"] * 3
    assert (score["scans"]["beams"], score["scans"]["false_aborts"]) == (3, 0)
    assert [beam.vehicle for beam in report.runs[0].truth.beams] == [1, 2, 3]
    assert told(report, "equipment_fault") == []
    for record in told(report, "scan_recorded"):
        assert [one["part"] for one in record["operators"]][:3] == ["ordered", "confirmed", "driver_out"]
        names = [one["actor"]["name"] for one in record["operators"]]
        assert names[0] != names[1], "a second person confirmed it"
        assert all(name.startswith("sim-") for name in names)


@pytest.mark.parametrize(
    ("mishap", "first", "beam"),
    [
        ({"what": "estop", "phase": "beam", "after_s": 3.0, "for_s": 10.0}, "aborted", "interlock"),
        ({"what": "estop", "phase": "warning", "after_s": 2.0, "for_s": 10.0}, "cancelled", None),
        ({"what": "zone_entry", "phase": "beam", "after_s": 3.0, "for_s": 10.0}, "aborted", "interlock"),
        ({"what": "driver_strays", "phase": "warning", "after_s": 2.0, "for_s": 10.0}, "cancelled", None),
        ({"what": "no_start"}, "aborted", None),
        ({"what": "no_warning", "for_s": 90.0}, "faulted", None),
        ({"what": "shutter_sticks_open", "phase": "beam", "for_s": 40.0}, "faulted", "complete"),
        ({"what": "contacts_both", "phase": "beam", "after_s": 3.0, "for_s": 10.0}, "faulted", "withdrawn"),
    ],
    ids=lambda value: f"{value['what']}_{value.get('phase', '')}" if isinstance(value, dict) else None,
)
def test_whatever_befalls_a_scan_nobody_is_met_and_every_order_has_one_end(
    mishap: dict[str, Any], first: str, beam: str | None
) -> None:
    report, score = played(scenario(mishaps=[{"part": "scanner", **mishap}]))
    all_is_well(score)
    assert ends(report)[0] == first
    beams = report.runs[0].truth.beams
    assert [one.ended_by for one in beams][:1] == ([beam] if beam is not None else ["complete"] if beams else [])
    assert score["scans"]["shutter_late"] == (mishap["what"] == "shutter_sticks_open")


def test_bouncing_contacts_a_second_pulse_and_a_passenger_who_takes_long_spoil_nothing() -> None:
    befallen: list[dict[str, Any]] = [
        {"what": "bounce"},
        {"what": "double_complete"},
        {"what": "passenger_stays", "for_s": 110.0},
    ]
    report, score = played(scenario(mishaps=[{"part": "scanner", **mishap} for mishap in befallen]))
    all_is_well(score)
    assert ends(report) == ["completed"]
    (beam,) = report.runs[0].truth.beams
    assert beam.started_s > 110.0, "not before the passenger was seen out"


@pytest.mark.parametrize("what", ["drop", "freeze"])
def test_a_line_that_is_cut_in_mid_scan_ends_the_beam_by_the_modules_own_watchdog(what: str) -> None:
    report, score = played(scenario(mischief=[{"device": "io2", "what": what, "at_s": BEAM_S, "for_s": 8.0}]))
    all_is_well(score)
    first = report.runs[0].truth.beams[0]
    assert first.started_s < BEAM_S
    assert first.ended_s <= BEAM_S + 1.0 + 0.8 + 0.3, "its watchdog, the slowest shutter, and the world's steps"
    assert first.ended_by == "withdrawn" and score["scans"]["false_aborts"] == 1
