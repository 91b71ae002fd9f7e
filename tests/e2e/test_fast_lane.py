"""The FAST lane: trucks, and a device of every kind that pushes, polls or is polled, over memory links and over TCP."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from whole_system import CONFIGS, lanecontrol, mistakes, scenario, score_of

from sim.simfile import load_simfile
from sim.simulate import Options, Report, simulate

SIMFILE = CONFIGS / "sim-fast.yaml"
KINDS = {"io.modbus", "rpm.rapiscan", "rpm.aspect", "rfid.llrp", "rfid.mercury", "lpr.axis", "lpr.mapped"}
Event = dict[str, Any]


def in_memory(vehicles: int, state: Path | None = None, seed: int = 7) -> Report:
    wanted = scenario("fast", vehicles=vehicles)
    return simulate(Options(load_simfile(SIMFILE), wanted, seed=seed, links="mem", state=state))


def heard(report: Report) -> list[Event]:
    return [json.loads(one.arrival.raw) for run in report.runs for one in run.desk.heard]


def named(events: Iterable[Event], name: str) -> list[Event]:
    return [event["data"] for event in events if event["type"].split(".")[1] == name]


def pictured(events: list[Event], evidence: Path) -> int:
    """How many plates were told, each with a picture that is whole on disk."""
    told = named(events, "plate_sighted")
    for plate in told:
        algorithm, _, digest = plate["picture"].partition(":")
        data = (evidence / digest[:2] / digest[2:4] / digest).read_bytes()
        assert algorithm == "sha256"
        assert hashlib.sha256(data).hexdigest() == digest
        assert data.startswith(b"\xff\xd8")
    return len(told)


def plates_are_bound(score: dict[str, Any]) -> bool:
    """Every plate that a camera read ends up with the truck that it is on, but for those that it read wrong."""
    plates = score["plates"]
    return plates["bound"] > score["vehicles"] and not any(
        plates[name] for name in ("misassigned", "orphan", "ambiguous")
    )


def test_the_lane_file_is_good() -> None:
    done = lanecontrol("check", CONFIGS / "fast.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    simulation = load_simfile(SIMFILE)
    assert {config.kind for config in simulation.fakes.values()} == KINDS


@pytest.mark.slow
def test_trucks_over_memory_links_are_all_settled_with_every_device_online_and_every_plate_pictured(
    tmp_path: Path,
) -> None:
    pytest.importorskip("cv2", reason="pictures are drawn with the extra `plates`")
    report = in_memory(12, tmp_path, seed=3)
    score, events = score_of(report), heard(report)
    assert score["passages"]["complete"] == score["vehicles"] == 12
    assert mistakes(score) == {}
    assert score["radiation"]["occupancies"] == 24, "two portals"
    assert score["alarms"]["true"] == score["alarms"]["raised"] > 0
    assert plates_are_bound(score), score["plates"]
    last = {change["device"]: change["state"] for change in named(events, "device_state_changed")}
    assert set(last.values()) == {"online"}
    assert len(last) == len(KINDS)
    assert "offline" not in {change["state"] for change in named(events, "device_state_changed")}
    assert named(events, "device_fault_changed") == []
    assert pictured(events, tmp_path / "store-07" / "evidence") >= score["plates"]["bound"] > 18


@pytest.mark.slow
def test_cameras_lose_no_event_of_theirs() -> None:
    report = in_memory(8)
    (run,) = report.runs
    for device in ("lpr1", "lpr2"):
        tally = run.stage.fakes[device].tally  # type: ignore[attr-defined]
        assert tally.delivered > 8
        # The first sign of life comes before the lane listens.
        assert (tally.refused, tally.late, tally.overflowed) == (0, 0, 0)
        assert tally.lost <= 1


@pytest.mark.slow
def test_the_same_seed_publishes_the_same_events_twice() -> None:
    assert heard(in_memory(3)) == heard(in_memory(3))


@pytest.mark.slow
def test_trucks_over_tcp_make_no_mistake(tmp_path: Path) -> None:
    report, state = tmp_path / "r.json", tmp_path / "state"
    command = ("sim", "--config", SIMFILE, "--vehicles", "12", "--seed", "7", "--speed", "max")
    done = lanecontrol(*command, "--report", report, "--state", state)
    assert done.returncode == 0, done.stderr
    score = json.loads(report.read_text(encoding="utf-8"))
    assert score["passages"]["complete"] == 12
    assert mistakes(score) == {}
    assert plates_are_bound(score), score["plates"]
    events = [json.loads(line) for line in done.stdout.splitlines()]
    last = {change["device"]: change["state"] for change in named(events, "device_state_changed")}
    assert set(last.values()) == {"online"}
    assert len(last) == len(KINDS)


def test_without_the_wire_trucks_are_settled_alike(tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    done = lanecontrol("sim", "--config", SIMFILE, "--vehicles", "25", "--seed", "7", "--typed", "--report", report)
    assert done.returncode == 0, done.stderr
    score = json.loads(report.read_text(encoding="utf-8"))
    assert score["passages"]["complete"] == 25
    assert mistakes(score) == {}
    assert plates_are_bound(score), score["plates"]
