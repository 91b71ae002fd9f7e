"""The panel's side of the wire."""

from __future__ import annotations

import asyncio

from lanecontrol.errors import LinkLost
from lanecontrol.links import Link
from sim.fake import Fake, FakeConfig
from sim.readings import Contact, Reading


class FakePanel(Fake):
    Config = FakeConfig

    pressed = False

    def sense(self, reading: Reading) -> None:
        if isinstance(reading, Contact) and reading.point == "button":
            self.pressed = reading.on

    async def serve(self, link: Link) -> None:
        while b"?" not in await link.read():
            pass
        await link.write(b"LAMP\n")
        try:
            while True:
                await link.write(b"B1\n" if self.pressed else b"B0\n")
                await asyncio.sleep(1.0)
        except LinkLost:
            return
