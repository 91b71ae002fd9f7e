"""How a driver backs out of the lane, or reverses at the booth and comes again. Called by `Traffic`."""

from __future__ import annotations

from sim.world.plan import Conduct
from sim.world.scene import Scene
from sim.world.vehicle import DONE, STANDING_MPS, START_FROM_M, Vehicle

REVERSE_MPS = 1.2


def turning_point_m(scene: Scene, vehicle: Vehicle) -> float:
    """Where the vehicle stops to reverse: on the approach, or in the booth zone."""
    if vehicle.plan.conduct is Conduct.BACKS_OUT:
        approach = scene.approach
        return approach.start_m + 0.5 + vehicle.plan.where * (approach.end_m - approach.start_m)
    return min(scene.booth.start_m + 1.0 + vehicle.plan.where, vehicle.stop_at_m)


def manoeuvre(scene: Scene, vehicle: Vehicle, now_s: float, dt_s: float) -> bool:
    """One step of a back-out or reversal; False while the vehicle still drives ahead as usual."""
    match vehicle.manoeuvre:
        case 0:
            if vehicle.speed_mps < STANDING_MPS and turning_point_m(scene, vehicle) - vehicle.front_m <= START_FROM_M:
                vehicle.manoeuvre, vehicle.pause_until_s = 1, now_s + 1.0 + vehicle.plan.where
            return False
        case 1:
            vehicle.speed_mps = 0.0
            if now_s >= vehicle.pause_until_s:
                vehicle.manoeuvre = 2
        case 2:
            vehicle.speed_mps = -REVERSE_MPS
            vehicle.place(vehicle.front_m - REVERSE_MPS * dt_s)
            if vehicle.front_m <= _reverses_to_m(scene, vehicle):
                vehicle.speed_mps = 0.0
                vehicle.manoeuvre, vehicle.pause_until_s = 3, now_s + 1.5
        case _:
            if now_s >= vehicle.pause_until_s or vehicle.plan.conduct is Conduct.BACKS_OUT:
                vehicle.manoeuvre, vehicle.manoeuvring, vehicle.stood_since_s = DONE, False, None
    return True


def _reverses_to_m(scene: Scene, vehicle: Vehicle) -> float:
    if vehicle.plan.conduct is Conduct.BACKS_OUT:
        return scene.approach.start_m - 1.5
    return scene.booth.start_m - 0.7
