"""The closed-loop world of a simulated lane: vehicles, sensors, signal and gate, all randomness and all truth."""

from sim.world.scenario import Scenario
from sim.world.scene import Scene
from sim.world.truth import Truth
from sim.world.world import Sensed, World

__all__ = ["Scenario", "Scene", "Sensed", "Truth", "World"]
