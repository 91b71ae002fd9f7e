"""The typed way: each reading becomes what the driver would report, with the wire's own rounding."""

from __future__ import annotations

import pytest

from lanecontrol import events
from lanecontrol.events import DeviceReport
from lanecontrol.identifier import Identifier
from sim.readings import (
    Contact,
    GammaInterval,
    NeutronSecond,
    OccupancyOver,
    PlateView,
    Reading,
    SpeedMeasured,
    TagAnswer,
    Tamper,
    Vacant,
)
from sim.world.rehearsal import play
from sim.world.scenario import Scenario
from sim.world.scene import Scene
from sim.world.typed import reports
from sim.world.world import Sensed, World

EPC = bytes.fromhex("f00000000100000000000001")


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        (Contact("loop_booth", True), [events.InputChanged("loop_booth", True)]),
        (TagAnswer(2, EPC, -57.6), [events.TagRead(2, Identifier(EPC.hex()), -58.0)]),
        (TagAnswer(1, EPC, -500.0), [events.TagRead(1, Identifier(EPC.hex()), -128.0)]),
        (PlateView("9ABC123", 0.9, "US-CA", "car-1"), [events.PlateRead(Identifier("9ABC123"), 0.9, "US-CA", "car-1")]),
        (
            Vacant((382.0, 381.0, 426.0, 367.0), (4.0, 0.0, 2.691666836, 0.0)),
            [
                events.NeutronBackground((4.0, 0.0, 2.69166684, 0.0), exact=True),
                events.GammaBackground((382, 381, 426, 367)),
            ],
        ),
        (GammaInterval((77, 77, 67, 69), True), [events.GammaCounts((77, 77, 67, 69), True)]),
        (NeutronSecond((4, 0, 2, 0), False), [events.NeutronCounts((4, 0, 2, 0), False)]),
        (SpeedMeasured(0.3048 / 0.1336), [events.PortalSpeed(5.103 * 0.44704)]),
        (SpeedMeasured(0.0), [events.PortalSpeed(None)]),
        (SpeedMeasured(60.0), [events.PortalSpeed(None)]),
        (OccupancyOver(17, 6.6838), [events.OccupancyEnded(17, 6.683)]),
        (Tamper(True), [events.PortalTamper(True)]),
    ],
)
def test_a_reading_becomes_what_the_driver_would_report(reading: Reading, expected: list[DeviceReport]) -> None:
    assert list(reports(Sensed("device", reading))) == [("device", event) for event in expected]


def test_every_reading_of_a_busy_world_has_its_events() -> None:
    world = World(Scene(), Scenario(title="t", vehicles=3), 1)
    for _, sensed in play(world, 2.0):
        assert reports(sensed)
