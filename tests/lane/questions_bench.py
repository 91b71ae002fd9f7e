"""A lane that asks the port about its vehicles, and somebody who answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

from lane_bench import LaneBench, card, setup

from lanecontrol.announcements import LaneType, LookoutAnswered, PassageAssessed
from lanecontrol.events import Answered, CentralChanged, Event, PlateRead
from lanecontrol.identifier import Identifier
from lanecontrol.lane.effects import Ask, Effect
from lanecontrol.lane.setup import Camera, LaneSetup, Questions
from lanecontrol.lane.state import Passage
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

PLATE = Identifier("7ABC123")


def asking(lane_type: LaneType = LaneType.SENTRI, **changes: Any) -> LaneSetup:
    """A lane with a camera that asks the port."""
    base = replace(setup(lane_type=lane_type), cameras=(Camera("lpr1", "approach"),), questions=Questions())
    return replace(base, **changes)


def valid(question: Question, *programmes: str, cargo: Cargo | None = None) -> Enrolments:
    """Everybody and everything in this question is enrolled, and belongs together."""
    facts = tuple(NumberFact(n, Standing.VALID, programmes, question.plates) for n in question.numbers())
    return Enrolments(facts, cargo if cargo is not None else Cargo(manifest=True, seal=True, user_fee=True))


class AskingBench(LaneBench):
    """`answers` says what central answers to a question; None leaves it unanswered."""

    def __init__(self, lane_setup: LaneSetup | None = None) -> None:
        super().__init__(lane_setup if lane_setup is not None else asking())
        self.asked: list[Ask] = []
        self.hits: tuple[Hit, ...] = ()
        self.facts: Enrolments | None = None
        self.silent: set[Respondent] = {Respondent.SNAPSHOT}
        """Who does not answer."""
        self.delay_s = 0.0
        self.careless = False
        """Central answers about numbers that nobody asked about."""
        self._due: list[tuple[float, Ask]] = []

    def started(self, *, cold: bool = True, boot: str = "boot-1") -> Self:
        super().started(cold=cold, boot=boot)
        return self

    def give(self, source: str, event: Event) -> tuple[Effect, ...]:
        effects = super().give(source, event)
        for effect in effects:
            if isinstance(effect, Ask):
                self.asked.append(effect)
                self._due.append((self.now_s + self.delay_of(effect.question), effect))
        self.answer()
        self.last = effects  # not those of the answers
        return effects

    def delay_of(self, question: Question) -> float:
        """How long whoever is asked takes."""
        return self.delay_s

    def wait(self, duration_s: float) -> None:
        until_s = self.now_s + duration_s
        while due := [at_s for at_s, _ in self._due if at_s <= until_s]:
            super().wait(max(0.0, min(due) - self.now_s))
            self.answer()
        super().wait(until_s - self.now_s)

    def answer(self) -> None:
        """Give the answers that are due."""
        due, self._due = (
            [ask for at_s, ask in self._due if at_s <= self.now_s],
            [(at_s, ask) for at_s, ask in self._due if at_s > self.now_s],
        )
        for ask in due:
            if ask.of not in self.silent:
                self.give("port", Answered(ask.question.id, ask.of, self.answer_to(ask.question)))
            elif ask.of is Respondent.SNAPSHOT:
                self.give("port", Answered(ask.question.id, ask.of, None))

    def answer_to(self, question: Question) -> Enrolments | Lookouts:
        """What central would say."""
        if question.kind is AskKind.LOOKOUT:
            hits = (hit for hit in self.hits if self.careless or hit.number in question.numbers())
            return Lookouts(tuple(hits))
        return self.facts if self.facts is not None else valid(question, self.setup.lane_type.value)

    # --- in words ---

    def reach(self, *, there: bool) -> None:
        self.give("port", CentralChanged(there, "told by the test"))

    def comes(self, *cards: int, plate: Identifier = PLATE) -> str:
        """A car with these cards and this plate comes to the booth and is assessed. Its passage."""
        self.through_portal()
        self.to_approach()
        self.give("lpr1", PlateRead(plate, 0.95, track=f"t{len(self.given)}"))
        self.to_booth()
        self.read_for(5, *cards)
        return self.at_booth

    @property
    def codes(self) -> list[str]:
        return [finding.code for finding in self.assessment.findings]

    @property
    def passages(self) -> tuple[Passage, ...]:
        return self.state.tracking.passages

    @property
    def lookouts(self) -> list[LookoutAnswered]:
        return self.told(LookoutAnswered)

    @property
    def revisions(self) -> list[PassageAssessed]:
        return self.told(PassageAssessed)


def number(of: int) -> Identifier:
    return Identifier(card(of))
