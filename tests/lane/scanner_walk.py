"""Random walks of a lane with a scanner, every step of them held against what must never happen.

The walker is the world: modules with contacts and outputs, people, clock, disk. It keeps its own account of what it
has told the lane (`known`), and judges by that, not by the lane's own notes. `Walk` takes its choices from a
`random.Random`, so that a seed is a walk; `Violation` says which invariant broke, at which step.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from scanner_bench import (
    AT_REST,
    CENTRAL,
    OFFICER,
    SCANNER_IO,
    SECOND,
    SUPERVISOR,
    TECHNICIAN,
    UTC_S,
    ScannerBench,
    setup,
)

from lanecontrol.announcements import LaneLife, ScanEnd, ScannerChanged, ScannerState, ScanRecorded
from lanecontrol.clock import Instant
from lanecontrol.commands import (
    DONE,
    AbortScan,
    Actor,
    CloseLane,
    ConfirmDriverOut,
    ConfirmScan,
    DeclareEmergency,
    EnableScanner,
    OpenLane,
    Order,
    Outcome,
    Request,
    ResetLane,
    ResetScanner,
    Result,
    Role,
    ScanVehicle,
    WriteOutputs,
)
from lanecontrol.events import (
    CentralChanged,
    CommandEnded,
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
    OutputsRead,
    Started,
    Stopping,
    StoreChanged,
    Tick,
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


class Walk:
    """One walk. `step` gives the lane one input and judges what it did; `go` chooses the inputs."""

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

    # --- the world's doings ------------------------------------------------------------------------------------------

    def go(self, steps: int) -> None:
        """Walk for so many steps."""
        upto = self.steps + steps
        while self.steps < upto:
            episode = min(upto, self.steps + self.rng.randrange(150, 500))
            while self.steps < episode:
                self.choose()
            self.settle()
            self.begin()

    def choose(self) -> None:
        rng, chance = self.rng, self.rng.random()
        if self.open and chance < 0.35:
            device, command, outcome = self.open.pop(0)
            self.step(device, CommandEnded(command, outcome))
        elif self.held and chance < 0.55:
            self.commit(self.held.pop(0))
        elif chance < 0.80:
            self.help_on()
        elif chance < 0.93:
            self.tick(rng.choice((0.0, 0.05, 0.2, 0.3, 0.6, 1.0, 2.0)))
        elif chance < 0.965:
            name = rng.choice(list(AT_REST))
            self.edge(name, not self.world.known.get(name, False))
        else:
            rng.choice(self.DISTURBANCES)(self)

    def commit(self, drive: Drive) -> None:
        """The ledger has it: the runner asks once more, and performs what grants."""
        if not lane_step.still_granted(self.state, drive.command_id):
            self.step(drive.device, CommandEnded(drive.command_id, Outcome(Result.REFUSED, "withdrawn")))
            return
        if not self.world.online[SCANNER_IO] or self.rng.random() < 0.02:
            self.step(drive.device, CommandEnded(drive.command_id, Outcome(Result.UNKNOWN, "no answer")))
            return
        assert isinstance(drive.command, WriteOutputs)
        levels = dict(drive.command.points)
        self.commanded |= levels
        self.module |= levels
        scanner = self.state.scanner
        assert scanner is not None
        if levels.get("scan_request"):
            self.check(1, scanner.state in BEAM, f"requested in {scanner.state.value}, late")
            self.check(2, self.world.good(IN_BEAM), "requested late, with an interlock lost")
        self.open.append((drive.device, drive.command_id, DONE))

    def tick(self, most_s: float) -> None:
        due_s = lane_step.deadline(self.state)
        until_s = self.now_s + most_s
        self.now_s = until_s if due_s is None else max(self.now_s, min(due_s, until_s))
        if self.rng.random() < 0.02:
            self.now_s += 1.0  # the clock was late
        self.step("lane", Tick())

    def edge(self, name: str, on: bool) -> None:
        self.step(SCANNER_IO, InputChanged(name, on))

    def order(self, request: Request, actor: Actor = OFFICER, key: str = "", late: bool = False) -> None:
        self.number += 1
        chance = self.rng.random()
        key = key or (self.rng.choice(self.keys) if chance < 0.04 else f"walk-{self.number}")
        self.give(request, actor, key, -1.0 if late or chance > 0.96 else 10.0)

    def give(self, request: Request, actor: Actor, key: str, in_time_s: float) -> None:
        self.step("port", OrderGiven(Order(key, actor, request, UTC_S + self.now_s + in_time_s)))

    def help_on(self) -> None:
        """What a good world does next, so that walks come far."""
        world, scanner = self.world, self.state.scanner
        assert scanner is not None
        for device in world.online:
            if not world.online[device]:
                self.step(device, DeviceChanged(DeviceState.ONLINE, "back"))
                return
            if world.stale[device]:
                self.step(device, InputsFresh())
                return
        if not world.loop_on:
            self.step("io1", InputChanged(SCANNER_LOOP, True))
        elif not world.writable:
            self.step("lane", StoreChanged(True, ""))
        elif world.stopping:
            self.step("lane", Started(False, "boot-1"))
        elif self.state.desk.life is not LaneLife.OPEN:
            reset = self.state.desk.life not in (LaneLife.CLOSED, LaneLife.OPENING, LaneLife.CLOSING)
            self.order(ResetLane() if reset else OpenLane(), SUPERVISOR)
        else:
            self.help_scanner(scanner.state)

    def help_scanner(self, state: S) -> None:
        known = self.world.known
        wrong = [name for name, on in NEEDED.items() if name in HOLDS and known.get(name) is not on]
        missing = [name for name in AT_REST if name not in known]
        if missing:
            self.edge(missing[0], NEEDED[missing[0]])
        elif state in (S.TRIGGERED, S.SCANNING, S.COMPLETING, S.ABORTING):
            self.help_beam(state)
        elif wrong:
            self.edge(wrong[0], NEEDED[wrong[0]])
        elif known["scan_in_progress"] or known["scan_complete"]:
            self.edge("scan_in_progress" if known["scan_in_progress"] else "scan_complete", False)
        else:
            self.help_people(state)

    def help_people(self, state: S) -> None:
        scanner = self.state.scanner
        assert scanner is not None
        scan = scanner.scan
        known = self.world.known
        if state in (S.FAULT, S.ABORTED) or (scanner.tripped and self.rng.random() < 0.5):
            self.order(ResetScanner())
        elif state is S.DISABLED:
            self.order(EnableScanner())
        elif state is S.IDLE and self.rng.random() < 0.03:
            self.edge(self.rng.choice(("shutter_open", "scan_in_progress")), True)
            for _ in range(3):
                self.now_s += 0.6
                self.step("lane", Tick())
        elif state is S.IDLE:
            if self.rng.random() < 0.1:
                self.step("io1", InputChanged(SCANNER_LOOP, False))
            self.order(ScanVehicle(self.passage, "gamma alarm", self.rng.choice((5.0, 60.0, 300.0, 300.0))))
        elif scan is not None and not scan.confirmed and scan.needs_second and state is not S.WARNING:
            self.order(ConfirmScan(scan.key), self.rng.choice((SECOND, SECOND, OFFICER, CENTRAL)))
        elif scan is not None and not scan.driver_out and state in (S.POSITIONING, S.INTERLOCK_CHECK):
            self.order(ConfirmDriverOut(scan.key))
        elif state is S.WARNING and known["warning_active"] is not self.module.get("warning_request", False):
            self.edge("warning_active", self.module.get("warning_request", False))
        elif state is not S.WARNING and known["warning_active"]:
            self.edge("warning_active", False)
        else:
            self.tick(10.0)

    def help_beam(self, state: S) -> None:
        known, on = self.world.known, self.module.get("scan_request", False)
        beam = on and not known["scan_complete"]
        wanted = {"shutter_closed": not beam, "scan_in_progress": beam, "shutter_open": beam}
        wrong = [name for name, level in wanted.items() if known[name] is not level]
        if state in (S.COMPLETING, S.ABORTING) and self.rng.random() < 0.1:
            self.now_s += 3.0  # a shutter that sticks
            self.step("lane", Tick())
        elif wrong and self.rng.random() < 0.9:
            self.edge(wrong[0], wanted[wrong[0]])
        elif state is S.SCANNING and self.rng.random() < 0.3:
            self.edge("scan_complete", True)
        else:
            self.tick(1.0)

    def settle(self) -> None:
        """Everybody does what they should for a while: what was withdrawn in vain has come true by then."""
        self.failing = 0.3
        self.step(SCANNER_IO, InputsStale(0.3))
        # In time for certain: an order that comes late is rightly refused, and then the scan rightly goes on.
        self.give(AbortScan(), TECHNICIAN, f"abort-{self.steps}", 10.0)
        self.failing = 0.03
        for _ in range(40):
            while self.open:
                device, command, outcome = self.open.pop(0)
                self.step(device, CommandEnded(command, outcome))
            if not self.world.online[SCANNER_IO]:
                self.step(SCANNER_IO, DeviceChanged(DeviceState.ONLINE, "back"))
            for drive in self.held:
                self.step(drive.device, CommandEnded(drive.command_id, Outcome(Result.REFUSED, "full")))
            self.held.clear()
            self.now_s += 0.4
            self.step("lane", Tick())
        if not self.open:
            for name in ("scan_request", "scan_arm", "driver_go"):
                self.check(2, not self.module.get(name), f"{name} is still on, and nobody says so again")

    # --- disturbances ------------------------------------------------------------------------------------------------

    def stale(self) -> None:
        self.step(self.rng.choice((SCANNER_IO, SCANNER_IO, "io1")), InputsStale(0.3))

    def away(self) -> None:
        device = self.rng.choice((SCANNER_IO, SCANNER_IO, "io1"))
        self.step(device, DeviceChanged(self.rng.choice((DeviceState.OFFLINE, DeviceState.FAULT)), "gone"))

    def watchdog(self) -> None:
        self.step(SCANNER_IO, ModuleWatchdogTripped())

    def lost(self) -> None:
        self.step("lane", InputsLost(3))

    def store(self) -> None:
        self.step("lane", StoreChanged(False, "full"))

    def central(self) -> None:
        self.step("lane", CentralChanged(self.rng.random() < 0.5, "link"))

    def restart(self) -> None:
        self.step("lane", Started(False, self.rng.choice(("boot-1", "boot-2"))))

    def stop(self) -> None:
        self.step("lane", Stopping("SIGTERM"))

    def off_loop(self) -> None:
        self.step(
            "io1", InputChanged(self.rng.choice((SCANNER_LOOP, "loop_booth", "loop_exit")), self.rng.random() < 0.5)
        )

    def odd_outputs(self) -> None:
        """The module shows something that may not be what it was told."""
        name = self.rng.choice(sorted(GIVES))
        self.step(SCANNER_IO, OutputsRead(((name, self.rng.random() < 0.5),)))

    def close_lane(self) -> None:
        request = self.rng.choice((CloseLane(), DeclareEmergency(), AbortScan(), AbortScan()))
        self.order(request, self.rng.choice((OFFICER, CENTRAL)))

    def estop_pressed(self) -> None:
        self.edge("estop_ok", False)
        if self.rng.random() < 0.5:
            self.edge("estop_ok", True)

    def late_pulse(self) -> None:
        self.edge("scan_complete", False)
        self.edge("scan_complete", True)

    def wrong_order(self) -> None:
        """Late, repeated, by nobody, for another scan or another vehicle."""
        scanner, rng = self.state.scanner, self.rng
        assert scanner is not None
        key = scanner.scan.key if scanner.scan is not None else rng.choice(self.keys)
        requests: list[Request] = [
            ScanVehicle(rng.choice((self.passage, "31-999999")), rng.choice(("", "again")), rng.choice((-1.0, 60.0))),
            ConfirmScan(rng.choice((key, "foreign"))),
            ConfirmDriverOut(rng.choice((key, "foreign"))),
            ResetScanner(),
            EnableScanner(),
        ]
        again = "" if rng.random() < 0.5 else rng.choice(self.keys)
        actor = rng.choice((OFFICER, SECOND, CENTRAL, TECHNICIAN, Actor("", Role.OFFICER)))
        self.order(rng.choice(requests), actor, again, late=rng.random() < 0.3)

    DISTURBANCES: tuple[Callable[[Walk], None], ...] = (
        stale,
        away,
        watchdog,
        lost,
        store,
        central,
        restart,
        stop,
        off_loop,
        odd_outputs,
        close_lane,
        estop_pressed,
        late_pulse,
        late_pulse,
        wrong_order,
        wrong_order,
    )


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


def lane(*, two_persons: bool = True) -> LaneSetup:
    return setup(two_persons=two_persons)
