"""What a portal says besides counts: backgrounds, speed, tamper, its own setup. Used with `lane.radiation`."""

from __future__ import annotations

from lanecontrol.announcements import AlarmKind
from lanecontrol.events import GammaBackground, Level, NeutronBackground, PortalSetup, PortalSpeed, PortalTamper
from lanecontrol.lane.faults import fault
from lanecontrol.lane.radiation_state import MAX_PANELS, MAX_WINDOW, PortalState
from lanecontrol.lane.record import replace
from lanecontrol.lane.turn import Turn
from lanecontrol.radiation_setup import named, number
from lanecontrol.radiation_statistics import INTERVAL_S, groups_of

_MOST_COUNTS = 10**9


def which(t: Turn) -> int:
    """Which portal this input came from; -1 when it is none of ours."""
    source = t.given.source
    for index, portal in enumerate(t.setup.portals):
        if portal.device == source and index < len(t.radiation):
            return index
    return -1


def put(t: Turn, index: int, portal: PortalState) -> None:
    if len(t.radiation) == 1:
        t.radiation = (portal,)
    else:
        t.radiation = (*t.radiation[:index], portal, *t.radiation[index + 1 :])


def gamma_background(t: Turn, event: GammaBackground) -> None:
    index = which(t)
    if index < 0 or not sound(event.cps):
        return
    portal = t.radiation[index]
    background = replace(portal.background, gamma_cps=event.cps, gamma_level=event.level, gamma_s=t.now_s)
    put(t, index, replace(portal, background=background))
    if event.level is not Level.NORMAL or t.equipment.faults:
        _tell_level(t, "gamma", event.level)


def neutron_background(t: Turn, event: NeutronBackground) -> None:
    index = which(t)
    if index < 0 or not sound(event.cps):
        return
    portal = t.radiation[index]
    old = portal.background
    # The exact line comes first and the truncated one right behind it: keep the exact figures.
    blunt = not event.exact and old.neutron_s is not None and t.now_s - old.neutron_s < 1.0
    cps = old.neutron_cps if blunt and len(old.neutron_cps) == len(event.cps) else event.cps
    background = replace(old, neutron_cps=cps, neutron_level=event.level, neutron_s=t.now_s)
    put(t, index, replace(portal, background=background))
    if event.level is not Level.NORMAL or t.equipment.faults:
        _tell_level(t, "neutron", event.level)


def _tell_level(t: Turn, side: str, level: Level) -> None:
    """A background outside the portal's own limits is a fault of the portal, also while nobody is in it."""
    for wrong in (Level.HIGH, Level.LOW):
        code, detail = f"{side}_background_{wrong.value}", f"the {side} background is {level.value}"
        fault(t, t.given.source, code, detail, active=level is wrong)


def sound(counts: tuple[int, ...] | tuple[float, ...]) -> bool:
    """Numbers that can be reckoned with: not too many, none negative, absurd or NaN."""
    if not 0 < len(counts) <= MAX_PANELS:
        return False
    return min(counts) >= 0 and max(counts) <= _MOST_COUNTS and sum(counts) >= 0  # a NaN makes the sum one


def speed(t: Turn, event: PortalSpeed) -> None:
    index = which(t)
    if index < 0 or event.speed_mps is None or not 0.0 < event.speed_mps < 100.0:
        return
    portal = t.radiation[index]
    if portal.occupancy is not None:
        put(t, index, replace(portal, occupancy=replace(portal.occupancy, speed_mps=event.speed_mps)))
    else:
        put(t, index, replace(portal, early_speed=(event.speed_mps, t.now_s)))


def tamper(t: Turn, event: PortalTamper) -> None:
    index = which(t)
    if index < 0:
        return
    portal = replace(t.radiation[index], tamper=event.active)
    if portal.occupancy is not None and event.active:
        portal = replace(portal, occupancy=replace(portal.occupancy, tamper=True))
    put(t, index, portal)
    detail = "the portal says that it is opened" if event.active else "it is closed again"
    fault(t, t.given.source, "tamper", detail, active=event.active, kind=AlarmKind.PORTAL_TAMPER)


def portal_setup(t: Turn, event: PortalSetup) -> None:
    """The portal's own setup overrides the lane file: SG1 has intervals, hold-in and N-sigma, SG2 the algorithms."""
    index = which(t)
    if index < 0:
        return
    portal = t.radiation[index]
    values = named(event.tag, event.fields)
    mask = values.get("algorithms")
    put(
        t,
        index,
        replace(
            portal,
            intervals=int(number(values, "intervals", 1, MAX_WINDOW, portal.intervals)),
            hold_in_s=INTERVAL_S * number(values, "hold_in_intervals", 0, 500, portal.hold_in_s / INTERVAL_S),
            n_sigma=number(values, "n_sigma", 0.1, 1000, portal.n_sigma),
            groups=groups_of(mask) if isinstance(mask, str) else portal.groups,
            neutron_steps=int(number(values, "neutron_intervals", 1, 99, portal.neutron_steps)),
            neutron_alpha=number(values, "neutron_alpha_1e6", 1, 1e5, portal.neutron_alpha * 1e6) / 1e6,
        ),
    )
