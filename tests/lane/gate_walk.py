"""Random walks of a lane with signals, gate, beacon and overrides: what drivers, people and failures do.

Each step is judged by `gate_judge`. A seed is a walk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from equipped_bench import CONTACTS, LAMPS
from gate_judge import ARROW, CENTRAL, CROSS, GATE, GREEN, LOOPS, RED, TECHNICIAN, YELLOW, JudgedLane
from lane_bench import OFFICER, SUPERVISOR, UTC_S

from lanecontrol.announcements import LaneLife
from lanecontrol.commands import (
    Acknowledge,
    Actor,
    CloseLane,
    DeclareEmergency,
    Dispose,
    Disposition,
    EnableEquipment,
    EndOverride,
    NextVehicle,
    OpenLane,
    Order,
    Override,
    OverridePart,
    Request,
    ResetLane,
)
from lanecontrol.events import (
    DeviceChanged,
    DeviceState,
    InputChanged,
    InputsFresh,
    InputsLost,
    InputsStale,
    ModuleWatchdogTripped,
    OrderGiven,
    OutputsRead,
    Stopping,
    StoreChanged,
    TagRead,
)
from lanecontrol.identifier import Identifier


class Walk(JudgedLane):
    """One lane and its world, walked at random."""

    def go(self, steps: int, *often: Callable[[Walk], None]) -> Walk:
        """Walk until so many inputs were given; some of what happens can be made to happen more often."""
        weights = [weight + 80 * (action in often) for action, weight in zip(ACTIONS, WEIGHTS, strict=True)]
        while self.steps < steps:
            self.rng.choices(ACTIONS, weights)[0](self)
            self.wait(self.rng.choice((0.0, 0.05, 0.2, 0.4, 1.0, 1.5, 3.0)))
            if self.rng.random() < 0.003:
                self.wait(self.rng.choice((20.0, 70.0, 700.0)))
        return self

    def drive_on(self) -> None:
        """The foremost car that can goes on to the next place; cars at the booth mostly wait for the gate."""
        for place, ahead in (("exit", ""), ("arm", "exit"), ("booth", "arm"), ("approach", "booth"), ("", "approach")):
            free = not ahead or ahead not in self.cars
            lawful = place != "booth" or self.arm >= 1.0
            if (place in self.cars or not place) and free and (lawful or self.rng.random() < 0.02):
                self.cars.add(ahead) if ahead else None
                self.wait(self.rng.choice((0.1, 0.5)))
                self.cars.discard(place)
                return

    def back_out(self) -> None:
        if "booth" in self.cars and "approach" not in self.cars:
            self.cars.add("approach")
            self.wait(0.3)
            self.cars.discard("booth")

    def read(self) -> None:
        self.give(TagRead(1, Identifier("f00000000100000000000001"), -52.0), "rfid1")

    def dispose(self) -> None:
        """The officer decides about whoever is at the booth."""
        here = [p.id for p in self.state.tracking.passages if p.head == 1 and p.adrift_s is None and p.gone_s is None]
        disposition = self.rng.choice((*[Disposition.RELEASED] * 4, Disposition.REFER_SECONDARY, Disposition.VOID))
        request = Dispose(here[0] if here else "07-000001", disposition, (), "because")
        if self.rng.random() < 0.05 and self.orders:
            self.order(OFFICER, request, key=next(reversed(self.orders)))
        else:
            self.order(OFFICER, request, late_s=self.rng.choice((*[-10.0] * 19, 0.5)))

    def order(self, actor: Actor, request: Request, *, late_s: float = -10.0, key: str = "") -> None:
        self.number += 1
        key = key or f"key-{self.number}"
        order = Order(key, actor, request, UTC_S + self.now_s - late_s)
        self.orders[key] = order
        self.give(OrderGiven(order), "port")

    def repeat(self) -> None:
        """An order of before comes again: the same key, or its deadline long over."""
        if self.orders:
            order = self.rng.choice([*self.orders.values()][-40:])
            if self.rng.random() < 0.5:
                order = replace(order, deadline_utc_s=UTC_S + self.now_s + 1e6)
            else:
                order = replace(order, key=f"{order.key}-late", deadline_utc_s=UTC_S + self.now_s - 1.0)
            self.give(OrderGiven(order), "port")

    def ask(self) -> None:
        actor = self.rng.choice((OFFICER, OFFICER, SUPERVISOR, SUPERVISOR, TECHNICIAN, CENTRAL))
        self.order(actor, self.rng.choice(REQUESTS))

    def override(self) -> None:
        part = self.rng.choice(tuple(OverridePart))
        name = self.rng.choice(LOOPS) if part is OverridePart.LOOP_OUT else ""
        actor = self.rng.choice((SUPERVISOR, SUPERVISOR, TECHNICIAN, OFFICER))
        if self.rng.random() < 0.4:
            self.order(actor, EndOverride(part, name))
        else:
            self.order(actor, Override(part, "a reason", self.rng.choice((2.0, 10.0, 60.0, 1000.0)), name))

    def emergency_button(self) -> None:
        self.emergency = True

    def open_lane(self) -> None:
        """Everybody does what opens the lane again."""
        self.emergency = False
        self.settle()
        if self.state.desk.life is LaneLife.EMERGENCY:
            self.order(SUPERVISOR, ResetLane())
        self.order(OFFICER, OpenLane())

    def mend(self) -> None:
        self.burnt.clear()
        self.welded.clear()
        self.forced = self.emergency = False
        self.back()
        for alarm in self.state.desk.alarms:
            self.order(OFFICER, Acknowledge(alarm.id))
        for told, _ in [*self.overrides.values()]:
            self.order(SUPERVISOR, EndOverride(told.part, told.name))
        self.open_lane()

    def break_lamp(self) -> None:
        self.rng.choice((self.burnt, self.welded)).add(self.rng.choice(tuple(LAMPS)))

    def force(self) -> None:
        self.forced = True

    def flicker(self) -> None:
        if self.online and self.fresh:
            contact = self.rng.choice(
                ("loop_approach", "loop_booth", "loop_exit", "beam", "gate_closed", "gate_opened")
            )
            on = not self.contacts()[contact]
            self.told[contact], self.since_s[contact] = on, self.now_s
            self.give(InputChanged(contact, on))

    def go_stale(self) -> None:
        if self.online:
            self.fresh = False
            self.give(InputsStale(0.3))

    def go_away(self) -> None:
        if self.online:
            self.online = self.fresh = False
            self.give(DeviceChanged(DeviceState.OFFLINE, "timeout"))
            if self.rng.random() < 0.5:
                self.outputs |= {GREEN: False, RED: True, ARROW: False, YELLOW: False, CROSS: True, GATE: False}

    def back(self) -> None:
        if not self.online:
            if self.rng.random() < 0.3:
                self.give(ModuleWatchdogTripped())
            self.connect()
        elif not self.fresh:
            self.fresh = True
            self.give(InputsFresh())
        if not self.writable:
            self.writable = True
            self.give(StoreChanged(True, ""), "lane")
        if self.stopping:
            self.begin(cold=False)

    def trip(self) -> None:
        if self.online:
            self.outputs |= {GREEN: False, RED: True, ARROW: False, YELLOW: False, CROSS: True, GATE: False}
            self.give(ModuleWatchdogTripped())

    def outputs_told(self) -> None:
        if self.online and not self.ends and not self.late:
            self.give(OutputsRead(tuple(self.outputs.items())))

    def restart(self) -> None:
        self.now_s += self.rng.choice((0.0, 1.0, 30.0))
        self.begin(cold=False)

    def lose_inputs(self) -> None:
        self.give(InputsLost(3), "lane")

    def fill_disk(self) -> None:
        self.writable = False
        self.give(StoreChanged(False, "full"), "lane")

    def stop(self) -> None:
        self.stopping = True
        self.give(Stopping("SIGTERM"), "lane")


REQUESTS: tuple[Request, ...] = (
    OpenLane(),
    OpenLane(),
    CloseLane(),
    DeclareEmergency("smoke"),
    ResetLane(),
    NextVehicle(),
    EnableEquipment(),
    Dispose("07-000002", Disposition.RELEASED),
)
_PLAN: dict[Callable[[Walk], None], int] = {
    Walk.drive_on: 340,
    Walk.dispose: 150,
    Walk.read: 30,
    Walk.back_out: 6,
    Walk.mend: 35,
    Walk.open_lane: 10,
    Walk.ask: 12,
    Walk.repeat: 20,
    Walk.override: 16,
    Walk.back: 25,
    Walk.flicker: 12,
    Walk.outputs_told: 12,
    Walk.go_stale: 5,
    Walk.go_away: 4,
    Walk.trip: 3,
    Walk.break_lamp: 5,
    Walk.force: 3,
    Walk.emergency_button: 2,
    Walk.restart: 3,
    Walk.lose_inputs: 2,
    Walk.fill_disk: 2,
    Walk.stop: 2,
}
ACTIONS, WEIGHTS = tuple(_PLAN), tuple(_PLAN.values())
assert set(CONTACTS) >= {"beam", "emergency"}
