"""What people ask of the lane, and the answer: done, or refused with the reason.

An order has an identified actor, an idempotency key and a deadline; it runs now or not at all. Whether its actor may
ask for it is asked here, once, of `lane.authority`: whoever carries it out relies on that. Dispositions are the only
thing that releases a vehicle. Called by `lane.step` for orders and by `lane.equipment` for the booth's button.
"""

from __future__ import annotations

from lanecontrol.announcements import (
    DisposedBy,
    DispositionRecorded,
    OrderAnswered,
    PassageEnd,
    Referral,
)
from lanecontrol.commands import (
    DONE,
    AbortScan,
    Acknowledge,
    Actor,
    CheckPortal,
    CloseLane,
    ConfirmDriverOut,
    ConfirmScan,
    DeclareEmergency,
    Dispose,
    Disposition,
    DrillDegraded,
    EnableEquipment,
    EnableScanner,
    EndMaintenance,
    EndOverride,
    Maintain,
    NextVehicle,
    OpenLane,
    Order,
    Outcome,
    Override,
    Request,
    ResetLane,
    ResetScanner,
    Result,
    Resume,
    Role,
    ScanVehicle,
    ServeType,
    SetOccupants,
    SignOff,
    SignOn,
    SuspendLane,
    refused,
)
from lanecontrol.lane import (
    alarms,
    authority,
    duty,
    interlock,
    life,
    lookouts,
    overrides,
    questions,
    resumption,
    scanner,
    source_check,
    timing,
)
from lanecontrol.lane.passages import GOING, absconded, assess, close, gone, judged, may_leave, reassess
from lanecontrol.lane.record import replace
from lanecontrol.lane.state import MAX_KEYS, Passage
from lanecontrol.lane.texts import MAX_WORDS
from lanecontrol.lane.tracking import next_vehicle, reconcile
from lanecontrol.lane.turn import Turn

MOST_OCCUPANTS = 200
_MAX_KEY = 500


def order_given(t: Turn, order: Order) -> None:
    """Carry out or refuse one order, answer it, and say so."""
    outcome = _refused_unheard(t, order) or _carry_out(t, order.key, order.actor, order.request)
    _record(t, order.key, order.actor, order.request, outcome, order.digest)
    t.answer(order.key, outcome)
    if order.key not in t.desk.keys:
        t.desk = replace(t.desk, keys=(*t.desk.keys, order.key)[-MAX_KEYS:])


def button_pressed(t: Turn) -> None:
    """The booth's button: RELEASED by its officer for the vehicle at the booth, never against a mandatory referral."""
    button = t.setup.booth_button
    if button is None:
        return
    number = t.counters.presses + 1
    t.counters = replace(t.counters, presses=number)
    actor = Actor(button.officer, Role.OFFICER, simulated=t.setup.simulated)
    passage = t.at_booth()
    request = Dispose(passage.id if passage is not None else "", Disposition.RELEASED)
    key = f"{t.setup.lane}-b{number:06d}"
    outcome = _carry_out(t, key, actor, request)
    _record(t, key, actor, request, outcome)


def _record(t: Turn, key: str, actor: Actor, request: Request, outcome: Outcome, digest: str = "") -> None:
    if not lookouts.kept_back(t, key, actor, request, outcome):
        t.tell(OrderAnswered(key, type(request).__name__, actor, outcome.result, outcome.reason, t.utc_s, digest))


def _refused_unheard(t: Turn, order: Order) -> Outcome | None:
    """What is refused whatever it asks for: repeated, late, by nobody."""
    if order.key in t.desk.keys:
        return refused("already answered")
    if not order.key or len(order.key) > _MAX_KEY:
        return refused("an order needs a key of at most 500 characters")
    if not order.deadline_utc_s >= t.utc_s:
        return refused("too late: the order's deadline has passed")
    if not order.actor.name.strip():
        return refused("whoever gives an order has to say who they are")
    return None


def _not_theirs(t: Turn, actor: Actor, request: Request) -> str:
    """Why it is not for this role to ask for this; empty when it is."""
    if t.setup.scanner is None and isinstance(request, scanner.ScanRequest):
        return ""  # that there is none is said to whoever asks
    return authority.refusal(actor.role, request, t.desk.life)


def _carry_out(t: Turn, key: str, actor: Actor, request: Request) -> Outcome:
    why = _not_theirs(t, actor, request)
    if why:
        return refused(why)
    match request:
        case Dispose():
            return _dispose(t, actor, request)
        case SetOccupants():
            return _set_occupants(t, request)
        case Acknowledge():
            return _acknowledge(t, actor, request)
        case OpenLane():
            return life.open_lane(t, actor)
        case CloseLane():
            return life.close_lane(t, actor, request)
        case SignOn() | SignOff():
            return duty.ordered(t, actor, request)
        case SuspendLane() | Maintain() | EndMaintenance() | ServeType():
            return life.ordered(t, actor, request)
        case Resume():
            return resumption.ordered(t, actor, request)
        case DeclareEmergency():
            return life.emergency(t, request.reason)
        case ResetLane():
            return life.reset(t)
        case NextVehicle():
            return _next_vehicle(t)
        case ScanVehicle() | ConfirmScan() | ConfirmDriverOut() | AbortScan() | EnableScanner() | ResetScanner():
            return scanner.ordered(t, key, actor, request)
        case Override() | EndOverride() | EnableEquipment():
            return overrides.ordered(t, actor, request)
        case CheckPortal():
            return source_check.ordered(t, key, actor, request)
        case DrillDegraded():
            return questions.drill(t, actor, request)


# --- dispositions ----------------------------------------------------------------------------------------------------


def _dispose(t: Turn, actor: Actor, request: Dispose) -> Outcome:
    if request.disposition is Disposition.ABSCONDED and _has_fled(t, request.passage):
        return _absconded(t, actor, request)
    why = _why_not_disposed(t, actor, request)
    passage = t.passage(request.passage)
    if why or passage is None:
        return refused(why)
    found, recommended = judged(t, passage)
    disposition = request.disposition
    unmoved = interlock.lets_nobody_go(t, passage) if disposition in GOING else ""
    why = _why_not_against(actor, request, recommended) or _why_not_going(t, disposition, unmoved)
    # Lookouts last: what would be refused in any case is refused for that.
    why = why or _why_not_against_lookout(t, actor, request)
    if why:
        return refused(why)
    by = _decision(t, actor, request)
    passage = t.put(replace(passage, disposition=by, assess_s=None))
    timing.decided(t, passage, disposition)
    t.tell(DispositionRecorded(passage.id, by, tuple(finding.code for finding in found)))
    lookouts.disposed(t, passage.id, by)
    alarms.disposed(t, passage.id)
    if unmoved:
        return Outcome(Result.DONE, f"on record only: {unmoved}, so that no green is shown and no gate opened")
    if disposition in GOING:
        interlock.grant(t, passage, disposition.value)
    elif disposition is Disposition.VOID and passage.adrift_s is not None:
        close(t, passage, PassageEnd.WITHDRAWN, "voided")
    return DONE


def _why_not_going(t: Turn, disposition: Disposition, unmoved: str) -> str:
    """Why the vehicle may not be let go, nor its going be put on record; empty when there is nothing against it.

    In a lane that lets nobody go, officer and driver still come to terms: it backs out, or is led to secondary. That
    has to be put on record, and grants nothing. A release would be green; and what nobody inspected was not released.
    """
    if disposition not in GOING or (unmoved and disposition is not Disposition.RELEASED):
        return ""
    return f"{unmoved}: {_INSTEAD}" if unmoved else interlock.refusal(t)


_INSTEAD = "its vehicle may be referred, turned back or detained, on record only, and is not released"


def _decision(t: Turn, actor: Actor, request: Dispose) -> DisposedBy:
    reasons = tuple(reason[:MAX_WORDS] for reason in request.reasons[:16])
    return DisposedBy(request.disposition, actor, t.utc_s, reasons, request.justification[:MAX_WORDS])


def _has_fled(t: Turn, name: str) -> bool:
    """Whether the vehicle of this passage left without a release, and nobody has said yet that it fled."""
    passage = t.passage(name)
    return name in t.desk.fled or (passage is not None and passage.unreleased and not absconded(passage))


def _absconded(t: Turn, actor: Actor, request: Dispose) -> Outcome:
    """It is gone, and its passage perhaps closed: said of it all the same, and that answers for its alarm."""
    if not t.desk.writable:
        return refused("the event store cannot be written to")
    by = _decision(t, actor, request)
    passage = t.passage(request.passage)
    if passage is not None:
        t.put(replace(passage, disposition=by, assess_s=None))
    t.desk = replace(t.desk, fled=tuple(name for name in t.desk.fled if name != request.passage))
    t.tell(DispositionRecorded(request.passage, by, ()))
    if passage is not None:
        lookouts.disposed(t, passage.id, by)
    alarms.fled(t, request.passage)
    return DONE


_AGAINST = frozenset({Disposition.RELEASED, Disposition.TURN_BACK, Disposition.LANE_PASS_UNINSPECTED, Disposition.VOID})
"""What contradicts a mandatory referral: nobody would look at the vehicle any more. What only refers it elsewhere,
holds it, or records that it got away does not."""


def _why_not_against(actor: Actor, request: Dispose, recommended: Referral) -> str:
    """Why this disposition may not be given against a mandatory referral; empty when there is nothing against it."""
    if request.disposition not in _AGAINST or recommended is not Referral.MANDATORY:
        return ""
    if actor.role not in authority.AGAINST_REFERRAL:
        return f"the referral is mandatory: only a supervisor may {_DEED[request.disposition]} against it"
    if not request.justification.strip():
        return f"the referral is mandatory: to {_DEED[request.disposition]} against it needs a justification"
    return ""


def _why_not_against_lookout(t: Turn, actor: Actor, request: Dispose) -> str:
    """The same where it is a lookout that makes it mandatory."""
    if request.disposition not in _AGAINST or not lookouts.mandatory(t, request.passage):
        return ""
    entitled = actor.role in authority.AGAINST_REFERRAL and request.justification.strip()
    return "" if entitled else lookouts.NOT_AGAINST


_DEED = {
    Disposition.RELEASED: "release",
    Disposition.TURN_BACK: "turn back",
    Disposition.LANE_PASS_UNINSPECTED: "let pass",
    Disposition.VOID: "void",
}


def _why_not_disposed(t: Turn, actor: Actor, request: Dispose) -> str:
    passage = t.passage(request.passage)
    if passage is None:
        return "no open passage has this number"
    if passage.lost:
        return interlock.doubt_of_inputs(t) or "the lane has lost sight of its vehicle"
    if t.at_booth() is not passage:
        return "its vehicle is not at the booth"
    if not t.desk.writable:
        return "the event store cannot be written to"
    return _why_not_again(t, actor, passage)


def _why_not_again(t: Turn, actor: Actor, passage: Passage) -> str:
    """A vehicle that still stands there with its permission gone may be decided about anew."""
    if passage.disposition is None:
        return ""
    if t.desk.permission is not None and t.desk.permission.passage == passage.id:
        return "already disposed of"
    if passage.disposition.disposition not in GOING and actor.role not in authority.DECIDING_ANEW:
        return "already disposed of: only a supervisor may change that"
    return ""


def _set_occupants(t: Turn, request: SetOccupants) -> Outcome:
    passage = t.passage(request.passage)
    if passage is None:
        return refused("no open passage has this number")
    if not 0 <= request.count <= MOST_OCCUPANTS:
        return refused(f"a count from 0 to {MOST_OCCUPANTS}")
    if not 0 <= request.minors <= request.count:
        return refused("no more minors than people")
    passage = t.put(replace(passage, occupants=request.count, minors=request.minors))
    reassess(t, passage)
    return DONE


def _acknowledge(t: Turn, actor: Actor, request: Acknowledge) -> Outcome:
    return DONE if alarms.acknowledge(t, request.alarm, actor) else refused("no alarm has this number")


# --- the way out of manual correlation -------------------------------------------------------------------------------


def _next_vehicle(t: Turn) -> Outcome:
    passage = t.at_booth()
    if passage is not None:
        if may_leave(passage):
            gone(t, passage)
        else:
            close(t, passage, PassageEnd.INTERRUPTED, "the officer called the next vehicle")
    next_vehicle(t)
    reconcile(t)
    t.trust("inputs_lost")
    now_there = t.at_booth()
    if now_there is None:
        return refused("no vehicle is known that could be at the booth")
    assess(t, now_there)
    return DONE
