"""A driver as a third party would write one: a panel that sends `B1` and `B0` lines and answers `?` with its name."""

from __future__ import annotations

import asyncio
from typing import Literal

from lanecontrol.driver import DeviceConfig, Driver, Reporter, Traits
from lanecontrol.errors import LinkLost, ProtocolViolation
from lanecontrol.events import Identity, InputChanged
from lanecontrol.links import Link

LONGEST_LINE = 256


class LampPanelConfig(DeviceConfig):
    kind: Literal["lamp.panel"]
    silence_timeout_s: float = 5.0
    """The panel repeats its state every second; mute for so long, it is lost."""


class LampPanel(Driver):
    """One panel with one button."""

    Config = LampPanelConfig
    config: LampPanelConfig
    reports = frozenset({InputChanged})
    traits = Traits(has_handshake=True, speaks_unasked=True, silence_s=5.0)

    async def session(self, out: Reporter) -> None:
        async with self.links.open(self.config.url, timeout_s=self.config.connect_timeout_s) as link:
            await link.write(b"?\n")
            panel = _Panel(out)
            pending = b""
            while True:
                pending = (pending + await self._heard(link))[-LONGEST_LINE:]
                *lines, pending = pending.split(b"\n")
                for line in lines:
                    panel.take(line)

    async def _heard(self, link: Link) -> bytes:
        try:
            async with asyncio.timeout(self.config.silence_timeout_s):
                return await link.read()
        except TimeoutError:
            raise LinkLost("listen", "the panel went quiet") from None


class _Panel:
    """What one connection has told so far."""

    def __init__(self, out: Reporter) -> None:
        self._out = out
        self._named = False
        self._pressed: bool | None = None

    def take(self, line: bytes) -> None:
        match line:
            case b"LAMP":
                self._named = True
                self._out.online(Identity(model="lamp panel"))
            case b"B0" | b"B1" if self._named:
                self._button(line == b"B1")
            case b"B0" | b"B1":
                raise ProtocolViolation("shake hands", "state before the name")
            case _:
                self._out.doubt(line, "no such line")

    def _button(self, pressed: bool) -> None:
        """The first state of a connection is told too: until then nobody knows it."""
        if pressed is not self._pressed:
            self._pressed = pressed
            self._out.report(InputChanged("button", pressed))
