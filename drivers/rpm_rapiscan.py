"""Driver `rpm.rapiscan`: Rapiscan/TSA radiation portals with four gamma panels and four neutron channels.

The portal is a TCP server that pushes lines to any number of clients, which only read. Called by the supervisor; must
never send a byte, decide on an alarm, or treat a quiet portal as a clean one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from drivers import rpm_rapiscan_setup as setup
from drivers import rpm_rapiscan_stored as stored
from drivers.rpm_rapiscan_codec import LineCodec, PortalEvent
from drivers.rpm_rapiscan_daily import DailyFile, Form
from drivers.rpm_rapiscan_keep import MIB, Keep
from lanecontrol.driver import DeviceConfig, Driver, Reporter, Traits
from lanecontrol.errors import LinkLost
from lanecontrol.events import (
    DeviceFault,
    Identity,
    OccupancyEnded,
    PortalSetup,
)
from lanecontrol.framing import Doubt

_DISK_S = 2.0
"""How long the small file with the setup may take; without it, a change over a restart of ours goes unnoticed."""


class RapiscanConfig(DeviceConfig):
    """A radiation portal with the Rapiscan line protocol."""

    kind: Literal["rpm.rapiscan"] = "rpm.rapiscan"
    silence_timeout_s: float = Field(default=12.0, gt=0, le=600)
    """Without a good line for so long the link counts as lost. A vacant portal sends a block every 5 s."""
    approved_setup: dict[str, int | float | str] = {}
    """The portal's setup as it was approved, field by field (`n_sigma: 4.0`); what differs is a fault. Quote masks."""
    daily_file: Path | None = None
    """A folder, with its full path, for a file a day with every line as it came; without it, none is written."""
    daily_file_zone: str = ""
    """Time zone of the port for the daily file, such as `America/Tijuana`; without it, that of the machine."""
    daily_file_stamp: Literal["full", "time"] = "full"
    """`full` is `2016-05-31 09:30:00.899 -07`, `time` is `09-30-00.899`."""
    daily_file_keep_days: int = Field(default=35, ge=1, le=3660)
    """So many daily files stay, today's among them; older ones are removed. As long as events stay in the store."""
    daily_file_limit_mib: int = Field(default=2048, ge=1, le=100_000_000)
    """Above this, all of them together, the oldest go sooner. A lane fills some 20 MB a day, 700 MB in 35 days; this is
    three times as much, and keeps a portal gone wild from taking the disk that the store is on."""

    @field_validator("approved_setup")
    @classmethod
    def _fields_are_known(cls, value: dict[str, int | float | str]) -> dict[str, int | float | str]:
        return setup.approved(value)

    @field_validator("daily_file")
    @classmethod
    def _folder_is_a_full_path(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_absolute():
            raise ValueError("the folder of the daily file needs its full path")
        return value

    @field_validator("daily_file_zone")
    @classmethod
    def _zone_is_known(cls, value: str) -> str:
        try:
            if value:
                ZoneInfo(value)
        except (ZoneInfoNotFoundError, OSError, ValueError) as error:
            raise ValueError(f"no time zone {value!r} on this machine") from error
        return value

    @property
    def daily_form(self) -> Form | None:
        """How the daily file is written, if it is."""
        if self.daily_file is None:
            return None
        zone = ZoneInfo(self.daily_file_zone) if self.daily_file_zone else None
        keep = Keep(self.daily_file_keep_days, self.daily_file_limit_mib * MIB)
        return Form(self.daily_file, self.id, zone, self.daily_file_stamp == "time", keep)


class RapiscanPortal(Driver):
    """One portal: online with its first good line, for it greets nobody and says nothing of itself."""

    Config = RapiscanConfig
    config: RapiscanConfig
    reports = frozenset({*get_args(PortalEvent), DeviceFault})
    traits: ClassVar[Traits] = Traits(has_handshake=False, speaks_unasked=True, silence_s=12.0)

    def __init__(self, config: Any, links: Any) -> None:
        super().__init__(config, links)
        self._watch = setup.SetupWatch(self.config.approved_setup)

    async def session(self, out: Reporter) -> None:
        form = self.config.daily_form
        daily = DailyFile(form) if form is not None else None
        session = _Session(out, self._watch, daily)
        try:
            if self.config.approved_setup:
                await session.remember()
            await self._listen(session, out)
        finally:
            if daily is not None:
                await daily.close()

    async def _listen(self, session: _Session, out: Reporter) -> None:
        codec, patience_s = LineCodec(), self.config.silence_timeout_s
        async with self.links.open(self.config.url, timeout_s=self.config.connect_timeout_s) as link:
            try:
                async with asyncio.timeout(patience_s) as silence:
                    while True:
                        data = await link.read()
                        if await session.take(data, codec.feed(data)):
                            silence.reschedule(out.clock.now().mono_s + patience_s)
            except TimeoutError:
                raise LinkLost("read", f"no good line for {patience_s:g} s") from None

    @classmethod
    def decode(cls, raw: bytes, settings: dict[str, str]) -> Iterator[PortalEvent]:
        """The events of stored lines, with or without the recorder's time stamps. Malformed lines are left out.

        Raises ValueError for settings that make no sense.
        """
        stored.ways(settings)
        return (event for event in stored.stored_events(raw) if event is not None)

    @classmethod
    def summarise(cls, raw: bytes, settings: dict[str, str]) -> dict[str, Any]:
        """Lines, those neither understood nor known by name, occupancies with and without the portal's alarms, and
        how often its decisions are those of its counts.

        Settings are `n_sigma`, `intervals` and `algorithms`, until a setup line says otherwise. Raises ValueError.
        """
        return stored.summary(raw, settings)


class _Session:
    """Passes on what one connection brings."""

    def __init__(self, out: Reporter, watch: setup.SetupWatch, daily: DailyFile | None) -> None:
        self._out, self._watch, self._daily = out, watch, daily
        self._online = False

    async def take(self, data: bytes, items: Sequence[PortalEvent | Doubt]) -> bool:
        """Whether a good line was among them."""
        if self._daily is not None:
            self._daily.take(data, self._out.clock.now().utc_s)
        told_setup = any(isinstance(item, PortalSetup) for item in items)
        if told_setup:
            await self.remember()
        heard = sum([self._tell(item) for item in items])
        if told_setup and self._watch.unsaved:
            await self._keep()
        if self._daily is not None and self._online:
            self._report(self._watch.trouble("daily_file", self._daily.trouble))
            self._report(self._watch.trouble("daily_file_overfull", self._daily.overfull))
        return heard > 0

    def _tell(self, item: PortalEvent | Doubt) -> bool:
        if isinstance(item, Doubt):
            self._out.doubt(item.raw, item.why)
            return False
        if not self._online:
            self._online = True
            self._out.online(Identity())
            self._report(self._watch.remembered())
        self._out.report(item)
        match item:
            case PortalSetup(tag, fields):
                if tag == "SG3":
                    self._out.online(Identity(firmware=fields[4]))
                self._report(self._watch.setup(item))
            case OccupancyEnded():
                self._report(self._watch.end(item))
        return True

    def _report(self, faults: list[DeviceFault]) -> None:
        for fault in faults:
            self._out.report(fault)

    async def remember(self) -> None:
        """Look once for the setup that was told last."""
        if self._watch.loaded:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_DISK_S):
                await asyncio.to_thread(self._watch.load, self._out.spool)

    async def _keep(self) -> None:
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(_DISK_S):
                await asyncio.to_thread(self._watch.save, self._out.spool)
