"""What a ledger may forget, and when: the declared policy of the store, carried out in small steps.

Delivered rows go, oldest first, when they are older than the store keeps them or when the store is over its size; of
those behind an event that still waits for the port only the bodies go, since the chain runs through them. When that is
not enough, events that wait are given up too: of the classes that may be dropped only, first of those that take more
than their share of the store, then class by class, each oldest first, and of each run of them a gap record is left.
Alarms, passages and decisions are never given up: a store full of them stays over its size, and says so. Called by the
daemon now and then, and by the command line on a store at rest.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from lanecontrol.ledger.ledger import Ledger
from lanecontrol.ledger.reader import Reader
from lanecontrol.ledger.records import START, Position, Row

STEP_ROWS = 300
"""Rows per transaction: some milliseconds, so that no event of the lane waits longer than that behind it."""
SPAN_ROWS = 5000
"""Rows looked at in one step: some tens of milliseconds of the reading thread."""
LOW_SHARE = 0.9
"""A store that is over its size is cut back to this share of it, or it would be cut at every row."""
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Keep:
    """The policy. `droppable` are the classes that may be given up undelivered, those that go first at the front."""

    days: float = 35.0
    size_bytes: int = 10 * 1024**3
    droppable: tuple[str, ...] = ()
    shares: Mapping[str, float] = field(default_factory=dict)
    """What part of the size a class may take undelivered before it is the first to be given up; all, if not here."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Events that were given up: `count` of one class, between two moments and two numbers, both included."""

    topic_class: str
    epoch: int
    first_seq: int
    last_seq: int
    count: int
    first_utc_s: float
    last_utc_s: float


@dataclass(slots=True)
class Forgotten:
    """What one round did."""

    rows: int = 0
    erased: int = 0
    """Bodies of delivered rows that stay themselves."""
    gaps: list[Gap] = field(default_factory=list)
    over_bytes: int = 0
    """By how much the store is still over its size: all that is left must be kept."""


Tell = Callable[[Gap], Awaitable[None]]
"""Records a gap durably."""


async def forget(ledger: Ledger, keep: Keep, now_utc_s: float | None, tell: Tell) -> Forgotten:
    """One round. `now_utc_s` is None while the clock is not to be trusted: then nothing goes for its age.

    Each gap is told before its events go: a power cut between the two leaves a gap record too many, never one too few.
    Raises StorageError.
    """
    done = Forgotten()
    if now_utc_s is not None:
        before_utc_s = now_utc_s - keep.days * DAY_S
        await _forget_old(ledger, before_utc_s, done)
        await _erase_delivered(ledger, before_utc_s, 0, done)
    if await ledger.ask(Reader.used_bytes) > keep.size_bytes:
        target = int(keep.size_bytes * LOW_SHARE)
        await _shrink(ledger, target, done)
        await _erase_delivered(ledger, float("inf"), target, done)
        await _give_up(ledger, keep, target, tell, done)
        done.over_bytes = max(0, await ledger.ask(Reader.used_bytes) - keep.size_bytes)
    return done


async def _forget_old(ledger: Ledger, before_utc_s: float, done: Forgotten) -> None:
    while True:
        through = await ledger.ask(Reader.last_position_before, before_utc_s, START, STEP_ROWS)
        if not await _forget_step(ledger, through, done):
            return


async def _shrink(ledger: Ledger, target_bytes: int, done: Forgotten) -> None:
    while await ledger.ask(Reader.used_bytes) > target_bytes:
        through = await ledger.ask(Reader.last_position_before, float("inf"), START, STEP_ROWS)
        if not await _forget_step(ledger, through, done):
            return


async def _forget_step(ledger: Ledger, through: Position, done: Forgotten) -> bool:
    """Whether anything went."""
    before = await ledger.ask(Reader.row_count)
    await ledger.forget(through)
    gone = before - await ledger.ask(Reader.row_count)
    done.rows += max(gone, 0)
    await asyncio.sleep(0)
    return gone > 0


async def _erase_delivered(ledger: Ledger, before_utc_s: float, target_bytes: int, done: Forgotten) -> None:
    """Erase bodies behind the first event that waits, oldest first, until the store is small enough."""
    after = await ledger.ask(Reader.delivered_through)
    while await ledger.ask(Reader.used_bytes) > target_bytes:
        through, found = await ledger.ask(Reader.delivered_bodies, after, SPAN_ROWS, STEP_ROWS, before_utc_s)
        if through <= after:
            return
        if found:
            await ledger.erase(found)
            done.erased += len(found)
        after = through
        await asyncio.sleep(0)


async def _give_up(ledger: Ledger, keep: Keep, target_bytes: int, tell: Tell, done: Forgotten) -> None:
    if not keep.droppable or await ledger.ask(Reader.used_bytes) <= target_bytes:
        return
    waiting = await _waiting_bytes(ledger)
    for topic_class in keep.droppable:
        share_bytes = int(keep.shares.get(topic_class, 1.0) * keep.size_bytes)
        too_many = waiting.get(topic_class, 0) - share_bytes
        await _give_up_of(ledger, topic_class, too_many, target_bytes, tell, done)
    for topic_class in keep.droppable:
        await _give_up_of(ledger, topic_class, keep.size_bytes, target_bytes, tell, done)


async def _waiting_bytes(ledger: Ledger) -> dict[str, int]:
    """What each class takes undelivered."""
    found: Counter[str] = Counter()
    after = START
    while True:
        through, sizes = await ledger.ask(Reader.waiting_sizes, after, SPAN_ROWS)
        if through <= after:
            return found
        found.update(sizes)
        after = through
        await asyncio.sleep(0)


async def _give_up_of(
    ledger: Ledger, topic_class: str, too_many_bytes: int, target_bytes: int, tell: Tell, done: Forgotten
) -> None:
    """Of one class, oldest first, until it has given up so much or the store is small enough."""
    while too_many_bytes > 0 and await ledger.ask(Reader.used_bytes) > target_bytes:
        rows = await ledger.ask(Reader.waiting_of, (topic_class,), STEP_ROWS)
        if not rows:
            return
        for gap in gaps(rows):
            await tell(gap)
            done.gaps.append(gap)
        await ledger.erase([row.position for row in rows])
        too_many_bytes -= sum(len(row.body or b"") for row in rows)


def gaps(rows: Sequence[Row]) -> list[Gap]:
    """One gap for each class and epoch among rows that are given up."""
    ordered = sorted(rows, key=lambda row: (row.topic_class, row.epoch, row.seq))
    return [_gap(list(group)) for _, group in groupby(ordered, key=lambda row: (row.topic_class, row.epoch))]


def _gap(rows: Sequence[Row]) -> Gap:
    times = [row.time_utc_s for row in rows]
    first, last = rows[0], rows[-1]
    return Gap(first.topic_class, first.epoch, first.seq, last.seq, len(rows), min(times), max(times))
