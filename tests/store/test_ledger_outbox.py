"""The undelivered tail, against a model: whatever is appended, marked, erased and restarted."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from lanecontrol.ledger import START, Entry, Ledger, Limits, Position


class OutboxMachine(RuleBasedStateMachine):
    """`recorded` and `waiting` are what the ledger must show; positions equal numbers in a store never damaged."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.recorded: dict[int, bytes] = {}
        self.waiting: set[int] = set()
        self.state: bytes | None = None
        self.ledger = self._open()

    def _open(self) -> Ledger:
        path = Path(self.folder.name) / "ledger.db"
        opening = Ledger.open(path, inline=True, limits=Limits(marks_most=5, group_most=3))
        return self.runner.run(opening)

    def run(self, what: Any) -> Any:
        return self.runner.run(what)

    @rule(sizes=st.lists(st.integers(0, 6000), max_size=4), together=st.booleans())
    def append(self, sizes: list[int], together: bool) -> None:
        async def appended() -> None:
            first = self.ledger.next_seq
            new = [Entry(first + n, "passage", "k", 1.0, b"%d." % n * size) for n, size in enumerate(sizes)]
            self.state = b"after %d" % (first + len(new))
            parts = [new] if together else [[entry] for entry in new]
            await asyncio.gather(*(self.ledger.append(part, self.state) for part in parts or [[]]))
            self.recorded.update((entry.seq, entry.body) for entry in new)
            self.waiting.update(entry.seq for entry in new)

        self.run(appended())

    @rule(picks=st.sets(st.integers(1, 30), max_size=8))
    def mark(self, picks: set[int]) -> None:
        async def marked() -> None:
            self.ledger.mark_delivered(Position(n) for n in sorted(picks & self.waiting))

        self.run(marked())
        self.waiting -= picks

    @rule(pick=st.integers(1, 30))
    def erase(self, pick: int) -> None:
        if pick in self.recorded:

            async def erased() -> None:
                await self.ledger.erase([Position(pick)])

            self.run(erased())
            self.waiting.discard(pick)
            self.recorded[pick] = b""

    @rule()
    def restart(self) -> None:
        self.run(self.ledger.close())
        self.ledger = self._open()
        assert self.ledger.opened.quarantined == ()

    @rule(after=st.integers(0, 30), limit=st.integers(1, 10))
    def read_part(self, after: int, limit: int) -> None:
        rows = self.run(self.ledger.undelivered(Position(after), limit))
        expected = sorted(n for n in self.waiting if n > after)[:limit]
        assert [row.seq for row in rows] == expected
        assert [row.body for row in rows] == [self.recorded[n] for n in expected]

    @invariant()
    def the_tail_is_what_waits(self) -> None:
        assert [row.seq for row in self.run(self.ledger.undelivered(START, 1000))] == sorted(self.waiting)
        assert self.ledger.undelivered_count == len(self.waiting)

    @invariant()
    def the_whole_is_what_was_recorded(self) -> None:
        assert self.ledger.next_seq == len(self.recorded) + 1
        assert self.run(self.ledger.load_checkpoint()) == self.state
        status = self.run(self.ledger.status())
        assert status.rows == len(self.recorded)
        assert self.run(self.ledger.verify()).good

    def teardown(self) -> None:
        self.run(self.ledger.close())
        self.runner.close()
        self.folder.cleanup()


def test_the_outbox_follows_its_model() -> None:
    run_state_machine_as_test(OutboxMachine, settings=settings(max_examples=15, stateful_step_count=15, deadline=None))


@pytest.mark.slow
def test_the_outbox_follows_its_model_for_long() -> None:
    run_state_machine_as_test(OutboxMachine, settings=settings(max_examples=40, stateful_step_count=40, deadline=None))


async def delivered_through(ledger: Ledger, position: int) -> None:
    """Wait until the disk says so."""
    async with asyncio.timeout(10):
        while (await ledger.status()).delivered_through < position:  # noqa: ASYNC110 - the disk gives no event
            await asyncio.sleep(0.005)


async def test_marks_reach_the_disk_by_themselves(open_ledger: Any, make: Any, store: Path) -> None:
    ledger = await open_ledger(limits=Limits(marks_after_s=0.01))
    await ledger.append(make(ledger, 3))
    ledger.mark_delivered(row.position for row in await ledger.undelivered(limit=2))
    assert ledger.undelivered_count == 1
    await delivered_through(ledger, 2)


async def test_many_marks_do_not_wait(open_ledger: Any, make: Any) -> None:
    ledger = await open_ledger(limits=Limits(marks_after_s=3600, marks_most=10))
    await ledger.append(make(ledger, 20))
    ledger.mark_delivered(row.position for row in await ledger.undelivered(limit=10))
    await delivered_through(ledger, 10)


async def test_a_short_answer_means_that_there_is_no_more(open_ledger: Any, make: Any) -> None:
    """Rows marked but not yet so on disk are passed over, and made up for."""
    ledger = await open_ledger(limits=Limits(marks_after_s=3600))
    await ledger.append(make(ledger, 30))
    ledger.mark_delivered(row.position for row in (await ledger.undelivered())[::2])
    rows = await ledger.undelivered(limit=10)
    assert [row.seq for row in rows] == list(range(2, 21, 2))


async def test_a_read_that_began_before_a_mark_does_not_bring_the_row_back(open_ledger: Any, make: Any) -> None:
    ledger = await open_ledger()
    await ledger.append(make(ledger, 50))
    rows = await ledger.undelivered()
    for row in rows:
        reading = asyncio.ensure_future(ledger.undelivered())
        await asyncio.sleep(0)
        ledger.mark_delivered([row.position])
        await ledger.append([])
        assert row.position not in {found.position for found in await reading}


async def test_a_row_damaged_on_disk_comes_without_its_body_and_is_reported_once(
    open_ledger: Any, make: Any, store: Path
) -> None:
    damage: list[str] = []
    ledger = await open_ledger(on_damage=damage.append)
    await ledger.append(make(ledger, 3))
    with sqlite3.connect(store) as other:
        other.execute("UPDATE entries SET body = x'00' WHERE position = 2")
    other.close()
    for _ in range(2):
        rows = await ledger.undelivered()
        assert [row.body is None for row in rows] == [False, True, False]
    assert damage == ["record 1-2 is damaged and cannot be delivered"]
    assert (await ledger.status()).damaged == 1
    verdict = await ledger.verify()
    assert str(verdict.first_bad) == "record 1-2: its body does not match its digest"
