"""Where the vehicles are: from loops that are taken and cleared to passages that move.

Strong facts only, and every one of them is used to fall back into step: a loop that is on has a vehicle on it, so a
taken loop that no passage covers is given one at once (`reconcile`); a loop that is off has none. A vehicle between
two loops is *adrift* until the next fact or until its time is up. Passages stand foremost first, and vehicles in a
lane cannot overtake.

Called by `lane.equipment` when a station changes, by `lane.radiation` when the portal sees somebody, and by
`lane.timers` when a passage's `wake_s` has come.
"""

from __future__ import annotations

from lanecontrol.announcements import PassageEnd
from lanecontrol.lane import assembly, leaving, sharing, stuck, where
from lanecontrol.lane.closing_up import PASSING_S, passes_unseen, still_on_its_way
from lanecontrol.lane.passages import (
    NOTHING_SHOWN,
    QUEUE_LIMIT_S,
    arrive,
    beyond_booth,
    close,
    end_permission,
    gone,
    left_booth,
    may_leave,
    open_passage,
)
from lanecontrol.lane.plan import BEFORE
from lanecontrol.lane.record import replace
from lanecontrol.lane.state import Passage
from lanecontrol.lane.turn import Turn

SLOWEST_MPS = 1.75
"""From the portal to a first loop that was free: whoever takes longer has gone, if somebody else can be it."""
VANISH_S = 5.0
"""Off the booth loop and nowhere else, without a release, for so long: it is gone."""
LEAVE_S = 15.0
"""The same with a release: it may have to wait for the gate."""
LOST_S = 10.0
"""After its loops could not be read: what is not seen again by then is closed."""
ROLL_BACK_S = 4.0
"""A vehicle that rolls back from the booth takes the approach loop no longer than this before it leaves the booth's."""
FOLLOWS_S = 0.3
"""Its front is on the exit loop: so much later its rear leaves the booth's."""
OUT_OF_SIGHT_S = 1.5
"""Off the booth loop and not on the approach, where the next one already is: it has gone, released or not."""
MISSED_S = 120.0
"""So long after a loop has missed a vehicle the matching is degraded."""
STANDS_S = 6.0
"""At the booth and at the exit for so long without having been let go (`LEAVE_S` otherwise): it stands at the booth."""


# --- the portal sees somebody ----------------------------------------------------------------------------------------


def seen_at_portal(t: Turn, zone: str, *, since_s: float | None = None) -> str:
    """A vehicle is in the portal, perhaps for a while already: its passage is opened. Answers its id."""
    passage = open_passage(t, BEFORE, zone)
    if since_s is not None:
        t.put(replace(passage, opened_s=since_s))
        sharing.doubt_order(t)
    sharing.share_with_new(t, passage.id)
    return passage.id


def in_zone(t: Turn, place: int) -> tuple[str, ...]:
    """The passages that cover this station now; for portals that stand beside a loop.

    Where none does, the loop is dead or slower than the portal: then it is the foremost vehicle on its way there.
    """
    there = tuple(p.id for p in t.live() if p.tail <= place <= p.head)
    coming = (p.id for p in t.live() if p.head < place and (p.adrift_s is not None or p.head == place - 1))
    return there or tuple(coming)[:1]


# --- loops -----------------------------------------------------------------------------------------------------------


def station_changed(t: Turn, station: int, before: bool | None, after: bool | None) -> None:
    """The loops of a station say something else than before; None is not known."""
    if after is True:
        _confirm(t, station)
        if not where.covered(t, station):
            _taken(t, station)
    elif after is False:
        _cleared(t, station, known=before is not None)
    reconcile(t)


def reconcile(t: Turn) -> None:
    """Every loop that is on has a vehicle: give it the next one, or a new one."""
    for station in reversed(range(len(t.plan.stations))):
        if t.held(station) and not where.covered(t, station):
            _taken(t, station)
    if stuck.blind_booth(t) and not where.covered(t, t.plan.booth):
        _assume_at_booth(t)


def _assume_at_booth(t: Turn) -> None:
    """The booth's loop tells of nobody: whoever has left the loop before it is there, as soon as there is room."""
    for passage in t.live():
        if passage.head == t.plan.booth - 1 and passage.adrift_s is not None and not passage.lost:
            _enter(t, replace(passage, tail=t.plan.booth), t.plan.booth)
            return


def _confirm(t: Turn, station: int) -> None:
    """A loop that had not been readable is on: the vehicle that was there still is."""
    for passage in t.live():
        if passage.lost and passage.tail <= station <= passage.head:
            t.put(replace(passage, lost=False, wake_s=None, adrift_s=None))


def _taken(t: Turn, station: int) -> None:
    """A vehicle is on this loop: which one?"""
    if station == t.plan.booth:
        _slipped_away(t)
    passage = where.returning(t, station) or _coming(t, station)
    if passage is not None:
        _enter(t, passage, station)
        return
    passage = where.reversing(t, station)
    if passage is not None:
        _roll_back(t, passage, station)
        return
    if t.plan.births_at_portal and station < t.plan.booth and t.chatters(station):
        return  # a loop that makes things up, and nobody has come through the portal who could be there
    passage = open_passage(t, station, t.plan.stations[station])
    if not sharing.measure_with_last(t, passage) and t.plan.births_at_portal:
        t.tracking = replace(t.tracking, guessed_s=t.now_s)
    _enter(t, t.passage(passage.id) or passage, station)


def _slipped_away(t: Turn) -> None:
    """Whoever left the booth without a release and is not on the approach either is not the one who comes now."""
    for passage in t.live():
        away_s = t.now_s - (passage.adrift_s if passage.adrift_s is not None else t.now_s)
        held = passage.head == t.plan.booth and not may_leave(passage) and not passage.lost
        if held and away_s >= OUT_OF_SIGHT_S and where.follower_near(t, t.plan.booth) and not t.chatters(t.plan.booth):
            gone(t, beyond_booth(t, passage))


def _coming(t: Turn, station: int) -> Passage | None:
    """The foremost vehicle behind this loop."""
    for passage in t.live():
        if BEFORE < passage.head < station:
            if passage.head < station - 1 and passage.booth_s is None:
                t.doubt("missed_loop", for_s=MISSED_S)
            return passage
    return _from_queue(t, station)


def _from_queue(t: Turn, station: int) -> Passage | None:
    """The vehicle that came through the portal and must be this one. Vehicles that cannot be any more are let go."""
    reach_s = t.plan.portal_to_loop_m / sharing.FASTEST_MPS
    queue = [p for p in t.live() if p.head == BEFORE and t.now_s - p.opened_s >= reach_s]
    if station > 0 and queue:
        t.doubt("missed_loop", for_s=MISSED_S)
        if not t.held(station - 1):
            stuck.missed(t, station - 1)
    if len(queue) > 1 and stuck.unmoved(t, station - 1):
        sharing.still_guessing(t)
    slowest_s = (t.plan.portal_to_loop_m + t.plan.starts_m[station] - t.plan.starts_m[0]) / SLOWEST_MPS
    free_s = where.free_since_s(t, station)
    while len(queue) > 1 and t.now_s > max(queue[0].opened_s + slowest_s, free_s + where.MOVES_UP_S):
        gone = queue.pop(0)
        sharing.hand_on(t, gone)
        close(t, t.passage(gone.id) or gone, PassageEnd.WITHDRAWN, "passed the portal and never reached the approach")
    return t.passage(queue[0].id) if queue else None  # as it is now: it may have been given an alarm


def _roll_back(t: Turn, passage: Passage, station: int) -> None:
    """`passage` came back onto this loop with its whole length."""
    end_permission(t, passage.id, "the vehicle went back from the booth")
    t.put(replace(passage, head=station, tail=station, adrift_s=None, wake_s=None, assess_s=None))


def _enter(t: Turn, passage: Passage, station: int) -> None:
    """`passage` is on the loop of `station` with its front."""
    first = passage.reached_s is None
    if passage.head == t.plan.booth < station and passage.adrift_s is not None:
        passage = left_booth(t, passage, at_s=passage.adrift_s)
    passage = t.put(
        replace(
            passage,
            head=station,
            tail=station if passage.adrift_s is not None or passage.tail == BEFORE else passage.tail,
            adrift_s=None,
            lost=False,
            wake_s=None,
            reached_s=t.now_s if first else passage.reached_s,
        )
    )
    if station == t.plan.booth:
        if where.came_late(t, passage):
            passage = sharing.from_behind(t, passage)
        _relieve(t, passage)
        if passage.booth_s is None:
            _leave_stuck_loops(t)
        passage = arrive(t, passage)
    if station > t.plan.booth:
        if passage.booth_s is None:
            sharing.hand_on(t, passage)  # nobody has seen it at the booth
            stuck.missed(t, t.plan.booth)
        passage = beyond_booth(t, passage)
        _let_go_of(t, passage)
        passage = t.passage(passage.id) or passage
        if passage.tail <= t.plan.booth:
            t.put(replace(passage, wake_s=t.now_s + (LEAVE_S if may_leave(passage) else STANDS_S)))
    if first or passage.head == passage.tail == station:
        assembly.arrived(t, passage)
    if first:
        sharing.note_departure_from_portal(t, passage)


def _leave_stuck_loops(t: Turn) -> None:
    """Whoever had been given a loop that is stuck was not there, or somewhere before it."""
    for station in stuck.doubt_stuck_loops(t):
        for other in t.live():
            if other.head == station < t.plan.booth and other.reached_s is not None:
                _was_nobody(t, other)
            elif other.head == other.tail == station > t.plan.booth:
                gone(t, other)


def _relieve(t: Turn, passage: Passage) -> None:
    """Another vehicle is on the booth loop: the one ahead left it about when it took the next."""
    for other in t.live():
        if other.id != passage.id and other.tail <= t.plan.booth < other.head:
            other = t.put(replace(other, tail=t.plan.booth + 1))
            left_booth(t, other, at_s=t.held_since_s(other.head) if t.held(other.head) else t.now_s)
        elif other.id != passage.id and other.head == t.plan.booth and other.adrift_s is not None and may_leave(other):
            other = left_booth(t, other, at_s=other.adrift_s)
            t.put(replace(other, wake_s=min(other.wake_s or t.now_s, t.now_s + PASSING_S)))
            if t.chatters(t.plan.booth) and not where.came_up(t, passage):
                t.tracking = replace(t.tracking, guessed_s=t.now_s)


def _let_go_of(t: Turn, passage: Passage) -> None:
    """Stations behind this vehicle that are off, and all before those, are not under it any more."""
    for station in reversed(range(passage.tail, passage.head)):
        if t.held(station) is False:
            passage = t.put(replace(passage, tail=station + 1))
            if passage.tail > t.plan.booth:
                left_booth(t, passage)
            return


def _cleared(t: Turn, station: int, *, known: bool) -> None:
    """Nobody is on this loop any more."""
    for name in [p.id for p in t.live()]:
        passage = t.passage(name)
        if passage is not None and passage.tail <= station <= passage.head and passage.adrift_s is None:
            if station == t.plan.booth and where.lingered(t, passage):
                passage = sharing.in_its_stead(t, passage)
            _off_loop(t, passage, station, known=known)


def _off_loop(t: Turn, passage: Passage, station: int, *, known: bool) -> None:
    booth, last = t.plan.booth, t.plan.last
    if passage.head > station:
        passage = t.put(replace(passage, tail=station + 1))
        if station == booth:
            left_booth(t, passage)
    elif station == last and last > booth and not where.stands_at_booth(t, passage):
        _gone_by_exit(t, passage)
        _hurry_followers(t)
    elif passage.tail < station and not (station == booth and where.drove_off_both(t, passage)):
        # The loop behind is still taken: it went back. Should it show up ahead after all, that loop was another's.
        end_permission(t, passage.id, "the vehicle went back from the booth")
        passage = t.put(replace(passage, head=station - 1, assess_s=None))
        if station - 1 == booth:
            _stays_at_booth(t, passage)
    elif (
        known
        and station == booth
        and (not leaving.can_have_gone(t, passage, t.now_s) or where.seems_to_reverse(t))
        and _backed_onto_approach(t, station)
    ):
        _roll_back(t, passage, station - 1)
    elif known and station == booth and where.never_came_up(t, passage):
        still_on_its_way(t, passage)
    elif known and station < booth and where.moved_up(t, station):
        _enter(t, replace(passage, tail=station + 1), station + 1)
    elif known and station == booth - 1 and (leader := where.gone_unseen(t)) is not None:
        passes_unseen(t, leader, passage)
        _enter(t, replace(passage, tail=booth), booth)
    else:
        _set_adrift(t, passage, station)


def _gone_by_exit(t: Turn, passage: Passage) -> None:
    """It has left. Is the booth's loop still on, a follower took it there, soon after it had reached the exit."""
    booth = t.plan.booth
    if passage.tail > booth or not t.held(booth):
        gone(t, passage)
        return
    on_s = max((contact.held_before_s for contact in t.loops(t.plan.last)), default=t.now_s)
    if not t.chatters(booth):
        stuck.outstays(t, alone=where.alone(t, passage))
    if stuck.blind_booth(t):
        stuck.clear_booth(t)
        gone(t, left_booth(t, passage, at_s=min(t.now_s, on_s + FOLLOWS_S)))
        return
    since_s = min(t.now_s, on_s + FOLLOWS_S, _off_approach_s(t))
    gone(t, left_booth(t, passage, at_s=since_s))
    _taken(t, booth)
    follower = t.at_booth()
    if follower is not None and follower.booth_s == t.now_s:
        t.put(replace(follower, booth_s=since_s, booth_utc_s=t.utc_at(since_s)))


def _off_approach_s(t: Turn) -> float:
    """When the follower's rear left the loop before the booth's: its front was at the booth by then."""
    for follower in t.live():
        if follower.head == t.plan.booth - 1 and follower.adrift_s is not None:
            return follower.adrift_s
    return t.now_s


def stands(t: Turn, passage: Passage) -> None:
    """Its loops have said for long that it is at the booth and beyond: a stuck loop, or it does not move.

    Whoever still covers the booth's loop is for the officer to decide upon, wherever its front is.
    """
    stuck.doubt_station(t, passage.head)
    passage = t.put(replace(passage, head=t.plan.booth, wake_s=None))
    _stays_at_booth(t, passage)


def _stays_at_booth(t: Turn, passage: Passage) -> None:
    """It seemed to have gone on, and has not: whoever stands at the booth is assessed, and decided upon."""
    t.put(replace(passage, unreleased=False, shown=NOTHING_SHOWN, assess_s=t.now_s + t.setup.limits.assess_after_s))


def _hurry_followers(t: Turn) -> None:
    """The exit loop is clear: whoever was let go and closed up over it is not far."""
    for passage in t.live():
        if passage.head == t.plan.booth and passage.adrift_s is not None and may_leave(passage):
            t.put(replace(passage, wake_s=t.now_s + PASSING_S))


def _backed_onto_approach(t: Turn, station: int) -> bool:
    """The booth is empty, nobody was let go, and the loop before it was taken just now: by the same vehicle.

    Who had been given that loop was not there: it is put back into the queue.
    """
    behind = station - 1
    if behind < 0 or not t.held(behind) or t.now_s - t.held_since_s(behind) > ROLL_BACK_S:
        return False
    for passage in t.live():
        if passage.head == behind and passage.adrift_s is None:
            if passage.reached_s is None or t.now_s - passage.reached_s > ROLL_BACK_S:
                return False
            _was_nobody(t, passage)
    return True


def _was_nobody(t: Turn, passage: Passage) -> None:
    """This passage had been given a loop on which another vehicle was: back into the queue, if it ever was in one."""
    if passage.reached_s is not None and passage.opened_s >= passage.reached_s and t.plan.births_at_portal:
        close(t, passage, PassageEnd.WITHDRAWN, "the loop was taken by another vehicle")
    else:
        wake_s = t.now_s + QUEUE_LIMIT_S
        t.put(replace(passage, head=BEFORE, tail=BEFORE, reached_s=None, wake_s=wake_s))


def _set_adrift(t: Turn, passage: Passage, station: int) -> None:
    """Off this loop and not yet on another one."""
    if station == t.plan.booth:
        end_permission(t, passage.id, "the booth loop has cleared")
        patience_s = LEAVE_S if may_leave(passage) else VANISH_S
        if t.plan.booth == t.plan.last:
            patience_s = 0.0 if may_leave(passage) else patience_s
    else:
        patience_s = t.setup.limits.back_out_s
    if passage.lost:
        patience_s = max(patience_s, LOST_S)
    t.put(replace(passage, head=station, tail=station, adrift_s=t.now_s, wake_s=t.now_s + patience_s, assess_s=None))


def next_vehicle(t: Turn) -> None:
    """The officer says that another vehicle is at the booth: the foremost one behind it, or one nobody has seen."""
    if t.at_booth() is None and t.plan.booth < len(t.plan.stations):
        if t.held(t.plan.booth) is False:
            t.doubt("missed_loop", for_s=MISSED_S)
            stuck.missed(t, t.plan.booth)
        t.tracking = replace(t.tracking, guessed_s=t.now_s)
        _taken(t, t.plan.booth)
