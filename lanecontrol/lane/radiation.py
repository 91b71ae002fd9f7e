"""From the portal's counts to occupancies and alarms.

The controller's own GA and NA *are* the alarm; our n-sigma figures stand beside it as evidence and never suppress it.
How they are worked out is told in `lanecontrol.radiation_statistics`; intervals that they decide otherwise than the
controller are counted. The first counts open a passage where the portal stands before the first loop. Called by
`lane.step` for what a portal reports.
"""

from __future__ import annotations

from lanecontrol.announcements import AlarmKind, OccupancyRecorded
from lanecontrol.events import (
    GammaCounts,
    Level,
    NeutronCounts,
    OccupancyEnded,
    PortalAlarm,
    PortalSide,
)
from lanecontrol.lane import alarms, sharing, source_check, tracking
from lanecontrol.lane.passages import attach, blame_portal
from lanecontrol.lane.portal import put, sound, which
from lanecontrol.lane.radiation_state import MAX_WINDOW, Counting, Occupancy, PastOccupancy, PortalState
from lanecontrol.lane.record import maker, replace
from lanecontrol.lane.setup import LaneSetup, Portal, Zone
from lanecontrol.lane.turn import Turn
from lanecontrol.radiation_statistics import (
    Sequential,
    expected_of,
    limits,
    second,
    sequential_tests,
    slide,
    strongest,
    sums_of,
)

_counting, _portal = maker(Counting), maker(PortalState)

HISTORY_S = 1.0
"""The portal first sends five intervals that it had kept from before the vehicle came."""
TRAILING_S = 0.3
"""A neutron line so soon after the end belongs to the occupancy that has just ended: lines come in any order."""
NEAR_M = 3.0
"""A vehicle so close to the portal keeps off some 15 % of the background (manual of a portal maker, Ludlum 4525)."""
DOUBTFUL_SIGMA = 0.1
"""Nearer to the threshold our figures and the controller's may differ: backgrounds are rounded on the wire."""
DOUBTFUL_SCORE = 0.5
"""The same for the neutron score; the rate it tests for is an extrapolation where no recording shows it."""
EARLY_SPEED_S = 2.0
"""A speed line may come this long before the first count of its occupancy."""


def initial(setup: LaneSetup) -> tuple[PortalState, ...]:
    return tuple(
        PortalState(n_sigma=portal.n_sigma, intervals=min(MAX_WINDOW, max(1, portal.intervals)))
        for portal in setup.portals
    )


# --- counts ----------------------------------------------------------------------------------------------------------


def gamma_counts(t: Turn, event: GammaCounts) -> None:
    index = which(t)
    if index < 0 or not sound(event.counts):
        return
    portal = _occupied(t, index)
    occupancy, counting = portal.occupancy, portal.counting
    if occupancy is None or counting is None:
        return
    put(t, index, counted(portal, occupancy, counting, event, t.now_s, t.setup.portals[index]))
    if event.alarm and not counting.gamma_alarm:
        _alarm(t, index, AlarmKind.GAMMA)
    if occupancy.another_after_s is not None and t.now_s >= occupancy.another_after_s:
        _another(t, index, occupancy)


def counted(
    portal: PortalState, occupancy: Occupancy, counting: Counting, event: GammaCounts, now_s: float, site: Portal
) -> PortalState:
    """The portal after one more interval of its occupancy."""
    groups = portal.groups
    sums = sums_of(event.counts, groups, site.horizontal)
    window, total = slide(counting.window, counting.total, sums, portal.intervals)
    sigma, group, disagreements = counting.sigma_max, counting.sigma_group, counting.disagreements
    least = counting.least_share
    if len(window) == portal.intervals and len(occupancy.background.gamma_cps) == len(event.counts):
        s, place = strongest(total, occupancy.expected, portal.intervals)
        if s is not None:
            disagreements += (s > portal.n_sigma) is not (event.alarm or portal.gamma_standing)
            if sigma is None or s > sigma:
                sigma, group = s, groups[place]
        if groups[0] == "SUM" and occupancy.expected[0] > 0.0:
            share = total[0] / (occupancy.expected[0] * portal.intervals)
            least = share if least is None or share < least else least
    in_all = sum(event.counts)
    counting = _counting(
        now_s,
        counting.intervals + 1,
        window,
        total,
        in_all if in_all > counting.gamma_max else counting.gamma_max,
        sigma,
        group,
        counting.neutron_max,
        counting.gamma_alarm or event.alarm,
        counting.neutron_alarm,
        disagreements,
        least,
        counting.neutron_tests,
        counting.neutron_score,
    )
    return _portal(
        portal.n_sigma,
        portal.intervals,
        portal.hold_in_s,
        portal.background,
        occupancy,
        counting,
        portal.past,
        portal.tamper,
        portal.early_speed,
        groups,
        portal.gamma_standing,
        portal.neutron_standing,
        portal.neutron_steps,
        portal.neutron_alpha,
        portal.check,
        portal.check_due_s,
    )


def neutron_counts(t: Turn, event: NeutronCounts) -> None:
    index = which(t)
    if index < 0 or not sound(event.counts):
        return
    portal = t.radiation[index]
    past = portal.past
    if portal.occupancy is None and past is not None and t.now_s - past.ended_s <= TRAILING_S:
        if event.alarm:
            _late_alarm(t, index, past, AlarmKind.NEUTRON)
        return
    portal = _occupied(t, index)
    counting = portal.counting
    if counting is None:
        return
    first_alarm = event.alarm and not counting.neutron_alarm
    upper, lower = limits(portal.neutron_alpha)
    done = [second(test, sum(event.counts), portal.neutron_steps, upper, lower) for test in counting.neutron_tests]
    counting = replace(
        counting,
        last_s=t.now_s,
        neutron_tests=tuple([test for test, _ in done]),
        neutron_score=_higher(counting.neutron_score, done),
        neutron_max=max(counting.neutron_max, sum(event.counts)),
        neutron_alarm=counting.neutron_alarm or event.alarm,
    )
    put(t, index, replace(portal, counting=counting))
    if first_alarm:
        _alarm(t, index, AlarmKind.NEUTRON)


def _higher(score: float | None, done: list[tuple[Sequential, float]]) -> float | None:
    """The highest score so far. Where rounding leaves two tests open, the lower of them counts: ours is no alarm."""
    if not done:
        return score
    now = min(score for _, score in done)
    return now if score is None or now > score else score


def portal_alarm(t: Turn, event: PortalAlarm) -> None:
    """The controller tells its decision apart from counts: an alarm of the occupancy, or, without one, of its own."""
    index = which(t)
    if index < 0:
        return
    portal = t.radiation[index]
    gamma = event.side is PortalSide.GAMMA
    stood = portal.gamma_standing if gamma else portal.neutron_standing
    put(
        t,
        index,
        replace(portal, gamma_standing=event.active) if gamma else replace(portal, neutron_standing=event.active),
    )
    if not event.active:
        return
    kind, past = AlarmKind.GAMMA if gamma else AlarmKind.NEUTRON, portal.past
    if portal.occupancy is not None:
        _take_alarm(t, index, kind)
    elif stood:
        return
    elif past is not None and t.now_s - past.ended_s <= TRAILING_S:
        _late_alarm(t, index, past, kind)
    elif not source_check.noticed(t, index, kind):
        alarms.raise_alarm(t, kind, t.given.source, _bystanders(t, t.setup.portals[index]))


def _take_alarm(t: Turn, index: int, kind: AlarmKind) -> None:
    """The occupancy under way has this alarm from now on."""
    portal = t.radiation[index]
    counting = portal.counting
    if counting is None:
        return
    gamma, neutron = kind is AlarmKind.GAMMA, kind is AlarmKind.NEUTRON
    if (gamma and counting.gamma_alarm) or (neutron and counting.neutron_alarm):
        return
    counting = replace(
        counting, gamma_alarm=counting.gamma_alarm or gamma, neutron_alarm=counting.neutron_alarm or neutron
    )
    put(t, index, replace(portal, counting=counting))
    _alarm(t, index, kind)


def _bystanders(t: Turn, site: Portal) -> tuple[str, ...]:
    """Whoever is in the zone of a portal that measures nobody. An alarm alone is no vehicle."""
    return tracking.in_zone(t, t.plan.stations.index(site.zone)) if site.zone in t.plan.stations else ()


# --- occupancies -----------------------------------------------------------------------------------------------------


def _occupied(t: Turn, index: int) -> PortalState:
    """The portal with an occupancy under way, which the first counts begin."""
    portal = t.radiation[index]
    if portal.occupancy is not None:
        return portal
    number = t.counters.occupancies + 1
    t.counters = replace(t.counters, occupancies=number)
    name = f"{t.setup.lane}-r{number:06d}"
    site = t.setup.portals[index]
    background = portal.background
    stale = background.gamma_s is None or t.now_s - background.gamma_s > site.background_age_limit_s
    check = source_check.standing(t, index)
    passages = () if check else _candidates(t, site)
    early = portal.early_speed
    speed_mps = early[0] if early is not None and t.now_s - early[1] <= EARLY_SPEED_S else None
    occupancy = Occupancy(
        id=name,
        started_s=t.now_s,
        started_utc_s=t.utc_s,
        background=background,
        background_stale=stale,
        expected=expected_of(background.gamma_cps, portal.groups, site.horizontal),
        passages=passages,
        speed_mps=speed_mps,
        tamper=portal.tamper,
        crowded=_crowded(t, site),
        check=check,
    )
    tests = sequential_tests(background.neutron_cps)
    portal = replace(t.radiation[index], occupancy=occupancy, counting=Counting(t.now_s, neutron_tests=tests))
    put(t, index, portal)
    for passage in passages:
        attach(t, passage, name, gamma=False, neutron=False, ambiguous=len(passages) > 1)
    for standing, kind in ((portal.gamma_standing, AlarmKind.GAMMA), (portal.neutron_standing, AlarmKind.NEUTRON)):
        if standing:
            _take_alarm(t, index, kind)
    return t.radiation[index]


def _candidates(t: Turn, site: Portal) -> tuple[str, ...]:
    """Whose occupancy this is: a new passage before the first loop, else whoever is in the portal's zone."""
    if sharing.sees_first(t, site.zone):
        return (tracking.seen_at_portal(t, site.zone),)
    place = t.plan.stations.index(site.zone) if site.zone in t.plan.stations else t.plan.booth
    return tracking.in_zone(t, place)


def _crowded(t: Turn, site: Portal) -> bool:
    """Whether a loop within reach of the portal is taken as it begins: its vehicle stood there in the background."""
    here = next((zone for zone in t.setup.zones if zone.name == site.zone), None)
    if here is None:
        return False
    near = [z.name for z in t.setup.zones if z.name != here.name and _apart_m(here, z) <= NEAR_M]
    return any(t.level(t.plan.stations.index(name)) is True for name in near if name in t.plan.stations)


def _apart_m(one: Zone, other: Zone) -> float:
    return max(one.start_m - other.end_m, other.start_m - one.end_m)


def _another(t: Turn, index: int, occupancy: Occupancy) -> None:
    """Counting goes on though the vehicle has left the portal: there is a further one in it."""
    portal = t.radiation[index]
    since_s = t.now_s - portal.hold_in_s - sharing.SPLIT_MARGIN_S
    name = tracking.seen_at_portal(t, t.setup.portals[index].zone, since_s=since_s)
    if portal.counting is None:
        return
    passages = (*occupancy.passages, name)[-4:]
    put(t, index, replace(portal, occupancy=replace(occupancy, passages=passages, another_after_s=None)))
    alarms.concern(t, occupancy.id, name)
    for passage in passages:
        attach(
            t,
            passage,
            occupancy.id,
            gamma=portal.counting.gamma_alarm,
            neutron=portal.counting.neutron_alarm,
            ambiguous=True,
        )


def _alarm(t: Turn, index: int, kind: AlarmKind) -> None:
    """The controller raised an alarm: say so at once, for every vehicle that it may be about."""
    occupancy = t.radiation[index].occupancy
    if occupancy is None or (occupancy.check and source_check.noticed(t, index, kind)):
        return
    names = sharing.with_neighbours(t, occupancy.passages)
    alarms.raise_alarm(t, kind, t.given.source, names, occupancy.id)
    for passage in names:
        attach(
            t,
            passage,
            occupancy.id,
            gamma=kind is AlarmKind.GAMMA,
            neutron=kind is AlarmKind.NEUTRON,
            ambiguous=len(names) > 1,
        )


def _late_alarm(t: Turn, index: int, past: PastOccupancy, kind: AlarmKind) -> None:
    """An alarm that came behind the end of its occupancy."""
    gamma = past.gamma_alarm or kind is AlarmKind.GAMMA
    neutron = past.neutron_alarm or kind is AlarmKind.NEUTRON
    if (gamma, neutron) == (past.gamma_alarm, past.neutron_alarm):
        return
    put(t, index, replace(t.radiation[index], past=replace(past, gamma_alarm=gamma, neutron_alarm=neutron)))
    if source_check.noticed(t, index, kind):
        return
    names = tuple(p.id for p in t.tracking.passages if any(o.occupancy == past.id for o in p.occupancies))
    alarms.raise_alarm(t, kind, t.given.source, names, past.id)
    for name in names:
        attach(t, name, past.id, gamma=gamma, neutron=neutron, ambiguous=len(names) > 1)
    alarms.occupancy_over(t, past.id)


def ended(t: Turn, event: OccupancyEnded) -> None:
    index = which(t)
    if index >= 0:
        _close(t, index, incomplete=False)


def silent(t: Turn) -> None:
    """Close occupancies of portals that have gone quiet; their alarms are kept."""
    for index, portal in enumerate(t.radiation):
        if portal.counting is not None and t.due(portal.counting.last_s + _silence_s(t.setup, index)):
            _close(t, index, incomplete=True)
        source_check.settle(t, index)


def _silence_s(setup: LaneSetup, index: int) -> float:
    return setup.portals[index].silence_limit_s if index < len(setup.portals) else 10.0


def due_s(t: Turn) -> float | None:
    """When a silent portal has to be looked at next."""
    due = None
    for index, portal in enumerate(t.radiation):
        if portal.counting is not None:
            moment_s = portal.counting.last_s + _silence_s(t.setup, index)
            if due is None or moment_s < due:
                due = moment_s
        moment = source_check.due_s(portal)
        if moment is not None and (due is None or moment < due):
            due = moment
    return due


def _close(t: Turn, index: int, *, incomplete: bool) -> None:
    portal = t.radiation[index]
    occupancy, counting = portal.occupancy, portal.counting
    if occupancy is None or counting is None:
        return
    before = occupancy.background
    level_fault = before.gamma_level is not Level.NORMAL or before.neutron_level is not Level.NORMAL
    past = PastOccupancy(
        occupancy.id,
        t.now_s,
        counting.gamma_alarm,
        counting.neutron_alarm,
        faulty=level_fault or occupancy.tamper or incomplete,
    )
    put(t, index, replace(portal, occupancy=None, counting=None, past=past))
    t.tell(
        OccupancyRecorded(
            occupancy=occupancy.id,
            portal=t.setup.portals[index].device,
            started_utc_s=occupancy.started_utc_s - HISTORY_S,
            ended_utc_s=t.utc_s,
            gamma_background_cps=before.gamma_cps,
            neutron_background_cps=before.neutron_cps,
            background_stale=occupancy.background_stale,
            gamma_max_counts=counting.gamma_max,
            gamma_max_sigma=None if counting.sigma_max is None else round(counting.sigma_max, 4),
            gamma_max_group=counting.sigma_group,
            gamma_alarm=counting.gamma_alarm,
            neutron_max_counts=counting.neutron_max,
            neutron_alarm=counting.neutron_alarm,
            speed_mps=occupancy.speed_mps,
            intervals=counting.intervals,
            incomplete=incomplete,
            tamper=occupancy.tamper,
            background_fault=level_fault,
            passages=occupancy.passages,
            n_sigma=portal.n_sigma,
            gamma_disagreements=counting.disagreements,
            gamma_suppression=None if counting.least_share is None else round(max(0.0, 1 - counting.least_share), 4),
            neutron_max_score=None if counting.neutron_score is None else round(counting.neutron_score, 4),
            neutron_score_limit=round(limits(portal.neutron_alpha)[0], 4),
            crowded=occupancy.crowded,
            check=occupancy.check,
        )
    )
    for passage in occupancy.passages:
        blame_portal(t, passage, _notes(portal, occupancy, counting, faulty=past.faulty))
    alarms.occupancy_over(t, occupancy.id)
    source_check.measured(t, index, occupancy, counting)


def _notes(portal: PortalState, occupancy: Occupancy, counting: Counting, *, faulty: bool) -> tuple[str, ...]:
    """What is to be said of this measurement at the vehicle: codes of findings."""
    sigma, score = counting.sigma_max, counting.neutron_score
    upper = limits(portal.neutron_alpha)[0]
    ours = (sigma is not None and sigma > portal.n_sigma + DOUBTFUL_SIGMA and not counting.gamma_alarm) or (
        score is not None and score > upper + DOUBTFUL_SCORE and not counting.neutron_alarm
    )
    theirs = (counting.gamma_alarm and sigma is not None and sigma < portal.n_sigma - DOUBTFUL_SIGMA) or (
        counting.neutron_alarm and score is not None and score < upper - DOUBTFUL_SCORE
    )
    alarmed = counting.gamma_alarm or counting.neutron_alarm
    notes = (
        ("rpm.fault", faulty),
        ("rpm.alarm_missing", ours),
        ("rpm.alarm_unconfirmed", theirs),
        ("rpm.buffer_zone_occupied", alarmed and occupancy.crowded),
    )
    return tuple(code for code, given in notes if given)
