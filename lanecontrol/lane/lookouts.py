"""Lookouts, and their silence: until the disposition nothing that a driver or a bystander could notice depends on one.

A hit is told in the class `lookout`, for the officer's authorised view, and makes the referral mandatory where the
disposition is checked. It is in no assessment and in no record that others may see; it moves no signal, no gate, no
picture and no timer. The same number of events is published at the same moments whether there is a hit or not, so that
the lane's sequence numbers do not tell either. A hit that comes after the release withdraws nothing: it is told.

Called by `lane.questions`, `lane.orders` and `lane.passages`.
"""

from __future__ import annotations

from lanecontrol.announcements import DisposedBy, LookoutAnswered, LookoutSettled, Referral
from lanecontrol.commands import Outcome
from lanecontrol.lane.dossiers import dossier, put
from lanecontrol.lane.record import replace
from lanecontrol.lane.rules.weights import SILENT
from lanecontrol.lane.state import Passage
from lanecontrol.lane.turn import Turn
from lanecontrol.questions import MAX_NUMBERS, MAX_TEXT, Hit, Question, Respondent

NOT_AGAINST = "a lookout stands for this vehicle: only a supervisor may decide so, with a justification"
"""Why a disposition was refused: for whoever gave it, in the reply to that order."""
ON_RECORD = "not now: the reply to the order says why"
"""The same in the record that technicians may read."""


def learn(t: Turn, question: Question, by: Respondent, hits: tuple[Hit, ...]) -> None:
    """The answer about a passage has come: with hits or without, it is told."""
    asked_about = set(question.numbers())
    good = tuple(Hit(hit.number, hit.why[:MAX_TEXT], hit.armed) for hit in hits if hit.number in asked_about)
    known = dossier(t, question.passage)
    # What one question did not ask about stays: an earlier answer named it.
    kept = tuple(hit for hit in known.hits if hit.number not in asked_about)
    put(t, replace(known, hits=(*kept, *good)[:MAX_NUMBERS], unchecked=False, settled=False))
    _tell(t, question, by.value)


def unanswered(t: Turn, question: Question) -> None:
    """Nobody answered: that is no secret, and the same for everybody."""
    known = dossier(t, question.passage)
    put(t, replace(known, unchecked=True, settled=False))
    _tell(t, question, "")


def _tell(t: Turn, question: Question, by: str) -> None:
    known = dossier(t, question.passage)
    t.tell(LookoutAnswered(question.passage, by, known.hits, _referral(known.hits), t.utc_s))


def _referral(hits: tuple[Hit, ...]) -> Referral:
    return SILENT["lookout.hit"][1] if hits else Referral.NONE


def mandatory(t: Turn, passage: str) -> bool:
    """Whether a lookout makes the referral of this passage mandatory."""
    return _referral(dossier(t, passage).hits) is Referral.MANDATORY


def for_the_record(outcome: Outcome) -> Outcome:
    """How an order ended, as everybody may read it."""
    return Outcome(outcome.result, ON_RECORD) if outcome.reason == NOT_AGAINST else outcome


def disposed(t: Turn, passage: str, by: DisposedBy) -> None:
    """An officer has decided, with whatever hits there are on the table."""
    _settled(t, passage, by)


def settle(t: Turn, passage: Passage) -> None:
    """The passage closes: what was not told about it before is told now."""
    if not dossier(t, passage.id).settled:
        _settled(t, passage.id, passage.disposition)


def _settled(t: Turn, passage: str, by: DisposedBy | None) -> None:
    if t.setup.questions is None or not t.setup.questions.lookouts:
        return
    known = dossier(t, passage)
    if known.rounds:
        put(t, replace(known, settled=True))
        decided, actor = (by.disposition, by.actor) if by is not None else (None, None)
        t.tell(LookoutSettled(passage, known.hits, decided, actor, t.utc_s))
