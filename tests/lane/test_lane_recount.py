"""Figures recounted from a lane's events are those it published; windows add up whatever happens."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lane_bench import UTC_S
from numbers_bench import WINDOW_S, Lane, adds_up, lives, restart

from lanecontrol.announcements import (
    Announcement,
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
    QualityChanged,
    Referral,
)
from lanecontrol.commands import Disposition
from lanecontrol.figures import PassageTimes
from lanecontrol.forms import from_json, to_json
from lanecontrol.lane.numbers import after
from lanecontrol.lane.numbers_state import Moment, Numbers
from lanecontrol.lane.recount import Recounted, recount


@pytest.fixture
def lane() -> Lane:
    made = Lane()
    made.started()
    return made


# --- recounted -------------------------------------------------------------------------------------------------------


def agreed(windows: list[Recounted]) -> bool:
    return bool(windows) and all(one.known and one.published and not one.differences for one in windows)


def test_what_the_events_say_recounted_is_what_was_published(lane: Lane) -> None:
    for number in range(8):
        lane.serves(number, disposition=Disposition.REFER_SECONDARY if number % 3 else Disposition.RELEASED)
        lane.wait(90.0)
    lane.ahead_s = 300.0
    lane.serves(9)
    restart(lane, away_s=400.0)
    lane.serves(10)
    lane.until_window_ends()
    lane.until_window_ends()
    windows = list(recount(lane.events))
    assert len(windows) == len(lane.windows) == 3
    assert agreed(windows)


def test_figures_that_were_typed_in_are_found(lane: Lane) -> None:
    lane.serves(1)
    window = lane.until_window_ends()
    forged = replace(window, served=window.served + 1, inside_after=window.inside_after - 1)
    events = [replace(told, announcement=forged) if told.announcement is window else told for told in lane.events]
    (found,) = recount(events)
    assert found.differences == ("served", "inside_after")


def test_a_recount_from_the_middle_compares_nothing_until_it_knows_as_much_as_the_lane(lane: Lane) -> None:
    for number in range(60):
        lane.serves(number)
        lane.wait(40.0)
    cut = len(lane.events) // 3
    windows = list(recount(lane.events[cut:]))
    assert [one.known for one in windows[:3]] == [False, False, True]
    assert agreed(windows[2:])


# --- whatever happens ------------------------------------------------------------------------------------------------


def closing(end: PassageEnd, seconds: float) -> PassageClosed:
    return PassageClosed(
        passage="",
        end=end,
        reason="",
        lane_type=LaneType.SENTRI,
        opened_utc_s=0.0,
        booth_entered_utc_s=None,
        booth_left_utc_s=None,
        closed_utc_s=0.0,
        tags=(),
        plates=(),
        occupancies=(),
        findings=(),
        referral=Referral.NONE,
        disposition=None,
        occupants=None,
        quality=Quality.GOOD,
        rules_hash="",
        times=PassageTimes(service_s=seconds, headway_s=seconds, queued=True),
    )


happenings = st.one_of(
    st.just("opened"),
    st.just("at booth"),
    st.builds(closing, st.sampled_from(PassageEnd), st.floats(0, 1e6)),
    st.builds(LaneLifeChanged, st.sampled_from(LaneLife), st.just(LaneLife.CLOSED), st.just(""), st.just(0.0)),
    st.builds(QualityChanged, st.sampled_from(Quality), st.just(""), st.just(0.0)),
    st.just(LaneStarted(False, "b", 0.0)),
    st.none(),
)
hours = st.lists(
    st.tuples(st.floats(0, 2000), st.sampled_from([0.0, 0.0, 0.0, 0.0, 50.0, -50.0, 4000.0, -4000.0]), happenings),
    max_size=60,
)


@given(hours)
@settings(max_examples=60, deadline=None)
def test_windows_add_up_whatever_happens(hours: list[tuple[float, float, object]]) -> None:
    now_s, ahead_s, opened, inside = 0.0, 0.0, 0, []
    n, _ = after(Numbers(), [LaneStarted(True, "b", 0.0)], Moment(0.0, UTC_S + 17.0), WINDOW_S)
    windows: list[LaneNumbers] = []
    for lasted_s, set_s, what in hours:
        now_s, ahead_s = now_s + lasted_s, ahead_s + set_s
        heard: list[Announcement] = []
        if what == "opened":
            opened += 1
            inside.append(str(opened))
            heard = [PassageOpened(str(opened), "portal", 0.0)]
        elif what == "at booth" and inside:
            heard = [PassageAtBooth(inside[0], 0.0)]
        elif isinstance(what, PassageClosed) and inside:
            heard = [replace(what, passage=inside.pop(0))]
        elif isinstance(what, LaneLifeChanged | QualityChanged | LaneStarted):
            heard = [what]
        n, found = after(n, heard, Moment(now_s, UTC_S + 17.0 + now_s + ahead_s), WINDOW_S)
        windows += [one for one in found if isinstance(one, LaneNumbers)]
    assert [window.window for window in windows] == list(range(1, len(windows) + 1))
    assert all(adds_up(window) for window in windows)
    for one, following in pairwise(windows):
        assert following.inside_before == one.inside_after
    open_window = n.window
    assert open_window is not None
    assert sum(window.opened for window in windows) + open_window.opened == opened
    total_s = sum(w.observed_s + w.unobserved_s for w in windows) + open_window.observed_s + open_window.unobserved_s
    assert total_s <= now_s + 0.01 * (1 + len(windows))
    assert all(sum(lives(window).values()) == pytest.approx(window.observed_s, abs=0.02) for window in windows)
    assert from_json(Numbers, to_json(n)) == n
