"""The daily check of a radiation portal with a source: ordered, watched, and its result recorded.

While a check stands and nobody is in the lane, what the portal measures is the source and no vehicle: its alarms are
what the check waits for. As soon as a passage is open, the check has failed and every alarm is an alarm. Called by
`lane.orders` and `lane.radiation`. It must never keep an alarm back that could be a vehicle's.
"""

from __future__ import annotations

from lanecontrol.announcements import AlarmKind, LaneLife, SourceChecked
from lanecontrol.commands import DONE, Actor, CheckPortal, Outcome, refused
from lanecontrol.lane import alarms, interlock
from lanecontrol.lane.portal import put
from lanecontrol.lane.radiation_state import Counting, Occupancy, PortalState, SourceCheck
from lanecontrol.lane.record import replace
from lanecontrol.lane.texts import MAX_NOTE
from lanecontrol.lane.turn import Turn

_LIFE = frozenset({LaneLife.CLOSED, LaneLife.MAINTENANCE})


def ordered(t: Turn, key: str, actor: Actor, request: CheckPortal) -> Outcome:
    """Begin a check, or say why not."""
    index = next((i for i, site in enumerate(t.setup.portals) if site.device == request.portal), -1)
    why = _refusal(t, index, request)
    if why:
        return refused(why)
    check = SourceCheck(
        id=key,
        actor=actor,
        source=request.source[:MAX_NOTE],
        until_s=t.now_s + min(1800.0, max(10.0, request.within_s)),
        gamma=request.gamma,
        neutron=request.neutron,
    )
    put(t, index, replace(t.radiation[index], check=check))
    return DONE


def _refusal(t: Turn, index: int, request: CheckPortal) -> str:
    if not 0 <= index < len(t.radiation):
        return "no portal of this lane has this name"
    if not (request.gamma or request.neutron):
        return "say which alarm the source has to raise"
    if t.desk.life not in _LIFE:
        return f"the lane is {t.desk.life.value}: close it first"
    if t.tracking.passages:
        return "there is a vehicle in the lane"
    if not t.usable(request.portal):
        return f"{request.portal} is not online"
    portal = t.radiation[index]
    if portal.check is not None:
        return "a check of this portal is under way"
    if portal.occupancy is not None:
        return "the portal is occupied"
    return ""


def standing(t: Turn, index: int) -> str:
    """The check that what the portal begins to measure now belongs to; empty for a vehicle's."""
    check = t.radiation[index].check
    if check is None:
        return ""
    why = _broken_off(t)
    if why:
        _end(t, index, why)
        return ""
    return check.id


def _broken_off(t: Turn) -> str:
    if t.tracking.passages:
        return "a vehicle came into the lane"
    return "" if t.desk.life in _LIFE else f"the lane is {t.desk.life.value}"


def noticed(t: Turn, index: int, kind: AlarmKind) -> bool:
    """Whether this alarm is the check's. With a vehicle in the lane it is not, nor are those before it any more."""
    portal = t.radiation[index]
    check = portal.check
    if check is None:
        return False
    why = _broken_off(t)
    if why:
        _end(t, index, why)
        return False
    gamma, neutron = kind is AlarmKind.GAMMA, kind is AlarmKind.NEUTRON
    put(
        t,
        index,
        replace(
            portal,
            check=replace(check, gamma_seen=check.gamma_seen or gamma, neutron_seen=check.neutron_seen or neutron),
        ),
    )
    return True


def measured(t: Turn, index: int, occupancy: Occupancy, counting: Counting) -> None:
    """An occupancy has ended: if it was the check's, see whether that is enough."""
    portal = t.radiation[index]
    check = portal.check
    if check is None or occupancy.check != check.id:
        return
    sigmas = [sigma for sigma in (check.sigma_max, counting.sigma_max) if sigma is not None]
    check = replace(check, sigma_max=max(sigmas, default=None), occupancies=(*check.occupancies, occupancy.id)[-16:])
    put(t, index, replace(portal, check=check))
    if not _missing(check):
        _end(t, index, "")


def _missing(check: SourceCheck) -> str:
    wanted = (("gamma", check.gamma, check.gamma_seen), ("neutron", check.neutron, check.neutron_seen))
    return " and ".join(name for name, needed, seen in wanted if needed and not seen)


def due_s(portal: PortalState) -> float | None:
    """When `settle` has something to do at this portal next."""
    due_s = portal.check_due_s
    if portal.check is None:
        return due_s
    return portal.check.until_s if due_s is None else min(portal.check.until_s, due_s)


def settle(t: Turn, index: int) -> None:
    """End a check whose time is over, and say when the next one is overdue."""
    portal = t.radiation[index]
    if portal.check is not None and t.due(portal.check.until_s):
        _end(t, index, f"no {_missing(portal.check)} alarm in time" if _missing(portal.check) else "")
    if index < len(t.setup.portals) and t.due(t.radiation[index].check_due_s):
        site = t.setup.portals[index]
        put(t, index, replace(t.radiation[index], check_due_s=None))
        detail = f"no source check was passed for {site.check_every_h:g} h"
        interlock.fault(t, site.device, "source_check", detail, active=True)


def started(t: Turn) -> None:
    """A check does not outlive a restart; one that is due from now on is watched."""
    for index, portal in enumerate(t.radiation):
        if portal.check is not None:
            _end(t, index, "the software was started anew")
        every_s = _every_s(t, index)
        if every_s and portal.check_due_s is None and not _overdue(t, index):
            put(t, index, replace(t.radiation[index], check_due_s=t.now_s + every_s))


def _every_s(t: Turn, index: int) -> float:
    return t.setup.portals[index].check_every_h * 3600.0 if index < len(t.setup.portals) else 0.0


def _overdue(t: Turn, index: int) -> bool:
    return (t.setup.portals[index].device, "source_check") in t.equipment.faults


def _end(t: Turn, index: int, why: str) -> None:
    """Record the result. Where a vehicle broke the check off, the alarms that it had taken are alarms after all."""
    portal = t.radiation[index]
    check = portal.check
    if check is None:
        return
    put(t, index, replace(portal, check=None))
    device = t.setup.portals[index].device
    told = SourceChecked(
        check=check.id,
        portal=device,
        source=check.source,
        actor=check.actor,
        passed=not why,
        why=why,
        gamma_alarm=check.gamma_seen,
        neutron_alarm=check.neutron_seen,
        gamma_max_sigma=None if check.sigma_max is None else round(check.sigma_max, 4),
        occupancies=check.occupancies,
        at_utc_s=t.utc_s,
    )
    t.tell(told)
    if not why:
        interlock.fault(t, device, "source_check", "a source check was passed", active=False)
        every_s = _every_s(t, index)
        put(t, index, replace(t.radiation[index], check_due_s=t.now_s + every_s if every_s else None))
    elif t.tracking.passages:
        names = tuple(passage.id for passage in t.live())[-4:]
        for seen, kind in ((check.gamma_seen, AlarmKind.GAMMA), (check.neutron_seen, AlarmKind.NEUTRON)):
            if seen:
                alarms.raise_alarm(t, kind, device, names)
