"""Receipts: an event is the port's when the port says so, what it misses it gets, a wrong receipt frees nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay_bench import LANE, Desk, FakeBroker, draining

from lanecontrol.ledger import Entry, Ledger
from lanecontrol.ledger.records import Head, Position
from lanecontrol.port.receipts import Receipt, Receipts
from lanecontrol.port.relay import Relay, RelayPolicy
from lanecontrol.port.transport import Message

POLICY = RelayPolicy(receipts=True, receipt_patience_s=60.0)


def receipt(seq: int, epoch: int = 1, missing: tuple[tuple[int, int], ...] = ()) -> bytes:
    return json.dumps({"epoch": epoch, "seq": seq, "missing": missing}).encode()


async def settled() -> None:
    await asyncio.sleep(0.5)


async def test_an_acknowledged_event_stays_until_the_port_has_it() -> None:
    desk, broker = Desk(policy=POLICY), FakeBroker()
    desk.outbox.commit(*["passage"] * 3)
    async with desk.draining(broker):
        await settled()
        assert (broker.bodies(), desk.outbox.undelivered_count) == ([1, 2, 3], 3)
        desk.relay.take_receipt(receipt(2))
        await settled()
        assert desk.outbox.delivered == [1, 2]
        desk.relay.take_receipt(receipt(3))
        await desk.delivered()
    assert broker.bodies() == [1, 2, 3]


async def test_what_the_receipt_calls_missing_is_sent_again_and_nothing_else() -> None:
    desk, broker = Desk(policy=POLICY), FakeBroker()
    desk.outbox.commit(*["passage"] * 10)
    async with desk.draining(broker):
        await settled()
        desk.relay.take_receipt(receipt(8, missing=((3, 4), (6, 6))))
        await settled()
        assert desk.outbox.delivered == [1, 2, 5, 7, 8]
        assert broker.bodies()[10:] == [3, 4, 6]
        desk.relay.take_receipt(receipt(10))
        await desk.delivered()


async def test_what_no_receipt_covers_for_too_long_is_sent_again() -> None:
    desk, broker = Desk(policy=POLICY), FakeBroker()
    desk.outbox.commit("passage", "passage")
    async with desk.draining(broker):
        await asyncio.sleep(59.0)
        assert broker.bodies() == [1, 2]
        desk.outbox.commit("passage")
        await asyncio.sleep(20.0)
        assert broker.bodies() == [1, 2, 3, 1, 2]


async def test_a_new_connection_does_not_repeat_what_only_waits_for_its_receipt() -> None:
    desk, first, second = Desk(policy=POLICY), FakeBroker(), FakeBroker()
    desk.outbox.commit("passage", "passage")
    async with desk.draining(first):
        await settled()
    desk.outbox.commit("passage")
    async with desk.draining(second):
        await settled()
        assert second.bodies() == [3]
        desk.relay.take_receipt(receipt(3))
        await desk.delivered()


async def test_only_so_many_wait_for_their_receipt_at_once() -> None:
    desk, broker = Desk(policy=RelayPolicy(receipts=True, receipt_window=25)), FakeBroker()
    desk.outbox.commit(*["passage"] * 100)
    async with desk.draining(broker):
        for seq in (25, 50, 75, 100):
            await settled()
            assert len(desk.relay.receipts.waiting) <= 25 + desk.policy.window
            desk.relay.take_receipt(receipt(min(seq, max(broker.bodies()))))
        while desk.outbox.undelivered_count:
            await settled()
            desk.relay.take_receipt(receipt(max(broker.bodies())))
    assert broker.bodies() == list(range(1, 101))


WRONG: list[tuple[bytes, str]] = [
    (b"", "no receipt"),
    (b"[]", "no receipt"),
    (b'{"epoch": "x", "seq": 1}', "no receipt"),
    (receipt(4), "event 4, the last one is 3"),
    (receipt(1, epoch=2), "epoch 2, this store is in epoch 1"),
    (receipt(-1), "out of range"),
    (receipt(1, epoch=0), "out of range"),
    (receipt(3, missing=((1, 1),) * 2000), "out of range"),
]


@pytest.mark.parametrize(("payload", "why"), WRONG)
async def test_a_wrong_receipt_frees_nothing_and_is_counted(payload: bytes, why: str) -> None:
    desk, broker = Desk(policy=POLICY), FakeBroker()
    desk.outbox.commit(*["passage"] * 3)
    async with desk.draining(broker):
        await settled()
        desk.relay.take_receipt(payload)
        await settled()
    assert desk.outbox.delivered == []
    assert desk.relay.receipts.refused == 1 and why in desk.relay.receipts.last_refusal


async def test_an_old_receipt_played_again_changes_nothing() -> None:
    desk, broker = Desk(policy=POLICY), FakeBroker()
    desk.outbox.commit(*["passage"] * 5)
    async with desk.draining(broker):
        await settled()
        desk.relay.take_receipt(receipt(4))
        await settled()
        desk.relay.take_receipt(receipt(2, missing=((1, 2),)))
        await settled()
    assert desk.outbox.delivered == [1, 2, 3, 4]
    assert broker.bodies() == [1, 2, 3, 4, 5]


async def test_without_a_consumer_configured_a_receipt_means_nothing() -> None:
    desk, broker = Desk(), FakeBroker(delay_s=10.0)
    desk.outbox.commit("passage")
    async with desk.draining(broker):
        await settled()
        desk.relay.take_receipt(receipt(1))
        await settled()
        assert desk.outbox.delivered == []


async def test_a_broker_that_acknowledges_and_loses_every_second_message_loses_nothing_in_the_end() -> None:
    desk = Desk(policy=POLICY)
    arrived: set[int] = set()
    count = 0

    def losing(message: Message) -> int:
        nonlocal count
        count += 1
        if count % 2:
            arrived.add(int(message.payload))
        return 0

    def consumer_says() -> bytes:
        newest = max(arrived)
        gone = tuple((seq, seq) for seq in range(1, newest) if seq not in arrived)
        return receipt(newest, missing=gone)

    desk.outbox.commit(*["passage"] * 200)
    async with desk.draining(FakeBroker(losing)):
        for _ in range(400):
            await settled()
            desk.relay.take_receipt(consumer_says())
            if not desk.outbox.undelivered_count:
                break
    assert arrived == set(range(1, 201))
    assert desk.outbox.undelivered_count == 0


@given(st.binary(max_size=200) | st.builds(receipt, st.integers(), st.integers()))
def test_no_payload_makes_the_judge_raise_or_believe_in_what_is_not_there(payload: bytes) -> None:
    receipts = Receipts(lambda: 0.0, 60.0)
    judged = receipts.judge(payload, Head(3, 100, b"", Position(300)))
    assert judged is None or (judged.epoch, judged.seq) <= (3, 100) or judged.epoch < 3


@pytest.mark.parametrize(("covered", "seq"), [(True, 5), (False, 6), (False, 3), (True, 2)])
def test_a_receipt_covers_all_up_to_its_number_but_what_is_missing(covered: bool, seq: int) -> None:
    assert Receipt(1, 5, ((3, 4),)).covering()(seq) is covered


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=12), st.integers(0, 40))
def test_spans_of_what_is_missing_may_overlap_and_stand_in_any_order(missing: list[tuple[int, int]], top: int) -> None:
    covered = Receipt(1, top, tuple(missing)).covering()
    for seq in range(45):
        assert covered(seq) is (seq <= top and not any(first <= seq <= last for first, last in missing))


async def salvaged(folder: Path) -> Ledger:
    """A store that was found damaged: five events of epoch 1 and three of epoch 2 wait in it."""
    path = folder / "ledger.db"
    async with await Ledger.open(path, inline=True) as ledger:
        await ledger.append([Entry(n, "passage", "Kind", 1.0, b"old %d" % n) for n in range(1, 6)])
    damaged = bytearray(path.read_bytes())
    damaged[:100] = bytes(100)
    path.write_bytes(damaged)
    ledger = await Ledger.open(path, inline=True)
    assert (ledger.epoch, ledger.undelivered_count) == (2, 5)
    await ledger.append([Entry(n, "passage", "Kind", 1.0, b"new %d" % n) for n in range(1, 4)])
    return ledger


async def test_each_epoch_has_receipts_of_its_own(tmp_path: Path) -> None:
    ledger = await salvaged(tmp_path)
    relay, broker = Relay(ledger, LANE, POLICY), FakeBroker()
    async with ledger, draining(relay, broker):
        await settled()
        assert len(broker.sent) == 8
        relay.take_receipt(receipt(3, epoch=2))
        await settled()
        assert ledger.undelivered_count == 5, "nothing is known of epoch 1 yet"
        relay.take_receipt(receipt(5, epoch=1, missing=((2, 2),)))
        await settled()
        assert broker.sent[8].payload == b"old 2"
        relay.take_receipt(receipt(5, epoch=1))
        await settled()
        assert ledger.undelivered_count == 0
    assert len(broker.sent) == 9


async def test_receipts_of_two_epochs_that_come_together_both_count(tmp_path: Path) -> None:
    ledger = await salvaged(tmp_path)
    relay = Relay(ledger, LANE, POLICY)
    async with ledger, draining(relay, FakeBroker()):
        await settled()
        relay.take_receipt(receipt(5, epoch=1))
        relay.take_receipt(receipt(3, epoch=2))
        await settled()
        assert ledger.undelivered_count == 0


@pytest.mark.parametrize("seq", [2**62, 2**63, 2**70, 10**4000])
async def test_no_number_in_a_receipt_ends_the_lane_or_reaches_into_the_next_epoch(tmp_path: Path, seq: int) -> None:
    ledger = await salvaged(tmp_path)
    relay = Relay(ledger, LANE, POLICY)
    async with ledger, draining(relay, FakeBroker()) as task:
        await settled()
        relay.take_receipt(receipt(seq, epoch=1))
        await settled()
        assert not task.done()
        assert ledger.undelivered_count == (3 if seq <= 2**62 else 8)


async def test_a_receipt_for_a_whole_long_backlog_is_taken_in_steps() -> None:
    desk = Desk(policy=replace(POLICY, receipt_window=100))
    desk.outbox.commit(*["passage"] * 5000)
    async with desk.draining(FakeBroker()):
        await settled()
        desk.relay.take_receipt(receipt(5000))
        await desk.delivered()
    assert sorted(set(desk.outbox.delivered)) == list(range(1, 5001))


# --- the rate of the backlog ---


async def test_a_backlog_goes_no_faster_than_it_may_and_live_events_of_hurried_classes_go_at_once() -> None:
    desk, broker = Desk(policy=RelayPolicy(backlog_per_s=50.0)), FakeBroker()
    desk.outbox.commit(*["passage"] * 200)
    async with desk.draining(broker):
        await asyncio.sleep(2.0)
        assert 100 <= len(broker.bodies()) <= 108
        desk.outbox.commit("alarm")
        await asyncio.sleep(0.1)
        assert broker.bodies("alarm") == [201]
        await desk.delivered()
    assert broker.bodies("passage") == list(range(1, 201))


async def test_live_events_are_not_slowed_down() -> None:
    desk, broker = Desk(policy=RelayPolicy(backlog_per_s=1.0)), FakeBroker()
    async with desk.draining(broker):
        await settled()
        desk.outbox.commit(*["passage"] * 500)
        await asyncio.sleep(1.0)
        assert len(broker.bodies()) == 500


def told(desk: Desk) -> list[tuple[int, bool]]:
    found: list[tuple[int, bool]] = []
    note: Callable[[int, float | None], None] = lambda waiting, took_s: found.append((waiting, took_s is not None))  # noqa: E731
    desk.relay.on_backlog = note
    return found


async def test_a_backlog_worth_mentioning_is_announced_and_its_end_too() -> None:
    desk, broker = Desk(), FakeBroker()
    heard = told(desk)
    desk.outbox.commit(*["passage"] * 1500)
    async with desk.draining(broker):
        await desk.delivered()
        await settled()
    assert heard == [(1500, False), (1500, True)]


async def test_a_few_events_are_no_backlog_worth_mentioning() -> None:
    desk, broker = Desk(), FakeBroker()
    heard = told(desk)
    desk.outbox.commit(*["passage"] * 20)
    async with desk.draining(broker):
        await desk.delivered()
    assert heard == []
