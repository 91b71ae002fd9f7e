"""Stored captures of a portal: their lines as events, and its decisions compared with those of its counts."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from math import log
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.rpm_rapiscan import RapiscanPortal
from drivers.rpm_rapiscan_codec import read_line
from drivers.rpm_rapiscan_stored import without_stamp
from lanecontrol.events import GammaBackground, GammaCounts, NeutronCounts, OccupancyEnded, PortalExtra, PortalSetup

BACKGROUND = "GB,000380,000383,000403,000361"
STAMPS = ["", ",2016-05-31 09:30:00.899 -07", ",09-30-00.899", ",2016-05-31 09:30:00.899 +05:30", ", 09-30-00.899 "]
END = "GX,000017,006683,000000,000000"


def capture(*lines: str, stamp: str = "", end: str = "\r\n") -> bytes:
    return "".join(line + stamp + end for line in lines).encode()


def counted(tag: str, *counts: int) -> str:
    return f"{tag},{','.join(f'{count:06d}' for count in counts)}"


def spread(tag: str, window: Iterable[int]) -> list[str]:
    """A window of five intervals, the last of them with the tag."""
    parts = [[total // 5 + (part < total % 5) for total in window] for part in range(5)]
    return [*(counted("GS", *part) for part in parts[:-1]), counted(tag, *parts[-1])]


def decisions(raw: bytes, **settings: str) -> tuple[int, int]:
    found = RapiscanPortal.summarise(raw, settings)["gamma_decisions"]
    return found["agree"], found["disagree"]


def statistics(raw: bytes) -> tuple[int, int]:
    found = RapiscanPortal.summarise(raw, {})["neutron_statistics"]
    return found["agree"], found["disagree"]


# --- lines -----------------------------------------------------------------------------------------------------------

SOME = (BACKGROUND, counted("NS", 3, 0, 2, 0), counted("GA", 77, 77, 67, 69), "SP,0.1336,05.103,008.21,000000", END)


@pytest.mark.parametrize("end", ["\r\n", "\n"], ids=["CRLF", "LF"])
@pytest.mark.parametrize("stamp", STAMPS)
def test_every_stored_form_of_a_line_is_the_same_event(stamp: str, end: str) -> None:
    found = list(RapiscanPortal.decode(capture(*SOME, stamp=stamp, end=end), {}))
    assert found == [read_line(line) for line in SOME]
    assert None not in found


def test_a_header_a_byte_order_mark_blank_lines_and_an_unfinished_last_line_do_no_harm() -> None:
    raw = b"\xef\xbb\xbf" + capture(BACKGROUND, "", "tag,1,2,3,4,received", *spread("GA", (700, 700, 700, 700)))
    found = RapiscanPortal.summarise(raw + END.encode(), {})
    assert (found["lines"], found["unknown_lines"], found["occupancies"]) == (9, 2, 1)
    assert found["gamma_decisions"] == {"agree": 1, "disagree": 0}
    assert isinstance(next(iter(RapiscanPortal.decode(raw, {}))), GammaBackground)


def test_a_line_that_only_looks_stamped_keeps_its_fields() -> None:
    assert without_stamp("ZZ,2016-05-31") == "ZZ,2016-05-31"
    assert without_stamp(END) == END


@given(st.binary(max_size=600))
def test_whatever_stands_in_a_capture_is_counted_without_an_error(raw: bytes) -> None:
    found = RapiscanPortal.summarise(raw, {})
    text = raw.removeprefix(b"\xef\xbb\xbf")
    assert found["lines"] == text.count(b"\n") + (not text.endswith(b"\n") and text != b"")
    assert len(list(RapiscanPortal.decode(raw, {}))) <= found["lines"]


line = st.one_of(
    st.sampled_from([*SOME, "NB1,3.99166703,0.00000000,2.69166684,0.00000000", "NZ,-3.24434947,-3.24434947"]),
    st.sampled_from(["SG1,002000,000100,03,10,07.5,P", "SN1,000100,02,0047,0500,03,120", "NX,9.5,-0.9", "GX", "***"]),
    st.builds(counted, st.sampled_from(["GS", "GA", "NS", "NA", "GB", "NB"]), *[st.integers(0, 999_999)] * 4),
)


@given(st.lists(line, max_size=60))
def test_no_order_of_lines_makes_the_comparison_raise_or_count_more_than_there_is(lines: list[str]) -> None:
    raw = capture(*lines)
    gamma = sum(one.startswith(("GS", "GA")) for one in lines)
    neutron = sum(one.startswith(("NS", "NA")) for one in lines)
    assert sum(decisions(raw)) <= gamma
    assert sum(statistics(raw)) <= neutron


# --- the gamma decision ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("background", "window", "alarm"),
    [
        ((380, 383, 403, 361), (481, 386, 525, 318), True),
        ((375, 379, 417, 368), (424, 441, 470, 356), True),
        ((380, 383, 403, 361), (400, 386, 425, 318), False),
    ],
    ids=["sum", "one pair only", "neither"],
)
def test_a_decision_follows_from_the_counts_and_never_from_the_tag(
    background: tuple[int, ...], window: tuple[int, ...], alarm: bool
) -> None:
    for tag in ("GA", "GS"):
        raw = capture(counted("GB", *background), *spread(tag, window), END)
        assert decisions(raw) == ((1, 0) if alarm is (tag == "GA") else (0, 1))


def test_lines_before_a_full_window_or_without_a_background_are_not_compared() -> None:
    assert decisions(capture(BACKGROUND, *spread("GA", (900, 900, 900, 900))[:4], END)) == (0, 0)
    assert decisions(capture(*spread("GA", (900, 900, 900, 900)), END)) == (0, 0)


def test_each_occupancy_begins_a_new_window_and_the_background_stands_until_the_next() -> None:
    quiet, loud = spread("GS", (380, 383, 403, 361)), spread("GA", (900, 900, 900, 900))
    assert decisions(capture(BACKGROUND, *loud, END, *quiet, END)) == (2, 0), "tailgating, no background between"
    assert decisions(capture(BACKGROUND, *loud, BACKGROUND, *quiet, END)) == (2, 0), "the end was lost"


@pytest.mark.parametrize("tag", ["GH", "GL"])
def test_a_background_with_a_fault_is_a_background(tag: str) -> None:
    raw = capture(counted(tag, 380, 383, 403, 361), *spread("GA", (481, 386, 525, 318)))
    assert decisions(raw) == (1, 0)


def test_the_threshold_is_a_setting_and_a_decimal() -> None:
    raw = capture(counted("GB", 375, 379, 417, 368), *spread("GA", (424, 441, 470, 356)))
    assert decisions(raw) == decisions(raw, n_sigma="4.04") == (1, 0)
    assert decisions(raw, n_sigma="4.05") == (0, 1)


def test_setup_lines_override_the_settings_from_where_they_stand() -> None:
    window = spread("GA", (481, 386, 525, 318))  # S 4.6831
    setup = "SG1,002000,000100,05,10,04.7,P"
    assert decisions(capture(BACKGROUND, *window, END, setup, BACKGROUND, *window), n_sigma="4.0") == (1, 1)
    assert decisions(capture(BACKGROUND, setup.replace("04.7", "04.6"), *window), n_sigma="9") == (1, 0)


def test_without_a_setting_the_first_setup_line_of_a_capture_stands_for_what_was_before_it() -> None:
    window = spread("GA", (481, 386, 525, 318))
    setup = "SG1,002000,000100,05,10,04.7,P"
    assert decisions(capture(BACKGROUND, *window, END, setup, stamp=STAMPS[1])) == (0, 1)
    assert decisions(capture(setup, BACKGROUND, *window, stamp=STAMPS[2])) == (0, 1)


def test_the_length_of_the_window_follows_setup_and_settings() -> None:
    loud = [counted("GA", 900, 900, 900, 900)] * 2
    assert decisions(capture("SG1,002000,000100,02,10,04.0,P", BACKGROUND, *loud)) == (1, 0)
    assert decisions(capture(BACKGROUND, *loud), intervals="1") == (2, 0)


def test_the_algorithm_mask_says_which_groups_decide() -> None:
    pair_only = spread("GS", (424, 441, 470, 356))
    raw = capture(counted("GB", 375, 379, 417, 368), *pair_only)
    assert decisions(raw) == (0, 1)
    assert decisions(raw, algorithms="1000") == (1, 0)
    setup = "SG2,1111,0.069,5.060,03,1000,A"
    assert decisions(capture(setup) + raw) == (1, 0)


@pytest.mark.parametrize(
    "settings",
    [
        {"n_sigma": "four"},
        {"n_sigma": "nan"},
        {"n_sigma": "0"},
        {"intervals": "5.5"},
        {"algorithms": "sum"},
        {"x": "1"},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        RapiscanPortal.summarise(b"", settings)
    with pytest.raises(ValueError, match=next(iter(settings))):
        RapiscanPortal.decode(b"", settings)


# --- the neutron statistic -------------------------------------------------------------------------------------------

NB1 = "NB1,3.99166703,0.00000000,2.69166684,0.00000000"
SCORE, COUNTS = "NZ,-3.24434947,-3.24434947", counted("NS", 2, 0, 2, 0)


def test_a_recorded_score_follows_from_background_and_counts_and_starts_over_after_a_low_one() -> None:
    assert statistics(capture(NB1, BACKGROUND, SCORE, COUNTS, SCORE, COUNTS)) == (2, 0)


def test_a_score_that_does_not_is_a_disagreement() -> None:
    assert statistics(capture(NB1, SCORE.replace("3.2443", "3.2444"), COUNTS)) == (0, 1)


def test_scores_without_an_exact_background_or_without_their_counts_are_not_compared() -> None:
    assert statistics(capture(counted("NB", 3, 0, 2, 0), SCORE, COUNTS)) == (0, 0)
    assert statistics(capture(NB1, SCORE, NB1, COUNTS)) == (0, 0)
    assert statistics(capture(NB1, COUNTS, COUNTS)) == (0, 0)
    assert statistics(capture(NB1, "NZ,***", COUNTS, "NZ,1", COUNTS)) == (0, 0)


def test_the_number_of_steps_follows_the_neutron_setup() -> None:
    above = counted("NS", 6, 0, 6, 0)
    background, alarming = 6.68333387, 62 / 5
    each = 12 * log(alarming / background) - (alarming - background)
    steps = [f"NZ,{n * each:.8f},0" for n in (1, 2, 3, 1)]
    lines = [part for score in steps for part in (score, above)]
    found = RapiscanPortal.summarise(capture(NB1, *lines), {})["neutron_statistics"]
    assert found["agree"] == 4, found
    twice = RapiscanPortal.summarise(capture("SN1,000100,02,0047,0500,03,120", NB1, *lines), {})["neutron_statistics"]
    assert twice["disagree"] == 2


# --- occupancies -----------------------------------------------------------------------------------------------------

BODY = (BACKGROUND, counted("NS", 5, 0, 6, 0), counted("GS", 77, 77, 67, 69), counted("GA", 377, 77, 67, 69))


@pytest.mark.parametrize(
    ("lines", "occupancies", "gamma", "neutron"),
    [
        ((*BODY, END), 1, 1, 0),
        (BODY, 1, 1, 0),
        ((*BODY, *BODY, END), 2, 2, 0),
        ((*BODY, END, counted("NS", 5, 0, 6, 0), BACKGROUND), 1, 1, 0),
        ((*BODY, END, counted("NA", 5, 0, 6, 0), END), 2, 1, 1),
        ((END,), 1, 0, 0),
        ((*BODY[:3], END), 1, 0, 0),
        ((), 0, 0, 0),
    ],
    ids=["plain", "no end", "end lost", "straggler", "neutron only", "no body", "no alarm", "empty"],
)
def test_occupancies_are_counted_also_where_lines_are_missing(
    lines: tuple[str, ...], occupancies: int, gamma: int, neutron: int
) -> None:
    found = RapiscanPortal.summarise(capture(*lines), {})
    assert (found["occupancies"], found["gamma_alarms"], found["neutron_alarms"]) == (occupancies, gamma, neutron)
    assert found["lines"] == len(lines)
    assert found["unknown_lines"] == 0


def test_lines_that_are_malformed_or_of_an_unknown_tag_are_counted_as_unknown() -> None:
    found = RapiscanPortal.summarise(capture("GS,1", "QQ,000001", "AA,000001,000001,000001,11111A", ""), {})
    assert (found["lines"], found["unknown_lines"]) == (4, 3)


# --- recordings ------------------------------------------------------------------------------------------------------

RECORDINGS = [("eyamamoto_S2-C0-NONE.csv", 12_229, 0), ("eyamamoto_S2-C3-NORM2.csv", 13_857, 25)]


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "lines", "alarms", "n_sigma", "gamma", "neutron"),
    [
        (*RECORDINGS[0], "4.0", (1410, 0), (295, 0)),
        (*RECORDINGS[1], "4.0", (1397, 2), (292, 0)),
        (*RECORDINGS[1], "4.02", (1399, 0), (292, 0)),
    ],
)
def test_the_recordings_are_decided_as_the_controller_did(
    shared_data: Path,
    name: str,
    lines: int,
    alarms: int,
    n_sigma: str,
    gamma: tuple[int, int],
    neutron: tuple[int, int],
) -> None:
    raw = (shared_data / "rpm" / name).read_bytes()
    assert RapiscanPortal.summarise(raw, {"n_sigma": n_sigma}) == {
        "lines": lines,
        "unknown_lines": 0,
        "occupancies": 25,
        "gamma_alarms": alarms,
        "neutron_alarms": 0,
        "gamma_decisions": {"agree": gamma[0], "disagree": gamma[1]},
        "neutron_statistics": {"agree": neutron[0], "disagree": neutron[1]},
    }


@pytest.mark.data
@pytest.mark.parametrize("name", [name for name, _, _ in RECORDINGS])
def test_a_recording_is_the_same_in_every_stored_form_and_with_older_firmware(shared_data: Path, name: str) -> None:
    raw = (shared_data / "rpm" / name).read_bytes()
    whole: dict[str, Any] = RapiscanPortal.summarise(raw, {})
    short = re.sub(rb"\d{4}-\d\d-\d\d (\d\d):(\d\d):(\d\d\.\d{3}) -07\r", rb"\1-\2-\3", raw)
    assert short != raw
    assert RapiscanPortal.summarise(short, {}) == whole
    older = b"".join(row for row in raw.splitlines(True) if row.startswith((b"GB", b"GS", b"GA", b"NB,", b"NS", b"GX")))
    found = RapiscanPortal.summarise(older, {})
    assert found["gamma_decisions"] == whole["gamma_decisions"]
    assert found["neutron_statistics"] == {"agree": 0, "disagree": 0}


@pytest.mark.data
@pytest.mark.parametrize(("name", "lines", "alarms"), RECORDINGS)
def test_every_line_of_the_recordings_is_a_typed_event(shared_data: Path, name: str, lines: int, alarms: int) -> None:
    events = list(RapiscanPortal.decode((shared_data / "rpm" / name).read_bytes(), {}))
    assert len(events) == lines
    assert sum(isinstance(event, OccupancyEnded) for event in events) == 25
    known = {event.tag for event in events if isinstance(event, PortalExtra) and event.values}
    assert known == {"NC", "NX", "NZ", "AB1", "AR", "AS"}
    assert not [event for event in events if isinstance(event, PortalSetup)]
    assert any(isinstance(event, NeutronCounts) for event in events)
    assert any(isinstance(event, GammaCounts) and event.alarm for event in events) is (alarms > 0)


@pytest.mark.data
def test_the_shares_of_the_energy_windows_are_those_of_their_backgrounds(shared_data: Path) -> None:
    """What AB1 and AR are is read off the recordings; this is how."""
    events = RapiscanPortal.decode((shared_data / "rpm" / RECORDINGS[0][0]).read_bytes(), {})
    extras = [event for event in events if isinstance(event, PortalExtra) and event.tag in ("AB1", "AR")]
    pairs = [
        (windows, shares)
        for windows, shares in itertools.pairwise(extras)
        if (windows.tag, shares.tag) == ("AB1", "AR")
    ]
    assert len(pairs) > 600
    for windows, shares in pairs:
        total = sum(cps for _, cps in windows.values)
        for (_, cps), (_, share) in zip(windows.values, shares.values, strict=True):
            assert share == pytest.approx(cps / total, abs=6e-5)
