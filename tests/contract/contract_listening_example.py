"""A small driver that listens, and its fake that calls, written as a third party would.

A turnstile with a text protocol. It connects, says `HERE <model> <serial>`, then `CARD <antenna> <epc>` for each card
and `BEAT` every second; each line is answered `OK`. When its connection is lost it calls again after a second, and
says again what was not answered.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal

from contract_case import Case

from lanecontrol.driver import DeviceConfig, Driver, Reporter, Traits
from lanecontrol.errors import LinkLost
from lanecontrol.events import Identity, TagRead
from lanecontrol.framing import Doubt, LineFramer
from lanecontrol.identifier import Identifier
from lanecontrol.links import Link
from sim.fake import Fake, FakeConfig
from sim.readings import Deed, Reading, TagAnswer


class TurnstileConfig(DeviceConfig):
    kind: Literal["example.turnstile"]
    silence_timeout_s: float = 3.0
    """Without a good line on any connection for so long the turnstile counts as offline."""


class Turnstile(Driver):
    Config = TurnstileConfig
    config: TurnstileConfig
    reports = frozenset({TagRead})
    traits = Traits(has_handshake=True, speaks_unasked=True, silence_s=3.0, listens=True)

    async def session(self, out: Reporter) -> None:
        silence_s = self.config.silence_timeout_s
        try:
            async with asyncio.timeout(silence_s) as silence:
                serving = _Serving(out, lambda: silence.reschedule(asyncio.get_running_loop().time() + silence_s))
                async with self.links.listen(self.config.url, serving.serve):
                    await asyncio.Event().wait()
        except TimeoutError:
            raise LinkLost("listen", f"silent for {silence_s:g} s") from None


class _Serving:
    """The connections of one session."""

    def __init__(self, out: Reporter, alive: Callable[[], None]) -> None:
        self._out = out
        self._alive = alive
        self._online = False

    async def serve(self, link: Link) -> None:
        framer = LineFramer(80)
        while True:
            for line in framer.feed(await link.read()):
                if self._take(line):
                    self._alive()
                    await link.write(b"OK\r\n")

    def _take(self, line: bytes | Doubt) -> bool:
        match line if isinstance(line, Doubt) else line.split(b" "):
            case [b"HERE", model, serial]:
                self._online = True
                self._out.online(Identity("Example", model.decode("latin-1"), serial.decode("latin-1")))
            case [b"CARD", antenna, epc] if self._online and antenna.isdigit():
                self._out.report(TagRead(int(antenna), Identifier(epc.decode("latin-1"))))
            case [b"BEAT"]:
                pass
            case Doubt(raw, why):
                self._out.doubt(raw, why)
                return False
            case _:
                self._out.doubt(line if isinstance(line, bytes) else b"", "no such line")
                return False
        return True


class FakeTurnstile(Fake):
    Config = FakeConfig
    dials = True

    def __init__(self, config: Any, act: Callable[[Deed], None]) -> None:
        super().__init__(config, act)
        self._unsaid: deque[bytes] = deque(maxlen=1000)
        self._more = asyncio.Event()

    def sense(self, reading: Reading) -> None:
        if isinstance(reading, TagAnswer):
            self._unsaid.append(f"CARD {reading.antenna} {reading.epc.hex()}\r\n".encode())
            self._more.set()

    async def dial(self, connect: Callable[[], AbstractAsyncContextManager[Link]]) -> None:
        while True:
            try:
                async with connect() as link:
                    await self._say(link)
            except LinkLost:
                pass
            except TimeoutError:
                pass  # not answered: it gives the connection up
            await asyncio.sleep(1.0)

    async def _say(self, link: Link) -> None:
        await self._line(link, b"HERE gate-1 4711\r\n")
        while True:
            while self._unsaid:
                await self._line(link, self._unsaid[0])
                self._unsaid.popleft()
            self._more.clear()
            try:
                async with asyncio.timeout(1.0):
                    await self._more.wait()
            except TimeoutError:
                await self._line(link, b"BEAT\r\n")

    async def _line(self, link: Link, line: bytes) -> None:
        async with asyncio.timeout(2.0):
            await link.write(line)
            while not (await link.read()).endswith(b"\n"):
                pass


def _card(n: int) -> Reading:
    return TagAnswer(1 + n % 4, n.to_bytes(12, "big"), -50.0)


CASE = Case(reading=_card, malformed=b"\x00CARD?\xff\r\n")
