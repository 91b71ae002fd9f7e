"""A world played without a lane: a booth that looks at the vehicle itself and lets it go after a fixed time.

For tests and for tuning scenarios: `python -m sim.world.rehearsal configs/scenarios/clean.yaml [SEED]` prints what
happened. It opens the gate for one vehicle and closes it behind that vehicle, as a lane with perfect sight would.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from sim.readings import OutputSet
from sim.world.truth import Fate
from sim.world.world import STEP_S, Sensed, World

GATE_CLEARANCE_M = 0.5


class Booth:
    """Releases each vehicle `service_s` after it has come to a stop in the booth zone."""

    def __init__(self, world: World, service_s: float) -> None:
        self._world = world
        self._service_s = service_s
        self._serving: tuple[int, float] | None = None
        self._released: int | None = None
        self._show(False)

    def work(self) -> None:
        """Look at the lane and act; call it after each step."""
        world = self._world
        if self._released is not None:
            if not self._is_before_gate(self._released):
                self._released = None
                self._show(False)
            return
        standing = next((v for v in world.whereabouts if v.front_m >= world.scene.booth.start_m), None)
        if standing is None or standing.speed_mps > 0.1 or standing.rear_m > world.scene.booth.end_m:
            self._serving = None
        elif self._serving is None or self._serving[0] != standing.number:
            self._serving = (standing.number, world.now_s)
        elif world.now_s - self._serving[1] >= self._service_s:
            self._released = standing.number
            self._show(True)

    def _is_before_gate(self, number: int) -> bool:
        scene = self._world.scene
        gate_m = scene.gate.at_m if scene.gate else scene.stop_line_m
        return any(v.number == number and v.rear_m < gate_m + GATE_CLEARANCE_M for v in self._world.whereabouts)

    def _show(self, proceed: bool) -> None:
        scene = self._world.scene
        # Red goes before green comes, and green before red: never both.
        points = [
            (scene.signal.device, scene.signal.red, not proceed),
            (scene.signal.device, scene.signal.green, proceed),
        ]
        for device, point, on in points if proceed else reversed(points):
            self._world.act(device, OutputSet(point, on))
        if scene.gate is not None:
            self._world.act(scene.gate.device, OutputSet(scene.gate.open_output, proceed))


def play(
    world: World, service_s: float = 4.0, limit_s: float = 24 * 3600.0, look: Callable[[], None] = lambda: None
) -> Iterator[tuple[float, Sensed]]:
    """Play until the world is done or `limit_s` is over: every reading and when. `look` sees each step."""
    booth = Booth(world, service_s)
    while not world.done and world.now_s < limit_s:
        for sensed in world.advance(STEP_S):
            yield world.now_s, sensed
        booth.work()
        look()


def summary(world: World) -> str:
    """What happened, in a few lines."""
    truth = world.truth
    fates = Counter(vehicle.fate for vehicle in truth.vehicles)
    conduct = Counter(vehicle.conduct for vehicle in truth.vehicles)
    shared = sum(len(occupancy.vehicles) > 1 for occupancy in truth.occupancies)
    gamma, neutron = (sum(getattr(o, f"{kind}_alarm") for o in truth.occupancies) for kind in ("gamma", "neutron"))
    return "\n".join(
        (
            f"{truth.now_s:.0f} s, {len(truth.vehicles)} vehicles: "
            + ", ".join(f"{fates[fate]} {fate.value}" for fate in Fate),
            "conduct: " + ", ".join(f"{count} {name}" for name, count in conduct.most_common()),
            f"portal: {len(truth.occupancies)} occupancies ({shared} of several vehicles), "
            f"{gamma} gamma and {neutron} neutron alarms",
            f"gate strikes: {truth.gate_strikes}",
        )
    )


if __name__ == "__main__":
    import sys

    from sim.simfile import load_scenario
    from sim.world.scene import Scene

    scenario = load_scenario(sys.argv[1])
    if scenario.vehicles is None and scenario.duration_s is None:
        scenario = scenario.model_copy(update={"duration_s": 3600.0})
    played = World(Scene(), scenario, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    readings = Counter(type(sensed.reading).__name__ for _, sensed in play(played))
    sys.stdout.write(f"{summary(played)}\nreadings: {dict(readings)}\n")
