"""A vehicle's way through the lane, told step by step: what is published, and what happens when it goes otherwise."""

from __future__ import annotations

from lane_bench import LaneBench, numbers, refused, setup

from lanecontrol.announcements import (
    AlarmKind,
    AlarmRaised,
    PassageAssessed,
    PassageAtBooth,
    PassageClosed,
    PassageEnd,
    PassageOpened,
    Quality,
    QualityChanged,
    Referral,
    SignalAspect,
    SignalShown,
)
from lanecontrol.commands import DONE, Disposition, NextVehicle
from lanecontrol.events import InputsStale


def test_a_car_arrives_is_read_released_and_leaves(lane: LaneBench) -> None:
    passage = lane.arrives(1, 2)
    assert lane.assessment.referral is Referral.NONE
    lane.releases()
    lane.leaves()
    (closed,) = lane.closed
    assert closed.passage == passage == "07-000001"
    assert closed.end is PassageEnd.COMPLETE
    assert numbers(closed.tags) == {1, 2}
    assert closed.disposition is not None and closed.disposition.disposition is Disposition.RELEASED
    assert closed.quality is Quality.GOOD
    assert len(closed.occupancies) == 1
    assert closed.rules_hash


def test_a_passage_is_told_in_order(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.releases()
    lane.leaves()
    kinds = (PassageOpened, PassageAtBooth, PassageAssessed, PassageClosed)
    told = [type(a) for a in lane.announcements() if isinstance(a, kinds)]
    assert told == list(kinds)
    assert lane.told(PassageOpened)[0].zone == "portal"


def test_the_first_assessment_comes_two_seconds_after_the_booth_is_reached(lane: LaneBench) -> None:
    lane.through_portal()
    lane.to_approach()
    lane.wait(1.0)
    lane.loop("booth", True)
    lane.wait(1.9)
    assert lane.told(PassageAssessed) == []
    lane.wait(0.2)
    assert lane.told(PassageAssessed)[0].revision == 1


def test_a_card_seen_later_is_assessed_again_at_once_and_a_repeated_one_is_not(lane: LaneBench) -> None:
    lane.arrives(1)
    before = lane.assessment.revision
    lane.read_for(5, 1)
    assert lane.assessment.revision == before
    lane.read(2)
    assert lane.assessment.revision == before + 1
    assert numbers(lane.assessment.tags) | numbers(lane.assessment.tags, ambiguous=True) == {1, 2}


def test_a_car_the_portal_missed_is_seen_at_the_approach(lane: LaneBench) -> None:
    lane.to_approach()
    lane.to_booth()
    lane.wait(3.0)
    assert lane.told(PassageOpened)[0].zone == "approach"
    assert "rpm.no_measurement" in {finding.code for finding in lane.assessment.findings}


def test_a_car_the_approach_loop_missed_is_the_one_that_came_through_the_portal(lane: LaneBench) -> None:
    lane.through_portal()
    lane.wait(3.0)
    lane.loop("booth", True)
    lane.wait(3.0)
    assert len(lane.told(PassageOpened)) == 1
    assert lane.told(QualityChanged)[-1].quality is Quality.DEGRADED
    assert "correlation.degraded" in {finding.code for finding in lane.assessment.findings}


def test_a_car_that_backs_out_of_the_approach_is_withdrawn(lane: LaneBench) -> None:
    lane.through_portal()
    lane.to_approach()
    lane.wait(3.0)
    lane.loop("approach", False)
    lane.wait(1.6)
    (closed,) = lane.closed
    assert closed.end is PassageEnd.WITHDRAWN
    assert closed.booth_entered_utc_s is None


def test_the_next_car_after_a_back_out_is_a_new_passage(lane: LaneBench) -> None:
    lane.through_portal()
    lane.to_approach()
    lane.loop("approach", False)
    lane.wait(2.0)
    passage = lane.arrives(5)
    assert passage == "07-000002"


def test_a_car_that_never_reaches_the_approach_is_withdrawn_after_a_minute(lane: LaneBench) -> None:
    lane.through_portal()
    lane.wait(57.0)
    assert lane.closed == []
    lane.wait(10.0)
    assert lane.closed[0].end is PassageEnd.WITHDRAWN


def test_a_car_waiting_behind_others_may_take_minutes(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.through_portal()
    lane.to_approach()
    lane.through_portal()
    lane.wait(600.0)
    assert lane.closed == []
    lane.releases()
    lane.leaves()
    assert lane.closed[0].passage == "07-000001"


def test_a_car_that_rolls_back_from_the_booth_and_comes_again_is_one_passage(lane: LaneBench) -> None:
    passage = lane.arrives(1)
    lane.loop("approach", True)
    lane.wait(0.5)
    lane.loop("booth", False)
    lane.wait(2.5)
    lane.loop("booth", True)
    lane.wait(0.5)
    lane.loop("approach", False)
    lane.read_for(3, 1)
    lane.releases()
    lane.leaves()
    assert [c.passage for c in lane.closed if c.end is PassageEnd.COMPLETE] == [passage]
    assert {c.end for c in lane.closed if c.passage != passage} <= {PassageEnd.WITHDRAWN}


def test_a_booth_loop_that_flickers_keeps_its_car(lane: LaneBench) -> None:
    passage = lane.arrives(1)
    for _ in range(5):
        lane.loop("booth", False)
        lane.wait(0.2)
        lane.loop("booth", True)
        lane.wait(1.0)
    lane.releases()
    lane.leaves()
    assert [(c.passage, c.end) for c in lane.closed] == [(passage, PassageEnd.COMPLETE)]


def test_a_car_that_leaves_without_a_disposition_raises_an_alarm_at_the_exit_loop(lane: LaneBench) -> None:
    passage = lane.arrives(1)
    lane.loop("exit", True)
    lane.wait(0.4)
    (alarm,) = lane.told(AlarmRaised)
    assert alarm.kind is AlarmKind.UNRELEASED_DEPARTURE
    assert alarm.passages == (passage,)
    lane.loop("booth", False)
    lane.wait(1.0)
    lane.loop("exit", False)
    lane.wait(4.0)
    assert lane.closed[0].end is PassageEnd.UNRELEASED


def test_a_car_that_vanishes_from_the_booth_unreleased_raises_an_alarm(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.loop("booth", False)
    lane.wait(10.0)
    assert [alarm.kind for alarm in lane.told(AlarmRaised)] == [AlarmKind.UNRELEASED_DEPARTURE]
    assert lane.closed[0].end is PassageEnd.UNRELEASED


def test_a_follower_that_closes_up_before_the_booth_loop_clears_is_its_own_passage(lane: LaneBench) -> None:
    first = lane.arrives(1)
    lane.through_portal()
    lane.to_approach()
    lane.releases()
    lane.loop("exit", True)
    lane.wait(0.3)
    lane.loop("approach", False)  # the follower is on the booth loop, which never cleared
    lane.wait(0.5)
    lane.loop("exit", False)
    lane.read_for(6, 2)
    second = lane.at_booth
    assert second != first
    assert [(c.passage, c.end) for c in lane.closed] == [(first, PassageEnd.COMPLETE)]
    assert lane.green is False
    lane.releases()
    lane.leaves()
    assert [(c.passage, numbers(c.tags)) for c in lane.closed] == [(first, {1}), (second, {2})]


def test_a_follower_that_goes_through_behind_a_released_car_is_unreleased(lane: LaneBench) -> None:
    first = lane.arrives(1)
    lane.through_portal()
    lane.to_approach()
    lane.releases()
    lane.loop("exit", True)
    lane.loop("booth", False)
    lane.wait(0.3)
    lane.loop("booth", True)
    lane.loop("approach", False)
    lane.wait(0.8)
    lane.loop("exit", False)
    lane.wait(0.3)
    lane.loop("exit", True)
    lane.loop("booth", False)
    lane.wait(1.5)
    lane.loop("exit", False)
    lane.wait(5.0)
    assert [(c.passage, c.end) for c in lane.closed] == [
        (first, PassageEnd.COMPLETE),
        ("07-000002", PassageEnd.UNRELEASED),
    ]


def test_two_cars_in_one_portal_occupancy_share_its_alarm(lane: LaneBench) -> None:
    lane.through_portal(gamma=True)
    lane.to_approach()
    lane.to_booth()
    lane.wait(1.0)
    lane.loop("approach", True)  # nobody else came through the portal: this one was in there as well
    lane.wait(3.0)
    assert lane.assessment.occupancies[0].ambiguous
    assert lane.dispose(disposition=Disposition.REFER_SECONDARY) == DONE
    lane.gate_goes_up()
    lane.leaves()
    lane.to_booth()
    lane.wait(3.0)
    second = lane.assessment
    assert second.passage != lane.closed[0].passage
    assert second.occupancies == lane.closed[0].occupancies
    assert second.referral is Referral.MANDATORY


def test_more_than_eight_passages_close_the_oldest_as_interrupted(lane: LaneBench) -> None:
    for _ in range(9):
        lane.through_portal()
    assert [c.end for c in lane.closed] == [PassageEnd.INTERRUPTED]
    assert lane.closed[0].passage == "07-000001"


def test_a_lane_without_a_portal_or_approach_loop_works() -> None:
    lane = LaneBench(setup(portals=(), loops=("booth", "exit"))).started()
    lane.loop("booth", True)
    lane.read_for(4, 1)
    lane.releases()
    lane.leaves()
    assert [(c.end, numbers(c.tags)) for c in lane.closed] == [(PassageEnd.COMPLETE, {1})]


def test_a_lane_without_an_exit_loop_completes_when_the_booth_loop_clears() -> None:
    lane = LaneBench(setup(portals=(), loops=("approach", "booth"))).started()
    lane.to_approach()
    lane.to_booth()
    lane.wait(3.0)
    lane.releases()
    lane.loop("booth", False)
    lane.wait(5.0)
    assert [c.end for c in lane.closed] == [PassageEnd.COMPLETE]
    assert lane.told(SignalShown)[-1].aspect is SignalAspect.STOP


def test_the_officer_calls_the_next_vehicle_when_the_lane_has_lost_count(lane: LaneBench) -> None:
    lane.arrives(1)
    assert lane.order(NextVehicle()) == DONE
    assert lane.closed[0].end is PassageEnd.INTERRUPTED
    assert lane.assessment.passage == "07-000002"


def test_without_the_booth_loop_the_quality_is_manual(lane: LaneBench) -> None:
    lane.give("io1", InputsStale(0.3))
    assert lane.told(QualityChanged)[-1].quality is Quality.MANUAL
    assert refused(lane.dispose("07-000001"))


def test_a_follower_whose_approach_loop_never_cleared_is_found_there_when_the_leader_goes(lane: LaneBench) -> None:
    lane.through_portal()
    lane.to_approach()
    lane.wait(1.0)
    lane.loop("booth", True)
    lane.through_portal()
    lane.wait(3.0)  # the follower stands so close that the approach loop stays on
    lane.releases()
    lane.loop("exit", True)
    lane.wait(0.3)
    lane.loop("booth", False)
    assert [(p.id, p.head) for p in lane.state.tracking.passages] == [("07-000001", 2), ("07-000002", 0)]
    lane.wait(1.5)
    lane.loop("exit", False)
    lane.to_booth()
    lane.wait(3.0)
    assert lane.assessment.passage == "07-000002"
    assert lane.assessment.quality is Quality.GOOD
