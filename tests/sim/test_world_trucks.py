"""Trucks and what is built for them: a plate at each end, second looks, cars that go, a portal behind the booth."""

from __future__ import annotations

from typing import Any

from sim.readings import GammaInterval, OccupancyOver, PlateGone, PlateView, Reading
from sim.world.rehearsal import play
from sim.world.scenario import Scenario
from sim.world.scene import CameraSite, LoopSite, PortalSite, Scene, Stretch
from sim.world.world import Sensed, World

TRUCKS = {"motorcycle": 0, "car": 0, "suv": 0, "van": 0, "truck_semi": 1, "truck_trailer": 1}
SCENE = Scene(
    end_m=50.0,
    stop_line_m=31.5,
    booth=Stretch(start_m=28.0, end_m=32.0),
    loops=(
        LoopSite(device="io1", point="loop_approach", start_m=20.0, end_m=22.0),
        LoopSite(device="io1", point="loop_booth", start_m=28.0, end_m=32.0),
        LoopSite(device="io1", point="loop_exit", start_m=40.0, end_m=46.0),
    ),
    gate=None,
    more_portals=(PortalSite(device="rpm2", start_m=42.0, end_m=44.0),),
    cameras=(CameraSite(device="front", at_m=21.0, side="front"), CameraSite(device="rear", at_m=12.0)),
)


def run(vehicles: int = 12, seed: int = 3, **sections: Any) -> tuple[World, list[Sensed]]:
    traffic = {"vehicles_per_h": 100, "mix": TRUCKS, "standstill_gap_m": [3, 5]}
    scenario = Scenario.model_validate({"title": "test", "vehicles": vehicles, "traffic": traffic, **sections})
    world = World(SCENE, scenario, seed)
    return world, [one for _, one in play(world, 3.0)]


def readings(sensed: list[Sensed], device: str, *kinds: type[Any]) -> list[Any]:
    found: list[Reading] = [one.reading for one in sensed if one.device == device and isinstance(one.reading, kinds)]
    return found


def test_trucks_are_12_to_22_m_long_and_their_trailers_have_a_plate_of_their_own() -> None:
    world, _ = run(30)
    trucks = world.truth.vehicles
    assert {truck.kind for truck in trucks} == {"truck_semi", "truck_trailer"}
    assert all(12.0 <= truck.length_m <= 22.0 for truck in trucks)
    assert all(len(truck.plates) == 2 for truck in trucks)


def test_the_cameras_see_each_end_of_each_truck_and_lose_sight_of_it() -> None:
    world, sensed = run(plates={"miss_share": 0.0, "character_error_share": 0.0})
    for end, device in enumerate(("front", "rear")):
        views = readings(sensed, device, PlateView)
        assert [view.text for view in views] == [truck.plates[end] for truck in world.truth.vehicles]
        assert all((view.plate, view.heading) == (view.text, "in") for view in views)
        assert len({view.look for view in views}) == len(views)
        gone = readings(sensed, device, PlateGone)
        assert [one.car for one in gone] == [view.car for view in views]


def test_a_misread_plate_can_be_corrected_by_a_second_look() -> None:
    _, sensed = run(plates={"miss_share": 0.0, "character_error_share": 0.3, "second_look_share": 1.0})
    views = readings(sensed, "front", PlateView)
    last = {view.car: view for view in views}
    assert len(last) == 12 < len(views)
    assert all(view.text == view.plate for view in last.values())
    assert any(view.text != view.plate for view in views)


def test_a_plate_that_cannot_be_read_is_told_as_such() -> None:
    _, sensed = run(plates={"miss_share": 0.0, "unread_share": 1.0})
    views = readings(sensed, "rear", PlateView)
    assert len(views) == 12
    assert all(view.text == "" != view.plate for view in views)


def test_a_further_portal_measures_every_truck_with_noise_of_its_own_and_leaves_the_first_ones_alone() -> None:
    world, sensed = run()
    one = SCENE.model_copy(update={"more_portals": ()})
    alone = World(one, world.scenario, 3)
    without = [each for _, each in play(alone, 3.0)]
    assert [each for each in sensed if each.device != "rpm2"] == without
    # The world is done when the last truck has left it; that is before the second portal's hold-in is over.
    assert len(readings(sensed, "rpm1", OccupancyOver)) == 12
    assert len(readings(sensed, "rpm2", OccupancyOver)) >= 11
    assert readings(sensed, "rpm2", GammaInterval)[:50] != readings(sensed, "rpm1", GammaInterval)[:50]
    assert [o.portal for o in world.truth.occupancies].count("rpm2") >= 11
    starts = [o.started_s for o in world.truth.occupancies]
    assert starts == sorted(starts)
