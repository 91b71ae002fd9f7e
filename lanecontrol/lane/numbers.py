"""The figures of the lane's traffic, by windows of time: a fold over what the lane itself announces.

Live, `lane.step` gives every step's announcements to `follow`; offline, `lane.recount` gives those of a ledger to the
same fold. So no figure can be typed in, and whoever has the events can check each of them. Only what no event tells
(how long the approach loop was taken) is measured beside it. A step that announces nothing costs nothing here.

Windows go by UTC, in whole multiples of their length since 1970: those of a quarter of an hour are the same in every
time zone in use. What is added up in them is lane time, which setting the clock does not change.
"""

from __future__ import annotations

from collections.abc import Iterable

from lanecontrol.announcements import (
    Announcement,
    ClockStepped,
    LaneLife,
    LaneLifeChanged,
    LaneNumbers,
    LaneStarted,
    PassageAtBooth,
    PassageClosed,
    PassageEnd,
    PassageOpened,
    Quality,
    QualityChanged,
)
from lanecontrol.commands import Disposition
from lanecontrol.events import Started
from lanecontrol.figures import PassageTimes
from lanecontrol.lane import queue
from lanecontrol.lane.effects import Publish
from lanecontrol.lane.numbers_state import Approach, Entry, Moment, Numbers, Spread, Window
from lanecontrol.lane.numbers_told import told
from lanecontrol.lane.record import replace
from lanecontrol.lane.spread import with_one
from lanecontrol.lane.state import LaneState
from lanecontrol.lane.turn import Turn

STEP_S = 1.0
"""UTC that has moved so much against monotonic time since last looked at was set: slewing moves it 0.45 s in 15 min."""
EDGE_S = 0.002
"""A timer may come so early; the window is over all the same."""
_SHORTEST_S, _LONGEST_S = 60.0, 86_400.0
UNKNOWN = "unknown"
"""The lane's life, where a recount began in the middle of it."""

REFERRED = frozenset({Disposition.REFER_SECONDARY, Disposition.REFER_SCANNER, Disposition.REFER_AGRICULTURE})
HEARD = frozenset(
    {
        LaneStarted,
        LaneLifeChanged,
        QualityChanged,
        PassageOpened,
        PassageAtBooth,
        PassageClosed,
    }
)
"""What the fold goes by."""


# --- in the lane -----------------------------------------------------------------------------------------------------


def follow(t: Turn) -> None:
    """The end of a step: take in what it announced, and tell what a window that has ended came to."""
    heard = [e.announcement for e in t.effects if type(e) is Publish and type(e.announcement) in HEARD]
    if not heard and not t.due(t.numbers.wake_s):
        return
    moment = Moment(t.now_s, t.utc_s, t.given.at.synchronised)
    t.numbers, found = after(t.numbers, heard, moment, length_s(t.setup.limits.numbers_window_s))
    for one in found:
        if isinstance(one, ClockStepped):  # first: whatever else this step tells is stamped by the new time already
            t.effects.insert(0, Publish(one))
        else:
            t.tell(one)


def watch_approach(t: Turn, before: LaneState) -> None:
    """A contact changed: was it the loop before the booth?"""
    if t.equipment.contacts is before.equipment.contacts or t.plan.booth < 1:
        return
    taken = t.held(t.plan.booth - 1)
    old = t.numbers.approach
    if type(t.given.event) is Started:
        t.numbers = replace(t.numbers, approach=replace(old, taken=None, since_s=t.now_s))
    elif taken is not old.taken:
        t.numbers = replace(t.numbers, approach=replace(_credited(old, t.now_s), taken=taken))


def _credited(approach: Approach, now_s: float) -> Approach:
    lasted_s = max(0.0, now_s - approach.since_s)
    return Approach(
        approach.taken,
        now_s,
        approach.taken_s + (lasted_s if approach.taken else 0.0),
        approach.known_s + (lasted_s if approach.taken is not None else 0.0),
    )


# --- the fold --------------------------------------------------------------------------------------------------------


def after(
    n: Numbers, heard: Iterable[Announcement], moment: Moment, window_s: float
) -> tuple[Numbers, list[Announcement]]:
    """The numbers after one step's announcements, and what follows: windows that ended, a clock that was set. Pure."""
    found: list[Announcement] = []
    heard = list(heard)
    start = next((one for one in heard if isinstance(one, LaneStarted)), None)
    if start is not None and (start.cold or n.window is None):
        n = begun(moment, window_s, LaneLife.CLOSED)
    elif n.window is None:
        return n, found
    stepped_s = _stepped_s(n, moment)
    if stepped_s:
        found.append(ClockStepped(round(stepped_s, 6), moment.utc_s))
    if stepped_s or not moment.synchronised:
        n = _with_clock(n, moment, abs(stepped_s))
    n = _on_to(n, moment, window_s, found, observed=start is None, stepped_s=abs(stepped_s))
    for one in heard:
        n = hear(n, one, moment.now_s)
    return n, found


def begun(moment: Moment, window_s: float, life: LaneLife | None, quality: Quality = Quality.GOOD) -> Numbers:
    """The first window, from now on."""
    start_utc_s = _start_of(moment.utc_s, window_s)
    return Numbers(
        window=Window(1, start_utc_s, window_s),
        at_s=moment.now_s,
        anchor_s=moment.utc_s - moment.now_s,
        life=life,
        quality=quality,
        entry=Entry(empty_s=moment.now_s),
        approach=Approach(since_s=moment.now_s),
        wake_s=moment.now_s + start_utc_s + window_s - moment.utc_s,
    )


def length_s(wanted_s: float) -> float:
    """A window's length: what the lane file wants, within what makes sense."""
    return min(_LONGEST_S, max(_SHORTEST_S, wanted_s))


def _start_of(utc_s: float, window_s: float) -> float:
    return (utc_s + EDGE_S) // window_s * window_s


def _stepped_s(n: Numbers, moment: Moment) -> float:
    """By how much the clock was set since last looked at; 0 where it was not."""
    by_s = moment.utc_s - moment.now_s - n.anchor_s
    return by_s if abs(by_s) > STEP_S else 0.0


def _with_clock(n: Numbers, moment: Moment, stepped_s: float) -> Numbers:
    window = n.window
    assert window is not None
    synchronised = window.synchronised and moment.synchronised
    window = replace(window, stepped_s=window.stepped_s + stepped_s, synchronised=synchronised)
    return replace(n, window=window)


def _on_to(
    n: Numbers, moment: Moment, window_s: float, found: list[Announcement], *, observed: bool, stepped_s: float
) -> Numbers:
    """Add the time since last, to this window or to two, and end the window if it is over."""
    window = n.window
    assert window is not None
    passed_s = max(0.0, moment.now_s - n.at_s)
    beyond_s = max(0.0, moment.utc_s - (window.start_utc_s + window.length_s))
    if window.start_utc_s <= moment.utc_s + EDGE_S < window.start_utc_s + window.length_s:
        n = _with_time(n, passed_s, observed=observed)
    else:
        n = _with_time(n, max(0.0, passed_s - beyond_s), observed=observed)
        n = replace(n, entry=queue.settled(n.entry, n.life, n.quality, moment.now_s))
        n = replace(n, approach=_credited(n.approach, moment.now_s))
        ended = told(n, moment)
        found.append(ended)
        start_utc_s = _start_of(moment.utc_s, window_s)
        n = _next_window(n, ended, start_utc_s, window_s, stepped_s)
        within_s = max(0.0, min(passed_s, beyond_s, moment.utc_s - start_utc_s))
        n = _with_time(n, within_s, observed=observed)
    assert n.window is not None
    end_utc_s = n.window.start_utc_s + n.window.length_s
    anchor_s = moment.utc_s - moment.now_s
    return replace(n, at_s=moment.now_s, anchor_s=anchor_s, wake_s=end_utc_s - anchor_s)


def _next_window(n: Numbers, ended: LaneNumbers, start_utc_s: float, window_s: float, stepped_s: float) -> Numbers:
    """A new window in place of the one that has ended."""
    window = Window(
        number=ended.window + 1,
        start_utc_s=start_utc_s,
        length_s=window_s,
        missing=max(0, round((start_utc_s - ended.end_utc_s) / window_s)),
        stepped_s=stepped_s,
        inside_before=ended.inside_after,
        most_waiting=len(n.entry.waiting),
    )
    return replace(n, window=window, approach=replace(n.approach, taken_s=0.0, known_s=0.0))


def _with_time(n: Numbers, lasted_s: float, *, observed: bool) -> Numbers:
    """The window with so much more time in it, in the state that held meanwhile."""
    window = n.window
    assert window is not None
    if not observed:
        return replace(n, window=replace(window, unobserved_s=window.unobserved_s + lasted_s))
    life = n.life.value if n.life is not None else UNKNOWN
    window = replace(
        window,
        observed_s=window.observed_s + lasted_s,
        lives=_more(window.lives, life, lasted_s),
        qualities=_more(window.qualities, n.quality.value, lasted_s),
        waited_s=window.waited_s + lasted_s * len(n.entry.waiting),
    )
    return replace(n, window=window)


def _more(rows: tuple[tuple[str, float], ...], state: str, lasted_s: float) -> tuple[tuple[str, float], ...]:
    if len(rows) == 1 and rows[0][0] == state:
        return ((state, rows[0][1] + lasted_s),)
    found = dict(rows)
    found[state] = found.get(state, 0.0) + lasted_s
    return tuple(found.items())


# --- one announcement ------------------------------------------------------------------------------------------------


def hear(n: Numbers, heard: Announcement, now_s: float) -> Numbers:
    """Count one announcement. The window is the one it belongs to."""
    match heard:
        case PassageOpened():
            return _opened(n, heard.passage, now_s)
        case PassageAtBooth():
            return replace(n, entry=queue.at_booth(n.entry, heard.passage, now_s))
        case PassageClosed():
            return _closed(n, heard, now_s)
        case LaneLifeChanged():
            ahead = n.ahead if heard.life in (LaneLife.OPEN, LaneLife.CLOSING) else None
            return replace(n, life=heard.life, entry=queue.begun_again(n.entry, now_s), ahead=ahead)
        case QualityChanged():
            return replace(n, quality=heard.quality, entry=queue.begun_again(n.entry, now_s))
        case LaneStarted():
            return replace(n, entry=queue.begun_again(n.entry, now_s), ahead=None)
        case _:
            return n


def _opened(n: Numbers, passage: str, now_s: float) -> Numbers:
    window = n.window
    assert window is not None
    entry = queue.opened(queue.settled(n.entry, n.life, n.quality, now_s), passage, now_s)
    most = max(window.most_waiting, len(entry.waiting))
    return replace(n, window=replace(window, opened=window.opened + 1, most_waiting=most), entry=entry)


def _closed(n: Numbers, closed: PassageClosed, now_s: float) -> Numbers:
    window = n.window
    assert window is not None
    n = replace(n, entry=queue.closed(n.entry, closed.passage, now_s))
    match closed.end:
        case PassageEnd.WITHDRAWN:
            return replace(n, window=replace(window, withdrawn=window.withdrawn + 1))
        case PassageEnd.INTERRUPTED:
            return replace(n, window=replace(window, interrupted=window.interrupted + 1))
        case PassageEnd.UNRELEASED:
            return replace(n, window=replace(window, unreleased=window.unreleased + 1))
        case PassageEnd.COMPLETE:
            return replace(n, window=_left(window, closed))


def _left(window: Window, closed: PassageClosed) -> Window:
    """A vehicle was disposed of and has gone."""
    disposition = closed.disposition.disposition if closed.disposition is not None else None
    if disposition is Disposition.LANE_PASS_UNINSPECTED:
        return replace(window, uninspected=window.uninspected + 1)
    served = dict(window.served)
    served[closed.lane_type.value] = served.get(closed.lane_type.value, 0) + 1
    window = replace(window, served=tuple(served.items()), referred=window.referred + (disposition in REFERRED))
    if closed.quality is not Quality.GOOD:
        return replace(window, untimed=window.untimed + 1)
    return replace(window, spreads=_with_times(window.spreads, closed.times))


def _with_times(spreads: tuple[Spread, ...], times: PassageTimes) -> tuple[Spread, ...]:
    all_s = _all_s(times)
    return tuple(
        [old if lasted_s is None else with_one(old, lasted_s) for old, lasted_s in zip(spreads, all_s, strict=True)]
    )


def _all_s(t: PassageTimes) -> tuple[float | None, ...]:
    """In the order of the stages."""
    return (
        t.to_approach_s,
        t.to_booth_s,
        t.to_first_card_s,
        t.to_recommendation_s,
        t.to_decision_s,
        t.to_referral_s,
        t.service_s,
        t.clearing_s,
        t.cycle_s,
        t.headway_s,
        t.headway_s if t.queued else None,
    )
