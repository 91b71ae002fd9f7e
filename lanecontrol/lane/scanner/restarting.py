"""The scanner when the software starts: nothing is requested, nothing goes on, and somebody has to enable it.

Called by `lane.restart`, before it looks at the passages, so that one in mid-scan can be marked.
"""

from __future__ import annotations

from lanecontrol.announcements import ScanCause, ScanEnd, ScannerChanged, ScannerState
from lanecontrol.lane.record import replace
from lanecontrol.lane.scanner import records
from lanecontrol.lane.scanner.machine import FIGURES_EVERY_S
from lanecontrol.lane.scanner.view import Why, known_contacts
from lanecontrol.lane.scanner_state import Scanning
from lanecontrol.lane.setup import LaneSetup
from lanecontrol.lane.turn import Turn

S = ScannerState

_UNDER_WAY = frozenset({S.TRIGGERED, S.SCANNING, S.COMPLETING, S.ABORTING})
_WHY = Why(ScanCause.STARTED, "the software was started")


def initial(setup: LaneSetup) -> Scanning | None:
    """A scanner that has never been enabled; None in a lane without one."""
    return None if setup.scanner is None else Scanning()


def started(t: Turn) -> None:
    """Out of use, its outputs withdrawn; a scan under way is recorded as interrupted. A fault stays a fault."""
    old = t.scanner
    if old is None and t.setup.scanner is None:
        return
    if old is not None and old.scan is not None:
        scan = replace(old.scan, cause=_WHY.cause, why=_WHY.words, unmet=old.unmet)
        records.write(t, t.setup.scanner, scan, ScanEnd.INTERRUPTED, _WHY)
    old = t.scanner
    if t.setup.scanner is None:
        records.end_alarm(t)
        t.scanner = None
        return
    before = old if old is not None else Scanning()
    state = S.FAULT if before.state is S.FAULT else S.DISABLED
    t.scanner = Scanning(
        state=state,
        since_s=t.now_s,
        tripped=before.tripped,
        interrupted=before.interrupted or before.state in _UNDER_WAY,
        alarm=before.alarm,
        keys=before.keys,
        counts=before.counts,
        figures_s=before.figures_s if before.figures_s is not None else t.now_s + FIGURES_EVERY_S,
    )
    scan_key, passage = (before.scan.key, before.scan.passage) if before.scan is not None else ("", "")
    t.tell(
        ScannerChanged(state, before.state, _WHY.cause, _WHY.words, None, scan_key, passage, known_contacts(t), t.utc_s)
    )
