"""The real lane under the flight recorder: random traffic, recorded, replays to the same bytes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from lanecontrol.announcements import LaneType, TagKind
from lanecontrol.clock import Instant
from lanecontrol.commands import DONE, Actor, Dispose, Disposition, Order, Role
from lanecontrol.events import (
    CommandEnded,
    DeviceChanged,
    DeviceState,
    Event,
    GammaBackground,
    GammaCounts,
    Heading,
    Input,
    InputChanged,
    InputsFresh,
    InputsStale,
    NeutronBackground,
    NeutronCounts,
    OccupancyEnded,
    OrderGiven,
    OutputsRead,
    PictureTaken,
    PlateCandidate,
    PlateRead,
    PlateTrackEnded,
    PlateUnread,
    PortalAlarm,
    PortalSetup,
    PortalSide,
    PortalSpeed,
    Started,
    StoreChanged,
    TagRead,
    Tick,
)
from lanecontrol.identifier import Identifier
from lanecontrol.lane.effects import Drive
from lanecontrol.lane.setup import Antenna, Camera, Gate, LaneSetup, Loop, Portal, Signal, TagRule, Zone
from lanecontrol.lane.step import deadline, initial, step
from lanecontrol.recorder import Recorder, RecorderLimits, replay

SETUP = LaneSetup(
    port="SYS",
    lane="07",
    lane_type=LaneType.SENTRI,
    zones=(Zone("portal", 8, 10), Zone("approach", 20, 22.5), Zone("booth", 25, 29), Zone("exit", 33, 35)),
    booth_zone="booth",
    loops=tuple(Loop(name, "io", name, name) for name in ("approach", "booth", "exit")),
    portals=(Portal("rpm", "portal"),),
    antennas=(Antenna("rfid", 1, "booth"),),
    cameras=(Camera("lpr", "approach"),),
    signal=Signal("io", "green", "red"),
    gate=Gate("io", "open", "opened", "closed"),
    tag_rules=(TagRule("f0", TagKind.PERSON),),
    device_kinds=(("io", "io.modbus"), ("rpm", "rpm.rapiscan")),
    opens_at_start=True,
    simulated=True,
)


class Traffic:
    """A lane driven by chance: sensible often enough that passages, alarms and releases come about."""

    def __init__(self, seed: int, recorder: Recorder) -> None:
        self.rng = random.Random(seed)
        self.recorder = recorder
        self.now_s = 10.0
        self.state = initial(SETUP)
        self.told = 0
        self.passages: list[str] = []

    def give(self, source: str, event: Event) -> None:
        given = Input(Instant(self.now_s, 1.8e9 + self.now_s, self.rng.random() < 0.9), source, event)
        before = self.state
        self.state, effects = step(SETUP, before, given)
        self.recorder.taken_in(given, before, effects)
        self.told += len(effects)
        for effect in effects:
            if isinstance(effect, Drive):
                self.give(effect.device, CommandEnded(effect.command_id, DONE))
            elif passage := getattr(getattr(effect, "announcement", None), "passage", ""):
                self.passages.append(passage)

    def run(self, inputs: int) -> None:
        self.give("lane", Started(True, "boot-1"))
        for device in ("io", "rpm", "rfid", "lpr"):
            self.give(device, DeviceChanged(DeviceState.ONLINE, "connected"))
        for source, event in self.chance(inputs):
            due = deadline(self.state)
            self.now_s += self.rng.expovariate(4)
            if due is not None and due <= self.now_s:
                self.now_s = max(due, 0.0)
                self.give("lane", Tick())
            self.give(source, event)

    def chance(self, inputs: int) -> Iterator[tuple[str, Event]]:
        rng = self.rng
        for _ in range(inputs):
            number = Identifier(f"f0{rng.randrange(5):022x}")
            choices: list[tuple[str, Event]] = [
                ("io", InputChanged(rng.choice(["approach", "booth", "exit", "opened"]), rng.random() < 0.5)),
                ("io", InputChanged("booth", True)),
                ("rfid", TagRead(1, number, -50 - 10 * rng.random(), reader_utc_s=rng.random())),
                ("lpr", self.sight()),
                ("rfid", TagRead(1, number, -50.0, late=True)),
                ("rpm", PortalAlarm(rng.choice(list(PortalSide)), rng.random() < 0.5)),
                ("rpm", GammaBackground(tuple(rng.randrange(300, 400) for _ in range(4)))),
                ("rpm", NeutronBackground((rng.random(), 2.0), exact=True)),
                ("rpm", GammaCounts(tuple(rng.randrange(60, 200) for _ in range(4)), rng.random() < 0.2)),
                ("rpm", NeutronCounts((1, rng.randrange(9)), False)),
                ("rpm", rng.choice([PortalSpeed(rng.random() * 9), PortalSpeed(None)])),
                ("rpm", OccupancyEnded(rng.randrange(99))),
                ("rpm", PortalSetup("SG", ("1", "2.5", "x"))),
                ("io", InputsFresh()),
                ("io", InputsStale(rng.random() * 9)),
                ("io", OutputsRead((("green", False), ("red", True)))),
                ("store", StoreChanged(rng.random() < 0.9, "why")),
                ("port", self.order()),
            ]
            yield rng.choice(choices)

    def sight(self) -> Event:
        rng = self.rng
        text, track, picture = (
            Identifier(f"ABC{rng.randrange(3)}"),
            f"t{rng.randrange(3)}",
            f"sha256:{rng.randrange(9)}",
        )
        candidates = (PlateCandidate(Identifier("ABC8"), rng.random()),)
        choices: list[Event] = [
            PlateRead(text, rng.random(), "US-CA", track),
            PlateRead(text, rng.random(), "", track, picture, text, candidates, Heading.FORWARD, (1, 2, 3, 4), "x 1"),
            PlateRead(text, rng.random(), camera_utc_s=rng.random(), late=True),
            PlateUnread("dirt", track, picture),
            PictureTaken(picture, track, "frame"),
            PlateTrackEnded(track),
        ]
        return rng.choice(choices)

    def order(self) -> OrderGiven:
        passage = self.passages[-1] if self.passages else "none"
        actor = Actor("officer-1", Role.OFFICER, simulated=True)
        request = Dispose(passage, Disposition.RELEASED, ("seen",), "ordered")
        return OrderGiven(Order(f"key-{self.rng.random()}", actor, request, 1.8e9 + self.now_s + 30))


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_recorded_lane_replays_to_the_same_bytes(tmp_path: Path, seed: int) -> None:
    limits = RecorderLimits(checkpoint_every=40, segment_bytes=100_000)
    async with Recorder(tmp_path, setup=SETUP, limits=limits) as recorder:
        traffic = Traffic(seed, recorder)
        traffic.run(800)
        await asyncio.sleep(0)
    report = replay(tmp_path)
    assert report.differences == ()
    assert report.skipped == 0
    assert report.effects == traffic.told > 100
    assert report.checkpoints > 15
