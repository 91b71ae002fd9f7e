"""The figures of the lane's traffic: what is measured of whom, in which window, and what is told where it is not."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lane_bench import OFFICER, SUPERVISOR, UTC_S, LaneBench, setup

from lanecontrol.announcements import (
    Announcement,
    ClockStepped,
    LaneLife,
    LaneLifeChanged,
    LaneNumbers,
    LaneStarted,
    LaneType,
    PassageAssessed,
    PassageAtBooth,
    PassageClosed,
    PassageEnd,
    PassageOpened,
    Quality,
    QualityChanged,
    Referral,
)
from lanecontrol.clock import Instant
from lanecontrol.commands import DONE, Actor, CloseLane, Disposition, NextVehicle, Outcome, Request, Role
from lanecontrol.events import DeviceChanged, DeviceState, Event, InputsLost, Started, TagRead, Tick
from lanecontrol.figures import PassageTimes, Stage, StageTimes
from lanecontrol.forms import from_json, to_json
from lanecontrol.identifier import Identifier
from lanecontrol.lane.effects import Effect, Publish
from lanecontrol.lane.numbers import after
from lanecontrol.lane.numbers_state import Moment, Numbers
from lanecontrol.lane.recount import Recounted, Told, recount
from lanecontrol.lane.setup import LaneSetup
from lanecontrol.lane.state import LaneState

WINDOW_S = 900.0


class Lane(LaneBench):
    """A lane whose clock can be set, and whose events are kept as the port would get them."""

    def __init__(self, lane_setup: LaneSetup | None = None) -> None:
        super().__init__(lane_setup)
        self.ahead_s = 0.0
        self.synchronised = True
        self.events: list[Told] = []

    def give(self, source: str, event: Event) -> tuple[Effect, ...]:
        at = self.instant()
        effects = super().give(source, event)
        for effect in effects:
            if isinstance(effect, Publish):
                self.events.append(Told(at.utc_s, effect.announcement, at.synchronised))
        return effects

    def instant(self) -> Instant:
        return Instant(self.now_s, UTC_S + self.now_s + self.ahead_s, self.synchronised)

    def order(
        self, request: Request, actor: Actor = OFFICER, *, key: str | None = None, within_s: float = 1e5
    ) -> Outcome:
        """As usual, but with a deadline that setting the clock does not pass."""
        return super().order(request, actor, key=key, within_s=within_s)

    def until_window_ends(self) -> LaneNumbers:
        """Wait for the figures of the window that is under way."""
        wake_s = self.state.numbers.wake_s
        assert wake_s is not None
        self.wait(max(0.0, wake_s - self.now_s) + 0.01)
        return self.windows[-1]

    def serves(self, *cards: int, disposition: Disposition = Disposition.RELEASED) -> str:
        """A car comes, is decided about four seconds after it came to the booth, and leaves."""
        passage = self.arrives(*cards)
        assert self.dispose(passage, disposition) == DONE
        self.gate_goes_up()
        self.leaves()
        self.gate_goes_down()
        self.wait(2.0)
        return passage

    @property
    def windows(self) -> list[LaneNumbers]:
        return self.told(LaneNumbers)


@pytest.fixture
def lane() -> Lane:
    made = Lane()
    made.started()
    return made


def restart(lane: Lane, *, away_s: float, boot: str = "boot-1") -> None:
    """The software stops dead and goes on from its checkpoint."""
    lane.state = from_json(LaneState, to_json(lane.state))
    lane.now_s += away_s
    lane.give("lane", Started(False, boot))
    for device in ("io1", "rpm1", "rfid1"):
        lane.give(device, DeviceChanged(DeviceState.ONLINE, "connected"))
    for name in ("approach", "booth", "exit"):
        lane.loop(name, False)
    lane.contact("gate_opened", False)
    lane.contact("gate_closed", True)


def stage(window: LaneNumbers, which: Stage) -> StageTimes:
    return next(times for times in window.stages if times.stage is which)


def why(window: LaneNumbers, figure: str) -> str:
    return next((absent.why for absent in window.absent if absent.figure == figure), "")


def adds_up(window: LaneNumbers) -> bool:
    gone = window.served + window.uninspected + window.unreleased + window.withdrawn + window.interrupted
    return window.inside_before + window.opened == gone + window.inside_after


def lives(window: LaneNumbers) -> dict[str, float]:
    return {lasted.state: lasted.seconds for lasted in window.lives}


# --- of one vehicle --------------------------------------------------------------------------------------------------


def test_every_stage_of_a_vehicle_is_timed_as_long_as_it_took(lane: Lane) -> None:
    lane.serves(1)
    times = lane.closed[-1].times
    assert times.to_approach_s == pytest.approx(2.0 + 1.5, abs=0.01)  # through the portal, and to the loop
    assert times.to_booth_s == pytest.approx(1.0, abs=0.01)
    assert times.to_first_card_s == pytest.approx(3.5 + 1.0 + 0.5, abs=0.01)
    assert times.to_decision_s == pytest.approx(0.5 + 4.0, abs=0.01)
    assert times.service_s == pytest.approx(0.5 + 4.0 + 1.2 + 1.3, abs=0.01)
    assert times.clearing_s == pytest.approx(1.5, abs=0.01)
    assert times.cycle_s == pytest.approx(3.5 + 1.0 + 7.0 + 1.5, abs=0.01)
    assert (times.to_referral_s, times.to_recommendation_s, times.headway_s, times.queued) == (None, None, None, False)


def test_the_headway_is_from_one_vehicle_at_the_booth_to_the_next(lane: Lane) -> None:
    for number in (1, 2, 3):
        lane.serves(number)
    first, *others = (closed.times for closed in lane.closed)
    assert first.headway_s is None
    came_s = [event.at_utc_s for event in lane.told(PassageAtBooth)]
    for times, (before_s, after_s) in zip(others, pairwise(came_s), strict=True):
        assert times.headway_s == pytest.approx(after_s - before_s, abs=0.002)
        assert not times.queued


def test_who_was_in_the_lane_when_the_one_ahead_left_has_a_queued_headway(lane: Lane) -> None:
    lane.arrives(1)
    lane.through_portal()
    lane.wait(1.0)
    lane.loop("approach", True)
    lane.releases()
    lane.leaves()
    lane.to_booth()
    lane.wait(3.0)
    lane.releases()
    lane.leaves()
    assert [closed.times.queued for closed in lane.closed] == [False, True]
    lane.until_window_ends()
    assert stage(lane.windows[-1], Stage.QUEUED_HEADWAY).count == 1


def test_the_time_to_referral_runs_from_the_booth_to_the_officers_first_referral(lane: Lane) -> None:
    lane.serves(1, disposition=Disposition.REFER_SECONDARY)
    assert lane.closed[-1].times.to_referral_s == lane.closed[-1].times.to_decision_s == pytest.approx(4.5, abs=0.01)
    window = lane.until_window_ends()
    assert (window.referred, stage(window, Stage.TO_REFERRAL).count) == (1, 1)


def test_a_decision_that_is_changed_later_was_made_when_it_was_made_first(lane: Lane) -> None:
    passage = lane.arrives(1)
    assert lane.dispose(passage, Disposition.DETAINED) == DONE
    lane.wait(60.0)
    assert lane.dispose(passage, Disposition.REFER_SECONDARY, SUPERVISOR) == DONE
    lane.gate_goes_up()
    lane.leaves()
    assert lane.closed[-1].times.to_decision_s == pytest.approx(4.5, abs=0.01)
    assert lane.closed[-1].times.to_referral_s == pytest.approx(64.5, abs=0.01)


def test_the_time_to_a_recommendation_is_that_of_the_first_assessment_that_makes_one(lane: Lane) -> None:
    lane.arrives(1, gamma=True)
    advised = next(one for one in lane.told(PassageAssessed) if one.referral is Referral.MANDATORY)
    booth_utc_s = lane.told(PassageAtBooth)[-1].at_utc_s
    lane.dispose(disposition=Disposition.REFER_SECONDARY)
    lane.gate_goes_up()
    lane.leaves()
    assert lane.closed[-1].times.to_recommendation_s == pytest.approx(advised.at_utc_s - booth_utc_s, abs=0.002)


def test_without_a_persons_card_there_is_no_first_card(lane: Lane) -> None:
    lane.arrives()
    lane.releases()
    lane.leaves()
    assert lane.closed[-1].times.to_first_card_s is None
    assert why(lane.until_window_ends(), "to_first_card") == "no vehicle took a person's card with it"


def test_a_vehicles_tag_is_no_persons_card(lane: Lane) -> None:
    lane.through_portal()
    lane.to_approach()
    lane.to_booth()
    for _ in range(4):
        lane.give("rfid1", TagRead(1, Identifier("f000000002" + "0" * 14), -50.0))
        lane.wait(1.0)
    lane.releases()
    lane.leaves()
    assert lane.closed[-1].tags
    assert lane.closed[-1].times.to_first_card_s is None


def test_without_a_loop_behind_the_booth_nothing_behind_it_is_timed() -> None:
    lane = Lane(setup(loops=("approach", "booth"), gate=None))
    lane.started()
    lane.arrives(1)
    lane.dispose()
    lane.wait(2.5)
    lane.loop("booth", False)
    lane.wait(6.0)
    window = lane.until_window_ends()
    assert lane.closed[-1].end is PassageEnd.COMPLETE
    assert (lane.closed[-1].times.cycle_s, lane.closed[-1].times.clearing_s) == (None, None)
    assert "no loop behind the booth" in why(window, "cycle")
    assert stage(window, Stage.SERVICE).count == 1


# --- who counts ------------------------------------------------------------------------------------------------------


def test_who_backs_out_is_withdrawn_and_neither_served_nor_timed(lane: Lane) -> None:
    lane.serves(1)
    lane.through_portal()
    lane.to_approach()
    lane.wait(1.0)
    lane.loop("approach", False)
    lane.wait(5.0)
    window = lane.until_window_ends()
    assert (window.opened, window.served, window.withdrawn) == (2, 1, 1)
    assert {times.count for times in window.stages} == {1}
    assert adds_up(window)


def test_who_leaves_without_a_release_or_out_of_sight_is_not_served(lane: Lane) -> None:
    lane.arrives(1)
    lane.leaves()
    lane.arrives(2)
    lane.order(NextVehicle())
    window = lane.until_window_ends()
    assert (window.served, window.unreleased, window.interrupted) == (0, 1, 1)
    assert why(window, "service") == "nobody was served"
    assert adds_up(window)


def test_who_is_let_pass_uninspected_is_counted_apart(lane: Lane) -> None:
    lane.serves(1, disposition=Disposition.RELEASED)
    passage = lane.arrives(2)
    lane.dispose(passage, Disposition.LANE_PASS_UNINSPECTED, SUPERVISOR, "fire")
    lane.gate_goes_up()
    lane.leaves()
    window = lane.until_window_ends()
    assert (window.served, window.uninspected) == (1, 1)
    assert stage(window, Stage.SERVICE).count == 1


def test_a_vehicle_the_lane_was_not_sure_of_is_served_but_not_timed(lane: Lane) -> None:
    lane.through_portal()
    lane.wait(3.0)
    lane.loop("booth", True)  # and never on the approach
    lane.read_for(4, 1)
    lane.releases()
    lane.leaves()
    window = lane.until_window_ends()
    assert lane.closed[-1].quality is Quality.DEGRADED
    assert (window.served, window.untimed, window.stages) == (1, 1, ())
    assert why(window, "service") == "tracking was not GOOD for any vehicle served"


def test_while_tracking_is_manual_there_is_no_throughput_because_vehicles_may_go_uncounted(lane: Lane) -> None:
    lane.serves(1)
    lane.give("lane", InputsLost(1))
    lane.arrives(2)
    lane.order(NextVehicle())
    lane.loop("booth", False)
    lane.wait(10.0)
    window = lane.until_window_ends()
    assert window.quality is Quality.MANUAL
    assert window.throughput_per_h is None
    assert "MANUAL" in why(window, "throughput")
    assert window.saturation is None
    assert adds_up(window)


def test_served_vehicles_are_told_by_lane_type(lane: Lane) -> None:
    lane.serves(1)
    window = lane.until_window_ends()
    assert [(served.lane_type, served.vehicles) for served in window.served_as] == [(LaneType.SENTRI.value, 1)]


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


def test_an_order_that_was_refused_is_no_decision_and_nobody_counts_as_inspected_by_it(lane: Lane) -> None:
    passage = lane.arrives(1)
    assert lane.dispose(passage, actor=Actor("technician-7", Role.TECHNICIAN)) != DONE
    lane.leaves()
    assert lane.closed[-1].times.to_decision_s is None
    assert lane.until_window_ends().served == 0
