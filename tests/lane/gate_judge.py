"""A lane with signals, gate and overrides in a world of its own, every step held against what must never happen.

Lamps burn out, a module is away or drops its outputs, an arm takes its time. Grants are carried out late, as a slow
disk does; what withdraws at once. It keeps its own account of all that and judges by it, not by the lane's notes.
`Violation` says which invariant broke (its number in `INVARIANTS`), at which step.
"""

from __future__ import annotations

import random
from collections import Counter, deque

from equipped_bench import LAMPS, equipped
from lane_bench import UTC_S

from lanecontrol.announcements import EquipmentFault, LaneLife, OverridePhase, OverrideTold, PassageClosed
from lanecontrol.clock import Instant
from lanecontrol.commands import (
    DONE,
    Actor,
    DeclareEmergency,
    Dispose,
    Disposition,
    Order,
    Outcome,
    Override,
    OverridePart,
    Result,
    Role,
    WriteOutputs,
)
from lanecontrol.events import (
    CommandEnded,
    DeviceChanged,
    DeviceState,
    Event,
    Input,
    InputChanged,
    InputsLost,
    OrderGiven,
    Started,
    Stopping,
    Tick,
)
from lanecontrol.lane import step as lane_step
from lanecontrol.lane.effects import Answer, Drive, Effect, Publish
from lanecontrol.lane.passages import GOING
from lanecontrol.lane.setup import LaneSetup
from lanecontrol.lane.state import LaneState

INVARIANTS = {
    1: "no two lamps of one head are on, between two writes either",
    2: "what opens, releases or calls in is marked as granting, and nothing else is",
    3: "the gate opens and the signal proceeds by a fresh, valid order of somebody who may, and by nothing else",
    4: "no output permits what no permission stands for, however late a command is carried out",
    5: "the gate is never commanded down while something may be under it, nor at all while somebody works on it",
    6: "every override ends in time, also over a restart",
    7: "the green arrow stands for an open lane that is sound, and goes in the step of any doubt",
    8: "a dark, or a contradictory, signal is told within a second and nobody is released on it",
    9: "a gate that is open though never commanded is told within a second",
    10: "in doubt, in an emergency and at a start everything is red in that very step",
    11: "who leaves without a disposition through a gate held open is recorded as not inspected",
}

TICK_S = 0.011
"""Deadlines are met this well by a runner."""
GREEN, RED, ARROW, YELLOW, CROSS = "signal_green", "signal_red", "lane_open", "lane_closing", "lane_closed"
GATE = "gate_open"
HEADS = ((GREEN, RED), (ARROW, YELLOW, CROSS))
PERMISSIVE = {GREEN, ARROW, GATE}
LOOPS = ("approach", "booth", "exit")
TECHNICIAN, CENTRAL = Actor("t", Role.TECHNICIAN), Actor("port", Role.CENTRAL)
MENDERS = (Role.SUPERVISOR, Role.TECHNICIAN)
PLACES = ("approach", "booth", "arm", "exit")


class Violation(AssertionError):
    """An invariant broke."""

    def __init__(self, number: int, step: int, what: str) -> None:
        super().__init__(f"{number} ({INVARIANTS[number]}), at step {step}: {what}")
        self.number = number


class JudgedLane:
    """One lane and its world. `give` is one input; every one is judged."""

    def __init__(self, seed: int, lane_setup: LaneSetup | None = None) -> None:
        self.rng = random.Random(seed)
        self.setup = lane_setup if lane_setup is not None else equipped(simulated=True)
        self.state: LaneState = lane_step.initial(self.setup)
        self.now_s = 100.0
        self.steps = 0
        self.seen: Counter[str] = Counter()
        # the world
        self.cars: set[str] = set()
        self.forced = False
        self.arm = 0.0
        self.burnt: set[str] = set()
        self.welded: set[str] = set()
        self.emergency = False
        self.outputs: dict[str, bool] = {}
        self.online = self.fresh = False
        self.writable, self.stopping = True, False
        # what the lane was told, by contact: since when
        self.told: dict[str, bool] = {}
        self.since_s: dict[str, float] = {}
        self.late: deque[tuple[float, Drive]] = deque()
        self.overrides: dict[str, tuple[OverrideTold, float]] = {}
        self.orders: dict[str, Order] = {}
        self.number = 0
        self.dark_s: dict[str, float | None] = {"signal": None, "lane_signal": None}
        self.faults: set[tuple[str, str]] = set()
        self.forced_s: float | None = None
        self.begin(cold=True)

    # --- giving inputs -----------------------------------------------------------------------------------------------

    def give(self, event: Event, source: str = "io1") -> None:
        self.steps += 1
        before = self.state
        given = Input(Instant(self.now_s, UTC_S + self.now_s), source, event)
        self.state, effects = lane_step.step(self.setup, before, given)
        for effect in effects:
            match effect:
                case Publish(OverrideTold() as told):
                    self.overridden(told)
                case Publish(EquipmentFault(equipment, code, active=active)):
                    (self.faults.add if active else self.faults.discard)((equipment, code))
                    self.seen[f"fault {code}"] += active
                case Publish(PassageClosed() as closed):
                    self.recorded(closed)
                case Answer(_, outcome):
                    self.seen[f"order {outcome.result.value}"] += 1
        for effect in effects:
            if isinstance(effect, Drive):
                self.driven(effect, before, given)
        self.check(effects, event)

    def fail(self, number: int, what: str) -> None:
        raise Violation(number, self.steps, what)

    def driven(self, drive: Drive, before: LaneState, given: Input) -> None:
        if not isinstance(drive.command, WriteOutputs):
            if drive.grants:
                self.fail(2, "a command that grants nothing is marked as granting")
            self.perform(drive)
            return
        points = dict(drive.command.points)
        if any(points.get(name) for name in PERMISSIVE) is not drive.grants:
            self.fail(2, f"{points} marked {drive.grants}")
        if drive.grants and (points.get(GREEN) or points.get(GATE)):
            self.granted(points, before, given)
        if points.get(GATE) is False:
            self.lowered()
        elif GATE in points and self.held("gate_held"):
            self.fail(5, "the gate was commanded though somebody works on it")
        if drive.grants:
            self.seen["arrow" if points.get(ARROW) else "grant"] += 1
            self.late.append((self.now_s + self.rng.choice((0.0, 0.0, 0.05, 0.3)), drive))
        else:
            self.perform(drive)

    def granted(self, points: dict[str, bool], before: LaneState, given: Input) -> None:
        event = given.event
        if not isinstance(event, OrderGiven):
            self.fail(3, f"{type(event).__name__} granted {points}")
            return
        order = event.order
        if order.key in before.desk.keys or not order.deadline_utc_s >= given.at.utc_s:
            self.fail(3, "by a repeated or late order")
        match order.request:
            case Dispose(disposition=disposition):
                ok = disposition in GOING and order.actor.role in (Role.OFFICER, Role.SUPERVISOR)
                ok = ok and before.desk.life in (LaneLife.OPEN, LaneLife.CLOSING) and not self.anything_held()
            case Override(OverridePart.GATE_OPEN):
                emergency = before.desk.life is LaneLife.EMERGENCY and order.actor.role is Role.OFFICER
                ok = (order.actor.role is Role.SUPERVISOR or emergency) and GREEN not in points
                ok = ok and not self.held("gate_held")
            case _:
                ok = False
        if not ok or not self.online or not self.writable or self.stopping:
            self.fail(3, f"{order.request} by {order.actor.role} granted {points}")

    def lowered(self) -> None:
        """The gate's open command was taken back. What may be under the arm, by what the lane was told?"""
        self.seen["lowered"] += 1
        if self.held("gate_held") or self.held("gate_open"):
            self.fail(5, "commanded though it is set aside by hand")
        if not (self.online and self.fresh):
            self.fail(5, "commanded down on stale inputs")
        if any(self.held("loop_out", name) for name in ("booth", "exit")):
            self.fail(5, "commanded down with a loop left out")
        for contact in ("beam", "loop_exit"):
            if self.told.get(contact) is not False or self.now_s - self.since_s[contact] < 1.0 - TICK_S:
                self.fail(5, f"commanded down with {contact} {self.told.get(contact)}")

    def perform(self, drive: Drive) -> None:
        """Carry a command out at the module, point by point in the order given."""
        if not self.online:
            outcome = Outcome(Result.REFUSED, "the module is not connected")
        elif drive.grants and not lane_step.still_granted(self.state, drive.command_id):
            outcome = Outcome(Result.REFUSED, "withdrawn")
        elif self.rng.random() < 0.003:
            outcome = Outcome(self.rng.choice((Result.FAILED, Result.UNKNOWN)), "the module did not answer")
        else:
            outcome = DONE
            if isinstance(drive.command, WriteOutputs):
                for point, on in drive.command.points:
                    self.outputs[point] = on
                    self.conflict()
        self.ends.append((drive.command_id, outcome))

    def conflict(self) -> None:
        for head in HEADS:
            if sum(self.outputs.get(lamp, False) for lamp in head) > 1:
                self.fail(1, f"{self.outputs}")

    # --- overrides ---------------------------------------------------------------------------------------------------

    def overridden(self, told: OverrideTold) -> None:
        self.seen[f"override {told.part.value} {told.phase.value}"] += 1
        if told.phase is OverridePhase.SET:
            self.overrides[told.override] = (told, self.now_s + told.left_s)
        elif told.phase is OverridePhase.ENDED:
            self.overrides.pop(told.override)
        elif told.left_s > self.overrides[told.override][1] - self.now_s + TICK_S:
            self.fail(6, "it grew longer")

    def held(self, part: str, name: str = "") -> bool:
        return any(told.part.value == part and told.name == name for told, _ in self.overrides.values())

    def anything_held(self) -> bool:
        return any(told.part is not OverridePart.LOOP_OUT for told, _ in self.overrides.values())

    def recorded(self, closed: PassageClosed) -> None:
        self.seen[f"closed {closed.end.value}"] += 1
        by = closed.disposition
        if by is not None and by.disposition is Disposition.LANE_PASS_UNINSPECTED:
            self.seen["uninspected"] += 1
            if "equipment.override" not in [finding.code for finding in closed.findings]:
                self.fail(11, "and no finding says so")

    # --- what must hold after every step -----------------------------------------------------------------------------

    def check(self, effects: tuple[Effect, ...], event: Event) -> None:
        state, equipment = self.state, self.state.equipment
        drives = [effect for effect in effects if isinstance(effect, Drive)]
        if any(isinstance(effect, Drive) and not effect.grants for effect in effects[len(drives) :]) and not any(
            drive.grants for drive in drives
        ):
            self.fail(10, "what withdraws does not come first")
        self.all_red(effects, event)
        if equipment.lane_aspect.value == "open" and self.unsound():
            self.fail(7, self.unsound())
        for told, until_s in self.overrides.values():
            if self.now_s > until_s + TICK_S and not isinstance(event, Started):
                self.fail(6, f"{told.part} {told.name} is {self.now_s - until_s:.2f} s over its time")
        if state.desk.permission is not None:
            why = self.away() or ("an override" if self.anything_held() else "")
            if why:
                self.fail(10, f"a permission stands: {why}")
            if {("signal", "dark"), ("signal", "lamps_conflict")} & self.faults:
                self.fail(8, "a permission stands on a signal with a fault")

    def unsound(self) -> str:
        """Why no green arrow may stand, by what the lane was told."""
        state = self.state
        if state.desk.life is not LaneLife.OPEN:
            return f"the lane is {state.desk.life.value}"
        if why := self.away():
            return why
        if self.anything_held():
            return "an override"
        if any(equipment in ("signal", "lane_signal") for equipment, code in self.faults if code != "readback"):
            return "a signal has a fault"
        return ""

    def away(self) -> str:
        """Why nothing at all may be granted."""
        if self.stopping or not self.writable:
            return "stopping, or no store"
        if not self.online or not self.fresh:
            return "the module is away or stale"
        return "" if self.told.get("emergency") is False else "the emergency button"

    def all_red(self, effects: tuple[Effect, ...], event: Event) -> None:
        match event:
            case Started() | Stopping() | InputsLost() | InputChanged("emergency", True):
                pass
            case OrderGiven(Order(key, request=DeclareEmergency())) if any(
                isinstance(e, Answer) and e.key == key and e.outcome == DONE for e in effects
            ):
                pass
            case _:
                return
        self.seen["all red"] += 1
        commanded: dict[str, bool] = {}
        for effect in effects:
            if isinstance(effect, Drive) and isinstance(effect.command, WriteOutputs):
                commanded |= dict(effect.command.points)
        if not (commanded.get(RED) and commanded.get(CROSS)) or any(commanded.get(name) for name in PERMISSIVE):
            self.fail(10, f"{type(event).__name__}: {commanded}")

    def settled(self) -> None:
        """Nothing is under way: what the outputs permit is what stands."""
        if not self.online or self.late:
            return
        permission = self.state.desk.permission
        if self.outputs.get(GREEN) and permission is None and not self.reasserting():
            self.fail(4, "green without a permission")
        if self.outputs.get(ARROW) and self.state.equipment.lane_aspect.value != "open" and not self.reasserting():
            self.fail(4, "a green arrow that is not meant")
        self.lamps_told()
        self.gate_told()

    def reasserting(self) -> bool:
        """A command failed, and what withdraws is about to be said again."""
        return self.state.equipment.reassert_s is not None

    def lamps_told(self) -> None:
        for name, head in (("signal", HEADS[0]), ("lane_signal", HEADS[1])):
            lit = [lamp for lamp in head if self.told.get(_contact(lamp))]
            bad = len(lit) != 1 and self.fresh and self.outputs.keys() >= set(head)
            if not bad:
                self.dark_s[name] = None
            elif self.dark_s[name] is None:
                self.dark_s[name] = self.now_s
            elif self.now_s - (self.dark_s[name] or 0.0) > 1.0 and not any(
                equipment == name for equipment, _ in self.faults
            ):
                self.fail(8, f"{name} shows {lit} and nobody was told")

    def gate_told(self) -> None:
        equipment = self.state.equipment
        up = self.told.get("gate_opened") and not self.told.get("gate_closed")
        quiet = equipment.gate_watch_s is None and self.fresh and not self.held("gate_held")
        if not (up and quiet and not equipment.gate_open and not self.told.get("gate_fault")):
            self.forced_s = None
        elif self.forced_s is None:
            self.forced_s = self.now_s
        elif self.now_s - self.forced_s > 1.0 and not any(what == "gate" for what, _ in self.faults):
            self.fail(9, "and nobody was told")

    # --- time --------------------------------------------------------------------------------------------------------

    ends: deque[tuple[str, Outcome]]

    def begin(self, *, cold: bool) -> None:
        self.ends = deque()
        self.late.clear()
        self.online = self.fresh = False
        self.told.clear()
        self.stopping, self.writable = False, True
        self.give(Started(cold, "boot-1"), "lane")
        self.connect()

    def connect(self) -> None:
        self.online = self.fresh = True
        self.told.clear()
        self.dark_s, self.forced_s = {"signal": None, "lane_signal": None}, None
        self.give(DeviceChanged(DeviceState.ONLINE, "connected"))
        self.sense()

    def settle(self) -> None:
        """Carry out what is due, say how it ended, and let the contacts follow."""
        for _ in range(30):
            if self.late and self.late[0][0] <= self.now_s:
                self.perform(self.late.popleft()[1])
            elif self.ends:
                command, outcome = self.ends.popleft()
                self.give(CommandEnded(command, outcome))
            elif not self.sense():
                self.settled()
                return

    def wait(self, duration_s: float) -> None:
        until_s = self.now_s + duration_s
        self.settle()
        for _ in range(3000):
            moments_s = [until_s]
            due_s = lane_step.deadline(self.state)
            if due_s is not None:
                moments_s.append(due_s)
            if self.late:
                moments_s.append(self.late[0][0])
            moment_s = max(self.now_s, min(moments_s))
            self.move_arm(moment_s - self.now_s)
            self.now_s = moment_s
            if due_s is not None and due_s <= self.now_s:
                self.give(Tick(), "lane")
            self.settle()
            if self.now_s >= until_s:
                return
        raise AssertionError("ticks without end")

    def move_arm(self, dt_s: float) -> None:
        up = self.forced or self.outputs.get(GATE, False) or "arm" in self.cars
        self.arm = min(1.0, self.arm + dt_s) if up else max(0.0, self.arm - dt_s)

    def sense(self) -> bool:
        """Tell the lane what contacts say now. Whether anything was told."""
        if not (self.online and self.fresh):
            return False
        changed = False
        for contact, on in self.contacts().items():
            if self.told.get(contact) is not on:
                if contact not in self.told or self.told[contact] is not on:
                    self.since_s[contact] = self.now_s
                self.told[contact] = on
                self.give(InputChanged(contact, on))
                changed = True
        return changed

    def contacts(self) -> dict[str, bool]:
        lamps = {c: (self.outputs.get(o, False) and c not in self.burnt) or c in self.welded for c, o in LAMPS.items()}
        return {
            "loop_approach": "approach" in self.cars,
            "loop_booth": "booth" in self.cars,
            "loop_exit": "exit" in self.cars,
            "beam": "arm" in self.cars,
            "gate_opened": self.arm >= 1.0,
            "gate_closed": self.arm <= 0.0,
            "gate_fault": False,
            "emergency": self.emergency,
            **lamps,
        }


def _contact(lamp: str) -> str:
    return next(contact for contact, output in LAMPS.items() if output == lamp)
