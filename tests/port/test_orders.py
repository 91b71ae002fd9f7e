"""Orders from the port: what reaches the lane, what is refused and why, and that every one is answered once."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from lanecontrol.announcements import OrderAnswered, OrderRejected
from lanecontrol.clock import Instant, RealWork
from lanecontrol.commands import (
    DONE,
    AbortScan,
    Acknowledge,
    Actor,
    CheckPortal,
    CloseLane,
    ConfirmDriverOut,
    ConfirmScan,
    DeclareEmergency,
    Dispose,
    Disposition,
    DrillDegraded,
    EnableEquipment,
    EnableScanner,
    EndMaintenance,
    EndOverride,
    Maintain,
    NextVehicle,
    OpenLane,
    Order,
    Outcome,
    Override,
    OverridePart,
    Request,
    ResetLane,
    ResetScanner,
    Result,
    Resume,
    Role,
    ScanVehicle,
    ServeType,
    SetOccupants,
    SignOff,
    SignOn,
    SuspendLane,
)
from lanecontrol.errors import LinkLost
from lanecontrol.events import Event, OrderGiven
from lanecontrol.port.order_payloads import (
    COMMANDS,
    Refusal,
    command_bytes,
    parse_command,
    parse_reply,
    reply_bytes,
)
from lanecontrol.port.orders import PENDING_LIMIT, REJECTIONS_BURST, Orders
from lanecontrol.port.schemas import document_schemas
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import Greeting, Message, Received, Transport

NOW_S = 1_800_000_000.0
"""2027-01-15T08:00:00Z."""
LANE = LaneAddress("laredo", "07")
FIELDS: dict[str, dict[str, Any]] = {
    "disposition": {"passage": "p1", "disposition": "RELEASED", "reasons": ["a"], "justification": "b"},
    "occupants": {"passage": "p1", "count": 3},
    "acknowledge": {"alarm": "a1"},
    "open": {},
    "close": {"reason": "end of shift"},
    "sign-on": {},
    "sign-off": {},
    "suspend": {"reason": "shift change"},
    "maintenance": {"reason": "loop 2"},
    "maintenance-end": {},
    "lane-type": {"type": "READY"},
    "resumption": {"stage": "trusted"},
    "resumption-end": {},
    "reset": {},
    "emergency": {"reason": "fire"},
    "next": {},
    "scan": {"passage": "p1", "reason": "picture", "valid_s": 120.0},
    "scan-confirm": {"scan": "s1-abcdefg"},
    "driver-out": {"scan": "s1-abcdefg"},
    "scan-abort": {"reason": "somebody came back"},
    "scanner-enable": {},
    "scanner-reset": {},
    "override": {"part": "loop_out", "reason": "chatters", "for_s": 600.0, "name": "approach"},
    "override-end": {"part": "loop_out", "name": "approach"},
    "enable": {},
    "source-check": {"portal": "rpm1", "source": "Cs-137 no. 12", "neutron": True, "within_s": 60.0},
    "degraded-drill": {"for_s": 600.0, "reason": "monthly"},
}
REQUESTS: dict[str, Request] = {
    "disposition": Dispose("p1", Disposition.RELEASED, ("a",), "b"),
    "occupants": SetOccupants("p1", 3),
    "acknowledge": Acknowledge("a1"),
    "open": OpenLane(),
    "close": CloseLane("end of shift"),
    "sign-on": SignOn(),
    "sign-off": SignOff(),
    "suspend": SuspendLane("shift change"),
    "maintenance": Maintain("loop 2"),
    "maintenance-end": EndMaintenance(),
    "lane-type": ServeType("READY"),
    "resumption": Resume("trusted"),
    "resumption-end": Resume(""),
    "reset": ResetLane(),
    "emergency": DeclareEmergency("fire"),
    "next": NextVehicle(),
    "scan": ScanVehicle("p1", "picture", 120.0),
    "scan-confirm": ConfirmScan("s1-abcdefg"),
    "driver-out": ConfirmDriverOut("s1-abcdefg"),
    "scan-abort": AbortScan("somebody came back"),
    "scanner-enable": EnableScanner(),
    "scanner-reset": ResetScanner(),
    "override": Override(OverridePart.LOOP_OUT, "chatters", 600.0, "approach"),
    "override-end": EndOverride(OverridePart.LOOP_OUT, "approach"),
    "enable": EnableEquipment(),
    "source-check": CheckPortal("rpm1", "Cs-137 no. 12", True, True, 60.0),
    "degraded-drill": DrillDegraded(600.0, "monthly"),
}


@dataclass
class SetClock:
    """A clock that stands where it is put."""

    utc_s: float = NOW_S
    mono_s: float = 0.0
    synchronised: bool = True

    def now(self) -> Instant:
        return Instant(self.mono_s, self.utc_s, self.synchronised)


class Sent(Transport):
    """Takes every message; the first `broken` attempts fail."""

    def __init__(self, broken: int = 0) -> None:
        self.greeting = Greeting(False, 20, None, 5)
        self.messages: list[Message] = []
        self.broken = broken

    async def publish(self, message: Message) -> int:
        await asyncio.sleep(0)
        if self.broken:
            self.broken -= 1
            raise LinkLost("session", "gone")
        self.messages.append(message)
        return 0

    async def subscribe(self, filters: Any, *, retain_as_published: bool = False) -> None:
        raise NotImplementedError

    async def receive(self) -> Received:
        raise NotImplementedError

    async def close(self, *, with_will: bool = False) -> None:
        raise NotImplementedError


@dataclass
class Desk:
    """The orders of one lane, and all that came of them."""

    address: LaneAddress = LANE
    clock: SetClock = field(default_factory=SetClock)
    work: RealWork = field(default_factory=RealWork)
    given: list[Order] = field(default_factory=list)
    rejected: list[OrderRejected] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.orders = Orders(
            self.address, clock=self.clock, emit=self._take, rejected=self.rejected.append, work=self.work
        )

    def _take(self, source: str, event: Event) -> None:
        assert source == "port"
        assert isinstance(event, OrderGiven)
        self.given.append(event.order)

    def send(self, verb: str = "open", *, retained: bool = False, response: str = "r/1", **changes: Any) -> None:
        self.send_raw(verb, json.dumps(request(verb, **changes)).encode(), retained=retained, response=response)

    def send_raw(
        self, verb: str, body: bytes, *, retained: bool = False, response: str = "r/1", expiry_s: int | None = None
    ) -> None:
        self.orders.take(
            Received(
                self.address.command(verb),
                body,
                1,
                retained,
                False,
                response_topic=response,
                correlation=b"c",
                expiry_s=expiry_s,
            )
        )

    async def replies(self, transport: Sent | None = None) -> list[dict[str, Any]]:
        transport = transport or Sent()
        task = asyncio.ensure_future(self.orders.send_replies(transport))
        await asyncio.sleep(1)
        task.cancel()
        return [json.loads(message.payload) for message in transport.messages]

    async def refusal(self) -> str:
        """The one reply, which refuses; the record says the same."""
        [reply] = await self.replies()
        assert reply["result"] == "refused"
        assert [one.reason for one in self.rejected] == [reply["reason"]]
        assert self.given == []
        return str(reply["reason"])


def request(verb: str = "open", **changes: Any) -> dict[str, Any]:
    made = {
        "key": "key-0001",
        "by": {"name": "J. Rivera", "role": "officer"},
        "lane": "07",
        "deadline": NOW_S + 5,
        **FIELDS.get(verb, {}),
        **changes,
    }
    return {key: value for key, value in made.items() if value is not None}


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
