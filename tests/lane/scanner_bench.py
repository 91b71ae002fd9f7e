"""A lane with a scanner behind its booth, told in the words of the scanner: contacts, orders, what its outputs are.

Time moves only by `wait`, which also gives the ticks that the lane asked for; modules carry out what they are told at
once unless a test says otherwise. Everything given and answered is kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TypeVar

from lanecontrol.announcements import (
    Announcement,
    LaneType,
    PassageOpened,
    ScannerChanged,
    ScannerState,
    ScanRecorded,
)
from lanecontrol.clock import Instant
from lanecontrol.commands import (
    DONE,
    AbortScan,
    Actor,
    ConfirmDriverOut,
    ConfirmScan,
    Dispose,
    Disposition,
    EnableScanner,
    Order,
    Outcome,
    Request,
    ResetScanner,
    Result,
    Role,
    ScanVehicle,
    WriteOutputs,
)
from lanecontrol.events import (
    CommandEnded,
    DeviceChanged,
    DeviceState,
    Event,
    Input,
    InputChanged,
    OrderGiven,
    Started,
    Tick,
)
from lanecontrol.lane import step as lane_step
from lanecontrol.lane.effects import Answer, Drive, Effect, Publish
from lanecontrol.lane.scanner_state import Scanning
from lanecontrol.lane.setup import (
    Gate,
    LaneSetup,
    Loop,
    Point,
    Scanner,
    ScannerInputs,
    ScannerOutputs,
    ScannerTimes,
    Signal,
    Zone,
)
from lanecontrol.lane.state import LaneState

UTC_S = 1_800_000_000.0
OFFICER = Actor("officer-12", Role.OFFICER)
SECOND = Actor("officer-31", Role.OFFICER)
SUPERVISOR = Actor("supervisor-3", Role.SUPERVISOR)
TECHNICIAN = Actor("technician-1", Role.TECHNICIAN)
CENTRAL = Actor("port", Role.CENTRAL)
A = TypeVar("A")

SCANNER_IO = "io2"
AT_REST = {
    "ready": True,
    "key_enabled": True,
    "fault": False,
    "shutter_closed": True,
    "shutter_open": False,
    "scan_in_progress": False,
    "scan_complete": False,
    "estop_ok": True,
    "zone_clear": True,
    "barrier_closed": True,
    "vehicle_in_position": False,
    "driver_clear": False,
    "warning_active": False,
}
"""The scanner's contacts with nobody in it."""


def points(of: type, device: str = SCANNER_IO) -> dict[str, Point]:
    return {part.name: Point(device, part.name) for part in dataclasses.fields(of)}


def scanner(*, two_persons: bool = False, times: ScannerTimes | None = None, zone: str = "scanner") -> Scanner:
    return Scanner(
        zone=zone,
        inputs=ScannerInputs(**points(ScannerInputs)),
        outputs=ScannerOutputs(**points(ScannerOutputs)),
        times=times if times is not None else ScannerTimes(),
        two_persons=two_persons,
        maker="example",
        model="gantry",
        serial="4711",
        modality="gamma Cs-137, transmission",
    )


def setup(
    *,
    two_persons: bool = False,
    times: ScannerTimes | None = None,
    loops: tuple[str, ...] = ("approach", "booth", "scanner", "exit"),
    equipment_hash: str = "",
    gate: bool = True,
) -> LaneSetup:
    return LaneSetup(
        port="SYS",
        lane="31",
        lane_type=LaneType.STANDARD,
        zones=(Zone("approach", 20, 22), Zone("booth", 25, 29), Zone("scanner", 33, 50), Zone("exit", 55, 60)),
        booth_zone="booth",
        loops=tuple(Loop(name, "io1", f"loop_{name}", name) for name in loops),
        signal=Signal("io1", "signal_green", "signal_red"),
        gate=Gate("io1", "gate_open", "gate_opened", "gate_closed") if gate else None,
        scanner=scanner(two_persons=two_persons, times=times),
        device_kinds=(("io1", "io.modbus"), (SCANNER_IO, "io.modbus")),
        opens_at_start=True,
        simulated=True,
        equipment_hash=equipment_hash,
    )


class ScannerBench:
    """A lane, its outputs, and everything that it said."""

    def __init__(self, lane_setup: LaneSetup | None = None) -> None:
        self.setup = lane_setup if lane_setup is not None else setup()
        self.state: LaneState = lane_step.initial(self.setup)
        self.now_s = 100.0
        self.given: list[Input] = []
        self.effects: list[Effect] = []
        self.last: tuple[Effect, ...] = ()
        self.outputs: dict[str, bool] = {}
        self.contacts = dict(AT_REST)
        self.carries_out = True
        """Modules do what they are told, at once, and say so when time passes."""
        self.grants_wait = False
        """What grants is not on disk yet: it is kept in `held`, as the runner would."""
        self.held: list[Drive] = []
        self._orders = 0
        self._open: list[tuple[str, str]] = []

    # --- giving inputs ---

    def give(self, source: str, event: Event) -> tuple[Effect, ...]:
        given = Input(Instant(self.now_s, UTC_S + self.now_s), source, event)
        self.given.append(given)
        self.state, effects = lane_step.step(self.setup, self.state, given)
        self.last = effects
        self.effects += effects
        for effect in effects:
            if isinstance(effect, Drive):
                self._take(effect)
        return effects

    def _take(self, drive: Drive) -> None:
        if not self.carries_out:
            return
        if drive.grants and self.grants_wait:
            self.held.append(drive)
        else:
            self.perform(drive)

    def perform(self, drive: Drive) -> bool:
        """What the runner does when a command's turn has come. Whether it was performed."""
        granted = not drive.grants or lane_step.still_granted(self.state, drive.command_id)
        if granted and isinstance(drive.command, WriteOutputs):
            self.outputs |= dict(drive.command.points)
        if granted:
            self._open.append((drive.device, drive.command_id))
        return granted

    def answer_commands(self) -> None:
        while self._open:
            device, command = self._open.pop(0)
            self.give(device, CommandEnded(command, DONE))

    def wait(self, duration_s: float) -> None:
        """Let time pass; the lane gets every tick it asked for, at its moment."""
        until_s = self.now_s + duration_s
        self.answer_commands()
        for _ in range(10_000):
            due_s = lane_step.deadline(self.state)
            if due_s is None or due_s > until_s:
                break
            self.now_s = max(self.now_s, due_s)
            self.give("lane", Tick())
            self.answer_commands()
        else:
            raise AssertionError("the lane asks for ticks without end")
        self.now_s = until_s

    def contact(self, name: str, on: bool) -> None:
        """A contact of the scanner."""
        self.contacts[name] = on
        self.give(SCANNER_IO, InputChanged(name, on))

    def read_contacts(self) -> None:
        """Every contact is read, as after a connection."""
        for name, on in self.contacts.items():
            self.give(SCANNER_IO, InputChanged(name, on))

    def loop(self, name: str, on: bool) -> None:
        self.give("io1", InputChanged(f"loop_{name}", on))

    # --- the way to a scan ---

    def started(self, *, cold: bool = True, boot: str = "boot-1") -> ScannerBench:
        """The software starts, both modules come online, every contact is read."""
        self.give("lane", Started(cold, boot))
        for device in ("io1", SCANNER_IO):
            self.give(device, DeviceChanged(DeviceState.ONLINE, "connected"))
        for loop in self.setup.loops:
            self.give("io1", InputChanged(loop.point, False))
        self.give("io1", InputChanged("gate_opened", False))
        self.give("io1", InputChanged("gate_closed", True))
        self.read_contacts()
        self.wait(2.0)
        return self

    def enabled(self) -> ScannerBench:
        self.started()
        assert self.order(EnableScanner()) == DONE
        self.wait(1.5)
        return self

    def at_booth(self) -> str:
        """A vehicle drives to the booth. Its passage."""
        self.loop("approach", True)
        self.wait(1.0)
        self.loop("booth", True)
        self.wait(0.5)
        self.loop("approach", False)
        self.wait(3.0)
        return self.told(PassageOpened)[-1].passage

    def drives_in(self) -> None:
        """The officer sends it to the scanner, and it drives onto the loop there."""
        name = self.told(PassageOpened)[-1].passage
        assert self.order(Dispose(name, Disposition.REFER_SCANNER)) == DONE
        self.wait(1.0)
        self.loop("scanner", True)
        self.wait(1.0)
        self.loop("booth", False)
        self.wait(2.0)

    def armed(self, actor: Actor = OFFICER, **changes: float | str) -> str:
        """Enabled, a vehicle at the booth, its scan ordered. The scan's key."""
        self.enabled()
        passage = self.at_booth()
        self.orders(passage, actor, **changes)
        return self.scan_key

    def orders(self, passage: str, actor: Actor = OFFICER, **changes: float | str) -> Outcome:
        request = dataclasses.replace(ScanVehicle(passage, "gamma alarm"), **changes)  # type: ignore[arg-type]
        return self.order(request, actor)

    def positioning(self, actor: Actor = OFFICER) -> str:
        key = self.armed(actor)
        self.drives_in()
        return key

    def checking(self) -> str:
        """In position, the driver out and confirmed; one interlock still open, so that it stays there."""
        key = self.positioning()
        self.contact("barrier_closed", False)
        self.in_place()
        return key

    def in_place(self) -> None:
        self.contact("vehicle_in_position", True)
        self.contact("driver_clear", True)
        if self.setup.scanner is not None and self.setup.scanner.two_persons:
            self.order(ConfirmScan(self.scan_key), SECOND)
        assert self.order(ConfirmDriverOut(self.scan_key)) == DONE
        self.wait(0.0)

    def warning(self) -> str:
        """The warning is asked for."""
        key = self.checking()
        self.contact("barrier_closed", True)
        self.wait(0.3)
        assert self.scanner_state is ScannerState.WARNING, self.why
        return key

    def triggered(self) -> str:
        """The scan is requested."""
        key = self.warning()
        self.contact("warning_active", True)
        self.wait(5.0)
        assert self.scanner_state is ScannerState.TRIGGERED, self.why
        return key

    def scanning(self) -> str:
        """The shutter is open and a scan goes on."""
        key = self.triggered()
        self.contact("scan_in_progress", True)
        self.contact("shutter_closed", False)
        self.wait(0.5)
        self.contact("shutter_open", True)
        self.wait(1.0)
        assert self.scanner_state is ScannerState.SCANNING, self.why
        return key

    def completing(self) -> str:
        key = self.scanning()
        self.contact("scan_complete", True)
        return key

    def aborting(self) -> str:
        key = self.scanning()
        self.contact("zone_clear", False)
        return key

    def shutter_closes(self) -> None:
        self.contact("shutter_open", False)
        self.contact("scan_in_progress", False)
        self.wait(0.3)
        self.contact("shutter_closed", True)

    def fault(self) -> str:
        key = self.aborting()
        self.wait(3.0)
        return key

    def aborted(self) -> str:
        """Aborted by an interlock, the shutter closed: somebody has to reset."""
        key = self.aborting()
        self.shutter_closes()
        return key

    # --- people ---

    def order(
        self, request: Request, actor: Actor = OFFICER, *, key: str | None = None, within_s: float = 10.0
    ) -> Outcome:
        self._orders += 1
        key = key if key is not None else f"key-{self._orders}"
        self.give("port", OrderGiven(Order(key, actor, request, UTC_S + self.now_s + within_s)))
        return next(effect.outcome for effect in self.last if isinstance(effect, Answer) and effect.key == key)

    def aborts(self, actor: Actor = TECHNICIAN) -> None:
        assert self.order(AbortScan("enough"), actor) == DONE

    def resets(self, actor: Actor = OFFICER) -> Outcome:
        return self.order(ResetScanner(), actor)

    # --- looking ---

    @property
    def scanner(self) -> Scanning:
        assert self.state.scanner is not None
        return self.state.scanner

    @property
    def scanner_state(self) -> ScannerState:
        return self.scanner.state

    @property
    def scan_key(self) -> str:
        assert self.scanner.scan is not None, self.why
        return self.scanner.scan.key

    def at(self, state: ScannerState) -> bool:
        return self.scanner.state is state

    @property
    def why(self) -> str:
        """Why it will not scan."""
        return self.scanner.blocking

    @property
    def request(self) -> bool:
        """The output that requests a scan, as the module has it."""
        return self.outputs.get("scan_request", False)

    def told(self, kind: type[A]) -> list[A]:
        """Everything of this kind that the lane published, in order."""
        return [a for a in self.announcements() if isinstance(a, kind)]

    def announcements(self) -> Iterator[Announcement]:
        for effect in self.effects:
            if isinstance(effect, Publish):
                yield effect.announcement

    @property
    def changes(self) -> list[ScannerChanged]:
        return self.told(ScannerChanged)

    @property
    def records(self) -> list[ScanRecorded]:
        return self.told(ScanRecorded)


def refused(outcome: Outcome) -> str:
    """The reason of a refusal; fails when it was none."""
    assert outcome.result is Result.REFUSED
    return outcome.reason
