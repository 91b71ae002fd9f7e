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


class ButtonSite(Part):
    """The release button in the booth."""

    device: str
    """The I/O module that reads it."""
    point: str = "booth_button"
    """Its contact."""


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

    @model_validator(mode="after")
    def _in_driving_order(self) -> Self:
        portal_m = self.portal.end_m if self.portal else self.start_m
        gate_m = self.gate.at_m if self.gate else self.stop_line_m
        marks = (
            self.start_m,
            portal_m,
            self.approach.start_m,
            self.booth.start_m,
            self.stop_line_m,
            gate_m,
            self.end_m,
        )
        if list(marks) != sorted(marks):
            raise ValueError("portal, approach, booth, stop line, gate and lane end must stand in this order")
        return self
