"""How many wait: in sight by tracking, out of sight by arrivals since the entry was last seen to be clear."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanecontrol.announcements import LaneLife, Quality
from lanecontrol.figures import Absent, QueueClaim, QueueEstimate, Stage
from lanecontrol.lane import queue
from lanecontrol.lane.numbers_state import Entry, Spread
from lanecontrol.lane.spread import quantile_s, told, with_one

OPEN, GOOD = LaneLife.OPEN, Quality.GOOD


class Watched:
    """An entry, and vehicles that come to it and go on to the booth."""

    def __init__(self) -> None:
        self.entry = Entry(empty_s=0.0)
        self.now_s = 0.0
        self._count = 0

    def comes(self) -> str:
        self._count += 1
        name = str(self._count)
        self.entry = queue.opened(queue.settled(self.entry, OPEN, GOOD, self.now_s), name, self.now_s)
        return name

    def to_booth(self, name: str) -> None:
        self.entry = queue.at_booth(self.entry, name, self.now_s)

    def leaves(self, name: str) -> None:
        self.entry = queue.closed(self.entry, name, self.now_s)

    def quiet(self, vehicles: int, *, every_s: float) -> None:
        """Vehicles come one by one and are gone before the next."""
        for _ in range(vehicles):
            self.now_s += every_s - 6.0
            name = self.comes()
            self.now_s += 3.0
            self.to_booth(name)
            self.now_s += 3.0
            self.leaves(name)

    def estimate(self, life: LaneLife = OPEN, quality: Quality = GOOD) -> QueueEstimate | Absent:
        self.entry = queue.settled(self.entry, life, quality, self.now_s)
        return queue.estimate(self.entry, life, quality, self.now_s)

    def sure(self) -> QueueEstimate:
        found = self.estimate()
        assert isinstance(found, QueueEstimate)
        return found


def test_an_entry_that_has_been_clear_says_that_nobody_waits() -> None:
    lane = Watched()
    lane.quiet(20, every_s=12.0)
    lane.now_s += queue.CLEAR_S
    found = lane.sure()
    assert (found.vehicles, found.low, found.high, found.since_clear_s) == (0.0, 0, 0, 0.0)
    assert found.arrivals_per_h == pytest.approx(300.0, rel=0.02)


def test_who_was_in_sight_long_enough_waits_for_sure() -> None:
    lane = Watched()
    lane.quiet(20, every_s=12.0)
    lane.now_s += 5.0
    first, _ = lane.comes(), lane.comes()
    lane.now_s += 1.0
    lane.to_booth(first)
    lane.now_s += queue.ROLLING_S
    found = lane.sure()
    assert (found.in_sight, found.low) == (1, 1)
    assert found.claim is QueueClaim.ESTIMATE


def test_who_drives_up_to_a_free_booth_does_not_wait() -> None:
    lane = Watched()
    lane.quiet(20, every_s=12.0)
    lane.now_s += 5.0
    lane.comes()
    assert lane.sure().in_sight == 0


def test_the_longer_the_entry_was_not_clear_the_wider_the_interval() -> None:
    lane = Watched()
    lane.quiet(40, every_s=12.0)
    lane.now_s += 5.0
    lane.comes()
    widths = []
    for _ in range(4):
        lane.now_s += 30.0
        found = lane.sure()
        assert found.high is not None
        widths.append(found.high - found.low)
    assert widths == sorted(set(widths))


def test_a_queue_that_never_lets_the_entry_be_seen_clear_is_only_known_to_be_at_least_so_long() -> None:
    lane = Watched()
    lane.quiet(40, every_s=12.0)
    ahead = lane.comes()
    for _ in range(60):
        following = lane.comes()
        lane.to_booth(ahead)
        lane.now_s += 10.0
        lane.leaves(ahead)
        ahead = following
    found = lane.sure()
    assert (found.claim, found.high) == (QueueClaim.AT_LEAST, None)
    assert found.vehicles == found.low


def test_without_a_rate_of_arrivals_there_is_no_upper_limit() -> None:
    lane = Watched()
    lane.now_s = 5.0
    lane.comes()
    lane.now_s += 5.0
    assert lane.sure().claim is QueueClaim.AT_LEAST


def test_a_closed_lane_and_doubtful_tracking_have_no_estimate() -> None:
    lane = Watched()
    lane.quiet(20, every_s=12.0)
    assert lane.estimate(LaneLife.CLOSED) == Absent("queue", "the lane is not open")
    assert lane.estimate(OPEN, Quality.DEGRADED) == Absent("queue", "tracking is DEGRADED")


def test_nothing_is_called_clear_while_the_lane_is_closed() -> None:
    assert queue.settled(Entry(empty_s=0.0), LaneLife.CLOSED, GOOD, 100.0).clear_s is None
    assert queue.settled(Entry(empty_s=0.0), OPEN, Quality.MANUAL, 100.0).clear_s is None


deeds = st.lists(st.tuples(st.sampled_from(["comes", "booth", "leaves"]), st.floats(0, 400)), max_size=80)


@given(deeds)
def test_an_estimate_always_lies_within_its_own_limits(happened: list[tuple[str, float]]) -> None:
    lane = Watched()
    inside: list[str] = []
    for what, lasted_s in happened:
        lane.now_s += lasted_s
        if what == "comes":
            inside.append(lane.comes())
        elif inside and what == "booth":
            lane.to_booth(inside[0])
        elif inside:
            lane.leaves(inside.pop(0))
        found = lane.sure()
        assert found.low <= found.in_sight
        assert found.low <= found.vehicles
        assert found.high is None or found.vehicles <= found.high + 0.5
        assert found.high is None or found.high >= found.in_sight
        assert len(lane.entry.waiting) <= queue.MAX_KEPT


# --- durations in bins -----------------------------------------------------------------------------------------------


durations = st.lists(st.floats(0, 1e5), min_size=1, max_size=200)


def spread_of(all_s: Iterable[float]) -> Spread:
    spread = Spread()
    for lasted_s in all_s:
        spread = with_one(spread, lasted_s)
    return spread


@given(durations, st.sampled_from([0.5, 0.9]))
def test_a_quantile_out_of_bins_is_within_a_fortieth_of_the_true_one(all_s: list[float], part: float) -> None:
    rank = max(1, -int(-part * len(all_s) // 1))
    true_s = sorted(all_s)[rank - 1]
    assert abs(quantile_s(spread_of(all_s), part) - true_s) <= 0.025 * true_s + 0.1


@given(durations)
def test_count_mean_least_and_most_are_exact_and_memory_is_bounded(all_s: list[float]) -> None:
    spread = spread_of(all_s)
    times = told(Stage.SERVICE, spread)
    assert times.count == len(all_s)
    assert abs(times.mean_s - sum(all_s) / len(all_s)) < 0.002
    assert (times.least_s, times.most_s) == (round(min(all_s), 3), round(max(all_s), 3))
    assert times.least_s <= times.median_s <= times.p90_s <= times.most_s
    assert len(spread.bins) <= 322


def test_the_order_of_durations_changes_no_bin() -> None:
    all_s = [0.05, 3.0, 3.1, 70.0, 1e9]
    assert spread_of(all_s).bins == spread_of(reversed(all_s)).bins
