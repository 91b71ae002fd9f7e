"""A vehicle that the lane lost track of before it was seen to leave the booth: what stood against it is not forgotten.

Loops that cannot be read, too many vehicles, or an officer who calls the next one end a passage; its vehicle may stand
there still. Its alarms and lookouts then stand against whoever is at the booth next as well: against as many as it may
be among. So nobody gets rid of a mandatory referral by having the lane lose count. Called by `lane.passages`.
"""

from __future__ import annotations

from lanecontrol.announcements import BoundOccupancy
from lanecontrol.lane.dossiers import dossier, put
from lanecontrol.lane.record import replace
from lanecontrol.lane.state import Passage, Unsettled
from lanecontrol.lane.turn import Turn
from lanecontrol.questions import MAX_NUMBERS

MAX_UNSETTLED = 8


def lost(t: Turn, passage: Passage) -> None:
    """This passage ends though its vehicle was not seen to leave. Called before what is known of it is forgotten."""
    if passage.booth_left_s is not None:
        return
    in_row = min(MAX_UNSETTLED, t.desk.lost_in_row + 1)
    alarmed = tuple(row for row in passage.occupancies if row.gamma_alarm or row.neutron_alarm)
    known = dossier(t, passage.id)
    rows = t.desk.unsettled
    if alarmed or known.rounds:  # asked about, whatever the answer was: hits must not show in what happens here
        rows = (*rows, Unsettled(alarmed, known.hits, in_row))[-MAX_UNSETTLED:]
    t.desk = replace(t.desk, lost_in_row=in_row, unsettled=rows)


def met(t: Turn, name: str) -> tuple[BoundOccupancy, ...]:
    """This vehicle has come to the booth: it may be one that was lost. The alarms that may be its own."""
    desk = t.desk
    if not desk.lost_in_row:
        return ()
    rows = desk.unsettled
    left = tuple(replace(row, turns=row.turns - 1) for row in rows if row.turns > 1)
    t.desk = replace(desk, lost_in_row=desk.lost_in_row - 1 if left else 0, unsettled=left)
    if rows:
        known = dossier(t, name)
        hits = tuple(hit for row in rows for hit in row.hits)
        put(t, replace(known, hits=tuple(dict.fromkeys((*known.hits, *hits)))[:MAX_NUMBERS]))
    return tuple(alarm for row in rows for alarm in row.alarms)
