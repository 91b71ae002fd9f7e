"""The scanner's permissive: when a scan may be requested, and what withdraws the request.

Called by `lane.orders` for what people ask and by `lane.step` for what contacts say.
"""

from __future__ import annotations

from lanecontrol.commands import (
    AbortScan,
    Actor,
    ConfirmDriverOut,
    ConfirmScan,
    EnableScanner,
    Outcome,
    ResetScanner,
    Result,
    ScanVehicle,
)
from lanecontrol.lane.turn import Turn

ScanRequest = ScanVehicle | ConfirmScan | ConfirmDriverOut | AbortScan | EnableScanner | ResetScanner


def ordered(t: Turn, key: str, actor: Actor, request: ScanRequest) -> Outcome:
    """Carry out or refuse what somebody asks of the scanner."""
    return Outcome(Result.REFUSED, "this lane has no scanner")
