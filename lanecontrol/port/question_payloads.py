"""The JSON of questions and answers at the edge: what `ask/<kind>` carries and what `answer/<kind>` may bring.

`port.questions` writes questions and reads answers with this, `port.central` the other way round, and the schemas are
made from it. Numbers stand here in clear: the port is entitled to them.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from lanecontrol.clock import utc_text
from lanecontrol.identifier import Identifier
from lanecontrol.port.order_base import Level, Name, UtcSeconds
from lanecontrol.questions import (
    MAX_NUMBERS,
    MAX_TEXT,
    MAX_VEHICLES,
    AskKind,
    Cargo,
    Enrolments,
    Hit,
    Lookouts,
    NumberFact,
    Question,
    Standing,
)

BODY_LIMIT_BYTES = 32 * 1024
"""An answer above this is not read: the longest sensible one is a third of it."""

M = TypeVar("M", bound=BaseModel)
Number = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Programme = Annotated[str, StringConstraints(min_length=1, max_length=32)]
Numbers = Annotated[tuple[Number, ...], Field(max_length=MAX_NUMBERS)]


class QuestionPayload(BaseModel):
    """What a lane asks. It is answered before `deadline`, or not at all."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    id: Name
    """Names the question; also its correlation data."""
    kind: AskKind
    """What is asked."""
    lane: Level
    """The lane that asks."""
    lane_type: Name
    """Which programme it serves."""
    direction: Name
    """`inbound` or `outbound`."""
    passage: Name
    """The vehicle's passage."""
    deadline: UtcSeconds
    """Nobody listens any more after this: RFC 3339, or UTC seconds since 1970."""
    cards: Numbers = ()
    """Numbers of persons' cards, lower-case hex."""
    transponders: Numbers = ()
    """Numbers of vehicles' tags, lower-case hex."""
    plates: Numbers = ()
    """Texts of plates, as they were read."""


class FactPayload(BaseModel):
    """What the port says of one number."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    number: Number
    """A number that was asked about."""
    standing: Standing
    """What it is worth."""
    programmes: Annotated[tuple[Programme, ...], Field(max_length=8)] = ()
    """Programmes that it is enrolled in."""
    vehicles: Annotated[tuple[Number, ...], Field(max_length=MAX_VEHICLES)] = ()
    """Plates of the vehicles that it is enrolled with."""


class CargoPayload(BaseModel):
    """What the port knows of the load; null where it cannot tell."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    manifest: bool | None = None
    """An e-Manifest is on file, in time."""
    seal: bool | None = None
    """The seal that the carrier declared is on file."""
    user_fee: bool | None = None
    """The transponder's user fee is paid."""
    hazmat: bool = False
    """Hazardous cargo is declared."""


class HitPayload(BaseModel):
    """A number that is on a lookout list."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    number: Number
    """A number that was asked about."""
    why: Annotated[str, StringConstraints(max_length=MAX_TEXT)] = ""
    """Why it is on a list, in plain words."""
    armed: bool = False
    """Armed and dangerous."""


class AnswerPayload(BaseModel):
    """The answer to one question: `facts` and `cargo` for enrolments, `hits` for lookouts."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    id: Name
    """The question's id."""
    kind: AskKind
    """The question's kind."""
    lane: Level
    """The lane that had asked; another one does not take it."""
    facts: Annotated[tuple[FactPayload, ...], Field(max_length=2 * MAX_NUMBERS)] = ()
    """What is known of the numbers; of those that are left out nothing is."""
    cargo: CargoPayload = CargoPayload()
    """What is known of the load."""
    hits: Annotated[tuple[HitPayload, ...], Field(max_length=MAX_NUMBERS)] = ()
    """Numbers on lookout lists; empty where there are none."""

    def answer(self) -> Enrolments | Lookouts:
        """The answer in the lane's words."""
        if self.kind is AskKind.LOOKOUT:
            return Lookouts(tuple(Hit(Identifier(hit.number), hit.why, hit.armed) for hit in self.hits))
        facts = (
            NumberFact(Identifier(fact.number), fact.standing, fact.programmes, tuple(map(Identifier, fact.vehicles)))
            for fact in self.facts
        )
        cargo = self.cargo
        return Enrolments(tuple(facts), Cargo(cargo.manifest, cargo.seal, cargo.user_fee, cargo.hazmat))


def question_bytes(question: Question, *, lane: str, lane_type: str, direction: str, deadline_utc_s: float) -> bytes:
    """A question as JSON."""
    body = {
        "id": question.id,
        "kind": question.kind.value,
        "lane": lane,
        "lane_type": lane_type,
        "direction": direction,
        "passage": question.passage,
        "deadline": utc_text(deadline_utc_s),
        "cards": [number.clear for number in question.cards],
        "transponders": [number.clear for number in question.transponders],
        "plates": [number.clear for number in question.plates],
    }
    return json.dumps(body, separators=(",", ":")).encode()


def parse_question(body: bytes) -> QuestionPayload | None:
    """The question in `body`; None when it is none. Never raises."""
    return _parsed(QuestionPayload, body)


def answer_bytes(asked: QuestionPayload, answer: Enrolments | Lookouts) -> bytes:
    """An answer as JSON."""
    body: dict[str, Any] = {"id": asked.id, "kind": asked.kind.value, "lane": asked.lane}
    match answer:
        case Enrolments(facts, cargo):
            body["facts"] = [
                {
                    "number": fact.number.clear,
                    "standing": fact.standing.value,
                    "programmes": list(fact.programmes),
                    "vehicles": [text.clear for text in fact.vehicles],
                }
                for fact in facts
            ]
            body["cargo"] = {name: getattr(cargo, name) for name in ("manifest", "seal", "user_fee", "hazmat")}
        case Lookouts(hits):
            body["hits"] = [{"number": hit.number.clear, "why": hit.why, "armed": hit.armed} for hit in hits]
    return json.dumps(body, separators=(",", ":")).encode()


def parse_answer(body: bytes) -> AnswerPayload | None:
    """The answer in `body`; None when it is none, or too long. Never raises."""
    return _parsed(AnswerPayload, body)


def _parsed(model: type[M], body: bytes) -> M | None:
    if len(body) > BODY_LIMIT_BYTES:
        return None
    try:
        return model.model_validate_json(body)
    except ValidationError:
        return None
