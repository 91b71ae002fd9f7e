"""Two vehicles at the booth's loop at once, one on its way out and one closing up: what was taken for the other.

Called by `lane.tracking` when a loop clears, and by `lane.patience` when the one behind has not been seen for a while.
"""

from __future__ import annotations

from lanecontrol.lane import sharing, stuck, where
from lanecontrol.lane.passages import end_permission, left_booth
from lanecontrol.lane.record import replace
from lanecontrol.lane.state import Passage
from lanecontrol.lane.turn import Turn

PASSING_S = 3.0
"""From the booth loop to the exit loop, for a vehicle that is on its way."""


def still_on_its_way(t: Turn, passage: Passage) -> None:
    """It was taken for having closed up to the one ahead, whose rear the booth's loop told of: it was not there yet."""
    end_permission(t, passage.id, "the booth loop has cleared")
    before, off_s = t.plan.booth - 1, passage.booth_s
    t.put(
        replace(
            passage,
            head=before,
            tail=before,
            adrift_s=off_s,
            booth_s=None,
            booth_utc_s=None,
            wake_s=t.now_s + t.setup.limits.back_out_s,
            assess_s=None,
        )
    )


def passes_unseen(t: Turn, leader: Passage, follower: Passage) -> None:
    """It is on its way, whatever the loops of booth and exit say of that.

    If it was let go long ago it may have gone before, and the follower have stood there under its name.
    """
    if where.lingered(t, leader):
        sharing.also(t, follower, leader.id)
    leader = left_booth(t, t.passage(leader.id) or leader)
    if not t.chatters(t.plan.booth):
        stuck.outstays(t, alone=False)
    past = t.plan.booth + 1
    t.put(replace(leader, head=past, tail=past, adrift_s=t.now_s, wake_s=t.now_s + PASSING_S))
