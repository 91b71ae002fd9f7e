"""Faults of signals, gate, loops and modules: told once when they begin and once when they end.

Some of them are alarms as well, for somebody to acknowledge (`ALARMS`). Called wherever equipment is judged. It only
records: what a fault withdraws is for the caller to say.
"""

from __future__ import annotations

from lanecontrol.announcements import AlarmKind, EquipmentFault
from lanecontrol.lane import alarms
from lanecontrol.lane.record import replace
from lanecontrol.lane.state import MAX_FAULTS
from lanecontrol.lane.turn import Turn

ALARMS: dict[tuple[str, str], AlarmKind] = {
    **{
        (head, code): kind
        for head in ("signal", "lane_signal")
        for code, kind in {
            "dark": AlarmKind.SIGNAL_DARK,
            "lamp_out": AlarmKind.SIGNAL_FAULT,
            "lamps_conflict": AlarmKind.SIGNAL_FAULT,
            "lamp_on": AlarmKind.SIGNAL_FAULT,
            "lamp_unread": AlarmKind.SIGNAL_FAULT,
        }.items()
    },
    ("gate", "forced"): AlarmKind.GATE_FORCED,
    **{
        ("gate", code): AlarmKind.GATE_FAULT
        for code in ("travel", "switches", "operator", "obstruction", "dropped", "under_arm")
    },
}
"""Faults that a person has to know of at once."""


def fault(t: Turn, equipment: str, code: str, detail: str, *, active: bool, kind: AlarmKind | None = None) -> None:
    """A fault of `equipment` began or ended; told once, and an alarm with it where `ALARMS` or `kind` says so."""
    row = (equipment, code)
    if active == (row in t.equipment.faults):
        return
    others = tuple(f for f in t.equipment.faults if f != row)
    t.equipment = replace(t.equipment, faults=(*others, row)[-MAX_FAULTS:] if active else others)
    t.tell(EquipmentFault(equipment, code, detail, active, t.utc_s))
    kind = ALARMS.get(row, kind)
    cause = f"{equipment}/{code}"
    if kind is not None and active:
        alarms.raise_alarm(t, kind, equipment, (), cause=cause)
    elif kind is not None:
        alarms.cause_over(t, cause)


def stands(t: Turn, equipment: str, *codes: str) -> str:
    """The first of these faults that stands, of any code if none is named; empty where none does."""
    for what, code in t.equipment.faults:
        if what == equipment and (not codes or code in codes):
            return code
    return ""
