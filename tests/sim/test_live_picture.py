"""The picture on a terminal: whatever there is to show, it fits, keeps its height and claims nothing that is over."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import pytest
from rich.console import Console

from sim.live import AlarmRow, DeviceRow, Moving, PassageRow, Road, ScannerRow, Span, View, draw

ROAD = Road(
    length_m=75.0,
    zones=(Span("portal", 38, 40), Span("approach", 50, 52), Span("booth", 55, 59), Span("exit", 63, 65)),
    signal_m=58.5,
    gate_m=61.0,
)
LONG = "the device closed the connection before it said who it was, for the seventh time in a row"


def passage(number: int) -> PassageRow:
    findings = "rpm.neutron_alarm, rpm.gamma_alarm, card.missing_for_occupants, passage.ambiguous, plate.unread"
    name = f"07-{number:06d}"
    return PassageRow(
        name, "interrupted", "12/14", "GAMMA NEUTRON", "officer_confirms", "LANE_PASS_UNINSPECTED", findings
    )


def full_view() -> View:
    """More of everything than a terminal has room for."""
    return View(
        title="SYS lane 07 SENTRI (and 3 more)",
        lane_s=359_999,
        speed="max, now x1234",
        life="maintenance",
        signal="proceed",
        gate="unknown",
        quality="DEGRADED",
        road=ROAD,
        vehicles=tuple(Moving(Span("truck_trailer", at, at + 20.0), 12.3) for at in (-30.0, 0.0, 21.0, 43.0, 65.0)),
        devices=tuple(DeviceRow(f"device{n}", "offline", LONG) for n in range(9)),
        alarms=tuple(AlarmRow("unreleased_departure", ("07-000001", "07-000002"), False) for _ in range(9)),
        passages=tuple(passage(number) for number in range(60)),
        recorded=10**7,
        delivered=10**7,
        received=10**7,
        vehicles_done=10**5,
        vehicles_planned=10**5,
    )


def with_scanner(**changes: Any) -> View:
    """The same lane with an overhead signal and a scanner."""
    road = dataclasses.replace(ROAD, overhead_m=5.0)
    row = ScannerRow("interlock_check", LONG, beam=False, people="leaving", zone="exit")
    return dataclasses.replace(full_view(), road=road, overhead=("open",), scanner=dataclasses.replace(row, **changes))


def drawn(view: View, width: int, height: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, height=height, force_terminal=False).print(draw(view, width, height))
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (200, 60)])
def test_however_much_there_is_to_show_the_picture_fits_the_terminal(width: int, height: int) -> None:
    for view in (full_view(), with_scanner()):
        lines = drawn(view, width, height)
        assert max(map(len, lines)) <= width
        assert len(lines) < height


@pytest.mark.parametrize("width", [80, 120])
def test_lines_are_cut_and_never_folded_so_the_rows_below_stay_where_they_are(width: int) -> None:
    quiet = dataclasses.replace(full_view(), devices=(), alarms=(), vehicles=())
    places = [[line.startswith("passage ") for line in drawn(view, width, 30)] for view in (full_view(), quiet)]
    assert places[0] == places[1]


def test_a_terminal_too_narrow_for_anything_does_not_end_the_run() -> None:
    assert drawn(full_view(), 10, 3)


def test_names_of_zones_that_stand_close_do_not_run_into_each_other() -> None:
    words = " ".join(drawn(full_view(), 80, 24)[1:3]).replace("│", " ").split()
    assert words == ["portal", "approach", "exit", "booth"]


def test_what_is_set_aside_by_hand_comes_before_anything_else_of_the_lane() -> None:
    view = dataclasses.replace(full_view(), overrides=("gate held: hinge", "loop out exit: it chatters"))
    (line,) = [line for line in drawn(view, 200, 40) if line.startswith("lane ")]
    shown = "lane      maintenance, OVERRIDDEN gate held: hinge; loop out exit: it chatters, signal"
    assert line.startswith(shown)
    assert "OVERRIDDEN" not in "".join(drawn(full_view(), 200, 40))


def test_every_vehicle_in_the_lane_is_on_the_road() -> None:
    view = dataclasses.replace(full_view(), vehicles=(Moving(Span("suv", 5.0, 9.8), 4.0),))
    lines = drawn(view, 80, 24)
    assert "█suv█" in lines[4]
    assert "4.0" in lines[5]


def test_a_lane_that_has_stopped_shows_no_signal_and_no_device_as_if_they_were_still_held() -> None:
    text = "\n".join(drawn(dataclasses.replace(full_view(), ended=True), 120, 40))
    assert "PROCEED" not in text
    assert "offline" not in text
    assert "stopped" in text


def test_alarms_that_find_no_room_are_counted() -> None:
    view = dataclasses.replace(full_view(), alarms=tuple(AlarmRow("gamma", ("07-000001",), True) for _ in range(5)))
    assert any("GAMMA 07-000001" in line and "and 2 more" in line for line in drawn(view, 80, 24))


def test_before_the_first_passage_the_table_is_there_already() -> None:
    lines = drawn(dataclasses.replace(full_view(), passages=()), 80, 24)
    assert any(line.startswith("passage ") for line in lines)


def test_a_lane_with_a_scanner_shows_its_state_the_beam_its_people_and_what_stands_in_the_way() -> None:
    (line,) = [line for line in drawn(with_scanner(), 160, 40) if line.startswith("scanner ")]
    assert "interlock check, no beam, people of the vehicle: leaving, the device closed" in line
    (line,) = [line for line in drawn(with_scanner(beam=True, blocking=""), 160, 40) if line.startswith("scanner ")]
    assert "BEAM ON" in line
    assert not any(line.startswith("scanner ") for line in drawn(full_view(), 160, 40))


@pytest.mark.parametrize(
    ("lamps", "words"),
    [
        (("open",), "green arrow"),
        (("closing",), "yellow X"),
        (("closed",), "red X"),
        (("open", "closed"), "red X"),
        ((), "dark"),
    ],
)
def test_the_overhead_signal_is_shown_as_drivers_see_it(lamps: tuple[str, ...], words: str) -> None:
    lines = drawn(dataclasses.replace(with_scanner(), overhead=lamps), 160, 40)
    assert any(f"overhead {words}," in line for line in lines)
    assert any("▼" in line for line in lines[:8])


def test_a_lane_that_has_stopped_shows_neither_overhead_signal_nor_scanner_as_if_they_were_held() -> None:
    text = "\n".join(drawn(dataclasses.replace(with_scanner(beam=True), ended=True), 160, 40))
    assert "BEAM" not in text and "green arrow" not in text
