"""Whether the vehicle at the booth can have left it: what is known of permission, gate and the time to move off.

Called by `lane.tracking`, `lane.loops`, `lane.where` and `lane.patience`.
"""

from __future__ import annotations

from lanecontrol.lane.passages import may_leave
from lanecontrol.lane.state import Passage
from lanecontrol.lane.turn import Turn

MOVE_OFF_S = 1.9
"""No vehicle is let go, moves off and clears the booth loop in less."""
OPEN_S = 0.7
"""The same from when the gate is fully open."""


def can_have_gone(t: Turn, passage: Passage, at_s: float) -> bool:
    """Whether it was let go, the gate is open, and both so long that it can have cleared the booth loop ahead."""
    by = passage.disposition
    if by is None or not may_leave(passage) or t.utc_at(at_s) - by.at_utc_s < MOVE_OFF_S:
        return False
    opened = t.contact(t.plan.opened)
    return t.setup.gate is None or (opened.on is True and at_s - opened.since_s >= OPEN_S)


def holds_back(t: Turn, station: int) -> bool:
    """Whether this is the booth, and somebody there who was not let go."""
    here = t.at_booth() if station == t.plan.booth else None
    return here is not None and not may_leave(here)
