"""Questions to the port about the vehicle at the booth, and what the lane does while nobody answers.

A question is asked as soon as there are numbers to ask about, and again when there are more; nothing waits for the
answer. What central has not answered in time the local snapshot is asked. What nobody answered is *unknown*, and what
that weighs depends on the mode: in **degraded mode**, which begins by itself when central is lost or goes silent, and
ends by itself when it is back, whatever is unknown is referred.

Called by `lane.step`, and by `lane.passages` when a vehicle is assessed or its passage closes. Answers about lookouts
go to `lane.lookouts` and change nothing here that anybody could see.
"""

from __future__ import annotations

from collections.abc import Iterable

from lanecontrol.announcements import BoundPlate, BoundTag, DegradedChanged, LaneType, TagKind
from lanecontrol.commands import DONE, Actor, DrillDegraded, Outcome, refused
from lanecontrol.events import Answered
from lanecontrol.identifier import Identifier
from lanecontrol.lane import lookouts
from lanecontrol.lane.dossiers import dossier, mend, put, put_asked
from lanecontrol.lane.effects import Ask
from lanecontrol.lane.record import replace
from lanecontrol.lane.rules.table import rules_of
from lanecontrol.lane.setup import LaneSetup, Questions
from lanecontrol.lane.state import Asked, Passage
from lanecontrol.lane.texts import MAX_NOTE
from lanecontrol.lane.turn import Turn
from lanecontrol.questions import (
    MAX_NUMBERS,
    MAX_ROUNDS,
    AskKind,
    Cargo,
    Enrolments,
    Lookouts,
    NumberFact,
    Question,
    Respondent,
    Standing,
)

MAX_ASKED = 32
SNAPSHOT_WITHIN_S = 0.5
"""It is a look into memory; it takes a turn of the event loop."""
LONGEST_DRILL_S = 4 * 3600.0
_MAX_FACTS = 4 * MAX_NUMBERS


# --- asking ----------------------------------------------------------------------------------------------------------


def inquire(t: Turn, passage: Passage, tags: tuple[BoundTag, ...], plates: tuple[BoundPlate, ...]) -> None:
    """Ask about these readings, if there is anything among them that was not asked about."""
    setup = t.setup.questions
    if setup is None or passage.disposition is not None:
        return
    numbers = _numbers(tags, plates)
    known = dossier(t, passage.id)
    if known.rounds >= MAX_ROUNDS or set(numbers) <= set(known.numbers):
        return
    asked_about = tuple(dict.fromkeys((*known.numbers, *numbers)))[-_MAX_FACTS:]
    put(t, replace(known, numbers=asked_about, rounds=known.rounds + 1))
    for kind in kinds(t.setup, setup, t.lane_type):
        _ask(t, _question(t, kind, passage.id, tags, plates), setup)


def kinds(setup: LaneSetup, questions: Questions, lane_type: LaneType) -> tuple[AskKind, ...]:
    """What this lane asks: about enrolments where its type needs them, about lookouts unless the site says no."""
    row = rules_of(lane_type, setup.direction, questions.programmes)
    enrolment = (AskKind.ENROLMENT,) if row.asks_enrolment else ()
    return (*enrolment, AskKind.LOOKOUT) if questions.lookouts else enrolment


def _numbers(tags: tuple[BoundTag, ...], plates: tuple[BoundPlate, ...]) -> tuple[Identifier, ...]:
    return (*_of_kind(tags, TagKind.PERSON), *_of_kind(tags, TagKind.VEHICLE), *_texts(plates))


def _of_kind(tags: tuple[BoundTag, ...], kind: TagKind) -> tuple[Identifier, ...]:
    return tuple(tag.epc for tag in tags if tag.kind is kind)[:MAX_NUMBERS]


def _texts(plates: tuple[BoundPlate, ...]) -> tuple[Identifier, ...]:
    return tuple(plate.text for plate in plates if plate.text)[:MAX_NUMBERS]


def _question(
    t: Turn, kind: AskKind, passage: str, tags: tuple[BoundTag, ...], plates: tuple[BoundPlate, ...]
) -> Question:
    number = t.inquiry.questions + 1
    t.inquiry = replace(t.inquiry, questions=number)
    return Question(
        f"{t.setup.lane}-q{number:06d}",
        kind,
        passage,
        _of_kind(tags, TagKind.PERSON),
        _of_kind(tags, TagKind.VEHICLE),
        _texts(plates),
        "" if t.lane_type is t.setup.lane_type else t.lane_type.value,
    )


def _ask(t: Turn, question: Question, setup: Questions) -> None:
    """Central, and in degraded mode the snapshot at once: that central answers again is how it is found to be back."""
    if t.desk.central is not False and not (_drilled(t) and question.kind is AskKind.ENROLMENT):
        _send(t, question, Respondent.CENTRAL, setup.answer_within_s)
    if t.inquiry.degraded or t.desk.central is False:
        _send(t, question, Respondent.SNAPSHOT, SNAPSHOT_WITHIN_S)


def _send(t: Turn, question: Question, of: Respondent, within_s: float) -> None:
    asked = Asked(question, of, t.now_s + within_s)
    put_asked(t, (*t.inquiry.asked, asked)[-MAX_ASKED:])
    t.effects.append(Ask(question, of, within_s, t.utc_s + within_s))


# --- answers ---------------------------------------------------------------------------------------------------------


def answered(t: Turn, event: Answered) -> str:
    """Take in an answer. Answers the passage to be looked at again; empty where there is none."""
    asked = next((a for a in t.inquiry.asked if a.question.id == event.question and a.of is event.by), None)
    if asked is None:
        return ""
    question = asked.question
    if event.by is Respondent.CENTRAL and event.answer is not None:
        _central_answers(t)
    match question.kind, event.answer:
        case AskKind.ENROLMENT, Enrolments() as enrolments:
            _learn(t, question, event.by, enrolments)
        case AskKind.LOOKOUT, Lookouts(hits):
            lookouts.learn(t, question, event.by, hits)
        case _, None:
            _open_ended(t, asked)
            return question.passage
        case _:
            return ""  # the answer to something else: the question stays open
    others = [a for a in t.inquiry.asked if a.question.id != question.id]
    if event.by is Respondent.SNAPSHOT:
        others += [replace(a, told=True) for a in t.inquiry.asked if a.question.id == question.id and a is not asked]
    put_asked(t, others)
    # An answer about lookouts leads to no other look: when it comes must not show in what the lane publishes.
    return question.passage if question.kind is AskKind.ENROLMENT else ""


def _learn(t: Turn, question: Question, by: Respondent, answer: Enrolments) -> None:
    """Keep what was said. What an answer leaves out is not known; the snapshot never overrides what central said."""
    known = dossier(t, question.passage)
    facts = {fact.number: fact for fact in known.facts}
    told = _told(answer.facts)
    for number in question.numbers():
        fact, before = told.get(number), facts.get(number)
        if before is None or before.standing is Standing.UNKNOWN or (fact is not None and by is Respondent.CENTRAL):
            facts[number] = fact if fact is not None else NumberFact(number, Standing.UNKNOWN)
    cargo = answer.cargo if known.cargo is None else _cargo(known.cargo, answer.cargo, by)
    merged: tuple[NumberFact, ...] = tuple(facts.values())[-_MAX_FACTS:]
    put(t, replace(known, facts=merged, cargo=cargo, unknown=False))


def _told(facts: tuple[NumberFact, ...]) -> dict[Identifier, NumberFact]:
    """By number. Of a number of which two things are said, nothing is known."""
    told: dict[Identifier, NumberFact] = {}
    for fact in facts:
        same = told.setdefault(fact.number, fact) == fact
        if not same:
            told[fact.number] = NumberFact(fact.number, Standing.UNKNOWN)
    return told


def _cargo(before: Cargo, now: Cargo, by: Respondent) -> Cargo:
    """What is left out stays as it was said before, and hazardous cargo stays hazardous."""
    newer, older = (now, before) if by is Respondent.CENTRAL else (before, now)
    return Cargo(
        newer.manifest if newer.manifest is not None else older.manifest,
        newer.seal if newer.seal is not None else older.seal,
        newer.user_fee if newer.user_fee is not None else older.user_fee,
        before.hazmat or now.hazmat,
    )


def _open_ended(t: Turn, asked: Asked) -> None:
    """This respondent has no answer. Central's silence is the snapshot's turn; that of both leaves it unknown."""
    question = asked.question
    rest = [a for a in t.inquiry.asked if a is not asked]
    put_asked(t, rest)
    if asked.of is Respondent.CENTRAL:
        t.inquiry = replace(t.inquiry, unanswered=t.inquiry.unanswered + 1)
        if t.inquiry.unanswered >= t.setup.limits.degraded_questions:
            _lose(t, f"central answered none of the last {t.inquiry.unanswered} questions")
        if not asked.told and not any(a.question.id == question.id for a in rest):
            _send(t, question, Respondent.SNAPSHOT, SNAPSHOT_WITHIN_S)
            return
    if asked.told or any(a.question.id == question.id for a in rest):
        return
    if question.kind is AskKind.ENROLMENT:
        put(t, replace(dossier(t, question.passage), unknown=True))
    else:
        lookouts.unanswered(t, question)


# --- time ------------------------------------------------------------------------------------------------------------


def on_time(t: Turn) -> Iterable[str]:
    """Deadlines that have passed. Answers the passages to be looked at again."""
    if not t.due(t.inquiry.wake_s):
        return ()
    if t.inquiry.lost_s is not None and t.due(t.inquiry.lost_s + t.setup.limits.degraded_after_s):
        t.inquiry = replace(t.inquiry, lost_s=None)
        if t.desk.central is False:
            _lose(t, "the port's broker cannot be reached")
    if t.due(t.inquiry.drill_s):
        _end_drill(t, "the drill is over")
    late = [asked for asked in t.inquiry.asked if t.due(asked.due_s)]
    for asked in late:
        if asked in t.inquiry.asked:
            _open_ended(t, asked)
    mend(t)
    return dict.fromkeys(asked.question.passage for asked in late)


# --- degraded mode ---------------------------------------------------------------------------------------------------


def central_changed(t: Turn) -> None:
    """The port's broker was lost, or is there again; `desk.central` says which."""
    if t.desk.central is False:
        t.inquiry = replace(t.inquiry, lost_s=t.now_s)
        _nobody_answers(t)
    else:
        t.inquiry = replace(t.inquiry, lost_s=None, unanswered=0)
        _recover(t, "the port's broker is there again")
    mend(t)


def _nobody_answers(t: Turn) -> None:
    """What central was asked it cannot answer any more: the snapshot's turn."""
    for asked in [a for a in t.inquiry.asked if a.of is Respondent.CENTRAL]:
        rest = [a for a in t.inquiry.asked if a is not asked]
        put_asked(t, rest)
        if not any(a.question.id == asked.question.id for a in rest):
            _send(t, asked.question, Respondent.SNAPSHOT, SNAPSHOT_WITHIN_S)


def _central_answers(t: Turn) -> None:
    if t.inquiry.unanswered:
        t.inquiry = replace(t.inquiry, unanswered=0)
        _recover(t, "central answers again")


def _lose(t: Turn, why: str) -> None:
    """Central really is away. A drill that is under way is over with that: from now on it is none."""
    if not t.inquiry.degraded or _drilled(t):
        t.inquiry = replace(t.inquiry, degraded=why, drill_s=None)
        t.tell(DegradedChanged(True, why, False, t.utc_s))


def _recover(t: Turn, why: str) -> None:
    if t.inquiry.degraded and not _drilled(t):
        t.inquiry = replace(t.inquiry, degraded="")
        t.tell(DegradedChanged(False, why, False, t.utc_s))


def _drilled(t: Turn) -> bool:
    return t.inquiry.drill_s is not None


def drill(t: Turn, actor: Actor, request: DrillDegraded) -> Outcome:
    """Begin or end a drill."""
    if not 0.0 <= request.for_s <= LONGEST_DRILL_S:
        return refused(f"a drill lasts {LONGEST_DRILL_S / 3600:g} hours at most")
    if request.for_s == 0.0:
        if not _drilled(t):
            return refused("no drill is under way")
        _end_drill(t, f"ended by {actor.role.value}")
    elif t.inquiry.degraded and not _drilled(t):
        return refused(f"the lane is in degraded mode, and this is no drill: {t.inquiry.degraded}")
    else:
        _drill(t, f"drill: {request.reason[:MAX_NOTE]}" if request.reason else "drill", request.for_s)
    mend(t)
    return DONE


def _drill(t: Turn, why: str, for_s: float) -> None:
    begins = not _drilled(t)
    t.inquiry = replace(t.inquiry, degraded=why, drill_s=t.now_s + for_s)
    if begins:
        t.tell(DegradedChanged(True, why, True, t.utc_s))


def _end_drill(t: Turn, why: str) -> None:
    """Back to normal, unless central really is away."""
    t.inquiry = replace(t.inquiry, drill_s=None)
    silent = t.inquiry.unanswered >= t.setup.limits.degraded_questions
    if t.desk.central is not False and not silent:
        _recover(t, why)
    elif t.inquiry.degraded.startswith("drill"):
        t.inquiry = replace(t.inquiry, degraded="central is away")
        t.tell(DegradedChanged(True, "central is away", False, t.utc_s))


# --- the ends of a run and of a passage ------------------------------------------------------------------------------


def started(t: Turn) -> None:
    """Nobody remembers what was asked before: it is asked again. That something was asked is not forgotten."""
    known = tuple(
        replace(one, numbers=(), rounds=min(1, one.rounds)) for one in t.inquiry.dossiers if t.passage(one.passage)
    )
    lost_s = t.now_s if t.desk.central is False else None
    t.inquiry = replace(t.inquiry, asked=(), dossiers=known, lost_s=lost_s)
    mend(t)


def forget(t: Turn, passage: Passage) -> None:
    """Its passage is closed."""
    if not t.inquiry.dossiers and not t.inquiry.asked:
        return
    lookouts.settle(t, passage)
    rest = [asked for asked in t.inquiry.asked if asked.question.passage != passage.id]
    t.inquiry = replace(t.inquiry, dossiers=tuple(d for d in t.inquiry.dossiers if d.passage != passage.id))
    put_asked(t, rest)
