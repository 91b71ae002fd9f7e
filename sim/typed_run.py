"""The lane core without the wire: the world's readings straight into `step`, for statistics over many vehicles.

Leaves out links, drivers, ledger and broker, nothing of the lane's logic. Commands to devices are carried out in the
world at once. One thread, no event loop: time is the world's.
"""

from __future__ import annotations

import gc
import heapq
import json
import math
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lanecontrol import forms
from lanecontrol.announcements import (
    AlarmKind,
    AlarmRaised,
    Announcement,
    PassageAssessed,
    PassageClosed,
    SignalAspect,
    SignalShown,
)
from lanecontrol.clock import Instant
from lanecontrol.commands import (
    DONE,
    Acknowledge,
    Actor,
    Command,
    Dispose,
    Disposition,
    NextVehicle,
    OpenLane,
    Order,
    Outcome,
    Request,
    Result,
    Role,
    SetOccupants,
    WriteOutputs,
)
from lanecontrol.config.load import Loaded, load
from lanecontrol.events import (
    CentralChanged,
    CommandEnded,
    DeviceChanged,
    DeviceState,
    Event,
    Input,
    OrderGiven,
    Started,
    Tick,
)
from lanecontrol.lane.effects import Answer, Drive, Effect, Publish
from lanecontrol.lane.step import deadline, initial, step
from lanecontrol.port.payloads import EVENT_TYPES
from lanecontrol.port.topics import LaneAddress, class_of
from sim.lanefile import Replaced, lane_file
from sim.officer import RETRY_S, Manner, decide
from sim.readings import OutputSet
from sim.received import Received
from sim.score import Run, score
from sim.score_file import Score
from sim.second_look import Deed, SecondLook
from sim.simfile import Simulation
from sim.simulate import EPOCH_UTC_S, SETTLE_S
from sim.world.scenario import Scenario
from sim.world.typed import events_of
from sim.world.world import World

EPOCH = 1
EARLY_S = 1e-6
"""So much earlier the officer is asked: whether a moment has come is for `work` alone to reckon."""
TICK = Tick()


def run_typed(simulation: Simulation, scenario: Scenario, seed: int) -> Score:
    """The score of a run without the wire."""
    began = time.perf_counter()
    run = TypedRun(simulation, scenario, seed)
    run.play()
    return score(
        {run.address.root: run.world.truth},
        run.received,
        Run(
            seed=seed,
            lane_s=run.world.now_s,
            wall_s=time.perf_counter() - began,
            utc_at_zero_s=EPOCH_UTC_S,
            recorded=len(run.received),
            acknowledged=len(run.received),
        ),
    )


class TypedRun:
    """One lane core in one world."""

    def __init__(self, simulation: Simulation, scenario: Scenario, seed: int) -> None:
        loaded = _loaded(simulation)
        self.setup = loaded.setup
        self.address = LaneAddress(self.setup.port, self.setup.lane, simulated=True)
        self.world = World(simulation.scene, scenario, seed)
        self.received: list[Received] = []
        self.inputs = 0
        self._at: Instant | None = None
        """The moment of every input of the world's present step."""
        self._topics: dict[str, str] = {}
        self._devices = [(device.id, device.kind) for device in loaded.devices]
        self._state = initial(self.setup)
        self._officer = _Officer(self, scenario, seed) if scenario.officer.present else None

    def play(self) -> None:
        """From the start until the world is done and everything is told."""
        collects = gc.isenabled()
        gc.disable()  # nothing in a run refers to itself in a circle: looking for that costs three parts in a hundred
        try:
            self._play()
        finally:
            if collects:
                gc.enable()

    def _play(self) -> None:
        self.give("lane", Started(cold=True, boot="typed"))
        for device, _ in self._devices:
            self.give(device, DeviceChanged(DeviceState.ONLINE, "typed readings"))
        self.give("port", CentralChanged(True, "typed readings"))
        self._advance()
        if self._officer is not None:
            self._officer.open()
        while not self.world.done:
            self._advance()
        end_s = self.world.now_s + SETTLE_S
        while self.world.now_s < end_s:
            self._advance()

    def _advance(self) -> None:
        world, officer, due_s = self.world, self._officer, deadline(self._state)
        until_s = math.inf if due_s is None else due_s
        if officer is not None:
            until_s = min(until_s, officer.next_s())
        began_s = world.now_s
        sensed = world.advance_until(until_s)
        now_s = world.now_s
        self._at = None
        if officer is not None and world.before_s > began_s:
            officer.waited(world.before_s)
        for device, reading in sensed:
            for event in events_of(reading):
                self.give(device, event)
        due = deadline(self._state)
        if due is not None and due <= now_s:
            self.give("lane", TICK)
        if officer is not None:
            officer.work(now_s)

    def give(self, source: str, event: Event) -> None:
        """One input, and everything that follows from it."""
        self.inputs += 1
        at = self._at
        if at is None:
            now_s = self.world.now_s
            at = self._at = Instant(now_s, EPOCH_UTC_S + now_s)
        self._state, effects = step(self.setup, self._state, Input(at, source, event))
        for effect in effects:
            self._do(effect)

    def _do(self, effect: Effect) -> None:
        match effect:
            case Publish(announcement):
                self._publish(announcement)
            case Drive(command_id, device, command):
                self._perform(device, command)
                self.give(device, CommandEnded(command_id, DONE))
            case Answer(key, outcome):
                if self._officer is not None:
                    self._officer.answered(key, outcome)

    def _perform(self, device: str, command: Command) -> None:
        if isinstance(command, WriteOutputs):
            for point, on in command.points:
                self.world.act(device, OutputSet(point, on))

    def _publish(self, announcement: Announcement) -> None:
        event = _Told(announcement, len(self.received) + 1)
        self.received.append(Received(self._topic(class_of(announcement)), event))
        if self._officer is not None:
            self._officer.hear(announcement, event)

    def _topic(self, topic_class: str) -> str:
        topic = self._topics.get(topic_class)
        if topic is None:
            topic = self._topics[topic_class] = self.address.event(topic_class)
        return topic


class _Told(Mapping[str, Any]):
    """An event as the port reads it. Most of them nobody looks into, so what is in one is written out on demand."""

    __slots__ = ("_announcement", "_data", "_seq")

    def __init__(self, announcement: Announcement, seq: int) -> None:
        self._announcement = announcement
        self._seq = seq
        self._data: dict[str, Any] | None = None

    def __getitem__(self, key: str) -> Any:
        match key:
            case "data":
                if self._data is None:
                    self._data = json.loads(forms.to_json(self._announcement))
                return self._data
            case "type":
                return EVENT_TYPES[type(self._announcement)]
            case "id":
                return f"{EPOCH}-{self._seq}"
            case "seq":
                return self._seq
            case "epoch":
                return EPOCH
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(("id", "type", "epoch", "seq", "data"))

    def __len__(self) -> int:
        return 5


class _Officer:
    """The automatic officer by the world's clock; decides as `sim.officer` does."""

    def __init__(self, run: TypedRun, scenario: Scenario, seed: int) -> None:
        officer = scenario.officer
        self._run = run
        self._manner = Manner(
            officer.service_time_s, officer.service_time_sd_s, officer.service_time_least_s, officer.wrong_share
        )
        self._rng = random.Random(f"officer/{seed}")
        self._actor = Actor("sim-officer", Role.OFFICER, simulated=True)
        self._assessed: dict[str, Mapping[str, Any]] = {}
        self._waiting: list[str] = []
        self._plans: list[tuple[float, int, Callable[[], None]]] = []
        self._asked: dict[str, Callable[[Outcome], None]] = {}
        self._count = 0
        self._busy = False
        self._idle_since_s = 0.0
        self._signal = SignalAspect.DARK
        self._released: tuple[str, int | None] = ("", None)
        self._look = SecondLook[int]()

    def hear(self, announcement: Announcement, event: Mapping[str, Any]) -> None:
        match announcement:
            case PassageAssessed(passage=passage):
                if passage not in self._assessed:
                    self._waiting.append(passage)
                self._assessed[passage] = event
            case PassageClosed(passage=passage):
                self._assessed.pop(passage, None)
            case SignalShown(aspect=aspect):
                self._signal = aspect
            case AlarmRaised(alarm=alarm, kind=AlarmKind.UNRELEASED_DEPARTURE):
                seen = Acknowledge(alarm)
                self._later(self._run.world.now_s + RETRY_S, lambda: self._ask(seen, _as_it_is))

    def next_s(self) -> float:
        """Before this `work` has nothing to do, as long as nothing new is heard."""
        first_s = self._plans[0][0] if self._plans else math.inf
        return first_s if self._busy else min(first_s, self._idle_since_s + RETRY_S - EARLY_S)

    def waited(self, until_s: float) -> None:
        """Nothing has happened up to here since `work` was last called: what it would have noted meanwhile."""
        if self._busy:
            self._idle_since_s = until_s

    def work(self, now_s: float) -> None:
        """Do what is due, and begin with the next vehicle when free."""
        while self._plans and self._plans[0][0] <= now_s:
            heapq.heappop(self._plans)[2]()
        if self._busy:
            self._idle_since_s = now_s
        elif self._waiting:
            self._busy = True
            passage = self._waiting.pop(0)
            manner = self._manner
            service_s = max(manner.least_s, self._rng.gauss(manner.mean_s, manner.spread_s))
            self._later(now_s + service_s, lambda: self._serve(passage))
        elif now_s - self._idle_since_s >= RETRY_S:
            self._idle_since_s = now_s
            self._look_again()

    def _look_again(self) -> None:
        """A vehicle stands there before a red signal: its permission was withdrawn, or the lane does not know of it."""
        passage, vehicle = self._released
        there = self._sees()
        decided = passage in self._assessed and vehicle in (None, there)
        match self._look.at(there, red=self._signal is SignalAspect.STOP, decided=decided):
            case Deed.DECIDE:
                self._busy = True
                self._decide(passage)
            case Deed.CALL:
                self._ask(NextVehicle(), _as_it_is)

    def _sees(self) -> int | None:
        there = self._run.world.at_booth
        return there.number if there is not None else None

    def _later(self, at_s: float, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._plans, (at_s, self._count, what))

    def open(self) -> None:
        self._ask(OpenLane(), self._opened)

    def _opened(self, outcome: Outcome) -> None:
        if outcome.result is not Result.DONE:
            self._later(self._run.world.now_s + RETRY_S, self.open)

    def _serve(self, passage: str) -> None:
        there = self._run.world.at_booth
        if there is not None:
            self._ask(SetOccupants(passage, there.persons), _as_it_is)
        self._decide(passage)

    def _decide(self, passage: str) -> None:
        assessed = self._assessed.get(passage)
        if assessed is None:
            self._busy = False
            return
        fields = decide(assessed["data"])
        if self._rng.random() < self._manner.wrong_share:
            released = fields["disposition"] == "RELEASED"
            fields = {"disposition": "REFER_SECONDARY" if released else "RELEASED"}
        request = Dispose(passage, Disposition(fields["disposition"]), tuple(fields.get("reasons", ())))
        seen = self._sees()
        self._ask(request, lambda outcome: self._disposed(passage, seen, outcome))

    def _disposed(self, passage: str, seen: int | None, outcome: Outcome) -> None:
        if outcome.result is Result.DONE:
            self._busy = False
            self._released = (passage, seen)
        else:
            self._later(self._run.world.now_s + RETRY_S, lambda: self._decide_again(passage, outcome.reason))

    def _decide_again(self, passage: str, why: str) -> None:
        if not self._waiting and self._look.refused(self._sees(), why) is Deed.CALL:
            self._ask(NextVehicle(), _as_it_is)
        self._decide(passage)

    def _ask(self, request: Request, then: Callable[[Outcome], None]) -> None:
        self._count += 1
        key = f"typed-{self._count:08d}"
        self._asked[key] = then
        deadline_utc_s = EPOCH_UTC_S + self._run.world.now_s + 10.0
        self._run.give("port", OrderGiven(Order(key, self._actor, request, deadline_utc_s)))

    def answered(self, key: str, outcome: Outcome) -> None:
        then = self._asked.pop(key, None)
        if then is not None:
            then(outcome)


def _as_it_is(_: Outcome) -> None:
    """Nothing follows from how this order ends."""


def _loaded(simulation: Simulation) -> Loaded:
    """The lane file, with addresses that nobody opens."""
    urls = {device: f"mem://{device}" for device in simulation.devices}
    with tempfile.TemporaryDirectory(prefix="lanecontrol-typed-") as folder:
        path = Path(folder) / "lane.yaml"
        path.write_text(lane_file(simulation.lane, Replaced("07", urls, "mem://none", Path(folder))), encoding="utf-8")
        return load(path)
