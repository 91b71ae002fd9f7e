"""The moments of each open passage, and what they come to when it closes. Called by `lane.passages`, `lane.orders`.

All of it is lane time, so that nobody who sets the clock changes a duration. Decides nothing.
"""

from __future__ import annotations

from lanecontrol.announcements import Referral, TagKind
from lanecontrol.commands import Disposition
from lanecontrol.figures import PassageTimes
from lanecontrol.lane.numbers import REFERRED
from lanecontrol.lane.numbers_state import MAX_TIMINGS, Ahead, Timing
from lanecontrol.lane.record import replace
from lanecontrol.lane.state import Passage, What
from lanecontrol.lane.turn import Turn

ADVISED = frozenset({Referral.RECOMMENDED, Referral.MANDATORY})


def at_booth(t: Turn, passage: Passage) -> None:
    """It has come to the booth, for the first time."""
    booth_s = passage.booth_s
    if booth_s is None:
        return
    ahead = t.numbers.ahead
    timing = Timing(passage.id)
    if ahead is not None:
        timing = Timing(passage.id, booth_s - ahead.booth_s, passage.opened_s < _left_s(t, ahead))
    timings = (*t.numbers.timings, timing)[-MAX_TIMINGS:]
    t.numbers = replace(t.numbers, timings=timings, ahead=Ahead(passage.id, booth_s))


def _left_s(t: Turn, ahead: Ahead) -> float:
    """When the vehicle ahead left the booth; it has not, or not been seen to, where it is still open."""
    if ahead.left_s is not None:
        return ahead.left_s
    passage = t.passage(ahead.passage)
    return t.now_s if passage is None or passage.booth_left_s is None else passage.booth_left_s


def advised(t: Turn, passage: Passage, recommended: Referral) -> None:
    """An assessment was published."""
    if recommended in ADVISED:
        timing = _timing(t, passage.id)
        if timing is not None and timing.recommended_s is None:
            _put(t, replace(timing, recommended_s=t.now_s))


def decided(t: Turn, passage: Passage, disposition: Disposition) -> None:
    """An officer has decided; the first decision and the first referral count."""
    timing = _timing(t, passage.id)
    if timing is None:
        return
    if timing.decided_s is None:
        timing = replace(timing, decided_s=t.now_s)
    if timing.referred_s is None and disposition in REFERRED:
        timing = replace(timing, referred_s=t.now_s)
    _put(t, timing)


def closed(t: Turn, passage: Passage) -> PassageTimes:
    """What its times came to; called once its readings are decided upon. Forgets it."""
    timing = _timing(t, passage.id) or Timing(passage.id)
    left_s, booth_s, reached_s = passage.booth_left_s, passage.booth_s, passage.reached_s
    gone_s = passage.gone_s if t.plan.last > t.plan.booth else None
    _forget(t, passage)
    return PassageTimes(
        to_approach_s=_between(passage.opened_s, reached_s) if t.plan.births_at_portal else None,
        to_booth_s=_between(reached_s, booth_s) if t.plan.booth > 0 else None,
        to_first_card_s=_between(passage.opened_s, _first_card_s(t, passage)),
        to_recommendation_s=_between(booth_s, timing.recommended_s),
        to_decision_s=_between(booth_s, timing.decided_s),
        to_referral_s=_between(booth_s, timing.referred_s),
        service_s=_between(booth_s, left_s),
        clearing_s=_between(left_s, gone_s),
        cycle_s=_between(passage.opened_s, gone_s),
        headway_s=None if timing.headway_s is None else round(timing.headway_s, 3),
        queued=timing.queued,
    )


def _between(start_s: float | None, end_s: float | None) -> float | None:
    """To the millisecond, so that what is published is what was counted."""
    return None if start_s is None or end_s is None else round(max(0.0, end_s - start_s), 3)


def _first_card_s(t: Turn, passage: Passage) -> float | None:
    """When a person's card that this passage took with it was first read."""
    seen = [reading.seen for reading in t.assembly.readings if reading.owner == passage.id]
    return min((s.first_s for s in seen if s.what is What.TAG and s.kind is TagKind.PERSON), default=None)


def _timing(t: Turn, name: str) -> Timing | None:
    return next((timing for timing in t.numbers.timings if timing.passage == name), None)


def _put(t: Turn, changed: Timing) -> None:
    timings = tuple(changed if timing.passage == changed.passage else timing for timing in t.numbers.timings)
    t.numbers = replace(t.numbers, timings=timings)


def _forget(t: Turn, passage: Passage) -> None:
    timings = tuple(timing for timing in t.numbers.timings if timing.passage != passage.id)
    ahead = t.numbers.ahead
    if ahead is not None and ahead.passage == passage.id:
        ahead = None if passage.booth_left_s is None else replace(ahead, left_s=passage.booth_left_s)
    t.numbers = replace(t.numbers, timings=timings, ahead=ahead)
