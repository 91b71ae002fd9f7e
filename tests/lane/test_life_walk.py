"""What must never happen in the life of a lane, over random walks; and that each broken rule shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from life_walk import INVARIANTS, LifeWalk, Violation

from lanecontrol.announcements import LaneLife
from lanecontrol.commands import (
    Actor,
    CloseLane,
    Disposition,
    EndMaintenance,
    Maintain,
    Outcome,
    Request,
    ResetLane,
    SuspendLane,
)
from lanecontrol.lane import authority, divert, interlock, life, overhead, timetable, timing
from lanecontrol.lane.regime_state import awake
from lanecontrol.lane.state import Passage
from lanecontrol.lane.turn import Turn

pytestmark = pytest.mark.usefixtures("nothing_collected")

STEPS = 400
WANTED = (
    "opening open",
    "open closing",
    "closing closed",
    "open suspended",
    "open emergency",
    "emergency closed",
    "closed maintenance",
    "schedule opening",
    "schedule closing",
    "divert over",
    "type",
    "departure",
    "on record",
)


def test_the_invariants_hold_in_random_walks_that_are_not_dull() -> None:
    walks = [LifeWalk(seed).go(STEPS) for seed in range(4)]
    rare = {what: sum(walk.seen[what] for walk in walks) for what in WANTED}
    assert all(rare.values()), rare


# --- every invariant is shown to bite --------------------------------------------------------------------------------

Break = Callable[[pytest.MonkeyPatch], None]
Action = Callable[[LifeWalk], None]


def _a_divert_notice_is_not_shown(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(overhead, "_life_shown", lambda t: t.desk.life)


def _anybody_may_go_in_any_life(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(interlock, "_OPEN_LIFE", frozenset(LaneLife))


def _the_type_changes_at_any_time(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(life, "why_not_another_type", lambda t: "")
    patch.setattr(life, "begin_closing", lambda t, why: life.change(t, LaneLife.CLOSED, why))


def _for_anybody(patch: pytest.MonkeyPatch, kind: type[Request]) -> None:
    patch.setitem(authority.ORDERS, kind, authority.Right(authority.ANYBODY))


def _anybody_resets(patch: pytest.MonkeyPatch) -> None:
    _for_anybody(patch, ResetLane)


def _opening_ends_an_emergency(patch: pytest.MonkeyPatch) -> None:
    whole = life.open_lane

    def open_lane(t: Turn, actor: Actor) -> Outcome:
        if t.desk.life is LaneLife.EMERGENCY:
            life.change(t, LaneLife.CLOSED, "opened")
        return whole(t, actor)

    patch.setattr(life, "open_lane", open_lane)


def _nobody_looks_who_came_later(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(interlock, "_came_too_late", lambda t, passage: "")


def _what_is_on_record_is_granted(patch: pytest.MonkeyPatch) -> None:
    whole = timing.decided

    def decided(t: Turn, passage: Passage, disposition: Disposition) -> None:
        whole(t, passage, disposition)
        interlock.grant(t, passage, "a record")

    patch.setattr(timing, "decided", decided)


def _maintenance_does_not_look_into_the_lane(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(life, "empty", lambda t: True)


def _the_schedule_is_held_back_by_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(timetable, "_held_back", lambda t, wanted: "")


def _the_schedule_takes_no_notice_of_the_port(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(life, "why_not_open", lambda t, lane_type, role=None: "")


def _the_schedule_takes_no_notice_of_orders(patch: pytest.MonkeyPatch) -> None:
    whole = timetable.on_time

    def on_time(t: Turn) -> None:
        if t.due(t.regime.look_s):
            t.regime = replace(t.regime, wish=True)
        whole(t)

    patch.setattr(timetable, "on_time", on_time)


def _a_restart_closes_the_lane(patch: pytest.MonkeyPatch) -> None:
    whole = timetable.started

    def started(t: Turn) -> None:
        t.desk = replace(t.desk, life=LaneLife.CLOSED)
        whole(t)

    patch.setattr(timetable, "started", started)


def _a_divert_notice_stands_for_ever(patch: pytest.MonkeyPatch) -> None:
    def on_time(t: Turn) -> None:
        notice = t.regime.divert
        if notice is not None and t.due(notice.until_s):
            t.regime = awake(replace(t.regime, divert=replace(notice, until_s=t.now_s + 3600.0)))

    patch.setattr(divert, "on_time", on_time)


def _no_camera_is_asked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Turn, "ask", lambda t, device, command: None)


def _technicians_may_close(patch: pytest.MonkeyPatch) -> None:
    _for_anybody(patch, CloseLane)
    _for_anybody(patch, SuspendLane)


def _officers_may_maintain(patch: pytest.MonkeyPatch) -> None:
    _for_anybody(patch, Maintain)
    _for_anybody(patch, EndMaintenance)


BROKEN: dict[str, tuple[Break, set[int], tuple[Action, ...]]] = {
    "a divert notice is not shown": (_a_divert_notice_is_not_shown, {1}, (LifeWalk.send_notice,)),
    "anybody may go in any life": (_anybody_may_go_in_any_life, {2}, (LifeWalk.declare,)),
    "the type changes at any time": (_the_type_changes_at_any_time, {3}, (LifeWalk.another_type,)),
    "anybody resets": (_anybody_resets, {4, 12}, (LifeWalk.declare, LifeWalk.order_life)),
    "opening ends an emergency": (_opening_ends_an_emergency, {4}, (LifeWalk.declare, LifeWalk.order_life)),
    "nobody looks who came later": (_nobody_looks_who_came_later, {5}, (LifeWalk.send_notice,)),
    "what is on record is granted": (_what_is_on_record_is_granted, {2, 5}, ()),
    "maintenance does not look into the lane": (_maintenance_does_not_look_into_the_lane, {3, 6}, ()),
    "the schedule is held back by nothing": (_the_schedule_is_held_back_by_nothing, {3, 7}, (LifeWalk.order_stage,)),
    "the schedule takes no notice of the port": (
        _the_schedule_takes_no_notice_of_the_port,
        {7},
        (LifeWalk.order_stage,),
    ),
    "the schedule takes no notice of orders": (_the_schedule_takes_no_notice_of_orders, {7, 8}, ()),
    "a restart closes the lane": (_a_restart_closes_the_lane, {9, 4}, (LifeWalk.restart, LifeWalk.declare)),
    "a divert notice stands for ever": (_a_divert_notice_stands_for_ever, {10}, ()),
    "no camera is asked": (_no_camera_is_asked, {11}, ()),
    "technicians may close": (_technicians_may_close, {12}, ()),
    "officers may maintain": (_officers_may_maintain, {12}, (LifeWalk.order_life, LifeWalk.mend)),
}
"""Ways to get it wrong, which invariants each of them breaks, and what has to happen more often to be found soon."""


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_rule_is_found_by_walking(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    breaking, numbers, often = BROKEN[what]
    breaking(monkeypatch)
    with pytest.raises(Violation) as broken:
        for seed in range(20):
            LifeWalk(seed).go(STEPS, *often)
    assert broken.value.number in numbers, broken.value


def test_every_invariant_is_shown_to_bite() -> None:
    assert set().union(*(numbers for _, numbers, _ in BROKEN.values())) == set(INVARIANTS)
