"""What is measured of each vehicle, and which vehicles count as served, and as timed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from lane_bench import SUPERVISOR, setup
from numbers_bench import Lane, adds_up, stage, why

from lanecontrol.announcements import LaneType, PassageAssessed, PassageAtBooth, PassageEnd, Quality, Referral
from lanecontrol.commands import DONE, Actor, Disposition, NextVehicle, Role
from lanecontrol.events import InputsLost, TagRead
from lanecontrol.figures import Stage
from lanecontrol.identifier import Identifier


@pytest.fixture
def lane() -> Lane:
    made = Lane()
    made.started()
    return made


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


def test_an_order_that_was_refused_is_no_decision_and_nobody_counts_as_inspected_by_it(lane: Lane) -> None:
    passage = lane.arrives(1)
    assert lane.dispose(passage, actor=Actor("technician-7", Role.TECHNICIAN)) != DONE
    lane.leaves()
    assert lane.closed[-1].times.to_decision_s is None
    assert lane.until_window_ends().served == 0
