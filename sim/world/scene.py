"""Where everything stands in the simulated lane: the geometry, and which sensor is which device and point.

Part of `sim.yaml`. Positions are metres along the lane in driving order, on the same scale as the zones of the lane
file. What is drawn by chance or goes wrong is not here but in the scenario.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

FOUR = 4


class Part(BaseModel):
    """A part of the scene: frozen, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Stretch(Part):
    """Something that reaches from one position to another."""

    start_m: float
    """Where it begins."""
    end_m: float
    """Where it ends."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end_m <= self.start_m:
            raise ValueError("end_m must lie behind start_m")
        return self


class LoopSite(Stretch):
    """A presence loop in the road."""

    device: str
    """The I/O module that reads it."""
    point: str
    """Its contact."""


class PortalSite(Stretch):
    """The radiation portal: its occupancy beam reaches from start to end, its detectors stand in the middle."""

    device: str
    """The portal's device id."""
    gamma_background_cps: Annotated[tuple[float, ...], Field(min_length=FOUR, max_length=FOUR)] = (382, 381, 426, 367)
    """Background of the four gamma panels."""
    neutron_background_cps: Annotated[tuple[float, ...], Field(min_length=FOUR, max_length=FOUR)] = (4.0, 0, 2.7, 0)
    """Background of the four neutron channels; 0 is a channel without a tube."""
    n_sigma: float = Field(default=4.02, gt=0)
    """Gamma threshold of the controller's own decision, in standard deviations."""
    intervals: int = Field(default=5, ge=1, le=99)
    """Gamma window, in 200 ms intervals."""
    hold_in: int = Field(default=10, ge=0, le=99)
    """Intervals of 200 ms that the occupancy lasts on after the beam has cleared."""
    keep_clear_m: float = Field(default=1.0, ge=0)
    """How far before the portal drivers stop when there is no room behind it."""


class AntennaSite(Stretch):
    """An RFID antenna and the stretch in which it reads tags."""

    device: str
    """The reader."""
    number: int = Field(ge=1)
    """Antenna number as printed on the reader."""
    at_m: float
    """Where it hangs."""
    aside_m: float = Field(default=2.0, gt=0)
    """How far from the cards' path, sideways and above."""
    rssi_at_1m_dbm: float = -44.0
    """Signal strength of a tag one metre away."""
    rssi_slope_db: float = Field(default=25.0, ge=0)
    """Loss per tenfold distance."""
    sensitivity_dbm: float = -80.0
    """Weaker answers are not heard."""


class CameraSite(Part):
    """A plate camera, triggered as a vehicle passes `at_m`."""

    device: str
    """The camera's device id."""
    at_m: float
    """Where a vehicle's plate is read."""
    side: Literal["front", "rear"] = "rear"
    """Which plate it sees."""
    sight_m: float = Field(default=6.0, gt=0)
    """How far behind `at_m` it loses sight of a plate."""
    pictures_from_m: float | None = Field(default=None, gt=0)
    """For a camera that only takes pictures: from this far before `at_m` on (front plates; behind it, rear plates)
    a vehicle is in them. Without, there are no pictures of the lane."""


class SignalSite(Part):
    """The booth signal head."""

    device: str
    """The I/O module that drives it."""
    green: str = "signal_green"
    """Output of the PROCEED aspect."""
    red: str = "signal_red"
    """Output of the STOP aspect."""
    green_input: str = ""
    """Contact that is on while the green lamp really burns; empty where the head does not tell."""
    red_input: str = ""
    """The same for the red lamp."""


class LaneSignalSite(Part):
    """The overhead lane-use signal at the entrance of the lane."""

    device: str
    """The I/O module that drives it."""
    at_m: float
    """Drivers stop here under a red X."""
    open: str = "lane_open"
    """Output of the green arrow."""
    closing: str = "lane_closing"
    """Output of the yellow X."""
    closed: str = "lane_closed"
    """Output of the red X."""
    open_input: str = ""
    """Contact that is on while the green arrow really burns; empty where the head does not tell."""
    closing_input: str = ""
    """The same for the yellow X."""
    closed_input: str = ""
    """The same for the red X."""


class BeaconSite(Part):
    """A warning light."""

    device: str
    """The I/O module that drives it."""
    output: str = "beacon"
    """Its output."""


class BeamSite(Part):
    """A photo-eye under the gate's arm."""

    point: str
    """Its contact: on while something stands in the beam."""
    before_m: float = Field(default=0.5, ge=0)
    """It sees from so far before the arm to as far behind it."""


class GateSite(Part):
    """The gate behind the booth."""

    device: str
    """The I/O module that drives it."""
    at_m: float = 31.0
    """Where the arm crosses the lane."""
    open_output: str = "gate_open"
    """Output that opens it while on."""
    opened_input: str = "gate_opened"
    """Limit switch: fully open."""
    closed_input: str = "gate_closed"
    """Limit switch: fully closed."""
    travel_time_s: float = Field(default=1.0, gt=0)
    """From one end to the other."""
    beams: tuple[BeamSite, ...] = ()
    """Photo-eyes under the arm. With any of them, the gate's own operator goes up again when one is interrupted."""
    fault_input: str = ""
    """Contact that is on while the operator reports a fault; empty where it has none."""


class ButtonSite(Part):
    """The release button in the booth."""

    device: str
    """The I/O module that reads it."""
    point: str = "booth_button"
    """Its contact."""


class EmergencyButtonSite(Part):
    """The latching emergency button in the booth."""

    device: str
    """The I/O module that reads it."""
    point: str = "emergency"
    """Its contact: on while it is pressed."""


class ScannerSite(Stretch):
    """A vehicle scanner behind the gate. From start to end is the zone in which nobody may be while the beam is on."""

    device: str
    """Its I/O module. All its contacts and outputs are points of this one."""
    barrier_m: float
    """Where its own arm keeps everybody else out; the scanner lowers it while it is armed."""
    stop_m: float
    """The mark at which the front of a vehicle that is to be scanned stops."""
    shutter_travel_s: tuple[float, float] = (0.3, 0.8)
    """From one end of the shutter's way to the other, drawn anew for each movement."""
    sweep_s: float = Field(default=15.0, gt=0)
    """How long the beam has to be on for a whole scan."""
    walk_s: float = Field(default=8.0, gt=0)
    """From the cab to the waiting place, or back."""
    ready: str = "scanner_ready"
    """Contacts, each on for what its name says."""
    key_enabled: str = "scanner_key"
    fault: str = "scanner_fault"
    shutter_closed: str = "shutter_closed"
    shutter_open: str = "shutter_open"
    scan_in_progress: str = "scan_in_progress"
    scan_complete: str = "scan_complete"
    estop_ok: str = "estop_ok"
    zone_clear: str = "zone_clear"
    barrier_closed: str = "barrier_closed"
    vehicle_in_position: str = "vehicle_in_position"
    driver_clear: str = "driver_clear"
    warning_active: str = "warning_active"
    scan_arm: str = "scan_arm"
    """Outputs."""
    scan_request: str = "scan_request"
    abort: str = "scan_abort"
    warning_request: str = "warning_request"
    driver_stop: str = "driver_stop"
    driver_go: str = "driver_go"


class Scene(Part):
    """One lane. The default is a lane with portal, two loops before and at the booth, a gate and an exit loop."""

    start_m: float = -30.0
    """Where vehicles (their fronts) come into the world."""
    end_m: float = 45.0
    """Where a vehicle has left the world, once its rear is past."""
    stop_line_m: float = 28.5
    """Where vehicles stop for the officer."""
    approach: Stretch = Stretch(start_m=20.0, end_m=22.0)
    """Where a vehicle waits for the booth; back-outs and lane changes start here."""
    booth: Stretch = Stretch(start_m=25.0, end_m=29.0)
    """The booth zone: the truth of who was at the booth, and when, is measured here."""
    loops: tuple[LoopSite, ...] = (
        LoopSite(device="io1", point="loop_approach", start_m=20.0, end_m=22.0),
        LoopSite(device="io1", point="loop_booth", start_m=25.0, end_m=29.0),
        LoopSite(device="io1", point="loop_exit", start_m=33.0, end_m=35.0),
    )
    """Presence loops."""
    portal: PortalSite | None = PortalSite(device="rpm1", start_m=8.0, end_m=10.0)
    """The radiation portal, if there is one: drivers keep clear of it and slow down for it."""
    more_portals: tuple[PortalSite, ...] = ()
    """Further radiation portals, anywhere in the lane; drivers take no notice of them."""
    antennas: tuple[AntennaSite, ...] = (
        AntennaSite(device="rfid1", number=1, at_m=28.0, start_m=17.0, end_m=29.0),
        AntennaSite(device="rfid1", number=2, at_m=26.0, start_m=17.0, end_m=29.0),
    )
    """RFID antennas."""
    cameras: tuple[CameraSite, ...] = ()
    """Plate cameras."""
    signal: SignalSite = SignalSite(device="io1")
    """The booth signal that drivers obey."""
    gate: GateSite | None = GateSite(device="io1")
    """The gate, if there is one."""
    button: ButtonSite | None = ButtonSite(device="io1")
    """The officer's release button, if there is one."""
    lane_signal: LaneSignalSite | None = None
    """The overhead lane-use signal, if there is one."""
    beacon: BeaconSite | None = None
    """The warning light, if there is one."""
    emergency_button: EmergencyButtonSite | None = None
    """The emergency button, if there is one."""
    scanner: ScannerSite | None = None
    """The vehicle scanner, if there is one."""

    @model_validator(mode="after")
    def _in_driving_order(self) -> Self:
        portal_m = self.portal.end_m if self.portal else self.start_m
        gate_m = self.gate.at_m if self.gate else self.stop_line_m
        scanner = self.scanner
        behind_gate = (scanner.barrier_m, scanner.start_m, scanner.stop_m, scanner.end_m) if scanner else ()
        marks = (
            self.start_m,
            portal_m,
            self.approach.start_m,
            self.booth.start_m,
            self.stop_line_m,
            gate_m,
            *behind_gate,
            self.end_m,
        )
        if list(marks) != sorted(marks):
            raise ValueError("portal, approach, booth, stop line, gate, scanner and lane end must stand in this order")
        return self
