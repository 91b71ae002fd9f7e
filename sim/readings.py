"""What the world's sensors give to the fakes, and what the fakes give back. Written for the world's side of the wire.

Every random number has been drawn by the world before one of these exists; a fake only turns them into bytes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact of an I/O module changed: a loop, a button, a limit switch of the gate."""

    point: str
    on: bool


@dataclass(frozen=True, slots=True)
class TagAnswer:
    """A tag answered an antenna."""

    antenna: int
    epc: bytes
    rssi_dbm: float
    tid: bytes = b""


@dataclass(frozen=True, slots=True)
class PlateView:
    """A camera saw a plate and read this; `text` is empty where it could not. A later view of the same `car` corrects.

    `heading` is `in`, `out` or empty for unknown. `plate` is what is really written there, for the picture, and `look`
    the seed of how the picture comes out.
    """

    text: str
    confidence: float
    jurisdiction: str
    car: str
    heading: str = ""
    plate: str = ""
    look: int = 0


@dataclass(frozen=True, slots=True)
class PlateGone:
    """The camera has lost sight of this car."""

    car: str


@dataclass(frozen=True, slots=True)
class InView:
    """What stands before a camera that only takes pictures, from now on: `text` is empty for nothing.

    `distance_m` is from where the camera is aimed, positive further away. `look` is the seed of the vehicle's looks.
    """

    text: str
    jurisdiction: str
    distance_m: float
    look: int = 0


@dataclass(frozen=True, slots=True)
class Vacant:
    """The portal's vacant block: running means, counts per second, per gamma panel and neutron channel."""

    gamma_cps: tuple[float, ...]
    neutron_cps: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class GammaInterval:
    """Gamma counts of one 200 ms interval while occupied."""

    counts: tuple[int, ...]
    alarm: bool


@dataclass(frozen=True, slots=True)
class NeutronSecond:
    """Neutron counts of one second while occupied."""

    counts: tuple[int, ...]
    alarm: bool


@dataclass(frozen=True, slots=True)
class SpeedMeasured:
    """Speed between the portal's two beams."""

    speed_mps: float


@dataclass(frozen=True, slots=True)
class OccupancyOver:
    """The portal's occupancy sensor cleared and its hold-in has passed."""

    counter: int
    neutron_background_cps: float


@dataclass(frozen=True, slots=True)
class Tamper:
    """A cabinet door of the portal."""

    active: bool


Reading = (
    Contact
    | TagAnswer
    | PlateView
    | PlateGone
    | InView
    | Vacant
    | GammaInterval
    | NeutronSecond
    | SpeedMeasured
    | OccupancyOver
    | Tamper
)


@dataclass(frozen=True, slots=True)
class OutputSet:
    """A client of a fake I/O module set an output (or the module's watchdog dropped it)."""

    point: str
    on: bool


Deed = OutputSet
"""What reaches the world through a fake."""
