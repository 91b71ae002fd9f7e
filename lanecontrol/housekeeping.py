"""What a lane needs done now and then: forget what its store need not keep, tell the port how far its chain has come,
and mind the dates of its certificates.

The composition root runs one per lane, beside the lane's own work. A chain's head that the port has heard of cannot be
cut off unseen. A disk that fails is the ledger's to tell of: a round that fails is simply tried again at its next time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Never

from lanecontrol.announcements import Announcement, CertificateEnds, ChainHead, EventsGivenUp, StoreOverFull
from lanecontrol.clock import Clock
from lanecontrol.errors import StorageUnavailable
from lanecontrol.ledger.ledger import Ledger
from lanecontrol.ledger.retention import Forgotten, Gap, Keep, forget
from lanecontrol.port.certificates import WARN_DAYS, days_left, own_certificate

FORGET_EVERY_S = 600.0
"""A busy lane writes about a megabyte in this time."""
FIRST_FORGET_S = 60.0
"""Not while everything starts."""
HEAD_EVERY_S = 900.0
HEAD_EVERY_ROWS = 1000
"""The port hears of the chain's head this often, by time and by events, whichever comes first."""
RETRY_S = 10.0
CERTIFICATES_EVERY_S = 86_400.0

Record = Callable[[Announcement], Awaitable[None]]
"""Puts an announcement into the ledger; returns when it is on disk, raises StorageError."""


class Housekeeper:
    """Keeps one lane's store."""

    def __init__(self, ledger: Ledger, keep: Keep, clock: Clock, record: Record, log: Any) -> None:
        self._ledger, self._keep, self._clock, self._record, self._log = ledger, keep, clock, record, log
        self._over = False
        self._told_seq = 0
        self._certificates: list[str] = []

    async def run(self) -> Never:
        """Until cancelled. Raises StorageCorrupt, StorageFatal."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._forget_for_ever(), name="forget")
            tasks.create_task(self._tell_heads(), name="chain head")
            tasks.create_task(self._mind_certificates(), name="certificates")
        raise AssertionError("all of them last for ever")

    # --- forgetting --------------------------------------------------------------------------------------------------

    async def _forget_for_ever(self) -> Never:
        await asyncio.sleep(FIRST_FORGET_S)
        while True:
            await self.forget_once()
            await asyncio.sleep(FORGET_EVERY_S)

    async def forget_once(self) -> None:
        """One round by the store's policy; what was given up is told before it goes."""
        now = self._clock.now()
        try:
            done = await forget(self._ledger, self._keep, now.utc_s if now.synchronised else None, self._tell_gap)
            await self._tell_excess(done)
        except StorageUnavailable:
            return  # the ledger tells of its disk itself; what is too old is so in ten minutes too
        if done.rows or done.erased or done.gaps:
            self._log.info(
                "store tidied", forgotten=done.rows, erased=done.erased, given_up=sum(gap.count for gap in done.gaps)
            )

    async def _tell_gap(self, gap: Gap) -> None:
        span = gap.first_utc_s, gap.last_utc_s
        numbers = gap.topic_class, gap.epoch, gap.first_seq, gap.last_seq, gap.count
        await self._record(EventsGivenUp(*numbers, *span, self._clock.now().utc_s))

    async def _tell_excess(self, done: Forgotten) -> None:
        """Once when the store is over its size with nothing left that may go, once when it is not any more."""
        if (done.over_bytes > 0) is not self._over:
            await self._record(StoreOverFull(done.over_bytes, done.over_bytes > 0, self._clock.now().utc_s))
            self._over = done.over_bytes > 0

    # --- certificates ------------------------------------------------------------------------------------------------

    def watch(self, broker_urls: Iterable[str]) -> None:
        """Whose certificates to mind."""
        self._certificates = [file for file in map(own_certificate, broker_urls) if file]

    async def _mind_certificates(self) -> Never:
        while True:
            await asyncio.sleep(FIRST_FORGET_S)
            now = self._clock.now()
            if not now.synchronised:
                continue  # it may be right in a minute
            for file in self._certificates:
                left = await asyncio.to_thread(days_left, file, now.utc_s)
                if left is not None and left < WARN_DAYS:
                    await self._tell_of_certificate(file, left)
            await asyncio.sleep(CERTIFICATES_EVERY_S - FIRST_FORGET_S)

    async def _tell_of_certificate(self, file: str, left: float) -> None:
        self._log.warning("our certificate ends soon", file=file, days_left=round(left, 1))
        with suppress(StorageUnavailable):  # told again tomorrow
            await self._record(CertificateEnds(Path(file).name, round(left, 1), self._clock.now().utc_s))

    # --- the chain's head --------------------------------------------------------------------------------------------

    async def _tell_heads(self) -> Never:
        while True:
            await self._due()
            head = self._ledger.head
            # The announcement is a row too: told of a quiet lane for ever, it would only ever tell of itself.
            if head.seq > self._told_seq:
                try:
                    await self._record(ChainHead(head.epoch, head.seq, head.link.hex(), self._clock.now().utc_s))
                    self._told_seq = self._ledger.head.seq
                except StorageUnavailable:
                    await asyncio.sleep(RETRY_S)

    async def _due(self) -> None:
        """Until it is time again, or enough has been written."""
        try:
            async with asyncio.timeout(HEAD_EVERY_S):
                while self._ledger.head.seq - self._told_seq < HEAD_EVERY_ROWS:
                    await self._ledger.beyond(self._ledger.head.position)
        except TimeoutError:
            return
