"""Vehicles that no decision by occupancy can clear of another's alarm: used by `benchmarks/tracking.py`.

The portal measured them together with the source, in one occupancy. Who may miss no alarm and knows nothing but which
vehicles an occupancy covers gives its alarm to all of them, even with the truth about where every vehicle was. The
course of the counts could tell more in part of the cases, so this is what such a decision can reach and no hard limit.
"""

from __future__ import annotations

from sim.world.truth import OccupancyTruth, Truth


def shared(truth: Truth) -> int:
    """How many vehicles came to the booth that were in one occupancy with somebody else's alarm."""
    at_booth = {vehicle.number for vehicle in truth.vehicles if vehicle.booth_entered_s is not None}
    return len(at_booth & {number for occupancy in truth.occupancies for number in _innocent(occupancy)})


def _innocent(occupancy: OccupancyTruth) -> set[int]:
    """Who was in this occupancy and did not cause its alarm."""
    causes = set(occupancy.gamma_causes) | set(occupancy.neutron_causes)
    return set(occupancy.vehicles) - causes if occupancy.gamma_alarm or occupancy.neutron_alarm else set()
