"""What the lamps of the signal heads really show, by their read-back contacts, held against what was commanded.

A difference that lasts is a fault and an alarm; it forces red (the booth's STOP, the overhead red X) and withdraws. A
dark signal is not a red one: a lamp that was commanded and does not burn is told as just that. Called by `lane.step`
at the end of every step that changed something, and when a difference has lasted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lanecontrol.announcements import LaneAspect, SignalAspect
from lanecontrol.lane import interlock
from lanecontrol.lane.faults import fault, stands
from lanecontrol.lane.record import replace
from lanecontrol.lane.turn import Turn

FAULTS = ("lamps_conflict", "lamp_on", "dark", "lamp_unread")
LAMP_OUT = "lamp_out"
"""An arrow or a yellow X that does not burn. Its red X does, so nothing shows that it was mended: it stands until
somebody opens the lane anew, or the lane would light it again every few seconds, with an alarm each time."""
BOOTH, OVERHEAD = 0, 1
_HEADS = ("signal", "lane_signal")


@dataclass(frozen=True, slots=True)
class Lamp:
    """One lamp: whether it is commanded on, and whether it burns (None: not known)."""

    name: str
    wanted: bool
    burns: bool | None


_BOOTH_WANTED = {
    SignalAspect.PROCEED: (True, False),
    SignalAspect.STOP: (False, True),
    SignalAspect.DARK: (False, True),
}
_LANE_WANTED = {
    LaneAspect.OPEN: (True, False, False),
    LaneAspect.CLOSING: (False, True, False),
    LaneAspect.CLOSED: (False, False, True),
    LaneAspect.DARK: (False, False, True),
}
"""What each aspect commands, lamp by lamp; before the first command it is red."""


def watch(t: Turn) -> None:
    """Hold every head that reads back against its command."""
    plan, equipment = t.plan, t.equipment
    if plan.booth_lamps and t.setup.signal is not None:
        wanted: tuple[bool, ...] = _BOOTH_WANTED[equipment.aspect]
        if not _as_commanded(t, BOOTH, plan.booth_lamps, wanted):
            permission = t.desk.permission
            granting = permission.commands if permission is not None else ()
            lamps = _lamps(t, plan.booth_lamps, ("green", "red"), wanted)
            _hold(t, BOOTH, t.setup.signal.device, lamps, granting)
    if plan.lane_lamps and t.setup.lane_signal is not None:
        wanted = _LANE_WANTED[equipment.lane_aspect]
        if not _as_commanded(t, OVERHEAD, plan.lane_lamps, wanted):
            lamps = _lamps(t, plan.lane_lamps, ("green arrow", "yellow X", "red X"), wanted)
            _hold(t, OVERHEAD, t.setup.lane_signal.device, lamps, (equipment.lane_command,))


def _as_commanded(t: Turn, head: int, places: Sequence[int], wanted: Sequence[bool]) -> bool:
    """Nothing is wrong with this head, and nothing was: the usual case, made short because every step comes here."""
    contacts, faults = t.equipment.contacts, t.equipment.faults
    for at, on in zip(places, wanted, strict=True):
        if at >= 0 and (at >= len(contacts) or contacts[at].on is not on):
            return False
    return t.equipment.lamps_s[head] is None and not (faults and stands(t, _HEADS[head], *FAULTS))


def _lamps(t: Turn, places: Sequence[int], names: Sequence[str], wanted: Sequence[bool]) -> list[Lamp]:
    """The lamps that read back, which need not be all of a head's."""
    return [Lamp(name, on, t.contact(at).on) for at, name, on in zip(places, names, wanted, strict=True) if at >= 0]


def mismatch(lamps: Sequence[Lamp]) -> tuple[str, str]:
    """What is wrong with these lamps, as a fault's code and in plain words; empty when they show what they should."""
    burning = [lamp.name for lamp in lamps if lamp.burns]
    if len(burning) > 1:
        return "lamps_conflict", f"{' and '.join(burning)} burn together"
    for lamp in lamps:
        if lamp.burns and not lamp.wanted:
            return "lamp_on", f"{lamp.name} burns and was not commanded"
    for lamp in lamps:
        if lamp.wanted and lamp.burns is False:
            return "dark", f"{lamp.name} was commanded and does not burn: a dark signal is not a red one"
    if any(lamp.burns is None for lamp in lamps):
        return "lamp_unread", "the lamps cannot be read back"
    return "", ""


def _hold(t: Turn, head: int, device: str, lamps: list[Lamp], granting: tuple[str, ...]) -> None:
    name = _HEADS[head]
    code, words = mismatch(lamps)
    since_s = t.equipment.lamps_s[head]
    if not code:
        _watch_until(t, head, None)
        for old in FAULTS:
            if (name, old) in t.equipment.faults:
                fault(t, name, old, "the lamps are as commanded", active=False)
    elif not t.usable(device) or (code != "lamps_conflict" and _on_its_way(t, granting)):
        _watch_until(t, head, None)  # nobody can tell; a module that is away has withdrawn everything already
    elif stands(t, name, code):
        _watch_until(t, head, None)
    elif since_s is None:
        _watch_until(t, head, t.now_s + t.setup.readback_limit_s)
    elif t.due(since_s):
        _watch_until(t, head, None)
        _tell(t, head, name, code, words)


def try_again(t: Turn) -> None:
    """Somebody opens the lane: whether a lamp of the overhead signal was mended will be seen when it is lit."""
    fault(t, _HEADS[OVERHEAD], LAMP_OUT, "the lane is opened anew", active=False)


def _on_its_way(t: Turn, granting: tuple[str, ...]) -> bool:
    """A command that grants waits for its record to be on disk: until it is done the lamps may show either."""
    return any(pending.command in granting for pending in t.equipment.pending)


def _tell(t: Turn, head: int, name: str, code: str, words: str) -> None:
    for old in FAULTS:
        if old != code:
            fault(t, name, old, words, active=False)
    if head == OVERHEAD and code == "dark" and t.equipment.lane_aspect in (LaneAspect.OPEN, LaneAspect.CLOSING):
        code = LAMP_OUT
    fault(t, name, code, words, active=True)
    why = f"{'overhead' if head else 'booth'} signal: {words}"
    if head == OVERHEAD:
        interlock.close_overhead(t, why)
    interlock.stop_everything(t, why)


def _watch_until(t: Turn, head: int, moment_s: float | None) -> None:
    if t.equipment.lamps_s[head] != moment_s:
        booth, overhead = t.equipment.lamps_s
        t.equipment = replace(t.equipment, lamps_s=(moment_s, overhead) if head == BOOTH else (booth, moment_s))
