"""The sections of a lane file about what the lane commands: signals, gate, beacon, buttons, scanner."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

from pydantic import Field, create_model

from lanecontrol.config.section import Name, Seconds, Section
from lanecontrol.lane import setup


class SignalSection(Section):
    """The booth signal, driven by two outputs of one module."""

    device: Name
    """Id of the I/O module."""
    green: Name
    """Output that lights green."""
    red: Name
    """Output that lights red."""
    green_input: Name | None = None
    """Input that is on while the green lamp really burns, where the head tells."""
    red_input: Name | None = None
    """The same for the red lamp."""


class GateSection(Section):
    """The gate after the booth: one maintained output opens it while on."""

    device: Name
    """Id of the I/O module."""
    open_output: Name
    """Output that opens the gate while on."""
    opened_input: Name
    """Limit switch: fully open."""
    closed_input: Name
    """Limit switch: fully closed."""
    travel_limit_s: Seconds = 8.0
    """A gate that has not reached its end after this time is faulty."""
    beams: list[Name] = []
    """Inputs that are on while something stands under the arm: photo-eyes, a suppression loop."""
    fault_input: Name | None = None
    """Input that is on while the gate's own operator reports a fault."""


class ButtonSection(Section):
    """A button in the booth that gives the disposition RELEASED, where the site says so."""

    device: Name
    """Id of the I/O module."""
    point: Name
    """Name of the module's input."""
    officer: Name
    """Who is recorded as having pressed it."""


class LaneSignalSection(Section):
    """The overhead lane-use signal: green arrow, yellow X, red X."""

    device: Name
    """Id of the I/O module."""
    open: Name
    """Output of the green arrow."""
    closing: Name
    """Output of the yellow X."""
    closed: Name
    """Output of the red X."""
    open_input: Name | None = None
    """Input that is on while the green arrow really burns, where the head tells."""
    closing_input: Name | None = None
    """The same for the yellow X."""
    closed_input: Name | None = None
    """The same for the red X."""
    closing_at_least_s: float = Field(default=4.0, ge=4.0, le=60)
    """The yellow X is shown for so long before the red one, except in an emergency."""


class BeaconSection(Section):
    """A warning light."""

    device: Name
    """Id of the I/O module."""
    output: Name
    """Output that lights it."""


class EmergencyButtonSection(Section):
    """A latching button in the booth: on is an emergency. Name a normally closed one under `invert` of its module."""

    device: Name
    """Id of the I/O module."""
    point: Name
    """Name of the module's input."""


PointName = Annotated[str, Field(pattern=r"^([a-z][a-z0-9_-]{0,31}/)?[a-z][a-z0-9_]{0,31}$")]
"""A point of the scanner's own module, or `device/point` for one of another module."""


def _points(name: str, of: type[Any], what: str) -> Any:
    fields: dict[str, Any] = {part.name: (PointName, Field()) for part in dataclasses.fields(of)}
    return create_model(name, __base__=Section, __doc__=what, **fields)


ScannerInputsSection: Any = _points(
    "ScannerInputsSection", setup.ScannerInputs, "The scanner's contacts, each on for what its name says."
)
ScannerOutputsSection: Any = _points(
    "ScannerOutputsSection", setup.ScannerOutputs, "What we tell the scanner and the driver."
)
_LONGEST_S = {"arm_s": 900, "position_s": 900, "check_s": 60, "warning_confirm_s": 10, "warning_s": 60, "start_s": 30}
_LONGEST_S |= {"scan_s": 600, "shutter_s": 10, "contradiction_s": 5}
"""A vehicle may need its time; what tells of a fault may not be put off by a setting."""
_TIMES: dict[str, Any] = {
    part.name: (float, Field(default=part.default, gt=0, le=_LONGEST_S[part.name]))
    for part in dataclasses.fields(setup.ScannerTimes)
} | {"warning_s": (float, Field(default=5.0, ge=5.0, le=_LONGEST_S["warning_s"]))}
ScannerTimesSection: Any = create_model("ScannerTimesSection", __base__=Section, **_TIMES)
ScannerTimesSection.__doc__ = "Time-outs of the scan, field by field as `lane.setup.ScannerTimes` has them."


class ConsentSection(Section):
    """Who agreed, in writing, that this software may request scans. A real scanner needs both."""

    maker: Name
    """The person at the scanner's maker."""
    radiation_safety_officer: Name
    """The site's radiation safety officer."""


class ScannerSection(Section):
    """A vehicle scanner behind dry contacts. Stationary, everybody out of the vehicle; there is no other mode."""

    kind: Literal["scanner.contacts"]
    """How it is connected."""
    zone: Name
    """The zone where a vehicle is scanned."""
    device: Name
    """Id of its I/O module."""
    inputs: ScannerInputsSection
    """The scanner's contacts."""
    outputs: ScannerOutputsSection
    """What we tell the scanner and the driver."""
    times: ScannerTimesSection = ScannerTimesSection()
    """Time-outs."""
    two_persons: bool = True
    """A second person has to confirm every scan."""
    maker: str = Field(default="", max_length=100)
    """Who made it, for the record."""
    model: str = Field(default="", max_length=100)
    """Its model."""
    serial: str = Field(default="", max_length=100)
    """Its serial number."""
    modality: str = Field(default="", max_length=100)
    """What it scans with, such as `gamma Cs-137, transmission`."""
    consent: ConsentSection | None = None
    """Who agreed. Without it only a simulated scanner can be bound."""
