"""What every output of a lane is when nobody may go, nothing is to move, and nothing is to be scanned.

The module's own watchdog holds these values; the composition root commands them on every way out, but for the gate's;
`devices --prove-failsafe` looks whether a module really falls to them. Pure: from the lane's setup alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from lanecontrol.commands import WriteOutputs
from lanecontrol.lane.setup import LaneSetup, ScannerOutputs


class Part(IntEnum):
    """What an output acts on; the lower, the less can come of switching it."""

    LAMP = 1
    GATE = 2
    SCANNER = 3


@dataclass(frozen=True, slots=True)
class SafeOutput:
    """One output of the lane, and what it is in the safe state. `head` names what must not show two aspects at once."""

    device: str
    point: str
    on: bool
    part: Part
    role: str
    head: str = ""


def safe_outputs(setup: LaneSetup) -> tuple[SafeOutput, ...]:
    """Every output that the lane commands, lamps first."""
    found = (*_lamps(setup), *_gate(setup), *_scanner(setup))
    return tuple(sorted(found, key=lambda output: output.part))


def _lamps(setup: LaneSetup) -> Iterator[SafeOutput]:
    if (signal := setup.signal) is not None:
        yield SafeOutput(signal.device, signal.green, False, Part.LAMP, "signal green", "signal")
        yield SafeOutput(signal.device, signal.red, True, Part.LAMP, "signal red", "signal")
    if (overhead := setup.lane_signal) is not None:
        yield SafeOutput(overhead.device, overhead.open, False, Part.LAMP, "overhead green arrow", "overhead")
        yield SafeOutput(overhead.device, overhead.closing, False, Part.LAMP, "overhead yellow X", "overhead")
        yield SafeOutput(overhead.device, overhead.closed, True, Part.LAMP, "overhead red X", "overhead")
    if (beacon := setup.beacon) is not None:
        yield SafeOutput(beacon.device, beacon.output, True, Part.LAMP, "beacon")


def _gate(setup: LaneSetup) -> Iterator[SafeOutput]:
    if (gate := setup.gate) is not None:
        yield SafeOutput(gate.device, gate.open_output, False, Part.GATE, "gate open command")


def _scanner(setup: LaneSetup) -> Iterator[SafeOutput]:
    if setup.scanner is None:
        return
    outputs: ScannerOutputs = setup.scanner.outputs
    for name in ("scan_request", "scan_arm", "abort", "warning_request", "driver_stop", "driver_go"):
        point = getattr(outputs, name)
        lamp = name in ("driver_stop", "driver_go")
        head = "driver" if lamp else ""
        part = Part.LAMP if lamp else Part.SCANNER
        yield SafeOutput(point.device, point.point, name == "driver_stop", part, name.replace("_", " "), head)


def last_words(setup: LaneSetup) -> dict[str, WriteOutputs]:
    """For each module, what is commanded on every way out: red, nothing requested; the gate is left as it is.

    Nobody knows on the way out what stands under the arm: the gate's output is the lane's own last step, and its
    module's watchdog after that.
    """
    points: dict[str, dict[str, bool]] = {}
    for output in safe_outputs(setup):
        if output.part is not Part.GATE:
            points.setdefault(output.device, {})[output.point] = output.on
    return {device: WriteOutputs(tuple(values.items())) for device, values in points.items()}
