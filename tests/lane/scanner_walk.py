"""Random walks of a lane with a scanner: what the world, people and failures do.

Each step is judged by `scanner_judge`. `Walk` takes its choices from a `random.Random`, so that a seed is a walk.
"""

from __future__ import annotations

from collections.abc import Callable

from scanner_bench import AT_REST, CENTRAL, OFFICER, SCANNER_IO, SECOND, SUPERVISOR, TECHNICIAN, UTC_S, setup
from scanner_judge import BEAM, GIVES, HOLDS, IN_BEAM, NEEDED, SCANNER_LOOP, JudgedLane, S

from lanecontrol.announcements import LaneLife
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
from lanecontrol.lane.effects import Drive
from lanecontrol.lane.setup import LaneSetup


class Walk(JudgedLane):
    """One walk: `go` chooses the inputs."""

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


def lane(*, two_persons: bool = True) -> LaneSetup:
    return setup(two_persons=two_persons)
