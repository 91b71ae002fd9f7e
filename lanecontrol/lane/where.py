"""Who can be on this loop, or have left it: questions about where the vehicles are. Nothing is changed here.

Used by `lane.tracking`, which draws the conclusions, and by `lane.loops`.
"""

from __future__ import annotations

from lanecontrol.lane import interlock, leaving, sharing, stuck
from lanecontrol.lane.passages import may_leave
from lanecontrol.lane.plan import BEFORE
from lanecontrol.lane.state import SHORT_S, Passage
from lanecontrol.lane.turn import Turn

BOUNCE_S = 1.0
"""A loop that was off for less than this, with nobody else near, still has the same vehicle."""
FLICKER_S = 0.3
"""The same for a vehicle that may leave: it could be gone by then."""
MOVES_UP_S = 4.0
"""Whoever waited before a loop that is free now is on it by then, if somebody else can be it."""
LINGERS_S, LINGERS_LONG_S = 6.0, 15.0
"""Let go, a car has reacted and cleared the booth in 5 s (1.2 s, the gate's second, 6 m at 1.5 m/s2); a truck in 10 s
(25 m at 0.9 m/s2)."""


def covered(t: Turn, station: int) -> bool:
    for passage in t.tracking.passages:
        if passage.tail <= station <= passage.head and passage.adrift_s is None and passage.gone_s is None:
            return True
    return False


def surprised_by(t: Turn, station: int) -> bool:
    """Whether a vehicle on this loop would be news: nobody is known who could have come there by now."""
    live = t.live()
    if covered(t, station) or returning(t, station) is not None:
        return False
    for passage in live:
        if BEFORE < passage.head < station:
            return station > t.plan.booth and not may_leave(passage) and not passage.lost
    if any(not may_leave(p) and (p.tail == station + 1 or (p.head > station and p.adrift_s is not None)) for p in live):
        return False  # it may be rolling back
    if queued(t):
        return station > t.plan.booth
    return station > 0 or t.plan.births_at_portal


def returning(t: Turn, station: int) -> Passage | None:
    """The vehicle that was on this loop before: it rocked, or the loop flickered.

    Nobody overtakes a vehicle that was not let go from the booth: whoever takes the booth loop next is the same one.
    """
    for passage in t.live():
        if passage.head == station and passage.adrift_s is not None:
            away_s = t.now_s - passage.adrift_s
            if station != t.plan.booth:
                if away_s < BOUNCE_S:
                    return passage
            elif not leaving.can_have_gone(t, passage, passage.adrift_s):
                return passage
            elif follower_near(t, station):
                return None
            elif away_s < BOUNCE_S if t.chatters(station) else away_s < FLICKER_S and not queued(t):
                return passage
    return None


def follower_near(t: Turn, station: int) -> bool:
    """Somebody is or was on the loop before this one, and may have closed up."""
    return any(p.head == station - 1 and p.head > BEFORE for p in t.live())


def queued(t: Turn) -> bool:
    """Somebody came through the portal long enough ago to be at the first loop."""
    reach_s = t.plan.portal_to_loop_m / sharing.FASTEST_MPS
    return any(p.head == BEFORE and t.now_s - p.opened_s >= reach_s for p in t.live())


def free_since_s(t: Turn, station: int) -> float:
    """Since when a vehicle could have driven onto this loop; now, if it was held all the time."""
    since_s = t.held_since_s(station)
    if not t.held(station):
        return since_s
    if since_s < t.now_s:
        return t.now_s
    return max((contact.held_before_s for contact in t.loops(station)), default=t.now_s)


def reversing(t: Turn, station: int) -> Passage | None:
    """The vehicle just ahead came back onto this loop; only if it was not let go."""
    for passage in reversed(t.live()):
        if passage.head > station and passage.adrift_s is not None and not _let_go(t, passage, passage.adrift_s):
            return passage
    return None


def _let_go(t: Turn, passage: Passage, at_s: float) -> bool:
    """What is only on record, in a lane that lets nobody go, makes nobody leave: for that the gate has to be open."""
    if not may_leave(passage):
        return False
    return not interlock.lets_nobody_go(t, passage) or leaving.can_have_gone(t, passage, at_s)


def moved_up(t: Turn, station: int) -> bool:
    """The next loop is held by a vehicle that is already further on: the one behind has closed up to it."""
    if not t.held(station + 1):
        return False
    return any(p.head > station + 1 and p.tail <= station + 1 for p in t.live())


def stands_at_booth(t: Turn, passage: Passage) -> bool:
    """The last loop is clear and the booth's still taken: by a follower, unless the last one had made it all up."""
    last, booth = t.plan.last, t.plan.booth
    if passage.tail > booth or not t.held(booth):
        return False
    if follows_unseen(t):
        return False
    on_s = max((contact.held_before_s for contact in t.loops(last)), default=0.0)
    return t.chatters(last) or t.now_s - on_s < SHORT_S


def follows_unseen(t: Turn) -> bool:
    """Somebody has left the loop before the booth and is nowhere else, as far as that loop can be trusted."""
    before = t.plan.booth - 1
    return any(p.head == before and p.adrift_s is not None for p in t.live()) and not t.chatters(before)


def gone_unseen(t: Turn) -> Passage | None:
    """The one at the booth, if it was let go and the next one has closed up to there, as an exit in doubt hides.

    The next one has just left the loop before the booth's, forward, and there is no room for two behind that.
    """
    booth = t.plan.booth
    leader = t.at_booth()
    if leader is None or booth == t.plan.last or t.chatters(booth - 1) or not exit_in_doubt(t):
        return None
    hides = t.held(booth) or stuck.blind_booth(t)
    return leader if hides and leaving.can_have_gone(t, leader, t.now_s) else None


def exit_in_doubt(t: Turn) -> bool:
    """The last loop chatters, or has lately not told of somebody who left."""
    return t.chatters(t.plan.last) or any(doubt.code == "missed_exit" for doubt in t.desk.doubts)


def came_up(t: Turn, passage: Passage) -> bool:
    """It is at the booth with its whole length, and was on the loop before, which can be believed."""
    booth = t.plan.booth
    before = passage.reached_s is not None and passage.reached_s < t.now_s
    return before and passage.tail == booth > 0 and not t.chatters(booth - 1)


def came_late(t: Turn, passage: Passage) -> bool:
    """Found at a loop and not at the portal, and then it let the booth be free for long: it may have come only now."""
    if passage.reached_s is None or passage.opened_s < passage.reached_s or not t.plan.births_at_portal:
        return False
    return t.now_s - max(passage.reached_s, free_since_s(t, t.plan.booth)) > MOVES_UP_S


def lingered(t: Turn, passage: Passage) -> bool:
    """It was let go so long ago that somebody else may be leaving the booth in its stead."""
    by = passage.disposition
    limit_s = LINGERS_LONG_S if t.lane_type in stuck.LONG_VEHICLES else LINGERS_S
    return by is not None and may_leave(passage) and t.utc_s - by.at_utc_s > limit_s
