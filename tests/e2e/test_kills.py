"""The daemon is killed, again and again; nothing that it once put on disk is lost, altered or silently gone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from two_processes import Plan, run_with_kills

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="SIGKILL is how it dies here"),
]


async def test_a_daemon_killed_three_times_loses_no_event_and_no_passage(tmp_path: Path) -> None:
    outcome = await run_with_kills(tmp_path, Plan(vehicles=12, kills=3))
    assert outcome.kills == 3
    assert outcome.score["events"]["lost"] == outcome.score["events"]["differing"] == 0
    assert outcome.score["events"]["out_of_order"] == 0
    assert outcome.lost == set()
    assert outcome.differing == set(), "an event that is sent again must be the same bytes"
    assert outcome.verified["good"], outcome.verified
    assert outcome.verified["declared_losses"] == []
    assert outcome.opened_twice == set()
    # The traffic is over: each passage that ever began has ended, once, be it by the kill.
    assert {name: ends for name, ends in outcome.passages.items() if len(ends) != 1} == {}
    assert outcome.score["passages"]["missed"] == 0
    assert outcome.stop_code == 0
