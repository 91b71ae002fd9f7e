"""Which changes of a presence loop are believed, and when: no vehicle is on a loop for a fifth of a second.

A change that the lane expects is believed at once. One that would be a surprise (somebody behind the booth who was not
let go, somebody whom the portal has not seen) has to last, and every change of a loop that *chatters*, that is, told of
several states too short for a vehicle. A contact that flickers meanwhile does not start again from nothing: what
counts is for how long, taken together, it contradicted what is believed. What cannot wait (the gate) goes by the
contact itself and not by this.

Called by `lane.equipment` for every change of a loop and by `lane.step` when one has lasted.
"""

from __future__ import annotations

from lanecontrol.lane import leaving, stuck, tracking, where
from lanecontrol.lane.record import replace
from lanecontrol.lane.state import CALM_S, SHORT_S, STUCK_AFTER, Contact
from lanecontrol.lane.turn import Turn

BURST_S = 3.0
"""Between two close vehicles a loop may be clear for a moment: that counts only so soon after another such state."""
SURPRISE_S = SHORT_S
"""A steady loop tells of something unexpected: believed after this."""
CHATTER_S, CHATTER_ON_S = 0.4, 0.6
"""The same for a loop that chatters, off and on: false states run into one another."""
CHATTER_SURPRISE_S = 2.0


def told(t: Turn, index: int, old: Contact, contact: Contact) -> None:
    """The contact of loop `index` has changed, from `old` to `contact`."""
    if old.on is None or old.held is None:
        _believe(t, index, contact)
        return
    lasted_s = t.now_s - old.since_s
    lean_s = old.lean_s + lasted_s if old.on is not old.held else max(0.0, old.lean_s - lasted_s)
    contact = replace(contact, lean_s=lean_s, settle_s=None)
    if lasted_s < SHORT_S:
        contact = _short(t, index, contact, was_on=old.on)
    _look(t, index, contact)
    _note_due(t)


def settle(t: Turn) -> None:
    """Believe every change that has lasted."""
    if not t.due(t.equipment.loops_s):
        return
    for index in range(len(t.plan.loop_station)):
        contact = t.contact(index)
        if t.due(contact.settle_s):
            _look(t, index, contact)
    _note_due(t)


def _look(t: Turn, index: int, contact: Contact) -> None:
    """Believe `contact` if it has contradicted what is believed for long enough; else note when that will be."""
    if contact.on is not contact.held:
        due_s = contact.since_s + _patience_s(t, index, contact) - contact.lean_s
        if t.due(due_s):
            _believe(t, index, contact)
            return
        contact = replace(contact, settle_s=due_s)
    t.put_contact(index, contact)


def _patience_s(t: Turn, index: int, contact: Contact) -> float:
    station = t.plan.loop_station[index]
    surprise = bool(contact.on) and where.surprised_by(t, station)
    if contact.chatters(t.now_s):
        return _chatter_s(t, station, on=bool(contact.on), surprise=surprise)
    return SURPRISE_S if surprise else 0.0


def _chatter_s(t: Turn, station: int, *, on: bool, surprise: bool) -> float:
    """Who stands at the booth or on the loop before this one may well go on standing there, whatever it says."""
    if surprise or t.held(station - 1) if on else leaving.holds_back(t, station):
        return CHATTER_SURPRISE_S
    blind = station >= t.plan.booth and stuck.blind_booth(t)
    if blind and station == t.plan.booth:
        return CHATTER_ON_S if on and where.returning(t, station) is not None else CHATTER_SURPRISE_S
    here = t.at_booth() if on and blind else None
    if here is not None and not leaving.can_have_gone(t, here, t.now_s):
        return CHATTER_SURPRISE_S
    return CHATTER_ON_S if on and (station <= t.plan.booth or blind) else CHATTER_S


def _believe(t: Turn, index: int, contact: Contact) -> None:
    station = t.plan.loop_station[index]
    before = t.held(station)
    if contact.passed >= STUCK_AFTER:
        stuck.moves_again(t, index)
    t.put_contact(
        index,
        replace(
            contact,
            held=contact.on,
            held_s=t.now_s,
            held_before_s=contact.held_s,
            passed=0,
            lean_s=0.0,
            settle_s=None,
        ),
    )
    after = t.held(station)
    if before is not after and station >= 0:
        tracking.station_changed(t, station, before, after)
        _look_at_the_others(t)


def _look_at_the_others(t: Turn) -> None:
    """One loop explains another: what would have been a surprise may be none any more."""
    if all(contact.settle_s is None for contact in t.equipment.contacts):
        return
    for index in range(len(t.plan.loop_station)):
        contact = t.contact(index)
        if contact.settle_s is not None and contact.on is not contact.held:
            _look(t, index, contact)


def _short(t: Turn, index: int, contact: Contact, *, was_on: bool) -> Contact:
    """The state that has just ended was too short for a vehicle."""
    since_s = t.now_s - contact.short_s
    shorts = contact.shorts if since_s < CALM_S else 0
    contact = replace(contact, shorts=shorts + (was_on or since_s < BURST_S), short_s=t.now_s)
    t.put_contact(index, contact)  # what is asked of this station from now on knows that it chatters
    if contact.chatters(t.now_s):
        t.doubt(f"chatter:{t.setup.loops[index].name}", for_s=2 * CALM_S)
    return contact


def _note_due(t: Turn) -> None:
    first_s = None
    for contact in t.equipment.contacts:
        if contact.settle_s is not None and (first_s is None or contact.settle_s < first_s):
            first_s = contact.settle_s
    if first_s != t.equipment.loops_s:
        t.equipment = replace(t.equipment, loops_s=first_s)
