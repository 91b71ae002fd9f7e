"""Where the lane keeps what it asked and what it was told. Used by `lane.questions`, `lane.lookouts`, `lane.elsewhere`.

Keeps `Inquiry.wake_s` right: the next moment at which any of it is due.
"""

from __future__ import annotations

from collections.abc import Sequence

from lanecontrol.lane.record import replace
from lanecontrol.lane.state import Asked, Dossier
from lanecontrol.lane.turn import Turn

MAX_DOSSIERS = 16
"""Twice as many as there may be open passages."""


def dossier(t: Turn, passage: str) -> Dossier:
    """What is known of the vehicle of this passage; an empty one where nothing was asked."""
    for one in t.inquiry.dossiers:
        if one.passage == passage:
            return one
    return Dossier(passage)


def put(t: Turn, changed: Dossier) -> None:
    """Keep this in place of what was known; nothing of a passage that has closed."""
    if t.passage(changed.passage) is None:
        return
    others = [one for one in t.inquiry.dossiers if one.passage != changed.passage]
    t.inquiry = replace(t.inquiry, dossiers=(*others, changed)[-MAX_DOSSIERS:])


def put_asked(t: Turn, asked: Sequence[Asked]) -> None:
    t.inquiry = replace(t.inquiry, asked=tuple(asked))
    mend(t)


def mend(t: Turn) -> None:
    """Work out when any of this is due next."""
    inquiry = t.inquiry
    moments = [asked.due_s for asked in inquiry.asked]
    if inquiry.lost_s is not None:
        moments.append(inquiry.lost_s + t.setup.limits.degraded_after_s)
    if inquiry.drill_s is not None:
        moments.append(inquiry.drill_s)
    wake_s = min(moments, default=None)
    if wake_s != inquiry.wake_s:
        t.inquiry = replace(inquiry, wake_s=wake_s)
