"""The relay: nothing lost, nothing refused counted as delivered, order kept per class, on a virtual clock."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from relay_bench import LANE, Desk, FakeBroker

from lanecontrol.errors import LinkLost
from lanecontrol.ledger.ledger import Ledger
from lanecontrol.ledger.records import Entry, Position
from lanecontrol.port.relay import DeadLetter, Relay, RelayPolicy


async def test_what_was_recorded_before_and_what_comes_after_is_delivered_in_order_byte_for_byte() -> None:
    desk, broker = Desk(), FakeBroker()
    desk.outbox.commit(*["passage"] * 1200)
    async with desk.draining(broker):
        await desk.delivered()
        desk.outbox.commit("passage", "alarm")
        await desk.delivered()
    assert broker.bodies() == list(range(1, 1203))
    assert broker.sent[0].topic == "poe/laredo/lane/07/event/passage"
    assert broker.sent[0].content_type == "application/cloudevents+json"
    assert desk.outbox.fetched == 1202


async def test_only_what_was_recorded_before_the_connection_is_marked_as_backlog() -> None:
    desk, broker = Desk(), FakeBroker()
    desk.outbox.commit("passage", "passage")
    async with desk.draining(broker):
        await desk.delivered()
        desk.outbox.commit("passage")
        await desk.delivered()
    assert [message.user_properties for message in broker.sent] == [
        (("backlog", "true"),),
        (("backlog", "true"),),
        (),
    ]


@pytest.mark.parametrize(("receive_maximum", "window"), [(7, 7), (65_535, 100)])
async def test_the_window_is_the_smaller_of_ours_and_the_brokers(receive_maximum: int, window: int) -> None:
    desk, broker = Desk(), FakeBroker(receive_maximum=receive_maximum)
    desk.outbox.commit(*["passage"] * 400)
    async with desk.draining(broker):
        await desk.delivered()
    assert broker.most_flying == window


async def test_what_was_in_flight_when_the_connection_was_lost_is_sent_again_and_nothing_else() -> None:
    desk, first, second = Desk(), FakeBroker(delay_s=1.0, receive_maximum=10), FakeBroker()
    desk.outbox.commit(*["passage"] * 30)
    async with desk.draining(first) as task:
        await asyncio.sleep(1.5)
        first.gone.set()
        with pytest.raises(LinkLost):
            await task
    assert first.bodies() == list(range(1, len(first.sent) + 1))
    assert len(first.sent) > 15, "ten were answered, and others were on their way"
    async with desk.draining(second):
        await desk.delivered()
    assert second.bodies() == list(range(11, 31))


async def test_a_refused_event_is_never_marked_as_delivered_before_it_is_a_dead_letter() -> None:
    desk = Desk(policy=RelayPolicy(tries=3, retry_s=1.0))
    broker = FakeBroker(lambda message: 0x87 if message.payload == b"2" else 0)
    desk.outbox.commit("passage", "alarm", "passage")
    async with desk.draining(broker):
        await asyncio.sleep(1.9)
        assert sorted(desk.outbox.delivered) == [1, 3]
        await desk.delivered()
    assert broker.bodies("alarm") == [2, 2, 2]
    assert desk.dead == [DeadLetter(2, 1, 2, "alarm", 0x87, "not authorised (0x87)")]
    found = await desk.relay.dead_letters()
    assert (found.count, found.latest) == (1, tuple(desk.dead))
    assert b"not authorised" in desk.outbox.values["dead-letters"]
    assert desk.relay.counts.delivered == 2
    assert desk.relay.counts.refused == 3


async def test_dead_letters_of_earlier_runs_are_kept() -> None:
    first = Desk()
    first.outbox.commit("alarm")
    async with first.draining(FakeBroker(lambda message: 0x95)):
        await first.delivered()
    second = Desk(first.outbox)
    second.outbox.commit("alarm")
    async with second.draining(FakeBroker(lambda message: 0x95)):
        await second.delivered()
    assert (await second.relay.dead_letters()).count == 2


async def test_an_event_that_is_too_large_is_a_dead_letter_at_once() -> None:
    desk, broker = Desk(), FakeBroker(lambda message: 0x95 if message.payload == b"1" else 0)
    desk.outbox.commit("alarm", "alarm")
    async with desk.draining(broker):
        await desk.delivered(limit_s=0.5)
    assert broker.bodies() == [1, 2]
    assert [letter.code for letter in desk.dead] == [0x95]


async def test_an_event_whose_body_is_damaged_is_a_dead_letter_and_holds_up_nothing() -> None:
    desk, broker = Desk(), FakeBroker()
    desk.outbox.commit("alarm", "alarm")
    desk.outbox.rows[Position(1)] = replace(desk.outbox.rows[Position(1)], body=None)
    async with desk.draining(broker):
        await desk.delivered()
    assert broker.bodies() == [2]
    assert [letter.why for letter in desk.dead] == ["its body is damaged on disk"]


async def test_a_refused_class_waits_and_keeps_its_order_while_the_others_go_on() -> None:
    refusals = iter([0x97, 0x97])
    desk = Desk(policy=RelayPolicy(window=1, tries=5))
    broker = FakeBroker(lambda message: next(refusals, 0) if message.payload == b"1" else 0)
    desk.outbox.commit("passage", "passage", "alarm", "passage", "reading")
    async with desk.draining(broker):
        await asyncio.sleep(0.9)
        assert broker.bodies() == [1, 3, 5]
        await desk.delivered()
    assert broker.bodies("passage") == [1, 1, 1, 2, 4]
    assert desk.dead == []


async def test_a_class_that_the_broker_refuses_altogether_neither_crawls_nor_holds_up_the_rest() -> None:
    loop = asyncio.get_running_loop()
    desk = Desk()
    broker = FakeBroker(lambda message: 0x87 if message.topic.endswith("reading") else 0)
    desk.outbox.commit(*["reading", "passage"] * 2000)
    async with desk.draining(broker):
        await desk.delivered(limit_s=30)
    assert desk.relay.counts.dead == 2000
    assert broker.bodies("passage") == list(range(2, 4001, 2))
    assert loop.time() < 10
    assert (await desk.relay.dead_letters()).count == 2000
    assert len((await desk.relay.dead_letters()).latest) == 1000


async def test_the_tries_of_an_event_go_on_over_connections() -> None:
    desk = Desk(policy=RelayPolicy(tries=2))
    desk.outbox.commit("alarm")
    for _ in range(2):
        broker = FakeBroker(lambda message: 0x80)
        async with desk.draining(broker):
            await asyncio.sleep(0.5)
    assert len(desk.dead) == 1


async def test_no_subscriber_counts_as_delivered_and_is_counted() -> None:
    desk, broker = Desk(), FakeBroker(lambda message: 0x10)
    desk.outbox.commit("alarm")
    async with desk.draining(broker):
        await desk.delivered()
    assert desk.relay.counts.unheard == 1


async def test_no_subscriber_is_held_where_the_policy_says_so() -> None:
    codes = iter([0x10, 0x10, 0x10, 0x10, 0x10])
    desk = Desk(policy=RelayPolicy(hold=frozenset(("alarm", "passage")), hold_s=5.0))
    broker = FakeBroker(lambda message: next(codes, 0))
    desk.outbox.commit("alarm")
    async with desk.draining(broker):
        await asyncio.sleep(20)
        assert desk.outbox.delivered == []
        await desk.delivered()
    assert broker.bodies() == [1] * 6


async def test_each_class_has_its_own_policy_for_what_nobody_subscribed_to() -> None:
    desk = Desk(policy=RelayPolicy(hold=frozenset(("alarm",)), hold_s=5.0))
    broker = FakeBroker(lambda message: 0x10)
    desk.outbox.commit(*["alarm", "telemetry"] * 50)
    async with desk.draining(broker):
        await asyncio.sleep(60)
    assert sorted(desk.outbox.delivered) == list(range(2, 101, 2)), "telemetry need not be heard"
    assert desk.outbox.undelivered_count == 50
    assert desk.dead == []


async def test_live_alarms_overtake_the_backlog_and_other_classes_do_not() -> None:
    desk, broker = Desk(), FakeBroker(receive_maximum=10)
    desk.outbox.commit(*["passage"] * 3000, "alarm")
    async with desk.draining(broker):
        await asyncio.sleep(0.5)
        desk.outbox.commit("passage", "alarm", "alarm")
        await desk.delivered()
    order = broker.bodies()
    assert sorted(order) == list(range(1, 3005))
    assert order.index(3003) < 700
    assert order.index(3004) == order.index(3003) + 1
    assert broker.bodies("passage") == [*range(1, 3001), 3002]
    assert broker.live == [3003, 3004, 3002]


async def test_an_alarm_that_overtook_and_waits_for_its_puback_is_not_sent_again_with_the_backlog() -> None:
    desk, broker = Desk(), FakeBroker(receive_maximum=10)
    broker.slow[b"3002"] = 50.0
    desk.outbox.commit(*["passage"] * 3000)
    async with desk.draining(broker):
        await asyncio.sleep(0.5)
        desk.outbox.commit("passage", "alarm")
        await desk.delivered(limit_s=100)
    assert broker.bodies("alarm") == [3002]
    assert broker.bodies("passage") == list(range(1, 3002))


async def test_alarms_of_the_backlog_stay_in_its_order() -> None:
    desk, broker = Desk(), FakeBroker()
    desk.outbox.commit("passage", "alarm", "passage")
    async with desk.draining(broker):
        await desk.delivered()
    assert broker.bodies() == [1, 2, 3]


async def test_a_store_that_fails_for_a_while_only_delays() -> None:
    desk, broker = Desk(), FakeBroker()
    desk.outbox.failing = 3
    desk.outbox.commit("passage")
    async with desk.draining(broker):
        await desk.delivered()
    assert desk.relay.counts.storage_retries == 3
    assert broker.bodies() == [1]


async def test_a_quiet_relay_does_nothing() -> None:
    desk, broker = Desk(), FakeBroker()
    async with desk.draining(broker):
        await asyncio.sleep(3600)
    assert desk.outbox.fetched == 0
    assert broker.sent == []


async def test_against_the_real_ledger_every_row_is_delivered_once_and_marked(tmp_path: Path) -> None:
    async with await Ledger.open(tmp_path / "ledger", inline=True) as ledger:
        relay, broker = Relay(ledger, LANE), FakeBroker()
        entries = [Entry(n, "passage", "Kind", 0.0, b"%d" % n) for n in range(1, 1301)]
        await ledger.append(entries[:1200])
        task = asyncio.ensure_future(relay.drain(broker))
        async with asyncio.timeout(60):
            await relay.wait_delivered()
            await ledger.append(entries[1200:])
            await relay.wait_delivered()
        task.cancel()
        await asyncio.wait((task,))
        assert ledger.undelivered_count == 0
    assert broker.bodies() == list(range(1, 1301))
    async with await Ledger.open(tmp_path / "ledger", inline=True) as ledger:
        assert await ledger.undelivered() == []
