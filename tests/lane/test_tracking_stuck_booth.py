"""Who is believed at the booth: by a loop that stays on, on that loop's word alone, or only by what comes before it.

Each scene shows a rule of tracking: whole, the scene holds; with the rule broken, it fails. What follows are alarms
that went too far down the queue, or came too late for the passage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from lane_bench import LaneBench, setup
from tracking_scenes import chatter

from lanecontrol.announcements import PassageClosed, PassageEnd, PassageOpened, Quality
from lanecontrol.events import GammaCounts
from lanecontrol.lane import passages, sharing, stuck, where
from lanecontrol.lane.record import replace
from lanecontrol.lane.setup import Portal

Scene = Callable[[LaneBench], None]


def over_the_exit(lane: LaneBench) -> None:
    """The car at the booth drives off, and the booth's loop does not tell of it."""
    lane.wait(1.0)
    lane.loop("exit", True)
    lane.wait(1.5)
    lane.loop("exit", False)


def a_booth_loop_that_stays_on_behind_a_lone_car_is_stuck(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.releases()
    over_the_exit(lane)
    lane.wait(10.0)
    assert len(lane.told(PassageOpened)) == 1 and lane.closed[0].end is PassageEnd.COMPLETE
    assert lane.state.desk.quality is Quality.DEGRADED


def a_booth_loop_that_stays_on_from_car_to_car_is_stuck(lane: LaneBench) -> None:
    lane.arrives(1)
    for _ in range(3):
        lane.through_portal()
        lane.to_approach()
        lane.releases()
        over_the_exit(lane)
        lane.loop("approach", False)
        lane.wait(4.0)
    assert lane.state.desk.quality is Quality.DEGRADED


def who_was_at_the_booth_by_its_loop_alone_gives_way_to_who_drives_there(lane: LaneBench) -> None:
    lane.loop("booth", True)
    lane.wait(20.0)
    made_up = lane.at_booth
    lane.through_portal()
    lane.to_approach()
    lane.wait(1.5)
    lane.loop("approach", False)
    lane.wait(8.0)
    assert [c.end for c in lane.closed if c.passage == made_up] == [PassageEnd.INTERRUPTED]
    assert lane.at_booth != made_up


def who_turns_away_behind_a_leaving_car_was_not_at_the_booth(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.releases()
    lane.through_portal()
    lane.to_approach()
    lane.loop("exit", True)
    lane.wait(0.2)
    lane.loop("approach", False)
    lane.wait(0.2)
    lane.loop("booth", False)
    lane.wait(1.0)
    lane.loop("exit", False)
    lane.wait(20.0)
    closed = sorted(lane.closed, key=lambda one: one.passage)
    assert [one.end for one in closed] == [PassageEnd.COMPLETE, PassageEnd.WITHDRAWN]
    assert closed[1].booth_entered_utc_s is None


def who_reverses_with_its_rear_on_the_approach_has_not_driven_off(lane: LaneBench) -> None:
    lane.through_portal()
    lane.to_approach()
    lane.wait(1.0)
    lane.loop("booth", True)
    lane.wait(3.0)
    lane.releases()
    lane.wait(0.9)
    lane.loop("booth", False)
    lane.wait(3.0)
    lane.loop("booth", True)
    lane.wait(0.5)
    lane.loop("approach", False)
    lane.wait(8.0)
    assert len(lane.told(PassageOpened)) == 1 and lane.closed == []


def who_reverses_with_a_release_is_still_the_same(lane: LaneBench) -> None:
    lane.arrives(1)
    lane.releases()
    lane.loop("approach", True)
    lane.wait(1.2)
    lane.loop("booth", False)
    lane.wait(3.0)
    lane.loop("booth", True)
    lane.wait(0.5)
    lane.loop("approach", False)
    lane.wait(8.0)
    assert [one.end for one in lane.closed] == [PassageEnd.WITHDRAWN]
    assert len(lane.state.tracking.passages) == 1 and lane.state.tracking.passages[0].id == "07-000001"


def a_loop_that_chatters_does_not_make_two_of_one_in_the_portal(lane: LaneBench) -> None:
    chatter(lane, "approach", 4)
    for moment in range(30):
        lane.give("rpm1", GammaCounts((70, 70, 80, 70), False))
        lane.wait(0.2)
        if moment == 7:
            lane.loop("approach", True)
    assert len(lane.told(PassageOpened)) == 1


def never(*_: Any, **__: Any) -> bool:
    return False


RULES: dict[str, tuple[Any, str, Any, Scene]] = {
    "nobody can have followed": (where, "alone", never, a_booth_loop_that_stays_on_behind_a_lone_car_is_stuck),
    "three in a row without a gap": (
        stuck,
        "outstays",
        never,
        a_booth_loop_that_stays_on_from_car_to_car_is_stuck,
    ),
    "one loop's word gives way to two": (
        where,
        "only_at_booth",
        never,
        who_was_at_the_booth_by_its_loop_alone_gives_way_to_who_drives_there,
    ),
    "nobody passes the booth in no time": (
        where,
        "never_came_up",
        never,
        who_turns_away_behind_a_leaving_car_was_not_at_the_booth,
    ),
    "from behind it takes longer": (
        where,
        "FROM_BEHIND_S",
        0.0,
        who_reverses_with_its_rear_on_the_approach_has_not_driven_off,
    ),
    "a car is longer than from the booth to the exit": (
        where,
        "seems_to_reverse",
        never,
        who_reverses_with_a_release_is_still_the_same,
    ),
    "the portal tells how long a car is": (
        sharing,
        "LONGEST_M",
        0.0,
        a_loop_that_chatters_does_not_make_two_of_one_in_the_portal,
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_the_lane_keeps_to_the_rule_about_the_booth(lane: LaneBench, name: str) -> None:
    RULES[name][3](lane)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_about_the_booth_broken_by_hand_is_noticed(
    lane: LaneBench, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, attribute, broken, scene = RULES[name]
    monkeypatch.setattr(module, attribute, broken)
    with pytest.raises(AssertionError):
        scene(lane)


# --- alarms ----------------------------------------------------------------------------------------------------------


def test_an_alarm_goes_no_further_down_the_queue_than_to_the_next(lane: LaneBench) -> None:
    chatter(lane, "booth", 4)
    lane.state = replace(lane.state, tracking=replace(lane.state.tracking, guessed_s=lane.now_s))
    for gamma in (True, False, False):
        lane.through_portal(gamma=gamma)
        lane.wait(1.0)
    alarmed = [any(row.gamma_alarm for row in p.occupancies) for p in lane.state.tracking.passages]
    assert alarmed == [True, True, False]


def with_a_portal_at_the_exit() -> LaneBench:
    return LaneBench(setup(portals=(Portal("rpm1", "portal"), Portal("rpm2", "exit")))).started()


def test_an_alarm_from_behind_the_booth_comes_before_the_passage_is_closed() -> None:
    lane = with_a_portal_at_the_exit()
    passage = lane.arrives(1)
    lane.releases()
    lane.wait(1.0)
    lane.loop("exit", True)
    lane.give("rpm2", GammaCounts((76, 76, 85, 73), False))
    lane.wait(0.3)
    lane.loop("booth", False)
    lane.wait(passages.SETTLE_S + 1.0)
    lane.give("rpm2", GammaCounts((76, 76, 85, 73), False))
    lane.loop("exit", False)
    lane.wait(0.4)
    lane.give("rpm2", GammaCounts((170, 180, 190, 160), True))
    lane.wait(20.0)
    closed = [c for c in lane.told(PassageClosed) if c.passage == passage]
    assert len(closed) == 1 and any(row.gamma_alarm for row in closed[0].occupancies)
