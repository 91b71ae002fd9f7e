"""The lane core in a closed loop with the simulated world, by typed events, and a scripted officer."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from lane_bench import OFFICER, UTC_S, setup
from ruamel.yaml import YAML

from lanecontrol.announcements import (
    TOPIC_CLASS,
    Announcement,
    OrderAnswered,
    PassageAssessed,
    PassageClosed,
    Referral,
)
from lanecontrol.clock import Instant
from lanecontrol.commands import DONE, Dispose, Disposition, Order, Result, WriteOutputs
from lanecontrol.events import CommandEnded, DeviceChanged, DeviceState, Event, Input, OrderGiven, Started, Tick
from lanecontrol.forms import to_plain
from lanecontrol.lane.effects import Drive, Effect, Publish
from lanecontrol.lane.setup import Antenna, LaneSetup
from lanecontrol.lane.step import deadline, initial, step, still_granted
from sim.readings import OutputSet
from sim.received import Received
from sim.score import Run, score
from sim.score_file import Score
from sim.world.scenario import Scenario
from sim.world.scene import Scene
from sim.world.typed import reports
from sim.world.world import World

TOPIC = "sim/poe/SYS/lane/07"
SCENARIOS = Path(__file__).parents[2] / "configs" / "scenarios"
DRAIN_S = 60.0


def scenario(name: str, vehicles: int) -> Scenario:
    """A committed scenario, cut to so many vehicles."""
    values: dict[str, Any] = YAML(typ="safe").load(SCENARIOS / f"{name}.yaml")
    return Scenario.model_validate({**values, "vehicles": vehicles})


def world_setup() -> LaneSetup:
    """The lane that stands in the default scene."""
    return replace(setup(), antennas=(Antenna("rfid1", 1, "booth"), Antenna("rfid1", 2, "booth")))


class LaneInWorld:
    """One lane, its world and its officer, until every vehicle is through."""

    def __init__(self, what: Scenario, seed: int) -> None:
        self.setup = world_setup()
        self.world = World(Scene(), what, seed)
        self.state = initial(self.setup)
        self.told: list[Announcement] = []
        self.inputs: list[Input] = []
        self._what = what
        self._rng = random.Random(seed)
        self._now_s = 0.0
        self._to_decide: list[tuple[float, str]] = []
        self._decided: set[str] = set()
        self._assessed: dict[str, PassageAssessed] = {}
        self._commands: list[tuple[str, str]] = []
        self._orders = 0

    def run(self) -> Score:
        self._give("lane", Started(True, "boot-1"))
        for device in ("io1", "rpm1", "rfid1"):
            self._give(device, DeviceChanged(DeviceState.ONLINE, ""))
        while not self.world.done:
            sensed = self.world.advance(0.1)
            self._now_s = self.world.now_s
            for reading in sensed:
                for device, event in reports(reading):
                    self._give(device, event)
            self._between()
        truth = self.world.truth
        for _ in range(int(DRAIN_S / 0.1)):
            self._now_s += 0.1
            self._between()
        return score({TOPIC: truth}, list(self._received()), Run(utc_at_zero_s=UTC_S))

    def _between(self) -> None:
        while self._commands:
            device, command = self._commands.pop(0)
            self._give(device, CommandEnded(command, DONE))
        while self._to_decide and self._to_decide[0][0] <= self._now_s:
            self._decide(heapq.heappop(self._to_decide)[1])
        due_s = deadline(self.state)
        if due_s is not None and due_s <= self._now_s:
            self._give("lane", Tick())

    def _give(self, source: str, event: Event) -> None:
        given = Input(Instant(self._now_s, UTC_S + self._now_s), source, event)
        self.inputs.append(given)
        self.state, effects = step(self.setup, self.state, given)
        for effect in effects:
            self._do(effect)

    def _do(self, effect: Effect) -> None:
        match effect:
            case Publish(announcement):
                self.told.append(announcement)
                self._officer_hears(announcement)
            case Drive(command_id, device, WriteOutputs(points), grants):
                if not grants or still_granted(self.state, command_id):
                    for point, on in points:
                        self.world.act(device, OutputSet(point, on))
                self._commands.append((device, command_id))
            case _:
                pass

    # --- the officer ---

    def _officer_hears(self, announcement: Announcement) -> None:
        match announcement:
            case PassageAssessed(passage):
                if passage not in self._assessed or passage in self._decided:
                    self._decided.discard(passage)
                    manner = self._what.officer
                    takes_s = self._rng.gauss(manner.service_time_s, manner.service_time_sd_s)
                    self._later(max(manner.service_time_least_s, takes_s), passage)
                self._assessed[passage] = announcement
            case PassageClosed(passage):
                self._assessed.pop(passage, None)
            case _:
                pass

    def _later(self, wait_s: float, passage: str) -> None:
        heapq.heappush(self._to_decide, (self._now_s + wait_s, passage))

    def _decide(self, passage: str) -> None:
        assessed = self._assessed.get(passage)
        if assessed is None:
            return
        refer = assessed.referral in (Referral.MANDATORY, Referral.RECOMMENDED)
        disposition = Disposition.REFER_SECONDARY if refer else Disposition.RELEASED
        self._orders += 1
        deadline_s = UTC_S + self._now_s + 10.0
        order = Order(f"key-{self._orders}", OFFICER, Dispose(passage, disposition), deadline_s)
        self._give("port", OrderGiven(order))
        answers = [a for a in self.told[-20:] if isinstance(a, OrderAnswered) and a.key == order.key]
        if answers[-1].result is not Result.DONE:
            self._later(3.0, passage)
        else:
            self._decided.add(passage)

    # --- the score ---

    def _received(self) -> Iterator[Received]:
        for number, announcement in enumerate(self.told):
            name = "".join(f"_{c.lower()}" if c.isupper() else c for c in type(announcement).__name__).lstrip("_")
            event = {"id": f"1-{number}", "type": f"lanecontrol.{name}.v1", "data": to_plain(announcement)}
            yield Received(f"{TOPIC}/event/{TOPIC_CLASS[type(announcement)]}", event)
