"""Random walks through the life of a lane, every step held against what must never happen.

The walker is the world: one vehicle after another (some run away), people in every role, the port with its notices and
stages, the clock on the wall, restarts. It keeps its own account of who is inside since when, of what was ordered by
whom and of what the timetable says, and judges what the lane tells and commands by that. `Violation` says which
invariant broke (its number in `INVARIANTS`).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from lane_bench import OFFICER, SUPERVISOR
from life_bench import CENTRAL, EVERY_DAY, TECHNICIAN, LivingLane, living

from lanecontrol import forms
from lanecontrol.announcements import (
    AlarmKind,
    AlarmRaised,
    Announcement,
    DivertChanged,
    LaneLife,
    LaneLifeChanged,
    LaneType,
    LaneTypeChanged,
)
from lanecontrol.commands import (
    DONE,
    Acknowledge,
    Actor,
    CloseLane,
    DeclareEmergency,
    Dispose,
    Disposition,
    EndMaintenance,
    Maintain,
    OpenLane,
    Request,
    ResetLane,
    Result,
    Resume,
    Role,
    ServeType,
    SuspendLane,
    TakePicture,
)
from lanecontrol.events import Event, Started
from lanecontrol.lane.effects import Drive, Effect, Publish
from lanecontrol.lane.schedule import Hours, WeeklyHours
from lanecontrol.lane.setup import LaneSetup
from lanecontrol.lane.state import LaneState

INVARIANTS = {
    1: "the green arrow is shown in an open lane only, and not while traffic is diverted",
    2: "the booth shows green in an open lane only, and in one that drains",
    3: "the type changes in a closed lane only, with nobody in it",
    4: "an emergency is ended by a supervisor's reset and by nothing else",
    5: "while the lane is suspended, or traffic diverted, nobody is let go who came after that",
    6: "maintenance begins in a closed, empty lane",
    7: "the schedule opens no lane but a closed one, none without a synchronised clock, none that the port holds back",
    8: "what somebody ordered counts until the schedule's next change",
    9: "a lane in emergency, in maintenance or suspended is so after a restart",
    10: "a divert notice ends in time",
    11: "who leaves without a disposition is told at once, and every camera asked for a picture",
    12: "nobody changes the lane's life whose business it is not",
}
CLOSED, OPENING, OPEN, CLOSING = LaneLife.CLOSED, LaneLife.OPENING, LaneLife.OPEN, LaneLife.CLOSING
SUSPENDED, EMERGENCY, MAINTENANCE = LaneLife.SUSPENDED, LaneLife.EMERGENCY, LaneLife.MAINTENANCE
DRIVING = (OPEN, CLOSING, SUSPENDED)
PEOPLE = (OFFICER, OFFICER, SUPERVISOR, SUPERVISOR, TECHNICIAN, CENTRAL)
MAY: dict[type[Request], set[Role]] = {
    OpenLane: {Role.OFFICER, Role.SUPERVISOR},
    CloseLane: {Role.OFFICER, Role.SUPERVISOR, Role.CENTRAL},
    SuspendLane: {Role.OFFICER, Role.SUPERVISOR, Role.CENTRAL},
    Maintain: {Role.TECHNICIAN, Role.SUPERVISOR},
    EndMaintenance: {Role.TECHNICIAN, Role.SUPERVISOR},
    ServeType: {Role.SUPERVISOR, Role.CENTRAL},
    Resume: {Role.SUPERVISOR, Role.CENTRAL},
    ResetLane: {Role.SUPERVISOR},
}
HALF_HOUR_S = 1800.0
AHEAD = {"trusted": {LaneType.SENTRI}, "shutdown": set[LaneType](), "all": set(LaneType), "": set(LaneType)}


def half_hours() -> LaneSetup:
    """Open every other half hour, as one type and then as the other."""
    rows = [
        WeeklyHours(EVERY_DAY, Hours(60 * hour, 60 * hour + 30, LaneType.READY if hour % 2 else None))
        for hour in range(24)
    ]
    return living(*rows, portals=(), beacon=None)


class Violation(AssertionError):
    """An invariant broke."""

    def __init__(self, number: int, what: str) -> None:
        super().__init__(f"{number} ({INVARIANTS[number]}): {what}")
        self.number = number


class LifeWalk(LivingLane):
    """One lane and its world, walked at random."""

    def __init__(self, seed: int) -> None:
        super().__init__(half_hours(), starts="2027-01-20 05:10")
        self.rng = random.Random(seed)
        self.seen: Counter[str] = Counter()
        self.stage = ""
        self.diverted_until_s: float | None = None
        self.shut_s: dict[str, float] = {}
        """Since when nobody new is admitted, by `suspended` and `diverted`."""
        self.came_s: float | None = None
        """Since when the vehicle that is inside is inside."""
        self.place = ""
        self.disposed = True
        self.ordered_s = float("-inf")
        self.asked: tuple[Request | None, Actor | None] = None, None
        self.pressed = False

    def go(self, steps: int, *often: Callable[[LifeWalk], None]) -> LifeWalk:
        """So many steps; what is `often` happens more often."""
        self.started()
        weights = [weight * (8 if action in often else 1) for action, weight in zip(ACTIONS, WEIGHTS, strict=True)]
        for _ in range(steps):
            self.rng.choices(ACTIONS, weights)[0](self)
        return self

    # --- every input -------------------------------------------------------------------------------------------------

    def give(self, source: str, event: Event) -> tuple[Effect, ...]:
        before, green = self.life, self.green
        effects = super().give(source, event)
        for effect in effects:
            if isinstance(effect, Publish):
                self._judge(effect.announcement, effects, event)
        self._hold(before, event, was_green=green)
        return effects

    def _require(self, number: int, holds: bool, what: str) -> None:
        if not holds:
            raise Violation(number, what)

    def _hold(self, before: LaneLife, event: Event, *, was_green: bool) -> None:
        life = self.life
        arrow = self.outputs.get("lane_open", False)
        diverted = self.diverted_until_s is not None and self.now_s < self.diverted_until_s
        self._require(1, not arrow or (life is OPEN and not diverted), f"{life}, diverted: {diverted}")
        self._require(2, not self.green or life in DRIVING, f"green in {life}")
        if self.green and not was_green and self.came_s is not None:
            shut_s = min(self.shut_s.values(), default=None)
            self._require(5, shut_s is None or self.came_s <= shut_s, f"came {self.came_s}, shut {self.shut_s}")
        if isinstance(event, Started) and before in (SUSPENDED, EMERGENCY, MAINTENANCE):
            self._require(9, life is before, f"{before} became {life}")
        if self.diverted_until_s is not None and self.now_s > self.diverted_until_s + 0.1:
            self._require(10, self.state.regime.divert is None, "it still stands")

    def _judge(self, told: Announcement, effects: tuple[Effect, ...], event: Event) -> None:
        match told:
            case LaneLifeChanged(life, previous, why):
                self.seen[f"{previous.value} {life.value}"] += 1
                self._life_changed(life, previous, why)
            case LaneTypeChanged():
                self.seen["type"] += 1
                self._require(3, self.life_before is CLOSED and not self.place, f"{self.life_before}, {self.place!r}")
            case AlarmRaised(kind=AlarmKind.UNRELEASED_DEPARTURE):
                self.seen["departure"] += 1
                pictured = {e.device for e in effects if isinstance(e, Drive) and isinstance(e.command, TakePicture)}
                self._require(11, pictured == set(self.setup.picture_devices), f"pictures by {pictured}")
            case DivertChanged(active=False):
                self.seen["divert over"] += 1
                self.shut_s.pop("diverted", None)
                self.diverted_until_s = None
            case _:
                pass

    life_before = CLOSED

    def _life_changed(self, life: LaneLife, previous: LaneLife, why: str) -> None:
        self.life_before = life
        request, actor = self.asked
        if previous is EMERGENCY:
            reset = isinstance(request, ResetLane) and actor is not None and actor.role is Role.SUPERVISOR
            self._require(4, reset and not self.pressed, f"{life} by {request} of {actor}")
        if life is MAINTENANCE:
            self._require(6, previous is CLOSED and not self.place, f"from {previous}, somebody at {self.place!r}")
        if life is SUSPENDED:
            self.shut_s["suspended"] = self.now_s
        elif previous is SUSPENDED:
            self.shut_s.pop("suspended", None)
        if why.startswith("the schedule"):
            self._by_schedule(life, previous)

    def _by_schedule(self, life: LaneLife, previous: LaneLife) -> None:
        self.seen[f"schedule {life.value}"] += 1
        if life is OPENING:
            serves = self.state.regime.serves or self.setup.lane_type
            self._require(7, previous is CLOSED and self.synchronised, f"from {previous}, clock {self.synchronised}")
            self._require(7, self.diverted_until_s is None, "traffic is diverted")
            self._require(7, serves in AHEAD[self.stage], f"{serves} at stage {self.stage!r}")
        changed_s = self.utc_s - self.utc_s % HALF_HOUR_S
        self._require(8, self.ordered_s < changed_s, f"{life}, ordered {self.utc_s - self.ordered_s:.0f} s ago")

    # --- people ------------------------------------------------------------------------------------------------------

    def ask(self, request: Request, actor: Actor) -> bool:
        self.asked = request, actor
        before = self.life
        done = self.order(request, actor) == DONE
        self.asked = None, None
        roles = MAY.get(type(request))
        self._require(12, not done or roles is None or actor.role in roles, f"{request} by {actor.role}")
        changed = self.life is not before
        if done and changed and isinstance(request, OpenLane | CloseLane | SuspendLane | ResetLane | Maintain):
            self.ordered_s = self.utc_s
        return done

    def order_life(self) -> None:
        request = self.rng.choice(
            (OpenLane(), OpenLane(), OpenLane(), CloseLane(), SuspendLane(), Maintain(), EndMaintenance(), ResetLane())
        )
        self.ask(request, self.rng.choice(PEOPLE))

    def declare(self) -> None:
        self.ask(DeclareEmergency("smoke"), self.rng.choice(PEOPLE))

    def button(self) -> None:
        self.pressed = not self.pressed
        self.contact("emergency", self.pressed)

    def another_type(self) -> None:
        if self.life is not CLOSED and self.rng.random() < 0.5:
            self.ask(CloseLane(), OFFICER)
            self.wait(16.0)
        self.ask(ServeType(self.rng.choice(("READY", "SENTRI"))), self.rng.choice(PEOPLE))

    def order_stage(self) -> None:
        stage, actor = self.rng.choice(("shutdown", "trusted", "all", "", "")), self.rng.choice(PEOPLE)
        if actor.role in MAY[Resume]:
            self.stage = stage
        self.ask(Resume(stage), actor)

    def acknowledge(self) -> None:
        for alarm in self.state.desk.alarms:
            self.ask(Acknowledge(alarm.id), OFFICER)

    def mend(self) -> None:
        """Somebody sees to it that traffic goes on."""
        if self.pressed:
            self.button()
        self.acknowledge()
        if self.life is EMERGENCY:
            self.ask(ResetLane(), SUPERVISOR)
        if self.life is MAINTENANCE:
            self.ask(EndMaintenance(), TECHNICIAN)
        if self.life is CLOSED:
            self.ask(OpenLane(), SUPERVISOR)
        self.wait(5.0)

    # --- the port and the clock --------------------------------------------------------------------------------------

    def send_notice(self) -> None:
        ends = self.diverted_until_s is not None and self.rng.random() < 0.4
        lasts_s = self.rng.choice((5.0, 60.0, 900.0))
        self.wait(0.1)  # of two that are issued at one moment nobody can say which counts
        if not ends:
            self.shut_s.setdefault("diverted", self.now_s)
            self.diverted_until_s = self.now_s + lasts_s
        self.divert(lasts_s, active=not ends)

    def pass_time(self) -> None:
        self.wait(self.rng.choice((0.3, 2.0, 10.0, 60.0)))

    def pass_long(self) -> None:
        if not self.place:
            self.wait(self.rng.choice((300.0, 1200.0)))

    def lose_or_find_clock(self) -> None:
        self.synchronised = not self.synchronised

    def restart(self) -> None:
        if self.place:
            return  # whether the one that stands there afterwards is the same, only the lane's own tests ask
        self.now_s += self.rng.choice((0.0, 2.0, 100.0))
        self.state = forms.from_json(LaneState, forms.to_json(self.state))
        self.started(cold=False)
        if self.pressed:
            self.contact("emergency", True)

    # --- vehicles ----------------------------------------------------------------------------------------------------

    def drive_on(self) -> None:
        """The vehicle inside goes a step further; where there is none, one comes, whatever the signal shows."""
        match self.place:
            case "":
                if self.life not in DRIVING and self.rng.random() < 0.8:
                    return
                self.wait(1.0)
                self.place = "approach"
                self.came_s = self.now_s
                self.loop("approach", True)
                self.wait(1.0)
            case "approach":
                self.place = "booth"
                self.loop("booth", True)
                self.wait(0.5)
                self.loop("approach", False)
                self.wait(3.0)
            case _:
                self._at_booth()

    def _at_booth(self) -> None:
        passage = self.at_booth
        if self.life not in DRIVING or self.shut_s:
            self._put_on_record(passage)
        if not self.green and self.ask(Dispose(passage, Disposition.RELEASED), OFFICER):
            self.gate_goes_up()
        elif not self.green and self.rng.random() < 0.95:
            return  # it waits
        self.seen["left" if self.green else "ran away"] += 1
        self.loop("exit", True)
        self.wait(0.3)
        self.loop("booth", False)
        self.wait(1.5)
        self.loop("exit", False)
        self.wait(6.0)
        self.place, self.came_s = "", None
        self.gate_goes_down()
        self.wait(12.0)

    def _put_on_record(self, passage: str) -> None:
        """Nobody is let go, and its officer decides where it goes; if that is granted after all, it goes there."""
        if self.green or self.rng.random() < 0.7:
            return
        outcome = self.order(Dispose(passage, self.rng.choice((Disposition.REFER_SECONDARY, Disposition.TURN_BACK))))
        self.seen["on record"] += outcome.result is Result.DONE and bool(outcome.reason)
        if self.green:
            self.gate_goes_up()


_PLAN: dict[Callable[[LifeWalk], None], int] = {
    LifeWalk.drive_on: 60,
    LifeWalk.pass_time: 15,
    LifeWalk.pass_long: 8,
    LifeWalk.order_life: 14,
    LifeWalk.mend: 12,
    LifeWalk.another_type: 6,
    LifeWalk.send_notice: 4,
    LifeWalk.order_stage: 4,
    LifeWalk.lose_or_find_clock: 2,
    LifeWalk.restart: 2,
    LifeWalk.declare: 1,
    LifeWalk.button: 1,
}
ACTIONS, WEIGHTS = tuple(_PLAN), tuple(_PLAN.values())
