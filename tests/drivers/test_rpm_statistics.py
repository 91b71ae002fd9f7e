"""The mathematics of a portal's two decisions: vectors read off recordings, and what holds for any counts."""

from __future__ import annotations

from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanecontrol.radiation_statistics import (
    INTERVAL_S,
    USUAL,
    GammaTest,
    NeutronTest,
    Sums,
    expected_of,
    groups_of,
    limits,
    slide,
    strongest,
    sums_of,
)

panels = st.tuples(*[st.integers(0, 999_999)] * 4)


def test_the_limits_of_the_neutron_test_are_those_that_controllers_announce() -> None:
    assert limits() == pytest.approx((9.50437640, -0.99599343), abs=1e-5)


@pytest.mark.parametrize(
    ("fifths", "alarming"), [(29, 56), (30, 57), (31, 59), (32, 60), (33, 62), (34, 63), (35, 64), (36, 66)]
)
def test_the_alarming_rate_of_a_background_is_that_of_the_recordings(fifths: int, alarming: int) -> None:
    test = NeutronTest()
    test.background(((fifths + 0.5) / 5, 0.0, 0.0, 0.0))
    (score,) = test.second((0, 0, 0, 0))
    assert score == pytest.approx((fifths + 0.5 - alarming) / 5)


def test_where_rounding_decides_both_alternatives_are_followed() -> None:
    test = NeutronTest()
    test.background((30 / 5, 0.0, 0.0, 0.0))
    assert sorted(test.second((0, 0, 0, 0))) == pytest.approx([(30 - 57) / 5, (30 - 56) / 5])


@pytest.mark.parametrize("background", [(), (0.0,) * 4, (-1.0,), (float("nan"),), (float("inf"),), (1e-9,)])
def test_without_a_usable_background_there_is_no_score(background: tuple[float, ...]) -> None:
    test = NeutronTest()
    test.background(background)
    assert test.second((1, 0, 0, 0)) == ()


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=30), st.floats(0.2, 1e6))
def test_any_counts_have_a_finite_score(counts: list[int], background: float) -> None:
    test = NeutronTest()
    test.background((background,))
    for count in counts:
        scores = test.second((count,))
        assert scores
        assert all(map(isfinite, scores))


@given(st.lists(panels, min_size=1, max_size=20), st.integers(1, 8))
def test_the_window_is_the_sum_of_the_last_intervals(counts: list[tuple[int, ...]], intervals: int) -> None:
    window: tuple[Sums, ...] = ()
    total: Sums = (0, 0, 0)
    for one in counts:
        window, total = slide(window, total, sums_of(one), intervals)
    last = counts[-intervals:]
    assert len(window) == len(last)
    assert total == tuple(sum(part) for part in zip(*map(sums_of, last), strict=True))


@given(panels, st.tuples(*[st.integers(1, 99_999)] * 4))
def test_the_strongest_group_is_none_of_the_weaker_ones(counts: tuple[int, ...], background: tuple[int, ...]) -> None:
    total, expected = sums_of(counts), expected_of(background)
    highest, place = strongest(total, expected, 5)
    alone = [strongest((one,), (rate,), 5)[0] for one, rate in zip(total, expected, strict=True)]
    assert highest == max(s for s in alone if s is not None) == alone[place]
    assert INTERVAL_S * 5 == 1.0


def test_counts_of_any_number_of_panels_are_grouped() -> None:
    assert sums_of((1, 2, 3, 4)) == (10, 3, 7)
    assert sums_of((5,)) == (5, 0, 5)
    assert sums_of(()) == (0, 0, 0)
    assert sums_of((1, 2, 3, 4), ("HORIZONTAL_1", "HORIZONTAL_2")) == (4, 6)
    assert sums_of((1, 2, 3, 4), ("HORIZONTAL_1",), ((0, 3), (1, 2))) == (5,)
    assert sums_of((1, 2, 3, 4), ("SINGLE_2", "SINGLE_4", "SINGLE_5")) == (2, 4, 0)


@pytest.mark.parametrize(
    ("mask", "groups"),
    [
        ("1010", USUAL),
        ("1000", ("SUM",)),
        ("0010", ("VERTICAL_1", "VERTICAL_2")),
        ("0100", ("HORIZONTAL_1", "HORIZONTAL_2")),
        ("0001", ("SINGLE_1", "SINGLE_2", "SINGLE_3", "SINGLE_4")),
        ("1101", ("SUM", "HORIZONTAL_1", "HORIZONTAL_2", "SINGLE_1", "SINGLE_2", "SINGLE_3", "SINGLE_4")),
        ("0000", USUAL),
        ("", USUAL),
        ("x", USUAL),
    ],
)
def test_a_mask_turns_on_the_groups_that_are_known(mask: str, groups: tuple[str, ...]) -> None:
    assert groups_of(mask) == groups


@given(st.lists(st.one_of(st.none(), panels), max_size=30), panels)
def test_there_is_no_decision_before_a_full_window(
    steps: list[tuple[int, ...] | None], background: tuple[int, ...]
) -> None:
    test, seen = GammaTest(), 0
    test.background(background)
    for counts in steps:
        if counts is None:
            test.end()
            seen = 0
            continue
        seen += 1
        decided = test.counts(counts) is not None
        assert decided is (seen >= 5 and sum(background) > 0)
