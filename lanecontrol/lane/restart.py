"""Starting: with no past, or from a checkpoint, possibly on a machine whose monotonic clock began anew.

Every permission is withdrawn. A passage goes on if its vehicle can still be the one on its loop; else it is closed as
interrupted, never silently dropped. Called by `lane.step` for the first input of a run.
"""

from __future__ import annotations

from lanecontrol.announcements import PassageEnd
from lanecontrol.events import Input, Started
from lanecontrol.lane import (
    alarms,
    equipment,
    interlock,
    overrides,
    patience,
    questions,
    radiation,
    scanner,
    source_check,
    tracking,
)
from lanecontrol.lane.passages import close, close_gone, may_leave
from lanecontrol.lane.plan import BEFORE, make_plan
from lanecontrol.lane.record import replace
from lanecontrol.lane.setup import LaneSetup
from lanecontrol.lane.state import Contact, LaneState, Passage
from lanecontrol.lane.turn import Turn

WAITING_S = 120.0
"""A vehicle on the approach or at the booth, held by red: still the same one after this long."""
QUEUED_S = 15.0
"""The same for one that no loop sees."""
LEAVING_S = 4.0
"""The same for one that had been let go: after that the next one may stand there."""
_BACKWARDS_S = 1.0


def rebased(setup: LaneSetup, state: LaneState, given: Input) -> LaneState:
    """The state with its lane time continued: after another boot monotonic seconds start anew.

    The time in between is taken from UTC; where that runs backwards, none has passed.
    """
    event = given.event
    boot = event.boot[:200] if isinstance(event, Started) else state.boot
    plan = make_plan(setup)
    fresh = state.boot == "" and state.utc_s == 0.0
    now_s = given.at.mono_s + state.offset_s
    if not fresh and (boot != state.boot or now_s < state.now_s - _BACKWARDS_S):
        away_s = given.at.utc_s - state.utc_s
        away_s = away_s if 0.0 < away_s < 1e9 else 0.0
        now_s = state.now_s + away_s
    offset_s = now_s - given.at.mono_s
    if not -1e12 < offset_s < 1e12:
        offset_s = 0.0
    return replace(state, boot=boot, plan=plan, offset_s=offset_s)


def start(t: Turn) -> None:
    """Withdraw everything, forget what was read, and look at every open passage."""
    away_s = _away_s(t)
    equipment.forget_pending(t)
    changed = len(t.equipment.contacts) != len(t.plan.points)
    interlock.stop_everything(t, "the software was started")
    t.equipment = replace(
        t.equipment,
        contacts=(Contact(None, t.now_s, t.now_s),) * len(t.plan.points),
        devices=(),
        gate_open=t.setup.gate is not None,
        gate_close_s=None,
        gate_watch_s=None,
        gate_told=False,
        gate_again=False,
        gate_odd_s=None,
        reassert_s=None,
        lamps_s=(None, None),
        beacon=None,
    )
    t.desk = replace(t.desk, stopping=False, writable=True)
    scanner.started(t)
    _settle_radiation(t)
    if changed:
        patience.interrupt_all(t, "the lane's layout was changed")
    for passage in t.tracking.passages:
        _look_at(t, passage, away_s)
    overrides.restarted(t)
    questions.started(t)
    interlock.look_at_configuration(t)
    alarms.settle(t)


def _away_s(t: Turn) -> float:
    """How long nobody looked, by lane time, which goes on over a restart."""
    return t.now_s - t.last_s


def _settle_radiation(t: Turn) -> None:
    if len(t.radiation) != len(t.setup.portals):
        for occupancy in (portal.occupancy for portal in t.radiation):
            if occupancy is not None:
                alarms.occupancy_over(t, occupancy.id)
        t.radiation = radiation.initial(t.setup)
    source_check.started(t)
    radiation.silent(t)


def _look_at(t: Turn, passage: Passage, away_s: float) -> None:
    if passage.gone_s is not None:
        if t.due(passage.wake_s):
            close_gone(t, passage)
        return
    leaving = may_leave(passage) and passage.head >= t.plan.booth
    limit_s = LEAVING_S if leaving else QUEUED_S if passage.head == BEFORE or passage.adrift_s else WAITING_S
    if away_s > limit_s:
        close(t, passage, PassageEnd.INTERRUPTED, "the software was not running")
    elif passage.head > BEFORE:
        t.put(replace(passage, lost=True, adrift_s=None, wake_s=t.now_s + tracking.LOST_S, assess_s=passage.assess_s))
