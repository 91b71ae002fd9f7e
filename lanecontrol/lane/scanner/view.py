"""What the scanner's rules look at: the lane at one moment, where whatever is not known counts as unsafe.

Made anew for every transition; reads a `Turn` and changes nothing. A contact is known while its module is online and
its inputs are fresh, and it has been read in this session; else it is None, and no rule takes None for good.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from lanecontrol.announcements import LaneLife, ScanCause, ScannerContacts, ScannerState
from lanecontrol.commands import Actor
from lanecontrol.events import DeviceState
from lanecontrol.lane.scanner_state import Scan, Scanning
from lanecontrol.lane.setup import Scanner, ScannerTimes
from lanecontrol.lane.state import Passage
from lanecontrol.lane.turn import Turn

NAMES = (
    "ready",
    "key_enabled",
    "fault",
    "shutter_closed",
    "shutter_open",
    "scan_in_progress",
    "scan_complete",
    "estop_ok",
    "zone_clear",
    "barrier_closed",
    "vehicle_in_position",
    "driver_clear",
    "warning_active",
)
"""The contacts, in the order of `setup.ScannerInputs` and of `Plan.scanner`."""
PLACE = {name: place for place, name in enumerate(NAMES)}
ROUNDING_S = 1e-6
"""Sums of seconds are not exact."""


class Ask(StrEnum):
    """What somebody asks for in this step."""

    ENABLE = "enable"
    ORDER = "order"
    ABORT = "abort"
    RESET = "reset"


class Why(NamedTuple):
    """The cause of a transition, and the same in plain words."""

    cause: ScanCause
    words: str


class View:
    """One look. `doubt` is what this step's event has made uncertain, `pulse` that a scan was told to be complete."""

    __slots__ = ("actor", "asked", "contacts", "doubt", "m", "now_s", "pulse", "scanner", "t")

    def __init__(
        self,
        t: Turn,
        scanner: Scanner,
        m: Scanning,
        contacts: ScannerContacts | None = None,
        *,
        doubt: Why | None = None,
        pulse: bool = False,
        asked: Ask | None = None,
        actor: Actor | None = None,
    ) -> None:
        self.t, self.scanner, self.m, self.now_s = t, scanner, m, t.now_s
        self.doubt, self.pulse, self.asked, self.actor = doubt, pulse, asked, actor
        self.contacts = known_contacts(t) if contacts is None else contacts

    @property
    def state(self) -> ScannerState:
        return self.m.state

    @property
    def scan(self) -> Scan | None:
        return self.m.scan

    @property
    def times(self) -> ScannerTimes:
        return self.scanner.times

    @property
    def passage(self) -> Passage | None:
        """The ordered vehicle's passage, while it is open and its vehicle in the lane."""
        passage = self.t.passage(self.m.scan.passage) if self.m.scan is not None else None
        return passage if passage is not None and passage.gone_s is None else None

    def reached(self, moment_s: float) -> bool:
        return self.now_s >= moment_s - ROUNDING_S

    def in_state_for(self, duration_s: float) -> bool:
        return self.reached(self.m.since_s + duration_s)

    def changed_s(self, name: str) -> float:
        """When this contact last changed."""
        return self.t.contact(self.t.plan.scanner[PLACE[name]]).since_s

    # --- the shutter ---

    @property
    def shut(self) -> bool:
        """Closed and nothing else, by both contacts."""
        return self.contacts.shutter_closed is True and self.contacts.shutter_open is False

    @property
    def contradiction_s(self) -> float | None:
        """Since when the two contacts say the same, which cannot be; None while they do not, or are not known."""
        closed, opened = self.contacts.shutter_closed, self.contacts.shutter_open
        if closed is None or opened is None or closed is not opened:
            return None
        return max(self.changed_s("shutter_closed"), self.changed_s("shutter_open"))

    @property
    def beam_s(self) -> float | None:
        """Since when the shutter is open or a scan goes on, in this state; None while neither is told."""
        since = [self.changed_s(name) for name in ("shutter_open", "scan_in_progress") if getattr(self.contacts, name)]
        return max(self.m.since_s, min(since)) if since else None

    @property
    def dark_s(self) -> float | None:
        """Since when neither is so, in this state; None while one is, or is not known."""
        if self.contacts.shutter_open is not False or self.contacts.scan_in_progress is not False:
            return None
        return max(self.m.since_s, self.changed_s("shutter_open"), self.changed_s("scan_in_progress"))

    # --- the warning and the samples ---

    @property
    def warning_s(self) -> float:
        """How long the warning lasts. No setting makes it shorter than 5 s (IEC 62523, 4.8)."""
        return max(5.0, self.times.warning_s)

    @property
    def ripe_s(self) -> float | None:
        """From which moment on the next state may be entered, where that is a matter of time."""
        if self.state is ScannerState.INTERLOCK_CHECK and self.m.good_s is not None:
            moment_s = self.m.good_s + SAMPLE_S
        elif self.state is ScannerState.WARNING and self.m.warned_s is not None:
            moment_s = self.m.warned_s + self.warning_s
        else:
            return None
        return moment_s if self.m.hold_s is None else max(moment_s, self.m.hold_s)

    @property
    def ripe(self) -> bool:
        ripe_s = self.ripe_s
        return ripe_s is not None and self.reached(ripe_s)


SAMPLE_S = 0.3
"""Two samples are this far apart: longer than the limit after which inputs are stale (250 ms), so that inputs that are
not stale at the end of it have been read anew since its beginning."""
LATE_S = 0.25
"""A moment that is handled so late may be older than a contact that has not been heard of (fail-safe rule 2)."""


def known_contacts(t: Turn) -> ScannerContacts:
    """Every contact as it is known to be."""
    good = {device: online(t, device) and not stale(t, device) for device in t.plan.scanner_modules}
    points, contacts = t.plan.points, t.equipment.contacts
    if len(contacts) == len(points) and all(good.values()):  # as nearly always: every step comes here
        return ScannerContacts(*[contacts[place].on for place in t.plan.scanner])
    known = [
        contacts[place].on if place < len(contacts) and good.get(points[place][0]) else None for place in t.plan.scanner
    ]
    return ScannerContacts(*known)


def online(t: Turn, device: str) -> bool:
    """Told to be online; nothing is taken for granted of a module that nobody has spoken of."""
    note = t.device(device)
    return note is not None and note.state is DeviceState.ONLINE


def stale(t: Turn, device: str) -> bool:
    note = t.device(device)
    return note is not None and note.stale


def lane_forbids(t: Turn) -> str:
    """Why the lane as a whole lets nothing be scanned; empty when it does."""
    if t.desk.stopping:
        return "the lane controller is stopping"
    if t.desk.life is not LaneLife.OPEN:
        return f"the lane is {t.desk.life.value}"
    if not t.desk.writable:
        return "the event store cannot be written to"
    return ""
