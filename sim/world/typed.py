"""The short way from a sensor to the lane core: each reading as the events that a driver would report for it.

For `lanecontrol sim --typed`, which leaves out wire, fakes and drivers. Values are rounded as the wire rounds them, so
that both ways score alike.
"""

from __future__ import annotations

from lanecontrol.events import (
    DeviceReport,
    GammaBackground,
    GammaCounts,
    Heading,
    InputChanged,
    NeutronBackground,
    NeutronCounts,
    OccupancyEnded,
    PlateRead,
    PlateTrackEnded,
    PlateUnread,
    PortalSpeed,
    PortalTamper,
    TagRead,
)
from lanecontrol.identifier import Identifier
from sim.readings import (
    Contact,
    GammaInterval,
    InView,
    NeutronSecond,
    OccupancyOver,
    PlateGone,
    PlateView,
    Reading,
    SpeedMeasured,
    TagAnswer,
    Tamper,
    Vacant,
)
from sim.world.world import Sensed

FOOT_M = 0.3048
MPH_PER_FOOT_PER_S = 0.681818
MPS_PER_MPH = 0.44704
MPH_SATURATED = 99.999
LLRP_RSSI = (-128, 127)
HEADINGS = {"in": Heading.FORWARD, "out": Heading.BACKWARD}


def reports(sensed: Sensed) -> tuple[tuple[str, DeviceReport], ...]:
    """What the device's driver would report for this reading, in order; mostly one event."""
    return tuple([(sensed.device, event) for event in events_of(sensed.reading)])


def events_of(reading: Reading) -> tuple[DeviceReport, ...]:
    """The events of one reading, in order."""
    match reading:  # the most frequent first
        case TagAnswer():
            return (_tag_read(reading),)
        case GammaInterval():
            return (GammaCounts(reading.counts, reading.alarm),)
        case Contact(point, on):
            return (InputChanged(point, on),)
        case PlateView():
            return (_plate(reading),)
        case PlateGone(car):
            return (PlateTrackEnded(car),)
        case InView():
            return ()  # a picture: reading it takes a driver
        case Vacant(gamma_cps, neutron_cps):
            exact = tuple(round(cps, 8) for cps in neutron_cps)
            return (NeutronBackground(exact, exact=True), GammaBackground(tuple(round(cps) for cps in gamma_cps)))
        case NeutronSecond(counts, alarm):
            return (NeutronCounts(counts, alarm),)
        case SpeedMeasured(speed_mps):
            return (PortalSpeed(_speed_on_the_wire(speed_mps)),)
        case OccupancyOver(counter, neutron_cps):
            return (OccupancyEnded(counter, int(1000 * neutron_cps) / 1000),)
        case Tamper(active):
            return (PortalTamper(active),)


def _tag_read(answer: TagAnswer) -> TagRead:
    """LLRP gives the peak RSSI as a whole number of dBm in one signed byte."""
    rssi_dbm = round(answer.rssi_dbm)
    if not LLRP_RSSI[0] <= rssi_dbm <= LLRP_RSSI[1]:
        rssi_dbm = LLRP_RSSI[0] if rssi_dbm < 0 else LLRP_RSSI[1]
    tid = Identifier(answer.tid.hex()) if answer.tid else None
    return TagRead(answer.antenna, Identifier(answer.epc.hex()), float(rssi_dbm), tid=tid)


def _plate(view: PlateView) -> PlateRead | PlateUnread:
    if not view.text:
        return PlateUnread("the camera could not read the plate", view.car)
    heading = HEADINGS.get(view.heading, Heading.UNKNOWN)
    return PlateRead(Identifier(view.text), view.confidence, view.jurisdiction, view.car, heading=heading)


def _speed_on_the_wire(speed_mps: float) -> float | None:
    """SP has mph with three decimals, made of seconds per foot with four; zero and saturated say nothing."""
    seconds_per_foot = round(FOOT_M / speed_mps, 4) if speed_mps > 0.0 else 0.0
    if not 0.0 < seconds_per_foot < 9.9999:
        return None
    mph = round(MPH_PER_FOOT_PER_S / seconds_per_foot, 3)
    return mph * MPS_PER_MPH if mph < MPH_SATURATED else None
