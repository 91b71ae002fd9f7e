"""The pictures of one lane, as asyncio sees them: taken in at once, on disk a little later, told of then.

The supervisors hand pictures in, the composition root makes it and gives it its ears. It never waits for the disk when
a picture comes, never raises, and never stops the lane: when the disk fails, or is full, that is told once, pictures
wait in memory within a bound, and are written when the disk takes them; it is told again when all is well.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict, deque
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path

from lanecontrol.announcements import EvidenceStored
from lanecontrol.backing import PICTURE_LIMIT, reference
from lanecontrol.clock import Clock, RealWork
from lanecontrol.errors import StorageError, StorageUnavailable
from lanecontrol.evidence.files import EvidenceFull, EvidenceLimits, PictureFiles
from lanecontrol.evidence.unsent import Unsent, UnsentNotes, media_type
from lanecontrol.ledger.hands import Hands
from lanecontrol.sealing import NO_KEY, Sealer

_TOLD_KEPT = 4096
"""Pictures that are not told of again when a device hands them in once more."""
_PREFIX = "sha256:"


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A picture on its way to disk."""

    device: str
    digest: str
    picture: bytes
    media_type: str
    done: asyncio.Future[None]


class EvidenceStore:
    """Made inside a running loop; `close` it."""

    def __init__(
        self,
        folder: Path,
        limits: EvidenceLimits,
        *,
        clock: Clock,
        stored: Callable[[EvidenceStored], None],
        trouble: Callable[[str], None],
        sealer: Sealer = NO_KEY,
        to_port: bool = False,
        inline: bool = False,
        work: RealWork | None = None,
    ) -> None:
        """`stored` is told of each picture that is on disk; `trouble` of why none can be kept, and, with an empty
        text, that all is well: also once after the start, when the first is on disk. Both on the loop's thread.
        `to_port`: pictures are to be sent, and those that were not yet are noted down beside them.
        """
        self._limits = limits
        self._clock = clock
        self._stored = stored
        self._trouble = trouble
        self._files = PictureFiles(folder, limits, sealer)
        self._notes = UnsentNotes(folder)
        self._to_port = to_port
        self._news = asyncio.Event()
        self._hands = Hands("evidence", inline, work or RealWork())
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._flying = False
        self._resting = False
        """The disk has failed and is left alone for a while."""
        self._full = False
        self._told: OrderedDict[str, None] = OrderedDict()
        self._told_trouble: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self.refused = 0
        """Pictures that were not taken in."""
        self._tidy()

    # --- taking in ---------------------------------------------------------------------------------------------------

    async def keep(self, device: str, picture: bytes, kind: str) -> str:
        """Take a picture in; its reference, or nothing when it cannot be. Waits for its hash alone."""
        name = await reference(picture)
        if not name:
            if picture:
                self._refuse(f"a picture of {len(picture) / 1024**2:.0f} MiB, more than {PICTURE_LIMIT >> 20}")
            return ""
        digest = name.removeprefix(_PREFIX)
        if any(waiting.digest == digest for waiting in self._waiting):
            return name
        if self._full or self._closed:
            self.refused += 1
            return ""
        if self._bytes + len(picture) > self._limits.queue_bytes:
            self._refuse("pictures come faster than the disk takes them")
            return ""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(device, digest, picture, media_type(kind), done))
        self._bytes += len(picture)
        self._next()
        return name

    def _refuse(self, why: str) -> None:
        self.refused += 1
        self._tell(why)

    async def settled(self) -> None:
        """Until every picture taken in so far is on disk or was given up for want of room. Waits for a failing disk."""
        if self._waiting:
            await asyncio.wait({self._waiting[-1].done})

    async def read(self, name: str) -> bytes | None:
        """The picture of this reference; None when it is not here. Raises StorageUnavailable."""
        digest = name.removeprefix(_PREFIX)
        if not re.fullmatch("[0-9a-f]{64}", digest):
            return None
        return await self._hands.do(self._files.read, digest)

    @property
    def waiting_bytes(self) -> int:
        return self._bytes

    # --- for whoever sends pictures to the port ----------------------------------------------------------------------

    async def unsent(self, but: Container[str]) -> list[Unsent]:
        """Some of the pictures that are to be sent, oldest first, without those in `but`. Raises StorageUnavailable."""
        self._news.clear()  # before looking: one that comes meanwhile is news
        return await self._hands.do(self._notes.oldest, but)

    async def settle(self, digest: str) -> None:
        """The port has this picture, or will never have it. Raises StorageUnavailable."""
        await self._hands.do(self._notes.remove, digest)

    async def news(self) -> None:
        """Until a picture came after the last look; without a limit, as there may be none."""
        await self._news.wait()

    # --- writing -----------------------------------------------------------------------------------------------------

    def _next(self) -> None:
        if self._flying or self._resting or not self._waiting:
            return
        self._flying = True
        head = self._waiting[0]
        now_utc_s = self._clock.now().utc_s
        self._hands.do(self._write, head, now_utc_s).add_done_callback(self._landed)

    def _write(self, head: _Waiting, now_utc_s: float) -> None:
        """On the store's thread. Noted first: a note without its picture is told of, a picture without is forgotten."""
        if self._to_port:
            self._notes.add(head.digest, head.media_type, now_utc_s)
        self._files.write(head.digest, head.picture, now_utc_s)

    def _landed(self, write: asyncio.Future[None]) -> None:
        self._flying = False
        if write.cancelled():
            return
        match write.exception():
            case None:
                self._written(self._waiting.popleft())
            case StorageError() as error:
                self._failed(error)
            case error:
                raise error
        self._next()

    def _written(self, picture: _Waiting) -> None:
        self._bytes -= len(picture.picture)
        self._resting = self._full = False
        self._news.set()
        if not picture.done.done():
            picture.done.set_result(None)
        if not self._waiting:
            self._tell("")
        if picture.digest not in self._told:
            self._told[picture.digest] = None
            if len(self._told) > _TOLD_KEPT:
                self._told.popitem(last=False)
            size, at = len(picture.picture), self._clock.now()
            self._stored(
                EvidenceStored(f"{_PREFIX}{picture.digest}", size, picture.media_type, picture.device, at.utc_s)
            )

    def _failed(self, error: StorageError) -> None:
        self._resting = True
        self._full = isinstance(error, EvidenceFull)
        self._tell(error.why)
        if self._full:
            self._let_go()
        self._after(self._limits.full_retry_s if self._full else self._limits.retry_s)

    def _let_go(self) -> None:
        """There may be no room for hours, and nobody is to wait for that: what waits is given up."""
        while len(self._waiting) > self._flying:
            picture = self._waiting.pop()  # not the first while it is being written
            self._bytes -= len(picture.picture)
            self.refused += 1
            if not picture.done.done():
                picture.done.set_result(None)

    def _tell(self, why: str) -> None:
        """Once of a trouble, until it is over, and once that it is."""
        if self._told_trouble is None or bool(why) is not bool(self._told_trouble):
            self._told_trouble = why
            self._trouble(why)

    # --- from time to time -------------------------------------------------------------------------------------------

    def _after(self, wait_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if self._closed else asyncio.get_running_loop().call_later(wait_s, self._tidy)

    def _tidy(self) -> None:
        self._timer = None
        self._hands.do(self._files.tidy, self._clock.now().utc_s).add_done_callback(self._tidied)

    def _tidied(self, tidied: asyncio.Future[None]) -> None:
        error = None if tidied.cancelled() else tidied.exception()
        if isinstance(error, StorageUnavailable):
            self._failed(error)
            return
        if error is not None:
            raise error
        self._after(self._limits.tidy_every_s)
        self._resting = False
        if self._full:
            self._full = False
            self._tell("")
        self._next()

    # --- the end -----------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Bring what waits to disk, within a limit; what does not get there is lost. May be called again."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            if self._waiting and not self._resting:
                await asyncio.wait({self._waiting[-1].done}, timeout=self._limits.close_s)
        finally:
            self._hands.end()
