"""The scratch pad of one step: the parts of the state under change, and the effects so far.

Every module of the lane core takes a `Turn` and changes its parts by replacing them; nothing of it survives the step
but the new state and the effects. It must never be kept, shared or reached from outside `lane.step`.
"""

from __future__ import annotations

from lanecontrol.announcements import Announcement, LaneType, Quality, QualityChanged
from lanecontrol.commands import ClearWatchdog, Command, Outcome
from lanecontrol.events import DeviceState, Input
from lanecontrol.lane.effects import Answer, Drive, Effect, Publish
from lanecontrol.lane.record import maker, replace
from lanecontrol.lane.setup import LaneSetup
from lanecontrol.lane.state import (
    MAX_PENDING,
    STUCK_AFTER,
    Contact,
    DeviceNote,
    Doubt,
    LaneState,
    Passage,
    Pending,
    Tracking,
)

_tracking = maker(Tracking)

EARLY_S = 0.001
"""A timer may come this much early: clocks and sums of seconds are not exact."""
LATEST_S = 1e12
_ONLINE = DeviceState.ONLINE
_PICTURE_S = 2.0
"""For a camera to take its first picture; nobody waits for it."""

_MANUAL = frozenset({"booth_loop_lost", "inputs_lost"})
"""Doubts that leave nothing to go by: the officer says which vehicle is at the booth."""


class Turn:
    """One step under way."""

    __slots__ = (
        "assembly",
        "counters",
        "desk",
        "effects",
        "equipment",
        "given",
        "inquiry",
        "last_s",
        "now_s",
        "numbers",
        "plan",
        "radiation",
        "regime",
        "scanner",
        "setup",
        "tracking",
        "utc_s",
    )

    def __init__(self, setup: LaneSetup, state: LaneState, given: Input, offset_s: float) -> None:
        self.setup = setup
        self.given = given
        self.plan = state.plan
        self.radiation = state.radiation
        self.tracking = state.tracking
        self.assembly = state.assembly
        self.equipment = state.equipment
        self.desk = state.desk
        self.counters = state.counters
        self.scanner = state.scanner
        self.inquiry = state.inquiry
        self.numbers = state.numbers
        self.regime = state.regime
        self.effects: list[Effect] = []
        self.last_s = before_s = state.now_s
        at = given.at
        now_s, utc_s = at.mono_s + offset_s, at.utc_s
        # Lane time never runs backwards, whatever a caller's clock does; this also takes care of NaN.
        self.now_s = now_s if before_s <= now_s < LATEST_S else before_s
        self.utc_s = utc_s if 0 <= utc_s < LATEST_S else state.utc_s

    @property
    def lane_type(self) -> LaneType:
        """The type that the lane serves now."""
        return self.regime.serves or self.setup.lane_type

    # --- effects ---

    def tell(self, announcement: Announcement) -> None:
        self.effects.append(Publish(announcement))

    def answer(self, key: str, outcome: Outcome) -> None:
        self.effects.append(Answer(key, outcome))

    def drive(self, device: str, command: Command, *, grants: bool) -> str:
        """Give a command to a device; answers the command's id."""
        number = self.counters.commands + 1
        self.counters = replace(self.counters, commands=number)
        name = f"{self.setup.lane}-c{number:06d}"
        pending = Pending(name, device, grants, isinstance(command, ClearWatchdog))
        self.equipment = replace(self.equipment, pending=(*self.equipment.pending, pending)[-MAX_PENDING:])
        self.effects.append(Drive(name, device, command, grants))
        return name

    def ask(self, device: str, command: Command) -> None:
        """Give a command on whose outcome nothing depends: it withdraws and grants nothing."""
        number = self.counters.commands + 1
        self.counters = replace(self.counters, commands=number)
        self.effects.append(Drive(f"{self.setup.lane}-c{number:06d}", device, command, False, _PICTURE_S))

    # --- time ---

    def due(self, moment_s: float | None) -> bool:
        return moment_s is not None and moment_s <= self.now_s + EARLY_S

    def utc_at(self, moment_s: float) -> float:
        """UTC of a moment of lane time, by the present clock."""
        return self.utc_s - (self.now_s - moment_s)

    # --- passages ---

    def passage(self, name: str) -> Passage | None:
        for passage in self.tracking.passages:
            if passage.id == name:
                return passage
        return None

    def put(self, passage: Passage) -> Passage:
        """Put a changed passage in the place of the one of the same id."""
        name = passage.id
        old = self.tracking
        self.tracking = _tracking(tuple([passage if p.id == name else p for p in old.passages]), old.guessed_s)
        return passage

    def put_contact(self, index: int, contact: Contact) -> None:
        """Put a changed contact in the place of the one before."""
        contacts = list(self.equipment.contacts)
        contacts[index] = contact
        self.equipment = replace(self.equipment, contacts=tuple(contacts))

    def live(self) -> list[Passage]:
        """Passages whose vehicle is still in the lane, the foremost first."""
        return [p for p in self.tracking.passages if p.gone_s is None]

    def at_booth(self) -> Passage | None:
        """The passage of the vehicle that stands at the booth."""
        booth = self.plan.booth
        for passage in self.tracking.passages:
            if passage.head == booth and passage.adrift_s is None and passage.gone_s is None:
                return passage
        return None

    # --- contacts and devices ---

    def contact(self, index: int) -> Contact:
        return self.equipment.contacts[index] if 0 <= index < len(self.equipment.contacts) else Contact()

    def loops(self, station: int) -> list[Contact]:
        """The contacts of the loops of a station."""
        return [self.contact(index) for index, where in enumerate(self.plan.loop_station) if where == station]

    def level(self, station: int) -> bool | None:
        """Whether a station is taken; None while a loop that could tell has not been read."""
        known: bool | None = False
        for where, contact in zip(self.plan.loop_station, self.equipment.contacts, strict=False):
            if where == station:
                on = contact.on
                if on:
                    return True
                if on is None:
                    known = None
        return known

    def changed_s(self, station: int) -> float:
        """When a loop of this station last changed."""
        latest_s = 0.0
        for contact in self.loops(station):
            latest_s = max(latest_s, contact.since_s)
        return latest_s

    def held(self, station: int) -> bool | None:
        """Whether tracking takes a station for taken: as `level`, but of changes that are believed (`lane.loops`)."""
        known: bool | None = False
        for where, contact in zip(self.plan.loop_station, self.equipment.contacts, strict=False):
            if where == station:
                held = contact.held and contact.passed < STUCK_AFTER
                if held:
                    return True
                if held is None:
                    known = None
        return known

    def held_since_s(self, station: int) -> float:
        """When a loop of this station was last believed to have changed."""
        latest_s = 0.0
        for contact in self.loops(station):
            latest_s = max(latest_s, contact.held_s)
        return latest_s

    def chatters(self, station: int) -> bool:
        """Whether a loop of this station chatters: what it says may be made up."""
        return any(contact.chatters(self.now_s) for contact in self.loops(station))

    def device(self, name: str) -> DeviceNote | None:
        for note in self.equipment.devices:
            if note.device == name:
                return note
        return None

    def usable(self, device: str) -> bool:
        """Not known to be away, and its inputs not stale."""
        note = self.device(device)
        return note is None or (note.state is _ONLINE and not note.stale)

    # --- quality ---

    def doubt(self, code: str, *, for_s: float | None = None) -> None:
        """From now on (for a while, or until `trust`) the mapping of readings to vehicles is in doubt."""
        until_s = None if for_s is None else self.now_s + for_s
        others = tuple(d for d in self.desk.doubts if d.code != code)
        self.desk = replace(self.desk, doubts=(*others, Doubt(code, until_s)))
        self._rate(code)

    def trust(self, code: str) -> None:
        """The reason for a doubt is gone."""
        if any(d.code == code for d in self.desk.doubts):
            self.desk = replace(self.desk, doubts=tuple(d for d in self.desk.doubts if d.code != code))
            self._rate(f"{code} is over")

    def expire_doubts(self) -> None:
        for doubt in self.desk.doubts:
            if self.due(doubt.until_s):
                self.trust(doubt.code)

    def _rate(self, why: str) -> None:
        codes = {d.code for d in self.desk.doubts}
        quality = Quality.MANUAL if codes & _MANUAL else Quality.DEGRADED if codes else Quality.GOOD
        if quality is not self.desk.quality:
            self.desk = replace(self.desk, quality=quality)
            self.tell(QualityChanged(quality, why, self.utc_s))
