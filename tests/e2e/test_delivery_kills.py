"""Killed at random moments and at each system call that counts: nothing confirmed is lost, altered or repeated long.

The harness is the benchmark's (`./lane bench delivery`), which runs hundreds of kills and mosquitto's bridge beside.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from _brokers import program
from _delivery_kills import Fate, kill_at_every_call, kill_series
from _delivery_returns import flapping

from lanecontrol.port.drain import REPEAT_LIMIT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="SIGKILL is how it dies here"),
]


@pytest.fixture(autouse=True)
def broker() -> None:
    """mosquitto; the test skips where there is none."""
    if program() is None:
        pytest.skip("mosquitto is not installed (Debian package mosquitto)")


def told(text: str) -> None:
    """The harness tells how far it is; nobody wants to know here."""


def check(fate: Fate) -> None:
    assert fate.lost == 0, sorted(fate.confirmed - fate.arrived.keys())[:10]
    assert fate.differing == 0, "an event that is sent again must be the same bytes"
    assert fate.repeated <= fate.kills * REPEAT_LIMIT


@pytest.mark.parametrize("outage", [False, True], ids=["online", "outage"])
def test_a_lane_killed_ten_times_loses_nothing_it_confirmed(tmp_path: Path, outage: bool) -> None:
    fate = kill_series(tmp_path, 10, seed=11, outage=outage, tell=told)
    assert fate.kills == 10
    assert fate.confirmed
    check(fate)


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize(("call", "outage"), [("fdatasync", False), ("sendto", False), ("fdatasync", True)])
def test_a_passage_killed_at_each_call_loses_nothing_it_confirmed(tmp_path: Path, call: str, outage: bool) -> None:
    fate = kill_at_every_call(tmp_path, call, outage=outage, step=1, tell=told)
    assert fate.kills >= 10
    assert len(fate.confirmed) > fate.kills
    check(fate)


def test_a_flapping_link_makes_progress_each_time_it_is_up(tmp_path: Path) -> None:
    windows = flapping(tmp_path, 6, seed=11, tell=told)
    # Shorter ones are left to the benchmark: a busy machine may not give a process its turn for that long.
    assert [up_s for up_s, count in windows if count == 0 and up_s > 0.5] == []
