"""One Modbus/TCP connection as a client holds it: one request after the other, each with the answer that belongs to it.

Called by the sessions of drivers whose devices speak Modbus/TCP. Must never take a late or a foreign answer for the one
awaited. What an answer says, and what follows from none, is the session's to tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from drivers.modbus_codec import answer_framer
from lanecontrol.driver import Reporter
from lanecontrol.errors import DeviceError
from lanecontrol.framing import Doubt
from lanecontrol.links import Link


class Conversation:
    """`lost_track` makes the error of a stream that is not, or no longer, Modbus."""

    def __init__(self, link: Link, out: Reporter, lost_track: Callable[[str], DeviceError]) -> None:
        self._link, self._out, self._lost_track = link, out, lost_track
        self._framer = answer_framer()
        self._transaction = 0
        self.answered = False
        """A request was answered at some time."""

    async def ask(self, tail: bytes, limit_s: float) -> bytes | None:
        """The answer to a request, both without their transaction ids; None where there is none in time.

        Raises LinkLost, and what `lost_track` makes.
        """
        self._transaction = (self._transaction + 1) & 0xFFFF
        mark = self._transaction.to_bytes(2, "big")
        try:
            async with asyncio.timeout(limit_s):
                await self._link.write(mark + tail)
                return await self._await_answer(mark)
        except TimeoutError:
            return None

    async def _await_answer(self, mark: bytes) -> bytes:
        """Late and foreign answers are left aside: only the awaited transaction counts."""
        while True:
            found = None
            for frame in self._framer.feed(await self._link.read()):
                if isinstance(frame, Doubt):
                    self._out.doubt(frame.raw, frame.why)
                    raise self._lost_track(frame.why)
                if frame[:2] == mark and found is None:
                    found = frame[2:]
                    self.answered = True
                else:
                    self._out.doubt(frame, "answer that nobody waits for")
            if found is not None:
                return found
