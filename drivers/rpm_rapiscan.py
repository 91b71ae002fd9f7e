"""Driver `rpm.rapiscan`: Rapiscan/TSA radiation portals with four gamma panels and four neutron channels.

The portal is a TCP server that pushes lines to any number of clients, which only read. Called by the supervisor; must
never send a byte, decide on an alarm, or treat a quiet portal as a clean one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field

from drivers.rpm_rapiscan_codec import NAMED_EXTRAS, LineCodec, PortalEvent, read_line, without_stamp
from lanecontrol.driver import DeviceConfig, Driver, Reporter, Traits
from lanecontrol.errors import LinkLost
from lanecontrol.events import (
    GammaBackground,
    GammaCounts,
    Identity,
    NeutronBackground,
    NeutronCounts,
    OccupancyEnded,
    PortalExtra,
    PortalSetup,
    PortalSpeed,
    PortalTamper,
)
from lanecontrol.framing import Doubt


class RapiscanConfig(DeviceConfig):
    """A radiation portal with the Rapiscan line protocol."""

    kind: Literal["rpm.rapiscan"] = "rpm.rapiscan"
    silence_timeout_s: float = Field(default=12.0, gt=0, le=600)
    """Without a good line for so long the link counts as lost. A vacant portal sends a block every 5 s."""


class RapiscanPortal(Driver):
    """One portal: online with its first good line, for it greets nobody and says nothing of itself."""

    Config = RapiscanConfig
    config: RapiscanConfig
    reports = frozenset(
        {
            GammaBackground,
            NeutronBackground,
            GammaCounts,
            NeutronCounts,
            PortalSpeed,
            OccupancyEnded,
            PortalTamper,
            PortalSetup,
            PortalExtra,
        }
    )
    traits: ClassVar[Traits] = Traits(has_handshake=False, speaks_unasked=True, silence_s=12.0)

    async def session(self, out: Reporter) -> None:
        codec, patience_s = LineCodec(), self.config.silence_timeout_s
        async with self.links.open(self.config.url, timeout_s=self.config.connect_timeout_s) as link:
            online = False
            try:
                async with asyncio.timeout(patience_s) as silence:
                    while True:
                        heard, online = _tell(codec.feed(await link.read()), online, out)
                        if heard:
                            silence.reschedule(out.clock.now().mono_s + patience_s)
            except TimeoutError:
                raise LinkLost("read", f"no good line for {patience_s:g} s") from None

    @classmethod
    def decode(cls, raw: bytes, settings: dict[str, str]) -> Iterator[PortalEvent]:
        """The events of stored lines, with or without the recorder's time stamps. Malformed lines are left out."""
        return (event for event in _stored_events(raw) if event is not None)

    @classmethod
    def summarise(cls, raw: bytes, settings: dict[str, str]) -> dict[str, Any]:
        """Lines, those neither understood nor known by name, and occupancies with and without the portal's alarms."""
        tally = _Tally()
        for event in _stored_events(raw):
            tally.add(event)
        return tally.result()


def _tell(items: list[PortalEvent | Doubt], online: bool, out: Reporter) -> tuple[bool, bool]:
    """Pass on what was read; answers whether a good line was among it, and whether the device is online now."""
    heard = False
    for item in items:
        if isinstance(item, Doubt):
            out.doubt(item.raw, item.why)
            continue
        if not online:
            out.online(Identity())
            online = True
        heard = True
        out.report(item)
        if isinstance(item, PortalSetup) and item.tag == "SG3":
            out.online(Identity(firmware=item.fields[4]))
    return heard, online


# --- stored captures -------------------------------------------------------------------------------------------------


def _stored_events(raw: bytes) -> Iterator[PortalEvent | None]:
    """One item per stored line; None where it is malformed."""
    lines = raw.decode("latin-1").split("\n")
    if not lines[-1]:
        lines.pop()
    for line in lines:
        yield read_line(without_stamp(line.rstrip("\r")))


class _Tally:
    """Counts over a recording. An occupancy ends at its GX, or, where that line was lost, at the next background.

    Counts that trail behind a GX without another one following are no occupancy of their own unless gamma counts are
    among them: last lines come in any order.
    """

    def __init__(self) -> None:
        self._lines = self._unknown = 0
        self._occupancies = self._gamma_alarms = self._neutron_alarms = 0
        self._gamma_seen = self._gamma_alarm = self._neutron_alarm = False

    def add(self, event: PortalEvent | None) -> None:
        self._lines += 1
        match event:
            case None:
                self._unknown += 1
            case PortalExtra(tag=tag):
                self._unknown += tag not in NAMED_EXTRAS
            case GammaCounts(alarm=alarm):
                self._gamma_seen = True
                self._gamma_alarm |= alarm
            case NeutronCounts(alarm=alarm):
                self._neutron_alarm |= alarm
            case OccupancyEnded():
                self._close()
            case GammaBackground():
                self._close_forgotten()
            case _:
                pass

    def result(self) -> dict[str, Any]:
        self._close_forgotten()
        return {
            "lines": self._lines,
            "unknown_lines": self._unknown,
            "occupancies": self._occupancies,
            "gamma_alarms": self._gamma_alarms,
            "neutron_alarms": self._neutron_alarms,
        }

    def _close_forgotten(self) -> None:
        if self._gamma_seen or self._neutron_alarm:
            self._close()

    def _close(self) -> None:
        self._occupancies += 1
        self._gamma_alarms += self._gamma_alarm
        self._neutron_alarms += self._neutron_alarm
        self._gamma_seen = self._gamma_alarm = self._neutron_alarm = False
