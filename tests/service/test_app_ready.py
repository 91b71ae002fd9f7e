"""What a lane writes down is made ready before it goes to work: a first record must not stop its event loop."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from app_bench import Bench

from lanecontrol import forms

SMALL = {"StatusDocument", "DeviceDocument", "Names", "DeadLetters", "Receipt"}
"""What the port's side makes when it connects: a millisecond or two each."""


# One second: every adapter of the process is made anew.
async def test_nothing_large_is_made_ready_for_the_first_time_while_the_lane_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "_adapters", {})
    bench = Bench(tmp_path)
    async with bench.served():
        await bench.lane.ready.wait()
        before = set(forms._adapters)
        await bench.at_work()
        async with bench.port() as order:
            assert (await order("open")).result == "done"
            passage = await bench.vehicle_at_booth()
            assert (await order("disposition", passage=passage, disposition="RELEASED")).result == "done"
            await bench.until(lambda: bench.outputs["signal_green"])
    made = {kind.__name__ for kind in set(forms._adapters) - before}
    assert made <= SMALL, made
