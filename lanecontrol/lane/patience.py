"""When nothing comes: what is made of a vehicle that no loop has told of for a while, and of loops that fall silent.

Called by `lane.step` when a passage's `wake_s` has come, by `lane.equipment` and `lane.restart` when loops cannot be
read. It judges by the absence of facts, so every judgement leaves room for the fact that comes late.
"""

from __future__ import annotations

from lanecontrol.announcements import PassageEnd, Quality
from lanecontrol.lane import assembly, leaving, sharing, stuck, where
from lanecontrol.lane.closing_up import passes_unseen
from lanecontrol.lane.passages import QUEUE_LIMIT_S, beyond_booth, close, close_gone, gone, may_leave
from lanecontrol.lane.plan import BEFORE
from lanecontrol.lane.record import replace
from lanecontrol.lane.state import Passage
from lanecontrol.lane.tracking import reconcile, stands
from lanecontrol.lane.turn import Turn

MOVE_UP_S = 10.0
"""How long a vehicle may be taken for moving up behind one that is leaving."""
MEASURED_LIMIT_S = 15.0
"""A passage stays open for so long at most while a portal behind the booth counts on."""
EXIT_S = 30.0
"""On the exit loop for so long, with another at the booth by now: the loop is stuck, or the way out is jammed."""
AWAY_S = 60.0
"""The same while the loops still cannot be read."""


def wake(t: Turn, passage: Passage) -> None:
    """The moment has come at which the position of `passage` is judged without a new fact."""
    if passage.gone_s is not None:
        if sharing.measured_now(t, passage.id) and not t.due(passage.gone_s + MEASURED_LIMIT_S):
            t.put(replace(passage, wake_s=t.now_s + 1.0))
        else:
            close_gone(t, passage)
    elif passage.lost:
        close(t, passage, PassageEnd.INTERRUPTED, "the lane lost sight of it")
    elif passage.head == BEFORE:
        _judge_queued(t, passage)
    elif passage.adrift_s is None:
        _judge_standing(t, passage)
    elif passage.head < t.plan.booth:
        _judge_approach(t, passage, passage.adrift_s)
    else:
        _judge_booth(t, passage)
    reconcile(t)


def _judge_standing(t: Turn, passage: Passage) -> None:
    """It is on a loop, as it was when this moment was fixed."""
    wake_s: float | None = None
    scanned = passage.head == t.plan.scanner_station  # it stands there until that is done
    if passage.head > t.plan.booth and t.held(passage.head) and not scanned:
        if passage.tail <= t.plan.booth:
            stands(t, passage)
            return
        wake_s = t.held_since_s(passage.head) + EXIT_S
        if t.due(wake_s) and t.at_booth() is None:
            wake_s = t.now_s + EXIT_S  # nobody is kept waiting by it
        elif t.due(wake_s):
            stuck.doubt_station(t, passage.head)
            gone(t, passage)
            return
    t.put(replace(passage, wake_s=wake_s))


def _judge_queued(t: Turn, passage: Passage) -> None:
    """Between portal and first loop for long: gone, unless those ahead keep it waiting."""
    stations = range(min(t.plan.booth + 1, len(t.plan.stations)))
    free_s = max((t.held_since_s(station) for station in stations), default=0.0)
    if any(t.held(station) is not False for station in stations):
        t.put(replace(passage, wake_s=t.now_s + QUEUE_LIMIT_S / 4))
    elif not t.due(free_s + QUEUE_LIMIT_S):
        t.put(replace(passage, wake_s=free_s + QUEUE_LIMIT_S))
    else:
        sharing.hand_on(t, passage)
        close(t, passage, PassageEnd.WITHDRAWN, "passed the portal and never reached the approach")


def _judge_approach(t: Turn, passage: Passage, adrift_s: float) -> None:
    """Left the approach and not at the booth: gone, unless it may be closing up behind one that leaves."""
    ahead = next((p for p in t.live() if p.tail <= passage.head + 1 <= p.head and p.adrift_s is None), None)
    makes_way = ahead is not None and (may_leave(ahead) or ahead.head > passage.head + 1)
    still_read = assembly.heard_since(t, passage, t.now_s - t.setup.limits.back_out_s)
    if t.chatters(passage.head) and t.plan.births_at_portal:
        # It may never have been on a loop that makes such things up: it is still on its way there.
        wake_s = t.now_s + QUEUE_LIMIT_S / 4
        t.put(replace(passage, head=BEFORE, tail=BEFORE, reached_s=None, adrift_s=None, wake_s=wake_s))
    elif ahead is not None and where.only_at_booth(t, ahead):
        stuck.outstays(t, alone=True)
        close(t, ahead, PassageEnd.INTERRUPTED, "only the booth's loop told of it, and another one has driven there")
    elif ahead is not None and _takes_the_place_of(t, ahead):
        _give_up_the_booth(t, ahead, passage)
    elif (makes_way and t.now_s - adrift_s < MOVE_UP_S) or still_read:
        t.put(replace(passage, wake_s=t.now_s + t.setup.limits.back_out_s))
    else:
        if t.desk.quality is not Quality.GOOD:
            sharing.hand_on(t, passage)  # perhaps it is at the booth, and the loop there has not told
        close(t, passage, PassageEnd.WITHDRAWN, "left the approach without reaching the booth")


def _takes_the_place_of(t: Turn, ahead: Passage) -> bool:
    """Whether `ahead` is only believed to be at the booth, whose loop is not, and another one has driven there since.

    There is no room for two.
    """
    if ahead.head != t.plan.booth or not stuck.blind_booth(t):
        return False
    return not t.held(t.plan.booth) or leaving.can_have_gone(t, ahead, t.now_s)


def _give_up_the_booth(t: Turn, ahead: Passage, passage: Passage) -> None:
    """It has gone, if it was let go. Else it had turned away unseen; or the other one has, and is found here instead.

    So what stood against this one stands against whoever is at the booth now.
    """
    if leaving.can_have_gone(t, ahead, t.now_s):
        passes_unseen(t, ahead, passage)
    else:
        close(t, ahead, PassageEnd.INTERRUPTED, "the booth's loop tells of nobody, and another one has come to it")


def _judge_booth(t: Turn, passage: Passage) -> None:
    """Left the booth and not seen at the exit."""
    if t.plan.booth < t.plan.last:
        t.doubt("missed_exit", for_s=120.0)
    gone(t, beyond_booth(t, passage))


# --- when the loops cannot be read -----------------------------------------------------------------------------------


def lose_sight(t: Turn, patience_s: float) -> None:
    """The loops cannot be read for now: what they say next may be about other vehicles."""
    for passage in t.live():
        if passage.head > BEFORE:
            t.put(replace(passage, lost=True, adrift_s=None, wake_s=t.now_s + patience_s))


def interrupt_all(t: Turn, why: str) -> None:
    """Close every open passage: nothing is known of their vehicles."""
    for passage in t.tracking.passages:
        if passage.gone_s is not None:
            close_gone(t, passage)
        else:
            close(t, passage, PassageEnd.INTERRUPTED, why)
