"""What the lane does when its disk fails, hangs or recovers, and what it says of its own health."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

sys.path.insert(0, str(Path(__file__).parent))

from app_bench import Bench, full_disk

from lanecontrol import app, making
from lanecontrol.announcements import DeviceStateChanged, OrderRejected
from lanecontrol.clock import LoopClock
from lanecontrol.events import DeviceChanged, DeviceState, Identity, Input, Started
from lanecontrol.port.outbox import DeadLetter
from lanecontrol.recorder import Recorder


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def rejection() -> OrderRejected:
    return OrderRejected("topic", "a test", "", None, 0.0)


async def test_the_start_is_the_first_input_of_a_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[object] = []

    class Seen(Recorder):
        def taken_in(self, given: Input, state: object, effects: object) -> None:
            taken.append(given.event)

    monkeypatch.setattr(making, "Recorder", Seen)
    async with bench.served():
        await bench.at_work()
    assert isinstance(taken[0], Started)
    assert sum(isinstance(event, Started) for event in taken) == 1
    assert any(isinstance(event, DeviceChanged) for event in taken[1:])


@pytest.mark.parametrize("how", ["fails", "hangs"])
async def test_while_the_store_cannot_be_opened_the_module_shows_red_and_the_lane_begins_when_it_can(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(app, "STORE_RETRY_S", 0.1)
    bench.disk.fails = full_disk() if how == "fails" else None
    if how == "hangs":
        bench.disk.hang()
    async with bench.served():
        await bench.until(lambda: bench.outputs["signal_red"])
        assert not bench.lane.ready.is_set()
        bench.disk.fails = None
        bench.disk.go_on.set()
        await bench.at_work()
        await bench.green()


async def test_a_full_disk_withdraws_refuses_what_grants_and_recovers(bench: Bench) -> None:
    async with bench.served():
        await bench.at_work()
        await bench.green()
        bench.disk.fails = full_disk()
        bench.lane._tell_port(rejection())
        await bench.until(lambda: not bench.outputs["signal_green"] and bench.outputs["signal_red"])
        assert not bench.lane.snapshot().state.desk.writable
        async with bench.port() as order:
            reply = await order("close")
            assert reply.result == "refused"
            assert "not on disk" in reply.reason
        bench.disk.fails = None
        await bench.until(lambda: bench.lane.snapshot().state.desk.writable)
        await bench.until(lambda: bench.lane.snapshot().undelivered == 0)


async def test_why_the_store_cannot_be_opened_is_told_once_with_its_path(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "STORE_RETRY_S", 0.02)
    path = bench.loaded.store.path
    path.write_bytes(b"")
    with capture_logs() as log:
        async with bench.served():
            await asyncio.sleep(0.3)
            path.unlink()
            await bench.at_work()
    told = [line for line in log if line["event"].startswith("store ")]
    assert [line["event"] for line in told] == ["store unavailable", "store opened after all"]
    assert (told[0]["path"], told[0]["reason"]) == (str(path), "File exists")


async def test_a_grant_whose_commit_fails_is_never_given(bench: Bench) -> None:
    async with bench.served():
        await bench.at_work()
        async with bench.port() as order:
            await order("open")
            passage = await bench.vehicle_at_booth()
            await bench.until(lambda: bool(bench.lane.runner.state.tracking.passages[0].revision))
            await bench.until(lambda: bench.lane._journal.waiting_s() == 0)
            bench.disk.fails = full_disk()
            reply = await order("disposition", passage=passage, disposition="RELEASED")
            assert reply.result == "refused"
            assert bench.lane.snapshot().state.desk.permission is None
        assert not any(deed.point == "signal_green" and deed.on for deed in bench.deeds)


async def test_what_the_ledger_refuses_takes_no_number_and_the_retained_state_is_told_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench.served():
        await bench.at_work()
        await bench.until(lambda: bench.lane._journal.waiting_s() == 0)
        lane = bench.lane
        told: list[DeviceStateChanged] = []
        monkeypatch.setattr(lane._journal, "_stands", told.append)
        monkeypatch.setattr(lane._ledger._committer, "_limits", _no_room(lane))
        before = lane._ledger.next_seq, lane.snapshot().recorded
        changed = DeviceStateChanged("io1", "io.modbus", DeviceState.OFFLINE, "a test", 0.0, Identity())
        written = lane._journal.write((changed,), LoopClock().now(), None)
        assert written.done()
        assert written.exception() is not None
        lane._tell_port(rejection())
        assert (lane._ledger.next_seq, lane.snapshot().recorded) == before
        assert told == [changed]


def _no_room(lane: app.Lane) -> object:
    from dataclasses import replace

    return replace(lane._ledger._limits, waiting_entries=0)


async def test_a_commit_that_hangs_spoils_the_health_verdict_until_it_ends(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "STORE_LIMIT_S", 0.1)
    async with bench.served():
        await bench.at_work()
        await bench.until(lambda: bench.lane.health.verdict().good)
        bench.disk.hang()
        bench.lane._tell_port(rejection())
        await bench.until(lambda: any("ledger: a commit takes" in r for r in bench.lane.health.verdict().reasons))
        bench.disk.go_on.set()
        await bench.until(lambda: bench.lane.health.verdict().good)


async def test_inputs_that_nobody_handles_spoil_the_health_verdict(bench: Bench) -> None:
    async with bench.served():
        await bench.at_work()
        bench.lane.runner._drain = lambda: None  # type: ignore[method-assign]
        bench.lane._emit("lane", Started(False, "b00t"))
        await bench.until(lambda: any("lane: inputs wait" in r for r in bench.lane.health.verdict().reasons))


async def test_a_dead_letter_is_logged_and_ends_nothing(bench: Bench) -> None:
    async with bench.served() as running:
        await bench.at_work()
        bench.lane._own.dead_letter(DeadLetter(1, 1, 1, "passage", 0x99, "payload format invalid"))
        await asyncio.sleep(0)
        assert not running.done()


async def test_two_lanes_in_one_process_share_nothing(tmp_path: Path) -> None:
    one, other = Bench(tmp_path, "07"), Bench(tmp_path, "08")
    async with one.served() as first, other.served():
        await one.at_work()
        await other.at_work()
        await one.green()
        assert not other.outputs["signal_green"]
        one.stop.set()
        await first
        await other.green()
        assert other.outputs["signal_green"]
        assert not one.outputs["signal_green"]
