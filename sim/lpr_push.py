"""How a camera gets rid of its messages: one after the other, each once, and what became of them.

Cameras push and forget: an answer other than 200, one that comes too late, or none at all means that the event is gone.
Used by the fakes of cameras; never raises for anything that a receiver does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field

from lanecontrol.errors import LinkLost
from lanecontrol.links import Link
from sim.lpr_http import Answer
from sim.outbox import until_first

Connect = Callable[[], AbstractAsyncContextManager[Link]]
Make = Callable[[], bytes]
Ready = Callable[[], Awaitable[None]]
"""Waits for what a message is made of: its picture, drawn in a thread."""


@dataclass(slots=True)
class Tally:
    """What became of the messages of a camera."""

    delivered: int = 0
    """Answered with 200 in time, or, on TCP, written."""
    refused: int = 0
    """Answered otherwise."""
    late: int = 0
    """Not answered in time."""
    lost: int = 0
    """Nobody listened, the connection broke, or what came back was no answer."""
    overflowed: int = 0
    """Thrown away because too many others were waiting."""
    statuses: list[int] = field(default_factory=list)
    """The last few statuses that were not 200."""

    @property
    def dropped(self) -> int:
        """All that the receiver will never get."""
        return self.refused + self.late + self.lost + self.overflowed


class Poster:
    """Posts one request after the other, each once and within `limit_s`, and counts what became of it."""

    def __init__(self, connect: Connect, limit_s: float, keep_alive: bool, tally: Tally) -> None:
        self._connect = connect
        self._limit_s = limit_s
        self._keep_alive = keep_alive
        self._tally = tally
        self._held = AsyncExitStack()
        self._link: Link | None = None

    async def post(self, request: bytes) -> bool:
        """Whether it was answered with 200 in time."""
        try:
            async with asyncio.timeout(self._limit_s):
                answer = await self._try(request)
        except TimeoutError:
            self._tally.late += 1
            await self.close()
            return False
        except LinkLost:
            self._tally.lost += 1
            await self.close()
            return False
        return self._note(answer)

    def _note(self, answer: Answer) -> bool:
        if answer.status == 200:
            self._tally.delivered += 1
        elif answer.status:
            self._tally.refused += 1
            self._tally.statuses = [*self._tally.statuses, answer.status][-8:]
        else:
            self._tally.lost += 1
        return answer.status == 200

    async def _try(self, request: bytes) -> Answer:
        reused = self._link is not None
        try:
            answer = await self._ask(request)
        except LinkLost:
            if not reused:
                raise
            await self.close()  # the receiver had closed the idle connection; that is no answer to this request
            answer = await self._ask(request)
        if answer.broken or not (answer.reusable and self._keep_alive):
            await self.close()
        return answer

    async def _ask(self, request: bytes) -> Answer:
        """Raises LinkLost."""
        if self._link is None:
            self._link = await self._held.enter_async_context(self._connect())
        await self._link.write(request)
        answer = Answer()
        while not answer.over and not answer.broken:
            answer.feed(await self._link.read())
        return answer

    async def close(self) -> None:
        """Close the connection that is kept, if there is one."""
        held, self._held, self._link = self._held, AsyncExitStack(), None
        await held.aclose()


class Waiting:
    """Messages that wait to be sent, each made when its turn comes. When there are too many, the oldest goes."""

    def __init__(self, most: int, tally: Tally) -> None:
        self._most = most
        self._tally = tally
        self._makers: list[tuple[Make, Ready | None]] = []
        self._more = asyncio.Event()

    def put_once(self, make: Make) -> None:
        """A message of which one that waits is enough: signs of life must not push events out."""
        if all(waiting != make for waiting, _ in self._makers):
            self.put(make)

    def put(self, make: Make, ready: Ready | None = None) -> None:
        if len(self._makers) >= self._most:
            self._makers.pop(0)
            self._tally.overflowed += 1
        self._makers.append((make, ready))
        self._more.set()

    async def get(self) -> bytes:
        """The next message. Waits without limit: there may be no traffic."""
        while not self._makers:
            self._more.clear()
            await self._more.wait()
        make, ready = self._makers.pop(0)
        if ready is not None:
            await ready()
        return make()


@dataclass(frozen=True, slots=True)
class Beat:
    """Signs of life: how often (None for never), and how soon again when one was not answered."""

    every_s: float | None
    again_s: float
    make: Make


class HttpPush:
    """A camera that posts: what waits, one after the other, and a sign of life now and then."""

    def __init__(self, waiting: Waiting, tally: Tally, limit_s: float, keep_alive: bool) -> None:
        self._waiting = waiting
        self._tally = tally
        self._limit_s = limit_s
        self._keep_alive = keep_alive
        self._heard = False

    async def run(self, connect: Connect, beat: Beat) -> None:
        """Never returns."""
        await until_first(self._post_on(connect), self._beat_on(beat))

    async def _post_on(self, connect: Connect) -> None:
        poster = Poster(connect, self._limit_s, self._keep_alive, self._tally)
        try:
            while True:
                self._heard = await poster.post(await self._waiting.get())
        finally:
            await poster.close()

    async def _beat_on(self, beat: Beat) -> None:
        """One at once, then as often as it is set; sooner while nobody answers."""
        while beat.every_s is not None:
            self._waiting.put_once(beat.make)
            soon_s = min(beat.again_s, beat.every_s)
            await asyncio.sleep(soon_s)
            if self._heard:
                await asyncio.sleep(beat.every_s - soon_s)
        await asyncio.Event().wait()  # this camera sends none
