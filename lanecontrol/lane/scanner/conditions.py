"""The permissives of a scan, in the order in which they are shown: each is a rule that says why it is not met.

`CHAIN` must hold before the warning and during it, `BEAM` from the request to the end of the scan. Read by
`scanner.table` and published as the answer to "why will it not scan?". A rule answers "" when it is met.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter

from lanecontrol.announcements import ScanCause, ScannerState
from lanecontrol.lane.scanner.view import NAMES, View, lane_forbids, online, stale
from lanecontrol.lane.state import Passage

C = ScanCause
Rule = Callable[[View], str]
_ALL = attrgetter(*NAMES)


def _on(name: str, words: str) -> Rule:
    return lambda v: "" if getattr(v.contacts, name) is True else words


def _off(name: str, words: str) -> Rule:
    return lambda v: "" if getattr(v.contacts, name) is False else words


def _configuration(v: View) -> str:
    told = v.t.setup.equipment_hash
    if not told or v.t.desk.accepted == told:
        return ""
    return "the equipment's configuration is new or was changed: a supervisor has to enable it"


def _link(v: View) -> str:
    return next((f"{device} is not online" for device in v.t.plan.scanner_modules if not online(v.t, device)), "")


def _fresh(v: View) -> str:
    if None not in _ALL(v.contacts):
        return ""
    for device in v.t.plan.scanner_modules:
        if stale(v.t, device):
            return f"the inputs of {device} are stale"
    return "not every contact of the scanner has been read"


def _reset(v: View) -> str:
    return f"{v.m.tripped}: somebody has to reset the scanner" if v.m.tripped else ""


def _enabled(v: View) -> str:
    return "the scanner has not been enabled" if v.state is ScannerState.DISABLED else ""


def _ordered(v: View) -> str:
    return "" if v.scan is not None else "no scan has been ordered"


def _in_time(v: View) -> str:
    return "the order is no longer valid" if v.scan is not None and v.reached(v.scan.expires_s) else ""


def _passage(v: View) -> str:
    return "the passage of the ordered vehicle has ended" if v.scan is not None and v.passage is None else ""


def _second(v: View) -> str:
    scan = v.scan
    return "" if scan is not None and (scan.confirmed or not scan.needs_second) else "a second person has not confirmed"


def at_zone(v: View) -> bool:
    """The loop of the scanner's zone is on, by a module that can be relied on, and the ordered vehicle is on it."""
    passage, station = v.passage, v.t.plan.scanner_station
    return passage is not None and _is_on(passage, station) and _loop_on(v, station)


def _is_on(passage: Passage, station: int) -> bool:
    return passage.tail <= station <= passage.head and passage.adrift_s is None and not passage.lost


def _loop_on(v: View, station: int) -> bool:
    here = [loop for loop, where in zip(v.t.setup.loops, v.t.plan.loop_station, strict=False) if where == station]
    return bool(here) and all(v.t.usable(loop.device) for loop in here) and v.t.level(station) is True


def _at_zone(v: View) -> str:
    return "" if at_zone(v) else "the ordered vehicle is not in the scanner's zone"


def _alone(v: View) -> str:
    ordered, station = v.passage, v.t.plan.scanner_station
    others = [p for p in v.t.live() if ordered is None or p.id != ordered.id]
    if any(_may_be_in(other, station) for other in others):
        return "another vehicle is, or may be, in the scanner's zone"
    return _at_zone(v)


def _may_be_in(other: Passage, station: int) -> bool:
    """On its loop, or not seen by any and next to it."""
    if other.tail <= station <= other.head:
        return True
    return (other.adrift_s is not None and other.head == station - 1) or (other.lost and abs(other.head - station) <= 1)


def _driver_out(v: View) -> str:
    scan = v.scan
    return "" if scan is not None and scan.driver_out else "the officer has not confirmed that everybody is out"


def _shown(v: View) -> str:
    if not v.m.unshown:
        return ""
    return f"{v.m.unshown[0]} has not shown that its outputs are as commanded"


RULES: dict[ScanCause, Rule] = {
    C.LANE: lambda v: lane_forbids(v.t),
    C.CONFIGURATION: _configuration,
    C.LINK: _link,
    C.STALE: _fresh,
    C.KEY: _on("key_enabled", "the scanner's key is off"),
    C.ESTOP: _on("estop_ok", "an emergency stop is pressed"),
    C.FAULT: _off("fault", "the scanner reports a fault"),
    C.READY: _on("ready", "the scanner is not ready"),
    C.SHUTTER: lambda v: "" if v.shut else "the shutter is not closed",
    C.RESET: _reset,
    C.ENABLED: _enabled,
    C.ORDER: _ordered,
    C.EXPIRED: _in_time,
    C.PASSAGE: _passage,
    C.AT_ZONE: _at_zone,
    C.POSITION: _on("vehicle_in_position", "the vehicle is not in position"),
    C.ALONE: _alone,
    C.SECOND_PERSON: _second,
    C.DRIVER_CLEAR: _on("driver_clear", "the driver is not clear of the scanner"),
    C.DRIVER_OUT: _driver_out,
    C.BARRIER: _on("barrier_closed", "the barrier is not closed"),
    C.ZONE: _on("zone_clear", "somebody or something is in the scanner's zone"),
    C.OUTPUT: _shown,
    C.WARNING: _on("warning_active", "the warning is not on"),
}
"""Every condition, and what it says while it is not met."""

CHAIN = tuple(code for code in RULES if code is not C.WARNING)
"""What must hold before the warning is asked for, and all the time while it is given."""

BEAM = tuple(code for code in RULES if code not in (C.SHUTTER, C.RESET, C.ENABLED, C.EXPIRED, C.OUTPUT))
"""What must hold from the request to the end of the scan: the shutter is to open, and the order has been taken up."""

BEAM_STATES = frozenset({ScannerState.TRIGGERED, ScannerState.SCANNING})

TECHNICAL = frozenset({C.LINK, C.STALE, C.OUTPUT, C.READBACK, C.WATCHDOG, C.INPUTS_LOST, C.LATE})
"""Causes that are ours rather than the scanner's: a scan that ends so, with no contact gone bad, is a false abort."""

WANTED = {
    C.KEY: ("key_enabled", True),
    C.ESTOP: ("estop_ok", True),
    C.FAULT: ("fault", False),
    C.READY: ("ready", True),
    C.POSITION: ("vehicle_in_position", True),
    C.DRIVER_CLEAR: ("driver_clear", True),
    C.BARRIER: ("barrier_closed", True),
    C.ZONE: ("zone_clear", True),
}
"""The contact behind each of these conditions, and what it has to be."""


def gone_bad(v: View) -> bool:
    """Whether a contact is known to be other than a scan needs it."""
    return any(getattr(v.contacts, name) is (not wanted) for name, wanted in WANTED.values())


def first_unmet(v: View, codes: Iterable[ScanCause]) -> tuple[ScanCause, str] | None:
    """The first of these conditions that is not met, and what it says."""
    for code in codes:
        words = RULES[code](v)
        if words:
            return code, words
    return None


def relevant(state: ScannerState) -> tuple[ScanCause, ...]:
    return BEAM if state in BEAM_STATES else CHAIN


def judged(v: View) -> list[tuple[ScanCause, str]]:
    """Every condition that counts in the present state, in order, with what it says."""
    return [(code, RULES[code](v)) for code in relevant(v.state)]


def unmet(v: View) -> tuple[ScanCause, ...]:
    return tuple(code for code, words in judged(v) if words)
