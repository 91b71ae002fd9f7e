"""Manual overrides with a reason and an end, and acceptance of a changed configuration.

Called by `lane.orders`.
"""

from __future__ import annotations

from lanecontrol.commands import Actor, EnableEquipment, EndOverride, Outcome, Override, Result
from lanecontrol.lane.turn import Turn


def ordered(t: Turn, actor: Actor, request: Override | EndOverride | EnableEquipment) -> Outcome:
    """Carry out or refuse what somebody asks of the equipment."""
    return Outcome(Result.REFUSED, "nothing can be overridden in this lane")
