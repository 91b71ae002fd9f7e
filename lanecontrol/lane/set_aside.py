"""What is overridden by hand now, for whoever has to take account of it. Orders about that are in `lane.overrides`.

Called all over the lane core. It asks the state and, for a vehicle that leaves through a gate held open, records that
it was not inspected; it never sets or ends anything.
"""

from __future__ import annotations

from lanecontrol.announcements import DisposedBy, DispositionRecorded
from lanecontrol.commands import Disposition, OverridePart
from lanecontrol.lane.record import replace
from lanecontrol.lane.state import Passage, SetAside
from lanecontrol.lane.turn import Turn


def standing(t: Turn, part: OverridePart, name: str = "") -> SetAside | None:
    """The override of this part that stands, if there is one."""
    for row in t.equipment.overrides:
        if row.part is part and row.name == name and row.ended_s is None:
            return row
    return None


def all_standing(t: Turn) -> tuple[SetAside, ...]:
    return tuple(row for row in t.equipment.overrides if row.ended_s is None)


def gate_refusal(t: Turn) -> str:
    """Why an override keeps the lane from granting anything; empty when none does."""
    for row in t.equipment.overrides:
        if row.ended_s is None and row.part in _WORDS:
            return f"{_WORDS[row.part]}: {row.reason}"
    return ""


_WORDS = {
    OverridePart.GATE_OPEN: "the gate is held open by hand",
    OverridePart.GATE_HELD: "the gate is not to be commanded",
    OverridePart.SIGNAL_RED: "the signal is kept at stop by hand",
}


def loops_out(t: Turn) -> tuple[str, ...]:
    """Names of the loops that are left out of account."""
    return tuple(row.name for row in t.equipment.overrides if row.part is OverridePart.LOOP_OUT and row.ended_s is None)


def gate_loop_out(t: Turn) -> bool:
    """A loop at or behind the booth is left out: nobody knows what is under the arm."""
    names = loops_out(t)
    if not names:
        return False
    beyond = t.plan.stations[t.plan.booth :]
    return any(loop.name in names and (loop.zone in beyond or not beyond) for loop in t.setup.loops)


def label(row: SetAside) -> str:
    """`loop_out exit`: how an override is named in a finding."""
    return f"{row.part.value} {row.name}".strip()


def during(t: Turn, passage: Passage) -> tuple[str, ...]:
    """The overrides that stood at any time while this vehicle was in the lane, as findings name them."""
    if not t.equipment.overrides:
        return ()
    rows = [row for row in t.equipment.overrides if row.ended_s is None or row.ended_s >= passage.opened_s]
    return tuple(dict.fromkeys(label(row) for row in rows))


def leaves_uninspected(t: Turn, passage: Passage) -> Passage:
    """Nobody let this vehicle go, and the gate is held open: it is recorded as not inspected, never as released."""
    row = standing(t, OverridePart.GATE_OPEN)
    if row is None or passage.disposition is not None:
        return passage
    by = DisposedBy(Disposition.LANE_PASS_UNINSPECTED, row.actor, t.utc_s, (row.reason,))
    t.tell(DispositionRecorded(passage.id, by, ()))
    return t.put(replace(passage, disposition=by))
