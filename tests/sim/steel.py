"""A lane whose outputs are set by hand: what steel, lamps and people do for them, without any lane controller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sim.readings import Contact, OutputSet
from sim.world.rehearsal import Booth
from sim.world.scenario import Scenario
from sim.world.scene import (
    BeaconSite,
    BeamSite,
    EmergencyButtonSite,
    GateSite,
    LaneSignalSite,
    ScannerSite,
    Scene,
    SignalSite,
)
from sim.world.world import STEP_S, World

SCENE = Scene(
    start_m=-10.0,
    end_m=60.0,
    portal=None,
    antennas=(),
    signal=SignalSite(device="io1", green_input="green_on", red_input="red_on"),
    lane_signal=LaneSignalSite(
        device="io1", at_m=0.0, open_input="open_on", closing_input="closing_on", closed_input="closed_on"
    ),
    beacon=BeaconSite(device="io1"),
    emergency_button=EmergencyButtonSite(device="io1"),
    gate=GateSite(device="io1", travel_time_s=1.0, beams=(BeamSite(point="gate_beam"),), fault_input="gate_fault"),
    scanner=ScannerSite(device="io2", barrier_m=36.0, start_m=37.0, stop_m=46.0, end_m=48.0, sweep_s=5.0),
)
PERMITTED = ("scan_arm", "scan_request")


class Lane:
    """One lane, its last contacts, and what was seen of the scanner."""

    def __init__(self, *mishaps: dict[str, Any], vehicles: int = 1, seed: int = 3, **sections: Any) -> None:
        traffic = {"vehicles_per_h": 1800, "least_headway_s": 2.0, "mix": {"car": 1, "suv": 0, "motorcycle": 0}}
        wanted = {"title": "test", "vehicles": vehicles, "mishaps": mishaps, "traffic": traffic, **sections}
        self.world = World(SCENE, Scenario.model_validate(wanted), seed)
        self.contacts: dict[str, bool] = {}
        self.edges: list[tuple[float, str, bool]] = []
        self.booth: Booth | None = None
        self.run(0.1)

    def set(self, *on: str, device: str = "io2", off: tuple[str, ...] = ()) -> None:
        """Set these outputs on, and the others off."""
        for point in off:
            self.world.act(device, OutputSet(point, False))
        for point in on:
            self.world.act(device, OutputSet(point, True))

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            for sensed in self.world.advance(STEP_S):
                if isinstance(sensed.reading, Contact):
                    self.contacts[sensed.reading.point] = sensed.reading.on
                    self.edges.append((round(self.world.now_s, 3), sensed.reading.point, sensed.reading.on))
            if self.booth is not None:
                self.booth.work()

    def until(self, seen: Callable[[], bool], limit_s: float = 120.0) -> float:
        """Run until it is so; answers how long that took."""
        began_s = self.world.now_s
        while not seen():
            assert self.world.now_s - began_s < limit_s, "it never came to be"
            self.run(STEP_S)
        return self.world.now_s - began_s

    def on(self, point: str) -> bool:
        return self.contacts[point]

    @property
    def beam(self) -> bool:
        there = self.world.at_scanner
        return there is not None and there.beam

    @property
    def place(self) -> str:
        there = self.world.at_scanner
        return there.place if there is not None and there.crew_of is not None else ""

    def front_m(self, number: int = 1) -> float:
        return next(v.front_m for v in self.world.whereabouts if v.number == number)

    def to_mark(self) -> None:
        """The first vehicle is sent to the scanner and stands at its mark."""
        self.booth = Booth(self.world, 0.5)
        self.until(lambda: bool(self.world.whereabouts))
        self.world.refer_to_scanner(1)
        self.until(lambda: self.on("vehicle_in_position"))

    def ready(self) -> None:
        """And everybody is out: nothing but the permission is missing."""
        self.to_mark()
        self.set("driver_stop")
        self.until(lambda: self.on("driver_clear"))
        self.until(lambda: self.on("barrier_closed") and self.on("zone_clear"))

    def scanning(self) -> None:
        """And the beam is on."""
        self.ready()
        self.set(*PERMITTED)
        self.until(lambda: self.on("shutter_open"))
