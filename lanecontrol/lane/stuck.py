"""Loops that stay on whatever passes: they see nobody, and the quality of the matching is degraded.

Called by `lane.tracking` when a vehicle comes to the booth, and by `lane.patience` when one has been on
both sides of the gate for longer than anybody takes to drive on.
"""

from __future__ import annotations

from lanecontrol.lane.record import replace
from lanecontrol.lane.state import STUCK_AFTER
from lanecontrol.lane.turn import Turn


def doubt_station(t: Turn, station: int) -> None:
    """The loops of this station are not believed until they are off once."""
    contacts = list(t.equipment.contacts)
    for index, place in enumerate(t.plan.loop_station):
        if place == station and contacts[index].held:
            contacts[index] = replace(contacts[index], passed=STUCK_AFTER)
            t.doubt(f"stuck:{t.setup.loops[index].name}", for_s=120.0)
    t.equipment = replace(t.equipment, contacts=tuple(contacts))


def doubt_stuck_loops(t: Turn) -> tuple[int, ...]:
    """One more vehicle has come to the booth; a loop elsewhere that stays on meanwhile sees nobody, it is stuck.

    Answers the stations that are no longer believed from now on.
    """
    found = []
    contacts = list(t.equipment.contacts)
    for index, station in enumerate(t.plan.loop_station):
        if station != t.plan.booth and contacts[index].held:
            contacts[index] = replace(contacts[index], passed=contacts[index].passed + 1)
            if contacts[index].passed >= STUCK_AFTER:
                t.doubt(f"stuck:{t.setup.loops[index].name}", for_s=120.0)
            if contacts[index].passed == STUCK_AFTER:
                found.append(station)
    t.equipment = replace(t.equipment, contacts=tuple(contacts))
    return tuple(found)
