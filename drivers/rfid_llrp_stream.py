"""The wire of an LLRP session: requests and answers, and what arrives in slices that never hold the event loop up.

Called by the session only. Decides nothing but when the stream cannot be followed any more.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import deque
from collections.abc import Iterator

from drivers.rfid_llrp_codec import Message, encode
from drivers.rfid_llrp_reports import ReportReader
from lanecontrol.driver import Reporter
from lanecontrol.errors import LinkLost, ProtocolViolation
from lanecontrol.events import TagRead
from lanecontrol.framing import DOUBT_LIMIT, Doubt, Violation
from lanecontrol.links import Link

Item = TagRead | Message

_SLICE = 64
"""Items between two breaths: read by the tables, about two milliseconds."""


class Stream:
    """One link, `version` as agreed. `understood` is set by the first frame that makes sense."""

    def __init__(self, link: Link, out: Reporter, reports: ReportReader) -> None:
        self._link, self._out, self._reports = link, out, reports
        self._arriving: Iterator[Item | Doubt | None] = iter(())
        self._arrived: deque[Item] = deque()
        self._broken: LinkLost | ProtocolViolation | None = None
        self._number = 0
        self.version = 1
        self.understood = False

    async def send(self, message: Message) -> None:
        """Raises LinkLost."""
        await self._link.write(encode(dataclasses.replace(message, version=max(message.version, self.version))))

    async def request(self, message: Message) -> int:
        """Send with a number of its own, which the answer repeats. Raises LinkLost."""
        self._number += 1
        await self.send(dataclasses.replace(message, id=self._number))
        return self._number

    async def next(self) -> Item:
        """The next thing that makes sense. Raises LinkLost, ProtocolViolation."""
        while not self._arrived:
            await self._slice()
        return self._arrived.popleft()

    async def some(self) -> list[Item]:
        """What has come, at least one thing. Raises LinkLost, ProtocolViolation."""
        while not self._arrived:
            await self._slice()
        found = list(self._arrived)
        self._arrived.clear()
        return found

    async def _slice(self) -> None:
        """The next slice of what has come, or the next bytes where nothing of it is left."""
        if self._broken is not None:
            raise self._broken
        count = 0
        for item in self._arriving:
            count += 1
            if isinstance(item, Doubt):
                self._doubt(item)
            elif item is not None:
                self.understood = True
                self._arrived.append(item)
            if item is None or count >= _SLICE:
                await asyncio.sleep(0)  # there is more; others first
                return
        if count == 0:
            self._arriving = self._reports.feed(await self._link.read())

    def _doubt(self, doubt: Doubt) -> None:
        """What came before the place where the stream broke is still good, and is dealt with first."""
        self._out.doubt(doubt.raw, doubt.why)
        if isinstance(doubt, Violation):
            # Without one good frame this is no reader; later the stream broke, and a new one may be good.
            self._broken = (LinkLost if self.understood else ProtocolViolation)("read", doubt.why)

    def foreign(self, message: Message) -> None:
        """A message that nobody waits for."""
        self._out.doubt(encode(message)[:DOUBT_LIMIT], f"{message.name} that nobody waits for")
