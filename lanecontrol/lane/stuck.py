"""Loops that stay as they are whatever passes: they see nobody, and the quality of the matching is degraded.

Called by `lane.tracking` when a vehicle comes to the booth or has passed it unseen, and by `lane.patience` when one has
been on both sides of the gate for longer than anybody takes to drive on.
"""

from __future__ import annotations

from lanecontrol.announcements import LaneType
from lanecontrol.lane.record import replace
from lanecontrol.lane.state import STUCK_AFTER
from lanecontrol.lane.turn import Turn

LONG_VEHICLES = frozenset({LaneType.COMMERCIAL, LaneType.FAST, LaneType.EMPTY, LaneType.BUS})
"""In lanes of these types a vehicle may be on the loop before the booth and at the booth at once, or longer still."""
DEAD_AFTER = 2
"""Vehicles in a row that a loop did not tell of: one may be missed (a motorcycle), hardly two."""


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


def missed(t: Turn, missing: int) -> None:
    """One more vehicle was at the station `missing`, and the loop there has stayed as it was."""
    contacts = list(t.equipment.contacts)
    for index, station in enumerate(t.plan.loop_station):
        if station == missing:
            passed = contacts[index].passed + 1
            passed = STUCK_AFTER if passed >= DEAD_AFTER else passed
            contacts[index] = replace(contacts[index], passed=passed)
            if passed >= STUCK_AFTER:
                t.doubt(f"unmoved:{t.setup.loops[index].name}")
    t.equipment = replace(t.equipment, contacts=tuple(contacts))


def outstays(t: Turn, *, alone: bool) -> None:
    """Who was at the booth has left by the exit, and the booth's loop has stayed on: a follower, or it is stuck.

    It is stuck if nobody can have followed (`alone`), or if one after the other seems to have followed so closely.
    """
    if t.lane_type in LONG_VEHICLES:
        return
    contacts = list(t.equipment.contacts)
    for index, station in enumerate(t.plan.loop_station):
        if station == t.plan.booth and contacts[index].held:
            passed = STUCK_AFTER if alone else contacts[index].passed + 1
            contacts[index] = replace(contacts[index], passed=passed)
            if passed >= STUCK_AFTER:
                t.doubt(f"unmoved:{t.setup.loops[index].name}")
    t.equipment = replace(t.equipment, contacts=tuple(contacts))


def moves_again(t: Turn, index: int) -> None:
    """A loop that had stayed as it was has changed."""
    code = f"unmoved:{t.setup.loops[index].name}"
    if any(doubt.code == code for doubt in t.desk.doubts):
        t.doubt(code, for_s=120.0)


def clear_booth(t: Turn) -> None:
    """Who was at the booth has left through the exit: what the booth's loop said of it is over."""
    contacts = list(t.equipment.contacts)
    for index, station in enumerate(t.plan.loop_station):
        old = contacts[index]
        if station == t.plan.booth and old.held and old.passed < STUCK_AFTER:
            again_s = t.now_s if old.on else None
            contacts[index] = replace(
                old, held=False, held_s=t.now_s, held_before_s=old.held_s, lean_s=0.0, settle_s=again_s
            )
    t.equipment = replace(t.equipment, contacts=tuple(contacts))


def blind_booth(t: Turn) -> bool:
    """The booth's loop is not believed: who is there follows from the loops before and behind it.

    It does not move, or it chatters while the loop before it is steady. Not in lanes for long vehicles, where who has
    left the loop before is past the booth: there it is the officer who says who is at the booth.
    """
    booth = t.plan.booth
    if not 0 < booth < t.plan.last or t.lane_type in LONG_VEHICLES:
        return False
    if t.chatters(booth) and not t.chatters(booth - 1) and not unmoved(t, booth - 1):
        return True
    return unmoved(t, booth)


def unmoved(t: Turn, station: int) -> bool:
    """The loops of this station stay as they are, whoever passes."""
    loops = t.loops(station)
    return bool(loops) and all(contact.passed >= STUCK_AFTER for contact in loops)
