"""How strongly a card or plate belongs to a vehicle: what a read says, and what not being read says.

What is added up for each passage is the logarithm of the odds that the card is in that vehicle rather than that every
read of it was a stray. A read while the vehicle is within the antenna's reach speaks for it, the more so the better its
strength fits to where the vehicle is; a read that one would expect and that does not come speaks against it. Reads at
other moments are strays under either supposition and say nothing. So a card that goes on being read after the leader
has left belongs to the follower, however often it was read before, and one that was read now and then is nobody's yet.
Used by `lane.assembly` alone.
"""

from __future__ import annotations

from math import inf

from lanecontrol.lane.plan import BEFORE
from lanecontrol.lane.record import maker, replace
from lanecontrol.lane.state import Habits, Passage, Reading, Vote, What
from lanecontrol.lane.turn import Turn

_habits, _vote = maker(Habits), maker(Vote)
_TAG, _PLATE = What.TAG, What.PLATE

LINGER_S = 1.0
"""A card may still answer this long after its vehicle has left the booth loop: the field ends behind it."""
STRAY_POWER = 4
"""For plates: the part of the sights at which the passage was within reach, to this power."""
QUEUE_WEIGHT = 0.3

READ_WORTH, CALM_WORTH = 1.1, 1.4
"""ln(0.9/0.3): a card within reach is counted in 90 of 100 intervals; a stray in 30, where there are many. Where there
are none, a read is worth more by the second figure."""
MISS_COST = 2.2
"""ln(0.7/0.08): the same of an interval without a read."""
STRENGTH_WORTH, STRENGTH_MOST = 2.5, 1.0
"""A strong read speaks for the vehicle at the antenna, a weak one for the one behind it."""
MAYBE_WORTH = 0.3
"""A read while the vehicle may or may not be within reach: between two sensors."""
SLACK = 1.0
"""So many intervals may pass unread at the fringes of the field."""
BURST_READS = 3
BURST_COST, STRAYS_COST = 1.5, 6.0
"""A card shown for a while and put away: what is read in between is looked at alone, at this price, and at that price
more in a lane where every card is read from elsewhere as well."""
SURE = 2.4
"""What a card has to be worth to be somebody's: about two reads and no miss."""
LEAST = 0.8
"""Worth less, and nobody claims it."""


# --- one read --------------------------------------------------------------------------------------------------------


def strength(rssi_dbm: float | None) -> float:
    """Signal strength as a weight: -75 dBm and less is 0.2, -45 dBm and more is 1; unknown is in between."""
    if rssi_dbm is None:
        return 0.6
    level = 0.2 + 0.8 * (rssi_dbm + 75.0) / 30.0
    return 0.2 if level < 0.2 else 1.0 if level > 1.0 else level


def voted(t: Turn, reading: Reading, place: int, level: float) -> tuple[Vote, ...]:
    """The votes after one more counted read at `place`."""
    found: list[Vote] = []
    rest = list(reading.votes)
    tag = reading.seen.what is _TAG
    first_queued = True
    booth, now_s = t.plan.booth, t.now_s
    for passage in t.tracking.passages:
        queued = passage.head == BEFORE
        weight = _weight(t, passage, place, level, first_queued, tag)
        first_queued = first_queued and not queued
        if weight is None:
            continue
        vote = _taken_from(rest, passage.id)
        if queued and tag:
            found.append(_vote(vote.passage, vote.score + weight, vote.reads, vote.at_booth, vote.first_s, vote.last_s))
            continue
        here = passage.tail <= booth <= passage.head
        first_s = vote.first_s if vote.reads else now_s
        found.append(_vote(vote.passage, vote.score + weight, vote.reads + 1, vote.at_booth + here, first_s, now_s))
    return (*rest, *found)[-16:]


def _taken_from(votes: list[Vote], name: str) -> Vote:
    """The vote for this passage, which it takes out; one that says nothing where there is none."""
    for at, vote in enumerate(votes):
        if vote.passage == name:
            return votes.pop(at)
    return _vote(name, 0.0, 0)


def _weight(t: Turn, passage: Passage, place: int, level: float, first_queued: bool, tag: bool) -> float | None:
    """How much a read of this strength at `place` speaks for `passage`; None when it is out of reach."""
    if passage.head == BEFORE:
        return _weight_in_queue(t, passage, place, level, first_queued, tag)
    if passage.gone_s is not None or passage.tail > place or passage.booth_left_s is not None:
        if tag:
            return None
        left_s = passage.booth_left_s if place == t.plan.booth else passage.gone_s
        near = place >= 0 and left_s is not None and t.now_s - left_s <= LINGER_S
        return QUEUE_WEIGHT * level if near else None
    if passage.head >= place:
        return _read_worth(t) + _fits(t, level) if tag else level
    if passage.head == place - 1:
        return _read_worth(t) - _fits(t, level) if tag else 0.6 * (1.1 - level)
    return None


def _read_worth(t: Turn) -> float:
    return READ_WORTH + CALM_WORTH * (1.0 - t.assembly.habits.strays)


def _fits(t: Turn, level: float) -> float:
    """How much better this strength fits to the vehicle at the antenna than to the one behind it, half of it."""
    fits = STRENGTH_WORTH * (level - t.assembly.habits.level)
    return -STRENGTH_MOST if fits < -STRENGTH_MOST else STRENGTH_MOST if fits > STRENGTH_MOST else fits


def _weight_in_queue(t: Turn, passage: Passage, place: int, level: float, first: bool, tag: bool) -> float | None:
    if place == BEFORE:
        last = passage is t.tracking.passages[-1]
        if tag:
            return _read_worth(t) if last else MAYBE_WORTH
        return level if last else QUEUE_WEIGHT * level
    if not first:
        return None
    if tag:
        return MAYBE_WORTH
    # On the way to the first loop: within reach of what looks there; further on it neither helps nor harms.
    return QUEUE_WEIGHT * level if place == 0 else 0.0


# --- all things considered -------------------------------------------------------------------------------------------


def value(t: Turn, reading: Reading, vote: Vote, passage: Passage | None) -> float:
    """How strongly this reading belongs to the passage of `vote`, all things considered.

    Of a passage that has closed (None) this was settled then.
    """
    if reading.seen.what is _PLATE:
        few = vote.reads < reading.counted
        return vote.score * (vote.reads / reading.counted) ** STRAY_POWER if few else vote.score
    if passage is None or passage.reached_s is None:
        return vote.score
    habits = t.assembly.habits
    cadence_s = habits.cadence_s
    on_way_s, at_booth_s = _stay_s(t, passage)
    missed = at_booth_s / cadence_s - SLACK - vote.at_booth
    if missed < 0.0:
        missed = 0.0
    missed_before = on_way_s / cadence_s - SLACK - (vote.reads - vote.at_booth)
    if missed_before > 0.0:
        missed += habits.on_way * missed_before
    if not vote.reads:
        return vote.score - MISS_COST * missed
    whole = vote.score - MISS_COST * missed
    left_s = passage.booth_left_s
    if vote.reads < BURST_READS or (left_s is not None and reading.counted_s > left_s + LINGER_S):
        return whole
    between = (vote.last_s - vote.first_s) / cadence_s + 1.0
    burst = vote.score - MISS_COST * max(0.0, between - vote.reads) - BURST_COST - STRAYS_COST * habits.strays
    return max(burst, whole)


def _stay_s(t: Turn, passage: Passage) -> tuple[float, float]:
    """For how long this vehicle was on its way from the first loop to the booth, and at the booth."""
    reached_s = passage.reached_s if passage.reached_s is not None else t.now_s
    if passage.booth_s is None:
        until_s = passage.adrift_s if passage.adrift_s is not None else t.now_s
        return max(0.0, until_s - reached_s), 0.0
    until_s = passage.booth_left_s if passage.booth_left_s is not None else t.now_s
    return max(0.0, passage.booth_s - reached_s), max(0.0, until_s - passage.booth_s)


def claim(t: Turn, reading: Reading, name: str) -> tuple[float, bool] | None:
    """Whether passage `name` may claim this reading: its value and whether that is ambiguous; None when it may not."""
    if reading.seen.what is _PLATE:
        return _claim_plate(t, reading, name)
    if not reading.votes:
        return None
    mine, others, reads = 0.0, -inf, 0
    for vote in reading.votes:
        worth = value(t, reading, vote, t.passage(vote.passage))
        if vote.passage == name:
            mine, reads = worth, vote.reads
        elif worth > others:
            others = worth
    limits = t.setup.limits
    margin = limits.decision_margin * READ_WORTH
    passage = t.passage(name)
    shown = passage is not None and passage.booth_s is not None and passage.booth_left_s is None and reads > 0
    if (mine < LEAST and not shown) or others - mine > margin:
        return None
    if reading.owner:
        # Its passage has closed with it; only plain evidence makes it this vehicle's as well, and never surely.
        return (mine, True) if mine >= SURE and reads > limits.decision_votes else None
    return mine, mine < SURE or mine - others < margin or reads < limits.decision_votes


def _claim_plate(t: Turn, reading: Reading, name: str) -> tuple[float, bool] | None:
    mine, others = 0.0, 0.0
    for vote in reading.votes:
        worth = value(t, reading, vote, t.passage(vote.passage))
        if vote.passage == name:
            mine = worth
        else:
            others = max(others, worth)
    margin = t.setup.limits.decision_margin
    if mine <= 0.0 or mine * margin < others:
        return None
    return mine, mine < others * margin


# --- what the lane is like -------------------------------------------------------------------------------------------


def heard(habits: Habits, level: float) -> Habits:
    """After one more counted read of this strength: a third of all reads are weaker than `level`."""
    step = LEVEL_STEP * (2.0 if level > habits.level else -1.0) / 3.0
    return _habits(habits.cadence_s, habits.on_way, habits.strays, habits.level + step)


def learnt(t: Turn, passage: Passage) -> Habits:
    """What this vehicle, which is leaving, shows of the lane: by the card that was read most often.

    Each figure moves by little at a time towards what is seen, so that it is the median of many vehicles.
    """
    habits = t.assembly.habits
    on_way_s, at_booth_s = _stay_s(t, passage)
    votes = [v for r in t.assembly.readings for v in r.votes if v.passage == passage.id and r.seen.what is What.TAG]
    most = max(votes, key=lambda v: v.at_booth, default=None)
    if most is None or at_booth_s < LEARNS_FROM_S or most.at_booth < LEARNS_FROM_READS:
        return habits
    seen_s = at_booth_s / most.at_booth
    step_s = max(-CADENCE_STEP_S, min(CADENCE_STEP_S, seen_s - habits.cadence_s))
    cadence_s = min(SLOWEST_S, max(FASTEST_S, habits.cadence_s + step_s))
    on_way = habits.on_way
    if on_way_s > 2 * cadence_s:
        on_way = _moved(on_way, up=most.reads > most.at_booth)
    since_s = passage.reached_s if passage.reached_s is not None else t.now_s
    early = any(r.seen.first_s < since_s - EARLY_S for r in t.assembly.readings if most in r.votes)
    return replace(habits, cadence_s=cadence_s, on_way=on_way, strays=_moved(habits.strays, up=early))


def _moved(share: float, *, up: bool) -> float:
    return min(1.0, max(0.0, share + (2 * SHARE_STEP if up else -SHARE_STEP)))


LEARNS_FROM_S, LEARNS_FROM_READS = 4.0, 3
CADENCE_STEP_S, SHARE_STEP, LEVEL_STEP = 0.05, 0.02, 0.003
EARLY_S = 4.0
"""Read so long before the first loop: that was a stray."""
FASTEST_S, SLOWEST_S = 1.0, 4.0
