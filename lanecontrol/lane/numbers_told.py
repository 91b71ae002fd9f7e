"""What a window that ends is told as: rates from counts and times, and the reason for every figure that is not there.

Pure; called by `lane.numbers` when a window ends: in the lane, and in a recount from its ledger.
"""

from __future__ import annotations

from lanecontrol.announcements import LaneLife, LaneNumbers, Quality
from lanecontrol.figures import Absent, Lasted, QueueEstimate, Served, Stage, StageTimes
from lanecontrol.lane import queue, spread
from lanecontrol.lane.numbers_state import Moment, Numbers, Window

WORKED_S = 30.0
"""A rate per hour wants at least so much time in which vehicles could be let through."""
HEADWAYS = 5
"""A capacity wants at least so many vehicles that followed one another without a gap."""
KNOWN_SHARE = 0.5
"""The approach loop has to be readable for so much of the window."""
_WORST = {quality: rank for rank, quality in enumerate(Quality)}


def told(n: Numbers, moment: Moment) -> LaneNumbers:
    """The figures of the window in `n`, which ends now."""
    window = n.window
    assert window is not None
    absent: list[Absent] = []
    lives = dict(window.lives)
    open_s = lives.get(LaneLife.OPEN.value, 0.0)
    served = sum(count for _, count in window.served)
    throughput = _throughput(window, open_s + lives.get(LaneLife.CLOSING.value, 0.0), served, absent)
    capacity = _capacity(window, absent)
    found = queue.estimate(n.entry, n.life, n.quality, moment.now_s)
    if isinstance(found, Absent):
        absent.append(found)
    return LaneNumbers(
        window=window.number,
        start_utc_s=window.start_utc_s,
        end_utc_s=window.start_utc_s + window.length_s,
        missing_windows=window.missing,
        observed_s=round(window.observed_s, 3),
        unobserved_s=round(window.unobserved_s, 3),
        clock_stepped_s=round(window.stepped_s, 3),
        synchronised=window.synchronised,
        life=n.life,
        lives=_lasted(window.lives),
        open_s=round(open_s, 3),
        quality=_worst(window),
        qualities=_lasted(window.qualities),
        inside_before=window.inside_before,
        opened=window.opened,
        served=served,
        served_as=tuple(Served(lane_type, count) for lane_type, count in window.served),
        uninspected=window.uninspected,
        unreleased=window.unreleased,
        withdrawn=window.withdrawn,
        interrupted=window.interrupted,
        inside_after=_inside(window, served),
        untimed=window.untimed,
        referred=window.referred,
        throughput_per_h=throughput,
        capacity_per_h=capacity,
        saturation=_saturation(throughput, capacity, absent),
        approach_occupied=_approach_occupied(n, absent),
        waiting_mean=_waiting_mean(window, absent),
        waiting_most=window.most_waiting,
        stages=_stages(window, served, absent),
        queue=found if isinstance(found, QueueEstimate) else None,
        absent=tuple(absent),
        at_utc_s=moment.utc_s,
    )


def _lasted(rows: tuple[tuple[str, float], ...]) -> tuple[Lasted, ...]:
    return tuple(Lasted(state, round(lasted_s, 3)) for state, lasted_s in rows if lasted_s > 0)


def _worst(window: Window) -> Quality:
    had = [Quality(state) for state, lasted_s in window.qualities if lasted_s > 0]
    return max(had, key=_WORST.__getitem__, default=Quality.GOOD)


def _inside(window: Window, served: int) -> int:
    gone = served + window.uninspected + window.unreleased + window.withdrawn + window.interrupted
    return window.inside_before + window.opened - gone


def _throughput(window: Window, worked_s: float, served: int, absent: list[Absent]) -> float | None:
    manual_s = dict(window.qualities).get(Quality.MANUAL.value, 0.0)
    if manual_s > 0:
        absent.append(Absent("throughput", f"tracking was MANUAL for {manual_s:.0f} s: not all may have been counted"))
    elif worked_s < WORKED_S:
        absent.append(Absent("throughput", f"open or closing for {worked_s:.0f} s only"))
    else:
        return round(3600 * served / worked_s, 1)
    return None


def _capacity(window: Window, absent: list[Absent]) -> float | None:
    headways = window.spread(Stage.QUEUED_HEADWAY)
    if headways.count >= HEADWAYS and headways.sum_s > 0:
        return round(3600 * headways.count / headways.sum_s, 1)
    count = headways.count
    absent.append(Absent("capacity", f"{count} vehicles came to the booth right behind another; {HEADWAYS} are needed"))
    return None


def _saturation(throughput: float | None, capacity: float | None, absent: list[Absent]) -> float | None:
    if throughput is not None and capacity is not None:
        return round(throughput / capacity, 3)
    absent.append(Absent("saturation", "it needs throughput and capacity"))
    return None


def _approach_occupied(n: Numbers, absent: list[Absent]) -> float | None:
    window, approach = n.window, n.approach
    if window is not None and window.observed_s > 0 and approach.known_s >= KNOWN_SHARE * window.observed_s:
        return round(approach.taken_s / approach.known_s, 4)
    absent.append(Absent("approach_occupied", "there is no loop before the booth that could be read most of the time"))
    return None


def _waiting_mean(window: Window, absent: list[Absent]) -> float | None:
    if window.observed_s > 0:
        return round(window.waited_s / window.observed_s, 3)
    absent.append(Absent("waiting_mean", "nobody observed this window"))
    return None


def _stages(window: Window, served: int, absent: list[Absent]) -> tuple[StageTimes, ...]:
    durations = [(stage, window.spread(stage)) for stage in Stage]
    absent += [Absent(stage.value, _why_untimed(window, served, stage)) for stage, one in durations if not one.count]
    return tuple(spread.told(stage, one) for stage, one in durations if one.count)


def _why_untimed(window: Window, served: int, stage: Stage) -> str:
    if not served:
        return "nobody was served"
    if window.untimed == served:
        return "tracking was not GOOD for any vehicle served"
    return _WHY[stage]


_SEEN_FIRST = "no vehicle was first seen before its first loop"
_WHY = {
    Stage.TO_APPROACH: _SEEN_FIRST,
    Stage.TO_BOOTH: "no vehicle was seen on a loop before the booth's",
    Stage.TO_FIRST_CARD: "no vehicle took a person's card with it",
    Stage.TO_RECOMMENDATION: "no referral was recommended",
    Stage.TO_DECISION: "no officer's decision was timed",
    Stage.TO_REFERRAL: "nobody was referred",
    Stage.SERVICE: "nobody was seen to leave the booth's loop",
    Stage.CLEARING: "there is no loop behind the booth, or it saw nobody leave",
    Stage.CYCLE: "there is no loop behind the booth, or it saw nobody leave",
    Stage.HEADWAY: "nobody came to the booth after another while the lane was open",
    Stage.QUEUED_HEADWAY: "nobody came to the booth right behind another",
}
