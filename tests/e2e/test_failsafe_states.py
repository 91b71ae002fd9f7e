"""Whatever happens to the daemon, in every state of the lane: the outputs are safe within the module's watchdog time.

Seen by pymodbus at the fake module, not told by us. One daemon for each disturbance goes through all states and is
disturbed in each; killed outright it is started anew. `./lane bench failsafe` prints the whole matrix with its times.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest
from failsafe_matrix import DISTURBANCES, STATES, BrokerLoss, FullDisk, Kill, NoDisk, Seen, disturbed, small_disk
from failsafe_rig import SAFE, rig

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="signals and disks of Linux"),
]

TOLD_APART = ["permission granted", "vehicle under the arm", "closing, one released", "emergency"]
"""A start for each takes its time: for a kill, the states in which something stands to be lost, and one without."""


@pytest.mark.parametrize("name", DISTURBANCES)
async def test_the_outputs_are_safe_within_the_modules_watchdog_time_in_every_state(name: str, tmp_path: Path) -> None:
    kind = DISTURBANCES[name]
    states = TOLD_APART if kind is Kill else list(STATES)
    with ExitStack() as disks:
        store = None
        if kind is FullDisk:
            try:
                store = disks.enter_context(small_disk(tmp_path / "disk"))
            except NoDisk:
                pytest.skip("a small tmpfs cannot be mounted here")
        async with rig(tmp_path, store) as lane:
            seen = [each async for each in disturbed(lane, kind, states)]
    assert [each.state for each in seen] == states
    assert {each.state: each.wrong for each in seen if each.wrong} == {}
    assert "signal_green" in _of(seen, "permission granted").unsafe_before, "there was something to lose"
    if kind is not BrokerLoss:
        assert not _of(seen, "permission granted").after["signal_green"]
    if kind().module_falls:
        assert all(each.tripped and each.after == SAFE for each in seen)


def _of(seen: list[Seen], state: str) -> Seen:
    return next(each for each in seen if each.state == state)
