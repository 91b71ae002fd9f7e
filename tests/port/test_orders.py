"""Orders from the port: what reaches the lane, what is refused and why, and that every one is answered once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from orders_bench import FIELDS, NOW_S, REQUESTS, Desk, Sent, request

from lanecontrol.announcements import OrderRejected
from lanecontrol.commands import DONE, Actor, Order, Outcome, Result, Role
from lanecontrol.errors import LinkLost
from lanecontrol.port.order_payloads import COMMANDS, Refusal, command_bytes, parse_command, parse_reply, reply_bytes
from lanecontrol.port.schemas import document_schemas
from lanecontrol.port.topics import LaneAddress

# --- good orders -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", sorted(COMMANDS))
async def test_an_order_reaches_the_lane_and_its_outcome_the_sender(verb: str) -> None:
    desk = Desk()
    desk.send(verb)
    assert desk.given == [
        Order("key-0001", Actor("J. Rivera", Role.OFFICER), REQUESTS[verb], NOW_S + 5, desk.given[0].digest)
    ]
    assert len(desk.given[0].digest) == 32
    assert desk.work.outstanding == 1
    desk.orders.answer("key-0001", DONE)
    assert desk.work.outstanding == 0
    transport = Sent()
    assert await desk.replies(transport) == [
        {"key": "key-0001", "result": "done", "reason": "", "lane": "07", "repeated": False}
    ]
    [message] = transport.messages
    assert (message.topic, message.correlation, message.qos, message.retain) == ("r/1", b"c", 1, False)


def test_every_verb_is_tested_and_has_a_schema_that_takes_its_request() -> None:
    found = document_schemas()
    for verb in COMMANDS:
        validator = Draft202012Validator(found[f"command.{verb}"])
        assert validator.is_valid(request(verb))
        assert not validator.is_valid(request(verb, role="x"))
        assert not validator.is_valid(request(verb, lane=None))
    assert set(FIELDS) == set(COMMANDS) == set(REQUESTS)
    for repeated in (False, True):
        reply = json.loads(reply_bytes("k", DONE, "07", repeated=repeated))
        assert Draft202012Validator(found["reply"]).is_valid(reply)


async def test_a_deadline_may_be_a_time_of_day_with_its_zone() -> None:
    desk = Desk()
    desk.send(deadline="2027-01-15T10:00:05+02:00")
    assert desk.given[0].deadline_utc_s == NOW_S + 5


async def test_the_expiry_of_the_message_shortens_the_deadline() -> None:
    desk = Desk()
    desk.send_raw("open", json.dumps(request()).encode(), expiry_s=2)
    assert desk.given[0].deadline_utc_s == NOW_S + 2


async def test_without_a_response_topic_the_reply_goes_to_the_client_named_in_the_body() -> None:
    desk = Desk()
    desk.send(response="", client="desk-3")
    desk.orders.answer("key-0001", DONE)
    transport = Sent()
    await desk.replies(transport)
    assert [message.topic for message in transport.messages] == ["poe/laredo/lane/07/reply/desk-3"]


async def test_an_order_that_wants_no_reply_gets_none() -> None:
    desk = Desk()
    desk.send(response="")
    desk.orders.answer("key-0001", DONE)
    assert await desk.replies() == []
    assert len(desk.given) == 1


@pytest.mark.parametrize("topic", ["poe/laredo/lane/07/event/alarm", "poe/laredo/lane/07/cmd/open", "a/#", "$SYS/x"])
async def test_nobody_can_make_the_lane_write_where_it_should_not(topic: str) -> None:
    desk = Desk()
    desk.send(response=topic)
    desk.orders.answer("key-0001", DONE)
    assert await desk.replies() == []


async def test_an_answer_to_nothing_is_ignored_and_none_is_given_twice() -> None:
    desk = Desk()
    desk.send()
    desk.orders.answer("other", DONE)
    desk.orders.answer("key-0001", DONE)
    desk.orders.answer("key-0001", Outcome(Result.FAILED, "late"))
    assert [reply["result"] for reply in await desk.replies()] == ["done"]
    assert desk.work.outstanding == 0


async def test_a_reply_that_was_not_acknowledged_is_sent_again_on_the_next_connection() -> None:
    desk = Desk()
    desk.send()
    desk.orders.answer("key-0001", DONE)
    with pytest.raises(LinkLost):
        await desk.orders.send_replies(Sent(broken=1))
    assert len(await desk.replies()) == 1


async def test_a_reply_nobody_waits_for_any_more_is_dropped() -> None:
    desk = Desk()
    desk.send()
    desk.orders.answer("key-0001", DONE)
    desk.clock.mono_s += 61
    assert await desk.replies() == []
    assert desk.orders.counts.replies_dropped == 1


# --- refused orders --------------------------------------------------------------------------------------------------


async def test_a_retained_order_is_refused() -> None:
    desk = Desk()
    desk.send(retained=True)
    assert "retained" in await desk.refusal()


async def test_an_order_for_another_lane_is_refused() -> None:
    desk = Desk()
    desk.send(lane="08")
    assert "foreign: meant for lane 08" in await desk.refusal()


async def test_a_late_order_is_refused() -> None:
    desk = Desk()
    desk.send(deadline=NOW_S - 4)
    assert "late: the deadline was 4.0 s ago" in await desk.refusal()


async def test_an_expired_message_is_refused() -> None:
    desk = Desk()
    desk.send_raw("open", json.dumps(request()).encode(), expiry_s=0)
    assert "late" in await desk.refusal()


async def test_a_deadline_too_far_ahead_is_refused() -> None:
    desk = Desk()
    desk.send(deadline=NOW_S + 601)
    assert "ahead" in await desk.refusal()


async def test_a_simulated_officer_has_no_say_over_a_real_lane() -> None:
    desk = Desk()
    desk.send(by={"name": "auto", "role": "officer", "simulated": True})
    assert "simulated officer" in await desk.refusal()


async def test_a_simulated_officer_may_act_on_a_simulated_lane_and_stays_marked() -> None:
    desk = Desk(LaneAddress("laredo", "07", simulated=True))
    desk.send(by={"name": "auto", "role": "officer", "simulated": True})
    assert desk.given[0].actor == Actor("auto", Role.OFFICER, simulated=True)


async def test_an_unknown_verb_is_refused() -> None:
    desk = Desk()
    desk.send("explode")
    assert "the verb 'explode' is unknown" in await desk.refusal()


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"key": None}, "key"),
        ({"key": "short"}, "key"),
        ({"key": "with space"}, "key"),
        ({"by": None}, "by"),
        ({"by": {"name": "x", "role": "king"}}, "by.role"),
        ({"by": {"name": "", "role": "officer"}}, "by.name"),
        ({"lane": None}, "lane"),
        ({"deadline": None}, "deadline"),
        ({"deadline": "2027-01-15T10:00:05"}, "without a time zone"),
        ({"deadline": "tomorrow"}, "deadline"),
        ({"extra": 1}, "extra"),
        ({"passage": "p1"}, "passage"),
    ],
)
async def test_a_malformed_order_is_refused_and_the_sender_told_what_is_wrong(
    changes: dict[str, Any], what: str
) -> None:
    desk = Desk()
    desk.send(**changes)
    reason = await desk.refusal()
    assert reason.startswith("malformed")
    assert what in reason


async def test_what_could_be_read_of_a_malformed_order_is_on_record() -> None:
    desk = Desk()
    desk.send(lane=None)
    assert desk.rejected == [
        OrderRejected("poe/laredo/lane/07/cmd/open", desk.rejected[0].reason, "J. Rivera", Role.OFFICER, NOW_S)
    ]


async def test_a_body_that_is_too_long_is_not_read() -> None:
    desk = Desk()
    desk.send_raw("open", b" " * 20_000)
    assert "20000 bytes" in await desk.refusal()


@given(st.sampled_from([*COMMANDS, "nonsense", "a/b", ""]), st.binary(max_size=100))
def test_no_bytes_of_a_sender_make_anything_raise(verb: str, body: bytes) -> None:
    desk = Desk()
    desk.send_raw(verb, body)
    assert desk.given == []
    assert len(desk.rejected) == 1


@given(
    st.sampled_from(sorted(COMMANDS)),
    st.dictionaries(
        st.sampled_from(["key", "by", "lane", "deadline", "passage", "count", "disposition"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
            max_leaves=4,
        ),
        min_size=1,
    ),
)
def test_an_order_with_anything_replaced_is_either_given_or_rejected_once(verb: str, changes: dict[str, Any]) -> None:
    desk = Desk()
    desk.send_raw(verb, json.dumps({**request(verb), **changes}).encode())
    assert len(desk.given) + len(desk.rejected) == 1


# --- the tools' side of the payload ----------------------------------------------------------------------------------


def test_a_request_made_here_is_one_that_a_lane_takes() -> None:
    actor = Actor("auto", Role.OFFICER, simulated=True)
    for verb, fields in FIELDS.items():
        made = command_bytes(
            verb, fields, key="key-0001", actor=actor, lane="07", deadline_utc_s=NOW_S + 0.25, client="desk"
        )
        assert parse_command(verb, made).order() == Order("key-0001", actor, REQUESTS[verb], NOW_S + 0.25)


def test_a_wrong_request_is_not_even_made() -> None:
    with pytest.raises(Refusal, match="count"):
        command_bytes(
            "occupants",
            {"passage": "p", "count": -1},
            key="key-0001",
            actor=Actor("a", Role.OFFICER),
            lane="07",
            deadline_utc_s=NOW_S,
        )


@given(st.binary(max_size=60))
def test_no_bytes_make_reading_a_reply_raise(raw: bytes) -> None:
    parse_reply(raw)
