"""A driver as a third party would write one: a panel that sends `B1` and `B0` lines and answers `?` with its name."""

from __future__ import annotations

import asyncio
from typing import Literal

from lanecontrol.driver import DeviceConfig, Driver, Reporter, Traits
from lanecontrol.errors import LinkLost, ProtocolViolation
from lanecontrol.events import Identity, InputChanged


class LampPanelConfig(DeviceConfig):
    kind: Literal["lamp.panel"]
    silence_timeout_s: float = 5.0
    """The panel repeats its state every second; mute for so long, it is lost."""


class LampPanel(Driver):
    """One panel with one button."""

    Config = LampPanelConfig
    reports = frozenset({InputChanged})
    traits = Traits(has_handshake=True, speaks_unasked=True, silence_s=5.0)

    async def session(self, out: Reporter) -> None:
        async with self.links.open(self.config.url, timeout_s=self.config.connect_timeout_s) as link:
            await link.write(b"?\n")
            pending = b""
            known: bool | None = None
            while True:
                try:
                    async with asyncio.timeout(self.config.silence_timeout_s):
                        pending = (pending + await link.read())[-256:]
                except TimeoutError:
                    raise LinkLost("listen", "the panel went quiet") from None
                *lines, pending = pending.split(b"\n")
                for line in lines:
                    match line:
                        case b"LAMP":
                            out.online(Identity(model="lamp panel"))
                            known = False
                        case (b"B0" | b"B1") if known is not None:
                            if known is not (line == b"B1"):
                                known = line == b"B1"
                                out.report(InputChanged("button", known))
                        case b"B0" | b"B1":
                            raise ProtocolViolation("shake hands", "state before the name")
                        case _:
                            out.doubt(line, "no such line")
