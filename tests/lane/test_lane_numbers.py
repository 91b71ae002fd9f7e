"""The figures of windows of time: what is told, over clocks that are set and restarts, and why where it is not."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from lane_bench import UTC_S, setup
from numbers_bench import WINDOW_S, Lane, adds_up, lives, restart, why

from lanecontrol.announcements import ClockStepped, LaneLife
from lanecontrol.commands import DONE, CloseLane
from lanecontrol.events import TagRead, Tick
from lanecontrol.identifier import Identifier
from lanecontrol.lane.numbers_state import Numbers


@pytest.fixture
def lane() -> Lane:
    made = Lane()
    made.started()
    return made


# --- windows ---------------------------------------------------------------------------------------------------------


def test_windows_are_quarter_hours_of_the_clock_and_follow_one_another(lane: Lane) -> None:
    for number in range(30):
        lane.serves(number)
        lane.wait(60.0)
    windows = lane.windows
    assert len(windows) >= 2
    assert all(window.start_utc_s % WINDOW_S == 0 for window in windows)
    for one, following in pairwise(windows):
        assert following.start_utc_s == one.end_utc_s
        assert following.window == one.window + 1
        assert following.inside_before == one.inside_after
    assert all(adds_up(window) for window in windows)
    assert [window.observed_s for window in windows[1:]] == pytest.approx([WINDOW_S] * (len(windows) - 1), abs=0.05)


def test_the_first_window_is_only_as_long_as_it_was_observed(lane: Lane) -> None:
    window = lane.until_window_ends()
    assert window.observed_s == pytest.approx(WINDOW_S - 100.0, abs=0.05)
    assert window.unobserved_s == 0.0


def test_throughput_is_per_hour_open_and_not_per_hour(lane: Lane) -> None:
    lane.serves(1)
    lane.wait(300.0 - (lane.now_s - 100.0))
    assert lane.order(CloseLane()) == DONE
    window = lane.until_window_ends()
    assert window.open_s == pytest.approx(300.0, abs=1.0)
    assert window.throughput_per_h == pytest.approx(3600 / window.open_s, abs=0.1)
    assert lives(window)["closed"] == pytest.approx(500.0, abs=1.0)
    assert window.life is LaneLife.CLOSED


def test_a_lane_that_was_never_open_has_no_throughput_and_no_queue_and_says_why() -> None:
    lane = Lane(setup(opens_at_start=False))
    lane.started()
    window = lane.until_window_ends()
    assert (window.throughput_per_h, window.queue, window.saturation) == (None, None, None)
    assert why(window, "throughput") == "open or closing for 0 s only"
    assert why(window, "queue") == "the lane is not open"


def test_capacity_wants_several_vehicles_that_followed_closely(lane: Lane) -> None:
    lane.serves(1)
    assert "5 are needed" in why(lane.until_window_ends(), "capacity")


def test_how_long_the_approach_loop_was_taken_is_a_share_of_the_time(lane: Lane) -> None:
    lane.until_window_ends()
    lane.through_portal()
    lane.to_approach()
    lane.wait(90.0)
    lane.loop("approach", False)
    window = lane.until_window_ends()
    assert window.approach_occupied == pytest.approx(90.0 / WINDOW_S, abs=0.001)


def test_an_approach_loop_that_is_taken_over_the_end_of_a_window_counts_in_both(lane: Lane) -> None:
    lane.until_window_ends()
    lane.wait(WINDOW_S - 60.0)
    lane.through_portal()
    lane.to_approach()
    taken_s = lane.now_s
    first = lane.until_window_ends()
    assert first.approach_occupied == pytest.approx((lane.now_s - taken_s) / WINDOW_S, abs=0.001)
    lane.wait(90.0)
    lane.loop("approach", False)
    assert lane.until_window_ends().approach_occupied == pytest.approx(90.0 / WINDOW_S, abs=0.001)


def test_a_window_in_which_the_clock_was_not_disciplined_says_so(lane: Lane) -> None:
    lane.serves(1)
    assert lane.until_window_ends().synchronised
    lane.synchronised = False
    lane.serves(2)
    lane.synchronised = True
    assert not lane.until_window_ends().synchronised
    lane.serves(3)
    assert lane.until_window_ends().synchronised


def test_the_lane_file_says_how_long_a_window_is() -> None:
    lane = Lane(replace(setup(), limits=replace(setup().limits, numbers_window_s=300.0)))
    lane.started()
    assert lane.until_window_ends().end_utc_s == UTC_S + 300.0


@pytest.mark.parametrize("length_s", [0.0, -1.0, float("nan"), float("inf"), 1.0])
def test_no_length_of_a_window_makes_the_lane_fail(length_s: float) -> None:
    lane = Lane(replace(setup(), limits=replace(setup().limits, numbers_window_s=length_s)))
    lane.started()
    lane.serves(1)
    assert lane.state.numbers.wake_s is not None


def test_a_step_that_announces_nothing_costs_nothing_here(lane: Lane) -> None:
    before = lane.state.numbers
    lane.give("lane", Tick())
    lane.give("rfid1", TagRead(9, Identifier("")))
    assert lane.state.numbers is before


# --- clocks ----------------------------------------------------------------------------------------------------------


def test_setting_the_clock_changes_no_duration_and_marks_the_window(lane: Lane) -> None:
    lane.arrives(1)
    lane.ahead_s = 120.0
    lane.releases()
    lane.leaves()
    assert lane.closed[-1].times.service_s == pytest.approx(7.0, abs=0.05)
    assert [event.by_s for event in lane.told(ClockStepped)] == [pytest.approx(120.0)]
    window = lane.until_window_ends()
    assert window.clock_stepped_s == pytest.approx(120.0)
    assert window.observed_s == pytest.approx(WINDOW_S - 100.0 - 120.0, abs=0.1)
    assert lane.until_window_ends().clock_stepped_s == 0.0


def test_a_clock_set_over_the_end_of_a_window_cuts_both(lane: Lane) -> None:
    lane.serves(1)
    lane.ahead_s = 2 * WINDOW_S
    lane.serves(2)
    first = lane.windows[-1]
    assert first.clock_stepped_s == pytest.approx(2 * WINDOW_S)
    second = lane.until_window_ends()
    assert second.start_utc_s == first.start_utc_s + 2 * WINDOW_S
    assert second.missing_windows == 1
    assert second.clock_stepped_s == pytest.approx(2 * WINDOW_S)
    assert (first.served, second.served) == (1, 1)


def test_a_clock_set_back_begins_an_earlier_window_again_and_counts_nothing_twice(lane: Lane) -> None:
    lane.serves(1)
    lane.until_window_ends()
    lane.serves(2)
    lane.ahead_s = -WINDOW_S
    lane.serves(3)
    lane.until_window_ends()
    lane.until_window_ends()
    numbers = [window.window for window in lane.windows]
    assert numbers == list(range(1, len(numbers) + 1))
    assert sum(window.served for window in lane.windows) == 3
    assert all(adds_up(window) for window in lane.windows)


def test_a_clock_that_is_slewed_is_not_set(lane: Lane) -> None:
    for _ in range(20):
        lane.ahead_s += 0.05
        lane.serves(1)
        lane.wait(60.0)
    assert lane.told(ClockStepped) == []


# --- restarts --------------------------------------------------------------------------------------------------------


def test_a_window_goes_on_over_a_restart_and_the_time_away_is_not_observed(lane: Lane) -> None:
    lane.serves(1)
    restart(lane, away_s=200.0)
    lane.wait(1.0)
    lane.serves(2)
    window = lane.until_window_ends()
    assert window.served == 2
    assert window.unobserved_s == pytest.approx(200.0, abs=20.0)  # from the last event on
    assert window.unobserved_s >= 200.0
    assert window.observed_s + window.unobserved_s == pytest.approx(WINDOW_S - 100.0, abs=0.05)
    assert "closed" not in lives(window) or lives(window)["closed"] < 1.0


def test_windows_that_nobody_observed_are_missing_and_not_empty(lane: Lane) -> None:
    lane.serves(1)
    restart(lane, away_s=5 * WINDOW_S, boot="boot-2")
    stopped, going_on = lane.windows[-1], lane.until_window_ends()
    assert stopped.unobserved_s > 700.0
    assert going_on.missing_windows == 4
    assert going_on.start_utc_s == stopped.end_utc_s + 4 * WINDOW_S
    assert going_on.observed_s + going_on.unobserved_s == pytest.approx(WINDOW_S, abs=0.05)


def test_a_headway_is_not_measured_over_a_restart(lane: Lane) -> None:
    lane.serves(1)
    restart(lane, away_s=30.0)
    lane.wait(1.0)
    lane.serves(2)
    assert lane.closed[-1].times.headway_s is None


def test_after_a_restart_nothing_is_known_of_vehicles_out_of_sight(lane: Lane) -> None:
    for number in range(5):
        lane.serves(number)
        lane.wait(20.0)
    restart(lane, away_s=10.0)
    assert lane.state.numbers.entry.clear_s is None


def test_a_state_from_before_there_were_figures_is_taken_and_they_begin_with_the_start(lane: Lane) -> None:
    lane.state = replace(lane.state, numbers=Numbers())
    restart(lane, away_s=10.0)
    assert lane.until_window_ends().window == 1
