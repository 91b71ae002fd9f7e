"""Signal heads: what their lamps show for the outputs as they are, what drivers make of it, what reads back.

A lamp can be burnt out, welded (its contact or relay stays on) or flicker, by the scenario's mishaps. A read-back
contact tells of the lamp and not of the output. Used by `World` and by `Barrier`; draws nothing by chance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from sim.world.mishaps import Mishaps
from sim.world.scene import BeaconSite, LaneSignalSite, SignalSite
from sim.world.vehicle import Vehicle

HARD_BRAKE_MPS2 = 6.0
"""Whoever would have to brake harder than this drives on."""
FLICKER_S = 0.4
"""A flickering lamp is on for half of this, then off for the other half."""


class StopLine(Protocol):
    """Something beside the booth that can hold a driver up: an overhead signal, a scanner's mark and arm."""

    def wall_m(self, vehicle: Vehicle) -> float:
        """How far ahead this driver has to stop for it; infinite if not at all."""
        ...


class Outputs:
    """The outputs of all modules of a lane, as last set."""

    def __init__(self) -> None:
        self._on: dict[tuple[str, str], bool] = {}
        self.changes = 0
        """How often an output was set: who has looked at them need not look again while this stays."""

    def set(self, device: str, point: str, on: bool) -> None:
        """An output of a module changed."""
        self._on[device, point] = on
        self.changes += 1

    def on(self, device: str, point: str) -> bool:
        """Whether it is on; off where nobody has set it."""
        return self._on.get((device, point), False)


class Head:
    """One signal head: its lamps by name, each with its output and its read-back contact (empty for none)."""

    def __init__(
        self, part: str, device: str, lamps: dict[str, tuple[str, str]], outputs: Outputs, mishaps: Mishaps
    ) -> None:
        self._part = part
        self._device = device
        self._lamps = lamps
        self._outputs = outputs
        self._mishaps = mishaps
        self._told_of = tuple((lamp, point) for lamp, (_, point) in lamps.items() if point)
        self.reads_back = bool(self._told_of)
        """It has read-back contacts."""

    def lit(self, lamp: str) -> bool:
        """Whether this lamp really burns."""
        on = self._outputs.on(self._device, self._lamps[lamp][0])
        mishaps = self._mishaps
        if not mishaps.planned:
            return on
        if mishaps.now(self._part, "burnt_out", lamp):
            return False
        if mishaps.now(self._part, "flickers", lamp):
            return on and mishaps.now_s % FLICKER_S < FLICKER_S / 2
        return on or mishaps.now(self._part, "welded", lamp)

    @property
    def shows(self) -> tuple[str, ...]:
        """The lamps that burn."""
        return tuple(lamp for lamp in self._lamps if self.lit(lamp))

    def contacts(self) -> Iterator[tuple[str, str, bool]]:
        """The read-back contacts: device, point, on or not."""
        for lamp, point in self._told_of:
            yield self._device, point, self.lit(lamp)


def booth_head(site: SignalSite, outputs: Outputs, mishaps: Mishaps) -> Head:
    """The booth signal."""
    lamps = {"green": (site.green, site.green_input), "red": (site.red, site.red_input)}
    return Head("signal", site.device, lamps, outputs, mishaps)


def beacon_head(site: BeaconSite, outputs: Outputs, mishaps: Mishaps) -> Head:
    """The warning light, as a head with one lamp."""
    return Head("beacon", site.device, {"light": (site.output, "")}, outputs, mishaps)


@dataclass(frozen=True, slots=True)
class Lamps:
    """Which lamps of a lane really burn; None where the lane has no such head."""

    booth: tuple[str, ...]
    overhead: tuple[str, ...] | None
    driver: tuple[str, ...] | None
    beacon: bool | None


class Overhead:
    """The overhead lane-use signal. Drivers who have not passed it stop before a red X, and take no notice of the rest.

    A dark one says nothing to them, as in life: they drive on.
    """

    def __init__(self, site: LaneSignalSite, outputs: Outputs, mishaps: Mishaps) -> None:
        self.site = site
        lamps = {
            "open": (site.open, site.open_input),
            "closing": (site.closing, site.closing_input),
            "closed": (site.closed, site.closed_input),
        }
        self.head = Head("lane_signal", site.device, lamps, outputs, mishaps)

    @property
    def red(self) -> bool:
        """The red X burns, whatever burns beside it."""
        return self.head.lit("closed")

    def wall_m(self, vehicle: Vehicle) -> float:
        """How far ahead this driver has to stop for it; infinite where it is past, or too near to stop."""
        ahead_m = self.site.at_m - vehicle.front_m
        can_stop = vehicle.speed_mps**2 <= 2.0 * HARD_BRAKE_MPS2 * ahead_m + 0.01
        return ahead_m if ahead_m >= 0.0 and can_stop and self.red else math.inf
