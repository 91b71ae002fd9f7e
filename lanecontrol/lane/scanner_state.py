"""What a lane remembers of its scanner, as plain frozen data: a part of `lane.state`.

A module of its own so that `lane.state` can name it; only `lane.scanner` changes it. Moments are lane time, as there.
"""

from __future__ import annotations

from dataclasses import dataclass

from lanecontrol.announcements import ScanCause, ScanCounts, ScannerContacts, ScannerState, ScanOperator
from lanecontrol.lane.record import quick

MAX_SCAN_KEYS = 256
MAX_SENT = 24


@quick
@dataclass(frozen=True, slots=True)
class Scan:
    """One ordered scan, from the order until its record is written. `key` is the order's, and the scan's identity."""

    key: str
    passage: str
    reason: str
    ordered_utc_s: float
    expires_s: float
    needs_second: bool
    operators: tuple[ScanOperator, ...]
    confirmed: bool = False
    driver_out: bool = False
    requested_utc_s: float | None = None
    begun_utc_s: float | None = None
    interlocks: ScannerContacts | None = None
    """What the contacts said when the scan was requested."""
    cause: ScanCause | None = None
    """Why it is being aborted."""
    why: str = ""
    unmet: tuple[ScanCause, ...] = ()
    """What was not met when the abort began."""
    false_abort: bool = False


@quick
@dataclass(frozen=True, slots=True)
class Sent:
    """A write to the scanner's outputs that has not come back."""

    command: str
    device: str
    grants: bool


@quick
@dataclass(frozen=True, slots=True)
class Scanning:
    """The scanner. `since_s`: when it came into its state."""

    state: ScannerState = ScannerState.DISABLED
    since_s: float = 0.0
    scan: Scan | None = None
    tripped: str = ""
    """Why somebody has to reset it before anything can be ordered; empty when nobody has to."""
    interrupted: bool = False
    """A restart came in mid-scan, and the shutter has not been seen closed since."""
    good_s: float | None = None
    """Since when every condition has held without a break."""
    warned_s: float | None = None
    """Since when the warning is confirmed."""
    hold_s: float | None = None
    """Nothing goes on before this moment: the clock was late, and what came meanwhile has to be heard first."""
    wanted: tuple[tuple[str, bool], ...] = ()
    """What the outputs were last told to be, by name; what is not in it is left as it is."""
    grants: tuple[tuple[str, str], ...] = ()
    """Device and command of every granting write that still stands."""
    sent: tuple[Sent, ...] = ()
    unshown: tuple[str, ...] = ()
    """Modules that have not shown yet that they did what withdraws."""
    repeat_s: float | None = None
    """When what withdraws is commanded once more; `misses` is how often that was in vain."""
    misses: int = 0
    unmet: tuple[ScanCause, ...] = ()
    blocking: str = ""
    """Why it will not scan, in plain words: the first condition that is not met."""
    told: str = ""
    """What was last published of that, and when; `tell_s` is when it is published again."""
    told_s: float | None = None
    tell_s: float | None = None
    alarm: str = ""
    """What its alarm is about, as `desk.alarms` names it; empty while there is none."""
    keys: tuple[str, ...] = ()
    """Orders that were accepted; none of them ever is again."""
    counts: ScanCounts = ScanCounts()
    figures_s: float | None = None
    wake_s: float | None = None
