"""Vehicles: they keep apart, obey signal and gate, and the odd ones do what they are there for."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sim.fakes_only import awaited
from sim.readings import Contact, OutputSet
from sim.world.plan import Conduct
from sim.world.rehearsal import Booth, play
from sim.world.scenario import Scenario
from sim.world.scene import Scene
from sim.world.truth import Fate, Truth, VehicleTruth, Whereabouts
from sim.world.world import World

SCENE = Scene()


def scenario(vehicles: int = 12, **sections: Any) -> Scenario:
    return Scenario.model_validate({"title": "test", "vehicles": vehicles, **sections})


def played(world: World, service_s: float = 3.0, look: Callable[[], None] = lambda: None) -> Truth:
    for _ in play(world, service_s, limit_s=7200.0, look=look):
        pass
    return world.truth


def of_conduct(truth: Truth, conduct: Conduct) -> list[VehicleTruth]:
    return [vehicle for vehicle in truth.vehicles if vehicle.conduct == conduct]


class Watch:
    """Looks at every step and remembers what may not be."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._before: dict[int, Whereabouts] = {}
        self.overlaps: list[tuple[float, int, int]] = []
        self.backwards: set[int] = set()
        self.jumps: set[int] = set()

    def __call__(self) -> None:
        now = self._world.whereabouts
        for ahead, behind in itertools.pairwise(now):
            if behind.front_m > ahead.rear_m - 0.01:
                self.overlaps.append((self._world.now_s, ahead.number, behind.number))
        for vehicle in now:
            before = self._before.get(vehicle.number)
            if before is not None:
                moved_m = vehicle.front_m - before.front_m
                if moved_m < -1e-9:
                    self.backwards.add(vehicle.number)
                if abs(moved_m) > 0.8:
                    self.jumps.add(vehicle.number)
        self._before = {vehicle.number: vehicle for vehicle in now}


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), rate=st.sampled_from([200.0, 300.0, 800.0, 2000.0]))
def test_ordinary_vehicles_all_pass_in_order_and_never_touch_nor_roll_back(seed: int, rate: float) -> None:
    world = World(SCENE, scenario(traffic={"vehicles_per_h": rate}), seed)
    watch = Watch(world)
    truth = played(world, look=watch)
    assert [vehicle.fate for vehicle in truth.vehicles] == [Fate.THROUGH] * 12
    assert (watch.overlaps, watch.backwards, watch.jumps) == ([], set(), set())
    assert [v.number for v in sorted(truth.vehicles, key=lambda v: v.booth_left_s or 0.0)] == list(range(1, 13))
    assert truth.gate_strikes == 0 and not any(vehicle.unreleased for vehicle in truth.vehicles)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**32))
@example(seed=1)
def test_bodies_keep_apart_and_the_lane_empties_whatever_the_drivers_do(seed: int) -> None:
    world = World(
        SCENE,
        scenario(
            25,
            traffic={
                "vehicles_per_h": 400,
                "undisciplined_share": 0.3,
                "mix": {"motorcycle": 2, "car": 5, "van": 2, "bus": 1, "truck": 1, "truck_trailer": 1},
            },
            behaviour={
                "tailgating_share": 0.3,
                "back_out_share": 0.1,
                "lane_change_share": 0.1,
                "reversing_share": 0.1,
                "runner_share": 0.05,
            },
        ),
        seed,
    )
    watch = Watch(world)
    truth = played(world, look=watch)
    assert watch.overlaps == []
    assert all(vehicle.fate is not Fate.INSIDE for vehicle in truth.vehicles)
    turned = {v.number for v in truth.vehicles if v.conduct in (Conduct.BACKS_OUT, Conduct.REVERSES)}
    assert watch.backwards <= turned


def test_nobody_passes_a_red_signal() -> None:
    world = World(SCENE, scenario(4), 1)
    for _ in range(3000):
        world.advance(0.1)
    assert len(world.whereabouts) == 4
    assert world.whereabouts[0].front_m <= SCENE.stop_line_m
    assert world.at_booth is not None and world.at_booth.number == 1


@pytest.mark.parametrize("lit", [("signal_green",), ("gate_open",), ("signal_green", "signal_red", "gate_open")])
def test_nobody_leaves_the_booth_without_both_green_alone_and_an_open_gate(lit: tuple[str, ...]) -> None:
    world = World(SCENE, scenario(1), 1)
    for point in lit:
        world.act("io1", OutputSet(point, True))
    for _ in range(1200):
        world.advance(0.1)
    assert [v.front_m <= SCENE.stop_line_m for v in world.whereabouts] == [True]


def test_a_permission_withdrawn_before_the_driver_reacts_is_obeyed() -> None:
    world = World(SCENE, scenario(1), 1)
    for point in ("gate_open", "signal_green"):
        world.act("io1", OutputSet(point, False))
    for _ in range(600):
        world.advance(0.1)
    world.act("io1", OutputSet("gate_open", True))
    world.advance(2.0)
    for _ in range(3):
        world.act("io1", OutputSet("signal_green", True))
        world.advance(0.4)
        world.act("io1", OutputSet("signal_green", False))
        world.advance(10.0)
    assert world.whereabouts[0].front_m <= SCENE.stop_line_m


def test_a_driver_who_had_to_stop_a_little_short_of_the_line_still_sees_the_release() -> None:
    world = World(SCENE, scenario(1), 1)
    while not world.whereabouts:
        world.advance(0.1)
    (vehicle,) = world._traffic.vehicles
    vehicle.place(vehicle.stop_at_m - 0.5)
    vehicle.speed_mps = 0.0
    for point in ("gate_open", "signal_green"):
        world.act("io1", OutputSet(point, True))
    world.advance(30.0)
    assert world.done


def test_a_lane_without_a_gate_needs_the_green_only() -> None:
    world = World(Scene(gate=None), scenario(3), 1)
    assert [v.fate for v in played(world).vehicles] == [Fate.THROUGH] * 3


def test_the_gate_takes_its_travel_time_and_tells_both_ends() -> None:
    world = World(SCENE, scenario(1, traffic={"vehicles_per_h": 1, "least_headway_s": 3000}), 1)
    start = {s.reading.point: s.reading.on for s in world.advance(0.1) if isinstance(s.reading, Contact)}
    assert start["gate_closed"] and not start["gate_opened"]
    world.act("io1", OutputSet("gate_open", True))
    edges = []
    for _ in range(20):
        edges += [(round(world.now_s, 1), s.reading) for s in world.advance(0.1) if isinstance(s.reading, Contact)]
    assert edges == [(0.2, Contact("gate_closed", False)), (1.1, Contact("gate_opened", True))]


def test_a_gate_closed_onto_a_vehicle_is_counted_once() -> None:
    world = World(SCENE, scenario(1), 1)
    booth = Booth(world, 2.0)
    while not any(v.front_m > 32.0 for v in world.whereabouts):
        world.advance(0.1)
        booth.work()
    world.act("io1", OutputSet("gate_open", False))
    world.advance(0.9)
    assert world.truth.gate_strikes == 1


def test_vehicles_wait_before_the_portal_until_they_can_clear_it() -> None:
    world = World(SCENE, scenario(8, traffic={"vehicles_per_h": 2000}), 3)
    for _ in range(2000):
        world.advance(0.1)
    portal = SCENE.portal
    assert portal is not None
    assert len(world.whereabouts) > 4
    assert not [v for v in world.whereabouts if v.front_m > portal.start_m and v.rear_m < portal.end_m]


def test_undisciplined_drivers_stop_in_the_portal() -> None:
    world = World(SCENE, scenario(8, traffic={"vehicles_per_h": 2000, "undisciplined_share": 1.0}), 3)
    for _ in range(2000):
        world.advance(0.1)
    assert [v for v in world.whereabouts if v.front_m > 8.0 and v.rear_m < 10.0]


def test_a_vehicle_that_backs_out_leaves_before_the_booth_and_is_withdrawn() -> None:
    world = World(SCENE, scenario(20, behaviour={"back_out_share": 0.3}), 2)
    truth = played(world)
    turned = of_conduct(truth, Conduct.BACKS_OUT)
    assert turned
    assert {(v.fate, v.booth_entered_s) for v in turned} == {(Fate.WITHDRAWN, None)}
    assert {v.fate for v in truth.vehicles if v not in turned} == {Fate.THROUGH}


def test_a_vehicle_that_changes_lanes_is_seen_on_the_approach_only() -> None:
    world = World(SCENE, scenario(1, behaviour={"lane_change_share": 1.0}), 2)
    seen = [s.reading for _, s in play(world) if isinstance(s.reading, Contact) and s.reading.on]
    assert [contact.point for contact in seen if contact.point.startswith("loop")] == ["loop_approach"]
    assert world.truth.vehicles[0].fate is Fate.WITHDRAWN


def test_a_reversing_vehicle_takes_the_booth_loop_twice_and_counts_as_one() -> None:
    world = World(SCENE, scenario(1, behaviour={"reversing_share": 1.0}), 2)
    edges = [s.reading for _, s in play(world) if isinstance(s.reading, Contact) and s.reading.point == "loop_booth"]
    assert [contact.on for contact in edges] == [False, True, False, True, False]
    (vehicle,) = world.truth.vehicles
    assert vehicle.fate is Fate.THROUGH
    assert vehicle.booth_entered_s is not None and vehicle.booth_left_s is not None


def test_a_tailgater_passes_the_booth_close_behind_a_released_vehicle() -> None:
    behaviour = {"tailgating_share": 0.5, "tailgating_gap_s": [0.5, 1.0], "tailgating_through_share": 1.0}
    truth = played(World(Scene(gate=None), scenario(20, behaviour=behaviour), 4))
    through = of_conduct(truth, Conduct.TAILGATES_THROUGH)
    assert through and any(vehicle.unreleased for vehicle in through)
    by_number = {vehicle.number: vehicle for vehicle in truth.vehicles}
    for vehicle in through:
        if vehicle.unreleased:
            leader = by_number[vehicle.number - 1]
            assert vehicle.booth_left_s is not None and leader.booth_left_s is not None
            assert vehicle.booth_left_s - leader.booth_left_s < 6.0


def test_a_tailgater_stopped_by_the_gate_is_released_in_its_turn() -> None:
    behaviour = {"tailgating_share": 0.5, "tailgating_gap_s": [0.5, 1.0], "tailgating_through_share": 1.0}
    truth = played(World(SCENE, scenario(20, behaviour=behaviour), 4))
    through = of_conduct(truth, Conduct.TAILGATES_THROUGH)
    assert {(vehicle.fate, vehicle.unreleased) for vehicle in through} == {(Fate.THROUGH, False)}


def test_a_tailgater_who_does_not_go_through_stops_for_the_officer() -> None:
    behaviour = {"tailgating_share": 0.5, "tailgating_through_share": 0.0}
    truth = played(World(SCENE, scenario(20, behaviour=behaviour), 4))
    assert of_conduct(truth, Conduct.TAILGATES)
    assert not any(vehicle.unreleased for vehicle in truth.vehicles)


def test_a_runner_stops_for_nobody() -> None:
    world = World(SCENE, scenario(1, behaviour={"runner_share": 1.0}), 2)
    for _ in range(600):
        world.advance(0.1)
    (vehicle,) = world.truth.vehicles
    assert (vehicle.fate, vehicle.unreleased, world.truth.gate_strikes) == (Fate.THROUGH, True, 1)


def test_vehicles_abreast_share_their_time_at_the_booth() -> None:
    mix = {"motorcycle": 1, "car": 0, "suv": 0, "van": 0}
    truth = played(World(SCENE, scenario(12, traffic={"mix": mix}, behaviour={"abreast_share": 0.5}), 2))
    pairs = [(truth.vehicles[v.number - 2], v) for v in of_conduct(truth, Conduct.ABREAST)]
    assert pairs
    for first, second in pairs:
        assert first.booth_entered_s == second.booth_entered_s
    assert {v.fate for v in truth.vehicles} == {Fate.THROUGH}


def test_without_an_officer_the_run_ends_with_its_time_and_nobody_has_passed() -> None:
    absent = Scenario.model_validate({"title": "t", "duration_s": 120, "officer": {"present": False}})
    world = World(SCENE, absent, 1)
    while not world.done:
        world.advance(0.1)
    assert world.now_s == pytest.approx(120.0)
    assert all(vehicle.fate is Fate.INSIDE for vehicle in world.truth.vehicles)


def test_a_run_with_an_officer_goes_on_until_the_lane_is_empty() -> None:
    world = World(SCENE, Scenario(title="t", duration_s=60), 1)
    truth = played(world)
    assert world.done and truth.now_s > 60.0 and not world.whereabouts


def test_a_daemon_elsewhere_may_have_an_officer_so_vehicles_wait_for_one() -> None:
    absent = Scenario.model_validate({"title": "t", "vehicles": 2, "drain_limit_s": 100, "officer": {"present": False}})
    world = World(SCENE, awaited(absent), 1)
    while not world.done:
        world.advance(0.1)
    assert 100.0 < world.now_s < 200.0


def test_the_run_gives_up_on_a_lane_that_never_empties() -> None:
    world = World(SCENE, Scenario(title="t", vehicles=2, drain_limit_s=100), 1)
    while not world.done:
        world.advance(0.1)
    assert 100.0 < world.now_s < 200.0 and len(world.whereabouts) == 2
