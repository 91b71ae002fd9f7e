"""The flight recorder: what it writes, how it bounds itself, and what a replay of it shows."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanecontrol import forms
from lanecontrol.announcements import LaneStarted, TagKind, TagSighted
from lanecontrol.clock import Instant
from lanecontrol.commands import DONE, ClearWatchdog, WriteOutputs
from lanecontrol.events import CommandEnded, Input, InputChanged, Started, TagRead, Tick
from lanecontrol.identifier import Identifier
from lanecontrol.lane.effects import Answer, Drive, Publish
from lanecontrol.recorder import (
    Checkpoint,
    Gap,
    Record,
    Recorder,
    RecorderLimits,
    Segment,
    TakenIn,
    Wire,
    effects_bytes,
    effects_digest,
    read,
    replay,
    wire_only,
)
from lanecontrol.recorder.records import decode, encode_wire
from lanecontrol.recorder.segments import Ring
from lanecontrol.sealing import Sealer

BOTH = pytest.mark.parametrize("inline", [False, True], ids=["threads", "inline"])


@dataclass(frozen=True, slots=True)
class ToySetup:
    factor: int = 3


@dataclass(frozen=True, slots=True)
class ToyState:
    count: int = 0
    seen: tuple[str, ...] = ()


def toy_step(setup: ToySetup, state: ToyState, given: Input) -> tuple[ToyState, tuple[Any, ...]]:
    """Publishes at every third input, drives at every card."""
    after = ToyState(state.count + 1, (*state.seen, type(given.event).__name__)[-3:])
    match given.event:
        case TagRead(antenna, epc):
            sighted = TagSighted(epc, TagKind.PERSON, given.source, "booth", antenna, given.at.utc_s)
            return after, (Publish(sighted), Drive(f"c{after.count}", "io", WriteOutputs((("red", True),)), False))
        case _ if after.count % setup.factor == 0:
            return after, (Publish(LaneStarted(False, "boot", given.at.utc_s)), Answer("key", DONE))
        case _:
            return after, ()


def inputs(count: int, first: int = 0) -> list[Input]:
    events = (
        Tick(),
        TagRead(1, Identifier("e2801160"), -50.5),
        InputChanged("loop", True),
        CommandEnded("c1", DONE),
        Started(True, "boot"),
    )
    return [Input(Instant(n / 7, 1e9 + n / 7), "device", events[n % 5]) for n in range(first, first + count)]


class Lane:
    """A toy lane at work under a recorder."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.state = ToyState()
        self.effects: list[bytes] = []

    def take(self, given: Sequence[Input]) -> None:
        for one in given:
            before = self.state
            self.state, effects = toy_step(ToySetup(), before, one)
            self.effects.append(effects_bytes(effects))
            self.recorder.taken_in(one, before, effects)


def replayed(path: Path, step: Any = toy_step, **options: Any) -> Any:
    return replay(path, step, setup_kind=ToySetup, state_kind=ToyState, **options)


def recorder_in(folder: Path, **options: Any) -> Recorder:
    return Recorder(folder, setup=ToySetup(), **options)


def files_in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def kinds(records: Sequence[Record]) -> list[str]:
    return [type(record).__name__ for record in records]


@BOTH
async def test_a_recording_replays_to_the_same_bytes(tmp_path: Path, inline: bool) -> None:
    async with recorder_in(tmp_path, inline=inline, limits=RecorderLimits(checkpoint_every=40)) as recorder:
        lane = Lane(recorder)
        for start in range(0, 200, 10):
            lane.take(inputs(10, start))
            await asyncio.sleep(0)
    seen: list[bytes] = []
    report = replayed(tmp_path, see=lambda taken, effects: seen.append(effects))
    assert report.identical
    assert (report.inputs, report.skipped, report.checkpoints) == (200, 0, 5)
    assert seen == lane.effects
    assert replayed(tmp_path).digest == report.digest


async def test_a_changed_rule_shows_at_the_input_where_it_matters(tmp_path: Path) -> None:
    async with recorder_in(tmp_path) as recorder:
        Lane(recorder).take(inputs(30))

    def other_step(setup: ToySetup, state: ToyState, given: Input) -> tuple[ToyState, tuple[Any, ...]]:
        after, effects = toy_step(setup, state, given)
        return after, () if after.count == 12 else effects

    report = replayed(tmp_path, other_step)
    assert [(d.number, d.what) for d in report.differences] == [(12, "the effects of TagRead")]


async def test_a_state_that_goes_another_way_shows_at_the_next_checkpoint(tmp_path: Path) -> None:
    async with recorder_in(tmp_path, limits=RecorderLimits(checkpoint_every=10)) as recorder:
        Lane(recorder).take(inputs(25))

    def forgetful(setup: ToySetup, state: ToyState, given: Input) -> tuple[ToyState, tuple[Any, ...]]:
        after, effects = toy_step(setup, state, given)
        return replace(after, seen=()), effects

    report = replayed(tmp_path, forgetful)
    assert [(d.number, d.what) for d in report.differences] == [(10, "the state after it"), (20, "the state after it")]


async def test_any_segment_replays_by_itself(tmp_path: Path) -> None:
    async with recorder_in(tmp_path, limits=RecorderLimits(segment_bytes=4000)) as recorder:
        lane = Lane(recorder)
        lane.take(inputs(200))
    files = files_in(tmp_path)
    assert len(files) > 3
    total = 0
    for file in files:
        assert kinds(list(read(file)))[:2] == ["Segment", "Checkpoint"]
        report = replayed(file)
        assert report.identical
        assert report.skipped == 0
        total += report.inputs
    assert total == 200
    assert replayed(tmp_path).inputs == 200


async def test_the_ring_stays_within_its_limit_and_drops_the_oldest(tmp_path: Path) -> None:
    limit = 40_000
    async with recorder_in(tmp_path, limit_bytes=limit, limits=RecorderLimits(segment_bytes=5000)) as recorder:
        lane = Lane(recorder)
        for start in range(0, 2000, 20):
            lane.take(inputs(20, start))
            await recorder.flush()
            assert sum(file.stat().st_size for file in files_in(tmp_path)) <= limit
    assert [r.number for r in read(tmp_path) if isinstance(r, TakenIn)][-1] == 2000
    assert replayed(tmp_path).identical
    assert {file.stat().st_mode & 0o777 for file in files_in(tmp_path)} == {0o600}


async def test_wire_bytes_come_back_as_they_were(tmp_path: Path) -> None:
    at = Instant(1.5, 1e9, False)
    sent = [
        Wire("rpm", "rx", b"GB,000100,000200\r\n", at),
        Wire("io", "tx", bytes(range(256)), at),
        Wire("io", "rx", b'"quoted" \\ \t', at),
        Wire("rpm", "rx", b"", at),
    ]
    async with recorder_in(tmp_path) as recorder:
        Lane(recorder).take(inputs(1))
        for wire in sent:
            recorder.wire(wire.device, wire.way, wire.data, wire.at)
    assert [record for record in read(tmp_path) if isinstance(record, Wire)] == sent
    assert list(wire_only(tmp_path, "rpm")) == [sent[0], sent[3]]


@given(st.binary(max_size=300), st.text(max_size=8))
def test_any_wire_bytes_survive_the_line_they_are_written_in(data: bytes, device: str) -> None:
    line = encode_wire(device, "tx", data, Instant(0.1, 2.5))
    assert line.count(b"\n") == 1
    assert decode(line) == Wire(device, "tx", data, Instant(0.1, 2.5))


@given(st.binary(max_size=200))
def test_decoding_whatever_is_on_a_line_never_raises(line: bytes) -> None:
    decode(line)
    decode(b'{"k":"wire","device":"x","way":"rx","at":' + line)
    decode(b'{"k":"input","n":1,"effects":"","given":' + line + b"}")


def test_effects_have_bytes_that_tell_unions_apart() -> None:
    at = LaneStarted(True, "b", 2.0)
    effects = (Publish(at), Drive("c", "io", ClearWatchdog(), True, 2.0), Answer("k", DONE))
    assert effects_bytes(effects) == (
        b'[{"type":"Publish","announcement":{"type":"LaneStarted","cold":true,"boot":"b","at_utc_s":2.0}},'
        b'{"type":"Drive","command_id":"c","device":"io","grants":true,"timeout_s":2.0,"command":{"type":"ClearWatchdog"}},'
        b'{"type":"Answer","key":"k","outcome":{"result":"done","reason":""}}]'
    )
    assert len(effects_digest(effects)) == 16
    assert effects_digest(effects) != effects_digest(effects[:2])


# --- what goes wrong -------------------------------------------------------------------------------------------------


async def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    async with recorder_in(tmp_path) as recorder:
        Lane(recorder).take(inputs(20))
    [file] = files_in(tmp_path)
    torn(file)
    assert kinds(list(read(file))).count("TakenIn") == 19
    assert replayed(file).identical


def torn(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])


async def test_damage_inside_a_file_stops_the_replay_until_the_next_checkpoint(tmp_path: Path) -> None:
    async with recorder_in(tmp_path, limits=RecorderLimits(checkpoint_every=10)) as recorder:
        Lane(recorder).take(inputs(30))
    [file] = files_in(tmp_path)
    with_a_broken_line(file, 5)
    report = replayed(file)
    assert report.identical
    assert (report.inputs, report.skipped) == (23, 6)


def with_a_broken_line(file: Path, number: int) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    lines[number] = b"\0" * 50 + b"\n"
    file.write_bytes(b"".join(lines))


async def test_a_second_run_begins_a_new_segment_and_is_not_compared_with_the_first(tmp_path: Path) -> None:
    for run in range(2):
        async with recorder_in(tmp_path) as recorder:
            Lane(recorder).take(inputs(10 + run))
    segments = [record for record in read(tmp_path) if isinstance(record, Segment)]
    assert segments == [Segment(1, False), Segment(2, False)]
    report = replayed(tmp_path)
    assert (report.inputs, report.identical) == (21, True)


class StuckRing:
    """Makes the recorder's disk fail, or wait."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failing = False
        real: Callable[[Ring, bytes], None] = Ring.write

        def write(ring: Ring, data: bytes) -> None:
            if self.failing:
                ring.close()
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(ring, data)

        monkeypatch.setattr(Ring, "write", write)


@BOTH
async def test_a_failing_disk_is_reported_once_and_recording_begins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inline: bool
) -> None:
    disk = StuckRing(monkeypatch)
    faults: list[str] = []
    limits = RecorderLimits(retry_s=0.0, write_bytes=500)
    async with recorder_in(tmp_path, inline=inline, on_fault=faults.append, limits=limits) as recorder:
        lane = Lane(recorder)
        lane.take(inputs(10))
        await recorder.flush()
        disk.failing = True
        recorder._limits = replace(limits, retry_s=3600.0)
        for start in range(10, 50, 5):
            lane.take(inputs(5, start))
            recorder.wire("rpm", "rx", b"x", Instant(0.0, 0.0))
            await recorder.flush()
        assert faults == ["recording failed: No space left on device"]
        for start in range(50, 65, 5):  # tried again, as after each `retry_s`
            recorder._up_again()
            lane.take(inputs(5, start))
            await recorder.flush()
        assert faults == ["recording failed: No space left on device"]
        disk.failing = False
        recorder._up_again()
        lane.take(inputs(10, 65))
        await recorder.flush()
        assert faults[1:] == [""]
    gaps = [record for record in read(tmp_path) if isinstance(record, Gap)]
    assert len(gaps) == 1
    assert (gaps[0].inputs, gaps[0].why) == (55, "No space left on device")
    report = replayed(tmp_path)
    assert report.identical
    assert (report.inputs, report.skipped) == (20, 0)


async def test_overload_drops_wire_bytes_before_inputs_and_says_so(tmp_path: Path) -> None:
    limits = RecorderLimits(memory_bytes=3000, write_bytes=10**9, write_after_s=3600)
    async with recorder_in(tmp_path, limits=limits) as recorder:
        lane = Lane(recorder)
        lane.take(inputs(1))
        for n in range(100):
            recorder.wire("rpm", "rx", b"%03d" % n * 10, Instant(0.0, 0.0))
        lane.take(inputs(5, 1))
        await recorder.flush()
        lane.take(inputs(5, 6))
    found = list(read(tmp_path))
    [gap] = [record for record in found if isinstance(record, Gap)]
    kept = kinds(found).count("Wire")
    assert (gap.wire, gap.inputs) == (100 - kept, 0)
    assert 10 < kept < 40
    assert (replayed(tmp_path).inputs, replayed(tmp_path).skipped) == (11, 0)


async def test_inputs_lost_to_overload_leave_a_gap_and_a_checkpoint(tmp_path: Path) -> None:
    limits = RecorderLimits(memory_bytes=1000, write_bytes=10**9, write_after_s=3600)
    async with recorder_in(tmp_path, limits=limits) as recorder:
        lane = Lane(recorder)
        lane.take(inputs(50))
        await recorder.flush()
        lane.take(inputs(5, 50))
    found = list(read(tmp_path))
    at = next(n for n, record in enumerate(found) if isinstance(record, Gap))
    gap, after = found[at], found[at + 1]
    assert isinstance(gap, Gap)
    assert isinstance(after, Checkpoint)
    assert after.inputs == 50
    assert forms.from_json(ToyState, after.state).count == 50
    report = replayed(tmp_path)
    assert report.inputs == 55 - gap.inputs
    assert report.identical


async def test_what_has_no_json_form_is_a_fault_and_not_an_exception(tmp_path: Path) -> None:
    faults: list[str] = []
    async with recorder_in(tmp_path, on_fault=faults.append) as recorder:
        lane = Lane(recorder)
        recorder.taken_in(inputs(1)[0], object(), ())
        lane.take(inputs(3))
    assert len(faults) == 1
    assert replayed(tmp_path).inputs == 3


async def test_wire_bytes_before_the_first_input_and_after_the_end_are_let_go(tmp_path: Path) -> None:
    recorder = recorder_in(tmp_path)
    recorder.wire("rpm", "rx", b"early", Instant(0.0, 0.0))
    Lane(recorder).take(inputs(2))
    await recorder.close()
    recorder.wire("rpm", "rx", b"late", Instant(0.0, 0.0))
    Lane(recorder).take(inputs(2))
    await recorder.close()
    assert kinds(list(read(tmp_path))) == ["Segment", "Checkpoint", "TakenIn", "TakenIn"]


# --- sealed ----------------------------------------------------------------------------------------------------------


async def test_a_sealed_recording_shows_no_number_and_replays_with_its_key(tmp_path: Path) -> None:
    async with recorder_in(tmp_path, sealer=Sealer([b"a key of the site"])) as recorder:
        lane = Lane(recorder)
        lane.take(inputs(30))
        recorder.wire("reader", "rx", bytes.fromhex("e2801160"), Instant(9.0, 9.0))
        await recorder.flush()
        lane.take(inputs(30, 30))
    stored = b"".join(file.read_bytes() for file in files_in(tmp_path))
    assert b"e2801160" not in stored
    assert stored.startswith(b'{"k":"segment"')
    report = replayed(tmp_path, sealer=Sealer([b"a newer key", b"a key of the site"]))
    assert report.identical
    assert report.inputs == 60


async def test_what_is_sealed_with_a_key_that_is_not_here_is_a_gap(tmp_path: Path) -> None:
    async with recorder_in(tmp_path, sealer=Sealer([b"a key of the site"])) as recorder:
        Lane(recorder).take(inputs(30))
    for sealer in (Sealer(), Sealer([b"another key"])):
        assert kinds(list(read(tmp_path, sealer))) == ["Segment", "Gap"]
    report = replayed(tmp_path)
    assert (report.inputs, report.locked) == (0, 1)


async def test_a_sealed_part_that_a_crash_tore_takes_nothing_before_it_along(tmp_path: Path) -> None:
    sealer = Sealer([b"a key of the site"])
    async with recorder_in(tmp_path, sealer=sealer) as recorder:
        lane = Lane(recorder)
        lane.take(inputs(30))
        await recorder.flush()
        whole = files_in(tmp_path)[0].stat().st_size
        lane.take(inputs(30, 30))
    file = files_in(tmp_path)[0]
    content = file.read_bytes()
    for end in range(whole, len(content), 97):
        file.write_bytes(content[:end])
        report = replayed(tmp_path, sealer=sealer)
        assert report.identical
        assert report.inputs == 30


async def test_a_damaged_seal_is_an_unreadable_line(tmp_path: Path) -> None:
    sealer = Sealer([b"a key of the site"])
    async with recorder_in(tmp_path, sealer=sealer) as recorder:
        Lane(recorder).take(inputs(30))
    file = files_in(tmp_path)[0]
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    assert kinds(list(read(file, sealer)))[:2] == ["Segment", "Gap"]
