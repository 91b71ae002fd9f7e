"""Announcements into the ledger, as the very bytes that will be sent. Made by the composition root, used by the runner.

It numbers nothing itself: what the ledger refuses takes no number. It never waits and never raises for a failing disk.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from lanecontrol.announcements import Announcement, DeviceStateChanged
from lanecontrol.clock import Instant
from lanecontrol.ledger.ledger import Ledger
from lanecontrol.ledger.records import Entry
from lanecontrol.port.payloads import EVENT_TYPES, event_bytes
from lanecontrol.port.topics import LaneAddress, class_of


class LedgerJournal:
    """The journal of one lane. `device_changed` is told of device states, `told_of` of each number given."""

    def __init__(
        self,
        ledger: Ledger,
        address: LaneAddress,
        device_changed: Callable[[DeviceStateChanged], None],
        told_of: Callable[[int], object],
    ) -> None:
        self._ledger = ledger
        self._address = address
        self._device_changed = device_changed
        self._told_of = told_of
        self._under_way: deque[tuple[float, asyncio.Future[None]]] = deque()
        self.recorded = 0
        self.lost = 0
        """Announcements that the ledger refused: too much was waiting for a disk that failed."""

    def write(
        self, announcements: Sequence[Announcement], at: Instant, checkpoint: Callable[[], bytes] | None
    ) -> asyncio.Future[None]:
        """Resolves when on disk; fails with StorageError."""
        first = self._ledger.next_seq
        entries = [self._entry(told, first + n, at) for n, told in enumerate(announcements)]
        written = self._ledger.append(entries, checkpoint)
        taken = self._ledger.next_seq - first
        self.recorded += taken
        self.lost += len(entries) - taken
        for seq in range(first, self._ledger.next_seq):
            self._told_of(seq)
        for told in announcements:
            if isinstance(told, DeviceStateChanged):
                self._device_changed(told)
        self._under_way.append((asyncio.get_running_loop().time(), written))
        self._forget_ended()
        return written

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
