"""What must never happen with a scanner, over hundreds of thousands of random steps; and that breaking a rule shows.

The numbers of the invariants are those of the scanner's interface: 1 the request and the only way to it, 2 what takes
it back, 3 emergency stops, 4 orders that are late, repeated or foreign, 5 restarts, 6 late ends of scans, 7 the trail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scanner_judge import Violation
from scanner_walk import Walk, lane

from lanecontrol.announcements import ScanCause as C
from lanecontrol.announcements import ScannerState as S
from lanecontrol.commands import ConfirmScan, Result
from lanecontrol.events import Tick
from lanecontrol.lane import authority, orders, scanner, turn
from lanecontrol.lane.effects import Publish
from lanecontrol.lane.record import replace
from lanecontrol.lane.scanner import asking, conditions, machine, outputs, table, view
from lanecontrol.lane.scanner.table import TABLE, Row, asked, by_state, either, on
from lanecontrol.lane.scanner.view import Ask, View

pytestmark = pytest.mark.usefixtures("nothing_collected")

SHORT = 5_000
LONG = 23_000
"""Steps of one walk: eight long and four short ones are 204,000."""
OFTEN = 20
"""Every state is reached at least so often in any long walk."""


def walked(seed: int, steps: int, *, two_persons: bool = True) -> Walk:
    walk = Walk(lane(two_persons=two_persons), seed)
    walk.go(steps)
    assert walk.steps >= steps
    return walk


@pytest.mark.parametrize("seed", range(4))
def test_the_invariants_hold_in_a_short_random_walk(seed: int) -> None:
    walked(seed, SHORT, two_persons=seed % 2 == 0)


# Some seconds each: together they are the 200,000 steps that the invariants are held to.
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 108))
def test_the_invariants_hold_in_a_long_random_walk_that_reaches_every_state_often(seed: int) -> None:
    walk = walked(seed, LONG, two_persons=seed % 2 == 0)
    for state in S:
        assert walk.seen[state.value] >= OFTEN, (state, walk.steps, walk.seen)
    untaken = {f"{row.state.value} {row.to.value}" for row in TABLE} - walk.seen.keys()
    assert untaken <= RARE, (walk.steps, walk.seen)


RARE = {"disabled fault", "armed fault", "interlock_check fault", "positioning fault"}
"""Transitions that take a coincidence; the table's own tests take them on purpose."""


# --- each invariant bites --------------------------------------------------------------------------------------------

Break = Callable[[pytest.MonkeyPatch], None]


def with_rows(*added: Row, but: Callable[[Row], bool] = lambda row: False) -> Break:
    """The table without some rows, and with others before the rest."""

    def patch(patch: pytest.MonkeyPatch) -> None:
        rows = by_state((*added, *(row for row in TABLE if not but(row))))
        whole = table.transition
        patch.setattr(table, "transition", lambda v: whole(v, rows))

    return patch


def setting(target: object, name: str, value: Any) -> Break:
    return lambda patch: patch.setattr(target, name, value)


def short_warning(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(View, "warning_s", property(lambda v: 4.0))


def stale_is_as_good_as_read(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(view, "stale", lambda t, device: False)
    patch.setattr(conditions, "stale", lambda t, device: False)


def offline_is_as_good_as_read(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(view, "online", lambda t, device: True)
    patch.setattr(conditions, "online", lambda t, device: True)
    patch.setattr(machine, "_forget", lambda t, device: None)
    patch.setattr(machine, "_module_changed", lambda t, before, event: (None, frozenset()))


def no_interlock_in_the_beam(patch: pytest.MonkeyPatch) -> None:
    rows = Row(S.SCANNING, S.ABORTING, asked(Ask.ABORT, C.OPERATOR, "aborted"))
    with_rows(rows, but=lambda row: row.when is table.interlock_lost)(patch)


def one_contact_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(conditions.RULES, C.ZONE, lambda v: "")


def emergency_stop_needs_no_reset(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(conditions.RULES, C.RESET, lambda v: "")
    with_rows(Row(S.ABORTED, S.IDLE, on(lambda v: True, C.RESULT, "written")))(patch)


def emergency_stop_leaves_the_order(patch: pytest.MonkeyPatch) -> None:
    keep = either(asked(Ask.ABORT, C.OPERATOR, "x"), table.no_use)
    rows = [Row(state, S.CANCELLED, keep) for state in (S.ARMED, S.POSITIONING, S.INTERLOCK_CHECK)]
    with_rows(*rows, but=lambda row: row.when is table.ended_while_waiting)(patch)

    def reset(v: View, actor: Any) -> str:
        v.t.scanner = replace(v.m, tripped="")
        return ""

    patch.setattr(asking, "_reset", reset)


def orders_may_repeat(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(orders, "_refused_unheard", lambda t, order: None)
    patch.setattr(asking, "_why_not_ordered", lambda v, key, request: "a scan is under way" if v.scan else "")


def late_orders_count(patch: pytest.MonkeyPatch) -> None:
    whole = orders._refused_unheard

    def heard(t: turn.Turn, order: Any) -> Any:
        refused = whole(t, order)
        return None if refused is not None and refused.reason.startswith("too late") else refused

    patch.setattr(orders, "_refused_unheard", heard)


def orders_never_expire(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(conditions.RULES, C.EXPIRED, lambda v: "")


def the_port_confirms(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(authority.ORDERS, ConfirmScan, authority.Right(authority.ANYBODY))
    patch.setattr(asking, "_same", lambda one, other: False)


def a_restart_changes_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(scanner, "started", lambda t: None)


def a_restart_marks_nothing(patch: pytest.MonkeyPatch) -> None:
    whole = turn.Turn.put
    patch.setattr(turn.Turn, "put", lambda t, passage: whole(t, replace(passage, scan=None)))


def any_end_of_scan_counts(patch: pytest.MonkeyPatch) -> None:
    def pulse(t: turn.Turn, before: Any) -> bool:
        return getattr(t.given.event, "point", "") == "scan_complete"

    patch.setattr(machine, "_pulse", pulse)
    with_rows(Row(S.TRIGGERED, S.COMPLETING, on(lambda v: v.pulse, C.SCANNED, "early")))(patch)


def transitions_untold(patch: pytest.MonkeyPatch) -> None:
    whole = machine._enter

    def enter(v: View, state: S, why: Any) -> None:
        whole(v, state, why)
        v.t.effects[:] = [
            e for e in v.t.effects if not (isinstance(e, Publish) and getattr(e.announcement, "state", None) is S.ARMED)
        ]

    patch.setattr(machine, "_enter", enter)


def grants_outlive_their_state(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outputs, "_drop", lambda t, device: None)


def the_request_stays_while_aborting(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(outputs.IMAGE, S.ABORTING, outputs.IMAGE[S.ABORTING] | {"scan_request": True})


def withdrawn_a_tick_later(patch: pytest.MonkeyPatch) -> None:
    whole = outputs.bring_about

    def late(v: View, anew: frozenset[str]) -> None:
        if isinstance(v.t.given.event, Tick):
            whole(v, anew)

    patch.setattr(outputs, "bring_about", late)


def nothing_is_said_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outputs, "_again", lambda t, m, after_s: m)
    patch.setattr(outputs, "UNHEARD_S", 1e9)


def the_driver_goes_while_it_scans(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(outputs.IMAGE, S.SCANNING, outputs.IMAGE[S.SCANNING] | {"driver_go": True, "driver_stop": False})


def an_aborted_scan_is_tried_again(patch: pytest.MonkeyPatch) -> None:
    with_rows(Row(S.ABORTING, S.TRIGGERED, on(table.shut, C.INTERLOCKS, "again")))(patch)


def withdrawals_wait_for_the_disk(patch: pytest.MonkeyPatch) -> None:
    whole = outputs._write
    patch.setattr(outputs, "_write", lambda v, device, levels, *, grants: whole(v, device, levels, grants=True))


BROKEN: dict[str, tuple[Break, set[int]]] = {
    "the warning lasts 4 s": (short_warning, {1}),
    "one sample is enough": (setting(view, "SAMPLE_S", 0.0), {1}),
    "an aborted scan is tried again": (an_aborted_scan_is_tried_again, {1, 2, 3}),
    "the request stays on while aborting": (the_request_stays_while_aborting, {1}),
    "grants outlive their state": (grants_outlive_their_state, {1, 2, 5}),
    "a stale contact is as good as read": (stale_is_as_good_as_read, {1, 2, 7}),
    "a module that is away is as good as read": (offline_is_as_good_as_read, {1, 2, 7}),
    "no interlock counts while the beam is on": (no_interlock_in_the_beam, {2}),
    "one contact is forgotten": (one_contact_forgotten, {1, 2}),
    "withdrawn a tick later": (withdrawn_a_tick_later, {1, 2}),
    "withdrawals wait for the disk": (withdrawals_wait_for_the_disk, {1, 2}),
    "what was withdrawn in vain is not said again": (nothing_is_said_again, {2}),
    "the driver may go while it scans": (the_driver_goes_while_it_scans, {1, 2}),
    "an emergency stop needs no reset": (emergency_stop_needs_no_reset, {3}),
    "an emergency stop leaves the order": (emergency_stop_leaves_the_order, {1, 2, 3}),
    "orders may repeat": (orders_may_repeat, {4}),
    "late orders count": (late_orders_count, {4}),
    "orders never expire": (orders_never_expire, {4}),
    "whoever ordered may confirm, and the port too": (the_port_confirms, {4}),
    "a restart changes nothing": (a_restart_changes_nothing, {5}),
    "a restart marks nothing": (a_restart_marks_nothing, {5}),
    "any end of scan counts": (any_end_of_scan_counts, {6}),
    "a transition is not told": (transitions_untold, {7}),
}
"""Rules of ours, each broken on purpose, and which invariants show it."""


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_rule_is_found_by_walking(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    breaking, numbers = BROKEN[what]
    walks = [Walk(lane(), seed) for seed in range(3)]
    breaking(monkeypatch)
    with pytest.raises(Violation) as found:
        for walk in walks:
            walk.go(6_000)
    assert found.value.number in numbers, found.value


def test_every_invariant_is_shown_to_bite() -> None:
    assert set().union(*(numbers for _, numbers in BROKEN.values())) == set(range(1, 8))
    assert Result.DONE
