"""The lane core: `step(setup, state, input) -> (state, effects)`. Pure, total and deterministic.

What is due by the clock is done first, then the event, then what follows from both (gate, lane life, quality). Effects
leave in a fixed order: commands that withdraw, then what is published, then answers, then commands that grant. The
runner calls `step` for every input, asks `deadline` when it wants its next `Tick`, and asks `still_granted` right
before it performs a command that grants.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lanecontrol.announcements import CentralReach, InputsDropped, LaneLife, LaneStarted
from lanecontrol.events import (
    Answered,
    CardElsewhere,
    CentralChanged,
    CommandEnded,
    DeviceChanged,
    DeviceFault,
    DivertHeard,
    GammaBackground,
    GammaCounts,
    Input,
    InputChanged,
    InputsFresh,
    InputsLost,
    InputsStale,
    ModuleWatchdogTripped,
    NeutronBackground,
    NeutronCounts,
    OccupancyEnded,
    OrderGiven,
    OutputsRead,
    PictureTaken,
    PlateRead,
    PlateTrackEnded,
    PlateUnread,
    PortalAlarm,
    PortalSetup,
    PortalSpeed,
    PortalTamper,
    Started,
    Stopping,
    StoreChanged,
    TagRead,
)
from lanecontrol.lane import (
    assembly,
    divert,
    elsewhere,
    equipment,
    interlock,
    life,
    loops,
    numbers,
    orders,
    plates,
    portal,
    questions,
    radiation,
    restart,
    scanner,
    timetable,
)
from lanecontrol.lane.counted import only_counted
from lanecontrol.lane.effects import Drive, Effect, Publish
from lanecontrol.lane.passages import ask_again, assess, reassess
from lanecontrol.lane.patience import wake
from lanecontrol.lane.plan import make_plan
from lanecontrol.lane.record import maker, replace
from lanecontrol.lane.setup import LaneSetup
from lanecontrol.lane.state import Desk, LaneState
from lanecontrol.lane.turn import EARLY_S, Turn

Effects = tuple[Effect, ...]
_lane_state = maker(LaneState)


def initial(setup: LaneSetup) -> LaneState:
    """The state of a lane that has never run."""
    plan = make_plan(setup)
    return LaneState(
        plan=plan,
        radiation=radiation.initial(setup),
        equipment=equipment.initial(len(plan.points)),
        desk=Desk(),
        scanner=scanner.initial(setup),
    )


def step(setup: LaneSetup, state: LaneState, given: Input) -> tuple[LaneState, Effects]:
    """The state after `given`, and what is to be done about it, in order. Never raises, whatever the event says."""
    event = given.event
    kind = type(event)
    if type(event) is GammaCounts:
        after = only_counted(setup, state, given, event)
        if after is not None:
            return after, ()
    if kind is Started:
        state = restart.rebased(setup, state, given)
    t = Turn(setup, state, given, state.offset_s)
    wake_s = state.wake_s
    due = wake_s is not None and wake_s <= t.now_s + EARLY_S and kind is not Started
    if due:
        _do_what_is_due(t)
    handle = _HANDLERS.get(kind)
    if handle is not None:
        handle(t, event)
    calm = (
        t.tracking is state.tracking
        and t.equipment is state.equipment
        and t.desk is state.desk
        and t.regime is state.regime
    )
    if not calm:
        _follow_up(t, state)
    if t.scanner is not None:
        scanner.follow(t, state)
        calm = calm and t.scanner is state.scanner and t.equipment is state.equipment and t.desk is state.desk
    if t.effects or due or kind is Started:
        numbers.follow(t)
    if not (calm and _calm(t, state)):
        wake_s = _wake_s(t)
    after = _lane_state(
        t.plan,
        state.boot,
        state.offset_s,
        t.now_s,
        t.utc_s,
        wake_s,
        t.radiation,
        t.tracking,
        t.assembly,
        t.equipment,
        t.desk,
        t.counters,
        t.scanner,
        t.inquiry,
        t.regime,
        t.numbers,
    )
    return after, _ordered(t) if t.effects else ()


def deadline(state: LaneState) -> float | None:
    """The earliest monotonic second at which the lane wants a `Tick`; None when nothing is pending."""
    return None if state.wake_s is None else state.wake_s - state.offset_s


def still_granted(state: LaneState, command_id: str) -> bool:
    """Whether the permission that this command carries still stands."""
    if state.scanner is not None and scanner.granted(state.scanner, command_id):
        return True
    return interlock.standing(state.desk, state.equipment, command_id)


# --- time ------------------------------------------------------------------------------------------------------------


def _do_what_is_due(t: Turn) -> None:
    t.expire_doubts()
    radiation.silent(t)
    permission = t.desk.permission
    if permission is not None and t.due(permission.expires_s):
        interlock.withdraw(t, f"not used within {t.setup.limits.release_limit_s:g} s")
    equipment.on_time(t)
    loops.settle(t)
    for name in [p.id for p in t.tracking.passages]:
        _wake_passage(t, name)
    if t.due(t.assembly.sweep_s):
        assembly.sweep(t)
    if t.due(t.regime.wake_s):
        divert.on_time(t)
        timetable.on_time(t)
    if t.inquiry.wake_s is not None:
        for name in questions.on_time(t):
            _look_again_at(t, name)


def _wake_passage(t: Turn, name: str) -> None:
    passage = t.passage(name)
    if passage is not None and t.due(passage.assess_s):
        passage = assess(t, passage)
    if passage is not None and t.due(passage.wake_s):
        wake(t, passage)


def _calm(t: Turn, state: LaneState) -> bool:
    """Whether nothing else can have become due earlier, so that the old moment serves: at worst it comes too early."""
    wake_s = state.wake_s
    return (
        wake_s is not None
        and wake_s > t.now_s
        and t.counters is state.counters
        and t.inquiry is state.inquiry
        and (t.assembly is state.assembly or t.assembly.sweep_s == state.assembly.sweep_s)
        and (t.numbers is state.numbers or t.numbers.wake_s == state.numbers.wake_s)
    )


def _wake_s(t: Turn) -> float | None:
    """The next moment at which anything is due."""
    first = t.assembly.sweep_s
    for moment_s in (radiation.due_s(t), equipment.due_s(t)):
        if moment_s is not None and (first is None or moment_s < first):
            first = moment_s
    for passage in t.tracking.passages:
        for moment_s in (passage.wake_s, passage.assess_s):
            if moment_s is not None and (first is None or moment_s < first):
                first = moment_s
    for doubt in t.desk.doubts:
        if doubt.until_s is not None and (first is None or doubt.until_s < first):
            first = doubt.until_s
    permission = t.desk.permission
    if permission is not None and (first is None or permission.expires_s < first):
        first = permission.expires_s
    if t.scanner is not None and t.scanner.wake_s is not None and (first is None or t.scanner.wake_s < first):
        first = t.scanner.wake_s
    if t.inquiry.wake_s is not None and (first is None or t.inquiry.wake_s < first):
        first = t.inquiry.wake_s
    if t.regime.wake_s is not None and (first is None or t.regime.wake_s < first):
        first = t.regime.wake_s
    if t.numbers.wake_s is not None and (first is None or t.numbers.wake_s < first):
        first = t.numbers.wake_s
    return first


# --- events ----------------------------------------------------------------------------------------------------------


def _tag_read(t: Turn, event: TagRead) -> None:
    if assembly.tag_read(t, event):
        _look_again(t)


def _plate_read(t: Turn, event: PlateRead) -> None:
    if plates.plate_read(t, event):
        _look_again(t)


def _plate_unread(t: Turn, event: PlateUnread) -> None:
    if plates.plate_unread(t, event):
        _look_again(t)


def _picture_taken(t: Turn, event: PictureTaken) -> None:
    if plates.picture_taken(t, event):
        _look_again(t)


def _look_again(t: Turn) -> None:
    passage = t.at_booth()
    if passage is not None:
        reassess(t, passage)


def _look_again_at(t: Turn, name: str) -> None:
    passage = t.passage(name)
    if passage is not None:
        reassess(t, passage)


def _answered(t: Turn, event: Answered) -> None:
    _look_again_at(t, questions.answered(t, event))


def _card_elsewhere(t: Turn, event: CardElsewhere) -> None:
    _look_again_at(t, elsewhere.read_elsewhere(t, event))


def _order(t: Turn, event: OrderGiven) -> None:
    orders.order_given(t, event.order)


def _central(t: Turn, event: CentralChanged) -> None:
    if t.desk.central is not event.reachable:
        t.desk = replace(t.desk, central=event.reachable)
        t.tell(CentralReach(event.reachable, event.reason[:200], t.utc_s))
        questions.central_changed(t)


def _store(t: Turn, event: StoreChanged) -> None:
    t.desk = replace(t.desk, writable=event.writable)
    if not event.writable:
        interlock.withdraw(t, "the event store cannot be written to")


def _inputs_lost(t: Turn, event: InputsLost) -> None:
    interlock.stop_everything(t, "inputs were lost")
    t.tell(InputsDropped(event.count, t.utc_s))
    t.doubt("inputs_lost", for_s=300.0)


def _stopping(t: Turn, event: Stopping) -> None:
    interlock.stop_everything(t, "the lane controller is stopping")
    t.desk = replace(t.desk, stopping=True)


def _started(t: Turn, event: Started) -> None:
    t.tell(LaneStarted(event.cold, event.boot, t.utc_s))
    restart.start(t)
    if t.setup.opens_at_start and t.desk.life in (LaneLife.CLOSED, LaneLife.CLOSING):
        life.change(t, LaneLife.OPENING, "the lane file says so")
    divert.on_time(t)
    timetable.started(t)


_HANDLERS: dict[type[Any], Callable[[Turn, Any], None]] = {
    TagRead: _tag_read,
    PlateRead: _plate_read,
    PlateUnread: _plate_unread,
    PictureTaken: _picture_taken,
    PlateTrackEnded: plates.track_ended,
    InputChanged: equipment.input_changed,
    InputsStale: equipment.stale,
    InputsFresh: equipment.fresh,
    OutputsRead: equipment.outputs_read,
    ModuleWatchdogTripped: equipment.watchdog_tripped,
    GammaBackground: portal.gamma_background,
    NeutronBackground: portal.neutron_background,
    GammaCounts: radiation.gamma_counts,
    NeutronCounts: radiation.neutron_counts,
    PortalAlarm: radiation.portal_alarm,
    PortalSpeed: portal.speed,
    OccupancyEnded: radiation.ended,
    PortalTamper: portal.tamper,
    PortalSetup: portal.portal_setup,
    DeviceChanged: equipment.device_changed,
    DeviceFault: equipment.device_fault,
    Started: _started,
    CommandEnded: equipment.command_ended,
    OrderGiven: _order,
    CentralChanged: _central,
    Answered: _answered,
    CardElsewhere: _card_elsewhere,
    DivertHeard: divert.heard,
    StoreChanged: _store,
    InputsLost: _inputs_lost,
    Stopping: _stopping,
}
"""What is done about each event. `Tick` needs nothing beyond what is due, `PortalExtra` nothing at all."""


# --- the end of a step -----------------------------------------------------------------------------------------------


def _follow_up(t: Turn, before: LaneState) -> None:
    """What follows from the state rather than from the event."""
    permission = before.desk.permission
    if permission is not None and t.desk.permission is None:
        ask_again(t, permission.passage)
    numbers.watch_approach(t, before)
    equipment.settle(t)
    life.settle(t)
    if t.regime.wish:
        timetable.pursue(t)
    equipment.show(t)


def _ordered(t: Turn) -> Effects:
    """Withdrawals, announcements, answers, grants; a grant that did not survive its own step is dropped."""
    effects = t.effects
    if len(effects) == 1 and type(effects[0]) is Publish:
        return (effects[0],)
    withdrawals: list[Effect] = []
    told: list[Effect] = []
    answers: list[Effect] = []
    grants: list[Effect] = []
    for effect in effects:
        if type(effect) is Publish:
            told.append(effect)
        elif type(effect) is not Drive:
            answers.append(effect)
        elif not effect.grants:
            withdrawals.append(effect)
        elif _stands(t, effect.command_id):
            grants.append(effect)
    return (*withdrawals, *told, *answers, *grants)


def _stands(t: Turn, command_id: str) -> bool:
    if t.scanner is not None and scanner.granted(t.scanner, command_id):
        return True
    return interlock.standing(t.desk, t.equipment, command_id)
