"""How strongly a card or plate belongs to a vehicle: what a read says, and what not being read says.

A read speaks for the passages within the sensor's reach by place and strength. Three things speak against a passage:
reads at moments when it was not within reach, standing at the booth unread before the first or after the last read,
and being read far less often than a card in the field would be (reads from the wrong zone are rare and scattered).
Used by `lane.assembly` alone.
"""

from __future__ import annotations

from math import exp

from lanecontrol.lane.plan import BEFORE
from lanecontrol.lane.state import Passage, Reading, Vote, What
from lanecontrol.lane.turn import Turn

LINGER_S = 1.0
"""A card may still answer this long after its vehicle has left the booth loop: the field ends behind it."""
STRAY_POWER = 4
"""The part of the counted reads at which the passage was within reach, to this power: a card that is read as often
without its supposed vehicle is worth a sixteenth, one stray read in ten hardly matters."""
ONE_READ_S = 1.1
"""A card that lies in the field is counted about this often."""
ROW_S = 2.4
"""Counted reads no further apart than this are in a row: one in between may have been missed."""
THIN, FULL = 0.45, 0.7
"""Read at less than the first part of the times one would expect, a card is not in this vehicle; from the second on
it plainly may be. Reads from the wrong zone come to about a tenth. A row of four says the same: it was shown and put
away again."""
UNREAD_FREE_S = 1.5
UNREAD_SCALE_S = 3.0
UNREAD_LEAST = 0.05
"""Standing at the booth unread costs exp(-t/3 s) beyond the first 1.5 s, but never more than a factor of 20: a card
may have been put away."""
QUEUE_WEIGHT = 0.3


# --- one read --------------------------------------------------------------------------------------------------------


def strength(rssi_dbm: float | None) -> float:
    """Signal strength as a weight: -75 dBm and less is 0.2, -45 dBm and more is 1; unknown is in between."""
    if rssi_dbm is None:
        return 0.6
    return min(1.0, max(0.2, 0.2 + 0.8 * (rssi_dbm + 75.0) / 30.0))


def voted(t: Turn, reading: Reading, place: int, level: float) -> tuple[Vote, ...]:
    """The votes after one more counted read at `place`."""
    found: list[Vote] = []
    rest = list(reading.votes)
    in_a_row = t.now_s - reading.counted_s <= ROW_S
    first_queued = True
    booth = t.plan.booth
    for passage in t.tracking.passages:
        queued = passage.head == BEFORE
        weight = _weight(t, passage, place, level, first_queued)
        first_queued = first_queued and not queued
        if weight is None:
            continue
        vote = next((v for v in rest if v.passage == passage.id), None)
        here = passage.tail <= booth <= passage.head
        if vote is None:
            found.append(Vote(passage.id, weight, 1, int(here)))
        else:
            rest.remove(vote)
            row = vote.row + 1 if in_a_row else 1
            longest = max(row, vote.longest_row)
            found.append(Vote(passage.id, vote.score + weight, vote.reads + 1, vote.at_booth + here, row, longest))
    return (*rest, *found)[-16:]


def _weight(t: Turn, passage: Passage, place: int, level: float, first_queued: bool) -> float | None:
    """How much a read of this strength at `place` speaks for `passage`; None when it is out of reach.

    The one standing right behind is read more weakly, so for it a weak read speaks louder than a strong one.
    """
    if passage.head == BEFORE:
        return _weight_in_queue(t, passage, place, level, first_queued)
    if passage.gone_s is not None or passage.tail > place or passage.booth_left_s is not None:
        left_s = passage.booth_left_s if place == t.plan.booth else passage.gone_s
        near = place >= 0 and left_s is not None and t.now_s - left_s <= LINGER_S
        return QUEUE_WEIGHT * level if near else None
    if passage.head >= place:
        return level
    if passage.head == place - 1:
        return 0.6 * (1.1 - level)
    return None


def _weight_in_queue(t: Turn, passage: Passage, place: int, level: float, first: bool) -> float | None:
    if place == BEFORE:
        return level if passage is t.tracking.passages[-1] else QUEUE_WEIGHT * level
    if not first:
        return None
    # On the way to the first loop: within reach of what looks there; further on it neither helps nor harms.
    return QUEUE_WEIGHT * level if place == 0 else 0.0


# --- all things considered -------------------------------------------------------------------------------------------


def value(t: Turn, reading: Reading, vote: Vote, passage: Passage | None) -> float:
    """How strongly this reading belongs to the passage of `vote`, all things considered.

    Of a passage that has closed (None) the score was settled then; only what was read since speaks against it.
    """
    score = vote.score
    if vote.reads < reading.counted:
        score *= (vote.reads / reading.counted) ** STRAY_POWER
    if passage is None or passage.booth_s is None or score == 0.0 or reading.seen.what is What.PLATE:
        return score
    until_s = passage.booth_left_s if passage.booth_left_s is not None else t.now_s
    stay_s = max(0.0, until_s - passage.booth_s)
    unread_s = max(0.0, reading.seen.first_s - passage.booth_s) + max(0.0, until_s - reading.last_s)
    unread_s = min(stay_s, unread_s) - UNREAD_FREE_S
    if unread_s > 0:
        score *= max(UNREAD_LEAST, exp(-unread_s / UNREAD_SCALE_S))
    density = _dense(t, vote, passage)
    return score * (density if passage.booth_left_s is not None else max(UNREAD_LEAST, density))


def _dense(t: Turn, vote: Vote, passage: Passage) -> float:
    """0 to 1: whether a card of this vehicle would have been read as often as this."""
    if passage.booth_s is None:
        return 1.0
    until_s = passage.booth_left_s if passage.booth_left_s is not None else t.now_s
    since_s = passage.reached_s if passage.reached_s is not None else passage.booth_s
    shown = min(1.0, max(0, vote.longest_row - 2) / 2)
    at_booth = _density(vote.at_booth, max(0.0, until_s - passage.booth_s))
    return max(shown, at_booth, _density(vote.reads, max(0.0, until_s - since_s)))


def _density(reads: int, during_s: float) -> float:
    """0 to 1: whether so many counted reads in this time are what a card in the field would give."""
    part = (reads + 1) / (during_s / ONE_READ_S + 1)
    return min(1.0, max(0.0, (part - THIN) / (FULL - THIN)))


def claim(t: Turn, reading: Reading, name: str) -> tuple[float, bool] | None:
    """Whether passage `name` may claim this reading: its value and whether that is ambiguous; None when it may not."""
    mine, others, reads, thin = 0.0, 0.0, 0, False
    tag = reading.seen.what is What.TAG
    for vote in reading.votes:
        passage = t.passage(vote.passage)
        worth = value(t, reading, vote, passage)
        if vote.passage == name:
            mine, reads = worth, vote.reads
            thin = tag and passage is not None and _dense(t, vote, passage) == 0.0
        else:
            others = max(others, worth)
    limits = t.setup.limits
    if mine <= 0.0 or mine * limits.decision_margin < others:
        return None
    if reading.owner:
        # Its passage has closed with it; only plain evidence makes it this vehicle's as well, and never surely.
        return (mine, True) if reads > limits.decision_votes else None
    needed = limits.decision_votes if tag and others > 0.0 else 1
    return mine, thin or mine < others * limits.decision_margin or reads < needed
