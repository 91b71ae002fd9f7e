"""Loops that cannot be right: chattering, locked on, never hit, never changing (IRIS, vehicle detection).

Each is a fault, and a doubt about which reading is whose, until the loop says something believable again. A vehicle may
stand on the booth loop for as long as it is looked into: that loop is blamed only while nothing else has ever seen the
vehicle that it tells of. A loop that nobody drives over is blamed only while the lane is open. Called by
`lane.equipment` for every change of a loop and by `lane.step` when it is time to look. It withdraws nothing.
"""

from __future__ import annotations

from lanecontrol.announcements import LaneLife, LaneType
from lanecontrol.lane import set_aside
from lanecontrol.lane.faults import fault
from lanecontrol.lane.record import replace
from lanecontrol.lane.state import Contact
from lanecontrol.lane.turn import Turn

HOUR_S = 3600.0
NO_HITS_S: dict[LaneType, float] = {
    LaneType.SENTRI: 4 * HOUR_S,
    LaneType.NEXUS: 4 * HOUR_S,
    LaneType.READY: 4 * HOUR_S,
    LaneType.STANDARD: 4 * HOUR_S,
    LaneType.FAST: 12 * HOUR_S,
    LaneType.COMMERCIAL: 12 * HOUR_S,
    LaneType.EMPTY: 24 * HOUR_S,
    LaneType.BUS: 72 * HOUR_S,
}
"""An open lane of this type without a vehicle for so long is not believed (4 to 72 h by lane type)."""
CODES = ("chatter", "locked_on", "no_hits", "no_change")
LOOK_AT_LEAST_S = 1.0


def counted(t: Turn, index: int, old: Contact, *, on: bool) -> tuple[float, int]:
    """Count a change of loop `index` that was `old` before. Answers since when it counts, and how many there were."""
    limits = t.setup.limits
    window_s, counts = old.window_s, old.edges + on
    if t.now_s - window_s > limits.chatter_window_s:
        window_s, counts = t.now_s, int(on)
    if counts >= limits.chatter_counts:
        _blame(t, index, "chatter", f"{counts} counts in {limits.chatter_window_s:g} s")
    if t.equipment.faults:
        if (t.setup.loops[index].name, "chatter") in t.equipment.faults:
            _look_by(t, window_s + limits.chatter_window_s)
        for code in CODES[1:]:
            _clear(t, index, code)
    if on:
        _look_by(t, t.now_s + limits.locked_on_s)
    return window_s, counts


def look(t: Turn) -> None:
    """It is time to look at every loop; notes when to look next."""
    if not t.due(t.equipment.health_s):
        return
    t.equipment = replace(t.equipment, health_s=None)
    out = set_aside.loops_out(t)
    for index, loop in enumerate(t.setup.loops):
        contact = t.contact(index)
        if contact.on is not None and loop.name not in out:
            _chatter(t, index, contact)
            if contact.on:
                _locked_on(t, index, contact)
            else:
                _untouched(t, index, contact)


def opened(t: Turn) -> None:
    """The lane has opened: from now on a loop that nobody drives over is told of."""
    _look_by(t, t.now_s + min(NO_HITS_S[t.lane_type], HOUR_S * t.setup.limits.no_change_h))


# --- the rules -------------------------------------------------------------------------------------------------------


def _chatter(t: Turn, index: int, contact: Contact) -> None:
    over_s = contact.window_s + t.setup.limits.chatter_window_s
    if contact.edges < t.setup.limits.chatter_counts or t.due(over_s):
        _clear(t, index, "chatter")
    else:
        _look_by(t, over_s)


def _locked_on(t: Turn, index: int, contact: Contact) -> None:
    limit_s = _locked_on_limit_s(t, index)
    if not t.due(contact.since_s + limit_s):
        _look_by(t, contact.since_s + limit_s)
    elif t.plan.loop_station[index] == t.plan.booth and _somebody_is_there(t):
        _look_by(t, t.now_s + limit_s)
    else:
        _blame(t, index, "locked_on", f"on for {limit_s:g} s")


def _locked_on_limit_s(t: Turn, index: int) -> float:
    """Vehicles queue on the loops before the booth, and stand in the scanner."""
    station, zone = t.plan.loop_station[index], t.setup.loops[index].zone
    scanned = t.setup.scanner is not None and zone == t.setup.scanner.zone
    return t.setup.limits.locked_on_queue_s if station < t.plan.booth or scanned else t.setup.limits.locked_on_s


def _somebody_is_there(t: Turn) -> bool:
    """Something else than the booth loop has seen the vehicle that is said to stand there."""
    passage = t.at_booth()
    if passage is None:
        return False
    if passage.occupancies or (passage.reached_s is not None and passage.reached_s != passage.booth_s):
        return True
    if passage.opened_s != passage.booth_s or passage.disposition is not None or passage.occupants is not None:
        return True
    return any(vote.passage == passage.id for reading in t.assembly.readings for vote in reading.votes)


def _untouched(t: Turn, index: int, contact: Contact) -> None:
    if t.desk.life is not LaneLife.OPEN:
        return
    since_s = max(contact.since_s, t.desk.life_s)
    for code, limit_s in (
        ("no_hits", NO_HITS_S[t.lane_type]),
        ("no_change", HOUR_S * t.setup.limits.no_change_h),
    ):
        if t.due(since_s + limit_s):
            _blame(t, index, code, f"nothing for {limit_s / HOUR_S:g} h in an open lane")
        else:
            _look_by(t, since_s + limit_s)


# --- telling ---------------------------------------------------------------------------------------------------------


def _blame(t: Turn, index: int, code: str, words: str) -> None:
    loop = t.setup.loops[index].name
    if (loop, code) not in t.equipment.faults:
        fault(t, loop, code, words, active=True)
        t.doubt(f"loop_{code}:{loop}")


def _clear(t: Turn, index: int, code: str) -> None:
    loop = t.setup.loops[index].name
    if (loop, code) in t.equipment.faults:
        fault(t, loop, code, "it changes again as it should", active=False)
        t.trust(f"loop_{code}:{loop}")


def _look_by(t: Turn, moment_s: float) -> None:
    """Look at the loops by then at the latest; never at once, so that a step cannot call for itself."""
    moment_s = max(moment_s, t.now_s + LOOK_AT_LEAST_S)
    planned_s = t.equipment.health_s
    if planned_s is None or moment_s < planned_s:
        t.equipment = replace(t.equipment, health_s=moment_s)
