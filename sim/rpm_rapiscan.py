"""Fake radiation portal with the Rapiscan/TSA line protocol: four gamma panels, four neutron channels.

The portal is a server that pushes ASCII lines (CRLF) to every client and listens to none. The world owns the counts,
the alarm decisions and the moments, including the five buffered intervals at the start of an occupancy; this module
turns each reading into its line. Written from the line protocol as recorded portals speak it, never from our driver.

Vacant block: `NB`, `GB`; with newer firmware (`extended`) `NC NX NB NB1 GB`, and with that of the recordings
(`energy_windows`) `RW AC AB1 AR` behind it, and `AS` behind each gamma line. The setup block `SG1 SG2 SG3 SN1 SN2`
comes between an NB and its GB in the first vacant block after a start and then once in 24 hours, never on connecting.
`GH`/`GL` replace `GB` while any panel is above or below its fault limit, `NH` replaces `NB`. That the limits count per
panel is this fake's choice: no recording shows such a line.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

from pydantic import Field

from lanecontrol.links import Link
from sim.fake import Fake, FakeConfig
from sim.outbox import Outbox, discard, serve_client
from sim.readings import (
    Deed,
    GammaInterval,
    NeutronSecond,
    OccupancyOver,
    Reading,
    SpeedMeasured,
    Tamper,
    Vacant,
)

SETUP_EVERY_S = 24 * 3600.0
CHANNELS = 4
FEET_PER_METRE = 3.280839895
MPH_PER_FOOT_PER_SECOND = 0.681818
KMH_PER_MPH = 1.60934
MPH_SATURATED, KMH_SATURATED = 99.999, 160.93

NEUTRON_UPPER, NEUTRON_LOWER = 9.50437640, -0.99599343
"""Limits of the sequential test as recorded portals announce them in NX."""
WINDOW_SHARES = (0.2603, 0.3713, 0.1846, 0.1838)
"""How the gamma background lies in the four energy windows, as in the first block of a recording. What is counted while
occupied is shared out alike, for this fake knows no energies."""
NEUTRON_STEP = {29: 56, 30: 57, 31: 59, 32: 60, 33: 62, 34: 63, 35: 64, 36: 66}
"""Fifths of a count: from floor(5 x background) to five times the alternative rate, as seen in recordings."""


class PortalConfig(FakeConfig):
    """Settings of the portal, most of which it also announces in its setup block."""

    kind: Literal["rpm.rapiscan"] = "rpm.rapiscan"
    extended: bool = True
    """Newer firmware: exact neutron background and the sequential test are sent too."""
    energy_windows: bool = False
    """The lines about energy windows are sent as well: `AB1`, `AR`, `AS`; and `RW`, `AC`, whose meaning is unknown."""
    gamma_high_fault_cps: int = Field(default=20_000, ge=0, le=999_999)
    """Above this in any panel, GH is sent instead of GB."""
    gamma_low_fault_cps: int = Field(default=50, ge=0, le=999_999)
    """Below this in any panel, GL is sent instead of GB."""
    neutron_high_fault_cps: int = Field(default=100, ge=0, le=999_999)
    """Above this in any channel, NH is sent instead of NB."""
    intervals: int = Field(default=5, ge=1, le=99)
    """Gamma window, in 200 ms intervals."""
    hold_in: int = Field(default=10, ge=0, le=99)
    """Occupancy hold-in after the sensor clears, in 200 ms intervals."""
    n_sigma: float = Field(default=4.0, ge=0, le=99.9)
    """Alarm threshold in standard deviations of the background."""
    detectors: str = Field(default="1111", pattern="^[01]{4}$")
    """Detectors on line."""
    algorithms: str = Field(default="1010", pattern="^[01]{4}$")
    """Sum, horizontal, vertical, single."""
    neutron_intervals: int = Field(default=3, ge=1, le=99)
    """Steps of the neutron test before it starts over."""
    firmware: str = Field(default="1.10.1", pattern=r"^\d+\.\d+\.\d+$")
    """Version announced in SG3."""
    outbox_bytes: int = Field(default=256 * 1024, gt=0)
    """A client that lets more than this pile up is dropped."""


class FakePortal(Fake):
    """The portal. One line per reading, to all clients at once."""

    Config = PortalConfig
    config: PortalConfig

    def __init__(self, config: PortalConfig, act: Callable[[Deed], None]) -> None:
        super().__init__(config, act)
        self._clients: set[Outbox] = set()
        self._setup_due_s = -math.inf
        self._test: NeutronTest | None = None
        self._counted = self._counted_before = 0

    def sense(self, reading: Reading) -> None:
        match reading:
            case Vacant():
                self._push(self._vacant_block(reading))
            case GammaInterval(counts, alarm):
                windows = [energy_counts(sum(counts))] if self.config.energy_windows else []
                self._push([line("GA" if alarm else "GS", *map(six, padded(counts))), *windows])
            case NeutronSecond(counts, alarm):
                step = self._neutron_step(sum(counts)) if self.config.extended else []
                self._push([*step, line("NA" if alarm else "NS", *map(six, padded(counts)))])
            case SpeedMeasured(speed_mps):
                self._push([speed_line(speed_mps)])
            case OccupancyOver(counter, neutron_cps):
                self._restart_test()
                self._counted = counter
                count = six(counter - self._counted_before)
                self._push([line("GX", count, six(1000 * neutron_cps), six(0), six(0))])
            case Tamper(active):
                self._push([line("TT", *[six(0)] * CHANNELS) if active else line("TC", *[six(1)] * CHANNELS)])
            case _:
                pass  # a portal has no sensor for it

    async def serve(self, link: Link) -> None:
        outbox = Outbox(self.config.outbox_bytes)
        self._clients.add(outbox)
        try:
            await serve_client(link, outbox, discard(link))
        finally:
            self._clients.discard(outbox)

    def restart(self, **changes: Any) -> None:
        """The controller restarts, with `changes` of its settings if somebody made any.

        Clients lose their connection, the next vacant block brings the setup lines, occupancies are counted from 1.
        """
        self.config = PortalConfig.model_validate(self.config.model_dump() | changes)
        self._setup_due_s = -math.inf
        self._test = None
        self._counted_before = self._counted
        for client in tuple(self._clients):
            client.drop("the portal restarts")

    def _push(self, lines: Sequence[bytes]) -> None:
        data = b"".join(lines)
        for client in tuple(self._clients):
            client.put(data)

    def _vacant_block(self, reading: Vacant) -> list[bytes]:
        gamma, neutron = padded(reading.gamma_cps), padded(reading.neutron_cps)
        self._test = NeutronTest.of(sum(neutron), self.config.neutron_intervals) if self.config.extended else None
        high = max(neutron) > self.config.neutron_high_fault_cps
        block = self._test.announcement() if self._test else []
        block.append(line("NH" if high else "NB", *map(six, neutron)))
        if self.config.extended:
            block.append(line("NB1", *(f"{cps:.8f}" for cps in neutron)))
        block += self._setup_if_due()
        block.append(line(self._gamma_tag(gamma), *(six(round(cps)) for cps in gamma)))
        if self.config.energy_windows:
            block += energy_block(sum(gamma))
        return block

    def _gamma_tag(self, gamma_cps: Sequence[float]) -> str:
        active = [cps for cps, on in zip(gamma_cps, self.config.detectors, strict=True) if on == "1"]
        if any(cps > self.config.gamma_high_fault_cps for cps in active):
            return "GH"
        return "GL" if any(cps < self.config.gamma_low_fault_cps for cps in active) else "GB"

    def _setup_if_due(self) -> list[bytes]:
        now_s = asyncio.get_running_loop().time()
        if now_s < self._setup_due_s:
            return []
        self._setup_due_s = now_s + SETUP_EVERY_S
        return setup_block(self.config)

    def _neutron_step(self, count: int) -> list[bytes]:
        if self._test is None:
            return []
        z = f"{self._test.step(count):.8f}"
        return [line("NZ", z, z)]

    def _restart_test(self) -> None:
        if self._test is not None:
            self._test.restart()


class NeutronTest:
    """The truncated sequential test that newer firmware reports: background rate against a higher alternative."""

    def __init__(self, background_cps: float, alternative_cps: float, max_steps: int) -> None:
        self._excess_cps = alternative_cps - background_cps
        self._log_ratio = math.log(alternative_cps / background_cps)
        self._max_steps = max_steps
        self._z = 0.0
        self._steps = 0

    @classmethod
    def of(cls, background_cps: float, max_steps: int) -> NeutronTest | None:
        """The test for a background; None for a portal that counts no neutrons at all."""
        if background_cps <= 0:
            return None
        fifths = math.floor(5 * background_cps)
        alternative = NEUTRON_STEP.get(fifths, math.floor(fifths + 5.06 * math.sqrt(fifths))) / 5
        return cls(background_cps, alternative, max_steps) if alternative > background_cps else None

    def announcement(self) -> list[bytes]:
        """NC and NX of the vacant block."""
        return [
            line("NC", f"{-self._excess_cps:.8f}", f"{self._log_ratio:.8f}"),
            line("NX", f"{NEUTRON_UPPER:.8f}", f"{NEUTRON_LOWER:.8f}"),
        ]

    def step(self, count: int) -> float:
        """The score after one more second with `count` neutrons in all channels."""
        z = self._z + count * self._log_ratio - self._excess_cps
        self._z, self._steps = z, self._steps + 1
        if z <= NEUTRON_LOWER or self._steps >= self._max_steps:
            self.restart()
        return z

    def restart(self) -> None:
        """Start over from nothing."""
        self._z, self._steps = 0.0, 0


def line(tag: str, *fields: str) -> bytes:
    """One line as on the wire."""
    return ",".join((tag, *fields)).encode("ascii") + b"\r\n"


def six(value: float) -> str:
    """The whole part in six digits; what does not fit is cut to the largest that does."""
    return f"{min(max(int(value), 0), 999_999):06d}"


def padded(values: Sequence[float]) -> list[float]:
    """Four channels: a channel without a tube counts nothing."""
    return [*values[:CHANNELS], *[0.0] * (CHANNELS - len(values))]


def speed_line(speed_mps: float) -> bytes:
    """SP: seconds per foot, miles per hour and km/h of the rounded time, saturated; all from a time of 4 decimals."""
    seconds_per_foot = round(1 / (speed_mps * FEET_PER_METRE), 4) if speed_mps > 0 else 0.0
    seconds_per_foot = min(seconds_per_foot, 9.9999)
    mph = MPH_PER_FOOT_PER_SECOND / seconds_per_foot if seconds_per_foot else math.inf
    mph, kmh = min(mph, MPH_SATURATED), min(mph * KMH_PER_MPH, KMH_SATURATED)
    return line("SP", f"{seconds_per_foot:.4f}", f"{mph:06.3f}", f"{kmh:06.2f}", six(0))


def energy_block(background_cps: float) -> list[bytes]:
    """RW and AC much as recordings have them, and the background in the energy windows with their shares."""
    windows = [background_cps * share for share in WINDOW_SHARES]
    total = sum(windows)
    return [
        line("RW", *[six(0)] * CHANNELS),
        line("AC", "1.40000000", "1.70000000"),
        line("AB1", *(f"{cps:.8f}" for cps in windows)),
        line("AR", *(f"{cps / total if total else 0.0:.4f}" for cps in windows)),
    ]


def energy_counts(count: int) -> bytes:
    """AS: the counts of one interval in the energy windows."""
    windows = [int(count * share) for share in WINDOW_SHARES[:-1]]
    return line("AS", *map(six, windows), six(count - sum(windows)))


def setup_block(config: PortalConfig) -> list[bytes]:
    """SG1 SG2 SG3 SN1 SN2 with the configured settings, and plausible discriminator levels."""
    faults = six(config.gamma_high_fault_cps), six(config.gamma_low_fault_cps)
    return [
        line("SG1", *faults, f"{config.intervals:02d}", f"{config.hold_in:02d}", f"{config.n_sigma:04.1f}", "P"),
        line("SG2", config.detectors, "0.068", "5.000", "01", config.algorithms, "A"),
        line("SG3", "0.068", "5.000", "020", "000", config.firmware),
        line("SN1", six(config.neutron_high_fault_cps), f"{config.neutron_intervals:02d}", "0047", "0220", "10", "120"),
        line("SN2", "0.500", "5.000", "0.500", "5.000", "PP"),
    ]
