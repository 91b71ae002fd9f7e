"""The short way through a step, for gamma counts that change nothing but the portal's own figures.

A third of all inputs are such counts: a vehicle is being measured, and neither an alarm nor anything else begins, ends
or falls due. The short way comes to the same state as the long one, which it leaves everything else to. Called by
`lane.step`; it must never raise an alarm, open a passage or tell anything.
"""

from __future__ import annotations

from lanecontrol.events import GammaCounts, Input
from lanecontrol.lane import radiation
from lanecontrol.lane.portal import sound
from lanecontrol.lane.radiation_state import PortalState
from lanecontrol.lane.record import maker
from lanecontrol.lane.setup import LaneSetup
from lanecontrol.lane.state import LaneState
from lanecontrol.lane.turn import EARLY_S, LATEST_S

_lane_state = maker(LaneState)


def only_counted(setup: LaneSetup, state: LaneState, given: Input, event: GammaCounts) -> LaneState | None:
    """The state after these counts; None where there may be more to do, or the clock is odd."""
    now_s, utc_s, wake_s = given.at.mono_s + state.offset_s, given.at.utc_s, state.wake_s
    if wake_s is None or wake_s <= now_s + EARLY_S or state.scanner is not None:
        return None
    if not (state.now_s <= now_s < LATEST_S and 0 <= utc_s < LATEST_S):
        return None
    if len(state.radiation) != 1 or len(setup.portals) != 1 or setup.portals[0].device != given.source:
        return None
    portal = _counted(setup, state.radiation[0], event, now_s)
    if portal is None:
        return None
    return _lane_state(
        state.plan,
        state.boot,
        state.offset_s,
        now_s,
        utc_s,
        wake_s,
        (portal,),
        state.tracking,
        state.assembly,
        state.equipment,
        state.desk,
        state.counters,
        state.scanner,
        state.inquiry,
        state.regime,
        state.numbers,
    )


def _counted(setup: LaneSetup, portal: PortalState, event: GammaCounts, now_s: float) -> PortalState | None:
    """The one portal after these counts of an occupancy under way; None where something begins with them."""
    occupancy, counting = portal.occupancy, portal.counting
    if occupancy is None or counting is None or not sound(event.counts):
        return None
    if event.alarm and not counting.gamma_alarm:
        return None
    if occupancy.another_after_s is not None and now_s >= occupancy.another_after_s:
        return None
    return radiation.counted(portal, occupancy, counting, event, now_s, setup.portals[0])
