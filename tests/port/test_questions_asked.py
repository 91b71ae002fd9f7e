"""Questions on the wire: sent with a deadline, answered once, believed only when everything fits."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanecontrol.clock import Instant
from lanecontrol.events import Answered, CardElsewhere, Event
from lanecontrol.identifier import Identifier
from lanecontrol.lane.effects import Ask, ShowCards
from lanecontrol.port.neighbours import Neighbours
from lanecontrol.port.question_payloads import (
    AnswerPayload,
    QuestionPayload,
    answer_bytes,
    parse_answer,
    parse_question,
    question_bytes,
)
from lanecontrol.port.questions import Asker, Lookup, nothing_here
from lanecontrol.port.schemas import asyncapi, document_schemas
from lanecontrol.port.session import heard_by
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import Message, Received
from lanecontrol.questions import (
    AskKind,
    Cargo,
    Enrolments,
    Hit,
    Lookouts,
    NumberFact,
    Question,
    Respondent,
    Standing,
)

ADDRESS = LaneAddress("SYS", "07")
CARD, PLATE = Identifier("e28011606000020000000001"), Identifier("7ABC123")
QUESTION = Question("07-q000001", AskKind.ENROLMENT, "07-000001", (CARD,), (), (PLATE,))
ENROLMENTS = Enrolments((NumberFact(CARD, Standing.VALID, ("SENTRI",), (PLATE,)),), Cargo(manifest=True, hazmat=True))
LOOKOUTS = Lookouts((Hit(PLATE, "stolen", armed=True),))


class Clock:
    def __init__(self) -> None:
        self.mono_s = 10.0

    def now(self) -> Instant:
        return Instant(self.mono_s, 1.8e9 + self.mono_s)


class Wire:
    """What was sent over a transport that takes everything."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def begin(self, message: Message) -> asyncio.Future[int]:
        self.sent.append(message)
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        done.set_result(0)
        return done

    async def publish(self, message: Message) -> int:
        return await self.begin(message)


class Bench:
    def __init__(self, lookup: Lookup = nothing_here) -> None:
        self.clock = Clock()
        self.told: list[tuple[str, Event]] = []
        self.wire = Wire()
        self.asker = Asker(
            ADDRESS,
            lane_type="SENTRI",
            direction="inbound",
            clock=self.clock,
            emit=lambda source, event: self.told.append((source, event)),
            snapshot=lookup,
        )

    async def asks(self, question: Question = QUESTION, of: Respondent = Respondent.CENTRAL) -> None:
        self.asker.ask(Ask(question, of, 1.5, 1.8e9 + self.clock.mono_s + 1.5))
        await self.sends()

    async def sends(self) -> None:
        sending = asyncio.get_running_loop().create_task(self.asker.send(self.wire))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        sending.cancel()
        await asyncio.wait({sending})

    def answer(self, answer: Enrolments | Lookouts = ENROLMENTS, question: Question = QUESTION) -> Received:
        asked = payload_of(question)
        return Received(
            ADDRESS.answer(question.kind.value),
            answer_bytes(asked, answer),
            1,
            retained=False,
            duplicate=False,
            correlation=question.id.encode(),
        )


def payload_of(question: Question) -> QuestionPayload:
    raw = question_bytes(question, lane="07", lane_type="SENTRI", direction="inbound", deadline_utc_s=1.8e9)
    payload = parse_question(raw)
    assert payload is not None
    return payload


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_question_goes_out_with_response_topic_correlation_and_expiry(bench: Bench) -> None:
    await bench.asks()
    (message,) = bench.wire.sent
    assert message.topic == "poe/SYS/lane/07/ask/enrolment"
    assert message.response_topic == "poe/SYS/lane/07/answer/enrolment"
    assert (message.correlation, message.expiry_s, message.retain) == (b"07-q000001", 2, False)
    body = json.loads(message.payload)
    assert (body["cards"], body["plates"], body["lane_type"]) == ([CARD.clear], [PLATE.clear], "SENTRI")


@pytest.mark.parametrize(("kind", "answer"), [(AskKind.ENROLMENT, ENROLMENTS), (AskKind.LOOKOUT, LOOKOUTS)])
async def test_an_answer_reaches_the_lane(bench: Bench, kind: AskKind, answer: Enrolments | Lookouts) -> None:
    question = replace(QUESTION, kind=kind)
    await bench.asks(question)
    bench.asker.take(bench.answer(answer, question))
    assert bench.told == [("port", Answered("07-q000001", Respondent.CENTRAL, answer))]


async def test_an_answer_is_taken_once(bench: Bench) -> None:
    await bench.asks()
    for _ in range(3):
        bench.asker.take(bench.answer())
    assert len(bench.told) == 1
    assert bench.asker.counts.refused == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"retained": True},
        {"correlation": b"07-q000002"},
        {"topic": "poe/SYS/lane/07/answer/lookout"},
        {"payload": b"{}"},
        {"payload": b"\xff"},
        {"payload": b" " * 40_000},
        {"payload": answer_bytes(payload_of(replace(QUESTION, id="07-q000009")), ENROLMENTS)},
        {"payload": answer_bytes(payload_of(QUESTION).model_copy(update={"lane": "08"}), ENROLMENTS)},
        {"payload": answer_bytes(payload_of(replace(QUESTION, kind=AskKind.LOOKOUT)), LOOKOUTS)},
    ],
)
async def test_an_answer_that_does_not_fit_is_dropped(bench: Bench, changes: dict[str, object]) -> None:
    await bench.asks()
    bench.asker.take(replace(bench.answer(), **changes))  # type: ignore[arg-type]
    assert bench.told == []
    assert bench.asker.counts.refused == 1


async def test_an_answer_after_the_deadline_is_late(bench: Bench) -> None:
    await bench.asks()
    bench.clock.mono_s += 1.6
    bench.asker.take(bench.answer())
    assert bench.told == []
    assert bench.asker.counts.late == 1


async def test_a_question_that_could_not_be_sent_in_time_is_never_sent(bench: Bench) -> None:
    bench.asker.ask(Ask(QUESTION, Respondent.CENTRAL, 1.5, 0.0))
    bench.clock.mono_s += 2.0
    await bench.sends()
    assert bench.wire.sent == []
    assert bench.asker.counts.unsent == 1


async def test_the_snapshot_answers_at_once_and_says_when_it_has_nothing() -> None:
    for answer in (ENROLMENTS, None):
        bench = Bench(lambda question, answer=answer: answer)
        await bench.asks(of=Respondent.SNAPSHOT)
        assert bench.told == [("port", Answered("07-q000001", Respondent.SNAPSHOT, answer))]
        assert bench.wire.sent == []


async def test_questions_without_end_stay_bounded(bench: Bench) -> None:
    for number in range(1000):
        bench.asker.ask(Ask(replace(QUESTION, id=f"07-q{number:06d}"), Respondent.CENTRAL, 1.5, 0.0))
    await bench.sends()
    assert len(bench.wire.sent) == 64


@given(st.binary(max_size=400))
def test_no_bytes_make_reading_an_answer_or_a_question_raise(junk: bytes) -> None:
    assert parse_answer(junk) is None or isinstance(parse_answer(junk), AnswerPayload)
    assert parse_question(junk) is None or isinstance(parse_question(junk), QuestionPayload)


def test_question_and_answer_have_schemas_and_channels() -> None:
    assert {"question", "answer"} <= set(document_schemas())
    assert {"ask", "answer"} <= set(asyncapi("1")["channels"])


def test_topics_of_companions_match_whole_levels(bench: Bench) -> None:
    assert heard_by(bench.asker, "poe/SYS/lane/07/answer/lookout")
    assert not heard_by(bench.asker, "poe/SYS/lane/07/answer/lookout/more")
    assert not heard_by(bench.asker, "poe/SYS/lane/08/answer/lookout")


# --- neighbours ------------------------------------------------------------------------------------------------------


class Lanes:
    """Two lanes of a port, and what each hears of the other."""

    def __init__(self, keys: tuple[bytes, bytes] = (b"shared" * 6, b"shared" * 6)) -> None:
        self.clock = Clock()
        self.told: dict[str, list[Event]] = {"07": [], "12": []}
        self.lanes = {
            lane: Neighbours(
                LaneAddress("SYS", lane),
                key=key,
                clock=self.clock,
                emit=lambda source, event, lane=lane: self.told[lane].append(event),  # type: ignore[misc]
            )
            for lane, key in zip(("07", "12"), keys, strict=True)
        }
        self.sent: list[Message] = []

    async def shows(self, lane: str, *cards: tuple[Identifier, float]) -> None:
        self.lanes[lane].show(ShowCards("p", cards))
        wire = Wire()
        sending = asyncio.get_running_loop().create_task(self.lanes[lane].send(wire))  # type: ignore[arg-type]
        for _ in range(4):
            await asyncio.sleep(0)
        sending.cancel()
        await asyncio.wait({sending})
        self.sent += wire.sent
        for message in wire.sent:
            for other in self.lanes.values():
                other.take(Received(message.topic, message.payload, 1, False, False))


async def test_a_card_in_two_lanes_is_noticed_in_both_and_its_number_never_sent() -> None:
    lanes = Lanes()
    await lanes.shows("07", (CARD, 2.0))
    lanes.clock.mono_s += 20.0
    await lanes.shows("12", (CARD, 5.0))
    assert lanes.told == {"07": [CardElsewhere(CARD, "12", 5.0, 20.0)], "12": [CardElsewhere(CARD, "07", 2.0, 20.0)]}
    assert not any(CARD.clear.encode() in message.payload for message in lanes.sent)
    assert all(not message.retain and message.expiry_s == 60 for message in lanes.sent)


async def test_after_a_minute_it_is_forgotten() -> None:
    lanes = Lanes()
    await lanes.shows("07", (CARD, 2.0))
    lanes.clock.mono_s += 60.5
    await lanes.shows("12", (CARD, 5.0))
    assert lanes.told == {"07": [], "12": []}


async def test_lanes_without_a_common_key_notice_nothing() -> None:
    lanes = Lanes((b"one" * 10, b"two" * 10))
    await lanes.shows("07", (CARD, 2.0))
    await lanes.shows("12", (CARD, 5.0))
    assert lanes.told == {"07": [], "12": []}


@pytest.mark.parametrize("payload", [b"", b"[]", b"\xff", b'{"lane":"13","cards":[]}', b"x" * 10_000])
async def test_nonsense_from_a_neighbour_is_counted(payload: bytes) -> None:
    lanes = Lanes()
    lanes.lanes["07"].take(Received("poe/SYS/neighbour/12/cards", payload, 1, False, False))
    assert lanes.lanes["07"].refused == 1
