"""The port's divert notice: traffic is sent elsewhere, and this lane admits nobody new until that has ended.

The notice comes for all lanes at once (`lanecontrol.port.notices`) and always has an end, so that none can stand for
ever. Whoever is inside is finished; the lane's own life stays as it is. Called by `lane.step`.
"""

from __future__ import annotations

from lanecontrol.announcements import DivertChanged
from lanecontrol.events import DivertHeard
from lanecontrol.lane.record import replace
from lanecontrol.lane.regime_state import LONGEST_DIVERT_S, Diverted, awake
from lanecontrol.lane.texts import MAX_WORDS
from lanecontrol.lane.turn import Turn


def heard(t: Turn, event: DivertHeard) -> None:
    """A notice, or the end of one. Of several the one issued last counts, in whatever order they come."""
    regime = t.regime
    if event.issued_utc_s <= regime.heard_utc_s:
        return
    until_s = t.now_s + min(event.until_utc_s - t.utc_s, LONGEST_DIVERT_S)
    if event.active and until_s <= t.now_s:
        return
    t.regime = replace(regime, heard_utc_s=event.issued_utc_s)
    if not event.active:
        _end(t, event.reason[:MAX_WORDS] or "ended by the port")
        return
    since_s = t.now_s if regime.divert is None else regime.divert.since_s
    until_utc_s = t.utc_at(until_s)
    reason, to = event.reason[:MAX_WORDS], event.to[:MAX_WORDS]
    _keep(t, Diverted(event.notice, reason, to, event.by, since_s, until_s, until_utc_s))
    t.tell(DivertChanged(event.notice, True, reason, to, event.by, until_utc_s, "", t.utc_s))


def on_time(t: Turn) -> None:
    """A notice ends by itself when its time is over."""
    if t.regime.divert is not None and t.due(t.regime.divert.until_s):
        _end(t, "its time is over")


def _end(t: Turn, why: str) -> None:
    divert = t.regime.divert
    if divert is None:
        return
    _keep(t, None)
    t.tell(DivertChanged(divert.notice, False, divert.reason, divert.to, divert.by, t.utc_s, why, t.utc_s))


def _keep(t: Turn, divert: Diverted | None) -> None:
    t.regime = awake(replace(t.regime, divert=divert))
