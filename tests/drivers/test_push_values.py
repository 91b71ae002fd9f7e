"""Values as cameras write them, and what messages mean one after the other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.push import values
from drivers.push.sightings import CLOCK_SKEW, EVENTS_REMEMBERED, Picture, Recent, Sighting, Teller
from lanecontrol.events import DeviceFault, PictureTaken, PlateRead, PlateTrackEnded, PlateUnread


@pytest.mark.parametrize(
    ("raw", "plate"),
    [
        ("8abc 123", "8ABC123"),
        ("8ABC-123", "8ABC123"),
        ("ÄÖ·12", "AO12"),
        ("\uff18\uff21\uff22\uff23", "8ABC"),
        ("\u0410123\u0412\u0421", "123"),
        ("皖A12345", "A12345"),
        ("\ud800X1", "X1"),
        ("", ""),
        ("?" * 30, ""),
        ("A" * 21, ""),
    ],
)
def test_a_plate_is_letters_and_digits(raw: str, plate: str) -> None:
    assert values.plate(raw) == plate


@pytest.mark.parametrize(
    ("told", "share"),
    [
        ("0.96", 0.96),
        (0.5, 0.5),
        (93, 0.93),
        ("92.5", 0.925),
        ("96.657967", 0.96657967),
        (1, 1.0),
        (150, 1.0),
        (-1, 0.0),
    ],
)
def test_a_confidence_is_a_share_or_per_cent(told: Any, share: float) -> None:
    assert values.share(told) == pytest.approx(share)


def test_per_cent_below_one_is_per_cent_where_it_is_known_to_be() -> None:
    assert values.share("0.5", percent=True) == 0.005
    assert values.share("0.5") == 0.5


@pytest.mark.parametrize("told", ["", "x", None, True, [], {}, "nan", "inf", "1" * 400, float("nan"), 10**400])
def test_what_is_no_number_is_none(told: Any) -> None:
    assert values.number(told) is None


@pytest.mark.parametrize(
    ("told", "utc_s"),
    [
        ("2024-12-02T14:51:24+08:00", 1733122284.0),
        ("2024-12-02T06:51:24Z", 1733122284.0),
        ("20241202T145124+0800", 1733122284.0),
        ("2024-12-02T14:51:24.5+08:00", 1733122284.5),
        ("2024-12-02T14:51:24", None),
        ("1970-01-01T00:00:00Z", None),
        ("yesterday", None),
        (None, None),
    ],
)
def test_iso_times_need_their_offset_and_some_sense(told: Any, utc_s: float | None) -> None:
    assert values.iso_time(told) == utc_s


def test_counts_since_1970_are_times_unless_the_clock_was_never_set() -> None:
    assert values.epoch("1733122284000", 1e3) == 1733122284.0
    assert values.epoch(1733122284 * 10**9, 1e9) == 1733122284.0
    assert values.epoch("12", 1e3) is None


@pytest.mark.parametrize(
    ("told", "box"),
    [
        (["1", 2, "3.4", 4], (1, 2, 3, 4)),
        ([1, 2, 3], None),
        ([1, 2, 0, 4], None),
        ([1, 2, "x", 4], None),
        ([1, 2, 1e9, 4], None),
    ],
)
def test_a_box_has_four_numbers_and_an_inside(told: list[Any], box: tuple[int, ...] | None) -> None:
    assert values.box(told) == box


@pytest.mark.parametrize(
    ("country", "state", "whole", "expected"),
    [
        ("USA", "CA", "", "US-CA"),
        ("USA", "", "us-ca", "US-CA"),
        ("", "us-ca", "", "US-CA"),
        ("US", "US-CA", "", "US-CA"),
        ("MEX", "BCN", "", "MX-BCN"),
        ("US", "mx-bcn", "", "MX-BCN"),
        ("POL", "", "", "POL"),
        ("", "", "", ""),
    ],
)
def test_a_jurisdiction_is_iso_3166_as_far_as_it_is_known(country: str, state: str, whole: str, expected: str) -> None:
    assert values.jurisdiction(country, state, whole) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(JSON)
def test_no_value_makes_any_of_it_fail(told: Any) -> None:
    found = values.text(told)
    assert len(found) <= values.TEXT_LIMIT
    found.encode()
    assert values.plate(found).isascii()
    values.unescaped(found).encode()
    values.share(told)
    values.iso_time(told)
    values.epoch(told, 1e3)
    values.box(told if isinstance(told, list) else [told] * 4)


# --- one message after the other -------------------------------------------------------------------------------------


def teller() -> Teller:
    return Teller(engine="test", track_limit_s=15.0, skew_limit_s=2.0)


def seen(key: str, **facts: Any) -> Sighting:
    return Sighting(key, **{"text": "8ABC123", "raw": "8ABC123", **facts})


PICTURES = (Picture(b"1", "image/jpeg", "frame"), Picture(b"2", "image/jpeg", "plate"))


def test_an_event_that_comes_twice_is_told_once() -> None:
    one = teller()
    assert len(one.take(seen("a"), [], 0.0)) == 1
    assert one.take(seen("a"), [], 0.0) == []
    assert len(one.take(seen("ab"), [], 0.0)) == 1


def test_pictures_that_come_later_are_told_by_themselves() -> None:
    one = teller()
    (read,) = one.take(seen("a", track="7", pictures=PICTURES[:1]), ["ref1"], 0.0)
    assert isinstance(read, PlateRead)
    assert read.picture == "ref1"
    assert one.take(seen("a", track="7", pictures=PICTURES), ["ref1", "ref2"], 0.0) == [
        PictureTaken("ref2", "7", "plate")
    ]


def test_a_picture_that_was_not_kept_is_left_out() -> None:
    (read,) = teller().take(seen("a", pictures=PICTURES[:1]), [""], 0.0)
    assert isinstance(read, PlateRead)
    assert read.picture == ""


def test_a_track_ends_when_the_camera_says_so_or_when_nothing_is_heard_of_it() -> None:
    one = teller()
    one.take(seen("a", track="7"), [], 0.0)
    one.take(seen("b", track="8"), [], 5.0)
    assert one.take(seen("c", track="7", gone=True), [], 6.0) == [PlateTrackEnded("7")]
    assert one.expire(19.9) == []
    assert one.expire(20.0) == [PlateTrackEnded("8")]
    assert one.expire(99.0) == []


def test_a_car_that_is_gone_with_another_plate_is_read_once_more() -> None:
    one = teller()
    one.take(seen("a", track="7"), [], 0.0)
    read, ended = one.take(seen("b", track="7", text="8ABC12B", gone=True), [], 1.0)
    assert isinstance(read, PlateRead)
    assert ended == PlateTrackEnded("7")


def test_a_car_without_a_plate_is_told_as_unread() -> None:
    assert teller().take(seen("a", text="", track="7", unread="dirt"), [], 0.0, late=True) == [
        PlateUnread("dirt", "7", "", late=True)
    ]


def test_tracks_without_an_end_are_bounded() -> None:
    one = teller()
    told = [report for n in range(1000) for report in one.take(seen(str(n), track=str(n)), [], 0.0)]
    assert sum(isinstance(report, PlateTrackEnded) for report in told) == 1000 - 256


def test_the_memory_of_events_is_bounded_and_forgets_the_oldest() -> None:
    recent = Recent(limit=3)
    assert all(recent.is_new(key) for key in "abcd")
    assert len(recent) == 3
    assert recent.is_new("a")
    assert not recent.is_new("d")
    assert EVENTS_REMEMBERED == 4096


def test_what_did_not_reach_the_ledger_is_new_again() -> None:
    recent = Recent()
    recent.is_new("a")
    mark = recent.mark()
    recent.is_new("b")
    recent.settle(mark)
    recent.forget_unsettled()
    assert not recent.is_new("a")
    assert recent.is_new("b")


def test_a_wrong_clock_is_told_once_and_once_when_it_is_right_again() -> None:
    one = teller()
    assert one.compare_clocks(3600.0, 0.0, at_once=True) == [
        DeviceFault(CLOCK_SKEW, "the camera's clock differs by +3600.0 s")
    ]
    assert one.compare_clocks(3601.0, 0.0, at_once=True) == []
    assert one.compare_clocks(None, 0.0, at_once=True) == []
    assert one.compare_clocks(1.9, 0.0, at_once=True) == [DeviceFault(CLOCK_SKEW, "", active=False)]


def test_an_event_that_may_have_waited_says_nothing_of_a_late_clock() -> None:
    assert teller().compare_clocks(0.0, 10.0, at_once=False) == []
    assert teller().compare_clocks(10.0, 0.0, at_once=False) != []
