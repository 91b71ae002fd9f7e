"""A third party's driver and fake, in a wheel of their own: built, installed, listed, checked, and used by a lane."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from whole_system import CONFIGS, LIMIT_S, lanecontrol

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")


@pytest.fixture(scope="module")
def with_panel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that has the panel's wheel installed beside lanecontrol."""
    folder = tmp_path_factory.mktemp("outoftree")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, HERE / "outoftree")
    (wheel,) = folder.glob("booth_lamp-*.whl")
    pip("install", "--no-deps", "--no-index", "--target", folder / "site", wheel)
    paths = [str(folder / "site"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def pip(*arguments: str | Path) -> None:
    done = subprocess.run([*PIP, *map(str, arguments)], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def lane_file(tmp_path: Path) -> Path:
    """The shipped SENTRI lane, with the panel's button as the booth's button."""
    path = tmp_path / "lane.yaml"
    path.write_text(
        f"extends: {CONFIGS / 'sentri.yaml'}\n"
        "booth_button: {device: panel1, point: button, officer: booth-07}\n"
        "devices:\n"
        "  - {kind: lamp.panel, id: panel1, url: 'tcp://192.0.2.51:4001', silence_timeout_s: 3}\n",
        encoding="utf-8",
    )
    return path


def test_an_installed_driver_is_listed_with_where_it_comes_from(with_panel: dict[str, str]) -> None:
    done = lanecontrol("drivers", "--json", env=with_panel)
    assert done.returncode == 0, done.stderr
    kinds = {each["kind"]: each for each in map(json.loads, done.stdout.splitlines())}
    assert kinds["lamp.panel"] == {
        "kind": "lamp.panel",
        "from": "booth-lamp",
        "reports": ["InputChanged"],
        "performs": [],
    }
    assert {"rpm.rapiscan", "io.modbus", "rfid.llrp"} <= kinds.keys()


def test_a_lane_file_that_uses_it_is_good_where_it_is_installed_and_wrong_where_it_is_not(
    with_panel: dict[str, str], lane_file: Path
) -> None:
    there = lanecontrol("check", lane_file, env=with_panel)
    assert there.returncode == 0, there.stderr
    assert "4 devices" in there.stdout
    absent = lanecontrol("check", lane_file)
    assert absent.returncode == 78
    assert f"{lane_file}:4:12: no driver for 'lamp.panel' is installed" in absent.stderr


def test_its_settings_are_checked_like_any_others(with_panel: dict[str, str], lane_file: Path) -> None:
    text = lane_file.read_text(encoding="utf-8")
    lane_file.write_text(text.replace("silence_timeout_s: 3", "silence_timeout_s: soon"), encoding="utf-8")
    done = lanecontrol("check", lane_file, env=with_panel)
    assert done.returncode == 78
    assert f"{lane_file}:4:" in done.stderr


def test_a_lane_sees_the_panel_online_and_its_button_lets_vehicles_through(
    with_panel: dict[str, str], lane_file: Path, tmp_path: Path
) -> None:
    shipped = (CONFIGS / "sim.yaml").read_text(encoding="utf-8")
    simfile = tmp_path / "sim.yaml"
    button = "  button: {device: panel1, point: button}\n"
    simfile.write_text(
        shipped.replace("lane: sentri.yaml", f"lane: {lane_file.name}")
        .replace("  button: {device: io1, point: booth_button}\n", button)
        .replace("scenario: scenarios/", f"scenario: {CONFIGS}/scenarios/")
        .replace("fakes:\n", "fakes:\n  panel1: {kind: lamp.panel}\n"),
        encoding="utf-8",
    )
    assert button in simfile.read_text(encoding="utf-8")
    files = [HERE / "button_in_a_panel.py", simfile, CONFIGS / "scenarios" / "clean.yaml"]
    script = [sys.executable, *map(str, files)]
    done = subprocess.run(script, env=with_panel, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert ["online", "lamp panel"] in told["panel"]
    assert told["dispositions"] == [["RELEASED", "booth-07", "officer"]] * 2
    assert told["complete"] == 2
