"""lanecontrol: the lane controller of one inspection booth. Imports neither drivers nor the simulator."""

__version__ = "0.1.0"
