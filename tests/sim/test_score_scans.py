"""The score of scans: what the lane told of them, and what the world knows of the beam."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sim.command import errors_in
from sim.received import Received
from sim.score import Run, score
from sim.score_file import Scans, Score
from sim.world.truth import BeamTruth, Truth

ZERO_UTC_S = 1_700_000_000.0
ROOT = "sim/poe/SYS/lane/07"
BEAM = BeamTruth(110.0, 126.0, 1, "complete", 0, False, False)
QUIET = Truth(seed=1, now_s=900.0, vehicles=(), occupancies=(), gate_strikes=0)


def event(seq: int, name: str, **data: Any) -> Received:
    made = {"id": f"1-{seq}", "epoch": 1, "seq": seq, "type": f"lanecontrol.{name}.v1", "data": data}
    return Received(f"{ROOT}/event/scanner", made)


def ordered(scan: str, seq: int) -> Received:
    return event(seq, "scanner_changed", scan=scan, state="armed")


def record(scan: str, seq: int, end: str = "completed", **more: Any) -> Received:
    facts = {
        "cause": "scan_complete",
        "false_abort": False,
        "ordered_utc_s": 1.7e9 + 90.0,
        "ended_utc_s": 1.7e9 + 130.0,
    }
    return event(seq, "scan_recorded", scan=scan, end=end, **(facts | more))


def scans(*received: Received, **truth: Any) -> Scans:
    world = replace(QUIET, **truth)
    return score({ROOT: world}, list(received), Run(utc_at_zero_s=ZERO_UTC_S)).scans


def test_a_scan_that_goes_well_is_one_order_one_record_one_beam() -> None:
    told = scans(ordered("a", 1), event(2, "scanner_changed", scan="a", state="idle"), record("a", 3), beams=(BEAM,))
    assert told == Scans(ordered=1, completed=1, beams=1)


@pytest.mark.parametrize("end", ["aborted", "cancelled", "faulted"])
def test_every_end_is_counted_as_what_it_is(end: str) -> None:
    told = scans(ordered("a", 1), record("a", 2, end))
    assert told == Scans(ordered=1, **{end: 1})


def test_a_scan_interrupted_by_a_restart_is_counted_as_that() -> None:
    assert scans(ordered("a", 1), record("a", 2, "scan_interrupted")).interrupted == 1


@pytest.mark.parametrize(
    ("beam", "cause", "false"),
    [
        (replace(BEAM, ended_by="withdrawn"), "stale", 1),
        (replace(BEAM, ended_by="abort"), "late", 1),
        (replace(BEAM, ended_by="withdrawn", befallen=True), "zone_clear", 0),
        (replace(BEAM, ended_by="withdrawn"), "operator", 0),
        (replace(BEAM, ended_by="withdrawn"), "lane", 0),
        (replace(BEAM, ended_by="interlock", befallen=True), "estop_ok", 0),
        (BEAM, "scan_complete", 0),
    ],
)
def test_a_false_abort_is_a_beam_that_was_taken_back_for_nothing(beam: BeamTruth, cause: str, false: int) -> None:
    told = scans(ordered("a", 1), record("a", 2, "aborted", cause=cause), beams=(beam,))
    assert told.false_aborts == false


def test_what_the_lane_itself_calls_a_false_abort_is_counted_apart() -> None:
    told = scans(ordered("a", 1), record("a", 2, "aborted", false_abort=True))
    assert (told.false_aborts, told.false_aborts_told) == (0, 1)


def test_people_in_the_beam_and_beams_nobody_asked_for_fail_a_run() -> None:
    met = replace(BEAM, people=2, overran=True)
    told = scans(beams=(met,), people_in_beam=2, beam_without_request=1)
    assert (told.people_in_beam, told.beam_without_request, told.shutter_late) == (2, 1, 1)
    assert errors_in(Score(scans=told).to_plain()) == ["2 people in the beam", "1 beams without a request"]
    assert errors_in(Score().to_plain()) == []
