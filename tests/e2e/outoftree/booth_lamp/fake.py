"""The panel's side of the wire: its name when asked, then the button's state, each change at once and every second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from lanecontrol.links import Link
from sim.fake import Fake, FakeConfig
from sim.readings import Contact, Deed, Reading

REPEAT_S = 1.0


class FakePanelConfig(FakeConfig):
    kind: Literal["lamp.panel"] = "lamp.panel"


class FakePanel(Fake):
    Config = FakePanelConfig

    def __init__(self, config: FakePanelConfig, act: Callable[[Deed], None]) -> None:
        super().__init__(config, act)
        self._pressed = False
        self._clients: set[asyncio.Event] = set()

    def sense(self, reading: Reading) -> None:
        if isinstance(reading, Contact) and reading.point == "button":
            self._pressed = reading.on
            for news in self._clients:
                news.set()

    async def serve(self, link: Link) -> None:
        while b"?" not in await link.read():
            pass
        await link.write(b"LAMP\n")
        news = asyncio.Event()
        self._clients.add(news)
        try:
            while True:
                news.clear()
                await link.write(b"B1\n" if self._pressed else b"B0\n")
                with suppress(TimeoutError):
                    async with asyncio.timeout(REPEAT_S):
                        await news.wait()
        finally:
            self._clients.discard(news)
