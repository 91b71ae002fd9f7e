"""The ledger of one lane, as asyncio sees it: numbered, chained, on disk before anybody is told so.

The lane's runner appends, the relay to the port reads the undelivered tail and marks what arrived. All SQL runs on two
threads of the ledger's own, one that writes and one that reads, or, `inline`, on the loop's thread in the same order
(simulations on a virtual clock).

When the disk fails: what is waiting is told so at once (StorageUnavailable), kept in memory in order, and written when
the disk takes it, so that no sequence number is missing; beyond `Limits` new entries are refused and take no number.
A store found damaged while running is final for this process (StorageCorrupt): it ends, and opening the store again
salvages. Nothing here ever reports a row as written, or hands it out for delivery, before its sync returned.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

from lanecontrol.clock import RealWork
from lanecontrol.errors import StorageCorrupt, StorageError, StorageUnavailable
from lanecontrol.ledger import chain, database
from lanecontrol.ledger.committer import Committer, Limits
from lanecontrol.ledger.hands import Hands
from lanecontrol.ledger.opening import Opened, open_store
from lanecontrol.ledger.parcels import Parcel, read_parcels
from lanecontrol.ledger.reader import BATCH, CHECKPOINT, Reader, kept_key
from lanecontrol.ledger.reading_side import ReadingSide
from lanecontrol.ledger.records import START, Entry, Head, OpenReport, Position, Row, Status, Verdict
from lanecontrol.ledger.store import Checkpoint, Group, Salted
from lanecontrol.sealing import NO_KEY, Sealer

P = ParamSpec("P")
T = TypeVar("T")


class Ledger:
    """One open store. Make it with `open`, end it with `close` (or `async with`)."""

    def __init__(
        self,
        opened: Opened,
        writing: Hands,
        reading: ReadingSide,
        limits: Limits,
        *,
        salt: Callable[[int], bytes],
        on_change: Callable[[bool, str], None],
        on_damage: Callable[[str], None],
    ) -> None:
        self.opened: OpenReport = opened.report
        """How opening went."""
        self._store, self._lock, self._paths = opened.store, opened.lock, opened.paths
        self._writing, self._reading, self._limits = writing, reading, limits
        self._salt, self._on_damage = salt, on_damage
        self._committer = Committer(
            opened.store,
            writing,
            limits,
            on_written=self._written,
            on_change=self._disk_changed,
            on_corrupt=self._suspect,
        )
        self._on_change = on_change
        self._head = opened.store.head
        self._undelivered = opened.store.undelivered
        self._next_seq = self._head.seq + 1
        self._refused = 0
        self._reads = 0
        self._settled_marks: set[Position] = set()
        self._damaged: set[Position] = set()
        self._commits: list[asyncio.Future[None]] = []
        self._closed = False
        if opened.unavailable is not None:
            self._committer.fail(opened.unavailable)

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        inline: bool = False,
        work: RealWork | None = None,
        on_change: Callable[[bool, str], None] = lambda writable, reason: None,
        on_damage: Callable[[str], None] = lambda reason: None,
        salt: Callable[[int], bytes] = os.urandom,
        sealer: Sealer = NO_KEY,
        connect: database.Connect = database.connect,
        limits: Limits | None = None,
        box: str = "",
        first_epoch: int = 1,
    ) -> Ledger:
        """Open the store at `path`, making, or salvaging and remaking, it where needed; `opened` tells what happened.

        `on_change(writable, reason)` is called when the disk stops taking writes and when it takes them again (also
        right away, when it does not at the start); `on_damage(reason)` when damage is found while running. Both on the
        loop's thread. `salt(n)` gives n random bytes; a simulation passes a seeded one. `sealer` holds the keys
        with which bodies and small values are encrypted on disk. `box` names this machine: a store that was used on
        another one goes on in a new epoch, since the other one may number on in the old. `first_epoch` is the least
        number of a new epoch: a new disk knows nothing of those that a lane of its name has had.

        Raises StorageUnavailable when the store cannot even be read (try again later), StorageFatal when another
        process holds it, a newer version wrote it, or it is sealed with a key that is not here.
        """
        work = work or RealWork()
        writing, reading = Hands("ledger-write", inline, work), Hands("ledger-read", inline, work)
        opening = writing.do(open_store, path, connect, sealer, box=box, first_epoch=first_epoch)
        try:
            opened = await asyncio.shield(opening)
        except BaseException:
            opening.add_done_callback(_discard)
            writing.end()
            reading.end()
            raise
        return cls(
            opened,
            writing,
            ReadingSide(reading, path, connect, sealer),
            limits or Limits(),
            salt=salt,
            on_change=on_change,
            on_damage=on_damage,
        )

    # --- what it says of itself ---------------------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        """Generation of the store; a remade one has a higher one. Constant while open."""
        return self._head.epoch

    @property
    def next_seq(self) -> int:
        """The number that the next entry gets. Read it, build the body and append without awaiting in between."""
        return self._next_seq

    @property
    def head(self) -> Head:
        """The last row on disk, with the chain's value there."""
        return self._head

    @property
    def writable(self) -> bool:
        """The disk takes writes, as far as known."""
        return self._committer.broken is None and not self._closed

    @property
    def broken(self) -> StorageError | None:
        """Why the disk takes no writes; None while it does. Anything but StorageUnavailable is final."""
        return self._committer.broken

    @property
    def crowded(self) -> bool:
        """Much waits for a disk that fails or is slow: whoever can do without recording something should do so now."""
        return self._committer.crowded

    @property
    def undelivered_count(self) -> int:
        """Rows on disk that are not marked as delivered."""
        return max(self._undelivered - len(self._committer.marks), 0)

    # --- writing ------------------------------------------------------------------------------------------------------

    def append(self, entries: Sequence[Entry], checkpoint: Checkpoint | None = None) -> asyncio.Future[None]:
        """Record entries and the lane's state after them, in one transaction.

        Entries carry the numbers `next_seq`, `next_seq` + 1, ... (ValueError otherwise). `checkpoint` may be a pure
        function, called on the writing thread and only if no later checkpoint goes to disk with it.

        The future resolves when all is on disk. It fails with StorageUnavailable when the disk fails: the entries then
        keep their numbers, wait in memory and are written as soon as the disk allows, but nobody may count on them. Or
        they are refused (too much is waiting, the ledger is closed): then they took no number.
        """
        for offset, entry in enumerate(entries):
            if entry.seq != self._next_seq + offset:
                raise ValueError(f"entry {entry.seq} where {self._next_seq + offset} is next")
        salted = tuple(Salted(entry, self._salt(chain.SALT_BYTES)) for entry in entries)
        refused = self._refused
        written = self._take(Group(entries=salted, checkpoint=checkpoint))
        if refused == self._refused:
            self._next_seq += len(entries)
        return written

    def put(self, key: str, value: bytes) -> asyncio.Future[None]:
        """Store a small value under a name. The future resolves when it is on disk; it fails without taking it."""
        return self._take(Group(values=((kept_key(key), value),)))

    def erase(self, positions: Sequence[Position]) -> asyncio.Future[None]:
        """Erase the bodies of rows, for good; they count as delivered, and the chain still verifies."""
        return self._take(Group(erased=tuple(positions)))

    def forget(self, through: Position) -> asyncio.Future[None]:
        """Take the oldest rows out for good, up to a position: only delivered ones, and never the last.

        The chain verifies on from there: its value at the last row taken out is kept.
        """
        return self._take(Group(forgotten=through))

    def _take(self, part: Group) -> asyncio.Future[None]:
        taken = self._committer.take(part)
        if not isinstance(taken, StorageError):
            return taken
        self._refused += len(part.entries)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_exception(taken)
        future.exception()  # seen: counted as refused, even if nobody awaits this one
        return future

    def mark_delivered(self, positions: Iterable[Position]) -> None:
        """These rows have arrived. Returns at once, before that is on disk: a lost mark only means a repeat."""
        self._committer.mark(positions)

    @property
    def repeatable(self) -> int:
        """Marked rows of which the disk does not know yet: a crash now would repeat them. 0 while the disk fails."""
        return len(self._committer.marks) if self._committer.broken is None else 0

    async def marked(self, at_most: int) -> None:
        """Wait until `repeatable` is no more than `at_most`; without limit, as a disk that fails ends it too."""
        while self.repeatable > at_most and not self._closed:
            self._committer.flush_marks()
            await self._next_commit()

    async def reopen(self) -> None:
        """Try a failing disk again, now. Raises StorageError when it still fails; nothing to do when it is well."""
        await self._committer.reopen()

    def _written(self, marks: tuple[Position, ...]) -> None:
        self._head = self._store.head
        self._undelivered = self._store.undelivered
        if self._reads:  # a read that began before this commit may still show these rows
            self._settled_marks.update(marks)
        self._commit_ended()

    def _commit_ended(self) -> None:
        waiting, self._commits = self._commits, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    def _disk_changed(self, writable: bool, why: str) -> None:
        self._commit_ended()
        self._on_change(writable, why)

    # --- reading ------------------------------------------------------------------------------------------------------

    async def undelivered(self, after: Position = START, limit: int = 500) -> list[Parcel]:
        """The next `limit` undelivered rows after a position, in order; fewer only when there are no more.

        A row that is damaged on disk comes without its body and is reported once. Raises StorageUnavailable,
        StorageCorrupt.
        """
        rows: list[Parcel] = []
        self._reads += 1
        try:
            while len(rows) < limit:
                found = await self._read(read_parcels, after, want := limit - len(rows))
                marked = self._committer.marks or self._settled_marks
                rows += [row for row in found if not self._is_marked(row.position)] if marked else found
                if len(found) < want:
                    break
                after = found[-1].position
        finally:
            self._reads -= 1
            if not self._reads:
                self._settled_marks.clear()
        self._report_damaged([row for row in rows if row.body is None])
        return rows

    def _is_marked(self, position: Position) -> bool:
        return position in self._committer.marks or position in self._settled_marks

    async def waiting_through(
        self, epoch: int, seq: int, after: Position = START, limit: int = 2000
    ) -> list[tuple[Position, int]]:
        """Position and number of undelivered rows of an epoch up to a number: those next after a position, in order.

        None when there are no more. Raises StorageError.
        """
        while found := await self._read(Reader.waiting_through, epoch, seq, after, limit):
            if waiting := [row for row in found if not self._is_marked(row[0])]:
                return waiting
            after = found[-1][0]
        return []

    async def beyond(self, position: Position) -> None:
        """Wait until there is a row on disk after `position`; without limit, since a lane may be quiet for days."""
        while self._head.position <= position:
            await self._next_commit()

    async def _next_commit(self) -> None:
        """Until a commit ended, well or not."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._commits.append(waiter)
        await waiter

    async def load_checkpoint(self) -> bytes | None:
        """The lane's state as last committed; None in a new store. Raises StorageUnavailable, StorageCorrupt."""
        return await self._read(Reader.value, CHECKPOINT)

    async def get(self, key: str) -> bytes | None:
        """A small value as last committed. Raises StorageUnavailable, StorageCorrupt."""
        return await self._read(Reader.value, kept_key(key))

    async def export(self, after: Position = START) -> AsyncIterator[Row]:
        """Every row on disk after a position. Raises StorageUnavailable, StorageCorrupt."""
        while batch := await self._read(Reader.rows, after, BATCH):
            for row in batch:
                yield row
            after = batch[-1].position

    async def verify(self) -> Verdict:
        """Check every row and the chain through them, in small steps. Raises StorageUnavailable, StorageCorrupt."""
        check, after = await self._read(Reader.chain_check), START
        while batch := await self._read(Reader.rows, after, BATCH):
            if not await self._reading.hands.do(check.take_all, batch):
                break
            after = batch[-1].position
        return check.verdict()

    async def ask(self, question: Callable[Concatenate[Reader, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What a question to the store's reader finds. Raises StorageUnavailable, StorageCorrupt."""
        return await self._read(question, *args, **kwargs)

    async def status(self) -> Status:
        """Its condition now. Raises StorageUnavailable, StorageCorrupt."""
        on_disk = await self._read(Reader.status)
        broken = self._committer.broken
        return replace(
            on_disk,
            writable=self.writable,
            reason=broken.why if broken else "",
            undelivered=self.undelivered_count,
            held=self._committer.entries if broken else 0,
            refused=self._refused,
            damaged=len(self._damaged),
        )

    async def _read(self, what: Callable[Concatenate[Reader, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._closed:
            raise StorageUnavailable("read", "the ledger is closed")
        try:
            return await self._reading.ask(what, *args, **kwargs)
        except StorageCorrupt as error:
            self._suspect(error.why)
            raise

    def _report_damaged(self, rows: Sequence[Parcel]) -> None:
        for row in rows:
            if row.position not in self._damaged:
                self._damaged.add(row.position)
                self._suspect(f"record {row.epoch}-{row.seq} is damaged and cannot be delivered")

    def _suspect(self, why: str) -> None:
        """Report damage, and have the next start look at everything."""
        self._on_damage(why)
        self._reading.hands.do(self._paths.suspect.touch, 0o600).add_done_callback(_seen)

    # --- the end ------------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Bring what waits to disk, marks too, and let go. May be called again. Never raises StorageError."""
        if self._closed:
            return
        self._closed = True
        try:
            async with asyncio.timeout(self._limits.close_s):
                await self._committer.finish()
                await self._reading.close()  # after whatever that thread was given before
                await self._writing.do(self._store.close)
        except TimeoutError:
            self._committer.give_up()
        finally:
            self._writing.end()
            self._reading.hands.end()
            self._lock.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _seen(future: asyncio.Future[None]) -> None:
    """An outcome that only makes the next start less thorough."""
    if not future.cancelled():
        future.exception()


def _discard(opening: asyncio.Future[Opened]) -> None:
    """Nobody waited for this store to open."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().store.close()
        opening.result().lock.close()
