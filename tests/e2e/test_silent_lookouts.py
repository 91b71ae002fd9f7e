"""Lookouts are silent in the whole system: two runs, in one of which everybody is looked for, and all there is to see.

Nobody decides because of a hit here: the officer has looked away, and refers everybody for another reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from whole_system import in_memory, scenario

from lanecontrol.cli.ledger import main as ledger
from sim.officer import AutomaticOfficer
from sim.world.scenario import Central

LOOKOUT, ANSWERS = "/event/lookout", "/answer/lookout"


@pytest.fixture
def looks_away(monkeypatch: pytest.MonkeyPatch) -> None:
    hears = AutomaticOfficer.hear

    def hear(officer: AutomaticOfficer, kind: str, data: Mapping[str, Any]) -> None:
        if kind != "lookout_answered":
            hears(officer, kind, data)

    monkeypatch.setattr(AutomaticOfficer, "hear", hear)


def run(folder: Path, share: float) -> tuple[list[tuple[float, str, bytes, bool]], list[Any], list[str], list[int]]:
    """What the port hears and when, the log, the ledger as technicians see it, and how long events of lookouts are."""
    central = Central(not_enrolled_share=1.0, lookout_share=share, armed_share=share)
    with capture_logs() as log:
        report = in_memory(scenario(vehicles=2, central=central), seed=5, state=folder)
    heard = [one.arrival for run in report.runs for one in run.desk.heard]
    seen = [(a.at.utc_s, a.topic, a.raw, a.retained) for a in heard if not a.topic.endswith((LOOKOUT, ANSWERS))]
    lengths = [len(a.raw) for a in heard if a.topic.endswith(LOOKOUT)]
    assert any(b'"hits":[{' in a.raw for a in heard if a.topic.endswith(LOOKOUT)) is (share > 0.0)
    exported = StringIO()
    with redirect_stdout(exported):
        ledger(["export", str(next(folder.glob("lane-*.yaml")))])
    # Digests are salted, row by row: they are always others, and nobody can try out what they may be of.
    rows = [re.sub(r',"digest":"[0-9a-f]{64}"', "", row) for row in exported.getvalue().splitlines()]
    return seen, log, rows, lengths


@pytest.mark.slow
@pytest.mark.usefixtures("looks_away")
def test_with_and_without_hits_topics_moments_lengths_log_and_ledger_are_the_same(tmp_path: Path) -> None:
    without, hits = run(tmp_path / "without", 0.0), run(tmp_path / "hits", 1.0)
    for one, other in zip(without, hits, strict=True):
        assert one == other
    assert len(hits[0]) > 50
    assert len(hits[3]) >= 4
    assert sum('"withheld"' in line for line in hits[2]) == len(hits[3])
