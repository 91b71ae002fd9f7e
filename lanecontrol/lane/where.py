"""Who can be on this loop, or have left it: questions about where the vehicles are. Nothing is changed here.

Used by `lane.tracking`, which draws the conclusions, and by `lane.loops`.
"""

from __future__ import annotations

from lanecontrol.lane import leaving, sharing
from lanecontrol.lane.passages import may_leave
from lanecontrol.lane.plan import BEFORE
from lanecontrol.lane.state import SHORT_S, Passage
from lanecontrol.lane.turn import Turn

BOUNCE_S = 1.0
"""A loop that was off for less than this, with nobody else near, still has the same vehicle."""
FLICKER_S = 0.3
"""The same for a vehicle that may leave: it could be gone by then."""


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
        if passage.head > station and passage.adrift_s is not None and not may_leave(passage):
            return passage
    return None


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
    """The one at the booth, if it was let go and the next one has closed up to there, as an exit that chatters hides.

    The next one has just left the loop before the booth's, and the booth's is still on.
    """
    booth = t.plan.booth
    leader = t.at_booth()
    if leader is None or booth == t.plan.last or t.chatters(booth) or t.chatters(booth - 1) or not t.held(booth):
        return None
    return leader if t.chatters(t.plan.last) and leaving.can_have_gone(t, leader, t.now_s) else None
