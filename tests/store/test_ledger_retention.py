"""What the ledger forgets: delivered rows by age and size, then what may be dropped; alarms never. It verifies on."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanecontrol.ledger import Entry, Ledger
from lanecontrol.ledger.reader import Reader
from lanecontrol.ledger.retention import DAY_S, Gap, Keep, forget

Open = Callable[..., Awaitable[Ledger]]
NOW_S = 100 * DAY_S


class Gaps(list[Gap]):
    async def __call__(self, gap: Gap) -> None:
        self.append(gap)


async def record(ledger: Ledger, topic_class: str, day: float, size: int = 700) -> None:
    """One event that happened on a day."""
    body = random.Random(ledger.next_seq).randbytes(size)
    await ledger.append([Entry(ledger.next_seq, topic_class, "an.event", day * DAY_S, body)])


async def deliver(ledger: Ledger, *seqs: int) -> None:
    wanted = [row.position for row in await ledger.undelivered(limit=100_000) if not seqs or row.seq in seqs]
    ledger.mark_delivered(wanted)
    await ledger.put("after the marks", b"")  # marks are on disk with the next commit


async def kept(ledger: Ledger) -> list[int]:
    return [row.seq async for row in ledger.export()]


async def test_delivered_events_go_when_they_are_too_old(open_ledger: Open) -> None:
    ledger = await open_ledger()
    for day in range(60, 100):
        await record(ledger, "passage", day)
    await deliver(ledger)
    done = await forget(ledger, Keep(days=10), NOW_S, Gaps())
    assert done.rows == 30
    assert await kept(ledger) == list(range(31, 41))
    assert (await ledger.verify()).good


async def test_an_old_event_that_waits_for_the_port_stays_and_all_after_it(open_ledger: Open) -> None:
    ledger = await open_ledger()
    for day in (10, 11, 12, 13):
        await record(ledger, "reading", day)
    await deliver(ledger, 1, 3, 4)
    await forget(ledger, Keep(days=10), NOW_S, Gaps())
    assert await kept(ledger) == [2, 3, 4]


async def test_the_last_event_always_stays_so_that_numbers_go_on(open_ledger: Open) -> None:
    ledger = await open_ledger()
    for day in (10, 11, 12):
        await record(ledger, "passage", day)
    await deliver(ledger)
    await forget(ledger, Keep(days=10), NOW_S, Gaps())
    await ledger.close()
    again = await open_ledger()
    assert (again.next_seq, again.epoch) == (4, 1)
    assert not again.opened.created
    assert (await again.verify()).good


async def test_without_a_clock_to_trust_nothing_goes_for_its_age(open_ledger: Open) -> None:
    ledger = await open_ledger()
    for day in (10, 11, 12):
        await record(ledger, "passage", day)
    await deliver(ledger)
    assert (await forget(ledger, Keep(days=10), None, Gaps())).rows == 0


async def test_over_its_size_the_oldest_delivered_events_go(open_ledger: Open) -> None:
    ledger = await open_ledger()
    for _ in range(700):
        await record(ledger, "passage", 99)
    await deliver(ledger)
    limit = await ledger.ask(Reader.used_bytes) // 2
    done = await forget(ledger, Keep(size_bytes=limit), NOW_S, Gaps())
    assert await ledger.ask(Reader.used_bytes) <= limit
    assert 0 < done.rows < 700 and done.over_bytes == 0
    assert (await kept(ledger))[-1] == 700
    assert (await ledger.verify()).good


async def test_over_its_size_with_nothing_delivered_telemetry_goes_oldest_first_and_leaves_gaps(
    open_ledger: Open,
) -> None:
    ledger = await open_ledger()
    for n in range(800):
        await record(ledger, "alarm" if n % 4 == 0 else "telemetry", 99 + n / 1000)
    limit = int(await ledger.ask(Reader.used_bytes) * 0.8)
    gaps = Gaps()
    done = await forget(ledger, Keep(size_bytes=limit, droppable=("telemetry",)), NOW_S, gaps)
    waiting = [row for row in await ledger.undelivered(limit=1000) if row.body is not None]
    assert sum(row.topic_class == "alarm" for row in waiting) == 200
    given_up = sum(gap.count for gap in gaps)
    assert done.gaps == gaps and 0 < given_up == 600 - sum(row.topic_class == "telemetry" for row in waiting)
    assert gaps[0].first_seq == 2 and gaps[0].topic_class == "telemetry"
    assert min(row.seq for row in waiting if row.topic_class == "telemetry") > gaps[-1].last_seq
    assert done.over_bytes == 0
    assert (await ledger.verify()).good


async def waiting_by_class(ledger: Ledger) -> Counter[str]:
    return Counter(row.topic_class for row in await ledger.undelivered(limit=10_000) if row.body is not None)


async def test_who_takes_more_than_its_share_of_the_store_is_the_first_to_give(open_ledger: Open) -> None:
    ledger = await open_ledger()
    for n in range(1000):
        await record(ledger, ("alarm", "reading", "reading", "telemetry", "device")[n % 5], 99)
    used = await ledger.ask(Reader.used_bytes)
    shares = {"telemetry": 0.5, "device": 0.5, "reading": 0.2}
    keep = Keep(size_bytes=int(used * 0.9), droppable=("telemetry", "device", "reading"), shares=shares)
    done = await forget(ledger, keep, NOW_S, gaps := Gaps())
    assert {gap.topic_class for gap in gaps} == {"reading"}, "the others keep to their share"
    left = await waiting_by_class(ledger)
    assert (left["alarm"], left["telemetry"], left["device"]) == (200, 200, 200)
    assert left["reading"] < 400
    assert done.over_bytes == 0


async def test_when_all_keep_to_their_share_the_first_of_the_policy_gives_first(open_ledger: Open) -> None:
    ledger = await open_ledger()
    for n in range(1000):
        await record(ledger, ("alarm", "alarm", "alarm", "telemetry", "reading")[n % 5], 99)
    used = await ledger.ask(Reader.used_bytes)
    keep = Keep(size_bytes=int(used * 0.95), droppable=("telemetry", "reading"))
    await forget(ledger, keep, NOW_S, gaps := Gaps())
    assert {gap.topic_class for gap in gaps} == {"telemetry"}
    assert gaps[0].first_seq == 4, "oldest first"


async def test_one_event_that_waits_does_not_make_a_store_of_delivered_ones_give_up_others(open_ledger: Open) -> None:
    ledger = await open_ledger()
    for n in range(800):
        await record(ledger, "telemetry" if n > 700 else "alarm", 99)
    await deliver(ledger, *range(2, 701))
    used = await ledger.ask(Reader.used_bytes)
    keep = Keep(size_bytes=used // 2, droppable=("telemetry",))
    done = await forget(ledger, keep, NOW_S, gaps := Gaps())
    assert gaps == []
    assert done.erased > 300
    assert done.over_bytes == 0
    assert await waiting_by_class(ledger) == {"alarm": 2, "telemetry": 99}
    assert (await kept(ledger))[0] == 1
    assert (await ledger.verify()).good


async def test_what_is_too_old_and_delivered_keeps_no_body_behind_an_event_that_waits(open_ledger: Open) -> None:
    """What speaks of persons must not stay for ever because of one event that nobody takes."""
    ledger = await open_ledger()
    for day in (10, 11, 12, 95, 96):
        await record(ledger, "reading", day)
    await deliver(ledger, 2, 3, 4, 5)
    done = await forget(ledger, Keep(days=10), NOW_S, Gaps())
    assert (done.rows, done.erased) == (0, 2)
    bodies = [row.body is not None async for row in ledger.export()]
    assert bodies == [True, False, False, True, True]
    again = await forget(ledger, Keep(days=10), NOW_S, Gaps())
    assert again.erased == 0
    assert (await ledger.verify()).good


async def test_alarms_are_kept_even_beyond_the_size_and_the_excess_is_told(open_ledger: Open) -> None:
    ledger = await open_ledger()
    for _ in range(300):
        await record(ledger, "alarm", 99)
    used = await ledger.ask(Reader.used_bytes)
    done = await forget(ledger, Keep(size_bytes=used // 2, droppable=("telemetry",)), NOW_S, Gaps())
    assert (done.rows, done.gaps) == (0, [])
    assert done.over_bytes >= used // 2 - 8192
    assert len(await ledger.undelivered(limit=1000)) == 300


async def test_a_gap_is_told_before_its_events_go(open_ledger: Open) -> None:
    ledger = await open_ledger()
    for _ in range(400):
        await record(ledger, "telemetry", 99)
    seen: list[int] = []

    async def tell(gap: Gap) -> None:
        rows = await ledger.undelivered(limit=1000)
        seen.append(sum(gap.first_seq <= row.seq <= gap.last_seq for row in rows))

    await forget(ledger, Keep(size_bytes=1, droppable=("telemetry",)), NOW_S, tell)
    assert seen == [300, 100]


async def test_space_is_given_back_to_the_disk(store: Path, open_ledger: Open) -> None:
    ledger = await open_ledger()
    for _ in range(600):
        await record(ledger, "passage", 50, size=4000)
    await deliver(ledger)
    await forget(ledger, Keep(days=10), NOW_S, Gaps())
    assert (await ledger.status()).size_bytes < 600 * 4000 // 4


async def test_salvage_after_forgetting_still_chains_up(store: Path, open_ledger: Open) -> None:
    ledger = await open_ledger()
    for day in range(60, 100):
        await record(ledger, "passage", day)
    await deliver(ledger)
    await forget(ledger, Keep(days=10), NOW_S, Gaps())
    await ledger.close()
    with store.open("r+b") as file:
        file.write(bytes(100))
    again = await open_ledger()
    assert (again.opened.salvaged, again.opened.lost) == (10, ())
    assert (await again.verify()).good


@settings(max_examples=25)
@given(st.data())
@pytest.mark.parametrize("epochs", [1, 2])
def test_whatever_is_forgotten_nothing_that_waits_and_must_be_kept_is_lost(epochs: int, data: st.DataObject) -> None:
    import asyncio
    import tempfile

    async def scene(folder: Path) -> None:
        for _ in range(epochs):
            async with await Ledger.open(folder / "ledger.db", inline=True) as ledger:
                for n in range(data.draw(st.integers(1, 30))):
                    await record(ledger, data.draw(st.sampled_from(["alarm", "telemetry"])), 80.0 + n)
                rows = await ledger.undelivered(limit=1000)
                ledger.mark_delivered([row.position for row in rows if data.draw(st.booleans())])
                await ledger.put("after the marks", b"")
                must_stay = {row.position for row in await ledger.undelivered() if row.topic_class == "alarm"}
                keep = Keep(data.draw(st.floats(1, 40)), data.draw(st.sampled_from([1, 10**9])), ("telemetry",))
                await forget(ledger, keep, NOW_S, Gaps())
                assert must_stay <= {row.position for row in await ledger.undelivered() if row.body is not None}
                assert (await ledger.verify()).good
            if epochs == 2:
                with (folder / "ledger.db").open("r+b") as file:
                    file.write(bytes(100))

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scene(Path(folder)))
