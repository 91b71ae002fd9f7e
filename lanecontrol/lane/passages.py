"""The life of one passage: opened, at the booth, assessed, left, closed once.

Called by `lane.tracking` when a vehicle moves, by `lane.orders` when somebody decides, and by `lane.timers`.
"""

from __future__ import annotations

from lanecontrol.announcements import (
    BoundOccupancy,
    BoundPlate,
    BoundTag,
    Finding,
    PassageAssessed,
    PassageAtBooth,
    PassageClosed,
    PassageEnd,
    PassageOpened,
    Quality,
    Referral,
    ScanEnd,
)
from lanecontrol.commands import Disposition
from lanecontrol.identifier import Identifier
from lanecontrol.lane import (
    alarms,
    assembly,
    departures,
    elsewhere,
    interlock,
    policy,
    questions,
    set_aside,
    timing,
    unsettled,
)
from lanecontrol.lane.dossiers import dossier
from lanecontrol.lane.plan import BEFORE
from lanecontrol.lane.record import replace
from lanecontrol.lane.state import MAX_FLED, Passage
from lanecontrol.lane.turn import Turn

SETTLE_S = 4.5
"""After the booth is left: four re-reads of a card tell whether it went or stayed."""
RECHECK_S = 2.0
"""The vehicle at the booth is looked at again this often; only a change is published."""
MEASURED_S = 1.0
"""Gone while a portal still counts: looked at again so much later."""
QUEUE_LIMIT_S = 60.0
"""Seen at the portal and not at the first loop, which was free, for so long: it went away."""

GOING = frozenset(
    {
        Disposition.RELEASED,
        Disposition.REFER_SECONDARY,
        Disposition.REFER_SCANNER,
        Disposition.REFER_AGRICULTURE,
        Disposition.TURN_BACK,
    }
)
"""Dispositions with which the vehicle is let go from the booth, and to where the officer says."""
_MAY_LEAVE = GOING | {Disposition.LANE_PASS_UNINSPECTED}

NOTHING_SHOWN = Identifier("")

_RANK = {quality: rank for rank, quality in enumerate(Quality)}


# --- opening ---------------------------------------------------------------------------------------------------------


def open_passage(t: Turn, place: int, zone: str) -> Passage:
    """A vehicle is seen for the first time, at `place`."""
    make_room(t)
    number = t.counters.passages + 1
    t.counters = replace(t.counters, passages=number)
    passage = Passage(
        id=f"{t.setup.lane}-{number:06d}",
        opened_s=t.now_s,
        opened_utc_s=t.utc_s,
        head=place,
        tail=place,
        wake_s=t.now_s + QUEUE_LIMIT_S if place == BEFORE else None,
        reached_s=None if place == BEFORE else t.now_s,
        quality=t.desk.quality,
    )
    present = t.tracking.passages
    where = next((i for i, p in enumerate(present) if p.gone_s is None and p.head < place), len(present))
    t.tracking = replace(t.tracking, passages=(*present[:where], passage, *present[where:]))
    t.tell(PassageOpened(passage.id, zone, t.utc_s))
    return passage


def make_room(t: Turn) -> None:
    """Keep within the limit: those that only settle are closed first, then the oldest."""
    while len(t.tracking.passages) >= max(1, t.setup.limits.max_passages):
        oldest = min(t.tracking.passages, key=lambda p: (p.gone_s is None, p.opened_s))
        if oldest.gone_s is not None:
            close_gone(t, oldest)
        else:
            close(t, oldest, PassageEnd.INTERRUPTED, "the list of open passages is full")
            t.doubt("too_many_passages", for_s=120.0)


# --- at the booth ----------------------------------------------------------------------------------------------------


def arrive(t: Turn, passage: Passage) -> Passage:
    """The vehicle has reached the booth loop."""
    if passage.booth_s is not None:
        again_s = t.now_s + t.setup.limits.assess_after_s
        return t.put(replace(passage, booth_left_s=None, booth_left_utc_s=None, assess_s=again_s, shown=NOTHING_SHOWN))
    passage = t.put(
        replace(
            passage,
            booth_s=t.now_s,
            booth_utc_s=t.utc_s,
            assess_s=t.now_s + t.setup.limits.assess_after_s,
            quality=_worse(passage.quality, t.desk.quality),
        )
    )
    timing.at_booth(t, passage)
    t.tell(PassageAtBooth(passage.id, t.utc_s))
    for row in unsettled.met(t, passage.id):
        alarms.concern(t, row.occupancy, passage.id)
        attach(t, passage.id, row.occupancy, gamma=row.gamma_alarm, neutron=row.neutron_alarm, ambiguous=True)
    return t.passage(passage.id) or passage


def known(
    t: Turn, passage: Passage, tags: tuple[BoundTag, ...], plates: tuple[BoundPlate, ...]
) -> tuple[tuple[Finding, ...], Referral]:
    """Findings and referral for `passage` with these readings."""
    found = policy.findings(
        t.setup,
        policy.Known(
            tags=tags,
            plates=plates,
            occupancies=passage.occupancies,
            occupants=passage.occupants,
            minors=passage.minors,
            scanned=passage.scan is ScanEnd.COMPLETED,
            portal_notes=passage.portal_notes,
            tids_differ=assembly.tids_differ(t, tags),
            quality=passage.quality,
            overrides=set_aside.during(t, passage),
            dossier=dossier(t, passage.id) if t.inquiry.dossiers or t.setup.questions is not None else None,
            at_booth=passage.booth_s is not None,
            degraded=bool(t.inquiry.degraded),
            lane_type=t.lane_type,
        ),
    )
    return found, policy.referral(found)


def judged(t: Turn, passage: Passage) -> tuple[tuple[Finding, ...], Referral]:
    """What the lane thinks of this vehicle now."""
    return known(t, passage, *bound(t, passage))


def bound(t: Turn, passage: Passage) -> tuple[tuple[BoundTag, ...], tuple[BoundPlate, ...]]:
    """Tags and plates that are this vehicle's as far as can be told now, here and in the lanes beside this one."""
    tags, plates = assembly.bound(t, passage)
    return elsewhere.lost(t, passage.id, tags), plates


def assess(t: Turn, passage: Passage) -> Passage:
    """Publish a recommendation for the vehicle at the booth, if it says anything new."""
    tags, plates = bound(t, passage)
    pictures = assembly.pictured(t, passage)
    questions.inquire(t, passage, tags, plates)
    found, recommended = known(t, passage, tags, plates)
    shown = _gist(passage, tags, plates, found, pictured=bool(pictures))
    passage = t.put(replace(passage, assess_s=t.now_s + RECHECK_S))
    if shown == passage.shown or passage.booth_utc_s is None:
        return passage
    passage = t.put(replace(passage, shown=shown, revision=passage.revision + 1))
    elsewhere.show(t, passage, tags)
    timing.advised(t, passage, recommended)
    t.tell(
        PassageAssessed(
            passage=passage.id,
            revision=passage.revision,
            at_utc_s=t.utc_s,
            booth_entered_utc_s=passage.booth_utc_s or t.utc_s,
            tags=tags,
            plates=plates,
            occupancies=passage.occupancies,
            findings=found,
            referral=recommended,
            quality=passage.quality,
            occupants=passage.occupants,
            pictures=pictures,
        )
    )
    return passage


def _gist(
    passage: Passage,
    tags: tuple[BoundTag, ...],
    plates: tuple[BoundPlate, ...],
    found: tuple[Finding, ...],
    *,
    pictured: bool,
) -> Identifier:
    """What of an assessment matters, as a text to compare."""
    parts = sorted([f"{tag.epc.clear}{'?' if tag.ambiguous else ''}" for tag in tags])
    parts += sorted([f"{plate.text.clear}{'?' if plate.ambiguous else ''}" for plate in plates])
    parts += [f"{o.occupancy},{o.gamma_alarm:d}{o.neutron_alarm:d}{o.ambiguous:d}" for o in passage.occupancies]
    parts += [finding.code for finding in found]
    return Identifier(f"{passage.occupants} {passage.minors} {pictured:d} {' '.join(parts)}"[:500])


def ask_again(t: Turn, name: str) -> None:
    """Its permission is gone and the vehicle still stands there: a new assessment asks for a new decision."""
    passage = t.at_booth()
    if passage is not None and passage.id == name:
        t.put(replace(passage, shown=NOTHING_SHOWN, assess_s=t.now_s))


def reassess(t: Turn, passage: Passage) -> None:
    """Something about this vehicle changed: assess it again, once its first assessment is out."""
    if passage.revision and passage.gone_s is None and passage.disposition is None:
        assess(t, passage)


# --- radiation -------------------------------------------------------------------------------------------------------


def attach(t: Turn, name: str, occupancy: str, *, gamma: bool, neutron: bool, ambiguous: bool) -> None:
    """An occupancy is this passage's (or may be): kept in one row, alarms are only ever added to it."""
    passage = t.passage(name)
    if passage is None:
        return
    old = next((o for o in passage.occupancies if o.occupancy == occupancy), None)
    row = BoundOccupancy(
        occupancy,
        gamma or (old is not None and old.gamma_alarm),
        neutron or (old is not None and old.neutron_alarm),
        ambiguous or (old is not None and old.ambiguous),
    )
    if row == old:
        return
    others = tuple(o for o in passage.occupancies if o.occupancy != occupancy)
    passage = t.put(replace(passage, occupancies=(*others, row)[-8:]))
    by = passage.disposition
    if (row.gamma_alarm or row.neutron_alarm) and by is not None and by.disposition is Disposition.RELEASED:
        end_permission(t, name, "a radiation alarm came after the release")
    reassess(t, passage)


def blame_portal(t: Turn, name: str, notes: tuple[str, ...]) -> None:
    """Something is to be said of the measurement of this passage: codes of findings."""
    passage = t.passage(name)
    if passage is not None and not set(notes) <= set(passage.portal_notes):
        passage = t.put(replace(passage, portal_notes=tuple(sorted({*passage.portal_notes, *notes}))))
        reassess(t, passage)


# --- leaving ---------------------------------------------------------------------------------------------------------


def left_booth(t: Turn, passage: Passage, *, at_s: float | None = None) -> Passage:
    """Nothing of the vehicle is on the booth loop any more (since `at_s`), and it went forward."""
    if passage.booth_s is not None and passage.booth_left_s is None:
        left_s = t.now_s if at_s is None else max(passage.booth_s, at_s)
        passage = t.put(replace(passage, booth_left_s=left_s, booth_left_utc_s=t.utc_at(left_s), assess_s=None))
    end_permission(t, passage.id, "the vehicle has left the booth")
    return passage


def end_permission(t: Turn, name: str, why: str) -> None:
    if t.desk.permission is not None and t.desk.permission.passage == name:
        interlock.withdraw(t, why)


def may_leave(passage: Passage) -> bool:
    """Whether an officer's disposition lets this vehicle leave."""
    return passage.disposition is not None and passage.disposition.disposition in _MAY_LEAVE


def beyond_booth(t: Turn, passage: Passage) -> Passage:
    """The vehicle is seen behind the booth: the permission is used up, or there never was one."""
    end_permission(t, passage.id, "the vehicle has passed the gate")
    passage = set_aside.leaves_uninspected(t, passage)
    if may_leave(passage) or passage.unreleased or passage.lost:
        return passage
    return departures.unreleased(t, passage)


def gone(t: Turn, passage: Passage) -> None:
    """The vehicle has cleared the lane; the passage stays open until its readings have settled."""
    passage = left_booth(t, passage, at_s=passage.adrift_s)
    settled_s = t.now_s if passage.booth_left_s is None else max(t.now_s, passage.booth_left_s + SETTLE_S)
    if any(portal.occupancy is not None and passage.id in portal.occupancy.passages for portal in t.radiation):
        settled_s = max(settled_s, t.now_s + MEASURED_S)  # a portal behind the booth counts on: its alarm may yet come
    passage = t.put(replace(passage, gone_s=t.now_s, adrift_s=None, assess_s=None, wake_s=settled_s))
    if t.due(settled_s):
        close_gone(t, passage)


def close_gone(t: Turn, passage: Passage) -> None:
    """Close a passage whose vehicle has left through the exit."""
    if passage.unreleased:
        close(t, passage, PassageEnd.UNRELEASED, "left the booth without a release")
    elif may_leave(passage):
        close(t, passage, PassageEnd.COMPLETE, "")
    else:
        close(t, passage, PassageEnd.INTERRUPTED, "left while the lane could not see it")


def close(t: Turn, passage: Passage, end: PassageEnd, reason: str) -> None:
    """Write the record of this passage, once."""
    if t.passage(passage.id) is None:
        return
    passage = replace(passage, quality=_worse(passage.quality, t.desk.quality))
    end_permission(t, passage.id, "the passage was closed")
    pictures = assembly.pictured(t, passage)
    tags, plates = assembly.decide(t, passage)
    elsewhere.show(t, passage, tags)
    tags = elsewhere.lost(t, passage.id, tags)
    found, recommended = known(t, passage, tags, plates)
    t.tracking = replace(t.tracking, passages=tuple(p for p in t.tracking.passages if p.id != passage.id))
    t.counters = replace(t.counters, closed=t.counters.closed + 1)
    if end is PassageEnd.UNRELEASED and not absconded(passage):
        t.desk = replace(t.desk, fled=(*t.desk.fled, passage.id)[-MAX_FLED:])
    t.tell(
        PassageClosed(
            passage=passage.id,
            end=end,
            reason=reason,
            lane_type=t.lane_type,
            opened_utc_s=passage.opened_utc_s,
            booth_entered_utc_s=passage.booth_utc_s,
            booth_left_utc_s=passage.booth_left_utc_s,
            closed_utc_s=t.utc_s,
            tags=tags,
            plates=plates,
            occupancies=passage.occupancies,
            findings=found,
            referral=recommended,
            disposition=passage.disposition,
            occupants=passage.occupants,
            quality=passage.quality,
            rules_hash=policy.rules_hash(t.setup, t.lane_type),
            pictures=pictures,
            scan=passage.scan,
            times=timing.closed(t, passage),
        )
    )
    if end is PassageEnd.INTERRUPTED:
        unsettled.lost(t, passage)
    questions.forget(t, passage)
    alarms.settle(t)


def absconded(passage: Passage) -> bool:
    """Whether an officer has said so already."""
    return passage.disposition is not None and passage.disposition.disposition is Disposition.ABSCONDED


def _worse(one: Quality, other: Quality) -> Quality:
    return one if _RANK[one] >= _RANK[other] else other
