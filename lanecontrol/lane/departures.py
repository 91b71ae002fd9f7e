"""A vehicle that leaves without a disposition: a critical alarm, a red X, and a picture from every camera that can.

Nothing is done about it by itself beyond that: stopping anybody is for people. Called by `lane.passages` when the
vehicle is seen behind the booth, by `lane.patience` when it is not seen there any more, and by `lane.overhead`, which
shows the red X until somebody has acknowledged the alarm.
"""

from __future__ import annotations

from lanecontrol.announcements import AlarmKind, Severity
from lanecontrol.commands import TakePicture
from lanecontrol.lane import alarms
from lanecontrol.lane.record import replace
from lanecontrol.lane.state import Passage
from lanecontrol.lane.turn import Turn


def unreleased(t: Turn, passage: Passage) -> Passage:
    """Its alarm, once, and pictures now: of its plate, and of where it goes."""
    passage = t.put(replace(passage, unreleased=True))
    alarms.raise_alarm(t, AlarmKind.UNRELEASED_DEPARTURE, t.given.source, (passage.id,), severity=Severity.CRITICAL)
    for device in t.setup.picture_devices:
        if t.usable(device):
            t.ask(device, TakePicture(f"{passage.id} left without a disposition"))
    return passage


def unanswered(t: Turn) -> bool:
    """Somebody left so, and nobody has acknowledged it yet: nobody new is called in meanwhile."""
    return any(alarm.kind is AlarmKind.UNRELEASED_DEPARTURE and not alarm.acknowledged for alarm in t.desk.alarms)
