"""A small driver and its fake, written as a third party would: the suite is tried on them first.

A badge reader with a text protocol. `HELLO` is answered `READER <model> <serial>`; `CARD <antenna> <epc>` comes
unasked; `PING` is answered `PONG`; `SET <point> <0|1>` is answered `OK` or `NO`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

from contract_case import Case

from lanecontrol.commands import DONE, Command, Outcome, WriteOutputs
from lanecontrol.driver import DeviceConfig, Driver, Reporter, Traits
from lanecontrol.errors import CommandError, LinkLost
from lanecontrol.events import Identity, TagRead
from lanecontrol.framing import Doubt, LineFramer
from lanecontrol.identifier import Identifier
from lanecontrol.links import Link, Links
from sim.fake import Fake, FakeConfig
from sim.readings import Deed, OutputSet, Reading, TagAnswer


class BadgeConfig(DeviceConfig):
    kind: Literal["example.badge"]
    silence_timeout_s: float = 3.0
    """Without a good line for so long the link counts as lost."""
    ping_s: float = 1.0
    """Time from one question to the next, so that there is something to hear."""


class BadgeReader(Driver):
    Config = BadgeConfig
    config: BadgeConfig
    reports = frozenset({TagRead})
    performs = frozenset({WriteOutputs})
    traits = Traits(has_handshake=True, speaks_unasked=True, silence_s=3.0)

    def __init__(self, config: Any, links: Links) -> None:
        super().__init__(config, links)
        self._link: Link | None = None
        self._answer: asyncio.Future[bool] | None = None
        self._online = False

    async def session(self, out: Reporter) -> None:
        async with self.links.open(self.config.url, timeout_s=self.config.connect_timeout_s) as link:
            self._online = False
            await link.write(b"HELLO\r\n")
            self._link = link
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._ping(link))
                    tasks.create_task(self._listen(link, out))
            finally:
                self._link = None

    async def _ping(self, link: Link) -> None:
        while True:
            await asyncio.sleep(self.config.ping_s)
            await link.write(b"PING\r\n")

    async def _listen(self, link: Link, out: Reporter) -> None:
        framer = LineFramer(80)
        silence_s = self.config.silence_timeout_s
        try:
            async with asyncio.timeout(silence_s) as silence:
                while True:
                    good = [self._take(line, out) for line in framer.feed(await link.read())]
                    if any(good):
                        silence.reschedule(asyncio.get_running_loop().time() + silence_s)
        except TimeoutError:
            raise LinkLost("listen", f"silent for {silence_s:g} s") from None

    def _take(self, line: bytes | Doubt, out: Reporter) -> bool:
        match line if isinstance(line, Doubt) else line.split(b" "):
            case [b"READER", model, serial]:
                out.online(Identity("Example", model.decode("latin-1"), serial.decode("latin-1")))
                self._online = True
            case [b"CARD", antenna, epc] if self._online and antenna.isdigit():
                out.report(TagRead(int(antenna), Identifier(epc.decode("latin-1"))))
            case [b"PONG"]:
                pass
            case [b"OK" | b"NO" as answer] if self._answer is not None and not self._answer.done():
                self._answer.set_result(answer == b"OK")
            case Doubt(raw, why):
                out.doubt(raw, why)
                return False
            case _:
                out.doubt(line if isinstance(line, bytes) else b"", "no such line")
                return False
        return True

    async def perform(self, command: Command) -> Outcome:
        if not isinstance(command, WriteOutputs) or self._link is None:
            return await super().perform(command)
        for point, on in command.points:
            self._answer = asyncio.get_running_loop().create_future()
            await self._link.write(f"SET {point} {on:d}\r\n".encode())
            if not await self._answer:
                raise CommandError("set an output", f"the reader has no output {point}")
        return DONE


class FakeBadgeReader(Fake):
    Config = FakeConfig

    def __init__(self, config: Any, act: Callable[[Deed], None]) -> None:
        super().__init__(config, act)
        self._unsent: dict[Link, list[bytes]] = {}
        self._more = asyncio.Event()

    def sense(self, reading: Reading) -> None:
        if isinstance(reading, TagAnswer):
            for unsent in self._unsent.values():
                unsent.append(f"CARD {reading.antenna} {reading.epc.hex()}\r\n".encode())
            self._more.set()

    async def serve(self, link: Link) -> None:
        self._unsent[link] = []
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._push(link))
                tasks.create_task(self._serve(link))
        except* LinkLost as group:
            raise group.exceptions[0] from None
        finally:
            del self._unsent[link]

    async def _push(self, link: Link) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            data, self._unsent[link] = b"".join(self._unsent[link]), []
            await link.write(data)

    async def _serve(self, link: Link) -> None:
        framer = LineFramer(80)
        while True:
            for line in framer.feed(await link.read()):
                if answer := self._answer(line.split(b" ") if isinstance(line, bytes) else []):
                    self._unsent[link].append(answer)
                    self._more.set()

    def _answer(self, words: list[bytes]) -> bytes:
        match words:
            case [b"HELLO"]:
                return b"READER badge-1 4711\r\n"
            case [b"PING"]:
                return b"PONG\r\n"
            case [b"SET", b"lamp", state]:
                self.act(OutputSet("lamp", state == b"1"))
                return b"OK\r\n"
            case _:
                return b"NO\r\n"


def _card(n: int) -> Reading:
    return TagAnswer(1 + n % 4, n.to_bytes(12, "big"), -50.0)


CASE = Case(
    reading=_card,
    malformed=b"\x00CARD?\xff\r\n",
    command=WriteOutputs((("lamp", True),)),
    deed=OutputSet("lamp", True),
)
