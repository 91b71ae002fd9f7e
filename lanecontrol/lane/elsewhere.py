"""The same card in two lanes of the port. Lanes tell each other keyed hashes of cards, never the numbers.

Antennas of lanes side by side read each other's cards: there the lane for which more speaks has it, and the other one
says so by a correction. Lanes that are not side by side cannot: a card read in both within a minute may be a copy, and
that is a finding in both. Called by `lane.passages` and `lane.step`.
"""

from __future__ import annotations

from lanecontrol.announcements import BoundTag, CardSuspected, TagKind
from lanecontrol.events import CardElsewhere
from lanecontrol.lane.dossiers import dossier, put
from lanecontrol.lane.effects import ShowCards
from lanecontrol.lane.record import replace
from lanecontrol.lane.state import Elsewhere, Passage
from lanecontrol.lane.turn import Turn

APART_S = 60.0
"""Nobody changes lanes in less (rules for cards, copy detection by behaviour)."""
MAX_ELSEWHERE = 16
_MAX_LANE = 64


def show(t: Turn, passage: Passage, tags: tuple[BoundTag, ...]) -> None:
    """Let the other lanes know of the persons' cards of this passage."""
    cards = tuple((tag.epc, tag.score) for tag in tags if tag.kind is TagKind.PERSON)
    if cards:
        t.effects.append(ShowCards(passage.id, cards))


def lost(t: Turn, passage: str, tags: tuple[BoundTag, ...]) -> tuple[BoundTag, ...]:
    """These tags but for those that a lane beside this one has with more reason."""
    if not t.inquiry.dossiers:
        return tags
    gone = {e.number for e in dossier(t, passage).elsewhere if e.lane in t.setup.adjacent and e.theirs > e.ours}
    return tuple(tag for tag in tags if tag.epc not in gone) if gone else tags


def read_elsewhere(t: Turn, event: CardElsewhere) -> str:
    """Another lane has this card too. Answers the passage to be looked at again; empty where there is none."""
    beside = event.lane in t.setup.adjacent
    if not 0.0 <= event.apart_s <= APART_S or not 0.0 <= event.score < 1e6:
        return ""
    found = _whose(t, event)
    if found is None:
        return ""
    passage, ours = found
    known = dossier(t, passage.id)
    before = next((e for e in known.elsewhere if e.number == event.number and e.lane == event.lane), None)
    after = Elsewhere(event.number, event.lane[:_MAX_LANE], event.score, ours, event.apart_s)
    others = tuple(e for e in known.elsewhere if e is not before)
    put(t, replace(known, elsewhere=(*others, after)[-MAX_ELSEWHERE:]))
    kept = not (beside and event.score > ours)
    if before is None or kept == (beside and before.theirs > before.ours):
        why = "read in a lane beside this one" if beside else "read in two lanes that are not side by side"
        t.tell(CardSuspected(event.number, why, passage.id, after.lane, kept, t.utc_s))
    return passage.id


def _whose(t: Turn, event: CardElsewhere) -> tuple[Passage, float] | None:
    """The open passage for which most of our reads of this card speak, and how much."""
    best: tuple[Passage, float] | None = None
    for reading in t.assembly.readings:
        if reading.seen.number == event.number and not reading.seen.late:
            for vote in reading.votes:
                passage = t.passage(vote.passage)
                if passage is not None and (best is None or vote.score > best[1]):
                    best = passage, vote.score
    return best
