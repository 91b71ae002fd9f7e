"""Group commit: what comes in while one commit is under way goes to disk with the next, and nothing is lost when the
disk fails.

The ledger's writing half on the loop's side. A commit starts when the last sync returned; waiting longer for more to
come gains nothing. When a commit fails, everything that waits is told so at once, kept in memory in order, and tried
again on a connection opened anew. It never tells anyone that something is on disk before the store says so.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass

from lanecontrol.errors import StorageError, StorageFatal, StorageUnavailable
from lanecontrol.ledger.hands import Hands
from lanecontrol.ledger.records import START, Position
from lanecontrol.ledger.store import Group, Store


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds and times; each default says where it comes from."""

    waiting_bytes: int = 16 * 1024 * 1024
    """Bodies that may wait for the disk: some 10,000 events, minutes of the busiest lane."""
    waiting_entries: int = 20_000
    group_most: int = 500
    """Appends per commit: a sync is shared well enough by then, and telling more would take the loop too long."""
    marks_after_s: float = 1.0
    """Delivery marks wait this long for an entry to go along with; lost marks only mean a repeat."""
    marks_most: int = 200
    """So many marks go to disk at once, without waiting."""
    retry_first_s: float = 0.5
    retry_most_s: float = 10.0
    """A failing disk is tried again after these times, doubling: a full one is usually freed by a person."""
    close_s: float = 5.0
    """Closing waits so long for the last commit; a disk that hangs must not keep the process from ending."""


class _Pending:
    """Something on its way to disk: its part of a group, and who waits for it."""

    __slots__ = ("future", "part", "size")

    def __init__(self, part: Group, future: asyncio.Future[None]) -> None:
        self.part = part
        self.future = future
        self.size = part.size

    def settle(self, error: BaseException | None) -> None:
        """Tell whoever waits, once."""
        if self.future.done():
            return
        if error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(error)
            self.future.exception()  # seen: `on_change` tells of it even if nobody awaits this one


class Committer:
    """Brings groups of writes to one store. `on_written` is called after each commit, before its futures' callbacks."""

    def __init__(
        self,
        store: Store,
        hands: Hands,
        limits: Limits,
        *,
        on_written: Callable[[tuple[Position, ...]], None],
        on_change: Callable[[bool, str], None],
        on_corrupt: Callable[[str], None],
    ) -> None:
        self._store, self._hands, self._limits = store, hands, limits
        self._on_written, self._on_change, self._on_corrupt = on_written, on_change, on_corrupt
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Pending] = deque()
        self._bytes = 0
        self.entries = 0
        """Entries that wait for the disk."""
        self._flying: tuple[int, tuple[Position, ...]] | None = None
        self._kicked = False
        self._under_way = ExitStack()
        self._held = False
        self.marks: dict[Position, None] = {}
        """Delivered, but not yet so on disk. In order of marking."""
        self._marks_timer: asyncio.TimerHandle | None = None
        self._marks_due = False
        self.broken: StorageError | None = None
        """Why the disk takes nothing; None while it does."""
        self._retry_timer: asyncio.TimerHandle | None = None
        self._retry_s = limits.retry_first_s
        self._attempt: asyncio.Future[None] | None = None
        self._idle: asyncio.Future[None] | None = None

    @property
    def closing(self) -> bool:
        return self._idle is not None

    @property
    def crowded(self) -> bool:
        """A quarter of what may wait for the disk does: the rest is for what must not be lost."""
        limits = self._limits
        return self.entries * 4 >= limits.waiting_entries or self._bytes * 4 >= limits.waiting_bytes

    # --- taking in ----------------------------------------------------------------------------------------------------

    def take(self, part: Group) -> asyncio.Future[None] | StorageError:
        """Take `part` in: the future resolves when it is on disk. Or the reason why it is not taken in.

        Only entries may wait for a failing disk to heal.
        """
        pending = _Pending(part, self._loop.create_future())
        refusal = self._refusal(part, pending.size)
        if refusal is not None:
            return refusal
        self._waiting.append(pending)
        self._bytes += pending.size
        self.entries += len(part.entries)
        if self.broken is not None:
            pending.settle(StorageUnavailable("append", f"{self.broken.why} (held in memory until it can be written)"))
        else:
            self._hold()
            self._kick()
        return pending.future

    def _refusal(self, part: Group, size: int) -> StorageError | None:
        if self.closing:
            return StorageUnavailable("append", "the ledger is closed")
        if self.broken is not None and (not part.entries or not isinstance(self.broken, StorageUnavailable)):
            return self.broken
        entries = self.entries + len(part.entries)
        if entries <= self._limits.waiting_entries and self._bytes + size <= self._limits.waiting_bytes:
            return None
        why = self.broken.why if self.broken else "the disk is too slow"
        return StorageUnavailable("append", f"refused, {self.entries} entries wait already: {why}")

    def _hold(self) -> None:
        """Somebody waits for the disk: real work is under way until nobody does."""
        if not self._held:
            self._held = True
            self._under_way.enter_context(self._hands.work.under_way())

    def _release(self) -> None:
        self._held = False
        self._under_way.close()

    def mark(self, positions: Iterable[Position]) -> None:
        """Take in delivery marks; they go to disk with the next entries, or after a while."""
        self.marks.update(dict.fromkeys(positions))
        if len(self.marks) >= self._limits.marks_most:
            self.flush_marks()
        elif self._marks_timer is None and self.marks and not self.closing:
            self._marks_timer = self._loop.call_later(self._limits.marks_after_s, self.flush_marks)

    def flush_marks(self) -> None:
        """Take the marks to disk with the next commit, and make one."""
        self._marks_due = True
        self._kick()

    # --- committing ---------------------------------------------------------------------------------------------------

    def _kick(self) -> None:
        """Start a commit in the next turn of the loop, so that what one turn appends goes together."""
        if not self._kicked and self._flying is None and self.broken is None:
            self._kicked = True
            self._loop.call_soon(self._start)

    def _start(self) -> None:
        self._kicked = False
        if self._flying is not None:
            return
        if self.broken is None and (self._waiting or (self.marks and (self._marks_due or self.closing))):
            self._fly(self._store.commit)
        else:
            self._rest()

    def _fly(self, commit: Callable[[Group], None]) -> None:
        if self._marks_timer is not None:
            self._marks_timer.cancel()
        self._marks_timer, self._marks_due = None, False
        group = self._group()
        self._flying = min(len(self._waiting), self._limits.group_most), tuple(self.marks)
        self._hands.do(commit, group).add_done_callback(self._landed)

    def _group(self) -> Group:
        parts = [pending.part for pending in itertools.islice(self._waiting, self._limits.group_most)]
        checkpoints = [part.checkpoint for part in parts if part.checkpoint is not None]
        return Group(
            entries=list(itertools.chain.from_iterable(part.entries for part in parts)),
            checkpoint=checkpoints[-1] if checkpoints else None,
            delivered=list(self.marks),
            values=list(itertools.chain.from_iterable(part.values for part in parts)),
            erased=list(itertools.chain.from_iterable(part.erased for part in parts)),
            forgotten=max((part.forgotten for part in parts), default=START),
        )

    def _landed(self, commit: asyncio.Future[None]) -> None:
        assert self._flying is not None
        (count, marks), self._flying = self._flying, None
        error = asyncio.CancelledError() if commit.cancelled() else commit.exception()
        if error is None:
            self._written(count, marks)
        elif isinstance(error, StorageError):
            self.fail(error)
        else:  # a defect, for example a checkpoint that cannot be made: whoever appended must see it
            self._settle_all(error)
            self.broken = StorageFatal("commit", f"a defect: {type(error).__name__}")
            self._on_change(False, self.broken.why)
            self._rest()

    def _written(self, count: int, marks: tuple[Position, ...]) -> None:
        for mark in marks:
            self.marks.pop(mark, None)
        landed = [self._waiting.popleft() for _ in range(count)]
        self._bytes -= sum(pending.size for pending in landed)
        self.entries -= sum(len(pending.part.entries) for pending in landed)
        self._on_written(marks)
        for pending in landed:
            pending.settle(None)
        if not self._waiting:
            self._release()
        self._recovered()
        self._start()

    def _settle_all(self, error: BaseException) -> None:
        for pending in self._waiting:
            pending.settle(error)
        self._release()

    # --- when the disk fails ------------------------------------------------------------------------------------------

    def fail(self, error: StorageError) -> None:
        """The disk takes nothing, because of `error`: tell everybody who waits, and try again later."""
        changed = self.broken is None
        self.broken = error
        self._settle_all(error)
        if not isinstance(error, StorageUnavailable):
            self._on_corrupt(error.why)
        elif not self.closing:
            self._retry_timer = self._loop.call_later(self._retry_s, self._retry)
            self._retry_s = min(self._retry_s * 2, self._limits.retry_most_s)
        if self._attempt is not None and not self._attempt.done():
            self._attempt.set_exception(error)
            self._attempt.exception()
        if changed:
            self._on_change(False, error.why)
        self._rest()

    def _retry(self) -> None:
        self._retry_timer = None
        if self._flying is None and isinstance(self.broken, StorageUnavailable):
            self._fly(self._reopen_and_commit)

    def _reopen_and_commit(self, group: Group) -> None:
        self._store.reopen()
        self._store.commit(group)

    def _recovered(self) -> None:
        self._retry_s = self._limits.retry_first_s
        if self._attempt is not None and not self._attempt.done():
            self._attempt.set_result(None)
        if self.broken is not None:
            self.broken = None
            self._on_change(True, "")

    async def reopen(self) -> None:
        """Try a failing disk again, now. Raises what it fails with; does nothing when the disk is well."""
        if self.broken is None:
            return
        if not isinstance(self.broken, StorageUnavailable):
            raise self.broken
        if self._attempt is None or self._attempt.done():
            self._attempt = self._loop.create_future()
        if self._retry_timer is not None:
            self._retry_timer.cancel()
        self._retry()
        await asyncio.shield(self._attempt)  # ends with the commit; whoever waits sets the limit

    # --- the end ------------------------------------------------------------------------------------------------------

    async def finish(self) -> None:
        """Take in nothing more and bring what waits to disk; the caller sets the limit."""
        self._idle = self._loop.create_future()
        for timer in (self._marks_timer, self._retry_timer):
            if timer is not None:
                timer.cancel()
        self._start()
        await self._idle

    def give_up(self) -> None:
        """Tell whoever still waits that nobody knows."""
        self._settle_all(StorageUnavailable("close", "the disk did not answer in time"))

    def _rest(self) -> None:
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
