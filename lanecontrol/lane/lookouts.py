"""Lookouts, and their silence: until the disposition nothing that a driver or a bystander could notice depends on one.

A hit is told in the class `lookout`, for the officer's authorised view, and makes the referral mandatory where the
disposition is checked. It is in no assessment and in no record that others may see; it moves no signal, no gate, no
picture and no timer. The same number of events is published at the same moments whether there is a hit or not, so that
the lane's sequence numbers do not tell either. A hit that comes after the release withdraws nothing: it is told.

Called by `lane.questions`, `lane.orders` and `lane.passages`.
"""

from __future__ import annotations

from lanecontrol.announcements import DisposedBy, LookoutAnswered, LookoutRefusal, LookoutSettled, Referral
from lanecontrol.commands import Actor, Dispose, Outcome, Request
from lanecontrol.lane.dossiers import dossier, put
from lanecontrol.lane.record import replace
from lanecontrol.lane.rules.weights import SILENT
from lanecontrol.lane.state import Passage
from lanecontrol.lane.texts import MAX_WORDS
from lanecontrol.lane.turn import Turn
from lanecontrol.questions import MAX_NUMBERS, MAX_TEXT, Hit, Question, Respondent

NOT_AGAINST = "a lookout stands for this vehicle: only a supervisor may decide so, with a justification"
"""Why a disposition was refused: for whoever gave it, in the reply to that order."""
_MAX_REFUSED = 16


def learn(t: Turn, question: Question, by: Respondent, hits: tuple[Hit, ...]) -> None:
    """The answer about a passage has come: with hits or without, it is told."""
    asked_about = set(question.numbers())
    good = tuple(Hit(hit.number, hit.why[:MAX_TEXT], hit.armed) for hit in hits if hit.number in asked_about)
    known = dossier(t, question.passage)
    # What one question did not ask about stays, and the snapshot takes nothing back that central said.
    taken_back = asked_about if by is Respondent.CENTRAL else {hit.number for hit in good}
    kept = tuple(hit for hit in known.hits if hit.number not in taken_back)
    put(t, replace(known, hits=(*good, *kept)[:MAX_NUMBERS], unchecked=False, settled=False))
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


def kept_back(t: Turn, key: str, actor: Actor, request: Request, outcome: Outcome) -> bool:
    """Whether an order ended so because of a lookout: then nothing is told of it before the passage is settled.

    An order that ends like no other would tell, and so would an event that others only miss the number of.
    """
    if outcome.reason != NOT_AGAINST or not isinstance(request, Dispose):
        return False
    known = dossier(t, request.passage)
    refused = LookoutRefusal(key, request.disposition, actor, request.justification[:MAX_WORDS], t.utc_s)
    put(t, replace(known, refused=(*known.refused, refused)[-_MAX_REFUSED:]))
    return True


def disposed(t: Turn, passage: str, by: DisposedBy) -> None:
    """An officer has decided, with whatever hits there are on the table."""
    _settled(t, passage, by)


def settle(t: Turn, passage: Passage) -> None:
    """The passage closes: what was not told about it before is told now."""
    known = dossier(t, passage.id)
    if not known.settled or known.refused:
        _settled(t, passage.id, passage.disposition)


def _settled(t: Turn, passage: str, by: DisposedBy | None) -> None:
    if t.setup.questions is None or not t.setup.questions.lookouts:
        return
    known = dossier(t, passage)
    if known.rounds:
        put(t, replace(known, settled=True, refused=()))
        decided, actor = (by.disposition, by.actor) if by is not None else (None, None)
        t.tell(LookoutSettled(passage, known.hits, decided, actor, t.utc_s, known.refused))
