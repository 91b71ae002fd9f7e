"""What one reading of an Aspect portal after the other means: occupancies, counts, backgrounds, faults.

Pure: called by the `rpm.aspect` session with each fresh sample and its moment. Must never be given a sample twice, and
never decide on an alarm: the portal's own alarm bits are passed on as they come and go. One that stands when a vehicle
comes is told again, for it is an alarm of that occupancy too.

The lane speaks of gamma counts in intervals of 200 ms and neutron counts in seconds. The portal holds counts of some
time of its own (a setting): they are scaled, and reported at the lane's pace however often the portal is asked.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from drivers.rpm_aspect_codec import Channel, Inputs, Monitor, Status, has_restarted
from lanecontrol.events import (
    DeviceFault,
    GammaBackground,
    GammaCounts,
    Level,
    NeutronBackground,
    NeutronCounts,
    OccupancyEnded,
    PortalAlarm,
    PortalExtra,
    PortalSide,
    PortalSpeed,
    PortalTamper,
)

PortalEvent = (
    GammaBackground
    | NeutronBackground
    | GammaCounts
    | NeutronCounts
    | PortalAlarm
    | PortalSpeed
    | OccupancyEnded
    | PortalTamper
    | PortalExtra
    | DeviceFault
)

_GAMMA_S = 0.2
_NEUTRON_S = 1.0
_HISTORY = 5
"""Intervals kept from before the occupancy: the lane takes its first counts to begin 1 s before it."""
_EARLY_S = 0.05
"""Samples may come this much early; half of the shortest time between two."""
_MOST_COUNTS = 10**9
"""More is taken for nonsense by whoever reckons with it, and its alarm would be lost."""

STALE = "stale"

_INPUT_FAULTS = (
    (Inputs.POWER_FAIL, "power_fail", "the portal has lost its mains"),
    (Inputs.LOW_BATTERY, "low_battery", "the portal's battery is low"),
    (Inputs.ERROR, "error", "the portal reports an error"),
)
_RESTARTED = "restarted"


@dataclass(frozen=True, slots=True)
class Ways:
    """How the portal is to be understood."""

    count_time_s: float
    neutron: bool
    end_hold_s: float
    background_s: float


class Memory:
    """What outlives a session: the last reading, and the alarms and faults that the lane knows of."""

    def __init__(self) -> None:
        self.last: Monitor | None = None
        self.alarms: dict[PortalSide, bool] = {}
        self._told: dict[str, bool] = {}

    def settle(self, active: dict[str, str], known: tuple[str, ...]) -> list[PortalEvent]:
        """Reports of what changed. What no report told of yet is told in any case: a process before this one may
        have left it standing at the lane."""
        changed = [code for code in known if self._told.get(code) is not (code in active)]
        self._told.update((code, code in active) for code in changed)
        return [DeviceFault(code, active.get(code, ""), code in active) for code in changed]


class Watch:
    """One session's view of the portal."""

    def __init__(self, ways: Ways, memory: Memory) -> None:
        self._ways, self._memory = ways, memory
        self._before: Monitor | None = None
        self._history: deque[GammaCounts] = deque(maxlen=_HISTORY)
        self._occupancy: _Occupancy | None = None
        self._tamper: bool | None = None
        self._background_due_s = 0.0
        self._levels: tuple[Level, Level] | None = None
        self._codes = tuple(code for code, _ in _conditions(ways.neutron))

    @property
    def occupied(self) -> bool:
        return self._occupancy is not None

    def sees_restart(self, sample: Monitor) -> bool:
        """Whether the portal has started anew since the sample before: nothing that was learnt of it holds on."""
        return self._before is not None and has_restarted(self._before.elapsed, sample.elapsed)

    def take(self, now_s: float, sample: Monitor) -> list[PortalEvent]:
        """The facts in a fresh sample, in the order in which they are to be told."""
        memory, before = self._memory, self._before
        restarted = before is None and memory.last is not None and has_restarted(memory.last.elapsed, sample.elapsed)
        memory.last = self._before = sample
        told = self._backgrounds(now_s, sample)
        begins = sample.occupied or (before is not None and before.object_counter != sample.object_counter)
        begins = begins and self._occupancy is None
        if begins:
            told += self._begin(now_s, sample)
        if self._occupancy is not None:
            told += self._occupancy.counts(now_s, sample)
        else:
            self._history.append(GammaCounts((scaled(sample.gamma, _GAMMA_S, self._ways),), alarm=False))
        told += self._alarms(sample, again=begins)
        told += self._end(now_s, sample)
        told += self._door(sample)
        told += memory.settle(self._faults(sample, restarted), self._codes)
        return told

    def grow_stale(self, why: str) -> list[PortalEvent]:
        """No fresh sample for too long. Intervals with a gap are no history."""
        self._history.clear()
        return self._memory.settle({STALE: why}, (STALE,))

    # --- occupancies -----------------------------------------------------------------------------------------------

    def _begin(self, now_s: float, sample: Monitor) -> list[PortalEvent]:
        """The intervals from just before the vehicle came."""
        self._occupancy = _Occupancy(self._ways, now_s, sample)
        history: list[PortalEvent] = list(self._history)
        self._history.clear()
        return history

    def _alarms(self, sample: Monitor, *, again: bool) -> list[PortalEvent]:
        """Alarms that came or went; and, `again`, those that stand as a vehicle comes."""
        told: list[PortalEvent] = []
        for side, channel in _sides(sample, self._ways):
            if self._memory.alarms.get(side) is not channel.alarm or (again and channel.alarm):
                self._memory.alarms[side] = channel.alarm
                told.append(PortalAlarm(side, channel.alarm))
        return told

    def _end(self, now_s: float, sample: Monitor) -> list[PortalEvent]:
        if self._occupancy is None or not self._occupancy.is_over(now_s, sample):
            return []
        told, self._occupancy = self._occupancy.end(sample), None
        return told

    # --- backgrounds and faults ------------------------------------------------------------------------------------

    def _backgrounds(self, now_s: float, sample: Monitor) -> list[PortalEvent]:
        """Now and then while vacant; at once at the start of a session, and when a fault of the count comes or goes."""
        levels = (_level(sample.gamma), _level(sample.neutron))
        vacant = not self.occupied and not sample.occupied
        if levels == self._levels and (not vacant or now_s < self._background_due_s):
            return []
        self._levels = levels
        self._background_due_s = now_s + self._ways.background_s - _EARLY_S
        told: list[PortalEvent] = []
        gamma, neutron = (_cps(channel, self._ways) for channel in (sample.gamma, sample.neutron))
        if neutron is not None and self._ways.neutron:
            told.append(NeutronBackground((neutron,), levels[1], exact=True))
        if gamma is not None:
            told.append(GammaBackground((round(gamma),), levels[0]))
        return told

    def _door(self, sample: Monitor) -> list[PortalEvent]:
        opened = bool(sample.inputs & Inputs.OPEN)
        if opened is self._tamper:
            return []
        self._tamper = opened
        return [PortalTamper(opened)]

    def _faults(self, sample: Monitor, restarted: bool) -> dict[str, str]:
        """What the portal complains of now, with the words for it."""
        words = dict(_conditions(self._ways.neutron))
        active = {code for bit, code, _ in _INPUT_FAULTS if sample.inputs & bit}
        for name, channel in _sides(sample, self._ways):
            if channel.status & Status.OVERLOAD:
                active.add(f"{name}_overload")
            if not channel.ready:
                active.add(f"{name}_not_ready")
            if channel.background is None:
                active.add(f"{name}_background")
        if restarted:
            active.add(_RESTARTED)
        return {code: text for code, text in words.items() if code in active}


class _Occupancy:
    """A vehicle in the portal."""

    def __init__(self, ways: Ways, now_s: float, sample: Monitor) -> None:
        self._ways = ways
        self._clear_s: float | None = None
        self._gamma_due_s = self._neutron_due_s = now_s
        self._direction = Inputs(0)
        self._speed_mm_s = sample.object_speed_mm_s

    def counts(self, now_s: float, sample: Monitor) -> list[PortalEvent]:
        """Counts at the lane's pace, and the speed."""
        self._direction |= sample.direction
        told: list[PortalEvent] = []
        if now_s >= self._gamma_due_s:
            self._gamma_due_s = now_s + _GAMMA_S - _EARLY_S
            told.append(GammaCounts((scaled(sample.gamma, _GAMMA_S, self._ways),), alarm=False))
        if self._ways.neutron and now_s >= self._neutron_due_s:
            self._neutron_due_s = now_s + _NEUTRON_S - _EARLY_S
            told.append(NeutronCounts((scaled(sample.neutron, _NEUTRON_S, self._ways),), alarm=False))
        return told + self._speed(sample)

    def is_over(self, now_s: float, sample: Monitor) -> bool:
        if sample.occupied:
            self._clear_s = None
        elif self._clear_s is None:
            self._clear_s = now_s
        return self._clear_s is not None and now_s - self._clear_s >= self._ways.end_hold_s - _EARLY_S

    def _speed(self, sample: Monitor) -> list[PortalEvent]:
        """A speed that does not change is the one of the vehicle before, as far as anybody can tell."""
        if sample.object_speed_mm_s == self._speed_mm_s:
            return []
        self._speed_mm_s = sample.object_speed_mm_s
        return [PortalSpeed(self._speed_mm_s / 1000 if self._speed_mm_s else None)]

    def end(self, sample: Monitor) -> list[PortalEvent]:
        """What is told of a vehicle that has left."""
        facts = (sample.object_counter, sample.object_mark, sample.object_speed_mm_s, _way(self._direction))
        neutron_cps = _cps(sample.neutron, self._ways) if self._ways.neutron else None
        return [PortalExtra("OBJECT", tuple(map(str, facts))), OccupancyEnded(sample.object_counter, neutron_cps)]


# --- single values ---------------------------------------------------------------------------------------------------


def _sides(sample: Monitor, ways: Ways) -> tuple[tuple[PortalSide, Channel], ...]:
    gamma = (PortalSide.GAMMA, sample.gamma)
    return (gamma, (PortalSide.NEUTRON, sample.neutron)) if ways.neutron else (gamma,)


def scaled(channel: Channel, time_s: float, ways: Ways) -> int:
    """The channel's counts as if they were of `time_s`."""
    return min(round(channel.count * time_s / ways.count_time_s), _MOST_COUNTS)


def _cps(channel: Channel, ways: Ways) -> float | None:
    """The background, where there is one: a channel that is not ready still gathers it."""
    if channel.background is None or not channel.ready:
        return None
    return min(channel.background / ways.count_time_s, float(_MOST_COUNTS))


def _level(channel: Channel) -> Level:
    if channel.status & Status.HIGH_COUNT:
        return Level.HIGH
    return Level.LOW if channel.status & Status.LOW_COUNT else Level.NORMAL


def _way(direction: Inputs) -> str:
    match direction:
        case Inputs.DIR01:
            return "01"
        case Inputs.DIR10:
            return "10"
        case _:
            return "unknown"


def _conditions(neutron: bool) -> list[tuple[str, str]]:
    """Codes of all the faults that a sample decides on, with words for them."""
    found = [(code, words) for _, code, words in _INPUT_FAULTS]
    for name in ("gamma", "neutron") if neutron else ("gamma",):
        found += [
            (f"{name}_overload", f"the {name} channel is overloaded"),
            (f"{name}_not_ready", f"the {name} channel is not ready"),
            (f"{name}_background", f"the {name} background is no usable number"),
        ]
    return [*found, (_RESTARTED, "the portal has restarted"), (STALE, "no fresh values")]
