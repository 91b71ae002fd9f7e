"""Announcements into the ledger, as the very bytes that will be sent. Made by the composition root, used by the runner.

It numbers nothing itself: what the ledger refuses takes no number. It never waits and never raises for a failing disk.
While much waits for one, in memory, what may be dropped is not recorded, so that there is room for what must not be: a
disk that is full for hours costs no alarm. Of all that was not recorded the port is told when the disk takes it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lanecontrol.announcements import TOPIC_CLASS, Announcement, DeviceStateChanged, EventsGivenUp, OverrideTold
from lanecontrol.clock import Instant
from lanecontrol.errors import StorageUnavailable
from lanecontrol.ledger.ledger import Ledger
from lanecontrol.ledger.records import Entry
from lanecontrol.port.payloads import EVENT_TYPES, event_bytes
from lanecontrol.port.topics import CLASSES, Drop, LaneAddress, class_of

_DROPPABLE = frozenset(kind for kind, name in TOPIC_CLASS.items() if CLASSES[name].drop is not Drop.NEVER)


@dataclass(slots=True)
class _Unrecorded:
    """Of one class, since the port was last told."""

    first_utc_s: float
    last_utc_s: float
    count: int = 0


class LedgerJournal:
    """The journal of one lane. `stands` is told of what stands retained, `told_of` of each number given."""

    def __init__(
        self,
        ledger: Ledger,
        address: LaneAddress,
        stands: Callable[[DeviceStateChanged | OverrideTold], None],
        told_of: Callable[[int], object],
    ) -> None:
        self._ledger = ledger
        self._address = address
        self._stands = stands
        self._told_of = told_of
        self._under_way: deque[tuple[float, asyncio.Future[None]]] = deque()
        self.recorded = 0
        self.lost = 0
        """Announcements that were not recorded: too much was waiting for a disk that failed."""
        self._unrecorded: dict[str, _Unrecorded] = {}

    def write(
        self, announcements: Sequence[Announcement], at: Instant, checkpoint: Callable[[], bytes] | None
    ) -> asyncio.Future[None]:
        """Resolves when all of it is on disk; fails with StorageError."""
        first = self._ledger.next_seq
        wanted = self._fit(announcements, at)
        entries = [self._entry(told, first + n, at) for n, told in enumerate(wanted)]
        written = self._ledger.append(entries, checkpoint)
        taken = self._ledger.next_seq - first
        self.recorded += taken
        if taken < len(entries):
            self._count_lost(wanted, at)
        for seq in range(first, self._ledger.next_seq):
            self._told_of(seq)
        for told in announcements:
            if isinstance(told, DeviceStateChanged | OverrideTold):
                self._stands(told)
        self._under_way.append((asyncio.get_running_loop().time(), written))
        self._forget_ended()
        return written if len(wanted) >= len(announcements) else _not_all()

    def _fit(self, announcements: Sequence[Announcement], at: Instant) -> Sequence[Announcement]:
        """What of these can be recorded now; first, when that is over, a record of what could not be."""
        if self._ledger.crowded:
            self._count_lost([told for told in announcements if type(told) in _DROPPABLE], at)
            return [told for told in announcements if type(told) not in _DROPPABLE]
        if not self._unrecorded or not self._ledger.writable:
            return announcements
        lost, self._unrecorded = self._unrecorded, {}
        epoch = self._ledger.epoch
        gaps = [
            EventsGivenUp(name, epoch, 0, 0, gap.count, gap.first_utc_s, gap.last_utc_s, at.utc_s)
            for name, gap in lost.items()
        ]
        return [*gaps, *announcements]

    def _count_lost(self, announcements: Sequence[Announcement], at: Instant) -> None:
        self.lost += len(announcements)
        for told in announcements:
            gap = self._unrecorded.setdefault(class_of(told), _Unrecorded(at.utc_s, at.utc_s))
            gap.last_utc_s, gap.count = at.utc_s, gap.count + 1

    def waiting_s(self) -> float:
        """How long the oldest write has been waiting for the disk: one that neither succeeds nor fails shows here."""
        self._forget_ended()
        return asyncio.get_running_loop().time() - self._under_way[0][0] if self._under_way else 0.0

    async def settled(self) -> None:
        """Until every write has ended, well or not; the caller bounds the wait."""
        under_way = [written for _, written in self._under_way]
        if under_way:
            await asyncio.wait(under_way)

    def _forget_ended(self) -> None:
        """Writes end in the order in which they began."""
        while self._under_way and self._under_way[0][1].done():
            self._under_way.popleft()

    def _entry(self, told: Announcement, seq: int, at: Instant) -> Entry:
        body = event_bytes(told, epoch=self._ledger.epoch, seq=seq, instant=at, source_lane=self._address)
        return Entry(seq, class_of(told), EVENT_TYPES[type(told)], at.utc_s, body)


def _not_all() -> asyncio.Future[None]:
    """What a write that left something out comes to: nobody may count on it."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_exception(StorageUnavailable("append", "not all of it is recorded: too much waits for the disk"))
    future.exception()  # seen: told to the port when the disk is well, even if nobody awaits this one
    return future
