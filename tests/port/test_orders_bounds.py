"""Orders that come again, in floods, or out of their order."""

from __future__ import annotations

from typing import Any

import pytest
from orders_bench import NOW_S, Desk, Sent

from lanecontrol.announcements import OrderAnswered
from lanecontrol.commands import DONE, Outcome, Result
from lanecontrol.port.orders import PENDING_LIMIT, REJECTIONS_BURST

# --- repeats, floods and bounds --------------------------------------------------------------------------------------


async def test_a_second_copy_of_an_order_in_hand_is_not_given_again_and_not_refused() -> None:
    desk = Desk()
    desk.send()
    desk.send()
    assert len(desk.given) == 1
    assert desk.orders.counts.redelivered == 1
    desk.orders.answer("key-0001", DONE)
    assert [reply["result"] for reply in await desk.replies()] == ["done"]


async def test_a_repeat_of_an_answered_order_gets_that_answer_again_marked_and_is_on_record() -> None:
    desk = Desk()
    desk.send()
    desk.orders.answer("key-0001", Outcome(Result.FAILED, "the gate does not move"))
    desk.send(response="r/2")
    assert len(desk.given) == 1
    transport = Sent()
    first, second = await desk.replies(transport)
    assert (first["result"], first["reason"], first["repeated"]) == ("failed", "the gate does not move", False)
    assert second == {**first, "repeated": True}
    assert [message.topic for message in transport.messages] == ["r/1", "r/2"]
    assert [(one.reason, one.claimed_name) for one in desk.rejected] == [("repeated: answered before", "J. Rivera")]
    assert desk.orders.counts.repeated == 1


async def test_a_repeat_is_answered_also_when_its_deadline_has_passed() -> None:
    desk = Desk()
    desk.send()
    desk.orders.answer("key-0001", DONE)
    desk.clock.utc_s += 60
    desk.send()
    assert [reply["result"] for reply in await desk.replies()] == ["done", "done"]


async def test_a_key_that_was_answered_is_refused_for_another_order() -> None:
    desk = Desk()
    desk.send()
    desk.orders.answer("key-0001", DONE)
    desk.send("close")
    assert len(desk.given) == 1
    assert [reply["reason"] for reply in await desk.replies()][1:] == [
        "repeated: this key was used before for another order"
    ]


async def test_a_key_in_hand_is_refused_for_another_order() -> None:
    desk = Desk()
    desk.send()
    desk.send("close")
    assert len(desk.given) == 1
    assert "repeated" in desk.rejected[0].reason


async def test_an_order_answered_before_a_restart_gets_its_answer_again_and_is_not_carried_out() -> None:
    before, after = Desk(), Desk()
    before.send()
    order = before.given[0]
    answered = OrderAnswered(order.key, "OpenLane", order.actor, Result.DONE, "", NOW_S, order.digest)
    after.orders.remember([answered])
    after.send()
    after.send("close")
    assert after.given == []
    same, other = await after.replies()
    assert (same["result"], same["repeated"]) == ("done", True)
    assert other["reason"] == "repeated: this key was used before for another order"


async def test_a_clock_that_nobody_disciplines_is_believed_and_the_refusal_says_what_it_shows() -> None:
    for deadline_s, what in (
        (NOW_S - 4, "late: the deadline was 4.0 s ago"),
        (NOW_S + 86_400, "more than 600 s ahead"),
    ):
        desk = Desk()
        desk.clock.synchronised = False
        desk.send(deadline=deadline_s)
        reason = await desk.refusal()
        assert what in reason
        assert reason.endswith("by the lane's clock (2027-01-15T08:00:00.000000Z), which is not synchronised")
    desk = Desk()
    desk.clock.synchronised = False
    desk.send()
    assert len(desk.given) == 1


# --- orders that overtook each other ---


def order_of(desk: Desk, number: int, verb: str, issued_s: float, **changes: Any) -> bool:
    """Whether the lane got it."""
    before = len(desk.given)
    desk.send(verb, key=f"key-{number:04}", issued=NOW_S + issued_s, **changes)
    for order in desk.given[before:]:
        desk.orders.answer(order.key, DONE)
    return len(desk.given) > before


async def test_an_order_that_was_overtaken_by_a_later_one_of_the_same_person_is_refused() -> None:
    desk = Desk()
    assert order_of(desk, 1, "close", 1.0)
    assert not order_of(desk, 2, "open", 0.5)
    assert [one.reason for one in desk.rejected] == [
        "reordered: an order that the same person gave later was taken before"
    ]
    replies = await desk.replies()
    assert [reply["result"] for reply in replies] == ["done", "refused"]
    assert "reordered" in replies[1]["reason"]
    assert order_of(desk, 3, "open", 1.0), "as old as the other"
    assert order_of(desk, 4, "open", 2.0)


def test_what_is_reordered_is_told_by_person_tool_and_concern() -> None:
    desk = Desk()
    assert order_of(desk, 1, "disposition", 9.0)
    assert not order_of(desk, 2, "occupants", 8.0), "of the same passage"
    assert order_of(desk, 3, "occupants", 7.0, passage="p2")
    assert order_of(desk, 4, "acknowledge", 6.0)
    assert order_of(desk, 5, "open", 5.0)
    assert order_of(desk, 6, "occupants", 4.0, by={"name": "A. Okafor", "role": "officer"})
    assert order_of(desk, 7, "occupants", 3.0, client="desk-2"), "whose clock may be another"


@pytest.mark.parametrize("verb", ["emergency", "scan-abort"])
def test_what_only_takes_away_is_never_too_late(verb: str) -> None:
    desk = Desk()
    assert order_of(desk, 1, "open", 9.0)
    assert order_of(desk, 2, verb, 1.0)


def test_an_order_that_was_refused_overtakes_nothing() -> None:
    desk = Desk()
    assert not order_of(desk, 1, "close", 9.0, lane="08")
    assert order_of(desk, 2, "open", 1.0)


def test_an_order_that_does_not_say_when_it_was_given_is_taken_as_it_comes() -> None:
    desk = Desk()
    assert order_of(desk, 1, "close", 9.0)
    desk.send(key="key-0002")
    assert len(desk.given) == 2


async def test_the_repeat_of_an_overtaken_order_that_was_taken_gets_its_answer() -> None:
    desk = Desk()
    assert order_of(desk, 1, "open", 1.0)
    assert order_of(desk, 2, "close", 2.0)
    assert not order_of(desk, 1, "open", 1.0)
    assert [reply["repeated"] for reply in await desk.replies()] == [False, False, True]


def test_memory_of_who_ordered_when_is_bounded() -> None:
    desk = Desk()
    for n in range(6000):
        desk.clock.utc_s += 1
        desk.send(
            "occupants", key=f"key-{n:05}", passage=f"p{n}", issued=desk.clock.utc_s, deadline=desk.clock.utc_s + 2
        )
        desk.orders.answer(f"key-{n:05}", DONE)
    assert len(desk.given) == 6000
    assert len(desk.orders._latest) <= 601


async def test_more_orders_than_a_lane_can_have_in_hand_are_refused() -> None:
    desk = Desk()
    for n in range(PENDING_LIMIT + 1):
        desk.send(key=f"key-{n:05}")
    assert len(desk.given) == PENDING_LIMIT
    assert "busy" in desk.rejected[0].reason


async def test_a_flood_of_nonsense_does_not_flood_the_record() -> None:
    desk = Desk()
    for _ in range(1000):
        desk.send_raw("open", b"{")
    assert len(desk.rejected) == REJECTIONS_BURST
    assert desk.orders.counts.rejected == 1000
    assert desk.orders.counts.unrecorded == 1000 - REJECTIONS_BURST
    desk.clock.mono_s += 10
    desk.send_raw("open", b"{")
    assert len(desk.rejected) == REJECTIONS_BURST + 1


async def test_memory_for_keys_is_bounded_and_old_keys_make_room() -> None:
    desk = Desk()
    for n in range(10_000):
        desk.clock.utc_s += 1
        desk.send(key=f"key-{n:05}", deadline=desk.clock.utc_s + 5, response="")
        desk.orders.answer(f"key-{n:05}", DONE)
    assert len(desk.given) == 10_000
    assert len(desk.orders._keys) <= 4096
