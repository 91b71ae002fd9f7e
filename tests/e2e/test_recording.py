"""What a real portal said: the recorded lines through the decoder, and over the wire through the whole daemon."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from whole_system import lanecontrol, mistakes

pytestmark = pytest.mark.data

WITHOUT_SOURCE = "eyamamoto_S2-C0-NONE.csv"
WITH_SOURCE = "eyamamoto_S2-C3-NORM2.csv"


@pytest.mark.parametrize(
    ("file", "lines", "alarms", "gamma", "neutron"),
    [(WITHOUT_SOURCE, 12_229, 0, (1410, 0), 295), (WITH_SOURCE, 13_857, 25, (1397, 2), 292)],
)
def test_every_recorded_line_is_understood_and_decided_as_the_controller_did(
    file: str, lines: int, alarms: int, gamma: tuple[int, int], neutron: int, shared_data: Path
) -> None:
    done = lanecontrol("decode", "rpm.rapiscan", shared_data / "rpm" / file, "--summary", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "lines": lines,
        "unknown_lines": 0,
        "occupancies": 25,
        "gamma_alarms": alarms,
        "neutron_alarms": 0,
        "gamma_decisions": {"agree": gamma[0], "disagree": gamma[1]},
        "neutron_statistics": {"agree": neutron, "disagree": 0},
    }


@pytest.mark.slow
@pytest.mark.parametrize(("file", "alarms"), [(WITHOUT_SOURCE, 0), (WITH_SOURCE, 25)])
def test_the_recorded_lines_on_the_wire_reach_the_broker_as_occupancies_and_alarms(
    file: str, alarms: int, shared_data: Path, tmp_path: Path
) -> None:
    report = tmp_path / "r.json"
    source = f"rpm.rapiscan={shared_data / 'rpm' / file}"
    done = lanecontrol("sim", "--recording", source, "--speed", "max", "--quiet", "--report", report)
    assert done.returncode == 0, done.stderr
    score = json.loads(report.read_text(encoding="utf-8"))
    assert score["radiation"] == {"occupancies": 25}
    assert (score["alarms"]["true"], score["alarms"]["raised"]) == (alarms, alarms)
    assert mistakes(score) == {}
    assert score["events"]["acknowledged"] == score["events"]["recorded"] >= 25 + alarms
