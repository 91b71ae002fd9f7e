"""How many vehicles wait to come to the booth: those in sight are tracked, those before the first sensor estimated.

Method `clear-entry/1`. Whenever nobody has been between the first sensor and the booth for `CLEAR_S`, nobody can be
waiting before it either: whoever was would have moved up. Between two such *clear moments* everybody who arrived was
also seen, so that arrivals per hour come out unbiased whatever the queue did in between. Since the last one, arrivals
at that rate less the vehicles seen are those out of sight, with the scatter of Poisson arrivals and of the rate itself.
It is a count of vehicles. A waiting time would need to know how fast the queue moves from now on, and is never claimed.

Pure; called by `lane.numbers` for every passage opened, come to the booth, or closed, and when a window ends.
"""

from __future__ import annotations

import math

from lanecontrol.announcements import LaneLife, Quality
from lanecontrol.figures import Absent, QueueClaim, QueueEstimate
from lanecontrol.lane.numbers_state import Entry
from lanecontrol.lane.record import replace

METHOD = "clear-entry/1"
CLEAR_S = 4.0
"""Whoever stood before an empty entry has come into it by then: reaction, and a few metres from standing."""
ROLLING_S = 8.0
"""Who was first seen less than this ago may still be rolling, and not wait at all: an estimate counts half of it."""
KNOWN_S = 120.0
"""Time between clear moments that a rate of arrivals needs."""
MEMORY_S = 900.0
"""Arrivals per hour are those of the last one to two such times, as far as clear moments enclose them."""
AHEAD_S = 300.0
"""A rate is not carried on for longer than this, nor for longer than it was measured."""
DEVIATIONS = 1.645
"""Of a normal distribution, one-sided 95 %."""
EXACT_S = 0.001
"""Events are stamped to the microsecond: a recount must come to the same side of every limit."""
MAX_KEPT = 64


# --- what is seen ----------------------------------------------------------------------------------------------------


def opened(entry: Entry, passage: str, now_s: float) -> Entry:
    """A vehicle is seen for the first time. `entry` is settled."""
    waiting = (*entry.waiting, (passage, now_s))[-MAX_KEPT:]
    return replace(entry, waiting=waiting, empty_s=None, arrived=entry.arrived + 1)


def at_booth(entry: Entry, passage: str, now_s: float) -> Entry:
    """It has come to the booth."""
    return replace(_without(entry, passage, now_s), at_booth=(*entry.at_booth, passage)[-MAX_KEPT:])


def closed(entry: Entry, passage: str, now_s: float) -> Entry:
    """It has left, or is nobody."""
    entry = _without(entry, passage, now_s)
    return replace(entry, at_booth=tuple(name for name in entry.at_booth if name != passage))


def _without(entry: Entry, passage: str, now_s: float) -> Entry:
    waiting = tuple(row for row in entry.waiting if row[0] != passage)
    empty_s = entry.empty_s if entry.empty_s is not None or waiting else now_s
    return replace(entry, waiting=waiting, empty_s=empty_s)


def settled(entry: Entry, life: LaneLife | None, quality: Quality, now_s: float) -> Entry:
    """The same with a clear moment now, if there is one."""
    if entry.empty_s is None or now_s - entry.empty_s < CLEAR_S - EXACT_S or not _known(life, quality):
        return entry
    spans = entry.spans
    if entry.clear_s is not None:
        lasted_s, arrived = spans[0]
        spans = ((lasted_s + now_s - entry.clear_s, arrived + entry.arrived), spans[1])
        if spans[0][0] >= MEMORY_S - EXACT_S:
            spans = ((0.0, 0), spans[0])
    return replace(entry, clear_s=now_s, arrived=0, spans=spans)


def begun_again(entry: Entry, now_s: float) -> Entry:
    """The lane opened, or was not to be relied upon meanwhile: nothing is known of those out of sight."""
    return replace(entry, clear_s=None, arrived=0, empty_s=None if entry.waiting else now_s)


def _known(life: LaneLife | None, quality: Quality) -> bool:
    return life is LaneLife.OPEN and quality is Quality.GOOD


# --- what follows ----------------------------------------------------------------------------------------------------


def estimate(entry: Entry, life: LaneLife | None, quality: Quality, now_s: float) -> QueueEstimate | Absent:
    """The queue now, or why there is no telling. `entry` is settled."""
    if life is not LaneLife.OPEN:
        return Absent("queue", "the lane is not open")
    if quality is not Quality.GOOD:
        return Absent("queue", f"tracking is {quality.value}")
    in_sight, surely = _in_sight(entry, now_s)
    lasted_s = entry.spans[0][0] + entry.spans[1][0]
    arrived = entry.spans[0][1] + entry.spans[1][1]
    per_h = round(3600 * arrived / lasted_s, 1) if lasted_s >= KNOWN_S - EXACT_S else None
    since_s = now_s - entry.clear_s if entry.clear_s is not None else None
    if per_h is None or since_s is None or since_s > min(AHEAD_S, lasted_s) + EXACT_S:
        rounded_s = None if since_s is None else round(since_s, 1)
        claim = QueueClaim.AT_LEAST
        return QueueEstimate(METHOD, claim, surely, surely, None, in_sight, per_h, rounded_s)
    unseen, most = _out_of_sight(arrived / lasted_s, lasted_s, since_s, entry.arrived)
    return QueueEstimate(
        METHOD,
        QueueClaim.ESTIMATE,
        round((in_sight + surely) / 2 + unseen, 1),
        surely,
        in_sight + most,
        in_sight,
        per_h,
        round(since_s, 1),
    )


def _in_sight(entry: Entry, now_s: float) -> tuple[int, int]:
    """How many wait in sight, and how many of them surely: whoever has nobody ahead drives up and does not wait."""
    free = 0 if entry.at_booth else 1
    standing = sum(1 for _, since_s in entry.waiting if now_s - since_s >= ROLLING_S - EXACT_S)
    return max(0, len(entry.waiting) - free), max(0, standing - free)


def _out_of_sight(per_s: float, lasted_s: float, since_s: float, seen: int) -> tuple[float, int]:
    """Arrivals since the last clear moment beyond those seen: on average, and at most.

    Arrivals taken as normal with the variance of a Poisson count whose rate was itself counted in `lasted_s`; on
    average those cases count as 0 in which fewer came than were seen.
    """
    mean = per_s * since_s
    deviation = math.sqrt(mean * (1.0 + since_s / lasted_s))
    beyond = mean - seen
    if deviation < 1e-9:
        return max(0.0, beyond), max(0, math.ceil(beyond))
    z = beyond / deviation
    density = math.exp(-z * z / 2.0) / math.sqrt(2.0 * math.pi)
    share = 0.5 * (1.0 + math.erf(z / math.sqrt(2.0)))
    return deviation * density + beyond * share, max(0, math.ceil(beyond + DEVIATIONS * deviation))
