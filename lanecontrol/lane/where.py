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
FROM_BEHIND_S = 1.0
"""Who was still on the loop before has so much longer to drive: 7 m more or less, at 2.5 m/s2 at most."""
PAST_BOOTH_MPS = 7.0
"""Nobody passes the booth faster (25 km/h)."""
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


def never_came_up(t: Turn, passage: Passage) -> bool:
    """The booth's loop has cleared sooner than anybody drives past it who had only just left the loop before it.

    It was on for the one ahead, from before this one was taken to be there.
    """
    booth = t.plan.booth
    if passage.booth_s is None or passage.disposition is not None or not passage.tail == passage.head == booth > 0:
        return False
    on_s = max((contact.held_before_s for contact in t.loops(booth)), default=t.now_s)
    return on_s < passage.booth_s and t.now_s - passage.booth_s < _past_booth_s(t)


def _past_booth_s(t: Turn) -> float:
    """From clearing the loop before the booth's to clearing that: nobody is faster."""
    ends_m = {zone.name: zone.end_m for zone in t.setup.zones}
    before, booth = t.plan.stations[t.plan.booth - 1], t.plan.stations[t.plan.booth]
    return (ends_m[booth] - ends_m[before]) / PAST_BOOTH_MPS


def drove_off_both(t: Turn, passage: Passage) -> bool:
    """Whether it can have left the booth forward, with its rear on the loop before it when it was let go."""
    before = t.plan.booth - 1
    early_s = 0.0 if t.chatters(before) or stuck.unmoved(t, before) else FROM_BEHIND_S
    return leaving.can_have_gone(t, passage, t.now_s - early_s)


def seems_to_reverse(t: Turn) -> bool:
    """A car has left the booth's loop and is not on the next one, and nobody saw who is on the loop before come there.

    A car is longer than the way between the two. That holds as far as the exit's loop can be trusted.
    """
    booth = t.plan.booth
    if booth == t.plan.last or t.lane_type in stuck.LONG_VEHICLES or not t.plan.births_at_portal:
        return False
    if t.held(booth + 1) is not False or exit_in_doubt(t) or stuck.unmoved(t, booth + 1):
        return False
    behind = [p for p in t.live() if p.head == booth - 1 and p.adrift_s is None]
    return any(p.reached_s is not None and p.opened_s >= p.reached_s for p in behind)


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


def alone(t: Turn, passage: Passage) -> bool:
    """Nobody can have followed it to the booth: the loop before has been clear since before it was let go.

    That holds as far as that loop can be trusted.
    """
    before, by = t.plan.booth - 1, passage.disposition
    if before < 0 or by is None or t.chatters(before) or stuck.unmoved(t, before) or follower_near(t, t.plan.booth):
        return False
    if queued(t) and any(doubt.code == "missed_loop" for doubt in t.desk.doubts):
        return False
    return t.held(before) is False and t.utc_at(t.held_since_s(before)) < by.at_utc_s


def only_at_booth(t: Turn, passage: Passage) -> bool:
    """Nothing but the booth's loop has told of it, which has been on ever since."""
    booth = t.plan.booth
    new = passage.opened_s == passage.booth_s == passage.reached_s and not passage.occupancies
    here = passage.tail == passage.head == booth and passage.adrift_s is None
    return new and here and t.held(booth) is True and t.held_since_s(booth) == passage.booth_s


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
