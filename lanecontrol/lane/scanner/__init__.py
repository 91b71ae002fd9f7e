"""The scanner's permissive: when a scan may be requested, and what withdraws the request.

The lane controller is not the safety system: the scanner's own chain stops the beam without us. Here a request is
given only when every condition holds, and taken back in the step in which any of them is in doubt. The modes are one:
the vehicle stands, the driver is out of it. `table` is the state machine, `conditions` what has to hold, `outputs` what
each state wants of the contacts. Called by `lane.step` after every input of a lane with a scanner, by `lane.orders`
for what people ask, and by `lane.restart`.
"""

from __future__ import annotations

from lanecontrol.lane.scanner.asking import ScanRequest, ordered
from lanecontrol.lane.scanner.machine import follow
from lanecontrol.lane.scanner.restarting import initial, started
from lanecontrol.lane.scanner_state import Scanning

__all__ = ["ScanRequest", "follow", "granted", "initial", "ordered", "started"]


def granted(scanning: Scanning, command: str) -> bool:
    """Whether what this command gives to the scanner is still to be given."""
    return any(name == command for _, name in scanning.grants)
