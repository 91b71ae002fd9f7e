"""Alarms: raised at once, silenced by a person, ended when what is behind them is settled.

An alarm ends when three things hold: the occupancy or the fault it came from is over, every passage it names is closed
or has a disposition, and somebody answered for it: acknowledged it, or disposed of one of its passages with the alarm
on the table. A vehicle that backed out with an alarm answers to nobody, so its alarm waits for an acknowledgement.
"""

from __future__ import annotations

from lanecontrol.announcements import AlarmAcknowledged, AlarmEnded, AlarmKind, AlarmRaised, Severity
from lanecontrol.commands import Actor
from lanecontrol.lane.record import replace
from lanecontrol.lane.state import MAX_ALARMS, Alarm
from lanecontrol.lane.turn import Turn


def raise_alarm(
    t: Turn,
    kind: AlarmKind,
    device: str,
    passages: tuple[str, ...],
    occupancy: str = "",
    cause: str = "",
    *,
    severity: Severity = Severity.HIGH,
) -> None:
    number = t.counters.alarms + 1
    t.counters = replace(t.counters, alarms=number)
    name = f"{t.setup.lane}-a{number:06d}"
    alarm = Alarm(name, kind, occupancy, passages, active=bool(occupancy or cause), cause=cause)
    while len(t.desk.alarms) >= MAX_ALARMS:
        _end(t, next((a for a in t.desk.alarms if a.acknowledged), t.desk.alarms[0]))
    t.desk = replace(t.desk, alarms=(*t.desk.alarms, alarm))
    t.tell(AlarmRaised(name, kind, device, t.utc_s, passages, occupancy, severity))


def concern(t: Turn, occupancy: str, passage: str) -> None:
    """Alarms of this occupancy concern one more passage."""
    t.desk = replace(
        t.desk,
        alarms=tuple(
            replace(a, passages=(*a.passages, passage)) if a.occupancy == occupancy and passage not in a.passages else a
            for a in t.desk.alarms
        ),
    )


def acknowledge(t: Turn, name: str, actor: Actor) -> bool:
    """Silence an alarm. False when there is none of this name; a second time changes nothing."""
    alarm = next((a for a in t.desk.alarms if a.id == name), None)
    if alarm is None:
        return False
    if not alarm.acknowledged:
        _put(t, replace(alarm, acknowledged=True))
        t.tell(AlarmAcknowledged(name, actor, t.utc_s))
    settle(t)
    return True


def disposed(t: Turn, passage: str) -> None:
    """An officer decided about this passage with its alarms on the table: that answers for them."""
    for alarm in t.desk.alarms:
        if passage in alarm.passages and alarm.kind is not AlarmKind.UNRELEASED_DEPARTURE:
            _put(t, replace(alarm, acknowledged=True))
    settle(t)


def fled(t: Turn, passage: str) -> None:
    """An officer has put on record that this vehicle left without a release: that answers for its alarm."""
    for alarm in t.desk.alarms:
        if passage in alarm.passages and alarm.kind is AlarmKind.UNRELEASED_DEPARTURE:
            _put(t, replace(alarm, acknowledged=True))
    settle(t)


def occupancy_over(t: Turn, occupancy: str) -> None:
    for alarm in t.desk.alarms:
        if alarm.occupancy == occupancy:
            _put(t, replace(alarm, active=False))
    settle(t)


def cause_over(t: Turn, cause: str) -> None:
    """The fault behind an alarm is over; the alarm stays until somebody has acknowledged it."""
    for alarm in t.desk.alarms:
        if alarm.cause == cause:
            _put(t, replace(alarm, active=False))
    settle(t)


def settle(t: Turn) -> None:
    """End every alarm whose state is normal again. Called when a passage closes or anything above changes."""
    for alarm in t.desk.alarms:
        if alarm.acknowledged and not alarm.active and not any(_open(t, p) for p in alarm.passages):
            _end(t, alarm)


def _open(t: Turn, name: str) -> bool:
    passage = t.passage(name)
    return passage is not None and passage.disposition is None


def _put(t: Turn, alarm: Alarm) -> None:
    t.desk = replace(t.desk, alarms=tuple(alarm if a.id == alarm.id else a for a in t.desk.alarms))


def _end(t: Turn, alarm: Alarm) -> None:
    t.desk = replace(t.desk, alarms=tuple(a for a in t.desk.alarms if a.id != alarm.id))
    t.tell(AlarmEnded(alarm.id, t.utc_s))
