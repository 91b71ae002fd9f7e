"""The two signal heads: which lamps each aspect lights, and the commands that light them.

The conflict monitor is the shape of this: a head's lamps are always commanded together, at most one of them on, and
those that go off stand first, so that whoever writes them one by one passes through dark and never through two at
once. Used by `lane.interlock`, `lane.overhead` and `lane.readback`; it judges nothing and may be called at any time.
"""

from __future__ import annotations

from lanecontrol.announcements import LaneAspect, LaneSignalShown, SignalAspect, SignalShown
from lanecontrol.commands import WriteOutputs
from lanecontrol.lane.record import replace
from lanecontrol.lane.setup import LaneSignal, Signal
from lanecontrol.lane.turn import Turn

Lamps = tuple[tuple[str, bool], ...]


def booth_lamps(signal: Signal, aspect: SignalAspect) -> Lamps:
    """Every lamp of the booth's head for this aspect."""
    green = aspect is SignalAspect.PROCEED
    return ((signal.red, False), (signal.green, True)) if green else ((signal.green, False), (signal.red, True))


def lane_lamps(overhead: LaneSignal, aspect: LaneAspect) -> Lamps:
    """Every lamp of the overhead head for this aspect."""
    lit = {
        LaneAspect.OPEN: overhead.open,
        LaneAspect.CLOSING: overhead.closing,
        LaneAspect.CLOSED: overhead.closed,
        LaneAspect.DARK: overhead.closed,
    }[aspect]
    dark = [lamp for lamp in (overhead.open, overhead.closing, overhead.closed) if lamp != lit]
    return (*((lamp, False) for lamp in dark), (lit, True))


def stop(t: Turn, why: str) -> None:
    """Command red at the booth, whatever is shown now."""
    signal = t.setup.signal
    if signal is None:
        return
    t.drive(signal.device, WriteOutputs(booth_lamps(signal, SignalAspect.STOP)), grants=False)
    t.equipment = replace(t.equipment, reassert_s=None, reasserted_s=t.now_s)
    shown(t, SignalAspect.STOP, why)


def shown(t: Turn, aspect: SignalAspect, why: str) -> None:
    """Take down, and tell, what the booth's head was commanded to show."""
    if t.equipment.aspect is not aspect:
        t.equipment = replace(t.equipment, aspect=aspect)
        t.tell(SignalShown(aspect, why, t.utc_s))


def show_lane(t: Turn, aspect: LaneAspect, why: str) -> None:
    """Command the overhead head. Its green arrow grants; the others only take away and wait for nothing."""
    overhead = t.setup.lane_signal
    if overhead is None:
        return
    grants = aspect is LaneAspect.OPEN
    command = t.drive(overhead.device, WriteOutputs(lane_lamps(overhead, aspect)), grants=grants)
    t.equipment = replace(t.equipment, lane_command=command if grants else "")
    if t.equipment.lane_aspect is not aspect:
        t.equipment = replace(t.equipment, lane_aspect=aspect, lane_since_s=t.now_s)
        t.tell(LaneSignalShown(aspect, why, t.utc_s))


def light_beacon(t: Turn, *, on: bool) -> None:
    beacon = t.setup.beacon
    if beacon is not None:
        t.equipment = replace(t.equipment, beacon=on)
        t.drive(beacon.device, WriteOutputs(((beacon.output, on),)), grants=False)
