"""One occupancy of the portal and several vehicles: who shares it, and whose its alarm may be.

An alarm that could be two vehicles' is attached to both. Called by `lane.tracking` when a vehicle is found at a loop or
given up, and by `lane.radiation` for where it begins a passage.
"""

from __future__ import annotations

from itertools import pairwise

from lanecontrol.lane import alarms, stuck
from lanecontrol.lane.passages import attach
from lanecontrol.lane.record import replace
from lanecontrol.lane.state import Passage
from lanecontrol.lane.turn import Turn

FASTEST_MPS = 9.0
"""Nobody drives from the portal to the first loop faster than this (the speed window is 25 km/h, and some more)."""
MEASURED_S = 20.0
"""A vehicle without an occupancy of its own was in the last one, if that ended no longer ago."""
JUST_S = 5.0
"""That somebody was in the last occupancy too is likely only if it ended no longer ago."""
GUESS_S = 60.0
"""So long after a guess an alarm is also the one's ahead: by then the loops have told who is who."""
LONGEST_M, SLOW_MPS = 9.0, 1.75
"""A van and the portal that it drives through, and how slowly, where the portal has not measured that."""
SPLIT_MARGIN_S = 0.5
"""Counting goes on for so much longer than the hold-in: a further vehicle."""


def sees_first(t: Turn, zone: str) -> bool:
    """Vehicles are first seen by a portal in this zone: the first portal's, where that stands before the first loop."""
    return t.plan.births_at_portal and zone == t.setup.portals[0].zone


def hand_on(t: Turn, passage: Passage) -> None:
    """A vehicle that seems to have gone had an alarm: it may be that of the one ahead, or of the next one.

    If it is a loop that chatters which says so, those behind may be one further on than the lane takes them for.
    """
    live = t.tracking.passages
    at = next((at for at, other in enumerate(live) if other.id == passage.id), None)
    if at is None:
        return
    passage = live[at]  # as it is now: it may have been given another's alarm meanwhile
    if at:
        also(t, passage, live[at - 1].id)
    also(t, passage, *[other.id for other in live[at + 1 : at + 2]])
    if _made_up(t):
        for one, behind in pairwise(live[at + 1 :]):
            also(t, one, behind.id)
    doubt_order(t)


def also(t: Turn, passage: Passage, *names: str) -> None:
    """The alarms of this vehicle may be those of others."""
    for row in passage.occupancies:
        for name in names if row.gamma_alarm or row.neutron_alarm else ():
            alarms.concern(t, row.occupancy, name)
            attach(t, name, row.occupancy, gamma=row.gamma_alarm, neutron=row.neutron_alarm, ambiguous=True)


def _made_up(t: Turn) -> bool:
    """Whether loops up to the booth chatter: vehicles may be there that are not, or the other way round."""
    return any(t.chatters(station) for station in range(t.plan.booth + 1))


def in_its_stead(t: Turn, passage: Passage) -> Passage:
    """It leaves the booth long after it was let go: perhaps it is the next one, whom no other loop has told of."""
    before = t.plan.booth - 1
    if before < 0 or not (stuck.unmoved(t, before) or t.chatters(before)):
        return passage
    t.tracking = replace(t.tracking, guessed_s=t.now_s)
    return from_behind(t, passage)


def from_behind(t: Turn, passage: Passage) -> Passage:
    """This may be the vehicle that the lane takes for the one behind it: alarms of that one are its own as well."""
    live = t.tracking.passages
    at = next((at for at, other in enumerate(live) if other.id == passage.id), len(live))
    for other in live[at + 1 : at + 2]:
        also(t, other, passage.id)
    return t.passage(passage.id) or passage


def still_guessing(t: Turn) -> None:
    """A guess made lately is not settled: nobody tells of those who come to the booth but the portal."""
    if _guessing(t):
        t.tracking = replace(t.tracking, guessed_s=t.now_s)


def doubt_order(t: Turn) -> None:
    """The number of passages was changed on the word of a loop; for a while it may be one too many or too few."""
    if _made_up(t):
        t.tracking = replace(t.tracking, guessed_s=t.now_s)


def _guessing(t: Turn) -> bool:
    """It is not long ago that the lane had to guess who is who."""
    guessed_s = t.tracking.guessed_s
    return guessed_s is not None and t.now_s - guessed_s <= GUESS_S


def share_with_new(t: Turn, name: str) -> None:
    """A passage begins at the portal: is the lane behind by one, the alarm of the one before is its vehicle's.

    Only what was measured just before: what that one has been given of another's goes no further down the queue.
    """
    before = t.tracking.passages[-2:-1]
    if before and _guessing(t) and _made_up(t):
        last = {portal.past.id for portal in t.radiation if portal.past is not None}
        measured = tuple([row for row in before[0].occupancies if row.occupancy in last])
        also(t, replace(before[0], occupancies=measured), name)


def with_neighbours(t: Turn, passages: tuple[str, ...]) -> tuple[str, ...]:
    """Whose an alarm may be: for a while after a guess, those before and behind may be the vehicle of these."""
    order = [other.id for other in t.tracking.passages]
    if not _guessing(t) or not passages or passages[0] not in order:
        return passages
    at, last = order.index(passages[0]), order.index(passages[-1]) if passages[-1] in order else len(order)
    ahead = () if at == 0 or _was_further_on(t, *t.tracking.passages[at - 1 : at + 1]) else (order[at - 1],)
    behind = tuple(order[last + 1 : last + 2]) if _made_up(t) else ()
    return (*ahead, *passages, *behind)


def _was_further_on(t: Turn, ahead: Passage, passage: Passage) -> bool:
    """Whether the one ahead was at a loop already when this one came into the portal, and still is at one, or has gone.

    That holds only as far as loops can be trusted.
    """
    if _made_up(t):
        return False
    if ahead.gone_s is not None:
        return ahead.gone_s < passage.opened_s
    before = ahead.reached_s is not None and ahead.reached_s < passage.opened_s
    return before and ahead.adrift_s is None and t.held(ahead.head) is True


def measured_now(t: Turn, name: str) -> bool:
    """Whether a portal is counting what may be this vehicle: an alarm can still come."""
    return any(portal.occupancy is not None and name in portal.occupancy.passages for portal in t.radiation)


def note_departure_from_portal(t: Turn, passage: Passage) -> None:
    """If counting goes on after this vehicle has left the portal, somebody else is in it.

    A first loop that chatters may have told of the vehicle before it came: then counting has to go on for longer than
    the longest of cars takes at the speed that the portal measured. Not so where the booth's loop tells of nobody
    either: there one too many does less harm than one too few.
    """
    if t.lane_type in stuck.LONG_VEHICLES:
        return
    portals = []
    for portal in t.radiation:
        occupancy = portal.occupancy
        if occupancy is not None and occupancy.passages[-1:] == (passage.id,):
            passed_s = t.now_s
            if t.chatters(0) and not stuck.blind_booth(t):
                passed_s = max(passed_s, occupancy.started_s + LONGEST_M / (occupancy.speed_mps or SLOW_MPS))
            after_s = passed_s + portal.hold_in_s + SPLIT_MARGIN_S
            portal = replace(portal, occupancy=replace(occupancy, another_after_s=after_s))
        portals.append(portal)
    t.radiation = tuple(portals)


def measure_with_last(t: Turn, passage: Passage) -> bool:
    """A vehicle found at a loop went through the portal together with another one, if it was measured at all.

    Answers whether that explains it: the portal counts, or has only just ended.
    """
    explained = False
    for index, portal in enumerate(t.radiation):
        if not sees_first(t, t.setup.portals[index].zone):
            continue
        reach_s = t.plan.portal_to_loop_m / FASTEST_MPS
        occupancy, counting, past = portal.occupancy, portal.counting, portal.past
        if occupancy is not None and counting is not None and t.now_s - occupancy.started_s >= reach_s:
            joined = replace(occupancy, passages=(*occupancy.passages, passage.id)[-4:])
            t.radiation = (*t.radiation[:index], replace(portal, occupancy=joined), *t.radiation[index + 1 :])
            _share(t, passage, occupancy.id, counting.gamma_alarm, counting.neutron_alarm)
            explained = True
        elif past is not None and t.now_s - past.ended_s <= MEASURED_S:
            _share(t, passage, past.id, past.gamma_alarm, past.neutron_alarm)
            explained = explained or t.now_s - past.ended_s <= JUST_S
    return explained


def _share(t: Turn, passage: Passage, occupancy: str, gamma: bool, neutron: bool) -> None:
    """An occupancy that more than one vehicle may have been in."""
    alarms.concern(t, occupancy, passage.id)
    for other in t.tracking.passages:
        if any(row.occupancy == occupancy for row in other.occupancies):
            attach(t, other.id, occupancy, gamma=gamma, neutron=neutron, ambiguous=True)
    attach(t, passage.id, occupancy, gamma=gamma, neutron=neutron, ambiguous=True)
