"""The systemd unit: what it must say, and what systemd's own tools think of it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

DEFAULT_MIB = 500
"""What it may grow to."""
UNIT = Path(__file__).parents[2] / "systemd" / "lanecontrol@.service"


def directives() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if match := re.fullmatch(r"([A-Z]\w+)=(.*)", line):
            found.setdefault(match[1], []).append(match[2])
    return found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Type", "notify"),
        ("NotifyAccess", "main"),
        ("Restart", "always"),
        ("RestartPreventExitStatus", "78"),
        ("StartLimitIntervalSec", "0"),
        ("Environment", "LANECONTROL_BOOT_ID=%b"),
        ("User", "lanecontrol"),
        ("StateDirectory", "lanecontrol/%i"),
        ("StateDirectoryMode", "0700"),
        ("DevicePolicy", "closed"),
        ("IPAddressDeny", "any"),
        ("CapabilityBoundingSet", ""),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("MemoryDenyWriteExecute", "yes"),
        ("SystemCallErrorNumber", "EPERM"),
        ("UMask", "0077"),
        ("DeviceAllow", "char-ttyUSB rw"),
        ("DeviceAllow", "char-video4linux rw"),
        ("SystemCallFilter", "setpriority nice"),
        ("OOMPolicy", "continue"),
    ],
)
def test_the_unit_sets_what_the_daemon_counts_on(name: str, value: str) -> None:
    assert value in directives()[name]


def test_the_memory_holds_the_daemon_a_reader_of_plates_and_a_video_source() -> None:
    (most,) = directives()["MemoryMax"]
    assert most == "1G"
    assert 150 + DEFAULT_MIB + 100 <= 1024


def test_the_event_loop_comes_first_and_what_it_starts_does_not() -> None:
    found = directives()
    assert found["CPUSchedulingPolicy"] == ["rr"]
    assert found["CPUSchedulingPriority"] == ["1"], "the lowest that comes before everything else"
    assert found["CPUSchedulingResetOnFork"] == ["yes"]


def test_the_modules_watchdogs_act_long_before_systemds() -> None:
    """Its pings come at a third of its time; a module's watchdog is 1 to 2 s (rule 1 of the lane's I/O)."""
    (watchdog_s,) = directives()["WatchdogSec"]
    assert float(watchdog_s) / 3 > 2.0


def test_the_daemon_is_run_on_the_lane_of_the_instance() -> None:
    assert directives()["ExecStart"] == ["/opt/lanecontrol/bin/lanecontrol run /etc/lanecontrol/%i.yaml"]


def test_comments_stand_on_their_own_lines() -> None:
    for line in UNIT.read_text().splitlines():
        assert line.startswith("#") or "#" not in line, line


needs_analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")


@needs_analyze
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """ExecStart must exist for this check, so another program stands in."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/lanecontrol/bin/lanecontrol", shutil.which("true") or "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    told = [line for line in done.stderr.splitlines() if "lanecontrol" in line]
    assert told == []


@needs_analyze
def test_the_exposure_stays_low() -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze cannot look at a unit that is not installed")
    assert done.returncode == 0, done.stdout[-300:] + done.stderr
