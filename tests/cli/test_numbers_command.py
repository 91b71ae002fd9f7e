"""`lanecontrol numbers`: a ledger's export recounted, and figures that do not agree with their events found."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from lanecontrol.announcements import (
    Announcement,
    DisposedBy,
    LaneLife,
    LaneLifeChanged,
    LaneNumbers,
    LaneStarted,
    LaneType,
    PassageAtBooth,
    PassageClosed,
    PassageEnd,
    PassageOpened,
    Quality,
    Referral,
)
from lanecontrol.cli import main
from lanecontrol.clock import Instant
from lanecontrol.commands import Actor, Disposition, Role
from lanecontrol.figures import PassageTimes
from lanecontrol.lane.numbers import after
from lanecontrol.lane.numbers_state import Moment, Numbers
from lanecontrol.port.payloads import event_bytes
from lanecontrol.port.topics import LaneAddress

START_S = 1_800_000_000.0
Captured = pytest.CaptureFixture[str]


def passage(number: int) -> list[tuple[float, Announcement]]:
    """A vehicle of two minutes: seen, at the booth, released, gone."""
    name, at_s = f"07-{number:06d}", 120.0 * number
    disposed = DisposedBy(Disposition.RELEASED, Actor("officer-12", Role.OFFICER), START_S + at_s + 15.0)
    closed = PassageClosed(
        passage=name,
        end=PassageEnd.COMPLETE,
        reason="",
        lane_type=LaneType.SENTRI,
        opened_utc_s=START_S + at_s,
        booth_entered_utc_s=START_S + at_s + 5.0,
        booth_left_utc_s=START_S + at_s + 20.0,
        closed_utc_s=START_S + at_s + 25.0,
        tags=(),
        plates=(),
        occupancies=(),
        findings=(),
        referral=Referral.NONE,
        disposition=disposed,
        occupants=1,
        quality=Quality.GOOD,
        rules_hash="",
        times=PassageTimes(service_s=15.0, cycle_s=22.0),
    )
    return [
        (at_s, PassageOpened(name, "portal", START_S + at_s)),
        (at_s + 5.0, PassageAtBooth(name, START_S + at_s + 5.0)),
        (at_s + 25.0, closed),
    ]


def lines(*, forged: int = 0, lane: str = "07") -> bytes:
    """What a lane wrote down in a quarter of an hour; its count of the served is `forged` too high."""
    told: list[tuple[float, Announcement]] = [
        (0.0, LaneStarted(True, "b", START_S)),
        (1.0, LaneLifeChanged(LaneLife.OPEN, LaneLife.CLOSED, "", START_S + 1.0)),
    ]
    for number in range(1, 8):
        told += passage(number)
    numbers, written = Numbers(), bytearray()
    for at_s, announcement in [*told, (900.0, None)]:
        heard = [announcement] if announcement is not None else []
        numbers, found = after(numbers, heard, Moment(at_s, START_S + at_s), 900.0)
        for one in (*heard, *found):
            if isinstance(one, LaneNumbers):
                one = replace(one, served=one.served + forged)
            at, address = Instant(at_s, START_S + at_s), LaneAddress("SYS", lane)
            written += event_bytes(one, epoch=1, seq=written.count(b"\n") + 1, instant=at, source_lane=address) + b"\n"
    return bytes(written)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    file = tmp_path / "export.jsonl"
    file.write_bytes(lines())
    return file


def test_published_figures_that_agree_with_their_events_are_shown_as_such(export: Path, capsys: Captured) -> None:
    assert main(["numbers", str(export)]) == 0
    row = capsys.readouterr().out.strip().split("\t")
    assert row[0] == "2027-01-15T08:00"
    assert row[1:4] == ["15.0", "7", "28"]
    assert row[5:7] == ["15.0 / 15.0", "22.0 / 22.0"]
    assert row[-1] == "agree"


def test_figures_that_somebody_typed_in_are_found_and_the_command_fails(export: Path, capsys: Captured) -> None:
    export.write_bytes(lines(forged=3))
    assert main(["numbers", str(export), "--json"]) == 1
    shown = json.loads(capsys.readouterr().out)
    assert shown["differences"] == ["served"]
    assert (shown["figures"]["served"], shown["published"]["served"]) == (7, 10)


def test_an_export_is_read_from_standard_input_too(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(lines())))
    assert main(["numbers", "-"]) == 0
    assert capsys.readouterr().out.count("agree") == 1


def test_lines_that_say_nothing_any_more_are_counted(export: Path, capsys: Captured) -> None:
    export.write_bytes(lines() + b'{"id":"1-99","erased":true,"digest":"00"}\nnonsense\n')
    assert main(["numbers", str(export)]) == 0
    assert "2 lines without an event's words" in capsys.readouterr().err


def test_events_of_two_lanes_are_not_mixed(export: Path, capsys: Captured) -> None:
    export.write_bytes(lines() + lines(lane="08"))
    assert main(["numbers", str(export)]) == 2
    assert "2 lanes" in capsys.readouterr().err


def test_a_window_of_no_length_is_refused(export: Path) -> None:
    assert main(["numbers", str(export), "--window", "0"]) == 2


def test_events_of_less_than_a_window_are_told(export: Path, capsys: Captured) -> None:
    assert main(["numbers", str(export), "--window", "3600"]) == 0
    assert "no window of 3600 s is over in these events" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_told(tmp_path: Path, capsys: Captured) -> None:
    assert main(["numbers", str(tmp_path / "none")]) == 1
    assert "No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "told"), [(b"a,b\n1,2\n", "none of its 2 lines is an event of a lane"), (b"", "it is empty")]
)
def test_a_file_without_an_event_is_told_and_fails(export: Path, capsys: Captured, content: bytes, told: str) -> None:
    export.write_bytes(content)
    assert main(["numbers", str(export)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{export}: {told}" in err
