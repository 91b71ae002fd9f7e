"""A lane with a scanner in a world of its own, every step held against what must never happen.

The world is modules with contacts and outputs, people, clock, disk. It keeps its own account of what the lane was told
(`known`), and judges by that, not by the lane's own notes. `Violation` says which invariant broke.
"""

from __future__ import annotations

import random
from collections import Counter

from scanner_bench import AT_REST, SCANNER_IO, UTC_S, ScannerBench

from lanecontrol.announcements import LaneLife, ScanEnd, ScannerChanged, ScannerState, ScanRecorded
from lanecontrol.clock import Instant
from lanecontrol.commands import (
    DONE,
    ConfirmScan,
    Order,
    Outcome,
    ResetScanner,
    Result,
    Role,
    ScanVehicle,
    WriteOutputs,
)
from lanecontrol.events import (
    CentralChanged,
    DeviceChanged,
    DeviceState,
    Event,
    Input,
    InputChanged,
    InputsFresh,
    InputsLost,
    InputsStale,
    ModuleWatchdogTripped,
    OrderGiven,
    Started,
    Stopping,
    StoreChanged,
)
from lanecontrol.lane import step as lane_step
from lanecontrol.lane.effects import Answer, Drive, Effect, Publish
from lanecontrol.lane.setup import LaneSetup
from lanecontrol.lane.state import LaneState

S = ScannerState
GIVES = {"scan_request", "scan_arm", "warning_request", "driver_go"}
"""Outputs that give something while on; `driver_stop` and `abort` do while off."""
SAFE = dict.fromkeys(GIVES, False) | {"driver_stop": True}
BEAM = (S.TRIGGERED, S.SCANNING)
IN_POSITION = {"vehicle_in_position": True, "driver_clear": True}
NEEDED = AT_REST | IN_POSITION
"""What every contact has to be for a scan to be requested."""
HOLDS = [name for name in NEEDED if name not in ("scan_complete", "scan_in_progress", "warning_active")]
HOLD = tuple((name, NEEDED[name]) for name in HOLDS)
IN_BEAM = tuple((name, on) for name, on in HOLD if name not in ("shutter_closed", "shutter_open"))
WARNING_S = 5.0
ROUNDING_S = 1e-5
SCANNER_LOOP = "loop_scanner"


class Violation(AssertionError):
    """An invariant broke."""

    def __init__(self, number: int, what: str) -> None:
        super().__init__(f"invariant {number}: {what}")
        self.number = number


class World:
    """What the walker knows of its own doing: everything that it has told the lane."""

    def __init__(self) -> None:
        self.known: dict[str, bool] = {}
        self.online = {"io1": True, SCANNER_IO: True}
        self.stale = {"io1": False, SCANNER_IO: False}
        self.loop_on = False
        self.writable = True
        self.stopping = False

    def good(self, needed: tuple[tuple[str, bool], ...]) -> bool:
        """Whether these contacts are known, fresh and as a scan needs them, and nothing else speaks against one."""
        if not (self.online[SCANNER_IO] and self.online["io1"] and not any(self.stale.values())):
            return False
        if not (self.loop_on and self.writable and not self.stopping):
            return False
        known = self.known
        for name, on in needed:  # noqa: SIM110 - twice a step, and a loop is the fastest
            if known.get(name) is not on:
                return False
        return True


class JudgedLane:
    """A lane with a scanner and its world. `step` gives the lane one input and judges what it did."""

    def __init__(self, lane_setup: LaneSetup, seed: int) -> None:
        self.setup = lane_setup
        self.rng = random.Random(seed)
        self.steps = 0
        self.seen: Counter[str] = Counter()
        self.told: Counter[str] = Counter()
        self.begin()

    # --- a lane with a vehicle in its scanner ------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin again with a vehicle that stands in the scanner's zone."""
        bench, passage = _vehicle_in_zone(self.setup)
        self.state: LaneState = bench.state
        self.now_s = bench.now_s
        self.passage = passage
        self.world = World()
        self.world.known = dict(bench.contacts)
        self.world.loop_on = True
        self.commanded = dict(bench.outputs)
        """What the lane last said that each output is to be, as far as the runner let it through."""
        self.module = dict(bench.outputs)
        """What the module's outputs are."""
        self.held: list[Drive] = []
        self.open: list[tuple[str, str, Outcome]] = []
        self.failed_s: float | None = None
        self.checked_s: float | None = None
        self.good_s: float | None = None
        self.warned_s: float | None = None
        self.estop: str | None = ""
        """"" while no emergency stop was pressed since the last reset; None once one was."""
        self.accepted: list[str] = []
        self.scans: set[str] = set()
        self.keys: list[str] = [f"key-{n}" for n in range(1, 4)]
        self.used = dict.fromkeys(self.state.desk.keys, 0)
        """When each key was first used, in orders. The lane remembers 256 of them."""
        self.orderer = ""
        self.confirmed = False
        self.number = 0
        self.failing = 0.03
        """How many withdrawals the module does not carry out."""

    # --- one step ----------------------------------------------------------------------------------------------------

    def step(self, source: str, event: Event) -> tuple[Effect, ...]:
        before = self.state
        self.learn(source, event)
        given = Input(Instant(self.now_s, UTC_S + self.now_s), source, event)
        try:
            self.state, effects = lane_step.step(self.setup, before, given)
        except Exception as error:
            raise Violation(2, f"the step raised {error!r}") from error
        self.steps += 1
        self.judge(before, event, effects)
        return effects

    def learn(self, source: str, event: Event) -> None:
        """Keep account of what the lane is about to be told."""
        world = self.world
        match event:
            case InputChanged(point, on) if source == SCANNER_IO:
                world.known[point] = on
                if point == "estop_ok" and not on and world.online[SCANNER_IO] and not world.stale[SCANNER_IO]:
                    self.estop = None
            case InputChanged(point, on) if point == SCANNER_LOOP:
                world.loop_on = on
            case InputsStale():
                world.stale[source] = True
            case InputsFresh():
                world.stale[source] = False
                if source == SCANNER_IO and world.known.get("estop_ok") is False:
                    self.estop = None
            case DeviceChanged(state=state):
                world.online[source] = state is DeviceState.ONLINE
                world.stale[source] = False
                if state is not DeviceState.ONLINE:
                    self.forget(source)
                    # The module's own watchdog, which needs no word from us.
                    self.module |= SAFE
            case ModuleWatchdogTripped() if source == SCANNER_IO:
                self.module |= SAFE
            case InputsLost():
                self.forget(SCANNER_IO)
            case StoreChanged(writable=writable):
                world.writable = writable
            case Stopping():
                world.stopping = True
            case Started():
                world.stopping, world.writable = False, True
                world.online = dict.fromkeys(world.online, False)
                world.stale = dict.fromkeys(world.stale, False)
                self.forget(SCANNER_IO)
                self.forget("io1")
                self.held.clear()
                self.open.clear()

    def forget(self, source: str) -> None:
        if source == SCANNER_IO:
            self.world.known = {}
        else:
            self.world.loop_on = False

    # --- judging -----------------------------------------------------------------------------------------------------

    def judge(self, before: LaneState, event: Event, effects: tuple[Effect, ...]) -> None:
        was, now = before.scanner, self.state.scanner
        assert was is not None and now is not None
        drives = [e for e in effects if isinstance(e, Drive) and e.device == SCANNER_IO]
        self.take(drives)
        self.samples(was.state)
        self.follow_changes(was.state, effects)
        if now.state not in BEAM:
            self.check(1, not self.commanded.get("scan_request"), f"requested in {now.state.value}")
        elif was.state not in BEAM:
            self.on_trigger(was.state)
        if not self.world.good(IN_BEAM) or self.state.desk.life is not LaneLife.OPEN:
            self.check(2, not self.commanded.get("scan_request"), f"requested with an interlock lost by {event}")
            self.check(2, now.state not in BEAM, f"{now.state.value} with an interlock lost by {event}")
        if now.state is not S.IDLE and now.state not in (S.DISABLED, S.ARMED, S.POSITIONING, S.ABORTED):
            self.check(2, not self.commanded.get("driver_go"), f"the driver may go in {now.state.value}")
        self.about_event(before, event, drives, effects)

    def check(self, number: int, holds: bool, what: str) -> None:
        if not holds:
            raise Violation(number, f"{what}, step {self.steps}")

    def take(self, drives: list[Drive]) -> None:
        """Withdrawals are performed at once, and fail now and then; what grants waits for the disk."""
        order = [drive.grants for drive in drives]
        self.check(1, order == sorted(order), "something was granted before something was withdrawn")
        for drive in drives:
            if not isinstance(drive.command, WriteOutputs):
                self.open.append((drive.device, drive.command_id, DONE))
                continue
            levels = dict(drive.command.points)
            gives = [on == (name in GIVES) for name, on in levels.items()]
            self.check(1, all(gives) if drive.grants else not any(gives), f"{levels} grants={drive.grants}")
            if drive.grants:
                self.held.append(drive)
                continue
            self.commanded |= levels
            if self.world.online[SCANNER_IO] and self.rng.random() > self.failing:
                self.module |= levels
                self.open.append((drive.device, drive.command_id, DONE))
            else:
                self.open.append((drive.device, drive.command_id, Outcome(Result.UNKNOWN, "no answer")))

    def samples(self, was: S) -> None:
        """Since when everything has held, by the walker's own account."""
        good = self.world.good(HOLD) and self.state.desk.life is LaneLife.OPEN
        if not good:
            self.good_s = self.warned_s = None
        elif self.good_s is None:
            self.good_s = self.now_s
        if self.world.known.get("warning_active") is not True:
            self.warned_s = None
        elif self.warned_s is None and good:
            self.warned_s = self.now_s

    def follow_changes(self, was: S, effects: tuple[Effect, ...]) -> None:
        """Every transition is told, in an unbroken chain, with its cause and its contacts."""
        at = was
        for effect in effects:
            if not isinstance(effect, Publish):
                continue
            told = effect.announcement
            if isinstance(told, ScanRecorded):
                self.told[told.end.value] += 1
                self.told[f"cause {told.cause.value}"] += 1
                self.told["false"] += told.false_abort
            if isinstance(told, ScannerChanged):
                self.check(7, told.previous is at, f"{told.previous} after {at}")
                self.check(7, bool(told.why) and told.cause is not None, "a change without a cause")
                self.check(7, told.contacts.estop_ok is self.contact("estop_ok"), "a change with other contacts")
                at = told.state
                self.seen[at.value] += 1
                self.seen[f"{told.previous.value} {at.value}"] += 1
                if at is S.WARNING:
                    self.checked_s = self.now_s
                    sampled = self.good_s is not None and self.now_s - self.good_s > 0.25
                    self.check(1, sampled and told.previous is S.INTERLOCK_CHECK, "a warning without two good samples")
        now = self.state.scanner
        self.check(7, now is not None and at is now.state, f"the state is not the one told: {at}")

    def contact(self, name: str) -> bool | None:
        known = self.world.online[SCANNER_IO] and not self.world.stale[SCANNER_IO]
        return self.world.known.get(name) if known else None

    def on_trigger(self, was: S) -> None:
        """The request is about to be given: by the one way there is."""
        now = self.state.scanner
        assert now is not None
        self.check(1, was is S.WARNING and now.state is S.TRIGGERED, f"triggered from {was.value}")
        for since_s, what in ((self.good_s, "conditions"), (self.warned_s, "warning"), (self.checked_s, "state")):
            held = since_s is not None and self.now_s - since_s >= WARNING_S - ROUNDING_S
            self.check(1, held, f"triggered with too short a time of {what}")
        self.check(3, self.estop is not None, "triggered after an emergency stop without a reset")
        key = now.scan.key if now.scan is not None else ""
        self.check(3, key in self.accepted, "triggered on an order from before the emergency stop")
        self.check(4, now.scan is not None and now.scan.expires_s >= self.now_s - ROUNDING_S, "the order had expired")
        if self.setup.scanner is not None and self.setup.scanner.two_persons:
            self.check(4, self.confirmed, "triggered with one person's word")

    def about_event(self, before: LaneState, event: Event, drives: list[Drive], effects: tuple[Effect, ...]) -> None:
        was, now = before.scanner, self.state.scanner
        assert was is not None and now is not None
        match event:
            case CentralChanged():
                self.check(4, not drives and was.state is now.state, "the port's reach changed something")
            case Started():
                self.check(5, now.state is (S.FAULT if was.state is S.FAULT else S.DISABLED), f"{now.state} at start")
                self.check(5, not now.grants and now.scan is None, "something stands after a start")
                if was.scan is not None:
                    marks = [p.scan for p in self.state.tracking.passages if p.id == was.scan.passage]
                    self.check(5, marks in ([], [ScanEnd.INTERRUPTED]), "the passage was not marked")
                    ends = [
                        e.announcement.end
                        for e in effects
                        if isinstance(e, Publish) and isinstance(e.announcement, ScanRecorded)
                    ]
                    self.check(5, ends == [ScanEnd.INTERRUPTED], "no record of the interrupted scan")
            case InputChanged("scan_complete", True) if was.state is not S.SCANNING:
                same = was.state is now.state and was.scan == now.scan and was.grants == now.grants
                self.check(6, same and not drives, "a late or repeated end of scan changed something")
            case OrderGiven(order):
                self.about_order(order, effects, drives)

    def about_order(self, order: Order, effects: tuple[Effect, ...], drives: list[Drive]) -> None:
        outcome = next(e.outcome for e in effects if isinstance(e, Answer))
        done = outcome.result is Result.DONE
        lately = self.number - self.used.setdefault(order.key, self.number)
        if 0 < lately < 200 or (isinstance(order.request, ScanVehicle) and order.key in self.scans):
            self.check(4, not done, "an order was taken up twice")
        if order.deadline_utc_s < UTC_S + self.now_s:
            self.check(4, not done, "a late order was taken up")
        if not done:
            self.check(4, not any(drive.grants for drive in drives), "a refused order granted something")
            return
        match order.request:
            case ScanVehicle():
                self.keys.append(order.key)
                self.scans.add(order.key)
                self.orderer, self.confirmed = order.actor.name, False
                if self.estop is not None:
                    self.accepted.append(order.key)
            case ConfirmScan():
                self.check(4, order.actor.name != self.orderer, "the same person confirmed")
                self.check(4, order.actor.role in (Role.OFFICER, Role.SUPERVISOR), "confirmed from elsewhere")
                self.confirmed = True
            case ResetScanner():
                self.estop = ""
                self.accepted.clear()


def _vehicle_in_zone(lane_setup: LaneSetup) -> tuple[ScannerBench, str]:
    bench = _STARTS.get(lane_setup.scanner.two_persons if lane_setup.scanner else False)
    if bench is None:
        fresh = ScannerBench(lane_setup)
        fresh.enabled()
        passage = fresh.at_booth()
        fresh.drives_in()
        fresh.wait(2.0)
        bench = _STARTS[lane_setup.scanner.two_persons if lane_setup.scanner else False] = (fresh, passage)
    return bench


_STARTS: dict[bool, tuple[ScannerBench, str]] = {}
"""A lane with a vehicle in its scanner, by whether two persons are asked for. States are never changed in place."""
